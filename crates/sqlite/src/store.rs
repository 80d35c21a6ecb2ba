//! The file, its migrations and its locking.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{Reason, Unavailable};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use settings::Settings;

use crate::SYSTEM;

/// What the file must contain, step by step; `user_version` counts the steps that are done.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE users (
        id TEXT PRIMARY KEY,
        username TEXT NOT NULL,
        username_folded TEXT NOT NULL UNIQUE,
        email TEXT NOT NULL,
        email_folded TEXT NOT NULL,
        email_verified INTEGER NOT NULL,
        display_name TEXT NOT NULL,
        status TEXT NOT NULL,
        mfa_enabled INTEGER NOT NULL DEFAULT 0,
        preferred_mfa TEXT,
        last_mfa_update INTEGER
    ) STRICT;
    CREATE INDEX users_by_email ON users (email_folded);
    CREATE TABLE sessions (
        key BLOB PRIMARY KEY,
        user_id TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sessions_by_expiry ON sessions (expires);
    CREATE TABLE replays (
        key BLOB PRIMARY KEY,
        expires INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX replays_by_expiry ON replays (expires);
    ",
    "
    ALTER TABLE sessions ADD COLUMN last_seen INTEGER NOT NULL DEFAULT 0;
    UPDATE sessions SET last_seen = created;
    CREATE INDEX sessions_by_user ON sessions (user_id);
    CREATE TABLE rates (
        key BLOB PRIMARY KEY,
        window INTEGER NOT NULL,
        hits INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX rates_by_expiry ON rates (expires);
    ",
    "
    ALTER TABLE replays ADD COLUMN flow BLOB;
    ALTER TABLE replays ADD COLUMN verdict TEXT;
    ",
    "
    CREATE TABLE deferred (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        of_group TEXT NOT NULL,
        message TEXT NOT NULL,
        due INTEGER NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX deferred_by_group ON deferred (of_group, id);
    ",
];

/// The embedded store. Cloning shares the connection.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    busy_timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

impl Store {
    /// Reads `EMBEDDED_STORE`, by default a file under the user's state directory, and `UPSTREAM_TIMEOUT_MS`, the longest
    /// wait for another process's lock.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let timeout = settings.number("UPSTREAM_TIMEOUT_MS", 2000, 50..=30_000);
        let path = settings.optional("EMBEDDED_STORE").map(PathBuf::from).or_else(|| {
            state_directory(|name| settings.optional(name)).map(|directory| directory.join("store.sqlite"))
        });
        if path.is_none() {
            settings.problem("EMBEDDED_STORE", "required where neither XDG_STATE_HOME nor HOME is set");
        }
        Some(Self::new(path?, Duration::from_millis(timeout?)))
    }

    /// Names a file; it is created at the first use, and its directory with it.
    pub fn new(path: impl Into<PathBuf>, busy_timeout: Duration) -> Self {
        let connection = Mutex::new(None);
        Self { shared: Arc::new(Shared { path: path.into(), busy_timeout, connection }) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `work` in a transaction that may write.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.transaction(TransactionBehavior::Immediate, work).await
    }

    /// Runs `work` in a transaction that only reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.transaction(TransactionBehavior::Deferred, work).await
    }

    /// Off the async threads: SQLite blocks.
    async fn transaction<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.transaction(behavior, work))
            .await
            .map_err(|_| Unavailable::new(SYSTEM, Reason::Failed))?
            .map_err(|error| unavailable(&error))
    }
}

impl Shared {
    fn transaction<T>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that failed is not kept: the next call opens the file anew.
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.open()?,
        };
        let transaction = connection.transaction_with_behavior(behavior)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        *slot = Some(connection);
        Ok(value)
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        if let Some(directory) = self.path.parent() {
            // If this fails, opening the file says so.
            let _ = private_directory(directory);
        }
        let mut connection = Connection::open(&self.path)?;
        // Before the journal mode: that takes a lock, too.
        connection.busy_timeout(self.busy_timeout)?;
        self.enter_wal(&connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        migrate(&mut connection)?;
        Ok(connection)
    }

    /// Two processes that meet in a new file both upgrade a read lock: SQLite tells one of them BUSY at once, since
    /// waiting could not help while both hold on. So it lets go, and tries again.
    fn enter_wal(&self, connection: &Connection) -> rusqlite::Result<()> {
        let give_up = Instant::now() + self.busy_timeout;
        loop {
            let entered = connection.pragma_update(None, "journal_mode", "WAL");
            let busy = entered
                .as_ref()
                .is_err_and(|error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy));
            if !busy || Instant::now() >= give_up {
                return entered;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version = |connection: &Connection| -> rusqlite::Result<usize> {
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    if version(connection)? >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let done = version(&transaction)?;
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
    transaction.commit()
}

/// Creates a directory that only the user can enter: the store holds who is signed in.
pub fn private_directory(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// The directory for what this project keeps on a laptop: below `XDG_STATE_HOME`, or `HOME/.local/state` (XDG Base
/// Directory Specification).
pub fn state_directory(lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let base = lookup("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| lookup("HOME").map(|home| Path::new(&home).join(".local/state")))?;
    Some(base.join("corbado-connect-lambda"))
}

fn unavailable(error: &rusqlite::Error) -> Unavailable {
    let code = error.sqlite_error_code().map(|code| format!("{code:?}")).unwrap_or_default();
    Unavailable::new(SYSTEM, Reason::Storage).code(&code)
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(path: &Path) -> Store {
        Store::new(path, Duration::from_millis(200))
    }

    async fn user_count(store: &Store) -> Result<i64, Unavailable> {
        store.read(|it| it.query_row("SELECT count(*) FROM users", [], |row| row.get(0))).await
    }

    #[tokio::test]
    async fn creates_the_file_at_the_first_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/store.sqlite");
        let store = store(&path);
        assert!(!path.exists());
        assert_eq!(user_count(&store).await, Ok(0));
        assert!(path.exists());
    }

    #[tokio::test]
    async fn many_openers_migrate_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.sqlite");
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let store = Store::new(&path, Duration::from_secs(10));
                tokio::spawn(async move { user_count(&store).await })
            })
            .collect();
        for opener in openers {
            assert_eq!(opener.await.unwrap(), Ok(0));
        }
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_used_is_unavailable_until_it_can() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.sqlite");
        std::fs::write(&path, "not a database, and long enough to be noticed as such ".repeat(20)).unwrap();
        let store = store(&path);
        let error = user_count(&store).await.unwrap_err();
        assert_eq!(error.to_string(), "embedded: storage, NotADatabase");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(user_count(&store).await, Ok(0));
    }

    #[tokio::test]
    async fn a_lock_that_is_held_too_long_is_unavailable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.sqlite");
        let store = store(&path);
        assert_eq!(user_count(&store).await, Ok(0));
        let mut other = Connection::open(&path).unwrap();
        let held = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let error = store.write(|it| it.execute("DELETE FROM users", [])).await.unwrap_err();
        assert_eq!(error.to_string(), "embedded: storage, DatabaseBusy");
        drop(held);
        assert_eq!(store.write(|it| it.execute("DELETE FROM users", [])).await, Ok(0));
    }

    #[test]
    fn keeps_state_where_the_user_keeps_state() {
        type Pairs = &'static [(&'static str, &'static str)];
        let of = |pairs: Pairs| {
            state_directory(|name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let rows: [(Pairs, Option<&str>); 4] = [
            (&[("XDG_STATE_HOME", "/x"), ("HOME", "/h")], Some("/x/corbado-connect-lambda")),
            (&[("HOME", "/h")], Some("/h/.local/state/corbado-connect-lambda")),
            (
                &[("XDG_STATE_HOME", "relative"), ("HOME", "/h")],
                Some("/h/.local/state/corbado-connect-lambda"),
            ),
            (&[], None),
        ];
        for (pairs, expected) in rows {
            assert_eq!(of(pairs), expected.map(PathBuf::from), "{pairs:?}");
        }
    }
}
