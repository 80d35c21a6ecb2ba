//! The embedded store: users, sessions, replay guard and rate limits in one SQLite file, for laptops and tests.
//!
//! Several processes share the file. Nothing is opened before it is needed, so that a store that cannot be used is an
//! answer (`provider_unavailable`) and not a crash.
//!
//! # Layout
//! - [`store`]: [`Store`], the file, its migrations and its locking.
//! - `directory`, `sessions`: the domain's ports on it.
//! - [`deferred`]: a queue for what is done later.
//! - [`accounts`]: new users, and a look at all of them.
//! - [`seed`]: demo users.

pub mod accounts;
pub mod deferred;
mod directory;
pub mod seed;
mod sessions;
pub mod store;

pub use deferred::Delivery;
pub use store::Store;

/// The name of this system in logs.
const SYSTEM: &str = "embedded";
