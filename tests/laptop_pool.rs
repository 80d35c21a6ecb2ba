//! Everything together with the users of another pool: an emulator's, whose triggers are the deployable custom-auth and ask the
//! sandbox's stand-in for Corbado.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use sandbox::connect::LoginOption;
use sandbox::demo::accounts::PASSWORD as DEMO_PASSWORD;
use serde_json::{Value, json};
use tests::connect::Browser;
use tests::emulator::{PASSWORD, create_app_client};
use tests::laptop::OfPool;
use tokio::process::Command;

struct World(OfPool);

impl World {
    async fn start() -> Self {
        Self(OfPool::start(None).await)
    }

    async fn operation(&self, name: &str, mut body: Value) -> (u16, Value) {
        body["ClientId"] = self.0.app_client.as_str().into();
        self.0.laptop.pool(name, body).await
    }

    /// The access token of a user who signs in with the password.
    async fn access_token(&self, user: &str) -> String {
        let parameters = json!({"USERNAME": user, "PASSWORD": PASSWORD});
        let body = json!({"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters});
        let (status, answer) = self.operation("InitiateAuth", body).await;
        assert_eq!(status, 200, "{answer}");
        answer["AuthenticationResult"]["AccessToken"].as_str().unwrap().to_owned()
    }

    /// A browser with a passkey of a user's.
    async fn browser(&self, user: &str) -> Browser {
        let mut browser = self.0.laptop.browser();
        let token = self.access_token(user).await;
        let (status, token) = self.0.laptop.connect_token("passkey-append", &token).await.json();
        assert_eq!(status, 200, "{token}");
        let (status, answer) = browser.append(token["connectToken"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{answer}");
        browser
    }

    async fn begin(&self, user: &str) -> Value {
        let body = json!({"AuthFlow": "CUSTOM_AUTH", "AuthParameters": {"USERNAME": user}});
        let (status, answer) = self.operation("InitiateAuth", body).await;
        assert_eq!((status, &answer["ChallengeName"]), (200, &json!("CUSTOM_CHALLENGE")), "{answer}");
        answer["Session"].clone()
    }

    async fn respond(&self, session: &Value, user: &str, answer: &str) -> (u16, Value) {
        let responses = json!({"USERNAME": user, "ANSWER": answer});
        let body =
            json!({"ChallengeName": "CUSTOM_CHALLENGE", "Session": session, "ChallengeResponses": responses});
        self.operation("RespondToAuthChallenge", body).await
    }

    /// Whose session a header opens; the status where it opens none.
    async fn session(&self, header: (&'static str, String)) -> Result<String, u16> {
        let reply = self.0.laptop.call("GET", "/auth/session", &[header], Value::Null).await;
        match reply.json() {
            (200, answer) => Ok(answer["user"]["id"].as_str().unwrap().to_owned()),
            (status, _) => Err(status),
        }
    }

    fn choose(&self, option: LoginOption) {
        let mut switches = self.0.laptop.laptop.connect.switches();
        switches.login_option = option;
        self.0.laptop.laptop.connect.switch(switches);
    }

    /// The MFA flag of a user in the pool.
    async fn mfa(&self, user: &str) -> Option<String> {
        let found =
            self.0.client.admin_get_user().user_pool_id(&self.0.pool).username(user).send().await.unwrap();
        let found = found.user_attributes().iter().find(|it| it.name() == "custom:mfa_enabled");
        found.and_then(|it| it.value().map(ToOwned::to_owned))
    }
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// What login/finish hands to the page.
async fn signed_in(browser: &mut Browser, user: &str) -> String {
    browser.login(&format!("{user}@example.com")).await["session"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn option_1_signs_in_at_the_pool_that_is_named() {
    let world = World::start().await;
    let (status, config) = world.0.laptop.call("GET", "/demo/config", &[], Value::Null).await.json();
    assert_eq!((status, &config["userPool"]), (200, &json!(world.0.pool)));
    assert_eq!(
        (&config["poolClientId"], &config["loginOption"]),
        (&json!(world.0.app_client), &json!("system-extension"))
    );

    // By password, then with the passkey that was offered.
    assert_eq!(world.mfa("usr-ada").await, None);
    let mut browser = world.browser("usr-ada").await;
    assert_eq!(world.mfa("usr-ada").await.as_deref(), Some("true"), "by post-append, in the pool");
    let proof = signed_in(&mut browser, "usr-ada").await;
    let session = world.begin("usr-ada").await;
    let (status, answer) = world.respond(&session, "usr-ada", &proof).await;
    assert_eq!(status, 200, "{answer}");
    let access = answer["AuthenticationResult"]["AccessToken"].as_str().unwrap();
    assert_eq!(world.session(bearer(access)).await.as_deref(), Ok("usr-ada"));
    assert_eq!(world.0.laptop.connect_token("passkey-list", access).await.status, 200);

    // Signed out at the pool, at once.
    assert_eq!(world.0.laptop.call("POST", "/auth/logout", &[bearer(access)], Value::Null).await.status, 204);
    assert_eq!(world.session(bearer(access)).await, Err(401));
    assert_eq!(world.session(bearer(&world.access_token("usr-ada").await)).await.as_deref(), Ok("usr-ada"));

    // A proof that is spent, another user's proof, and no proof.
    let mut other = world.browser("usr-grace").await;
    let foreign = signed_in(&mut other, "usr-grace").await;
    for (what, answer) in [("spent", proof.as_str()), ("foreign", foreign.as_str()), ("none", "letmein")] {
        let session = world.begin("usr-ada").await;
        let (status, refused) = world.respond(&session, "usr-ada", answer).await;
        assert_eq!((status, refused["__type"].as_str()), (400, Some("NotAuthorizedException")), "{what}");
        assert_eq!(refused["AuthenticationResult"], Value::Null, "{what}");
    }

    // The journal has it all, and opens nothing.
    let journal = serde_json::to_string(&world.0.laptop.laptop.journal.entries()).unwrap();
    for expected in
        ["\"title\":\"InitiateAuth\"", "\"title\":\"RespondToAuthChallenge\"", "USER_PASSWORD_AUTH"]
    {
        assert!(journal.contains(expected), "{expected}");
    }
    for (number, secret) in [PASSWORD, access, &proof, &foreign].into_iter().enumerate() {
        assert!(!journal.contains(secret), "secret {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_options_serve_the_pools_users_too_and_no_others() {
    let world = World::start().await;
    let mut browser = world.browser("usr-ada").await;

    world.choose(LoginOption::CustomEndpoint);
    let proof = signed_in(&mut browser, "usr-ada").await;
    let verify = json!({"signedPasskeyData": proof});
    let reply = world.0.laptop.call("POST", "/auth/passkey/verify", &[], verify).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(world.session(("cookie", cookie)).await.as_deref(), Ok("usr-ada"));

    world.choose(LoginOption::PostLoginAction);
    let handed: Value = serde_json::from_str(&signed_in(&mut browser, "usr-ada").await).unwrap();
    let session = bearer(handed["sessionId"].as_str().unwrap());
    assert_eq!(world.session(session).await.as_deref(), Ok("usr-ada"));

    // The demo's own accounts and their published password open nothing here, whatever they are called.
    let call = async |path: &str, body: Value| {
        let reply = world.0.laptop.call("POST", path, &[], body).await;
        assert_eq!(reply.header("set-cookie"), "", "{path}");
        reply.json()
    };
    let refusal = json!({"message": format!("Accounts are those of the user pool {}.", world.0.pool)});
    let ada = json!({"identifier": "usr-ada@example.com", "password": DEMO_PASSWORD});
    assert_eq!(call("/demo/login", ada).await, (403, refusal.clone()));
    let form = json!({"name": "Mary", "email": "mary@example.com", "password": "long enough"});
    assert_eq!(call("/demo/sign-up", form).await, (403, refusal));

    // The inspector shows what there is to be seen.
    let (_, state) = world.0.laptop.call("GET", "/inspector/state", &[], Value::Null).await.json();
    assert_eq!(state["userPool"], json!(world.0.pool));
    let users = state["users"].as_array().unwrap();
    assert_eq!((users.len(), &users[0]["id"]), (1, &json!("usr-ada")), "{users:?}");
    assert_eq!(users[0]["passkeys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_pages_need_is_passed_on() {
    let world = World::start().await;
    let kind =
        |(status, answer): (u16, Value)| (status, answer["__type"].as_str().unwrap_or_default().to_owned());
    let refused = |kind: &str| (400, kind.to_owned());
    let ada = json!({"USERNAME": "usr-ada", "PASSWORD": PASSWORD});
    for operation in ["ListUsers", "AdminGetUser", "SignUp", "GetUser", "GlobalSignOut", ""] {
        let body = json!({"UserPoolId": world.0.pool, "Username": "usr-ada"});
        assert_eq!(
            kind(world.operation(operation, body).await),
            refused("UnknownOperationException"),
            "{operation}"
        );
    }
    for flow in ["ADMIN_USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH", "USER_SRP_AUTH", ""] {
        let body = json!({"AuthFlow": flow, "AuthParameters": ada});
        assert_eq!(
            kind(world.operation("InitiateAuth", body).await),
            refused("InvalidParameterException"),
            "{flow}"
        );
    }
    let body = json!({"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "x", "ChallengeResponses": ada});
    assert_eq!(
        kind(world.operation("RespondToAuthChallenge", body).await),
        refused("InvalidParameterException")
    );
    // Another app client of the same pool.
    let other = create_app_client(&world.0.client, &world.0.pool).await;
    let body = json!({"ClientId": other, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": ada});
    assert_eq!(kind(world.0.laptop.pool("InitiateAuth", body).await), refused("ResourceNotFoundException"));
    // What the pool itself says is passed back as it is.
    let wrong = json!({"USERNAME": "usr-ada", "PASSWORD": "wrong"});
    let body = json!({"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": wrong});
    assert_eq!(kind(world.operation("InitiateAuth", body).await), refused("NotAuthorizedException"));
}

#[tokio::test]
async fn half_a_pool_is_an_error_at_the_start() {
    let state = tempfile::tempdir().unwrap();
    for (set, missing) in [
        ("USER_POOL_ID", "USER_POOL_CLIENT_ID: required beside USER_POOL_ID"),
        ("USER_POOL_CLIENT_ID", "USER_POOL_ID: required beside USER_POOL_CLIENT_ID"),
    ] {
        let mut command = Command::new(tests::binaries().join("sandbox"));
        command.args(["run", "--port", "0", "--pages-port", "0"]).kill_on_drop(true);
        command.env_clear().env("XDG_STATE_HOME", state.path()).env(set, "eu-central-1_planted");
        // One that did start would serve for ever.
        let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(missing) && !said.contains("planted"), "{said}");
    }
}
