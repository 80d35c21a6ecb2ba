use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn lines(namespace: Option<&str>, work: impl FnOnce()) -> Vec<Value> {
    let written = Written::default();
    let telemetry =
        Telemetry { namespace: namespace.map(Into::into), function: Some("connect-dev-post-login".into()) };
    let subscriber = tracing_subscriber::fmt().event_format(telemetry).with_writer(written.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn line() -> Line {
    Line {
        level: Level::INFO,
        action: "post-login",
        outcome: "session_created",
        code: None,
        status: Some(200),
        caller: Some("signed"),
        user_ref: Some("abc".into()),
        cause: None,
        bad_signature: false,
    }
}

fn log(line: &Line, cold_start: bool) {
    let (duration, upstream) = (Duration::from_micros(12_345), Duration::from_micros(2_000));
    log_invocation(line, &Measured { duration, upstream, cold_start });
}

/// The names of the metrics, and of what divides them.
fn metrics(line: &Value) -> Vec<(Value, Vec<String>)> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    directives
        .iter()
        .map(|directive| {
            assert_eq!(directive["Namespace"], "Connect");
            for dimension in directive["Dimensions"][0].as_array().unwrap() {
                assert!(line[dimension.as_str().unwrap()].is_string(), "a member of its own: {dimension}");
            }
            let names = directive["Metrics"].as_array().unwrap().iter().map(|metric| {
                let name = metric["Name"].as_str().unwrap();
                assert!(line[name].is_number(), "a member of its own: {name}");
                name.to_owned()
            });
            (directive["Dimensions"].clone(), names.collect())
        })
        .collect()
}

#[test]
fn one_line_is_log_and_metric() {
    let lines = lines(Some("Connect"), || log(&line(), true));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(line["message"], "invocation");
    assert_eq!((&line["level"], &line["function"]), (&json!("INFO"), &json!("connect-dev-post-login")));
    assert_eq!((&line["duration_ms"], &line["upstream_ms"]), (&json!(12.345), &json!(2.0)));
    assert_eq!(line["user.ref"], "abc");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(line.get("code").is_none() && line.get("bad_signature").is_none());
    assert!(line["_aws"]["Timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    let expected = ["Invocations", "DurationMs", "UpstreamDurationMs", "ColdStarts"].map(str::to_owned);
    assert_eq!(metrics(line), [(json!([["function"]]), expected.to_vec())]);
    assert_eq!((&line["DurationMs"], &line["Invocations"]), (&json!(12.345), &json!(1)));
}

#[test]
fn refusals_and_failures_are_counted_by_what_divides_them() {
    let refused = || Line {
        level: Level::WARN,
        outcome: "refused",
        code: Some("unauthenticated"),
        cause: Some("signature: no signature matches".into()),
        status: Some(401),
        bad_signature: true,
        ..line()
    };
    let failed = || Line {
        level: Level::ERROR,
        outcome: "failed",
        code: Some("provider_unavailable"),
        cause: Some("cognito: failed, status 503".into()),
        status: Some(500),
        ..line()
    };
    let lines = lines(Some("Connect"), || {
        log(&refused(), false);
        log(&failed(), false);
    });
    let base = |more: &[&str]| {
        let names =
            ["Invocations", "DurationMs", "UpstreamDurationMs"].into_iter().chain(more.iter().copied());
        (json!([["function"]]), names.map(str::to_owned).collect::<Vec<_>>())
    };
    let one = |dimension: &str, name: &str| (json!([["function", dimension]]), vec![name.to_owned()]);
    assert_eq!(
        metrics(&lines[0]),
        [base(&["Refusals", "SignatureRefusals"]), one("code", "Outcome"), one("cause", "Refusals")]
    );
    assert_eq!(metrics(&lines[1]), [base(&["Failures"]), one("code", "Outcome")]);
}

#[test]
fn without_a_namespace_there_are_no_metrics() {
    let lines = lines(None, || log(&line(), true));
    assert!(lines[0].get("_aws").is_none() && lines[0].get("Invocations").is_none(), "{}", lines[0]);
}

#[test]
fn every_line_of_an_invocation_carries_its_ids() {
    let invocation = Invocation { request_id: "req-1", trace_id: Some("Root=1-2"), deadline: None };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let watch = Watch::default();
    let lines = lines(Some("Connect"), || {
        let work = async {
            tracing::error!(target: TARGET, "panic");
            ((), line())
        };
        runtime.block_on(watch.over(invocation, work));
        runtime.block_on(watch.over(invocation, async { ((), line()) }));
        tracing::warn!(target: TARGET, "outside");
    });
    let [panic, cold, warm, outside] = lines.as_slice() else { panic!("{lines:?}") };
    for line in [panic, cold, warm] {
        assert_eq!((&line["request_id"], &line["trace_id"]), (&json!("req-1"), &json!("Root=1-2")));
    }
    assert!(panic.get("_aws").is_none(), "no invocation's line");
    assert_eq!((&cold["cold_start"], &warm["cold_start"]), (&json!(true), &json!(false)));
    assert!(outside.get("request_id").is_none());
}
