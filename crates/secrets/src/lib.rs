//! Secrets: a value from the environment, or one in AWS Secrets Manager that the environment names.
//!
//! In a deployed build the environment carries names, so that whoever may read a function's configuration reads no secret, and a
//! rotation needs no deployment: a stored secret is fetched when it is first needed, kept for five minutes, and fetched anew when
//! somebody's word does not fit it any more.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use domain::Reason;
pub use domain::Unavailable;
use outbound::{Https, Trust, aws, failure};
use secrecy::{ExposeSecret, SecretString};
use settings::Settings;
use tokio::sync::Mutex;

/// The name of this system in logs.
const SYSTEM: &str = "secrets";
/// How long a value is taken without a look.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How often the store is asked at most after refusals, and while it fails: whoever sends bad signatures cannot drive more.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long a value serves while the store cannot be asked: a hiccup there ends no logins.
const MAX_STALE: Duration = Duration::from_secs(3600);

/// How a secret is called in the environment.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The setting with the value, such as `CORBADO_API_SECRET`.
    pub value: &'static str,
    /// The setting with the ARN of the stored value, such as `CORBADO_API_SECRET_ARN`.
    pub arn: &'static str,
}

/// Reads the text of a secret; `None` if it is not of the right shape.
pub type Parse<T> = fn(&SecretString) -> Option<T>;

/// A secret of a shape. Cloning shares what was fetched.
pub struct Secret<T> {
    source: Arc<Source<T>>,
}

enum Source<T> {
    Fixed(Arc<T>),
    Stored(Stored<T>),
}

struct Stored<T> {
    client: Client,
    arn: String,
    parse: Parse<T>,
    clock: fn() -> SystemTime,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    value: Option<Value<T>>,
    /// The last look, whatever it was for.
    asked: Option<SystemTime>,
    /// The last look after a refusal.
    refreshed: Option<SystemTime>,
}

struct Value<T> {
    text: SecretString,
    parsed: Arc<T>,
    fetched: SystemTime,
}

impl<T> Secret<T> {
    /// Reads the setting with the value or with its ARN; `Some(None)` if neither is there. A value that is there is checked at
    /// once: `rule` says what is wrong with one that is not of the right shape.
    #[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
    pub fn from_settings(
        settings: &mut Settings<'_>,
        name: Name,
        rule: &'static str,
        parse: Parse<T>,
    ) -> Option<Option<Self>> {
        Self::with_clock(settings, name, rule, parse, SystemTime::now)
    }

    /// The same with a clock that says how old a value is.
    #[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
    pub fn with_clock(
        settings: &mut Settings<'_>,
        name: Name,
        rule: &'static str,
        parse: Parse<T>,
        clock: fn() -> SystemTime,
    ) -> Option<Option<Self>> {
        match (settings.secret(name.value), settings.optional(name.arn)) {
            (None, None) => Some(None),
            (Some(_), Some(_)) => {
                settings.problem(name.arn, format!("not together with {}", name.value));
                None
            }
            (Some(text), None) => {
                let value = parse(&text);
                if value.is_none() {
                    settings.problem(name.value, rule);
                }
                Some(Some(Self::fixed(value?)))
            }
            (None, Some(arn)) => {
                let arn = arn.trim().to_owned();
                if !arn.starts_with("arn:") || arn.contains(char::is_whitespace) {
                    settings.problem(name.arn, "the ARN of a secret in AWS Secrets Manager");
                    return None;
                }
                let kept = Mutex::new(Kept { value: None, asked: None, refreshed: None });
                let stored = Stored { client: client(settings)?, arn, parse, clock, kept };
                Some(Some(Self { source: Arc::new(Source::Stored(stored)) }))
            }
        }
    }

    /// A secret that is known, and never changes.
    pub fn fixed(value: T) -> Self {
        Self { source: Arc::new(Source::Fixed(Arc::new(value))) }
    }

    /// The secret as it is known now.
    pub async fn current(&self) -> Result<Arc<T>, Unavailable> {
        let stored = match &*self.source {
            Source::Fixed(value) => return Ok(Arc::clone(value)),
            Source::Stored(stored) => stored,
        };
        let mut kept = stored.kept.lock().await;
        let now = (stored.clock)();
        if let Some(value) = &kept.value {
            let young = is_within(value.fetched, MAX_AGE, now);
            let tried = is_within(value.fetched, MAX_STALE, now)
                && kept.asked.is_some_and(|asked| asked > value.fetched && is_within(asked, INTERVAL, now));
            if young || tried {
                return Ok(Arc::clone(&value.parsed));
            }
        }
        match (stored.fetch(&mut kept, now).await, &kept.value) {
            (Err(_), Some(value)) if is_within(value.fetched, MAX_STALE, now) => {
                Ok(Arc::clone(&value.parsed))
            }
            (Ok(()), Some(value)) => Ok(Arc::clone(&value.parsed)),
            (Err(cause), _) => Err(cause),
            (Ok(()), None) => Err(Unavailable::new(SYSTEM, Reason::Unreadable)),
        }
    }

    /// Looks whether there is a newer value, after the current one did not fit; at most once a minute. Tells whether there is.
    pub async fn refresh(&self) -> bool {
        let Source::Stored(stored) = &*self.source else { return false };
        let mut kept = stored.kept.lock().await;
        let now = (stored.clock)();
        if kept.refreshed.is_some_and(|refreshed| is_within(refreshed, INTERVAL, now)) {
            return false;
        }
        kept.refreshed = Some(now);
        let before = kept.value.as_ref().map(|value| value.text.clone());
        let fetched = stored.fetch(&mut kept, now).await;
        let after = kept.value.as_ref().map(|value| value.text.expose_secret());
        fetched.is_ok() && before.as_ref().map(ExposeSecret::expose_secret) != after
    }
}

impl<T> Stored<T> {
    /// GetSecretValue. What is kept stays if this fails.
    async fn fetch(&self, kept: &mut Kept<T>, now: SystemTime) -> Result<(), Unavailable> {
        kept.asked = Some(now);
        let answer = self.client.get_secret_value().secret_id(&self.arn).send().await;
        let answer = answer.map_err(|error| failure::sdk_unavailable(SYSTEM, &error, |_| None))?;
        let unreadable = || Unavailable::new(SYSTEM, Reason::Unreadable);
        let text: SecretString = answer.secret_string.ok_or_else(unreadable)?.into();
        let parsed = Arc::new((self.parse)(&text).ok_or_else(unreadable)?);
        kept.value = Some(Value { text, parsed, fetched: now });
        Ok(())
    }
}

/// Tells whether less than `span` has passed since `then`. A clock that was set back counts as long ago.
fn is_within(then: SystemTime, span: Duration, now: SystemTime) -> bool {
    now.duration_since(then).is_ok_and(|passed| passed < span)
}

/// One client for all secrets.
fn client(settings: &mut Settings<'_>) -> Option<Client> {
    if let Some(client) = settings.shared::<Client>() {
        return Some(client);
    }
    let https = Https::from_settings(settings, Trust::Aws)?;
    let config = aws::sdk_config(settings, &https, "AWS_ENDPOINT_URL_SECRETS_MANAGER")?;
    let client = Client::new(&config);
    settings.share(client.clone());
    Some(client)
}

impl<T> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self { source: Arc::clone(&self.source) }
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
