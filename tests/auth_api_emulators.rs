//! auth-api, the real binary, with a user pool and a table on emulators: the pool's own tokens, forged ones, sessions
//! that several processes share, and many logins at once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::Timestamp;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tests::api::{Answer, Call, login, token};
use tests::dynamodb::create_table;
use tests::emulator::{Emulator, Tokens, create_app_client, create_pool, create_user, sign_in};
use tests::forge::{Forged, claims, with_claims};
use tests::host::TestHost;
use tests::stub::{Reaction, Stub, json};

// ---- calls, as a web page makes them ----

const CONNECT_TOKEN: &str = "/auth/corbadoConnectToken";
const SESSION: &str = "/auth/session";
const LOGOUT: &str = "/auth/logout";

#[derive(Clone, Copy)]
enum Proof<'a> {
    Nothing,
    Cookie(&'a str),
    Bearer(&'a str),
}

async fn call(host: &TestHost, path: &str, proof: Proof<'_>) -> Answer {
    let call = match path {
        SESSION => Call::get(path),
        CONNECT_TOKEN => Call::post(path, &json!({"type": "passkey-append"})),
        _ => Call::new("POST", path),
    };
    let call = match proof {
        Proof::Nothing => call,
        Proof::Cookie(id) => call.session(id),
        Proof::Bearer(token) => call.bearer(token),
    };
    call.send(host).await
}

/// A new token by which the stand-in for Corbado takes this user for proven.
fn passkey(user: &str) -> String {
    with_claims(&token("signed-passkey-data"), |claims| claims["webauthnId"] = user.into())
}

/// Logs a user in with a new token, and returns the session's id.
async fn log_in(host: &TestHost, user: &str) -> String {
    let answer = login(&passkey(user)).send(host).await;
    assert_eq!((answer.status, &answer.body), (200, &json!({"success": true})));
    answer.session()
}

/// Checks that a proof shows this user as signed in.
async fn is_signed_in(host: &TestHost, proof: Proof<'_>, user: &str) {
    let answer = call(host, SESSION, proof).await;
    assert_eq!((answer.status, answer.body["user"]["id"].as_str()), (200, Some(user)), "{answer:?}");
}

/// Checks that a proof is refused, in the words in which no proof at all is.
async fn is_refused(host: &TestHost, path: &str, proof: Proof<'_>, row: &str) {
    let nothing = call(host, path, Proof::Nothing).await;
    assert_eq!(nothing.refusal(), (401, "unauthenticated"));
    let answer = call(host, path, proof).await;
    let shown = |mut answer: Answer| {
        assert!(answer.body["requestId"].take().is_string());
        (answer.status, answer.body)
    };
    assert_eq!(shown(answer), shown(nothing), "{path}: {row}");
}

async fn host(settings: &[(&'static str, String)]) -> TestHost {
    let mut pairs = vec![("UPSTREAM_TIMEOUT_MS", "20000")];
    pairs.extend(settings.iter().map(|(name, value)| (*name, value.as_str())));
    let functions = ["auth-api", "post-login"].map(|name| (name, tests::binaries().join(name)));
    TestHost::with_functions(&functions, &pairs, Duration::from_secs(60)).await
}

// ---- a user pool ----

struct Pool {
    emulator: Emulator,
    client: Client,
    id: String,
}

impl Pool {
    async fn start() -> Self {
        let emulator = Emulator::start().await;
        let client = emulator.cognito();
        let id = create_pool(&client).await;
        create_user(&client, &id, "usr-ada", "ada@example.com", true, true).await;
        create_user(&client, &id, "usr-grace", "grace@example.com", true, true).await;
        Self { emulator, client, id }
    }

    fn jwks_url(&self) -> String {
        let settings = self.emulator.settings();
        let (_, url) = settings.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL").unwrap();
        format!("{url}/{}/.well-known/jwks.json", self.id)
    }

    /// As AWS has it, and the emulator, too.
    fn issuer(&self) -> String {
        format!("https://cognito-idp.eu-central-1.amazonaws.com/{}", self.id)
    }

    async fn host(&self, app_clients: &str, jwks_url: &str) -> TestHost {
        let mut settings = self.emulator.settings().to_vec();
        settings.push(("USER_POOL_ID", self.id.clone()));
        settings.push(("USER_POOL_CLIENT_ID", app_clients.to_owned()));
        settings.push(("COGNITO_JWKS_URL", jwks_url.to_owned()));
        host(&settings).await
    }

    async fn app_client(&self) -> String {
        create_app_client(&self.client, &self.id).await
    }

    async fn sign_in(&self, app_client: &str) -> Tokens {
        sign_in(&self.client, app_client, "usr-ada").await
    }
}

/// Who signed in with a password gets connect tokens by either of the pool's tokens, and shows as signed in by the
/// access token alone, until that expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_user_with_a_password_is_signed_in() {
    let pool = Pool::start().await;
    let (web, mobile) = (pool.app_client().await, pool.app_client().await);
    let host = pool.host(&format!("{web} {mobile}"), &pool.jwks_url()).await;
    for app_client in [&web, &mobile] {
        let tokens = pool.sign_in(app_client).await;
        for token in [&tokens.access, &tokens.id] {
            let answer = call(&host, CONNECT_TOKEN, Proof::Bearer(token)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body["connectToken"].as_str().unwrap().starts_with("ctk1_"));
        }
        let answer = call(&host, SESSION, Proof::Bearer(&tokens.access)).await;
        let expires = Timestamp::from_secs(claims(&tokens.access)["exp"].as_u64().unwrap());
        let user = json!({"id": "usr-ada", "displayName": "ada@example.com"});
        assert_eq!(answer.body, json!({"user": user, "expiresAt": expires.to_string()}));
        assert_eq!(answer.status, 200);
        is_refused(&host, SESSION, Proof::Bearer(&tokens.id), "an ID token is no session").await;
    }
}

/// Real tokens of others, and a real token changed: all refused alike, while the real one is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_others_and_changed_tokens_are_refused() {
    let pool = Pool::start().await;
    let (web, foreign) = (pool.app_client().await, pool.app_client().await);
    let other_pool = create_pool(&pool.client).await;
    create_user(&pool.client, &other_pool, "usr-ada", "ada@example.com", true, true).await;
    let other_web = create_app_client(&pool.client, &other_pool).await;
    let host = pool.host(&format!("{web} {other_web}"), &pool.jwks_url()).await;

    let tokens = pool.sign_in(&web).await;
    is_signed_in(&host, Proof::Bearer(&tokens.access), "usr-ada").await;
    let of_other_pool = pool.sign_in(&other_web).await;
    let of_other_client = pool.sign_in(&foreign).await;
    let parts: Vec<_> = tokens.access.split('.').collect();
    let header = |header: Value| BASE64_URL_SAFE_NO_PAD.encode(header.to_string());
    let mut signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    signature[100] ^= 1;
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    let of_grace = |claims: &mut Value| claims["username"] = "usr-grace".into();
    let rows = [
        ("another pool", of_other_pool.access),
        ("another pool, ID token", of_other_pool.id),
        ("another app client", of_other_client.access),
        ("another app client, ID token", of_other_client.id),
        ("a refresh token", tokens.refresh),
        ("another user", with_claims(&tokens.access, of_grace)),
        ("another signature", format!("{}.{}.{signature}", parts[0], parts[1])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", format!("{}.{}.", header(json!({"alg": "none"})), parts[1])),
        ("no header", format!(".{}.{}", parts[1], parts[2])),
        ("another part", format!("{}.{}", tokens.access, parts[2])),
    ];
    for (row, token) in rows {
        for path in [SESSION, CONNECT_TOKEN] {
            is_refused(&host, path, Proof::Bearer(&token), row).await;
        }
    }
    is_signed_in(&host, Proof::Bearer(&tokens.access), "usr-ada").await;
}

/// A user who was disabled is signed in no more, whatever they hold; others still are.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_pool_user_is_signed_out() {
    let pool = Pool::start().await;
    let web = pool.app_client().await;
    let host = pool.host(&web, &pool.jwks_url()).await;
    let session = log_in(&host, "usr-ada").await;
    let of_grace = log_in(&host, "usr-grace").await;
    let tokens = pool.sign_in(&web).await;
    let proofs = [Proof::Cookie(&session), Proof::Bearer(&session), Proof::Bearer(&tokens.access)];
    for proof in proofs {
        is_signed_in(&host, proof, "usr-ada").await;
    }
    pool.client.admin_disable_user().user_pool_id(&pool.id).username("usr-ada").send().await.unwrap();
    for proof in proofs {
        is_refused(&host, SESSION, proof, "disabled").await;
        is_refused(&host, CONNECT_TOKEN, proof, "disabled").await;
    }
    is_refused(&host, CONNECT_TOKEN, Proof::Bearer(&tokens.id), "disabled").await;
    is_signed_in(&host, Proof::Cookie(&of_grace), "usr-grace").await;
    assert_eq!(login(&passkey("usr-ada")).send(&host).await.refusal(), (401, "login_refused"));
}

// ---- forged tokens ----

/// What a token is good for.
#[derive(Clone, Copy, PartialEq)]
enum Good {
    Everywhere,
    ForConnectTokens,
    Nowhere,
}

/// `base` with some members replaced; null takes one out.
fn with(base: &Value, changes: Value) -> Value {
    let mut members = base.as_object().unwrap().clone();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    members.into()
}

fn key_set(forged: &Forged) -> Value {
    json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "curve", "alg": "ES256", "x": "AQ", "y": "AQ"},
        forged.jwk("pool", json!({"kid": "pool", "alg": "RS256", "use": "sig"})),
        forged.jwk("plain", json!({"kid": "plain"})),
        forged.jwk("plain", json!({"kid": "encryption", "use": "enc"})),
        forged.jwk("plain", json!({"kid": "longer", "alg": "RS512"})),
        forged.jwk("plain", json!({})),
    ]})
}

/// Everything that must hold of a token, each thing broken on its own; and one request for the keys serves all of it,
/// however many keys are made up.
#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_are_refused_and_the_keys_fetched_once() {
    use Good::{Everywhere, ForConnectTokens, Nowhere};
    let pool = Pool::start().await;
    let now = tests::now();
    let issuer = pool.issuer();
    let access = json!({
        "token_use": "access", "iss": issuer, "client_id": "web", "username": "usr-ada", "exp": now + 3600,
    });
    let id = json!({
        "token_use": "id", "iss": issuer, "aud": "web", "cognito:username": "usr-ada", "exp": now + 3600,
    });
    let header = json!({"alg": "RS256", "kid": "pool"});
    let signed = |row, good, claims| (row, good, "pool", header.clone(), claims);
    let broken = |row, changes| signed(row, Nowhere, with(&access, changes));
    let broken_id = |row, changes| signed(row, Nowhere, with(&id, changes));
    let headed = |row, key, changes| (row, Nowhere, key, with(&header, changes), access.clone());
    let plain = with(&header, json!({"kid": "plain"}));
    let mut rows = vec![
        signed("good", Everywhere, access.clone()),
        signed("good, an ID token", ForConnectTokens, id.clone()),
        ("good, a key of few words", Everywhere, "plain", plain, access.clone()),
        signed("good, more claims", Everywhere, with(&access, json!({"scope": "a b", "aud": "other"}))),
        broken("expired", json!({"exp": now - 1})),
        broken("expired long ago", json!({"exp": 1})),
        broken("no expiry", json!({"exp": null})),
        broken("expiry in words", json!({"exp": (now + 3600).to_string()})),
        broken("another issuer", json!({"iss": issuer.replace(&pool.id, "eu-central-1_other")})),
        broken("the issuer, and more", json!({"iss": format!("{issuer}/")})),
        broken("no issuer", json!({"iss": null})),
        broken("another app client", json!({"client_id": "other"})),
        broken("app client, empty", json!({"client_id": ""})),
        broken("no app client", json!({"client_id": null})),
        broken("the audience for the app client", json!({"client_id": null, "aud": "web"})),
        broken("no user", json!({"username": null})),
        broken("a user without name", json!({"username": ""})),
        broken("nobody", json!({"username": "nobody"})),
        broken("the other kind's user", json!({"username": null, "cognito:username": "usr-ada"})),
        broken("another use", json!({"token_use": "refresh"})),
        broken("no use", json!({"token_use": null})),
        broken("an access token as ID token", json!({"token_use": "id"})),
        broken("too long", json!({"scope": "x".repeat(16_000)})),
        broken_id("an ID token as access token", json!({"token_use": "access"})),
        broken_id("an ID token for another app client", json!({"aud": "other"})),
        broken_id("an ID token for several", json!({"aud": ["web"]})),
        broken_id("an expired ID token", json!({"exp": now - 1})),
        headed("another key under this name", "foreign", json!({})),
        headed("a key sent along", "foreign", json!({"jwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}})),
        headed("a key elsewhere", "foreign", json!({"jku": "http://127.0.0.1:1/jwks.json"})),
        headed("no algorithm", "pool", json!({"alg": "none"})),
        headed("no algorithm, otherwise", "pool", json!({"alg": "nOnE"})),
        headed("the public key as secret", "pool", json!({"alg": "HS256"})),
        headed("another hash", "pool", json!({"alg": "RS512"})),
        headed("another padding", "pool", json!({"alg": "PS256"})),
        headed("no name of a key", "pool", json!({"kid": null})),
        headed("a key for something else", "plain", json!({"kid": "encryption"})),
        headed("a key for another hash", "plain", json!({"kid": "longer"})),
        headed("a key of another kind", "pool", json!({"kid": "curve"})),
    ];
    for _ in 0..20 {
        rows.push(headed("a key made up", "pool", json!({"kid": format!("made-up-{}", rows.len())})));
    }
    let wanted: Vec<_> =
        rows.iter().map(|(_, _, key, header, claims)| (*key, header.clone(), claims.clone())).collect();
    let forged = Forged::make(&["pool", "plain", "foreign"], &wanted);
    let keys = key_set(&forged);
    let jwks = Stub::start(move |_, _| json(200, &keys)).await;
    let host = pool.host("web", &format!("{}/keys", jwks.url())).await;

    // One call after the other, so one process makes them all.
    let started = Instant::now();
    for ((row, good, ..), token) in rows.iter().zip(&forged.tokens) {
        for (path, good) in [(SESSION, *good == Everywhere), (CONNECT_TOKEN, *good != Nowhere)] {
            if good {
                let answer = call(&host, path, Proof::Bearer(token)).await;
                assert_eq!(answer.status, 200, "{path}: {row}: {answer:?}");
            } else {
                is_refused(&host, path, Proof::Bearer(token), row).await;
            }
        }
    }
    assert_eq!(host.host.idle_processes("auth-api").len(), 1);
    let received = jwks.received();
    assert!(received.iter().all(|request| request.path == "/keys" && request.method == "GET"));
    let minutes = usize::try_from(started.elapsed().as_secs() / 60).unwrap();
    assert!((1..=1 + minutes).contains(&received.len()), "{} requests", received.len());
}

/// Without the pool's keys nobody can say whether a token is good; sessions do not need them.
#[tokio::test(flavor = "multi_thread")]
async fn without_keys_tokens_wait_and_sessions_work() {
    let pool = Pool::start().await;
    let claims = json!({
        "token_use": "access", "client_id": "web", "username": "usr-ada", "exp": tests::now() + 3600,
        "iss": pool.issuer(),
    });
    let header = json!({"alg": "RS256", "kid": "pool"});
    let forged = Forged::make(&["pool", "plain"], &[("pool", header, claims)]);
    let (keys, token) = (key_set(&forged), Proof::Bearer(&forged.tokens[0]));
    let unusable = json!({"keys": [forged.jwk("pool", json!({"kid": "pool", "kty": "EC"}))]});
    let elsewhere = Reaction::Answer(302, vec![("location", "/keys".into())], String::new());
    let rows = [
        ("good", json(200, &keys)),
        ("fails", json(500, &keys)),
        ("is not there", json(404, &keys)),
        ("is elsewhere", elsewhere),
        ("is no JSON", Reaction::Answer(200, vec![], "<html>".into())),
        ("has no keys", json(200, &json!({"keys": []}))),
        ("has no key that can be used", json(200, &unusable)),
        ("breaks off", Reaction::Reset),
    ];
    for (row, reaction) in rows {
        let good = keys.clone();
        let answer = move |path: &str| if path == "/" { reaction.clone() } else { json(200, &good) };
        let jwks = Stub::start(move |request, _| answer(&request.path)).await;
        let host = pool.host("web", &format!("{}/", jwks.url())).await;
        for path in [SESSION, CONNECT_TOKEN] {
            let answer = call(&host, path, token).await;
            let expected = if row == "good" { (200, "") } else { (500, "provider_unavailable") };
            assert_eq!(answer.refusal(), expected, "{path}: {row}");
        }
        assert!(!jwks.received().is_empty());
        let session = log_in(&host, "usr-ada").await;
        is_signed_in(&host, Proof::Cookie(&session), "usr-ada").await;
        assert_eq!(call(&host, CONNECT_TOKEN, Proof::Cookie(&session)).await.status, 200, "{row}");
        assert_eq!(call(&host, LOGOUT, Proof::Cookie(&session)).await.status, 204, "{row}");
    }
}

// ---- a table ----

/// The settings for sessions in a table of this emulator, of users in the embedded store.
async fn on_table(emulator: &Emulator) -> Vec<(&'static str, String)> {
    let mut settings = emulator.settings().to_vec();
    let table = create_table(&emulator.settings()).await;
    settings.extend([
        ("AUTH_SYSTEM", "embedded".to_owned()),
        ("SESSION_STORE", "dynamodb".to_owned()),
        ("DYNAMODB_TABLE", table),
    ]);
    settings
}

/// Two sets of processes on one table know the same sessions, and the same tokens as used.
#[tokio::test(flavor = "multi_thread")]
async fn processes_on_one_table_share_sessions_and_used_tokens() {
    let emulator = Emulator::start().await;
    let settings = on_table(&emulator).await;
    let (one, other) = (host(&settings).await, host(&settings).await);
    let post_login = async |host: &TestHost, body: Value| -> Value {
        host.invoke("post-login", body.to_string()).await.payload
    };

    let made = post_login(&one, json!({"userId": "usr-ada"})).await;
    let by_post_login = made["body"]["sessionId"].as_str().unwrap();
    is_signed_in(&other, Proof::Cookie(by_post_login), "usr-ada").await;
    let answer = call(&one, SESSION, Proof::Bearer(by_post_login)).await;
    assert_eq!(answer.body["expiresAt"], made["body"]["expiresAt"]);

    let session = log_in(&one, "usr-grace").await;
    is_signed_in(&other, Proof::Cookie(&session), "usr-grace").await;
    assert_eq!(call(&other, LOGOUT, Proof::Cookie(&session)).await.status, 204);
    is_refused(&one, SESSION, Proof::Cookie(&session), "logged out elsewhere").await;
    is_signed_in(&one, Proof::Cookie(by_post_login), "usr-ada").await;
    assert_eq!((one.sessions(), other.sessions()), (0, 0), "not in the embedded stores");

    // Each host has its own stand-in for Corbado, which does not know what the other one saw: only the table does.
    let (first, second) = (passkey("usr-ada"), passkey("usr-ada"));
    assert_eq!(login(&first).send(&one).await.status, 200);
    let again = post_login(&other, json!({"signedPasskeyData": first})).await;
    assert_eq!((&again["statusCode"], &again["body"]["error"]), (&json!(401), &json!("proof_rejected")));
    assert_eq!(login(&first).send(&other).await.refusal(), (401, "proof_rejected"));
    let made = post_login(&other, json!({"signedPasskeyData": second})).await;
    assert_eq!(made["statusCode"], 200, "{made}");
    assert_eq!(login(&second).send(&one).await.refusal(), (401, "proof_rejected"));

    // One token many times at once, at both.
    let third = passkey("usr-ada");
    let calls = (0..16).map(|number| login(&third).send(if number % 2 == 0 { &one } else { &other }));
    let answers = join_all(calls).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|answer| answer.refusal() == (401, "proof_rejected")), "{refused:?}");
}

// ---- load ----

/// 1000 logins and logouts, 16 at a time: every second session ends at once, the others when all logins are done.
async fn a_thousand_logins_and_logouts(settings: &[(&'static str, String)]) {
    let mut settings = settings.to_vec();
    settings.push(("RATE_LIMIT_LOGINS_PER_MINUTE", "0".into()));
    settings.push(("RATE_LIMIT_CONNECT_TOKENS_PER_MINUTE", "0".into()));
    let host = &host(&settings).await;
    let end = async |user: &str, session: &str| {
        is_signed_in(host, Proof::Cookie(session), user).await;
        assert_eq!(call(host, LOGOUT, Proof::Cookie(session)).await.status, 204);
        let after = call(host, SESSION, Proof::Cookie(session)).await;
        assert_eq!(after.refusal(), (401, "unauthenticated"));
    };
    let begin = async |number: usize| {
        // Each pair of neighbours has one of each user, so that a mix-up would show.
        let user = if number % 4 < 2 { "usr-ada" } else { "usr-grace" };
        let session = log_in(host, user).await;
        if number.is_multiple_of(2) {
            end(user, &session).await;
        } else {
            is_signed_in(host, Proof::Cookie(&session), user).await;
        }
        (number, user, session)
    };
    let sessions: Vec<_> = stream::iter(0..1000).map(begin).buffer_unordered(16).collect().await;
    let distinct: HashSet<_> = sessions.iter().map(|(.., session)| session).collect();
    assert_eq!(distinct.len(), 1000);
    let open: Vec<_> = sessions.iter().filter(|(number, ..)| !number.is_multiple_of(2)).collect();
    assert_eq!(open.len(), 500);
    stream::iter(open).for_each_concurrent(16, async |(_, user, session)| end(user, session).await).await;
    assert_eq!(host.sessions(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_logins_and_logouts_on_the_embedded_store() {
    a_thousand_logins_and_logouts(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_logins_and_logouts_on_a_table() {
    let emulator = Emulator::start().await;
    a_thousand_logins_and_logouts(&on_table(&emulator).await).await;
}
