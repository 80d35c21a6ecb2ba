//! Outbound calls, the same for every adapter: one HTTPS client with few trusted roots, and AWS settings.
//!
//! # Layout
//! - [`https`]: [`Https`], the client, shared by the AWS SDK and by plain JSON calls.
//! - `connector`: the connections below it.
//! - [`failure`]: what failures mean, in words that are safe to log.
//! - [`timing`]: how long a piece of work waited for other systems.
//! - [`aws`]: region, credentials, retries and time limits for AWS clients, without the `aws-config` crate.

pub mod aws;
mod connector;
pub mod failure;
pub mod https;
pub mod timing;

pub use https::{Answer, Failure, Https, Trust};
