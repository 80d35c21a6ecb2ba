//! Issues connect tokens.

use domain::{ConnectToken, ConnectTokenIssuer, ConnectTokenKind, ConnectTokenSubject, Reason, Unavailable};
use outbound::Https;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use settings::Settings;

use crate::SYSTEM;
use crate::client::{BackendApi, CallError};

/// Issues connect tokens of one Corbado project.
#[derive(Debug, Clone)]
pub struct ConnectTokens {
    api: BackendApi,
    lifetime: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    r#type: &'static str,
    data: Data<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lifetime_in_seconds: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    identifier: &'a str,
}

#[derive(Deserialize)]
struct Response {
    secret: SecretString,
}

impl ConnectTokens {
    /// Reads `CONNECT_TOKEN_LIFETIME_SECONDS` (Corbado's own default, if absent) and what
    /// [`BackendApi::from_settings`] reads.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        const NAME: &str = "CONNECT_TOKEN_LIFETIME_SECONDS";
        let api = BackendApi::from_settings(settings, https);
        let lifetime = match settings.optional(NAME) {
            Some(_) => Some(settings.number(NAME, 0, 1..=86_400)?),
            None => None,
        };
        Some(Self { api: api?, lifetime })
    }
}

impl ConnectTokenIssuer for ConnectTokens {
    /// `POST /connectTokens`, once.
    async fn issue(
        &self,
        kind: ConnectTokenKind,
        subject: &ConnectTokenSubject,
    ) -> Result<ConnectToken, Unavailable> {
        let (r#type, display_name) = match kind {
            ConnectTokenKind::Append => ("passkey-append", Some(subject.display_name.as_str())),
            ConnectTokenKind::List => ("passkey-list", None),
            ConnectTokenKind::Delete => ("passkey-delete", None),
        };
        let data = Data { display_name, identifier: subject.identifier.as_str() };
        let request = Request { r#type, data, max_lifetime_in_seconds: self.lifetime };
        let response: Response =
            self.api.post("/connectTokens", &request).await.map_err(|error| match error {
                CallError::Refused => Unavailable::new(SYSTEM, Reason::Refused),
                CallError::Unavailable(cause) => cause,
            })?;
        Ok(ConnectToken::new(response.secret))
    }
}
