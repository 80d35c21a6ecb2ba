//! Secrets in AWS Secrets Manager: fetched when needed, kept, followed through a rotation, and never driven by bad calls.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use secrecy::{ExposeSecret, SecretString};
use secrets::{Name, Secret};
use serde_json::{Value, json};
use tests::emulator::Emulator;
use tests::host::TestHost;
use tests::stub::{GENEROUS, Reaction, Stub, aws_error, json};
use webhooks::SigningSecret;

const ARN: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:one-AbCdEf";
const NAME: Name = Name { value: "THE_SECRET", arn: "THE_SECRET_ARN" };

type Shared<T> = Arc<Mutex<T>>;

fn answer(text: &str) -> Reaction {
    json(200, &json!({"ARN": ARN, "Name": "one", "SecretString": text, "VersionId": "v", "CreatedDate": 1.0}))
}

/// A secret that is read from `stub`, at a time that the test moves.
fn secret(stub: &Stub, clock: fn() -> std::time::SystemTime) -> Secret<SecretString> {
    let mut settings = tests::settings(&[
        ("THE_SECRET_ARN", ARN),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &stub.url()),
        GENEROUS,
    ]);
    let parse = |text: &SecretString| (text.expose_secret() != "malformed").then(|| text.clone());
    let secret = Secret::with_clock(&mut settings, NAME, "a secret", parse, clock);
    settings.finish(secret).unwrap().unwrap()
}

/// One clock a test, since a function pointer catches nothing.
macro_rules! clock {
    ($name:ident) => {
        mod $name {
            use std::sync::atomic::{AtomicU64, Ordering};
            use std::time::{Duration, SystemTime, UNIX_EPOCH};

            static SECONDS: AtomicU64 = AtomicU64::new(1_800_000_000);

            pub(super) fn now() -> SystemTime {
                UNIX_EPOCH + Duration::from_secs(SECONDS.load(Ordering::SeqCst))
            }

            pub(super) fn pass(seconds: u64) {
                SECONDS.fetch_add(seconds, Ordering::SeqCst);
            }
        }
    };
}

clock!(age);
clock!(refusals);
clock!(outage);

async fn current(secret: &Secret<SecretString>) -> String {
    match secret.current().await {
        Ok(text) => text.expose_secret().to_owned(),
        Err(cause) => format!("none: {cause}"),
    }
}

#[tokio::test]
async fn a_value_is_fetched_when_needed_and_kept_for_five_minutes() {
    let stub = Stub::start(|_, before| answer(&format!("value {before}"))).await;
    let secret = secret(&stub, age::now);
    assert_eq!(stub.received().len(), 0, "not before it is needed");
    for (wait, expected) in
        [(0, "value 0"), (1, "value 0"), (298, "value 0"), (1, "value 1"), (299, "value 1"), (1, "value 2")]
    {
        age::pass(wait);
        assert_eq!(current(&secret).await, expected, "{wait}");
    }
    let request = &stub.received()[0];
    assert_eq!((request.operation(), request.json()), ("GetSecretValue", json!({"SecretId": ARN})));
    assert!(!format!("{secret:?}").contains("value"));
}

#[tokio::test]
async fn a_refusal_looks_for_a_newer_value_once_a_minute() {
    let value: Shared<&str> = Arc::new(Mutex::new("old"));
    let shared = Arc::clone(&value);
    let stub = Stub::start(move |_, _| answer(*shared.lock().unwrap())).await;
    let secret = secret(&stub, refusals::now);
    assert_eq!(current(&secret).await, "old");
    for _ in 0..10 {
        assert!(!secret.refresh().await, "the same value");
    }
    assert_eq!(stub.received().len(), 2, "one look, however many bad calls");
    *value.lock().unwrap() = "new";
    assert!(!secret.refresh().await && stub.received().len() == 2, "asked a moment ago");
    refusals::pass(60);
    assert!(secret.refresh().await);
    assert_eq!((current(&secret).await.as_str(), stub.received().len()), ("new", 3));
    // A value that cannot be used changes nothing.
    *value.lock().unwrap() = "malformed";
    refusals::pass(60);
    assert!(!secret.refresh().await);
    assert_eq!(current(&secret).await, "new");
    assert!(!Secret::fixed(SecretString::from("x")).refresh().await);
}

#[tokio::test]
async fn an_outage_of_the_store_ends_no_logins_for_an_hour() {
    let up: Shared<bool> = Arc::new(Mutex::new(false));
    let shared = Arc::clone(&up);
    let denied = || aws_error(400, "AccessDeniedException");
    let stub =
        Stub::start(move |_, _| if *shared.lock().unwrap() { answer("value") } else { denied() }).await;
    let secret = secret(&stub, outage::now);
    let none = "none: secrets: credential, status 400, AccessDeniedException";
    assert_eq!(current(&secret).await, none);
    assert_eq!(current(&secret).await, none, "with nothing at hand each call tries");
    assert_eq!(stub.received().len(), 2);
    *up.lock().unwrap() = true;
    assert_eq!(current(&secret).await, "value");
    *up.lock().unwrap() = false;
    let asked = stub.received().len();
    outage::pass(300);
    for _ in 0..5 {
        assert_eq!(current(&secret).await, "value");
    }
    assert_eq!(stub.received().len(), asked + 1, "tried once a minute");
    outage::pass(60);
    assert_eq!(current(&secret).await, "value");
    assert_eq!(stub.received().len(), asked + 2);
    outage::pass(3240);
    assert_eq!(current(&secret).await, none);
}

#[test]
fn settings_name_one_of_two() {
    let read = |pairs: &[(&str, &str)]| {
        let mut settings = tests::settings(pairs);
        let secret = Secret::from_settings(&mut settings, NAME, "short", |text| {
            (text.expose_secret().len() < 10).then(|| text.clone())
        });
        settings.finish(secret).map(|secret| secret.is_some()).map_err(|problems| problems.to_string())
    };
    assert_eq!(read(&[]), Ok(false));
    assert_eq!(read(&[("THE_SECRET", "short")]), Ok(true));
    assert_eq!(read(&[("THE_SECRET", "planted planted")]), Err("THE_SECRET: short".into()));
    let both = read(&[("THE_SECRET", "short"), ("THE_SECRET_ARN", ARN)]);
    assert_eq!(both, Err("THE_SECRET_ARN: not together with THE_SECRET".into()));
    for bad in ["one", "arn:aws:x two"] {
        let told = read(&[("THE_SECRET_ARN", bad)]).unwrap_err();
        assert_eq!(told, "THE_SECRET_ARN: the ARN of a secret in AWS Secrets Manager");
    }
    let told = read(&[("THE_SECRET_ARN", ARN)]).unwrap_err();
    assert_eq!(told, "AWS_REGION: required");
}

// ---- the real binaries ----

/// Secrets by ARN, and Corbado's word on each call.
struct World {
    manager: Stub,
    corbado: Stub,
    stored: Shared<Vec<(&'static str, String)>>,
    /// What Corbado wants, where it is not what is stored.
    wanted: Shared<Option<String>>,
}

const SIGNING: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:signing";
const CORBADO: &str = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:corbado";

impl World {
    async fn start() -> Self {
        let stored: Shared<Vec<_>> = Arc::new(Mutex::new(vec![
            (SIGNING, "whsec_b2xkIHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz".to_owned()),
            (CORBADO, "old-planted".to_owned()),
        ]));
        let shared = Arc::clone(&stored);
        let manager = Stub::start(move |request, _| {
            let arn = request.json()["SecretId"].as_str().unwrap().to_owned();
            let stored = shared.lock().unwrap();
            stored
                .iter()
                .find(|(known, _)| *known == arn)
                .map_or_else(|| aws_error(400, "ResourceNotFoundException"), |(_, text)| answer(text))
        })
        .await;
        let shared = Arc::clone(&stored);
        let wanted: Shared<Option<String>> = Arc::default();
        let other = Arc::clone(&wanted);
        let corbado = Stub::start(move |request, _| {
            let stored = shared.lock().unwrap()[1].1.clone();
            let secret = other.lock().unwrap().clone().unwrap_or(stored);
            let credential = base64(&format!("pro-sandbox:{secret}"));
            if request.header("authorization") == format!("Basic {credential}") {
                json(200, &json!({"verificationResult": "success"}))
            } else {
                json(401, &json!({"error": {"type": "login_error"}}))
            }
        })
        .await;
        Self { manager, corbado, stored, wanted }
    }

    async fn host(&self) -> TestHost {
        TestHost::start(&[
            ("ACTION_SIGNING_SECRETS", ""),
            ("ACTION_SIGNING_SECRET_ARN", SIGNING),
            ("CORBADO_API_SECRET", ""),
            ("CORBADO_API_SECRET_ARN", CORBADO),
            ("CORBADO_BACKEND_API_URL", &self.corbado.url()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.manager.url()),
        ])
        .await
    }

    fn fetched(&self, arn: &str) -> usize {
        self.manager.received().iter().filter(|request| request.json()["SecretId"] == arn).count()
    }

    fn corbado_wants(&self, secret: &str) {
        *self.wanted.lock().unwrap() = Some(secret.to_owned());
    }

    fn store(&self, arn: &str, text: &str) {
        let mut stored = self.stored.lock().unwrap();
        stored.iter_mut().find(|(known, _)| *known == arn).unwrap().1 = text.to_owned();
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(text)
}

/// Calls a function's URL, signed with a secret.
async fn signed(host: &TestHost, function: &str, secret: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/lambda-url/{function}", host.url());
    let body = body.to_string();
    let (id, now) = (format!("msg_{:?}", std::time::Instant::now()).replace(' ', ""), tests::now());
    let headers = tests::host::signed(&SigningSecret::parse(secret).unwrap(), &id, now, &body);
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(&body).unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_follow_a_rotation_and_bad_calls_drive_nothing() {
    let world = World::start().await;
    let host = world.host().await;
    let old = "whsec_b2xkIHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz";
    let new = "whsec_bmV3IHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz";
    let event = json!({"identifier": "ada@example.com"});

    // Nothing is fetched for a direct call, which needs no secret.
    assert_eq!(host.invoke("pre-login", event.to_string()).await.payload["statusCode"], 200);
    assert_eq!(world.manager.received().len(), 0);
    // A call that cannot be right is refused without a look.
    let (status, _) = signed(&host, "post-append", old, &json!({})).await;
    assert_eq!(status, 400);
    assert_eq!(signed(&host, "pre-login", old, &event).await.0, 200);
    let fetched = world.fetched(SIGNING);
    assert_eq!(fetched, 2, "once a process");
    // Both at once, while callers change over: the first call with the new one brings it.
    world.store(SIGNING, &format!("{new} {old}"));
    assert_eq!(signed(&host, "pre-login", new, &event).await.0, 200);
    assert_eq!(world.fetched(SIGNING), fetched + 1);
    for _ in 0..20 {
        let (status, _) =
            signed(&host, "pre-login", "whsec_YW55Ym9keSdzIHNlY3JldCwgYmFkIG9uZXM=", &event).await;
        assert_eq!(status, 401);
    }
    assert_eq!(world.fetched(SIGNING), fetched + 1, "nobody drives another look within a minute");
    for secret in [new, old] {
        assert_eq!(signed(&host, "pre-login", secret, &event).await.0, 200);
    }
    // Without a prefix, as CloudFormation generates them.
    let generated = "a1B2".repeat(11);
    world.store(SIGNING, &generated);
    let host = world.host().await;
    assert_eq!(signed(&host, "pre-login", &generated, &event).await.0, 200);
    assert_eq!(signed(&host, "pre-login", old, &event).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_asked_is_an_answer() {
    let world = World::start().await;
    let host = world.host().await;
    world.store(SIGNING, "not a signing secret, planted");
    let secret = "whsec_b2xkIHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz";
    for function in sandbox::ACTIONS {
        let (status, body) = signed(&host, function, secret, &json!({"identifier": "x"})).await;
        assert_eq!((status, &body["error"]), (500, &json!("provider_unavailable")), "{function}");
    }
    // Who is not even signed hears nothing of it.
    let url = format!("{}/lambda-url/pre-login", host.url());
    let status = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.post(url).header("content-type", "application/json").send("{}").unwrap().status().as_u16()
    });
    assert_eq!(status.await.unwrap(), 401);
    let lines = host.log_with("secrets: unreadable").await.join("\n");
    assert!(!lines.contains("planted"), "{lines}");

    // Without Corbado's secret nothing of the token is used up: it is good when the secret is back.
    let token = tests::api::token("signed-passkey-data");
    let event = json!({"signedPasskeyData": token}).to_string();
    let kept = world.stored.lock().unwrap()[1].1.clone();
    world.store(CORBADO, "two words");
    let refused = host.invoke("post-login", event.clone()).await.status_and_code();
    assert_eq!(refused, (500, "provider_unavailable".into()));
    world.store(CORBADO, &kept);
    assert_eq!(host.invoke("post-login", event).await.payload["statusCode"], 200);
    let log = host.lines().join("\n");
    assert!(!log.contains("planted") && !log.contains("two words"), "{log}");
}

/// Corbado's API secret is replaced while a process runs: the call that is refused fetches the new one, and is made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_is_fetched_anew() {
    let world = World::start().await;
    let mut settings = tests::settings(&[
        ("CORBADO_PROJECT_ID", "pro-sandbox"),
        ("CORBADO_API_SECRET_ARN", CORBADO),
        ("CORBADO_BACKEND_API_URL", &world.corbado.url()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &world.manager.url()),
    ]);
    let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Public).unwrap();
    let verifier = corbado::Verifier::from_settings(&mut settings, &https);
    let verifier = settings.finish(verifier).unwrap();
    let confirm = async || {
        use domain::PasskeyVerifier;
        let token = domain::SignedPasskeyData::new(tests::api::token("signed-passkey-data"));
        let inspected = verifier.inspect(token, domain::Timestamp::from_secs(tests::now())).unwrap();
        verifier.confirm(&inspected).await.map_err(|cause| cause.to_string())
    };
    assert_eq!(confirm().await, Ok(()));
    world.store(CORBADO, "new-planted");
    assert_eq!(confirm().await, Ok(()));
    assert_eq!((world.fetched(CORBADO), world.corbado.received().len()), (2, 3));
    // One that nobody knows is refused for good, and fetched once a minute at most.
    world.corbado_wants("another");
    for _ in 0..3 {
        assert_eq!(confirm().await, Err("corbado: credential, status 401, login_error".into()));
    }
    assert_eq!((world.fetched(CORBADO), world.corbado.received().len()), (2, 6));
}

/// The same on an emulator, with its own idea of a secret.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_an_emulator() {
    let emulator = Emulator::start().await;
    let made = emulator.secret("signing", "whsec_b2xkIHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz");
    let mut settings = emulator.settings().to_vec();
    settings.retain(|(name, _)| *name != "AUTH_SYSTEM");
    settings.push(("ACTION_SIGNING_SECRETS", String::new()));
    settings.push(("ACTION_SIGNING_SECRET_ARN", made));
    let pairs: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let host = TestHost::start(&pairs).await;
    let event = json!({"identifier": "ada@example.com"});
    let secret = "whsec_b2xkIHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz";
    assert_eq!(signed(&host, "pre-login", secret, &event).await.0, 200);
    let other = "whsec_bmV3IHNpZ25pbmcgc2VjcmV0IG9mIHRlc3Rz";
    assert_eq!(signed(&host, "pre-login", other, &event).await.0, 401);
}
