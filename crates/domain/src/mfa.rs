//! When a created passkey changes a user's MFA settings.

use crate::Timestamp;

/// A user's MFA settings as the directory holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MfaState {
    /// MFA is marked as enabled.
    pub enabled: bool,
    /// The preferred method is marked as passkey.
    pub prefers_passkey: bool,
    /// The provider has a second factor of its own switched on for this user.
    pub other_factor: bool,
    /// An earlier update broke off: the marks are there, the provider's own preference that goes with them is not.
    pub unfinished: bool,
    /// The time of the last update, where one is kept.
    pub last_update: Option<Timestamp>,
}

/// What to do for a user who has MFA already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MfaPolicy {
    /// Write nothing, as Corbado's guide does.
    Keep,
    /// Mark the passkey as preferred all the same; another factor stays switched on.
    PreferPasskey,
}

/// MFA settings to write: enabled, preferred method passkey, last update at the given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MfaUpdate {
    /// The time of the update.
    pub at: Timestamp,
    /// Write even where MFA is marked as enabled; otherwise an update that comes second changes nothing.
    pub policy: MfaPolicy,
    /// Write nothing where the last update is later than `at`: this one comes late. Directories that can look and write at
    /// once do so; Cognito cannot.
    pub unless_newer: bool,
}

impl MfaState {
    /// Decides what to write after a passkey was created at `now`, if anything.
    pub fn after_passkey(&self, policy: MfaPolicy, now: Timestamp) -> Option<MfaUpdate> {
        let needed = match policy {
            MfaPolicy::Keep => !self.other_factor && (!self.enabled || self.unfinished),
            MfaPolicy::PreferPasskey => !self.enabled || !self.prefers_passkey || self.unfinished,
        };
        needed.then_some(MfaUpdate { at: now, policy, unless_newer: false })
    }

    /// Decides the same about a passkey that was created at `at`, a while ago: what was written since then stays.
    pub fn after_earlier_passkey(&self, policy: MfaPolicy, at: Timestamp) -> Option<MfaUpdate> {
        let newer = self.last_update.is_some_and(|last| last > at || (last == at && !self.unfinished));
        if newer {
            return None;
        }
        Some(MfaUpdate { unless_newer: true, ..self.after_passkey(policy, at)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_by_state_and_policy() {
        // enabled, prefers passkey, other factor, unfinished → update with keep, with prefer-passkey
        let rows = [
            ([false, false, false, false], true, true),
            ([true, true, false, false], false, false),
            ([true, true, false, true], true, true),
            ([true, true, true, true], false, true),
            ([true, false, false, false], false, true),
            ([false, false, true, false], false, true),
            ([false, true, false, false], true, true),
            ([true, true, true, false], false, false),
        ];
        for ([enabled, prefers_passkey, other_factor, unfinished], keep, prefer) in rows {
            let state = MfaState { enabled, prefers_passkey, other_factor, unfinished, last_update: None };
            let now = Timestamp::from_secs(1);
            assert_eq!(state.after_passkey(MfaPolicy::Keep, now).is_some(), keep, "keep {state:?}");
            assert_eq!(
                state.after_passkey(MfaPolicy::PreferPasskey, now).is_some(),
                prefer,
                "prefer {state:?}"
            );
        }
    }

    #[test]
    fn what_was_written_since_stays() {
        let at = Timestamp::from_secs;
        let rows = [
            (None, false, true),
            (Some(9), false, true),
            (Some(10), false, false),
            (Some(10), true, true),
            (Some(11), false, false),
            (Some(11), true, false),
        ];
        for (last, unfinished, expected) in rows {
            let state = MfaState { last_update: last.map(at), unfinished, ..MfaState::default() };
            let update = state.after_earlier_passkey(MfaPolicy::Keep, at(10));
            assert_eq!(update.is_some(), expected, "{last:?} {unfinished}");
            assert!(update.is_none_or(|update| update.at == at(10)), "the time of the passkey, not of now");
            // Between the look and the write there may come something newer.
            assert!(update.is_none_or(|update| update.unless_newer));
        }
        assert!(!MfaState::default().after_passkey(MfaPolicy::Keep, at(10)).unwrap().unless_newer);
    }
}
