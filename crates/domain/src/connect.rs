//! Connect tokens: what a page needs for one passkey operation of a signed-in user.

use secrecy::{ExposeSecret, SecretString};

use crate::{Unavailable, User, UserDirectory, UserIdentifier};

/// Which of a user's identifiers Corbado keeps passkeys under. The same for pre-login's answer, for connect tokens and for
/// `webauthnId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyIdentifier {
    /// The stable id.
    Id,
    /// The verified e-mail address.
    Email,
}

impl PasskeyIdentifier {
    /// Finds the identifier of `user`. `None` if there is no verified e-mail address, or if it does not lead back to this very
    /// user: whoever logs in under it later would be somebody else.
    pub async fn of(
        self,
        user: &User,
        users: &impl UserDirectory,
    ) -> Result<Option<UserIdentifier>, Unavailable> {
        if self == Self::Id {
            return Ok(Some(user.id.clone()));
        }
        let Some(email) = user.profile.email.as_deref().and_then(|email| UserIdentifier::new(email).ok())
        else {
            return Ok(None);
        };
        let found = users.find(&email).await?;
        Ok(found.is_some_and(|found| found.id == user.id).then_some(email))
    }
}

/// What a connect token allows, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectTokenKind {
    /// Create a passkey.
    Append,
    /// List passkeys.
    List,
    /// Delete a passkey.
    Delete,
}

/// For whom a connect token is issued. Always the user of the session, never a value of the request.
#[derive(Debug, Clone)]
pub struct ConnectTokenSubject {
    /// The identifier under which Corbado keeps the passkeys: `webauthnId` at login.
    pub identifier: UserIdentifier,
    /// The name that the authenticator shows; for [`ConnectTokenKind::Append`] only.
    pub display_name: String,
}

/// A connect token's secret: single use, short-lived, for the page of that user.
#[derive(Debug, Clone)]
pub struct ConnectToken(SecretString);

impl ConnectToken {
    /// Takes the secret as Corbado issued it.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// The secret, for the one answer that carries it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The system that issues connect tokens.
pub trait ConnectTokenIssuer {
    /// Issues a token. Not repeated: each call may leave one behind.
    fn issue(
        &self,
        kind: ConnectTokenKind,
        subject: &ConnectTokenSubject,
    ) -> impl Future<Output = Result<ConnectToken, Unavailable>> + Send;
}
