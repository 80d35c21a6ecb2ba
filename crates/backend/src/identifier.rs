//! Which identifier Corbado keeps passkeys under.

use domain::PasskeyIdentifier;
use settings::Settings;

/// Reads `CONNECT_TOKEN_IDENTIFIER`, the same for every function.
pub fn passkey_identifier(settings: &mut Settings<'_>) -> Option<PasskeyIdentifier> {
    let words = [("id", PasskeyIdentifier::Id), ("email", PasskeyIdentifier::Email)];
    settings.choice("CONNECT_TOKEN_IDENTIFIER", &words, Some(PasskeyIdentifier::Id))
}
