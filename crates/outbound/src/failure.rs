//! What failures mean, in words that are safe to log.
//!
//! Neither `Debug` nor `DisplayErrorContext` of an SDK error is safe: both print the whole response, which may hold a user's
//! attributes, items or a secret. Only kind, code and status leave this module.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::{Reason, Unavailable};

use crate::https::Failure;

/// Names a failed JSON call.
pub fn unavailable(system: &'static str, failure: Failure) -> Unavailable {
    let reason = match failure {
        Failure::Timeout => Reason::Timeout,
        Failure::Transport => Reason::Transport,
        Failure::TooLarge => Reason::Unreadable,
        Failure::Request => Reason::Refused,
    };
    Unavailable::new(system, reason)
}

/// Names a failed AWS call: by its code first, since not every operation models every error, then by its status. `own` knows
/// what codes of this one service mean.
pub fn sdk_unavailable<E: ProvideErrorMetadata>(
    system: &'static str,
    error: &SdkError<E, HttpResponse>,
    own: impl Fn(&str) -> Option<Reason>,
) -> Unavailable {
    let code = error.code().unwrap_or_default();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let reason = match error {
        SdkError::TimeoutError(_) => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_io() => Reason::Transport,
        // No credentials, mostly.
        SdkError::DispatchFailure(failure) if failure.is_other() => Reason::Credential,
        SdkError::DispatchFailure(_) => Reason::Transport,
        _ => own(code).unwrap_or_else(|| by_code(code, status)),
    };
    let unavailable = Unavailable::new(system, reason).code(code);
    match status {
        Some(status) => unavailable.status(status),
        None => unavailable,
    }
}

/// The codes that services have in common. Source: the SDKs' lists of throttling errors, and the API references' common errors.
fn by_code(code: &str, status: Option<u16>) -> Reason {
    match (code, status) {
        (
            "TooManyRequestsException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "ProvisionedThroughputExceededException",
            _,
        )
        | (_, Some(429)) => Reason::Throttled,
        (
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException",
            _,
        )
        | (_, Some(401 | 403)) => Reason::Credential,
        (_, Some(500..=599)) => Reason::Failed,
        ("", Some(_)) => Reason::Unreadable,
        (_, Some(400..=499)) => Reason::Refused,
        _ => Reason::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_by_code_before_status() {
        let rows = [
            ("TooManyRequestsException", Some(400), Reason::Throttled),
            ("ProvisionedThroughputExceededException", Some(400), Reason::Throttled),
            ("", Some(429), Reason::Throttled),
            ("AccessDeniedException", Some(400), Reason::Credential),
            ("", Some(403), Reason::Credential),
            ("InternalErrorException", Some(500), Reason::Failed),
            ("", Some(503), Reason::Failed),
            ("ResourceNotFoundException", Some(400), Reason::Refused),
            ("ValidationException", Some(400), Reason::Refused),
            ("", Some(200), Reason::Unreadable),
            ("", Some(400), Reason::Unreadable),
            ("", None, Reason::Unreadable),
        ];
        for (code, status, expected) in rows {
            assert_eq!(by_code(code, status), expected, "{code} {status:?}");
        }
    }
}
