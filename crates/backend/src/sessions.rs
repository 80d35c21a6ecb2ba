//! The session store and the replay guard.

use domain::{Claim, ReplayGuard, ReplayKey, Session, SessionKey, SessionStore, Timestamp, Unavailable};
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

#[cfg(feature = "embedded")]
impl SessionStore for Sessions {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        let Self::Embedded(store) = self;
        store.create(key, session).await
    }

    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        let Self::Embedded(store) = self;
        SessionStore::find(store, key, now).await
    }

    async fn revoke(&self, key: SessionKey) -> Result<(), Unavailable> {
        let Self::Embedded(store) = self;
        store.revoke(key).await
    }
}

#[cfg(feature = "embedded")]
impl ReplayGuard for Sessions {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        let Self::Embedded(store) = self;
        store.claim(key, until, now).await
    }
}

#[cfg(not(feature = "embedded"))]
impl SessionStore for Sessions {
    async fn create(&self, _key: SessionKey, _session: &Session) -> Result<(), Unavailable> {
        match *self {}
    }

    async fn find(&self, _key: SessionKey, _now: Timestamp) -> Result<Option<Session>, Unavailable> {
        match *self {}
    }

    async fn revoke(&self, _key: SessionKey) -> Result<(), Unavailable> {
        match *self {}
    }
}

#[cfg(not(feature = "embedded"))]
impl ReplayGuard for Sessions {
    async fn claim(&self, _key: ReplayKey, _until: Timestamp, _now: Timestamp) -> Result<Claim, Unavailable> {
        match *self {}
    }
}
