//! What is sent to the functions: real shapes, with signatures and tokens of this very moment.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

/// Signs the calls of the actions.
pub(crate) const SIGNING_SECRET: &str = "whsec_dGhlIGJlbmNoIHNpZ25zIHdpdGggdGhpcyBzZWNyZXQ=";
pub(crate) const PROJECT: &str = "pro-bench";
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// An event to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// An action's event as it is.
    Direct(Action),
    /// The same over a function URL, signed.
    Signed(Action),
    /// A page posts `signedPasskeyData` to auth-api.
    Verify,
    /// Cognito asks custom-auth for its verdict on an answer.
    Challenge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    PreLogin,
    PostLogin,
    PostAppend,
}

impl Event {
    /// The payload of one invocation.
    pub(crate) fn payload(self) -> String {
        match self {
            Self::Direct(action) => action.event(),
            Self::Signed(action) => {
                let body = action.event();
                let (id, now) = (random(), now());
                let signature = sign(&id, now, &body);
                let headers = json!({
                    "webhook-id": id,
                    "webhook-timestamp": now.to_string(),
                    "webhook-signature": signature,
                });
                http("/", headers, &body)
            }
            Self::Verify => http(
                "/auth/passkey/verify",
                json!({"origin": ORIGIN}),
                &json!({"signedPasskeyData": token()}).to_string(),
            ),
            Self::Challenge => challenge(),
        }
    }
}

impl Action {
    fn event(self) -> String {
        match self {
            Self::PreLogin => json!({"identifier": "usr-ada"}),
            Self::PostLogin => json!({"signedPasskeyData": token()}),
            Self::PostAppend => json!({"username": "usr-ada"}),
        }
        .to_string()
    }
}

/// A POST through a function URL or an HTTP API.
fn http(path: &str, more_headers: Value, body: &str) -> String {
    let mut headers = json!({
        "content-type": "application/json",
        "host": "abcdefghij.lambda-url.eu-central-1.on.aws",
        "user-agent": "corbado-action",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    });
    for (name, value) in more_headers.as_object().unwrap() {
        headers[name] = value.clone();
    }
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.lambda-url.eu-central-1.on.aws",
            "domainPrefix": "abcdefghij",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "corbado-action"},
            "requestId": "6f0c0c5e-0000-4000-8000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
    .to_string()
}

/// Cognito's trigger, in the shape of its documentation.
fn challenge() -> String {
    json!({
        "version": "1",
        "region": "eu-central-1",
        "userPoolId": "eu-central-1_bench",
        "userName": "usr-ada",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "1example23456789"},
        "triggerSource": "VerifyAuthChallengeResponse_Authentication",
        "request": {
            "userAttributes": {
                "sub": "usr-ada", "email_verified": "true", "cognito:user_status": "CONFIRMED", "email": "ada@example.com",
            },
            "challengeAnswer": token(),
            "privateChallengeParameters": {"nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
        },
        "response": {"answerCorrect": null},
    })
    .to_string()
}

/// A token as Corbado's look; the stand-in calls any a success.
fn token() -> String {
    let now = now();
    let claims = json!({
        "iss": PROJECT, "sub": "usr-1234567890", "exp": now + 290, "nbf": now - 10, "iat": now, "jti": random(),
        "processId": "cpr-1234567890", "username": "", "credential": "cre-1234567890", "challengeId": "was-1234567890",
        "webauthnId": "usr-ada", "isCUI": false,
    });
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = part(br#"{"alg":"RS256","kid":"pki-bench","typ":"JWT"}"#);
    format!("{header}.{}.{}", part(claims.to_string().as_bytes()), part(&[7; 256]))
}

/// Source: the Standard Webhooks specification.
fn sign(id: &str, timestamp: u64, body: &str) -> String {
    let key = BASE64_STANDARD.decode(&SIGNING_SECRET[6..]).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes())))
}

fn random() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
