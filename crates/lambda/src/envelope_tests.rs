use super::*;

/// What [`recognise`] made of a payload, in few words.
fn arrived(payload: &str) -> String {
    match recognise(payload) {
        Arrived::Direct(event) => format!("direct {}", String::from_utf8_lossy(&event)),
        Arrived::Unknown(cause) => format!("unknown {cause:?}"),
        Arrived::Http(request) => format!(
            "{:?} {} {:?} {}{}",
            request.shape,
            request.method,
            request.headers.all("webhook-id"),
            String::from_utf8_lossy(&request.body),
            if request.iam { " iam" } else { "" }
        ),
    }
}

#[test]
fn recognises_the_five_shapes() {
    let rows = [
        (r#"{"username":"ada"}"#, r#"direct {"username":"ada"}"#),
        (r#"{"body":"{\"username\":\"ada\"}"}"#, r#"direct {"username":"ada"}"#),
        (r#"{"body":"eyJhIjoxfQ==","isBase64Encoded":true}"#, r#"direct {"a":1}"#),
        (
            r#"{"version":"2.0","requestContext":{"http":{"method":"POST"}},"headers":{"Webhook-Id":"a"},"body":"{}"}"#,
            r#"V2 POST ["a"] {}"#,
        ),
        (
            // As cargo-lambda sends it.
            r#"{"version":"2.0","httpMethod":"POST","requestContext":{"http":{"method":"POST"},"authorizer":{}},"headers":{},"body":"e30=","isBase64Encoded":true}"#,
            "V2 POST [] {}",
        ),
        (
            r#"{"version":"2.0","requestContext":{"http":{"method":"GET"},"authorizer":{"iam":{"accountId":"1","userArn":"arn:x"}}},"headers":{}}"#,
            "V2 GET []  iam",
        ),
        (
            r#"{"httpMethod":"POST","requestContext":{"requestId":"1"},"headers":{"webhook-id":"x"},"multiValueHeaders":{"webhook-ID":["a","b"]},"body":null}"#,
            r#"V1 POST ["a", "b"] "#,
        ),
        (
            r#"{"version":"1.0","httpMethod":"POST","requestContext":{},"headers":{"WEBHOOK-ID":"a","webhook-id":"b"},"multiValueHeaders":null,"body":"{}"}"#,
            r#"V1 POST ["a", "b"] {}"#,
        ),
        (
            r#"{"httpMethod":"POST","requestContext":{"elb":{"targetGroupArn":"x"}},"headers":{"webhook-id":"a"},"body":"{}"}"#,
            r#"Alb POST ["a"] {}"#,
        ),
        (
            r#"{"httpMethod":"POST","requestContext":{"elb":{}},"multiValueHeaders":{"webhook-id":["a"]},"body":"{}"}"#,
            r#"AlbMultiValue POST ["a"] {}"#,
        ),
    ];
    for (payload, expected) in rows {
        assert_eq!(arrived(payload), expected, "{payload}");
    }
}

#[test]
fn never_takes_a_gateway_like_event_for_a_direct_call() {
    let rows = [
        (r#"{"requestContext":null,"username":"ada"}"#, "unknown Shape"),
        (r#"{"requestContext":{},"username":"ada"}"#, "unknown Shape"),
        (r#"{"httpMethod":"POST","username":"ada"}"#, "unknown Shape"),
        (r#"{"rawPath":"/","username":"ada"}"#, "unknown Shape"),
        (r#"{"headers":{},"username":"ada"}"#, "unknown Shape"),
        (r#"{"multiValueHeaders":{},"username":"ada"}"#, "unknown Shape"),
        (r#"{"\u0068eaders":{},"username":"ada"}"#, "unknown Shape"),
        (
            r#"{"version":"3.0","requestContext":{"http":{"method":"POST"}},"headers":{},"body":"{}"}"#,
            "unknown Shape",
        ),
        (
            r#"{"version":"1.0","httpMethod":"POST","requestContext":{"http":{"method":"POST"}}}"#,
            "unknown Shape",
        ),
        (
            r#"{"version":"2.0","httpMethod":"POST","requestContext":{"elb":{}},"headers":{}}"#,
            "unknown Shape",
        ),
        (
            r#"{"version":"1.0","httpMethod":"POST","requestContext":{"elb":{}},"headers":{}}"#,
            "unknown Shape",
        ),
        (r#"{"version":2.0,"requestContext":{"http":{"method":"POST"}},"headers":{}}"#, "unknown Shape"),
        (r#"{"headers":{},"headers":{},"username":"ada"}"#, "unknown Shape"),
        (
            r#"{"version":"2.0","requestContext":{"http":{"method":"POST"}},"requestContext":{"http":{"method":"POST"}},"headers":{}}"#,
            "unknown Shape",
        ),
        (r#"{"httpMethod":7,"requestContext":{}}"#, "unknown Shape"),
        (r#"{"httpMethod":"POST","requestContext":[]}"#, "unknown Shape"),
        (r#"{"httpMethod":"POST","requestContext":{},"headers":{"a":1}}"#, "unknown Headers"),
        (r#"{"httpMethod":"POST","requestContext":{},"headers":[]}"#, "unknown Headers"),
        (r#"{"httpMethod":"POST","requestContext":{},"multiValueHeaders":{"a":"b"}}"#, "unknown Headers"),
        (r#"{"httpMethod":"POST","requestContext":{},"body":{}}"#, "unknown Body"),
        (r#"{"httpMethod":"POST","requestContext":{},"body":"*","isBase64Encoded":true}"#, "unknown Body"),
        (r#"{"httpMethod":"POST","requestContext":{},"body":"","isBase64Encoded":"yes"}"#, "unknown Body"),
    ];
    for (payload, expected) in rows {
        assert_eq!(arrived(payload), expected, "{payload}");
    }
}

#[test]
fn leaves_any_other_payload_as_it_is() {
    let rows = [
        "null",
        "[]",
        r#"["headers"]"#,
        r#""text""#,
        "7",
        "{}",
        r#"{"body":{"username":"ada"}}"#,
        r#"{"body":null}"#,
        r#"{"body":"*","isBase64Encoded":true}"#,
        r#"{"username":"ada","body":"{\"username\":\"eve\"}"}"#,
        r#"{"username":"ada","username":"eve"}"#,
        r#"{"body":"{}","body":"{}"}"#,
    ];
    for payload in rows {
        assert_eq!(arrived(payload), format!("direct {payload}"));
    }
}

#[test]
fn finds_path_source_and_cookies() {
    let rows = [
        (
            r#"{"version":"2.0","rawPath":"/auth/session","cookies":["a=1","b=2"],"headers":{"Cookie":"a=1; b=2"},"requestContext":{"stage":"$default","http":{"method":"GET","sourceIp":"1.2.3.4"}}}"#,
            ("/auth/session", Some("1.2.3.4"), 2),
        ),
        (
            r#"{"version":"2.0","rawPath":"/prod/auth/session","headers":{},"requestContext":{"stage":"prod","http":{"method":"GET"}}}"#,
            ("/auth/session", None, 0),
        ),
        (
            r#"{"version":"2.0","rawPath":"/production","headers":{},"requestContext":{"stage":"prod","http":{"method":"GET"}}}"#,
            ("/production", None, 0),
        ),
        (
            r#"{"httpMethod":"GET","path":"/auth/session","headers":{"Cookie":"a=1"},"requestContext":{"stage":"auth","path":"/auth/auth/session","identity":{"sourceIp":"::1"}}}"#,
            ("/auth/session", Some("::1"), 1),
        ),
        (
            r#"{"version":"1.0","httpMethod":"GET","path":"/dev/auth/session","headers":{},"requestContext":{"stage":"dev","path":"/dev/auth/session"}}"#,
            ("/auth/session", None, 0),
        ),
        (
            r#"{"httpMethod":"GET","path":"/auth/session","headers":{},"requestContext":{"elb":{}}}"#,
            ("/auth/session", None, 0),
        ),
    ];
    for (payload, (path, source, cookies)) in rows {
        let Arrived::Http(request) = recognise(payload) else { panic!("{payload}") };
        assert_eq!((request.path.as_str(), request.source.as_deref()), (path, source), "{payload}");
        assert_eq!(request.headers.all("cookie").len(), cookies, "{payload}");
    }
}
