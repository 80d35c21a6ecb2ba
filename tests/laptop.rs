//! Everything together: the demo's own endpoints, the user pool's side of option 1, and who may call at all.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use sandbox::connect::{LoginOption, Switches};
use sandbox::demo::accounts::PASSWORD;
use serde_json::{Value, json};
use tests::connect::{Browser, FOREIGN_PAGE, send};
use tests::laptop::TestLaptop;

/// The access token of a user who signs in with the password.
async fn access_token(laptop: &TestLaptop, user: &str) -> String {
    let parameters = json!({"USERNAME": user, "PASSWORD": PASSWORD});
    let body = json!({"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters});
    let (status, answer) = laptop.pool("InitiateAuth", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["AuthenticationResult"]["AccessToken"].as_str().unwrap().to_owned()
}

/// A browser with a passkey of Ada's.
async fn ada(laptop: &TestLaptop) -> Browser {
    let mut browser = laptop.browser();
    let token = access_token(laptop, "ada").await;
    let (status, token) = laptop.connect_token("passkey-append", &token).await.json();
    assert_eq!(status, 200, "{token}");
    let (status, answer) = browser.append(token["connectToken"].as_str().unwrap()).await;
    assert_eq!(status, 200, "{answer}");
    browser
}

async fn proof(browser: &mut Browser) -> String {
    browser.login("ada@example.com").await["session"].as_str().unwrap().to_owned()
}

async fn begin(laptop: &TestLaptop, user: &str) -> Value {
    let body = json!({"AuthFlow": "CUSTOM_AUTH", "AuthParameters": {"USERNAME": user}});
    let (status, answer) = laptop.pool("InitiateAuth", body).await;
    assert_eq!((status, &answer["ChallengeName"]), (200, &json!("CUSTOM_CHALLENGE")), "{answer}");
    answer
}

async fn respond(laptop: &TestLaptop, session: &Value, user: &str, answer: &str) -> (u16, Value) {
    let responses = json!({"USERNAME": user, "ANSWER": answer});
    let body =
        json!({"ChallengeName": "CUSTOM_CHALLENGE", "Session": session, "ChallengeResponses": responses});
    laptop.pool("RespondToAuthChallenge", body).await
}

async fn session_status(laptop: &TestLaptop, bearer: &str) -> u16 {
    laptop
        .call("GET", "/auth/session", &[("authorization", format!("Bearer {bearer}"))], Value::Null)
        .await
        .status
}

#[tokio::test]
async fn option_1_leads_through_the_triggers_to_tokens_that_auth_api_takes() {
    let laptop = TestLaptop::start().await;
    let mut browser = ada(&laptop).await;
    let proof = proof(&mut browser).await;
    let challenge = begin(&laptop, "usr-ada").await;
    let (status, answer) = respond(&laptop, &challenge["Session"], "usr-ada", &proof).await;
    assert_eq!(status, 200, "{answer}");
    let tokens = &answer["AuthenticationResult"];
    let access = tokens["AccessToken"].as_str().unwrap();
    assert_eq!(session_status(&laptop, access).await, 200);
    assert_eq!(laptop.connect_token("passkey-list", access).await.status, 200);

    // Signed out at the pool, and so everywhere.
    let headers = [("authorization", format!("Bearer {access}"))];
    assert_eq!(laptop.call("POST", "/auth/logout", &headers, Value::Null).await.status, 204);
    assert_eq!(session_status(&laptop, access).await, 401);
    assert_eq!(session_status(&laptop, &access_token(&laptop, "ada").await).await, 200);
}

#[tokio::test]
async fn the_pool_gives_no_tokens_for_less() {
    let laptop = TestLaptop::start().await;
    let mut browser = ada(&laptop).await;
    let refused = "NotAuthorizedException";
    let kind = |(status, answer): (u16, Value)| {
        assert_eq!(status, 400, "{answer}");
        answer["__type"].as_str().unwrap().to_owned()
    };

    let good = proof(&mut browser).await;
    let wrong = begin(&laptop, "usr-ada").await["Session"].clone();
    assert_eq!(kind(respond(&laptop, &wrong, "usr-ada", "no proof").await), refused);
    assert_eq!(kind(respond(&laptop, &wrong, "usr-ada", &good).await), refused, "a session that is used up");
    let other = begin(&laptop, "usr-grace").await["Session"].clone();
    assert_eq!(kind(respond(&laptop, &other, "usr-grace", &good).await), refused, "another user's proof");
    let swapped = begin(&laptop, "usr-ada").await["Session"].clone();
    assert_eq!(kind(respond(&laptop, &swapped, "usr-grace", &good).await), refused, "another name");
    // A user who is not there looks the same until the end.
    let nobody = begin(&laptop, "nobody").await["Session"].clone();
    assert_eq!(kind(respond(&laptop, &nobody, "nobody", "no proof").await), refused);
    assert_eq!(kind(respond(&laptop, &json!("made up"), "usr-ada", &good).await), refused);

    let once = proof(&mut browser).await;
    let first = begin(&laptop, "usr-ada").await["Session"].clone();
    assert_eq!(respond(&laptop, &first, "usr-ada", &once).await.0, 200);
    let second = begin(&laptop, "usr-ada").await["Session"].clone();
    assert_eq!(kind(respond(&laptop, &second, "usr-ada", &once).await), refused, "a proof that is spent");

    for (user, password, expected) in [
        ("ada", "wrong", refused),
        ("nobody", PASSWORD, refused),
        ("alan", PASSWORD, refused),
        ("edsger", PASSWORD, "PasswordResetRequiredException"),
    ] {
        let parameters = json!({"USERNAME": user, "PASSWORD": password});
        let body = json!({"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters});
        assert_eq!(kind(laptop.pool("InitiateAuth", body).await), expected, "{user}");
    }
    assert_eq!(kind(laptop.pool("DeleteUserPool", json!({})).await), "UnknownOperationException");
    assert_eq!(
        kind(laptop.pool("GetUser", json!({"AccessToken": good})).await),
        refused,
        "a proof is no token"
    );
}

#[tokio::test]
async fn the_classic_login_opens_a_session_of_the_application() {
    let laptop = TestLaptop::start().await;
    let login = async |user: &str, password: &str| {
        laptop.call("POST", "/demo/login", &[], json!({"identifier": user, "password": password})).await
    };
    let reply = login("ADA@example.com", PASSWORD).await;
    assert_eq!(reply.status, 200);
    let cookie = reply.header("set-cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let session = laptop.call("GET", "/auth/session", &[("cookie", cookie)], Value::Null).await.json();
    assert_eq!((session.0, &session.1["user"]["id"]), (200, &json!("usr-ada")));
    for (user, password, status) in [
        ("ada", "wrong", 401),
        ("nobody", PASSWORD, 401),
        ("twin@example.com", PASSWORD, 401),
        ("alan", PASSWORD, 403),
    ] {
        let reply = login(user, password).await;
        assert_eq!((reply.status, reply.header("set-cookie")), (status, ""), "{user}");
    }
}

#[tokio::test]
async fn a_restart_keeps_everything_and_forgetting_forgets() {
    let laptop = TestLaptop::start().await;
    let mut browser = ada(&laptop).await;
    let form = json!({"name": "Mary", "email": "mary@example.com", "password": "long enough"});
    assert_eq!(laptop.call("POST", "/demo/sign-up", &[], form.clone()).await.status, 200);
    assert_eq!(laptop.call("POST", "/demo/sign-up", &[], form).await.status, 409);
    let token = access_token(&laptop, "ada").await;

    let TestLaptop { laptop, state } = laptop;
    drop(laptop);
    let laptop = TestLaptop::on(state).await;
    assert_eq!(session_status(&laptop, &token).await, 200, "the pool's key is the same");
    browser.api = laptop.browser().api;
    proof(&mut browser).await;
    let mary = json!({"identifier": "mary@example.com", "password": "long enough"});
    assert_eq!(laptop.call("POST", "/demo/login", &[], mary.clone()).await.status, 200);

    let TestLaptop { laptop, state } = laptop;
    drop(laptop);
    sandbox::laptop::forget(state.path(), &state.path().join("store.sqlite")).unwrap();
    let laptop = TestLaptop::on(state).await;
    assert_eq!(laptop.call("POST", "/demo/login", &[], mary).await.status, 401);
    browser.api = laptop.browser().api;
    assert_eq!(browser.start("ada@example.com").await, "", "no passkey");
}

/// What only the application's own pages call.
const OF_OWN_PAGES: [(&str, &str); 13] = [
    ("GET", "/"),
    ("GET", "/login"),
    ("GET", "/inspector"),
    ("GET", "/inspector/state"),
    ("GET", "/inspector/journal"),
    ("POST", "/inspector/switches"),
    ("POST", "/demo/login"),
    ("POST", "/demo/option"),
    ("POST", "/demo/sign-up"),
    ("GET", "/auth/session"),
    ("POST", "/corbado/v2/connectTokens"),
    ("POST", "/pool/"),
    ("GET", "/pool/.well-known/jwks.json"),
];

#[tokio::test]
async fn a_page_that_is_allowed_reaches_what_the_components_call_and_no_more() {
    let laptop = TestLaptop::with(tempfile::tempdir().unwrap(), |options| {
        options.allowed_origins = vec![FOREIGN_PAGE.to_owned()];
    })
    .await;
    let from = async |method: &str, path: &str| {
        let headers =
            [("origin", FOREIGN_PAGE.to_owned()), ("access-control-request-method", "POST".to_owned())];
        let body = (method == "POST").then(|| json!({}));
        send(method, &format!("{}{path}", laptop.url()), &headers, body).await
    };
    let init = "/fapi/v2/connect/login/init";
    for (method, status) in [("OPTIONS", 204), ("POST", 200)] {
        let reply = from(method, init).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (status, FOREIGN_PAGE));
    }
    for (method, path) in OF_OWN_PAGES {
        for method in ["OPTIONS", method] {
            let reply = from(method, path).await;
            let seen = (reply.status, reply.header("access-control-allow-origin"));
            assert_eq!(seen, (403, ""), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn no_foreign_page_and_no_foreign_name_reaches_anything() {
    let laptop = TestLaptop::start().await;
    let own = laptop.laptop.site.address().to_string();
    let others = [("POST", "/fapi/v2/connect/login/init"), ("GET", "/nothing")];
    for (method, path) in OF_OWN_PAGES.into_iter().chain(others) {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "http://localhost:1"),
            ("origin", "null"),
            ("host", "evil.example"),
            ("host", "localhost.evil.example"),
        ] {
            let headers = [(name, value.to_owned())];
            let body = (method == "POST").then(|| json!({}));
            let reply = send(method, &format!("http://{own}{path}"), &headers, body).await;
            assert_eq!(reply.status, 403, "{method} {path} {name}: {value}");
        }
    }
    let reply = send("GET", &format!("http://{own}/inspector/state"), &[], None).await;
    assert_eq!(reply.status, 200, "programs of this machine may");
    // A form of a foreign page sends no JSON, should a browser leave `Origin` out.
    let form = [("content-type", "text/plain".to_owned())];
    let reply = send("POST", &format!("http://{own}/demo/option"), &form, Some(json!("{}"))).await;
    assert_eq!(reply.status, 415);
}

#[tokio::test]
async fn the_frontend_api_has_a_port_of_its_own_for_pages_that_are_allowed() {
    let state = tempfile::tempdir().unwrap();
    let laptop = TestLaptop::with(state, |options| {
        options.allowed_origins = vec![FOREIGN_PAGE.to_owned()];
        options.frontend_api_port = Some(0);
    })
    .await;
    let port = laptop.laptop.frontend_api.as_ref().unwrap().address().port();
    let api = format!("http://localhost:{port}");
    let from = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        send(method, &format!("{api}{path}"), &headers, (method == "POST").then(|| json!({}))).await
    };

    // Each of the ten routes: asked for leave, and called.
    let routes = [
        ("login", ["init", "start", "finish"].as_slice()),
        ("append", &["init", "start", "finish"]),
        ("manage", &["init", "list", "delete"]),
    ];
    let routes =
        routes.iter().flat_map(|(what, steps)| steps.iter().map(move |step| format!("{what}/{step}")));
    let routes: Vec<_> = routes.chain(["events".to_owned()]).collect();
    assert_eq!(routes.len(), 10);
    for route in routes {
        let path = format!("/v2/connect/{route}");
        let ask = [("origin", FOREIGN_PAGE), ("access-control-request-method", "POST")];
        let leave = from("OPTIONS", &path, &ask).await;
        assert_eq!(
            (leave.status, leave.header("access-control-allow-origin")),
            (204, FOREIGN_PAGE),
            "{path}"
        );
        assert!(leave.header("access-control-allow-headers").contains("x-corbado-process-id"), "{path}");
        // Refusals must be readable, too: an empty request is one for most.
        let called = from("POST", &path, &[("origin", FOREIGN_PAGE)]).await;
        assert_eq!(called.header("access-control-allow-origin"), FOREIGN_PAGE, "{path}");
        assert_eq!(called.header("access-control-allow-credentials"), "true", "{path}");
        assert!([200, 204, 400, 422].contains(&called.status), "{path}: {called:?}");
        let own = laptop.url();
        for refused in [
            [("origin", "https://evil.example"), ("x-test", "")],
            [("origin", "null"), ("x-test", "")],
            [("origin", own.as_str()), ("x-test", "")],
            [("host", "evil.example"), ("origin", FOREIGN_PAGE)],
            [("host", "evil.example"), ("origin", "http://evil.example")],
        ] {
            for method in ["OPTIONS", "POST"] {
                let reply = from(method, &path, &refused).await;
                let seen = (reply.status, reply.header("access-control-allow-origin"));
                assert_eq!(seen, (403, ""), "{method} {path} {refused:?}");
            }
        }
    }

    // Nothing of the pages, of servers or of the pool is there.
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/login"),
        ("GET", "/assets/session.js"),
        ("GET", "/inspector/state"),
        ("POST", "/inspector/switches"),
        ("GET", "/demo/config"),
        ("POST", "/demo/login"),
        ("GET", "/auth/session"),
        ("POST", "/fapi/v2/connect/login/init"),
        ("POST", "/corbado/v2/connectTokens"),
        ("POST", "/pool/"),
    ] {
        assert_eq!(from(method, path, &[("origin", FOREIGN_PAGE)]).await.status, 404, "{method} {path}");
    }

    // The components stay where they were pointed, at either place; what one knows, so does the other.
    let mut browser = ada(&laptop).await;
    assert_eq!(browser.init("login").await["frontendApiUrl"], format!("{}/fapi", laptop.url()));
    browser.api = format!("{api}/v2/connect");
    assert_eq!(browser.init("login").await["frontendApiUrl"], api);
    let proof = proof(&mut browser).await;
    let challenge = begin(&laptop, "usr-ada").await;
    assert_eq!(respond(&laptop, &challenge["Session"], "usr-ada", &proof).await.0, 200);
}

#[tokio::test]
async fn pages_come_with_a_strict_policy() {
    let laptop = TestLaptop::start().await;
    for page in ["/login", "/signup", "/append", "/profile", "/inspector", "/assets/session.js"] {
        let reply = laptop.call("GET", page, &[], Value::Null).await;
        assert_eq!(reply.status, 200, "{page}");
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(laptop.call("GET", "/nothing", &[], Value::Null).await.status, 404);
    assert_eq!(laptop.call("GET", "/assets/../Cargo.toml", &[], Value::Null).await.status, 404);
    let start = laptop.call("GET", "/", &[], Value::Null).await;
    assert_eq!((start.status, start.header("location")), (303, "/login"));
    let by_address = send("GET", &format!("http://{}/login", laptop.laptop.site.address()), &[], None).await;
    assert_eq!(
        (by_address.status, by_address.header("location")),
        (303, format!("{}/login", laptop.url()).as_str())
    );
}

#[tokio::test]
async fn switches_take_what_they_know() {
    let laptop = TestLaptop::start().await;
    let post = async |body: Value| laptop.call("POST", "/inspector/switches", &[], body).await.status;
    let mut switches = serde_json::to_value(Switches::default()).unwrap();
    switches["faults"] = json!({"pre-login": "times-out"});
    switches["loginOption"] = json!("post-login-action");
    assert_eq!(post(switches.clone()).await, 204);
    assert_eq!(laptop.laptop.connect.switches().login_option, LoginOption::PostLoginAction);
    switches["faults"] = json!({"auth-api": "times-out"});
    assert_eq!(post(switches.clone()).await, 400);
    switches["faults"] = json!({"pre-login": "explodes"});
    assert_eq!(post(switches).await, 422);
    assert_eq!(laptop.call("POST", "/demo/option", &[], json!({"loginOption": "other"})).await.status, 422);
}
