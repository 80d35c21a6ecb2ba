//! User identifiers, validated once and never printed.

use std::fmt;

/// The longest identifier accepted, in characters.
const MAX_CHARS: usize = 256;

/// Says why an identifier was refused, without repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing is left of it.
    #[error("empty")]
    Empty,
    /// More than 256 characters.
    #[error("longer than 256 characters")]
    TooLong,
    /// A control character within.
    #[error("contains a control character")]
    ControlCharacter,
}

/// The authentication system's stable id of a user: Cognito's user name, Corbado's `webauthnId`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserIdentifier(String);

impl UserIdentifier {
    /// Accepts 1 to 256 characters, none of them a control character.
    pub fn new(id: impl Into<String>) -> Result<Self, Malformed> {
        let id = id.into();
        check(&id)?;
        Ok(Self(id))
    }

    /// The identifier itself, for the systems that need it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a user typed into the login form: a user name or an e-mail address, surrounding white space removed.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedIdentifier(String);

impl TypedIdentifier {
    /// Accepts what [`UserIdentifier::new`] accepts, after trimming.
    pub fn new(typed: &str) -> Result<Self, Malformed> {
        let typed = typed.trim_matches(' ');
        check(typed)?;
        Ok(Self(typed.to_owned()))
    }

    /// The trimmed text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether this could be an e-mail address at all.
    pub fn may_be_email(&self) -> bool {
        self.0.contains('@')
    }
}

fn check(id: &str) -> Result<(), Malformed> {
    if id.is_empty() {
        return Err(Malformed::Empty);
    }
    if id.chars().nth(MAX_CHARS).is_some() {
        return Err(Malformed::TooLong);
    }
    if id.chars().any(char::is_control) {
        return Err(Malformed::ControlCharacter);
    }
    Ok(())
}

// Both may be an e-mail address, which must not reach a log.
impl fmt::Debug for UserIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserIdentifier(..)")
    }
}

impl fmt::Debug for TypedIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedIdentifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_up_to_256_characters_without_control_characters() {
        let longest = "ä".repeat(256);
        let too_long = "ä".repeat(257);
        let rows = [
            ("a", Ok(())),
            ("ada@example.com", Ok(())),
            ("a b", Ok(())),
            (longest.as_str(), Ok(())),
            ("", Err(Malformed::Empty)),
            (too_long.as_str(), Err(Malformed::TooLong)),
            ("a\nb", Err(Malformed::ControlCharacter)),
            ("a\u{0}", Err(Malformed::ControlCharacter)),
            ("a\u{7f}", Err(Malformed::ControlCharacter)),
            ("a\u{85}", Err(Malformed::ControlCharacter)),
        ];
        for (id, expected) in rows {
            assert_eq!(UserIdentifier::new(id).map(|_| ()), expected, "{id:?}");
            assert_eq!(TypedIdentifier::new(id).map(|_| ()), expected, "{id:?}");
        }
    }

    #[test]
    fn trims_what_was_typed_only() {
        assert_eq!(TypedIdentifier::new("  ada ").as_ref().map(TypedIdentifier::as_str), Ok("ada"));
        assert_eq!(TypedIdentifier::new("   "), Err(Malformed::Empty));
        assert_eq!(UserIdentifier::new(" ada").as_ref().map(UserIdentifier::as_str), Ok(" ada"));
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", UserIdentifier::new("planted"), TypedIdentifier::new("planted"));
        assert!(!shown.contains("planted"), "{shown}");
    }
}
