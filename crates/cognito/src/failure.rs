//! What the SDK's errors mean here.

use aws_sdk_cognitoidentityprovider::config::http::HttpResponse;
use aws_sdk_cognitoidentityprovider::error::{ProvideErrorMetadata, SdkError};
use domain::{Reason, Unavailable};

use crate::SYSTEM;

/// Tells whether Cognito answered that the user does not exist.
pub(crate) fn is_user_not_found<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some("UserNotFoundException")
}

/// Names a failed call.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Unavailable {
    outbound::failure::sdk_unavailable(SYSTEM, error, |code| match code {
        "NotAuthorizedException" => Some(Reason::Credential),
        // A trigger of the pool failed.
        "UserLambdaValidationException" | "UnexpectedLambdaException" | "InvalidLambdaResponseException" => {
            Some(Reason::Failed)
        }
        _ => None,
    })
}
