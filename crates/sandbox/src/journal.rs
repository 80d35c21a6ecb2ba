//! What happens, as it happens: kept for the inspector, secrets shortened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

/// How many entries are kept.
const KEPT: usize = 500;
/// Texts longer than this are shortened, whatever they are.
const LONG: usize = 96;
/// Members that open a door: shortened however short they are.
const SECRET: [&str; 14] = [
    "accesstoken",
    "answer",
    "appendtokenvalue",
    "assertionresponse",
    "attestationresponse",
    "connecttoken",
    "idtoken",
    "nonce",
    "password",
    "refreshtoken",
    "secret",
    "session",
    "sessionid",
    "signedpasskeydata",
];

/// Where something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The pages of the demo application.
    Page,
    /// A web component's call to the Frontend API.
    Component,
    /// An action, run for Corbado.
    Action,
    /// A call to the Backend API.
    Backend,
    /// What a WebAuthn ceremony has come to.
    Ceremony,
    /// What Corbado keeps, or forgets.
    Store,
    /// The user pool and its triggers.
    Pool,
    /// A function's own log.
    Function,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should.
    Done,
    /// Refused, as it should.
    Refused,
    /// Something is broken.
    Failed,
}

impl Outcome {
    /// The outcome that an HTTP status stands for.
    pub fn of(status: u16) -> Self {
        match status {
            500.. => Self::Failed,
            400.. => Self::Refused,
            _ => Self::Done,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Counts up.
    pub id: u64,
    /// When it ended, in milliseconds since the epoch.
    pub at: u64,
    /// Where.
    pub lane: Lane,
    /// What, in a few words.
    pub title: String,
    /// How it went.
    pub outcome: Outcome,
    /// The HTTP status, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// More, secrets shortened.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// The journal. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Journal {
    kept: Arc<Mutex<(u64, VecDeque<Entry>)>>,
    live: broadcast::Sender<Entry>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { kept: Arc::default(), live: broadcast::channel(256).0 }
    }
}

/// An entry to be.
#[derive(Debug)]
pub struct Note {
    lane: Lane,
    title: String,
    outcome: Outcome,
    status: Option<u16>,
    duration: Option<Duration>,
    detail: Value,
}

impl Note {
    /// Begins one.
    pub fn new(lane: Lane, title: impl Into<String>, outcome: Outcome) -> Self {
        Self { lane, title: title.into(), outcome, status: None, duration: None, detail: Value::Null }
    }

    /// Adds the HTTP status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds how long it took.
    pub fn took(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Adds more; secrets are shortened.
    pub fn detail(mut self, detail: Value) -> Self {
        self.detail = shortened(detail);
        self
    }
}

impl Journal {
    /// Keeps an entry and shows it to those who look on.
    pub fn record(&self, note: Note) {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        let entry = Entry {
            id: kept.0,
            at: u64::try_from(at).unwrap_or_default(),
            lane: note.lane,
            title: note.title,
            outcome: note.outcome,
            status: note.status,
            duration_ms: note.duration.map(|it| (it.as_secs_f64() * 1e4).round() / 10.0),
            detail: note.detail,
        };
        if kept.1.len() == KEPT {
            kept.1.pop_front();
        }
        kept.1.push_back(entry.clone());
        // Nobody may be looking.
        let _ = self.live.send(entry);
    }

    /// What is kept, oldest first, and what comes after it.
    pub fn follow(&self) -> (Vec<Entry>, broadcast::Receiver<Entry>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.1.iter().cloned().collect(), self.live.subscribe())
    }

    /// What is kept, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.follow().0
    }

    /// Forgets all entries.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1.clear();
    }
}

/// Shortens secrets and long texts; JSON in a text is shortened as JSON.
fn shortened(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let secret = SECRET.contains(&name.to_ascii_lowercase().as_str());
                    let value = match value {
                        // People choose passwords: each character tells something.
                        Value::String(_) if name.eq_ignore_ascii_case("password") => Value::from("…"),
                        Value::String(text) if secret => Value::String(shorten(&text, 8)),
                        value => shortened(value),
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(shortened).collect()),
        Value::String(text) if text.starts_with('{') => match serde_json::from_str(&text) {
            Ok(json) => shortened(json),
            Err(_) => Value::String(shorten(&text, LONG)),
        },
        Value::String(text) => Value::String(shorten(&text, LONG)),
        value => value,
    }
}

fn shorten(text: &str, to: usize) -> String {
    // Half of a short secret would be too much of it.
    let to = if to < LONG { to.min(text.chars().count() / 4) } else { to };
    match text.char_indices().nth(to) {
        Some((end, _)) => {
            format!("{}… ({} characters)", text.get(..end).unwrap_or_default(), text.chars().count())
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shortens_what_opens_doors() {
        let shown = shortened(json!({
            "identifier": "ada",
            "signedPasskeyData": "eyJplanted.planted.planted",
            "session": "{\"sessionId\":\"planted\"}",
            "nested": [{"password": "planted"}],
            "options": "{\"publicKey\":{\"challenge\":\"abc\"},\"accessToken\":\"planted\"}",
            "text": "x".repeat(200),
        }));
        assert!(!shown.to_string().contains("planted"), "{shown}");
        assert_eq!(shown["nested"][0]["password"], "…");
        assert_eq!(shown["identifier"], "ada");
        assert_eq!(shown["options"]["publicKey"]["challenge"], "abc");
        assert!(shown["text"].as_str().unwrap().ends_with("… (200 characters)"));
    }

    #[test]
    fn keeps_the_latest_and_shows_them_live() {
        let journal = Journal::default();
        for number in 0..=KEPT {
            journal.record(Note::new(Lane::Page, number.to_string(), Outcome::Done));
        }
        let (kept, mut live) = journal.follow();
        assert_eq!((kept.len(), kept[0].title.as_str()), (KEPT, "1"));
        journal.record(Note::new(Lane::Page, "last", Outcome::of(500)).status(500));
        let entry = live.try_recv().unwrap();
        assert_eq!((entry.title.as_str(), entry.outcome, entry.status), ("last", Outcome::Failed, Some(500)));
        journal.clear();
        assert!(journal.entries().is_empty());
    }
}
