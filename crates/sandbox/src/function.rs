//! One function: its binary, its settings and its processes.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use crate::runtime_api::Outcome;
use crate::runtime_api::{Invocation, RuntimeApi};

/// Takes each line that a function writes: its name, then the line.
pub type LogSink = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// How a function is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name under which it is invoked.
    pub name: String,
    /// The binary.
    pub binary: PathBuf,
    /// The environment, beside what Lambda itself sets.
    pub environment: HashMap<String, String>,
    /// How long one invocation may take, start of the process included.
    pub timeout: Duration,
    /// How many invocations may run at the same time, each in a process of its own.
    pub concurrency: usize,
}

/// A function that can be invoked. A process serves one invocation at a time, and is kept for the next.
pub(crate) struct Function {
    settings: Settings,
    api: RuntimeApi,
    api_address: String,
    log: LogSink,
    permits: Semaphore,
    idle: Mutex<Vec<Instance>>,
}

struct Instance {
    name: String,
    process: Child,
    queue: mpsc::Sender<Invocation>,
}

impl Function {
    pub(crate) fn new(settings: Settings, api: RuntimeApi, api_address: String, log: LogSink) -> Self {
        let permits = Semaphore::new(settings.concurrency.max(1));
        Self { settings, api, api_address, log, permits, idle: Mutex::default() }
    }

    /// Invokes the function and waits for what comes of it.
    pub(crate) async fn invoke(&self, request_id: &str, payload: Bytes) -> Outcome {
        let Ok(_permit) = self.permits.acquire().await else {
            return failure("Runtime.Unavailable", "the host is stopping");
        };
        let mut instance = match self.idle_instance() {
            Some(instance) => instance,
            None => match self.start() {
                Ok(instance) => instance,
                Err(error) => return failure("Runtime.InvalidEntrypoint", &error.to_string()),
            },
        };
        let (done, outcome) = oneshot::channel();
        let invocation = Invocation {
            request_id: request_id.to_owned(),
            function: self.settings.name.clone(),
            payload,
            deadline: SystemTime::now() + self.settings.timeout,
            done,
        };
        if instance.queue.send(invocation).await.is_err() {
            return failure("Runtime.Unavailable", "the process takes no invocation");
        }
        tokio::select! {
            Ok(outcome) = outcome => {
                self.idle().push(instance);
                outcome
            }
            status = instance.process.wait() => {
                self.api.dismiss(&instance.name);
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                failure("Runtime.ExitError", &format!("the process ended: {status}"))
            }
            () = tokio::time::sleep(self.settings.timeout) => {
                self.api.dismiss(&instance.name);
                // Dropping the process kills it.
                failure("Sandbox.Timedout", &format!("timed out after {:?}", self.settings.timeout))
            }
        }
    }

    /// Process ids of the processes that wait for work.
    pub(crate) fn idle_processes(&self) -> Vec<u32> {
        self.idle().iter().filter_map(|instance| instance.process.id()).collect()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a process that waits for work; those that ended meanwhile are forgotten.
    fn idle_instance(&self) -> Option<Instance> {
        let mut idle = self.idle();
        while let Some(mut instance) = idle.pop() {
            if matches!(instance.process.try_wait(), Ok(None)) {
                return Some(instance);
            }
            self.api.dismiss(&instance.name);
        }
        None
    }

    fn start(&self) -> std::io::Result<Instance> {
        let name = random_name()?;
        // Before the process can ask for work.
        let queue = self.api.admit(&name);
        let settings = &self.settings;
        let process = Command::new(&settings.binary)
            .env_clear()
            .envs(&settings.environment)
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{name}", self.api_address))
            .env("AWS_LAMBDA_FUNCTION_NAME", &settings.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = process.inspect_err(|_| self.api.dismiss(&name))?;
        self.forward(process.stdout.take());
        self.forward(process.stderr.take());
        Ok(Instance { name, process, queue })
    }

    fn forward(&self, stream: Option<impl AsyncRead + Unpin + Send + 'static>) {
        let Some(stream) = stream else { return };
        let (log, name) = (Arc::clone(&self.log), self.settings.name.clone());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                log(&name, &String::from_utf8_lossy(&line));
            }
        });
    }
}

/// A function error as Lambda reports it.
fn failure(error_type: &str, message: &str) -> Outcome {
    let body = serde_json::json!({"errorType": error_type, "errorMessage": message});
    Outcome::Failed(body.to_string().into())
}

/// 128 random bits in hexadecimal: names that no other program on the machine can guess.
pub(crate) fn random_name() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(domain::hex(&bytes))
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.settings.name).finish_non_exhaustive()
    }
}
