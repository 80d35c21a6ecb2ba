//! Rate limits: so many hits a minute.

use std::time::Duration;

use crate::session::hash;
use crate::{Timestamp, Unavailable};

/// The length of a window, in milliseconds.
const WINDOW: u64 = 60_000;

/// What is counted: SHA-256 of a kind and a subject, so that a store sees neither addresses nor users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateKey([u8; 32]);

impl RateKey {
    /// The counter of `subject` for one kind of thing.
    pub fn new(kind: &str, subject: &str) -> Self {
        Self(hash(&["rate", kind, subject]))
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// One minute by the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(u64);

impl Window {
    /// The window that `now` lies in.
    pub fn of(now: Timestamp) -> Self {
        Self(now.as_millis() / WINDOW)
    }

    /// Its number since the epoch.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Its end.
    pub fn end(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_add(1).saturating_mul(WINDOW))
    }
}

/// The answer of a rate limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Within the limit, and counted.
    Within,
    /// Beyond it, until the time that remains of the window is over.
    Exceeded {
        /// At least a second, at most a minute.
        retry_after: Duration,
    },
}

impl Rate {
    /// Beyond the limit of the window that `now` lies in.
    pub fn exceeded(now: Timestamp) -> Self {
        let left = Window::of(now).end().as_millis().saturating_sub(now.as_millis());
        Self::Exceeded { retry_after: Duration::from_secs(left.div_ceil(1000).clamp(1, 60)) }
    }
}

/// Counts hits by the minute.
pub trait RateLimiter {
    /// Counts a hit, atomically: of any number of calls within one window, `limit` are within.
    fn hit(
        &self,
        key: RateKey,
        limit: u32,
        now: Timestamp,
    ) -> impl Future<Output = Result<Rate, Unavailable>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_the_window_is_over() {
        let rows = [(0, 60), (1, 60), (999, 60), (1000, 59), (59_000, 1), (59_999, 1), (60_000, 60)];
        for (millis, seconds) in rows {
            let retry_after = Duration::from_secs(seconds);
            assert_eq!(
                Rate::exceeded(Timestamp::from_millis(millis)),
                Rate::Exceeded { retry_after },
                "{millis}"
            );
        }
    }
}
