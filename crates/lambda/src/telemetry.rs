//! Logs and metrics: one JSON line an invocation, nothing secret.
//!
//! Where a namespace is set, the line is a metric, too, in CloudWatch's embedded metric format: CloudWatch reads the numbers out
//! of the log, and the function calls nobody. Source: CloudWatch user guide, "Specification: Embedded metric format".

use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use settings::Settings;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, time};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::action::Invocation;

/// The target of every line of ours. Lines of libraries are dropped: theirs may show payloads.
const TARGET: &str = "connect";
/// The message of an invocation's line.
const INVOCATION: &str = "invocation";

tokio::task_local! {
    static IDS: Ids;
}

/// What finds the lines of one invocation.
struct Ids {
    request: String,
    trace: Option<String>,
}

/// What every line says of the function.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Where the metrics go; none without.
    namespace: Option<String>,
    /// The name under which the function is deployed.
    function: Option<String>,
}

impl Telemetry {
    /// Reads `METRICS_NAMESPACE`, and the function's name as Lambda sets it.
    pub fn from_settings(settings: &Settings<'_>) -> Self {
        let name = |name| settings.optional(name).map(|name| name.trim().to_owned());
        Self { namespace: name("METRICS_NAMESPACE"), function: name("AWS_LAMBDA_FUNCTION_NAME") }
    }

    /// Starts logging to standard output, level INFO, and silences the texts of panics.
    pub fn start(self) {
        let lines = tracing_subscriber::fmt()
            .event_format(self)
            .finish()
            .with(Targets::new().with_target(TARGET, LevelFilter::INFO));
        // A second start (tests) keeps the first.
        let _ = tracing::subscriber::set_global_default(lines);
        std::panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            tracing::error!(target: TARGET, location, "panic");
        }));
    }

    /// Adds the metrics of an invocation's line.
    fn add_metrics(&self, line: &mut Map<String, Value>, level: Level, now: SystemTime) {
        let Some(namespace) = &self.namespace else { return };
        let mut metrics = Vec::new();
        let mut add = |line: &mut Map<String, Value>, name: &str, unit: &str, value: Value| {
            metrics.push(json!({"Name": name, "Unit": unit}));
            line.insert(name.to_owned(), value);
        };
        add(line, "Invocations", "Count", 1.into());
        for (name, field) in [("DurationMs", "duration_ms"), ("UpstreamDurationMs", "upstream_ms")] {
            if let Some(value) = line.get(field).cloned() {
                add(line, name, "Milliseconds", value);
            }
        }
        let is = |line: &Map<String, Value>, field| line.get(field) == Some(&Value::Bool(true));
        let counts = [
            ("ColdStarts", is(line, "cold_start")),
            ("Failures", level == Level::ERROR),
            ("Refusals", level == Level::WARN),
            ("SignatureRefusals", is(line, "bad_signature")),
        ];
        for (name, _) in counts.into_iter().filter(|(_, counted)| *counted) {
            add(line, name, "Count", 1.into());
        }
        let directive = |dimensions: &[&str], metrics: Value| json!({"Namespace": namespace, "Dimensions": [dimensions], "Metrics": metrics});
        let mut directives = vec![directive(&["function"], metrics.into())];
        if line.contains_key("code") {
            line.insert("Outcome".to_owned(), 1.into());
            directives.push(directive(&["function", "code"], json!([{"Name": "Outcome", "Unit": "Count"}])));
        }
        // Why something is refused is one of some dozens of texts; a failure's cause may hold any status.
        if level == Level::WARN && line.contains_key("cause") {
            directives
                .push(directive(&["function", "cause"], json!([{"Name": "Refusals", "Unit": "Count"}])));
        }
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        line.insert("_aws".to_owned(), json!({"Timestamp": millis, "CloudWatchMetrics": directives}));
    }
}

impl<S, N> FormatEvent<S, N> for Telemetry
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        let mut timestamp = String::new();
        time::SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Fields(Map::new());
        line.0.insert("timestamp".to_owned(), timestamp.into());
        line.0.insert("level".to_owned(), level.as_str().into());
        event.record(&mut line);
        let Fields(mut line) = line;
        let _ = IDS.try_with(|ids| {
            line.insert("request_id".to_owned(), ids.request.as_str().into());
            if let Some(trace) = &ids.trace {
                line.insert("trace_id".to_owned(), trace.as_str().into());
            }
        });
        if let Some(function) = &self.function {
            line.insert("function".to_owned(), function.as_str().into());
        }
        if line.get("message").and_then(Value::as_str) == Some(INVOCATION) {
            self.add_metrics(&mut line, level, SystemTime::now());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// The fields of a line, by name.
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.add(field, text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}

/// Does the work of an invocation; every line that it writes carries the invocation's ids.
pub(crate) async fn within<T>(invocation: Invocation<'_>, work: impl Future<Output = T>) -> T {
    let ids =
        Ids { request: invocation.request_id.to_owned(), trace: invocation.trace_id.map(ToOwned::to_owned) };
    IDS.scope(ids, work).await
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
    /// The part of it that other systems took.
    pub(crate) upstream: Duration,
    pub(crate) cold_start: bool,
    pub(crate) bad_signature: bool,
}

/// Logs an invocation.
pub(crate) fn log_invocation(line: &Line<'_>) {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let duration_ms = millis(line.duration);
    let upstream_ms = millis(line.upstream);
    let bad_signature = line.bad_signature.then_some(true);
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
                upstream_ms,
                cold_start = line.cold_start,
                bad_signature,
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

/// Logs why a message stays in its queue: no ids, names or bodies in it.
pub fn log_message_left(cause: &dyn fmt::Display, deliveries: u32) {
    tracing::warn!(target: TARGET, cause = %cause, deliveries, "message left in the queue");
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
    tracing::warn!(target: TARGET, action, "no signing secret is set: every HTTP request is refused");
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
