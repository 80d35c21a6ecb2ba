//! Why a system behind a port could not answer, in words that are safe to log.

use std::fmt;

/// A system that could not answer: the third class of error beside "invalid" and "rejected".
///
/// It keeps no error of the adapter's libraries: their texts may hold user attributes, tokens or whole bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The system's name, such as `cognito`.
    pub system: &'static str,
    /// What went wrong.
    pub reason: Reason,
    /// The HTTP status, where one arrived.
    pub status: Option<u16>,
    /// The system's own error code, where one arrived; see [`Unavailable::code`].
    code: Option<String>,
}

/// What went wrong with a system behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Transport,
    /// Told to slow down.
    Throttled,
    /// Our own credential was refused: a fault of the configuration, not of the user's proof.
    Credential,
    /// The system refused the call as such: a fault of the configuration or of this program.
    Refused,
    /// The system failed.
    Failed,
    /// The answer could not be read.
    Unreadable,
    /// A store on this machine could not be used: locked, read-only, full or damaged.
    Storage,
}

impl Unavailable {
    /// States that `system` could not answer.
    pub fn new(system: &'static str, reason: Reason) -> Self {
        Self { system, reason, status: None, code: None }
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds the system's error code. Kept only if it looks like one (a word of at most 64 characters),
    /// because it comes from outside and goes to the log.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !code.is_empty() && code.len() <= 64 && code.chars().all(word) {
            self.code = Some(code.to_owned());
        }
        self
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Timeout => "timeout",
            Reason::Transport => "transport",
            Reason::Throttled => "throttled",
            Reason::Credential => "credential",
            Reason::Refused => "refused",
            Reason::Failed => "failed",
            Reason::Unreadable => "unreadable",
            Reason::Storage => "storage",
        };
        write!(f, "{}: {reason}", self.system)?;
        if let Some(status) = self.status {
            write!(f, ", status {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, ", {code}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unavailable {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_only_words() {
        let cause =
            Unavailable::new("cognito", Reason::Throttled).status(400).code("TooManyRequestsException");
        assert_eq!(cause.to_string(), "cognito: throttled, status 400, TooManyRequestsException");
        for code in ["", "two words", "a\nb", "ada@example.com", &"x".repeat(65)] {
            assert_eq!(Unavailable::new("x", Reason::Failed).code(code).to_string(), "x: failed");
        }
    }
}
