//! Everything together, as `make run` starts it, on free ports and with a state of its own.

use std::collections::HashMap;
use std::sync::Arc;

use sandbox::connect::Rules;
use sandbox::laptop::{Laptop, Options};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authenticator::Authenticator;
use crate::connect::{Browser, Reply, send};

/// A running laptop. Dropping it stops it.
pub struct TestLaptop {
    pub laptop: Laptop,
    pub state: TempDir,
}

impl TestLaptop {
    /// Starts one.
    pub async fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// Starts one on what another has left.
    pub async fn on(state: TempDir) -> Self {
        Self::with(state, |_| {}).await
    }

    /// Starts one that is set up in another way.
    pub async fn with(state: TempDir, change: impl FnOnce(&mut Options)) -> Self {
        let secrets = sandbox::secrets::load_or_create(state.path()).unwrap();
        let mut options = Options {
            port: 0,
            functions_port: 0,
            state: state.path().to_owned(),
            store: state.path().join("store.sqlite"),
            binaries: crate::binaries(),
            bundle: state.path().join("no bundle"),
            actions_url: None,
            allowed_origins: Vec::new(),
            frontend_api_port: None,
            rules: Rules::default(),
            pool: None,
            environment: HashMap::from([("UPSTREAM_TIMEOUT_MS".to_owned(), "5000".to_owned())]),
        };
        change(&mut options);
        let laptop = Laptop::start(options, &secrets, Arc::new(|_, _| {})).await.unwrap();
        Self { laptop, state }
    }

    /// The origin of its pages.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.laptop.site.address().port())
    }

    /// Calls it as one of its own pages does.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, String)], body: Value) -> Reply {
        let mut headers = headers.to_vec();
        headers.push(("origin", self.url()));
        let body = (!body.is_null()).then_some(body);
        send(method, &format!("{}{path}", self.url()), &headers, body).await
    }

    /// Calls an operation of the user pool, for the sandbox's app client unless the body names another.
    pub async fn pool(&self, operation: &str, mut body: Value) -> (u16, Value) {
        if body["ClientId"].is_null() {
            body["ClientId"] = sandbox::pool::CLIENT_ID.into();
        }
        let headers = [
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", format!("AWSCognitoIdentityProviderService.{operation}")),
        ];
        self.call("POST", "/pool/", &headers, body).await.json()
    }

    /// A browser without a screen, for the components' part.
    pub fn browser(&self) -> Browser {
        Browser {
            api: format!("{}/fapi/v2/connect", self.url()),
            process: None,
            client: None,
            authenticator: Authenticator::default(),
        }
    }

    /// Asks for a connect token with a bearer.
    pub async fn connect_token(&self, kind: &str, bearer: &str) -> Reply {
        let headers = [("authorization", format!("Bearer {bearer}"))];
        self.call("POST", "/auth/corbadoConnectToken", &headers, json!({"type": kind})).await
    }
}
