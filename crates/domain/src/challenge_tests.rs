use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::{Claim, Inspected, PasskeyClaims, Reason, ReplayGuard, verify_passkey};

/// `<user>.<what Corbado says>`, each token worth one question.
struct Corbado {
    asked: Mutex<Vec<String>>,
}

impl PasskeyVerifier for Corbado {
    fn inspect(&self, token: SignedPasskeyData, now: Timestamp) -> Result<Inspected, Rejection> {
        let (user, _) = token.expose().split_once('.').ok_or(Rejection::Malformed)?;
        let claims = PasskeyClaims {
            algorithm: "RS256".into(),
            issuer: "pro-1".into(),
            subject: "usr-1".into(),
            webauthn_id: user.into(),
            expires: at(300),
            not_before: None,
        };
        claims.check(token, "pro-1", now)
    }

    async fn prepare(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn confirm(&self, inspected: &Inspected) -> Result<(), NotVerified> {
        let token = inspected.token().expose().to_owned();
        let mut asked = self.asked.lock().unwrap();
        assert!(!asked.contains(&token), "asked twice about {token}");
        let (_, verdict) = token.split_once('.').unwrap();
        let verdict = match verdict.split('-').next().unwrap() {
            "yes" => Ok(()),
            "no" => Err(Rejection::Verdict("invalid_signature").into()),
            _ => Err(Unavailable::new("corbado", Reason::Timeout).into()),
        };
        asked.push(token);
        verdict
    }
}

type Entry = (Timestamp, Option<FlowKey>, Option<Verdict>);

/// What a store must do, in a map.
#[derive(Default)]
struct Log {
    entries: Mutex<HashMap<ReplayKey, Entry>>,
    forgets_verdicts: bool,
}

impl ReplayGuard for Log {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        let mut entries = self.entries.lock().unwrap();
        if entries.get(&key).is_some_and(|(until, ..)| *until > now) {
            return Ok(Claim::Replayed);
        }
        entries.insert(key, (until, None, None));
        Ok(Claim::First)
    }
}

impl VerdictLog for Log {
    async fn begin(
        &self,
        answer: ReplayKey,
        flow: FlowKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Begun, Unavailable> {
        let mut entries = self.entries.lock().unwrap();
        match entries.get(&answer) {
            Some((until, holder, verdict)) if *until > now => Ok(match (holder, verdict) {
                (Some(holder), None) if *holder == flow => Begun::Open,
                (Some(holder), Some(verdict)) if *holder == flow => Begun::Judged(*verdict),
                _ => Begun::Foreign,
            }),
            _ => {
                entries.insert(answer, (until, Some(flow), None));
                Ok(Begun::First)
            }
        }
    }

    async fn conclude(&self, answer: ReplayKey, flow: FlowKey, verdict: Verdict) -> Result<(), Unavailable> {
        if self.forgets_verdicts {
            return Err(Unavailable::new("log", Reason::Storage));
        }
        let mut entries = self.entries.lock().unwrap();
        let (_, holder, known) = entries.get_mut(&answer).unwrap();
        assert!(*holder == Some(flow) && known.is_none_or(|known| known == verdict));
        *known = Some(verdict);
        Ok(())
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_767_225_600 + seconds)
}

struct World {
    corbado: Corbado,
    log: Log,
    proofs: Option<LoginProofs>,
}

impl World {
    fn new() -> Self {
        let proofs = LoginProofs::new(&SecretString::from("x".repeat(32)));
        Self { corbado: Corbado { asked: Mutex::default() }, log: Log::default(), proofs }
    }

    fn judge_at(&self, text: &str, user: &str, flow: u8, exists: bool, now: Timestamp) -> String {
        let (text, user) = (SecretString::from(text), UserIdentifier::new(user).unwrap());
        let flow = FlowNonce::from_random([flow; 32]);
        let answer = Answer { text: &text, user: &user, may_sign_in: exists, flow: &flow };
        match now_or_never(judge(&self.corbado, &self.log, self.proofs.as_ref(), &answer, now)) {
            Ok(Judgement::Correct) => "correct".into(),
            Ok(Judgement::Wrong(wrong)) => wrong.to_string(),
            Ok(Judgement::Open) => "open".into(),
            Err(error) => format!("none: {error}"),
        }
    }

    fn judge(&self, text: &str, user: &str, flow: u8) -> String {
        self.judge_at(text, user, flow, true, at(0))
    }

    fn asked(&self) -> usize {
        self.corbado.asked.lock().unwrap().len()
    }
}

/// None of these futures ever waits.
fn now_or_never<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    match work.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("waits"),
    }
}

#[test]
fn a_retry_hears_the_recorded_verdict() {
    let rows = [
        ("ada.yes", ["correct"; 3]),
        ("ada.no", ["signedPasskeyData: verdict: invalid_signature", "refused before", "refused before"]),
        (
            "ada.down",
            [
                "none: corbado: timeout",
                "none: an earlier attempt brought no verdict",
                "none: an earlier attempt brought no verdict",
            ],
        ),
    ];
    for (token, expected) in rows {
        let world = World::new();
        let heard = [1, 1, 1].map(|flow| world.judge(token, "ada", flow));
        assert_eq!(heard, expected);
        assert_eq!(world.asked(), 1);
    }
}

#[test]
fn anybody_else_is_a_replay() {
    let replayed = "signedPasskeyData: used before";
    let world = World::new();
    assert_eq!(world.judge("ada.yes", "ada", 1), "correct");
    assert_eq!(world.judge("ada.yes", "ada", 2), replayed);
    assert_eq!(world.judge("ada.yes", "grace", 1), "signedPasskeyData: other user");
    assert_eq!(world.judge("ada.yes", "ada", 1), "correct", "still");
    // A token with the same claims and another signature is another token.
    assert_eq!(world.judge("ada.no-signature", "ada", 1), "signedPasskeyData: verdict: invalid_signature");

    // At another function, before or after.
    let elsewhere = |world: &World, token: &str| {
        let token = SignedPasskeyData::new(token);
        now_or_never(verify_passkey(&world.corbado, &world.log, token, None, at(0))).map(|_| ())
    };
    assert_eq!(elsewhere(&world, "ada.yes"), Err(Rejection::Replayed.into()));
    assert_eq!(elsewhere(&world, "ada.yes-2"), Ok(()));
    assert_eq!(world.judge("ada.yes-2", "ada", 1), replayed);
    assert_eq!(world.asked(), 3);
}

#[test]
fn an_answer_that_was_never_concluded_stays_open() {
    let world = World { log: Log { forgets_verdicts: true, ..Log::default() }, ..World::new() };
    assert_eq!(world.judge("ada.yes", "ada", 1), "none: log: storage");
    assert_eq!(world.judge("ada.yes", "ada", 1), "open");
    assert_eq!(world.judge("ada.yes", "ada", 2), "signedPasskeyData: used before");
    assert_eq!(world.judge("ada.no", "ada", 1), "signedPasskeyData: verdict: invalid_signature");
    assert_eq!(world.judge("ada.no", "ada", 1), "open");
}

#[test]
fn an_unknown_user_costs_the_same_and_gets_a_no() {
    let world = World::new();
    let judge = |token| world.judge_at(token, "ada", 1, false, at(0));
    assert_eq!(judge("ada.yes"), "user: not found, or may not sign in");
    assert_eq!(judge("ada.yes"), "refused before");
    assert_eq!(judge("ada.no"), "signedPasskeyData: verdict: invalid_signature");
    assert_eq!(judge("ada.down"), "none: corbado: timeout");
    assert_eq!(world.asked(), 3);
    assert_eq!(judge("garbage"), "signedPasskeyData: malformed token");
    let proof = world.proofs.as_ref().unwrap().make(&UserIdentifier::new("ada").unwrap(), [1; 16], at(0));
    assert_eq!(judge(proof.expose()), "user: not found, or may not sign in");
}

#[test]
fn a_login_proof_counts_once_and_only_where_configured() {
    let mut world = World::new();
    let ada = UserIdentifier::new("ada").unwrap();
    let make = |world: &World, random| {
        world.proofs.as_ref().unwrap().make(&ada, [random; 16], at(0)).expose().to_owned()
    };
    let (first, second) = (make(&world, 1), make(&world, 2));
    assert_eq!(world.judge(&first, "ada", 1), "correct");
    assert_eq!(world.judge(&first, "ada", 1), "correct", "a retry");
    assert_eq!(world.judge(&first, "ada", 2), "login proof: used before");
    assert_eq!(world.judge(&first, "grace", 1), "login proof: not ours, or for another user");
    assert_eq!(world.judge_at(&second, "ada", 1, true, at(20)), "login proof: expired");
    assert_eq!(world.judge("v1.", "ada", 1), "login proof: malformed");
    world.proofs = None;
    assert_eq!(world.judge(&second, "ada", 1), "login proof: not configured");
    assert_eq!(world.asked(), 0);
}
