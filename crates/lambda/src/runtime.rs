//! The whole of a function's `main`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, Diagnostic, LambdaEvent, LambdaInvocation, Runtime};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use settings::Settings;

use crate::action::{Action, Edge, Invocation};
use crate::caller::CallerPolicy;
use crate::http::{HttpEdge, HttpService};
use crate::telemetry;
use crate::trigger::{Fault, Trigger, TriggerEdge};

/// Runs an action: reads the configuration, then serves invocations until Lambda stops the process.
///
/// All problems of the configuration are logged in one line, and the process ends.
pub async fn run<A: Action + 'static>(
    from_settings: impl FnOnce(&mut Settings<'_>) -> Option<A>,
) -> ExitCode {
    let edge = |settings: &mut Settings<'_>| {
        // First whatever trusts more: its client serves the others, too.
        let action = from_settings(settings);
        let callers = CallerPolicy::from_settings(settings);
        Some(Edge::new(action?, callers?))
    };
    let Some(edge) = start(edge) else { return ExitCode::FAILURE };
    if edge.refuses_all_http() {
        telemetry::log_refuses_all_http(A::NAME);
    }
    let edge = Arc::new(edge);
    serve(move |event, now| {
        let edge = Arc::clone(&edge);
        async move { edge.respond(event.payload.get(), invocation(&event.context), now).await }
    })
    .await
}

/// Runs a function with routes, as [`run`] does an action.
pub async fn run_http<S: HttpService + 'static>(
    from_settings: impl FnOnce(&mut Settings<'_>) -> Option<S>,
) -> ExitCode {
    let Some(edge) = start(|settings| from_settings(settings).map(HttpEdge::new)) else {
        return ExitCode::FAILURE;
    };
    let edge = Arc::new(edge);
    serve(move |event, now| {
        let edge = Arc::clone(&edge);
        async move { edge.respond(event.payload.get(), invocation(&event.context), now).await }
    })
    .await
}

/// Runs a trigger, as [`run`] does an action.
pub async fn run_trigger<T: Trigger + 'static>(
    from_settings: impl FnOnce(&mut Settings<'_>) -> Option<T>,
) -> ExitCode {
    let Some(edge) = start(|settings| from_settings(settings).map(TriggerEdge::new)) else {
        return ExitCode::FAILURE;
    };
    let edge = Arc::new(edge);
    serve(move |event, now| {
        let edge = Arc::clone(&edge);
        async move { edge.respond(event.payload.get(), invocation(&event.context), now).await }
    })
    .await
}

/// Starts logging and reads the configuration.
fn start<T>(from_settings: impl FnOnce(&mut Settings<'_>) -> Option<T>) -> Option<T> {
    let mut settings = Settings::from_env();
    telemetry::Telemetry::from_settings(&settings).start();
    // The runtime panics where one is missing.
    for name in [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
    ] {
        if settings.optional(name).is_none() {
            settings.problem(name, "required: Lambda sets it, and so do `make run` and `cargo lambda watch`");
        }
    }
    let value = from_settings(&mut settings);
    settings.finish(value).map_err(|problems| telemetry::log_start_failure(&problems)).ok()
}

/// The runtime's word on an event.
fn invocation(context: &Context) -> Invocation<'_> {
    Invocation {
        request_id: &context.request_id,
        trace_id: context.xray_trace_id.as_deref(),
        deadline: UNIX_EPOCH.checked_add(Duration::from_millis(context.deadline)),
    }
}

async fn serve<F, E>(respond: impl Fn(LambdaEvent<Box<RawValue>>, SystemTime) -> F) -> ExitCode
where
    F: Future<Output = Result<Box<RawValue>, E>>,
    Fault: From<E>,
{
    let handler = tower::service_fn(|event: LambdaEvent<Box<RawValue>>| {
        let answer = respond(event, SystemTime::now());
        async move {
            answer.await.map_err(|error| {
                let Fault { error_type, error_message } = error.into();
                Diagnostic { error_type: error_type.into(), error_message }
            })
        }
    });
    match Runtime::new(handler).layer(tower::layer::layer_fn(Readable)).run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            telemetry::log_runtime_failure(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// Replaces a payload that is no JSON by `null`, which the edge refuses like any other bad event; the runtime
/// itself would post an error of its own.
#[derive(Clone)]
struct Readable<S>(S);

impl<S: tower::Service<LambdaInvocation>> tower::Service<LambdaInvocation> for Readable<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        let text = std::str::from_utf8(&invocation.body);
        if !text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok()) {
            invocation.body = b"null".as_slice().into();
        }
        self.0.call(invocation)
    }
}
