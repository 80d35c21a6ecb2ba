//! The real binaries under the local host, their logs kept.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sandbox::Host;
use sandbox::function::Settings;
use sandbox::site::Place;
use serde_json::Value;
use tempfile::TempDir;
use webhooks::SigningSecret;

/// A local host with an embedded store of its own, seeded with the demo users.
pub struct TestHost {
    pub host: Host,
    pub store: sqlite::Store,
    log: Arc<Mutex<Vec<String>>>,
    state: TempDir,
}

/// The origin whose pages may call auth-api in tests.
pub const ORIGIN: &str = sandbox::sample::ORIGIN;

/// The answer to an invocation.
#[derive(Debug)]
pub struct Invoked {
    /// `X-Amz-Function-Error`.
    pub function_error: Option<String>,
    pub payload: Value,
}

impl Invoked {
    /// `statusCode` and the body's `error`, whatever the envelope.
    pub fn status_and_code(&self) -> (u64, String) {
        assert_eq!(self.function_error, None, "{}", self.payload);
        let body = match &self.payload["body"] {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            body => body.clone(),
        };
        let status = self.payload["statusCode"].as_u64().unwrap();
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    }
}

/// The secret that every function accepts in tests.
pub fn secret() -> SigningSecret {
    SigningSecret::parse(SECRET).unwrap()
}

/// The headers of a call that is signed with a secret.
pub fn signed(secret: &SigningSecret, id: &str, timestamp: u64, body: &str) -> Vec<(String, String)> {
    let signed = secret.headers(id, timestamp, body.as_bytes());
    let headers = [("content-type", "application/json".to_owned())].into_iter().chain(signed);
    headers.map(|(name, value)| (name.to_owned(), value)).collect()
}

const SECRET: &str = "whsec_dGVzdHMgc2lnbiB3aXRoIHRoaXMgc2VjcmV0IGtleQ==";

impl TestHost {
    /// Starts all functions with the embedded store, plus `settings` for each.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let functions = sandbox::FUNCTIONS.map(|name| (name, crate::binaries().join(name)));
        Self::with_functions(&functions, settings, Duration::from_secs(20)).await
    }

    /// Starts these functions.
    pub async fn with_functions(
        functions: &[(&str, PathBuf)],
        settings: &[(&str, &str)],
        timeout: Duration,
    ) -> Self {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("store.sqlite");
        let store = sqlite::Store::new(&path, Duration::from_secs(5));
        store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();

        // The stand-in for Corbado is on the host's own port, so that must be known first.
        let place = Place::take(0).await.unwrap();
        let mut environment: HashMap<String, String> = sandbox::host::corbado_settings(place.port())
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        environment.insert("EMBEDDED_STORE".into(), path.display().to_string());
        environment.insert("ACTION_SIGNING_SECRETS".into(), SECRET.into());
        environment.insert("UPSTREAM_TIMEOUT_MS".into(), "5000".into());
        environment.insert("ALLOWED_ORIGINS".into(), ORIGIN.into());
        for (name, value) in settings {
            environment.insert((*name).to_owned(), (*value).to_owned());
        }
        let functions = functions
            .iter()
            .map(|(name, binary)| {
                assert!(binary.exists(), "{} is missing: run the tests by `make test`", binary.display());
                Settings {
                    name: (*name).to_owned(),
                    binary: binary.clone(),
                    environment: environment.clone(),
                    timeout,
                    concurrency: 4,
                }
            })
            .collect();
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&log);
        let host = Host::start(
            place,
            functions,
            Arc::new(move |_function, line| sink.lock().unwrap().push(line.to_owned())),
        );
        Self { host: host.await.unwrap(), store, log, state }
    }

    /// The host's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.host.address())
    }

    /// The folder of the store.
    pub fn state(&self) -> &std::path::Path {
        self.state.path()
    }

    /// Invokes a function directly with any bytes.
    pub async fn invoke(&self, function: &str, payload: impl Into<Vec<u8>>) -> Invoked {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.url());
        let payload = payload.into();
        tokio::task::spawn_blocking(move || {
            let mut response = ureq::post(url).send(&payload[..]).unwrap();
            let function_error = response.headers().get("x-amz-function-error");
            Invoked {
                function_error: function_error.map(|value| value.to_str().unwrap().to_owned()),
                payload: serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap(),
            }
        })
        .await
        .unwrap()
    }

    /// Waits until the log has a line for a request, and returns all lines.
    pub async fn log_with(&self, part: &str) -> Vec<String> {
        for _ in 0..200 {
            let lines = self.log.lock().unwrap().clone();
            if lines.iter().any(|line| line.contains(part)) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no line has {part}: {:?}", self.log.lock().unwrap());
    }

    /// What the functions have written so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// How many sessions the store holds.
    pub fn sessions(&self) -> u64 {
        let store = rusqlite::Connection::open(self.store.path()).unwrap();
        store.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
    }
}

/// A port for another process, or for nobody.
///
/// It stays free: it is below those that the system gives to whoever asks for any port, or connects (from 32768 on Linux,
/// from 49152 elsewhere), no call returns one twice, and another process begins elsewhere.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 11_000 + (std::process::id() * 101 + TAKEN.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
