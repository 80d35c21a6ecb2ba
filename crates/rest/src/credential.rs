//! How a call is authenticated.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{Reason, Unavailable, hex};
use secrecy::{ExposeSecret, SecretString};
use secrets::{Name, Secret};
use settings::Settings;
use webhooks::SigningSecret;

use crate::SYSTEM;

/// What proves to the authentication system that a call is ours.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The header `authorization`.
    Bearer(Secret<SecretString>),
    /// A Standard Webhooks signature over the body: nothing on the way can change the call or keep its credential.
    Signature(Secret<SigningSecret>),
}

const BEARER: Name = Name { value: "AUTH_SYSTEM_BEARER_TOKEN", arn: "AUTH_SYSTEM_BEARER_TOKEN_SECRET_ARN" };
const SIGNING: Name = Name { value: "AUTH_SYSTEM_SIGNING_SECRET", arn: "AUTH_SYSTEM_SIGNING_SECRET_ARN" };

impl Credential {
    /// Reads `AUTH_SYSTEM_BEARER_TOKEN` or `AUTH_SYSTEM_SIGNING_SECRET`, or the ARN of one of them.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let token = Secret::from_settings(settings, BEARER, "printable ASCII without spaces", bearer);
        let rule = "whsec_ followed by 24 to 64 bytes in base64";
        let secret = Secret::from_settings(settings, SIGNING, rule, signing);
        match (token?, secret?) {
            (Some(token), None) => Some(Self::Bearer(token)),
            (None, Some(secret)) => Some(Self::Signature(secret)),
            (None, None) => {
                settings
                    .problem(BEARER.value, "required, unless AUTH_SYSTEM_SIGNING_SECRET is set; or an ARN");
                None
            }
            (Some(_), Some(_)) => {
                settings.problem(BEARER.value, "not together with AUTH_SYSTEM_SIGNING_SECRET");
                None
            }
        }
    }

    /// Looks for a newer credential, after this one was refused. Tells whether there is one.
    pub(crate) async fn refresh(&self) -> bool {
        match self {
            Self::Bearer(token) => token.refresh().await,
            Self::Signature(secret) => secret.refresh().await,
        }
    }

    /// Makes the headers for one sending of `body`.
    pub(crate) async fn headers(&self, body: &str) -> Result<Vec<(&'static str, SecretString)>, Unavailable> {
        match self {
            Self::Bearer(token) => Ok(vec![("authorization", (*token.current().await?).clone())]),
            Self::Signature(secret) => {
                let secret = secret.current().await?;
                // A repetition gets an id of its own: a system that remembers ids must not take it for a replay.
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(|_| Unavailable::new(SYSTEM, Reason::Refused))?;
                let id = format!("msg_{}", hex(&random));
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let headers = secret.headers(&id, now, body.as_bytes());
                Ok(headers.map(|(name, value)| (name, value.into())).to_vec())
            }
        }
    }
}

fn bearer(token: &SecretString) -> Option<SecretString> {
    let token = token.expose_secret().trim();
    let printable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    printable.then(|| format!("Bearer {token}").into())
}

fn signing(secret: &SecretString) -> Option<SigningSecret> {
    SigningSecret::parse(secret.expose_secret().trim())
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

    #[tokio::test]
    async fn a_bearer_token_is_the_only_header() {
        let credential = Credential::Bearer(Secret::fixed(bearer(&" t0ken ".into()).unwrap()));
        let headers = credential.headers("{}").await.unwrap();
        assert_eq!(shown(&headers), [("authorization", "Bearer t0ken".to_owned())]);
        assert!(bearer(&"two words".into()).is_none());
        assert!(bearer(&"planted\nx: y".into()).is_none());
        assert!(!format!("{credential:?}").contains("t0ken"));
    }

    #[tokio::test]
    async fn each_sending_is_signed_afresh() {
        let secret = SigningSecret::parse(SECRET).unwrap();
        let credential = Credential::Signature(Secret::fixed(secret.clone()));
        let mut ids = HashSet::new();
        for _ in 0..3 {
            let headers = shown(&credential.headers("{}").await.unwrap());
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
