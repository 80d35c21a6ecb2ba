//! The answer that fits each of the five shapes.

use serde_json::{Map, Value, json};

use crate::envelope::Shape;

/// Headers of every answer with a body.
pub(crate) const JSON_HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("cache-control", "no-store")];

/// Renders an answer to a direct call; `body` is JSON text.
pub(crate) fn direct(status: u16, body: &str) -> String {
    format!(r#"{{"statusCode":{status},"body":{body}}}"#)
}

/// Renders an HTTP answer.
pub(crate) fn http(shape: Shape, status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let mut answer = Map::new();
    answer.insert("statusCode".into(), status.into());
    let is_cookie = |name: &str| name == "set-cookie";
    match shape {
        // Cookies are on their own; cargo-lambda's gateway fails on an answer without them.
        Shape::V2 => {
            let cookies: Vec<_> =
                headers.iter().filter(|(name, _)| is_cookie(name)).map(|(_, value)| value).collect();
            answer.insert("cookies".into(), json!(cookies));
            answer.insert("headers".into(), single(headers.iter().filter(|(name, _)| !is_cookie(name))));
        }
        // A REST API joins both; only this one keeps several cookies apart.
        Shape::V1 if headers.iter().any(|(name, _)| is_cookie(name)) => {
            answer.insert("headers".into(), single(headers.iter().filter(|(name, _)| !is_cookie(name))));
            answer.insert(
                "multiValueHeaders".into(),
                several(headers.iter().filter(|(name, _)| is_cookie(name))),
            );
        }
        Shape::AlbMultiValue => {
            answer.insert("multiValueHeaders".into(), several(headers.iter()));
        }
        Shape::V1 | Shape::Alb | Shape::Direct => {
            answer.insert("headers".into(), single(headers.iter()));
        }
    }
    answer.insert("body".into(), body.into());
    answer.insert("isBase64Encoded".into(), false.into());
    Value::Object(answer).to_string()
}

fn single<'a>(headers: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Value {
    Value::Object(headers.map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect())
}

fn several<'a>(headers: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Value {
    let mut members = Map::new();
    for (name, value) in headers {
        let values = members.entry(*name).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(Value::from(*value));
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_each_gateway_understands() {
        let body = r#"{"a":"\""}"#;
        assert_eq!(direct(200, body), r#"{"statusCode":200,"body":{"a":"\""}}"#);
        let headers = [("content-type", "x"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
        let common = json!({"statusCode": 200, "body": body, "isBase64Encoded": false});
        let rows = [
            (Shape::V2, json!({"headers": {"content-type": "x"}, "cookies": ["a=1", "b=2"]})),
            (
                Shape::V1,
                json!({"headers": {"content-type": "x"}, "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]}}),
            ),
            (
                Shape::AlbMultiValue,
                json!({"multiValueHeaders": {"content-type": ["x"], "set-cookie": ["a=1", "b=2"]}}),
            ),
        ];
        for (shape, mut expected) in rows {
            if let (Some(expected), Some(common)) = (expected.as_object_mut(), common.as_object()) {
                expected.extend(common.clone());
            }
            let answer: Value = serde_json::from_str(&http(shape, 200, &headers, body)).unwrap();
            assert_eq!(answer, expected, "{shape:?}");
        }
        let plain: Value = serde_json::from_str(&http(Shape::V1, 200, &JSON_HEADERS, body)).unwrap();
        assert_eq!(plain["headers"]["cache-control"], "no-store");
        let cookie_by_alb: Value = serde_json::from_str(&http(Shape::Alb, 200, &headers[..2], body)).unwrap();
        assert_eq!(cookie_by_alb["headers"]["set-cookie"], "a=1");
    }
}
