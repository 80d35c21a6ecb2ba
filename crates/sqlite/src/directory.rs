//! Users.

use domain::{
    AccountStatus, Candidate, MfaPolicy, MfaState, MfaUpdate, Profile, Timestamp, TypedIdentifier,
    Unavailable, User, UserDirectory, UserIdentifier,
};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{OptionalExtension, Row, params};

use crate::Store;

/// [`AccountStatus`] as a word.
struct Status(AccountStatus);

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(match value.as_str()? {
            "active" => AccountStatus::Active,
            "disabled" => AccountStatus::Disabled,
            "force_change_password" => AccountStatus::ForceChangePassword,
            "reset_required" => AccountStatus::ResetRequired,
            _ => AccountStatus::Unusable,
        }))
    }
}

/// A user's id, checked again: the file can be edited by hand.
pub(crate) struct Id(pub(crate) UserIdentifier);

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        UserIdentifier::new(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

impl UserDirectory for Store {
    async fn find(&self, id: &UserIdentifier) -> Result<Option<User>, Unavailable> {
        let id = id.clone();
        self.read(move |store| {
            let mut by_id = store.prepare_cached(
                "SELECT id, status, mfa_enabled, preferred_mfa, last_mfa_update, display_name, email, email_verified
                 FROM users WHERE id = ?1",
            )?;
            if let Some(user) = by_id.query_row([id.as_str()], read_user).optional()? {
                return Ok(Some(user));
            }
            let mut by_email = store.prepare_cached(
                "SELECT id, status, mfa_enabled, preferred_mfa, last_mfa_update, display_name, email, email_verified
                 FROM users WHERE email_folded = ?1 AND email_verified LIMIT 2",
            )?;
            let found = by_email.query_map([fold(id.as_str())], read_user)?;
            let mut found = found.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(found.pop().filter(|_| found.is_empty()))
        })
        .await
    }

    /// A user name goes before an e-mail address; case counts for neither.
    async fn find_by_identifier(&self, typed: &TypedIdentifier) -> Result<Candidate, Unavailable> {
        let folded = fold(typed.as_str());
        self.read(move |store| {
            let mut by_name =
                store.prepare_cached("SELECT id, status, 1 FROM users WHERE username_folded = ?1")?;
            let mut by_email = store.prepare_cached(
                "SELECT id, status, email_verified FROM users WHERE email_folded = ?1 LIMIT 2",
            )?;
            for select in [&mut by_name, &mut by_email] {
                let found = select.query_map([&folded], |row| {
                    let (id, status): (Id, Status) = (row.get(0)?, row.get(1)?);
                    Ok(Candidate::One { id: id.0, status: status.0, verified: row.get(2)? })
                })?;
                let mut found = found.collect::<rusqlite::Result<Vec<_>>>()?;
                if found.len() > 1 {
                    return Ok(Candidate::Several);
                }
                if let Some(one) = found.pop() {
                    return Ok(one);
                }
            }
            Ok(Candidate::Nobody)
        })
        .await
    }

    async fn update_mfa(&self, id: &UserIdentifier, update: &MfaUpdate) -> Result<(), Unavailable> {
        let id = id.clone();
        let MfaUpdate { at, policy, unless_newer } = *update;
        self.write(move |store| {
            // Of two updates at the same time the second finds the flags set, and changes nothing.
            let prefer = policy == MfaPolicy::PreferPasskey;
            store.execute(
                "UPDATE users SET mfa_enabled = 1, preferred_mfa = 'passkey', last_mfa_update = ?2
                 WHERE id = ?1 AND (mfa_enabled = 0 OR (?3 AND preferred_mfa IS NOT 'passkey'))
                     AND NOT (?4 AND coalesce(last_mfa_update, 0) > ?2)",
                params![id.as_str(), at.as_millis(), prefer, unless_newer],
            )?;
            Ok(())
        })
        .await
    }
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    let enabled = row.get("mfa_enabled")?;
    let preferred: Option<String> = row.get("preferred_mfa")?;
    let prefers_passkey = preferred.as_deref() == Some("passkey");
    let email_verified: bool = row.get("email_verified")?;
    Ok(User {
        id: row.get::<_, Id>("id")?.0,
        status: row.get::<_, Status>("status")?.0,
        mfa: MfaState {
            enabled,
            prefers_passkey,
            other_factor: enabled && !prefers_passkey,
            unfinished: false,
            last_update: row.get::<_, Option<u64>>("last_mfa_update")?.map(Timestamp::from_millis),
        },
        profile: Profile {
            display_name: row.get("display_name")?,
            email: row.get::<_, Option<String>>("email")?.filter(|_| email_verified),
        },
    })
}

/// Makes two spellings equal that differ in case only.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}
