//! Standard Webhooks signatures, version `v1`: HMAC-SHA256 over `{id}.{timestamp}.{body}`.
//!
//! Source: the Standard Webhooks specification, <https://www.standardwebhooks.com>.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// A key has 24 to 64 bytes, as the specification recommends.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The longest `webhook-id` accepted, in bytes.
const MAX_ID: usize = 256;
/// The longest `webhook-signature` accepted, in bytes: room for some 40 candidates.
const MAX_SIGNATURES: usize = 2048;

/// A signing secret: the base64 of 24 to 64 bytes, mostly with `whsec_` before it.
#[derive(Debug, Clone)]
pub struct SigningSecret(SecretSlice<u8>);

impl SigningSecret {
    /// Reads `whsec_…`; without the prefix, too, since secrets that a cloud generates have none.
    pub fn parse(text: &str) -> Option<Self> {
        let key = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
        KEY_BYTES.contains(&key.len()).then(|| Self(SecretSlice::from(key)))
    }

    /// Signs a call: the value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mac = self.mac(id, &timestamp.to_string(), body).map(|mac| mac.finalize().into_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(mac.unwrap_or_default()))
    }

    /// Signs a call: its three headers.
    pub fn headers(&self, id: &str, timestamp: u64, body: &[u8]) -> [(&'static str, String); 3] {
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", self.sign(id, timestamp, body)),
        ]
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }
}

/// Why a signature does not hold. Logged, never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// No secret is configured, so nothing can hold.
    #[error("no signing secret is configured")]
    NoSecret,
    /// A header is missing, or there more than once.
    #[error("{0}: missing or repeated")]
    Header(&'static str),
    /// A header is malformed.
    #[error("{0}: malformed")]
    Malformed(&'static str),
    /// Older than the tolerance.
    #[error("webhook-timestamp: too old")]
    Stale,
    /// Further in the future than the tolerance.
    #[error("webhook-timestamp: in the future")]
    Future,
    /// No candidate was made with one of the secrets over these bytes.
    #[error("no signature matches")]
    Mismatch,
}

/// The three headers of a signed call.
#[derive(Debug, Clone, Copy)]
pub struct SignatureHeaders<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`, in seconds since the epoch.
    pub timestamp: &'a str,
    /// `webhook-signature`: candidates, separated by spaces.
    pub signatures: &'a str,
}

/// Verifies a signed call at `now` (seconds since the epoch) and returns its timestamp.
///
/// Every secret is accepted, so that one can be rotated without downtime. MACs are compared in constant time.
pub fn verify(
    secrets: &[SigningSecret],
    headers: SignatureHeaders<'_>,
    body: &[u8],
    now: u64,
    tolerance: Duration,
) -> Result<u64, BadSignature> {
    if secrets.is_empty() {
        return Err(BadSignature::NoSecret);
    }
    let SignatureHeaders { id, timestamp, signatures } = headers;
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadSignature::Malformed("webhook-id"));
    }
    if signatures.len() > MAX_SIGNATURES {
        return Err(BadSignature::Malformed("webhook-signature"));
    }
    let seconds = read_timestamp(timestamp).ok_or(BadSignature::Malformed("webhook-timestamp"))?;
    if now.saturating_sub(seconds) > tolerance.as_secs() {
        return Err(BadSignature::Stale);
    }
    if seconds.saturating_sub(now) > tolerance.as_secs() {
        return Err(BadSignature::Future);
    }
    let candidates = || {
        signatures
            .split(' ')
            .filter_map(|candidate| candidate.strip_prefix("v1,"))
            .filter_map(|candidate| BASE64_STANDARD.decode(candidate).ok())
    };
    let mut holds = false;
    for secret in secrets {
        let mac = secret.mac(id, timestamp, body).ok_or(BadSignature::NoSecret)?;
        for candidate in candidates() {
            holds |= mac.clone().verify_slice(&candidate).is_ok();
        }
    }
    if holds { Ok(seconds) } else { Err(BadSignature::Mismatch) }
}

/// Reads decimal digits and nothing else, so that each instant has few spellings.
fn read_timestamp(text: &str) -> Option<u64> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: u64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> SigningSecret {
        SigningSecret::parse(SECRET).unwrap()
    }

    fn check(
        secrets: &[SigningSecret],
        headers: SignatureHeaders<'_>,
        body: &[u8],
        now: u64,
    ) -> Result<u64, BadSignature> {
        verify(secrets, headers, body, now, Duration::from_secs(300))
    }

    fn headers<'a>(id: &'a str, timestamp: &'a str, signatures: &'a str) -> SignatureHeaders<'a> {
        SignatureHeaders { id, timestamp, signatures }
    }

    #[test]
    fn matches_the_published_vector() {
        assert_eq!(secret().sign(ID, TIMESTAMP, BODY), SIGNATURE);
        let timestamp = TIMESTAMP.to_string();
        assert_eq!(check(&[secret()], headers(ID, &timestamp, SIGNATURE), BODY, TIMESTAMP), Ok(TIMESTAMP));
    }

    #[test]
    fn the_headers_are_those_that_are_verified() {
        let headers = secret().headers(ID, TIMESTAMP, BODY);
        let expected = [
            ("webhook-id", ID.to_owned()),
            ("webhook-timestamp", "1614265330".to_owned()),
            ("webhook-signature", SIGNATURE.to_owned()),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn accepts_each_secret_and_each_candidate() {
        let other = SigningSecret::parse(&format!("whsec_{}", BASE64_STANDARD.encode([7; 32]))).unwrap();
        let timestamp = TIMESTAMP.to_string();
        let several = format!("v1a,aGVsbG8= v2,x v1,AAAA {SIGNATURE}");
        for secrets in [vec![other.clone(), secret()], vec![secret(), other.clone()]] {
            assert!(check(&secrets, headers(ID, &timestamp, &several), BODY, TIMESTAMP).is_ok());
        }
        let mismatch = check(&[other], headers(ID, &timestamp, SIGNATURE), BODY, TIMESTAMP);
        assert_eq!(mismatch, Err(BadSignature::Mismatch));
    }

    #[test]
    fn refuses_everything_else() {
        use BadSignature::{Future, Malformed, Mismatch, Stale};
        let long_id = "x".repeat(257);
        let long_signature = format!("{SIGNATURE} {}", "x".repeat(2048));
        let now = "1614265330";
        let rows: &[(SignatureHeaders<'_>, &[u8], u64, BadSignature)] = &[
            (headers("msg_other", now, SIGNATURE), BODY, TIMESTAMP, Mismatch),
            (headers(ID, "1614265331", SIGNATURE), BODY, TIMESTAMP, Mismatch),
            (headers(ID, now, SIGNATURE), br#"{"test": 2432232315}"#, TIMESTAMP, Mismatch),
            (headers(ID, now, SIGNATURE), br#"{"test":2432232314}"#, TIMESTAMP, Mismatch),
            (headers(ID, now, &SIGNATURE[..20]), BODY, TIMESTAMP, Mismatch),
            (headers(ID, now, "v1,"), BODY, TIMESTAMP, Mismatch),
            (headers(ID, now, ""), BODY, TIMESTAMP, Mismatch),
            (headers(ID, now, "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), BODY, TIMESTAMP, Mismatch),
            (headers(ID, now, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), BODY, TIMESTAMP, Mismatch),
            (headers(ID, now, SIGNATURE), BODY, TIMESTAMP + 301, Stale),
            (headers(ID, now, SIGNATURE), BODY, TIMESTAMP - 301, Future),
            (headers("", now, SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-id")),
            (headers(&long_id, now, SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-id")),
            (headers("a b", now, SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-id")),
            (headers(ID, "", SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-timestamp")),
            (headers(ID, "+1614265330", SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-timestamp")),
            (headers(ID, "1614265330.0", SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-timestamp")),
            (headers(ID, "9999999999999", SIGNATURE), BODY, TIMESTAMP, Malformed("webhook-timestamp")),
            (headers(ID, now, &long_signature), BODY, TIMESTAMP, Malformed("webhook-signature")),
        ];
        for (headers, body, now, expected) in rows {
            assert_eq!(check(&[secret()], *headers, body, *now), Err(*expected), "{headers:?} at {now}");
        }
        for within in [TIMESTAMP - 300, TIMESTAMP + 300] {
            assert!(check(&[secret()], headers(ID, now, SIGNATURE), BODY, within).is_ok());
        }
        assert_eq!(check(&[], headers(ID, now, SIGNATURE), BODY, TIMESTAMP), Err(BadSignature::NoSecret));
    }

    #[test]
    fn reads_secrets_of_24_to_64_bytes() {
        let of = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![1; bytes]));
        let rows = [(of(23), false), (of(24), true), (of(64), true), (of(65), false)];
        for (text, expected) in rows {
            assert_eq!(SigningSecret::parse(&text).is_some(), expected, "{text}");
        }
        assert!(SigningSecret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_some());
        assert!(SigningSecret::parse("whsec_***").is_none());
        assert!(SigningSecret::parse(&"a1B2".repeat(11)).is_some(), "44 letters and digits");
        assert!(SigningSecret::parse("whsec_whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert!(!format!("{:?}", secret()).contains("49"));
    }
}
