//! Signs users in at a Cognito user pool by a verified passkey: the three triggers of custom authentication.
//!
//! One function for all three; `triggerSource` tells which is meant.
//!
//! # Layout
//! - [`define`](mod@define): the state machine.
//! - this file: what each trigger does.

pub mod define;

use std::time::Duration;

use backend::{Counters, Https, Secret, Trust, Verifier, login_proofs};
use domain::{
    Answer, BadProof, FlowNonce, Inspected, Judgement, LoginProofs, NotVerified, PasskeyIdentifier,
    PasskeyVerifier, Reason, Rejection, SignedPasskeyData, Timestamp, Unavailable, VerdictLog, Wrong, judge,
};
use events::{Created, CustomAuth, Defined, Response, Trigger, Verified};
use lambda::{Call, Code, Problem, Reply};
use settings::Settings;
use tokio::time::Instant;

use crate::define::define;

/// Cognito waits five seconds, then asks again, three times in all.
const BUDGET: Duration = Duration::from_secs(4);
/// The longest time that Corbado may take.
const CORBADO_LIMIT: Duration = Duration::from_secs(2);
/// The latest time at which Corbado is asked: later, its verdict might come too late to be recorded, and the token were lost.
const ASK_BY: Duration = Duration::from_millis(1500);
/// The longest time that one attempt at the log may take.
const LOG_LIMIT: Duration = Duration::from_secs(1);
/// How long a repeated call waits before it looks again whether the first one has come to a verdict.
const POLL: Duration = Duration::from_millis(250);

/// The triggers, with Corbado and the log of verdicts behind them.
#[derive(Debug)]
pub struct App<V = Verifier, L = Counters> {
    verifier: V,
    log: L,
    proofs: Option<Secret<LoginProofs>>,
    pool: Option<String>,
}

impl App {
    /// Reads `LOGIN_PROOF_SECRETS` and `USER_POOL_ID` where they are set, and the settings of verifier and counters.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let https = Https::from_settings(settings, Trust::Public);
        let proofs = login_proofs(settings);
        let pool = settings.optional("USER_POOL_ID").map(|pool| pool.trim().to_owned());
        let identifier = backend::passkey_identifier(settings);
        if identifier == Some(PasskeyIdentifier::Email) {
            let rule = "id: Cognito names the user who signs in, and knows no other name here";
            settings.problem("CONNECT_TOKEN_IDENTIFIER", rule);
        }
        let https = https?;
        let log = Counters::from_settings(settings, &https.clone().at_most(LOG_LIMIT));
        let verifier = Verifier::from_settings(settings, &https.at_most(CORBADO_LIMIT));
        identifier.filter(|identifier| *identifier == PasskeyIdentifier::Id)?;
        Some(Self { verifier: verifier?, log: log?, proofs: proofs?, pool })
    }
}

impl<V, L> App<V, L>
where
    V: PasskeyVerifier + Send + Sync,
    L: VerdictLog + Send + Sync,
{
    async fn verify(
        &self,
        event: &CustomAuth<'_>,
        response: &Response,
        now: Timestamp,
    ) -> Result<Result<(), String>, Problem> {
        let wrong = |cause: &str| Ok(Err(cause.to_owned()));
        let Some(user) = &event.user else { return wrong("userName: missing or malformed") };
        let Some(text) = &response.answer else { return wrong("challengeAnswer: no text") };
        let Some(flow) = &response.flow else { return wrong("privateChallengeParameters: no nonce") };
        let answer = Answer { text, user, may_sign_in: event.may_sign_in, flow };
        let verifier = InTime { verifier: &self.verifier, started: Instant::now() };
        loop {
            let proofs = match &self.proofs {
                Some(proofs) if answer.is_meant_as_proof() => {
                    Some(proofs.current().await.map_err(unavailable)?)
                }
                _ => None,
            };
            match judge(&verifier, &self.log, proofs.as_deref(), &answer, now).await {
                Ok(Judgement::Correct) => return Ok(Ok(())),
                // Made with a secret that is newer than ours, perhaps.
                Ok(Judgement::Wrong(Wrong::Proof(BadProof::Mismatch))) if self.refresh_proofs().await => {}
                Ok(Judgement::Wrong(cause)) => return wrong(&cause.to_string()),
                // Cognito has asked twice, and the other call is at it. The edge ends the wait.
                Ok(Judgement::Open) => tokio::time::sleep(POLL).await,
                Err(cause) => return Err(unavailable(cause)),
            }
        }
    }

    async fn refresh_proofs(&self) -> bool {
        match &self.proofs {
            Some(proofs) => proofs.refresh().await,
            None => false,
        }
    }
}

/// A verifier that is asked while there is time for its answer, and no later: a token that nobody was asked about is not used up.
struct InTime<'a, V> {
    verifier: &'a V,
    started: Instant,
}

impl<V: PasskeyVerifier + Sync> PasskeyVerifier for InTime<'_, V> {
    fn inspect(&self, token: SignedPasskeyData, now: Timestamp) -> Result<Inspected, Rejection> {
        self.verifier.inspect(token, now)
    }

    async fn prepare(&self) -> Result<(), Unavailable> {
        self.verifier.prepare().await
    }

    async fn confirm(&self, inspected: &Inspected) -> Result<(), NotVerified> {
        if self.started.elapsed() > ASK_BY {
            return Err(Unavailable::new("deadline", Reason::Timeout).into());
        }
        self.verifier.confirm(inspected).await
    }
}

fn unavailable(cause: impl std::fmt::Display) -> Problem {
    Problem::new(Code::ProviderUnavailable, cause)
}

impl<V, L> lambda::Trigger for App<V, L>
where
    V: PasskeyVerifier + Send + Sync,
    L: VerdictLog + Send + Sync,
{
    const NAME: &'static str = "custom-auth";
    const FAILURE: &'static str = "Please sign in another way.";
    const BUDGET: Duration = BUDGET;

    async fn answer(&self, event: &str, call: &Call) -> Result<Reply, Problem> {
        let event = CustomAuth::parse(event).map_err(|cause| Problem::new(Code::InvalidRequest, cause))?;
        if self.pool.is_some() && self.pool != event.pool {
            return Err(Problem::new(Code::InvalidRequest, "userPoolId: another pool"));
        }
        if let Some(user) = &event.user {
            call.about(user.as_str());
        }
        let written = |json: Result<String, _>| {
            json.map_err(|_| Problem::new(Code::InternalError, "answer: not serialisable"))
        };
        match &event.trigger {
            Trigger::Define(rounds) => {
                let defined = define(rounds, event.may_sign_in);
                let outcome = match defined {
                    Defined::CHALLENGE => "challenge_wanted",
                    Defined::TOKENS => "signed_in",
                    _ => "sign_in_failed",
                };
                Ok(Reply::raw(outcome, written(event.respond(&defined))?))
            }
            Trigger::Create => {
                let mut random = [0; 32];
                getrandom::fill(&mut random)
                    .map_err(|_| Problem::new(Code::InternalError, "random numbers: none"))?;
                let flow = FlowNonce::from_random(random);
                Ok(Reply::raw("challenge_created", written(event.respond(&Created::new(&flow)))?))
            }
            Trigger::Verify(response) => {
                let verified = self.verify(&event, response, call.now.into()).await?;
                let json = written(event.respond(&Verified { answer_correct: verified.is_ok() }))?;
                Ok(match verified {
                    Ok(()) => Reply::raw("answer_correct", json),
                    Err(cause) => Reply::raw("answer_wrong", json)
                        .code(Some(Code::ProofRejected.as_str()))
                        .cause(Some(cause)),
                })
            }
        }
    }
}
