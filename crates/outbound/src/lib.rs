//! Outbound calls, the same for every adapter: one HTTPS client with few trusted roots, and AWS settings.
//!
//! # Layout
//! - [`https`]: [`Https`], the client, shared by the AWS SDK and by plain JSON calls.
//! - [`aws`]: region, credentials, retries and time limits for AWS clients, without the `aws-config` crate.

pub mod aws;
pub mod https;

pub use https::{Answer, Failure, Https, Trust};
