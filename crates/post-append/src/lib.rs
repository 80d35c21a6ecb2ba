//! Marks a user's MFA settings once a passkey was created.

use backend::Directory;
use domain::{MfaPolicy, Timestamp, Unavailable, UserDirectory};
use events::PostAppend;
use lambda::{Action, Call, Code, Problem, Reply};
use settings::Settings;

/// The action with its directory.
#[derive(Debug)]
pub struct App<U = Directory> {
    users: U,
    policy: MfaPolicy,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The flags were set.
    Updated,
    /// MFA was configured already: nothing was written.
    Unchanged,
}

/// Why nothing was done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such user.
    #[error("user: not found")]
    UserNotFound,
    /// The directory could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl App {
    /// Reads `MFA_WHEN_ALREADY_SET` and the directory's settings.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let users = Directory::from_settings(settings, None);
        let policies = [("keep", MfaPolicy::Keep), ("prefer-passkey", MfaPolicy::PreferPasskey)];
        let policy = settings.choice("MFA_WHEN_ALREADY_SET", &policies, Some(MfaPolicy::Keep));
        Some(Self { users: users?, policy: policy? })
    }
}

impl<U: UserDirectory> App<U> {
    /// Sets the MFA flags of the event's user, unless they are set already.
    pub async fn handle(&self, event: &PostAppend, now: Timestamp) -> Result<Appended, Refusal> {
        let user = self.users.find(&event.username).await?.ok_or(Refusal::UserNotFound)?;
        let Some(update) = user.mfa.after_passkey(self.policy, now) else {
            return Ok(Appended::Unchanged);
        };
        self.users.update_mfa(&user.id, &update).await?;
        Ok(Appended::Updated)
    }
}

impl<U: UserDirectory + Send + Sync> Action for App<U> {
    const NAME: &'static str = "post-append";
    const FAILURE: &'static str = "Failed to update MFA settings";

    async fn answer(&self, event: &[u8], call: &Call) -> Result<Reply, Problem> {
        let event = PostAppend::parse(event).map_err(|cause| Problem::new(Code::InvalidRequest, cause))?;
        call.about(event.username.as_str());
        let outcome = match self.handle(&event, call.now.into()).await? {
            Appended::Updated => "updated",
            Appended::Unchanged => "unchanged",
        };
        Reply::new(outcome, &events::Empty {})
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::UserNotFound => Code::UserNotFound,
            Refusal::Unavailable(_) => Code::ProviderUnavailable,
        };
        Problem::new(code, refusal)
    }
}
