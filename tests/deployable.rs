//! Binaries with the features of what is deployed: no embedded store, no profile files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::time::Duration;

use sandbox::{FUNCTIONS, WITH_URL};
use serde_json::json;
use tests::api::Call;
use tests::host::TestHost;
use tests::stub::{Stub, json};

fn binary(function: &str) -> PathBuf {
    // Beside target/debug.
    let binary = tests::binaries().parent().unwrap().join("deployable").join(function);
    assert!(binary.exists(), "{} is missing: run the tests by `make test`", binary.display());
    binary
}

async fn start(settings: &[(&str, &str)]) -> TestHost {
    let functions = FUNCTIONS.map(|function| (function, binary(function)));
    TestHost::with_functions(&functions, settings, Duration::from_secs(20)).await
}

/// Tells which problems a function names that does not start.
async fn problems(function: &str, settings: &[(&str, &str)]) -> String {
    let host = start(settings).await;
    let invoked = host.invoke(function, "{}").await;
    assert_eq!(invoked.payload["errorType"], "Runtime.ExitError", "{}", invoked.payload);
    let lines = host.log_with("configuration").await;
    lines.into_iter().find(|line| line.contains("configuration")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_is_a_start_up_error() {
    for function in WITH_URL {
        let line = problems(function, &[("AUTH_SYSTEM", "embedded")]).await;
        assert!(line.contains("AUTH_SYSTEM: one of cognito"), "{function}: {line}");
        let line = problems(function, &[]).await;
        assert!(line.contains("AUTH_SYSTEM: one of cognito"), "{function}: {line}");
    }
    for function in ["post-login", "auth-api"] {
        for store in ["embedded", ""] {
            let line = problems(function, &[("AUTH_SYSTEM", "rest"), ("SESSION_STORE", store)]).await;
            assert!(line.contains("SESSION_STORE: one of dynamodb, rest"), "{function}: {line}");
        }
    }
    for settings in [&[][..], &[("REPLAY_STORE", "embedded")], &[("SESSION_STORE", "rest")]] {
        let line = problems("custom-auth", settings).await;
        assert!(line.contains("REPLAY_STORE: one of dynamodb"), "{line}");
    }
    let line = problems("custom-auth", &[("SESSION_STORE", "embedded")]).await;
    assert!(line.contains("SESSION_STORE: one of dynamodb"), "{line}");
    let settings = [("SESSION_STORE", "rest"), ("REPLAY_STORE", "embedded")];
    let rest = [("AUTH_SYSTEM_URL", "https://users.example.com"), ("AUTH_SYSTEM_BEARER_TOKEN", "x")];
    let line = problems("post-login", &[settings, rest].concat()).await;
    assert!(line.contains("REPLAY_STORE: one of dynamodb"), "{line}");
}

/// A build without the queue client says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_needs_a_build_that_has_its_client() {
    let queue = ("DEFER_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/deferred.fifo");
    let line = problems("post-append", &[queue]).await;
    assert!(line.contains("DEFER_QUEUE_URL: not in this build"), "{line}");
}

/// A cookie that plain http carries is for laptops.
#[tokio::test(flavor = "multi_thread")]
async fn an_insecure_cookie_is_a_start_up_error() {
    let line = problems("auth-api", &[("SESSION_COOKIE_INSECURE", "true")]).await;
    assert!(line.contains("SESSION_COOKIE_INSECURE: not in a deployed build"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_environment_only() {
    let settings = [
        ("AUTH_SYSTEM", "cognito"),
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_PROFILE", "local"),
    ];
    let line = problems("pre-login", &settings).await;
    assert!(line.contains("AWS_ACCESS_KEY_ID: required"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_serve_and_hold_no_sqlite() {
    let stub = Stub::start(|_, _| {
        json(
            200,
            &json!({"Username": "ada", "Enabled": true, "UserStatus": "CONFIRMED", "UserAttributes": []}),
        )
    })
    .await;
    let host = start(&[
        ("AUTH_SYSTEM", "cognito"),
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", &stub.url()),
    ])
    .await;
    let invoked = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
    assert_eq!(invoked.payload, json!({"statusCode": 200, "body": {"identifier": "ada"}}));
    let invoked = host.invoke("post-append", r#"{"username":"ada"}"#).await;
    assert_eq!(invoked.payload, json!({"statusCode": 200, "body": {}}));

    // Sessions in DynamoDB need no call to refuse these.
    let host = start(&[
        ("AUTH_SYSTEM", "rest"),
        ("AUTH_SYSTEM_URL", "https://users.example.com"),
        ("AUTH_SYSTEM_BEARER_TOKEN", "x"),
        ("SESSION_STORE", "dynamodb"),
        ("DYNAMODB_TABLE", "sessions"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ])
    .await;
    let answer = Call::get("/auth/session").send(&host).await;
    assert_eq!(answer.refusal(), (401, "unauthenticated"));
    let invoked = host.invoke("post-login", "{}").await;
    assert_eq!(invoked.status_and_code(), (400, "invalid_request".into()));

    let holds_sqlite = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(13).any(|window| window == b"SQLite format")
    };
    assert!(holds_sqlite(tests::binaries().join("pre-login")), "the check itself works");
    for function in FUNCTIONS {
        assert!(!holds_sqlite(binary(function)), "{function}");
    }
}
