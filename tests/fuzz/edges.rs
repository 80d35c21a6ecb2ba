//! Parsers that are reached through an edge, and those that need more around them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{ProviderTokens, Session, SessionId, SessionStore, Timestamp, TokenUse, UserIdentifier};
use lambda::{Action, Call, CallerPolicy, Edge, HttpEdge, Invocation, Problem, Reply};
use sandbox::sample::MADE_AT;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::parsers::samples;

const INVOCATION: Invocation<'static> = Invocation { request_id: "fuzz", trace_id: None, deadline: None };

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(MADE_AT)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A payload as the runtime passes it on.
fn payload(input: &[u8]) -> &str {
    let text = std::str::from_utf8(input).unwrap_or("null");
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() { text } else { "null" }
}

// ---- envelopes ----

/// Keeps the event that it is given.
struct Keeping(Arc<Mutex<Option<Vec<u8>>>>);

impl Action for Keeping {
    const NAME: &'static str = "keeping";
    const FAILURE: &'static str = "Failed";

    async fn answer(&self, event: &[u8], _: &Call) -> Result<Reply, Problem> {
        *self.0.lock().unwrap() = Some(event.to_vec());
        Reply::new("kept", &json!({}))
    }
}

pub(crate) fn envelopes() -> Vec<Vec<u8>> {
    let mut all: Vec<_> =
        ["pre-login", "post-login", "post-append", "auth-api"].into_iter().flat_map(samples).collect();
    let iam = json!({
        "version": "2.0", "rawPath": "/", "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": "POST", "path": "/"},
            "authorizer": {"iam": {"accountId": "1", "userArn": "arn"}}},
        "body": BASE64_STANDARD.encode("{\"userId\":\"usr-ada\"}"), "isBase64Encoded": true,
    });
    let direct = json!({"body": "{\"userId\":\"usr-ada\"}"});
    all.extend([iam, direct].map(|event| event.to_string().into_bytes()));
    all
}

/// An action gets the very bytes that were sent; whoever is not let in is told so in a readable way.
pub(crate) fn envelope() -> impl Fn(&[u8]) -> bool {
    let kept = Arc::new(Mutex::new(None));
    let edge = |pairs: &[(&str, &str)]| {
        let mut settings = tests::settings(pairs);
        let policy = CallerPolicy::from_settings(&mut settings);
        Edge::new(Keeping(Arc::clone(&kept)), settings.finish(policy).unwrap())
    };
    let edges = [
        edge(&[("ACTION_SIGNING_SECRETS", sandbox::sample::SECRET)]),
        edge(&[("ACTION_CALLER_AUTH", "iam")]),
        edge(&[("ACTION_SIGNING_SECRETS", sandbox::sample::SECRET), ("ACTION_DIRECT_INVOCATION", "deny")]),
    ];
    let runtime = runtime();
    move |input| {
        let payload = payload(input);
        let mut accepted = false;
        for edge in &edges {
            kept.lock().unwrap().take();
            let answer = runtime.block_on(edge.respond(payload, INVOCATION, now())).unwrap();
            let answer: Value = serde_json::from_str(answer.get()).unwrap();
            let status = answer["statusCode"].as_u64().unwrap();
            assert!([200, 400, 401, 405, 413, 415].contains(&status), "{answer}");
            match &answer["body"] {
                Value::String(text) => drop(serde_json::from_str::<Value>(text).unwrap()),
                body => assert!(body.is_object(), "{answer}"),
            }
            let event = kept.lock().unwrap().take();
            assert_eq!(event.is_some(), status == 200, "{answer}");
            let Some(event) = event else { continue };
            accepted = true;
            // Where there is another reading, it is the same.
            if let Ok(other) = serde_json::from_str::<Value>(payload) {
                assert!(event == payload.as_bytes() || event == sent_body(&other), "{payload}");
            }
        }
        accepted
    }
}

fn sent_body(payload: &Value) -> Vec<u8> {
    let body = payload["body"].as_str().unwrap_or_default();
    if payload["isBase64Encoded"] == true {
        BASE64_STANDARD.decode(body).unwrap()
    } else {
        body.as_bytes().to_vec()
    }
}

// ---- pages ----

/// auth-api on an embedded store with Ada's session; nobody answers in Corbado's place.
struct Pages {
    edge: HttpEdge<auth_api::App>,
    runtime: Runtime,
    store: sqlite::Store,
    _folder: tempfile::TempDir,
}

fn session_id() -> SessionId {
    SessionId::from_random([7; 32])
}

impl Pages {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let path_text = path.display().to_string();
        let runtime = runtime();
        let store = sqlite::Store::new(&path, Duration::from_secs(5));
        runtime.block_on(store.seed(&sqlite::seed::DEMO_USERS)).unwrap();
        let mut settings = tests::settings(&[
            ("EMBEDDED_STORE", &path_text),
            ("ALLOWED_ORIGINS", sandbox::sample::ORIGIN),
            ("RATE_LIMIT_LOGINS_PER_MINUTE", "0"),
            ("RATE_LIMIT_CONNECT_TOKENS_PER_MINUTE", "0"),
            ("CORBADO_PROJECT_ID", "pro-sandbox"),
            ("CORBADO_API_SECRET", "x"),
            ("CORBADO_BACKEND_API_URL", "http://127.0.0.1:1"),
            ("UPSTREAM_TIMEOUT_MS", "1000"),
        ]);
        let app = auth_api::App::from_settings(&mut settings);
        let edge = HttpEdge::new(settings.finish(app).unwrap());
        let pages = Self { edge, runtime, store, _folder: folder };
        pages.sign_in();
        pages
    }

    /// Ada's session, anew.
    fn sign_in(&self) {
        let ada = UserIdentifier::new("usr-ada").unwrap();
        let session = Session::new(ada, Timestamp::from_secs(MADE_AT), Duration::from_secs(3600));
        let key = session_id().key();
        self.runtime.block_on(self.store.revoke(key)).unwrap();
        self.runtime.block_on(self.store.create(key, &session)).unwrap();
    }

    /// Answers: the status, and the answer as text.
    fn respond(&self, payload: &str) -> (u64, String) {
        let answer = self.runtime.block_on(self.edge.respond(payload, INVOCATION, now())).unwrap();
        let read: Value = serde_json::from_str(answer.get()).unwrap();
        (read["statusCode"].as_u64().unwrap(), answer.get().to_owned())
    }
}

pub(crate) fn page_requests() -> Vec<Vec<u8>> {
    let mut all = samples("auth-api");
    let origin = sandbox::sample::ORIGIN;
    all.push(
        json!({
            "version": "2.0", "rawPath": "/auth/session", "cookies": [format!("session_id={}", session_id().expose())],
            "headers": {"origin": origin, "x-forwarded-for": "203.0.113.7, [2001:db8::1]:443"},
            "requestContext": {"http": {"method": "GET", "path": "/auth/session", "sourceIp": "203.0.113.7"}},
        })
        .to_string()
        .into_bytes(),
    );
    all
}

/// Nobody is signed in but by the session that there is, and nothing is opened.
pub(crate) fn page_request() -> impl Fn(&[u8]) -> bool {
    let pages = Pages::start();
    let id = session_id();
    move |input| {
        let payload = payload(input);
        let (status, answer) = pages.respond(payload);
        assert!([200, 204, 400, 401, 403, 404, 405, 413, 415, 500].contains(&status), "{answer}");
        // That may have been a logout.
        if status == 204 {
            pages.sign_in();
        }
        // Only Corbado's absence is a failure.
        if status == 500 {
            assert!(answer.contains("provider_unavailable"), "{answer}");
        }
        if status == 200 {
            assert!(payload.contains(id.expose()) || payload.contains('\\'), "{payload}");
            assert!(answer.contains("usr-ada"), "{answer}");
        }
        assert!(!answer.contains("accessToken") && !answer.contains("connectToken"), "{answer}");
        status < 300
    }
}

pub(crate) fn presented_sessions() -> Vec<Vec<u8>> {
    let id = session_id();
    let id = id.expose();
    let other = "A".repeat(43);
    [
        format!("session_id={id}\n"),
        format!("a=b; session_id={id}; c=d\n"),
        format!("session_id={other}; session_id={id}\n"),
        format!("\nBearer {id}"),
        format!("session_id={other}\nBearer {id}"),
        "\nBearer a.b.c".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// A cookie header and an authorization header: whoever is signed in has presented the session, alone.
pub(crate) fn presented_session() -> impl Fn(&[u8]) -> bool {
    let pages = Pages::start();
    let id = session_id();
    move |input| {
        let text = String::from_utf8_lossy(input);
        let (cookie, authorization) = text.split_once('\n').unwrap_or((&text, ""));
        let mut headers = json!({});
        for (name, value) in [("cookie", cookie), ("authorization", authorization)] {
            if !value.is_empty() {
                headers[name] = value.into();
            }
        }
        let event = json!({
            "version": "2.0", "rawPath": "/auth/session", "headers": headers,
            "requestContext": {"http": {"method": "GET", "path": "/auth/session"}},
        });
        let (status, answer) = pages.respond(&event.to_string());
        assert!([200, 400, 401].contains(&status), "{answer}");
        if status == 200 {
            let mut cookies =
                cookie.split(';').map(str::trim_ascii).filter(|it| it.starts_with("session_id="));
            let right = format!("session_id={}", id.expose());
            let by_cookie = cookies.next() == Some(&right) && cookies.next().is_none();
            let by_bearer = authorization
                .split_once(' ')
                .is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && token == id.expose());
            assert!(by_bearer || (authorization.is_empty() && by_cookie), "{text:?}");
        }
        status == 200
    }
}

// ---- the pool's tokens ----

/// A key set and a token that it verifies, made once: `tests/fuzz/pool.json`.
fn pool() -> (Value, String) {
    let text = std::fs::read_to_string(tests::repository().join("tests/fuzz/pool.json")).unwrap();
    let mut pool: Value = serde_json::from_str(&text).unwrap();
    let token = pool["token"].as_str().unwrap().to_owned();
    (pool["keySet"].take(), token)
}

pub(crate) fn pool_tokens() -> Vec<Vec<u8>> {
    let (_, token) = pool();
    let unsigned = token.rsplit_once('.').unwrap().0;
    vec![token.clone().into_bytes(), format!("{unsigned}.").into_bytes(), b"a.b.c".to_vec()]
}

/// What is accepted is the token that the pool has signed, letter by letter.
pub(crate) fn pool_token() -> impl Fn(&[u8]) -> bool {
    let (keys, made) = pool();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stub = runtime.block_on(tests::stub::Stub::start(move |_, _| tests::stub::json(200, &keys)));
    let mut settings = tests::settings(&[
        ("USER_POOL_ID", "eu-central-1_fuzz"),
        ("USER_POOL_CLIENT_ID", "web"),
        ("COGNITO_JWKS_URL", &stub.url()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Aws).unwrap();
    let tokens = cognito::Tokens::from_settings(&mut settings, &https);
    let tokens = settings.finish(tokens).unwrap();
    let now = Timestamp::from_secs(MADE_AT);
    // The keys are fetched before anything is measured.
    assert!(runtime.block_on(tokens.verify(&made, TokenUse::Session, now)).unwrap().is_some());
    move |input| {
        let _alive = &stub;
        let text = String::from_utf8_lossy(input);
        let accepted = runtime.block_on(tokens.verify(&text, TokenUse::Session, now)).unwrap();
        assert!(accepted.is_none() || text == made, "{text}");
        accepted.is_some_and(|session| session.user.as_str() == "usr-ada")
    }
}
