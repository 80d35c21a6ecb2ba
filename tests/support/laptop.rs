//! Everything together, as `make run` starts it, on free ports and with a state of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_cognitoidentityprovider::Client;
use sandbox::connect::Rules;
use sandbox::laptop::{Laptop, Options};
use sandbox::pool::NamedPool;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::connect::{Browser, Reply, send};
use crate::dynamodb::create_table;
use crate::emulator::{Emulator, create_app_client, create_pool, create_user, set_triggers};
use crate::function::create_custom_auth;
use crate::host::free_port;

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
        Browser::new(&self.url())
    }

    /// Asks for a connect token with a bearer.
    pub async fn connect_token(&self, kind: &str, bearer: &str) -> Reply {
        let headers = [("authorization", format!("Bearer {bearer}"))];
        self.call("POST", "/auth/corbadoConnectToken", &headers, json!({"type": kind})).await
    }
}

/// One whose users are those of a pool on an emulator, with the deployable custom-auth as its triggers. Dropping it stops both.
pub struct OfPool {
    pub laptop: TestLaptop,
    pub client: Client,
    pub pool: String,
    pub app_client: String,
    _emulator: Emulator,
}

impl OfPool {
    /// Starts one, with the bundled web components where there is to be a browser.
    pub async fn start(bundle: Option<PathBuf>) -> Self {
        let emulator = Emulator::start().await;
        let client = emulator.cognito();
        let table = create_table(&emulator.settings()).await;
        // The triggers must know where Corbado's stand-in will be.
        let port = free_port();
        let corbado = format!("http://127.0.0.1:{port}/corbado");
        let trigger = create_custom_auth(&emulator, &corbado, &table, &[]);
        let pool = create_pool(&client).await;
        set_triggers(&client, &pool, &trigger).await;
        for name in ["usr-ada", "usr-grace"] {
            create_user(&client, &pool, name, &format!("{name}@example.com"), true, true).await;
        }
        let app_client = create_app_client(&client, &pool).await;
        // What someone has in the environment, and no more.
        let environment: HashMap<String, String> = emulator
            .settings()
            .into_iter()
            .filter(|(name, _)| !["AUTH_SYSTEM", "AWS_REGION"].contains(name))
            .chain([
                ("USER_POOL_ID", pool.clone()),
                ("USER_POOL_CLIENT_ID", app_client.clone()),
                ("UPSTREAM_TIMEOUT_MS", "20000".into()),
            ])
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let named = NamedPool::from_environment(&environment).unwrap();
        assert!(named.is_some());
        let laptop = TestLaptop::with(tempfile::tempdir().unwrap(), |options| {
            options.port = port;
            options.pool = named;
            options.environment = environment;
            options.bundle = bundle.unwrap_or(options.bundle.clone());
        })
        .await;
        Self { laptop, client, pool, app_client, _emulator: emulator }
    }
}
