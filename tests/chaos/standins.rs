//! The authentication system, Corbado and SQS, each behind what the plan does to its answers.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::Timestamp;
use serde_json::{Value, json};
use tests::stub::{Reaction, Received, Stub, json};

use crate::plan::{Fault, Plan};
use crate::queue::Queue;

/// How long the functions wait for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(400);

/// What the functions present to the authentication system, and what tells them from those of other tests.
pub(crate) const CREDENTIAL: (&str, &str) = ("AUTH_SYSTEM_BEARER_TOKEN", "chaos");

/// What the systems know in the end.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Users' flags.
    pub(crate) flags: HashMap<String, Flag>,
    /// How often something older was written over something newer.
    pub(crate) overwritten: u64,
    /// Users who switch MFA off as soon as somebody has looked at their flags once more.
    pub(crate) about_to_switch_off: HashSet<String>,
    /// The queue of SQS.
    pub(crate) queue: Queue,
    /// Sessions by key: their users.
    pub(crate) sessions: HashMap<String, String>,
    /// How often a token was asked about, and whether a `success` was told.
    pub(crate) tokens: HashMap<String, (u32, bool)>,
    pub(crate) faults: HashMap<Fault, u32>,
    attempts: HashMap<(String, String), u32>,
}

/// A user's flags.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flag {
    pub(crate) enabled: bool,
    pub(crate) last: Timestamp,
    /// The user switched it off: the newest state there is.
    pub(crate) switched_off: bool,
}

impl Known {
    /// The user switches MFA off, elsewhere.
    pub(crate) fn switch_off(&mut self, user: &str) {
        let last = SystemTime::now().into();
        self.flags.insert(user.to_owned(), Flag { enabled: false, last, switched_off: true });
    }
}

/// All systems.
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
                } else if operation == "update-mfa" && attempt < plan.busy(subject) {
                    Fault::Throttled
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
    let operation = match request.header("x-amz-target") {
        "" => request.path.rsplit_once('/').map_or("", |(_, name)| name).to_owned(),
        _ => request.operation().to_owned(),
    };
    let subject = subject(&body);
    let attempt = known.attempts.entry((operation.clone(), subject.clone())).or_default();
    let fault = fault(&operation, &subject, *attempt);
    *attempt += 1;
    *known.faults.entry(fault).or_default() += 1;
    let answer =
        if fault.is_done() { done(known, &request.path, &operation, &body, fault) } else { Value::Null };
    react(fault, &answer, &subject)
}

/// Whom a request is about: `<function>/<number>`.
fn subject(body: &Value) -> String {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str);
    let message = text("/MessageBody").and_then(|it| events::Deferred::parse(it).ok());
    let of_message = message.as_ref().map(|it| it.intent.user.as_str());
    let places = ["/id", "/username", "/session/user", "/ReceiptHandle"];
    places.iter().find_map(|place| text(place)).or(of_message).unwrap_or_default().to_owned()
}

fn done(known: &mut Known, path: &str, operation: &str, body: &Value, fault: Fault) -> Value {
    if path == "/" {
        return known.queue.answer(operation, body);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match path {
        "/users/find" => {
            let id = text(&body["id"]);
            let flag = known.flags.get(&id).copied();
            // Between a look and the write.
            if known.about_to_switch_off.remove(&id) {
                known.switch_off(&id);
            }
            let enabled = flag.is_some_and(|flag| flag.enabled);
            let method = enabled.then_some("passkey");
            let last = flag.map(|flag| flag.last.to_string());
            json!({"user": {"id": id, "status": "active", "displayName": "Somebody", "email": null,
                "mfa": {"enabled": enabled, "preferredMethod": method, "lastUpdate": last}}})
        }
        "/users/update-mfa" => {
            let last = Timestamp::parse(&text(&body["mfa"]["lastUpdate"])).unwrap();
            let before = known.flags.get(&text(&body["id"]));
            let newer = before.is_some_and(|flag| flag.last > last);
            let stays = (body["onlyIfDisabled"] == true && before.is_some_and(|flag| flag.enabled))
                || (body["unlessNewer"] == true && newer);
            if !stays {
                known.overwritten += u64::from(newer);
                let flag = Flag { enabled: true, last, switched_off: false };
                known.flags.insert(text(&body["id"]), flag);
            }
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
        Fault::KilledBefore => {
            kill_one(function(subject));
            Reaction::Reset
        }
        Fault::Truncated => raw(1),
        Fault::Closed => raw(0),
        Fault::Garbage => Reaction::Answer(200, vec![("content-type", "text/html".into())], "<html>".into()),
        Fault::OtherType => Reaction::Answer(200, vec![("content-type", "text/plain".into())], body),
        Fault::Killed => {
            kill_one(function(subject));
            json(200, answer)
        }
    }
}

/// The function that asked about a subject.
fn function(subject: &str) -> &str {
    subject.split_once('/').map_or("", |(function, _)| function)
}

/// Kills a process of a function: one that the storm has started.
fn kill_one(function: &str) {
    let own = std::process::id().to_string();
    let mark = format!("\0{}={}\0", CREDENTIAL.0, CREDENTIAL.1);
    let is_ours = |pid: &str| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if !format!("\0{}", String::from_utf8_lossy(&environment)).contains(&mark) {
            return false;
        }
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
