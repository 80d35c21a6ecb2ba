//! Bodies of the endpoints that web pages call.

use domain::{ConnectTokenKind, Profile, SignedPasskeyData, Timestamp, UserIdentifier};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::read::{self, Invalid};

/// `{"type"}`, or `{"connectTokenType"}` as the newer guide has it.
#[derive(Debug, PartialEq, Eq)]
pub struct ConnectTokenRequest {
    /// What the token is for.
    pub kind: ConnectTokenKind,
}

/// The field that names the kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindField {
    /// `type`, of the older guide.
    Type,
    /// `connectTokenType`, of the newer guide.
    ConnectTokenType,
}

#[derive(Deserialize)]
struct ConnectTokenWire<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "read::present")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "connectTokenType", deserialize_with = "read::present")]
    connect_token_type: Option<&'a RawValue>,
}

impl ConnectTokenRequest {
    /// Reads the request. `passkey-login` is refused like any unknown type: it is for users who are not signed in.
    pub fn parse(json: &[u8], field: KindField) -> Result<Self, Invalid> {
        let wire: ConnectTokenWire = read::object(json)?;
        let (name, value) = match field {
            KindField::Type => ("type", wire.kind),
            KindField::ConnectTokenType => ("connectTokenType", wire.connect_token_type),
        };
        let kind = match read::string(name, value.ok_or(Invalid::Missing(name))?)?.as_str() {
            "passkey-append" => ConnectTokenKind::Append,
            "passkey-list" => ConnectTokenKind::List,
            "passkey-delete" => ConnectTokenKind::Delete,
            _ => return Err(Invalid::UnknownWord(name)),
        };
        Ok(Self { kind })
    }
}

/// `{"signedPasskeyData"}`.
#[derive(Debug)]
pub struct LoginRequest {
    /// The proof.
    pub signed_passkey_data: SignedPasskeyData,
}

#[derive(Deserialize)]
struct LoginWire<'a> {
    #[serde(borrow, default, rename = "signedPasskeyData", deserialize_with = "read::present")]
    signed_passkey_data: Option<&'a RawValue>,
}

impl LoginRequest {
    /// Reads the request.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        const NAME: &str = "signedPasskeyData";
        let wire: LoginWire = read::object(json)?;
        let value = wire.signed_passkey_data.ok_or(Invalid::Missing(NAME))?;
        Ok(Self { signed_passkey_data: SignedPasskeyData::new(read::string(NAME, value)?) })
    }
}

/// `{"connectToken"}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectTokenAnswer<'a> {
    /// The token's secret.
    pub connect_token: &'a str,
}

/// `{"success": true}`, and on the newer route the session as `accessToken`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginAnswer<'a> {
    /// Always true.
    pub success: bool,
    /// The session, as a bearer secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<&'a str>,
}

/// `{"user": {"id", "displayName"}, "expiresAt"}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionAnswer<'a> {
    user: UserAnswer<'a>,
    expires_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserAnswer<'a> {
    id: &'a str,
    display_name: &'a str,
}

impl<'a> SessionAnswer<'a> {
    /// Shows who is signed in, and until when. A user without any name is shown by the id.
    pub fn new(id: &'a UserIdentifier, profile: &'a Profile, expires: Timestamp) -> Self {
        let display_name = profile.shown_name().unwrap_or(id.as_str());
        Self { user: UserAnswer { id: id.as_str(), display_name }, expires_at: expires.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_three_types_under_two_names() {
        use KindField::{ConnectTokenType, Type};
        let rows = [
            (r#"{"type":"passkey-append"}"#, Type, Ok(ConnectTokenKind::Append)),
            (r#"{"type":"passkey-list"}"#, Type, Ok(ConnectTokenKind::List)),
            (r#"{"connectTokenType":"passkey-delete"}"#, ConnectTokenType, Ok(ConnectTokenKind::Delete)),
            (r#"{"type":"passkey-login"}"#, Type, Err(Invalid::UnknownWord("type"))),
            (r#"{"type":"passkey-add"}"#, Type, Err(Invalid::UnknownWord("type"))),
            (r#"{"type":["passkey-list"]}"#, Type, Err(Invalid::NotAString("type"))),
            (r#"{"type":"passkey-list","type":"passkey-list"}"#, Type, Err(Invalid::NotAnObject)),
            (r#"{"connectTokenType":"passkey-list"}"#, Type, Err(Invalid::Missing("type"))),
            (r#"{"type":"passkey-list"}"#, ConnectTokenType, Err(Invalid::Missing("connectTokenType"))),
        ];
        for (json, field, expected) in rows {
            let parsed = ConnectTokenRequest::parse(json.as_bytes(), field);
            assert_eq!(parsed.map(|request| request.kind), expected, "{json}");
        }
    }
}
