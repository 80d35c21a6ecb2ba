//! The secrets of login proofs.

use domain::LoginProofs;
use settings::Settings;

/// Reads `LOGIN_PROOF_SECRETS`, the same in post-login and custom-auth; `Some(None)` where it is not set.
#[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
pub fn login_proofs(settings: &mut Settings<'_>) -> Option<Option<LoginProofs>> {
    const NAME: &str = "LOGIN_PROOF_SECRETS";
    let Some(secrets) = settings.secret(NAME) else { return Some(None) };
    let proofs = LoginProofs::new(&secrets);
    if proofs.is_none() {
        settings.problem(
            NAME,
            "one or more secrets of 32 to 128 printable ASCII characters, separated by spaces",
        );
    }
    proofs.map(Some)
}
