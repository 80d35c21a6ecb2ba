//! Sessions, for those who keep them in their own system.

use domain::{Reason, Session, SessionKey, SessionStore, Timestamp, Unavailable, UserIdentifier, hex};
use serde::{Deserialize, Serialize};

use crate::client::{Done, Operation};
use crate::directory::Id;
use crate::object::{Object, nullable};
use crate::{AuthSystem, SYSTEM};

/// Not repeated: if the first attempt did arrive, the second would find its key taken.
const CREATE: Operation = Operation { path: "/sessions/create", name: "sessions.create", idempotent: false };
const FIND: Operation = Operation { path: "/sessions/find", name: "sessions.find", idempotent: true };
const TOUCH: Operation = Operation { path: "/sessions/touch", name: "sessions.touch", idempotent: true };
const REVOKE: Operation = Operation { path: "/sessions/revoke", name: "sessions.revoke", idempotent: true };
const REVOKE_ALL: Operation =
    Operation { path: "/sessions/revoke-all", name: "sessions.revokeAll", idempotent: true };

#[derive(Deserialize)]
pub(crate) struct Created {
    pub(crate) created: bool,
}

#[derive(Deserialize)]
pub(crate) struct Found {
    #[serde(deserialize_with = "nullable")]
    pub(crate) session: Option<Object<Kept>>,
}

/// A session, its times in milliseconds since the epoch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    user: Id,
    created: u64,
    expires: u64,
    last_seen: u64,
}

impl From<Kept> for Session {
    fn from(kept: Kept) -> Self {
        Self {
            user: kept.user.0,
            created: Timestamp::from_millis(kept.created),
            expires: Timestamp::from_millis(kept.expires),
            last_seen: Timestamp::from_millis(kept.last_seen),
        }
    }
}

#[derive(Serialize)]
struct New<'a> {
    key: String,
    session: Sent<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    user: &'a str,
    created: u64,
    expires: u64,
    last_seen: u64,
}

#[derive(Serialize)]
struct ByKey {
    key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Touch {
    key: String,
    last_seen: u64,
}

#[derive(Serialize)]
struct ByUser<'a> {
    user: &'a str,
}

impl SessionStore for AuthSystem {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        let sent = Sent {
            user: session.user.as_str(),
            created: session.created.as_millis(),
            expires: session.expires.as_millis(),
            last_seen: session.last_seen.as_millis(),
        };
        let answer: Created = self.perform(CREATE, &New { key: hex(key.as_bytes()), session: sent }).await?;
        if !answer.created {
            return Err(Unavailable::new(SYSTEM, Reason::Refused).status(200).code("key-exists"));
        }
        Ok(())
    }

    /// The system may keep sessions longer than they last, so the expiry is looked at here.
    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        let found: Found = self.perform(FIND, &ByKey { key: hex(key.as_bytes()) }).await?;
        let session = found.session.map(|Object(kept)| Session::from(kept));
        Ok(session.filter(|session| session.expires > now))
    }

    async fn touch(&self, key: SessionKey, now: Timestamp) -> Result<(), Unavailable> {
        let arguments = Touch { key: hex(key.as_bytes()), last_seen: now.as_millis() };
        let Done {} = self.perform(TOUCH, &arguments).await?;
        Ok(())
    }

    async fn revoke(&self, key: SessionKey) -> Result<(), Unavailable> {
        let Done {} = self.perform(REVOKE, &ByKey { key: hex(key.as_bytes()) }).await?;
        Ok(())
    }

    async fn revoke_all(&self, user: &UserIdentifier) -> Result<(), Unavailable> {
        let Done {} = self.perform(REVOKE_ALL, &ByUser { user: user.as_str() }).await?;
        Ok(())
    }
}
