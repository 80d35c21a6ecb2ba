//! From a `signedPasskeyData` token to a proven user.
//!
//! [`verify_passkey`] is the way: cheap checks of the claims, agreement with the user the caller named, then Corbado's verdict. The
//! claims alone prove nothing. Where an identity provider asks, and may ask again, [`crate::judge`] does the same.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::{Claim, ReplayGuard, ReplayKey, Timestamp, Unavailable, UserIdentifier};

/// How far the clocks of Corbado and this machine may lie apart.
const SKEW: Duration = Duration::from_secs(60);
/// How much longer than its end a token is remembered: where it is good for as long as clocks may lie apart, another clock may be
/// behind by as much.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(2 * SKEW.as_secs());
/// The longest time that a token may have left. Real ones have five minutes; a used token is remembered until its end, which
/// anybody could otherwise set to the end of time.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);

/// A `signedPasskeyData` token as it arrived: single use, so it is a secret until it was consumed.
#[derive(Debug, Clone)]
pub struct SignedPasskeyData(SecretString);

impl SignedPasskeyData {
    /// Takes a token of any shape.
    pub fn new(token: impl Into<String>) -> Self {
        Self(SecretString::from(token.into()))
    }

    /// The token itself, for the system that verifies it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The claims of a token that nobody has verified yet.
pub struct PasskeyClaims {
    /// Header `alg`.
    pub algorithm: String,
    /// `iss`: the Corbado project.
    pub issuer: String,
    /// `sub`: Corbado's own id of the user.
    pub subject: String,
    /// `webauthnId`: the customer's id of the user.
    pub webauthn_id: String,
    /// `exp`.
    pub expires: Timestamp,
    /// `nbf`, which may be absent.
    pub not_before: Option<Timestamp>,
}

/// Why a token is refused. Logged, never told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not a token of the expected shape.
    #[error("malformed token")]
    Malformed,
    /// Signed by another algorithm than RS256.
    #[error("algorithm not allowed")]
    Algorithm,
    /// Of another Corbado project.
    #[error("other project")]
    Project,
    /// Past its expiry.
    #[error("expired")]
    Expired,
    /// Good for longer than any real token.
    #[error("lifetime too long")]
    LongLived,
    /// Before its time.
    #[error("not yet valid")]
    NotYetValid,
    /// Names no usable user.
    #[error("no user")]
    NoUser,
    /// Names another user than the caller does.
    #[error("other user")]
    OtherUser,
    /// Used before, here.
    #[error("used before")]
    Replayed,
    /// Corbado's verdict was not `success`.
    #[error("verdict: {0}")]
    Verdict(&'static str),
}

/// Why no user is proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// The token is no proof.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Corbado could not tell.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A token that passed the cheap checks, on its way to Corbado's verdict.
#[derive(Debug)]
pub struct Inspected {
    token: SignedPasskeyData,
    user: UserIdentifier,
    subject: String,
    expires: Timestamp,
}

impl Inspected {
    /// The token.
    pub fn token(&self) -> &SignedPasskeyData {
        &self.token
    }

    /// The user whom the token names, to be confirmed.
    pub fn user(&self) -> &UserIdentifier {
        &self.user
    }

    /// Checks that the user whom a caller named beside the token is the token's `webauthnId` or `sub`.
    pub fn agree_with(&self, claimed: Option<&UserIdentifier>) -> Result<(), Rejection> {
        match claimed {
            Some(claimed) if *claimed != self.user && claimed.as_str() != self.subject => {
                Err(Rejection::OtherUser)
            }
            _ => Ok(()),
        }
    }

    /// The token's end, as it claims itself.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// A user proven by a passkey. Only [`verify_passkey`] makes one.
#[derive(Debug)]
pub struct VerifiedPasskey {
    user: UserIdentifier,
}

impl VerifiedPasskey {
    /// The proven user.
    pub fn into_user(self) -> UserIdentifier {
        self.user
    }
}

impl PasskeyClaims {
    /// Makes the cheap checks: algorithm, project, lifetime, a usable user.
    pub fn check(
        self,
        token: SignedPasskeyData,
        project: &str,
        now: Timestamp,
    ) -> Result<Inspected, Rejection> {
        if self.algorithm != "RS256" {
            return Err(Rejection::Algorithm);
        }
        if self.issuer != project {
            return Err(Rejection::Project);
        }
        if self.expires.plus(SKEW) <= now {
            return Err(Rejection::Expired);
        }
        if self.expires > now.plus(MAX_LIFETIME) {
            return Err(Rejection::LongLived);
        }
        if self.not_before.is_some_and(|not_before| not_before > now.plus(SKEW)) {
            return Err(Rejection::NotYetValid);
        }
        let user = UserIdentifier::new(self.webauthn_id).map_err(|_| Rejection::NoUser)?;
        Ok(Inspected { token, user, subject: self.subject, expires: self.expires })
    }
}

/// The system that verifies `signedPasskeyData`.
pub trait PasskeyVerifier {
    /// Reads the token and makes the cheap checks; asks nobody.
    fn inspect(&self, token: SignedPasskeyData, now: Timestamp) -> Result<Inspected, Rejection>;

    /// Makes ready to ask: fetches what that needs, and consumes nothing.
    fn prepare(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Asks for the verdict, which consumes the token: never repeated once the request may have arrived.
    /// `Ok` means that the verdict was exactly `success` for the inspected user.
    fn confirm(&self, inspected: &Inspected) -> impl Future<Output = Result<(), NotVerified>> + Send;
}

/// Verifies a token, once; `claimed` is the user named beside it, who must be the token's `webauthnId` or `sub`.
///
/// The token is recorded before anybody is asked: of any number of attempts, here or at another function that shares the
/// guard, one gets a verdict.
pub async fn verify_passkey(
    verifier: &impl PasskeyVerifier,
    guard: &impl ReplayGuard,
    token: SignedPasskeyData,
    claimed: Option<&UserIdentifier>,
    now: Timestamp,
) -> Result<VerifiedPasskey, NotVerified> {
    let inspected = verifier.inspect(token, now)?;
    inspected.agree_with(claimed)?;
    verifier.prepare().await?;
    let key = ReplayKey::token(&inspected.token);
    if guard.claim(key, inspected.expires.plus(REMEMBERED), now).await? == Claim::Replayed {
        return Err(Rejection::Replayed.into());
    }
    verifier.confirm(&inspected).await?;
    Ok(VerifiedPasskey { user: inspected.user })
}

impl fmt::Debug for PasskeyClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasskeyClaims(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> PasskeyClaims {
        PasskeyClaims {
            algorithm: "RS256".into(),
            issuer: "pro-1".into(),
            subject: "usr-1".into(),
            webauthn_id: "ada".into(),
            expires: Timestamp::from_secs(1_000_300),
            not_before: Some(Timestamp::from_secs(999_990)),
        }
    }

    fn check(change: impl FnOnce(&mut PasskeyClaims)) -> Result<String, Rejection> {
        let mut claims = claims();
        change(&mut claims);
        let token = SignedPasskeyData::new("t");
        claims
            .check(token, "pro-1", Timestamp::from_secs(1_000_000))
            .map(|inspected| inspected.user.as_str().to_owned())
    }

    #[test]
    fn checks_each_claim() {
        let seconds = Timestamp::from_secs;
        assert_eq!(check(|_| ()), Ok("ada".into()));
        assert_eq!(check(|c| c.not_before = None), Ok("ada".into()));
        for algorithm in ["none", "HS256", "rs256", "", "RS512"] {
            assert_eq!(check(|c| c.algorithm = algorithm.into()), Err(Rejection::Algorithm), "{algorithm}");
        }
        assert_eq!(check(|c| c.issuer = "pro-2".into()), Err(Rejection::Project));
        assert_eq!(check(|c| c.issuer = String::new()), Err(Rejection::Project));
        assert_eq!(check(|c| c.expires = seconds(999_941)), Ok("ada".into()));
        assert_eq!(check(|c| c.expires = seconds(999_940)), Err(Rejection::Expired));
        assert_eq!(check(|c| c.expires = seconds(1_003_600)), Ok("ada".into()));
        assert_eq!(check(|c| c.expires = seconds(1_003_601)), Err(Rejection::LongLived));
        assert_eq!(check(|c| c.expires = seconds(u64::MAX)), Err(Rejection::LongLived));
        assert_eq!(check(|c| c.not_before = Some(seconds(1_000_060))), Ok("ada".into()));
        assert_eq!(check(|c| c.not_before = Some(seconds(1_000_061))), Err(Rejection::NotYetValid));
        assert_eq!(check(|c| c.webauthn_id = String::new()), Err(Rejection::NoUser));
        assert_eq!(check(|c| c.webauthn_id = "a\nb".into()), Err(Rejection::NoUser));
    }
}
