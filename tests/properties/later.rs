//! Updates that are made later: the embedded queue, and post-append on both of its ends.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{Deferrals, Intent, Timestamp, UserIdentifier};
use lambda::{CallerPolicy, Edge, Invocation};
use post_append::App;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use sqlite::{Delivery, Store};

use crate::{START, config, run, store, user};

// ---- the queue ----

/// Far more than a history's small waits, and than the run takes: put_off reads a clock of its own.
const AGE: Duration = Duration::from_secs(100_000);

#[derive(Debug, Clone)]
enum QueueStep {
    WaitSeconds(u64),
    WaitAnAge,
    Defer { user: u8, at: u64 },
    Deliver { limit: u32 },
    PutOff { receipt: usize, ages: u32 },
    Done { receipt: usize },
}

fn queue_step() -> impl Strategy<Value = QueueStep> {
    prop_oneof![
        2 => prop_oneof![Just(1u64), Just(29), Just(30)].prop_map(QueueStep::WaitSeconds),
        1 => Just(QueueStep::WaitAnAge),
        5 => (0..3u8, 0..3u64).prop_map(|(user, at)| QueueStep::Defer { user, at }),
        5 => (1..4u32).prop_map(|limit| QueueStep::Deliver { limit }),
        2 => (0..3usize, 0..3u32).prop_map(|(receipt, ages)| QueueStep::PutOff { receipt, ages }),
        6 => (0..3usize).prop_map(|receipt| QueueStep::Done { receipt }),
    ]
}

fn intent(number: u8, at: u64) -> Intent {
    Intent { user: user(number), at: Timestamp::from_millis(START + at) }
}

#[derive(Debug)]
struct Kept {
    user: u8,
    at: u64,
    due: Timestamp,
    deliveries: u32,
}

proptest! {
    #![proptest_config(config())]

    /// A message is kept once, delivered when it is due and the oldest of its user, and until it is done.
    #[test]
    fn the_embedded_queue_is_its_model(steps in vec(queue_step(), 1..40)) {
        let (store, _folder) = store();
        let mut now = Timestamp::from(SystemTime::now());
        // In order of arrival.
        let mut model: Vec<Kept> = Vec::new();
        let mut receipts: Vec<(String, (u8, u64))> = Vec::new();
        for step in steps {
            match step {
                QueueStep::WaitSeconds(seconds) => now = now.plus(Duration::from_secs(seconds)),
                QueueStep::WaitAnAge => now = now.plus(AGE),
                QueueStep::Defer { user, at } => {
                    run(store.defer(&intent(user, at), &format!("{user} {at}"))).unwrap();
                    if !model.iter().any(|it| (it.user, it.at) == (user, at)) {
                        model.push(Kept { user, at, due: Timestamp::from_millis(0), deliveries: 0 });
                    }
                }
                QueueStep::Deliver { limit } => {
                    let delivered = run(store.deliver(limit, now)).unwrap();
                    let mut users = HashSet::new();
                    let mut oldest: Vec<_> = model.iter_mut().filter(|it| users.insert(it.user)).collect();
                    oldest.retain(|it| it.due <= now);
                    prop_assert_eq!(delivered.len(), oldest.len().min(usize::try_from(limit).unwrap()));
                    for Delivery { receipt, message, deliveries } in delivered {
                        let known = oldest.iter_mut().find(|it| format!("{} {}", it.user, it.at) == message);
                        let known = known.ok_or_else(|| TestCaseError::fail(format!("{message} is not due")))?;
                        known.due = now.plus(Duration::from_secs(30));
                        known.deliveries += 1;
                        prop_assert_eq!(deliveries, known.deliveries);
                        receipts.push((receipt, (known.user, known.at)));
                    }
                }
                QueueStep::PutOff { receipt, ages } => {
                    let Some((receipt, name)) = receipts.iter().rev().nth(receipt) else { continue };
                    // Half an age more, so that the two clocks may differ.
                    let pause = AGE * ages + AGE / 2;
                    run(store.put_off(receipt, pause)).unwrap();
                    let due = Timestamp::from(SystemTime::now()).plus(pause);
                    model.iter_mut().filter(|it| (it.user, it.at) == *name).for_each(|it| it.due = due);
                }
                QueueStep::Done { receipt } => {
                    let Some((receipt, name)) = receipts.iter().rev().nth(receipt) else { continue };
                    run(store.done(receipt)).unwrap();
                    // Also where the receipt is an old one: other messages stay.
                    model.retain(|it| (it.user, it.at) != *name);
                }
            }
        }
    }
}

// ---- post-append ----

/// How the directory is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    /// It takes no update.
    Closed,
    /// It does not even find anybody.
    Away,
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Directory(Mood),
    /// A passkey is created; twice at the same time, perhaps.
    Append {
        user: usize,
        twice: bool,
    },
    /// The user switches MFA off, elsewhere.
    SwitchOff {
        user: usize,
    },
    /// What is due is delivered, as the poller does it.
    Poll,
    /// Messages come in any order, once more, after they were done: a queue delivers at least once.
    Stray(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let mood = prop_oneof![3 => Just(Mood::Well), 2 => Just(Mood::Closed), 2 => Just(Mood::Away)];
    prop_oneof![
        1 => (1..5000u64).prop_map(Step::Wait),
        3 => mood.prop_map(Step::Directory),
        6 => (0..USERS.len(), any::<bool>()).prop_map(|(user, twice)| Step::Append { user, twice }),
        2 => (0..USERS.len()).prop_map(|user| Step::SwitchOff { user }),
        3 => Just(Step::Poll),
        3 => vec(0..20usize, 1..6).prop_map(Step::Stray),
    ]
}

/// Two without a second factor, and one with another.
const USERS: [&str; 3] = ["usr-ada", "usr-twin-1", "usr-grace"];

#[derive(Debug, Clone, Copy, PartialEq)]
struct Flags {
    enabled: bool,
    passkey: bool,
    last: Option<u64>,
}

struct Model {
    prefer: bool,
    mood: Mood,
    users: BTreeMap<&'static str, Flags>,
    /// In order of arrival: user, time.
    queue: Vec<(&'static str, u64)>,
}

impl Model {
    fn wants(&self, user: &str) -> bool {
        let flags = self.users[user];
        !flags.enabled || (self.prefer && !flags.passkey)
    }

    /// Whether it is done at once.
    fn append(&mut self, user: &'static str, at: u64) -> bool {
        if self.mood != Mood::Away && !self.wants(user) {
            return true;
        }
        if self.mood == Mood::Well {
            self.users.insert(user, Flags { enabled: true, passkey: true, last: Some(at) });
            return true;
        }
        if !self.queue.contains(&(user, at)) {
            self.queue.push((user, at));
        }
        false
    }

    /// Which of a batch come again, by their places.
    fn work(&mut self, batch: &[(&'static str, u64)]) -> Vec<usize> {
        let mut left = Vec::new();
        let mut stuck = HashSet::new();
        for (place, &(user, at)) in batch.iter().enumerate() {
            let outdated = self.users[user].last >= Some(at);
            let is_done = !stuck.contains(user)
                && match self.mood {
                    Mood::Away => false,
                    _ if outdated || !self.wants(user) => true,
                    Mood::Closed => false,
                    Mood::Well => {
                        self.users.insert(user, Flags { enabled: true, passkey: true, last: Some(at) });
                        true
                    }
                };
            if !is_done {
                left.push(place);
                stuck.insert(user);
            }
        }
        left
    }
}

/// post-append on a store of its own, which is directory and queue.
struct Laptop {
    edge: Edge<App>,
    store: Store,
    mood: Mood,
    /// Later than any pause.
    clock: Timestamp,
    _folder: tempfile::TempDir,
}

impl Laptop {
    fn start(policy: &str) -> Self {
        let (store, folder) = store();
        run(store.seed(&sqlite::seed::DEMO_USERS)).unwrap();
        let path = store.path().display().to_string();
        let mut settings = tests::settings(&[
            ("AUTH_SYSTEM", "embedded"),
            ("EMBEDDED_STORE", &path),
            ("MFA_WHEN_ALREADY_SET", policy),
            ("DEFER_QUEUE_URL", "embedded"),
            ("DEFER_AFTER_MS", "20000"),
            ("DEFER_PACE_MS", "0"),
            ("ACTION_SIGNING_SECRETS", "whsec_b3RoZXIgc2VjcmV0IG9mIHRlc3RzIGZvciBldmU="),
        ]);
        let app = App::from_settings(&mut settings);
        let callers = CallerPolicy::from_settings(&mut settings);
        let edge = settings.finish(app.zip(callers)).map(|(app, callers)| Edge::new(app, callers)).unwrap();
        let clock = Timestamp::from(SystemTime::now());
        Self { edge, store, mood: Mood::Well, clock, _folder: folder }
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.store.path()).unwrap()
    }

    fn is(&mut self, mood: Mood) {
        let back = match self.mood {
            Mood::Well => "",
            Mood::Closed => "DROP TRIGGER closed;",
            Mood::Away => "ALTER TABLE users_away RENAME TO users;",
        };
        let on = match mood {
            Mood::Well => "",
            Mood::Closed => {
                "CREATE TRIGGER closed BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'x'); END;"
            }
            Mood::Away => "ALTER TABLE users RENAME TO users_away;",
        };
        self.sql().execute_batch(&format!("{back}{on}")).unwrap();
        self.mood = mood;
    }

    fn switch_off(&mut self, user: &str, at: u64) {
        let mood = self.mood;
        self.is(Mood::Well);
        let off =
            "UPDATE users SET mfa_enabled = 0, preferred_mfa = NULL, last_mfa_update = ?2 WHERE id = ?1";
        assert_eq!(self.sql().execute(off, rusqlite::params![user, at]), Ok(1));
        self.is(mood);
    }

    fn flags(&self, user: &str) -> Flags {
        let table = if self.mood == Mood::Away { "users_away" } else { "users" };
        let select = format!(
            "SELECT mfa_enabled, preferred_mfa IS 'passkey', last_mfa_update FROM {table} WHERE id = ?1"
        );
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Flags { enabled: row.get(0)?, passkey: row.get(1)?, last: row.get(2)? })
        };
        self.sql().query_row(&select, [user], read).unwrap()
    }

    fn invoke(&self, event: &Value, now: u64) -> Value {
        let invocation = Invocation { request_id: "r", trace_id: None, deadline: None };
        let now = UNIX_EPOCH + Duration::from_millis(now);
        let answer = run(self.edge.respond(&event.to_string(), invocation, now)).unwrap();
        serde_json::from_str(answer.get()).unwrap()
    }

    /// The text of the newest message.
    fn newest(&self) -> String {
        self.sql()
            .query_row("SELECT message FROM deferred ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
            .unwrap()
    }

    /// Hands messages over: (receipt, text). Tells the places of those that come again.
    fn hand_over(&self, messages: &[(String, String)], now: u64) -> Vec<usize> {
        if messages.is_empty() {
            return Vec::new();
        }
        let records = messages.iter().enumerate().map(|(place, (receipt, body))| {
            json!({"messageId": place.to_string(), "receiptHandle": receipt, "body": body, "eventSource": "aws:sqs"})
        });
        let answer = self.invoke(&json!({"Records": records.collect::<Vec<_>>()}), now);
        let failures = answer["batchItemFailures"].as_array().unwrap().iter();
        failures.map(|it| it["itemIdentifier"].as_str().unwrap().parse().unwrap()).collect()
    }
}

fn who(message: &str) -> (&'static str, u64) {
    let intent = events::Deferred::parse(message).unwrap().intent;
    let user = |user: &UserIdentifier| *USERS.iter().find(|known| **known == user.as_str()).unwrap();
    (user(&intent.user), intent.at.as_millis())
}

/// One delivery of all that is due, and what must come of it.
fn poll(laptop: &mut Laptop, model: &mut Model, now: u64) -> Result<(), TestCaseError> {
    laptop.clock = laptop.clock.plus(Duration::from_secs(100_000));
    let delivered = run(laptop.store.deliver(10, laptop.clock)).unwrap();
    let messages: Vec<_> = delivered.into_iter().map(|it| (it.receipt, it.message)).collect();
    let batch: Vec<_> = messages.iter().map(|(_, message)| who(message)).collect();
    let mut users = HashSet::new();
    let oldest: HashSet<_> = model.queue.iter().filter(|(user, _)| users.insert(*user)).copied().collect();
    prop_assert_eq!(batch.iter().copied().collect::<HashSet<_>>(), oldest);
    let left = laptop.hand_over(&messages, now);
    prop_assert_eq!(&left, &model.work(&batch));
    for (place, (receipt, _)) in messages.iter().enumerate().filter(|(place, _)| !left.contains(place)) {
        run(laptop.store.done(receipt)).unwrap();
        model.queue.retain(|kept| *kept != batch[place]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    /// Whatever fails, and in whatever order and however often messages come: no flag is lost, nothing older is written over
    /// anything newer, and in the end nothing is left.
    #[test]
    fn updates_that_are_made_later_are_their_model(steps in vec(step(), 1..40), prefer in any::<bool>()) {
        let mut laptop = Laptop::start(if prefer { "prefer-passkey" } else { "keep" });
        let users = USERS.map(|user| (user, laptop.flags(user)));
        let mut model = Model { prefer, mood: Mood::Well, users: users.into(), queue: Vec::new() };
        let mut messages: Vec<String> = Vec::new();
        // Of each user the last append, and when it was switched off.
        let mut appended: BTreeMap<&str, u64> = BTreeMap::new();
        let mut off: BTreeMap<&str, u64> = BTreeMap::new();
        let mut now = START;
        for step in steps {
            now += 1;
            match step {
                Step::Wait(millis) => now += millis,
                Step::Directory(mood) => {
                    laptop.is(mood);
                    model.mood = mood;
                }
                Step::Append { user, twice } => {
                    let user = USERS[user];
                    for _ in 0..1 + usize::from(twice) {
                        let kept = model.queue.len();
                        let body = if model.append(user, now) { json!({}) } else { json!({"deferred": true}) };
                        let answer = laptop.invoke(&json!({"username": user}), now);
                        prop_assert_eq!(answer, json!({"statusCode": 200, "body": body}));
                        if model.queue.len() > kept {
                            messages.push(laptop.newest());
                            prop_assert_eq!(who(&laptop.newest()), (user, now));
                        }
                        appended.insert(user, now);
                    }
                }
                Step::SwitchOff { user } => {
                    let user = USERS[user];
                    laptop.switch_off(user, now);
                    model.users.insert(user, Flags { enabled: false, passkey: false, last: Some(now) });
                    off.insert(user, now);
                }
                Step::Poll => poll(&mut laptop, &mut model, now)?,
                Step::Stray(places) => {
                    let stray: Vec<_> = places.iter().filter_map(|place| messages.get(*place)).collect();
                    if stray.is_empty() {
                        continue;
                    }
                    let batch: Vec<_> = stray.iter().map(|message| who(message)).collect();
                    // Receipts that nothing goes with.
                    let stray: Vec<_> = stray.into_iter().map(|it| ("0".to_owned(), it.clone())).collect();
                    prop_assert_eq!(laptop.hand_over(&stray, now), model.work(&batch));
                }
            }
            for user in USERS {
                let (before, flags) = (model.users[user], laptop.flags(user));
                prop_assert_eq!(flags, before, "{}", user);
            }
        }

        laptop.is(Mood::Well);
        model.mood = Mood::Well;
        for _ in 0..model.queue.len() {
            poll(&mut laptop, &mut model, now)?;
        }
        prop_assert!(model.queue.is_empty(), "{:?}", model.queue);
        prop_assert_eq!(run(laptop.store.deliver(10, laptop.clock.plus(AGE))).unwrap(), []);
        // What needs no model.
        for (user, at) in appended {
            let flags = laptop.flags(user);
            if off.get(user).is_some_and(|off| *off > at) {
                prop_assert_eq!(flags, Flags { enabled: false, passkey: false, last: off.get(user).copied() });
            } else {
                prop_assert!(flags.enabled && (flags.passkey || !prefer), "{}: lost", user);
            }
        }
    }
}
