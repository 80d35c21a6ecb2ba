//! The domain's verifier: cheap checks here, the verdict at Corbado.

use domain::{Inspected, NotVerified, PasskeyVerifier, Rejection, SignedPasskeyData, Timestamp, Unavailable};
use outbound::Https;
use serde::{Deserialize, Serialize};
use settings::Settings;

use crate::client::{BackendApi, CallError};
use crate::token;

/// Verifies `signedPasskeyData` of one Corbado project.
#[derive(Debug, Clone)]
pub struct Verifier {
    api: BackendApi,
    project: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    signed_passkey_data: &'a str,
    username: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    verification_result: String,
}

impl Verifier {
    /// Reads `CORBADO_PROJECT_ID` and what [`BackendApi::from_settings`] reads.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let project = settings.required("CORBADO_PROJECT_ID").map(|project| project.trim().to_owned());
        let api = BackendApi::from_settings(settings, https);
        Some(Self { api: api?, project: project? })
    }
}

impl PasskeyVerifier for Verifier {
    fn inspect(&self, token: SignedPasskeyData, now: Timestamp) -> Result<Inspected, Rejection> {
        token::read(token.expose())?.check(token, &self.project, now)
    }

    async fn prepare(&self) -> Result<(), Unavailable> {
        self.api.prepare().await
    }

    /// `POST /passkey/verifySignedData`, once. A failed verification is a 200 with another result than `success`.
    async fn confirm(&self, inspected: &Inspected) -> Result<(), NotVerified> {
        let request =
            Request { signed_passkey_data: inspected.token().expose(), username: inspected.user().as_str() };
        let response: Response =
            self.api.post("/passkey/verifySignedData", &request).await.map_err(|error| match error {
                CallError::Refused => NotVerified::Rejected(Rejection::Verdict("refused")),
                CallError::Unavailable(cause) => cause.into(),
            })?;
        let verdict = match response.verification_result.as_str() {
            "success" => return Ok(()),
            "invalid_signature" => "invalid_signature",
            "invalid_challenge" => "invalid_challenge",
            "user_mismatch" => "user_mismatch",
            "generic_error" => "generic_error",
            _ => "unknown",
        };
        Err(Rejection::Verdict(verdict).into())
    }
}
