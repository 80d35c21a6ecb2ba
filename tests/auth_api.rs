//! The endpoints that web pages call: the real binary on the embedded store.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tests::api::{Answer, Call, login, token};
use tests::auth_system::{AuthSystem, Proof};
use tests::forge::with_claims;
use tests::host::{ORIGIN, TestHost};
use tests::stub::{GENEROUS, HASTY, Reaction, Received, STALLED, Stub, json};

/// Signs Ada in by the older endpoint.
async fn ada(host: &TestHost) -> String {
    let answer = login(&token("signed-passkey-data")).send(host).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"success": true})));
    answer.session()
}

/// Signs a user in by post-login.
async fn by_post_login(host: &TestHost, user: &str) -> Value {
    let invoked = host.invoke("post-login", json!({"userId": user}).to_string()).await;
    assert_eq!(invoked.payload["statusCode"], 200, "{invoked:?} {:?}", host.lines());
    invoked.payload["body"].clone()
}

async fn signed_in(host: &TestHost, session: &str) -> bool {
    let answer = Call::get("/auth/session").session(session).send(host).await;
    match answer.refusal() {
        (200, _) => true,
        (401, "unauthenticated") => false,
        other => panic!("{other:?}"),
    }
}

fn sql(host: &TestHost, statement: &str) {
    rusqlite::Connection::open(host.store.path()).unwrap().execute_batch(statement).unwrap();
}

/// The older guide's endpoints, from login to logout.
#[tokio::test(flavor = "multi_thread")]
async fn the_older_endpoints_from_login_to_logout() {
    let host = TestHost::start(&[]).await;
    let answer = login(&token("signed-passkey-data")).send(&host).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"success": true})));
    let id = answer.session();
    let cookie = format!("session_id={id}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=10800");
    assert_eq!(answer.cookies, [cookie]);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.headers["x-request-id"].is_string());

    let shown = Call::get("/auth/session").session(&id).send(&host).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.body["user"], json!({"id": "usr-ada", "displayName": "Ada Lovelace"}));
    assert_eq!(shown.body.as_object().unwrap().len(), 2);
    assert!(shown.body["expiresAt"].as_str().unwrap().ends_with('Z'));

    let mut tokens = HashSet::new();
    for kind in ["passkey-append", "passkey-list", "passkey-delete"] {
        let call = Call::post("/auth/corbadoConnectToken", &json!({"type": kind})).session(&id);
        let answer = call.send(&host).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body.as_object().unwrap().len(), 1);
        tokens.insert(answer.body["connectToken"].as_str().unwrap().to_owned());
    }
    assert_eq!(tokens.len(), 3, "each is new");

    let out = Call::new("POST", "/auth/logout").session(&id).send(&host).await;
    assert_eq!((out.status, &out.body), (204, &Value::Null));
    let cleared = "session_id=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0";
    assert_eq!(out.cookies, [cleared]);
    assert!(!signed_in(&host, &id).await);
    let again = Call::post("/auth/logout", &json!({})).session(&id).send(&host).await;
    assert_eq!((again.status, again.cookies.as_slice()), (204, [cleared.to_owned()].as_slice()));
    let call = Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"})).session(&id);
    assert_eq!(call.send(&host).await.refusal(), (401, "unauthenticated"));
}

/// The newer guide's endpoints, with the session as bearer.
#[tokio::test(flavor = "multi_thread")]
async fn the_newer_endpoints_with_a_bearer() {
    let host = TestHost::start(&[]).await;
    let body = json!({"signedPasskeyData": token("signed-passkey-data")});
    let answer = Call::post("/auth/completeLogin", &body).send(&host).await;
    assert_eq!((answer.status, answer.cookies.len()), (200, 0));
    assert_eq!(answer.body["success"], true);
    let bearer = answer.body["accessToken"].as_str().unwrap();
    let shown = Call::get("/auth/session").bearer(bearer).send(&host).await;
    assert_eq!(shown.body["user"]["id"], "usr-ada");
    let body = json!({"connectTokenType": "passkey-append"});
    let answer = Call::post("/auth/createConnectToken", &body).bearer(bearer).send(&host).await;
    assert!(answer.body["connectToken"].is_string(), "{answer:?}");
    assert_eq!(Call::new("POST", "/auth/logout").bearer(bearer).send(&host).await.status, 204);
    assert_eq!(Call::get("/auth/session").bearer(bearer).send(&host).await.status, 401);

    let body = json!({"signedPasskeyData": token("invalid-signature")});
    let refused = Call::post("/auth/completeLogin", &body).send(&host).await;
    assert_eq!(refused.refusal(), (401, "proof_rejected"));
    assert_eq!(refused.body["success"], false);
}

/// A session that post-login made is as good as one made here.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_post_login_is_accepted() {
    let host = TestHost::start(&[]).await;
    let invoked = by_post_login(&host, "usr-grace").await;
    let id = invoked["sessionId"].as_str().unwrap();
    let shown = Call::get("/auth/session").session(id).send(&host).await;
    assert_eq!(shown.body["user"]["displayName"], "Grace Hopper");
    assert_eq!(shown.body["expiresAt"], invoked["expiresAt"]);
}

/// Who knew a session id before the login knows nothing after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_the_session_it_comes_with() {
    let host = TestHost::start(&[]).await;
    let old = ada(&host).await;
    let answer = login(&token("signed-passkey-data")).session(&old).send(&host).await;
    let new = answer.session();
    assert_ne!(new, old);
    assert!(!signed_in(&host, &old).await);
    assert!(signed_in(&host, &new).await);
    // An id that nobody gave out is not taken over.
    let planted = "A".repeat(43);
    let answer = login(&token("signed-passkey-data")).session(&planted).send(&host).await;
    assert_ne!(answer.session(), planted);
    assert!(!signed_in(&host, &planted).await);
    // A login that fails ends nothing.
    login(&token("invalid-signature")).session(&new).send(&host).await;
    assert!(signed_in(&host, &new).await);
}

/// One token, one session, whichever function it reaches.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_one_session_anywhere() {
    let host = TestHost::start(&[]).await;
    let token = token("signed-passkey-data");
    assert_eq!(login(&token).send(&host).await.status, 200);
    assert_eq!(login(&token).send(&host).await.refusal(), (401, "proof_rejected"));
    let newer = Call::post("/auth/completeLogin", &json!({"signedPasskeyData": token})).send(&host).await;
    assert_eq!(newer.refusal(), (401, "proof_rejected"));
    let action = host.invoke("post-login", json!({"signedPasskeyData": token}).to_string()).await;
    assert_eq!(action.status_and_code(), (401, "proof_rejected".into()));
    assert_eq!(host.sessions(), 1);
}

/// A session ends by its time, by rest, by revocation and with its user.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_end() {
    let host = TestHost::start(&[("SESSION_IDLE_SECONDS", "600")]).await;
    let id = ada(&host).await;
    assert!(signed_in(&host, &id).await);
    sql(&host, "UPDATE users SET status = 'disabled' WHERE id = 'usr-ada'");
    assert!(!signed_in(&host, &id).await);
    let call = Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"})).session(&id);
    assert_eq!(call.send(&host).await.refusal(), (401, "unauthenticated"));
    let refused = login(&token("signed-passkey-data")).send(&host).await;
    assert_eq!(refused.refusal(), (401, "login_refused"));
    sql(&host, "UPDATE users SET status = 'active' WHERE id = 'usr-ada'");
    assert!(signed_in(&host, &id).await);

    sql(&host, "UPDATE sessions SET last_seen = last_seen - 599000");
    assert!(signed_in(&host, &id).await, "and this use is recorded");
    sql(&host, "UPDATE sessions SET last_seen = last_seen - 599000");
    assert!(signed_in(&host, &id).await);
    sql(&host, "UPDATE sessions SET last_seen = last_seen - 661000");
    assert!(!signed_in(&host, &id).await);
    assert_eq!(host.sessions(), 0, "a session that rested too long is gone");

    let id = ada(&host).await;
    sql(&host, "UPDATE sessions SET expires = 1");
    assert!(!signed_in(&host, &id).await);
}

/// Bad input, with exact status and code. None of it leaves a session.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused() {
    let host = TestHost::start(&[]).await;
    let id = ada(&host).await;
    let (connect, newer, verify) =
        ("/auth/corbadoConnectToken", "/auth/createConnectToken", "/auth/passkey/verify");
    let of_type = |kind: Value| Call::post(connect, &json!({"type": kind})).session(&id);
    let raw = |path: &str, body: &str| Call::post(path, &json!({})).body(body).session(&id);
    let invalid = (400, "invalid_request");
    let nobody = (401, "unauthenticated");
    let media = (415, "unsupported_media_type");
    let megabyte = format!(r#"{{"type":"{}"}}"#, "x".repeat(1 << 20));
    let deep = format!(r#"{{"type":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let rows: Vec<(&str, Call, (u64, &str))> = vec![
        ("unknown type", of_type(json!("passkey-add")), invalid),
        ("login type", of_type(json!("passkey-login")), invalid),
        ("type as array", of_type(json!(["passkey-list"])), invalid),
        ("type null", of_type(json!(null)), invalid),
        ("type empty", of_type(json!("")), invalid),
        ("no type", raw(connect, "{}"), invalid),
        ("other field", Call::post(newer, &json!({"type": "passkey-list"})).session(&id), invalid),
        ("field twice", raw(connect, r#"{"type":"passkey-list","type":"passkey-list"}"#), invalid),
        ("no JSON", raw(connect, "{"), invalid),
        ("array", raw(connect, r#"["passkey-list"]"#), invalid),
        ("empty body", raw(connect, ""), invalid),
        ("deep", raw(connect, &deep), invalid),
        ("1 MB", raw(connect, &megabyte), (413, "too_large")),
        ("no content type", of_type(json!("passkey-list")).without("content-type"), media),
        ("text", of_type(json!("passkey-list")).header("content-type", "text/plain"), media),
        ("form", raw(verify, "a=b").header("content-type", "application/x-www-form-urlencoded"), media),
        (
            "two content types",
            raw(connect, "{}").header("content-type", "application/json, text/plain"),
            media,
        ),
        ("logout by form", raw("/auth/logout", "a=b").header("content-type", "text/plain"), media),
        ("no token", raw(verify, "{}"), invalid),
        ("token null", raw(verify, r#"{"signedPasskeyData":null}"#), invalid),
        ("token empty", raw(verify, r#"{"signedPasskeyData":""}"#), invalid),
        ("token no string", raw(verify, r#"{"signedPasskeyData":{}}"#), invalid),
        ("token twice", raw(verify, r#"{"signedPasskeyData":"a","signedPasskeyData":"b"}"#), invalid),
        ("junk for a token", raw(verify, r#"{"signedPasskeyData":"a.b.c"}"#), (401, "proof_rejected")),
        ("other project", login(&token("other-project")), (401, "proof_rejected")),
        ("expired", login(&token("expired")), (401, "proof_rejected")),
        ("not yet valid", login(&token("not-yet-valid")), (401, "proof_rejected")),
        ("alg none", login(&token("unsigned-token")), (401, "proof_rejected")),
        ("disabled", login(&token("disabled-user-with-passkey")), (401, "login_refused")),
        ("two cookies", Call::get("/auth/session").session(&id).session(&id), nobody),
        ("short id", Call::get("/auth/session").session(&id[1..]), nobody),
        ("long id", Call::get("/auth/session").session(&format!("{id}A")), nobody),
        ("quoted id", Call::get("/auth/session").session(&format!("\"{id}\"")), nobody),
        ("encoded id", Call::get("/auth/session").session(&format!("%20{id}")), nobody),
        ("other alphabet", Call::get("/auth/session").session(&"+".repeat(43)), nobody),
        ("unknown id", Call::get("/auth/session").session(&"A".repeat(43)), nobody),
        ("8 KiB of cookies", Call::get("/auth/session").cookie(&format!("a={}", "x".repeat(8192))), nobody),
        ("basic", Call::get("/auth/session").session(&id).header("authorization", "Basic YTpi"), nobody),
        ("JWT, no pool", Call::get("/auth/session").bearer("a.b.c"), nobody),
        ("bearer in the query", Call::get(&format!("/auth/session?access_token={id}")), nobody),
        ("newline in a header", Call::get("/auth/session").header("x-a", "a\r\nb: c"), invalid),
        ("newline in a cookie", Call::get("/auth/session").cookie("session_id=a\nb"), invalid),
        ("newline in the origin", Call::get("/auth/session").header("origin", "https://a\n"), invalid),
        ("GET for POST", Call::get(verify), (405, "method_not_allowed")),
        ("POST for GET", Call::post("/auth/session", &json!({})), (405, "method_not_allowed")),
        ("PUT", Call::new("PUT", connect), (405, "method_not_allowed")),
        ("no such route", Call::get("/auth/users"), (404, "not_found")),
        ("no such route", Call::get("/"), (404, "not_found")),
        ("dots", Call::get("/auth/../auth/session").session(&id), (404, "not_found")),
        ("slash", Call::get("/auth/session/").session(&id), (404, "not_found")),
    ];
    for (name, call, expected) in rows {
        let answer = call.send(&host).await;
        assert_eq!(answer.refusal(), expected, "{name}: {answer:?}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{name}");
        assert_eq!(answer.headers["x-request-id"], answer.body["requestId"], "{name}");
        assert_eq!(answer.body.as_object().unwrap().len(), 3, "{name}");
    }
    let wrong = Call::get(verify).send(&host).await;
    assert!(wrong.headers["allow"].as_str().unwrap().contains("POST"), "{wrong:?}");
    let eight_kib = format!("a={}", "x".repeat(8192));
    let call = Call::get("/auth/session").cookie(&eight_kib).session(&id);
    assert_eq!(call.send(&host).await.status, 200, "large and right");
    assert_eq!(host.sessions(), 1);
}

/// Pages of other origins get nothing, and browsers are told who may.
#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_origins_may_call() {
    let second = "http://localhost:8080";
    let origins = format!("{ORIGIN}, {second}");
    let host = TestHost::start(&[("ALLOWED_ORIGINS", &origins)]).await;
    let id = ada(&host).await;
    for origin in [ORIGIN, second] {
        let answer = Call::get("/auth/session").session(&id).header("origin", origin).send(&host).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
        assert_eq!(answer.headers["access-control-allow-credentials"], "true");
        assert_eq!(answer.headers["vary"], "origin");
    }
    let none = Call::get("/auth/session").session(&id).without("origin").send(&host).await;
    assert_eq!((none.status, &none.headers["access-control-allow-origin"]), (200, &Value::Null));
    // A page may read why it was refused.
    let refused = Call::get("/auth/session").send(&host).await;
    assert_eq!((refused.status, &refused.headers["access-control-allow-origin"]), (401, &json!(ORIGIN)));

    let preflight = |path: &str, origin: &str| {
        Call::new("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
    };
    for (path, method) in [
        ("/auth/corbadoConnectToken", "POST"),
        ("/auth/createConnectToken", "POST"),
        ("/auth/passkey/verify", "POST"),
        ("/auth/completeLogin", "POST"),
        ("/auth/session", "GET"),
        ("/auth/logout", "POST"),
    ] {
        let answer = preflight(path, ORIGIN).send(&host).await;
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], ORIGIN);
        assert_eq!(answer.headers["access-control-allow-methods"], method);
        assert_eq!(answer.headers["access-control-allow-headers"], "authorization, content-type");
        for origin in ["https://evil.example", "null", "https://app.example.com.evil.example", ""] {
            for call in
                [preflight(path, origin), Call::new(method, path).header("origin", origin).session(&id)]
            {
                let answer = call.send(&host).await;
                assert_eq!(answer.refusal(), (403, "origin_not_allowed"), "{path} {origin}");
                assert_eq!(answer.headers["access-control-allow-origin"], Value::Null);
                assert!(answer.cookies.is_empty());
            }
        }
    }
    assert_eq!(preflight("/auth/users", ORIGIN).send(&host).await.refusal(), (404, "not_found"));
    let bare = Call::new("OPTIONS", "/auth/session").send(&host).await;
    assert_eq!(bare.refusal(), (405, "method_not_allowed"));
    assert_eq!(bare.headers["allow"], "GET");
    assert!(signed_in(&host, &id).await, "no foreign logout went through");
}

/// Runs `attempt` again if a minute by the clock ended meanwhile: counters begin anew with it.
async fn within_one_minute<F: Future<Output = Vec<Answer>>>(attempt: impl Fn(u32) -> F) -> Vec<Answer> {
    for round in 0..5 {
        let minute = || tests::now() / 60;
        let before = minute();
        let answers = attempt(round).await;
        if minute() == before {
            return answers;
        }
    }
    panic!("no round fitted into a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_limited_by_address() {
    let host = TestHost::start(&[("RATE_LIMIT_LOGINS_PER_MINUTE", "2")]).await;
    let answers = within_one_minute(async |round| {
        let address = format!("203.0.113.{round}");
        let mut answers = Vec::new();
        for spoofed in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
            let call = login(&token("signed-passkey-data")).from(&address);
            answers.push(call.header("x-forwarded-for", spoofed).send(&host).await);
        }
        let neighbour = login(&token("signed-passkey-data")).from(&format!("203.0.113.{}", 100 + round));
        answers.push(neighbour.send(&host).await);
        answers
    })
    .await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 429, 200], "{answers:?}");
    assert_eq!(answers[2].code(), "rate_limited");
    let wait: u64 = answers[2].headers["retry-after"].as_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_tokens_are_limited_by_user() {
    let host = TestHost::start(&[("RATE_LIMIT_CONNECT_TOKENS_PER_MINUTE", "2")]).await;
    let invoked = by_post_login(&host, "usr-grace").await;
    let grace = invoked["sessionId"].as_str().unwrap().to_owned();
    let id = ada(&host).await;
    let connect = |session: &str| {
        Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"})).session(session)
    };
    let answers = within_one_minute(async |_| {
        sql(&host, "DELETE FROM rates");
        let mut answers = Vec::new();
        for session in [&id, &id, &id, &grace] {
            answers.push(connect(session).send(&host).await);
        }
        answers
    })
    .await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 429, 200], "{answers:?}");
}

/// Failed verdicts of a user are held back, and the user is not locked out by them.
#[tokio::test(flavor = "multi_thread")]
async fn failed_verdicts_lock_nobody_out() {
    let host = TestHost::start(&[("RATE_LIMIT_LOGINS_PER_MINUTE", "3")]).await;
    let answers = within_one_minute(async |round| {
        sql(&host, "DELETE FROM rates");
        let mut answers = Vec::new();
        for attempt in 0..5 {
            let call = login(&token("invalid-signature")).from(&format!("10.{round}.0.{attempt}"));
            answers.push(call.send(&host).await);
        }
        let call = login(&token("signed-passkey-data")).from(&format!("10.{round}.1.1"));
        answers.push(call.send(&host).await);
        answers
    })
    .await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 200], "{answers:?}");
}

/// Whatever Corbado answers, there is an answer, and only `success` opens a session.
#[tokio::test(flavor = "multi_thread")]
async fn corbado_failing_is_an_answer() {
    let verdict = |result: &str| json(200, &json!({"verificationResult": result}));
    let error =
        |status: u16| json(status, &json!({"message": "planted", "error": {"type": "internal_error"}}));
    let slow = Reaction::After(Duration::from_secs(60), Box::new(verdict("success")));
    let rejected = (401, "proof_rejected");
    let unavailable = (500, "provider_unavailable");
    let rows = vec![
        (verdict("invalid_signature"), rejected),
        (verdict("invalid_challenge"), rejected),
        (verdict("user_mismatch"), rejected),
        (verdict("generic_error"), rejected),
        (verdict("planted"), rejected),
        (error(401), unavailable),
        (error(429), unavailable),
        (error(500), unavailable),
        (Reaction::Answer(200, vec![], "<html>planted</html>".into()), unavailable),
        (Reaction::Reset, unavailable),
        (slow, unavailable),
        (STALLED, unavailable),
    ];
    for (reaction, expected) in rows {
        let waits = matches!(reaction, Reaction::After(..) | Reaction::Stall(_));
        let limit = if waits { HASTY } else { GENEROUS };
        let shown = format!("{reaction:.100?}");
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let host = TestHost::start(&[("CORBADO_BACKEND_API_URL", &stub.url()), limit]).await;
        let answer = login(&token("signed-passkey-data")).send(&host).await;
        assert_eq!(answer.refusal(), expected, "{shown}");
        assert!(!answer.body.to_string().contains("planted") && answer.cookies.is_empty());
        assert_eq!(stub.received().len(), 1, "{shown}: never asked twice");
        assert_eq!(host.sessions(), 0, "{shown}");

        let session = by_post_login(&host, "usr-ada").await;
        let session = session["sessionId"].as_str().unwrap().to_owned();
        let call = Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"}));
        let answer = call.session(&session).send(&host).await;
        assert_eq!(answer.refusal(), unavailable, "{shown}: an answer without a secret is none");
    }
}

/// Every connect-token request that is sent fits Corbado's published description, names the user of the session, and
/// tells no more than it must.
#[tokio::test(flavor = "multi_thread")]
async fn connect_token_requests_are_as_corbado_describes_them() {
    let stub = Stub::start(|_, _| json(200, &json!({"id": "ctk-1", "secret": "ctk1_x"}))).await;
    let mut requests = Vec::new();
    for more in
        [vec![], vec![("CONNECT_TOKEN_IDENTIFIER", "email"), ("CONNECT_TOKEN_LIFETIME_SECONDS", "120")]]
    {
        let url = stub.url();
        let mut pairs = vec![("CORBADO_BACKEND_API_URL", url.as_str())];
        pairs.extend(more);
        let host = TestHost::start(&pairs).await;
        let invoked = by_post_login(&host, "usr-ada").await;
        let session = invoked["sessionId"].as_str().unwrap().to_owned();
        for kind in ["passkey-append", "passkey-list", "passkey-delete"] {
            // What the body says of a user is not heard.
            let body = json!({"type": kind, "identifier": "usr-grace", "data": {"identifier": "usr-grace"}});
            let call = Call::post("/auth/corbadoConnectToken", &body).session(&session);
            let answer = call.send(&host).await;
            assert_eq!(answer.body, json!({"connectToken": "ctk1_x"}));
            let received = stub.received();
            let request: &Received = received.last().unwrap();
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v2/connectTokens"));
            requests.push(request.json());
        }
    }
    let list = |kind: &str, id: &str| json!({"type": kind, "data": {"identifier": id}});
    let append = |id: &str| json!({"type": "passkey-append", "data": {"displayName": "Ada Lovelace", "identifier": id}});
    let limited = |mut request: Value| {
        request["maxLifetimeInSeconds"] = 120.into();
        request
    };
    let email = "ada@example.com";
    let expected = [
        append("usr-ada"),
        list("passkey-list", "usr-ada"),
        list("passkey-delete", "usr-ada"),
        limited(append(email)),
        limited(list("passkey-list", email)),
        limited(list("passkey-delete", email)),
    ];
    assert_eq!(requests, expected);
    assert_eq!(against_published_description(&requests), "valid\n");
    let wrong = [json!({"type": "passkey-append", "data": {"identifier": "usr-ada"}})];
    assert!(against_published_description(&wrong).contains("displayName"), "the check can fail");
}

/// Where passkeys are kept under the e-mail address, every function knows the user by it; and by a verified one only.
#[tokio::test(flavor = "multi_thread")]
async fn passkeys_can_be_kept_under_the_email_address() {
    let host = TestHost::start(&[("CONNECT_TOKEN_IDENTIFIER", "email")]).await;
    let resolved = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
    assert_eq!(resolved.payload["body"], json!({"identifier": "ada@example.com"}));
    let appended = host.invoke("post-append", r#"{"username":"ada@example.com"}"#).await;
    assert_eq!(appended.payload, json!({"statusCode": 200, "body": {}}));
    let ada = domain::UserIdentifier::new("usr-ada").unwrap();
    assert!(host.store.mfa_record(&ada).await.unwrap().unwrap().enabled);
    let by_email = with_claims(&token("signed-passkey-data"), |claims| {
        claims["webauthnId"] = "ada@example.com".into();
    });
    let session = login(&by_email).send(&host).await.session();
    let shown = Call::get("/auth/session").session(&session).send(&host).await;
    assert_eq!(shown.body["user"]["id"], "usr-ada");

    // An address that nobody verified may be somebody else's, one that two users have is nobody's.
    for user in ["usr-barbara", "usr-twin-1"] {
        let invoked = by_post_login(&host, user).await;
        let session = invoked["sessionId"].as_str().unwrap();
        let call = Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-append"}));
        let answer = call.session(session).send(&host).await;
        assert_eq!(answer.refusal(), (500, "internal_error"), "{user}");
    }
    let resolved = host.invoke("pre-login", r#"{"identifier":"twin1"}"#).await;
    assert_eq!(resolved.payload["body"]["error"]["code"], "untyped");
    for email in ["barbara@example.com", "twin@example.com"] {
        let refused = host.invoke("post-login", json!({"userId": email}).to_string()).await;
        assert_eq!(refused.status_and_code(), (401, "login_refused".into()), "{email}");
    }
}

/// Every session that is presented ends with a login or logout, whatever else is presented beside it.
#[tokio::test(flavor = "multi_thread")]
async fn every_presented_session_ends() {
    let host = TestHost::start(&[]).await;
    let (first, second, third) = (ada(&host).await, ada(&host).await, ada(&host).await);
    let out = Call::new("POST", "/auth/logout").session(&first).session(&second).bearer("a.b.c");
    assert_eq!(out.send(&host).await.status, 204);
    for gone in [&first, &second] {
        assert!(!signed_in(&host, gone).await);
    }
    assert!(signed_in(&host, &third).await);
    let fourth = ada(&host).await;
    let body = json!({"signedPasskeyData": token("signed-passkey-data")});
    let call = Call::post("/auth/completeLogin", &body).bearer(&third).session(&fourth);
    let answer = call.send(&host).await;
    for gone in [&third, &fourth] {
        assert!(!signed_in(&host, gone).await);
    }
    assert!(signed_in(&host, answer.body["accessToken"].as_str().unwrap()).await);
}

/// Checks requests against the OpenAPI file in Corbado's own Node SDK.
fn against_published_description(requests: &[Value]) -> String {
    let specs = tests::repository().join("target/tools/package/src/specs");
    assert!(specs.exists(), "{} is missing: run `make tools` first", specs.display());
    let mut process = Command::new(tests::tool("python"))
        .arg(tests::repository().join("tests/support/connect_token_request.py"))
        .arg(specs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(process.stdin.take().unwrap(), requests).unwrap();
    String::from_utf8(process.wait_with_output().unwrap().stdout).unwrap()
}

/// A real HTTP client keeps the cookie and sends it back, through the function's URL.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_keeps_the_cookie() {
    // Plain http on loopback, so without `Secure`: local builds allow that.
    let host = TestHost::start(&[("SESSION_COOKIE_INSECURE", "true"), ("SESSION_COOKIE_NAME", "sid")]).await;
    let url = format!("{}/lambda-url/auth-api", host.url());
    let body = json!({"signedPasskeyData": token("signed-passkey-data")}).to_string();
    let statuses = tokio::task::spawn_blocking(move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent: ureq::Agent = config.into();
        let get = || agent.get(format!("{url}/auth/session")).call().unwrap().status().as_u16();
        let post = |path: &str, body: &str| {
            let request = agent.post(format!("{url}{path}")).header("content-type", "application/json");
            request.send(body).unwrap().status().as_u16()
        };
        [get(), post("/auth/passkey/verify", &body), get(), get(), post("/auth/logout", "{}"), get()]
    });
    assert_eq!(statuses.await.unwrap(), [401, 200, 200, 200, 204, 401]);
}

/// A limiter that is down holds up logins only where it is told to; the log says so in either case.
#[tokio::test(flavor = "multi_thread")]
async fn a_limiter_that_is_down_is_told() {
    for (setting, status, message) in [("allow", 200, "no rate limit"), ("refuse-logins", 500, "invocation")]
    {
        let host = TestHost::start(&[("RATE_LIMIT_WHEN_UNAVAILABLE", setting)]).await;
        let store = rusqlite::Connection::open(host.store.path()).unwrap();
        let down = "CREATE TRIGGER down BEFORE INSERT ON rates BEGIN SELECT RAISE(ABORT, 'planted'); END";
        store.execute_batch(down).unwrap();
        let answer = login(&token("signed-passkey-data")).send(&host).await;
        assert_eq!(answer.status, status, "{setting}");
        let log = host.log_with(message).await;
        let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let line = lines.iter().find(|line| line["message"] == message).unwrap();
        assert!(line["cause"].as_str().unwrap().starts_with("embedded: "), "{line}");
    }
}

/// What is secret or personal appears in no line.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged() {
    let host = TestHost::start(&[("RUST_LOG", "trace")]).await;
    let token = token("signed-passkey-data");
    let id = login(&token).send(&host).await.session();
    let planted = Call::post("/auth/corbadoConnectToken", &json!({"type": "planted"}));
    let planted = planted.header("user-agent", "planted").header("x-planted", "planted");
    planted.clone().session(&id).send(&host).await;
    planted.clone().bearer("planted.planted.planted").send(&host).await;
    planted.cookie("session_id=planted").send(&host).await;
    login("planted.token.here").send(&host).await;
    Call::get("/planted").header("origin", "https://planted.example").send(&host).await;
    let secret = Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"})).session(&id);
    let secret = secret.send(&host).await.body["connectToken"].as_str().unwrap().to_owned();
    let last = Call::get("/auth/session").session(&id).send(&host).await;
    let log = host.log_with(last.headers["x-request-id"].as_str().unwrap()).await;
    let text = log.join("\n");
    for word in
        ["planted", "usr-ada", "ada@example.com", "Lovelace", "Bearer", "203.0.113.7", &id, &token, &secret]
    {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert_eq!(log.len(), 8);
    for line in &log {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["action"], &line["message"]), (&json!("auth-api"), &json!("invocation")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_names_every_problem() {
    let host = TestHost::start(&[
        ("ALLOWED_ORIGINS", ""),
        ("SESSION_COOKIE_NAME", "planted;"),
        ("SESSION_IDLE_SECONDS", "planted"),
        ("CONNECT_TOKEN_IDENTIFIER", "planted"),
        ("CONNECT_TOKEN_LIFETIME_SECONDS", "planted"),
        ("RATE_LIMIT_LOGINS_PER_MINUTE", "planted"),
        ("TRUSTED_PROXY_HOPS", "planted"),
        ("SESSION_STORE", "planted"),
    ])
    .await;
    let invoked = host.invoke("auth-api", "{}").await;
    assert_eq!(invoked.payload["errorType"], "Runtime.ExitError");
    let log = host.log_with("configuration").await.join("\n");
    for name in [
        "ALLOWED_ORIGINS: required",
        "SESSION_COOKIE_NAME: ",
        "SESSION_IDLE_SECONDS: ",
        "CONNECT_TOKEN_IDENTIFIER: ",
        "CONNECT_TOKEN_LIFETIME_SECONDS: ",
        "RATE_LIMIT_LOGINS_PER_MINUTE: ",
        "TRUSTED_PROXY_HOPS: ",
        "SESSION_STORE: ",
    ] {
        assert!(log.contains(name), "{name} in {log}");
    }
    assert!(!log.contains("planted"), "{log}");

    // What one problem could hide is told with it.
    let host = TestHost::start(&[
        ("AUTH_SYSTEM", "cognito"),
        ("CORBADO_PROJECT_ID", ""),
        ("CORBADO_API_SECRET", ""),
        ("UPSTREAM_TIMEOUT_MS", "planted"),
        ("TLS_ROOTS_FILE", "/planted"),
        ("SESSION_STORE", "dynamodb"),
        ("SESSION_COOKIE_HOST_PREFIX", "planted"),
        ("SESSION_COOKIE_DOMAIN", "planted;"),
    ])
    .await;
    host.invoke("auth-api", "{}").await;
    let log = host.log_with("configuration").await.join("\n");
    for name in [
        "USER_POOL_ID",
        "USER_POOL_CLIENT_ID",
        "AWS_REGION",
        "CORBADO_PROJECT_ID",
        "CORBADO_API_SECRET",
        "UPSTREAM_TIMEOUT_MS",
        "TLS_ROOTS_FILE",
        "DYNAMODB_TABLE",
        "SESSION_COOKIE_HOST_PREFIX",
        "SESSION_COOKIE_DOMAIN",
    ] {
        assert_eq!(log.matches(&format!("{name}: ")).count(), 1, "{name} in {log}");
    }
    assert!(!log.contains("planted"), "{log}");
}

/// All functions on "your authentication system", sessions kept by it.
#[tokio::test(flavor = "multi_thread")]
async fn everything_works_on_any_authentication_system() {
    let system = AuthSystem::start(Proof::Bearer("bearer-1")).await;
    let host = TestHost::start(&[
        ("AUTH_SYSTEM", "rest"),
        ("AUTH_SYSTEM_URL", &system.url()),
        ("AUTH_SYSTEM_BEARER_TOKEN", "bearer-1"),
        ("SESSION_STORE", "rest"),
        ("REPLAY_STORE", "embedded"),
    ])
    .await;
    let invoked = host.invoke("pre-login", r#"{"identifier":"ADA@example.com"}"#).await;
    assert_eq!(invoked.payload["body"], json!({"identifier": "usr-ada"}));
    let invoked = host.invoke("post-append", r#"{"username":"usr-ada"}"#).await;
    assert_eq!(invoked.payload, json!({"statusCode": 200, "body": {}}));
    assert_eq!(system.account("usr-ada").preferred_method.as_deref(), Some("passkey"));
    let invoked = by_post_login(&host, "usr-grace").await;
    let grace = invoked["sessionId"].as_str().unwrap().to_owned();
    assert!(signed_in(&host, &grace).await);

    let token = token("signed-passkey-data");
    let id = login(&token).send(&host).await.session();
    let shown = Call::get("/auth/session").session(&id).send(&host).await;
    assert_eq!(shown.body["user"], json!({"id": "usr-ada", "displayName": "Ada Lovelace"}));
    assert_eq!(login(&token).send(&host).await.refusal(), (401, "proof_rejected"));
    Call::new("POST", "/auth/logout").session(&id).send(&host).await;
    assert!(!signed_in(&host, &id).await);
    assert!(signed_in(&host, &grace).await);
    assert_eq!(host.sessions(), 0, "none in our own store");
    assert_eq!(system.faults(), Vec::<String>::new());
}

/// The time of the process is the only clock: an answer's end of session lies as far ahead as is set.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_as_long_as_is_set() {
    let host = TestHost::start(&[("SESSION_TTL_SECONDS", "120")]).await;
    let answer = login(&token("signed-passkey-data")).send(&host).await;
    assert!(answer.cookies[0].ends_with("; Max-Age=120"), "{answer:?}");
    let store = rusqlite::Connection::open(host.store.path()).unwrap();
    let (created, expires): (u64, u64) = store
        .query_row("SELECT created, expires FROM sessions", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(expires - created, 120_000);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(created) <= now && now < u128::from(expires));
}

/// A page can read why its request was too large, and one of a foreign origin cannot.
#[tokio::test(flavor = "multi_thread")]
async fn pages_read_refusals_of_the_edge() {
    let host = TestHost::start(&[]).await;
    let megabyte = json!({"type": "x".repeat(1 << 20)});
    let call = || Call::post("/auth/corbadoConnectToken", &megabyte);
    let answer = call().send(&host).await;
    assert_eq!(answer.refusal(), (413, "too_large"));
    assert_eq!(answer.headers["access-control-allow-origin"], tests::host::ORIGIN);
    assert_eq!(answer.headers["vary"], "origin");
    let answer = call().header("origin", "https://evil.example.com").send(&host).await;
    assert!(answer.headers["access-control-allow-origin"].is_null(), "{answer:?}");
}
