//! RS256: the key of a stand-in that signs tokens, and its key set.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rsa::pkcs1v15::{Signature, SigningKey as Pkcs1};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{Keypair, SignatureEncoding, Signer, Verifier};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::Digest;

use crate::private;

const BITS: usize = 2048;

/// A private key, made once and kept in a file that only the user can read.
pub(crate) struct SigningKey {
    key: Pkcs1<Sha256>,
    kid: String,
    jwks: Value,
}

impl SigningKey {
    /// Reads the key at `path`, or makes one.
    pub(crate) fn load_or_create(path: &Path) -> io::Result<Self> {
        let key = match std::fs::read_to_string(path) {
            Ok(pem) => RsaPrivateKey::from_pkcs8_pem(&pem).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(error),
        };
        let bytes = |number: &BoxedUint| BASE64_URL_SAFE_NO_PAD.encode(number.to_be_bytes_trimmed_vartime());
        let (n, e) = (bytes(key.n()), bytes(key.e()));
        let mut kid = format!("pki-{}", domain::hex(&sha2::Sha256::digest(n.as_bytes())));
        kid.truncate("pki-".len() + 16);
        let jwks =
            json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e}]});
        Ok(Self { key: Pkcs1::new(key), kid, jwks })
    }

    /// The public half, as a key set.
    pub(crate) fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// Makes a token of claims.
    pub(crate) fn sign(&self, claims: &Value) -> io::Result<String> {
        let header = json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"});
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self.key.try_sign(message.as_bytes()).map_err(io::Error::other)?;
        Ok(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }

    /// Reads the claims of a token, if this key has signed it.
    pub(crate) fn verify(&self, token: &str) -> Option<Value> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        if header.get("alg")?.as_str()? != "RS256" {
            return None;
        }
        let signature = Signature::try_from(decode(signature)?.as_slice()).ok()?;
        self.key.verifying_key().verify(message.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&decode(claims)?).ok()
    }

    /// Tells whether a token says that this key has signed it.
    pub(crate) fn is_named_by(&self, token: &str) -> bool {
        let header = token.split('.').next().and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
        let header: Option<Value> = header.and_then(|json| serde_json::from_slice(&json).ok());
        header.is_some_and(|header| header.get("kid").and_then(Value::as_str) == Some(&self.kid))
    }
}

fn create(path: &Path) -> io::Result<RsaPrivateKey> {
    let mut random = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
    let key = RsaPrivateKey::new(&mut random, BITS).map_err(io::Error::other)?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
    private::create(path, pem.as_bytes())?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_what_it_verifies_and_keeps_its_key() {
        let state = tempfile::tempdir().unwrap();
        let key = SigningKey::load_or_create(&state.path().join("key.pem")).unwrap();
        let token = key.sign(&json!({"jti": "1"})).unwrap();
        assert_eq!(key.verify(&token), Some(json!({"jti": "1"})));
        assert!(key.is_named_by(&token));

        let again = SigningKey::load_or_create(&state.path().join("key.pem")).unwrap();
        assert_eq!(again.verify(&token), Some(json!({"jti": "1"})));
        assert_eq!(again.jwks(), key.jwks());

        let other = SigningKey::load_or_create(&state.path().join("other.pem")).unwrap();
        assert!(!other.is_named_by(&token) && other.verify(&token).is_none());
        let changed = token.replacen('.', ".e30", 1);
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        for bad in [changed.as_str(), unsigned.as_str(), "", "..", "a.b"] {
            assert_eq!(key.verify(bad), None, "{bad}");
        }
    }
}
