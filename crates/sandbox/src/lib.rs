//! The functions on a laptop: no account, no network, the real binaries.
//!
//! Nothing here is deployed, and nothing of what is deployed uses it.
//!
//! # Layout
//! - [`host`]: [`Host`], the local host: invocations by name and function URLs, on one loopback port.
//! - [`function`]: one function's binary, settings and processes.
//! - `runtime_api`: the Lambda Runtime API those processes speak to.
//! - `gateway`: HTTP requests to function-URL events and back.
//! - `guard`: keeps web pages away from the local host.
//! - `client`: calls functions over HTTP.
//! - `private`: files for the user alone.
//! - `corbado`: answers in Corbado's place for the sample tokens.
//! - [`deferred`]: the queue of updates that were put off.
//! - [`connect`]: Corbado Connect itself: both of its APIs, real ceremonies, the actions.
//! - [`journal`]: what happens, for people to look at.
//! - [`demo`]: an application with passkeys, from sign-up to the list of passkeys.
//! - [`pool`]: a user pool's side of custom authentication.
//! - `inspector`: what happens, live, and switches.
//! - [`laptop`]: all of it together.
//! - [`sample`]: the events below `events/`.
//! - [`site`]: a server on loopback for what pages may call.
//! - [`secrets`]: a signing secret for each function.
//! - [`invoke`]: sends a sample to the local host.

mod client;
pub mod connect;
mod corbado;
pub mod deferred;
pub mod demo;
pub mod function;
mod gateway;
mod guard;
pub mod host;
mod inspector;
pub mod invoke;
pub mod journal;
pub mod laptop;
pub mod pool;
mod private;
mod runtime_api;
pub mod sample;
pub mod secrets;
pub mod site;

pub use host::Host;

/// The functions that Corbado calls, by the names under which they are deployed.
pub const ACTIONS: [&str; 3] = ["pre-login", "post-login", "post-append"];

/// The functions that are called over HTTP, by the names under which they are deployed.
pub const WITH_URL: [&str; 4] = ["pre-login", "post-login", "post-append", "auth-api"];

/// All functions, by the names under which they are deployed.
pub const FUNCTIONS: [&str; 5] = ["pre-login", "post-login", "post-append", "auth-api", "custom-auth"];
