//! The one place that chooses adapters from the configuration.
//!
//! One closed enum a port, so that handlers stay generic over `&impl Port` and the compiler sees every pair.
//!
//! # Layout
//! - `deferrals`: the queue for what is done later; only with the feature `defer`.
//! - [`directory`]: [`Directory`], chosen by `AUTH_SYSTEM`.
//! - [`identifier`]: which identifier Corbado keeps passkeys under.
//! - [`sessions`]: [`Sessions`], session store with replay guard and rate limiter, chosen by `SESSION_STORE`.
//! - [`counters`]: [`Counters`], replay guard, log of verdicts and rate limiter on their own.
//! - [`proofs`]: the secrets of login proofs.
//! - [`provider`]: [`ProviderTokens`], tokens of the authentication system itself.

pub mod counters;
#[cfg(feature = "defer")]
pub mod deferrals;
pub mod directory;
pub mod identifier;
pub mod proofs;
pub mod provider;
pub mod sessions;

pub use cognito::SignIn;
pub use corbado::{ConnectTokens, Verifier};
pub use counters::Counters;
#[cfg(feature = "defer")]
pub use deferrals::Deferrals;
pub use directory::Directory;
pub use identifier::passkey_identifier;
pub use outbound::{Https, Trust};
pub use proofs::login_proofs;
pub use provider::ProviderTokens;
pub use secrets::Secret;
pub use sessions::Sessions;
