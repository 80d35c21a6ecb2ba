//! Attacks: one table, each row sent to the real binaries and met by the refusal that it names. `make attacks` prints it.
//!
//! Beside its own refusal, no row may open anything: no session more in the store, no session, token or right answer in
//! what comes back; and no row may break a process or forge a line of the log. Requirements are those of OWASP ASVS 4.0.3.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod callers;
mod resources;
mod sessions;
mod tokens;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use world::{On, World};

/// One call.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    /// An invocation: of an event, or of what a gateway made of a request.
    Invoke(&'static str, Vec<u8>),
    /// A POST to a function's URL.
    Url(&'static str, Vec<(String, String)>, String),
}

/// What must come of it.
#[derive(Debug)]
pub(crate) enum Meets {
    /// This status and code.
    Refusal(u16, &'static str),
    /// A function error of this type.
    Fault(&'static str),
    /// The answer to the challenge is wrong.
    Wrong,
    /// The sign-in ends without tokens.
    Failed,
    /// One of Corbado's documented errors, with status 200.
    Fallback(&'static str),
    /// The function does not start, and names this setting.
    NoStart(&'static str),
    /// The very answer to this other call, with as many calls to other systems.
    TheSameAs(Sent),
}

/// A row of the table.
pub(crate) struct Attack {
    area: &'static str,
    name: &'static str,
    asvs: &'static str,
    on: On,
    before: Vec<Sent>,
    sent: Sent,
    meets: Meets,
}

impl Attack {
    /// What happens before, which must succeed.
    #[must_use]
    pub(crate) fn after(mut self, before: Vec<Sent>) -> Self {
        self.before = before;
        self
    }

    /// Where, if not on the default host.
    #[must_use]
    pub(crate) fn on(mut self, on: On) -> Self {
        self.on = on;
        self
    }
}

/// A row of an area.
pub(crate) fn rows(area: &'static str) -> impl Fn(&'static str, &'static str, Sent, Meets) -> Attack {
    move |name, asvs, sent, meets| Attack {
        area,
        name,
        asvs,
        on: On::Default,
        before: Vec::new(),
        sent,
        meets,
    }
}

/// What tells that something was opened.
fn opened(answer: &Value) -> Option<&'static str> {
    let text = answer.to_string().replace("\\\"", "\"");
    let signs = [
        "\"sessionId\"",
        "\"accessToken\"",
        "\"connectToken\"",
        "\"idToken\"",
        "\"expiresAt\"",
        "\"displayName\"",
        "\"answerCorrect\":true",
        "\"issueTokens\":true",
    ];
    let cookie = text.contains("session_id=") && !text.contains("session_id=;");
    signs.into_iter().find(|sign| text.contains(sign)).or(cookie.then_some("a cookie"))
}

/// Sends a row, and tells what came and whether that is right.
async fn run(world: &World, attack: &Attack) -> Result<String, String> {
    world.early_in_a_minute(attack.on).await;
    for step in &attack.before {
        let answer = world.send(attack.on, step).await;
        if answer.status() >= 400 {
            return Err(format!("the step before was refused: {answer:?}"));
        }
    }
    let sessions = world.sessions(attack.on);
    let asked = world.asked(attack.on);
    let answer = world.send(attack.on, &attack.sent).await;
    let asked = world.asked(attack.on) - asked;
    let shown = match &attack.meets {
        Meets::TheSameAs(other) => {
            let before = world.asked(attack.on);
            let control = world.send(attack.on, other).await;
            let as_much_work = world.asked(attack.on) - before == asked;
            let same = answer.scrubbed() == control.scrubbed();
            let shown = format!("{} like its control, {asked} calls behind", answer.outcome());
            if same && as_much_work { Ok(shown) } else { Err(format!("{answer:?}, but {control:?}")) }
        }
        Meets::NoStart(setting) => world.problem(attack.on, &answer, setting).await,
        meets => {
            let expected = match meets {
                Meets::Refusal(status, code) => format!("{status} {code}"),
                Meets::Fault(code) => format!("fault {code}"),
                Meets::Wrong => "answerCorrect false".to_owned(),
                Meets::Failed => "failAuthentication true".to_owned(),
                Meets::Fallback(code) => format!("200 {code}"),
                Meets::TheSameAs(_) | Meets::NoStart(_) => unreachable!("above"),
            };
            let came = answer.outcome();
            if came == expected { Ok(came) } else { Err(format!("{came}, not {expected}: {answer:.600?}")) }
        }
    }?;
    if let Some(sign) = opened(&answer.body) {
        return Err(format!("the answer has {sign}"));
    }
    if world.sessions(attack.on) > sessions {
        return Err("a session more is in the store".to_owned());
    }
    Ok(shown)
}

/// How long a comparison takes tells nothing, by construction: MACs are compared by `verify_slice` alone.
#[test]
fn macs_are_compared_in_constant_time() {
    for source in ["webhooks/src/lib.rs", "domain/src/login_proof.rs"] {
        let text = std::fs::read_to_string(tests::repository().join("crates").join(source)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert!(code.contains(".verify_slice("), "{source}");
        for other in ["== mac", "mac ==", "== tag", "tag ==", "== candidate", "candidate =="] {
            assert!(!code.contains(other), "{source}: {other}");
        }
    }
}

/// The table, row by row; then what must hold of all of it.
#[tokio::test(flavor = "multi_thread")]
async fn every_attack_meets_its_refusal() {
    let world = World::start().await;
    let mut table = callers::table(&world);
    table.extend(tokens::table(&world));
    table.extend(sessions::table(&world));
    table.extend(resources::table(&world));
    let names: BTreeSet<_> = table.iter().map(|attack| (attack.area, attack.name)).collect();
    assert_eq!(names.len(), table.len(), "a name twice");
    assert!(table.len() >= 60, "{}", table.len());

    println!("{:<6}{:<14}{:<58}{:<8}outcome", "", "area", "attack", "ASVS");
    let mut failures = Vec::new();
    let mut areas: BTreeMap<&str, usize> = BTreeMap::new();
    for attack in &table {
        let outcome = run(&world, attack).await;
        let word = if outcome.is_ok() { "pass" } else { "FAIL" };
        let shown = outcome.as_ref().unwrap_or_else(|failure| failure);
        println!("{word:<6}{:<14}{:<58}{:<8}{shown}", attack.area, attack.name, attack.asvs);
        *areas.entry(attack.area).or_default() += 1;
        if outcome.is_err() {
            failures.push(attack.name);
        }
    }
    let unbroken = world.is_unbroken().await;
    println!("\n{} attacks, {} refused, {} not", table.len(), table.len() - failures.len(), failures.len());
    println!("by area: {areas:?}");
    println!("afterwards: {}", unbroken.as_ref().unwrap_or_else(|broken| broken));
    assert!(failures.is_empty(), "not refused: {failures:?}");
    unbroken.unwrap();
}
