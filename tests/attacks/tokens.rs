//! What proves a user: Corbado's tokens at each function, login proofs, the pool's own tokens.

use serde_json::{Value, json};
use tests::api::{Call, login};
use tests::forge::{claims, with_claims};

use crate::world::{On, World, good_token, invoke, jwt, page, trigger};
use crate::{Attack, Meets, Sent, rows};

const REJECTED: Meets = Meets::Refusal(401, "proof_rejected");
const REFUSED: Meets = Meets::Refusal(401, "login_refused");
const NOBODY: Meets = Meets::Refusal(401, "unauthenticated");
const ANSWER: &str = "/request/challengeAnswer";
const NONCE: &str = "/request/privateChallengeParameters/nonce";

pub(crate) fn table(world: &World) -> Vec<Attack> {
    [passkeys(), uses(), challenges(), provider(world)].into_iter().flatten().collect()
}

fn post_login(token: &str) -> Sent {
    invoke("post-login", &json!({"signedPasskeyData": token}))
}

/// A good token with other claims. The stand-in for Corbado takes the signature's word for it, so only our own checks and
/// its user check stand between.
fn claiming(changes: Value) -> String {
    with_claims(&good_token(), |claims| {
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    })
}

fn passkeys() -> Vec<Attack> {
    let row = rows("token");
    let good = claims(&good_token());
    let header = |changes: Value| {
        let mut header = json!({"alg": "RS256", "kid": "pki-1", "typ": "JWT"});
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        header
    };
    let headed = |changes: Value| post_login(&jwt(&header(changes), &good, b"success"));
    let now = tests::now();
    let nested = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let raw = |claims: &str| {
        use base64::Engine;
        let part = |text: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text);
        post_login(&format!("{}.{}.{}", part(&header(json!({})).to_string()), part(claims), part("success")))
    };
    let text = good.to_string();
    let twice = text.replacen('{', r#"{"webauthnId":"usr-grace","#, 1);
    let beside = |id: &str| invoke("post-login", &json!({"userId": id, "signedPasskeyData": good_token()}));
    vec![
        row("alg none", "3.5.3", headed(json!({"alg": "none"})), REJECTED),
        row("alg none, in other letters", "3.5.3", headed(json!({"alg": "nOnE"})), REJECTED),
        row("HS256", "3.5.3", headed(json!({"alg": "HS256"})), REJECTED),
        row("RS256 in small letters", "3.5.3", headed(json!({"alg": "rs256"})), REJECTED),
        row("several algorithms", "3.5.3", headed(json!({"alg": ["RS256", "none"]})), REJECTED),
        row(
            "no signature",
            "3.5.3",
            post_login(&format!("{}.", good_token().rsplit_once('.').unwrap().0)),
            REJECTED,
        ),
        row(
            "Corbado says the signature is wrong",
            "3.5.3",
            post_login(&jwt(&header(json!({})), &good, b"invalid_signature")),
            REJECTED,
        ),
        row(
            "Corbado says something new",
            "4.1.5",
            post_login(&jwt(&header(json!({})), &claims(&good_token()), b"Success")),
            REJECTED,
        ),
        row("of another project", "3.5.3", post_login(&claiming(json!({"iss": "pro-other"}))), REJECTED),
        row(
            "of a project that begins alike",
            "3.5.3",
            post_login(&claiming(json!({"iss": "pro-sandbox2"}))),
            REJECTED,
        ),
        row("expired", "3.5.3", post_login(&claiming(json!({"exp": now - 61}))), REJECTED),
        row("not yet valid", "3.5.3", post_login(&claiming(json!({"nbf": now + 120}))), REJECTED),
        row("good for ever", "3.5.3", post_login(&claiming(json!({"exp": now + 10_000_000}))), REJECTED),
        row("expiry as text", "5.1.4", post_login(&claiming(json!({"exp": "9999999999"}))), REJECTED),
        row(
            "expiry as a number of 400 digits",
            "5.1.4",
            raw(&text.replacen('{', &format!(r#"{{"x":1,"exp":1{},"#, "0".repeat(400)), 1)),
            REJECTED,
        ),
        row("user twice", "5.1.1", raw(&twice), REJECTED),
        row("no user", "5.1.4", post_login(&claiming(json!({"webauthnId": null}))), REJECTED),
        row(
            "a control character in the user",
            "5.1.3",
            post_login(&claiming(json!({"webauthnId": "usr-ada\u{0}"}))),
            REJECTED,
        ),
        row(
            "claims nested 5000 deep",
            "5.5.3",
            raw(&format!(r#"{{"x":{nested},"iss":"pro-other"}}"#)),
            REJECTED,
        ),
        row("claims as a list", "5.1.4", raw(r#"["pro-sandbox","usr-1",9999999999,1,"usr-ada"]"#), REJECTED),
        row("of 17 KiB", "5.1.4", post_login(&claiming(json!({"x": "x".repeat(17_000)}))), REJECTED),
        row(
            "a token within the token",
            "3.5.3",
            post_login(&jwt(&header(json!({"cty": "JWT"})), &json!(good_token()), b"success")),
            REJECTED,
        ),
        row(
            "in JSON serialisation",
            "3.5.3",
            invoke("post-login", &json!({"signedPasskeyData": {"payload": good}})),
            Meets::Refusal(400, "invalid_request"),
        ),
        row("another user named beside it", "4.2.1", beside("usr-grace"), REJECTED),
        row("a Cyrillic look-alike named beside it", "4.2.1", beside("usr-\u{430}da"), REJECTED),
        row("a full-width look-alike named beside it", "4.2.1", beside("usr\u{ff0d}ada"), REJECTED),
        row("a zero-width space named beside it", "4.2.1", beside("usr-ada\u{200b}"), REJECTED),
        row("capitals named beside it", "4.2.1", beside("USR-ADA"), REJECTED),
        row(
            "for a look-alike",
            "4.2.1",
            post_login(&claiming(json!({"webauthnId": "usr-\u{430}da"}))),
            REFUSED,
        ),
        row(
            "for a decomposed look-alike",
            "4.2.1",
            post_login(&claiming(json!({"webauthnId": "usr-a\u{301}da"}))),
            REFUSED,
        ),
        row(
            "for a user who is disabled",
            "4.1.3",
            post_login(&claiming(json!({"webauthnId": "usr-alan"}))),
            REFUSED,
        ),
        row(
            "for a user who must reset the password",
            "4.1.3",
            post_login(&claiming(json!({"webauthnId": "usr-edsger"}))),
            REFUSED,
        ),
    ]
}

/// One token, one session, wherever it is used.
fn uses() -> Vec<Attack> {
    let row = rows("token use");
    let at_page = |token: &str| page(login(token));
    let newer = |token: &str| page(Call::post("/auth/completeLogin", &json!({"signedPasskeyData": token})));
    let at_trigger = |token: &str| invoke("custom-auth", &trigger("verify", &[(ANSWER, json!(token))]));
    let token = good_token;
    let twice = |name, first: &dyn Fn(&str) -> Sent, second: &dyn Fn(&str) -> Sent, meets| {
        let token = token();
        row(name, "2.2.6", second(&token), meets).after(vec![first(&token)])
    };
    let spelt_otherwise = |token: &str| post_login(&format!("{token}="));
    vec![
        twice("post-login, then post-login", &post_login, &post_login, REJECTED),
        twice("post-login, then auth-api", &post_login, &at_page, REJECTED),
        twice("post-login, then custom-auth", &post_login, &at_trigger, Meets::Wrong),
        twice("auth-api, then post-login", &at_page, &post_login, REJECTED),
        twice("auth-api, then its newer endpoint", &at_page, &newer, REJECTED),
        twice("auth-api, then custom-auth", &at_page, &at_trigger, Meets::Wrong),
        twice("custom-auth, then auth-api", &at_trigger, &at_page, REJECTED),
        twice("custom-auth, then post-login", &at_trigger, &post_login, REJECTED),
        twice("once more, padded", &post_login, &spelt_otherwise, REJECTED),
    ]
}

fn challenges() -> Vec<Attack> {
    let row = rows("challenge");
    let verify = |changes: &[(&str, Value)]| invoke("custom-auth", &trigger("verify", changes));
    let fresh = || (ANSWER, json!(good_token()));
    let define = |rounds: Value, more: &[(&str, Value)]| {
        let changes = [&[("/request/session", rounds)], more].concat();
        invoke("custom-auth", &trigger("define-first", &changes))
    };
    let round = |name: &str, result: Value| json!({"challengeName": name, "challengeResult": result});
    let used = good_token();
    let other_flow = json!("HxwdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA");
    let proof = format!("v1.{}.{}.{}", tests::now() + 20, "A".repeat(22), "A".repeat(43));
    vec![
        row(
            "another user's passkey",
            "4.2.1",
            verify(&[fresh(), ("/userName", json!("usr-grace"))]),
            Meets::Wrong,
        ),
        row(
            "a look-alike's user name",
            "4.2.1",
            verify(&[fresh(), ("/userName", json!("usr-\u{430}da"))]),
            Meets::Wrong,
        ),
        row("no user name", "4.1.5", verify(&[fresh(), ("/userName", Value::Null)]), Meets::Wrong),
        row(
            "a user whom the pool does not know",
            "4.1.3",
            verify(&[fresh(), ("/request/userNotFound", json!(true))]),
            Meets::Wrong,
        ),
        row(
            "a user who must change the password",
            "4.1.3",
            verify(&[
                fresh(),
                ("/request/userAttributes", json!({"cognito:user_status": "FORCE_CHANGE_PASSWORD"})),
            ]),
            Meets::Wrong,
        ),
        row(
            "an answer told beforehand",
            "4.1.2",
            verify(&[(ANSWER, json!("letmein")), ("/response", json!({"answerCorrect": true}))]),
            Meets::Wrong,
        ),
        row(
            "no nonce of a flow",
            "2.9.2",
            verify(&[fresh(), ("/request/privateChallengeParameters", Value::Null)]),
            Meets::Wrong,
        ),
        row(
            "a token that another flow has used",
            "2.2.6",
            verify(&[(ANSWER, json!(used)), (NONCE, other_flow)]),
            Meets::Wrong,
        )
        .after(vec![verify(&[(ANSWER, json!(used))])]),
        row(
            "a forged login proof, while none is configured",
            "3.5.3",
            verify(&[(ANSWER, json!(proof))]),
            Meets::Wrong,
        ),
        row("an answer of 1 MB", "5.1.4", verify(&[(ANSWER, json!("x".repeat(1 << 20)))]), Meets::Wrong),
        row(
            "right after a wrong answer",
            "2.2.1",
            define(
                json!([round("CUSTOM_CHALLENGE", json!(false)), round("CUSTOM_CHALLENGE", json!(true))]),
                &[],
            ),
            Meets::Failed,
        ),
        row(
            "another challenge counted as right",
            "11.1.1",
            define(json!([round("SRP_A", json!(true))]), &[]),
            Meets::Failed,
        ),
        row(
            "a result that is text",
            "5.1.4",
            define(json!([round("CUSTOM_CHALLENGE", json!("true"))]), &[]),
            Meets::Failed,
        ),
        row(
            "rounds as an object",
            "5.1.4",
            define(json!({"0": round("CUSTOM_CHALLENGE", json!(true))}), &[]),
            Meets::Failed,
        ),
        row(
            "right, of a user whom the pool does not know",
            "4.1.3",
            define(
                json!([round("CUSTOM_CHALLENGE", json!(true))]),
                &[("/request/userNotFound", json!(true))],
            ),
            Meets::Failed,
        ),
        row(
            "tokens told beforehand",
            "4.1.2",
            define(
                json!([round("CUSTOM_CHALLENGE", json!(false))]),
                &[("/response", json!({"issueTokens": true}))],
            ),
            Meets::Failed,
        ),
        row(
            "an event of another pool",
            "4.1.5",
            verify(&[fresh(), ("/userPoolId", json!("eu-central-1_other"))]),
            Meets::Fault("invalid_request"),
        )
        .on(On::Pool),
        row(
            "another trigger",
            "4.1.5",
            invoke("custom-auth", &trigger("verify", &[("/triggerSource", json!("PreSignUp_SignUp"))])),
            Meets::Fault("invalid_request"),
        ),
    ]
}

/// Tokens of the user pool at auth-api. The good one is let in first, so that it is the trick that is refused.
fn provider(world: &World) -> Vec<Attack> {
    let row = rows("pool token");
    let call = |token: &str| page(Call::get("/auth/session").bearer(token));
    let tricks: [(&'static str, &'static str); 13] = [
        ("alg none", "3.5.3"),
        ("HS256 with the public key", "3.5.3"),
        ("another key under this kid", "3.5.3"),
        ("kid as a path", "3.5.3"),
        ("kid with SQL", "5.3.4"),
        ("a key sent along", "3.5.3"),
        ("a key elsewhere", "3.5.3"),
        ("expired", "3.5.3"),
        ("another pool", "3.5.3"),
        ("another app client", "3.5.3"),
        ("an ID token", "3.5.3"),
        ("a disabled user", "4.1.3"),
        ("a look-alike user", "4.2.1"),
    ];
    let good = || vec![call(&world.forged["good"])];
    tricks
        .into_iter()
        .map(|(trick, asvs)| row(trick, asvs, call(&world.forged[trick]), NOBODY).on(On::Pool).after(good()))
        .collect()
}
