//! A signing secret for each action, made once and kept in the state directory.
//!
//! One each, because a signature names no function: a call signed for one must not open another.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::{ACTIONS, private};

/// The secrets by function name, as `whsec_…`.
pub type SigningSecrets = BTreeMap<String, String>;

const FILE: &str = "signing-secrets.json";

/// Reads the secrets below `state`; makes those that are missing.
pub fn load_or_create(state: &Path) -> io::Result<SigningSecrets> {
    let path = state.join(FILE);
    let mut secrets: SigningSecrets = match std::fs::read(&path) {
        Ok(json) => serde_json::from_slice(&json)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => SigningSecrets::new(),
        Err(error) => return Err(error),
    };
    if ACTIONS.iter().all(|function| secrets.contains_key(*function)) {
        return Ok(secrets);
    }
    for function in ACTIONS {
        secrets.entry(function.to_owned()).or_insert(new_secret()?);
    }
    private::replace(&path, &serde_json::to_vec_pretty(&secrets)?)?;
    Ok(secrets)
}

fn new_secret() -> io::Result<String> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    Ok(format!("whsec_{}", BASE64_STANDARD.encode(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use webhooks::SigningSecret;

    #[test]
    fn makes_one_each_and_keeps_them() {
        let state = tempfile::tempdir().unwrap();
        let made = load_or_create(state.path()).unwrap();
        assert_eq!(made.len(), ACTIONS.len());
        assert!(made.values().all(|secret| SigningSecret::parse(secret).is_some()));
        let mut distinct: Vec<_> = made.values().collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), ACTIONS.len());
        assert_eq!(load_or_create(state.path()).unwrap(), made);
    }
}
