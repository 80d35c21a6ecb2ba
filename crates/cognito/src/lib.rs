//! Amazon Cognito: the user pool as the directory of users and their MFA flags, and as issuer of tokens.
//!
//! # Layout
//! - [`directory`]: [`Directory`], the domain's `UserDirectory`.
//! - [`tokens`]: [`Tokens`], the domain's `ProviderTokens`: the pool's access and ID tokens, verified offline.
//! - [`sign_in`]: [`SignIn`], the domain's `ProviderSignIn`, by custom authentication.
//! - `jwks`: the pool's keys, fetched and kept.
//! - `failure`: what the SDK's errors mean, in words that are safe to log.

pub mod directory;
mod failure;
mod jwks;
pub mod sign_in;
pub mod tokens;

pub use directory::Directory;
pub use sign_in::SignIn;
pub use tokens::Tokens;

/// The name of this system in logs.
const SYSTEM: &str = "cognito";
