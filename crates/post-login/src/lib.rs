//! Turns a verified passkey into a session, or into tokens of the identity provider.
//!
//! # Layout
//! - this file: [`App`], and what both have in common.
//! - [`session`]: an opaque session of ours, the default.
//! - [`tokens`]: the user pool's tokens.

pub mod session;
pub mod tokens;

use backend::{Counters, Directory, Https, Sessions, SignIn, Trust, Verifier};
use domain::{
    Claim, Grant, NoGrant, NoSession, NotVerified, PasskeyVerifier, ProviderSignIn, Rejection, ReplayGuard,
    ReplayKey, Session, SessionId, SessionStore, Timestamp, Unavailable, UserDirectory, UserIdentifier,
};
use events::{PostLogin, SessionCreated, TokensIssued};
use lambda::{Action, Call, Caller, Code, Problem, Reply};
use settings::Settings;

use crate::session::OpenSession;
use crate::tokens::IssueTokens;

const NAME: &str = "post-login";

/// The action with its directory and verifier, and what it gives to users who are proven.
#[derive(Debug)]
pub struct App<U = Directory, V = Verifier, S = Sessions, G = Counters, P = SignIn> {
    users: U,
    verifier: V,
    kind: SessionKind<S, G, P>,
    token_required: bool,
}

/// What a proven user gets.
#[derive(Debug)]
enum SessionKind<S, G, P> {
    /// A session of ours.
    Opaque(OpenSession<S>),
    /// Tokens of the user pool.
    Cognito(Box<IssueTokens<G, P>>),
}

/// What the proven user got.
#[derive(Debug)]
pub enum LoggedIn {
    /// A session of ours.
    Session(SessionId, Session),
    /// Tokens of the provider, for this user.
    Tokens(UserIdentifier, Grant),
}

/// Why there is neither session nor tokens.
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
    /// The token names a user who could not sign in, were it verified.
    #[error("signedPasskeyData: {0}")]
    NotForThisUser(NoSession),
    /// The proven user gets no session.
    #[error(transparent)]
    NoSession(#[from] NoSession),
    /// The user pool gives no tokens.
    #[error(transparent)]
    NoGrant(#[from] NoGrant),
    /// A system behind this action could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// This machine gives no random numbers.
    #[error("random numbers: none")]
    NoRandomness,
}

impl App {
    /// Reads `SESSION_KIND`, `REQUIRE_SIGNED_PASSKEY_DATA`, and the settings of directory, verifier and the kind.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let https = Https::from_settings(settings, Trust::Public);
        let token_required =
            settings.choice("REQUIRE_SIGNED_PASSKEY_DATA", &[("true", true), ("false", false)], Some(false));
        let cognito = settings.choice("SESSION_KIND", &[("opaque", false), ("cognito", true)], Some(false));
        let https = https?;
        let kind = if cognito? {
            IssueTokens::from_settings(settings, &https).map(Box::new).map(SessionKind::Cognito)
        } else {
            OpenSession::from_settings(settings, &https).map(SessionKind::Opaque)
        };
        let users = Directory::from_settings(settings, Some(&https));
        let verifier = Verifier::from_settings(settings, &https);
        Some(Self { users: users?, verifier: verifier?, kind: kind?, token_required: token_required? })
    }
}

impl<U, V, S, G, P> App<U, V, S, G, P>
where
    U: UserDirectory,
    V: PasskeyVerifier,
    S: SessionStore + ReplayGuard,
    G: ReplayGuard,
    P: ProviderSignIn,
{
    /// Logs the user in whose passkey was verified.
    pub async fn handle(
        &self,
        event: PostLogin,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<LoggedIn, Refusal> {
        if self.token_required && event.signed_passkey_data.is_none() {
            return Err(Refusal::ProofRequired);
        }
        match &self.kind {
            SessionKind::Opaque(kind) => {
                refuse_replay(kind.guard(), caller, now).await?;
                let (id, session) = kind.open(&self.users, &self.verifier, event, now).await?;
                Ok(LoggedIn::Session(id, session))
            }
            SessionKind::Cognito(kind) => {
                refuse_replay(kind.guard(), caller, now).await?;
                let (user, grant) = kind.issue(&self.users, &self.verifier, event, now).await?;
                Ok(LoggedIn::Tokens(user, grant))
            }
        }
    }
}

/// Refuses a signed call that was made before: its answer would be a second login.
async fn refuse_replay(guard: &impl ReplayGuard, caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
    let Caller::Signed { id, valid_until } = caller else {
        return Ok(());
    };
    let key = ReplayKey::webhook(NAME, id);
    match guard.claim(key, Timestamp::from(*valid_until), now).await? {
        Claim::First => Ok(()),
        Claim::Replayed => Err(Refusal::Replayed),
    }
}

/// Random bytes for something new.
fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::NoRandomness)?;
    Ok(bytes)
}

impl<U, V, S, G, P> Action for App<U, V, S, G, P>
where
    U: UserDirectory + Send + Sync,
    V: PasskeyVerifier + Send + Sync,
    S: SessionStore + ReplayGuard + Send + Sync,
    G: ReplayGuard + Send + Sync,
    P: ProviderSignIn + Send + Sync,
{
    const NAME: &'static str = NAME;
    const FAILURE: &'static str = "Failed to create session";

    async fn answer(&self, event: &[u8], call: &Call) -> Result<Reply, Problem> {
        let event = PostLogin::parse(event).map_err(|cause| Problem::new(Code::InvalidRequest, cause))?;
        if let Some(user) = &event.user_id {
            call.about(user.as_str());
        }
        match self.handle(event, &call.caller, call.now.into()).await? {
            LoggedIn::Session(id, session) => {
                call.about(session.user.as_str());
                Reply::new("session_created", &SessionCreated::new(&id, session.expires))
            }
            LoggedIn::Tokens(user, grant) => {
                call.about(user.as_str());
                Reply::new("tokens_issued", &TokensIssued::new(&grant))
            }
        }
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

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::ProofRejected(rejection)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Replayed => Code::Replayed,
            Refusal::ProofRequired => Code::ProofRequired,
            Refusal::ProofRejected(_) | Refusal::NotForThisUser(_) | Refusal::NoGrant(NoGrant::Refused) => {
                Code::ProofRejected
            }
            Refusal::NoSession(NoSession::UserNotFound | NoSession::MayNotSignIn)
            | Refusal::NoGrant(NoGrant::User) => Code::LoginRefused,
            Refusal::NoSession(NoSession::Unavailable(_))
            | Refusal::NoGrant(NoGrant::Unavailable(_))
            | Refusal::Unavailable(_) => Code::ProviderUnavailable,
            Refusal::NoRandomness => Code::InternalError,
        };
        Problem::new(code, refusal)
    }
}
