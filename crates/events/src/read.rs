//! Strict reading of single fields.

use domain::{Malformed, UserIdentifier};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Why an event is refused: the field's name and the rule, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not a JSON object in UTF-8, or a field twice.
    #[error("event: not a JSON object, or a field twice")]
    NotAnObject,
    /// A field that must be there is not.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// A field that must be a non-empty string is something else.
    #[error("{0}: not a non-empty string")]
    NotAString(&'static str),
    /// A word that is not one of the known ones.
    #[error("{0}: unknown")]
    UnknownWord(&'static str),
    /// An identifier that breaks the domain's rule.
    #[error("{0}: {1}")]
    Malformed(&'static str, Malformed),
}

/// Reads an event as an object with the fields of `T`.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Invalid> {
    let text = std::str::from_utf8(json).map_err(|_| Invalid::NotAnObject)?;
    // serde would take an array of the fields' values for the struct as well.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Invalid::NotAnObject);
    }
    serde_json::from_str(text).map_err(|_| Invalid::NotAnObject)
}

/// Tells a field that is `null` from one that is absent; use with `#[serde(default)]`.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a string.
pub(crate) fn string(name: &'static str, value: &RawValue) -> Result<String, Invalid> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) if !text.is_empty() => Ok(text),
        _ => Err(Invalid::NotAString(name)),
    }
}

/// Reads a user identifier.
pub(crate) fn user_identifier(name: &'static str, value: &RawValue) -> Result<UserIdentifier, Invalid> {
    UserIdentifier::new(string(name, value)?).map_err(|rule| Invalid::Malformed(name, rule))
}
