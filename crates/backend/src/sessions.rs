//! The session store, the replay guard and the rate limiter.

use domain::{
    Claim, Rate, RateKey, RateLimiter, ReplayGuard, ReplayKey, Session, SessionKey, SessionStore, Timestamp,
    Unavailable, UserIdentifier,
};
use outbound::Https;
use settings::Settings;

use crate::Counters;

/// Where sessions are kept, and where what was used and how often is counted.
#[derive(Debug, Clone)]
pub struct Sessions {
    sessions: Store,
    counters: Counters,
}

#[derive(Debug, Clone)]
enum Store {
    DynamoDb(Box<dynamodb::Table>),
    Rest(Box<rest::AuthSystem>),
    #[cfg(feature = "embedded")]
    Embedded(sqlite::Store),
}

/// The words of `SESSION_STORE` and `REPLAY_STORE`.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Embedded,
    DynamoDb,
    Rest,
}

impl Kind {
    /// The words that count in this build, and the default. A deployed build has no embedded store, and must say which
    /// other it uses.
    pub(crate) fn words() -> (&'static [(&'static str, Self)], Option<Self>) {
        const WORDS: [(&str, Kind); 3] =
            [("embedded", Kind::Embedded), ("dynamodb", Kind::DynamoDb), ("rest", Kind::Rest)];
        if cfg!(feature = "embedded") { (&WORDS, Some(Self::Embedded)) } else { (&WORDS[1..], None) }
    }
}

impl Sessions {
    /// Reads `SESSION_STORE`, `REPLAY_STORE` where sessions are kept by the authentication system itself, and what the
    /// chosen stores need.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let (kinds, default) = Kind::words();
        let kind = settings.choice("SESSION_STORE", kinds, default)?;
        let sessions = match kind {
            Kind::DynamoDb => Store::DynamoDb(Box::new(dynamodb::Table::from_settings(settings, https)?)),
            Kind::Rest => Store::Rest(Box::new(rest::AuthSystem::from_settings(settings, https)?)),
            #[cfg(feature = "embedded")]
            Kind::Embedded => Store::Embedded(sqlite::Store::from_settings(settings)?),
            #[cfg(not(feature = "embedded"))]
            Kind::Embedded => return None,
        };
        let counters = match &sessions {
            Store::DynamoDb(table) => Counters::DynamoDb(table.clone()),
            #[cfg(feature = "embedded")]
            Store::Embedded(store) => Counters::Embedded(store.clone()),
            Store::Rest(_) => Counters::from_settings(settings, https)?,
        };
        Some(Self { sessions, counters })
    }
}

/// Calls one method on whichever store is configured.
macro_rules! on_store {
    ($self:ident, $store:ident => $call:expr) => {
        match &$self.sessions {
            Store::DynamoDb(table) => {
                let $store = &**table;
                $call.await
            }
            Store::Rest(system) => {
                let $store = &**system;
                $call.await
            }
            #[cfg(feature = "embedded")]
            Store::Embedded($store) => $call.await,
        }
    };
}

impl SessionStore for Sessions {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        on_store!(self, store => store.create(key, session))
    }

    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        on_store!(self, store => SessionStore::find(store, key, now))
    }

    async fn touch(&self, key: SessionKey, now: Timestamp) -> Result<(), Unavailable> {
        on_store!(self, store => store.touch(key, now))
    }

    async fn revoke(&self, key: SessionKey) -> Result<(), Unavailable> {
        on_store!(self, store => store.revoke(key))
    }

    async fn revoke_all(&self, user: &UserIdentifier) -> Result<(), Unavailable> {
        on_store!(self, store => store.revoke_all(user))
    }
}

impl ReplayGuard for Sessions {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        self.counters.claim(key, until, now).await
    }
}

impl RateLimiter for Sessions {
    async fn hit(&self, key: RateKey, limit: u32, now: Timestamp) -> Result<Rate, Unavailable> {
        self.counters.hit(key, limit, now).await
    }
}
