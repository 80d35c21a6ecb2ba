//! The WebAuthn ceremonies: what is open, and how it ends.
//!
//! An open ceremony is known by its challenge, so that two tabs of one browser do not take each other's place. It is
//! removed before it is checked: a challenge is answered once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder,
};

use super::store::User;

/// How long a challenge waits for its answer.
const LIFETIME: Duration = Duration::from_secs(300);
/// Conditional UI waits for as long as somebody looks at the page.
const CONDITIONAL_LIFETIME: Duration = Duration::from_secs(3600);
/// How many may be open at a time.
const MAX_OPEN: usize = 1000;

/// An open ceremony.
#[derive(Debug)]
enum Open {
    Append { user: User, state: PasskeyRegistration },
    Login { user: User, typed: String, state: PasskeyAuthentication },
    Conditional(DiscoverableAuthentication),
}

/// Why a ceremony comes to nothing. The browser learns that it does, the journal why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the answer is no WebAuthn response")]
    Malformed,
    #[error("no ceremony waits for this answer")]
    NotOpen,
    #[error("{0}")]
    Refused(String),
}

/// A passkey that was created.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) user: User,
    pub(crate) passkey: Passkey,
    /// AAGUID, transports, backup flags.
    pub(crate) facts: Value,
}

/// The ceremonies of one relying party.
pub(crate) struct Ceremonies {
    webauthn: Webauthn,
    open: Mutex<HashMap<String, (Instant, Open)>>,
}

impl Ceremonies {
    /// Takes the relying party's id and the origins of its pages, whatever their ports.
    pub(crate) fn new(rp_id: &str, origins: &[String]) -> Result<Self, String> {
        let urls: Result<Vec<Url>, _> = origins.iter().map(|origin| Url::parse(origin)).collect();
        let urls = urls.map_err(|error| error.to_string())?;
        let first = urls.first().ok_or("no origin")?;
        let mut builder = WebauthnBuilder::new(rp_id, first).map_err(|error| format!("{rp_id}: {error}"))?;
        for url in &urls {
            builder = builder.append_allowed_origin(url);
        }
        let webauthn = builder.rp_name("Passkey demo").allow_any_port(true).build();
        let webauthn = webauthn.map_err(|error| format!("{rp_id}: {error}"))?;
        Ok(Self { webauthn, open: Mutex::default() })
    }

    fn remember(&self, challenge: String, open: Open) {
        let now = Instant::now();
        let lifetime = if matches!(open, Open::Conditional(_)) { CONDITIONAL_LIFETIME } else { LIFETIME };
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (until, _)| *until > now);
        if all.len() >= MAX_OPEN {
            let oldest = all.iter().min_by_key(|(_, (until, _))| *until).map(|(key, _)| key.clone());
            oldest.and_then(|key| all.remove(&key));
        }
        all.insert(challenge, (now + lifetime, open));
    }

    fn take(&self, client_data: &[u8]) -> Result<Open, Broken> {
        #[derive(Deserialize)]
        struct ClientData {
            challenge: String,
        }
        let data: ClientData = serde_json::from_slice(client_data).map_err(|_| Broken::Malformed)?;
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, open) = all.remove(&data.challenge).ok_or(Broken::NotOpen)?;
        if until > Instant::now() { Ok(open) } else { Err(Broken::NotOpen) }
    }

    /// Opens a registration and returns the options as the component takes them.
    pub(crate) fn start_append(&self, user: User, existing: &[Passkey]) -> Result<String, String> {
        let exclude = existing.iter().map(|passkey| passkey.cred_id().clone()).collect();
        let started = self.webauthn.start_passkey_registration(
            user.handle,
            &user.display_name,
            &user.display_name,
            Some(exclude),
        );
        let (options, state) = started.map_err(|error| error.to_string())?;
        let mut options = serde_json::to_value(&options).map_err(|error| error.to_string())?;
        // Without a resident key there is neither conditional UI nor a passkey that other devices find.
        if let Some(selection) =
            options.pointer_mut("/publicKey/authenticatorSelection").and_then(Value::as_object_mut)
        {
            selection.insert("residentKey".to_owned(), Value::from("required"));
            selection.insert("requireResidentKey".to_owned(), Value::from(true));
        }
        self.remember(challenge(&options)?, Open::Append { user, state });
        Ok(options.to_string())
    }

    /// Ends a registration.
    pub(crate) fn finish_append(&self, response: &str) -> Result<Created, Broken> {
        let credential: RegisterPublicKeyCredential =
            serde_json::from_str(response).map_err(|_| Broken::Malformed)?;
        let Open::Append { user, state } = self.take(&credential.response.client_data_json)? else {
            return Err(Broken::NotOpen);
        };
        let passkey = self.webauthn.finish_passkey_registration(&credential, &state).map_err(refused)?;
        let raw: Value = serde_json::from_str(response).map_err(|_| Broken::Malformed)?;
        let facts = facts(&credential.response.attestation_object, &raw);
        Ok(Created { user, passkey, facts })
    }

    /// Opens a login with one of the user's passkeys.
    pub(crate) fn start_login(
        &self,
        user: User,
        typed: &str,
        passkeys: &[Passkey],
    ) -> Result<String, String> {
        let (options, state) =
            self.webauthn.start_passkey_authentication(passkeys).map_err(|error| error.to_string())?;
        let options = serde_json::to_value(&options).map_err(|error| error.to_string())?;
        self.remember(challenge(&options)?, Open::Login { user, typed: typed.to_owned(), state });
        Ok(options.to_string())
    }

    /// Opens a login with whatever passkey the browser offers.
    pub(crate) fn start_conditional(&self) -> Result<String, String> {
        let (options, state) =
            self.webauthn.start_discoverable_authentication().map_err(|error| error.to_string())?;
        let mut options = serde_json::to_value(&options).map_err(|error| error.to_string())?;
        // The component says so itself, and would obey it for a button, too.
        if let Some(members) = options.as_object_mut() {
            members.remove("mediation");
        }
        self.remember(challenge(&options)?, Open::Conditional(state));
        Ok(options.to_string())
    }

    /// Takes the open login that an answer is for.
    pub(crate) fn finish_login(&self, response: &str) -> Result<Answered, Broken> {
        let credential: PublicKeyCredential =
            serde_json::from_str(response).map_err(|_| Broken::Malformed)?;
        match self.take(&credential.response.client_data_json)? {
            Open::Login { user, typed, state } => {
                Ok(Answered { credential, way: Way::Identifier { user, typed, state } })
            }
            Open::Conditional(state) => Ok(Answered { credential, way: Way::Conditional(state) }),
            Open::Append { .. } => Err(Broken::NotOpen),
        }
    }

    /// Checks the answer with the passkey that it names.
    pub(crate) fn check(
        &self,
        answered: Answered,
        passkey: &Passkey,
    ) -> Result<(AuthenticationResult, Option<String>), Broken> {
        let Answered { credential, way } = answered;
        match way {
            Way::Identifier { typed, state, .. } => {
                let result = self.webauthn.finish_passkey_authentication(&credential, &state);
                Ok((result.map_err(refused)?, Some(typed)))
            }
            Way::Conditional(state) => {
                let result = self.webauthn.finish_discoverable_authentication_v2(&credential, state, passkey);
                Ok((result.map_err(refused)?, None))
            }
        }
    }
}

/// An answer to an open login.
pub(crate) struct Answered {
    credential: PublicKeyCredential,
    way: Way,
}

enum Way {
    Identifier { user: User, typed: String, state: PasskeyAuthentication },
    Conditional(DiscoverableAuthentication),
}

impl Answered {
    /// The credential that answers.
    pub(crate) fn credential_id(&self) -> &[u8] {
        self.credential.raw_id.as_ref()
    }

    /// The user who was meant, by Corbado's own id.
    pub(crate) fn user_id(&self) -> Option<&str> {
        match &self.way {
            Way::Identifier { user, .. } => Some(&user.id),
            Way::Conditional(_) => None,
        }
    }

    /// The user handle that the authenticator returned.
    pub(crate) fn user_handle(&self) -> Option<&[u8]> {
        self.credential.response.user_handle.as_ref().map(AsRef::as_ref)
    }
}

fn refused(error: webauthn_rs::prelude::WebauthnError) -> Broken {
    Broken::Refused(error.to_string())
}

fn challenge(options: &Value) -> Result<String, String> {
    let challenge = options.pointer("/publicKey/challenge").and_then(Value::as_str);
    challenge.map(ToOwned::to_owned).ok_or_else(|| "options without challenge".to_owned())
}

/// What the library does not keep of a new credential. Read after it was verified.
///
/// Source: Web Authentication Level 3, section 6.1, authenticator data.
fn facts(attestation_object: &[u8], response: &Value) -> Value {
    let data = authenticator_data(attestation_object).unwrap_or_default();
    let flags = data.get(32).copied().unwrap_or_default();
    let aaguid = data.get(37..53).map(|bytes| {
        let part = |range| domain::hex(bytes.get(range).unwrap_or_default());
        let parts: [String; 5] = [0..4, 4..6, 6..8, 8..10, 10..16].map(part);
        parts.join("-")
    });
    let transports = response.pointer("/response/transports").filter(|it| it.is_array());
    json!({
        "aaguid": aaguid.unwrap_or_default(),
        "backupEligible": flags & 0x08 != 0,
        "backupState": flags & 0x10 != 0,
        "transports": transports.cloned().unwrap_or_else(|| json!([])),
    })
}

/// Finds the byte string `authData` of an attestation object (CBOR).
fn authenticator_data(object: &[u8]) -> Option<&[u8]> {
    let name = b"\x68authData";
    let at = object.windows(name.len()).position(|window| window == name)?;
    let (length, rest) = match object.get(at + name.len()..)? {
        [0x58, length, rest @ ..] => (usize::from(*length), rest),
        [0x59, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.get(..length)
}

/// Bytes as text, as credential ids are shown.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
