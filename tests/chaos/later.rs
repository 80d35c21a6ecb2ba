//! Updates that are made later: two queues, the workers that empty them, and what is counted about them.
//!
//! A third of the appends may wait in the embedded queue, a third in one of SQS. Messages that are not ours are in both from the
//! start. Some of those who were answered switch MFA off afterwards, and that must stay.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::{Intent, Timestamp, UserIdentifier};
use events::Deferred;
use serde_json::{Value, json};
use tests::host::TestHost;

use crate::standins::{Known, StandIns, TIMEOUT};
use crate::storm::{Seen, Storm};

/// How long an invocation may take here. A worker stops three seconds before its end.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);
/// How long the updates may take before they are put off.
const PATIENCE_MS: &str = "600";
/// What the embedded queue's clock advances by from one look to the next: more than any pause.
const LEAP: u64 = 1000;
/// Batches that a worker takes in all. The test would not end if something stayed in a queue.
const MOST_BATCHES: u32 = 20_000;
/// The name of the workers among the functions.
pub(crate) const WORKER: &str = "post-append as worker";

/// The hosts whose updates may wait.
pub(crate) struct Later {
    pub(crate) laptop: TestHost,
    pub(crate) sqs: TestHost,
    /// Messages that nobody but us may have written, and somebody else did.
    forged: Vec<String>,
    no_more: AtomicBool,
    clock: AtomicU64,
    forgotten: AtomicU64,
}

/// The figures.
#[derive(Debug, Default)]
pub(crate) struct Put {
    pub(crate) deferred: u64,
    pub(crate) newer: u64,
    overwritten: u64,
    not_asked_for: u64,
    of_another_time: u64,
    stayed: u64,
    bad_pauses: u64,
    told: String,
}

impl Put {
    pub(crate) fn violations(&self) -> u64 {
        self.overwritten + self.not_asked_for + self.of_another_time + self.stayed + self.bad_pauses
    }
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "older updates over newer ones: {}", self.overwritten)?;
        writeln!(f, "flags of users who did not ask: {}", self.not_asked_for)?;
        writeln!(f, "flags set as of another time than that of the append: {}", self.of_another_time)?;
        writeln!(f, "messages of ours left in queues or set aside, forged ones taken: {}", self.stayed)?;
        writeln!(f, "pauses for deliveries that are not: {}", self.bad_pauses)?;
        f.write_str(&self.told)
    }
}

pub(crate) fn on_a_laptop() -> [(&'static str, &'static str); 3] {
    [("DEFER_QUEUE_URL", "embedded"), ("DEFER_AFTER_MS", PATIENCE_MS), ("DEFER_PACE_MS", "0")]
}

pub(crate) fn on_sqs<'a>(queue: &'a str, url: &'a str) -> [(&'static str, &'a str); 8] {
    [
        ("DEFER_QUEUE_URL", queue),
        ("DEFER_AFTER_MS", PATIENCE_MS),
        ("DEFER_PACE_MS", "5"),
        // Here an update is written in any case, so that it is not this that keeps a newer state.
        ("MFA_WHEN_ALREADY_SET", "prefer-passkey"),
        ("AWS_ENDPOINT_URL_SQS", url),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
}

impl Later {
    pub(crate) fn start(laptop: TestHost, sqs: TestHost) -> Self {
        Self {
            laptop,
            sqs,
            forged: forged(),
            no_more: AtomicBool::new(false),
            clock: AtomicU64::new(tests::now()),
            forgotten: AtomicU64::new(0),
        }
    }

    /// Puts messages into both queues that are not ours.
    pub(crate) fn plant(&self, systems: &StandIns) {
        let store = rusqlite::Connection::open(self.laptop.store.path()).unwrap();
        let mut known = systems.known.lock().unwrap();
        for (number, body) in self.forged.iter().enumerate() {
            let name = format!("forged-{number}");
            store
                .execute(
                    "INSERT INTO deferred (name, of_group, message, due) VALUES (?1, ?1, ?2, 0)",
                    [&name, body],
                )
                .unwrap();
            known.queue.send(name.clone(), name, body.clone());
        }
    }

    /// From now on nothing new is put off.
    pub(crate) fn no_more(&self) {
        self.no_more.store(true, Ordering::Relaxed);
    }

    /// What the embedded queue keeps.
    fn kept(&self) -> Vec<String> {
        let store = rusqlite::Connection::open(self.laptop.store.path()).unwrap();
        let mut select = store.prepare("SELECT message FROM deferred").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Compares what was asked with what there is.
    pub(crate) fn judge(&self, seen: &Seen, known: &Known) -> Put {
        let count = |number: usize| u64::try_from(number).unwrap();
        let after = |user: &str| user.starts_with("post-append/after-");
        let asked_for = |user: &str| after(user) || seen.asked.contains_key(user);
        let of_another_time = known.flags.iter().filter(|(user, flag)| {
            let asked = seen.asked.get(*user).filter(|_| !flag.switched_off);
            asked.is_some_and(|asked| {
                flag.last < asked.from || asked.answered.is_some_and(|(to, _)| flag.last > to)
            })
        });
        let forged: HashSet<_> = self.forged.iter().map(String::as_str).collect();
        let (kept, in_sqs) = (self.kept(), known.queue.kept().count());
        let is_forged = |message: &&String| forged.contains(message.as_str());
        // There is no place beside the embedded queue for what fails for ever: it stays.
        let stayed = [&kept, &known.queue.dead].map(|messages| {
            let found = messages.iter().filter(is_forged).count();
            messages.len() - found + forged.len() - found
        });
        let deferred = seen.asked.values().filter(|asked| asked.answered.is_some_and(|(_, later)| later));
        let newer = known.flags.values().filter(|flag| flag.switched_off).count();
        let deferred = count(deferred.count());
        Put {
            deferred,
            newer: count(newer),
            overwritten: known.overwritten,
            not_asked_for: count(known.flags.keys().filter(|user| !asked_for(user)).count()),
            of_another_time: count(of_another_time.count()),
            stayed: count(stayed[0] + stayed[1] + in_sqs),
            bad_pauses: known.queue.bad_pauses,
            told: format!(
                "put off: {deferred}, switched off afterwards: {newer}, workers killed: {}, batches whose answer was lost: {}, pauses: {}, \
                 forged messages left: {} in the file, {} set aside",
                seen.workers_ended,
                self.forgotten.load(Ordering::Relaxed),
                known.queue.pauses,
                kept.len(),
                known.queue.dead.len(),
            ),
        }
    }
}

/// Messages with bad seals: a made-up one, one of another message, another's; and one that is no message.
fn forged() -> Vec<String> {
    let intent =
        |user: &str, at| Intent { user: UserIdentifier::new(user).unwrap(), at: Timestamp::from_secs(at) };
    let seal = |text: &str| tests::host::secret().sign("post-append-deferred", 0, text.as_bytes());
    let other = webhooks::SigningSecret::parse("whsec_b3RoZXIgc2VjcmV0IG9mIHRlc3RzIGZvciBldmU=").unwrap();
    let now = tests::now();
    vec![
        Deferred::write(&intent("post-append/forged-0", now), |_| "v1,AAAA".to_owned()).unwrap(),
        Deferred::write(&intent("post-append/forged-1", now), |text| seal(&text.replace('1', "2"))).unwrap(),
        // Of a user who asks, too, as of a time to come.
        Deferred::write(&intent("post-append/1", now + 1_000_000), |text| {
            other.sign("post-append-deferred", 0, text.as_bytes())
        })
        .unwrap(),
        "forged".to_owned(),
    ]
}

impl Storm {
    /// A user who was answered may switch MFA off: at once, or between the worker's look at the flags and its write.
    pub(crate) fn change_later(&self, user: &str, deferred: bool) {
        let mut known = self.systems.known.lock().unwrap();
        match self.plan.number(("off", user), 16) {
            0..4 if deferred => {
                known.about_to_switch_off.insert(user.to_owned());
            }
            4 | 5 => known.switch_off(user),
            _ => {}
        }
    }

    /// Delivers what was put off, two batches at a time from each queue, until nothing is left.
    pub(crate) async fn deliver(&self) {
        let workers = (self.empty_file(), self.empty_file(), self.empty_sqs(0), self.empty_sqs(1));
        tokio::join!(workers.0, workers.1, workers.2, workers.3);
    }

    /// As the local host does it. The clocks of the two may be far apart: then a message is delivered twice at once.
    async fn empty_file(&self) {
        let invoker = self.later.laptop.host.invoker();
        for _ in 0..MOST_BATCHES {
            let last = self.later.no_more.load(Ordering::Relaxed);
            let now = Timestamp::from_secs(self.later.clock.fetch_add(LEAP, Ordering::Relaxed));
            let started = Instant::now();
            // A store that is locked is one later.
            let _ = sandbox::deferred::deliver(&invoker, &self.later.laptop.store, now).await;
            {
                let mut seen = self.seen.lock().unwrap();
                seen.calls.entry(WORKER).or_default().push(started.elapsed());
                seen.timed_out += u64::from(started.elapsed() > DEADLINE + TIMEOUT + TIMEOUT);
            }
            if last && self.later.kept().iter().all(|it| self.later.forged.contains(it)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// As Lambda's poller does it.
    async fn empty_sqs(&self, worker: u64) {
        for turn in 0..MOST_BATCHES {
            let last = self.later.no_more.load(Ordering::Relaxed);
            let batch = self.systems.known.lock().unwrap().queue.receive();
            let records: Vec<_> = batch.iter().map(|(_, record)| record).collect();
            let mut left = None;
            if !batch.is_empty() {
                let event = json!({"Records": records}).to_string();
                left = self.work(event).await.map(|answer| names(&answer["batchItemFailures"]));
                // The poller may go down, too.
                if self.plan.number(("forgotten", worker, turn), 30) == 0 {
                    self.later.forgotten.fetch_add(1, Ordering::Relaxed);
                    left = None;
                }
            }
            {
                let mut known = self.systems.known.lock().unwrap();
                for (id, _) in &batch {
                    let is_done = left.as_ref().is_some_and(|left| !left.contains(&id.to_string()));
                    known.queue.end(*id, is_done);
                }
                if last && known.queue.kept().next().is_none() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn work(&self, event: String) -> Option<Value> {
        self.invoke_as(WORKER, &self.later.sqs, "post-append", event).await
    }
}

fn names(failures: &Value) -> HashSet<String> {
    failures.as_array().unwrap().iter().map(|it| it["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}
