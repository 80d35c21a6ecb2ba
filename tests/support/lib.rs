//! What the tests share.
//!
//! # Layout
//! - [`api`]: calls of auth-api.
//! - [`stub`]: [`stub::Stub`], an HTTP server that answers exactly what a test scripts, or misbehaves.
//! - [`suites`]: one contract suite a port, for every adapter of it.
//! - [`host`]: the real binaries under the local host, their logs kept.
//! - [`auth_system`]: an authentication system of the contract in `infra/`, in memory.
//! - [`connect`]: the stand-in for Corbado, and a browser without a screen.
//! - [`laptop`]: the sandbox with everything in it.
//! - [`authenticator`]: passkeys in software.
//! - [`emulator`]: ministack, started and stopped.
//! - [`dynamodb`]: the table, and moto beside ministack.
//! - [`function`]: the real binaries as functions on ministack.
//! - [`python`]: small programs in the tools' Python.
//! - [`forge`]: JSON web tokens under keys of a test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

pub mod api;
pub mod auth_system;
pub mod authenticator;
pub mod connect;
pub mod dynamodb;
pub mod emulator;
pub mod forge;
pub mod function;
pub mod host;
pub mod laptop;
pub mod python;
pub mod stub;
pub mod suites;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The folder of the sample events.
pub fn events() -> PathBuf {
    repository().join("events")
}

/// The folder that holds the binaries of this build: `make test` builds them before the tests.
pub fn binaries() -> PathBuf {
    // target/debug/deps/<test> → target/debug
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().to_path_buf()
}

/// A tool that `make tools` installs below `target/tools`.
pub fn tool(name: &str) -> PathBuf {
    let path = repository().join("target/tools/bin").join(name);
    assert!(path.exists(), "{} is missing: run `make tools` first", path.display());
    path
}

/// Settings from pairs, as a function's environment would give them.
pub fn settings(pairs: &[(&str, &str)]) -> settings::Settings<'static> {
    let pairs: HashMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    settings::Settings::from_lookup(move |name| pairs.get(name).cloned())
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
