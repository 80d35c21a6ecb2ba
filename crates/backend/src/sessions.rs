//! The session store, the replay guard and the rate limiter.

use domain::{
    Claim, Rate, RateKey, RateLimiter, ReplayGuard, ReplayKey, Session, SessionKey, SessionStore, Timestamp,
    Unavailable, UserIdentifier,
};
use settings::Settings;

/// The store that is configured. A build without any store has no value of this type, and does not start.
#[derive(Debug, Clone)]
pub enum Sessions {
    /// The embedded store. Not in a deployed build.
    #[cfg(feature = "embedded")]
    Embedded(sqlite::Store),
}

impl Sessions {
    /// Reads `SESSION_STORE` and what the chosen store needs.
    #[cfg(feature = "embedded")]
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        settings.choice("SESSION_STORE", &[("embedded", ())], Some(()))?;
        sqlite::Store::from_settings(settings).map(Self::Embedded)
    }

    /// Reports that no store is compiled in.
    #[cfg(not(feature = "embedded"))]
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        settings.problem("SESSION_STORE", "no session store is part of this build");
        None
    }
}

/// Calls one method on whichever adapter is configured.
macro_rules! on_adapter {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            #[cfg(feature = "embedded")]
            Self::Embedded($store) => $call.await,
            #[cfg(not(feature = "embedded"))]
            _ => unreachable!(),
        }
    };
}

impl SessionStore for Sessions {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        on_adapter!(self, store => store.create(key, session))
    }

    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        on_adapter!(self, store => SessionStore::find(store, key, now))
    }

    async fn touch(&self, key: SessionKey, now: Timestamp) -> Result<(), Unavailable> {
        on_adapter!(self, store => store.touch(key, now))
    }

    async fn revoke(&self, key: SessionKey) -> Result<(), Unavailable> {
        on_adapter!(self, store => store.revoke(key))
    }

    async fn revoke_all(&self, user: &UserIdentifier) -> Result<(), Unavailable> {
        on_adapter!(self, store => store.revoke_all(user))
    }
}

impl ReplayGuard for Sessions {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        on_adapter!(self, store => store.claim(key, until, now))
    }
}

impl RateLimiter for Sessions {
    async fn hit(&self, key: RateKey, limit: u32, now: Timestamp) -> Result<Rate, Unavailable> {
        on_adapter!(self, store => store.hit(key, limit, now))
    }
}
