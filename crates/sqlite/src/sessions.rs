//! Sessions, the replay guard with its verdicts, and rate limits.

use domain::{
    Begun, Claim, FlowKey, Rate, RateKey, RateLimiter, Reason, ReplayGuard, ReplayKey, Session, SessionKey,
    SessionStore, Timestamp, Unavailable, UserIdentifier, Verdict, VerdictLog, Window,
};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::directory::Id;
use crate::{SYSTEM, Store};

/// How many expired rows a write clears away.
const SWEEP: u32 = 100;

impl SessionStore for Store {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        let session = session.clone();
        self.write(move |store| {
            sweep(store, "sessions", session.created)?;
            store.execute(
                "INSERT INTO sessions (key, user_id, created, expires, last_seen) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    key.as_bytes(),
                    session.user.as_str(),
                    session.created.as_millis(),
                    session.expires.as_millis(),
                    session.last_seen.as_millis()
                ],
            )?;
            Ok(())
        })
        .await
    }

    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        self.read(move |store| {
            let mut select = store.prepare_cached(
                "SELECT user_id, created, expires, last_seen FROM sessions WHERE key = ?1 AND expires > ?2",
            )?;
            let row = select.query_row(params![key.as_bytes(), now.as_millis()], |row| {
                Ok(Session {
                    user: row.get::<_, Id>(0)?.0,
                    created: Timestamp::from_millis(row.get(1)?),
                    expires: Timestamp::from_millis(row.get(2)?),
                    last_seen: Timestamp::from_millis(row.get(3)?),
                })
            });
            row.optional()
        })
        .await
    }

    async fn touch(&self, key: SessionKey, now: Timestamp) -> Result<(), Unavailable> {
        self.write(move |store| {
            store.execute(
                "UPDATE sessions SET last_seen = max(last_seen, ?2) WHERE key = ?1",
                params![key.as_bytes(), now.as_millis()],
            )?;
            Ok(())
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

    async fn revoke_all(&self, user: &UserIdentifier) -> Result<(), Unavailable> {
        let user = user.clone();
        self.write(move |store| {
            store.execute("DELETE FROM sessions WHERE user_id = ?1", [user.as_str()])?;
            Ok(())
        })
        .await
    }
}

impl RateLimiter for Store {
    async fn hit(&self, key: RateKey, limit: u32, now: Timestamp) -> Result<Rate, Unavailable> {
        let window = Window::of(now);
        self.write(move |store| {
            sweep(store, "rates", now)?;
            let hits: u32 = store.query_row(
                "INSERT INTO rates (key, window, hits, expires) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (key) DO UPDATE SET
                     hits = CASE WHEN window = excluded.window THEN min(hits + 1, ?4 + 1) ELSE 1 END,
                     window = excluded.window,
                     expires = excluded.expires
                 RETURNING hits",
                params![key.as_bytes(), window.number(), window.end().as_millis(), limit],
                |row| row.get(0),
            )?;
            Ok(if hits <= limit { Rate::Within } else { Rate::exceeded(now) })
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
                 ON CONFLICT (key) DO UPDATE SET expires = excluded.expires, flow = NULL, verdict = NULL
                 WHERE replays.expires <= ?3",
                params![key.as_bytes(), until.as_millis(), now.as_millis()],
            )?;
            Ok(if recorded == 1 { Claim::First } else { Claim::Replayed })
        })
        .await
    }
}

impl VerdictLog for Store {
    async fn begin(
        &self,
        answer: ReplayKey,
        flow: FlowKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Begun, Unavailable> {
        self.write(move |store| {
            sweep(store, "replays", now)?;
            let recorded = store.execute(
                "INSERT INTO replays (key, expires, flow) VALUES (?1, ?2, ?4)
                 ON CONFLICT (key) DO UPDATE SET expires = excluded.expires, flow = excluded.flow, verdict = NULL
                 WHERE replays.expires <= ?3",
                params![answer.as_bytes(), until.as_millis(), now.as_millis(), flow.as_bytes()],
            )?;
            if recorded == 1 {
                return Ok(Begun::First);
            }
            let (own, verdict): (bool, Option<String>) = store.query_row(
                "SELECT flow IS ?2, verdict FROM replays WHERE key = ?1",
                params![answer.as_bytes(), flow.as_bytes()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(Begun::known(own, verdict.as_deref()))
        })
        .await
    }

    async fn conclude(&self, answer: ReplayKey, flow: FlowKey, verdict: Verdict) -> Result<(), Unavailable> {
        let concluded = self
            .write(move |store| {
                store.execute(
                    "UPDATE replays SET verdict = ?3
                     WHERE key = ?1 AND flow = ?2 AND (verdict IS NULL OR verdict = ?3)",
                    params![answer.as_bytes(), flow.as_bytes(), verdict.as_str()],
                )
            })
            .await?;
        if concluded == 1 { Ok(()) } else { Err(Unavailable::new(SYSTEM, Reason::Refused)) }
    }
}

fn sweep(store: &Transaction<'_>, table: &'static str, now: Timestamp) -> rusqlite::Result<()> {
    let delete = format!(
        "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE expires <= ?1 LIMIT {SWEEP})"
    );
    store.prepare_cached(&delete)?.execute([now.as_millis()])?;
    Ok(())
}
