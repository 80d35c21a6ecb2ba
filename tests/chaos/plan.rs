//! What goes wrong, decided by a seed: for each attempt at each thing, whatever the order in which they arrive.

use std::hash::{DefaultHasher, Hash, Hasher};

/// What is done to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    None,
    /// Told to slow down; not done.
    Throttled,
    /// Failed; not done.
    Failed,
    /// No answer in time; not done.
    Stalled,
    /// Done, and the answer comes too late.
    DoneLate,
    /// The connection breaks before anything is done.
    ResetBefore,
    /// Done, and the connection breaks.
    ResetAfter,
    /// Done, and the answer breaks off.
    Truncated,
    /// A page of HTML with status 200; not done.
    Garbage,
    /// Done, and the answer says that it is something else than JSON.
    OtherType,
    /// Done, and the connection is closed without a word: the next request finds it dead.
    Closed,
    /// Done, and a process of the function that asked is killed.
    Killed,
    /// Not done, and a process of the function that asked is killed.
    KilledBefore,
}

impl Fault {
    /// Whether the system does what it is asked.
    pub(crate) fn is_done(self) -> bool {
        !matches!(
            self,
            Self::Throttled
                | Self::Failed
                | Self::Stalled
                | Self::ResetBefore
                | Self::Garbage
                | Self::KilledBefore
        )
    }

    /// Whether the answer arrives whole, where there is somebody left to read it.
    pub(crate) fn is_told(self) -> bool {
        matches!(self, Self::None | Self::OtherType | Self::Closed | Self::Killed)
    }
}

/// Faults in a thousand requests.
const RATES: [(Fault, u64); 12] = [
    (Fault::Throttled, 20),
    (Fault::Failed, 20),
    (Fault::Stalled, 8),
    (Fault::DoneLate, 8),
    (Fault::ResetBefore, 12),
    (Fault::ResetAfter, 12),
    (Fault::Truncated, 10),
    (Fault::Garbage, 10),
    (Fault::OtherType, 10),
    (Fault::Closed, 15),
    (Fault::Killed, 3),
    (Fault::KilledBefore, 2),
];

/// A plan: the same for the same seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan(pub(crate) u64);

impl Plan {
    /// A number below `end`, for something.
    pub(crate) fn number(self, what: impl Hash, end: u64) -> u64 {
        // Always with the same keys.
        let mut hasher = DefaultHasher::new();
        (self.0, what).hash(&mut hasher);
        hasher.finish() % end
    }

    /// How often, beside all other faults, the update of a user's flags is throttled first: for longer than an action waits.
    pub(crate) fn busy(self, user: &str) -> u32 {
        match self.number(("busy", user), 16) {
            0 => 3 + u32::try_from(self.number(("how long", user), 4)).unwrap(),
            _ => 0,
        }
    }

    /// What is done to the `attempt`-th request for `operation` on `subject`.
    pub(crate) fn fault(self, operation: &str, subject: &str, attempt: u32) -> Fault {
        let mut number = self.number((operation, subject, attempt), 1000);
        for (fault, rate) in RATES {
            if number < rate {
                return fault;
            }
            number -= rate;
        }
        Fault::None
    }

    /// A number that stands for the whole plan.
    pub(crate) fn digest(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for number in 0..10_000 {
            self.fault("verify", &format!("page-{number}"), 0).hash(&mut hasher);
        }
        hasher.finish()
    }
}

#[test]
fn the_same_seed_is_the_same_plan() {
    assert_eq!(Plan(7).digest(), Plan(7).digest());
    assert_ne!(Plan(7).digest(), Plan(8).digest());
    let faults = (0..10_000).filter(|it| Plan(7).fault("find", &it.to_string(), 0) != Fault::None).count();
    assert!((1000..1600).contains(&faults), "{faults}");
}
