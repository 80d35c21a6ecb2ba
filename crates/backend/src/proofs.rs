//! The secrets of login proofs.

use domain::LoginProofs;
use secrets::{Name, Secret};
use settings::Settings;

/// Reads `LOGIN_PROOF_SECRETS` or its ARN, the same in post-login and custom-auth; `Some(None)` where neither is set.
#[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
pub fn login_proofs(settings: &mut Settings<'_>) -> Option<Option<Secret<LoginProofs>>> {
    const NAME: Name = Name { value: "LOGIN_PROOF_SECRETS", arn: "LOGIN_PROOF_SECRET_ARN" };
    let rule = "one or more secrets of 32 to 128 printable ASCII characters, separated by spaces";
    Secret::from_settings(settings, NAME, rule, LoginProofs::new)
}
