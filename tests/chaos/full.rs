//! A store that cannot grow.
//!
//! The real binaries write up to a limit of their own on the size of files (`RLIMIT_FSIZE`), which ends a write as a full disk does: not
//! at once, but at the first page that does not fit. The limit is set and lifted from outside while they run.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Intent, Timestamp, UserIdentifier};
use events::Deferred;
use serde_json::{Value, json};
use tests::api::{Call, login, token};
use tests::host::{Invoked, TestHost, secret};
use tests::stub::{Stub, json};

/// What the store's pages take in its log, each.
const FRAME: u64 = 4096 + 24;

/// Hosts whose functions go on where a write is refused for a file's size: by default the kernel ends the process instead.
struct Full {
    host: TestHost,
    corbado: Stub,
    _scripts: tempfile::TempDir,
}

impl Full {
    async fn start() -> Self {
        let scripts = tempfile::tempdir().unwrap();
        let functions = sandbox::FUNCTIONS.map(|name| (name, script(scripts.path(), name)));
        let asked: Arc<Mutex<HashSet<String>>> = Arc::default();
        let corbado = Stub::start(move |request, _| {
            let first = asked.lock().unwrap().insert(request.json()["signedPasskeyData"].to_string());
            json(200, &json!({"verificationResult": if first { "success" } else { "invalid_signature" }}))
        })
        .await;
        let url = corbado.url();
        let settings = [
            ("CORBADO_BACKEND_API_URL", url.as_str()),
            ("DEFER_QUEUE_URL", "embedded"),
            ("DEFER_PACE_MS", "0"),
            ("RATE_LIMIT_LOGINS_PER_MINUTE", "0"),
        ];
        let host = TestHost::with_functions(&functions, &settings, Duration::from_secs(20)).await;
        Self { host, corbado, _scripts: scripts }
    }

    /// The processes, one a function: what follows is about these, and not about others that were started anew.
    fn processes(&self) -> Vec<u32> {
        let processes: Vec<_> =
            sandbox::FUNCTIONS.iter().flat_map(|name| self.host.host.idle_processes(name)).collect();
        assert_eq!(processes.len(), sandbox::FUNCTIONS.len());
        processes
    }

    /// Lets no file grow beyond a size; `None`: any size.
    fn limit(&self, size: Option<u64>) {
        let size = size.map_or("unlimited".to_owned(), |size| size.to_string());
        for process in self.processes() {
            let limit = format!("--fsize={size}:unlimited");
            let set = Command::new("prlimit").args([limit, format!("--pid={process}")]).status();
            assert!(set.unwrap().success());
        }
    }

    /// The size of the larger of the store's files.
    fn size(&self) -> u64 {
        let path = self.host.store.path().display().to_string();
        let size = |file: String| std::fs::metadata(file).map_or(0, |file| file.len());
        size(format!("{path}-wal")).max(size(path))
    }

    fn asked(&self) -> usize {
        self.corbado.received().len()
    }

    async fn invoke(&self, function: &str, event: &Value) -> Invoked {
        self.host.invoke(function, event.to_string()).await
    }

    /// Corbado signs what it sends.
    async fn signed(&self, id: &str) -> (u64, String) {
        let (now, body) = (tests::now(), r#"{"userId":"usr-ada"}"#);
        let event = json!({
            "version": "2.0", "rawPath": "/", "body": body, "isBase64Encoded": false,
            "headers": {
                "content-type": "application/json", "webhook-id": id, "webhook-timestamp": now.to_string(),
                "webhook-signature": secret().sign(id, now, body.as_bytes()),
            },
            "requestContext": {"http": {"method": "POST", "path": "/", "sourceIp": "203.0.113.7"}},
        });
        self.invoke("post-login", &event).await.status_and_code()
    }

    /// An answer to a challenge: right or wrong, or the trigger's error.
    async fn challenge(&self, token: &str) -> Result<bool, String> {
        let mut event = sandbox::sample::read(&tests::events(), "custom-auth", "verify").unwrap().event;
        event["request"]["challengeAnswer"] = token.into();
        let Invoked { function_error, payload } = self.invoke("custom-auth", &event).await;
        match function_error {
            None => Ok(payload["response"]["answerCorrect"].as_bool().unwrap()),
            Some(_) => Err(payload["errorType"].as_str().unwrap().to_owned()),
        }
    }

    /// Whether an update that was put off before is made now.
    async fn is_worked_off(&self) -> bool {
        let user = UserIdentifier::new("usr-twin-1").unwrap();
        let intent = Intent { user, at: Timestamp::from_secs(tests::now()) };
        let message =
            Deferred::write(&intent, |text| secret().sign("post-append-deferred", 0, text.as_bytes()));
        let record = json!({"messageId": "m", "receiptHandle": "m", "body": message.unwrap(), "eventSource": "aws:sqs"});
        let answer = self.invoke("post-append", &json!({"Records": [record]})).await.payload;
        answer["batchItemFailures"].as_array().unwrap().is_empty()
    }

    /// Whether MFA is marked for a user.
    fn is_marked(&self, user: &str) -> bool {
        let store = rusqlite::Connection::open(self.host.store.path()).unwrap();
        store.query_row("SELECT mfa_enabled FROM users WHERE id = ?1", [user], |row| row.get(0)).unwrap()
    }
}

fn script(folder: &Path, function: &str) -> PathBuf {
    let path = folder.join(function);
    let binary = tests::binaries().join(function);
    std::fs::write(&path, format!("#!/bin/sh\ntrap '' XFSZ\nexec '{}'\n", binary.display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn failure() -> (u64, String) {
    (500, "provider_unavailable".to_owned())
}

/// Each function says so, by its own code; nothing is half done, and no token and no call is used up by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_costs_time_and_nothing_else() {
    let full = Full::start().await;
    let host = &full.host;
    // One process of each is there, and a session.
    let cookie = login(&token("signed-passkey-data")).send(host).await.session();
    let show = || Call::get("/auth/session").session(&cookie);
    full.invoke("pre-login", &json!({"identifier": "ada"})).await;
    full.invoke("post-append", &json!({"username": "nobody"})).await;
    full.invoke("post-login", &json!({"userId": "usr-ada"})).await;
    full.challenge("no token").await.unwrap();
    let processes = full.processes();

    full.limit(Some(full.size()));
    // What room there is inside the files is soon used.
    let mut calls = 0;
    while full.invoke("post-login", &json!({"userId": "usr-ada"})).await.payload["statusCode"] == 200 {
        calls += 1;
        assert!(calls < 200, "it does not become full");
    }
    let (sessions, asked) = (host.sessions(), full.asked());
    let tokens: Vec<_> = (0..3).map(|_| token("signed-passkey-data")).collect();
    for _ in 0..2 {
        let direct = full.invoke("post-login", &json!({"userId": "usr-ada"})).await;
        assert_eq!(direct.status_and_code(), failure());
        let by_token = full.invoke("post-login", &json!({"signedPasskeyData": tokens[0]})).await;
        assert_eq!(by_token.status_and_code(), failure());
        assert_eq!(full.signed("msg_full").await, failure());
        let by_page = login(&tokens[1]).send(host).await;
        assert_eq!((by_page.refusal(), by_page.cookies.len()), ((500, "provider_unavailable"), 0));
        assert_eq!(full.challenge(&tokens[2]).await, Err("provider_unavailable".to_owned()));
        // The queue for later is in the same file.
        let append = full.invoke("post-append", &json!({"username": "usr-ada"})).await;
        assert_eq!(append.status_and_code(), failure());
        assert!(!full.is_worked_off().await);
        let out = Call::new("POST", "/auth/logout").session(&cookie).send(host).await;
        assert_eq!(
            out.refusal(),
            (500, "provider_unavailable"),
            "nobody is told to be signed out who is not"
        );
        // What only reads goes on.
        assert_eq!(show().send(host).await.status, 200);
        let found = full.invoke("pre-login", &json!({"identifier": "ada"})).await;
        assert_eq!(found.payload["body"], json!({"identifier": "usr-ada"}));
    }
    assert_eq!((host.sessions(), full.asked()), (sessions, asked), "no session, and Corbado was not asked");
    assert!(!full.is_marked("usr-ada") && !full.is_marked("usr-twin-1"));

    full.limit(None);
    let by_token = full.invoke("post-login", &json!({"signedPasskeyData": tokens[0]})).await;
    assert_eq!(by_token.payload["statusCode"], 200, "{}", by_token.payload);
    assert_eq!(full.signed("msg_full").await.0, 200);
    assert_eq!(login(&tokens[1]).send(host).await.status, 200);
    assert_eq!(full.challenge(&tokens[2]).await, Ok(true));
    let append = full.invoke("post-append", &json!({"username": "usr-ada"})).await;
    assert_eq!(append.payload, json!({"statusCode": 200, "body": {}}));
    assert!(full.is_worked_off().await);
    assert!(full.is_marked("usr-ada") && full.is_marked("usr-twin-1"));
    assert_eq!(Call::new("POST", "/auth/logout").session(&cookie).send(host).await.status, 204);
    assert_eq!(show().send(host).await.status, 401);
    assert_eq!(host.sessions(), sessions + 2);
    assert_eq!(full.processes(), processes, "the same processes");
}

/// A store that becomes full in the middle of a login: the token may be used up, and nothing else is; there is a session or a failure,
/// never both.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_becomes_full_in_a_login_opens_nothing() {
    let full = Full::start().await;
    let host = &full.host;
    for function in ["pre-login", "post-append", "auth-api", "custom-auth", "post-login"] {
        full.invoke(function, &json!({})).await;
    }
    let mut between = 0;
    let mut whole = 0;
    let mut spent = Vec::new();
    for frames in 0..16 {
        // Nothing is left of what came before.
        full.limit(None);
        assert_eq!(full.invoke("post-login", &json!({"userId": "usr-ada"})).await.payload["statusCode"], 200);
        full.limit(Some(full.size() + frames * FRAME));
        let (sessions, asked) = (host.sessions(), full.asked());
        let one = token("signed-passkey-data");
        let answer = login(&one).send(host).await;
        let opened = answer.status == 200;
        assert!(opened || answer.refusal() == (500, "provider_unavailable"), "{answer:?}");
        assert_eq!(
            (host.sessions() - sessions, answer.cookies.len()),
            (u64::from(opened), usize::from(opened))
        );
        let asked = full.asked() - asked;
        assert!(asked <= 1 && (asked == 1 || !opened));
        whole += u64::from(opened);
        if asked == 1 && !opened {
            between += 1;
            spent.push(one);
        }
    }
    assert!(between > 0 && whole > 0, "{between} in the middle, {whole} whole");
    full.limit(None);
    let asked = full.asked();
    for one in spent {
        let again = login(&one).send(host).await;
        assert!(matches!(again.status, 401 | 409), "{again:?}");
    }
    assert_eq!(full.asked(), asked, "nobody is asked about a token twice");
    // The user signs in anew.
    assert_eq!(login(&token("signed-passkey-data")).send(host).await.status, 200);
}
