//! pre-login: an identifier was typed.

use domain::{Resolution, TypedIdentifier};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::read::{self, Invalid};

/// `{"identifier": "<what was typed>", …}`.
#[derive(Debug)]
pub struct PreLogin {
    /// What the user typed.
    pub identifier: TypedIdentifier,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, deserialize_with = "read::present")]
    identifier: Option<&'a RawValue>,
}

impl PreLogin {
    /// Reads the event.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let wire: Wire = read::object(json)?;
        let value = wire.identifier.ok_or(Invalid::Missing("identifier"))?;
        let identifier = TypedIdentifier::new(&read::string("identifier", value)?)
            .map_err(|rule| Invalid::Malformed("identifier", rule))?;
        Ok(Self { identifier })
    }
}

/// `{"identifier": "<canonical id>"}` or `{"identifier": "", "error": {…}}`, as Corbado documents them.
#[derive(Serialize)]
pub struct Resolved {
    identifier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Refused>,
}

/// `return` tells whether the error is shown to the user or is a plain fallback to the classic login.
#[derive(Serialize)]
struct Refused {
    r#return: bool,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'static str>,
}

impl Resolved {
    /// Shows a resolution.
    pub fn new(resolution: Resolution) -> Self {
        let (r#return, code, message, payload) = match resolution {
            Resolution::Found(id) => return Self { identifier: id.as_str().to_owned(), error: None },
            Resolution::UserNotFound => {
                (true, "user_not_found", Some("There is no account registered to that email address."), None)
            }
            Resolution::AccountDisabled => (false, "account_disabled", None, None),
            Resolution::ForceChangePassword => (false, "force_change_password", None, None),
            Resolution::ResetRequired => (true, "reset_required", None, Some("")),
            Resolution::Untyped => {
                (true, "untyped", Some("Signing in with a passkey is not possible right now."), None)
            }
        };
        Self { identifier: String::new(), error: Some(Refused { r#return, code, message, payload }) }
    }

    /// The refusal's code, if it is one.
    pub fn code(&self) -> Option<&'static str> {
        self.error.as_ref().map(|error| error.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UserIdentifier;

    #[test]
    fn shows_the_documented_bodies() {
        let show = |resolution| serde_json::to_string(&Resolved::new(resolution)).unwrap();
        let id = UserIdentifier::new("user-1").unwrap();
        let rows = [
            (Resolution::Found(id), r#"{"identifier":"user-1"}"#),
            (
                Resolution::UserNotFound,
                r#"{"identifier":"","error":{"return":true,"code":"user_not_found","message":"There is no account registered to that email address."}}"#,
            ),
            (
                Resolution::AccountDisabled,
                r#"{"identifier":"","error":{"return":false,"code":"account_disabled"}}"#,
            ),
            (
                Resolution::ForceChangePassword,
                r#"{"identifier":"","error":{"return":false,"code":"force_change_password"}}"#,
            ),
            (
                Resolution::ResetRequired,
                r#"{"identifier":"","error":{"return":true,"code":"reset_required","payload":""}}"#,
            ),
            (
                Resolution::Untyped,
                r#"{"identifier":"","error":{"return":true,"code":"untyped","message":"Signing in with a passkey is not possible right now."}}"#,
            ),
        ];
        for (resolution, expected) in rows {
            assert_eq!(show(resolution), expected);
        }
    }
}
