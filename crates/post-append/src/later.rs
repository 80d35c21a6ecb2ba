//! What to do when the flags cannot be set at once: keep the intent in a queue, and set them when it comes out again.
//!
//! Cognito allows some 25 user updates a second, so the first day of a roll-out may be too much for it. The flags of a user are
//! worth waiting for: nobody would set them again.

use std::time::{Duration, Instant};

use backend::Secret;
use domain::{Deferrals, Intent, MfaPolicy, Reason, Unavailable, UserDirectory, pause_after};
use events::Deferred;
use lambda::Message;
use settings::Settings;
use webhooks::{SignatureHeaders, SigningSecret};

/// What a message's seal is made for: a signature for anything else is none.
const SEAL_ID: &str = "post-append-deferred";
/// What must be left of an invocation's time for one more message.
const RESERVE: Duration = Duration::from_secs(3);

/// The queue, and how it is used.
#[derive(Debug)]
pub struct Later<Q = backend::Deferrals> {
    queue: Q,
    secrets: Secret<Vec<SigningSecret>>,
    /// How long the directory may take before the intent goes to the queue.
    pub(crate) patience: Duration,
    /// The least time from one message to the next.
    pace: Duration,
}

/// Why a message stays in the queue.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error("message: {0}")]
    Unreadable(#[from] events::Invalid),
    #[error("message: no seal of ours")]
    Seal,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Later {
    /// Reads `DEFER_QUEUE_URL`, `DEFER_AFTER_MS`, `DEFER_PACE_MS` and the signing secrets, which seal the messages; `Some(None)`
    /// where there is no queue.
    #[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Option<Self>> {
        let Some(queue) = backend::Deferrals::from_settings(settings)? else { return Some(None) };
        let patience = settings.number("DEFER_AFTER_MS", 3000, 100..=20_000);
        let pace = settings.number("DEFER_PACE_MS", 100, 0..=10_000);
        let secrets = lambda::signing_secrets(settings)?;
        if secrets.is_none() {
            settings
                .problem("ACTION_SIGNING_SECRETS", "required with DEFER_QUEUE_URL, to seal messages with");
        }
        Some(Some(Self {
            queue,
            secrets: secrets?,
            patience: Duration::from_millis(patience?),
            pace: Duration::from_millis(pace?),
        }))
    }
}

impl<Q: Deferrals> Later<Q> {
    /// Keeps an intent.
    pub(crate) async fn keep(&self, intent: &Intent) -> Result<(), Unavailable> {
        let secrets = self.secrets.current().await?;
        let seal = |text: &str| secrets.first().map(|secret| secret.sign(SEAL_ID, 0, text.as_bytes()));
        let message = Deferred::write(intent, |text| seal(text).unwrap_or_default());
        let message = message.map_err(|_| Unavailable::new("queue", Reason::Refused))?;
        self.queue.defer(intent, &message).await
    }

    /// Works through a batch, in order, and returns the ids of the messages to deliver again. After one that failed, no later one
    /// of the same user is tried; one without our seal holds up nobody, whomever it names.
    pub(crate) async fn work_through(
        &self,
        users: &impl UserDirectory,
        policy: MfaPolicy,
        messages: Vec<Message>,
        deadline: Option<Instant>,
    ) -> Vec<String> {
        let mut left = Vec::new();
        let mut stuck = Vec::new();
        for message in messages {
            let deferred = Deferred::parse(&message.body);
            let group = deferred.as_ref().map(|deferred| deferred.intent.group()).ok();
            let late = deadline.is_some_and(|deadline| Instant::now() + RESERVE > deadline);
            if late || group.as_ref().is_some_and(|group| stuck.contains(group)) {
                left.push(message.id);
                continue;
            }
            let next = tokio::time::Instant::now() + self.pace;
            let applied = match deferred {
                Ok(deferred) => self.apply(users, policy, deferred).await,
                Err(unreadable) => Err(unreadable.into()),
            };
            if let Err(cause) = applied {
                lambda::telemetry::log_message_left(&cause, message.deliveries);
                self.put_off(&message).await;
                left.push(message.id);
                if matches!(cause, Left::Unavailable(_)) {
                    stuck.extend(group);
                }
            }
            tokio::time::sleep_until(next).await;
        }
        left
    }

    /// Sets the flags as they would have been set then, unless they were changed since.
    async fn apply(
        &self,
        users: &impl UserDirectory,
        policy: MfaPolicy,
        deferred: Deferred,
    ) -> Result<(), Left> {
        if !self.is_sealed(&deferred).await? {
            return Err(Left::Seal);
        }
        let Intent { user, at } = deferred.intent;
        // Who is gone needs no flags.
        let Some(user) = users.find(&user).await? else { return Ok(()) };
        match user.mfa.after_earlier_passkey(policy, at) {
            Some(update) => Ok(users.update_mfa(&user.id, &update).await?),
            None => Ok(()),
        }
    }

    async fn is_sealed(&self, deferred: &Deferred) -> Result<bool, Unavailable> {
        let headers = SignatureHeaders { id: SEAL_ID, timestamp: "0", signatures: &deferred.seal };
        let holds = |secrets: &[SigningSecret]| {
            webhooks::verify(secrets, headers, deferred.text.as_bytes(), 0, Duration::ZERO).is_ok()
        };
        if holds(&self.secrets.current().await?) {
            return Ok(true);
        }
        Ok(self.secrets.refresh().await && holds(&self.secrets.current().await?))
    }

    /// Lets a message rest. If that fails, it comes again when its delivery is over.
    async fn put_off(&self, message: &Message) {
        let mut random = [0];
        let _ = getrandom::fill(&mut random);
        let [random] = random;
        let _ = self.queue.put_off(&message.receipt, pause_after(message.deliveries, random)).await;
    }
}
