//! Custom authentication: what Cognito asks its triggers, and what it makes of their answers.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use domain::{AccountStatus, User};
use serde_json::{Value, json};

use super::{Answer, CLIENT_ID, CUSTOM_CHALLENGE, Fault, Inner, POOL_ID, REGION, text};
use crate::client;
use crate::function::random_name;
use crate::journal::{Lane, Note, Outcome};

/// How long a session waits for its answer: Cognito's default.
const LIFETIME: Duration = Duration::from_secs(180);
/// How long Cognito waits for a trigger.
const TRIGGER_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_FLOWS: usize = 1000;

/// A sign-in that waits for an answer.
pub(super) struct Flow {
    user_name: String,
    rounds: Vec<Value>,
    private: Value,
    until: Instant,
}

impl Inner {
    /// `InitiateAuth` with `CUSTOM_AUTH`. A user who does not exist goes the same way, as with
    /// `PreventUserExistenceErrors`.
    pub(super) async fn begin(&self, user_name: &str) -> Answer {
        let user = self.user(user_name).await?;
        self.challenge(user_name, user.as_ref(), Vec::new()).await
    }

    /// `RespondToAuthChallenge`: the session is used up, whatever the answer is worth.
    pub(super) async fn respond(&self, request: &Value) -> Answer {
        if text(request, "/ChallengeName")? != CUSTOM_CHALLENGE || text(request, "/ClientId")? != CLIENT_ID {
            return Err(Fault::parameter("The sandbox knows CUSTOM_CHALLENGE, for its own client."));
        }
        let invalid = || Fault::not_authorized("Invalid session for the user.");
        let flow = {
            let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
            flows.remove(text(request, "/Session")?).ok_or_else(invalid)?
        };
        let answer = text(request, "/ChallengeResponses/ANSWER")?;
        if flow.until <= Instant::now() || text(request, "/ChallengeResponses/USERNAME")? != flow.user_name {
            return Err(invalid());
        }
        let user = self.user(&flow.user_name).await?;
        let request = json!({"challengeAnswer": answer, "privateChallengeParameters": flow.private});
        let response = json!({"answerCorrect": null});
        let trigger = "VerifyAuthChallengeResponse_Authentication";
        let verified = self.trigger(trigger, &flow.user_name, user.as_ref(), request, response).await?;
        let right = verified.get("answerCorrect") == Some(&Value::Bool(true));
        let mut rounds = flow.rounds;
        rounds.push(json!({
            "challengeName": CUSTOM_CHALLENGE,
            "challengeResult": right,
            "challengeMetadata": "CORBADO_CHALLENGE_COGNITO_CLAIM",
        }));
        self.challenge(&flow.user_name, user.as_ref(), rounds).await
    }

    /// Asks what comes next: tokens, the end, or a challenge.
    async fn challenge(&self, user_name: &str, user: Option<&User>, rounds: Vec<Value>) -> Answer {
        let request = json!({"session": rounds});
        let response = json!({"challengeName": null, "issueTokens": null, "failAuthentication": null});
        let trigger = "DefineAuthChallenge_Authentication";
        let defined = self.trigger(trigger, user_name, user, request, response).await?;
        let is = |name: &str| defined.get(name) == Some(&Value::Bool(true));
        if is("failAuthentication") {
            return Err(Fault::not_authorized("Incorrect username or password."));
        }
        if is("issueTokens") {
            let user = user.filter(|user| user.status == AccountStatus::Active);
            return self.issue(user.ok_or_else(|| Fault::not_authorized("Incorrect username or password."))?);
        }
        if defined.get("challengeName").and_then(Value::as_str) != Some(CUSTOM_CHALLENGE) {
            return Err(Fault::new(
                "InvalidLambdaResponseException",
                "DefineAuthChallenge names no challenge.",
            ));
        }
        let request = json!({"challengeName": CUSTOM_CHALLENGE, "session": rounds});
        let response = json!({
            "publicChallengeParameters": null,
            "privateChallengeParameters": null,
            "challengeMetadata": null,
        });
        let trigger = "CreateAuthChallenge_Authentication";
        let created = self.trigger(trigger, user_name, user, request, response).await?;
        let private = created.get("privateChallengeParameters").cloned().unwrap_or_default();
        let mut shown = created.get("publicChallengeParameters").cloned().unwrap_or_else(|| json!({}));
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("USERNAME".to_owned(), Value::from(user_name));
        }
        let session = format!("{}{}", random_name()?, random_name()?);
        let flow =
            Flow { user_name: user_name.to_owned(), rounds, private, until: Instant::now() + LIFETIME };
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.retain(|_, flow| flow.until > Instant::now());
        if flows.len() >= MAX_FLOWS {
            return Err(Fault::new("TooManyRequestsException", "Too many sign-ins are waiting."));
        }
        flows.insert(session.clone(), flow);
        Ok(json!({"ChallengeName": CUSTOM_CHALLENGE, "ChallengeParameters": shown, "Session": session}))
    }

    /// Asks the function; what is no proper answer fails the sign-in.
    async fn trigger(
        &self,
        source: &'static str,
        user_name: &str,
        user: Option<&User>,
        mut request: Value,
        response: Value,
    ) -> Answer {
        if let Some(members) = request.as_object_mut() {
            members.insert("userAttributes".to_owned(), user.map_or_else(|| json!({}), told));
            if user.is_none() {
                members.insert("userNotFound".to_owned(), Value::Bool(true));
            }
        }
        let event = json!({
            "version": "1",
            "triggerSource": source,
            "region": REGION,
            "userPoolId": POOL_ID,
            "userName": user_name,
            "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": CLIENT_ID},
            "request": request,
            "response": response,
        });
        let start = Instant::now();
        let url = format!("{}/2015-03-31/functions/custom-auth/invocations", self.functions_url);
        let sent = event.to_string();
        let answer = tokio::task::spawn_blocking(move || invoke(&url, &sent)).await.ok().flatten();
        let response = answer.as_ref().and_then(|answer| answer.get("response")).cloned();
        let outcome = if response.is_some() { Outcome::Done } else { Outcome::Failed };
        let title = format!("custom-auth: {}", source.trim_end_matches("_Authentication"));
        self.journal.record(
            Note::new(Lane::Pool, title, outcome)
                .took(start.elapsed())
                .detail(json!({"request": event.get("request"), "response": response})),
        );
        response.ok_or_else(|| Fault::new("UnexpectedLambdaException", format!("{source} failed.")))
    }
}

/// Invokes a function and reads its answer, if it is one.
fn invoke(url: &str, event: &str) -> Option<Value> {
    let agent = client::agent(Some(TRIGGER_TIMEOUT));
    let sent = agent.post(url).header("content-type", "application/json").send(event.as_bytes());
    let mut response = sent.ok()?;
    if response.status().as_u16() != 200 || response.headers().contains_key("x-amz-function-error") {
        return None;
    }
    serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()
}

/// What a trigger is told of a user.
fn told(user: &User) -> Value {
    let (_, status) = super::status(user.status);
    let all = super::attributes(user).chain([("cognito:user_status", status)]);
    all.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}
