//! What could not be done at once, and is done later: a passkey was created while the provider was busy.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{Timestamp, Unavailable, UserIdentifier, hex};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);
/// The pause after the first attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// A user's MFA flags are to be set as they would have been at a certain time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The user, as the caller named them.
    pub user: UserIdentifier,
    /// When the passkey was created.
    pub at: Timestamp,
}

impl Intent {
    /// Names what must be done in order: SHA-256 of the user, in hexadecimal.
    pub fn group(&self) -> String {
        hex(&Sha256::digest(self.user.as_str()))
    }

    /// Names the intent itself, so that sending it twice is no harm: SHA-256 of user and time, in hexadecimal.
    pub fn name(&self) -> String {
        hex(&Sha256::new()
            .chain_update(self.at.as_millis().to_be_bytes())
            .chain_update(self.user.as_str())
            .finalize())
    }
}

/// Keeps messages about intents until they are done.
pub trait Deferrals {
    /// Keeps a message, in order for each [`Intent::group`].
    fn defer(&self, intent: &Intent, message: &str) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Lets a message that was delivered rest for a while before it comes again; `receipt` names the delivery.
    fn put_off(&self, receipt: &str, pause: Duration)
    -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The pause before the next attempt after `attempts` ones: twice as long each time, 15 minutes at most, less up to a half by
/// `random`, so that what failed together does not come back together.
pub fn pause_after(attempts: u32, random: u8) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10));
    let longest = doubled.min(LONGEST_PAUSE);
    longest - longest.mul_f64(f64::from(random) / 512.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_quarter_of_an_hour() {
        let seconds = |attempts, random| pause_after(attempts, random).as_secs_f64().round() as u64;
        let rows = [(0, 10), (1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (1000, 900), (u32::MAX, 900)];
        for (attempts, longest) in rows {
            assert_eq!(seconds(attempts, 0), longest, "{attempts}");
            let shortest = pause_after(attempts, 255);
            assert!(
                shortest >= pause_after(attempts, 0) / 2 && shortest < pause_after(attempts, 254),
                "{attempts}"
            );
        }
    }

    #[test]
    fn names_tell_users_and_times_apart() {
        let intent = |user: &str, at| Intent {
            user: UserIdentifier::new(user).unwrap(),
            at: Timestamp::from_secs(at),
        };
        let (ada, later, grace) = (intent("ada", 1), intent("ada", 2), intent("grace", 1));
        assert_eq!(ada.group(), later.group());
        assert!(ada.group() != grace.group() && ada.name() != later.name() && ada.name() != grace.name());
        assert!(!ada.group().contains("ada") && ada.group().len() == 64);
    }
}
