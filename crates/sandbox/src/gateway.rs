//! Function URLs: HTTP requests to events in payload format 2.0, answers back to HTTP.
//!
//! Source: AWS Lambda developer guide, "Invoking Lambda function URLs".

use std::collections::BTreeMap;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::function::Outcome;

/// Makes the event of a request to a function URL.
pub(crate) fn event(parts: &Parts, path: &str, body: &Bytes, request_id: &str) -> Value {
    let mut headers = joined_headers(&parts.headers);
    let cookies = headers.remove("cookie").unwrap_or_default();
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let host = headers.get("host").cloned().unwrap_or_default();
    let agent = headers.get("user-agent").cloned().unwrap_or_default();
    let cookies: Vec<&str> = cookies.split("; ").filter(|cookie| !cookie.is_empty()).collect();
    let text = is_text(&parts.headers).then(|| std::str::from_utf8(body).ok()).flatten();
    let encoded = text.map_or_else(|| BASE64_STANDARD.encode(body), ToOwned::to_owned);
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": agent,
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": u64::try_from(time).unwrap_or_default(),
        },
        "isBase64Encoded": text.is_none(),
    });
    if let Some(event) = event.as_object_mut() {
        if !cookies.is_empty() {
            event.insert("cookies".into(), json!(cookies));
        }
        if !body.is_empty() {
            event.insert("body".into(), Value::from(encoded));
        }
    }
    event
}

/// Header names in lower case, the values of repeated ones joined by commas.
fn joined_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    joined
}

/// Tells whether the gateway passes such a body on as text.
fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    #[serde(default)]
    cookies: Vec<String>,
}

/// Makes the HTTP answer; whatever is no proper answer becomes a 502, as behind the real gateway.
pub(crate) fn answer(outcome: &Outcome) -> Response<Body> {
    let Outcome::Answered(payload) = outcome else {
        return bad_gateway();
    };
    proper_answer(payload).unwrap_or_else(bad_gateway)
}

fn proper_answer(payload: &[u8]) -> Option<Response<Body>> {
    let answer: Answer = serde_json::from_slice(payload).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { BASE64_STANDARD.decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::builder().status(answer.status_code);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    for cookie in &answer.cookies {
        response = response.header(header::SET_COOKIE, cookie);
    }
    response.body(Body::from(body)).ok()
}

fn bad_gateway() -> Response<Body> {
    let mut response = Response::new(Body::from(r#"{"message":"Internal Server Error"}"#));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn event_of(request: Request<()>, body: &'static [u8]) -> Value {
        let (parts, ()) = request.into_parts();
        event(&parts, "/", &Bytes::from_static(body), "req-1")
    }

    #[test]
    fn joins_repeated_headers_and_splits_cookies() {
        let request = Request::post("http://localhost/?a=1")
            .header("webhook-id", "a")
            .header("Webhook-Id", "b")
            .header("cookie", "x=1; y=2")
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let event = event_of(request, b"{}");
        assert_eq!(event["headers"]["webhook-id"], "a,b");
        assert_eq!(event["cookies"], json!(["x=1", "y=2"]));
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert_eq!(event["rawQueryString"], "a=1");
        assert_eq!(event["requestContext"]["http"]["method"], "POST");
    }

    #[test]
    fn encodes_bodies_that_are_no_text() {
        let untyped = event_of(Request::post("/").body(()).unwrap(), b"{}");
        assert_eq!((&untyped["body"], &untyped["isBase64Encoded"]), (&json!("e30="), &json!(true)));
        let json = Request::post("/").header("content-type", "application/json").body(()).unwrap();
        assert_eq!(event_of(json, b"\xff")["isBase64Encoded"], true);
    }

    #[test]
    fn answers_502_for_what_is_no_proper_answer() {
        let status = |payload: &'static str| {
            answer(&Outcome::Answered(Bytes::from_static(payload.as_bytes()))).status().as_u16()
        };
        assert_eq!(status(r#"{"statusCode":201,"body":"x","headers":{"a":"b"}}"#), 201);
        assert_eq!(status(r#"{"statusCode":200,"body":{}}"#), 502);
        assert_eq!(status(r#"{"statusCode":200,"headers":{"a":"b\n"}}"#), 502);
        assert_eq!(status("x"), 502);
        assert_eq!(answer(&Outcome::Failed(Bytes::new())).status(), 502);
    }
}
