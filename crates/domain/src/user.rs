//! A user of the authentication system, and the port to that system.

use std::fmt;

use crate::{MfaState, MfaUpdate, TypedIdentifier, Unavailable, UserIdentifier};

/// A user as far as an integration needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The stable id, as the system itself spells it.
    pub id: UserIdentifier,
    /// Whether and how the account can be used.
    pub status: AccountStatus,
    /// The MFA settings.
    pub mfa: MfaState,
    /// How to address the user.
    pub profile: Profile,
}

/// How to address a user. Never logged.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The name to show.
    pub display_name: Option<String>,
    /// The e-mail address, if it is verified: one that is not may be somebody else's.
    pub email: Option<String>,
}

impl Profile {
    /// The name to show, or the e-mail address where there is none.
    pub fn shown_name(&self) -> Option<&str> {
        self.display_name.as_deref().or(self.email.as_deref())
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile(..)")
    }
}

impl User {
    /// Tells whether a session may be opened for this user.
    ///
    /// An account that awaits a password change or reset must go through the classic login, just as
    /// pre-login sends it there.
    pub fn may_sign_in(&self) -> bool {
        self.status == AccountStatus::Active
    }
}

/// The state of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// Enabled and confirmed.
    Active,
    /// Disabled by an administrator.
    Disabled,
    /// Must change a temporary password first.
    ForceChangePassword,
    /// Must reset the password first.
    ResetRequired,
    /// Anything else that cannot sign in: not confirmed, archived, compromised, federated, unknown.
    Unusable,
}

/// What a directory knows about the identifier a user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// Nobody.
    Nobody,
    /// Exactly one user. `verified` is false when only an unverified e-mail address points there.
    One {
        /// The stable id.
        id: UserIdentifier,
        /// The state of the account.
        status: AccountStatus,
        /// Whether the identifier certainly belongs to that user.
        verified: bool,
    },
    /// More than one user: nobody can say which is meant.
    Several,
}

/// The answer to what a user typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The canonical identifier to go on with.
    Found(UserIdentifier),
    /// No such account.
    UserNotFound,
    /// The account is disabled.
    AccountDisabled,
    /// A temporary password has to be changed first.
    ForceChangePassword,
    /// The password has to be reset first.
    ResetRequired,
    /// Not possible, for a reason that is not told.
    Untyped,
}

impl Candidate {
    /// Decides what pre-login answers.
    pub fn resolve(self) -> Resolution {
        let (id, status, verified) = match self {
            Self::Nobody => return Resolution::UserNotFound,
            Self::Several => return Resolution::Untyped,
            Self::One { id, status, verified } => (id, status, verified),
        };
        match status {
            // An account that was only just created by an administrator has no verified address yet.
            AccountStatus::ForceChangePassword => Resolution::ForceChangePassword,
            _ if !verified => Resolution::Untyped,
            AccountStatus::Active => Resolution::Found(id),
            AccountStatus::Disabled => Resolution::AccountDisabled,
            AccountStatus::ResetRequired => Resolution::ResetRequired,
            AccountStatus::Unusable => Resolution::Untyped,
        }
    }
}

/// The users of the authentication system.
pub trait UserDirectory {
    /// Finds a user by the stable id, or by a verified e-mail address that one user has.
    fn find(&self, id: &UserIdentifier) -> impl Future<Output = Result<Option<User>, Unavailable>> + Send;

    /// Finds whom a typed user name or e-mail address means.
    fn find_by_identifier(
        &self,
        typed: &TypedIdentifier,
    ) -> impl Future<Output = Result<Candidate, Unavailable>> + Send;

    /// Writes the MFA settings. Idempotent: writing twice leaves what writing once leaves.
    fn update_mfa(
        &self,
        id: &UserIdentifier,
        update: &MfaUpdate,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_every_candidate() {
        use AccountStatus::{Active, Disabled, ForceChangePassword, ResetRequired, Unusable};
        let id = UserIdentifier::new("ada").unwrap();
        let one = |status, verified| Candidate::One { id: id.clone(), status, verified };
        let rows = [
            (Candidate::Nobody, Resolution::UserNotFound),
            (Candidate::Several, Resolution::Untyped),
            (one(Active, true), Resolution::Found(id.clone())),
            (one(Active, false), Resolution::Untyped),
            (one(Disabled, true), Resolution::AccountDisabled),
            (one(Disabled, false), Resolution::Untyped),
            (one(ForceChangePassword, true), Resolution::ForceChangePassword),
            (one(ForceChangePassword, false), Resolution::ForceChangePassword),
            (one(ResetRequired, true), Resolution::ResetRequired),
            (one(ResetRequired, false), Resolution::Untyped),
            (one(Unusable, true), Resolution::Untyped),
        ];
        for (candidate, expected) in rows {
            assert_eq!(candidate.clone().resolve(), expected, "{candidate:?}");
        }
    }

    #[test]
    fn only_active_accounts_sign_in() {
        use AccountStatus::{Active, Disabled, ForceChangePassword, ResetRequired, Unusable};
        for status in [Active, Disabled, ForceChangePassword, ResetRequired, Unusable] {
            let user = User {
                id: UserIdentifier::new("ada").unwrap(),
                status,
                mfa: MfaState::default(),
                profile: Profile::default(),
            };
            assert_eq!(user.may_sign_in(), status == Active, "{status:?}");
        }
    }
}
