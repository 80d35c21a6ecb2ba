//! The sample events below `events/`, and how to bring them up to date.
//!
//! The files are complete and never change: signatures and tokens in them were made at [`MADE_AT`], the signatures
//! with [`SECRET`]. [`fresh`] moves them to another time and signs anew with a function's own secret what was signed well.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use webhooks::{SignatureHeaders, SigningSecret};

use crate::function::random_name;

/// When the samples were made: 2026-01-01T00:00:00Z, in seconds since the epoch.
pub const MADE_AT: u64 = 1_767_225_600;
/// The secret that the samples are signed with. Published here, so: for nothing else.
pub const SECRET: &str = "whsec_c2FtcGxlIGV2ZW50cyBhcmUgc2lnbmVkIHdpdGggdGhpcw==";

/// The origin of the page in the samples of auth-api.
pub const ORIGIN: &str = "https://app.example.com";

/// Where a trigger's event has the token.
const ANSWER: &str = "/request/challengeAnswer";

/// A sample: an event and the answer to it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The function it is for.
    pub function: String,
    /// The name of the case.
    pub case: String,
    /// The event.
    pub event: Value,
    /// `{"statusCode", "body"}`, the body as an object whatever the envelope, or null for none; of a trigger's event
    /// `{"response"}`, or `{"errorType", "errorMessage"}`; see [`matches()`].
    pub expected: Value,
}

/// Reads one sample below `events`.
pub fn read(events: &Path, function: &str, case: &str) -> io::Result<Sample> {
    let json = |suffix: &str| -> io::Result<Value> {
        let path: PathBuf = events.join(function).join(format!("{case}{suffix}"));
        let text = std::fs::read(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(serde_json::from_slice(&text)?)
    };
    Ok(Sample {
        function: function.to_owned(),
        case: case.to_owned(),
        event: json(".json")?,
        expected: json(".expected.json")?,
    })
}

/// Reads all samples of a function, by name.
pub fn read_all(events: &Path, function: &str) -> io::Result<Vec<Sample>> {
    cases(events, function)?.iter().map(|case| read(events, function, case)).collect()
}

/// The names of a function's samples.
pub fn cases(events: &Path, function: &str) -> io::Result<Vec<String>> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(events.join(function))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(case) = name.strip_suffix(".json").filter(|case| !case.ends_with(".expected")) {
            cases.push(case.to_owned());
        }
    }
    cases.sort_unstable();
    Ok(cases)
}

/// Moves a sample's event to `now` (seconds since the epoch): the times in its token and signature keep their distance
/// to the present, tokens become new ones, and a signature that was right is made again with `secret`.
pub fn fresh(event: &Value, secret: &SigningSecret, now: u64) -> io::Result<Value> {
    let mut event = event.clone();
    if !is_http(&event) {
        renew_token(&mut event, now)?;
        return Ok(event);
    }
    let was_right = was_signed_well(&event);
    let body = body_bytes(&event);
    let body = match serde_json::from_slice::<Value>(&body) {
        Ok(mut inner) if inner.get("signedPasskeyData").is_some() => {
            renew_token(&mut inner, now)?;
            inner.to_string().into_bytes()
        }
        _ => body,
    };
    set_body(&mut event, &body);
    let timestamp = header(&event, "webhook-timestamp").and_then(|text| text.parse::<u64>().ok());
    if let Some(timestamp) = timestamp.map(|timestamp| shift(timestamp, now)) {
        set_header(&mut event, "webhook-timestamp", &timestamp.to_string());
        if was_right {
            let id = format!("msg_{}", random_name()?);
            set_header(&mut event, "webhook-signature", &secret.sign(&id, timestamp, &body));
            set_header(&mut event, "webhook-id", &id);
        }
    }
    Ok(event)
}

/// Signs a sample's event with [`SECRET`], over the id and timestamp it has: for those who write a new sample.
pub fn sign(event: &mut Value) -> Result<(), &'static str> {
    let id = header(event, "webhook-id").ok_or("no header webhook-id")?;
    let timestamp = header(event, "webhook-timestamp").and_then(|text| text.parse().ok());
    let timestamp = timestamp.ok_or("no header webhook-timestamp in seconds since the epoch")?;
    let secret = SigningSecret::parse(SECRET).ok_or("the samples' secret is malformed")?;
    let signature = secret.sign(&id, timestamp, &body_bytes(event));
    set_header(event, "webhook-signature", &signature);
    Ok(())
}

/// Tells whether an event is in the envelope of a gateway, or looks like it.
pub fn is_http(event: &Value) -> bool {
    ["requestContext", "httpMethod", "rawPath", "headers"].iter().any(|name| event.get(name).is_some())
}

/// Compares an answer with what a sample expects, and says where they differ.
///
/// An expected string in angle brackets stands for any text of a kind: `<session id>`, `<timestamp>`, `<request id>`, `<nonce>`.
/// The answer must fit the event's envelope: an object as body for a direct call, else text and headers. The answer to a
/// trigger's event must be that event, but for `response` and the token that [`fresh`] has renewed.
pub fn matches(sample: &Sample, answer: &Value) -> Result<(), String> {
    let shown = |what: &str| Err(format!("{}/{}: {what}\nin {answer}", sample.function, sample.case));
    if let Some(response) = sample.expected.get("response") {
        let mut whole = sample.event.clone();
        if let Some(members) = whole.as_object_mut() {
            members.insert("response".to_owned(), response.clone());
        }
        if let (Some(sent), Some(came)) = (whole.pointer_mut(ANSWER), answer.pointer(ANSWER)) {
            *sent = came.clone();
        }
        return if same(&whole, answer) { Ok(()) } else { shown(&format!("expected {whole}")) };
    }
    if sample.expected.get("errorType").is_some() {
        let expected = &sample.expected;
        return if expected == answer { Ok(()) } else { shown(&format!("expected {expected}")) };
    }
    let Some(body) = answer.get("body") else { return shown("no body") };
    let body = match (is_http(&sample.event), body) {
        (false, Value::Object(_)) => body.clone(),
        (true, Value::String(text)) if text.is_empty() => Value::Null,
        (true, Value::String(text)) => match serde_json::from_str(text) {
            Ok(body) => body,
            Err(_) => return shown("the body is no JSON"),
        },
        _ => return shown("the body does not fit the envelope"),
    };
    if is_http(&sample.event) {
        let multi_value = sample.event.get("multiValueHeaders").is_some_and(Value::is_object)
            && sample.event.pointer("/requestContext/elb").is_some();
        let name = if multi_value { "multiValueHeaders" } else { "headers" };
        let content_type = (!body.is_null()).then_some(("content-type", "application/json"));
        for (header, expected) in content_type.into_iter().chain([("cache-control", "no-store")]) {
            let expected = if multi_value { json!([expected]) } else { json!(expected) };
            if answer.get(name).and_then(|headers| headers.get(header)) != Some(&expected) {
                return shown(&format!("{name}/{header} is not {expected}"));
            }
        }
    }
    let actual = json!({"statusCode": answer.get("statusCode"), "body": body});
    if same(&sample.expected, &actual) { Ok(()) } else { shown(&format!("expected {}", sample.expected)) }
}

fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(kind), Value::String(text)) if kind.starts_with('<') => is_of_kind(kind, text),
        (Value::Object(expected), Value::Object(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .all(|(name, value)| actual.get(name).is_some_and(|actual| same(value, actual)))
        }
        _ => expected == actual,
    }
}

fn is_of_kind(kind: &str, text: &str) -> bool {
    let base64url = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match kind {
        "<session id>" | "<nonce>" => text.len() == 43 && text.chars().all(base64url),
        "<timestamp>" => text.len() == 24 && text.ends_with('Z') && text.contains('T'),
        "<request id>" => !text.is_empty() && text.len() <= 64,
        _ => false,
    }
}

fn shift(time: u64, now: u64) -> u64 {
    time.saturating_add(now).saturating_sub(MADE_AT)
}

/// Moves the times of a token's claims, and gives it a new `jti`. What is no token stays as it is.
fn renew_token(event: &mut Value, now: u64) -> io::Result<()> {
    let slot = if event.get("triggerSource").is_some() { ANSWER } else { "/signedPasskeyData" };
    let Some(Value::String(token)) = event.pointer_mut(slot) else { return Ok(()) };
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Ok(()) };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok();
    let Some(Value::Object(mut claims)) = claims.and_then(|json| serde_json::from_slice(&json).ok()) else {
        return Ok(());
    };
    for name in ["iat", "nbf", "exp"] {
        if let Some(time) = claims.get(name).and_then(Value::as_u64) {
            claims.insert(name.to_owned(), shift(time, now).into());
        }
    }
    claims.insert("jti".to_owned(), random_name()?.into());
    let claims = BASE64_URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
    *token = format!("{header}.{claims}.{signature}");
    Ok(())
}

fn was_signed_well(event: &Value) -> bool {
    let (Some(id), Some(timestamp), Some(signatures), Some(secret)) = (
        header(event, "webhook-id"),
        header(event, "webhook-timestamp"),
        header(event, "webhook-signature"),
        SigningSecret::parse(SECRET),
    ) else {
        return false;
    };
    let Ok(at) = timestamp.parse() else { return false };
    let headers = SignatureHeaders { id: &id, timestamp: &timestamp, signatures: &signatures };
    webhooks::verify(&[secret], headers, &body_bytes(event), at, Duration::ZERO).is_ok()
}

/// The decoded body of an event in an envelope.
pub fn body_bytes(event: &Value) -> Vec<u8> {
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    let base64 = event.get("isBase64Encoded") == Some(&Value::Bool(true));
    if base64 { BASE64_STANDARD.decode(body).unwrap_or_default() } else { body.as_bytes().to_vec() }
}

fn set_body(event: &mut Value, body: &[u8]) {
    let base64 = event.get("isBase64Encoded") == Some(&Value::Bool(true));
    let text = if base64 { BASE64_STANDARD.encode(body) } else { String::from_utf8_lossy(body).into_owned() };
    if let Some(slot @ Value::String(_)) = event.get_mut("body") {
        *slot = Value::String(text);
    }
}

/// A header's first value, whatever the case of its name.
fn header(event: &Value, name: &str) -> Option<String> {
    headers(event).into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The headers of an event in an envelope, each value on its own.
pub fn headers(event: &Value) -> Vec<(String, String)> {
    let members = |name: &str| event.get(name).and_then(Value::as_object);
    if let Some(several) = members("multiValueHeaders") {
        let values = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let pairs = several
            .iter()
            .flat_map(|(name, value)| values(value).into_iter().map(move |value| (name.clone(), value)));
        return pairs.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect();
    }
    let pairs = members("headers").into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Replaces the value of a header that is there, in both places where it may be.
fn set_header(event: &mut Value, name: &str, value: &str) {
    for place in ["headers", "multiValueHeaders"] {
        let Some(headers) = event.get_mut(place).and_then(Value::as_object_mut) else { continue };
        for (known, slot) in headers {
            if known.eq_ignore_ascii_case(name) {
                match slot {
                    Value::Array(values) => values.fill(Value::from(value)),
                    slot => *slot = Value::from(value),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(exp: u64) -> String {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.c3VjY2Vzcw",
            part(json!({"alg": "RS256"})),
            part(json!({"exp": exp, "webauthnId": "a"}))
        )
    }

    fn signed(body: &str, timestamp: u64) -> Value {
        let signature = SigningSecret::parse(SECRET).unwrap().sign("msg_1", timestamp, body.as_bytes());
        json!({
            "requestContext": {"http": {"method": "POST"}},
            "headers": {
                "Webhook-Id": "msg_1",
                "webhook-timestamp": timestamp.to_string(),
                "webhook-signature": signature,
            },
            "body": body,
        })
    }

    #[test]
    fn moves_times_and_signs_anew_what_was_signed_well() {
        let own = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let now = MADE_AT + 1000;
        let body = json!({"signedPasskeyData": token(MADE_AT + 300)}).to_string();
        let event = fresh(&signed(&body, MADE_AT - 5), &own, now).unwrap();

        assert_eq!(event["headers"]["webhook-timestamp"], (now - 5).to_string());
        assert_ne!(event["headers"]["Webhook-Id"], "msg_1");
        let headers = SignatureHeaders {
            id: event["headers"]["Webhook-Id"].as_str().unwrap(),
            timestamp: event["headers"]["webhook-timestamp"].as_str().unwrap(),
            signatures: event["headers"]["webhook-signature"].as_str().unwrap(),
        };
        let body = body_bytes(&event);
        assert!(webhooks::verify(&[own], headers, &body, now, Duration::from_secs(5)).is_ok());
        let inner: Value = serde_json::from_slice(&body).unwrap();
        let token = inner["signedPasskeyData"].as_str().unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["exp"], now + 300);
        assert!(token.ends_with(".c3VjY2Vzcw"));
    }

    #[test]
    fn signs_a_new_sample() {
        let mut event = signed("{}", MADE_AT);
        event["body"] = json!("{ }");
        assert!(!was_signed_well(&event));
        sign(&mut event).unwrap();
        assert!(was_signed_well(&event));
    }

    #[test]
    fn leaves_a_bad_signature_bad() {
        let own = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut event = signed("{}", MADE_AT);
        event["body"] = json!("{ }");
        let fresh = fresh(&event, &own, MADE_AT + 9).unwrap();
        assert_eq!(fresh["headers"]["webhook-signature"], event["headers"]["webhook-signature"]);
        assert_eq!(fresh["headers"]["Webhook-Id"], "msg_1");
        assert_eq!(fresh["headers"]["webhook-timestamp"], (MADE_AT + 9).to_string());
    }

    #[test]
    fn compares_by_kind_and_by_envelope() {
        let sample = |event: Value, body: Value| Sample {
            function: "f".into(),
            case: "c".into(),
            event,
            expected: json!({"statusCode": 200, "body": body}),
        };
        let direct = sample(json!({}), json!({"at": "<timestamp>"}));
        let answer = |body: Value| json!({"statusCode": 200, "body": body});
        assert!(matches(&direct, &answer(json!({"at": "2026-01-01T00:00:00.000Z"}))).is_ok());
        assert!(matches(&direct, &answer(json!({"at": "today"}))).is_err());
        assert!(matches(&direct, &answer(json!({"at": "2026-01-01T00:00:00.000Z", "more": 1}))).is_err());
        assert!(matches(&direct, &answer(json!(r#"{"at":"2026-01-01T00:00:00.000Z"}"#))).is_err());
        let http = sample(json!({"requestContext": {}}), json!({}));
        assert!(matches(&http, &answer(json!("{}"))).is_err(), "no headers");
        let headers = json!({"content-type": "application/json", "cache-control": "no-store"});
        assert!(matches(&http, &json!({"statusCode": 200, "headers": headers, "body": "{}"})).is_ok());
    }
}
