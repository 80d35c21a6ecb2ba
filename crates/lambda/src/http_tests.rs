use super::*;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// Answers with what it was asked; `/panic` and `/sleep` do as they say.
struct Echo;

impl HttpService for Echo {
    const NAME: &'static str = "echo";
    const FAILURE: &'static str = "Failed to echo";

    fn let_read(&self, origins: &HeaderMap, response: &mut Response<Bytes>) {
        for origin in origins.get_all("origin") {
            response.headers_mut().append("let-read", origin.clone());
        }
    }

    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        match request.uri().path() {
            "/panic" => panic!("planted"),
            "/sleep" => tokio::time::sleep(Duration::from_secs(3600)).await,
            _ => {}
        }
        let context = request.extensions().get::<RequestContext>().unwrap();
        let body = json!({
            "method": request.method().as_str(),
            "path": request.uri().path(),
            "addresses": context.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "cookies": request.headers().get_all("cookie").iter().count(),
        });
        let mut response = Response::new(Bytes::from(body.to_string()));
        response.headers_mut().append("set-cookie", HeaderValue::from_static("a=1"));
        response
    }
}

async fn respond(payload: &Value) -> Value {
    let deadline = UNIX_EPOCH + Duration::from_secs(5);
    let invocation = Invocation { request_id: "req-1", trace_id: None, deadline: Some(deadline) };
    let answer = HttpEdge::new(Echo).respond(&payload.to_string(), invocation, UNIX_EPOCH).await.unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

fn v2(path: &str, headers: Value) -> Value {
    json!({
        "version": "2.0",
        "rawPath": path,
        "headers": headers,
        "requestContext": {"http": {"method": "GET", "sourceIp": "203.0.113.7"}},
    })
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn passes_requests_on_and_answers_back() {
    let answer = respond(&v2("/a", json!({"x-forwarded-for": "198.51.100.1, 203.0.113.7"}))).await;
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(answer["cookies"], json!(["a=1"]));
    assert_eq!(answer["headers"]["x-request-id"], "req-1");
    assert_eq!(answer["headers"]["cache-control"], "no-store");
    let expected =
        json!({"method": "GET", "path": "/a", "addresses": ["198.51.100.1", "203.0.113.7"], "cookies": 0});
    assert_eq!(body(&answer), expected);

    let rows = [
        ("junk, 198.51.100.1", vec!["198.51.100.1", "203.0.113.7"]),
        ("6.6.6.6, junk", vec!["203.0.113.7"]),
        ("6.6.6.6, junk, 198.51.100.1", vec!["198.51.100.1", "203.0.113.7"]),
        ("6.6.6.6, 203.0.113.7:4711", vec!["6.6.6.6", "203.0.113.7"]),
        ("[2001:db8::1]:443, [2001:db8::2]", vec!["2001:db8::1", "2001:db8::2", "203.0.113.7"]),
    ];
    for (forwarded, expected) in rows {
        let answer = respond(&v2("/a", json!({"x-forwarded-for": forwarded}))).await;
        assert_eq!(body(&answer)["addresses"], json!(expected), "{forwarded}");
    }
    let by_alb = json!({
        "httpMethod": "GET",
        "path": "/a",
        "requestContext": {"elb": {}},
        "headers": {"x-forwarded-for": "6.6.6.6, 198.51.100.1:4711"},
    });
    assert_eq!(body(&respond(&by_alb).await)["addresses"], json!(["6.6.6.6", "198.51.100.1"]));
}

#[tokio::test(start_paused = true)]
async fn refuses_what_is_no_request_and_survives_the_rest() {
    let headers = (0..40_000).map(|index| (format!("x-{index}"), json!("x")));
    let headers = headers.collect::<serde_json::Map<_, _>>();
    let rows = [
        (v2("/a", headers.into()), 400, "invalid_request"),
        (json!({"username": "ada"}), 400, "invalid_request"),
        (json!({"headers": {}}), 400, "invalid_request"),
        (v2("/a", json!({"bad name": "x"})), 400, "invalid_request"),
        (v2("/a", json!({"x": "line\nbreak"})), 400, "invalid_request"),
        (v2("no slash \u{0}", json!({})), 400, "invalid_request"),
        (v2("/panic", json!({})), 500, "internal_error"),
        (v2("/sleep", json!({})), 500, "provider_unavailable"),
    ];
    for (payload, status, code) in rows {
        let answer = respond(&payload).await;
        assert_eq!(answer["statusCode"], status, "{payload}");
        let body = if answer["body"].is_object() { answer["body"].clone() } else { body(&answer) };
        assert_eq!(body["error"], code, "{payload}");
        assert!(!answer.to_string().contains("planted"));
    }
}

/// Whatever the edge answers itself, pages of admitted origins may read it.
#[tokio::test(start_paused = true)]
async fn lets_pages_read_what_the_edge_answers() {
    let origin = "https://app.example.com";
    for (path, headers) in [
        ("/a", json!({"origin": origin, "bad name": "x"})),
        ("/panic", json!({"Origin": origin})),
        ("/sleep", json!({"origin": origin})),
    ] {
        let answer = respond(&v2(path, headers)).await;
        assert_eq!(answer["headers"]["let-read"], origin, "{path}");
    }
    let unread = respond(&v2("/a", json!({"origin": "line\nbreak"}))).await;
    assert!(unread["headers"].get("let-read").is_none());
}
