//! The hosts that the attacks run on, and what is prepared there.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tests::api::{Call, login, token};
use tests::forge::Forged;
use tests::host::TestHost;
use tests::stub::{Reaction, Received, Stub, json};

use crate::Sent;

/// A host, by what is set there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    /// The embedded store and nothing special; no rate limit, so that rows do not hold back each other.
    Default,
    /// `ACTION_DIRECT_INVOCATION=deny`, `REQUIRE_SIGNED_PASSKEY_DATA=true`.
    Strict,
    /// `ACTION_CALLER_AUTH=iam`.
    Iam,
    /// No signing secret.
    NoSecret,
    /// Users in a user pool, whose keys are known; Corbado counts.
    Pool,
    /// Corbado does not answer.
    Stalling,
    /// Two logins a minute.
    Limited,
    /// Sessions rest for a minute at most.
    Idle,
    /// A deployed build, told to use the embedded store, and cookies without `Secure`.
    Deployed,
    /// auth-api without allowed origins.
    NoOrigins,
    /// `SESSION_COOKIE_HOST_PREFIX=true`.
    Prefixed,
}

/// An answer, whatever the envelope.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) fault: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) body: Value,
}

impl Answer {
    /// The status; a fault counts as 500, an answer without status as 200.
    pub(crate) fn status(&self) -> u16 {
        if self.fault.is_some() { 500 } else { self.status.unwrap_or(200) }
    }

    /// One line on what came.
    pub(crate) fn outcome(&self) -> String {
        if let Some(fault) = &self.fault {
            return format!("fault {fault}");
        }
        for word in ["answerCorrect", "failAuthentication"] {
            if let Some(value) = self.body["response"][word].as_bool() {
                return format!("{word} {value}");
            }
        }
        let error = &self.body["error"];
        let code = error.as_str().or(error["code"].as_str()).unwrap_or_default();
        format!("{} {code}", self.status()).trim_end().to_owned()
    }

    /// The answer without what differs from call to call.
    pub(crate) fn scrubbed(&self) -> String {
        let mut body = self.body.clone();
        if body.get("triggerSource").is_some() {
            body = body["response"].take();
            if body["privateChallengeParameters"]["nonce"].as_str().is_some_and(|nonce| nonce.len() == 43) {
                body["privateChallengeParameters"]["nonce"] = "".into();
            }
        }
        if let Some(id) = body.get_mut("requestId") {
            *id = "".into();
        }
        format!("{:?} {:?} {body}", self.fault, self.status)
    }
}

/// Everything that rows need.
pub(crate) struct World {
    hosts: BTreeMap<On, TestHost>,
    stubs: BTreeMap<On, Stub>,
    /// A live session of Ada's.
    pub(crate) session: String,
    /// Ada's, logged out.
    pub(crate) logged_out: String,
    /// Ada's, past its end.
    pub(crate) expired: String,
    /// Barbara's, who was disabled afterwards.
    pub(crate) of_disabled: String,
    /// Ada's on [`On::Idle`], rested for too long.
    pub(crate) rested: String,
    /// A live session of Ada's on [`On::Prefixed`].
    pub(crate) prefixed: String,
    /// Access tokens that are not what they claim, by the name of the trick; see [`forged`].
    pub(crate) forged: BTreeMap<&'static str, String>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (wanted, names) = forged();
        let made = Forged::make(&["pool", "foreign"], &wanted);
        let forged = names.into_iter().zip(made.tokens.clone()).collect();
        let mut stubs = BTreeMap::new();
        stubs.insert(On::Pool, Stub::start(user_pool(&made)).await);
        let never = Reaction::After(Duration::from_secs(60), Box::new(Reaction::Reset));
        stubs.insert(On::Stalling, Stub::start(move |_, _| never.clone()).await);

        let mut hosts = BTreeMap::new();
        for (on, mut settings) in settings() {
            let url = stubs.get(&on).map(Stub::url).unwrap_or_default();
            let keys = format!("{url}/keys");
            match on {
                On::Pool => settings.extend([
                    ("AWS_ENDPOINT_URL", url.as_str()),
                    ("COGNITO_JWKS_URL", keys.as_str()),
                    ("CORBADO_BACKEND_API_URL", url.as_str()),
                ]),
                On::Stalling => settings.push(("CORBADO_BACKEND_API_URL", url.as_str())),
                _ => {}
            }
            let host = if on == On::Deployed {
                let binaries = tests::binaries().parent().unwrap().join("deployable");
                let functions = sandbox::FUNCTIONS.map(|name| (name, binaries.join(name)));
                TestHost::with_functions(&functions, &settings, Duration::from_secs(20)).await
            } else {
                TestHost::start(&settings).await
            };
            hosts.insert(on, host);
        }
        let host = &hosts[&On::Default];
        let session = sign_in(host).await;
        let logged_out = sign_in(host).await;
        assert_eq!(Call::new("POST", "/auth/logout").session(&logged_out).send(host).await.status, 204);
        let expired = sign_in(host).await;
        sql(host, "UPDATE sessions SET expires = 1 WHERE created = (SELECT max(created) FROM sessions)");
        let barbara = host.invoke("post-login", r#"{"userId":"usr-barbara"}"#).await.payload;
        let of_disabled = barbara["body"]["sessionId"].as_str().unwrap().to_owned();
        sql(host, "UPDATE users SET status = 'disabled' WHERE id = 'usr-barbara'");
        let rested = sign_in(&hosts[&On::Idle]).await;
        sql(&hosts[&On::Idle], "UPDATE sessions SET last_seen = last_seen - 121000");
        let prefixed = sign_in(&hosts[&On::Prefixed]).await;
        Self { hosts, stubs, session, logged_out, expired, of_disabled, rested, prefixed, forged }
    }

    /// How many sessions a host's store holds.
    pub(crate) fn sessions(&self, on: On) -> u64 {
        // A deployed build has none.
        if on == On::Deployed { 0 } else { self.hosts[&on].sessions() }
    }

    /// How many calls have reached the systems behind a host, where those count.
    pub(crate) fn asked(&self, on: On) -> usize {
        self.stubs.get(&on).map_or(0, |stub| stub.received().len())
    }

    /// Waits until a minute has time left for a row that counts within one.
    pub(crate) async fn early_in_a_minute(&self, on: On) {
        while on == On::Limited && tests::now() % 60 > 50 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Makes a call.
    pub(crate) async fn send(&self, on: On, sent: &Sent) -> Answer {
        let host = &self.hosts[&on];
        match sent {
            Sent::Invoke(function, payload) => {
                let invoked = host.invoke(function, payload.clone()).await;
                let mut body = invoked.payload;
                let fault = invoked.function_error.map(|_| body["errorType"].as_str().unwrap().to_owned());
                let status = body["statusCode"].as_u64().map(|status| status.try_into().unwrap());
                if status.is_some() {
                    // The cookies count, too.
                    let cookies = body["cookies"].take();
                    body = body["body"].take();
                    if let Value::String(text) = &body {
                        body = serde_json::from_str(text).unwrap_or_default();
                    }
                    if cookies.as_array().is_some_and(|cookies| !cookies.is_empty()) && body.is_object() {
                        body["cookies"] = cookies;
                    }
                }
                Answer { fault, status, body }
            }
            Sent::Url(function, headers, body) => {
                let url = format!("{}/lambda-url/{function}", host.url());
                let (headers, body) = (headers.clone(), body.clone());
                let call = move || {
                    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
                    let mut request = ureq::Agent::from(config).post(url);
                    for (name, value) in headers {
                        request = request.header(name, value);
                    }
                    let mut response = request.send(body).unwrap();
                    let body = serde_json::from_str(&response.body_mut().read_to_string().unwrap());
                    Answer { fault: None, status: Some(response.status().as_u16()), body: body.unwrap() }
                };
                tokio::task::spawn_blocking(call).await.unwrap()
            }
        }
    }

    /// Tells that a function did not start, and named a setting.
    pub(crate) async fn problem(&self, on: On, answer: &Answer, setting: &str) -> Result<String, String> {
        let lines = self.hosts[&on].log_with("configuration").await;
        let named = lines.iter().any(|line| line.contains("configuration") && line.contains(setting));
        match answer.fault.as_deref() {
            Some("Runtime.ExitError") if named => Ok(format!("no start: {setting}")),
            _ => Err(format!("{answer:?}, {lines:?}")),
        }
    }

    /// Tells whether all processes are alive and their logs unforged.
    pub(crate) async fn is_unbroken(&self) -> Result<String, String> {
        let host = &self.hosts[&On::Default];
        let alive = Call::get("/auth/session").session(&self.session).send(host).await;
        if alive.status != 200 {
            return Err(format!("Ada's session does not count any more: {alive:?}"));
        }
        let mut lines = 0;
        for (on, host) in &self.hosts {
            for line in host.lines() {
                lines += 1;
                let read: Value =
                    serde_json::from_str(&line).map_err(|_| format!("{on:?}: no JSON: {line}"))?;
                let level = read["level"].as_str().unwrap_or_default();
                if level == "PLANTED" || line.contains("planted") || line.contains('\u{1b}') {
                    return Err(format!("{on:?}: a forged line: {line}"));
                }
                if read["cause"] == "panic" {
                    return Err(format!("{on:?}: a panic: {line}"));
                }
            }
        }
        Ok(format!("Ada is still signed in; {lines} lines in the logs, none forged, no panic"))
    }
}

fn settings() -> Vec<(On, Vec<(&'static str, &'static str)>)> {
    const UNLIMITED: (&str, &str) = ("RATE_LIMIT_LOGINS_PER_MINUTE", "0");
    vec![
        (On::Default, vec![UNLIMITED]),
        (
            On::Strict,
            vec![UNLIMITED, ("ACTION_DIRECT_INVOCATION", "deny"), ("REQUIRE_SIGNED_PASSKEY_DATA", "true")],
        ),
        (On::Iam, vec![("ACTION_CALLER_AUTH", "iam")]),
        (On::NoSecret, vec![("ACTION_SIGNING_SECRETS", "")]),
        (
            On::Pool,
            vec![
                UNLIMITED,
                ("AUTH_SYSTEM", "cognito"),
                ("USER_POOL_ID", POOL),
                ("USER_POOL_CLIENT_ID", "web"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("SESSION_STORE", "embedded"),
            ],
        ),
        (On::Stalling, vec![UNLIMITED, ("UPSTREAM_TIMEOUT_MS", "200")]),
        (On::Limited, vec![("RATE_LIMIT_LOGINS_PER_MINUTE", "2")]),
        (On::Idle, vec![("SESSION_IDLE_SECONDS", "60")]),
        (
            On::Deployed,
            vec![
                ("AUTH_SYSTEM", "embedded"),
                ("SESSION_STORE", "embedded"),
                ("SESSION_COOKIE_INSECURE", "true"),
            ],
        ),
        (On::Prefixed, vec![UNLIMITED, ("SESSION_COOKIE_HOST_PREFIX", "true")]),
        (On::NoOrigins, vec![("ALLOWED_ORIGINS", "*")]),
    ]
}

/// The pool of the sample events.
const POOL: &str = "eu-central-1_SAMPLE123";

/// The pool's keys, its users, and Corbado's refusal of every token.
fn user_pool(forged: &Forged) -> impl Fn(&Received, usize) -> Reaction + use<> {
    let keys = json!({"keys": [forged.jwk("pool", json!({"kid": "pool", "alg": "RS256", "use": "sig"}))]});
    move |request, _| {
        if request.path == "/keys" {
            return json(200, &keys);
        }
        if request.path.ends_with("/verifySignedData") {
            return json(200, &json!({"verificationResult": "invalid_signature"}));
        }
        match (request.operation(), request.json()["Username"].as_str()) {
            ("AdminGetUser", Some(name @ ("usr-ada" | "usr-alan"))) => json(
                200,
                &json!({
                    "Username": name, "Enabled": name == "usr-ada", "UserStatus": "CONFIRMED",
                    "UserAttributes": [{"Name": "email", "Value": format!("{name}@example.com")}],
                }),
            ),
            // A filter of more than one value is an injected one; it shows in the answer.
            ("ListUsers", _) => {
                let filter =
                    request.json()["Filter"].as_str().unwrap().replace("\\\\", "").replace("\\\"", "");
                if filter.matches('"').count() == 2 {
                    json(200, &json!({"Users": []}))
                } else {
                    tests::stub::aws_error(500, "InternalErrorException")
                }
            }
            _ => tests::stub::aws_error(400, "UserNotFoundException"),
        }
    }
}

/// Tokens to forge: (key, header, claims), and the name of each trick.
fn forged() -> (Vec<(&'static str, Value, Value)>, Vec<&'static str>) {
    let issuer = format!("https://cognito-idp.eu-central-1.amazonaws.com/{POOL}");
    let claims = |changes: Value| {
        let mut claims = json!({"token_use": "access", "iss": issuer, "client_id": "web", "username": "usr-ada",
            "exp": tests::now() + 3600});
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    let header = |changes: Value| {
        let mut header = json!({"alg": "RS256", "kid": "pool"});
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        header
    };
    let none = || json!({});
    let rows = vec![
        ("good", "pool", header(none()), claims(none())),
        ("alg none", "pool", header(json!({"alg": "none"})), claims(none())),
        ("HS256 with the public key", "pool", header(json!({"alg": "HS256"})), claims(none())),
        ("another key under this kid", "foreign", header(none()), claims(none())),
        ("kid as a path", "foreign", header(json!({"kid": "../../../../dev/null"})), claims(none())),
        ("kid with SQL", "foreign", header(json!({"kid": "pool' OR '1'='1"})), claims(none())),
        (
            "a key sent along",
            "foreign",
            header(json!({"jwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}})),
            claims(none()),
        ),
        ("a key elsewhere", "foreign", header(json!({"jku": "http://127.0.0.1:1/keys"})), claims(none())),
        ("expired", "pool", header(none()), claims(json!({"exp": tests::now() - 1}))),
        (
            "another pool",
            "pool",
            header(none()),
            claims(json!({"iss": issuer.replace("SAMPLE123", "other")})),
        ),
        ("another app client", "pool", header(none()), claims(json!({"client_id": "other"}))),
        (
            "an ID token",
            "pool",
            header(none()),
            claims(json!({"token_use": "id", "aud": "web", "cognito:username": "usr-ada"})),
        ),
        ("a disabled user", "pool", header(none()), claims(json!({"username": "usr-alan"}))),
        ("a look-alike user", "pool", header(none()), claims(json!({"username": "usr-\u{430}da"}))),
    ];
    rows.into_iter().map(|(name, key, header, claims)| ((key, header, claims), name)).unzip()
}

async fn sign_in(host: &TestHost) -> String {
    login(&token("signed-passkey-data")).send(host).await.session()
}

fn sql(host: &TestHost, statement: &str) {
    rusqlite::Connection::open(host.store.path()).unwrap().execute_batch(statement).unwrap();
}

/// A call of a page, as the gateway passes it on.
pub(crate) fn page(call: Call) -> Sent {
    Sent::Invoke("auth-api", call.into_event().to_string().into_bytes())
}

/// An invocation with JSON.
pub(crate) fn invoke(function: &'static str, event: &Value) -> Sent {
    Sent::Invoke(function, event.to_string().into_bytes())
}

/// A token of any header, claims and signature.
pub(crate) fn jwt(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// A token that proves Ada, at the stand-in for Corbado.
pub(crate) fn good_token() -> String {
    token("signed-passkey-data")
}

/// A trigger's event with changes at some places.
pub(crate) fn trigger(case: &str, changes: &[(&str, Value)]) -> Value {
    let mut event = sandbox::sample::read(&tests::events(), "custom-auth", case).unwrap().event;
    for (place, value) in changes {
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() { &mut event } else { event.pointer_mut(parent).unwrap() };
        parent[name] = value.clone();
    }
    event
}
