//! The Lambda Runtime API (version 2018-06-01), one for all processes of a host.
//!
//! Source: AWS Lambda developer guide, "Using the Lambda runtime API".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

/// The largest payload and answer of a synchronous invocation.
pub(crate) const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// One invocation on its way to a process.
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) function: String,
    pub(crate) payload: Bytes,
    pub(crate) deadline: SystemTime,
    pub(crate) done: oneshot::Sender<Outcome>,
}

/// What a process made of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer.
    Answered(Bytes),
    /// A function error: what the process, or the host in its place, posted as the error.
    Failed(Bytes),
}

/// The processes by their secret names.
#[derive(Clone, Default)]
pub(crate) struct RuntimeApi {
    instances: Arc<Mutex<HashMap<String, Arc<Instance>>>>,
}

struct Instance {
    queue: AsyncMutex<mpsc::Receiver<Invocation>>,
    open: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
}

impl RuntimeApi {
    /// Admits a process under `name` and returns the sending end of its queue.
    pub(crate) fn admit(&self, name: &str) -> mpsc::Sender<Invocation> {
        let (sender, receiver) = mpsc::channel(1);
        let instance = Instance { queue: AsyncMutex::new(receiver), open: Mutex::default() };
        self.instances().insert(name.to_owned(), Arc::new(instance));
        sender
    }

    /// Forgets a process.
    pub(crate) fn dismiss(&self, name: &str) {
        self.instances().remove(name);
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/{instance}/2018-06-01/runtime/invocation/next", get(next))
            .route("/{instance}/2018-06-01/runtime/invocation/{request}/response", post(response))
            .route("/{instance}/2018-06-01/runtime/invocation/{request}/error", post(error))
            .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
            .with_state(self)
    }

    fn instances(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instance(&self, name: &str) -> Result<Arc<Instance>, StatusCode> {
        self.instances().get(name).cloned().ok_or(StatusCode::FORBIDDEN)
    }

    fn finish(&self, instance: &str, request: &str, outcome: Outcome) -> Result<StatusCode, StatusCode> {
        let instance = self.instance(instance)?;
        let done = instance.open.lock().unwrap_or_else(PoisonError::into_inner).remove(request);
        // The caller may have given up; a second answer to the same request is refused.
        let _ = done.ok_or(StatusCode::BAD_REQUEST)?.send(outcome);
        Ok(StatusCode::ACCEPTED)
    }
}

async fn next(
    State(api): State<RuntimeApi>,
    Path(instance): Path<String>,
) -> Result<Response<Body>, StatusCode> {
    let instance = api.instance(&instance)?;
    let invocation = instance.queue.lock().await.recv().await.ok_or(StatusCode::GONE)?;
    let Invocation { request_id, function, payload, deadline, done } = invocation;
    instance.open.lock().unwrap_or_else(PoisonError::into_inner).insert(request_id.clone(), done);
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", request_id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:local:000000000000:function:{function}"),
        )
        .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        .body(Body::from(payload))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn response(
    State(api): State<RuntimeApi>,
    Path((instance, request)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    api.finish(&instance, &request, Outcome::Answered(body))
}

async fn error(
    State(api): State<RuntimeApi>,
    Path((instance, request)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    api.finish(&instance, &request, Outcome::Failed(body))
}
