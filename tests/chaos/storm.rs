//! The calls that are made while things go wrong, and what is counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{SessionId, Timestamp};
use futures_util::StreamExt;
use futures_util::stream::iter;
use serde_json::{Value, json};
use tests::api::login;
use tests::host::TestHost;

use crate::later::{self, Later, Put};
use crate::plan::Plan;
use crate::standins::{CREDENTIAL, Known, StandIns, TIMEOUT};

/// How long an invocation may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often a caller tries in all.
const ATTEMPTS: u32 = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) appends: u64,
    pub(crate) logins: u64,
    pub(crate) challenges: u64,
}

/// Hosts on the same systems: sessions in the embedded store, and in the authentication system; and two whose updates wait in
/// queues.
pub(crate) struct Storm {
    pub(crate) plan: Plan,
    pub(crate) systems: StandIns,
    embedded: TestHost,
    remote: TestHost,
    pub(crate) later: Later,
    pub(crate) seen: Mutex<Seen>,
}

/// What the callers saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: BTreeMap<&'static str, Vec<Duration>>,
    pub(crate) timed_out: u64,
    pub(crate) ended: u64,
    pub(crate) workers_ended: u64,
    /// What was asked of post-append, by user.
    pub(crate) asked: HashMap<String, Asked>,
    /// (session id, user) of each login that was answered with 200.
    by_page: Vec<(String, String)>,
    by_action: Vec<(String, String)>,
    refused: u64,
    gave_up: BTreeMap<&'static str, u64>,
    right: Vec<String>,
    changed_mind: u64,
    skewed_in: u64,
}

/// One user's append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) from: Timestamp,
    /// When it was answered with 200, and whether that was a promise.
    pub(crate) answered: Option<(Timestamp, bool)>,
}

/// The figures.
#[derive(Debug, Default)]
pub(crate) struct Report {
    flags_lost: u64,
    put: Put,
    without_success: u64,
    sessions_lost: u64,
    asked_twice: u64,
    past_deadline: u64,
    stayed_broken: u64,
    changed_mind: u64,
    told: String,
}

impl Report {
    pub(crate) fn violations(&self) -> u64 {
        self.flags_lost
            + self.without_success
            + self.sessions_lost
            + self.asked_twice
            + self.past_deadline
            + self.stayed_broken
            + self.changed_mind
            + self.put.violations()
    }

    /// Whether there was anything that could have gone wrong later.
    pub(crate) fn is_about_something(&self) -> bool {
        self.put.deferred > 0 && self.put.newer > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "flags lost after a 200: {}", self.flags_lost)?;
        writeln!(f, "sessions and right answers without a success verdict: {}", self.without_success)?;
        writeln!(f, "sessions lost after a 200: {}", self.sessions_lost)?;
        writeln!(f, "tokens that Corbado was asked about twice: {}", self.asked_twice)?;
        writeln!(f, "invocations past their deadline: {}", self.past_deadline)?;
        writeln!(f, "processes that stayed broken: {}", self.stayed_broken)?;
        writeln!(f, "answers to Cognito that changed: {}", self.changed_mind)?;
        writeln!(f, "{}", self.put)?;
        f.write_str(&self.told)
    }
}

/// Sessions in tokens: the user, and whether Corbado will say `success`.
struct Login {
    user: String,
    token: String,
    /// Our clock and Corbado's are too far apart for this one.
    skewed: bool,
}

impl Storm {
    pub(crate) async fn start(plan: Plan) -> Self {
        let systems = StandIns::start(plan).await;
        let url = systems.stub.url();
        let timeout = TIMEOUT.as_millis().to_string();
        let host = async |store: &str, more: &[(&str, &str)], names: &[&'static str], deadline| {
            let mut settings = vec![
                ("AUTH_SYSTEM", "rest"),
                ("AUTH_SYSTEM_URL", &url),
                CREDENTIAL,
                ("SESSION_STORE", store),
                ("REPLAY_STORE", "embedded"),
                ("CORBADO_BACKEND_API_URL", &url),
                ("UPSTREAM_TIMEOUT_MS", &timeout),
                ("RATE_LIMIT_LOGINS_PER_MINUTE", "0"),
            ];
            settings.extend(more);
            let functions: Vec<_> = names.iter().map(|name| (*name, tests::binaries().join(name))).collect();
            TestHost::with_functions(&functions, &settings, deadline).await
        };
        let all = &sandbox::FUNCTIONS;
        let (embedded, remote) =
            (host("embedded", &[], all, DEADLINE).await, host("rest", &[], all, DEADLINE).await);
        let queue = format!("{url}/000000000000/deferred.fifo");
        let later = Later::start(
            host("embedded", &later::on_a_laptop(), &["post-append"], later::DEADLINE).await,
            host("embedded", &later::on_sqs(&queue, &url), &["post-append"], later::DEADLINE).await,
        );
        later.plant(&systems);
        Self { plan, systems, embedded, remote, later, seen: Mutex::default() }
    }

    pub(crate) async fn run(&self, counts: Counts) -> Report {
        let logins = counts.logins / 2;
        let appends = async {
            iter(0..counts.appends).for_each_concurrent(8, |number| self.append(number)).await;
            self.later.no_more();
        };
        let pages = iter(0..logins).for_each_concurrent(5, |number| self.by_page(number));
        let actions = iter(logins..counts.logins).for_each_concurrent(5, |number| self.by_action(number));
        let challenges = iter(0..counts.challenges).for_each_concurrent(4, |number| self.challenge(number));
        let all = async { tokio::join!(appends, pages, actions, challenges, self.deliver()) };
        tokio::select! {
            _ = all => {}
            () = self.lock_stores() => {}
        }
        self.systems.calm();
        // A lock that is still held is the storm's.
        tokio::time::sleep(TIMEOUT + Duration::from_millis(400)).await;
        let stayed_broken = self.broken().await;
        // On a busy machine even that may have been put off.
        self.deliver().await;
        self.report(stayed_broken)
    }

    /// Holds the lock of the stores for longer than anybody waits, again and again.
    async fn lock_stores(&self) {
        for turn in 0u64.. {
            tokio::time::sleep(Duration::from_millis(1500 + self.plan.number(("lock", turn), 2000))).await;
            let hosts = [&self.embedded, &self.remote, &self.later.laptop];
            let host = hosts[usize::try_from(turn % 3).unwrap()];
            let path = host.store.path().to_owned();
            let hold = move || {
                let store = rusqlite::Connection::open(path).unwrap();
                // Somebody may be writing; then there is no lock this time.
                if store.execute_batch("BEGIN IMMEDIATE").is_ok() {
                    std::thread::sleep(TIMEOUT + Duration::from_millis(200));
                }
            };
            tokio::task::spawn_blocking(hold).await.unwrap();
        }
    }

    /// Invokes a function, and counts what does not answer.
    async fn invoke(&self, host: &TestHost, function: &'static str, event: String) -> Option<Value> {
        self.invoke_as(function, host, function, event).await
    }

    /// The same, counted under a name.
    pub(crate) async fn invoke_as(
        &self,
        name: &'static str,
        host: &TestHost,
        function: &'static str,
        event: String,
    ) -> Option<Value> {
        let started = Instant::now();
        let invoked = host.invoke(function, event).await;
        let mut seen = self.seen.lock().unwrap();
        seen.calls.entry(name).or_default().push(started.elapsed());
        match (invoked.function_error, invoked.payload["errorType"].as_str()) {
            (None, _) => Some(invoked.payload),
            (Some(_), Some("Sandbox.Timedout")) => {
                seen.timed_out += 1;
                None
            }
            (Some(_), Some("Runtime.ExitError")) => {
                seen.ended += 1;
                seen.workers_ended += u64::from(name == later::WORKER);
                None
            }
            // An error of a trigger is an answer, too.
            (Some(_), Some("provider_unavailable")) => None,
            other => panic!("{other:?}: {}", invoked.payload),
        }
    }

    fn gave_up(&self, function: &'static str) {
        *self.seen.lock().unwrap().gave_up.entry(function).or_default() += 1;
    }

    async fn append(&self, number: u64) {
        let user = format!("post-append/{number}");
        let event = json!({"username": user}).to_string();
        let host =
            [&self.embedded, &self.later.laptop, &self.later.sqs][usize::try_from(number % 3).unwrap()];
        let now = || Timestamp::from(SystemTime::now());
        let asked = Asked { from: now(), answered: None };
        self.seen.lock().unwrap().asked.insert(user.clone(), asked);
        for _ in 0..ATTEMPTS {
            let answer = self.invoke(host, "post-append", event.clone()).await;
            let Some(answer) = answer.filter(|answer| answer["statusCode"] == 200) else { continue };
            let deferred = answer["body"] == json!({"deferred": true});
            assert!(deferred || answer["body"] == json!({}), "{answer}");
            let asked = Asked { answered: Some((now(), deferred)), ..asked };
            self.seen.lock().unwrap().asked.insert(user.clone(), asked);
            if !number.is_multiple_of(3) {
                self.change_later(&user, deferred);
            }
            return;
        }
        self.gave_up("post-append");
    }

    /// A login of a user of its own. One in ten tokens is a bad one, some are from another time.
    fn login(&self, function: &str, number: u64) -> Login {
        let user = format!("{function}/{number}");
        let now = tests::now();
        let skew = match self.plan.number(("skew", &user), 100) {
            0..10 => 50,
            10..13 => 130,
            13..20 => -50,
            _ => 0,
        };
        let from = now.checked_add_signed(skew).unwrap();
        let word = if self.plan.number(("word", &user), 10) == 0 { "invalid_signature" } else { "success" };
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({"iss": "pro-sandbox", "sub": "usr-1", "webauthnId": user, "iat": from, "nbf": from, "exp": from + 300});
        let token = format!(
            "{}.{}.{}",
            part(json!({"alg": "RS256"})),
            part(claims),
            BASE64_URL_SAFE_NO_PAD.encode(word)
        );
        Login { user, token, skewed: skew > 60 }
    }

    /// Option 2: a page posts the token; one in twenty posts it twice at the same time.
    async fn by_page(&self, number: u64) {
        let Login { user, token, skewed } = self.login("auth-api", number);
        let event = login(&token).into_event().to_string();
        for attempt in 0..ATTEMPTS {
            let one = self.invoke(&self.embedded, "auth-api", event.clone());
            let answers = if self.plan.number(("twice", &user, attempt), 20) == 0 {
                let (one, two) = tokio::join!(one, self.invoke(&self.embedded, "auth-api", event.clone()));
                vec![one, two]
            } else {
                vec![one.await]
            };
            let mut refused = false;
            let mut opened = false;
            for answer in answers.into_iter().flatten() {
                match answer["statusCode"].as_u64() {
                    Some(200) => {
                        let cookie = answer["cookies"][0].as_str().unwrap();
                        let id = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
                        self.logged_in(id, &user, skewed, false);
                        opened = true;
                    }
                    Some(401) => refused = true,
                    _ => {}
                }
            }
            if opened || refused {
                self.seen.lock().unwrap().refused += u64::from(!opened);
                return;
            }
        }
        self.gave_up("auth-api");
    }

    /// Option 3: Corbado calls post-login with the token.
    async fn by_action(&self, number: u64) {
        let Login { user, token, skewed } = self.login("post-login", number);
        let event = json!({"signedPasskeyData": token}).to_string();
        for _ in 0..ATTEMPTS {
            let Some(answer) = self.invoke(&self.remote, "post-login", event.clone()).await else { continue };
            match answer["statusCode"].as_u64() {
                Some(200) => {
                    let id = answer["body"]["sessionId"].as_str().unwrap().to_owned();
                    return self.logged_in(id, &user, skewed, true);
                }
                Some(401) => {
                    self.seen.lock().unwrap().refused += 1;
                    return;
                }
                _ => {}
            }
        }
        self.gave_up("post-login");
    }

    fn logged_in(&self, id: String, user: &str, skewed: bool, by_action: bool) {
        let mut seen = self.seen.lock().unwrap();
        seen.skewed_in += u64::from(skewed);
        let all = if by_action { &mut seen.by_action } else { &mut seen.by_page };
        all.push((id, user.to_owned()));
    }

    /// Option 1: Cognito asks up to three times about one answer, and so does somebody in another flow.
    async fn challenge(&self, number: u64) {
        let Login { user, token, .. } = self.login("custom-auth", number);
        let mut event = sandbox::sample::read(&tests::events(), "custom-auth", "verify").unwrap().event;
        event["userName"] = user.clone().into();
        event["request"]["challengeAnswer"] = token.clone().into();
        let nonce = |flow: u64| {
            let mut nonce = [0; 32];
            nonce[..8].copy_from_slice(&number.to_be_bytes());
            nonce[8..16].copy_from_slice(&flow.to_be_bytes());
            BASE64_URL_SAFE_NO_PAD.encode(nonce)
        };
        let mut heard = HashSet::new();
        for _ in 0..3 {
            event["request"]["privateChallengeParameters"]["nonce"] = nonce(0).into();
            let Some(answer) = self.invoke(&self.embedded, "custom-auth", event.to_string()).await else {
                continue;
            };
            heard.insert(answer["response"]["answerCorrect"].as_bool().unwrap());
        }
        event["request"]["privateChallengeParameters"]["nonce"] = nonce(1).into();
        let other = self.invoke(&self.embedded, "custom-auth", event.to_string()).await;
        let other = other.is_some_and(|answer| answer["response"]["answerCorrect"] == true);
        let mut seen = self.seen.lock().unwrap();
        // Where nobody was asked in the first flow, the second may be the first.
        seen.changed_mind += u64::from(heard.len() > 1 || (other && !heard.is_empty()));
        if heard.contains(&true) || other {
            seen.right.push(token);
        }
        if heard.is_empty() && !other {
            *seen.gave_up.entry("custom-auth").or_default() += 1;
        }
    }

    /// Now that all is well again: who does not answer well?
    async fn broken(&self) -> u64 {
        let mut broken = 0;
        for round in 0..8 {
            let user = |function: &str| format!("{function}/after-{round}");
            let token = |function: &str| {
                let mut number = 1_000_000 + round * 1000;
                // One that Corbado accepts.
                while self.plan.number(("word", format!("{function}/{number}")), 10) == 0
                    || self.plan.number(("skew", format!("{function}/{number}")), 100) < 20
                {
                    number += 1;
                }
                self.login(function, number)
            };
            let append = |host: &str| json!({"username": user("post-append") + host}).to_string();
            let by_action = json!({"signedPasskeyData": token("post-login").token}).to_string();
            let by_page = login(&token("auth-api").token).into_event().to_string();
            let (append, action, page, laptop, sqs) = tokio::join!(
                self.invoke(&self.embedded, "post-append", append("")),
                self.invoke(&self.remote, "post-login", by_action),
                self.invoke(&self.embedded, "auth-api", by_page),
                self.invoke(&self.later.laptop, "post-append", append("-laptop")),
                self.invoke(&self.later.sqs, "post-append", append("-sqs")),
            );
            for answer in [append, action, page, laptop, sqs] {
                if answer.as_ref().is_none_or(|answer| answer["statusCode"] != 200) {
                    println!("after the storm: {answer:?}");
                    broken += 1;
                }
            }
        }
        broken
    }

    fn report(&self, stayed_broken: u64) -> Report {
        let seen = self.seen.lock().unwrap();
        let known = self.systems.known.lock().unwrap();
        let put = self.later.judge(&seen, &known);
        let users_told: HashSet<String> = known
            .tokens
            .iter()
            .filter(|(_, (_, told))| *told)
            .map(|(token, _)| tests::forge::claims(token)["webauthnId"].as_str().unwrap().to_owned())
            .collect();
        let store = rusqlite::Connection::open(self.embedded.store.path()).unwrap();
        let mut select = store.prepare("SELECT key, user_id FROM sessions").unwrap();
        let kept: HashSet<(Vec<u8>, String)> =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        let key = |id: &str| SessionId::parse(id).unwrap().key();

        let lost_pages = seen
            .by_page
            .iter()
            .filter(|(id, user)| !kept.contains(&(key(id).as_bytes().to_vec(), user.clone())));
        let lost_actions = seen
            .by_action
            .iter()
            .filter(|(id, user)| known.sessions.get(&domain::hex(key(id).as_bytes())) != Some(user));
        let without = kept.iter().map(|(_, user)| user).chain(known.sessions.values());
        let without = without.filter(|user| !users_told.contains(*user)).count();
        let wrongly_right =
            seen.right.iter().filter(|token| !known.tokens.get(*token).is_some_and(|(_, told)| *told));
        let twice = known.tokens.values().filter(|(asked, _)| *asked > 1);
        let count = |number: usize| u64::try_from(number).unwrap();

        let mut told = String::new();
        for (function, times) in &seen.calls {
            let mut times = times.clone();
            times.sort_unstable();
            let at = |part: usize| times[(times.len() - 1) * part / 100].as_millis();
            told += &format!(
                "{function}: {} invocations, p50 {} ms, p99 {} ms, most {} ms; given up after all attempts: {}\n",
                times.len(),
                at(50),
                at(99),
                at(100),
                seen.gave_up.get(function).copied().unwrap_or_default(),
            );
        }
        let faults: BTreeMap<_, _> = known.faults.iter().collect();
        told += &format!(
            "appended: {}, logged in: {} by pages, {} by the action, refused: {}, right answers to Cognito: {}\n",
            seen.asked.values().filter(|asked| asked.answered.is_some()).count(),
            seen.by_page.len(),
            seen.by_action.len(),
            seen.refused,
            seen.right.len(),
        );
        told += &format!("processes killed in an invocation: {}; requests by fault: {faults:?}", seen.ended);
        Report {
            flags_lost: count(lost_flags(&seen, &known)),
            put,
            without_success: count(without + wrongly_right.count()) + seen.skewed_in,
            sessions_lost: count(lost_pages.count() + lost_actions.count()),
            asked_twice: count(twice.count()),
            past_deadline: seen.timed_out,
            stayed_broken,
            changed_mind: seen.changed_mind,
            told,
        }
    }
}

/// Users who were told that it is done, or will be, and whose flag is not set; unless they switched it off since.
fn lost_flags(seen: &Seen, known: &Known) -> usize {
    let is_there = |user: &str| known.flags.get(user).is_some_and(|flag| flag.enabled || flag.switched_off);
    seen.asked.iter().filter(|(user, asked)| asked.answered.is_some() && !is_there(user)).count()
}
