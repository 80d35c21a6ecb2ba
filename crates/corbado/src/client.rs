//! The Backend API: where it is, how to authenticate, what its answers mean.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Reason, Unavailable};
use outbound::failure::unavailable;
use outbound::{Answer, Https};
use secrecy::{ExposeSecret, SecretString};
use secrets::{Name, Secret};
use serde::{Deserialize, Serialize};
use settings::Settings;

use crate::SYSTEM;

/// Source: Corbado's documentation; private clouds differ.
const DEFAULT_URL: &str = "https://backendapi.cloud.corbado.io/v2";

/// A client of Corbado's Backend API. Makes each call once; only one whose credential was refused is made again, where there is
/// a newer credential.
#[derive(Debug, Clone)]
pub struct BackendApi {
    https: Https,
    base_url: String,
    credential: Credential,
}

/// What proves to Corbado that a call is ours.
#[derive(Debug, Clone)]
enum Credential {
    /// Basic, with the project id as the user.
    ApiSecret { project: String, secret: Secret<SecretString> },
    /// Bearer.
    ApiKey(Secret<SecretString>),
}

/// Why a call brought no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// Corbado refused the request's content: a 400 or 422 with Corbado's `validation_error`.
    Refused,
    /// Anything else, our own credential being refused included.
    Unavailable(Unavailable),
}

impl From<Unavailable> for CallError {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

impl BackendApi {
    /// Reads `CORBADO_BACKEND_API_URL`, `CORBADO_PROJECT_ID` and `CORBADO_API_KEY` or `CORBADO_API_SECRET`, or the ARNs of
    /// those two.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let base_url = base_url(settings);
        let credential = Credential::from_settings(settings);
        Some(Self { https: https.clone(), base_url: base_url?, credential: credential? })
    }

    /// Fetches the credential, where it is not at hand.
    pub(crate) async fn prepare(&self) -> Result<(), Unavailable> {
        self.credential.header().await.map(drop)
    }

    /// Posts to a path below the base URL.
    pub(crate) async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = serde_json::to_string(body).map_err(|_| Unavailable::new(SYSTEM, Reason::Refused))?;
        let url = format!("{}{path}", self.base_url);
        let answer = self.attempt(&url, body.clone()).await?;
        // A credential that is refused has consumed nothing.
        let answer = if answer.status == 401 && self.credential.refresh().await {
            self.attempt(&url, body).await?
        } else {
            answer
        };
        if answer.status == 200 {
            let unreadable = Unavailable::new(SYSTEM, Reason::Unreadable).status(answer.status);
            return crate::read_object(&answer.body).ok_or(CallError::Unavailable(unreadable));
        }
        Err(refusal(&answer))
    }

    async fn attempt(&self, url: &str, body: String) -> Result<Answer, Unavailable> {
        let authorization = self.credential.header().await?;
        let headers = [("authorization", authorization.expose_secret())];
        let answer = self.https.post_json(url, &headers, body).await;
        answer.map_err(|failure| unavailable(SYSTEM, failure))
    }
}

impl Credential {
    /// Reads the credential: Bearer with an API key, else Basic with project id and API secret.
    fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        const KEY: Name = Name { value: "CORBADO_API_KEY", arn: "CORBADO_API_KEY_SECRET_ARN" };
        const SECRET: Name = Name { value: "CORBADO_API_SECRET", arn: "CORBADO_API_SECRET_ARN" };
        const RULE: &str = "printable ASCII without spaces";
        if let Some(key) = Secret::from_settings(settings, KEY, RULE, word)? {
            return Some(Self::ApiKey(key));
        }
        let project = settings.optional("CORBADO_PROJECT_ID").unwrap_or_default().trim().to_owned();
        let secret = Secret::from_settings(settings, SECRET, RULE, word)?;
        if secret.is_none() {
            let rule = "required, or CORBADO_API_SECRET_ARN, unless there is an API key";
            settings.problem(SECRET.value, rule);
        }
        Some(Self::ApiSecret { project, secret: secret? })
    }

    /// The header `authorization`.
    async fn header(&self) -> Result<SecretString, Unavailable> {
        Ok(match self {
            Self::ApiKey(key) => format!("Bearer {}", key.current().await?.expose_secret()).into(),
            Self::ApiSecret { project, secret } => {
                let secret = secret.current().await?;
                let pair = format!("{project}:{}", secret.expose_secret());
                format!("Basic {}", BASE64_STANDARD.encode(pair)).into()
            }
        })
    }

    async fn refresh(&self) -> bool {
        match self {
            Self::ApiKey(secret) | Self::ApiSecret { secret, .. } => secret.refresh().await,
        }
    }
}

/// Reads one word that can stand in a header.
fn word(text: &SecretString) -> Option<SecretString> {
    let text = text.expose_secret().trim();
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    good.then(|| SecretString::from(text))
}

/// Classifies an answer that is no success.
fn refusal(answer: &Answer) -> CallError {
    #[derive(Deserialize)]
    struct Body {
        error: Detail,
    }
    #[derive(Deserialize)]
    struct Detail {
        r#type: String,
    }
    let code = crate::read_object::<Body>(&answer.body).map(|body| body.error.r#type);
    let reason = match (answer.status, &code) {
        // Any other type speaks of our project, our address or our request, and not of what the user sent.
        (400 | 422, Some(kind)) if kind == "validation_error" => return CallError::Refused,
        (401 | 403, _) => Reason::Credential,
        (429, _) => Reason::Throttled,
        (400..=499, _) => Reason::Refused,
        (500..=599, _) => Reason::Failed,
        _ => Reason::Unreadable,
    };
    let unavailable = Unavailable::new(SYSTEM, reason).status(answer.status);
    CallError::Unavailable(unavailable.code(&code.unwrap_or_default()))
}

/// Reads the base URL: `/v2` at its end is added where it is missing, and a second one removed.
fn base_url(settings: &mut Settings<'_>) -> Option<String> {
    const NAME: &str = "CORBADO_BACKEND_API_URL";
    let url = match settings.optional(NAME) {
        Some(_) => settings.url(NAME)?,
        None => DEFAULT_URL.to_owned(),
    };
    let mut root = url.as_str();
    while let Some(shorter) = root.strip_suffix("/v2") {
        root = shorter.trim_end_matches('/');
    }
    Some(format!("{root}/v2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(pairs: &[(&str, &str)], read: impl Fn(&mut Settings<'_>) -> Option<T>) -> Result<T, String> {
        let mut settings = Settings::from_lookup(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let value = read(&mut settings);
        settings.finish(value).map_err(|problems| problems.to_string())
    }

    #[test]
    fn normalises_the_base_url() {
        let expected = Ok("https://api.example/v2".to_owned());
        for url in [
            "https://api.example",
            "https://api.example/",
            "https://api.example/v2",
            "https://api.example/v2/",
            "https://api.example/v2/v2",
            " https://api.example/v2//v2/ ",
        ] {
            assert_eq!(read(&[("CORBADO_BACKEND_API_URL", url)], base_url), expected, "{url}");
        }
        assert_eq!(read(&[], base_url), Ok("https://backendapi.cloud.corbado.io/v2".to_owned()));
        for url in [
            "api.example",
            "ftp://api.example",
            "https://",
            "https://user:planted@api.example",
            "https://a/?x",
        ] {
            let problem = read(&[("CORBADO_BACKEND_API_URL", url)], base_url).unwrap_err();
            assert!(
                problem.starts_with("CORBADO_BACKEND_API_URL: ") && !problem.contains("planted"),
                "{problem}"
            );
        }
    }

    #[tokio::test]
    async fn authenticates_by_basic_or_bearer() {
        let shown = async |pairs: &[(&str, &str)]| match read(pairs, Credential::from_settings) {
            Ok(credential) => Ok(credential.header().await.unwrap().expose_secret().to_owned()),
            Err(problems) => Err(problems),
        };
        let project = ("CORBADO_PROJECT_ID", "pro-1");
        let secret = ("CORBADO_API_SECRET", " s3cret ");
        assert_eq!(shown(&[project, secret]).await, Ok("Basic cHJvLTE6czNjcmV0".to_owned()));
        let both = [project, secret, ("CORBADO_API_KEY", "k1")];
        assert_eq!(shown(&both).await, Ok("Bearer k1".to_owned()));
        assert!(shown(&[project]).await.unwrap_err().starts_with("CORBADO_API_SECRET: required"));
        let newline = shown(&[("CORBADO_API_KEY", "planted\nx: y")]).await.unwrap_err();
        assert_eq!(newline, "CORBADO_API_KEY: printable ASCII without spaces");
        let twice = shown(&[project, secret, ("CORBADO_API_SECRET_ARN", "arn:aws:x")]).await.unwrap_err();
        assert_eq!(twice, "CORBADO_API_SECRET_ARN: not together with CORBADO_API_SECRET");
    }

    #[test]
    fn classifies_answers() {
        let corbado = br#"{"httpStatusCode":400,"message":"m","requestData":{"requestID":"req-1"},"runtime":0.1,"error":{"type":"validation_error"}}"#;
        let html: &[u8] = b"<html>";
        let shown = |status, body: &[u8]| match refusal(&Answer { status, body: body.to_vec() }) {
            CallError::Refused => "refused".to_owned(),
            CallError::Unavailable(cause) => cause.to_string(),
        };
        let rows = [
            (400, corbado.as_slice(), "refused"),
            (422, corbado, "refused"),
            (
                400,
                br#"{"error":{"type":"project_id_mismatch"}}"#,
                "corbado: refused, status 400, project_id_mismatch",
            ),
            (400, html, "corbado: refused, status 400"),
            (401, corbado, "corbado: credential, status 401, validation_error"),
            (403, html, "corbado: credential, status 403"),
            (404, corbado, "corbado: refused, status 404, validation_error"),
            (429, html, "corbado: throttled, status 429"),
            (500, corbado, "corbado: failed, status 500, validation_error"),
            (302, html, "corbado: unreadable, status 302"),
            (204, b"", "corbado: unreadable, status 204"),
        ];
        for (status, body, expected) in rows {
            assert_eq!(shown(status, body), expected);
        }
    }
}
