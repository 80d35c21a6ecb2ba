//! The Backend API: what the customer's own servers call.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::{self, Problem, Worked};
use super::store::ConnectToken;
use super::{Inner, new_id, now_millis, record};
use crate::corbado;
use crate::function::random_name;

type Connect = State<Arc<Inner>>;
type Answer = Result<Json<Value>, Problem>;

const KINDS: [&str; 3] = ["passkey-append", "passkey-delete", "passkey-list"];
/// The longest identifier or display name, in characters.
const MAX_TEXT: usize = 256;

pub(super) fn router(connect: Arc<Inner>) -> Router {
    Router::new()
        .route("/v2/connectTokens", get(list).post(create))
        .route("/v2/connectTokens/{id}", patch(update).delete(delete))
        .route("/v2/passkey/verifySignedData", post(verify))
        .route("/v2/passkey/postLogin", post(post_login))
        .fallback(async || Problem::not_found("no such path"))
        .layer(DefaultBodyLimit::max(record::MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&connect), authenticate))
        .layer(middleware::from_fn(problem::finish))
        .layer(middleware::from_fn_with_state(Arc::clone(&connect), record::backend))
        // Again, for what is refused before it is recorded.
        .layer(middleware::from_fn(problem::finish))
        .with_state(connect)
}

/// Admits the project's API secret as Basic, and its API key as Bearer.
async fn authenticate(State(connect): Connect, request: Request, next: Next) -> Response {
    let settings = &connect.settings;
    let basic = BASE64_STANDARD.encode(format!("{}:{}", settings.project_id, settings.api_secret));
    let accepted = [format!("Basic {basic}"), format!("Bearer {}", settings.api_key)];
    let sent = single(request.headers(), header::AUTHORIZATION);
    // Compared by their hashes, so that time tells nothing.
    if sent.is_some_and(|sent| accepted.iter().any(|it| digest(it) == digest(sent))) {
        return next.run(request).await;
    }
    let why = "Basic with project id and API secret, or Bearer with an API key";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "login_error", why).into_response();
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Basic, Bearer"));
    response
}

fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

fn digest(text: &str) -> [u8; 32] {
    <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()).into()
}

/// Reads a connect token to be. By hand, so that each field has its own message.
async fn create(State(connect): Connect, body: Result<Json<Map<String, Value>>, JsonRejection>) -> Answer {
    let Json(body) = body?;
    let kind = body.get("type").and_then(Value::as_str).filter(|kind| KINDS.contains(kind));
    let kind =
        kind.ok_or_else(|| Problem::invalid("type", "passkey-append, passkey-delete or passkey-list"))?;
    let data = body.get("data").and_then(Value::as_object);
    let data = data.ok_or_else(|| Problem::invalid("data", "an object"))?;
    let text = |name: &str, field: &'static str| match data.get(name) {
        Some(Value::String(text)) if text.chars().nth(MAX_TEXT).is_none() => Ok(Some(text.clone())),
        Some(_) => Err(Problem::invalid(field, "a text of at most 256 characters")),
        None => Ok(None),
    };
    let missing = |field| Problem::invalid(field, "required");
    let identifier = text("identifier", "data.identifier")?.filter(|identifier| !identifier.is_empty());
    let identifier = identifier.ok_or_else(|| missing("data.identifier"))?;
    let display_name = match text("displayName", "data.displayName")? {
        None if kind == "passkey-append" => return Err(missing("data.displayName")),
        // The other kinds have none.
        display_name => display_name.filter(|_| kind == "passkey-append"),
    };
    let rules = &connect.settings.rules;
    let longest = rules.connect_token_longest.as_secs();
    let lifetime = match body.get("maxLifetimeInSeconds") {
        None => rules.connect_token_lifetime.as_secs(),
        Some(value) => value
            .as_u64()
            .filter(|seconds| (1..=longest).contains(seconds))
            .ok_or_else(|| Problem::invalid("maxLifetimeInSeconds", "a number of seconds, a day at most"))?,
    };
    let now = now_millis();
    let token = ConnectToken {
        id: new_id("ctk")?,
        kind: kind.to_owned(),
        identifier,
        display_name,
        consumed: false,
        expires: now + lifetime * 1000,
    };
    let secret = format!("ctk1_{}{}", random_name()?, random_name()?);
    connect.store.add_connect_token(&token, &secret, now)?;
    Ok(Json(shown(&token, Some(&secret))))
}

fn shown(token: &ConnectToken, secret: Option<&str>) -> Value {
    let mut data = Map::new();
    data.insert("identifier".to_owned(), Value::from(token.identifier.as_str()));
    if let Some(name) = &token.display_name {
        data.insert("displayName".to_owned(), Value::from(name.as_str()));
    }
    let mut shown = json!({
        "id": token.id,
        "tokenType": token.kind,
        "data": data,
        "connectTokenStatus": if token.consumed { "consumed" } else { "initial" },
        "expires": token.expires / 1000,
    });
    if let (Some(secret), Some(shown)) = (secret, shown.as_object_mut()) {
        shown.insert("secret".to_owned(), Value::from(secret));
    }
    shown
}

/// Lists connect tokens, newest first, without their secrets. Of filters it knows `FIELD:eq:VALUE` on the fields that
/// the answer has.
async fn list(State(connect): Connect, RawQuery(query): RawQuery) -> Answer {
    let (mut page, mut size, mut filters) = (1, 10, Vec::new());
    for (name, value) in pairs(query.as_deref().unwrap_or_default()) {
        let number = |field| {
            let number = value.parse::<usize>().ok().filter(|number| (1..=1000).contains(number));
            number.ok_or_else(|| Problem::invalid(field, "a number from 1 to 1000"))
        };
        match name.as_str() {
            "page" => page = number("page")?,
            "pageSize" => size = number("pageSize")?,
            "filter[]" => filters.push(filter(&value)?),
            _ => {}
        }
    }
    let all = connect.store.connect_tokens()?;
    let fits = |token: &Value| {
        filters.iter().all(|(field, value)| token.pointer(field).and_then(Value::as_str) == Some(value))
    };
    let all: Vec<_> = all.iter().map(|token| shown(token, None)).filter(fits).collect();
    let total = all.len();
    let tokens: Vec<_> = all.into_iter().skip((page - 1) * size).take(size).collect();
    let paging = json!({"page": page, "totalPages": total.div_ceil(size), "totalItems": total});
    Ok(Json(json!({"connectTokens": tokens, "paging": paging})))
}

fn filter(text: &str) -> Result<(&'static str, String), Problem> {
    let problem = || {
        Problem::invalid("filter[]", "FIELD:eq:VALUE with id, tokenType, connectTokenStatus or identifier")
    };
    let (field, rest) = text.split_once(':').ok_or_else(problem)?;
    let value = rest.strip_prefix("eq:").ok_or_else(problem)?;
    let field = match field {
        "id" => "/id",
        "tokenType" => "/tokenType",
        "connectTokenStatus" => "/connectTokenStatus",
        "identifier" => "/data/identifier",
        _ => return Err(problem()),
    };
    Ok((field, value.to_owned()))
}

/// Reads a query; what is not decodable is left as it is.
fn pairs(query: &str) -> Vec<(String, String)> {
    let url = webauthn_rs::prelude::Url::parse(&format!("http://localhost/?{query}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

#[derive(Deserialize)]
struct Update {
    status: Status,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Initial,
    Consumed,
}

async fn update(
    State(connect): Connect,
    Path(id): Path<String>,
    body: Result<Json<Update>, JsonRejection>,
) -> Result<Worked, Problem> {
    let Json(update) = body?;
    let found = connect.store.mark_connect_token(&id, update.status == Status::Consumed)?;
    found.then_some(Worked).ok_or_else(|| Problem::not_found("no such connect token"))
}

async fn delete(State(connect): Connect, Path(id): Path<String>) -> Result<Worked, Problem> {
    let found = connect.store.delete_connect_token(&id)?;
    found.then_some(Worked).ok_or_else(|| Problem::not_found("no such connect token"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verify {
    signed_passkey_data: String,
    username: String,
}

/// A verification that fails is a success of the call. Tokens of the sample events have their verdict with them.
async fn verify(State(connect): Connect, body: Result<Json<Verify>, JsonRejection>) -> Answer {
    let Json(Verify { signed_passkey_data: token, username }) = body?;
    let verdict = if connect.key.is_named_by(&token) {
        connect.verdict(&token, &username)?.to_owned()
    } else {
        corbado::sample_verdict(&token, &username, &connect.samples)
    };
    Ok(Json(json!({"verificationResult": verdict})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostLogin {
    signed_passkey_data: String,
}

/// Runs the action post-login for a proof. The action's own verification is what spends it.
async fn post_login(State(connect): Connect, body: Result<Json<PostLogin>, JsonRejection>) -> Answer {
    let Json(PostLogin { signed_passkey_data: token }) = body?;
    let claims = connect.read_proof(&token);
    let claims = claims.map_err(|_| Problem::invalid("signedPasskeyData", "not valid, or not any more"))?;
    let user = claims.get("webauthnId").and_then(Value::as_str).unwrap_or_default();
    let session = connect.post_login(user, &token).await;
    let session = session.ok_or_else(|| Problem::refused("no action post-login is configured"))??;
    Ok(Json(json!({"session": session})))
}
