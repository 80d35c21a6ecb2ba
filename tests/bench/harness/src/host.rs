//! Lambda's side of one process: the Runtime API on a port of its own, and the clock.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::http::Connection;
use crate::programs::Program;

/// How long anything may take, under valgrind, too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is a function.
pub(crate) struct Process {
    child: Child,
    started: Instant,
    invocations: mpsc::UnboundedSender<String>,
    seen: mpsc::UnboundedReceiver<(Instant, Seen)>,
    server: JoinHandle<()>,
    name: String,
}

/// What came over the Runtime API.
enum Seen {
    /// The process asks for work.
    Next,
    /// It has answered.
    Answer(String),
    /// It has failed.
    Failure(String),
}

impl Process {
    /// Starts a program, perhaps under another one such as valgrind; what it prints goes to `log`.
    pub(crate) async fn start(program: &Program, under: &[String], log: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (invocations, queue) = mpsc::unbounded_channel();
        let (sender, seen) = mpsc::unbounded_channel();
        let server = tokio::spawn(accept(listener, Arc::new(Mutex::new(queue)), sender));
        let words: Vec<String> = under.iter().chain(&program.command).cloned().collect();
        let log = std::fs::File::create(log)?;
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Self { child, started, invocations, seen, server, name: program.name.clone() })
    }

    /// Waits until the process asks for its first work, and tells how long that took from its start.
    pub(crate) async fn initialised(&mut self) -> Duration {
        match self.event().await {
            (at, Seen::Next) => at - self.started,
            (_, Seen::Answer(text) | Seen::Failure(text)) => panic!("{}: {text}", self.name),
        }
    }

    /// Sends an event, and tells how long the answer took; it must be a good one.
    pub(crate) async fn invoke(&mut self, event: String) -> Duration {
        let (took, answer) = self.outcome(event).await;
        let good = answer.as_deref().is_some_and(is_good);
        assert!(good, "{}: {answer:?}", self.name);
        took
    }

    /// Sends an event, and tells how long the answer took and what it is; none is a function error.
    pub(crate) async fn outcome(&mut self, event: String) -> (Duration, Option<String>) {
        let sent = Instant::now();
        self.invocations.send(event).unwrap();
        let (at, answer) = match self.event().await {
            (at, Seen::Answer(text)) => (at, Some(text)),
            (at, Seen::Failure(text)) => {
                eprintln!("{}: {text}", self.name);
                (at, None)
            }
            (_, Seen::Next) => panic!("{}: asks for more without an answer", self.name),
        };
        (at - sent, answer)
    }

    /// Waits until the process asks for more work.
    pub(crate) async fn idle(&mut self) {
        assert!(matches!(self.event().await.1, Seen::Next), "{}: does not ask for more", self.name);
    }

    async fn event(&mut self) -> (Instant, Seen) {
        tokio::select! {
            event = tokio::time::timeout(PATIENCE, self.seen.recv()) => {
                event.unwrap_or_else(|_| panic!("{}: no sign of life", self.name)).unwrap()
            }
            status = self.child.wait() => panic!("{}: ended with {status:?}: see its log", self.name),
        }
    }

    /// The most memory that it has held, in MB.
    pub(crate) fn peak_memory(&self) -> f64 {
        let id = self.child.id().unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
        kilobytes / 1024.0
    }

    /// The CPU time of all its threads so far.
    pub(crate) fn cpu(&self) -> Duration {
        let id = self.child.id().unwrap_or_default();
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let nanos = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self) {
        let _ = self.child.kill().await;
        self.server.abort();
    }

    /// Ends it so that valgrind still writes its counts.
    pub(crate) async fn terminate(mut self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
        let _ = self.child.wait().await;
        self.server.abort();
    }
}

/// Tells whether an answer is a success: `statusCode` 200, or Cognito's `answerCorrect`.
pub(crate) fn is_good(answer: &str) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["statusCode"] == 200 || answer["response"]["answerCorrect"] == true
}

type Queue = Arc<Mutex<mpsc::UnboundedReceiver<String>>>;

async fn accept(listener: TcpListener, queue: Queue, seen: mpsc::UnboundedSender<(Instant, Seen)>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, Arc::clone(&queue), seen.clone()));
    }
}

async fn serve(
    stream: TcpStream,
    queue: Queue,
    seen: mpsc::UnboundedSender<(Instant, Seen)>,
) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request().await? {
        let now = Instant::now();
        let path = request.path.as_str();
        if path.ends_with("/next") {
            let _ = seen.send((now, Seen::Next));
            let Some(event) = queue.lock().await.recv().await else { return Ok(()) };
            let deadline = SystemTime::now() + PATIENCE;
            let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let headers = format!(
                "content-type: application/json\r\nlambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                 lambda-runtime-deadline-ms: {deadline}\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-central-1:111122223333:function:bench\r\n\
                 lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n"
            );
            connection.answer(200, &headers, event.as_bytes()).await?;
            continue;
        }
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let answer = if path.ends_with("/response") { Seen::Answer(text) } else { Seen::Failure(text) };
        let _ = seen.send((now, answer));
        connection.answer(202, "", b"").await?;
    }
    Ok(())
}
