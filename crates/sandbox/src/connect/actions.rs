//! Runs the functions as Corbado does: a signed POST, an answer within time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use webhooks::SigningSecret;

use super::switches::Fault;
use crate::client;
use crate::function::random_name;
use crate::journal::{Journal, Lane, Note, Outcome};

/// Where a function listens, and the secret that its calls are signed with.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its URL.
    pub url: String,
    /// The secret that it shares with Corbado.
    pub secret: SigningSecret,
}

/// The functions by name. One that is missing is not configured: the process goes on without it.
#[derive(Debug)]
pub struct Actions {
    targets: BTreeMap<String, Target>,
    timeout: Duration,
}

/// Why an action gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// It answered something else than 200.
    #[error("it answered {0}")]
    Status(u16),
    /// It answered 200, and no JSON object.
    #[error("it answered no JSON object")]
    Unreadable,
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It could not be reached.
    #[error("it could not be reached")]
    Transport,
}

impl Actions {
    /// Takes the functions, and how long each may take.
    pub fn new(targets: BTreeMap<String, Target>, timeout: Duration) -> Self {
        Self { targets, timeout }
    }

    /// Runs an action, unless it is not configured.
    pub(crate) async fn run(
        &self,
        name: &'static str,
        event: Value,
        fault: Option<Fault>,
        journal: &Journal,
    ) -> Option<Result<Value, Failed>> {
        let target = self.targets.get(name)?.clone();
        let start = Instant::now();
        let answer = match fault {
            None | Some(Fault::WrongSignature) => self.call(target, &event, fault.is_some()).await,
            Some(Fault::Answers500) => {
                Ok((500, json!({"message": "switched on in the inspector", "error": "internal_error"})))
            }
            Some(Fault::ProviderThrottled) => {
                Ok((500, json!({"message": "switched on in the inspector", "error": "provider_unavailable"})))
            }
            Some(Fault::TimesOut) => {
                tokio::time::sleep(self.timeout).await;
                Err(Failed::Timeout)
            }
        };
        let result = match &answer {
            Ok((200, body)) if body.is_object() => Ok(body.clone()),
            Ok((200, _)) => Err(Failed::Unreadable),
            Ok((status, _)) => Err(Failed::Status(*status)),
            Err(failed) => Err(failed.clone()),
        };
        let refused = matches!(&answer, Ok((200, body)) if body.get("error").is_some());
        let outcome = match &result {
            Ok(_) if refused => Outcome::Refused,
            Ok(_) => Outcome::Done,
            Err(_) => Outcome::Failed,
        };
        let mut note = Note::new(Lane::Action, name, outcome).took(start.elapsed());
        let mut detail = json!({"event": event});
        if let Some(detail) = detail.as_object_mut() {
            match answer {
                Ok((status, body)) => {
                    note = note.status(status);
                    detail.insert("answer".to_owned(), body);
                }
                Err(failed) => {
                    detail.insert("failure".to_owned(), Value::from(failed.to_string()));
                }
            }
            if let Some(fault) = fault {
                detail.insert("switched".to_owned(), json!(fault));
            }
        }
        journal.record(note.detail(detail));
        Some(result)
    }

    /// Off the async threads: the HTTP client blocks.
    async fn call(&self, target: Target, event: &Value, wrongly: bool) -> Result<(u16, Value), Failed> {
        let (body, timeout) = (event.to_string(), self.timeout);
        let call = tokio::task::spawn_blocking(move || post(&target, &body, wrongly, timeout));
        call.await.map_err(|_| Failed::Transport)?
    }
}

fn post(target: &Target, body: &str, wrongly: bool, timeout: Duration) -> Result<(u16, Value), Failed> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    // Fresh for each attempt: a function answers an id that it has seen with 409.
    let id = format!("msg_{}", random_name().map_err(|_| Failed::Transport)?);
    let signed = if wrongly { format!("{body} ") } else { body.to_owned() };
    let mut request =
        client::agent(Some(timeout)).post(&target.url).header("content-type", "application/json");
    for (name, value) in target.secret.headers(&id, now, signed.as_bytes()) {
        request = request.header(name, value);
    }
    let failed = |error| match error {
        ureq::Error::Timeout(_) => Failed::Timeout,
        _ => Failed::Transport,
    };
    let mut response = request.send(body.as_bytes()).map_err(failed)?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(1024 * 1024).read_to_string();
    Ok((status, serde_json::from_str(&text.map_err(failed)?).unwrap_or(Value::Null)))
}
