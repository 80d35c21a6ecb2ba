//! The real binaries under the local host: direct calls and function URLs, bad input, faults, logs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{SessionKey, SessionStore, Timestamp};
use futures_util::future::join_all;
use sandbox::invoke::{self, Reply, Via};
use sandbox::sample::{self, Sample};
use sandbox::{ACTIONS, FUNCTIONS};
use serde_json::{Value, json};
use tests::host::{TestHost, secret};
use tests::stub::{Reaction, Stub, aws_error, json};

/// Posts to a function's URL.
async fn post(host: &TestHost, function: &str, headers: &[(String, String)], body: &str) -> (u16, Value) {
    let url = format!("{}/lambda-url/{function}", host.url());
    let (headers, body) = (headers.to_vec(), body.to_owned());
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&body).unwrap())
    })
    .await
    .unwrap()
}

/// The headers of a signed call.
fn signed(id: &str, timestamp: u64, body: &str) -> Vec<(String, String)> {
    tests::host::signed(&secret(), id, timestamp, body)
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

async fn send(host: &TestHost, sample: &Sample, via: Via) -> Reply {
    let (url, sample) = (host.url(), sample.clone());
    let sent = move || invoke::send(&url, &sample, via, &secret(), tests::now()).unwrap();
    tokio::task::spawn_blocking(sent).await.unwrap()
}

/// A laptop behind a proxy calls itself all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_the_environment_is_not_asked_for_this_machine() {
    let host = TestHost::start(&[]).await;
    let state = tempfile::tempdir().unwrap();
    let port = host.url().rsplit_once(':').unwrap().1.to_owned();
    let output = tokio::process::Command::new(tests::binaries().join("sandbox"))
        .args(["invoke", "pre-login", "by-email", "--port", &port, "--events"])
        .arg(tests::events())
        .env_clear()
        .env("XDG_STATE_HOME", state.path())
        // Nobody listens there.
        .envs(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.starts_with("HTTP 200\n") && said.contains("usr-ada"),
        "{output:?}"
    );
}

/// Every sample, as it is, and over the function's URL, signed.
#[tokio::test(flavor = "multi_thread")]
async fn every_sample_by_direct_call_and_by_url() {
    let host = TestHost::start(&[]).await;
    let mut sent = 0;
    for function in FUNCTIONS {
        for sample in sample::read_all(&tests::events(), function).unwrap() {
            let reply = send(&host, &sample, Via::Direct).await;
            let answer = serde_json::from_str(&reply.body).unwrap();
            sample::matches(&sample, &answer).unwrap();
            sent += 1;
            // The URL's gateway makes an envelope of its own, so only a whole event can be sent through it, and a body in
            // a string is one of a direct call.
            let whole = !sample::is_http(&sample.event) && sample.event.get("body").is_none();
            if !whole || !ACTIONS.contains(&function) {
                continue;
            }
            let reply = send(&host, &sample, Via::Url).await;
            let body: Value = serde_json::from_str(&reply.body).unwrap();
            let answer = json!({"statusCode": reply.status, "body": body});
            sample::matches(&sample, &answer).unwrap();
            sent += 1;
        }
    }
    assert!(sent > 80, "{sent}");
}

/// A session that post-login made is in the store, under its hash, for as long as it said.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_kept_by_its_hash() {
    let host = TestHost::start(&[("SESSION_TTL_SECONDS", "600")]).await;
    let invoked = host.invoke("post-login", r#"{"userId":"usr-ada"}"#).await;
    let body = &invoked.payload["body"];
    let id = body["sessionId"].as_str().unwrap();
    let hash: Vec<u8> = {
        let store = rusqlite::Connection::open(host.store.path()).unwrap();
        store.query_row("SELECT key FROM sessions", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(hash, sha256(id));
    let expires = body["expiresAt"].as_str().unwrap();
    let key = key_of(id);
    let now = Timestamp::from_secs(tests::now());
    let session = SessionStore::find(&host.store, key, now).await.unwrap().unwrap();
    assert_eq!(session.expires.to_string(), expires);
    assert_eq!(session.expires.as_millis() - session.created.as_millis(), 600_000);
    assert_eq!(session.user.as_str(), "usr-ada");
}

fn key_of(id: &str) -> SessionKey {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(id).unwrap();
    domain::SessionId::from_random(bytes.try_into().unwrap()).key()
}

/// `sha256sum`, so that the expectation is not our own code.
fn sha256(text: &str) -> Vec<u8> {
    let mut process = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap().stdout;
    let hex = String::from_utf8(output).unwrap();
    (0..32).map(|byte| u8::from_str_radix(&hex[2 * byte..2 * byte + 2], 16).unwrap()).collect()
}

/// Bad input over the wire: exact status and code, and nothing half done.
#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_whichever_way_they_come() {
    let host = TestHost::start(&[]).await;
    let deep = format!(r#"{{"userId":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let long = json!({"userId": "x".repeat(257), "username": "x".repeat(257), "identifier": "x".repeat(257)});
    let control = json!({"userId": "a\u{7}", "username": "a\u{7}", "identifier": "a\u{7}"});
    let rows: Vec<(&str, String)> = vec![
        ("empty body", String::new()),
        ("not JSON", "{".into()),
        ("trailing text", "{} x".into()),
        ("null", "null".into()),
        ("array", r#"["usr-ada"]"#.into()),
        ("string", r#""usr-ada""#.into()),
        ("no field", "{}".into()),
        ("wrong type", r#"{"userId":7,"username":true,"identifier":{}}"#.into()),
        ("null field", r#"{"userId":null,"username":null,"identifier":null}"#.into()),
        ("empty field", r#"{"userId":"","username":"","identifier":""}"#.into()),
        (
            "field twice",
            r#"{"userId":"usr-ada","userId":"usr-ada","username":"usr-ada","username":"usr-ada","identifier":"ada","identifier":"ada"}"#
                .into(),
        ),
        ("too long", long.to_string()),
        ("control character", control.to_string()),
        ("deep nesting", deep),
    ];
    for function in ACTIONS {
        for (index, (name, body)) in rows.iter().enumerate() {
            let direct = host.invoke(function, body.as_bytes()).await;
            assert_eq!(direct.status_and_code(), (400, "invalid_request".into()), "{function}: {name}");
            assert!(direct.payload["body"].is_object());
            let headers = signed(&format!("msg_bad_{index}"), tests::now(), body);
            let answer = post(&host, function, &headers, body).await;
            assert_eq!(error(&answer), (400, "invalid_request"), "{function}: {name}");
        }
        let direct = host.invoke(function, b"{\"userId\":\"\xff\"}".as_slice()).await;
        assert_eq!(direct.status_and_code(), (400, "invalid_request".into()), "{function}: not UTF-8");
        let megabyte = json!({"userId": "x".repeat(1 << 20), "junk": vec![0; 1000]}).to_string();
        let direct = host.invoke(function, megabyte.as_bytes()).await;
        assert_eq!(direct.status_and_code(), (400, "invalid_request".into()), "{function}: 1 MB");
        let answer = post(&host, function, &signed("msg_mb", tests::now(), &megabyte), &megabyte).await;
        assert_eq!(error(&answer), (413, "too_large"), "{function}: 1 MB");
    }
    assert_eq!(host.sessions(), 0);
}

/// Bad signatures over the wire: one answer for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn bad_signatures_are_refused_alike() {
    let host = TestHost::start(&[]).await;
    let body = r#"{"userId":"usr-ada","username":"usr-ada","identifier":"ada"}"#;
    let now = tests::now();
    let good = signed("msg_1", now, body);
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
        headers
    };
    let without = |name: &str| {
        let mut headers = good.clone();
        headers.retain(|(known, _)| known != name);
        headers
    };
    let twice = |name: &str| {
        let mut headers = good.clone();
        headers.push(headers.iter().find(|(known, _)| known == name).unwrap().clone());
        headers
    };
    let signature = good[3].1.clone();
    let other = webhooks::SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let rows = vec![
        ("no id", without("webhook-id")),
        ("no timestamp", without("webhook-timestamp")),
        ("no signature", without("webhook-signature")),
        ("id twice", twice("webhook-id")),
        ("timestamp twice", twice("webhook-timestamp")),
        ("stale", signed("msg_1", now - 302, body)),
        ("future", signed("msg_1", now + 302, body)),
        ("tampered id", with("webhook-id", "msg_2")),
        ("tampered timestamp", with("webhook-timestamp", &(now - 1).to_string())),
        ("tampered body", signed("msg_1", now, "{}")),
        ("wrong secret", with("webhook-signature", &other.sign("msg_1", now, body.as_bytes()))),
        ("truncated", with("webhook-signature", &signature[..signature.len() - 8])),
        ("v1a only", with("webhook-signature", &signature.replace("v1,", "v1a,"))),
        ("oversized", with("webhook-signature", &"v1,AAAA ".repeat(600))),
        ("empty", with("webhook-signature", "")),
    ];
    for function in ACTIONS {
        for (name, headers) in &rows {
            let (status, mut answer) = post(&host, function, headers, body).await;
            answer["requestId"] = json!("");
            let expected = json!({"message": "The caller is not authenticated.", "error": "unauthenticated", "requestId": ""});
            assert_eq!((status, &answer), (401, &expected), "{function}: {name}");
        }
        let answer = post(&host, function, &good, body).await;
        assert_eq!(answer.0, 200, "{function}: {answer:?}");
    }
    assert_eq!(host.sessions(), 1);
}

/// The same signed call mints one session, however many arrive at the same time; another body under its id mints none.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_call_mints_one_session() {
    let host = TestHost::start(&[]).await;
    let body = r#"{"userId":"usr-ada"}"#;
    let headers = signed("msg_once", tests::now(), body);
    let calls = (0..8).map(|_| post(&host, "post-login", &headers, body));
    let mut answers: Vec<u16> = Vec::new();
    for answer in join_all(calls).await {
        if answer.0 != 200 {
            assert_eq!(error(&answer), (409, "replayed"));
        }
        answers.push(answer.0);
    }
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let other = r#"{"userId":"usr-grace"}"#;
    let answer = post(&host, "post-login", &signed("msg_once", tests::now(), other), other).await;
    assert_eq!(error(&answer), (409, "replayed"));
    assert_eq!(host.sessions(), 1);
    // The two actions that only state what is so may be repeated.
    for (function, body) in
        [("post-append", r#"{"username":"usr-ada"}"#), ("pre-login", r#"{"identifier":"ada"}"#)]
    {
        let headers = signed("msg_twice", tests::now(), body);
        for _ in 0..2 {
            assert_eq!(post(&host, function, &headers, body).await.0, 200);
        }
    }
}

/// A token is consumed by the first login, and by the first only.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_one_session() {
    let host = TestHost::start(&[("REQUIRE_SIGNED_PASSKEY_DATA", "true")]).await;
    let sample = sample::read(&tests::events(), "post-login", "signed-passkey-data").unwrap();
    let event = sample::fresh(&sample.event, &secret(), tests::now()).unwrap().to_string();
    assert_eq!(host.invoke("post-login", event.clone()).await.payload["statusCode"], 200);
    let again = host.invoke("post-login", event).await;
    assert_eq!(again.status_and_code(), (401, "proof_rejected".into()));
    let without = host.invoke("post-login", r#"{"userId":"usr-ada"}"#).await;
    assert_eq!(without.status_and_code(), (401, "proof_required".into()));
    assert_eq!(host.sessions(), 1);
}

/// Unknown and disabled users look alike from outside; the log tells them apart.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_disabled_users_look_alike() {
    let host = TestHost::start(&[]).await;
    let mut answers = HashSet::new();
    let mut causes = HashSet::new();
    for user in ["usr-nobody", "usr-alan", "usr-linus", "usr-edsger"] {
        let mut answer = host.invoke("post-login", json!({"userId": user}).to_string()).await.payload;
        let request = answer["body"]["requestId"].as_str().unwrap().to_owned();
        answer["body"]["requestId"] = json!("");
        answers.insert(answer.to_string());
        let lines = host.log_with(&request).await;
        let line = lines.iter().find(|line| line.contains(&request)).unwrap();
        causes.insert(serde_json::from_str::<Value>(line).unwrap()["cause"].to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(causes.len(), 2, "{causes:?}");
}

/// post-append sets the flags once.
#[tokio::test(flavor = "multi_thread")]
async fn the_flags_are_set_once() {
    let host = TestHost::start(&[]).await;
    let ada = domain::UserIdentifier::new("usr-ada").unwrap();
    let event = r#"{"username":"usr-ada"}"#;
    let calls = (0..6).map(|_| host.invoke("post-append", event));
    for invoked in join_all(calls).await {
        assert_eq!(invoked.payload, json!({"statusCode": 200, "body": {}}));
    }
    let first = host.store.mfa_record(&ada).await.unwrap().unwrap();
    assert!(first.enabled && first.preferred.as_deref() == Some("passkey"));
    assert_eq!(host.invoke("post-append", event).await.payload["statusCode"], 200);
    assert_eq!(host.store.mfa_record(&ada).await.unwrap().unwrap(), first);
}

/// Several processes serve at the same time on one store; each is used again.
#[tokio::test(flavor = "multi_thread")]
async fn processes_share_the_store_and_stay_warm() {
    let host = TestHost::start(&[]).await;
    let calls = (0..24).map(|_| host.invoke("post-login", r#"{"userId":"usr-ada"}"#));
    for invoked in join_all(calls).await {
        assert_eq!(invoked.payload["statusCode"], 200, "{}", invoked.payload);
    }
    assert_eq!(host.sessions(), 24);
    let processes = host.host.idle_processes("post-login");
    assert!(processes.len() >= 2, "{processes:?}");

    let invoked = host.invoke("post-login", r#"{"userId":"usr-nobody"}"#).await;
    let request = invoked.payload["body"]["requestId"].as_str().unwrap().to_owned();
    let lines = host.log_with(&request).await;
    let line: Value = lines
        .iter()
        .find(|line| line.contains(&request))
        .map(|line| serde_json::from_str(line).unwrap())
        .unwrap();
    assert_eq!(line["cold_start"], false, "{line}");
    assert_eq!(host.host.idle_processes("post-login").len(), processes.len());
    let cold = lines.iter().filter(|line| line.contains(r#""cold_start":true"#)).count();
    assert_eq!(cold, processes.len());
}

/// A process that was killed is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_replaced() {
    let host = TestHost::start(&[]).await;
    let event = r#"{"identifier":"ada"}"#;
    assert_eq!(host.invoke("pre-login", event).await.payload["statusCode"], 200);
    let [process] = host.host.idle_processes("pre-login")[..] else { panic!("one process") };
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(host.invoke("pre-login", event).await.payload["statusCode"], 200);
    assert_ne!(host.host.idle_processes("pre-login"), [process]);
}

/// A panic is a function error for a direct call and a 500 for HTTP; its text goes nowhere, and the process serves on.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_one_invocation() {
    let example = tests::binaries().join("examples/panicking");
    let host = TestHost::with_functions(&[("panicking", example)], &[], Duration::from_secs(20)).await;
    let served = host.invoke("panicking", "{}").await;
    assert_eq!(served.payload, json!({"statusCode": 200, "body": {}}));
    let process = host.host.idle_processes("panicking");

    let crashed = host.invoke("panicking", r#"{"do":"panic"}"#).await;
    assert_eq!(crashed.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(crashed.payload, json!({"errorType": "internal_error", "errorMessage": "internal_error"}));

    let body = r#"{"do":"panic"}"#;
    let answer = post(&host, "panicking", &signed("msg_panic", tests::now(), body), body).await;
    assert_eq!(error(&answer), (500, "internal_error"));

    assert_eq!(host.invoke("panicking", "{}").await.payload["statusCode"], 200);
    assert_eq!(host.host.idle_processes("panicking"), process);
    let log = host.log_with("internal_error").await.join("\n");
    assert!(log.contains("panicking.rs"), "where it happened is logged: {log}");
    assert!(!log.contains("planted"), "{log}");
}

/// A provider that fails is an answer, from each action in its own words.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_an_answer() {
    let slow = || Reaction::After(Duration::from_secs(60), Box::new(Reaction::Reset));
    let rows = [
        ("throttled", aws_error(400, "TooManyRequestsException")),
        ("status 429", Reaction::Answer(429, vec![], String::new())),
        ("failed", aws_error(500, "InternalErrorException")),
        ("garbage", Reaction::Answer(200, vec![], "<html>".into())),
        ("reset", Reaction::Reset),
        ("slow", slow()),
    ];
    for (name, reaction) in rows {
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let host = cognito_host(&stub, &[("UPSTREAM_TIMEOUT_MS", "200")]).await;
        for (function, event, message) in [
            ("post-append", r#"{"username":"ada"}"#, "Failed to update MFA settings"),
            ("post-login", r#"{"userId":"ada"}"#, "Failed to create session"),
        ] {
            let invoked = host.invoke(function, event).await;
            assert_eq!(invoked.status_and_code(), (500, "provider_unavailable".into()), "{function}: {name}");
            assert_eq!(invoked.payload["body"]["message"], message);
            let answer = post(&host, function, &signed("msg_1", tests::now(), event), event).await;
            assert_eq!(error(&answer), (500, "provider_unavailable"), "{function}: {name}");
        }
        let invoked = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
        assert_eq!(invoked.payload["statusCode"], 200, "{name}");
        assert_eq!(invoked.payload["body"]["error"]["code"], "untyped", "{name}");
        assert_eq!(host.sessions(), 0);
    }
}

/// A host whose functions use a user pool at `stub`.
async fn cognito_host(stub: &Stub, more: &[(&str, &str)]) -> TestHost {
    let url = stub.url();
    let mut settings = vec![
        ("AUTH_SYSTEM", "cognito"),
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    settings.extend(more);
    let functions = ACTIONS.map(|name| (name, tests::binaries().join(name)));
    TestHost::with_functions(&functions, &settings, Duration::from_secs(3)).await
}

/// The function answers before Lambda would stop it, however patient its settings are.
#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_kept() {
    let slow = Reaction::After(Duration::from_secs(60), Box::new(Reaction::Reset));
    let stub = Stub::start(move |_, _| slow.clone()).await;
    let host = cognito_host(&stub, &[("UPSTREAM_TIMEOUT_MS", "30000")]).await;
    let invoked = host.invoke("post-append", r#"{"username":"ada"}"#).await;
    assert_eq!(invoked.status_and_code(), (500, "provider_unavailable".into()));
    let invoked = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
    assert_eq!(invoked.payload["body"]["error"]["code"], "untyped");
    // The processes are the same: nothing had to be killed.
    assert_eq!(host.host.idle_processes("post-append").len(), 1);
}

/// A store that is read-only or locked is an answer, and works again once it can be used.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_used_is_an_answer() {
    let host = TestHost::start(&[("UPSTREAM_TIMEOUT_MS", "1000")]).await;
    let event = r#"{"userId":"usr-ada"}"#;
    let held = rusqlite::Connection::open(host.store.path()).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let invoked = host.invoke("post-login", event).await;
    assert_eq!(invoked.status_and_code(), (500, "provider_unavailable".into()));
    let invoked = host.invoke("post-append", r#"{"username":"usr-ada"}"#).await;
    assert_eq!(invoked.status_and_code(), (500, "provider_unavailable".into()));
    drop(held);
    assert_eq!(host.invoke("post-login", event).await.payload["statusCode"], 200);

    // Root may write anywhere, so "read-only" is a folder in the file's place, and one that is a file.
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    std::fs::set_permissions(&blocked, std::fs::Permissions::from_mode(0o400)).unwrap();
    for path in [folder.path().to_path_buf(), blocked.join("store.sqlite")] {
        let host = TestHost::start(&[("EMBEDDED_STORE", &path.display().to_string())]).await;
        let invoked = host.invoke("post-login", event).await;
        assert_eq!(invoked.status_and_code(), (500, "provider_unavailable".into()), "{}", path.display());
        let invoked = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
        assert_eq!(invoked.payload["body"]["error"]["code"], "untyped", "{}", path.display());
    }
}

/// A store that may be read and not written.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_store_is_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    {
        let store = sqlite::Store::new(&path, Duration::from_secs(1));
        store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();
    }
    // Immutable for SQLite, whoever runs the test: a trigger refuses every write.
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (table, event) in [("sessions", "INSERT"), ("replays", "INSERT"), ("users", "UPDATE")] {
        let trigger = format!(
            "CREATE TRIGGER {table}_closed BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'planted'); END"
        );
        connection.execute_batch(&trigger).unwrap();
    }
    drop(connection);
    let host = TestHost::start(&[("EMBEDDED_STORE", &path.display().to_string())]).await;
    let invoked = host.invoke("post-append", r#"{"username":"usr-ada"}"#).await;
    assert_eq!(invoked.status_and_code(), (500, "provider_unavailable".into()));
    let body = r#"{"userId":"usr-ada"}"#;
    let answer = post(&host, "post-login", &signed("msg_ro", tests::now(), body), body).await;
    assert_eq!(error(&answer), (500, "provider_unavailable"));
    // Reading still works.
    let invoked = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
    assert_eq!(invoked.payload["body"], json!({"identifier": "usr-ada"}));
}

/// What is secret or personal appears in no line of any function.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged() {
    let stub = Stub::start(|request, _| match request.path.as_str() {
        "/v2/passkey/verifySignedData" => json(500, &json!({"message": "planted-corbado-message"})),
        _ => aws_error(400, "planted.Code planted"),
    })
    .await;
    let url = stub.url();
    let cognito = [
        ("AUTH_SYSTEM", "cognito"),
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDplanted"),
        ("AWS_SECRET_ACCESS_KEY", "planted-aws-secret"),
        ("AWS_SESSION_TOKEN", "planted-aws-token"),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("METRICS_NAMESPACE", "Connect"),
        ("RUST_LOG", "trace"),
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
    ];
    let corbado = [
        ("CORBADO_BACKEND_API_URL", url.as_str()),
        ("CORBADO_API_SECRET", "planted-corbado-secret"),
        ("LOGIN_PROOF_SECRETS", "planted-login-proof-secret-of-32-or-more"),
        ("RUST_LOG", "trace"),
    ];
    let token = planted_token();
    let events = [
        json!({"username": "planted@example.com", "identifier": "planted@example.com", "userId": "planted@example.com"}),
        json!({"signedPasskeyData": token, "userId": "planted@example.com", "x": "planted"}),
        json!({"signedPasskeyData": "planted.planted.planted", "identifier": "planted\n{\"level\":\"planted\"}"}),
        json!({"username": ["planted"], "userId": {"planted": "planted"}}),
        json!("planted"),
    ];
    let mut lines = Vec::new();
    for settings in [cognito.as_slice(), corbado.as_slice()] {
        let host = TestHost::start(settings).await;
        for function in ACTIONS {
            for event in &events {
                let body = event.to_string();
                host.invoke(function, body.clone()).await;
                let mut headers = signed("msg_planted", tests::now(), &body);
                headers.push(("authorization".into(), "Bearer planted".into()));
                headers.push(("cookie".into(), "session_id=planted".into()));
                post(&host, function, &headers, &body).await;
                headers[3].1 = "v1,cGxhbnRlZA== planted".into();
                post(&host, function, &headers, &body).await;
            }
        }
        for case in ["verify", "create", "define-first", "another-trigger"] {
            let mut event = sample::read(&tests::events(), "custom-auth", case).unwrap().event;
            event["userName"] = "planted@example.com".into();
            event["planted"] = "planted".into();
            // The token's own user, so that Corbado is asked.
            event["userName"] = tests::forge::claims(&token)["webauthnId"].clone();
            for answer in [json!(token), json!("v1.planted.planted.planted"), json!(["planted"])] {
                event["request"]["challengeAnswer"] = answer;
                host.invoke("custom-auth", event.to_string()).await;
            }
        }
        // A session id is made by the function itself.
        let invoked = host.invoke("post-login", r#"{"userId":"usr-ada"}"#).await;
        let last = host.invoke("pre-login", "{}").await.payload["body"]["requestId"].clone();
        let log = host.log_with(last.as_str().unwrap()).await;
        if let Some(session) = invoked.payload["body"]["sessionId"].as_str() {
            assert!(!log.join("\n").contains(session));
        }
        lines.extend(log);
    }
    let log = lines.join("\n");
    for word in ["planted", "cGxhbnRlZA", "usr-ada", "Bearer", "whsec_", "AKID", &secret_text(), &token] {
        assert!(!log.to_lowercase().contains(&word.to_lowercase()), "{word} in {log}");
    }
    assert!(log.contains("CloudWatchMetrics"), "metrics are among the lines");
    // The lines are there, each is JSON, and each says what it must.
    assert!(lines.len() > 110, "{}", lines.len());
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert_eq!(line["message"], "invocation", "{line}");
        for field in ["action", "outcome", "duration_ms", "request_id", "cold_start"] {
            assert!(!line[field].is_null(), "no {field} in {line}");
        }
        // Lambda's own id of the trace, from the local host.
        assert!(line["trace_id"].as_str().unwrap().starts_with("Root="), "{line}");
        assert_eq!(line["status"].is_null(), line["action"] == "custom-auth", "{line}");
    }
}

fn secret_text() -> String {
    "dGVzdHMgc2lnbiB3aXRo".to_owned()
}

/// A token that passes the cheap checks, with planted claims.
fn planted_token() -> String {
    let sample = sample::read(&tests::events(), "post-login", "signed-passkey-data").unwrap();
    let fresh = sample::fresh(&sample.event, &secret(), tests::now()).unwrap();
    fresh["signedPasskeyData"].as_str().unwrap().to_owned()
}

/// A function that cannot start says why, with every name, and no value.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_names_every_problem() {
    let host = TestHost::start(&[
        ("AUTH_SYSTEM", "cognito"),
        ("SESSION_STORE", "planted"),
        ("SESSION_TTL_SECONDS", "planted"),
        ("ACTION_CALLER_AUTH", "planted"),
        ("ACTION_SIGNING_SECRETS", "whsec_planted"),
        ("CORBADO_PROJECT_ID", ""),
        ("CORBADO_API_SECRET", ""),
        ("CORBADO_BACKEND_API_URL", "planted"),
        ("UPSTREAM_TIMEOUT_MS", "planted"),
        ("TLS_ROOTS_FILE", "/nowhere/planted"),
    ])
    .await;
    let invoked = host.invoke("post-login", "{}").await;
    assert_eq!(invoked.function_error.as_deref(), Some("Unhandled"));
    assert_eq!(invoked.payload["errorType"], "Runtime.ExitError");
    let log = host.log_with("configuration").await;
    let line = log.iter().find(|line| line.contains("configuration")).unwrap();
    for name in [
        "SESSION_STORE",
        "SESSION_TTL_SECONDS",
        "ACTION_CALLER_AUTH",
        "ACTION_SIGNING_SECRETS",
        "UPSTREAM_TIMEOUT_MS",
        "TLS_ROOTS_FILE",
    ] {
        assert_eq!(line.matches(&format!("{name}: ")).count(), 1, "{name} in {line}");
    }
    assert!(!line.contains("planted"), "{line}");

    let host = TestHost::start(&[("AUTH_SYSTEM", "cognito"), ("CORBADO_PROJECT_ID", "")]).await;
    host.invoke("post-login", "{}").await;
    let log = host.log_with("configuration").await.join("\n");
    for name in ["USER_POOL_ID", "AWS_REGION", "CORBADO_PROJECT_ID"] {
        assert!(log.contains(&format!("{name}: required")), "{name} in {log}");
    }
    // post-append has no use for Corbado, so it is not asked for what leads there.
    let host = TestHost::start(&[("CORBADO_PROJECT_ID", ""), ("CORBADO_API_SECRET", "")]).await;
    assert_eq!(host.invoke("post-append", r#"{"username":"usr-ada"}"#).await.payload["statusCode"], 200);
}

/// Without a secret every HTTP request is refused, and the start says so.
#[tokio::test(flavor = "multi_thread")]
async fn http_without_a_secret_is_closed() {
    let host = TestHost::start(&[("ACTION_SIGNING_SECRETS", ""), ("ACTION_DIRECT_INVOCATION", "deny")]).await;
    let body = r#"{"userId":"usr-ada"}"#;
    let answer = post(&host, "post-login", &signed("msg_1", tests::now(), body), body).await;
    assert_eq!(error(&answer), (401, "unauthenticated"));
    let direct = host.invoke("post-login", body).await;
    assert_eq!(direct.status_and_code(), (401, "unauthenticated".into()));
    host.log_with("every HTTP request is refused").await;
    assert_eq!(host.sessions(), 0);
}

/// No web page drives the local host.
#[tokio::test(flavor = "multi_thread")]
async fn the_local_host_refuses_web_pages() {
    let host = TestHost::start(&[]).await;
    let address = host.host.address();
    let status = move |headers: &str| {
        let body = r#"{"userId":"usr-ada"}"#;
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /2015-03-31/functions/post-login/invocations HTTP/1.1\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer[9..12].parse::<u16>().unwrap()
    };
    tokio::task::spawn_blocking(move || {
        assert_eq!(status(&format!("host: {address}\r\n")), 200);
        assert_eq!(status(&format!("host: {address}\r\norigin: http://{address}\r\n")), 200);
        assert_eq!(status("host: evil.example\r\n"), 403);
        assert_eq!(status(&format!("host: {address}\r\norigin: https://evil.example\r\n")), 403);
        assert_eq!(status(&format!("host: {address}\r\norigin: null\r\n")), 403);
    })
    .await
    .unwrap();
    assert_eq!(host.sessions(), 2);
}
