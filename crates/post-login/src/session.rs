//! An opaque session of ours.

use std::time::Duration;

use backend::{Https, Sessions};
use domain::{
    PasskeyVerifier, ProvenUser, ReplayGuard, Session, SessionId, SessionStore, Timestamp, UserDirectory,
    open_session, verify_passkey,
};
use events::PostLogin;
use settings::Settings;

use crate::{Refusal, random};

/// Opens sessions in a store, which also knows the tokens that were used.
#[derive(Debug)]
pub struct OpenSession<S = Sessions> {
    sessions: S,
    lifetime: Duration,
}

impl OpenSession {
    /// Reads `SESSION_TTL_SECONDS` and the settings of the store.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let lifetime = settings.number("SESSION_TTL_SECONDS", 10_800, 60..=2_592_000);
        let sessions = Sessions::from_settings(settings, https);
        Some(Self { sessions: sessions?, lifetime: Duration::from_secs(lifetime?) })
    }
}

impl<S: SessionStore + ReplayGuard> OpenSession<S> {
    pub(crate) fn guard(&self) -> &impl ReplayGuard {
        &self.sessions
    }

    /// Opens a session for the user who is proven: by the token where there is one, else by the word of the caller, who is
    /// authenticated.
    pub(crate) async fn open(
        &self,
        users: &impl UserDirectory,
        verifier: &impl PasskeyVerifier,
        event: PostLogin,
        now: Timestamp,
    ) -> Result<(SessionId, Session), Refusal> {
        let proven = match (event.signed_passkey_data, event.user_id) {
            (Some(token), claimed) => {
                let passkey = verify_passkey(verifier, &self.sessions, token, claimed.as_ref(), now).await?;
                ProvenUser::by_passkey(passkey)
            }
            (None, Some(user)) => ProvenUser::by_trusted_caller(user),
            (None, None) => return Err(Refusal::ProofRequired),
        };
        Ok(open_session(users, &self.sessions, proven, self.lifetime, random()?, now).await?)
    }
}
