//! Append: a new passkey.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::problem::Problem;
use super::super::store::{StoredPasskey, User};
use super::super::{Inner, WhenActionFails, new_id, now_millis};
use super::{Answer, Body, Caller, Connect, Init};

pub(super) async fn init(connect: Connect, caller: Caller, body: Body<Init>) -> Answer {
    let Json(request) = body?;
    let mut answer = connect.begin(&caller, &request, "processID")?;
    answer.insert("appendAllowed".to_owned(), Value::from(connect.switches().append_allowed));
    Ok(Json(Value::Object(answer)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Start {
    append_token_value: String,
    #[serde(default)]
    force_passkey_append: bool,
}

pub(super) async fn start(connect: Connect, caller: Caller, body: Body<Start>) -> Answer {
    let Json(request) = body?;
    let token = connect.redeem("appendTokenValue", &request.append_token_value, "passkey-append")?;
    let identifier = token.identifier;
    let user = User {
        id: new_id("usr")?,
        display_name: token.display_name.unwrap_or_else(|| identifier.clone()),
        identifier,
        handle: webauthn_rs::prelude::Uuid::new_v4(),
    };
    let user = connect.store.put_user(&user, now_millis())?;
    let passkeys = connect.store.passkeys(&user.id)?;
    // Whoever has a passkey in this browser is not asked again, except at their own wish. Corbado's own judgement is
    // finer, and not public.
    let client = connect.client(&caller);
    let here = client.is_some() && passkeys.iter().any(|passkey| passkey.client == client);
    if here && !request.force_passkey_append {
        return Ok(Json(json!({"attestationOptions": "", "variant": "default"})));
    }
    let existing: Vec<_> = passkeys.into_iter().map(|it| it.passkey).collect();
    let options = connect.ceremonies.start_append(user, &existing);
    let options = options.map_err(|_| Problem::internal("registration options"))?;
    Ok(Json(json!({"attestationOptions": options, "variant": "default"})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finish {
    attestation_response: String,
}

pub(super) async fn finish(connect: Connect, caller: Caller, body: Body<Finish>) -> Answer {
    let Json(request) = body?;
    let State(connect) = &connect;
    let created = connect.ceremonies.finish_append(&request.attestation_response).map_err(|why| {
        connect.note_broken("registration", &why);
        Problem::refused("the passkey could not be verified")
    })?;
    let user = created.user;
    let mut facts = created.facts;
    connect.note_verified("registration", facts.clone());
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("sourceBrowser".to_owned(), Value::from(caller.browser));
        facts.insert("sourceOS".to_owned(), Value::from(caller.system));
    }
    let now = now_millis();
    let passkey = StoredPasskey {
        id: new_id("cre")?,
        user_id: user.id.clone(),
        passkey: created.passkey,
        facts,
        client: connect.client(&caller),
        created: now,
        last_used: now,
    };
    if !connect.store.add_passkey(&passkey)? {
        return Err(Problem::new(
            axum::http::StatusCode::CONFLICT,
            "already_exists",
            "this credential is known",
        ));
    }
    connect.note_stored("passkey kept", json!({"id": passkey.id, "user": user.identifier}));
    connect.post_append(&user).await?;
    Ok(Json(json!({"passkeyOperation": connect.operation("append", &user.display_name, &passkey)})))
}

impl Inner {
    async fn post_append(&self, user: &User) -> Result<(), Problem> {
        let fault = self.switches().faults.get("post-append").copied();
        let event = json!({"username": user.identifier});
        match self.settings.actions.run("post-append", event, fault, &self.journal).await {
            Some(Err(_)) if self.settings.rules.when_post_append_fails == WhenActionFails::FallBack => {
                Err(Problem::internal("post-append failed"))
            }
            _ => Ok(()),
        }
    }
}
