//! post-login: a passkey was verified, a session is wanted.

use domain::{Grant, SessionId, SignedPasskeyData, Timestamp, UserIdentifier};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::read::{self, Invalid};

/// `{"userId"?, "signedPasskeyData"?, …}`, at least one of them: the guide's sample names the user, Corbado's
/// architecture page the token.
#[derive(Debug)]
pub struct PostLogin {
    /// The user, as the caller names them.
    pub user_id: Option<UserIdentifier>,
    /// The proof.
    pub signed_passkey_data: Option<SignedPasskeyData>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, rename = "userId", deserialize_with = "read::present")]
    user_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "signedPasskeyData", deserialize_with = "read::present")]
    signed_passkey_data: Option<&'a RawValue>,
}

impl PostLogin {
    /// Reads the event.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let wire: Wire = read::object(json)?;
        let user_id = wire.user_id.map(|value| read::user_identifier("userId", value)).transpose()?;
        let signed_passkey_data = wire
            .signed_passkey_data
            .map(|value| read::string("signedPasskeyData", value).map(SignedPasskeyData::new))
            .transpose()?;
        if user_id.is_none() && signed_passkey_data.is_none() {
            return Err(Invalid::Missing("userId"));
        }
        Ok(Self { user_id, signed_passkey_data })
    }
}

/// `{"sessionId", "expiresAt"}`: the id as a bearer secret, the end in RFC 3339.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCreated<'a> {
    session_id: &'a str,
    expires_at: String,
}

impl<'a> SessionCreated<'a> {
    /// Shows a new session.
    pub fn new(id: &'a SessionId, expires: Timestamp) -> Self {
        Self { session_id: id.expose(), expires_at: expires.to_string() }
    }
}

/// `{"accessToken", "idToken", "refreshToken"?, "expiresIn", "tokenType"}`: the provider's own tokens, the time in seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokensIssued<'a> {
    access_token: &'a str,
    id_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    expires_in: u64,
    token_type: &'a str,
}

impl<'a> TokensIssued<'a> {
    /// Shows new tokens.
    pub fn new(grant: &'a Grant) -> Self {
        Self {
            access_token: grant.access_token.expose_secret(),
            id_token: grant.id_token.expose_secret(),
            refresh_token: grant.refresh_token.as_ref().map(ExposeSecret::expose_secret),
            expires_in: grant.expires_in.as_secs(),
            token_type: &grant.token_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_either_field_or_both() {
        let read = |json: &str| {
            PostLogin::parse(json.as_bytes()).map(|event| {
                (
                    event.user_id.map(|id| id.as_str().to_owned()),
                    event.signed_passkey_data.map(|token| token.expose().to_owned()),
                )
            })
        };
        let (ada, token) = (Some("ada".to_owned()), Some("t".to_owned()));
        assert_eq!(read(r#"{"userId":"ada"}"#), Ok((ada.clone(), None)));
        assert_eq!(read(r#"{"signedPasskeyData":"t"}"#), Ok((None, token.clone())));
        assert_eq!(read(r#"{"signedPasskeyData":"t","userId":"ada"}"#), Ok((ada, token)));
        assert_eq!(read("{}"), Err(Invalid::Missing("userId")));
        for bad in [r#""""#, "null", "{}", "1"] {
            let json = format!(r#"{{"userId":"ada","signedPasskeyData":{bad}}}"#);
            assert_eq!(read(&json), Err(Invalid::NotAString("signedPasskeyData")), "{bad}");
            let json = format!(r#"{{"userId":{bad},"signedPasskeyData":"t"}}"#);
            assert_eq!(read(&json), Err(Invalid::NotAString("userId")), "{bad}");
        }
    }
}
