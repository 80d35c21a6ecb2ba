//! Amazon DynamoDB: one table for sessions, the replay guard and rate limits.
//!
//! # Layout
//! - [`table`]: [`Table`], and how its items are spelt.
//! - `sessions`: the domain's `SessionStore`.
//! - `limits`: the domain's `ReplayGuard`, `VerdictLog` and `RateLimiter`.
//! - `failure`: what the SDK's errors mean, in words that are safe to log.
//!
//! # Items
//! | `pk` | attributes |
//! |---|---|
//! | `session#<hash>` | `user`, `created`, `expires`, `last_seen`, `ttl`, `owner` |
//! | `replay#<hash>` | `expires`, `ttl`, `owner`; of custom authentication also `flow`, `verdict` |
//! | `rate#<hash>#<window>` | `hits`, `ttl` |
//!
//! Times are milliseconds, but `ttl` is seconds: by it DynamoDB clears away what has expired, hours later at times,
//! so readers compare `expires` themselves. Only sessions have a `user`, so the index `by_user` holds nothing else.
//! The table's definition is `infra/table.json`.

mod failure;
mod limits;
mod sessions;
pub mod table;

pub use table::Table;

/// The name of this system in logs.
const SYSTEM: &str = "dynamodb";
