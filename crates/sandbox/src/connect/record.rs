//! Notes every call in the journal, with what was sent and answered.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response};
use axum::middleware::Next;
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use super::Inner;
use crate::journal::{Lane, Note, Outcome};

/// The largest body that either side sends.
pub(super) const MAX_BODY: usize = 64 * 1024;

pub(super) async fn component(
    State(connect): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    call(&connect, Lane::Component, request, next).await
}

pub(super) async fn backend(
    State(connect): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    call(&connect, Lane::Backend, request, next).await
}

async fn call(connect: &Inner, lane: Lane, request: Request, next: Next) -> Response<Body> {
    if request.method() == Method::OPTIONS || request.uri().path().starts_with("/.well-known/") {
        return next.run(request).await;
    }
    let start = Instant::now();
    let path = request.uri().path().trim_start_matches("/v2/").trim_start_matches("connect/");
    let title = match lane {
        Lane::Component => path.to_owned(),
        _ => format!("{} /{path}", request.method()),
    };
    let (parts, body) = request.into_parts();
    let Ok(sent) = axum::body::to_bytes(body, MAX_BODY).await else {
        return axum::http::StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let response = next.run(Request::from_parts(parts, Body::from(sent.clone()))).await;
    let (parts, body) = response.into_parts();
    let answered = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut detail = Map::new();
    for (name, bytes) in [("request", &sent), ("answer", &answered)] {
        if let Some(value) = json(bytes) {
            detail.insert(name.to_owned(), value);
        }
    }
    let status = parts.status.as_u16();
    connect.journal.record(
        Note::new(lane, title, Outcome::of(status))
            .status(status)
            .took(start.elapsed())
            .detail(Value::Object(detail)),
    );
    Response::from_parts(parts, Body::from(answered))
}

fn json(bytes: &Bytes) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}
