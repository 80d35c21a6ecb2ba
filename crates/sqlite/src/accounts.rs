//! What an application that keeps its users here does beside the ports: new users, and a look at all of them.

use domain::{Timestamp, Unavailable, UserIdentifier};
use rusqlite::params;

use crate::Store;
use crate::directory::{Id, fold};
use crate::seed::MfaRecord;

/// A user to be.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The stable id.
    pub id: UserIdentifier,
    /// The user name.
    pub username: String,
    /// The e-mail address, taken as verified.
    pub email: String,
    /// The name to show.
    pub display_name: String,
}

/// A user with everything that the store holds of them.
#[derive(Debug, Clone)]
pub struct Account {
    /// The stable id.
    pub id: UserIdentifier,
    /// The user name.
    pub username: String,
    /// The e-mail address.
    pub email: String,
    /// `active`, or why not.
    pub status: String,
    /// The MFA settings.
    pub mfa: MfaRecord,
    /// The sessions whose time is not up, newest first.
    pub sessions: Vec<OpenSession>,
}

/// A session, by the hash of its id.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// The hash, in hexadecimal.
    pub key: String,
    /// The start.
    pub created: Timestamp,
    /// The end.
    pub expires: Timestamp,
}

impl Store {
    /// Adds an active user; `false` if the id, the user name or the address is taken, whatever the case.
    pub async fn add_user(&self, user: NewUser) -> Result<bool, Unavailable> {
        self.write(move |store| {
            let added = store.execute(
                "INSERT INTO users (id, username, username_folded, email, email_folded, email_verified,
                                    display_name, status)
                 SELECT ?1, ?2, ?3, ?4, ?5, 1, ?6, 'active'
                 WHERE NOT EXISTS (SELECT 1 FROM users WHERE id = ?1 OR username_folded IN (?3, ?5)
                                                             OR email_folded IN (?3, ?5))",
                params![
                    user.id.as_str(),
                    user.username,
                    fold(&user.username),
                    user.email,
                    fold(&user.email),
                    user.display_name,
                ],
            )?;
            Ok(added == 1)
        })
        .await
    }

    /// All users, by user name, with the sessions that are open at `now`.
    pub async fn accounts(&self, now: Timestamp) -> Result<Vec<Account>, Unavailable> {
        self.read(move |store| {
            let mut users = store.prepare_cached(
                "SELECT id, username, email, status, mfa_enabled, preferred_mfa, last_mfa_update
                 FROM users ORDER BY username_folded",
            )?;
            let mut sessions = store.prepare_cached(
                "SELECT lower(hex(key)), created, expires FROM sessions
                 WHERE user_id = ?1 AND expires > ?2 ORDER BY created DESC",
            )?;
            let accounts = users.query_map([], |row| {
                let mfa = MfaRecord {
                    enabled: row.get(4)?,
                    preferred: row.get(5)?,
                    last_update: row.get::<_, Option<u64>>(6)?.map(Timestamp::from_millis),
                };
                Ok(Account {
                    id: row.get::<_, Id>(0)?.0,
                    username: row.get(1)?,
                    email: row.get(2)?,
                    status: row.get(3)?,
                    mfa,
                    sessions: Vec::new(),
                })
            })?;
            let mut accounts = accounts.collect::<rusqlite::Result<Vec<_>>>()?;
            for account in &mut accounts {
                let open = sessions.query_map(params![account.id.as_str(), now.as_millis()], |row| {
                    Ok(OpenSession {
                        key: row.get(0)?,
                        created: Timestamp::from_millis(row.get(1)?),
                        expires: Timestamp::from_millis(row.get(2)?),
                    })
                })?;
                account.sessions = open.collect::<rusqlite::Result<_>>()?;
            }
            Ok(accounts)
        })
        .await
    }

    /// Ends a session by the hash of its id, in hexadecimal; `false` if there is none.
    pub async fn end_session(&self, key: String) -> Result<bool, Unavailable> {
        let sql = "DELETE FROM sessions WHERE lower(hex(key)) = ?1";
        self.write(move |store| Ok(store.execute(sql, [key])? == 1)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{Session, SessionId, SessionStore, TypedIdentifier, UserDirectory};

    use super::*;

    fn user(id: &str, email: &str) -> NewUser {
        NewUser {
            id: UserIdentifier::new(id).unwrap(),
            username: email.into(),
            email: email.into(),
            display_name: "Mary".into(),
        }
    }

    #[tokio::test]
    async fn new_users_are_found_and_take_no_name_that_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store.sqlite"), Duration::from_secs(5));
        store.seed(&crate::seed::DEMO_USERS).await.unwrap();
        assert_eq!(store.add_user(user("usr-1", "mary@example.com")).await, Ok(true));
        for (id, email) in [
            ("usr-1", "other@example.com"),
            ("usr-2", "MARY@example.com"),
            ("usr-2", "ada"),
            ("usr-2", "Ada@Example.com"),
        ] {
            assert_eq!(store.add_user(user(id, email)).await, Ok(false), "{id} {email}");
        }
        let typed = TypedIdentifier::new("Mary@example.com").unwrap();
        let found = store.find_by_identifier(&typed).await.unwrap();
        assert!(matches!(found, domain::Candidate::One { id, .. } if id.as_str() == "usr-1"));
    }

    #[tokio::test]
    async fn sessions_are_shown_and_ended_by_their_hash() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store.sqlite"), Duration::from_secs(5));
        store.seed(&crate::seed::DEMO_USERS).await.unwrap();
        let ada = UserIdentifier::new("usr-ada").unwrap();
        let now = Timestamp::from_secs(1_000);
        let session = Session::new(ada, now, Duration::from_secs(60));
        store.create(SessionId::from_random([1; 32]).key(), &session).await.unwrap();
        let open = async |now| {
            let accounts = store.accounts(now).await.unwrap();
            assert_eq!(accounts.len(), crate::seed::DEMO_USERS.len());
            accounts.into_iter().find(|it| it.id.as_str() == "usr-ada").unwrap().sessions
        };
        assert!(open(Timestamp::from_secs(1_060)).await.is_empty(), "its time is up");
        let [session] = open(now).await.try_into().unwrap();
        assert_eq!(store.end_session("00".into()).await, Ok(false));
        assert_eq!(store.end_session(session.key).await, Ok(true));
        assert!(open(now).await.is_empty());
    }
}
