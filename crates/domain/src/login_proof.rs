//! Short proofs by which post-login signs a user in at the identity provider's custom challenge.
//!
//! post-login knows who signs in, but the provider asks a trigger of ours, not post-login. A proof carries post-login's word
//! there: bound to the user, good for seconds, once.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{Timestamp, UserIdentifier};

/// What every proof begins with.
const VERSION: &str = "v1";
/// How long a new proof is good.
const LIFETIME: Duration = Duration::from_secs(20);
/// The longest time that a proof may have left: its lifetime, and what clocks may differ.
const MAX_LEFT: Duration = Duration::from_secs(30);
/// How long a secret is, in characters.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 32..=128;

/// A proof as it arrived or was made: `v1.<expiry>.<nonce>.<mac>`, the expiry in seconds since the epoch, the nonce 16 random
/// bytes, the MAC HMAC-SHA256, both in base64url. A secret until it was used.
#[derive(Debug, Clone)]
pub struct LoginProof(SecretString);

/// The secrets of the proofs: the first makes them, all are accepted.
#[derive(Debug, Clone)]
pub struct LoginProofs {
    keys: Vec<SecretString>,
}

/// Why a proof does not hold. Logged, never told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProof {
    /// No secret is configured, so nothing can hold.
    #[error("not configured")]
    NotConfigured,
    /// Not of the documented shape.
    #[error("malformed")]
    Malformed,
    /// Not made with one of the secrets, or for another user.
    #[error("not ours, or for another user")]
    Mismatch,
    /// Past its expiry.
    #[error("expired")]
    Expired,
    /// Good for longer than any real proof.
    #[error("lifetime too long")]
    LongLived,
}

impl LoginProof {
    /// Tells whether an answer is meant to be a proof.
    pub fn is_meant_by(answer: &str) -> bool {
        answer.strip_prefix(VERSION).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Takes a proof of any shape.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The proof itself, for the provider that passes it on.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl LoginProofs {
    /// Takes one or more secrets of 32 to 128 printable ASCII characters each, separated by spaces.
    pub fn new(secrets: &SecretString) -> Option<Self> {
        let keys: Vec<_> = secrets.expose_secret().split_ascii_whitespace().map(SecretString::from).collect();
        let good = |key: &SecretString| {
            let key = key.expose_secret();
            SECRET_LENGTH.contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
        };
        (!keys.is_empty() && keys.iter().all(good)).then_some(Self { keys })
    }

    /// Makes a proof for a user, good for 20 seconds; `random` makes it a new one.
    pub fn make(&self, user: &UserIdentifier, random: [u8; 16], now: Timestamp) -> LoginProof {
        let expiry = now.plus(LIFETIME).as_millis() / 1000;
        let claims = format!("{VERSION}.{expiry}.{}", BASE64_URL_SAFE_NO_PAD.encode(random));
        let mac = self.keys.first().and_then(|key| mac(key, &claims, user));
        // There always is a key, and HMAC takes any.
        let mac = mac.map(|mac| BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        LoginProof::new(format!("{claims}.{}", mac.unwrap_or_default()))
    }

    /// Checks that a proof was made for this user and is still good, and returns its end. Whether it was used before is for
    /// a store to tell.
    pub fn check(
        &self,
        proof: &LoginProof,
        user: &UserIdentifier,
        now: Timestamp,
    ) -> Result<Timestamp, BadProof> {
        let (claims, tag) = proof.expose().rsplit_once('.').ok_or(BadProof::Malformed)?;
        let mut parts = claims.split('.');
        let (Some(VERSION), Some(expiry), Some(nonce), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadProof::Malformed);
        };
        let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| BadProof::Malformed);
        let seconds: u64 = expiry.parse().map_err(|_| BadProof::Malformed)?;
        if decode(nonce)?.len() != 16 || seconds.to_string() != expiry {
            return Err(BadProof::Malformed);
        }
        let tag = decode(tag)?;
        // Every secret is tried, in constant time each.
        let mut holds = false;
        for key in &self.keys {
            holds |= mac(key, claims, user).is_some_and(|mac| mac.verify_slice(&tag).is_ok());
        }
        if !holds {
            return Err(BadProof::Mismatch);
        }
        let expires = Timestamp::from_secs(seconds);
        if expires <= now {
            return Err(BadProof::Expired);
        }
        if expires > now.plus(MAX_LEFT) {
            return Err(BadProof::LongLived);
        }
        Ok(expires)
    }
}

/// HMAC over what the proof claims and for whom, each with its length before it, so that neither takes over a part of the other.
fn mac(key: &SecretString, claims: &str, user: &UserIdentifier) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).ok()?;
    for part in ["login-proof", claims, user.as_str()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    fn proofs(secrets: &str) -> LoginProofs {
        LoginProofs::new(&SecretString::from(secrets)).unwrap()
    }

    fn user(id: &str) -> UserIdentifier {
        UserIdentifier::new(id).unwrap()
    }

    const NOW: u64 = 1_767_225_600;

    #[test]
    fn holds_for_its_user_and_its_seconds() {
        let now = Timestamp::from_secs(NOW);
        let proof = proofs(KEY).make(&user("ada"), [7; 16], now);
        let check = |secrets, id, seconds| {
            proofs(secrets).check(&proof, &user(id), Timestamp::from_secs(seconds)).map(|_| ())
        };
        let both = format!("{OTHER} {KEY}");
        let rows = [
            (KEY, "ada", NOW, Ok(())),
            (KEY, "ada", NOW + 19, Ok(())),
            (KEY, "ada", NOW + 20, Err(BadProof::Expired)),
            (KEY, "ada", NOW - 10, Ok(())),
            (KEY, "ada", NOW - 11, Err(BadProof::LongLived)),
            (KEY, "adb", NOW, Err(BadProof::Mismatch)),
            (KEY, "Ada", NOW, Err(BadProof::Mismatch)),
            (OTHER, "ada", NOW, Err(BadProof::Mismatch)),
            (&both, "ada", NOW, Ok(())),
        ];
        for (secrets, id, seconds, expected) in rows {
            assert_eq!(check(secrets, id, seconds), expected, "{id} {seconds}");
        }
        assert!(LoginProof::is_meant_by(proof.expose()));
        assert!(proof.expose().len() < 100 && !format!("{proof:?}").contains("v1."));
    }

    #[test]
    fn nothing_else_holds() {
        let now = Timestamp::from_secs(NOW);
        let good = proofs(KEY).make(&user("ada"), [7; 16], now);
        let parts: Vec<&str> = good.expose().split('.').collect();
        let [version, expiry, nonce, mac] = parts.as_slice() else { panic!("four parts") };
        let later = NOW + 25;
        let other_nonce = BASE64_URL_SAFE_NO_PAD.encode([8; 16]);
        let rows = [
            (String::new(), BadProof::Malformed),
            ("v1.".into(), BadProof::Malformed),
            (format!("{version}.{expiry}.{nonce}"), BadProof::Malformed),
            (format!("{version}.{expiry}.{nonce}.{mac}.x"), BadProof::Malformed),
            (format!("v2.{expiry}.{nonce}.{mac}"), BadProof::Malformed),
            (format!("{version}.0{expiry}.{nonce}.{mac}"), BadProof::Malformed),
            (format!("{version}.+{expiry}.{nonce}.{mac}"), BadProof::Malformed),
            (format!("{version}..{nonce}.{mac}"), BadProof::Malformed),
            (format!("{version}.{expiry}..{mac}"), BadProof::Malformed),
            (format!("{version}.{expiry}.{nonce}."), BadProof::Mismatch),
            (format!("{version}.{expiry}.{nonce}.{mac}="), BadProof::Malformed),
            (format!("{version}.{later}.{nonce}.{mac}"), BadProof::Mismatch),
            (format!("{version}.{expiry}.{other_nonce}.{mac}"), BadProof::Mismatch),
            (format!("{version}.{expiry}.{nonce}.{}", &mac[..42]), BadProof::Malformed),
        ];
        for (text, expected) in rows {
            let checked = proofs(KEY).check(&LoginProof::new(&*text), &user("ada"), now);
            assert_eq!(checked, Err(expected), "{text}");
        }
    }

    #[test]
    fn takes_long_secrets_only() {
        let taken = |secrets: &str| LoginProofs::new(&SecretString::from(secrets)).is_some();
        assert!(taken(KEY) && taken(&format!(" {KEY}  {OTHER}\n")) && taken(&"x".repeat(128)));
        for bad in ["", " ", &KEY[1..], &"x".repeat(129), &format!("{KEY} short"), &"ä".repeat(20)] {
            assert!(!taken(bad), "{bad}");
        }
        assert!(!format!("{:?}", proofs(KEY)).contains(KEY));
    }
}
