//! How a call is authenticated.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{Reason, Unavailable};
use secrecy::{ExposeSecret, SecretString};
use settings::Settings;
use webhooks::SigningSecret;

use crate::SYSTEM;

/// What proves to the authentication system that a call is ours.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The header `authorization`, complete.
    Bearer(SecretString),
    /// A Standard Webhooks signature over the body: nothing on the way can change the call or keep its credential.
    Signature(SigningSecret),
}

const BEARER: &str = "AUTH_SYSTEM_BEARER_TOKEN";
const SIGNING: &str = "AUTH_SYSTEM_SIGNING_SECRET";

impl Credential {
    /// Reads `AUTH_SYSTEM_BEARER_TOKEN` or `AUTH_SYSTEM_SIGNING_SECRET`.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let (credential, name, rule) = match (settings.secret(BEARER), settings.secret(SIGNING)) {
            (Some(token), None) => (bearer(&token), BEARER, "printable ASCII without spaces"),
            (None, Some(secret)) => {
                let secret = SigningSecret::parse(secret.expose_secret().trim());
                let rule = "whsec_ followed by 24 to 64 bytes in base64";
                (secret.map(Self::Signature), SIGNING, rule)
            }
            (None, None) => (None, BEARER, "required, unless AUTH_SYSTEM_SIGNING_SECRET is set"),
            (Some(_), Some(_)) => (None, BEARER, "not together with AUTH_SYSTEM_SIGNING_SECRET"),
        };
        if credential.is_none() {
            settings.problem(name, rule);
        }
        credential
    }

    /// Makes the headers for one sending of `body`.
    pub(crate) fn headers(&self, body: &str) -> Result<Vec<(&'static str, SecretString)>, Unavailable> {
        match self {
            Self::Bearer(authorization) => Ok(vec![("authorization", authorization.clone())]),
            Self::Signature(secret) => {
                // A repetition gets an id of its own: a system that remembers ids must not take it for a replay.
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(|_| Unavailable::new(SYSTEM, Reason::Refused))?;
                let id = format!("msg_{}", hex(&random));
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let signature = secret.sign(&id, now, body.as_bytes());
                Ok(vec![
                    ("webhook-id", id.into()),
                    ("webhook-timestamp", now.to_string().into()),
                    ("webhook-signature", signature.into()),
                ])
            }
        }
    }
}

fn bearer(token: &SecretString) -> Option<Credential> {
    let token = token.expose_secret().trim();
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    printable.then(|| Credential::Bearer(format!("Bearer {token}").into()))
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn shown(headers: &[(&'static str, SecretString)]) -> Vec<(&'static str, String)> {
        headers.iter().map(|(name, value)| (*name, value.expose_secret().to_owned())).collect()
    }

    #[test]
    fn a_bearer_token_is_the_only_header() {
        let credential = bearer(&" t0ken ".into()).unwrap();
        let headers = credential.headers("{}").unwrap();
        assert_eq!(shown(&headers), [("authorization", "Bearer t0ken".to_owned())]);
        assert!(bearer(&"two words".into()).is_none());
        assert!(bearer(&"planted\nx: y".into()).is_none());
        assert!(!format!("{credential:?}").contains("t0ken"));
    }

    #[test]
    fn each_sending_is_signed_afresh() {
        let secret = SigningSecret::parse(SECRET).unwrap();
        let credential = Credential::Signature(secret.clone());
        let mut ids = HashSet::new();
        for _ in 0..3 {
            let headers = shown(&credential.headers("{}").unwrap());
            let [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signatures)] =
                headers.as_slice()
            else {
                panic!("{headers:?}");
            };
            let headers = webhooks::SignatureHeaders { id, timestamp, signatures };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let holds = |body: &[u8]| {
                webhooks::verify(std::slice::from_ref(&secret), headers, body, now, Duration::from_secs(300))
            };
            assert!(holds(b"{}").is_ok() && holds(b"{ }").is_err());
            assert!(ids.insert(id.clone()));
        }
    }
}
