//! What keeps state, against a model of it: made-up histories of calls, each answer compared.
//!
//! The histories come from a fixed seed, so a run repeats itself; `PROPERTIES_SEED` takes another and `PROPTEST_CASES` more of
//! them. One that failed is kept in `properties.regressions`, and tried first from then on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "properties/later.rs"]
mod later;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{
    Answer, Begun, Claim, FlowKey, FlowNonce, Inspected, Judgement, LoginProof, LoginProofs, NoJudgement,
    NotVerified, PasskeyClaims, PasskeyVerifier, Rate, RateKey, RateLimiter, Reason, Rejection, ReplayGuard,
    ReplayKey, Session, SessionId, SessionKey, SessionStore, SignedPasskeyData, Timestamp, Unavailable,
    UserIdentifier, Verdict, VerdictLog, Wrong, judge, resume,
};
use events::custom_auth::CUSTOM_CHALLENGE;
use events::{Defined, Round};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};
use secrecy::SecretString;
use sqlite::Store;
use tempfile::TempDir;

const START: u64 = 1_767_225_600_000;

fn config() -> ProptestConfig {
    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/properties.regressions");
    let seed = std::env::var("PROPERTIES_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(KEPT))),
        ..ProptestConfig::default()
    }
}

/// A store of its own for each history.
fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::new(folder.path().join("store.sqlite"), Duration::from_secs(5)), folder)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn user(number: u8) -> UserIdentifier {
    UserIdentifier::new(format!("usr-{number}")).unwrap()
}

// ---- the replay guard and the log of verdicts, which share their records ----

#[derive(Debug, Clone)]
enum LogStep {
    Wait(u64),
    Claim { key: u8, lasts: u64 },
    Begin { key: u8, flow: u8, lasts: u64 },
    Conclude { key: u8, flow: u8, verdict: Verdict },
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![Just(Verdict::Accepted), Just(Verdict::Refused), Just(Verdict::Unknown)]
}

fn log_step() -> impl Strategy<Value = LogStep> {
    let lasts = prop_oneof![Just(0u64), 1..2000u64, Just(10_000)];
    prop_oneof![
        1 => (0..3000u64).prop_map(LogStep::Wait),
        2 => (0..3u8, lasts.clone()).prop_map(|(key, lasts)| LogStep::Claim { key, lasts }),
        4 => (0..3u8, 0..3u8, lasts).prop_map(|(key, flow, lasts)| LogStep::Begin { key, flow, lasts }),
        4 => (0..3u8, 0..3u8, verdict()).prop_map(|(key, flow, verdict)| LogStep::Conclude { key, flow, verdict }),
    ]
}

struct Record {
    expires: u64,
    flow: Option<u8>,
    verdict: Option<Verdict>,
}

fn answer_key(number: u8) -> ReplayKey {
    ReplayKey::token(&SignedPasskeyData::new(format!("token-{number}")))
}

fn flow_key(number: u8) -> FlowKey {
    FlowKey::new(&user(0), &FlowNonce::from_random([number; 32]))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_log_of_verdicts_is_its_model(steps in vec(log_step(), 1..40)) {
        let (store, _folder) = store();
        let mut model: HashMap<u8, Record> = HashMap::new();
        let mut now = START;
        for step in steps {
            let at = Timestamp::from_millis(now);
            let until = |lasts| Timestamp::from_millis(now + lasts);
            match step {
                LogStep::Wait(millis) => now += millis,
                LogStep::Claim { key, lasts } => {
                    model.retain(|_, record| record.expires > now);
                    let expected = if model.contains_key(&key) { Claim::Replayed } else { Claim::First };
                    model.entry(key).or_insert(Record { expires: now + lasts, flow: None, verdict: None });
                    prop_assert_eq!(run(store.claim(answer_key(key), until(lasts), at)).unwrap(), expected);
                }
                LogStep::Begin { key, flow, lasts } => {
                    model.retain(|_, record| record.expires > now);
                    let expected = match model.get(&key) {
                        None => Begun::First,
                        Some(record) if record.flow != Some(flow) => Begun::Foreign,
                        Some(Record { verdict: Some(verdict), .. }) => Begun::Judged(*verdict),
                        Some(_) => Begun::Open,
                    };
                    model.entry(key).or_insert(Record { expires: now + lasts, flow: Some(flow), verdict: None });
                    let begun = run(store.begin(answer_key(key), flow_key(flow), until(lasts), at)).unwrap();
                    prop_assert_eq!(begun, expected);
                }
                LogStep::Conclude { key, flow, verdict } => {
                    let may = model.get_mut(&key).filter(|record| {
                        record.flow == Some(flow) && record.verdict.is_none_or(|known| known == verdict)
                    });
                    let expected = may.is_some();
                    if let Some(record) = may {
                        record.verdict = Some(verdict);
                    }
                    let concluded = run(store.conclude(answer_key(key), flow_key(flow), verdict));
                    prop_assert_eq!(concluded.is_ok(), expected);
                }
            }
        }
    }
}

// ---- sessions ----

#[derive(Debug, Clone)]
enum SessionStep {
    Wait(u64),
    Create { key: u8, user: u8, lasts: u64 },
    Resume { key: u8 },
    Revoke { key: u8 },
    RevokeAll { user: u8 },
}

fn session_step() -> impl Strategy<Value = SessionStep> {
    let seconds = prop_oneof![0..5u64, 50..70u64, 100..700u64];
    prop_oneof![
        4 => seconds.prop_map(|seconds| SessionStep::Wait(seconds * 1000)),
        2 => (0..4u8, 0..2u8, 60..1200u64).prop_map(|(key, user, lasts)| SessionStep::Create { key, user, lasts }),
        6 => (0..4u8).prop_map(|key| SessionStep::Resume { key }),
        1 => (0..4u8).prop_map(|key| SessionStep::Revoke { key }),
        1 => (0..2u8).prop_map(|user| SessionStep::RevokeAll { user }),
    ]
}

fn session_key(number: u8) -> SessionKey {
    SessionId::from_random([number; 32]).key()
}

proptest! {
    #![proptest_config(config())]

    /// A session resumes until its end, unless it rested for more than `idle` and a minute, or was revoked; and not later.
    #[test]
    fn sessions_are_their_model(steps in vec(session_step(), 1..60), idle in prop_oneof![Just(None), (60..400u64).prop_map(Some)]) {
        let (store, _folder) = store();
        let mut model: HashMap<u8, (u8, u64, u64)> = HashMap::new();
        let mut now = START;
        let rest = idle.map(Duration::from_secs);
        for step in steps {
            let at = Timestamp::from_millis(now);
            match step {
                SessionStep::Wait(millis) => now += millis,
                SessionStep::Create { key, user: owner, lasts } => {
                    model.retain(|_, (_, expires, _)| *expires > now);
                    let session = Session::new(user(owner), at, Duration::from_secs(lasts));
                    let created = run(store.create(session_key(key), &session));
                    // An id is never given out twice; if it were, the first would stay.
                    prop_assert_eq!(created.is_ok(), !model.contains_key(&key));
                    model.entry(key).or_insert((owner, now + lasts * 1000, now));
                }
                SessionStep::Resume { key } => {
                    let expected = match model.get_mut(&key) {
                        Some((owner, expires, seen)) if *expires > now => {
                            if idle.is_some_and(|idle| *seen + 60_000 + idle * 1000 <= now) {
                                model.remove(&key);
                                None
                            } else {
                                if idle.is_some() && *seen + 60_000 <= now {
                                    *seen = now;
                                }
                                Some((user(*owner), *expires))
                            }
                        }
                        _ => None,
                    };
                    let resumed = run(resume(&store, session_key(key), rest, at)).unwrap();
                    prop_assert_eq!(resumed.map(|it| (it.user, it.expires.as_millis())), expected);
                }
                SessionStep::Revoke { key } => {
                    model.remove(&key);
                    run(store.revoke(session_key(key))).unwrap();
                }
                SessionStep::RevokeAll { user: owner } => {
                    model.retain(|_, (known, ..)| *known != owner);
                    run(store.revoke_all(&user(owner))).unwrap();
                }
            }
        }
    }

    // ---- the rate limiter ----

    /// Of all hits within a minute of the clock, the first `limit` are within; the wait that is told leads into the next one.
    /// Clocks of two functions may differ, so time may also go back.
    #[test]
    fn the_rate_limiter_is_its_model(hits in vec((0..2u8, -30_000..90_000i64), 1..60), limit in 1..6u32) {
        let (store, _folder) = store();
        let mut model: HashMap<u8, (u64, u32)> = HashMap::new();
        let mut now = START;
        for (key, step) in hits {
            now = now.checked_add_signed(step).unwrap();
            let window = now / 60_000;
            // What has ended by this clock is cleared away, whoever's it is.
            model.retain(|_, (known, _)| (*known + 1) * 60_000 > now);
            let (known, count) = model.entry(key).or_insert((window, 0));
            if *known == window {
                *count = (*count + 1).min(limit + 1);
            } else {
                (*known, *count) = (window, 1);
            }
            let expected = *count <= limit;
            let rate = run(store.hit(RateKey::new("property", &key.to_string()), limit, Timestamp::from_millis(now)));
            match rate.unwrap() {
                Rate::Within => prop_assert!(expected),
                Rate::Exceeded { retry_after } => {
                    prop_assert!(!expected);
                    let then = now + u64::try_from(retry_after.as_millis()).unwrap();
                    prop_assert!(then / 60_000 > window && retry_after <= Duration::from_secs(60));
                }
            }
        }
    }
}

// ---- custom authentication ----

/// What Corbado does about a token.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    Success,
    Refusal,
    Failure,
    /// The process is killed while it waits.
    Killed,
}

/// Corbado, which counts how often it is asked.
struct Corbado<'a> {
    word: Word,
    asked: &'a AtomicUsize,
}

impl PasskeyVerifier for Corbado<'_> {
    /// A token is `<user> <number>`.
    fn inspect(&self, token: SignedPasskeyData, now: Timestamp) -> Result<Inspected, Rejection> {
        let webauthn_id = token.expose().split(' ').next().unwrap().to_owned();
        let claims = PasskeyClaims {
            algorithm: "RS256".into(),
            issuer: "pro".into(),
            subject: "sub".into(),
            webauthn_id,
            expires: Timestamp::from_millis(START + 300_000),
            not_before: None,
        };
        claims.check(token, "pro", now)
    }

    async fn prepare(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn confirm(&self, _: &Inspected) -> Result<(), NotVerified> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.word {
            Word::Success => Ok(()),
            Word::Refusal => Err(Rejection::Verdict("invalid_signature").into()),
            Word::Failure => Err(Unavailable::new("corbado", Reason::Timeout).into()),
            Word::Killed => std::future::pending().await,
        }
    }
}

#[derive(Debug, Clone)]
struct Verify {
    wait: u64,
    signs_in: u8,
    named: u8,
    token: u8,
    flow: u8,
    known: bool,
    word: Word,
}

fn verify() -> impl Strategy<Value = Verify> {
    let word = prop_oneof![
        4 => Just(Word::Success),
        2 => Just(Word::Refusal),
        1 => Just(Word::Failure),
        1 => Just(Word::Killed),
    ];
    let wait = prop_oneof![8 => 0..2000u64, 1 => 0..200_000u64];
    (wait, 0..2u8, 0..2u8, 0..3u8, 0..2u8, prop::bool::weighted(0.9), word).prop_map(
        |(wait, signs_in, named, token, flow, known, word)| Verify {
            wait,
            signs_in,
            named,
            token,
            flow,
            known,
            word,
        },
    )
}

/// What is recorded of a token: for whom in which flow, and the verdict.
type Recorded = (u8, u8, Option<Verdict>);

proptest! {
    #![proptest_config(config())]

    /// Every answer of a token in every flow, in any order, broken off or not: Corbado is asked once a token, what was right
    /// stays right in its flow, what was wrong stays wrong, and no other flow hears of it.
    #[test]
    fn judgements_are_their_model(steps in vec(verify(), 1..30)) {
        let (store, _folder) = store();
        let asked = AtomicUsize::new(0);
        let mut model: HashMap<(u8, u8), Recorded> = HashMap::new();
        let mut now = START;
        for step in steps {
            now += step.wait;
            let before = asked.load(Ordering::Relaxed);
            let (signs_in, flow) = (user(step.signs_in), FlowNonce::from_random([step.flow; 32]));
            let text = SecretString::from(format!("usr-{} {}", step.named, step.token));
            let answer = Answer { text: &text, user: &signs_in, may_sign_in: step.known, flow: &flow };
            let verifier = Corbado { word: step.word, asked: &asked };
            let judged = run(async {
                let judged = judge(&verifier, &store, None, &answer, Timestamp::from_millis(now));
                tokio::select! {
                    biased;
                    judged = judged => Some(judged),
                    // The store works on a thread of its own; Corbado, when it kills, never comes back.
                    () = async {
                        while step.word != Word::Killed || asked.load(Ordering::Relaxed) == before {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    } => None,
                }
            });

            let expired = now >= START + 360_000;
            let mut asks = false;
            let expected = if expired {
                Some(Ok(Judgement::Wrong(Rejection::Expired.into())))
            } else if step.named != step.signs_in {
                Some(Ok(Judgement::Wrong(Rejection::OtherUser.into())))
            } else {
                match model.get(&(step.named, step.token)) {
                    Some((of, flow, _)) if (*of, *flow) != (step.signs_in, step.flow) => {
                        Some(Ok(Judgement::Wrong(Rejection::Replayed.into())))
                    }
                    Some((_, _, None)) => Some(Ok(Judgement::Open)),
                    Some((_, _, Some(Verdict::Accepted))) => Some(Ok(Judgement::Correct)),
                    Some((_, _, Some(Verdict::Refused))) => Some(Ok(Judgement::Wrong(Wrong::RefusedBefore))),
                    Some((_, _, Some(Verdict::Unknown))) => Some(Err(NoJudgement::Lost)),
                    None => {
                        asks = true;
                        let (verdict, told) = match step.word {
                            Word::Success if step.known => (Some(Verdict::Accepted), Some(Ok(Judgement::Correct))),
                            Word::Success => (Some(Verdict::Refused), Some(Ok(Judgement::Wrong(Wrong::User)))),
                            Word::Refusal => {
                                let wrong = Rejection::Verdict("invalid_signature");
                                (Some(Verdict::Refused), Some(Ok(Judgement::Wrong(wrong.into()))))
                            }
                            Word::Failure => {
                                let cause = Unavailable::new("corbado", Reason::Timeout);
                                (Some(Verdict::Unknown), Some(Err(cause.into())))
                            }
                            Word::Killed => (None, None),
                        };
                        model.insert((step.named, step.token), (step.signs_in, step.flow, verdict));
                        told
                    }
                }
            };
            prop_assert_eq!(&judged, &expected, "{:?}", step);
            prop_assert_eq!(asked.load(Ordering::Relaxed) - before, usize::from(asks));
        }
    }

    /// Tokens are issued after one round, of our challenge, that was right; whatever else there was.
    #[test]
    fn tokens_are_issued_after_one_right_round_only(
        rounds in vec((prop_oneof![3 => Just(Some(CUSTOM_CHALLENGE.to_owned())), 1 => Just(None), 1 => "[A-Z_]{0,20}".prop_map(Some)],
                       prop_oneof![3 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)]), 0..4),
        may_sign_in in any::<bool>(),
    ) {
        let rounds: Vec<Round> = rounds
            .into_iter()
            .map(|(challenge_name, challenge_result)| Round { challenge_name, challenge_result })
            .collect();
        let right = |round: &Round| {
            round.challenge_name.as_deref() == Some(CUSTOM_CHALLENGE) && round.challenge_result == Some(true)
        };
        let expected = match rounds.len() {
            0 => Defined::CHALLENGE,
            1 if may_sign_in && rounds.iter().all(right) => Defined::TOKENS,
            _ => Defined::FAILURE,
        };
        prop_assert_eq!(custom_auth::define::define(&rounds, may_sign_in), expected);
    }
}

// ---- what is signed ----

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases * 8, ..config() })]

    /// A call that is signed holds, and holds no more when any byte of it is another.
    #[test]
    fn a_signature_holds_for_its_call_only(
        key in vec(any::<u8>(), 24..64), id in "[!-~]{1,40}", body in vec(any::<u8>(), 1..200),
        at in 0..200usize, flip in 1..=255u8, shift in 1..300u64,
    ) {
        use base64::Engine;
        let secret = webhooks::SigningSecret::parse(&base64::prelude::BASE64_STANDARD.encode(&key)).unwrap();
        let now = START / 1000;
        let signatures = secret.sign(&id, now, &body);
        let verify = |id: &str, timestamp: u64, body: &[u8], signatures: &str| {
            let timestamp = timestamp.to_string();
            let headers = webhooks::SignatureHeaders { id, timestamp: &timestamp, signatures };
            webhooks::verify(std::slice::from_ref(&secret), headers, body, now, Duration::from_secs(300)).is_ok()
        };
        prop_assert!(verify(&id, now, &body, &signatures));
        let mut other = body.clone();
        other[at % body.len()] ^= flip;
        prop_assert!(!verify(&id, now, &other, &signatures));
        prop_assert!(!verify(&id, now - shift, &body, &signatures));
        let longer = format!("{id}x");
        prop_assert!(!verify(&longer, now, &body, &signatures));
        let mut other = signatures.clone().into_bytes();
        let place = 3 + at % (other.len() - 3);
        other[place] = if other[place] == b'A' { b'B' } else { b'A' };
        prop_assert!(!verify(&id, now, &body, &String::from_utf8(other).unwrap()));
    }

    /// A login proof holds for its user, once spelt, and not when any character of it is another.
    #[test]
    fn a_login_proof_holds_for_its_user_only(
        secret in "[!-~]{32,128}", name in "[a-z-]{1,40}", other in "[a-z-]{1,40}", random in any::<[u8; 16]>(),
        at in 0..200usize, wait in 0..20u64,
    ) {
        let proofs = LoginProofs::new(&SecretString::from(secret)).unwrap();
        let now = Timestamp::from_millis(START);
        let later = Timestamp::from_millis(START + wait * 1000);
        let name = UserIdentifier::new(name).unwrap();
        let proof = proofs.make(&name, random, now);
        prop_assert!(proofs.check(&proof, &name, later).is_ok());
        let other = UserIdentifier::new(other).unwrap();
        prop_assert_eq!(proofs.check(&proof, &other, later).is_ok(), other == name);
        let mut changed = proof.expose().to_owned().into_bytes();
        let place = at % changed.len();
        changed[place] = if changed[place] == b'1' { b'2' } else { b'1' };
        let changed = LoginProof::new(String::from_utf8(changed).unwrap());
        prop_assert!(proofs.check(&changed, &name, later).is_err());
    }
}
