//! The list of a user's passkeys.

use std::time::{Duration, SystemTime};

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::ceremonies;
use super::super::problem::Problem;
use super::super::store::StoredPasskey;
use super::{Answer, Body, Caller, Connect, Init};

pub(super) async fn init(connect: Connect, caller: Caller, body: Body<Init>) -> Answer {
    let Json(request) = body?;
    let mut answer = connect.begin(&caller, &request, "processID")?;
    answer.insert("manageAllowed".to_owned(), Value::from(connect.switches().manage_allowed));
    Ok(Json(Value::Object(answer)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    connect_token: String,
}

pub(super) async fn list(connect: Connect, body: Body<List>) -> Answer {
    let Json(request) = body?;
    let token = connect.redeem("connectToken", &request.connect_token, "passkey-list")?;
    let passkeys = match connect.store.user(&token.identifier)? {
        Some(user) => connect.store.passkeys(&user.id)?,
        None => Vec::new(),
    };
    let passkeys: Vec<_> = passkeys.iter().map(shown).collect();
    Ok(Json(json!({"passkeys": passkeys})))
}

/// A passkey as the component shows it.
pub(in super::super) fn shown(passkey: &StoredPasskey) -> Value {
    let fact = |name: &str| passkey.facts.get(name).cloned().unwrap_or_default();
    json!({
        "id": passkey.id,
        "credentialID": ceremonies::base64url(passkey.passkey.cred_id()),
        "attestationType": "none",
        "transport": passkey.facts.get("transports").cloned().unwrap_or_else(|| json!([])),
        "backupEligible": fact("backupEligible"),
        "backupState": fact("backupState"),
        "authenticatorAAGUID": fact("aaguid"),
        "sourceBrowser": fact("sourceBrowser"),
        "sourceOS": fact("sourceOS"),
        "created": time(passkey.created),
        "lastUsed": time(passkey.last_used),
        "status": "active",
        "aaguidDetails": {"name": "Passkey", "iconLight": "", "iconDark": ""},
    })
}

fn time(millis: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)).to_string()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delete {
    connect_token: String,
    #[serde(rename = "credentialID")]
    credential_id: String,
}

pub(super) async fn delete(connect: Connect, body: Body<Delete>) -> Answer {
    let Json(request) = body?;
    let token = connect.redeem("connectToken", &request.connect_token, "passkey-delete")?;
    let user = connect.store.user(&token.identifier)?;
    let user = user.ok_or_else(|| Problem::not_found("no such passkey"))?;
    if !connect.store.delete_passkey(&user.id, &request.credential_id)? {
        return Err(Problem::not_found("no such passkey"));
    }
    connect.note_stored("passkey deleted", json!({"id": request.credential_id, "user": user.identifier}));
    Ok(Json(json!({"credentialID": request.credential_id})))
}
