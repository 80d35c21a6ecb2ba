//! Amazon Cognito: the user pool as the directory of users and their MFA flags.
//!
//! # Layout
//! - [`directory`]: [`Directory`], the domain's `UserDirectory`.
//! - `failure`: what the SDK's errors mean, in words that are safe to log.

pub mod directory;
mod failure;

pub use directory::Directory;

/// The name of this system in logs.
const SYSTEM: &str = "cognito";
