//! Marks a user's MFA settings once a passkey was created.
//!
//! # Layout
//! - this file: the action.
//! - `later`: what happens when the directory cannot take the update at once; only with the feature `defer`.

#[cfg(feature = "defer")]
pub mod later;

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
    #[cfg(feature = "defer")]
    later: Option<later::Later>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The flags were set.
    Updated,
    /// MFA was configured already: nothing was written.
    Unchanged,
    /// The directory could not take the update now: it is kept, and made later.
    #[cfg(feature = "defer")]
    Deferred,
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
    /// Reads `MFA_WHEN_ALREADY_SET`, the directory's settings, and those of the queue, where there is one.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let users = Directory::from_settings(settings, None);
        let policies = [("keep", MfaPolicy::Keep), ("prefer-passkey", MfaPolicy::PreferPasskey)];
        let policy = settings.choice("MFA_WHEN_ALREADY_SET", &policies, Some(MfaPolicy::Keep));
        #[cfg(feature = "defer")]
        let later = later::Later::from_settings(settings);
        #[cfg(not(feature = "defer"))]
        if settings.optional("DEFER_QUEUE_URL").is_some() {
            settings.problem("DEFER_QUEUE_URL", "not in this build: it lacks the feature `defer`");
        }
        Some(Self {
            users: users?,
            policy: policy?,
            #[cfg(feature = "defer")]
            later: later?,
        })
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

#[cfg(feature = "defer")]
impl<U: UserDirectory> App<U> {
    /// The same, and where the directory cannot take the update in time, keeps it for later. Only if that fails, too, is it a
    /// failure.
    async fn handle_or_defer(&self, event: &PostAppend, now: Timestamp) -> Result<Appended, Refusal> {
        let Some(later) = &self.later else { return self.handle(event, now).await };
        match tokio::time::timeout(later.patience, self.handle(event, now)).await {
            Ok(Err(Refusal::Unavailable(_))) | Err(_) => {}
            Ok(done) => return done,
        }
        later.keep(&domain::Intent { user: event.username.clone(), at: now }).await?;
        Ok(Appended::Deferred)
    }
}

#[cfg(not(feature = "defer"))]
impl<U: UserDirectory> App<U> {
    async fn handle_or_defer(&self, event: &PostAppend, now: Timestamp) -> Result<Appended, Refusal> {
        self.handle(event, now).await
    }
}

impl<U: UserDirectory + Send + Sync> Action for App<U> {
    const NAME: &'static str = "post-append";
    const FAILURE: &'static str = "Failed to update MFA settings";

    async fn answer(&self, event: &[u8], call: &Call) -> Result<Reply, Problem> {
        let event = PostAppend::parse(event).map_err(|cause| Problem::new(Code::InvalidRequest, cause))?;
        call.about(event.username.as_str());
        match self.handle_or_defer(&event, call.now.into()).await? {
            Appended::Updated => Reply::new("updated", &events::Empty {}),
            Appended::Unchanged => Reply::new("unchanged", &events::Empty {}),
            #[cfg(feature = "defer")]
            Appended::Deferred => Reply::new("deferred", &events::Later { deferred: true }),
        }
    }

    #[cfg(feature = "defer")]
    fn takes_messages(&self) -> bool {
        self.later.is_some()
    }

    #[cfg(feature = "defer")]
    async fn take_messages(
        &self,
        messages: Vec<lambda::Message>,
        deadline: Option<std::time::Instant>,
    ) -> Vec<String> {
        match &self.later {
            Some(later) => later.work_through(&self.users, self.policy, messages, deadline).await,
            None => messages.into_iter().map(|message| message.id).collect(),
        }
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
