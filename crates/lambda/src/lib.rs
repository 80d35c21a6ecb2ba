//! The edge kit: everything between the Lambda runtime and an action, and no business word.
//!
//! # Layout
//! - [`action`]: [`Action`], what a function implements, and [`Edge`], which calls it.
//! - [`queue`]: batches of a queue's messages.
//! - [`runtime`]: [`run`], the whole of a function's `main`.
//! - [`caller`]: who may call: direct invocation, signed HTTP, IAM.
//! - [`problem`]: the stable error codes and their answers.
//! - [`telemetry`]: JSON logs.
//! - [`http`]: [`HttpService`], what a function with routes implements, and [`HttpEdge`], which calls it.
//! - [`trigger`]: [`Trigger`], what a function implements that another AWS service invokes, and [`TriggerEdge`], which calls it.
//! - `envelope`, `render`: the five shapes in which a call arrives and is answered.

pub mod action;
pub mod caller;
mod envelope;
pub mod http;
pub mod problem;
pub mod queue;
mod render;
pub mod runtime;
pub mod telemetry;
pub mod trigger;

pub use action::{Action, Call, Crashed, Edge, Invocation, Reply};
pub use caller::{Caller, CallerPolicy, signing_secrets};
pub use http::{HttpEdge, HttpService};
pub use problem::{Code, Problem};
pub use queue::Message;
pub use runtime::{run, run_http, run_trigger};
pub use trigger::{Fault, Trigger, TriggerEdge};

/// What is deployed is linked with musl, whose own allocator trades speed for other things: a warm call took half as long again.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
