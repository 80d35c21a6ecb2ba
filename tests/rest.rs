//! The adapter for your authentication system: against a system that keeps the contract, and against exact answers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    AccountStatus, Candidate, MfaPolicy, MfaState, MfaUpdate, Session, SessionId, SessionKey, SessionStore,
    Timestamp, TypedIdentifier, Unavailable, User, UserDirectory, UserIdentifier,
};
use outbound::{Https, Trust};
use serde_json::{Value, json};
use tests::auth_system::contract::{Body, Contract};
use tests::auth_system::{AuthSystem, Proof};
use tests::stub::{GENEROUS, Reaction, STALLED, Stub, json, limit_for};
use tests::suites;
use webhooks::SigningSecret;

const TOKEN: &str = "planted-token";
const SECRET: &str = "whsec_cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQtcGxhbnRlZA==";
const BEARER: (&str, &str) = ("AUTH_SYSTEM_BEARER_TOKEN", TOKEN);
const SIGNING: (&str, &str) = ("AUTH_SYSTEM_SIGNING_SECRET", SECRET);
const UNREADABLE: &str = "auth-system: unreadable, status 200";

fn id(text: &str) -> UserIdentifier {
    UserIdentifier::new(text).unwrap()
}

fn start() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn key() -> SessionKey {
    // Its text is 43 times A, its hash the one of the file's examples.
    SessionId::from_random([0; 32]).key()
}

fn proof() -> Proof {
    Proof::Signature(SigningSecret::parse(SECRET).unwrap())
}

fn try_system(pairs: &[(&str, &str)]) -> Result<rest::AuthSystem, String> {
    let mut settings = tests::settings(pairs);
    let https = Https::from_settings(&mut settings, Trust::Public).unwrap();
    let system = rest::AuthSystem::from_settings(&mut settings, &https);
    settings.finish(system).map_err(|problems| problems.to_string())
}

/// The adapter with a time limit that a busy machine keeps.
fn system(url: &str, credential: (&str, &str)) -> rest::AuthSystem {
    try_system(&[("AUTH_SYSTEM_URL", url), credential, GENEROUS]).unwrap()
}

/// Calls an operation of the file by its name, with the arguments of the file's first example.
async fn call(system: &rest::AuthSystem, operation: &str) -> Result<(), Unavailable> {
    let ada = id("usr-ada");
    let at = |millis| Timestamp::from_millis(millis);
    let session = Session {
        user: ada.clone(),
        created: at(1_795_299_330_123),
        expires: at(1_795_342_530_123),
        last_seen: at(1_795_299_330_123),
    };
    match operation {
        "users.find" => UserDirectory::find(system, &ada).await.map(drop),
        "users.findByIdentifier" => {
            system.find_by_identifier(&TypedIdentifier::new("ada@example.com").unwrap()).await.map(drop)
        }
        "users.updateMfa" => {
            let update =
                MfaUpdate { at: at(1_795_342_530_123), policy: MfaPolicy::Keep, unless_newer: false };
            system.update_mfa(&ada, &update).await
        }
        "sessions.create" => system.create(key(), &session).await,
        "sessions.find" => SessionStore::find(system, key(), start()).await.map(drop),
        "sessions.touch" => system.touch(key(), at(1_795_299_390_123)).await,
        "sessions.revoke" => system.revoke(key()).await,
        "sessions.revokeAll" => system.revoke_all(&ada).await,
        unknown => panic!("{unknown} is in the file and not in the tests"),
    }
}

// ---- the contract ----

async fn keeps_the_contract(proof: Proof, credential: (&str, &str)) -> Vec<tests::stub::Received> {
    let stub = AuthSystem::start(proof).await;
    let system = Arc::new(system(&stub.url(), credential));
    suites::directory(Arc::clone(&system), &suites::Users::demo()).await;
    suites::session_store(Arc::clone(&system)).await;
    suites::idle_sessions(&*system).await;
    assert_eq!(stub.faults(), [""; 0]);

    let received = stub.received();
    let called: BTreeSet<_> = received.iter().map(|request| request.path.as_str()).collect();
    let contract = Contract::read();
    let paths: BTreeSet<_> = contract.operations().map(|operation| operation.path).collect();
    assert_eq!(called, paths, "every operation of the file is called, and no other");
    received
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_keeps_the_contract_with_a_bearer_token() {
    for request in keeps_the_contract(Proof::Bearer(TOKEN), BEARER).await {
        assert_eq!(request.header("webhook-signature"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rest_keeps_the_contract_with_signatures() {
    for request in keeps_the_contract(proof(), SIGNING).await {
        assert_eq!(request.header("authorization"), "");
    }
}

#[test]
fn the_file_keeps_to_itself() {
    let contract = Contract::read();
    for operation in contract.operations() {
        for body in [Body::Request, Body::Answer] {
            let examples: Vec<_> = operation.examples(body).collect();
            assert!(!examples.is_empty(), "{}", operation.name);
            for example in examples {
                assert_eq!(contract.check(operation, body, example), Ok(()), "{}", operation.name);
            }
        }
        // What the stub must not let pass.
        let example = operation.examples(Body::Request).next().unwrap();
        for (field, value) in
            [("operation", json!("users.other")), ("unknown", json!(1)), ("key", json!("A"))]
        {
            let mut changed = example.clone();
            changed[field] = value;
            assert!(contract.check(operation, Body::Request, &changed).is_err(), "{changed}");
        }
        let mut missing = example.clone();
        missing.as_object_mut().unwrap().remove("operation");
        assert!(contract.check(operation, Body::Request, &missing).is_err(), "{missing}");
    }
}

/// Each request is, field by field, the first example of the file.
#[tokio::test]
async fn rest_sends_the_documented_requests() {
    let contract = Contract::read();
    for operation in contract.operations() {
        let answer = operation.examples(Body::Answer).next().unwrap().clone();
        let stub = Stub::start(move |_, _| json(200, &answer)).await;
        call(&system(&format!("{}/base/", stub.url()), BEARER), operation.name).await.unwrap();
        let received = stub.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].method, "POST");
        assert_eq!(received[0].path, format!("/base{}", operation.path));
        assert_eq!(received[0].header("authorization"), "Bearer planted-token");
        assert_eq!(received[0].header("content-type"), "application/json");
        assert_eq!(&received[0].json(), operation.examples(Body::Request).next().unwrap());
    }
}

#[tokio::test]
async fn of_two_updates_the_first_stays_unless_the_policy_is_to_prefer_passkeys() {
    let stub = AuthSystem::start(proof()).await;
    let system = system(&stub.url(), SIGNING);
    for (seconds, policy, expected) in [
        (100, MfaPolicy::Keep, "1970-01-01T00:01:40.000Z"),
        (200, MfaPolicy::Keep, "1970-01-01T00:01:40.000Z"),
        (300, MfaPolicy::PreferPasskey, "1970-01-01T00:05:00.000Z"),
    ] {
        let update = MfaUpdate { at: Timestamp::from_secs(seconds), policy, unless_newer: false };
        for name in ["usr-ada", "nobody"] {
            system.update_mfa(&id(name), &update).await.unwrap();
        }
        assert_eq!(stub.account("usr-ada").last_update.as_deref(), Some(expected));
    }
    // A user who has another factor.
    let grace = UserDirectory::find(&system, &id("usr-grace")).await.unwrap().unwrap();
    assert!(grace.mfa.other_factor);
    assert_eq!(grace.mfa.after_passkey(MfaPolicy::Keep, start()), None);
    let update = grace.mfa.after_passkey(MfaPolicy::PreferPasskey, start()).unwrap();
    system.update_mfa(&grace.id, &update).await.unwrap();
    assert_eq!(stub.account("usr-grace").preferred_method.as_deref(), Some("passkey"));
    // An update that comes late; systems that know of none such are not asked for anything new by the others.
    let late = |seconds| {
        let at = Timestamp::from_secs(seconds);
        MfaState::default().after_earlier_passkey(MfaPolicy::PreferPasskey, at).unwrap()
    };
    for (seconds, expected) in [(299, "1970-01-01T00:05:00.000Z"), (301, "1970-01-01T00:05:01.000Z")] {
        system.update_mfa(&id("usr-ada"), &late(seconds)).await.unwrap();
        assert_eq!(stub.account("usr-ada").last_update.as_deref(), Some(expected));
    }
    let asked: Vec<_> = stub.received().iter().map(|it| it.json()["unlessNewer"].clone()).collect();
    assert_eq!(asked.iter().filter(|it| **it == json!(true)).count(), 2);
    assert_eq!(asked.iter().filter(|it| it.is_null()).count(), asked.len() - 2);
    assert_eq!(stub.faults(), [""; 0]);
}

#[tokio::test]
async fn a_wrong_credential_is_named_as_such_and_not_tried_again() {
    let other = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXI=";
    let rows = [
        (Proof::Bearer(TOKEN), ("AUTH_SYSTEM_BEARER_TOKEN", "planted-other")),
        (Proof::Bearer(TOKEN), SIGNING),
        (proof(), BEARER),
        (proof(), ("AUTH_SYSTEM_SIGNING_SECRET", other)),
    ];
    for (proof, credential) in rows {
        let stub = AuthSystem::start(proof).await;
        let cause = UserDirectory::find(&system(&stub.url(), credential), &id("usr-ada")).await.unwrap_err();
        assert_eq!(cause.to_string(), "auth-system: credential, status 401");
        assert_eq!(stub.received().len(), 1);
    }
}

// ---- exact answers ----

async fn find(answer: Value) -> Result<Option<User>, Unavailable> {
    let stub = Stub::start(move |_, _| json(200, &answer)).await;
    let found = UserDirectory::find(&system(&stub.url(), BEARER), &id("ada")).await;
    assert_eq!(stub.received().len(), 1);
    found
}

#[tokio::test]
async fn users_are_read() {
    let state = |enabled, prefers_passkey, other_factor| MfaState {
        enabled,
        prefers_passkey,
        other_factor,
        unfinished: false,
        last_update: None,
    };
    let updated = |text: &str| json!({"enabled": false, "preferredMethod": null, "lastUpdate": text});
    let at = MfaState { last_update: Some(Timestamp::from_millis(1_767_225_600_123)), ..MfaState::default() };
    let rows = [
        (updated("2026-01-01T00:00:00.123Z"), at),
        (updated("yesterday"), state(false, false, false)),
        (json!({"enabled": false, "preferredMethod": null}), state(false, false, false)),
        (json!({"enabled": true, "preferredMethod": "passkey"}), state(true, true, false)),
        (json!({"enabled": true, "preferredMethod": "totp"}), state(true, false, true)),
        (json!({"enabled": true, "preferredMethod": null}), state(true, false, true)),
        (json!({"enabled": true, "preferredMethod": null, "otherFactor": false}), state(true, false, false)),
        (
            json!({"enabled": true, "preferredMethod": "passkey", "otherFactor": true}),
            state(true, true, true),
        ),
        (
            json!({"enabled": false, "preferredMethod": "passkey", "otherFactor": null}),
            state(false, true, false),
        ),
        (json!({"enabled": false, "preferredMethod": "Passkey", "unknown": 1}), state(false, false, false)),
    ];
    for (mfa, expected) in rows {
        let answer = json!({"user": {"id": "USR-ADA", "status": "active", "mfa": mfa}, "unknown": []});
        let user = find(answer).await.unwrap().unwrap();
        assert_eq!((user.mfa, user.id.as_str()), (expected, "USR-ADA"), "{mfa}");
        assert_eq!(user.profile.shown_name(), None);
    }
    let statuses = [
        ("active", AccountStatus::Active),
        ("disabled", AccountStatus::Disabled),
        ("force_change_password", AccountStatus::ForceChangePassword),
        ("reset_required", AccountStatus::ResetRequired),
        ("archived", AccountStatus::Unusable),
        ("Active", AccountStatus::Unusable),
        ("", AccountStatus::Unusable),
    ];
    let mfa = json!({"enabled": false, "preferredMethod": null});
    for (status, expected) in statuses {
        let user =
            json!({"id": "a", "status": status, "displayName": " ", "email": "a@example.com", "mfa": mfa});
        let user = find(json!({"user": user})).await.unwrap().unwrap();
        assert_eq!((user.status, user.profile.shown_name()), (expected, Some("a@example.com")), "{status}");
    }
    assert_eq!(find(json!({"user": null})).await, Ok(None));
}

#[tokio::test]
async fn users_that_cannot_be_read_are_nobody_else() {
    let mfa = json!({"enabled": false, "preferredMethod": null});
    let good = json!({"id": "a", "status": "active", "mfa": mfa});
    assert!(find(json!({"user": good})).await.unwrap().is_some());
    let with = |field: &str, value: Value| {
        let mut user = good.clone();
        user[field] = value;
        json!({"user": user})
    };
    let without = |field: &str| {
        let mut user = good.clone();
        user.as_object_mut().unwrap().remove(field);
        json!({"user": user})
    };
    let rows = [
        json!({}),
        json!(null),
        json!([good]),
        json!({"user": []}),
        json!({"user": ["a", "active", null, null, mfa]}),
        json!({"user": {}}),
        json!({"user": false}),
        json!({"users": good}),
        without("id"),
        without("status"),
        without("mfa"),
        with("id", json!(null)),
        with("id", json!(7)),
        with("id", json!("")),
        with("id", json!("planted\nid")),
        with("id", json!("x".repeat(257))),
        with("status", json!(null)),
        with("status", json!(true)),
        with("displayName", json!({"planted": 1})),
        with("email", json!(["planted"])),
        with("mfa", json!(null)),
        with("mfa", json!([false, null, null])),
        with("mfa", json!({"enabled": false})),
        with("mfa", json!({"preferredMethod": null})),
        with("mfa", json!({"enabled": "true", "preferredMethod": null})),
        with("mfa", json!({"enabled": 1, "preferredMethod": null})),
        with("mfa", json!({"enabled": null, "preferredMethod": null})),
        with("mfa", json!({"enabled": true, "preferredMethod": 1})),
        with("mfa", json!({"enabled": true, "preferredMethod": null, "otherFactor": "no"})),
    ];
    for answer in rows {
        let shown = answer.to_string();
        let cause = find(answer).await.unwrap_err();
        assert_eq!(cause.to_string(), UNREADABLE, "{shown}");
    }
}

#[tokio::test]
async fn candidates_are_read() {
    let one = |name: &str, verified: Value| json!({"id": name, "status": "disabled", "verified": verified});
    let found = |verified| Candidate::One { id: id("a"), status: AccountStatus::Disabled, verified };
    let unreadable = Err(UNREADABLE.to_owned());
    let rows = [
        (json!({"users": []}), Ok(Candidate::Nobody)),
        (json!({"users": [one("a", json!(true))]}), Ok(found(true))),
        (json!({"users": [one("a", json!(false))]}), Ok(found(false))),
        (json!({"users": [one("a", json!(true)), one("b", json!(true))]}), Ok(Candidate::Several)),
        (json!({"users": [one("a", json!(true)), one("", json!(true))]}), unreadable.clone()),
        (json!({"users": [one("a", json!(null))]}), unreadable.clone()),
        (json!({"users": [one("a", json!("true"))]}), unreadable.clone()),
        (json!({"users": [{"id": "a", "status": "active"}]}), unreadable.clone()),
        (json!({"users": [["a", "active", true]]}), unreadable.clone()),
        (json!({"users": {}}), unreadable.clone()),
        (json!({"users": null}), unreadable.clone()),
        (json!({}), unreadable.clone()),
        (json!([]), unreadable),
    ];
    for (answer, expected) in rows {
        let shown = answer.to_string();
        let stub = Stub::start(move |_, _| json(200, &answer)).await;
        let typed = TypedIdentifier::new("ada").unwrap();
        let candidate = system(&stub.url(), BEARER).find_by_identifier(&typed).await;
        assert_eq!(candidate.map_err(|cause| cause.to_string()), expected, "{shown}");
    }
}

#[tokio::test]
async fn sessions_are_read_and_their_expiry_is_looked_at() {
    let now = start();
    let millis = now.as_millis();
    let session = |user: Value, expires: Value| json!({"session": {"user": user, "created": 1, "expires": expires, "lastSeen": 2}});
    let unreadable = Err(UNREADABLE.to_owned());
    let rows = [
        (json!({"session": null}), Ok(false)),
        (session(json!("a"), json!(millis + 1)), Ok(true)),
        (session(json!("a"), json!(millis)), Ok(false)),
        (session(json!("a"), json!(0)), Ok(false)),
        (session(json!(""), json!(millis + 1)), unreadable.clone()),
        (session(json!(null), json!(millis + 1)), unreadable.clone()),
        (session(json!("a"), json!(null)), unreadable.clone()),
        (session(json!("a"), json!(-1)), unreadable.clone()),
        (session(json!("a"), json!(1e15)), unreadable.clone()),
        (session(json!("a"), json!("2030-01-01T00:00:00Z")), unreadable.clone()),
        (json!({"session": ["a", 1, millis + 1, 2]}), unreadable.clone()),
        (json!({"session": {"user": "a", "expires": millis + 1}}), unreadable.clone()),
        (json!({}), unreadable.clone()),
        (json!([null]), unreadable),
    ];
    for (answer, expected) in rows {
        let shown = answer.to_string();
        let stub = Stub::start(move |_, _| json(200, &answer)).await;
        let found = SessionStore::find(&system(&stub.url(), BEARER), key(), now).await;
        let found = found.map(|session| session.is_some()).map_err(|cause| cause.to_string());
        assert_eq!(found, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_session_is_created_only_if_the_system_says_so() {
    let rows = [
        (json!({"created": false}), "auth-system: refused, status 200, key-exists"),
        (json!({"created": "true"}), UNREADABLE),
        (json!({"created": null}), UNREADABLE),
        (json!({}), UNREADABLE),
        (json!([true]), UNREADABLE),
    ];
    for (answer, expected) in rows {
        let stub = Stub::start(move |_, _| json(200, &answer)).await;
        let cause = call(&system(&stub.url(), BEARER), "sessions.create").await.unwrap_err();
        assert_eq!(cause.to_string(), expected);
    }
}

// ---- a system that misbehaves ----

#[tokio::test]
async fn failures_are_named_and_repeated_where_that_may_help() {
    let planted = json!({"user": null, "error": "planted", "code": "planted"});
    let html = |status| Reaction::Answer(status, vec![], "<html>planted</html>".into());
    let elsewhere = Reaction::Answer(307, vec![("location", "/users/planted".into())], String::new());
    let slow = Reaction::After(Duration::from_secs(60), Box::new(json(200, &json!({"user": null}))));
    let rows: [(Reaction, usize, &str); 18] = [
        (json(400, &planted), 1, "auth-system: refused, status 400"),
        (json(401, &planted), 1, "auth-system: credential, status 401"),
        (json(403, &planted), 1, "auth-system: credential, status 403"),
        (json(404, &planted), 1, "auth-system: refused, status 404"),
        (json(409, &planted), 1, "auth-system: refused, status 409"),
        (json(429, &planted), 3, "auth-system: throttled, status 429"),
        (json(500, &planted), 3, "auth-system: failed, status 500"),
        (html(502), 3, "auth-system: failed, status 502"),
        (html(200), 1, UNREADABLE),
        (json(201, &planted), 1, "auth-system: unreadable, status 201"),
        (elsewhere, 1, "auth-system: unreadable, status 307"),
        (Reaction::Answer(200, vec![], " ".repeat(300_000)), 1, "auth-system: unreadable"),
        (Reaction::Raw(b"garbage\r\n\r\n"), 3, "auth-system: transport"),
        (
            Reaction::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"user\":null"),
            3,
            "auth-system: transport",
        ),
        (Reaction::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe"), 1, UNREADABLE),
        (Reaction::Reset, 3, "auth-system: transport"),
        (slow, 3, "auth-system: timeout"),
        (STALLED, 3, "auth-system: timeout"),
    ];
    for (reaction, attempts, expected) in rows {
        let shown = format!("{reaction:.100?}");
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let settings = [("AUTH_SYSTEM_URL", &*stub.url()), BEARER, limit_for(expected)];
        let cause = UserDirectory::find(&try_system(&settings).unwrap(), &id("ada")).await.unwrap_err();
        assert_eq!(cause.to_string(), expected, "{shown}");
        assert_eq!(stub.received().len(), attempts, "{shown}");
        assert!(!format!("{cause:?} {cause}").contains("planted"), "{cause:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_a_transport_failure() {
    let port = tests::host::free_port();
    let system = system(&format!("http://127.0.0.1:{port}"), BEARER);
    let cause = UserDirectory::find(&system, &id("ada")).await.unwrap_err();
    assert_eq!(cause.to_string(), "auth-system: transport");
}

/// Every operation is attempted as often as the file says; creating a session is attempted once.
#[tokio::test]
async fn operations_are_attempted_as_the_file_says() {
    let contract = Contract::read();
    for operation in contract.operations() {
        for failing in [Reaction::Answer(503, vec![], "planted".into()), Reaction::Reset] {
            let stub = Stub::start(move |_, _| failing.clone()).await;
            assert!(call(&system(&stub.url(), SIGNING), operation.name).await.is_err());
            let received = stub.received();
            assert_eq!(received.len(), operation.attempts, "{}", operation.name);
            let ids: BTreeSet<_> = received.iter().map(|request| request.header("webhook-id")).collect();
            assert_eq!(ids.len(), operation.attempts, "each attempt has an id of its own");
            assert!(received.iter().all(|request| request.body == received[0].body));
        }
        assert_eq!(operation.attempts == 1, operation.name == "sessions.create");
    }
}

#[tokio::test]
async fn one_failure_does_not_show() {
    let contract = Contract::read();
    for operation in contract.operations().filter(|operation| operation.attempts > 1) {
        let answer = operation.examples(Body::Answer).next().unwrap().clone();
        let stub = Stub::start(
            move |_, before| {
                if before == 0 { json(503, &json!({})) } else { json(200, &answer) }
            },
        )
        .await;
        assert_eq!(call(&system(&stub.url(), BEARER), operation.name).await, Ok(()), "{}", operation.name);
        assert_eq!(stub.received().len(), 2);
    }
}

// ---- settings ----

#[test]
fn problems_name_settings_and_show_no_values() {
    let url = ("AUTH_SYSTEM_URL", "https://auth.example");
    let rows: [(&[(&str, &str)], &str); 8] = [
        (&[url], "AUTH_SYSTEM_BEARER_TOKEN: required, unless AUTH_SYSTEM_SIGNING_SECRET is set; or an ARN"),
        (&[url, BEARER, SIGNING], "AUTH_SYSTEM_BEARER_TOKEN: not together with AUTH_SYSTEM_SIGNING_SECRET"),
        (
            &[url, ("AUTH_SYSTEM_BEARER_TOKEN", "planted token")],
            "AUTH_SYSTEM_BEARER_TOKEN: printable ASCII without spaces",
        ),
        (
            &[url, ("AUTH_SYSTEM_BEARER_TOKEN", "plänted")],
            "AUTH_SYSTEM_BEARER_TOKEN: printable ASCII without spaces",
        ),
        (
            &[url, ("AUTH_SYSTEM_SIGNING_SECRET", "planted")],
            "AUTH_SYSTEM_SIGNING_SECRET: whsec_ followed by 24 to 64 bytes in base64",
        ),
        (&[BEARER], "AUTH_SYSTEM_URL: required"),
        (
            &[BEARER, ("AUTH_SYSTEM_URL", "https://ada:planted@auth.example")],
            "AUTH_SYSTEM_URL: an https URL (http for loopback only) without query, fragment or credentials",
        ),
        (
            &[],
            "AUTH_SYSTEM_URL: required; \
             AUTH_SYSTEM_BEARER_TOKEN: required, unless AUTH_SYSTEM_SIGNING_SECRET is set; or an ARN",
        ),
    ];
    for (pairs, expected) in rows {
        assert_eq!(try_system(pairs).unwrap_err(), expected);
    }
}

#[test]
fn the_adapter_shows_no_secret() {
    for credential in [BEARER, SIGNING] {
        let shown = format!("{:?}", system("https://auth.example", credential));
        // The key of the secret is a repetition of this word, which might be shown as bytes as well.
        for secret in ["planted", "cGxhbnRlZ", "112, 108, 97"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
