//! Every sample event: parse, handle, compare. In one process, at the time the samples were made.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, UNIX_EPOCH};

use lambda::{Action, CallerPolicy, Edge, HttpEdge, Invocation, TriggerEdge};
use sandbox::Host;
use sandbox::sample::{self, MADE_AT, SECRET, Sample};
use sandbox::site::Place;
use serde_json::{Value, json};
use settings::Settings;

/// A store with the demo users and a stand-in for Corbado, fresh for each sample.
struct World {
    host: Host,
    state: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let store = sqlite::Store::new(state.path().join("store.sqlite"), Duration::from_secs(5));
        store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();
        let place = Place::take(0).await.unwrap();
        let host = Host::start(place, Vec::new(), std::sync::Arc::new(|_, _| {})).await.unwrap();
        Self { host, state }
    }

    fn settings(&self) -> Settings<'static> {
        let store = self.state.path().join("store.sqlite").display().to_string();
        let corbado = sandbox::host::corbado_settings(self.host.address().port());
        let mut pairs = vec![
            ("EMBEDDED_STORE", store.as_str()),
            ("ACTION_SIGNING_SECRETS", SECRET),
            ("ALLOWED_ORIGINS", tests::host::ORIGIN),
        ];
        pairs.extend(corbado.iter().map(|(name, value)| (*name, value.as_str())));
        tests::settings(&pairs)
    }
}

async fn answer<A: Action>(sample: &Sample, from_settings: impl Fn(&mut Settings<'_>) -> Option<A>) -> Value {
    let world = World::new().await;
    let mut settings = world.settings();
    let callers = CallerPolicy::from_settings(&mut settings);
    let action = from_settings(&mut settings);
    let (action, callers) = settings.finish(action.zip(callers)).unwrap();
    let edge = Edge::new(action, callers);
    let now = UNIX_EPOCH + Duration::from_secs(MADE_AT);
    let answer = edge.respond(&sample.event.to_string(), INVOCATION, now).await.unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

async fn check_all<A: Action>(function: &str, from_settings: impl Fn(&mut Settings<'_>) -> Option<A>) {
    let samples = sample::read_all(&tests::events(), function).unwrap();
    assert!(samples.len() >= 8, "{function} has {} samples", samples.len());
    let mut wrong = Vec::new();
    for sample in &samples {
        wrong.extend(sample::matches(sample, &answer(sample, &from_settings).await).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn pre_login() {
    check_all("pre-login", pre_login::App::from_settings).await;
}

#[tokio::test]
async fn post_login() {
    check_all("post-login", post_login::App::from_settings).await;
}

#[tokio::test]
async fn post_append() {
    check_all("post-append", post_append::App::from_settings).await;
}

#[tokio::test]
async fn auth_api() {
    let samples = sample::read_all(&tests::events(), "auth-api").unwrap();
    assert!(samples.len() >= 8);
    let mut wrong = Vec::new();
    for sample in &samples {
        let world = World::new().await;
        let mut settings = world.settings();
        let app = auth_api::App::from_settings(&mut settings);
        let edge = HttpEdge::new(settings.finish(app).unwrap());
        let now = UNIX_EPOCH + Duration::from_secs(MADE_AT);
        let answer = edge.respond(&sample.event.to_string(), INVOCATION, now).await.unwrap();
        wrong.extend(sample::matches(sample, &serde_json::from_str(answer.get()).unwrap()).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn custom_auth() {
    let samples = sample::read_all(&tests::events(), "custom-auth").unwrap();
    assert!(samples.len() >= 8);
    let mut wrong = Vec::new();
    for sample in &samples {
        let world = World::new().await;
        let mut settings = world.settings();
        let app = custom_auth::App::from_settings(&mut settings);
        let edge = TriggerEdge::new(settings.finish(app).unwrap());
        let now = UNIX_EPOCH + Duration::from_secs(MADE_AT);
        let answer = match edge.respond(&sample.event.to_string(), INVOCATION, now).await {
            Ok(answer) => serde_json::from_str(answer.get()).unwrap(),
            Err(fault) => json!({"errorType": fault.error_type, "errorMessage": fault.error_message}),
        };
        wrong.extend(sample::matches(sample, &answer).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// One pool's function serves no other pool.
#[tokio::test]
async fn custom_auth_serves_its_own_pool() {
    let event = sample::read(&tests::events(), "custom-auth", "define-first").unwrap().event.to_string();
    for (pool, served) in [("eu-central-1_SAMPLE123", true), ("eu-central-1_OTHER", false)] {
        let mut settings = tests::settings(&[
            ("USER_POOL_ID", pool),
            ("CORBADO_PROJECT_ID", "pro-sandbox"),
            ("CORBADO_API_SECRET", "secret"),
            ("EMBEDDED_STORE", "/nowhere/store.sqlite"),
        ]);
        let app = custom_auth::App::from_settings(&mut settings);
        let edge = TriggerEdge::new(settings.finish(app).unwrap());
        let answer = edge.respond(&event, INVOCATION, UNIX_EPOCH).await;
        match answer {
            Ok(_) => assert!(served),
            Err(fault) => assert_eq!((served, fault.error_type), (false, "invalid_request")),
        }
    }
}

/// What cannot work together is told at the start.
#[test]
fn settings_of_custom_authentication_fit_together() {
    let problems = |pairs: &[(&str, &str)], post_login: bool| {
        let mut pairs = pairs.to_vec();
        pairs.extend([
            ("CORBADO_PROJECT_ID", "pro-1"),
            ("CORBADO_API_SECRET", "secret"),
            ("HOME", "/nowhere"),
        ]);
        let mut settings = tests::settings(&pairs);
        let problems = if post_login {
            let app = post_login::App::from_settings(&mut settings);
            settings.finish(app).map(|_| ())
        } else {
            let app = custom_auth::App::from_settings(&mut settings);
            settings.finish(app).map(|_| ())
        };
        problems.map_err(|problems| problems.to_string())
    };
    let email = ("CONNECT_TOKEN_IDENTIFIER", "email");
    let short = ("LOGIN_PROOF_SECRETS", "planted");
    let told = problems(&[email, short], false).unwrap_err();
    assert!(
        told.contains("CONNECT_TOKEN_IDENTIFIER: id") && told.contains("LOGIN_PROOF_SECRETS: one or more"),
        "{told}"
    );
    assert!(!told.contains("planted"));
    assert_eq!(problems(&[], false), Ok(()));

    let pool = [
        ("SESSION_KIND", "cognito"),
        ("USER_POOL_ID", "eu-central-1_a"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let told = problems(&[&pool[..], &[email, short, ("USER_POOL_CLIENT_ID", "one two")]].concat(), true);
    let told = told.unwrap_err();
    for name in [
        "AUTH_SYSTEM: cognito",
        "CONNECT_TOKEN_IDENTIFIER: id",
        "LOGIN_PROOF_SECRETS",
        "USER_POOL_CLIENT_ID: one",
    ] {
        assert!(told.contains(name), "{name}: {told}");
    }
    let good = [&pool[..], &[("AUTH_SYSTEM", "cognito"), ("USER_POOL_CLIENT_ID", "web")]].concat();
    assert_eq!(problems(&good, true), Ok(()));
    // Sessions of ours need none of it.
    assert_eq!(problems(&[("SESSION_KIND", "opaque"), email], true), Ok(()));
}

const INVOCATION: Invocation<'_> =
    Invocation { request_id: "6f0c0c5e-0000-4000-8000-000000000000", trace_id: None, deadline: None };

/// A signed call is remembered for longer than its signature is good: at no instant does it count twice.
#[tokio::test]
async fn a_signed_call_counts_once_until_its_signature_is_void() {
    let world = World::new().await;
    let mut settings = world.settings();
    let callers = CallerPolicy::from_settings(&mut settings);
    let action = post_login::App::from_settings(&mut settings);
    let (action, callers) = settings.finish(action.zip(callers)).unwrap();
    let edge = Edge::new(action, callers);
    let event = sample::read(&tests::events(), "post-login", "alb").unwrap().event.to_string();
    let mut statuses = Vec::new();
    for millis in [0, 299_999, 300_000, 300_500, 300_999, 301_000, 361_000] {
        let now = UNIX_EPOCH + Duration::from_secs(MADE_AT) + Duration::from_millis(millis);
        let answer = edge.respond(&event, INVOCATION, now).await.unwrap();
        let answer: Value = serde_json::from_str(answer.get()).unwrap();
        statuses.push(answer["statusCode"].as_u64().unwrap());
    }
    assert_eq!(statuses, [200, 409, 409, 409, 409, 401, 401]);
}

/// Each function that is called over HTTP is shown in all five envelopes.
#[test]
fn samples_cover_the_five_envelopes() {
    for function in sandbox::WITH_URL {
        let samples = sample::read_all(&tests::events(), function).unwrap();
        let some = |is: &dyn Fn(&Value) -> bool| samples.iter().any(|sample| is(&sample.event));
        let elb = |event: &Value| event.pointer("/requestContext/elb").is_some();
        assert!(some(&|event| event.get("requestContext").is_none()), "{function}: direct");
        assert!(some(&|event| event["version"] == "2.0"), "{function}: 2.0");
        assert!(some(&|event| event.get("resource").is_some()), "{function}: 1.0");
        assert!(some(&|event| elb(event) && event.get("headers").is_some()), "{function}: ALB");
        assert!(
            some(&|event| elb(event) && event.get("multiValueHeaders").is_some()),
            "{function}: ALB, multi"
        );
        assert!(some(&|event| event["isBase64Encoded"] == true), "{function}: base64");
    }
}
