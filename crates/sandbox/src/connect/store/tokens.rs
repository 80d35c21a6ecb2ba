//! Connect tokens, and the proofs that were spent.

use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::{Result, Store};

/// A connect token, without its secret. Times are milliseconds since the epoch.
#[derive(Debug, Clone)]
pub(crate) struct ConnectToken {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) identifier: String,
    pub(crate) display_name: Option<String>,
    pub(crate) consumed: bool,
    pub(crate) expires: u64,
}

impl Store {
    /// Keeps a connect token under the hash of its secret.
    pub(crate) fn add_connect_token(&self, token: &ConnectToken, secret: &str, now: u64) -> Result<()> {
        let connection = self.connection();
        // A day after its end a token is of no use to anybody.
        connection
            .execute("DELETE FROM connect_tokens WHERE expires < ?1", [now.saturating_sub(86_400_000)])?;
        connection.execute(
            "INSERT INTO connect_tokens (id, secret_hash, kind, identifier, display_name, created, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                token.id,
                hash(secret),
                token.kind,
                token.identifier,
                token.display_name,
                now,
                token.expires
            ],
        )?;
        Ok(())
    }

    /// Finds a usable connect token of a kind by its secret; with `consume` nobody finds it again.
    pub(crate) fn redeem(
        &self,
        secret: &str,
        kind: &str,
        consume: bool,
        now: u64,
    ) -> Result<Option<ConnectToken>> {
        self.connection()
            .query_row(
                "UPDATE connect_tokens SET consumed = max(consumed, ?3)
                 WHERE secret_hash = ?1 AND kind = ?2 AND NOT consumed AND expires > ?4
                 RETURNING id, kind, identifier, display_name, consumed, expires",
                params![hash(secret), kind, consume, now],
                read_connect_token,
            )
            .optional()
    }

    /// All connect tokens, newest first.
    pub(crate) fn connect_tokens(&self) -> Result<Vec<ConnectToken>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT id, kind, identifier, display_name, consumed, expires FROM connect_tokens
             ORDER BY created DESC, id",
        )?;
        select.query_map([], read_connect_token)?.collect()
    }

    /// Marks a connect token as consumed, or as not; `false` if there is none.
    pub(crate) fn mark_connect_token(&self, id: &str, consumed: bool) -> Result<bool> {
        let sql = "UPDATE connect_tokens SET consumed = ?2 WHERE id = ?1";
        Ok(self.connection().execute(sql, params![id, consumed])? == 1)
    }

    /// Deletes a connect token; `false` if there is none.
    pub(crate) fn delete_connect_token(&self, id: &str) -> Result<bool> {
        Ok(self.connection().execute("DELETE FROM connect_tokens WHERE id = ?1", [id])? == 1)
    }

    /// Records the one use of a token; `false` if it was used before. `expires` in seconds since the epoch.
    pub(crate) fn spend(&self, jti: &str, expires: u64, now: u64) -> Result<bool> {
        let connection = self.connection();
        connection.execute("DELETE FROM spent WHERE expires < ?1", [now])?;
        let sql = "INSERT INTO spent (jti, expires) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        Ok(connection.execute(sql, params![jti, expires])? == 1)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn read_connect_token(row: &Row<'_>) -> Result<ConnectToken> {
    Ok(ConnectToken {
        id: row.get(0)?,
        kind: row.get(1)?,
        identifier: row.get(2)?,
        display_name: row.get(3)?,
        consumed: row.get(4)?,
        expires: row.get(5)?,
    })
}
