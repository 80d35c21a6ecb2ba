//! A server on loopback for what pages may call: its own, and those of allowed origins.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::guard;

/// What pages of another origin may send to the Frontend API.
const ALLOWED_HEADERS: &str =
    "content-type, x-corbado-projectid, x-corbado-sdk, x-corbado-client-timezone, x-corbado-process-id";

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// A place on 127.0.0.1 that nobody serves yet.
#[derive(Debug)]
pub struct Place(TcpListener, SocketAddr);

impl Place {
    /// Takes a port; 0 takes a free one.
    pub async fn take(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self(listener, address))
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.1.port()
    }

    /// What to serve on, and where.
    pub(crate) fn into_parts(self) -> (TcpListener, SocketAddr) {
        (self.0, self.1)
    }

    /// Serves `router` to programs of this machine, to pages of its own, and to those of `allowed` origins.
    pub fn serve(self, router: Router, allowed: &[String]) -> Site {
        let allowed: Arc<[String]> = allowed.into();
        let router = router.layer(middleware::from_fn_with_state(allowed, guard::admit));
        let server = tokio::spawn(async move {
            let _ = serve(self.0, router).await;
        });
        Site { address: self.1, server }
    }
}

impl Site {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for as long as it serves.
    pub async fn wait(&mut self) {
        let _ = (&mut self.server).await;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Lets pages of `allowed` origins read the answers of the Frontend API.
pub fn readable(frontend: Router, allowed: &[String]) -> Router {
    let allowed: Arc<[String]> = allowed.into();
    frontend.layer(middleware::from_fn_with_state(allowed, cors))
}

/// Lets pages of allowed origins read the answers (Fetch standard), those of refusals, too.
async fn cors(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin =
        origin.filter(|origin| allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()));
    let Some(origin) = origin else { return next.run(request).await };
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    if preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}
