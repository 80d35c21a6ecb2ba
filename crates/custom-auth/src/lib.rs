//! Signs users in at a Cognito user pool by a verified passkey: the three triggers of custom authentication.
//!
//! One function for all three; `triggerSource` tells which is meant.
//!
//! # Layout
//! - [`define`](mod@define): the state machine.
//! - this file: what each trigger does.

pub mod define;

use std::time::Duration;

use backend::{Counters, Https, Trust, Verifier, login_proofs};
use domain::{
    Answer, FlowNonce, Judgement, LoginProofs, NoJudgement, PasskeyIdentifier, PasskeyVerifier, Timestamp,
    VerdictLog, judge,
};
use events::{Created, CustomAuth, Defined, Response, Trigger, Verified};
use lambda::{Call, Code, Problem, Reply};
use settings::Settings;

use crate::define::define;

/// The longest time that Corbado may take: what is left of the function's own must do for the record of its verdict.
const CORBADO_LIMIT: Duration = Duration::from_secs(2);
/// Cognito waits five seconds, then asks again, three times in all.
const BUDGET: Duration = Duration::from_secs(4);
/// How long a repeated call waits before it looks again whether the first one has come to a verdict.
const POLL: Duration = Duration::from_millis(100);

/// The triggers, with Corbado and the log of verdicts behind them.
#[derive(Debug)]
pub struct App<V = Verifier, L = Counters> {
    verifier: V,
    log: L,
    proofs: Option<LoginProofs>,
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
        let https = https?.at_most(CORBADO_LIMIT);
        let log = Counters::from_settings(settings, &https);
        let verifier = Verifier::from_settings(settings, &https);
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
        let answer = Answer { text, user, user_exists: event.user_exists, flow };
        // Cognito has asked twice, and the other call is at it. The edge ends the wait.
        loop {
            match judge(&self.verifier, &self.log, self.proofs.as_ref(), &answer, now).await {
                Ok(Judgement::Correct) => return Ok(Ok(())),
                Ok(Judgement::Wrong(cause)) => return wrong(&cause.to_string()),
                Ok(Judgement::Open) => tokio::time::sleep(POLL).await,
                Err(cause @ (NoJudgement::Unavailable(_) | NoJudgement::Lost)) => {
                    return Err(Problem::new(Code::ProviderUnavailable, cause));
                }
            }
        }
    }
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
                let defined = define(rounds, event.user_exists);
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
