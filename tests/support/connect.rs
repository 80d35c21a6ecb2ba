//! The stand-in for Corbado on a port of its own, and a browser that speaks to it as the web components do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use sandbox::connect::{Actions, Connect, Rules, Settings, Target};
use sandbox::journal::Journal;
use sandbox::site::{Place, Site, readable};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authenticator::Authenticator;

/// The origin of the pages.
pub const ORIGIN: &str = "http://localhost:8080";
/// A page that may call the Frontend API from elsewhere.
pub const FOREIGN_PAGE: &str = "http://localhost:3000";
/// The project, its API secret and its API key.
pub const PROJECT: (&str, &str, &str) = ("pro-sandbox", "sandbox", "sandbox-key");

/// The stand-in. Dropping it stops it.
pub struct TestConnect {
    pub connect: Connect,
    pub journal: Journal,
    state: Option<TempDir>,
    site: Site,
}

impl TestConnect {
    /// Starts one without actions.
    pub async fn start() -> Self {
        Self::with(Rules::default(), BTreeMap::new()).await
    }

    /// Starts one with these rules and actions.
    pub async fn with(rules: Rules, targets: BTreeMap<String, Target>) -> Self {
        let place = Place::take(0).await.unwrap();
        Self::at(place, tempfile::tempdir().unwrap(), rules, targets)
    }

    /// Starts one at a place, so that functions can be told where it is before it knows where they are.
    pub fn at(place: Place, state: TempDir, rules: Rules, targets: BTreeMap<String, Target>) -> Self {
        let journal = Journal::default();
        let connect = Connect::open(settings(state.path(), rules, targets), journal.clone()).unwrap();
        let allowed = [FOREIGN_PAGE.to_owned()];
        let frontend = readable(connect.frontend(""), &allowed);
        let router = Router::new().nest("/fapi", frontend).nest("/corbado", connect.backend());
        let site = place.serve(router, &allowed);
        Self { connect, journal, state: Some(state), site }
    }

    /// Stops it and starts another on the same state.
    pub async fn restart(mut self) -> Self {
        let state = self.state.take().unwrap();
        drop(self);
        Self::at(Place::take(0).await.unwrap(), state, Rules::default(), BTreeMap::new())
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.site.address())
    }

    /// Calls the Backend API with the project's credential.
    pub async fn backend(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let basic =
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{}:{}", PROJECT.0, PROJECT.1));
        let headers = [("authorization", format!("Basic {basic}"))];
        send(method, &format!("{}/corbado/v2/{path}", self.url()), &headers, Some(body)).await.json()
    }

    /// Makes a connect token and returns its secret.
    pub async fn token(&self, kind: &str, user: &str) -> String {
        let data = json!({"identifier": user, "displayName": format!("{user}@example.com")});
        let body = json!({"type": kind, "data": data});
        let (status, token) = self.backend("POST", "connectTokens", body).await;
        assert_eq!(status, 200, "{token}");
        token["secret"].as_str().unwrap().to_owned()
    }

    /// The verdict on a proof.
    pub async fn verdict(&self, proof: &str, user: &str) -> String {
        let body = json!({"signedPasskeyData": proof, "username": user});
        let (status, answer) = self.backend("POST", "passkey/verifySignedData", body).await;
        assert_eq!(status, 200, "{answer}");
        answer["verificationResult"].as_str().unwrap().to_owned()
    }

    /// A browser on its pages.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.url())
    }
}

fn settings(state: &Path, rules: Rules, targets: BTreeMap<String, Target>) -> Settings {
    Settings {
        state: state.to_owned(),
        project_id: PROJECT.0.into(),
        api_secret: PROJECT.1.into(),
        api_key: PROJECT.2.into(),
        rp_id: "localhost".into(),
        origins: vec![ORIGIN.into()],
        actions: Actions::new(targets, Duration::from_secs(5)),
        rules,
    }
}

/// A browser: what the components keep in local storage, and an authenticator.
pub struct Browser {
    pub api: String,
    pub process: Option<String>,
    pub client: Option<String>,
    pub authenticator: Authenticator,
}

impl Browser {
    /// A browser on the pages of `url`, with an authenticator, and no memory yet.
    pub fn new(url: &str) -> Self {
        Self {
            api: format!("{url}/fapi/v2/connect"),
            process: None,
            client: None,
            authenticator: Authenticator::default(),
        }
    }

    /// Calls a route of the Frontend API.
    pub async fn call(&self, route: &str, body: Value) -> (u16, Value) {
        let mut headers = vec![
            ("x-corbado-projectid", PROJECT.0.to_owned()),
            ("x-corbado-sdk", r#"{"name":"web-core","sdkVersion":"2.18.0"}"#.to_owned()),
            ("x-corbado-client-timezone", "UTC".to_owned()),
        ];
        headers.extend(self.process.clone().map(|process| ("x-corbado-process-id", process)));
        send("POST", &format!("{}/{route}", self.api), &headers, Some(body)).await.json()
    }

    /// Calls a route that must answer 200.
    pub async fn ok(&self, route: &str, body: Value) -> Value {
        let (status, answer) = self.call(route, body).await;
        assert_eq!(status, 200, "{route}: {answer}");
        answer
    }

    /// Runs `login`, `append` or `manage` init, and keeps what the components keep.
    pub async fn init(&mut self, what: &str) -> Value {
        let mut information = json!({"webdriver": true});
        if let Some(client) = &self.client {
            information["clientEnvHandle"] = client.as_str().into();
        }
        let body = json!({"clientInformation": information, "flags": {}});
        let answer = self.ok(&format!("{what}/init"), body).await;
        let id = if what == "login" { "token" } else { "processID" };
        self.process = Some(answer[id].as_str().unwrap().to_owned());
        if let Some(client) = answer["newClientEnvHandle"].as_str() {
            self.client = Some(client.to_owned());
        }
        answer
    }

    /// Creates a passkey with a connect token.
    pub async fn append(&mut self, token: &str) -> (u16, Value) {
        self.init("append").await;
        let body = json!({"appendTokenValue": token, "loadedMs": 1, "forcePasskeyAppend": true});
        let started = self.ok("append/start", body).await;
        let response = self.authenticator.create(started["attestationOptions"].as_str().unwrap(), ORIGIN);
        self.call("append/finish", json!({"attestationResponse": response.unwrap()})).await
    }

    /// Starts a login by identifier and returns the options.
    pub async fn start(&mut self, identifier: &str) -> String {
        self.init("login").await;
        let body = json!({"identifier": identifier, "source": "text-field", "loadedMs": 1});
        let started = self.ok("login/start", body).await;
        assert_eq!(started["isCDA"], false);
        started["assertionOptions"].as_str().unwrap().to_owned()
    }

    /// Ends a login.
    pub async fn finish(&self, response: &str, conditional: bool) -> (u16, Value) {
        self.call("login/finish", json!({"assertionResponse": response, "isConditionalUI": conditional}))
            .await
    }

    /// Signs in by identifier, and returns what login/finish answers.
    pub async fn login(&mut self, identifier: &str) -> Value {
        let options = self.start(identifier).await;
        let response = self.authenticator.get(&options, ORIGIN).unwrap();
        let (status, answer) = self.finish(&response, false).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// Status and body; `null` where there is none.
    pub fn json(self) -> (u16, Value) {
        let body = if self.body.is_empty() { Value::Null } else { serde_json::from_str(&self.body).unwrap() };
        (self.status, body)
    }

    /// A header's first value.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Sends a request.
pub async fn send(method: &str, url: &str, headers: &[(&str, String)], body: Option<Value>) -> Reply {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let body = body.map(|body| {
        let text = if let Value::String(text) = body { text } else { body.to_string() };
        text.into_bytes()
    });
    if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(body.unwrap_or_default()).unwrap();
    tokio::task::spawn_blocking(move || {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .build();
        let mut response = ureq::Agent::from(agent).run(request).unwrap();
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Reply {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.body_mut().read_to_string().unwrap(),
        }
    })
    .await
    .unwrap()
}
