//! Tokens of the identity provider itself.

use domain::{ProviderSession, Timestamp, TokenUse, Unavailable};
use outbound::Https;
use settings::Settings;

/// The tokens that the configured authentication system gives out, if it does.
#[derive(Debug)]
pub enum ProviderTokens {
    /// None that we know how to verify.
    None,
    /// Access and ID tokens of the user pool.
    Cognito(Box<cognito::Tokens>),
}

impl ProviderTokens {
    /// Reads what the tokens of the system that `AUTH_SYSTEM` names need.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        match settings.optional("AUTH_SYSTEM").as_deref().map(str::trim) {
            Some("cognito") => {
                cognito::Tokens::from_settings(settings, https).map(Box::new).map(Self::Cognito)
            }
            // A word that nobody knows is the directory's to report.
            _ => Some(Self::None),
        }
    }
}

impl domain::ProviderTokens for ProviderTokens {
    async fn verify(
        &self,
        token: &str,
        token_use: TokenUse,
        now: Timestamp,
    ) -> Result<Option<ProviderSession>, Unavailable> {
        match self {
            Self::None => Ok(None),
            Self::Cognito(tokens) => tokens.verify(token, token_use, now).await,
        }
    }
    async fn revoke(&self, token: &str, now: Timestamp) -> Result<(), Unavailable> {
        match self {
            Self::None => Ok(()),
            Self::Cognito(tokens) => tokens.revoke(token, now).await,
        }
    }
}
