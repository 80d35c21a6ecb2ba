//! The identity provider's own tokens: what a user holds who signed in there, with a password for instance, and how we sign a
//! user in there.

use std::time::Duration;

use secrecy::SecretString;

use crate::{Timestamp, Unavailable, UserIdentifier};

/// What a provider's token is presented for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUse {
    /// Any route: access tokens only.
    Session,
    /// A connect token: ID tokens, too.
    ConnectToken,
}

/// A user who is signed in at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSession {
    /// The user.
    pub user: UserIdentifier,
    /// The token's end.
    pub expires: Timestamp,
}

/// The provider's tokens.
pub trait ProviderTokens {
    /// Verifies a token; `None` if it is not a valid one of this provider, whatever the reason.
    fn verify(
        &self,
        token: &str,
        token_use: TokenUse,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<ProviderSession>, Unavailable>> + Send;

    /// Ends what an access token of this provider stands for; no error if it is not one, or has ended already.
    fn revoke(&self, token: &str, now: Timestamp) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The tokens of a user whom we signed in.
#[derive(Debug)]
pub struct Grant {
    /// Opens APIs.
    pub access_token: SecretString,
    /// Tells who the user is.
    pub id_token: SecretString,
    /// Gets new tokens; not every provider gives one.
    pub refresh_token: Option<SecretString>,
    /// How long the access token is good.
    pub expires_in: Duration,
    /// `Bearer`.
    pub token_type: String,
}

/// Why a user got no tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGrant {
    /// The answer to the challenge was not accepted.
    #[error("the provider did not accept the answer")]
    Refused,
    /// The provider does not know the user, or wants another way of signing in.
    #[error("the provider did not let the user sign in")]
    User,
    /// The provider could not tell.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Signs users in at the provider.
pub trait ProviderSignIn {
    /// Starts a sign-in and answers its challenge, once.
    fn sign_in(
        &self,
        user: &UserIdentifier,
        answer: &str,
    ) -> impl Future<Output = Result<Grant, NoGrant>> + Send;
}
