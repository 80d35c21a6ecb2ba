//! Login: by identifier, by one-tap, by conditional UI.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::ceremonies::Broken;
use super::super::problem::Problem;
use super::super::store::User;
use super::super::{Inner, LoginOption, WhenActionFails, now_millis};
use super::{Answer, Body, Caller, Connect, Init};

pub(super) async fn init(connect: Connect, caller: Caller, body: Body<Init>) -> Answer {
    let Json(request) = body?;
    let switches = connect.switches().clone();
    let mut answer = connect.begin(&caller, &request, "token")?;
    answer.insert("loginAllowed".to_owned(), Value::from(switches.login_allowed));
    if switches.login_allowed && switches.conditional_ui {
        let options =
            connect.ceremonies.start_conditional().map_err(|_| Problem::internal("conditional UI"))?;
        answer.insert("conditionalUIChallenge".to_owned(), Value::from(options));
    }
    Ok(Json(Value::Object(answer)))
}

#[derive(Deserialize)]
pub(super) struct Start {
    identifier: String,
    #[serde(default)]
    source: String,
}

/// What the identifier leads to.
enum Found {
    User(User),
    /// No passkey, or a silent refusal: the classic login takes over.
    Nothing,
    /// An error that the component may show.
    Error(Value),
}

pub(super) async fn start(connect: Connect, body: Body<Start>) -> Answer {
    let Json(Start { identifier, source }) = body?;
    if identifier.trim().is_empty() {
        return Err(Problem::invalid("identifier", "empty"));
    }
    let nothing = |error: Option<Value>| {
        let mut answer = json!({"assertionOptions": "", "isCDA": false});
        if let (Some(error), Some(members)) = (error, answer.as_object_mut()) {
            members.insert("error".to_owned(), error);
        }
        Ok(Json(answer))
    };
    let user = match connect.find(&identifier, &source).await? {
        Found::User(user) => user,
        Found::Nothing => return nothing(None),
        Found::Error(error) => return nothing(Some(error)),
    };
    let passkeys: Vec<_> = connect.store.passkeys(&user.id)?.into_iter().map(|it| it.passkey).collect();
    if passkeys.is_empty() {
        return nothing(None);
    }
    let options = connect.ceremonies.start_login(user, &identifier, &passkeys);
    let options = options.map_err(|_| Problem::internal("login options"))?;
    // The shipped build cannot show its screen for passkeys of another device.
    Ok(Json(json!({"assertionOptions": options, "isCDA": false})))
}

impl Inner {
    /// Runs pre-login, and finds Corbado's user of the identifier that it answers.
    async fn find(&self, typed: &str, source: &str) -> Result<Found, Problem> {
        // One-tap sends back what this stand-in gave the browser: after an append that is a display name, which no
        // pre-login knows. Ours; Corbado does not document it.
        if source == "one-tap" {
            let named = self.store.user_by_display_name(typed)?;
            if let Some(user) = named {
                return Ok(Found::User(user));
            }
        }
        let fault = self.switches().faults.get("pre-login").copied();
        let event = json!({"identifier": typed});
        let result = self.settings.actions.run("pre-login", event, fault, &self.journal).await;
        let identifier = match result {
            None => typed.to_owned(),
            Some(Ok(answer)) => match pre_login(&answer) {
                Ok(identifier) => identifier,
                Err(found) => return Ok(found),
            },
            Some(Err(_)) => match self.settings.rules.when_pre_login_fails {
                WhenActionFails::FallBack => return Ok(Found::Nothing),
                WhenActionFails::GoOn => typed.to_owned(),
            },
        };
        Ok(self.store.user(&identifier)?.map_or(Found::Nothing, Found::User))
    }
}

/// Reads what pre-login answers: an identifier, or an error for the user or for nobody.
fn pre_login(answer: &Value) -> Result<String, Found> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    if let Some(error) = answer.get("error").filter(|error| error.is_object()) {
        if error.get("return") != Some(&Value::Bool(true)) {
            return Err(Found::Nothing);
        }
        let code = text(error, "code").unwrap_or_else(|| "untyped".to_owned());
        return Err(Found::Error(json!({
            "code": code,
            "message": text(error, "message").unwrap_or_default(),
        })));
    }
    text(answer, "identifier").filter(|identifier| !identifier.is_empty()).ok_or(Found::Nothing)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finish {
    assertion_response: String,
}

pub(super) async fn finish(connect: Connect, caller: Caller, body: Body<Finish>) -> Answer {
    let Json(request) = body?;
    let State(connect) = &connect;
    let refuse = |why: Broken| {
        connect.note_broken("login", &why);
        Problem::refused("the passkey could not be verified")
    };
    let answered = connect.ceremonies.finish_login(&request.assertion_response).map_err(refuse)?;
    let stored = connect.store.passkey(answered.credential_id())?;
    let mut stored = stored.ok_or_else(|| Problem::not_found("no such passkey"))?;
    let user = connect.store.user_by_id(&stored.user_id)?;
    let user = user.ok_or_else(|| Problem::not_found("no such user"))?;
    let meant = answered.user_id().is_none_or(|id| id == user.id);
    let owned = answered.user_handle().is_none_or(|handle| handle == user.handle.as_bytes());
    if !meant || !owned {
        return Err(refuse(Broken::Refused("another user's passkey".to_owned())));
    }
    let (result, typed) = connect.ceremonies.check(answered, &stored.passkey).map_err(refuse)?;
    connect.note_verified(
        if typed.is_some() { "login" } else { "autofill login" },
        json!({"userVerified": result.user_verified(), "counter": result.counter(), "backupState": result.backup_state()}),
    );
    stored.passkey.update_credential(&result);
    stored.last_used = now_millis();
    stored.client = connect.client(&caller);
    connect.store.used_passkey(&stored)?;

    // The browser tells that, too (`isConditionalUI`), but a proof says what has happened, not what somebody says.
    let conditional = typed.is_none();
    let proof = connect.prove(&user, &stored, &caller.process()?, conditional)?;
    let session = connect.session(&user, &proof).await?;
    let shown = typed.unwrap_or_else(|| user.display_name.clone());
    Ok(Json(json!({
        "session": session,
        "signedPasskeyData": proof,
        "passkeyOperation": connect.operation("verify", &shown, &stored),
    })))
}

impl Inner {
    /// Runs post-login where it is configured. The component hands `session` on, whatever it is.
    async fn session(&self, user: &User, proof: &str) -> Result<String, Problem> {
        if self.switches().login_option != LoginOption::PostLoginAction {
            return Ok(proof.to_owned());
        }
        match self.post_login(&user.identifier, proof).await {
            Some(Ok(session)) => Ok(session),
            None => Ok(proof.to_owned()),
            Some(Err(problem)) => match self.settings.rules.when_post_login_fails {
                WhenActionFails::FallBack => Err(problem),
                WhenActionFails::GoOn => Ok(proof.to_owned()),
            },
        }
    }

    /// Runs post-login, unless it is not configured.
    pub(in super::super) async fn post_login(
        &self,
        user: &str,
        proof: &str,
    ) -> Option<Result<String, Problem>> {
        let fault = self.switches().faults.get("post-login").copied();
        let event = json!({"userId": user, "signedPasskeyData": proof});
        let result = self.settings.actions.run("post-login", event, fault, &self.journal).await?;
        Some(result.map(|session| session.to_string()).map_err(|_| Problem::internal("post-login failed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_documented_answer_of_pre_login() {
        let read = |answer: Value| match pre_login(&answer) {
            Ok(identifier) => identifier,
            Err(Found::Nothing) => "nothing".to_owned(),
            Err(Found::Error(error)) => error["code"].as_str().unwrap().to_owned(),
            Err(Found::User(_)) => unreachable!(),
        };
        let error = |error: Value| read(json!({"identifier": "", "error": error}));
        assert_eq!(read(json!({"identifier": "usr-1"})), "usr-1");
        assert_eq!(read(json!({"identifier": ""})), "nothing");
        assert_eq!(
            error(json!({"return": true, "code": "user_not_found", "message": "m"})),
            "user_not_found"
        );
        assert_eq!(error(json!({"return": true, "message": "m"})), "untyped");
        assert_eq!(error(json!({"return": false, "code": "account_disabled"})), "nothing");
        assert_eq!(error(json!({})), "nothing");
    }
}
