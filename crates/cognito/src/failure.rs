//! What the SDK's errors mean.
//!
//! Neither `Debug` nor `DisplayErrorContext` of an SDK error is safe to log: both print the response with the
//! user's attributes. Only kind, code and status leave this module.

use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use domain::{Reason, Unavailable};

use crate::SYSTEM;

/// Tells whether Cognito answered that the user does not exist.
pub(crate) fn is_user_not_found<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some("UserNotFoundException")
}

/// Classifies an error by its code first, since not every operation models every error, then by its status.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Unavailable {
    let code = error.code().unwrap_or_default();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let reason = match error {
        SdkError::TimeoutError(_) => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_io() => Reason::Transport,
        // No credentials, mostly.
        SdkError::DispatchFailure(failure) if failure.is_other() => Reason::Credential,
        SdkError::DispatchFailure(_) => Reason::Transport,
        _ => by_code(code, status),
    };
    let unavailable = Unavailable::new(SYSTEM, reason).code(code);
    match status {
        Some(status) => unavailable.status(status),
        None => unavailable,
    }
}

fn by_code(code: &str, status: Option<u16>) -> Reason {
    match (code, status) {
        (
            "TooManyRequestsException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded"
            | "LimitExceededException",
            _,
        )
        | (_, Some(429)) => Reason::Throttled,
        (
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "ExpiredTokenException"
            | "NotAuthorizedException",
            _,
        )
        | (_, Some(401 | 403)) => Reason::Credential,
        (
            // A trigger of the pool failed.
            "UserLambdaValidationException" | "UnexpectedLambdaException" | "InvalidLambdaResponseException",
            _,
        )
        | (_, Some(500..=599)) => Reason::Failed,
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
            ("", Some(429), Reason::Throttled),
            ("AccessDeniedException", Some(400), Reason::Credential),
            ("", Some(403), Reason::Credential),
            ("InternalErrorException", Some(500), Reason::Failed),
            ("ResourceNotFoundException", Some(400), Reason::Refused),
            ("", Some(200), Reason::Unreadable),
            ("", Some(400), Reason::Unreadable),
            ("", None, Reason::Unreadable),
        ];
        for (code, status, expected) in rows {
            assert_eq!(by_code(code, status), expected, "{code} {status:?}");
        }
    }
}
