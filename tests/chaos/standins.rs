//! The authentication system and Corbado, each behind what the plan does to its answers.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tests::stub::{Reaction, Received, Stub, json};

use crate::plan::{Fault, Plan};

/// How long the functions wait for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(400);

/// What the systems know in the end.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// When each user's flag was set last, as the function said.
    pub(crate) flags: HashMap<String, String>,
    /// Sessions by key: their users.
    pub(crate) sessions: HashMap<String, String>,
    /// How often a token was asked about, and whether a `success` was told.
    pub(crate) tokens: HashMap<String, (u32, bool)>,
    pub(crate) faults: HashMap<Fault, u32>,
    attempts: HashMap<(String, String), u32>,
}

/// Both systems.
pub(crate) struct StandIns {
    pub(crate) known: Arc<Mutex<Known>>,
    pub(crate) stub: Stub,
    calm: Arc<AtomicBool>,
}

impl StandIns {
    pub(crate) async fn start(plan: Plan) -> Self {
        let (known, calm) = (Arc::new(Mutex::new(Known::default())), Arc::new(AtomicBool::new(false)));
        let (knows, quiet) = (Arc::clone(&known), Arc::clone(&calm));
        let stub = Stub::start(move |request, _| {
            let mut known = knows.lock().unwrap();
            answer(&mut known, request, |operation, subject, attempt| {
                if quiet.load(Ordering::Relaxed) {
                    Fault::None
                } else {
                    plan.fault(operation, subject, attempt)
                }
            })
        });
        Self { known, calm, stub: stub.await }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }
}

fn answer(known: &mut Known, request: &Received, fault: impl Fn(&str, &str, u32) -> Fault) -> Reaction {
    let body = request.json();
    let operation = request.path.rsplit_once('/').map_or("", |(_, name)| name).to_owned();
    let subject = subject(&body);
    let attempt = known.attempts.entry((operation.clone(), subject.clone())).or_default();
    let fault = fault(&operation, &subject, *attempt);
    *attempt += 1;
    *known.faults.entry(fault).or_default() += 1;
    let answer = if fault.is_done() { done(known, &request.path, &body, fault) } else { Value::Null };
    react(fault, &answer, &subject)
}

/// Whom a request is about: `<function>/<number>`.
fn subject(body: &Value) -> String {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str);
    let known = ["/id", "/username", "/session/user"].iter().find_map(|place| text(place));
    known.unwrap_or_default().to_owned()
}

fn done(known: &mut Known, path: &str, body: &Value, fault: Fault) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match path {
        "/users/find" => {
            let id = text(&body["id"]);
            let enabled = known.flags.contains_key(&id);
            let method = enabled.then_some("passkey");
            json!({"user": {"id": id, "status": "active", "displayName": "Somebody", "email": null,
                "mfa": {"enabled": enabled, "preferredMethod": method}}})
        }
        "/users/update-mfa" => {
            known.flags.entry(text(&body["id"])).or_insert(text(&body["mfa"]["lastUpdate"]));
            json!({})
        }
        "/sessions/create" => {
            let key = text(&body["key"]);
            let free = !known.sessions.contains_key(&key);
            known.sessions.entry(key).or_insert(text(&body["session"]["user"]));
            json!({"created": free})
        }
        "/v2/passkey/verifySignedData" => {
            let token = text(&body["signedPasskeyData"]);
            let (content, signature) = token.rsplit_once('.').unwrap();
            let claims = BASE64_URL_SAFE_NO_PAD.decode(content.split('.').nth(1).unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            let right = claims["webauthnId"] == body["username"]
                && signature == BASE64_URL_SAFE_NO_PAD.encode("success");
            let (asked, told) = known.tokens.entry(token).or_default();
            *asked += 1;
            let success = right && *asked == 1;
            *told |= success && fault.is_told();
            json!({"verificationResult": if success { "success" } else { "invalid_signature" }})
        }
        _ => json!({}),
    }
}

fn react(fault: Fault, answer: &Value, subject: &str) -> Reaction {
    let late = |reaction| Reaction::After(TIMEOUT + Duration::from_millis(150), Box::new(reaction));
    let body = answer.to_string();
    // The stub sends static bytes only; there are few enough of them.
    let raw = |missing: usize| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Reaction::Raw(
            Box::leak(format!("{head}{}", &body[..body.len() - missing]).into_boxed_str()).as_bytes(),
        )
    };
    match fault {
        Fault::None => json(200, answer),
        Fault::Throttled => Reaction::Answer(429, vec![("retry-after", "1".into())], String::new()),
        Fault::Failed => json(500, &json!({"error": {"type": "internal_error"}})),
        Fault::Stalled => late(Reaction::Reset),
        Fault::DoneLate => late(json(200, answer)),
        Fault::ResetBefore | Fault::ResetAfter => Reaction::Reset,
        Fault::Truncated => raw(1),
        Fault::Closed => raw(0),
        Fault::Garbage => Reaction::Answer(200, vec![("content-type", "text/html".into())], "<html>".into()),
        Fault::OtherType => Reaction::Answer(200, vec![("content-type", "text/plain".into())], body),
        Fault::Killed => {
            kill_one(subject.split_once('/').map_or("", |(function, _)| function));
            json(200, answer)
        }
    }
}

/// Kills a process of a function: one that this test has started.
fn kill_one(function: &str) {
    let own = std::process::id().to_string();
    let is_ours = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((name, rest)) = stat.split_once(") ") else { return false };
        // The kernel keeps 15 characters of a name.
        name.ends_with(&format!("({function}")) && rest.split(' ').nth(1) == Some(&own)
    };
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_str()
            .filter(|it| it.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
    });
    if let Some(pid) = processes.into_iter().find(|pid| is_ours(pid)) {
        let _ = Command::new("kill").args(["-9", &pid]).status();
    }
}
