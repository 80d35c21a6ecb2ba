//! Corbado's Backend API: the verdict on `signedPasskeyData`, and connect tokens.
//!
//! # Layout
//! - [`client`]: [`BackendApi`], base URL, credential and one JSON call.
//! - [`token`]: reads the claims of a token nobody has verified yet.
//! - [`verifier`]: [`Verifier`], the domain's `PasskeyVerifier`.
//! - [`connect_tokens`]: [`ConnectTokens`], the domain's `ConnectTokenIssuer`.

pub mod client;
pub mod connect_tokens;
pub mod token;
pub mod verifier;

pub use client::BackendApi;
pub use connect_tokens::ConnectTokens;
pub use verifier::Verifier;

/// The name of this system in logs.
const SYSTEM: &str = "corbado";

/// Reads a JSON object. serde would take an array of the fields' values for a struct as well.
fn read_object<T: for<'de> serde::Deserialize<'de>>(json: &[u8]) -> Option<T> {
    let object = json.trim_ascii_start().starts_with(b"{");
    object.then(|| serde_json::from_slice(json).ok()).flatten()
}
