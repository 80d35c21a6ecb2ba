//! What Corbado keeps, in a file of its own: users, passkeys, connect tokens, spent proofs.
//!
//! SQLite on one's own disk answers in microseconds, so nothing here leaves the async threads.

mod tokens;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;
use webauthn_rs::prelude::{Passkey, Uuid};

pub(crate) use self::tokens::ConnectToken;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (
        id TEXT PRIMARY KEY,
        identifier TEXT NOT NULL UNIQUE,
        handle TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS passkeys (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (id),
        credential_id BLOB NOT NULL UNIQUE,
        passkey TEXT NOT NULL,
        facts TEXT NOT NULL,
        client TEXT,
        created INTEGER NOT NULL,
        last_used INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS passkeys_by_user ON passkeys (user_id);
    CREATE TABLE IF NOT EXISTS connect_tokens (
        id TEXT PRIMARY KEY,
        secret_hash BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        identifier TEXT NOT NULL,
        display_name TEXT,
        consumed INTEGER NOT NULL DEFAULT 0,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS spent (
        jti TEXT PRIMARY KEY,
        expires INTEGER NOT NULL
    ) STRICT;
";

/// A user at Corbado.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    /// The customer's own identifier of the user: `webauthnId` in tokens.
    pub(crate) identifier: String,
    pub(crate) handle: Uuid,
    pub(crate) display_name: String,
}

/// A passkey at Corbado. Times are milliseconds since the epoch.
#[derive(Debug, Clone)]
pub(crate) struct StoredPasskey {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) passkey: Passkey,
    /// What manage/list shows of it beside the times.
    pub(crate) facts: Value,
    /// The browser that it was created or last used in.
    pub(crate) client: Option<String>,
    pub(crate) created: u64,
    pub(crate) last_used: u64,
}

type Result<T> = rusqlite::Result<T>;

/// The file.
#[derive(Debug)]
pub(crate) struct Store(Mutex<Connection>);

impl Store {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        if let Some(directory) = path.parent() {
            sqlite::store::private_directory(directory)?;
        }
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        open()
            .map(|it| Self(Mutex::new(it)))
            .map_err(|error: rusqlite::Error| std::io::Error::other(format!("{}: {error}", path.display())))
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a user by the customer's identifier.
    pub(crate) fn user(&self, identifier: &str) -> Result<Option<User>> {
        let sql = "SELECT id, identifier, handle, display_name FROM users WHERE identifier = ?1";
        self.connection().query_row(sql, [identifier], read_user).optional()
    }

    /// All users, by identifier.
    pub(crate) fn users(&self) -> Result<Vec<User>> {
        let connection = self.connection();
        let sql = "SELECT id, identifier, handle, display_name FROM users ORDER BY identifier";
        connection.prepare_cached(sql)?.query_map([], read_user)?.collect()
    }

    /// Finds a user by Corbado's own id.
    pub(crate) fn user_by_id(&self, id: &str) -> Result<Option<User>> {
        let sql = "SELECT id, identifier, handle, display_name FROM users WHERE id = ?1";
        self.connection().query_row(sql, [id], read_user).optional()
    }

    /// Finds the one user of a display name, if there is just one.
    pub(crate) fn user_by_display_name(&self, name: &str) -> Result<Option<User>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT id, identifier, handle, display_name FROM users WHERE display_name = ?1 LIMIT 2",
        )?;
        let mut found = select.query_map([name], read_user)?.collect::<Result<Vec<_>>>()?;
        Ok(found.pop().filter(|_| found.is_empty()))
    }

    /// Keeps a user; of one that is there, the display name is brought up to date.
    pub(crate) fn put_user(&self, user: &User, now: u64) -> Result<User> {
        self.connection().query_row(
            "INSERT INTO users (id, identifier, handle, display_name, created) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (identifier) DO UPDATE SET display_name = excluded.display_name
             RETURNING id, identifier, handle, display_name",
            params![user.id, user.identifier, user.handle.to_string(), user.display_name, now],
            read_user,
        )
    }

    /// A user's passkeys, oldest first.
    pub(crate) fn passkeys(&self, user_id: &str) -> Result<Vec<StoredPasskey>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT id, user_id, passkey, facts, client, created, last_used FROM passkeys
             WHERE user_id = ?1 ORDER BY created, id",
        )?;
        select.query_map([user_id], read_passkey)?.collect()
    }

    /// Finds a passkey by its WebAuthn credential id.
    pub(crate) fn passkey(&self, credential_id: &[u8]) -> Result<Option<StoredPasskey>> {
        let sql = "SELECT id, user_id, passkey, facts, client, created, last_used FROM passkeys
                   WHERE credential_id = ?1";
        self.connection().query_row(sql, [credential_id], read_passkey).optional()
    }

    /// Keeps a new passkey; `false` if its credential is known already.
    pub(crate) fn add_passkey(&self, passkey: &StoredPasskey) -> Result<bool> {
        let added = self.connection().execute(
            "INSERT INTO passkeys (id, user_id, credential_id, passkey, facts, client, created, last_used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (credential_id) DO NOTHING",
            params![
                passkey.id,
                passkey.user_id,
                passkey.passkey.cred_id().as_slice(),
                json(&passkey.passkey)?,
                json(&passkey.facts)?,
                passkey.client,
                passkey.created,
                passkey.last_used
            ],
        )?;
        Ok(added == 1)
    }

    /// Records the use of a passkey: its counter, the browser, the time.
    pub(crate) fn used_passkey(&self, passkey: &StoredPasskey) -> Result<()> {
        self.connection().execute(
            "UPDATE passkeys SET passkey = ?2, client = coalesce(?3, client), last_used = ?4 WHERE id = ?1",
            params![passkey.id, json(&passkey.passkey)?, passkey.client, passkey.last_used],
        )?;
        Ok(())
    }

    /// Deletes a passkey of a user; `false` if the user has no such passkey.
    pub(crate) fn delete_passkey(&self, user_id: &str, id: &str) -> Result<bool> {
        let sql = "DELETE FROM passkeys WHERE id = ?1 AND user_id = ?2";
        Ok(self.connection().execute(sql, [id, user_id])? == 1)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    serde_json::from_str(&row.get::<_, String>(column)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

fn read_user(row: &Row<'_>) -> Result<User> {
    let handle: String = row.get(2)?;
    let handle = Uuid::parse_str(&handle)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, error.into()))?;
    Ok(User { id: row.get(0)?, identifier: row.get(1)?, handle, display_name: row.get(3)? })
}

fn read_passkey(row: &Row<'_>) -> Result<StoredPasskey> {
    Ok(StoredPasskey {
        id: row.get(0)?,
        user_id: row.get(1)?,
        passkey: parsed(row, 2)?,
        facts: parsed(row, 3)?,
        client: row.get(4)?,
        created: row.get(5)?,
        last_used: row.get(6)?,
    })
}
