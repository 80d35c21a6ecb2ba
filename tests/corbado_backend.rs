//! The stand-in's Backend API: connect tokens, verdicts, credentials, Corbado's bodies.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::process::{Command, Output};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tests::connect::{PROJECT, TestConnect, send};
use tests::{api, forge};

fn kind(answer: &Value) -> &str {
    answer["error"]["type"].as_str().unwrap()
}

#[tokio::test]
async fn connect_tokens_are_made_listed_changed_and_deleted() {
    let connect = TestConnect::start().await;
    let data = json!({"identifier": "ada", "displayName": "Ada"});
    let body = json!({"type": "passkey-append", "data": data, "maxLifetimeInSeconds": 60});
    let (status, token) = connect.backend("POST", "connectTokens", body).await;
    assert_eq!(status, 200);
    assert!(token["id"].as_str().unwrap().starts_with("ctk-"));
    assert!(token["secret"].as_str().unwrap().starts_with("ctk1_"));
    assert_eq!((&token["tokenType"], &token["data"]), (&json!("passkey-append"), &data));
    assert_eq!(token["connectTokenStatus"], "initial");
    let left = token["expires"].as_u64().unwrap() - tests::now();
    assert!((58..=60).contains(&left), "{left}");

    connect.token("passkey-list", "grace").await;
    let list =
        async |query: &str| connect.backend("GET", &format!("connectTokens{query}"), Value::Null).await;
    let (status, listed) = list("").await;
    assert_eq!(status, 200);
    assert_eq!(listed["paging"], json!({"page": 1, "totalPages": 1, "totalItems": 2}));
    assert!(listed["connectTokens"].as_array().unwrap().iter().all(|it| it.get("secret").is_none()));
    let (_, second) = list("?page=2&pageSize=1").await;
    assert_eq!(second["connectTokens"].as_array().unwrap().len(), 1);
    assert_eq!(second["paging"]["totalPages"], 2);
    let (_, adas) = list("?filter%5B%5D=identifier:eq:ada").await;
    assert_eq!(adas["connectTokens"][0]["id"], token["id"]);
    assert_eq!(adas["paging"]["totalItems"], 1);
    assert_eq!(list("?page=0").await.0, 400);
    assert_eq!(list("?filter%5B%5D=secret:eq:x").await.0, 400);

    let one = format!("connectTokens/{}", token["id"].as_str().unwrap());
    let (status, worked) = connect.backend("PATCH", &one, json!({"status": "consumed"})).await;
    assert_eq!((status, &worked["httpStatusCode"], &worked["message"]), (200, &json!(200), &json!("OK")));
    let (_, consumed) = list("?filter%5B%5D=connectTokenStatus:eq:consumed").await;
    assert_eq!(consumed["connectTokens"][0]["id"], token["id"]);
    assert_eq!(connect.backend("PATCH", &one, json!({"status": "gone"})).await.0, 400);
    assert_eq!(connect.backend("DELETE", &one, Value::Null).await.0, 200);
    for (method, body) in [("DELETE", Value::Null), ("PATCH", json!({"status": "initial"}))] {
        let (status, answer) = connect.backend(method, &one, body).await;
        assert_eq!((status, kind(&answer)), (404, "not_found"));
    }
}

#[tokio::test]
async fn a_consumed_token_works_again_when_its_status_is_set_back() {
    let connect = TestConnect::start().await;
    let secret = connect.token("passkey-list", "ada").await;
    let (_, listed) = connect.backend("GET", "connectTokens", Value::Null).await;
    let one = format!("connectTokens/{}", listed["connectTokens"][0]["id"].as_str().unwrap());
    let browser = connect.browser();
    for (status, expected) in [("consumed", 400), ("initial", 200)] {
        connect.backend("PATCH", &one, json!({"status": status})).await;
        assert_eq!(browser.call("manage/list", json!({"connectToken": secret})).await.0, expected);
    }
}

#[tokio::test]
async fn refuses_what_is_no_connect_token() {
    let connect = TestConnect::start().await;
    let data = json!({"identifier": "ada", "displayName": "Ada"});
    let rows = [
        (json!({}), "type"),
        (json!({"type": "passkey-add", "data": data}), "type"),
        (json!({"type": "passkey-append"}), "data"),
        (json!({"type": "passkey-append", "data": {"displayName": "Ada"}}), "data.identifier"),
        (json!({"type": "passkey-append", "data": {"identifier": ""}}), "data.identifier"),
        (json!({"type": "passkey-append", "data": {"identifier": "ada"}}), "data.displayName"),
        (json!({"type": "passkey-list", "data": {"identifier": 1}}), "data.identifier"),
        (json!({"type": "passkey-list", "data": data, "maxLifetimeInSeconds": 0}), "maxLifetimeInSeconds"),
        (json!({"type": "passkey-list", "data": data, "maxLifetimeInSeconds": "60"}), "maxLifetimeInSeconds"),
    ];
    for (body, field) in rows {
        let (status, answer) = connect.backend("POST", "connectTokens", body.clone()).await;
        assert_eq!((status, kind(&answer)), (400, "validation_error"), "{body}");
        assert_eq!(answer["error"]["validation"][0]["field"], field, "{body}");
    }
    let (status, answer) = connect.backend("POST", "connectTokens", json!("{")).await;
    assert_eq!((status, kind(&answer)), (400, "invalid_json"));
    let (status, answer) = connect.backend("PUT", "connectTokens", json!({})).await;
    assert_eq!((status, kind(&answer)), (405, "method_not_allowed"));
    let (status, answer) = connect.backend("POST", "elsewhere", json!({})).await;
    assert_eq!((status, kind(&answer)), (404, "not_found"));
}

#[tokio::test]
async fn admits_the_projects_credentials_only() {
    let connect = TestConnect::start().await;
    let basic = |text: String| format!("Basic {}", BASE64_STANDARD.encode(text));
    let status = async |authorization: Option<String>| {
        let headers: Vec<_> = authorization.into_iter().map(|it| ("authorization", it)).collect();
        let url = format!("{}/corbado/v2/connectTokens", connect.url());
        let (status, body) = send("GET", &url, &headers, None).await.json();
        if status == 401 {
            assert_eq!(kind(&body), "login_error");
        }
        status
    };
    assert_eq!(status(Some(basic(format!("{}:{}", PROJECT.0, PROJECT.1)))).await, 200);
    assert_eq!(status(Some(format!("Bearer {}", PROJECT.2))).await, 200);
    for bad in [
        None,
        Some(basic(format!("{}:wrong", PROJECT.0))),
        Some(basic(format!("pro-other:{}", PROJECT.1))),
        Some(format!("Bearer {}", PROJECT.1)),
        Some(format!("Basic {}", PROJECT.1)),
        Some(String::new()),
    ] {
        assert_eq!(status(bad.clone()).await, 401, "{bad:?}");
    }
}

#[tokio::test]
async fn gives_a_verdict_on_every_proof() {
    let connect = TestConnect::start().await;
    let mut browser = connect.browser();
    browser.append(&connect.token("passkey-append", "ada").await).await;
    let mut proof = async || browser.login("ada").await["session"].as_str().unwrap().to_owned();

    let good = proof().await;
    let forged = forge::with_claims(&good, |claims| claims["webauthnId"] = "grace".into());
    assert_eq!(connect.verdict(&forged, "grace").await, "invalid_signature");
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    assert_eq!(connect.verdict(&unsigned, "ada").await, "invalid_signature");
    assert_eq!(connect.verdict("", "ada").await, "invalid_signature");
    assert_eq!(connect.verdict(&good, "ada").await, "success");
    assert_eq!(connect.verdict(&good, "ada").await, "invalid_challenge");

    let other = proof().await;
    assert_eq!(connect.verdict(&other, "grace").await, "user_mismatch");
    assert_eq!(connect.verdict(&other, "ada").await, "invalid_challenge", "it was spent");

    let body = json!({"signedPasskeyData": good});
    let (status, answer) = connect.backend("POST", "passkey/verifySignedData", body).await;
    assert_eq!((status, kind(&answer)), (400, "validation_error"));
}

#[tokio::test]
async fn sample_tokens_have_their_verdict_with_them() {
    let connect = TestConnect::start().await;
    let good = api::token("signed-passkey-data");
    assert_eq!(connect.verdict(&good, "usr-ada").await, "success");
    assert_eq!(connect.verdict(&good, "usr-ada").await, "invalid_challenge");
    assert_eq!(connect.verdict(&api::token("invalid-signature"), "usr-ada").await, "invalid_signature");
}

#[tokio::test]
async fn proofs_verify_with_the_published_keys() {
    let connect = TestConnect::start().await;
    let mut browser = connect.browser();
    browser.append(&connect.token("passkey-append", "ada").await).await;
    let proof = browser.login("ada").await["session"].as_str().unwrap().to_owned();
    let (status, set) =
        send("GET", &format!("{}/fapi/.well-known/jwks", connect.url()), &[], None).await.json();
    assert_eq!(status, 200);
    let [key] = set["keys"].as_array().unwrap().as_slice() else { panic!("{set}") };
    assert_eq!((&key["kty"], &key["alg"], &key["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
    assert!(forge::verifies(&proof, key), "another implementation of RS256 agrees");
    assert!(!forge::verifies(&forge::with_claims(&proof, |claims| claims["exp"] = 0.into()), key));
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn installed(path: &str) -> std::path::PathBuf {
    let path = tests::repository().join("target").join(path);
    assert!(path.exists(), "{} is missing: run the tests by `make test`", path.display());
    path
}

/// Whatever fits Corbado's published description is answered as it says, and whatever does not is refused.
#[tokio::test(flavor = "multi_thread")]
async fn keeps_to_the_published_description() {
    let connect = TestConnect::start().await;
    let mut command = Command::new(installed("api-tools/bin/python"));
    command
        .arg(tests::repository().join("tests/support/backend_api.py"))
        .arg(installed("tools/package/src/specs"));
    let description = output(command).await;
    assert!(description.status.success(), "{}", String::from_utf8_lossy(&description.stderr));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backend-api.json");
    std::fs::write(&file, description.stdout).unwrap();

    let mut command = Command::new(installed("api-tools/bin/schemathesis"));
    command.current_dir(&folder).arg("run").arg(file);
    command.args(["--url", &format!("{}/corbado/v2", connect.url())]);
    command.args(["--auth", &format!("{}:{}", PROJECT.0, PROJECT.1)]);
    // The same requests every time.
    command.args(["--seed", "1", "--max-examples", "60", "--generation-database", "none"]);
    let run = output(command).await;
    let shown = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{shown}");
    let cases = shown.lines().find_map(|line| line.trim().split_once(" generated, "));
    let cases: u32 = cases.unwrap_or_else(|| panic!("{shown}")).0.parse().unwrap();
    assert!(cases > 200, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn corbados_own_client_is_content() {
    let connect = TestConnect::start().await;
    installed("browser/node_modules/@corbado/node-sdk");
    let mut command = Command::new("node");
    command.arg(tests::repository().join("tests/support/node_sdk.mjs")).arg(installed("browser"));
    command.args([&format!("{}/corbado/v2", connect.url()), PROJECT.0, PROJECT.1]);
    let run = output(command).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    let expected = json!({
        "secret": "ctk1_",
        "listed": [true],
        "updated": 200,
        "deleted": 200,
        "unknown": [404, "not_found"],
    });
    assert_eq!(told, expected);
}
