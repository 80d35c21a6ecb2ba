//! The five shapes in which a call arrives.
//!
//! 1. the event itself (direct invocation);
//! 2. payload format 2.0 (function URL, HTTP API);
//! 3. payload format 1.0 (REST API, HTTP API);
//! 4. Application Load Balancer, headers with one value;
//! 5. Application Load Balancer, headers with several values.
//!
//! What arrived is recognised before anything of the event is read. Whatever looks like a gateway's event and
//! is none of these is refused: taken for a direct call it would pass as authorised by IAM.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What arrived.
#[derive(Debug)]
pub(crate) enum Arrived<'a> {
    /// The event itself; not necessarily an object, or valid at all.
    Direct(Cow<'a, [u8]>),
    /// An HTTP request.
    Http(HttpRequest),
    /// Like a gateway's event, but of no known shape, or one that cannot be read.
    Unknown(Unreadable),
}

/// Why a gateway's event is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("envelope: gateway event of unknown shape")]
    Shape,
    #[error("envelope: headers not readable")]
    Headers,
    #[error("envelope: body not readable")]
    Body,
}

/// Which answer is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Direct,
    V2,
    V1,
    Alb,
    AlbMultiValue,
}

/// An HTTP request, whatever gateway passed it on.
#[derive(Debug)]
pub(crate) struct HttpRequest {
    pub(crate) shape: Shape,
    pub(crate) method: String,
    /// Without the stage of the gateway.
    pub(crate) path: String,
    /// The address that the gateway itself saw; a load balancer tells it in `x-forwarded-for` only.
    pub(crate) source: Option<String>,
    pub(crate) headers: Headers,
    /// The decoded bytes, as they were signed.
    pub(crate) body: Vec<u8>,
    /// A function URL with `AWS_IAM` (or an HTTP API with IAM authorisation) vouches for the caller.
    pub(crate) iam: bool,
}

/// Headers by lower-case name, in the order of arrival, repeated ones kept.
#[derive(Debug, Default)]
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// All headers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of a header; `name` in lower case.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// Recognises what arrived.
pub(crate) fn recognise(payload: &str) -> Arrived<'_> {
    let Ok(top) = serde_json::from_str::<Top<'_>>(payload) else {
        return Arrived::Direct(Cow::Borrowed(payload.as_bytes()));
    };
    if !top.looks_like_gateway() {
        return Arrived::Direct(top.direct_event(payload));
    }
    match top.http_request() {
        Ok(request) => Arrived::Http(request),
        Err(unreadable) => Arrived::Unknown(unreadable),
    }
}

/// The members of a payload that tell its shape.
#[derive(Default)]
struct Top<'a> {
    version: Option<&'a RawValue>,
    request_context: Option<&'a RawValue>,
    http_method: Option<&'a RawValue>,
    raw_path: Option<&'a RawValue>,
    path: Option<&'a RawValue>,
    cookies: Option<&'a RawValue>,
    headers: Option<&'a RawValue>,
    multi_value_headers: Option<&'a RawValue>,
    body: Option<&'a RawValue>,
    is_base64_encoded: Option<&'a RawValue>,
    /// There are members beside these.
    others: bool,
    /// One of these is there twice: no gateway does that, and nobody can say which counts.
    repeated: bool,
}

impl<'de> Deserialize<'de> for Top<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Top<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top<'de>, A::Error> {
                let mut top = Top::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let member = match name.as_ref() {
                        "version" => &mut top.version,
                        "requestContext" => &mut top.request_context,
                        "httpMethod" => &mut top.http_method,
                        "rawPath" => &mut top.raw_path,
                        "path" => &mut top.path,
                        "cookies" => &mut top.cookies,
                        "headers" => &mut top.headers,
                        "multiValueHeaders" => &mut top.multi_value_headers,
                        "body" => &mut top.body,
                        "isBase64Encoded" => &mut top.is_base64_encoded,
                        _ => {
                            top.others = true;
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let earlier = member.replace(map.next_value()?);
                    top.repeated |= earlier.is_some();
                }
                Ok(top)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// What `requestContext` tells, in any of its shapes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    elb: Option<IgnoredAny>,
    http: Option<HttpContext>,
    authorizer: Option<serde_json::Value>,
    identity: Option<Identity>,
    stage: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpContext {
    method: String,
    source_ip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
}

impl<'a> Top<'a> {
    fn looks_like_gateway(&self) -> bool {
        [self.request_context, self.http_method, self.raw_path, self.headers, self.multi_value_headers]
            .iter()
            .any(Option::is_some)
    }

    /// The event of a direct call: the payload, or the text in `body` where there is nothing else.
    fn direct_event(&self, payload: &'a str) -> Cow<'a, [u8]> {
        let beside = [self.version, self.path, self.cookies];
        let sole = !self.others && !self.repeated && beside.iter().all(Option::is_none);
        let text = self.body.filter(|_| sole && self.is_text()).map(|_| self.decoded_body());
        match text {
            Some(Ok(text)) => Cow::Owned(text),
            _ => Cow::Borrowed(payload.as_bytes()),
        }
    }

    fn is_text(&self) -> bool {
        self.body.is_some_and(|body| body.get().starts_with('"'))
    }

    fn http_request(&self) -> Result<HttpRequest, Unreadable> {
        let context = self.request_context.filter(|_| !self.repeated).ok_or(Unreadable::Shape)?.get();
        // serde would take an array of the members' values as well.
        let context = Some(context).filter(|context| context.starts_with('{')).ok_or(Unreadable::Shape)?;
        let context: Context = serde_json::from_str(context).map_err(|_| Unreadable::Shape)?;
        let version = self.version.map(RawValue::get);
        let text =
            |value: Option<&RawValue>| value.and_then(|it| serde_json::from_str::<String>(it.get()).ok());
        // Format 2.0 first: cargo-lambda's has an `httpMethod` at the top, too.
        let (shape, method, path) = match (version, context.http, context.elb.is_some()) {
            (Some(r#""2.0""#), Some(http), _) => {
                return Ok(HttpRequest {
                    shape: Shape::V2,
                    method: http.method,
                    path: without_stage(text(self.raw_path), context.stage.as_deref(), true),
                    source: http.source_ip,
                    headers: self.read_headers(Shape::V2)?,
                    body: self.decoded_body()?,
                    iam: context.authorizer.is_some_and(|authorizer| vouched(&authorizer)),
                });
            }
            (None, None, true) if self.has_multi_value_headers() => {
                (Shape::AlbMultiValue, text(self.http_method), text(self.path))
            }
            (None, None, true) => (Shape::Alb, text(self.http_method), text(self.path)),
            (None | Some(r#""1.0""#), None, false) => (Shape::V1, text(self.http_method), text(self.path)),
            _ => return Err(Unreadable::Shape),
        };
        // A REST API names the stage in the context's path only, an HTTP API in both.
        let stage_in_path = shape == Shape::V1 && context.path.is_some() && context.path == path;
        Ok(HttpRequest {
            shape,
            method: method.ok_or(Unreadable::Shape)?,
            path: without_stage(path, context.stage.as_deref(), stage_in_path),
            source: context.identity.and_then(|identity| identity.source_ip),
            headers: self.read_headers(shape)?,
            body: self.decoded_body()?,
            iam: false,
        })
    }

    fn has_multi_value_headers(&self) -> bool {
        self.multi_value_headers.is_some_and(|headers| headers.get() != "null")
    }

    /// Where both are there (payload 1.0), the headers with several values are the complete ones.
    fn read_headers(&self, shape: Shape) -> Result<Headers, Unreadable> {
        let mut headers = Vec::new();
        if shape != Shape::V2 && self.has_multi_value_headers() {
            for (name, values) in read_pairs::<Vec<String>>(self.multi_value_headers)? {
                headers.extend(values.into_iter().map(|value| (name.clone(), value)));
            }
        } else {
            headers = read_pairs::<String>(self.headers)?;
        }
        for (name, _) in &mut headers {
            name.make_ascii_lowercase();
        }
        // Format 2.0 has the cookies on their own; a gateway that leaves them in the headers, too, means the same ones.
        let cookies = self.cookies.filter(|_| shape == Shape::V2).map_or("null", RawValue::get);
        let cookies: Option<Vec<String>> = serde_json::from_str(cookies).map_err(|_| Unreadable::Headers)?;
        if let Some(cookies) = cookies.filter(|cookies| !cookies.is_empty()) {
            headers.retain(|(name, _)| name != "cookie");
            headers.extend(cookies.into_iter().map(|cookie| ("cookie".to_owned(), cookie)));
        }
        Ok(Headers(headers))
    }

    fn decoded_body(&self) -> Result<Vec<u8>, Unreadable> {
        let read = |value: Option<&RawValue>| value.map_or("null", RawValue::get).to_owned();
        let body: Option<String> = serde_json::from_str(&read(self.body)).map_err(|_| Unreadable::Body)?;
        let base64: Option<bool> =
            serde_json::from_str(&read(self.is_base64_encoded)).map_err(|_| Unreadable::Body)?;
        let body = body.unwrap_or_default();
        match base64 {
            Some(true) => BASE64_STANDARD.decode(body).map_err(|_| Unreadable::Body),
            _ => Ok(body.into_bytes()),
        }
    }
}

/// Takes the stage off a path where it is part of it.
fn without_stage(path: Option<String>, stage: Option<&str>, stage_in_path: bool) -> String {
    let path = path.unwrap_or_default();
    let below = stage
        .filter(|stage| stage_in_path && *stage != "$default")
        .and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        .filter(|below| below.is_empty() || below.starts_with('/'));
    match below {
        Some("") => "/".to_owned(),
        Some(below) => below.to_owned(),
        None => path,
    }
}

/// Tells whether AWS put the identity of a caller it authenticated into the request context.
fn vouched(authorizer: &serde_json::Value) -> bool {
    let filled = |name| {
        authorizer.pointer(name).and_then(serde_json::Value::as_str).is_some_and(|text| !text.is_empty())
    };
    filled("/iam/accountId") && filled("/iam/userArn")
}

/// Reads an object's members in order, repeated names kept; `null` and absence are no members.
fn read_pairs<T: serde::de::DeserializeOwned>(
    value: Option<&RawValue>,
) -> Result<Vec<(String, T)>, Unreadable> {
    struct Pairs<T>(Vec<(String, T)>);
    struct Members<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = Pairs<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(Pairs(pairs))
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Members(std::marker::PhantomData))
        }
    }

    let text = value.map_or("null", RawValue::get);
    let pairs: Option<Pairs<T>> = serde_json::from_str(text).map_err(|_| Unreadable::Headers)?;
    Ok(pairs.map(|pairs| pairs.0).unwrap_or_default())
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
