//! Your authentication system, behind the HTTP contract of `infra/auth-system.openapi.json`.
//!
//! # Layout
//! - [`client`]: [`AuthSystem`], base URL, one call with its repetitions, what its answers mean.
//! - [`credential`]: [`Credential`], how a call is authenticated: a bearer token or a signature.
//! - [`directory`]: the users, read and marked.
//! - [`sessions`]: the sessions of those who keep them in their own system.
//! - `object`: reads JSON objects, and nothing else as an object.

pub mod client;
pub mod credential;
pub mod directory;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod object;
pub mod sessions;

pub use client::AuthSystem;
pub use credential::Credential;

/// The name of this system in logs.
const SYSTEM: &str = "auth-system";
