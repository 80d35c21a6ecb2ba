//! The stable error codes, and how a refusal is answered.

use std::fmt;

use serde::Serialize;

/// Why a call is refused: the field `error` of the answer.
///
/// The same code and status whichever way the function was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The event is malformed.
    InvalidRequest,
    /// The caller did not prove who it is. Says nothing about what was wrong.
    Unauthenticated,
    /// A proof of the user's identity is required and not there.
    ProofRequired,
    /// The proof of the user's identity does not hold.
    ProofRejected,
    /// The user may not sign in. Does not tell whether the user exists.
    LoginRefused,
    /// A page of an origin that is not allowed.
    OriginNotAllowed,
    /// No such route.
    NotFound,
    /// The user does not exist.
    UserNotFound,
    /// Another HTTP method than the allowed one.
    MethodNotAllowed,
    /// The same signed call once more.
    Replayed,
    /// The body is too large.
    TooLarge,
    /// The body is said to be something else than JSON.
    UnsupportedMediaType,
    /// Too many calls.
    RateLimited,
    /// A system behind the function could not answer.
    ProviderUnavailable,
    /// A fault of the function itself.
    InternalError,
}

impl Code {
    /// The code as clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::ProofRequired => "proof_required",
            Self::ProofRejected => "proof_rejected",
            Self::LoginRefused => "login_refused",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::NotFound => "not_found",
            Self::UserNotFound => "user_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Replayed => "replayed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::InternalError => "internal_error",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::Unauthenticated | Self::ProofRequired | Self::ProofRejected | Self::LoginRefused => 401,
            Self::OriginNotAllowed => 403,
            Self::NotFound | Self::UserNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Replayed => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::RateLimited => 429,
            Self::ProviderUnavailable | Self::InternalError => 500,
        }
    }

    /// The public text; `failure` is the action's own text for a status of 500.
    pub(crate) fn message(self, failure: &'static str) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid.",
            Self::Unauthenticated => "The caller is not authenticated.",
            Self::ProofRequired => "A proof of the user's identity is required.",
            Self::ProofRejected => "The proof of the user's identity was not accepted.",
            Self::LoginRefused => "The login was refused.",
            Self::OriginNotAllowed => "Pages of this origin are not allowed.",
            Self::NotFound => "There is nothing here.",
            Self::UserNotFound => "The user does not exist.",
            Self::MethodNotAllowed => "The method is not allowed.",
            Self::Replayed => "This call was made before.",
            Self::TooLarge => "The request body is too large.",
            Self::UnsupportedMediaType => "The request body must be JSON.",
            Self::RateLimited => "Too many requests.",
            Self::ProviderUnavailable | Self::InternalError => failure,
        }
    }
}

/// A refusal: a code for the client and a cause for the log.
#[derive(Debug)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// The cause, logged once and never answered.
    pub cause: Option<String>,
}

impl Problem {
    /// Refuses for `cause`, which goes to the log: no tokens, ids, names or bodies in it.
    pub fn new(code: Code, cause: impl fmt::Display) -> Self {
        Self { code, cause: Some(cause.to_string()) }
    }

    /// A word for the log: the event's fault, or not.
    pub(crate) fn outcome(&self) -> &'static str {
        if self.code.status() >= 500 { "failed" } else { "refused" }
    }

    /// Shows the answer's body: `{"message", "error", "requestId"}`.
    pub fn body(&self, failure: &'static str, request_id: &str) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            message: &'static str,
            error: &'static str,
            request_id: &'a str,
        }
        let body = Body { message: self.code.message(failure), error: self.code.as_str(), request_id };
        // Strings always serialise.
        serde_json::to_string(&body).unwrap_or_default()
    }
}
