//! What a function with routes implements, and the edge that calls it.
//!
//! Requests come in any of the gateways' shapes and reach the routes as plain [`http`] types. A direct invocation has no
//! request in it and is refused. The shapes are recognised by the same code as for actions, and not by `lambda_http`, where a
//! header or a base64 body that cannot be read ends the invocation instead of being answered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri};
use serde_json::value::RawValue;

use crate::action::{Crashed, Invocation, MAX_BODY, in_time, remaining};
use crate::envelope::{self, Arrived, HttpRequest, Shape};
use crate::problem::{Code, Problem};
use crate::render;
use crate::telemetry::{self, Line, Watch};

/// One function's routes.
pub trait HttpService: Send + Sync {
    /// The function's name, for the log.
    const NAME: &'static str;
    /// The public text of an answer with status 500.
    const FAILURE: &'static str;

    /// Adds to an answer that the edge made itself what pages need to read it; `origins` are the request's headers of this name.
    fn let_read(&self, origins: &HeaderMap, response: &mut Response<Bytes>);

    /// Answers one request, which carries a [`RequestContext`] as extension; the answer may carry a [`Logged`].
    fn call(&self, request: Request<Bytes>) -> impl Future<Output = Response<Bytes>> + Send;
}

/// What a route knows of the request beside the request. An extension of it.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Finds the log line; also in the answer's header `x-request-id`.
    pub request_id: Arc<str>,
    /// The time of the request.
    pub now: SystemTime,
    /// The addresses that the request came from, the nearest last: what proxies wrote into `x-forwarded-for`, then what
    /// the gateway itself saw.
    pub addresses: Arc<[IpAddr]>,
}

/// What a route wants in the log line. An extension of the answer.
#[derive(Debug, Clone, Default)]
pub struct Logged {
    /// A word for what was done.
    pub outcome: &'static str,
    /// The code of a refusal.
    pub code: Option<&'static str>,
    /// The cause of a refusal: logged, never answered.
    pub cause: Option<String>,
    /// Whom it was about; see [`crate::action::user_ref`].
    pub user_ref: Option<String>,
}

/// Everything around the routes: envelope, time limit, panic, log line.
#[derive(Debug)]
pub struct HttpEdge<S> {
    service: S,
    watch: Watch,
}

impl<S: HttpService> HttpEdge<S> {
    /// Puts `service` behind the edge.
    pub fn new(service: S) -> Self {
        Self { service, watch: Watch::default() }
    }

    /// Answers one invocation, whose payload is any JSON text, at `now`.
    pub async fn respond(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> Result<Box<RawValue>, Crashed> {
        self.watch.over(invocation, self.answer(payload, invocation, now)).await
    }

    async fn answer(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> (Result<Box<RawValue>, Crashed>, Line) {
        let (shape, mut response) = self.handle(payload, invocation, now).await;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(invocation.request_id) {
            headers.insert("x-request-id", id);
        }

        let logged = response.extensions_mut().remove::<Logged>().unwrap_or_default();
        let status = response.status().as_u16();
        let line = Line {
            level: telemetry::level(status, logged.cause.as_deref()),
            action: S::NAME,
            outcome: logged.outcome,
            code: logged.code,
            status: Some(status),
            caller: None,
            user_ref: logged.user_ref,
            cause: logged.cause,
            bad_signature: false,
        };

        // Header values of ours are ASCII; one that is not is dropped rather than sent in another form.
        let headers: Vec<_> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let body = String::from_utf8_lossy(response.body());
        let answer = match shape {
            Shape::Direct => render::direct(status, &body),
            shape => render::http(shape, status, &headers, &body),
        };
        (RawValue::from_string(answer).map_err(|_| Crashed), line)
    }

    async fn handle(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> (Shape, Response<Bytes>) {
        let refuse = |problem: &Problem| refusal::<S>(problem, invocation.request_id);
        match envelope::recognise(payload) {
            Arrived::Http(request) => {
                let (shape, origins) = (request.shape, origins(&request));
                let response = self.call(request, invocation, now).await.unwrap_or_else(|problem| {
                    let mut response = refuse(&problem);
                    self.service.let_read(&origins, &mut response);
                    response
                });
                (shape, response)
            }
            // Any gateway understands format 1.0's answer.
            Arrived::Unknown(cause) => (Shape::V1, refuse(&Problem::new(Code::InvalidRequest, cause))),
            Arrived::Direct(_) => {
                let problem = Problem::new(Code::InvalidRequest, "envelope: no HTTP request");
                (Shape::Direct, refuse(&problem))
            }
        }
    }

    async fn call(
        &self,
        request: HttpRequest,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> Result<Response<Bytes>, Problem> {
        let context =
            RequestContext { request_id: invocation.request_id.into(), now, addresses: addresses(&request) };
        let request = plain_request(request, context)?;
        let work = Box::pin(self.service.call(request));
        in_time(work, remaining(invocation.deadline, now)).await.map_err(|gave_up| gave_up.problem())
    }
}

/// The headers `origin`, for answers that are made without the rest of the request.
fn origins(request: &HttpRequest) -> HeaderMap {
    let values = request.headers.all("origin").into_iter();
    values.filter_map(|value| Some((http::header::ORIGIN, HeaderValue::from_str(value).ok()?))).collect()
}

fn plain_request(request: HttpRequest, context: RequestContext) -> Result<Request<Bytes>, Problem> {
    let unreadable = |part: &'static str| Problem::new(Code::InvalidRequest, format_args!("http: {part}"));
    if request.body.len() > MAX_BODY {
        return Err(Problem::new(Code::TooLarge, "http: body size"));
    }
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|_| unreadable("method"))?;
    let uri: Uri = request.path.parse().map_err(|_| unreadable("path"))?;
    let mut plain = Request::new(Bytes::from(request.body));
    for (name, value) in request.headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unreadable("header name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| unreadable("header value"))?;
        plain.headers_mut().try_append(name, value).map_err(|_| unreadable("too many headers"))?;
    }
    *plain.method_mut() = method;
    *plain.uri_mut() = uri;
    plain.extensions_mut().insert(context);
    Ok(plain)
}

/// The chain of addresses. An entry that is no address breaks it: nothing that stands farther away is kept, since somebody
/// whom nobody trusts wrote it.
fn addresses(request: &HttpRequest) -> Arc<[IpAddr]> {
    let forwarded = request.headers.all("x-forwarded-for");
    let hops: Vec<&str> = forwarded.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut chain: Vec<IpAddr> = hops.into_iter().rev().map_while(read_address).collect();
    chain.reverse();
    if let Some(source) = request.source.as_deref().and_then(read_address)
        && chain.last() != Some(&source)
    {
        chain.push(source);
    }
    chain.into()
}

/// Reads an address, with or without a port: load balancers can be told to add it.
fn read_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bracketed)
}

/// An answer for what the routes never saw.
fn refusal<S: HttpService>(problem: &Problem, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(problem.body(S::FAILURE, request_id)));
    *response.status_mut() = http::StatusCode::from_u16(problem.code.status()).unwrap_or_default();
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(Logged {
        outcome: problem.outcome(),
        code: Some(problem.code.as_str()),
        cause: problem.cause.clone(),
        user_ref: None,
    });
    response
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
