//! The Frontend API: what the web components call, and what their shipped builds read of the answers.

mod append;
mod login;
mod manage;

pub(super) use manage::shown;

use std::sync::{Arc, PoisonError};

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::{self, Problem};
use super::store::{ConnectToken, StoredPasskey};
use super::{Inner, agent, new_id, now_millis, record};
use crate::journal::{Lane, Note, Outcome};

/// The header that names the process of a browser.
pub(crate) const PROCESS: &str = "x-corbado-process-id";

/// How many browsers are known at a time.
const MAX_CLIENTS: usize = 10_000;

type Connect = State<Arc<Inner>>;
type Answer = Result<Json<Value>, Problem>;
type Body<T> = Result<Json<T>, JsonRejection>;

/// Where the components find what they have called.
#[derive(Clone)]
struct Base(Arc<str>);

pub(super) fn router(connect: Arc<Inner>, url: &str) -> Router {
    Router::new()
        .route("/v2/connect/login/init", post(login::init))
        .route("/v2/connect/login/start", post(login::start))
        .route("/v2/connect/login/finish", post(login::finish))
        .route("/v2/connect/append/init", post(append::init))
        .route("/v2/connect/append/start", post(append::start))
        .route("/v2/connect/append/finish", post(append::finish))
        .route("/v2/connect/manage/init", post(manage::init))
        .route("/v2/connect/manage/list", post(manage::list))
        .route("/v2/connect/manage/delete", post(manage::delete))
        .route("/v2/connect/events", post(events))
        .route("/.well-known/jwks", get(jwks))
        .fallback(async || Problem::not_found("no such path"))
        .layer(DefaultBodyLimit::max(record::MAX_BODY))
        .layer(Extension(Base(url.into())))
        .layer(middleware::from_fn(problem::finish))
        .layer(middleware::from_fn_with_state(Arc::clone(&connect), record::component))
        // Again, for what is refused before it is recorded.
        .layer(middleware::from_fn(problem::finish))
        .with_state(connect)
}

async fn jwks(State(connect): Connect) -> Json<Value> {
    Json(connect.key.jwks().clone())
}

/// The browser that calls.
struct Caller {
    /// The process id that it has, if any.
    process: Option<String>,
    browser: &'static str,
    system: &'static str,
    /// Where it has called; empty: not to be told.
    base: Option<Base>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let (browser, system) = agent::name(text(header::USER_AGENT.as_str()).unwrap_or_default());
        let process = text(PROCESS).filter(|id| is_id(id)).map(ToOwned::to_owned);
        Ok(Self { process, browser, system, base: parts.extensions.get().cloned() })
    }
}

/// Ids that browsers bring are echoed, so they must look like ids.
fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Caller {
    /// The process id that the browser has, or a new one. Ids that are unknown here are taken as they are: a browser
    /// keeps its own for ever, and the stand-in may have been restarted.
    fn process(&self) -> std::io::Result<String> {
        self.process.clone().map_or_else(|| new_id("prc"), Ok)
    }
}

/// The request of the three inits.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Init {
    #[serde(default)]
    client_information: ClientInformation,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientInformation {
    client_env_handle: Option<String>,
}

impl Inner {
    /// What all three inits answer. `token` is what login calls the process id.
    fn begin(&self, caller: &Caller, request: &Init, id_field: &str) -> Result<Map<String, Value>, Problem> {
        let process = caller.process()?;
        let known = request.client_information.client_env_handle.clone().filter(|handle| is_id(handle));
        let handle = known.clone().map_or_else(|| new_id("cli"), Ok)?;
        let lifetime = self.settings.rules.init_lifetime.as_secs();
        let expires = if lifetime == 0 { 0 } else { now_millis() / 1000 + lifetime };
        let conditional = if self.switches().conditional_ui { "true" } else { "false" };
        let mut answer = json!({
            "expiresAt": expires,
            "frontendApiUrl": caller.base.as_ref().map_or("", |base| &base.0),
            "flags": {"conditional-ui-allowed": conditional},
        });
        let answer = answer.as_object_mut().map(std::mem::take);
        let mut answer = answer.ok_or_else(|| Problem::internal("JSON"))?;
        answer.insert(id_field.to_owned(), Value::from(process.as_str()));
        if known.is_none() {
            answer.insert("newClientEnvHandle".to_owned(), Value::from(handle.as_str()));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(process, handle);
        Ok(answer)
    }

    /// Redeems a connect token, which the request has in `field`.
    fn redeem(&self, field: &'static str, secret: &str, kind: &str) -> Result<ConnectToken, Problem> {
        // A list token works for as long as it lives: the component uses one for every refresh.
        let consume = kind != "passkey-list" && self.settings.rules.connect_tokens_work_once;
        let token = self.store.redeem(secret, kind, consume, now_millis())?;
        token.ok_or_else(|| Problem::invalid(field, "unknown, used or expired"))
    }

    /// The browser behind a process.
    fn client(&self, caller: &Caller) -> Option<String> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(caller.process.as_ref()?).cloned()
    }

    /// The operation that a browser keeps as its last login, and shows as one-tap.
    fn operation(&self, kind: &str, shown: &str, passkey: &StoredPasskey) -> Value {
        let identifier_type = match shown {
            _ if shown.contains('@') => "email",
            _ if shown.starts_with('+') => "phone",
            _ => "username",
        };
        let transports = passkey.facts.get("transports").and_then(Value::as_array);
        let is = |name: &str| transports.is_some_and(|all| all.iter().any(|it| it == name));
        let key = (is("usb") || is("nfc")) && !is("internal") && !is("hybrid");
        json!({
            "operationType": kind,
            "identifierValue": shown,
            "identifierType": identifier_type,
            "ceremonyType": if key { "security-key" } else { "local" },
        })
    }

    /// Notes why a ceremony came to nothing, which the browser is not told.
    fn note_broken(&self, ceremony: &str, why: impl std::fmt::Display) {
        let note = Note::new(Lane::Ceremony, format!("{ceremony} refused"), Outcome::Refused);
        self.journal.record(note.detail(json!({"why": why.to_string()})));
    }

    /// Notes that a ceremony has proven something.
    fn note_verified(&self, ceremony: &str, detail: Value) {
        let note = Note::new(Lane::Ceremony, format!("{ceremony} verified"), Outcome::Done);
        self.journal.record(note.detail(detail));
    }

    /// Notes what is kept or forgotten.
    pub(super) fn note_stored(&self, what: &str, detail: Value) {
        self.journal.record(Note::new(Lane::Store, what, Outcome::Done).detail(detail));
    }
}

/// Takes note of what a component tells; append waits for the answer.
async fn events(body: Body<Value>) -> Result<StatusCode, Problem> {
    body.map(|_| StatusCode::NO_CONTENT).map_err(Problem::from)
}
