//! Answers and refusals.

use std::time::Duration;

use bytes::Bytes;
use domain::{Reason, Unavailable};
use http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};
use lambda::http::Logged;
use lambda::{Code, Problem};
use serde::Serialize;
use serde_json::Value;

use crate::limits::Held;
use crate::presented::NotSignedIn;

/// The public text of an answer with status 500.
pub(crate) const FAILURE: &str = "Something went wrong on our side.";

/// An answer of success.
pub(crate) struct Answer {
    response: Response<Bytes>,
    logged: Logged,
}

impl Answer {
    /// 200 with a body; `outcome` is a word for the log.
    pub(crate) fn json(outcome: &'static str, body: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(body)
            .map_err(|_| Problem::new(Code::InternalError, "answer: not serialisable"))?;
        let mut response = Response::new(Bytes::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { response, logged: Logged { outcome, ..Logged::default() } })
    }

    /// 204.
    pub(crate) fn empty(outcome: &'static str) -> Self {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self { response, logged: Logged { outcome, ..Logged::default() } }
    }

    /// Adds a cookie.
    #[must_use]
    pub(crate) fn cookie(mut self, cookie: Option<HeaderValue>) -> Self {
        if let Some(cookie) = cookie {
            self.response.headers_mut().append(SET_COOKIE, cookie);
        }
        self
    }

    /// Notes in the log whom it is about.
    #[must_use]
    pub(crate) fn about(mut self, user_id: &str) -> Self {
        self.logged.user_ref = Some(lambda::action::user_ref(user_id));
        self
    }

    pub(crate) fn render(mut self) -> Response<Bytes> {
        self.response.extensions_mut().insert(self.logged);
        self.response
    }
}

/// A refusal.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Problem,
    retry_after: Option<Duration>,
    cookie: Option<HeaderValue>,
    /// The newer guide's endpoints say `"success": false`.
    success_false: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, retry_after: None, cookie: None, success_false: false }
    }
}

impl From<Unavailable> for Refusal {
    fn from(cause: Unavailable) -> Self {
        Problem::new(Code::ProviderUnavailable, cause).into()
    }
}

impl From<events::Invalid> for Refusal {
    fn from(cause: events::Invalid) -> Self {
        Problem::new(Code::InvalidRequest, cause).into()
    }
}

impl From<NotSignedIn> for Refusal {
    fn from(not_signed_in: NotSignedIn) -> Self {
        let cause = match not_signed_in {
            NotSignedIn::Nothing => "session: none presented",
            NotSignedIn::Invalid => "session: not valid",
            NotSignedIn::User => "session: the user may not sign in",
            NotSignedIn::Unavailable(cause) => return cause.into(),
        };
        Problem::new(Code::Unauthenticated, cause).into()
    }
}

impl From<Held> for Refusal {
    fn from(held: Held) -> Self {
        match held {
            Held::Exceeded(retry_after) => Self {
                retry_after: Some(retry_after),
                ..Problem::new(Code::RateLimited, "rate: exceeded").into()
            },
            Held::Unavailable(cause) => cause.into(),
        }
    }
}

impl Refusal {
    /// Says `"success": false`, too.
    #[must_use]
    pub(crate) fn with_success_false(mut self) -> Self {
        self.success_false = true;
        self
    }

    /// Adds a cookie.
    #[must_use]
    pub(crate) fn cookie(mut self, cookie: Option<HeaderValue>) -> Self {
        self.cookie = cookie;
        self
    }

    pub(crate) fn render(self, request_id: &str) -> Response<Bytes> {
        let code = self.problem.code;
        let mut body = self.problem.body(FAILURE, request_id);
        if self.success_false
            && let Ok(Value::Object(mut members)) = serde_json::from_str(&body)
        {
            members.insert("success".into(), false.into());
            body = Value::Object(members).to_string();
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(retry_after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        if let Some(cookie) = self.cookie {
            headers.append(SET_COOKIE, cookie);
        }
        let outcome = if code.status() >= 500 { "failed" } else { "refused" };
        let logged = Logged { outcome, code: Some(code.as_str()), cause: self.problem.cause, user_ref: None };
        response.extensions_mut().insert(logged);
        response
    }
}

/// This machine gives no random numbers.
pub(crate) fn no_randomness() -> Refusal {
    Unavailable::new("random numbers", Reason::Failed).into()
}
