//! What a function implements, and the edge that calls it.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::caller::{Caller, CallerPolicy, NotAdmitted, Refused};
use crate::envelope::{self, Arrived, HttpRequest, Shape};
use crate::problem::{Code, Problem};
use crate::queue::{self, Message};
use crate::render;
use crate::telemetry::{self, Line, Watch};

/// The largest HTTP body accepted, in bytes, decoded.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// What is kept of an invocation's time for the answer itself.
const MARGIN: Duration = Duration::from_millis(250);

/// One function's work on an event, whatever envelope the event came in.
pub trait Action: Send + Sync {
    /// The function's name, for the log.
    const NAME: &'static str;
    /// The public text of an answer with status 500.
    const FAILURE: &'static str;

    /// Answers one event from an authenticated caller.
    fn answer(&self, event: &[u8], call: &Call) -> impl Future<Output = Result<Reply, Problem>> + Send;

    /// Tells whether batches of a queue's messages are for this action; without, such a batch is an event like any other.
    fn takes_messages(&self) -> bool {
        false
    }

    /// Works through a batch of messages, by `deadline` where there is one, and returns the ids of those to deliver again. Who
    /// wrote a message is for the action to find out: the queue's poller invokes directly, and so may others.
    fn take_messages(
        &self,
        messages: Vec<Message>,
        _deadline: Option<Instant>,
    ) -> impl Future<Output = Vec<String>> + Send {
        async move { messages.into_iter().map(|message| message.id).collect() }
    }

    /// Answers when time ran out or a panic was caught; the problem itself, unless the action's protocol wants otherwise.
    fn failed(&self, problem: Problem) -> Result<Reply, Problem> {
        Err(problem)
    }
}

/// What an action knows of the call beside the event.
#[derive(Debug)]
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// The time of the call.
    pub now: SystemTime,
    user_ref: OnceLock<String>,
}

impl Call {
    /// A call by `caller` at `now`.
    pub fn new(caller: Caller, now: SystemTime) -> Self {
        Self { caller, now, user_ref: OnceLock::new() }
    }

    /// Notes whom the call is about: the log gets a short hash, since a user id may be an e-mail address.
    pub fn about(&self, user_id: &str) {
        // The first user named stays.
        let _ = self.user_ref.set(user_ref(user_id));
    }

    /// The short hash of whom the call is about.
    pub(crate) fn user_ref(&self) -> Option<&str> {
        self.user_ref.get().map(String::as_str)
    }
}

/// A short hash of a user id, for the log.
pub fn user_ref(user_id: &str) -> String {
    Sha256::digest(user_id).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// An answer: over HTTP with status 200.
pub struct Reply {
    pub(crate) body: String,
    pub(crate) outcome: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) cause: Option<String>,
}

// The body may hold a session id.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl Reply {
    /// Answers with `body`; `outcome` is a word for the log.
    pub fn new(outcome: &'static str, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body)
            .map_err(|_| Problem::new(Code::InternalError, "answer: not serialisable"))?;
        Ok(Self::raw(outcome, body))
    }

    /// Answers with a body that is JSON text already.
    pub fn raw(outcome: &'static str, body: String) -> Self {
        Self { body, outcome, code: None, cause: None }
    }

    /// Adds the code of a refusal that is an answer nevertheless.
    #[must_use]
    pub fn code(mut self, code: Option<&'static str>) -> Self {
        self.code = code;
        self
    }

    /// Adds the cause of a failure that is an answer nevertheless: logged, never answered.
    #[must_use]
    pub fn cause(mut self, cause: Option<String>) -> Self {
        self.cause = cause;
        self
    }
}

/// The runtime's word on one invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Finds the log line.
    pub request_id: &'a str,
    /// Finds the trace, where there is one.
    pub trace_id: Option<&'a str>,
    /// When Lambda will stop the function.
    pub deadline: Option<SystemTime>,
}

/// A panic in a direct invocation: reported to the runtime as a function error, without the panic's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crashed;

/// Everything around an action: envelope, caller, time limit, panic, answer, log line.
#[derive(Debug)]
pub struct Edge<A> {
    action: A,
    callers: CallerPolicy,
    watch: Watch,
}

/// What goes into the answer and the log line.
struct Handled {
    shape: Shape,
    caller: Option<&'static str>,
    user_ref: Option<String>,
    result: Result<Reply, Problem>,
    panicked: bool,
    bad_signature: bool,
}

impl Handled {
    fn new(shape: Shape, result: Result<Reply, Problem>) -> Self {
        Self { shape, caller: None, user_ref: None, result, panicked: false, bad_signature: false }
    }

    fn refused(shape: Shape, problem: Problem) -> Self {
        Self::new(shape, Err(problem))
    }

    fn not_admitted(shape: Shape, not_admitted: &NotAdmitted) -> Self {
        let problem = match not_admitted {
            NotAdmitted::Refused(cause) => Problem::new(Code::Unauthenticated, cause),
            NotAdmitted::Unavailable(cause) => Problem::new(Code::ProviderUnavailable, cause),
        };
        let bad_signature = matches!(not_admitted, NotAdmitted::Refused(Refused::Signature(_)));
        Self { bad_signature, ..Self::refused(shape, problem) }
    }
}

impl<A: Action> Edge<A> {
    /// Puts `action` behind `callers`.
    pub fn new(action: A, callers: CallerPolicy) -> Self {
        Self { action, callers, watch: Watch::default() }
    }

    /// Tells whether every HTTP request will be refused for want of a secret.
    pub(crate) fn refuses_all_http(&self) -> bool {
        self.callers.refuses_all_http()
    }

    /// Answers one invocation, whose payload is any JSON text, at `now`.
    pub async fn respond(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> Result<Box<RawValue>, Crashed> {
        self.watch.over(invocation, self.answer(payload, invocation, now)).await
    }

    async fn answer(
        &self,
        payload: &str,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> (Result<Box<RawValue>, Crashed>, Line) {
        if self.action.takes_messages()
            && let Some(messages) = queue::recognise(payload)
        {
            return self.work_through(messages, invocation, now).await;
        }
        let Handled { shape, caller, user_ref, result, panicked, bad_signature } =
            self.handle(payload, invocation, now).await;
        let (status, body, outcome, code, cause) = match result {
            Ok(reply) => (200, reply.body, reply.outcome, reply.code, reply.cause),
            Err(problem) => {
                let body = problem.body(A::FAILURE, invocation.request_id);
                let outcome = problem.outcome();
                (problem.code.status(), body, outcome, Some(problem.code.as_str()), problem.cause)
            }
        };
        let line = Line {
            level: telemetry::level(status, cause.as_deref()),
            action: A::NAME,
            outcome,
            code,
            status: Some(status),
            caller,
            user_ref,
            cause,
            bad_signature,
        };
        if panicked && shape == Shape::Direct {
            return (Err(Crashed), line);
        }
        let answer = if shape == Shape::Direct {
            render::direct(status, &body)
        } else {
            let allow = (status == Code::MethodNotAllowed.status()).then_some(("allow", "POST"));
            let headers: Vec<_> = render::JSON_HEADERS.into_iter().chain(allow).collect();
            render::http(shape, status, &headers, &body)
        };
        (RawValue::from_string(answer).map_err(|_| Crashed), line)
    }

    /// Works through a batch. Where that panics, all of it is delivered again.
    async fn work_through(
        &self,
        messages: Vec<Message>,
        invocation: Invocation<'_>,
        now: SystemTime,
    ) -> (Result<Box<RawValue>, Crashed>, Line) {
        let all: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        let budget = remaining(invocation.deadline, now);
        let deadline = budget.map(|budget| Instant::now() + budget);
        let work = self.action.take_messages(messages, deadline);
        let failed = in_time(Box::pin(work), budget).await.unwrap_or_else(|_| all.clone());
        let cause = (!failed.is_empty()).then(|| format!("{} of {} messages left", failed.len(), all.len()));
        let line = Line {
            level: if cause.is_some() { tracing::Level::ERROR } else { tracing::Level::INFO },
            action: A::NAME,
            outcome: "messages_taken",
            code: cause.as_ref().map(|_| Code::ProviderUnavailable.as_str()),
            status: None,
            caller: Some("queue"),
            user_ref: None,
            cause,
            bad_signature: false,
        };
        (RawValue::from_string(queue::answer(&failed)).map_err(|_| Crashed), line)
    }

    async fn handle(&self, payload: &str, invocation: Invocation<'_>, now: SystemTime) -> Handled {
        let (shape, event, http) = match envelope::recognise(payload) {
            Arrived::Direct(event) => (Shape::Direct, event, None),
            Arrived::Unknown(cause) => {
                // Any gateway understands format 1.0's answer.
                return Handled::refused(Shape::V1, Problem::new(Code::InvalidRequest, cause));
            }
            Arrived::Http(request) => {
                if let Err(problem) = check_http(&request) {
                    return Handled::refused(request.shape, problem);
                }
                (request.shape, Cow::Borrowed(&[][..]), Some(request))
            }
        };
        let started = Instant::now();
        let budget = remaining(invocation.deadline, now);
        let admitted = match &http {
            None => self.callers.admit_direct().map_err(NotAdmitted::from),
            Some(request) => match in_time(Box::pin(self.callers.admit_http(request, now)), budget).await {
                Ok(admitted) => admitted,
                Err(gave_up) => return Handled::refused(shape, gave_up.problem()),
            },
        };
        let caller = match admitted {
            Ok(caller) => caller,
            Err(not_admitted) => return Handled::not_admitted(shape, &not_admitted),
        };
        let event = http.map_or(event, |request| request.body.into());
        let call = Call::new(caller, now);
        let left = budget.map(|budget| budget.saturating_sub(started.elapsed()));
        let (result, panicked) = self.answer_in_time(&event, &call, left).await;
        Handled {
            caller: Some(call.caller.kind()),
            user_ref: call.user_ref.into_inner(),
            panicked,
            ..Handled::new(shape, result)
        }
    }

    async fn answer_in_time(
        &self,
        event: &[u8],
        call: &Call,
        budget: Option<Duration>,
    ) -> (Result<Reply, Problem>, bool) {
        match in_time(Box::pin(self.action.answer(event, call)), budget).await {
            Ok(result) => (result, false),
            Err(gave_up) => {
                let panicked = matches!(gave_up, GaveUp::Panic);
                (self.action.failed(gave_up.problem()), panicked)
            }
        }
    }
}

/// Why work was given up.
pub(crate) enum GaveUp {
    Panic,
    Deadline,
}

impl GaveUp {
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Panic => Problem::new(Code::InternalError, "panic"),
            Self::Deadline => Problem::new(Code::ProviderUnavailable, "deadline: out of time"),
        }
    }
}

/// Does work within a budget of time, and survives its panic.
///
/// The work comes boxed: the SDKs' futures nest deeper than the compiler follows in a function's `main`.
pub(crate) async fn in_time<T>(
    work: Pin<Box<dyn Future<Output = T> + Send + '_>>,
    budget: Option<Duration>,
) -> Result<T, GaveUp> {
    let work = AssertUnwindSafe(work).catch_unwind();
    let done = match budget {
        Some(budget) => tokio::time::timeout(budget, work).await.map_err(|_elapsed| GaveUp::Deadline)?,
        None => work.await,
    };
    done.map_err(|_panic| GaveUp::Panic)
}

/// The time left for the work; a deadline in the past is none (cargo-lambda sends one).
pub(crate) fn remaining(deadline: Option<SystemTime>, now: SystemTime) -> Option<Duration> {
    let left = deadline?.duration_since(now).ok()?;
    Some(left.saturating_sub(MARGIN))
}

fn check_http(request: &HttpRequest) -> Result<(), Problem> {
    if request.method != "POST" {
        return Err(Problem::new(Code::MethodNotAllowed, "http: method"));
    }
    if request.body.len() > MAX_BODY {
        return Err(Problem::new(Code::TooLarge, "http: body size"));
    }
    if !request.headers.all("content-type").into_iter().all(is_json) {
        return Err(Problem::new(Code::UnsupportedMediaType, "http: content-type"));
    }
    Ok(())
}

/// Tells whether a content type is JSON: `application/json`, or with a suffix `+json` (RFC 6839).
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
