//! The stand-in's Frontend API: each row that the shipped web components depend on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use sandbox::connect::{Rules, Switches};
use serde_json::{Value, json};
use tests::authenticator::{AAGUID, NoAnswer};
use tests::connect::{Browser, FOREIGN_PAGE, ORIGIN, TestConnect, send};
use tests::forge;

/// A stand-in with one user, `ada`, who has a passkey in the browser.
async fn with_passkey() -> (TestConnect, Browser) {
    let connect = TestConnect::start().await;
    let mut browser = connect.browser();
    let (status, answer) = browser.append(&connect.token("passkey-append", "ada").await).await;
    assert_eq!(status, 200, "{answer}");
    (connect, browser)
}

fn kind(answer: &Value) -> &str {
    answer["error"]["type"].as_str().unwrap()
}

#[tokio::test]
async fn inits_answer_what_the_components_read() {
    let connect = TestConnect::start().await;
    for (what, id, allowed) in [
        ("login", "token", "loginAllowed"),
        ("append", "processID", "appendAllowed"),
        ("manage", "processID", "manageAllowed"),
    ] {
        let mut browser = connect.browser();
        let first = browser.init(what).await;
        assert!(first[id].as_str().unwrap().starts_with("prc-"));
        assert_eq!((&first["expiresAt"], &first["frontendApiUrl"]), (&json!(0), &json!("")));
        assert_eq!(first["flags"], json!({"conditional-ui-allowed": "true"}));
        assert_eq!(first[allowed], true);
        // A browser keeps both, and is known by them again.
        let again = browser.init(what).await;
        assert_eq!(again[id], first[id]);
        assert_eq!(again["newClientEnvHandle"], Value::Null);
    }
}

#[tokio::test]
async fn a_roll_out_can_be_switched_off() {
    let connect = TestConnect::start().await;
    connect.connect.switch(Switches {
        login_allowed: false,
        append_allowed: false,
        manage_allowed: false,
        conditional_ui: false,
        ..Switches::default()
    });
    let mut browser = connect.browser();
    let login = browser.init("login").await;
    assert_eq!((&login["loginAllowed"], &login["conditionalUIChallenge"]), (&json!(false), &Value::Null));
    assert_eq!(login["flags"]["conditional-ui-allowed"], "false");
    assert_eq!(browser.init("append").await["appendAllowed"], false);
    assert_eq!(browser.init("manage").await["manageAllowed"], false);
}

#[tokio::test]
async fn process_ids_of_before_are_taken_as_they_are_and_odd_ones_replaced() {
    let connect = TestConnect::start().await;
    let mut browser = connect.browser();
    browser.process = Some("pro-of-yesterday".to_owned());
    assert_eq!(browser.init("login").await["token"], "pro-of-yesterday");
    browser.process = Some("<script>".to_owned());
    assert!(browser.init("login").await["token"].as_str().unwrap().starts_with("prc-"));
}

#[tokio::test]
async fn a_passkey_is_created_and_signs_in() {
    let (connect, mut browser) = with_passkey().await;
    let answer = browser.login("ada").await;
    assert_eq!(answer["session"], answer["signedPasskeyData"]);
    let operation = json!({
        "operationType": "verify",
        "identifierValue": "ada",
        "identifierType": "username",
        "ceremonyType": "local",
    });
    assert_eq!(answer["passkeyOperation"], operation);

    let proof = answer["signedPasskeyData"].as_str().unwrap();
    let claims = forge::claims(proof);
    assert_eq!((&claims["iss"], &claims["webauthnId"]), (&json!("pro-sandbox"), &json!("ada")));
    assert_eq!((&claims["username"], &claims["isCUI"]), (&json!(""), &json!(false)));
    assert_eq!(claims["processId"], browser.process.as_deref().unwrap());
    for (name, prefix) in [("sub", "usr-"), ("credential", "cre-"), ("challengeId", "was-"), ("jti", "jti-")]
    {
        assert!(claims[name].as_str().unwrap().starts_with(prefix), "{name}");
    }
    let seconds = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!((seconds("exp") - seconds("iat"), seconds("iat") - seconds("nbf")), (300, 10));

    // Once.
    assert_eq!(connect.verdict(proof, "ada").await, "success");
    assert_eq!(connect.verdict(proof, "ada").await, "invalid_challenge");
}

#[tokio::test]
async fn registration_options_ask_for_what_passkeys_need() {
    let (connect, mut browser) = with_passkey().await;
    browser.init("append").await;
    let token = connect.token("passkey-append", "ada").await;
    let body = json!({"appendTokenValue": token, "loadedMs": 1, "forcePasskeyAppend": true});
    let started = browser.ok("append/start", body).await;
    assert_eq!(started["variant"], "default");
    let options: Value = serde_json::from_str(started["attestationOptions"].as_str().unwrap()).unwrap();
    let options = &options["publicKey"];
    assert_eq!(options["rp"]["id"], "localhost");
    let selection = &options["authenticatorSelection"];
    assert_eq!(selection["residentKey"], "required");
    assert_eq!(
        (&selection["requireResidentKey"], &selection["userVerification"]),
        (&json!(true), &json!("required"))
    );
    assert_eq!(options["user"]["displayName"], "ada@example.com");
    // `null` would break the component.
    assert!(!started["attestationOptions"].as_str().unwrap().contains("null"));
    let created = browser.authenticator.create(started["attestationOptions"].as_str().unwrap(), ORIGIN);
    assert_eq!(created, Err(NoAnswer::AlreadyRegistered));
}

#[tokio::test]
async fn conditional_ui_signs_in_without_identifier() {
    let (connect, mut browser) = with_passkey().await;
    let init = browser.init("login").await;
    let options = init["conditionalUIChallenge"].as_str().unwrap();
    assert!(!options.contains("mediation") && !options.contains("null"), "{options}");
    // The form is used meanwhile: the two do not disturb each other.
    browser.login("ada").await;
    let response = browser.authenticator.get(options, ORIGIN).unwrap();
    let (status, answer) = browser.finish(&response, true).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["passkeyOperation"]["identifierValue"], "ada@example.com");
    assert_eq!(forge::claims(answer["signedPasskeyData"].as_str().unwrap())["isCUI"], true);
    assert_eq!(connect.verdict(answer["session"].as_str().unwrap(), "ada").await, "success");
}

#[tokio::test]
async fn a_proof_tells_which_way_it_was_and_not_what_the_browser_says() {
    let (_connect, mut browser) = with_passkey().await;
    let typed = browser.start("ada").await;
    let offered = browser.init("login").await["conditionalUIChallenge"].as_str().unwrap().to_owned();
    for (options, conditional) in [(typed, false), (offered, true)] {
        let response = browser.authenticator.get(&options, ORIGIN).unwrap();
        let (status, answer) = browser.finish(&response, !conditional).await;
        assert_eq!(status, 200, "{answer}");
        let claims = forge::claims(answer["signedPasskeyData"].as_str().unwrap());
        assert_eq!(claims["isCUI"], conditional);
    }
}

#[tokio::test]
async fn two_tabs_of_one_browser_do_not_disturb_each_other() {
    let (_connect, mut browser) = with_passkey().await;
    let (first, second) = (browser.start("ada").await, browser.start("ada").await);
    for options in [first, second] {
        let response = browser.authenticator.get(&options, ORIGIN).unwrap();
        assert_eq!(browser.finish(&response, false).await.0, 200);
    }
}

#[tokio::test]
async fn one_tap_knows_what_an_append_has_left() {
    let (_connect, browser) = with_passkey().await;
    let body = json!({"identifier": "ada@example.com", "source": "one-tap", "loadedMs": 1});
    let started = browser.ok("login/start", body.clone()).await;
    assert_ne!(started["assertionOptions"], "");
    let mut typed = body;
    typed["source"] = "text-field".into();
    assert_eq!(browser.ok("login/start", typed).await["assertionOptions"], "");
}

#[tokio::test]
async fn without_a_passkey_the_classic_login_takes_over() {
    let (connect, mut browser) = with_passkey().await;
    assert_eq!(browser.start("nobody").await, "");
    // Ada's passkeys are all gone.
    let list = connect.token("passkey-list", "ada").await;
    let listed = browser.ok("manage/list", json!({"connectToken": list})).await;
    let id = listed["passkeys"][0]["id"].as_str().unwrap();
    let delete = connect.token("passkey-delete", "ada").await;
    browser.ok("manage/delete", json!({"connectToken": delete, "credentialID": id})).await;
    assert_eq!(browser.start("ada").await, "");
}

#[tokio::test]
async fn a_deleted_passkey_is_404_in_conditional_ui() {
    let (connect, mut browser) = with_passkey().await;
    let init = browser.init("login").await;
    let list = connect.token("passkey-list", "ada").await;
    let listed = browser.ok("manage/list", json!({"connectToken": list})).await;
    let delete = connect.token("passkey-delete", "ada").await;
    let body = json!({"connectToken": delete, "credentialID": listed["passkeys"][0]["id"]});
    browser.ok("manage/delete", body).await;
    let options = init["conditionalUIChallenge"].as_str().unwrap();
    let response = browser.authenticator.get(options, ORIGIN).unwrap();
    let (status, answer) = browser.finish(&response, true).await;
    assert_eq!((status, kind(&answer)), (404, "not_found"));
}

#[tokio::test]
async fn ceremonies_are_answered_once_and_rightly() {
    let (_connect, mut browser) = with_passkey().await;
    let options = browser.start("ada").await;
    let response = browser.authenticator.get(&options, ORIGIN).unwrap();
    assert_eq!(browser.finish(&response, false).await.0, 200);
    let (status, answer) = browser.finish(&response, false).await;
    assert_eq!((status, kind(&answer)), (400, "login_error"), "a second time");

    let mut refused = async |change: &dyn Fn(&mut Browser, &str) -> String| {
        let options = browser.start("ada").await;
        let response = change(&mut browser, &options);
        let (status, answer) = browser.finish(&response, false).await;
        (status, kind(&answer).to_owned())
    };
    let login_error = (400, "login_error".to_owned());
    let other_site =
        refused(&|browser, options| browser.authenticator.get(options, "http://evil.example").unwrap());
    assert_eq!(other_site.await, login_error);
    let unverified = refused(&|browser, options| {
        browser.authenticator.unverified = true;
        let response = browser.authenticator.get(options, ORIGIN).unwrap();
        browser.authenticator.unverified = false;
        response
    });
    assert_eq!(unverified.await, login_error);
    let cloned = refused(&|browser, options| {
        browser.authenticator.rewind();
        browser.authenticator.get(options, ORIGIN).unwrap()
    });
    assert_eq!(cloned.await, login_error, "a counter that went back");
    let changed = refused(&|browser, options| {
        let response = browser.authenticator.get(options, ORIGIN).unwrap();
        let mut response: Value = serde_json::from_str(&response).unwrap();
        response["response"]["signature"] = "MEUCIQ".into();
        response.to_string()
    });
    assert_eq!(changed.await, login_error);
    assert_eq!(refused(&|_, _| "{}".to_owned()).await, login_error);
}

#[tokio::test]
async fn another_port_of_the_host_is_the_same_site() {
    let (_connect, mut browser) = with_passkey().await;
    let options = browser.start("ada").await;
    let response = browser.authenticator.get(&options, "http://localhost:5173").unwrap();
    assert_eq!(browser.finish(&response, false).await.0, 200);
}

#[tokio::test]
async fn nobody_signs_in_with_another_users_passkey() {
    let (connect, mut ada) = with_passkey().await;
    let mut eve = connect.browser();
    eve.append(&connect.token("passkey-append", "eve").await).await;
    // Eve answers Ada's challenge with her own passkey.
    let mut options: Value = serde_json::from_str(&ada.start("ada").await).unwrap();
    options["publicKey"]["allowCredentials"] = json!([]);
    let response = eve.authenticator.get(&options.to_string(), ORIGIN).unwrap();
    let (status, answer) = ada.finish(&response, false).await;
    assert_eq!((status, kind(&answer)), (400, "login_error"));
}

#[tokio::test]
async fn append_tokens_work_once_and_for_appending_only() {
    let connect = TestConnect::start().await;
    let mut browser = connect.browser();
    browser.init("append").await;
    let token = connect.token("passkey-append", "ada").await;
    let start = |token: &str| json!({"appendTokenValue": token, "loadedMs": 1});
    assert_ne!(browser.ok("append/start", start(&token)).await["attestationOptions"], "");
    let list = connect.token("passkey-list", "ada").await;
    for bad in [token.as_str(), list.as_str(), "ctk1_unknown", ""] {
        let (status, answer) = browser.call("append/start", start(bad)).await;
        assert_eq!((status, kind(&answer)), (400, "validation_error"), "{bad}");
        assert_eq!(answer["error"]["validation"][0]["field"], "appendTokenValue");
    }
}

#[tokio::test]
async fn connect_tokens_expire() {
    let rules = Rules { connect_token_lifetime: Duration::ZERO, ..Rules::default() };
    let connect = TestConnect::with(rules, BTreeMap::new()).await;
    let token = connect.token("passkey-list", "ada").await;
    let (status, _) = connect.browser().call("manage/list", json!({"connectToken": token})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn whoever_has_a_passkey_in_this_browser_is_not_asked_again() {
    let (connect, mut browser) = with_passkey().await;
    let start = async |browser: &mut Browser, force: bool| {
        browser.init("append").await;
        let token = connect.token("passkey-append", "ada").await;
        let body = json!({"appendTokenValue": token, "loadedMs": 1, "forcePasskeyAppend": force});
        browser.ok("append/start", body).await["attestationOptions"] != ""
    };
    assert!(!start(&mut browser, false).await);
    assert!(start(&mut browser, true).await, "the list's own button");
    assert!(start(&mut connect.browser(), false).await, "another browser");
}

#[tokio::test]
async fn the_list_shows_what_the_component_needs() {
    let (connect, browser) = with_passkey().await;
    let list = json!({"connectToken": connect.token("passkey-list", "ada").await});
    let listed = browser.ok("manage/list", list.clone()).await;
    let [passkey] = listed["passkeys"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(passkey["transport"], json!(["internal"]));
    assert_eq!(passkey["authenticatorAAGUID"], AAGUID);
    assert_eq!((&passkey["backupEligible"], &passkey["backupState"]), (&json!(true), &json!(true)));
    for time in ["created", "lastUsed"] {
        let time = passkey[time].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    // The component uses one token for every refresh.
    assert_eq!(browser.ok("manage/list", list).await, listed);
    let nobody = json!({"connectToken": connect.token("passkey-list", "nobody").await});
    assert_eq!(browser.ok("manage/list", nobody).await, json!({"passkeys": []}));
}

#[tokio::test]
async fn passkeys_are_deleted_by_their_user_only() {
    let (connect, browser) = with_passkey().await;
    let list = json!({"connectToken": connect.token("passkey-list", "ada").await});
    let id = browser.ok("manage/list", list.clone()).await["passkeys"][0]["id"].clone();
    let mut eve = connect.browser();
    eve.append(&connect.token("passkey-append", "eve").await).await;
    let delete = |token: String| json!({"connectToken": token, "credentialID": id});
    let eves = delete(connect.token("passkey-delete", "eve").await);
    assert_eq!(browser.call("manage/delete", eves).await.0, 404);
    let wrong_kind = delete(connect.token("passkey-list", "ada").await);
    assert_eq!(browser.call("manage/delete", wrong_kind).await.0, 400);
    let own = delete(connect.token("passkey-delete", "ada").await);
    assert_eq!(browser.ok("manage/delete", own.clone()).await["credentialID"], id);
    assert_eq!(browser.call("manage/delete", own).await.0, 400, "a token that was used");
    assert_eq!(browser.ok("manage/list", list).await, json!({"passkeys": []}));
}

#[tokio::test]
async fn events_are_answered_without_a_body() {
    let connect = TestConnect::start().await;
    let body = json!({"eventType": "append-explicit-abort"});
    assert_eq!(connect.browser().call("events", body).await, (204, Value::Null));
}

#[tokio::test]
async fn a_restart_forgets_nothing_but_open_ceremonies() {
    let (connect, mut browser) = with_passkey().await;
    let open = browser.start("ada").await;
    let connect = connect.restart().await;
    browser.api = connect.browser().api;
    let response = browser.authenticator.get(&open, ORIGIN).unwrap();
    assert_eq!(browser.finish(&response, false).await.0, 400);
    let answer = browser.login("ada").await;
    assert_eq!(connect.verdict(answer["session"].as_str().unwrap(), "ada").await, "success");
}

#[tokio::test]
async fn errors_look_like_corbados() {
    let connect = TestConnect::start().await;
    let url = |path: &str| format!("{}/fapi/v2/connect/{path}", connect.url());
    let rows: [(&str, &str, Option<Value>, u16, &str); 7] = [
        ("POST", "login/start", Some(json!("no JSON")), 400, "invalid_json"),
        ("POST", "login/start", Some(json!({})), 400, "validation_error"),
        ("POST", "login/start", Some(json!({"identifier": " "})), 400, "validation_error"),
        ("POST", "login/finish", Some(json!({"assertionResponse": "x"})), 400, "login_error"),
        ("POST", "unknown", Some(json!({})), 404, "not_found"),
        ("GET", "login/init", None, 405, "method_not_allowed"),
        ("POST", "events", Some(json!("x".repeat(70_000))), 413, "validation_error"),
    ];
    for (method, path, body, status, kind) in rows {
        let reply = send(method, &url(path), &[], body).await;
        assert_eq!(reply.header("content-type"), "application/json", "{path}");
        let (answered, body) = reply.json();
        assert_eq!((answered, self::kind(&body)), (status, kind), "{path}: {body}");
        assert_eq!(body["httpStatusCode"], status);
        assert!(body["requestData"]["requestID"].as_str().unwrap().starts_with("req-"));
        assert!(body["runtime"].is_number() && body["error"]["links"].is_array());
    }
}

#[tokio::test]
async fn only_own_and_allowed_pages_may_call() {
    let connect = TestConnect::start().await;
    let init = format!("{}/fapi/v2/connect/login/init", connect.url());
    let from = async |method: &str, origin: &str, host: Option<&str>| {
        let mut headers =
            vec![("origin", origin.to_owned()), ("access-control-request-method", "POST".to_owned())];
        headers.extend(host.map(|host| ("host", host.to_owned())));
        send(method, &init, &headers, (method == "POST").then(|| json!({}))).await
    };
    let preflight = from("OPTIONS", FOREIGN_PAGE, None).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), FOREIGN_PAGE);
    assert_eq!(preflight.header("access-control-allow-credentials"), "true");
    assert!(preflight.header("access-control-allow-headers").contains("x-corbado-process-id"));
    let allowed = from("POST", FOREIGN_PAGE, None).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, FOREIGN_PAGE));
    assert_eq!(from("POST", &connect.url(), None).await.status, 200);
    for (origin, host) in [
        ("https://evil.example", None),
        ("null", None),
        (FOREIGN_PAGE, Some("evil.example")),
        ("http://evil.example", Some("evil.example")),
    ] {
        for method in ["OPTIONS", "POST"] {
            let reply = from(method, origin, host).await;
            assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, ""), "{origin}");
        }
    }
}

#[tokio::test]
async fn the_journal_tells_what_happened_and_no_secret() {
    let connect = TestConnect::start().await;
    let mut browser = connect.browser();
    let token = connect.token("passkey-append", "ada").await;
    let (status, answer) = browser.append(&token).await;
    assert_eq!(status, 200, "{answer}");
    let proof = browser.login("ada").await["signedPasskeyData"].as_str().unwrap().to_owned();
    connect.verdict(&proof, "ada").await;
    let entries = connect.journal.entries();
    let titles: Vec<_> = entries.iter().map(|entry| entry.title.as_str()).collect();
    for title in ["POST /connectTokens", "append/start", "append/finish", "login/start", "login/finish"] {
        assert!(titles.contains(&title), "{titles:?}");
    }
    let text = serde_json::to_string(&entries).unwrap();
    // Eight characters are shown of each.
    assert!(!text.contains(&proof) && !text.contains(&token[..9]) && text.contains("…"));
}
