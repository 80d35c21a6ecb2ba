//! Logs and metrics: one JSON line an invocation, nothing secret.
//!
//! Where a namespace is set, the line is a metric, too, in CloudWatch's embedded metric format: CloudWatch reads the numbers out
//! of the log, and the function calls nobody. Source: CloudWatch user guide, "Specification: Embedded metric format".

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use outbound::timing;
use serde::Serialize;
use serde_json::Number;
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
    fn add_metrics(&self, line: &mut Members, level: Level, now: SystemTime) {
        let Some(namespace) = self.namespace.as_deref() else { return };
        let noted = line.noted;
        let count = |counted: bool| counted.then(|| Number::from(1));
        let values = [
            (Metric::count("Invocations"), count(true)),
            (Metric::millis("DurationMs"), noted.duration_ms.and_then(Number::from_f64)),
            (Metric::millis("UpstreamDurationMs"), noted.upstream_ms.and_then(Number::from_f64)),
            (Metric::count("ColdStarts"), count(noted.cold_start)),
            (Metric::count("Failures"), count(level == Level::ERROR)),
            (REFUSALS[0], count(level == Level::WARN)),
            (Metric::count("SignatureRefusals"), count(noted.bad_signature)),
            (OUTCOME[0], count(noted.code)),
        ];
        for (metric, value) in &values {
            if let Some(value) = value {
                line.add(metric.name, value);
            }
        }
        let there = values.iter().filter(|(metric, value)| value.is_some() && metric.name != OUTCOME[0].name);
        let metrics: Vec<_> = there.map(|(metric, _)| *metric).collect();
        let directive = |dimensions: &'static [&'static str], metrics| Directive {
            namespace,
            dimensions: [dimensions],
            metrics,
        };
        // Why something is refused is one of some dozens of texts; a failure's cause may hold any status.
        let by_cause = level == Level::WARN && noted.cause;
        let directives = [
            Some(directive(&["function"], &metrics)),
            noted.code.then(|| directive(&["function", "code"], &OUTCOME)),
            by_cause.then(|| directive(&["function", "cause"], &REFUSALS)),
        ];
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let timestamp = u64::try_from(millis).unwrap_or(u64::MAX);
        let directives: Vec<_> = directives.into_iter().flatten().collect();
        line.add("_aws", &Metrics { timestamp, directives });
    }
}

/// What the embedded metric format calls metadata.
#[derive(Serialize)]
struct Metrics<'a> {
    #[serde(rename = "Timestamp")]
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive<'a>>,
}

/// Which members of the line are metrics, and which divide them.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive<'a> {
    namespace: &'a str,
    dimensions: [&'static [&'static str]; 1],
    metrics: &'a [Metric],
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

const OUTCOME: [Metric; 1] = [Metric::count("Outcome")];
const REFUSALS: [Metric; 1] = [Metric::count("Refusals")];

impl Metric {
    const fn count(name: &'static str) -> Self {
        Self { name, unit: "Count" }
    }

    const fn millis(name: &'static str) -> Self {
        Self { name, unit: "Milliseconds" }
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
        let mut line = Members::default();
        line.add("timestamp", &timestamp);
        line.add("level", level.as_str());
        event.record(&mut line);
        let _ = IDS.try_with(|ids| {
            line.add("request_id", &ids.request);
            if let Some(trace) = &ids.trace {
                line.add("trace_id", trace);
            }
        });
        if let Some(function) = &self.function {
            line.add("function", function);
        }
        if line.noted.invocation {
            self.add_metrics(&mut line, level, SystemTime::now());
        }
        writeln!(writer, "{}}}", std::str::from_utf8(&line.text).map_err(|_| fmt::Error)?)
    }
}

/// A line in the making: the members of a JSON object, but for its closing brace.
#[derive(Default)]
struct Members {
    text: Vec<u8>,
    noted: Noted,
}

/// What the metrics need of the members.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    invocation: bool,
    duration_ms: Option<f64>,
    upstream_ms: Option<f64>,
    cold_start: bool,
    bad_signature: bool,
    code: bool,
    cause: bool,
}

impl Members {
    fn add(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        let before = self.text.len();
        let written = serde_json::to_writer(&mut self.text, name)
            .map(|()| self.text.push(b':'))
            .and_then(|()| serde_json::to_writer(&mut self.text, value));
        if written.is_err() {
            self.text.truncate(before - 1);
        }
    }
}

impl Visit for Members {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.noted.invocation |= field.name() == "message" && text == INVOCATION;
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.noted.code |= field.name() == "code";
        self.noted.cause |= field.name() == "cause";
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            "duration_ms" => self.noted.duration_ms = Some(value),
            "upstream_ms" => self.noted.upstream_ms = Some(value),
            _ => {}
        }
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.noted.cold_start |= value && field.name() == "cold_start";
        self.noted.bad_signature |= value && field.name() == "bad_signature";
        self.add(field.name(), &value);
    }
}

/// What an edge keeps in mind from one invocation to the next.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    warm: AtomicBool,
}

impl Watch {
    /// Does the work of an invocation, and logs the line that comes with its answer. Every line that it writes meanwhile
    /// carries the invocation's ids, too.
    pub(crate) async fn over<T>(
        &self,
        invocation: Invocation<'_>,
        work: impl Future<Output = (T, Line)>,
    ) -> T {
        let trace = invocation.trace_id.map(ToOwned::to_owned);
        let ids = Ids { request: invocation.request_id.to_owned(), trace };
        let started = Instant::now();
        let cold_start = !self.warm.swap(true, Ordering::Relaxed);
        let work = async {
            let ((answer, line), upstream) = timing::measure(work).await;
            log_invocation(&line, &Measured { duration: started.elapsed(), upstream, cold_start });
            answer
        };
        IDS.scope(ids, work).await
    }
}

/// What is measured of an invocation.
struct Measured {
    duration: Duration,
    /// The part of it that other systems took.
    upstream: Duration,
    cold_start: bool,
}

/// What an edge says of an invocation.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) action: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) status: Option<u16>,
    pub(crate) caller: Option<&'static str>,
    pub(crate) user_ref: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) bad_signature: bool,
}

fn log_invocation(line: &Line, measured: &Measured) {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let duration_ms = millis(measured.duration);
    let upstream_ms = millis(measured.upstream);
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
                cold_start = measured.cold_start,
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

/// Logs why a call was let through without being counted.
pub fn log_not_limited(cause: &dyn fmt::Display) {
    tracing::warn!(target: TARGET, cause = %cause, "no rate limit");
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
