//! Users.

use domain::{
    AccountStatus, Candidate, MfaPolicy, MfaState, MfaUpdate, Profile, Timestamp, TypedIdentifier,
    Unavailable, User, UserDirectory, UserIdentifier,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::AuthSystem;
use crate::client::{Done, Operation};
use crate::object::{Object, nullable};

const FIND: Operation = Operation { path: "/users/find", name: "users.find", idempotent: true };
const FIND_BY_IDENTIFIER: Operation =
    Operation { path: "/users/find-by-identifier", name: "users.findByIdentifier", idempotent: true };
const UPDATE_MFA: Operation =
    Operation { path: "/users/update-mfa", name: "users.updateMfa", idempotent: true };

/// The method that stands for passkeys.
const PASSKEY: &str = "passkey";

/// A user's id, checked: it comes from outside.
pub(crate) struct Id(pub(crate) UserIdentifier);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        UserIdentifier::new(String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

/// [`AccountStatus`] as a word.
struct Status(AccountStatus);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match String::deserialize(deserializer)?.as_str() {
            "active" => AccountStatus::Active,
            "disabled" => AccountStatus::Disabled,
            "force_change_password" => AccountStatus::ForceChangePassword,
            "reset_required" => AccountStatus::ResetRequired,
            _ => AccountStatus::Unusable,
        }))
    }
}

#[derive(Deserialize)]
pub(crate) struct Found {
    #[serde(deserialize_with = "nullable")]
    pub(crate) user: Option<Object<Account>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    id: Id,
    status: Status,
    display_name: Option<String>,
    email: Option<String>,
    mfa: Object<Mfa>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mfa {
    enabled: bool,
    #[serde(deserialize_with = "nullable")]
    preferred_method: Option<String>,
    other_factor: Option<bool>,
    last_update: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Matches {
    pub(crate) users: Vec<Object<Match>>,
}

#[derive(Deserialize)]
pub(crate) struct Match {
    id: Id,
    status: Status,
    verified: bool,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        let Object(mfa) = account.mfa;
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Self {
            id: account.id.0,
            status: account.status.0,
            mfa: mfa.into(),
            profile: Profile { display_name: filled(account.display_name), email: filled(account.email) },
        }
    }
}

impl From<Mfa> for MfaState {
    fn from(mfa: Mfa) -> Self {
        let prefers_passkey = mfa.preferred_method.as_deref() == Some(PASSKEY);
        Self {
            enabled: mfa.enabled,
            prefers_passkey,
            other_factor: mfa.other_factor.unwrap_or(mfa.enabled && !prefers_passkey),
            last_update: mfa.last_update.as_deref().and_then(Timestamp::parse),
            unfinished: false,
        }
    }
}

#[derive(Serialize)]
struct ById<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct ByIdentifier<'a> {
    identifier: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Update<'a> {
    id: &'a str,
    mfa: Marks,
    only_if_disabled: bool,
    /// Left out where it is not so: systems that do not know it yet are asked as ever.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unless_newer: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Marks {
    enabled: bool,
    preferred_method: &'static str,
    last_update: String,
}

impl UserDirectory for AuthSystem {
    async fn find(&self, id: &UserIdentifier) -> Result<Option<User>, Unavailable> {
        let found: Found = self.perform(FIND, &ById { id: id.as_str() }).await?;
        Ok(found.user.map(|Object(account)| account.into()))
    }

    async fn find_by_identifier(&self, typed: &TypedIdentifier) -> Result<Candidate, Unavailable> {
        let arguments = ByIdentifier { identifier: typed.as_str() };
        let mut matches: Matches = self.perform(FIND_BY_IDENTIFIER, &arguments).await?;
        let Some(Object(one)) = matches.users.pop() else {
            return Ok(Candidate::Nobody);
        };
        if !matches.users.is_empty() {
            return Ok(Candidate::Several);
        }
        Ok(Candidate::One { id: one.id.0, status: one.status.0, verified: one.verified })
    }

    async fn update_mfa(&self, id: &UserIdentifier, update: &MfaUpdate) -> Result<(), Unavailable> {
        let arguments = Update {
            id: id.as_str(),
            mfa: Marks { enabled: true, preferred_method: PASSKEY, last_update: update.at.to_string() },
            only_if_disabled: update.policy == MfaPolicy::Keep,
            unless_newer: update.unless_newer,
        };
        let Done {} = self.perform(UPDATE_MFA, &arguments).await?;
        Ok(())
    }
}
