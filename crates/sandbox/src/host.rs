//! The local host: invocations by name and function URLs, on one loopback port.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Request, State};
use axum::http::{Response, StatusCode};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::function::{Function, LogSink, Outcome, Settings, random_name};
use crate::runtime_api::{MAX_PAYLOAD, RuntimeApi};
use crate::site::Place;
use crate::{FUNCTIONS, corbado, gateway, guard, sample};

/// A running local host. Dropping it stops it and all its processes.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    functions: Functions,
    servers: [JoinHandle<()>; 2],
}

type Functions = Arc<HashMap<String, Function>>;

impl Host {
    /// Starts at `place`. `log` gets every line that a function writes.
    pub async fn start(place: Place, functions: Vec<Settings>, log: LogSink) -> std::io::Result<Self> {
        let (listener, address) = place.into_parts();
        // A port of its own: who may invoke must not be able to answer in a function's place.
        let (runtime_listener, runtime_address) = Place::take(0).await?.into_parts();
        let runtime_address = runtime_address.to_string();
        let api = RuntimeApi::default();
        let functions: Functions = Arc::new(
            functions
                .into_iter()
                .map(|settings| {
                    let name = settings.name.clone();
                    (name, Function::new(settings, api.clone(), runtime_address.clone(), Arc::clone(&log)))
                })
                .collect(),
        );
        let router = router(Arc::clone(&functions));
        let servers = [serve(listener, router), serve(runtime_listener, api.router())];
        Ok(Self { address, functions, servers })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A handle by which functions are invoked.
    pub fn invoker(&self) -> Invoker {
        Invoker(Arc::clone(&self.functions))
    }

    /// Process ids of a function's processes that wait for work.
    pub fn idle_processes(&self, function: &str) -> Vec<u32> {
        self.functions.get(function).map(Function::idle_processes).unwrap_or_default()
    }

    /// Waits for as long as the host serves.
    pub async fn wait(&mut self) {
        let [public, _runtime] = &mut self.servers;
        let _ = public.await;
    }
}

/// Invokes the functions of a host.
#[derive(Debug, Clone)]
pub struct Invoker(Functions);

impl Invoker {
    /// Invokes a function; `None` if the host has none of this name.
    pub async fn invoke(&self, function: &str, payload: String) -> Option<Outcome> {
        let function = self.0.get(function)?;
        let request_id = random_name().ok()?;
        Some(function.invoke(&request_id, payload.into()).await)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

fn serve(listener: TcpListener, router: Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    })
}

fn router(functions: Functions) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .route("/lambda-url/{name}", any(function_url))
        .route("/lambda-url/{name}/", any(function_url))
        .route("/lambda-url/{name}/{*path}", any(function_url))
        .with_state(functions)
        .nest("/corbado", corbado::router())
        .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
        .layer(middleware::from_fn(guard::loopback_only))
}

async fn index(State(functions): State<Functions>) -> String {
    let mut names: Vec<_> = functions.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut text = String::from("Functions of this local host:\n");
    for name in names {
        text.push_str(&format!(
            "  POST /lambda-url/{name}   POST /2015-03-31/functions/{name}/invocations\n"
        ));
    }
    text
}

/// Lambda's Invoke, synchronous. Unlike Lambda it passes payloads on that are no JSON: the functions have an answer.
async fn invoke(
    State(functions): State<Functions>,
    UrlPath(name): UrlPath<String>,
    payload: Bytes,
) -> Result<Response<Body>, Response<Body>> {
    let function = functions.get(&name).ok_or_else(|| {
        let body = r#"{"Type":"User","Message":"Function not found"}"#;
        (StatusCode::NOT_FOUND, [("x-amzn-errortype", "ResourceNotFoundException")], body).into_response()
    })?;
    let request_id = random_name().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("x-amzn-requestid", &request_id)
        .header("x-amz-executed-version", "$LATEST");
    let (response, body) = match function.invoke(&request_id, payload).await {
        Outcome::Answered(body) => (response, body),
        Outcome::Failed(body) => (response.header("x-amz-function-error", "Unhandled"), body),
    };
    response.body(Body::from(body)).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn function_url(
    State(functions): State<Functions>,
    request: Request,
) -> Result<Response<Body>, StatusCode> {
    let (parts, body) = request.into_parts();
    let below = parts.uri.path().trim_start_matches("/lambda-url/");
    let (name, path) =
        below.split_once('/').map_or((below, "/".to_owned()), |(name, rest)| (name, format!("/{rest}")));
    let function = functions.get(name).ok_or(StatusCode::FORBIDDEN)?;
    let body = axum::body::to_bytes(body, MAX_PAYLOAD).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let request_id = random_name().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let event = gateway::event(&parts, &path, &body, &request_id);
    let outcome = function.invoke(&request_id, event.to_string().into()).await;
    Ok(gateway::answer(&outcome))
}

/// How the functions are run by `make run`: binaries beside this program, one signing secret each, the rest of the
/// environment as it is, and a stand-in for Corbado where no project is configured.
pub fn local_functions(
    binaries: &Path,
    port: u16,
    environment: &HashMap<String, String>,
    secrets: &crate::secrets::SigningSecrets,
) -> Vec<Settings> {
    FUNCTIONS
        .iter()
        .map(|name| {
            let mut environment = environment.clone();
            if let Some(secret) = secrets.get(*name) {
                environment.insert("ACTION_SIGNING_SECRETS".into(), secret.clone());
            }
            if !environment.contains_key("ALLOWED_ORIGINS") {
                environment.insert("ALLOWED_ORIGINS".into(), own_origins(port));
            }
            if !environment.contains_key("CORBADO_PROJECT_ID") {
                for (name, value) in corbado_settings(port) {
                    environment.insert(name.to_owned(), value);
                }
            }
            Settings {
                name: (*name).to_owned(),
                binary: binaries.join(name),
                environment,
                timeout: Duration::from_secs(10),
                concurrency: 4,
            }
        })
        .collect()
}

/// The origins whose pages may call auth-api on a host at `port`: its own, and that of the samples.
pub fn own_origins(port: u16) -> String {
    format!("http://localhost:{port} http://127.0.0.1:{port} {}", sample::ORIGIN)
}

/// The settings that lead functions to the stand-in for Corbado on a host at `port`.
pub fn corbado_settings(port: u16) -> [(&'static str, String); 3] {
    [
        ("CORBADO_PROJECT_ID", corbado::PROJECT_ID.to_owned()),
        ("CORBADO_API_SECRET", corbado::API_SECRET.to_owned()),
        ("CORBADO_BACKEND_API_URL", format!("http://127.0.0.1:{port}/corbado")),
    ]
}
