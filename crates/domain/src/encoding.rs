//! Bytes as text.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::SecretString;

/// Writes bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes 32 random bytes in base64url, 43 characters: an id that nobody guesses.
pub(crate) fn random_id(bytes: [u8; 32]) -> SecretString {
    SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads what [`random_id`] writes, spelled the one way.
pub(crate) fn read_random_id(text: &str) -> Option<SecretString> {
    let bytes: [u8; 32] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(random_id(bytes))
}
