//! JSON logs: one line an invocation, nothing secret.

use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

/// The target of every line of ours. Lines of libraries are dropped: theirs may show payloads.
const TARGET: &str = "connect";

/// Starts logging to standard output, level INFO, and silences the texts of panics.
pub fn start() {
    let lines = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .finish()
        .with(Targets::new().with_target(TARGET, LevelFilter::INFO));
    // A second start (tests) keeps the first.
    let _ = tracing::subscriber::set_global_default(lines);
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(target: TARGET, location, "panic");
    }));
}

/// The line of one invocation.
pub(crate) struct Line<'a> {
    pub(crate) level: Level,
    pub(crate) action: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) status: Option<u16>,
    pub(crate) caller: Option<&'static str>,
    pub(crate) user_ref: Option<&'a str>,
    pub(crate) cause: Option<&'a str>,
    pub(crate) duration: Duration,
    pub(crate) request_id: &'a str,
    pub(crate) cold_start: bool,
}

/// Logs an invocation.
pub(crate) fn log_invocation(line: &Line<'_>) {
    let duration_ms = (line.duration.as_secs_f64() * 1e6).round() / 1e3;
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                action = line.action,
                outcome = line.outcome,
                code = line.code,
                status = line.status,
                caller = line.caller,
                user.r#ref = line.user_ref,
                cause = line.cause,
                duration_ms,
                request_id = line.request_id,
                cold_start = line.cold_start,
                "invocation"
            )
        };
    }
    match line.level {
        Level::ERROR => log!(error),
        Level::WARN => log!(warn),
        _ => log!(info),
    }
}

/// How loud an answer with an HTTP status is: failures are errors, refusals are warnings. A failure that the protocol wants
/// answered by 200 has a cause.
pub(crate) fn level(status: u16, cause: Option<&str>) -> Level {
    match status {
        500.. => Level::ERROR,
        400.. => Level::WARN,
        _ if cause.is_some() => Level::ERROR,
        _ => Level::INFO,
    }
}

/// Logs that a function cannot start.
pub(crate) fn log_start_failure(problems: &settings::Problems) {
    tracing::error!(target: TARGET, cause = %problems, "the configuration is not valid");
}

/// Logs that the runtime gave up.
pub(crate) fn log_runtime_failure(error: &(dyn std::error::Error + Send + Sync)) {
    tracing::error!(target: TARGET, cause = %error, "the runtime stopped");
}

/// Logs that every HTTP request will be refused.
pub(crate) fn log_refuses_all_http(action: &'static str) {
    tracing::warn!(target: TARGET, action, "ACTION_SIGNING_SECRETS is not set: every HTTP request is refused");
}
