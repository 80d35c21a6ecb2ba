//! Sessions and the replay guard.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{Timestamp, Unavailable, UserIdentifier, VerifiedPasskey};

/// A session's secret id: 256 random bits in base64url, 43 characters. Whoever holds it is signed in.
#[derive(Debug, Clone)]
pub struct SessionId(SecretString);

impl SessionId {
    /// Makes an id of 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The id itself, for the one answer that carries it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The key under which a store keeps the session.
    pub fn key(&self) -> SessionKey {
        SessionKey(Sha256::digest(self.expose()).into())
    }
}

/// SHA-256 of a [`SessionId`]: what a store sees of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// A user whose identity is proven. There is no other way to a session.
#[derive(Debug)]
pub struct ProvenUser(UserIdentifier);

impl ProvenUser {
    /// Proven by a passkey that was verified.
    pub fn by_passkey(passkey: VerifiedPasskey) -> Self {
        Self(passkey.into_user())
    }

    /// Named by a caller who is authenticated and trusted to have verified the passkey: Corbado, running post-login.
    pub fn by_trusted_caller(user: UserIdentifier) -> Self {
        Self(user)
    }

    /// The user's id as the proof spells it.
    pub fn id(&self) -> &UserIdentifier {
        &self.0
    }
}

/// A signed-in user, with an absolute expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user, as the directory spells the id.
    pub user: UserIdentifier,
    /// The start.
    pub created: Timestamp,
    /// The end, which nothing extends.
    pub expires: Timestamp,
}

impl Session {
    /// Opens a session of `lifetime` from `now` on.
    pub fn new(user: UserIdentifier, now: Timestamp, lifetime: Duration) -> Self {
        Self { user, created: now, expires: now.plus(lifetime) }
    }
}

/// Where sessions are kept.
pub trait SessionStore {
    /// Keeps a new session.
    fn create(
        &self,
        key: SessionKey,
        session: &Session,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Finds a session that has not expired at `now`.
    fn find(
        &self,
        key: SessionKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Session>, Unavailable>> + Send;

    /// Ends a session; no error if there is none.
    fn revoke(&self, key: SessionKey) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// SHA-256 of something that may be used only once, apart for each kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    /// The key of a signed call's `webhook-id` to one function.
    pub fn webhook(function: &str, id: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["webhook", function] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(id);
        Self(hash.finalize().into())
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The answer of a replay guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Seen for the first time, and recorded.
    First,
    /// Recorded before, and not expired.
    Replayed,
}

/// Remembers what was used.
pub trait ReplayGuard {
    /// Records `key` until `until`, atomically: of any number of calls at the same time, one is first.
    fn claim(
        &self,
        key: ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Claim, Unavailable>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_is_43_characters_of_base64url_and_stays_hidden() {
        let id = SessionId::from_random([0xfb; 32]);
        assert_eq!(id.expose().len(), 43);
        assert!(id.expose().chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
        assert!(!format!("{id:?} {:?}", id.key()).contains(id.expose()));
    }

    #[test]
    fn key_is_the_sha_256_of_the_text() {
        // printf AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA | sha256sum
        let key = SessionId::from_random([0; 32]).key();
        let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0f007385b6f9d4b7eeb2748605afe1a984a0a3bfa3f014d09e2a784ce9e5cd1a");
    }

    #[test]
    fn replay_keys_differ_by_function_and_id() {
        let keys = [ReplayKey::webhook("a", "1"), ReplayKey::webhook("a", "2"), ReplayKey::webhook("b", "1")];
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
        assert_eq!(keys[0], ReplayKey::webhook("a", "1"));
    }
}
