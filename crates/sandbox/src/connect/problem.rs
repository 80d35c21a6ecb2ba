//! Corbado's error bodies.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::extract::rejection::JsonRejection;
use axum::http::{Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::function::random_name;

/// Why a call to the stand-in is refused. Types and shape are Corbado's; which type goes with which cause is ours.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) kind: &'static str,
    details: Option<String>,
    validation: Vec<(&'static str, &'static str)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, details: impl Into<String>) -> Self {
        Self { status, kind, details: Some(details.into()), validation: Vec::new() }
    }

    pub(crate) fn invalid(field: &'static str, message: &'static str) -> Self {
        let (status, kind) = (StatusCode::BAD_REQUEST, "validation_error");
        Self { status, kind, details: None, validation: vec![(field, message)] }
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    pub(crate) fn refused(why: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "login_error", why)
    }

    pub(crate) fn internal(what: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", what)
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(_: rusqlite::Error) -> Self {
        Self::internal("the stand-in's store")
    }
}

impl From<std::io::Error> for Problem {
    fn from(_: std::io::Error) -> Self {
        Self::internal("random numbers")
    }
}

impl From<serde_json::Error> for Problem {
    fn from(_: serde_json::Error) -> Self {
        Self::internal("JSON")
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(_) => Self::invalid("body", "does not fit the schema"),
            JsonRejection::BytesRejection(_) => {
                Self::new(rejection.status(), "validation_error", "the body cannot be read")
            }
            JsonRejection::MissingJsonContentType(_) => {
                Self::new(rejection.status(), "invalid_json", "content-type: application/json")
            }
            _ => Self::new(StatusCode::BAD_REQUEST, "invalid_json", "the body is no JSON"),
        }
    }
}

impl IntoResponse for Problem {
    /// The body is written by [`finish`], which knows how long it took.
    fn into_response(self) -> axum::response::Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An answer that says no more than that it worked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Worked;

impl IntoResponse for Worked {
    fn into_response(self) -> axum::response::Response {
        let mut response = StatusCode::OK.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Marks an answer whose body is written.
#[derive(Debug, Clone, Copy)]
struct Finished;

/// Writes the bodies that tell about the request itself.
pub(crate) async fn finish(request: Request, next: Next) -> Response<Body> {
    let start = Instant::now();
    let mut response = next.run(request).await;
    if response.extensions().get::<Finished>().is_some() {
        return response;
    }
    let status = response.status();
    let problem = match (status, response.extensions_mut().remove::<Problem>()) {
        (_, Some(problem)) => Some(problem),
        (StatusCode::METHOD_NOT_ALLOWED, None) => {
            Some(Problem::new(status, "method_not_allowed", "this path has other methods"))
        }
        (StatusCode::PAYLOAD_TOO_LARGE, None) => {
            Some(Problem::new(status, "validation_error", "the body is too large"))
        }
        _ => None,
    };
    let worked = response.extensions_mut().remove::<Worked>().is_some();
    if problem.is_none() && !worked {
        return response;
    }
    let mut body = json!({
        "httpStatusCode": status.as_u16(),
        "message": status.canonical_reason().unwrap_or_default(),
        "requestData": {"requestID": format!("req-{}", random_name().unwrap_or_default()), "link": ""},
        "runtime": start.elapsed().as_secs_f64(),
    });
    if let (Some(problem), Some(body)) = (&problem, body.as_object_mut()) {
        body.insert("error".to_owned(), error(problem));
    }
    // What the router says about methods stays.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(body.to_string());
    response.extensions_mut().insert(Finished);
    response
}

fn error(problem: &Problem) -> Value {
    let mut error = json!({"type": problem.kind, "links": []});
    if let Some(members) = error.as_object_mut() {
        if let Some(details) = &problem.details {
            members.insert("details".to_owned(), Value::from(details.as_str()));
        }
        if !problem.validation.is_empty() {
            let validation = problem.validation.iter();
            let validation = validation.map(|(field, message)| json!({"field": field, "message": message}));
            members.insert("validation".to_owned(), validation.collect());
        }
    }
    error
}
