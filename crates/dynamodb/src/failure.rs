//! What the SDK's errors mean here.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use domain::Unavailable;

use crate::SYSTEM;

/// The code of a write whose condition was not met.
pub(crate) const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Tells whether a write was not carried out because its condition was not met.
pub(crate) fn is_condition_failed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    // The SDK takes away a namespace before the code and an address after it.
    error.code() == Some(CONDITION_FAILED)
}

/// Names a failed call.
pub(crate) fn unavailable<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Unavailable {
    outbound::failure::sdk_unavailable(SYSTEM, error, |_| None)
}
