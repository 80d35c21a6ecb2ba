//! The one place that chooses adapters from the configuration.
//!
//! One closed enum a port, so that handlers stay generic over `&impl Port` and the compiler sees every pair.
//!
//! # Layout
//! - [`directory`]: [`Directory`], chosen by `AUTH_SYSTEM`.
//! - [`sessions`]: [`Sessions`], the session store and replay guard, chosen by `SESSION_STORE`.

pub mod directory;
pub mod sessions;

pub use corbado::Verifier;
pub use directory::Directory;
pub use outbound::{Https, Trust};
pub use sessions::Sessions;
