//! JSON web tokens as a test wants them: changed ones, and ones under keys of its own, as no emulator gives out.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

/// Makes RSA keys and signs with them. The library is one that ministack brings along.
const SCRIPT: &str = r#"
import base64, hashlib, hmac, json, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

wanted = json.load(sys.stdin)
keys = {name: rsa.generate_private_key(65537, 2048) for name in wanted["keys"]}

def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

def modulus(name):
    return keys[name].public_key().public_numbers().n.to_bytes(256, "big")

def token(key, header, claims):
    message = ".".join(text(json.dumps(part).encode()) for part in (header, claims))
    data, key_name, key = message.encode(), key, keys[key]
    match header["alg"]:
        case "RS256": signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        case "RS512": signature = key.sign(data, padding.PKCS1v15(), hashes.SHA512())
        case "PS256": signature = key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        case "HS256": signature = hmac.new(modulus(key_name), data, hashlib.sha256).digest()
        case _: signature = b""
    return message + "." + text(signature)

json.dump({
    "keys": {name: {"kty": "RSA", "n": text(modulus(name)), "e": "AQAB"} for name in keys},
    "tokens": [token(*row) for row in wanted["tokens"]],
}, sys.stdout)
"#;

/// Keys and tokens.
pub struct Forged {
    keys: Value,
    /// The tokens, in the order in which they were wanted.
    pub tokens: Vec<String>,
}

impl Forged {
    /// Makes a key for each name, and a token for each (name of its key, header, claims). The header's `alg` says how it
    /// is signed: `HS256` with the public modulus as the secret, a word that is no algorithm not at all.
    pub fn make(keys: &[&str], tokens: &[(&str, Value, Value)]) -> Self {
        let mut made = crate::python::run(SCRIPT, &json!({"keys": keys, "tokens": tokens}));
        let tokens = serde_json::from_value(made["tokens"].take()).unwrap();
        Self { keys: made["keys"].take(), tokens }
    }

    /// The public half of a key, for a key set; `more` adds members or replaces them.
    pub fn jwk(&self, name: &str, more: Value) -> Value {
        let mut jwk = self.keys[name].clone();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    }
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

/// The token with other claims, and the signature that it had.
pub fn with_claims(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let mut claims = claims(token);
    change(&mut claims);
    format!("{}.{}.{}", parts[0], BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

/// Tells whether a token's signature is that of a published key, by RS256.
pub fn verifies(token: &str, jwk: &Value) -> bool {
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (n, e) = (bytes(jwk["n"].as_str().unwrap()), bytes(jwk["e"].as_str().unwrap()));
    let key = RsaPublicKeyComponents { n, e };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &bytes(signature)).is_ok()
}
