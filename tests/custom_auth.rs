//! Custom authentication: the deployable binary as the triggers of a user pool on an emulator, and Corbado's stand-in behind it.
//!
//! The emulator differs from AWS where it matters least to us: a trigger's error is another code, a foreign USERNAME is let
//! through. No tokens is no tokens.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_cognitoidentityprovider::types::{
    AuthFlowType, AuthenticationResultType, ChallengeNameType, ExplicitAuthFlowsType,
};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{ProviderTokens, TokenUse, UserIdentifier};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::api::token;
use tests::dynamodb::create_table;
use tests::emulator::{Emulator, create_pool, create_user, set_triggers};
use tests::forge::with_claims;
use tests::function;
use tests::host::TestHost;
use tests::stub::{Reaction, Received, Stub, json};

const PROOF_SECRET: &str = "tests-sign-login-proofs-with-this-key";

/// A user pool whose triggers are the real binary, with the table and a stand-in for Corbado that counts.
struct World {
    emulator: Emulator,
    client: Client,
    corbado: Stub,
    pool: String,
    app_client: String,
    table: String,
}

/// A token of a user; the stand-in does as `word` says.
fn passkey(user: &str, word: &str) -> String {
    let token = with_claims(&token("signed-passkey-data"), |claims| claims["webauthnId"] = user.into());
    signed(&token, word)
}

/// The token with a word in place of its signature.
fn signed(token: &str, word: &str) -> String {
    let (content, _) = token.rsplit_once('.').unwrap();
    format!("{content}.{}", BASE64_URL_SAFE_NO_PAD.encode(word))
}

/// Corbado's word on a token: the one in place of its signature, once.
fn corbado() -> impl Fn(&Received, usize) -> Reaction {
    let consumed = Mutex::new(HashSet::new());
    move |request, _| {
        let body = request.json();
        let token = body["signedPasskeyData"].as_str().unwrap().to_owned();
        let claims = tests::forge::claims(&token);
        let word = BASE64_URL_SAFE_NO_PAD.decode(token.rsplit_once('.').unwrap().1).unwrap();
        let word = String::from_utf8(word).unwrap();
        let verdict = |word: &str| json(200, &json!({"verificationResult": word}));
        if !consumed.lock().unwrap().insert(token) {
            return verdict("invalid_challenge");
        }
        if claims["webauthnId"] != body["username"] {
            return verdict("user_mismatch");
        }
        match word.split(' ').next().unwrap() {
            "slow" => Reaction::After(Duration::from_secs(3), Box::new(verdict("success"))),
            "slowish" => Reaction::After(Duration::from_millis(700), Box::new(verdict("success"))),
            "failing" => json(500, &json!({"error": {"type": "internal_error"}})),
            "resetting" => Reaction::Reset,
            word => verdict(word),
        }
    }
}

impl World {
    async fn start() -> Self {
        let emulator = Emulator::start().await;
        let client = emulator.cognito();
        let corbado = Stub::start(corbado()).await;
        let table = create_table(&emulator.settings()).await;
        let trigger = create_trigger(&emulator, &corbado, &table);
        let pool = create_pool(&client).await;
        set_triggers(&client, &pool, &trigger).await;
        for name in ["usr-ada", "usr-grace", "usr-alan"] {
            create_user(&client, &pool, name, &format!("{name}@example.com"), true, true).await;
        }
        client.admin_disable_user().user_pool_id(&pool).username("usr-alan").send().await.unwrap();
        let app_client = create_app_client(&client, &pool, false).await.0;
        Self { emulator, client, corbado, pool, app_client, table }
    }

    /// Starts a sign-in, and returns the challenge's session.
    async fn start_flow(&self, user: &str) -> Result<String, String> {
        let request = self
            .client
            .initiate_auth()
            .auth_flow(AuthFlowType::CustomAuth)
            .client_id(&self.app_client)
            .auth_parameters("USERNAME", user);
        let answer = request.send().await.map_err(|error| error.code().unwrap().to_owned())?;
        assert_eq!(answer.challenge_name, Some(ChallengeNameType::CustomChallenge));
        assert!(answer.authentication_result.is_none());
        let parameters = answer.challenge_parameters.unwrap();
        assert_eq!(parameters["challenge"], "signedPasskeyData");
        assert!(!parameters.contains_key("nonce"), "private");
        Ok(answer.session.unwrap())
    }

    /// Answers a challenge: tokens, or the error's code.
    async fn answer(
        &self,
        session: &str,
        user: &str,
        answer: &str,
    ) -> Result<AuthenticationResultType, String> {
        let request = self
            .client
            .respond_to_auth_challenge()
            .client_id(&self.app_client)
            .challenge_name(ChallengeNameType::CustomChallenge)
            .session(session)
            .challenge_responses("USERNAME", user)
            .challenge_responses("ANSWER", answer);
        let answer = request.send().await.map_err(|error| error.code().unwrap().to_owned())?;
        assert_eq!(answer.challenge_name, None, "there is no second challenge");
        Ok(answer.authentication_result.unwrap())
    }

    async fn sign_in(&self, user: &str, answer: &str) -> Result<AuthenticationResultType, String> {
        let session = self.start_flow(user).await?;
        self.answer(&session, user, answer).await
    }

    /// Signs in, and tells whom the access token is for once it has been verified against the pool's keys.
    async fn signed_in(&self, user: &str, answer: &str) -> String {
        let tokens = self.sign_in(user, answer).await.unwrap();
        self.verified(&tokens).await
    }

    async fn verified(&self, tokens: &AuthenticationResultType) -> String {
        let mut pairs = self.emulator.settings().to_vec();
        pairs.push(("USER_POOL_ID", self.pool.clone()));
        pairs.push(("USER_POOL_CLIENT_ID", self.app_client.clone()));
        pairs.push((
            "COGNITO_JWKS_URL",
            format!("{}/{}/.well-known/jwks.json", self.emulator.url(), self.pool),
        ));
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut settings = tests::settings(&pairs);
        let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Aws).unwrap();
        let verifier = cognito::Tokens::from_settings(&mut settings, &https);
        let verifier = settings.finish(verifier).unwrap();
        let now = domain::Timestamp::from_secs(tests::now());
        let mut users = HashSet::new();
        for (token, token_use) in
            [(tokens.access_token(), TokenUse::Session), (tokens.id_token(), TokenUse::ConnectToken)]
        {
            let session = verifier.verify(token.unwrap(), token_use, now).await.unwrap().unwrap();
            users.insert(session.user.as_str().to_owned());
        }
        assert_eq!(users.len(), 1);
        users.into_iter().next().unwrap()
    }

    /// Invokes the function as Cognito does.
    async fn invoke(&self, event: &Value) -> Value {
        let url = format!("{}/2015-03-31/functions/custom-auth/invocations", self.emulator.url());
        let payload = event.to_string();
        let authorization = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/lambda/aws4_request, \
                             SignedHeaders=host, Signature=0";
        tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let mut response = agent.post(url).header("authorization", authorization).send(&payload).unwrap();
            serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
        })
        .await
        .unwrap()
    }

    fn asked(&self) -> usize {
        self.corbado.received().len()
    }
}

/// The function with all that these tests need.
fn create_trigger(emulator: &Emulator, corbado: &Stub, table: &str) -> String {
    let more = ("LOGIN_PROOF_SECRETS", PROOF_SECRET.to_owned());
    function::create_custom_auth(emulator, &corbado.url(), table, &[more])
}

/// An app client for custom authentication, and its secret where it is to have one.
async fn create_app_client(client: &Client, pool: &str, secret: bool) -> (String, Option<String>) {
    let made = client
        .create_user_pool_client()
        .user_pool_id(pool)
        .client_name("passkeys")
        .generate_secret(secret)
        .explicit_auth_flows(ExplicitAuthFlowsType::AllowCustomAuth)
        .explicit_auth_flows(ExplicitAuthFlowsType::AllowRefreshTokenAuth)
        .send()
        .await
        .unwrap()
        .user_pool_client
        .unwrap();
    (made.client_id.unwrap(), made.client_secret)
}

fn verify_event(user: &str, answer: &str, nonce: u8) -> Value {
    let mut event = tests_event("verify");
    event["userName"] = user.into();
    event["request"]["challengeAnswer"] = answer.into();
    event["request"]["privateChallengeParameters"]["nonce"] =
        BASE64_URL_SAFE_NO_PAD.encode([nonce; 32]).into();
    event
}

fn tests_event(case: &str) -> Value {
    sandbox::sample::read(&tests::events(), "custom-auth", case).unwrap().event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_ends_in_tokens_and_nothing_else_does() {
    let world = World::start().await;
    assert_eq!(world.signed_in("usr-ada", &passkey("usr-ada", "success")).await, "usr-ada");
    assert_eq!(world.signed_in("usr-grace", &passkey("usr-grace", "success")).await, "usr-grace");
    assert_eq!(world.asked(), 2);

    let expired = with_claims(&passkey("usr-ada", "success"), |claims| {
        claims["exp"] = (tests::now() - 61).into();
    });
    let used = passkey("usr-ada", "success");
    assert_eq!(world.signed_in("usr-ada", &used).await, "usr-ada");
    let copied_jti = signed(&used, "invalid_signature");
    let unsigned = format!("{}.", used.rsplit_once('.').unwrap().0);
    let asked = world.asked();
    let rows = [
        ("garbage", "letmein".to_owned(), false),
        ("empty", " ".to_owned(), false),
        ("another user's", passkey("usr-grace", "success"), false),
        ("expired", expired, false),
        ("used before, in another flow", used, false),
        ("the used one's content with another signature", copied_jti, true),
        ("the used one's content unsigned", unsigned, false),
        ("refused", passkey("usr-ada", "invalid_signature"), true),
        ("refused as of another user", passkey("usr-ada", "user_mismatch"), true),
        ("refused for a new reason", passkey("usr-ada", "no_idea"), true),
        (
            "a forged login proof",
            format!("v1.{}.{}.{}", tests::now() + 20, "A".repeat(22), "A".repeat(43)),
            false,
        ),
    ];
    let mut expected = asked;
    for (row, answer, asks) in rows {
        let session = world.start_flow("usr-ada").await.unwrap();
        let refused = world.answer(&session, "usr-ada", &answer).await.unwrap_err();
        assert_eq!(refused, "NotAuthorizedException", "{row}");
        expected += usize::from(asks);
        assert_eq!(world.asked(), expected, "{row}");
        // The flow is over: a right answer comes too late.
        let late = passkey("usr-ada", "success");
        assert!(world.answer(&session, "usr-ada", &late).await.is_err(), "{row}");
        assert_eq!(world.asked(), expected, "{row}");
    }
    assert!(world.start_flow("usr-alan").await.is_err(), "disabled");
    assert_eq!(world.signed_in("usr-ada", &passkey("usr-ada", "success")).await, "usr-ada");
}

/// The emulator lets a USERNAME through that is not the flow's.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_username_opens_nothing() {
    let world = World::start().await;
    // Grace's passkey for Ada's flow, under either name.
    for name in ["usr-ada", "usr-grace"] {
        let session = world.start_flow("usr-ada").await.unwrap();
        let answer = world.answer(&session, name, &passkey("usr-grace", "success")).await;
        assert!(answer.is_err(), "{name}: {answer:?}");
    }
    // Ada's passkey for Ada's flow, under Grace's name. AWS refuses that; the emulator takes no notice of the name, and passes
    // the flow's own on, so it is Ada who signs in.
    let session = world.start_flow("usr-ada").await.unwrap();
    let tokens = world.answer(&session, "usr-grace", &passkey("usr-ada", "success")).await.unwrap();
    assert_eq!(world.verified(&tokens).await, "usr-ada");
    // A flow of Grace's answered with Ada's passkey under Ada's name.
    let session = world.start_flow("usr-grace").await.unwrap();
    assert!(world.answer(&session, "usr-ada", &passkey("usr-ada", "success")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corbado_that_cannot_tell_lets_nobody_in_and_blocks_nobody() {
    let world = World::start().await;
    for word in ["slow", "failing", "resetting"] {
        let before = world.asked();
        let token = passkey("usr-ada", word);
        let session = world.start_flow("usr-ada").await.unwrap();
        let refused = world.answer(&session, "usr-ada", &token).await.unwrap_err();
        assert_eq!(
            refused, "InvalidLambdaResponseException",
            "{word}: the emulator's word for a trigger's error"
        );
        // Cognito, or the page, tries once more: still no, and Corbado is not asked again.
        assert!(world.answer(&session, "usr-ada", &token).await.is_err(), "{word}");
        assert_eq!(world.asked(), before + 1, "{word}");
        assert_eq!(world.signed_in("usr-ada", &passkey("usr-ada", "success")).await, "usr-ada", "{word}");
    }
}

/// Cognito calls up to three times: one question, one verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_hears_the_same_verdict() {
    let world = World::start().await;
    let verdict = |answer: &Value| answer["response"]["answerCorrect"].clone();
    for (word, expected) in [("success", true), ("slowish", true), ("invalid_signature", false)] {
        // One after the other.
        let before = world.asked();
        let token = passkey("usr-ada", word);
        for _ in 0..3 {
            let answer = world.invoke(&verify_event("usr-ada", &token, 1)).await;
            assert_eq!(verdict(&answer), expected, "{word}: {answer}");
        }
        assert_eq!(world.asked(), before + 1, "{word}");
        // All at once: those that come later wait for the first.
        let token = passkey("usr-ada", word);
        let event = verify_event("usr-ada", &token, 2);
        let answers = join_all((0..3).map(|_| world.invoke(&event))).await;
        assert!(answers.iter().all(|answer| verdict(answer) == expected), "{word}: {answers:?}");
        assert_eq!(world.asked(), before + 2, "{word}");
        // Another flow, another user: a replay.
        for (user, nonce) in [("usr-ada", 3), ("usr-grace", 2), ("USR-ADA", 2)] {
            let answer = world.invoke(&verify_event(user, &token, nonce)).await;
            assert_eq!(verdict(&answer), false, "{word}: {user}");
        }
        assert_eq!(world.asked(), before + 2, "{word}");
    }
    // A trigger that failed fails again, in the same words: within its own time, or Lambda would say it timed out.
    for word in ["failing", "slow"] {
        let token = passkey("usr-ada", word);
        for _ in 0..3 {
            let answer = world.invoke(&verify_event("usr-ada", &token, 1)).await;
            let message = "provider_unavailable: Please sign in another way.";
            assert_eq!(answer["errorMessage"], message, "{word}: {answer}");
        }
    }
    // Users who must use their password first are refused as those who do not exist.
    for (name, value) in
        [("userAttributes", json!({"cognito:user_status": "RESET_REQUIRED"})), ("userNotFound", json!(true))]
    {
        let mut event = verify_event("usr-ada", &passkey("usr-ada", "success"), 1);
        event["request"][name] = value;
        assert_eq!(verdict(&world.invoke(&event).await), false, "{name}");
    }
}

/// Whoever asked Corbado and was never heard of again: the answer stays open, and is no yes.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_question_and_verdict_is_no_yes() {
    let world = World::start().await;
    let mut pairs = world.emulator.settings().to_vec();
    pairs.push(("DYNAMODB_TABLE", world.table.clone()));
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut settings = tests::settings(&pairs);
    let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Aws).unwrap();
    let table = dynamodb::Table::from_settings(&mut settings, &https).unwrap();
    let token = passkey("usr-ada", "success");
    let key = domain::ReplayKey::token(&domain::SignedPasskeyData::new(&*token));
    let flow = domain::FlowKey::new(
        &UserIdentifier::new("usr-ada").unwrap(),
        &domain::FlowNonce::from_random([1; 32]),
    );
    let now = domain::Timestamp::from_secs(tests::now());
    let begun = domain::VerdictLog::begin(&table, key, flow, now.plus(Duration::from_secs(300)), now).await;
    assert_eq!(begun, Ok(domain::Begun::First));
    let answer = world.invoke(&verify_event("usr-ada", &token, 1)).await;
    assert_eq!(answer["errorType"], "provider_unavailable", "{answer}");
    assert_eq!(world.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sign_ins_at_once() {
    let world = World::start().await;
    let users = ["usr-ada", "usr-grace"];
    let sign_ins = (0..50).map(|number| {
        let user = users[number % 2];
        let world = &world;
        // Every fifth answer is wrong.
        let word = if number % 5 == 0 { "invalid_signature" } else { "success" };
        async move { (number, user, world.sign_in(user, &passkey(user, word)).await) }
    });
    let mut distinct = HashSet::new();
    for (number, user, outcome) in join_all(sign_ins).await {
        match outcome {
            Err(code) => {
                assert_eq!((number % 5, code.as_str()), (0, "NotAuthorizedException"), "{number}");
            }
            Ok(tokens) => {
                assert_ne!(number % 5, 0, "{number}");
                assert_eq!(world.verified(&tokens).await, user);
                distinct.insert(tokens.access_token.unwrap());
            }
        }
    }
    assert_eq!((distinct.len(), world.asked()), (40, 50));
}

// ---- AWS Amplify ----

/// What came of a sign-in by AWS Amplify, step by step.
fn amplify(world: &World, user: &str, answers: &[String]) -> Vec<Value> {
    let folder = tests::repository().join("target/tools/amplify");
    assert!(folder.join("node_modules").exists(), "Amplify is missing: run `make tools` first");
    // Beside its modules, where node looks for them.
    let script = folder.join("sign-in.mjs");
    std::fs::copy(tests::repository().join("tests/amplify/sign-in.mjs"), &script).unwrap();
    let mut process =
        Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let wanted = json!({
        "endpoint": world.emulator.url(),
        "userPoolId": world.pool,
        "userPoolClientId": world.app_client,
        "username": user,
        "answers": answers,
    });
    process.stdin.take().unwrap().write_all(wanted.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The client that Corbado's guide uses on its pages.
#[tokio::test(flavor = "multi_thread")]
async fn aws_amplify_signs_in() {
    let world = World::start().await;
    let steps = amplify(&world, "usr-ada", &[passkey("usr-ada", "success")]);
    let [challenge, done] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(challenge["step"], "CONFIRM_SIGN_IN_WITH_CUSTOM_CHALLENGE", "{challenge}");
    assert_eq!(challenge["parameters"]["challenge"], "signedPasskeyData");
    assert_eq!((&done["step"], &done["user"]), (&json!("DONE"), &json!("usr-ada")), "{done}");
    let text = |name: &str| Some(done[name].as_str().unwrap().to_owned());
    let tokens = AuthenticationResultType::builder()
        .set_access_token(text("accessToken"))
        .set_id_token(text("idToken"))
        .build();
    assert_eq!(world.verified(&tokens).await, "usr-ada");

    // The first wrong answer ends it, for the right one, too.
    let answers = [passkey("usr-ada", "invalid_signature"), passkey("usr-ada", "success")];
    let steps = amplify(&world, "usr-ada", &answers);
    assert_eq!(steps[1]["error"], "NotAuthorizedException", "{steps:?}");
    assert!(steps[2]["error"].is_string() && steps[2]["accessToken"].is_null(), "{steps:?}");
    assert_eq!(world.asked(), 2);
    // A code of ours reaches the page, which can tell the user to sign in another way.
    let steps = amplify(&world, "usr-ada", &[passkey("usr-ada", "failing")]);
    let message = steps[1]["message"].as_str().unwrap();
    assert!(message.contains("provider_unavailable: Please sign in another way."), "{steps:?}");
}

// ---- post-login and auth-api beside it ----

impl World {
    /// auth-api and post-login, deployable as the trigger is, on the same pool and table.
    async fn host(&self, more: &[(&'static str, String)]) -> TestHost {
        let mut settings = self.emulator.settings().to_vec();
        settings.extend([
            ("USER_POOL_ID", self.pool.clone()),
            ("USER_POOL_CLIENT_ID", self.app_client.clone()),
            ("COGNITO_JWKS_URL", format!("{}/{}/.well-known/jwks.json", self.emulator.url(), self.pool)),
            ("SESSION_STORE", "dynamodb".into()),
            ("DYNAMODB_TABLE", self.table.clone()),
            ("SESSION_KIND", "cognito".into()),
            ("LOGIN_PROOF_SECRETS", PROOF_SECRET.into()),
            ("CORBADO_BACKEND_API_URL", self.corbado.url()),
            ("UPSTREAM_TIMEOUT_MS", "20000".into()),
        ]);
        for (name, value) in more {
            settings.retain(|(known, _)| known != name);
            settings.push((name, value.clone()));
        }
        let pairs: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let binaries = tests::binaries().parent().unwrap().join("deployable");
        let functions = ["post-login", "auth-api"].map(|name| (name, binaries.join(name)));
        TestHost::with_functions(&functions, &pairs, Duration::from_secs(60)).await
    }
}

async fn post_login(host: &TestHost, event: Value) -> (u64, Value) {
    let invoked = host.invoke("post-login", event.to_string()).await;
    assert_eq!(invoked.function_error, None, "{}", invoked.payload);
    (invoked.payload["statusCode"].as_u64().unwrap(), invoked.payload["body"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn post_login_hands_out_the_pools_tokens() {
    let world = World::start().await;
    let host = world.host(&[]).await;
    let tokens = async |event: Value| {
        let (status, body) = post_login(&host, event).await;
        assert_eq!((status, &body["tokenType"]), (200, &json!("Bearer")), "{body}");
        assert!(body["refreshToken"].is_string() && body["expiresIn"].as_u64().unwrap() >= 300, "{body}");
        let text = |name: &str| body[name].as_str().map(ToOwned::to_owned);
        let issued = AuthenticationResultType::builder()
            .set_access_token(text("accessToken"))
            .set_id_token(text("idToken"));
        world.verified(&issued.build()).await
    };
    let ada = passkey("usr-ada", "success");
    assert_eq!(tokens(json!({"signedPasskeyData": ada})).await, "usr-ada");
    let grace = passkey("usr-grace", "success");
    assert_eq!(tokens(json!({"signedPasskeyData": grace, "userId": "usr-grace"})).await, "usr-grace");
    assert_eq!(world.asked(), 2);
    // On the word of an authenticated caller: a login proof goes to the trigger, and Corbado is not asked.
    assert_eq!(tokens(json!({"userId": "usr-ada"})).await, "usr-ada");
    assert_eq!(tokens(json!({"userId": "usr-ada"})).await, "usr-ada");
    assert_eq!(world.asked(), 2);

    let refused = async |event: Value| {
        let (status, body) = post_login(&host, event).await;
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    };
    let rejected = (401, "proof_rejected".to_owned());
    let used_here = json!({"signedPasskeyData": ada});
    assert_eq!(refused(used_here).await, rejected, "used before");
    assert_eq!(
        tests::api::login(&ada).send(&host).await.refusal(),
        (401, "proof_rejected"),
        "at auth-api, too"
    );
    let at_auth_api = passkey("usr-ada", "success");
    let opened = tests::api::login(&at_auth_api).send(&host).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    assert_eq!(refused(json!({"signedPasskeyData": at_auth_api})).await, rejected, "used at auth-api");
    let asked = world.asked();
    let other = json!({"signedPasskeyData": passkey("usr-ada", "success"), "userId": "usr-grace"});
    assert_eq!(refused(other).await, rejected, "of another user");
    assert_eq!(refused(json!({"signedPasskeyData": "letmein"})).await, rejected);
    for user in ["usr-alan", "nobody"] {
        let token = passkey(user, "success");
        assert_eq!(refused(json!({"userId": user})).await, (401, "login_refused".to_owned()), "{user}");
        assert_eq!(refused(json!({"signedPasskeyData": token})).await, rejected, "{user}: not verified yet");
    }
    assert_eq!(world.asked(), asked);
    let wrong = json!({"signedPasskeyData": passkey("usr-ada", "invalid_signature")});
    assert_eq!(refused(wrong).await, rejected);
    let failing = json!({"signedPasskeyData": passkey("usr-ada", "failing")});
    assert_eq!(refused(failing).await, (500, "provider_unavailable".to_owned()));
    assert_eq!(world.asked(), asked + 2);

    // Nothing that opens anything is in the log.
    let request = host.invoke("post-login", json!({"userId": "usr-ada"}).to_string()).await.payload;
    let access_token = request["body"]["accessToken"].as_str().unwrap();
    let lines = host.log_with("tokens_issued").await.join("\n");
    let secrets = [access_token, PROOF_SECRET, "v1.", "usr-ada", ada.as_str()];
    for (number, secret) in secrets.into_iter().enumerate() {
        assert!(!lines.contains(secret), "secret {number} is in {lines}");
    }

    let without_proofs = world.host(&[("LOGIN_PROOF_SECRETS", String::new())]).await;
    let (status, body) = post_login(&without_proofs, json!({"userId": "usr-ada"})).await;
    assert_eq!((status, &body["error"]), (401, &json!("proof_required")));
    let other_secret = world.host(&[("LOGIN_PROOF_SECRETS", "x".repeat(40))]).await;
    let (status, body) = post_login(&other_secret, json!({"userId": "usr-ada"})).await;
    assert_eq!((status, &body["error"]), (401, &json!("proof_rejected")));
    let strict = world.host(&[("REQUIRE_SIGNED_PASSKEY_DATA", "true".into())]).await;
    let (status, body) = post_login(&strict, json!({"userId": "usr-ada"})).await;
    assert_eq!((status, &body["error"]), (401, &json!("proof_required")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_client_with_a_secret_needs_it() {
    let world = World::start().await;
    let (app_client, secret) = create_app_client(&world.client, &world.pool, true).await;
    for (secret, expected) in [(secret.unwrap(), 200), (String::new(), 500), ("wrong".to_owned(), 500)] {
        let settings = [("USER_POOL_CLIENT_ID", app_client.clone()), ("USER_POOL_CLIENT_SECRET", secret)];
        let host = world.host(&settings).await;
        let event = json!({"signedPasskeyData": passkey("usr-ada", "success")});
        let (status, body) = post_login(&host, event).await;
        assert_eq!(status, expected, "{body}");
    }
    assert_eq!(world.asked(), 1);
}

/// Who logs out, or is signed out by an administrator, is signed out: at once where the pool is asked each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_counts_at_once_where_the_pool_is_asked() {
    let world = World::start().await;
    let asking = world.host(&[("COGNITO_CHECK_REVOCATION", "true".into())]).await;
    let offline = world.host(&[]).await;
    let session = |token: &str| tests::api::Call::get("/auth/session").bearer(token);
    let connect_token = |token: &str| {
        tests::api::Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"})).bearer(token)
    };
    let logout = |token: &str| tests::api::Call::new("POST", "/auth/logout").bearer(token);
    let sign_in = async || {
        let (status, body) = post_login(&offline, json!({"userId": "usr-ada"})).await;
        assert_eq!(status, 200, "{body}");
        ["accessToken", "idToken", "refreshToken"].map(|name| body[name].as_str().unwrap().to_owned())
    };
    for host in [&asking, &offline] {
        let [access, _, refresh] = sign_in().await;
        assert_eq!(session(&access).send(&asking).await.status, 200);
        assert_eq!(session(&access).send(&offline).await.status, 200);
        assert_eq!(logout(&access).send(host).await.status, 204);
        assert_eq!(session(&access).send(&asking).await.refusal(), (401, "unauthenticated"));
        assert_eq!(session(&access).send(&offline).await.status, 200, "good until it expires");
        let renewed = world
            .client
            .initiate_auth()
            .auth_flow(AuthFlowType::RefreshTokenAuth)
            .client_id(&world.app_client)
            .auth_parameters("REFRESH_TOKEN", refresh)
            .send()
            .await;
        assert!(renewed.is_err(), "the refresh token is void, too");
        assert_eq!(logout(&access).send(host).await.status, 204, "once more");
    }
    let [access, id, _] = sign_in().await;
    assert_eq!(
        connect_token(&id).send(&offline).await.status,
        500,
        "Corbado's stand-in here has no connect tokens"
    );
    assert_eq!(
        connect_token(&id).send(&asking).await.refusal(),
        (401, "unauthenticated"),
        "cannot be asked about"
    );
    let sign_out = world.client.admin_user_global_sign_out().user_pool_id(&world.pool).username("usr-ada");
    sign_out.send().await.unwrap();
    assert_eq!(session(&access).send(&asking).await.refusal(), (401, "unauthenticated"));

    // Tokens of others are not passed on to anybody.
    for token in ["a.b.c", id.as_str()] {
        assert_eq!(logout(token).send(&asking).await.status, 204);
    }
}
