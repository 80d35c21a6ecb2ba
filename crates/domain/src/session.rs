//! Sessions and the replay guard.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::encoding::{random_id, read_random_id};
use crate::{
    LoginProof, SignedPasskeyData, Timestamp, Unavailable, UserDirectory, UserIdentifier, VerifiedPasskey,
};

/// A session's secret id: 256 random bits in base64url, 43 characters. Whoever holds it is signed in.
#[derive(Debug, Clone)]
pub struct SessionId(SecretString);

impl SessionId {
    /// Makes an id of 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(random_id(bytes))
    }

    /// Reads an id that a client presents: 43 characters of base64url that stand for 32 bytes, spelled the one way.
    pub fn parse(text: &str) -> Option<Self> {
        read_random_id(text).map(Self)
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

/// A user whose identity is proven. There is no other way to a session of ours.
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
    /// The last use that was recorded; uses within a minute of it are not.
    pub last_seen: Timestamp,
}

/// How often the use of a session is recorded.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);

impl Session {
    /// Opens a session of `lifetime` from `now` on.
    pub fn new(user: UserIdentifier, now: Timestamp, lifetime: Duration) -> Self {
        Self { user, created: now, expires: now.plus(lifetime), last_seen: now }
    }

    /// Tells whether the session has ended at `now`: its time is up, or it was not used for `idle`. Uses within a minute
    /// after the recorded one are not recorded, so rest counts from a minute after it.
    fn has_ended(&self, idle: Option<Duration>, now: Timestamp) -> bool {
        let rested = |idle| self.last_seen.plus(TOUCH_INTERVAL).plus(idle) <= now;
        self.expires <= now || idle.is_some_and(rested)
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

    /// Finds a session whose time is not up at `now`.
    fn find(
        &self,
        key: SessionKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Session>, Unavailable>> + Send;

    /// Records the use of a session at `now`; no error if it was revoked meanwhile, and it does not come back.
    fn touch(&self, key: SessionKey, now: Timestamp) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Ends a session; no error if there is none.
    fn revoke(&self, key: SessionKey) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Ends all sessions of a user.
    fn revoke_all(&self, user: &UserIdentifier) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Why a proven user gets no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSession {
    /// The user does not exist. Outside, this looks like [`NoSession::MayNotSignIn`].
    #[error("user: not found")]
    UserNotFound,
    /// The user is disabled, or has to go through the classic login first.
    #[error("user: may not sign in")]
    MayNotSignIn,
    /// A system could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Opens a session for a proven user who exists and may sign in; `random` becomes its id.
pub async fn open_session(
    users: &impl UserDirectory,
    sessions: &impl SessionStore,
    proven: ProvenUser,
    lifetime: Duration,
    random: [u8; 32],
    now: Timestamp,
) -> Result<(SessionId, Session), NoSession> {
    let user = users.find(&proven.0).await?.ok_or(NoSession::UserNotFound)?;
    if !user.may_sign_in() {
        return Err(NoSession::MayNotSignIn);
    }
    let id = SessionId::from_random(random);
    let session = Session::new(user.id, now, lifetime);
    sessions.create(id.key(), &session).await?;
    Ok((id, session))
}

/// Finds a session that may be used at `now`, and records its use at most once a minute where `idle` counts.
pub async fn resume(
    sessions: &impl SessionStore,
    key: SessionKey,
    idle: Option<Duration>,
    now: Timestamp,
) -> Result<Option<Session>, Unavailable> {
    let Some(session) = sessions.find(key, now).await? else {
        return Ok(None);
    };
    if session.has_ended(idle, now) {
        sessions.revoke(key).await?;
        return Ok(None);
    }
    if idle.is_some() && session.last_seen.plus(TOUCH_INTERVAL) <= now {
        sessions.touch(key, now).await?;
    }
    Ok(Some(session))
}

/// SHA-256 of something that may be used only once, apart for each kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    /// The key of a signed call's `webhook-id` to one function.
    pub fn webhook(function: &str, id: &str) -> Self {
        Self(hash(&["webhook", function, id]))
    }

    /// The key of a token: of all of it, since claims of a token that nobody has verified are whoever's.
    pub fn token(token: &SignedPasskeyData) -> Self {
        Self(hash(&["token", token.expose()]))
    }

    /// The key of a login proof.
    pub fn login_proof(proof: &LoginProof) -> Self {
        Self(hash(&["login proof", proof.expose()]))
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// SHA-256 of several texts, none of which can take over a part of its neighbour.
pub(crate) fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
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
    fn reads_ids_of_one_spelling_only() {
        let id = SessionId::from_random([0xfb; 32]);
        let good = id.expose();
        assert_eq!(SessionId::parse(good).map(|read| read.key()), Some(id.key()));
        // The last character has two bits that stand for nothing.
        let other_spelling = format!("{}{}", &good[..42], "t");
        for bad in [
            "",
            &good[..42],
            &format!("{good}A"),
            &format!("{good}="),
            &good.replace('-', "+"),
            &other_spelling,
        ] {
            assert!(SessionId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn key_is_the_sha_256_of_the_text() {
        // printf AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA | sha256sum
        let key = SessionId::from_random([0; 32]).key();
        assert_eq!(
            crate::hex(key.as_bytes()),
            "0f007385b6f9d4b7eeb2748605afe1a984a0a3bfa3f014d09e2a784ce9e5cd1a"
        );
    }

    #[test]
    fn replay_keys_differ_by_function_and_id() {
        let keys = [ReplayKey::webhook("a", "1"), ReplayKey::webhook("a", "2"), ReplayKey::webhook("b", "1")];
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
        assert_eq!(keys[0], ReplayKey::webhook("a", "1"));
        assert!(ReplayKey::webhook("a", "bc") != ReplayKey::webhook("ab", "c"));
        assert!(
            ReplayKey::token(&SignedPasskeyData::new("a")) != ReplayKey::token(&SignedPasskeyData::new("b"))
        );
    }

    #[test]
    fn a_session_ends_by_time_or_by_rest() {
        let start = Timestamp::from_secs(1000);
        let at = |seconds: u64| Timestamp::from_secs(1000 + seconds);
        let user = UserIdentifier::new("ada").unwrap();
        let session = Session::new(user, start, Duration::from_secs(100));
        let idle = Some(Duration::from_secs(30));
        let rows = [
            (None, 0, false),
            (None, 99, false),
            (None, 100, true),
            (idle, 89, false),
            (idle, 90, true),
            (Some(Duration::from_secs(500)), 100, true),
        ];
        for (idle, seconds, expected) in rows {
            assert_eq!(session.has_ended(idle, at(seconds)), expected, "{idle:?} {seconds}");
        }
    }
}
