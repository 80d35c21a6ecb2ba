//! Tokens that the identity provider itself gave to a user who signed in there, with a password for instance.

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
}
