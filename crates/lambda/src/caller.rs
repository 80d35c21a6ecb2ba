//! Who may call a function.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret;
use secrets::{Name, Secret};
use settings::Settings;
use webhooks::{BadSignature, SignatureHeaders, SigningSecret};

use crate::envelope::{Headers, HttpRequest};

/// How much longer than a signature can be accepted its call is remembered: the tolerance counts whole seconds, and clocks
/// differ.
const MARGIN: Duration = Duration::from_secs(60);

/// A caller who is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Invoked the function directly, which IAM allowed.
    Direct,
    /// Signed the HTTP request.
    Signed {
        /// The `webhook-id`: a fresh one for each call that is meant.
        id: String,
        /// Until when the call must be remembered: no instance accepts the signature any more by then, whose clock may be
        /// behind.
        valid_until: SystemTime,
    },
    /// Called over HTTP with AWS credentials, which the function URL checked.
    Iam,
}

impl Caller {
    /// The way of calling, for the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Signed { .. } => "signed",
            Self::Iam => "iam",
        }
    }
}

/// Which callers a function accepts.
#[derive(Debug)]
pub struct CallerPolicy {
    http: HttpAuth,
    direct: bool,
}

#[derive(Debug)]
enum HttpAuth {
    Signature { secrets: Option<Secret<Vec<SigningSecret>>>, tolerance: Duration },
    Iam,
}

impl CallerPolicy {
    /// Reads `ACTION_CALLER_AUTH`, `ACTION_SIGNING_SECRETS` or `ACTION_SIGNING_SECRET_ARN`,
    /// `ACTION_SIGNATURE_TOLERANCE_SECONDS` and `ACTION_DIRECT_INVOCATION`.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let iam = settings.choice("ACTION_CALLER_AUTH", &[("signature", false), ("iam", true)], Some(false));
        let secrets = signing_secrets(settings);
        let tolerance = settings.number("ACTION_SIGNATURE_TOLERANCE_SECONDS", 300, 1..=3600);
        let direct =
            settings.choice("ACTION_DIRECT_INVOCATION", &[("allow", true), ("deny", false)], Some(true));
        let http = match iam? {
            true => HttpAuth::Iam,
            false => HttpAuth::Signature { secrets: secrets?, tolerance: Duration::from_secs(tolerance?) },
        };
        Some(Self { http, direct: direct? })
    }

    /// Tells whether every HTTP request will be refused for want of a secret.
    pub fn refuses_all_http(&self) -> bool {
        matches!(&self.http, HttpAuth::Signature { secrets: None, .. })
    }

    /// Admits a direct invocation, unless those are denied.
    pub(crate) fn admit_direct(&self) -> Result<Caller, Refused> {
        if self.direct { Ok(Caller::Direct) } else { Err(Refused::Direct) }
    }

    /// Admits an HTTP request that is signed, or carries IAM's word, at `now`. A signature that does not fit may have been made
    /// with a newer secret than the known one.
    pub(crate) async fn admit_http(
        &self,
        request: &HttpRequest,
        now: SystemTime,
    ) -> Result<Caller, NotAdmitted> {
        let (secrets, tolerance) = match &self.http {
            HttpAuth::Signature { secrets, tolerance } => (secrets, *tolerance),
            HttpAuth::Iam if request.iam => return Ok(Caller::Iam),
            HttpAuth::Iam => return Err(Refused::NoIam.into()),
        };
        let headers = SignatureHeaders {
            id: single(&request.headers, "webhook-id")?,
            timestamp: single(&request.headers, "webhook-timestamp")?,
            signatures: single(&request.headers, "webhook-signature")?,
        };
        let secrets = secrets.as_ref().ok_or(BadSignature::NoSecret)?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let verify =
            |secrets: &[SigningSecret]| webhooks::verify(secrets, headers, &request.body, seconds, tolerance);
        let current = secrets.current().await.map_err(NotAdmitted::Unavailable)?;
        let signed_at = match verify(&current) {
            Err(BadSignature::Mismatch) if secrets.refresh().await => {
                verify(&secrets.current().await.map_err(NotAdmitted::Unavailable)?)?
            }
            verified => verified?,
        };
        let valid_until = UNIX_EPOCH + Duration::from_secs(signed_at) + tolerance + MARGIN;
        Ok(Caller::Signed { id: headers.id.to_owned(), valid_until })
    }
}

/// Why a caller is not admitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// It proves nothing.
    Refused(Refused),
    /// The secret could not be fetched, so nobody can say.
    Unavailable(secrets::Unavailable),
}

impl From<Refused> for NotAdmitted {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<BadSignature> for NotAdmitted {
    fn from(bad: BadSignature) -> Self {
        Self::Refused(bad.into())
    }
}

/// Why a caller is refused. Logged, never answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("direct invocation is denied")]
    Direct,
    #[error("no IAM authorizer context")]
    NoIam,
    #[error("signature: {0}")]
    Signature(#[from] BadSignature),
}

fn single<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, BadSignature> {
    match headers.all(name).as_slice() {
        [value] => Ok(value),
        _ => Err(BadSignature::Header(name)),
    }
}

/// Reads `ACTION_SIGNING_SECRETS` or `ACTION_SIGNING_SECRET_ARN`; `Some(None)` where neither is set. Whoever reads them first
/// shares them.
#[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
pub fn signing_secrets(settings: &mut Settings<'_>) -> Option<Option<Secret<Vec<SigningSecret>>>> {
    const NAME: Name = Name { value: "ACTION_SIGNING_SECRETS", arn: "ACTION_SIGNING_SECRET_ARN" };
    if let Some(secrets) = settings.shared::<Secret<Vec<SigningSecret>>>() {
        return Some(Some(secrets));
    }
    let rule = "one or more of whsec_ and the base64 of 24 to 64 bytes, separated by spaces";
    let secrets = Secret::from_settings(settings, NAME, rule, |text| {
        let secrets: Option<Vec<_>> =
            text.expose_secret().split_ascii_whitespace().map(SigningSecret::parse).collect();
        secrets.filter(|secrets| !secrets.is_empty())
    })?;
    if let Some(secrets) = &secrets {
        settings.share(secrets.clone());
    }
    Some(secrets)
}
