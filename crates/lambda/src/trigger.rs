//! What a function implements that another AWS service invokes, and the edge that calls it.
//!
//! There is no envelope, and IAM has said who may invoke. What goes wrong is a function error, which the service may show to the
//! user: so its type and text are fixed for each code, and say nothing else.

use std::time::{Duration, SystemTime};

use serde_json::value::RawValue;
use tracing::Level;

use crate::action::{Call, Crashed, Invocation, Reply, in_time, remaining};
use crate::caller::Caller;
use crate::problem::{Code, Problem};
use crate::telemetry::{Line, Watch};

/// One function's work on an event of another AWS service.
pub trait Trigger: Send + Sync {
    /// The function's name, for the log.
    const NAME: &'static str;
    /// The public text of an error that is not the event's fault.
    const FAILURE: &'static str;
    /// The longest time that an answer may take: the service waits no longer, and would ask again.
    const BUDGET: Duration;

    /// Answers one event. A reply with a code is a refusal, for the log.
    fn answer(&self, event: &str, call: &Call) -> impl Future<Output = Result<Reply, Problem>> + Send;
}

/// A function error: `{"errorType", "errorMessage"}`, the same for the same code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code, such as `provider_unavailable`.
    pub error_type: &'static str,
    /// The code and its public text.
    pub error_message: String,
}

/// Everything around a trigger: time limit, panic, log line.
#[derive(Debug)]
pub struct TriggerEdge<T> {
    trigger: T,
    watch: Watch,
}

impl<T: Trigger> TriggerEdge<T> {
    /// Puts `trigger` behind the edge.
    pub fn new(trigger: T) -> Self {
        Self { trigger, watch: Watch::default() }
    }

    /// Answers one invocation, whose payload is any JSON text, at `now`.
    pub async fn respond(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> Result<Box<RawValue>, Fault> {
        self.watch.over(invocation, self.answer(payload, invocation, now)).await
    }

    async fn answer(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> (Result<Box<RawValue>, Fault>, Line) {
        let call = Call::new(Caller::Direct, now);
        let budget = remaining(invocation.deadline, now).map_or(T::BUDGET, |left| left.min(T::BUDGET));
        let work = Box::pin(self.trigger.answer(payload, &call));
        let result = in_time(work, Some(budget)).await.unwrap_or_else(|gave_up| Err(gave_up.problem()));
        let (answer, level, outcome, code, cause) = match result {
            Ok(reply) => {
                let level = if reply.code.is_none() { Level::INFO } else { Level::WARN };
                let answer =
                    RawValue::from_string(reply.body).map_err(|_| Fault::of(Code::InternalError, T::FAILURE));
                (answer, level, reply.outcome, reply.code, reply.cause)
            }
            Err(problem) => {
                let fault = Fault::of(problem.code, T::FAILURE);
                (Err(fault), Level::ERROR, "failed", Some(problem.code.as_str()), problem.cause)
            }
        };
        let line = Line {
            level,
            action: T::NAME,
            outcome,
            code,
            status: None,
            caller: None,
            user_ref: call.user_ref().map(ToOwned::to_owned),
            cause,
            bad_signature: false,
        };
        (answer, line)
    }
}

impl Fault {
    fn of(code: Code, failure: &'static str) -> Self {
        let error_message = format!("{}: {}", code.as_str(), code.message(failure));
        Self { error_type: code.as_str(), error_message }
    }
}

impl From<Crashed> for Fault {
    fn from(_: Crashed) -> Self {
        Self { error_type: "internal_error", error_message: "internal_error".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scripted;

    impl Trigger for Scripted {
        const NAME: &'static str = "scripted";
        const FAILURE: &'static str = "Try again.";
        const BUDGET: Duration = Duration::from_secs(4);

        async fn answer(&self, event: &str, _: &Call) -> Result<Reply, Problem> {
            match event {
                "1" => Ok(Reply::raw("done", "{\"big\": 12345678901234567890123}".into())),
                "2" => Err(Problem::new(Code::InvalidRequest, "planted")),
                "3" => std::future::pending().await,
                _ => panic!("planted"),
            }
        }
    }

    async fn respond(payload: &str, deadline: Option<SystemTime>) -> Result<String, Fault> {
        let invocation = Invocation { request_id: "r", trace_id: None, deadline };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let answer = TriggerEdge::new(Scripted).respond(payload, invocation, now).await;
        answer.map(|json| json.get().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn errors_have_one_text_a_code() {
        let fault = |error_type, text: &str| {
            Err(Fault { error_type, error_message: format!("{error_type}: {text}") })
        };
        assert_eq!(respond("1", None).await, Ok("{\"big\": 12345678901234567890123}".into()));
        assert_eq!(respond("2", None).await, fault("invalid_request", "The request is not valid."));
        assert_eq!(respond("4", None).await, fault("internal_error", "Try again."));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_the_service_would() {
        let out_of_time = Err(Fault {
            error_type: "provider_unavailable",
            error_message: "provider_unavailable: Try again.".into(),
        });
        for (deadline_ms, expected_ms) in [(None, 4000), (Some(60_000), 4000), (Some(3000), 2750)] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
            let started = tokio::time::Instant::now();
            let deadline = deadline_ms.map(|ms| now + Duration::from_millis(ms));
            assert_eq!(respond("3", deadline).await, out_of_time);
            // The clock is paused: this is no measurement.
            let waited = started.elapsed();
            let expected = Duration::from_millis(expected_ms);
            assert!(waited >= expected && waited < expected + Duration::from_millis(10), "{waited:?}");
        }
    }
}
