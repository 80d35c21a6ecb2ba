//! `signedPasskeyData`: what Corbado signs when a passkey was verified, and its verdict on it.
//!
//! Claims as in Corbado's documentation. That an expired or spent token is an `invalid_challenge`, and that a token is
//! spent by a verification for another user, too, is ours.

use serde_json::{Value, json};

use super::problem::Problem;
use super::store::{StoredPasskey, User};
use super::{Inner, new_id, now_millis};

/// How far another clock may be ahead, in seconds.
const NOT_BEFORE: u64 = 10;

impl Inner {
    /// Signs that `user` was verified by `passkey`.
    pub(super) fn prove(
        &self,
        user: &User,
        passkey: &StoredPasskey,
        process: &str,
        conditional: bool,
    ) -> Result<String, Problem> {
        let now = now_millis() / 1000;
        let claims = json!({
            "iss": self.settings.project_id,
            "sub": user.id,
            "iat": now,
            "nbf": now.saturating_sub(NOT_BEFORE),
            "exp": now + self.settings.rules.proof_lifetime.as_secs(),
            "jti": new_id("jti")?,
            "processId": process,
            "username": "",
            "credential": passkey.id,
            "challengeId": new_id("was")?,
            "webauthnId": user.identifier,
            "isCUI": conditional,
        });
        self.key.sign(&claims).map_err(|_| Problem::internal("signing key"))
    }

    /// Reads a proof of our own that is valid now and not spent.
    pub(super) fn read_proof(&self, token: &str) -> Result<Value, &'static str> {
        let claims = self.key.verify(token).ok_or("invalid_signature")?;
        let now = now_millis() / 1000;
        let seconds = |name: &str| claims.get(name).and_then(Value::as_u64);
        match (seconds("nbf"), seconds("exp")) {
            (Some(from), Some(until)) if from <= now && now < until => Ok(claims),
            _ => Err("invalid_challenge"),
        }
    }

    /// Gives the verdict on a proof for a user, once.
    pub(super) fn verdict(&self, token: &str, username: &str) -> Result<&'static str, Problem> {
        let claims = match self.read_proof(token) {
            Ok(claims) => claims,
            Err(verdict) => return Ok(verdict),
        };
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let expires = claims.get("exp").and_then(Value::as_u64).unwrap_or_default();
        if !self.store.spend(text("jti"), expires, now_millis() / 1000)? {
            return Ok("invalid_challenge");
        }
        self.note_stored("proof spent", json!({"jti": text("jti"), "user": username}));
        Ok(if text("webauthnId") == username { "success" } else { "user_mismatch" })
    }
}
