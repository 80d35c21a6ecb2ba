//! Sessions and the replay guard.

use domain::{
    Claim, ReplayGuard, ReplayKey, Session, SessionKey, SessionStore, Timestamp, Unavailable, UserIdentifier,
};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::Store;

/// How many expired rows a write clears away.
const SWEEP: u32 = 100;

impl SessionStore for Store {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        let session = session.clone();
        self.write(move |store| {
            sweep(store, "sessions", session.created)?;
            store.execute(
                "INSERT INTO sessions (key, user_id, created, expires) VALUES (?1, ?2, ?3, ?4)",
                params![
                    key.as_bytes(),
                    session.user.as_str(),
                    session.created.as_millis(),
                    session.expires.as_millis()
                ],
            )?;
            Ok(())
        })
        .await
    }

    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        self.read(move |store| {
            let mut select = store.prepare_cached(
                "SELECT user_id, created, expires FROM sessions WHERE key = ?1 AND expires > ?2",
            )?;
            let row = select.query_row(params![key.as_bytes(), now.as_millis()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?))
            });
            Ok(row.optional()?.and_then(|(user, created, expires)| {
                Some(Session {
                    user: UserIdentifier::new(user).ok()?,
                    created: Timestamp::from_millis(created),
                    expires: Timestamp::from_millis(expires),
                })
            }))
        })
        .await
    }

    async fn revoke(&self, key: SessionKey) -> Result<(), Unavailable> {
        self.write(move |store| {
            store.execute("DELETE FROM sessions WHERE key = ?1", [key.as_bytes()])?;
            Ok(())
        })
        .await
    }
}

impl ReplayGuard for Store {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        self.write(move |store| {
            sweep(store, "replays", now)?;
            let recorded = store.execute(
                "INSERT INTO replays (key, expires) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET expires = excluded.expires WHERE replays.expires <= ?3",
                params![key.as_bytes(), until.as_millis(), now.as_millis()],
            )?;
            Ok(if recorded == 1 { Claim::First } else { Claim::Replayed })
        })
        .await
    }
}

fn sweep(store: &Transaction<'_>, table: &'static str, now: Timestamp) -> rusqlite::Result<()> {
    let delete = format!(
        "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ?1 LIMIT {SWEEP})"
    );
    store.prepare_cached(&delete)?.execute([now.as_millis()])?;
    Ok(())
}
