//! The message about an update that is made later.

use std::fmt;

use domain::{Intent, Timestamp, UserIdentifier};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::read::{self, Invalid};

/// `{"intent": "<text>", "seal": "<signature of the text>"}`, where the text is `{"user", "method": "passkey", "at"}`, the time in
/// milliseconds. Nothing secret in it; the seal tells that we wrote it.
pub struct Deferred {
    /// What is to be done.
    pub intent: Intent,
    /// The text that was sealed.
    pub text: String,
    /// The seal.
    pub seal: String,
}

// The text names a user, and the seal is what makes it count.
impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").field("intent", &self.intent).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Message<'a> {
    intent: &'a str,
    seal: &'a str,
}

#[derive(Serialize)]
struct Text<'a> {
    user: &'a str,
    method: &'static str,
    at: u64,
}

#[derive(Deserialize)]
struct MessageWire<'a> {
    #[serde(borrow, default, deserialize_with = "read::present")]
    intent: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "read::present")]
    seal: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TextWire<'a> {
    #[serde(borrow, default, deserialize_with = "read::present")]
    user: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "read::present")]
    method: Option<&'a RawValue>,
    at: Option<u64>,
}

impl Deferred {
    /// Writes a message; `seal` signs the text.
    pub fn write(intent: &Intent, seal: impl FnOnce(&str) -> String) -> serde_json::Result<String> {
        let text = Text { user: intent.user.as_str(), method: "passkey", at: intent.at.as_millis() };
        let text = serde_json::to_string(&text)?;
        serde_json::to_string(&Message { intent: &text, seal: &seal(&text) })
    }

    /// Reads a message. Whether the seal holds is for whoever has the secret.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let wire: MessageWire = read::object(json.as_bytes())?;
        let text = read::string("intent", wire.intent.ok_or(Invalid::Missing("intent"))?)?;
        let seal = read::string("seal", wire.seal.ok_or(Invalid::Missing("seal"))?)?;
        let inner: TextWire = read::object(text.as_bytes())?;
        let user: UserIdentifier =
            read::user_identifier("user", inner.user.ok_or(Invalid::Missing("user"))?)?;
        match read::string("method", inner.method.ok_or(Invalid::Missing("method"))?)?.as_str() {
            "passkey" => {}
            _ => return Err(Invalid::UnknownWord("method")),
        }
        let at = Timestamp::from_millis(inner.at.ok_or(Invalid::Missing("at"))?);
        Ok(Self { intent: Intent { user, at }, text, seal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_user_and_no_seal() {
        let user = UserIdentifier::new("planted").unwrap();
        let intent = Intent { user, at: Timestamp::from_millis(1) };
        let message = Deferred::write(&intent, |_| "planted seal".to_owned()).unwrap();
        let shown = format!("{:?} {intent:?}", Deferred::parse(&message).unwrap());
        assert!(!shown.contains("planted"), "{shown}");
    }

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let user = UserIdentifier::new("ada\"}").unwrap();
        let intent = Intent { user, at: Timestamp::from_millis(1_767_225_600_123) };
        let message = Deferred::write(&intent, |text| format!("seal of {}", text.len())).unwrap();
        let read = Deferred::parse(&message).unwrap();
        assert_eq!(read.intent, intent);
        assert_eq!(read.seal, format!("seal of {}", read.text.len()));
        for bad in [
            "null",
            "{}",
            r#"{"intent":"{}"}"#,
            r#"{"intent":{},"seal":"s"}"#,
            r#"{"intent":"{}","seal":"s"}"#,
            r#"{"intent":"[]","seal":"s"}"#,
            r#"{"intent":"{\"user\":\"ada\",\"method\":\"sms\",\"at\":1}","seal":"s"}"#,
            r#"{"intent":"{\"user\":\"ada\",\"method\":\"passkey\"}","seal":"s"}"#,
            r#"{"intent":"{\"user\":\"\",\"method\":\"passkey\",\"at\":1}","seal":"s"}"#,
            r#"{"intent":"{\"user\":\"ada\",\"user\":\"bob\",\"method\":\"passkey\",\"at\":1}","seal":"s"}"#,
        ] {
            assert!(Deferred::parse(bad).is_err(), "{bad}");
        }
    }
}
