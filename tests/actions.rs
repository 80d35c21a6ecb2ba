//! The actions at their moments: the stand-in for Corbado runs the real functions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use domain::UserIdentifier;
use sandbox::connect::{Fault, LoginOption, Rules, Switches, Target, WhenActionFails};
use sandbox::journal::{Lane, Outcome};
use sandbox::site::Place;
use serde_json::{Value, json};
use tests::connect::{Browser, ORIGIN, TestConnect};
use tests::host::{self, TestHost};
use tests::stub::{self, Reaction, Received, Stub};
use webhooks::SignatureHeaders;

/// The functions, and the stand-in that calls them and that they call.
async fn start(rules: Rules) -> (TestHost, TestConnect) {
    let place = Place::take(0).await.unwrap();
    let backend = format!("http://127.0.0.1:{}/corbado", place.port());
    let host = TestHost::start(&[("CORBADO_BACKEND_API_URL", &backend)]).await;
    let target =
        |name: &&str| Target { url: format!("{}/lambda-url/{name}", host.url()), secret: host::secret() };
    let targets = sandbox::ACTIONS.iter().map(|name| ((*name).to_owned(), target(name))).collect();
    let connect = TestConnect::at(place, tempfile::tempdir().unwrap(), rules, targets);
    connect.connect.switch(option(LoginOption::PostLoginAction));
    (host, connect)
}

fn option(login_option: LoginOption) -> Switches {
    Switches { login_option, ..Switches::default() }
}

fn faults(rows: &[(&str, Fault)]) -> Switches {
    let faults = rows.iter().map(|(name, fault)| ((*name).to_owned(), *fault)).collect();
    Switches { faults, ..option(LoginOption::PostLoginAction) }
}

/// A browser that has a passkey of a user.
async fn browser_of(connect: &TestConnect, user: &str) -> Browser {
    let mut browser = connect.browser();
    let (status, answer) = browser.append(&connect.token("passkey-append", user).await).await;
    assert_eq!(status, 200, "{answer}");
    browser
}

/// What the journal has of the actions: name, status, outcome.
fn runs(connect: &TestConnect) -> Vec<(String, Option<u16>, Outcome)> {
    let entries = connect.journal.entries().into_iter().filter(|entry| entry.lane == Lane::Action);
    entries.map(|entry| (entry.title, entry.status, entry.outcome)).collect()
}

async fn finish(browser: &mut Browser, identifier: &str) -> (u16, Value) {
    let options = browser.start(identifier).await;
    let response = browser.authenticator.get(&options, ORIGIN).unwrap();
    browser.finish(&response, false).await
}

#[tokio::test]
async fn each_action_runs_at_its_moment() {
    let (host, connect) = start(Rules::default()).await;
    let ada = UserIdentifier::new("usr-ada").unwrap();
    let mut browser = browser_of(&connect, "usr-ada").await;
    let record = host.store.mfa_record(&ada).await.unwrap().unwrap();
    assert_eq!((record.enabled, record.preferred.as_deref()), (true, Some("passkey")), "post-append");

    let answer = browser.login("ADA@example.com").await;
    assert_eq!(answer["passkeyOperation"]["identifierValue"], "ADA@example.com");
    // The component hands a text on, and the page reads it.
    let session: Value = serde_json::from_str(answer["session"].as_str().unwrap()).unwrap();
    assert_eq!(session["sessionId"].as_str().unwrap().len(), 43);
    assert_eq!(host.sessions(), 1);
    // Post-login has spent the proof.
    let proof = answer["signedPasskeyData"].as_str().unwrap();
    assert_eq!(connect.verdict(proof, "usr-ada").await, "invalid_challenge");
    let done = |name: &str| (name.to_owned(), Some(200), Outcome::Done);
    assert_eq!(runs(&connect), [done("post-append"), done("pre-login"), done("post-login")]);
}

#[tokio::test]
async fn conditional_ui_needs_no_pre_login() {
    let (host, connect) = start(Rules::default()).await;
    let mut browser = browser_of(&connect, "usr-ada").await;
    let init = browser.init("login").await;
    let options = init["conditionalUIChallenge"].as_str().unwrap();
    let response = browser.authenticator.get(options, ORIGIN).unwrap();
    assert_eq!(browser.finish(&response, true).await.0, 200);
    assert_eq!(host.sessions(), 1);
    assert!(runs(&connect).iter().all(|(name, ..)| name != "pre-login"));
}

#[tokio::test]
async fn post_login_runs_in_option_3_only() {
    let (host, connect) = start(Rules::default()).await;
    let mut browser = browser_of(&connect, "usr-ada").await;
    for other in [LoginOption::SystemExtension, LoginOption::CustomEndpoint] {
        connect.connect.switch(option(other));
        let answer = browser.login("ada").await;
        assert_eq!(answer["session"], answer["signedPasskeyData"]);
        assert_eq!(connect.verdict(answer["session"].as_str().unwrap(), "usr-ada").await, "success");
    }
    assert_eq!(host.sessions(), 0);
}

#[tokio::test]
async fn post_login_runs_by_request() {
    let (host, connect) = start(Rules::default()).await;
    let mut browser = browser_of(&connect, "usr-ada").await;
    connect.connect.switch(option(LoginOption::CustomEndpoint));
    let answer = browser.login("ada").await;
    let body = json!({"signedPasskeyData": answer["session"]});
    let (status, answer) = connect.backend("POST", "passkey/postLogin", body.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let session: Value = serde_json::from_str(answer["session"].as_str().unwrap()).unwrap();
    assert!(session["sessionId"].is_string());
    assert_eq!(host.sessions(), 1);
    assert_eq!(connect.backend("POST", "passkey/postLogin", body).await.0, 500, "the proof is spent");
    let forged = json!({"signedPasskeyData": "a.b.c"});
    assert_eq!(connect.backend("POST", "passkey/postLogin", forged).await.0, 400);
}

#[tokio::test]
async fn errors_of_pre_login_reach_the_component_as_far_as_they_may() {
    let (_host, connect) = start(Rules::default()).await;
    let browser = connect.browser();
    let start = async |identifier: &str| {
        browser.ok("login/start", json!({"identifier": identifier, "source": "text-field"})).await
    };
    let unknown = start("nobody@example.com").await;
    assert_eq!(unknown["error"]["code"], "user_not_found");
    assert!(unknown["error"]["message"].as_str().unwrap().len() > 10);
    let reset = start("edsger").await;
    assert_eq!(reset["error"]["code"], "reset_required");
    for silent in ["alan", "linus"] {
        assert_eq!(start(silent).await, json!({"assertionOptions": "", "isCDA": false}), "{silent}");
    }
}

#[tokio::test]
async fn a_login_whose_action_fails_falls_back() {
    let (host, connect) = start(Rules::default()).await;
    let mut browser = browser_of(&connect, "usr-ada").await;
    let faulty = [
        (Fault::Answers500, Some(500)),
        (Fault::ProviderThrottled, Some(500)),
        (Fault::WrongSignature, Some(401)),
    ];
    for (fault, status) in faulty {
        connect.connect.switch(faults(&[("pre-login", fault)]));
        assert_eq!(browser.start("ada").await, "", "{fault:?}");
        assert_eq!(runs(&connect).pop().unwrap(), ("pre-login".to_owned(), status, Outcome::Failed));
        connect.connect.switch(faults(&[("post-login", fault)]));
        let (answered, body) = finish(&mut browser, "ada").await;
        assert_eq!((answered, &body["error"]["type"]), (500, &json!("internal_error")), "{fault:?}");
        assert_eq!(runs(&connect).pop().unwrap(), ("post-login".to_owned(), status, Outcome::Failed));
    }
    assert_eq!(host.sessions(), 0);
    connect.connect.switch(option(LoginOption::PostLoginAction));
    browser.login("ada").await;
    assert_eq!(host.sessions(), 1);
}

#[tokio::test]
async fn a_passkey_whose_post_append_fails_is_there_all_the_same() {
    for (when, expected) in [(WhenActionFails::GoOn, 200), (WhenActionFails::FallBack, 500)] {
        let rules = Rules { when_post_append_fails: when, ..Rules::default() };
        let (host, connect) = start(rules).await;
        connect.connect.switch(faults(&[("post-append", Fault::WrongSignature)]));
        let mut browser = connect.browser();
        let (status, _) = browser.append(&connect.token("passkey-append", "usr-ada").await).await;
        assert_eq!(status, expected);
        let ada = UserIdentifier::new("usr-ada").unwrap();
        assert!(!host.store.mfa_record(&ada).await.unwrap().unwrap().enabled);
        browser.login("ada").await;
    }
}

#[tokio::test]
async fn a_process_may_go_on_without_its_actions() {
    let rules = Rules {
        when_pre_login_fails: WhenActionFails::GoOn,
        when_post_login_fails: WhenActionFails::GoOn,
        ..Rules::default()
    };
    let (_host, connect) = start(rules).await;
    let mut browser = browser_of(&connect, "usr-ada").await;
    connect.connect.switch(faults(&[("pre-login", Fault::Answers500), ("post-login", Fault::Answers500)]));
    let answer = browser.login("usr-ada").await;
    assert_eq!(answer["session"], answer["signedPasskeyData"]);
}

#[tokio::test]
async fn calls_are_signed_anew_each_time() {
    let stub = Stub::start(|_, _| stub::json(200, &json!({"identifier": "ada"}))).await;
    let target = Target { url: stub.url(), secret: host::secret() };
    let targets = BTreeMap::from([("pre-login".to_owned(), target)]);
    let connect = TestConnect::with(Rules::default(), targets).await;
    let mut browser = browser_of(&connect, "ada").await;
    browser.start("anybody").await;
    browser.start("anybody").await;
    let holds = |call: &Received| {
        let headers = SignatureHeaders {
            id: call.header("webhook-id"),
            timestamp: call.header("webhook-timestamp"),
            signatures: call.header("webhook-signature"),
        };
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.json(), json!({"identifier": "anybody"}));
        let tolerance = Duration::from_secs(10);
        webhooks::verify(&[host::secret()], headers, call.body.as_bytes(), tests::now(), tolerance).is_ok()
    };
    let calls = stub.received();
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(holds));
    assert_ne!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
}

#[tokio::test]
async fn answers_that_are_none_are_failures() {
    let rows = [
        (Reaction::Answer(200, vec![], "no JSON".into()), Some(200)),
        (stub::json(200, &json!([])), Some(200)),
        (stub::json(302, &json!({"identifier": "ada"})), Some(302)),
        (stub::json(404, &json!({"identifier": "ada"})), Some(404)),
        (Reaction::Reset, None),
    ];
    for (reaction, status) in rows {
        let shown = format!("{reaction:?}");
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let target = Target { url: stub.url(), secret: host::secret() };
        let targets = BTreeMap::from([("pre-login".to_owned(), target)]);
        let connect = TestConnect::with(Rules::default(), targets).await;
        let mut browser = browser_of(&connect, "ada").await;
        assert_eq!(browser.start("ada").await, "", "{shown}");
        assert_eq!(runs(&connect), [("pre-login".to_owned(), status, Outcome::Failed)], "{shown}");
    }
}

#[tokio::test]
async fn an_action_has_its_time_and_no_more() {
    let stub = Stub::start(|_, before| {
        let seconds = if before == 0 { 1 } else { 30 };
        Reaction::After(
            Duration::from_secs(seconds),
            Box::new(stub::json(200, &json!({"identifier": "ada"}))),
        )
    });
    let stub = stub.await;
    let target = Target { url: stub.url(), secret: host::secret() };
    let targets = BTreeMap::from([("pre-login".to_owned(), target)]);
    let connect = TestConnect::with(Rules::default(), targets).await;
    let mut browser = browser_of(&connect, "ada").await;
    assert_ne!(browser.start("ada").await, "", "slow, and awaited");
    assert_eq!(browser.start("ada").await, "", "awaited, it would have known her");
    connect.connect.switch(faults(&[("pre-login", Fault::TimesOut)]));
    assert_eq!(browser.start("ada").await, "");
    assert_eq!(runs(&connect)[0], ("pre-login".to_owned(), Some(200), Outcome::Done));
    assert_eq!(runs(&connect)[1..], vec![("pre-login".to_owned(), None, Outcome::Failed); 2]);
    assert_eq!(stub.received().len(), 2, "one that is switched off is not called");
}
