//! Parsers that can be called as they are.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{LoginProof, LoginProofs, PasskeyVerifier, SignedPasskeyData, Timestamp, UserIdentifier};
use events::{
    ConnectTokenRequest, CustomAuth, KindField, LoginRequest, PostAppend, PostLogin, PreLogin, Verified,
};
use sandbox::sample::{self, MADE_AT};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::Duration;
use webhooks::{SignatureHeaders, SigningSecret};

/// The events of a function's samples.
pub(crate) fn samples(function: &str) -> Vec<Vec<u8>> {
    let samples = sample::read_all(&tests::events(), function).unwrap();
    samples.into_iter().map(|sample| sample.event.to_string().into_bytes()).collect()
}

// ---- events of the actions, bodies of pages ----

pub(crate) fn action_events() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = sandbox::ACTIONS.into_iter().flat_map(samples).collect();
    all.retain(|event| !sample::is_http(&serde_json::from_slice(event).unwrap()));
    let bodies = [
        json!({"type": "passkey-append"}),
        json!({"connectTokenType": "passkey-delete"}),
        json!({"signedPasskeyData": "a.b.c", "userId": "usr-ada", "username": "usr-ada", "identifier": " ada "}),
    ];
    all.extend(bodies.map(|body| body.to_string().into_bytes()));
    all
}

/// What is accepted is a member of that name with that very text.
pub(crate) fn action_event(input: &[u8]) -> bool {
    // Without a limit of depth there is no other reading of the whole.
    let other: Option<Value> = serde_json::from_slice(input).ok();
    let check = |name: &str, value: &str| {
        if let Some(other) = &other {
            assert_eq!(other[name].as_str(), Some(value), "{name}");
        }
    };
    let mut accepted = false;
    if let Ok(event) = PostAppend::parse(input) {
        check("username", event.username.as_str());
        accepted = true;
    }
    if let Ok(event) = PreLogin::parse(input) {
        if let Some(other) = &other {
            assert_eq!(other["identifier"].as_str().unwrap().trim_matches(' '), event.identifier.as_str());
        }
        accepted = true;
    }
    if let Ok(event) = PostLogin::parse(input) {
        assert!(event.user_id.is_some() || event.signed_passkey_data.is_some());
        if let Some(user) = event.user_id {
            check("userId", user.as_str());
        }
        if let Some(token) = event.signed_passkey_data {
            check("signedPasskeyData", token.expose());
        }
        accepted = true;
    }
    if let Ok(event) = LoginRequest::parse(input) {
        check("signedPasskeyData", event.signed_passkey_data.expose());
        accepted = true;
    }
    for (field, name) in [(KindField::Type, "type"), (KindField::ConnectTokenType, "connectTokenType")] {
        if let Ok(request) = ConnectTokenRequest::parse(input, field) {
            let word = match request.kind {
                domain::ConnectTokenKind::Append => "passkey-append",
                domain::ConnectTokenKind::List => "passkey-list",
                domain::ConnectTokenKind::Delete => "passkey-delete",
            };
            check(name, word);
            accepted = true;
        }
    }
    accepted
}

// ---- Cognito's events ----

pub(crate) fn trigger_views() -> Vec<Vec<u8>> {
    samples("custom-auth")
}

/// What is accepted is written back as it came, but for the response.
pub(crate) fn trigger_view(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(event) = CustomAuth::parse(text) else { return false };
    let written = event.respond(&Verified { answer_correct: false }).unwrap();
    let again = CustomAuth::parse(&written).unwrap();
    assert_eq!(again.respond(&Verified { answer_correct: false }).unwrap(), written, "once more is the same");
    assert_eq!((&again.user, &again.pool, again.may_sign_in), (&event.user, &event.pool, event.may_sign_in));
    // Depth and large numbers have no other reading.
    if let (Ok(Value::Object(mut before)), Ok(Value::Object(mut after))) =
        (serde_json::from_str(text), serde_json::from_str(&written))
    {
        let mut expected = before.remove("response").filter(Value::is_object).unwrap_or_else(|| json!({}));
        let response = after.remove("response").unwrap();
        assert_eq!(response["answerCorrect"], false);
        // A response with a member twice is not taken over.
        if response.as_object().unwrap().len() > 1 {
            expected["answerCorrect"] = false.into();
            assert_eq!(response, expected);
        }
        assert_eq!(before, after);
        if let Some(user) = &event.user {
            assert_eq!(before["userName"].as_str(), Some(user.as_str()));
        }
    }
    true
}

// ---- signatures ----

const ID: &str = "msg_fuzz";
const BODY: &str = r#"{"userId":"usr-ada"}"#;

fn secret() -> SigningSecret {
    SigningSecret::parse(sample::SECRET).unwrap()
}

/// Id, timestamp and signatures in a line each, then the body.
pub(crate) fn signature_headers() -> Vec<Vec<u8>> {
    let right = secret().sign(ID, MADE_AT, BODY.as_bytes());
    let others = format!("v1a,AAAA v1,AAAA {right} v1,{}", "A".repeat(44));
    [right, others].map(|it| format!("{ID}\n{MADE_AT}\n{it}\n{BODY}").into_bytes()).to_vec()
}

/// What holds is what was signed.
pub(crate) fn signature_header() -> impl Fn(&[u8]) -> bool {
    let secrets = [secret()];
    let right = secret().sign(ID, MADE_AT, BODY.as_bytes());
    move |input| {
        let mut parts = input.splitn(4, |byte| *byte == b'\n');
        let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        let (id, timestamp, signatures) = (text(), text(), text());
        let body = parts.next().unwrap_or_default();
        let headers = SignatureHeaders { id: &id, timestamp: &timestamp, signatures: &signatures };
        let held = webhooks::verify(&secrets, headers, body, MADE_AT, Duration::from_secs(300));
        if held.is_ok() {
            let content = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
            assert_eq!(content, format!("{ID}.{MADE_AT}.{BODY}").into_bytes());
            assert!(signatures.split(' ').any(|candidate| candidate == right), "{signatures}");
        }
        held.is_ok()
    }
}

// ---- tokens that nobody has verified ----

const PROJECT: &str = "pro-sandbox";

pub(crate) fn unverified_tokens() -> Vec<Vec<u8>> {
    // The claims in the clear, so that changes get into them; and whole tokens.
    let mut all = Vec::new();
    for event in samples("post-login") {
        let event: Value = serde_json::from_slice(&event).unwrap();
        let Some(token) = event["signedPasskeyData"].as_str() else { continue };
        all.push(token.as_bytes().to_vec());
        let parts: Vec<_> = token.split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part)).collect();
        if let [Ok(header), Ok(claims), Ok(signature)] = parts.as_slice() {
            all.push([header.as_slice(), claims, signature].join(&b'\n'));
        }
    }
    all
}

/// What passes names its user, of our project, for a limited time, under one algorithm.
pub(crate) fn unverified_token() -> impl Fn(&[u8]) -> bool {
    let mut settings = tests::settings(&[("CORBADO_PROJECT_ID", PROJECT), ("CORBADO_API_SECRET", "x")]);
    let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Public).unwrap();
    let verifier = corbado::Verifier::from_settings(&mut settings, &https);
    let verifier = settings.finish(verifier).unwrap();
    move |input| {
        let lines: Vec<_> = input.splitn(3, |byte| *byte == b'\n').collect();
        let token = match lines.as_slice() {
            [header, claims, signature] => {
                [header, claims, signature].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it)).join(".")
            }
            _ => String::from_utf8_lossy(input).into_owned(),
        };
        let passed = verifier.inspect(SignedPasskeyData::new(&*token), Timestamp::from_secs(MADE_AT));
        let Ok(inspected) = passed else { return false };
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(parts.len(), 3);
        let read = |part: &str| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).ok();
        let (header, claims): (Option<Value>, Option<Value>) = (read(parts[0]), read(parts[1]));
        if let (Some(header), Some(claims)) = (header, claims) {
            assert_eq!((&header["alg"], &claims["iss"]), (&json!("RS256"), &json!(PROJECT)));
            assert_eq!(claims["webauthnId"].as_str(), Some(inspected.user().as_str()));
            let exp = claims["exp"].as_u64().unwrap();
            assert!((MADE_AT - 59..=MADE_AT + 3600).contains(&exp));
        }
        true
    }
}

// ---- answers of your authentication system ----

pub(crate) fn auth_system_answers() -> Vec<Vec<u8>> {
    let user = json!({"id": "usr-ada", "status": "active", "displayName": "Ada", "email": "ada@example.com",
        "mfa": {"enabled": true, "preferredMethod": "passkey", "otherFactor": false}});
    let session = json!({"user": "usr-ada", "created": 1, "expires": 2_000_000_000_000_u64, "lastSeen": 1});
    let answers = [
        json!({"user": user}),
        json!({"user": null}),
        json!({"users": [{"id": "usr-ada", "status": "disabled", "verified": true}]}),
        json!({"users": []}),
        json!({"session": session}),
        json!({"session": null}),
        json!({"created": true}),
        json!({}),
    ];
    answers.map(|answer| answer.to_string().into_bytes()).to_vec()
}

/// What is read is what the answer says.
pub(crate) fn auth_system_answer(input: &[u8]) -> bool {
    let read = rest::fuzzing::read(input);
    let other: Option<Value> = serde_json::from_slice(input).ok();
    let Some(other) = other else {
        assert!(read.is_empty() || !input.is_empty());
        return !read.is_empty();
    };
    for answer in &read {
        match answer {
            rest::fuzzing::Answer::User(None) => assert!(other["user"].is_null()),
            rest::fuzzing::Answer::User(Some(user)) => {
                assert_eq!(other["user"]["id"].as_str(), Some(user.id.as_str()));
                assert_eq!(user.status == domain::AccountStatus::Active, other["user"]["status"] == "active");
                assert_eq!(other["user"]["mfa"]["enabled"], user.mfa.enabled);
            }
            rest::fuzzing::Answer::Session(None) => assert!(other["session"].is_null()),
            rest::fuzzing::Answer::Session(Some(session)) => {
                assert_eq!(other["session"]["user"].as_str(), Some(session.user.as_str()));
                let expires = Timestamp::from_millis(other["session"]["expires"].as_u64().unwrap());
                assert_eq!(expires, session.expires);
            }
            rest::fuzzing::Answer::Matches(count) => {
                assert_eq!(other["users"].as_array().unwrap().len(), *count)
            }
            rest::fuzzing::Answer::Created(created) => assert_eq!(other["created"], *created),
            rest::fuzzing::Answer::Done => assert!(other.is_object()),
        }
    }
    !read.is_empty()
}

// ---- login proofs ----

const PROOF_SECRET: &str = "fuzzing-signs-login-proofs-with-this-key";

fn proofs() -> (LoginProofs, UserIdentifier, LoginProof) {
    let proofs = LoginProofs::new(&SecretString::from(PROOF_SECRET)).unwrap();
    let user = UserIdentifier::new("usr-ada").unwrap();
    let proof = proofs.make(&user, [7; 16], Timestamp::from_secs(MADE_AT));
    (proofs, user, proof)
}

pub(crate) fn login_proofs() -> Vec<Vec<u8>> {
    let (_, _, proof) = proofs();
    vec![proof.expose().as_bytes().to_vec(), b"v1.1.AAAA.AAAA".to_vec()]
}

/// What holds is the one that was made, letter by letter.
pub(crate) fn login_proof() -> impl Fn(&[u8]) -> bool {
    let (proofs, user, made) = proofs();
    move |input| {
        let text = String::from_utf8_lossy(input);
        let held = proofs.check(&LoginProof::new(&*text), &user, Timestamp::from_secs(MADE_AT + 1)).is_ok();
        assert!(!held || text == made.expose());
        held
    }
}
