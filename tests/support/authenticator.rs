//! An authenticator in software: one key on P-256 for each passkey, no attestation.
//!
//! Source: Web Authentication Level 3, sections 5.8.1 (client data), 6.1 (authenticator data), 6.5 (attestation object).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP: u8 = 0x08 | 0x10;
const ATTESTED: u8 = 0x40;

/// The model that new passkeys name.
pub const AAGUID: &str = "01020304-0506-0708-0102-030405060708";

/// The authenticator, with its passkeys.
#[derive(Debug, Default)]
pub struct Authenticator {
    passkeys: Vec<Passkey>,
    /// Leaves out that the user was verified.
    pub unverified: bool,
}

#[derive(Debug)]
struct Passkey {
    id: Vec<u8>,
    key: EcdsaKeyPair,
    user: Vec<u8>,
    counter: u32,
}

/// Why a browser would not have sent anything.
#[derive(Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// One of the excluded passkeys is here.
    AlreadyRegistered,
    /// None of the allowed passkeys is here.
    NoPasskey,
}

impl Authenticator {
    /// Answers creation options, as a page of `origin` hands the answer on.
    pub fn create(&mut self, options: &str, origin: &str) -> Result<String, NoAnswer> {
        let options: Value = serde_json::from_str(options).unwrap();
        let options = &options["publicKey"];
        for excluded in options["excludeCredentials"].as_array().into_iter().flatten() {
            if self.passkeys.iter().any(|passkey| text(&passkey.id) == excluded["id"]) {
                return Err(NoAnswer::AlreadyRegistered);
            }
        }
        let random = SystemRandom::new();
        let mut id = vec![0; 32];
        random.fill(&mut id).unwrap();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();

        let mut data = self.data(options["rp"]["id"].as_str().unwrap(), 0, ATTESTED);
        data.extend(AAGUID.split('-').flat_map(bytes_of_hex));
        data.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        data.extend(&id);
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}: an EC2 key for ES256 on P-256.
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        data.extend(b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20");
        data.extend(x);
        data.extend(b"\x22\x58\x20");
        data.extend(y);
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);

        let client_data = client_data("webauthn.create", options, origin);
        let user = BASE64_URL_SAFE_NO_PAD.decode(options["user"]["id"].as_str().unwrap()).unwrap();
        let answer = json!({
            "id": text(&id),
            "rawId": text(&id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": text(client_data.as_bytes()),
                "attestationObject": text(&object),
                "transports": ["internal"],
            },
            "clientExtensionResults": {},
        });
        self.passkeys.push(Passkey { id, key, user, counter: 0 });
        Ok(answer.to_string())
    }

    /// Answers request options with the newest passkey that they allow.
    pub fn get(&mut self, options: &str, origin: &str) -> Result<String, NoAnswer> {
        let options: Value = serde_json::from_str(options).unwrap();
        let options = &options["publicKey"];
        let allowed = options["allowCredentials"].as_array().cloned().unwrap_or_default();
        let is_allowed = |passkey: &&mut Passkey| {
            allowed.is_empty() || allowed.iter().any(|it| it["id"] == text(&passkey.id))
        };
        let flags = self.data(options["rpId"].as_str().unwrap(), 0, 0);
        let passkey = self.passkeys.iter_mut().rev().find(is_allowed).ok_or(NoAnswer::NoPasskey)?;
        passkey.counter += 1;
        let mut data = flags;
        data.splice(33.., passkey.counter.to_be_bytes());
        let client_data = client_data("webauthn.get", options, origin);
        let mut signed = data.clone();
        signed.extend(digest(&SHA256, client_data.as_bytes()).as_ref());
        let signature = passkey.key.sign(&SystemRandom::new(), &signed).unwrap();
        let answer = json!({
            "id": text(&passkey.id),
            "rawId": text(&passkey.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "response": {
                "clientDataJSON": text(client_data.as_bytes()),
                "authenticatorData": text(&data),
                "signature": text(signature.as_ref()),
                "userHandle": text(&passkey.user),
            },
            "clientExtensionResults": {},
        });
        Ok(answer.to_string())
    }

    /// Sets the newest passkey's counter back, as on a clone of it.
    pub fn rewind(&mut self) {
        self.passkeys.last_mut().unwrap().counter = 0;
    }

    fn data(&self, rp_id: &str, counter: u32, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        data.push(PRESENT | BACKUP | more | if self.unverified { 0 } else { VERIFIED });
        data.extend(counter.to_be_bytes());
        data
    }
}

fn client_data(kind: &str, options: &Value, origin: &str) -> String {
    json!({"type": kind, "challenge": options["challenge"], "origin": origin, "crossOrigin": false})
        .to_string()
}

fn bytes_of_hex(part: &str) -> Vec<u8> {
    (0..part.len()).step_by(2).map(|at| u8::from_str_radix(&part[at..at + 2], 16).unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
