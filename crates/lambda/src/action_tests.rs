use super::*;
use serde_json::{Value, json};
use settings::Settings;
use std::time::UNIX_EPOCH;
use webhooks::SigningSecret;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW: u64 = 1_795_300_000;

/// Answers with what it was given; `"panic"` and `"sleep"` do as they say.
struct Echo;

impl Action for Echo {
    const NAME: &'static str = "echo";
    const FAILURE: &'static str = "Failed to echo";

    async fn answer(&self, event: &[u8], call: &Call) -> Result<Reply, Problem> {
        match event {
            br#""panic""# => panic!("planted"),
            br#""sleep""# => tokio::time::sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        let event: Value = serde_json::from_slice(event)
            .map_err(|_| Problem::new(Code::InvalidRequest, "event: not JSON"))?;
        Reply::new("echoed", &json!({"event": event, "caller": call.caller.kind()}))
    }
}

async fn respond_with(
    pairs: &[(&str, &str)],
    payload: &str,
    deadline: Option<SystemTime>,
) -> Result<Value, Crashed> {
    let mut settings = Settings::from_lookup(|name| {
        pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    });
    let callers = CallerPolicy::from_settings(&mut settings);
    let edge = Edge::new(Echo, settings.finish(callers).unwrap());
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let answer =
        edge.respond(payload, Invocation { request_id: "req-1", trace_id: None, deadline }, now).await?;
    Ok(serde_json::from_str(answer.get()).unwrap())
}

async fn respond(payload: &Value) -> Value {
    respond_with(&[("ACTION_SIGNING_SECRETS", SECRET)], &payload.to_string(), None).await.unwrap()
}

fn signed(body: &str) -> Value {
    let signature = SigningSecret::parse(SECRET).unwrap().sign("msg_1", NOW, body.as_bytes());
    json!({
        "version": "2.0",
        "requestContext": {"http": {"method": "POST"}},
        "headers": {
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": NOW.to_string(),
            "webhook-signature": signature,
        },
        "body": body,
    })
}

fn status_and_code(answer: &Value) -> (u64, String) {
    let body = match &answer["body"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        body => body.clone(),
    };
    (answer["statusCode"].as_u64().unwrap(), body["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn answers_direct_and_signed_calls() {
    let direct = respond(&json!({"a": 1})).await;
    assert_eq!(direct, json!({"statusCode": 200, "body": {"event": {"a": 1}, "caller": "direct"}}));

    let answer = respond(&signed(r#"{"a":1}"#)).await;
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["body"], r#"{"caller":"signed","event":{"a":1}}"#);
}

#[tokio::test]
async fn checks_http_before_the_signature() {
    let change = |path: &str, value: Value| {
        let mut event = signed("{}");
        *event.pointer_mut(path).unwrap() = value;
        event
    };
    let large = "x".repeat(MAX_BODY + 1);
    let rows = [
        (change("/requestContext/http/method", json!("GET")), (405, "method_not_allowed")),
        (change("/body", json!(large)), (413, "too_large")),
        (change("/headers/content-type", json!("text/plain")), (415, "unsupported_media_type")),
        (change("/headers/content-type", json!("application/jsonp")), (415, "unsupported_media_type")),
        (change("/headers/content-type", json!("Application/JSON; charset=utf-8")), (200, "")),
        (change("/headers/content-type", json!("application/cloudevents+json")), (200, "")),
        (change("/body", json!("{} ")), (401, "unauthenticated")),
        (change("/headers/webhook-id", json!("msg_2")), (401, "unauthenticated")),
        (change("/version", json!("9")), (400, "invalid_request")),
    ];
    for (event, (status, code)) in rows {
        assert_eq!(status_and_code(&respond(&event).await), (status, code.to_owned()), "{event}");
    }
    let get = respond(&change("/requestContext/http/method", json!("GET"))).await;
    assert_eq!(get["headers"]["allow"], "POST");
}

#[tokio::test]
async fn refusals_of_callers_are_all_alike() {
    let mut events = Vec::new();
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut missing = signed("{}");
        missing["headers"].as_object_mut().unwrap().remove(header);
        events.push(missing);
        let mut repeated = signed("{}");
        let value = repeated["headers"][header].clone();
        repeated["headers"][header.to_ascii_uppercase()] = value;
        events.push(repeated);
    }
    let mut stale = signed("{}");
    stale["headers"]["webhook-timestamp"] = json!((NOW - 301).to_string());
    events.push(stale);
    let mut answers: Vec<String> = Vec::new();
    for event in events {
        answers.push(respond(&event).await.to_string());
    }
    answers.push(respond_with(&[], &signed("{}").to_string(), None).await.unwrap().to_string());
    let iam = [("ACTION_CALLER_AUTH", "iam"), ("ACTION_SIGNING_SECRETS", SECRET)];
    answers.push(respond_with(&iam, &signed("{}").to_string(), None).await.unwrap().to_string());
    assert!(answers[0].contains("401") && answers[0].contains("unauthenticated"), "{}", answers[0]);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn accepts_iam_and_denies_direct_invocation_when_told() {
    let iam = [("ACTION_CALLER_AUTH", "iam"), ("ACTION_DIRECT_INVOCATION", "deny")];
    let mut event = signed("{}");
    event["requestContext"]["authorizer"] =
        json!({"iam": {"accountId": "1", "userArn": "arn:aws:iam::1:user/x"}});
    let answer = respond_with(&iam, &event.to_string(), None).await.unwrap();
    assert_eq!(answer["body"], r#"{"caller":"iam","event":{}}"#);

    let direct = respond_with(&iam, "{}", None).await.unwrap();
    assert_eq!(status_and_code(&direct), (401, "unauthenticated".to_owned()));
    assert!(direct["body"].is_object());

    // The word of IAM counts for nothing where signatures are asked for.
    let secret = [("ACTION_SIGNING_SECRETS", SECRET)];
    event["headers"]["webhook-signature"] = json!("v1,AAAA");
    let forged = respond_with(&secret, &event.to_string(), None).await.unwrap();
    assert_eq!(status_and_code(&forged), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn a_panic_is_answered_over_http_and_reported_directly() {
    assert_eq!(respond_with(&[], r#""panic""#, None).await, Err(Crashed));
    let answer = respond(&signed(r#""panic""#)).await;
    assert_eq!(status_and_code(&answer), (500, "internal_error".to_owned()));
    assert!(!answer.to_string().contains("planted"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn stops_in_time_before_the_deadline() {
    let deadline = UNIX_EPOCH + Duration::from_secs(NOW + 5);
    let started = tokio::time::Instant::now();
    let answer = respond_with(&[], r#""sleep""#, Some(deadline)).await.unwrap();
    assert_eq!(status_and_code(&answer), (500, "provider_unavailable".to_owned()));
    assert_eq!(answer["body"]["message"], "Failed to echo");
    assert_eq!(answer["body"]["requestId"], "req-1");
    assert_eq!(started.elapsed(), Duration::from_secs(5) - MARGIN);
}

#[tokio::test]
async fn a_deadline_in_the_past_is_none() {
    let answer = respond_with(&[], "{}", Some(UNIX_EPOCH)).await.unwrap();
    assert_eq!(answer["statusCode"], 200);
}

#[test]
fn reports_malformed_caller_settings() {
    let mut settings = Settings::from_lookup(|name| {
        let value = match name {
            "ACTION_CALLER_AUTH" => "none",
            "ACTION_SIGNING_SECRETS" => "whsec_planted",
            "ACTION_SIGNATURE_TOLERANCE_SECONDS" => "0",
            "ACTION_DIRECT_INVOCATION" => "maybe",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let callers = CallerPolicy::from_settings(&mut settings);
    let problems = settings.finish(callers).unwrap_err();
    let names: Vec<_> = problems.0.iter().map(|problem| problem.name).collect();
    assert_eq!(
        names,
        [
            "ACTION_CALLER_AUTH",
            "ACTION_SIGNING_SECRETS",
            "ACTION_SIGNATURE_TOLERANCE_SECONDS",
            "ACTION_DIRECT_INVOCATION"
        ]
    );
    assert!(!problems.to_string().contains("planted"));
}
