//! The authentication system: where it is, how often it is asked, what its answers mean.

use std::time::Duration;

use domain::{Reason, Unavailable};
use outbound::failure::unavailable;
use outbound::{Answer, Https};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use settings::Settings;

use crate::object::Object;
use crate::{Credential, SYSTEM};

/// The pauses before the second and the third attempt of a call that may be repeated.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(200)];

/// A client of your authentication system.
#[derive(Debug, Clone)]
pub struct AuthSystem {
    https: Https,
    base_url: String,
    credential: Credential,
}

/// An operation of the contract.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// Its path below the base URL.
    pub(crate) path: &'static str,
    /// Its name, sent in the body: a signature covers the body only, and holds for no other operation this way.
    pub(crate) name: &'static str,
    /// Doing it twice leaves what doing it once leaves, so a failed call may be repeated.
    pub(crate) idempotent: bool,
}

/// The answer of operations that have nothing to tell.
#[derive(Deserialize)]
pub(crate) struct Done {}

#[derive(Serialize)]
struct Call<'a, T> {
    operation: &'static str,
    #[serde(flatten)]
    arguments: &'a T,
}

impl AuthSystem {
    /// Reads `AUTH_SYSTEM_URL` and `AUTH_SYSTEM_BEARER_TOKEN` or `AUTH_SYSTEM_SIGNING_SECRET`.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let base_url = base_url(settings);
        let credential = Credential::from_settings(settings);
        Some(Self { https: https.clone(), base_url: base_url?, credential: credential? })
    }

    /// Performs an operation, again after a pause where that may help and cannot harm.
    pub(crate) async fn perform<T: for<'de> Deserialize<'de>>(
        &self,
        operation: Operation,
        arguments: &impl Serialize,
    ) -> Result<T, Unavailable> {
        let call = Call { operation: operation.name, arguments };
        let body = serde_json::to_string(&call).map_err(|_| Unavailable::new(SYSTEM, Reason::Refused))?;
        let url = format!("{}{}", self.base_url, operation.path);
        for pause in PAUSES {
            match self.attempt(&url, &body).await {
                Err(cause) if operation.idempotent && may_pass(cause.reason) => {
                    tokio::time::sleep(jittered(pause)).await;
                }
                result => return result,
            }
        }
        self.attempt(&url, &body).await
    }

    async fn attempt<T: for<'de> Deserialize<'de>>(&self, url: &str, body: &str) -> Result<T, Unavailable> {
        let answer = self.send(url, body).await?;
        // A credential that is refused has changed nothing.
        let answer = if answer.status == 401 && self.credential.refresh().await {
            self.send(url, body).await?
        } else {
            answer
        };
        read(&answer)
    }

    async fn send(&self, url: &str, body: &str) -> Result<Answer, Unavailable> {
        let headers = self.credential.headers(body).await?;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let answer = self.https.post_json(url, &headers, body.to_owned()).await;
        answer.map_err(|failure| unavailable(SYSTEM, failure))
    }
}

/// Reads an answer; one that is no success is named by its status alone, whatever its body says.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, Unavailable> {
    let reason = match answer.status {
        200 => match serde_json::from_slice(&answer.body) {
            Ok(Object(value)) => return Ok(value),
            Err(_) => Reason::Unreadable,
        },
        401 | 403 => Reason::Credential,
        429 => Reason::Throttled,
        400..=499 => Reason::Refused,
        500..=599 => Reason::Failed,
        _ => Reason::Unreadable,
    };
    Err(Unavailable::new(SYSTEM, reason).status(answer.status))
}

/// Tells whether the same call may succeed a moment later.
fn may_pass(reason: Reason) -> bool {
    matches!(reason, Reason::Timeout | Reason::Transport | Reason::Throttled | Reason::Failed)
}

/// A pause of half to one and a half times `pause`, so that functions that failed together do not return together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the pause is shorter, and nothing worse.
    let _ = getrandom::fill(&mut random);
    let [random] = random;
    pause / 2 + pause * u32::from(random) / 255
}

/// Reads the base URL; slashes at its end go.
fn base_url(settings: &mut Settings<'_>) -> Option<String> {
    const NAME: &str = "AUTH_SYSTEM_URL";
    settings.required(NAME)?;
    settings.url(NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_url(url: &str) -> Result<String, String> {
        let mut settings = Settings::from_lookup(|_| Some(url.to_owned()));
        let url = base_url(&mut settings);
        settings.finish(url).map_err(|problems| problems.to_string())
    }

    #[test]
    fn normalises_the_base_url() {
        let rows = [
            ("https://auth.example", "https://auth.example"),
            (" https://auth.example/connect// ", "https://auth.example/connect"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ];
        for (url, expected) in rows {
            assert_eq!(read_url(url).as_deref(), Ok(expected));
        }
        for url in [
            "auth.example",
            "ftp://planted.example",
            "https://",
            "https:///planted",
            "https://:443",
            "https://user:planted@auth.example",
            "https://auth.example/?planted",
            "https://auth.example/#planted",
            "https://auth.example/plan ted",
            "https://auth.example/plän",
            "https://auth.example/planted\nx",
        ] {
            let problem = read_url(url).unwrap_err();
            assert!(problem.starts_with("AUTH_SYSTEM_URL: an http"), "{problem}");
            assert!(!problem.contains("planted"), "{problem}");
        }
        assert_eq!(read_url(" ").unwrap_err(), "AUTH_SYSTEM_URL: required");
    }

    #[test]
    fn classifies_answers() {
        let shown = |status, body: &[u8]| {
            let answer = Answer { status, body: body.to_vec() };
            read::<Done>(&answer).map_or_else(|cause| cause.to_string(), |Done {}| "done".to_owned())
        };
        let rows: [(u16, &[u8], &str); 13] = [
            (200, b"{}", "done"),
            (200, b" {\"unknown\": [1]}\n", "done"),
            (200, b"[]", "auth-system: unreadable, status 200"),
            (200, b"", "auth-system: unreadable, status 200"),
            (201, b"{}", "auth-system: unreadable, status 201"),
            (204, b"", "auth-system: unreadable, status 204"),
            (302, b"{}", "auth-system: unreadable, status 302"),
            (400, b"{}", "auth-system: refused, status 400"),
            (401, b"{}", "auth-system: credential, status 401"),
            (403, b"{}", "auth-system: credential, status 403"),
            (404, b"{}", "auth-system: refused, status 404"),
            (429, b"{}", "auth-system: throttled, status 429"),
            (503, b"{}", "auth-system: failed, status 503"),
        ];
        for (status, body, expected) in rows {
            assert_eq!(shown(status, body), expected);
        }
    }

    #[test]
    fn pauses_vary_around_their_length() {
        for pause in PAUSES {
            let pauses: Vec<_> = (0..50).map(|_| jittered(pause)).collect();
            assert!(pauses.iter().all(|it| (pause / 2..=pause * 3 / 2).contains(it)), "{pauses:?}");
            assert!(pauses.iter().any(|it| *it != pauses[0]));
        }
    }
}
