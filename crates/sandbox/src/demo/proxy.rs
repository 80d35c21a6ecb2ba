//! `/auth/…` of the pages' own site, served by the function auth-api: as behind a reverse proxy or a gateway.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{App, MAX_BODY};
use crate::client;
use crate::journal::{Lane, Note, Outcome};

/// How long a function may take: longer than the local host lets it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The function that knows the pool's tokens.
pub(crate) const FOR_POOL: &str = "auth-api-pool";

/// Passes a request on.
pub(super) async fn auth_api(State(app): App, request: Request) -> Result<Response<Body>, StatusCode> {
    let start = Instant::now();
    let (parts, body) = request.into_parts();
    let sent = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let (function, functions_url) = match is_of_pool(&parts.headers) {
        true => (FOR_POOL, &app.pool_functions_url),
        false => ("auth-api", &app.functions_url),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = http::Request::builder()
        .method(parts.method.clone())
        .uri(format!("{functions_url}/lambda-url/{function}{path}"));
    for (name, value) in &parts.headers {
        // The client sets these itself. `Host` stays: the function sees the site as the browser does.
        if ![header::CONTENT_LENGTH, header::CONNECTION, header::ACCEPT_ENCODING].contains(name) {
            request = request.header(name, value);
        }
    }
    let request = request.body(sent.to_vec()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let answered = tokio::task::spawn_blocking(move || send(request)).await;
    let (mut response, body) = answered.ok().flatten().ok_or(StatusCode::BAD_GATEWAY)?;
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    let status = response.status().as_u16();
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or(Value::Null);
    app.journal.record(
        Note::new(Lane::Page, format!("{} {}", parts.method, parts.uri.path()), Outcome::of(status))
            .status(status)
            .took(start.elapsed())
            .detail(json!({"function": function, "request": json(&sent), "answer": json(&body)})),
    );
    Ok(response.map(|()| Body::from(body)))
}

/// A token of the pool goes to the auth-api that is set up for the pool.
fn is_of_pool(headers: &HeaderMap) -> bool {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|bearer| bearer.strip_prefix("Bearer ")).unwrap_or_default();
    token.split('.').count() == 3
}

fn send(request: http::Request<Vec<u8>>) -> Option<(Response<()>, Vec<u8>)> {
    let (parts, mut body) = client::agent(Some(TIMEOUT)).run(request).ok()?.into_parts();
    Some((Response::from_parts(parts, ()), body.read_to_vec().ok()?))
}
