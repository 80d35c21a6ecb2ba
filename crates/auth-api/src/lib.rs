//! The endpoints that web pages call: connect tokens, verification of a passkey's token, session, logout.
//!
//! # Layout
//! - [`config`]: [`Config`], everything that can be set.
//! - [`routes`]: the endpoints, one function each.
//! - `presented`: the session or token that a request presents.
//! - `cookie`: the session cookie.
//! - `origin`: which pages may call, and the CORS answers.
//! - `limits`: rate limits, and whose address a request came from.
//! - `answer`: answers and refusals.

mod answer;
pub mod config;
mod cookie;
mod limits;
mod origin;
mod presented;
pub mod routes;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use lambda::http::RequestContext;
use lambda::{Code, HttpService, Problem};
use settings::Settings;
use tower::ServiceExt;

use crate::answer::Refusal;
pub use crate::config::Config;

/// The endpoints with everything behind them.
#[derive(Debug)]
pub struct App {
    config: Arc<Config>,
    router: Router,
}

impl App {
    /// Reads all settings.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let config = Arc::new(Config::from_settings(settings)?);
        Some(Self { router: routes::router(Arc::clone(&config)), config })
    }
}

impl HttpService for App {
    const NAME: &'static str = "auth-api";
    const FAILURE: &'static str = answer::FAILURE;

    fn let_read(&self, origins: &HeaderMap, response: &mut Response<Bytes>) {
        if let Ok(origin) = self.config.origins.admit(origins) {
            self.config.origins.let_read(origin, response.headers_mut());
        }
    }

    /// Pages of foreign origins get no further than this; those of allowed ones may read every answer, refusals included.
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        // The edge always adds one.
        let Some(context) = request.extensions().get::<RequestContext>().cloned() else {
            return Refusal::from(Problem::new(Code::InternalError, "request: no context")).render("");
        };
        let origin = match self.config.origins.admit(request.headers()) {
            Ok(origin) => origin,
            Err(cause) => {
                let problem = Problem::new(Code::OriginNotAllowed, cause);
                return Refusal::from(problem).render(&context.request_id);
            }
        };
        // The router's errors are impossible, and the bodies are in memory already.
        let Ok(response) = self.router.clone().oneshot(request.map(Body::from)).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let mut response = Response::from_parts(parts, body);
        self.config.origins.let_read(origin, response.headers_mut());
        response
    }
}
