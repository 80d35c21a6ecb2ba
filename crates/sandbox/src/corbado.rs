//! Answers in Corbado's place for the sample tokens, so that logins and connect tokens work without an account.
//!
//! A sample token carries the verdict in place of its signature. Whoever can make a token can make any verdict:
//! this stands on loopback, in front of demo users.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::function::random_name;

/// The project of the sample tokens.
pub(crate) const PROJECT_ID: &str = "pro-sandbox";
/// The API secret that goes with it.
pub(crate) const API_SECRET: &str = "sandbox";

#[derive(Deserialize)]
struct CreateConnectToken {
    r#type: String,
    data: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifySignedData {
    signed_passkey_data: String,
    username: String,
}

/// The routes below `/corbado`.
pub(crate) fn router() -> Router {
    let consumed = Arc::new(Mutex::new(HashSet::new()));
    Router::new()
        .route(
            "/v2/passkey/verifySignedData",
            post(move |headers: HeaderMap, Json(request): Json<VerifySignedData>| async move {
                verify(&headers, &request, &consumed)
            }),
        )
        .route("/v2/connectTokens", post(create_connect_token))
}

fn is_authenticated(headers: &HeaderMap) -> bool {
    let credential = format!("Basic {}", BASE64_STANDARD.encode(format!("{PROJECT_ID}:{API_SECRET}")));
    headers.get(header::AUTHORIZATION).map(|it| it.as_bytes()) == Some(credential.as_bytes())
}

fn unauthorized() -> (StatusCode, Json<Value>) {
    (StatusCode::UNAUTHORIZED, Json(json!({"httpStatusCode": 401, "message": "Unauthorized"})))
}

async fn create_connect_token(
    headers: HeaderMap,
    Json(request): Json<CreateConnectToken>,
) -> (StatusCode, Json<Value>) {
    if !is_authenticated(&headers) {
        return unauthorized();
    }
    let (Ok(id), Ok(secret)) = (random_name(), random_name()) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"httpStatusCode": 500})));
    };
    let token = json!({
        "id": format!("ctk-{id}"),
        "tokenType": request.r#type,
        "data": request.data,
        "connectTokenStatus": "initial",
        "secret": format!("ctk1_{secret}"),
    });
    (StatusCode::OK, Json(token))
}

fn verify(
    headers: &HeaderMap,
    request: &VerifySignedData,
    consumed: &Mutex<HashSet<String>>,
) -> (StatusCode, Json<Value>) {
    if !is_authenticated(headers) {
        return unauthorized();
    }
    let result = sample_verdict(&request.signed_passkey_data, &request.username, consumed);
    (StatusCode::OK, Json(json!({"verificationResult": result})))
}

/// The verdict on a sample token, once; `invalid_signature` on whatever is none.
pub(crate) fn sample_verdict(token: &str, username: &str, consumed: &Mutex<HashSet<String>>) -> String {
    let first = consumed.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
    match verdict(token, username) {
        _ if !first => "invalid_challenge".to_owned(),
        verdict => verdict.unwrap_or_else(|| "invalid_signature".to_owned()),
    }
}

/// Reads the verdict that a sample token carries.
fn verdict(token: &str, username: &str) -> Option<String> {
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    let mut parts = token.split('.').skip(1);
    let claims: Value = serde_json::from_slice(&decode(parts.next()?)?).ok()?;
    if claims.get("webauthnId")?.as_str()? != username {
        return Some("user_mismatch".to_owned());
    }
    String::from_utf8(decode(parts.next()?)?).ok()
}
