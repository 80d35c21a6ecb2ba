//! The real binaries under cargo-lambda: every sample event by `cargo lambda invoke` and by `/lambda-url/`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::invoke::{self, Via};
use sandbox::sample::{self, Sample};
use sandbox::site::Place;
use sandbox::{ACTIONS, FUNCTIONS, Host};
use serde_json::{Value, json};
use tests::host::{free_port, secret};

const SECRET: &str = "whsec_dGVzdHMgc2lnbiB3aXRoIHRoaXMgc2VjcmV0IGtleQ==";

/// A running `cargo lambda watch`. Dropping it stops it, and it its children.
struct Watch {
    process: Child,
    port: u16,
}

impl Watch {
    fn start(store: &Path, corbado_port: u16) -> Self {
        let port = free_port();
        let mut command = cargo_lambda();
        command.args(["watch", "--ignore-changes", "-A", "127.0.0.1", "-P", &port.to_string()]);
        let mut environment = vec![
            ("EMBEDDED_STORE", store.display().to_string()),
            ("ACTION_SIGNING_SECRETS", SECRET.to_owned()),
            ("ALLOWED_ORIGINS", tests::host::ORIGIN.to_owned()),
        ];
        environment.extend(sandbox::host::corbado_settings(corbado_port));
        for (name, value) in environment {
            command.args(["--env-var", &format!("{name}={value}")]);
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let watch = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "cargo lambda watch does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        watch
    }

    /// `cargo lambda invoke` with a file.
    fn invoke(&self, function: &str, file: &Path) -> Value {
        let output = cargo_lambda()
            .args(["invoke", function, "-A", "127.0.0.1", "-P", &self.port.to_string()])
            .arg("--data-file")
            .arg(file)
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{function} {}: {output:?}", file.display()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SIGINT makes it stop its functions, too.
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cargo_lambda() -> Command {
    let mut command = Command::new(tests::tool("cargo-lambda"));
    command.arg("lambda").current_dir(tests::repository());
    // What `cargo test` sets for this test would make cargo build some dependencies anew.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
        command.env_remove(name);
    }
    for name in ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    command
}

/// The sample, brought up to date, in a file.
fn fresh_file(folder: &Path, sample: &Sample) -> PathBuf {
    let event = sample::fresh(&sample.event, &secret(), tests::now()).unwrap();
    let file = folder.join(format!("{}-{}.json", sample.function, sample.case));
    std::fs::write(&file, event.to_string()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_under_cargo_lambda() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite::Store::new(folder.path().join("store.sqlite"), Duration::from_secs(5));
    store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();
    let place = Place::take(0).await.unwrap();
    let corbado = Host::start(place, Vec::new(), std::sync::Arc::new(|_, _| {})).await.unwrap();
    let corbado_port = corbado.address().port();
    let path = store.path().to_path_buf();

    let check = move || {
        let watch = Watch::start(&path, corbado_port);
        let url = format!("http://127.0.0.1:{}", watch.port);
        let mut sent = 0;
        for function in FUNCTIONS {
            for sample in sample::read_all(&tests::events(), function).unwrap() {
                sent += 1;
                // `cargo lambda invoke` shows errors to people only.
                if sample.expected.get("errorType").is_some() {
                    let reply = invoke::send(&url, &sample, Via::Direct, &secret(), tests::now()).unwrap();
                    sample::matches(&sample, &serde_json::from_str(&reply.body).unwrap()).unwrap();
                    continue;
                }
                let file = fresh_file(folder.path(), &sample);
                sample::matches(&sample, &watch.invoke(function, &file)).unwrap();
                let whole = !sample::is_http(&sample.event) && sample.event.get("body").is_none();
                if !whole || !ACTIONS.contains(&function) {
                    continue;
                }
                let reply = invoke::send(&url, &sample, Via::Url, &secret(), tests::now()).unwrap();
                let body: Value = serde_json::from_str(&reply.body).unwrap();
                let answer = json!({"statusCode": reply.status, "body": body});
                sample::matches(&sample, &answer).unwrap();
                sent += 1;
            }
        }
        assert!(sent > 80, "{sent}");
        // The files as they are serve `cargo lambda invoke`, too.
        let file = tests::events().join("post-append/first-passkey.json");
        assert_eq!(watch.invoke("post-append", &file), json!({"statusCode": 200, "body": {}}));
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}
