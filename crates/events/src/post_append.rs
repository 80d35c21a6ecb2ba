//! post-append: a passkey was created.

use domain::UserIdentifier;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::read::{self, Invalid};

/// `{"username": "<the connect token's identifier>", …}`.
#[derive(Debug)]
pub struct PostAppend {
    /// The user who created a passkey.
    pub username: UserIdentifier,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, deserialize_with = "read::present")]
    username: Option<&'a RawValue>,
}

impl PostAppend {
    /// Reads the event.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let wire: Wire = read::object(json)?;
        let username = wire.username.ok_or(Invalid::Missing("username"))?;
        Ok(Self { username: read::user_identifier("username", username)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Malformed;

    #[test]
    fn reads_strictly_what_it_knows() {
        let nested = format!(r#"{{"junk":{}{},"username":"ada"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let long = format!(r#"{{"username":"{}"}}"#, "x".repeat(257));
        let deep_name = format!(r#"{{"username":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let rows: &[(&[u8], Result<&str, Invalid>)] = &[
            (br#"{"username":"ada"}"#, Ok("ada")),
            (br#" {"username":"\u0061da","more":[1,{}]} "#, Ok("ada")),
            (nested.as_bytes(), Ok("ada")),
            (b"", Err(Invalid::NotAnObject)),
            (b"null", Err(Invalid::NotAnObject)),
            (br#"["ada"]"#, Err(Invalid::NotAnObject)),
            (br#""ada""#, Err(Invalid::NotAnObject)),
            (br#"{"username":"ada"} {}"#, Err(Invalid::NotAnObject)),
            (br#"{"username":"ada","username":"bob"}"#, Err(Invalid::NotAnObject)),
            (b"{\"username\":\"\xff\"}", Err(Invalid::NotAnObject)),
            (b"{}", Err(Invalid::Missing("username"))),
            (br#"{"Username":"ada"}"#, Err(Invalid::Missing("username"))),
            (br#"{"username":null}"#, Err(Invalid::NotAString("username"))),
            (br#"{"username":7}"#, Err(Invalid::NotAString("username"))),
            (br#"{"username":["ada"]}"#, Err(Invalid::NotAString("username"))),
            (br#"{"username":""}"#, Err(Invalid::NotAString("username"))),
            (br#"{"username":"\ud800"}"#, Err(Invalid::NotAString("username"))),
            (br#"{"username":"a\u0000"}"#, Err(Invalid::Malformed("username", Malformed::ControlCharacter))),
            (long.as_bytes(), Err(Invalid::Malformed("username", Malformed::TooLong))),
            (deep_name.as_bytes(), Err(Invalid::NotAString("username"))),
        ];
        for (json, expected) in rows {
            let parsed = PostAppend::parse(json);
            let shown = String::from_utf8_lossy(json.get(..json.len().min(80)).unwrap_or_default());
            assert_eq!(
                parsed.as_ref().map(|event| event.username.as_str()),
                expected.as_ref().copied(),
                "{shown}"
            );
        }
    }
}
