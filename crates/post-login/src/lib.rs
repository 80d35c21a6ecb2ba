//! Turns a verified passkey into a session.

use std::time::Duration;

use backend::{Directory, Https, Sessions, Trust, Verifier};
use domain::{
    Claim, NoSession, NotVerified, PasskeyVerifier, ProvenUser, Rejection, ReplayGuard, ReplayKey, Session,
    SessionId, SessionStore, Timestamp, Unavailable, UserDirectory, open_session, verify_passkey,
};
use events::{PostLogin, SessionCreated};
use lambda::{Action, Call, Caller, Code, Problem, Reply};
use settings::Settings;

const NAME: &str = "post-login";

/// The action with its directory, session store and verifier.
#[derive(Debug)]
pub struct App<U = Directory, S = Sessions, V = Verifier> {
    users: U,
    sessions: S,
    verifier: V,
    lifetime: Duration,
    token_required: bool,
}

/// Why no session was created.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The same signed call once more.
    #[error("webhook-id: seen before")]
    Replayed,
    /// `signedPasskeyData` is required and not there.
    #[error("signedPasskeyData: missing")]
    ProofRequired,
    /// The token is no proof.
    #[error("signedPasskeyData: {0}")]
    ProofRejected(Rejection),
    /// The proven user gets no session.
    #[error(transparent)]
    NoSession(#[from] NoSession),
    /// A system behind this action could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// This machine gives no random numbers.
    #[error("random numbers: none")]
    NoRandomness,
}

impl App {
    /// Reads `SESSION_TTL_SECONDS`, `REQUIRE_SIGNED_PASSKEY_DATA`, and the settings of directory, store and verifier.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let https = Https::from_settings(settings, Trust::Public);
        let lifetime = settings.number("SESSION_TTL_SECONDS", 10_800, 60..=2_592_000);
        let token_required =
            settings.choice("REQUIRE_SIGNED_PASSKEY_DATA", &[("true", true), ("false", false)], Some(false));
        let https = https?;
        let sessions = Sessions::from_settings(settings, &https);
        let users = Directory::from_settings(settings, Some(&https));
        let verifier = Verifier::from_settings(settings, &https);
        Some(Self {
            users: users?,
            sessions: sessions?,
            verifier: verifier?,
            lifetime: Duration::from_secs(lifetime?),
            token_required: token_required?,
        })
    }
}

impl<U, S, V> App<U, S, V>
where
    U: UserDirectory,
    S: SessionStore + ReplayGuard,
    V: PasskeyVerifier,
{
    /// Creates a session for the user whose passkey was verified.
    pub async fn handle(
        &self,
        event: PostLogin,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(SessionId, Session), Refusal> {
        self.refuse_replay(caller, now).await?;
        let proven = self.prove(event, now).await?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| Refusal::NoRandomness)?;
        Ok(open_session(&self.users, &self.sessions, proven, self.lifetime, random, now).await?)
    }

    /// Refuses a signed call that was made before: its answer would be a second session.
    async fn refuse_replay(&self, caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
        let Caller::Signed { id, valid_until } = caller else {
            return Ok(());
        };
        let key = ReplayKey::webhook(NAME, id);
        match self.sessions.claim(key, Timestamp::from(*valid_until), now).await? {
            Claim::First => Ok(()),
            Claim::Replayed => Err(Refusal::Replayed),
        }
    }

    /// Proves who signs in: by the token where there is one, else by the word of the caller, who is authenticated.
    async fn prove(&self, event: PostLogin, now: Timestamp) -> Result<ProvenUser, Refusal> {
        match (event.signed_passkey_data, event.user_id) {
            (Some(token), claimed) => {
                let passkey =
                    verify_passkey(&self.verifier, &self.sessions, token, claimed.as_ref(), now).await?;
                Ok(ProvenUser::by_passkey(passkey))
            }
            (None, Some(user)) if !self.token_required => Ok(ProvenUser::by_trusted_caller(user)),
            (None, _) => Err(Refusal::ProofRequired),
        }
    }
}

impl<U, S, V> Action for App<U, S, V>
where
    U: UserDirectory + Send + Sync,
    S: SessionStore + ReplayGuard + Send + Sync,
    V: PasskeyVerifier + Send + Sync,
{
    const NAME: &'static str = NAME;
    const FAILURE: &'static str = "Failed to create session";

    async fn answer(&self, event: &[u8], call: &Call) -> Result<Reply, Problem> {
        let event = PostLogin::parse(event).map_err(|cause| Problem::new(Code::InvalidRequest, cause))?;
        if let Some(user) = &event.user_id {
            call.about(user.as_str());
        }
        let (id, session) = self.handle(event, &call.caller, call.now.into()).await?;
        call.about(session.user.as_str());
        Reply::new("session_created", &SessionCreated::new(&id, session.expires))
    }
}

impl From<NotVerified> for Refusal {
    fn from(not_verified: NotVerified) -> Self {
        match not_verified {
            NotVerified::Rejected(rejection) => Self::ProofRejected(rejection),
            NotVerified::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Replayed => Code::Replayed,
            Refusal::ProofRequired => Code::ProofRequired,
            Refusal::ProofRejected(_) => Code::ProofRejected,
            Refusal::NoSession(NoSession::UserNotFound | NoSession::MayNotSignIn) => Code::LoginRefused,
            Refusal::NoSession(NoSession::Unavailable(_)) | Refusal::Unavailable(_) => {
                Code::ProviderUnavailable
            }
            Refusal::NoRandomness => Code::InternalError,
        };
        Problem::new(code, refusal)
    }
}
