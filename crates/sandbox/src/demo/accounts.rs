//! The classic login of the demo application: passwords, hashed with Argon2id. For a demo only.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use domain::{
    Candidate, NoSession, ProvenUser, Session, SessionId, TypedIdentifier, Unavailable, UserDirectory,
    UserIdentifier, open_session,
};
use sqlite::Store;
use sqlite::accounts::NewUser;

use crate::function::random_name;
use crate::private;

/// The password of every demo user. Published here and on the login page: for nothing else.
pub const PASSWORD: &str = "correct-horse";

/// How long a session of the classic login lives: as long as one by passkey.
const LIFETIME: Duration = Duration::from_secs(10_800);
/// What passwords a demo accepts, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 8..=128;

/// The users of the embedded store, with passwords beside it.
#[derive(Debug, Clone)]
pub struct Accounts {
    store: Store,
    passwords: Arc<Passwords>,
}

#[derive(Debug)]
struct Passwords {
    path: PathBuf,
    hashes: Mutex<BTreeMap<String, String>>,
    /// The hash of a password that nobody has: unknown users take as long as known ones.
    nobody: String,
}

/// Why there is no new account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// Something is not as it should be.
    #[error("{0}")]
    Invalid(&'static str),
    /// Somebody has this address.
    #[error("There is an account with this e-mail address already.")]
    Taken,
    /// The store cannot answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Neither can this machine.
    #[error("The password cannot be kept.")]
    Failed,
}

impl Accounts {
    /// Opens the passwords at `path`; demo users who have none get the published one.
    pub fn open(store: Store, path: PathBuf) -> io::Result<Self> {
        let mut hashes: BTreeMap<String, String> = match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let before = hashes.len();
        for user in &sqlite::seed::DEMO_USERS {
            if !hashes.contains_key(user.id) {
                hashes.insert(user.id.to_owned(), hash(PASSWORD)?);
            }
        }
        let nobody = hash(&random_name()?)?;
        let changed = hashes.len() > before;
        let passwords = Passwords { path, hashes: Mutex::new(hashes), nobody };
        if changed {
            passwords.keep()?;
        }
        Ok(Self { store, passwords: Arc::new(passwords) })
    }

    /// The users themselves.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes an account.
    pub async fn sign_up(
        &self,
        name: &str,
        email: &str,
        password: &str,
    ) -> Result<UserIdentifier, NoAccount> {
        let invalid = |what| Err(NoAccount::Invalid(what));
        let (name, email) = (name.trim(), email.trim());
        let fits =
            |text: &str| (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if !fits(name) {
            return invalid("Please enter a name.");
        }
        let parts = email.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
        if !fits(email) || parts.is_none() || email.contains(char::is_whitespace) {
            return invalid("Please enter an e-mail address.");
        }
        if !LENGTH.contains(&password.chars().count()) {
            return invalid("A password has 8 to 128 characters.");
        }
        let id = random_name().map_err(|_| NoAccount::Failed)?;
        let id = UserIdentifier::new(format!("usr-{id}")).map_err(|_| NoAccount::Failed)?;
        let user = NewUser {
            id: id.clone(),
            username: email.to_owned(),
            email: email.to_owned(),
            display_name: name.to_owned(),
        };
        let password = password.to_owned();
        let hash = tokio::task::spawn_blocking(move || hash(&password)).await;
        let hash = hash.map_err(|_| NoAccount::Failed)?.map_err(|_| NoAccount::Failed)?;
        if !self.store.add_user(user).await? {
            return Err(NoAccount::Taken);
        }
        self.passwords.hashes().insert(id.as_str().to_owned(), hash);
        self.passwords.keep().map_err(|_| NoAccount::Failed)?;
        Ok(id)
    }

    /// Finds the user of an identifier and a password. Whoever may not sign in is found all the same.
    pub async fn check(&self, typed: &str, password: &str) -> Result<Option<UserIdentifier>, Unavailable> {
        let candidate = match TypedIdentifier::new(typed) {
            Ok(typed) => self.store.find_by_identifier(&typed).await?,
            Err(_) => Candidate::Nobody,
        };
        let id = match candidate {
            Candidate::One { id, .. } => Some(id),
            Candidate::Several | Candidate::Nobody => None,
        };
        let known = id.as_ref().and_then(|id| self.passwords.hashes().get(id.as_str()).cloned());
        let hash = known.clone().unwrap_or_else(|| self.passwords.nobody.clone());
        let password = password.to_owned();
        let right = tokio::task::spawn_blocking(move || holds(&password, &hash)).await.unwrap_or(false);
        Ok(id.filter(|_| right && known.is_some()))
    }

    /// Opens a session of the application itself.
    pub async fn open_session(&self, user: UserIdentifier) -> Result<(SessionId, Session), NoSession> {
        let mut random = [0; 32];
        if getrandom::fill(&mut random).is_err() {
            return Err(NoSession::Unavailable(Unavailable::new("embedded", domain::Reason::Failed)));
        }
        // The application has checked the password, and is trusted with its own users.
        let proven = ProvenUser::by_trusted_caller(user);
        open_session(&self.store, &self.store, proven, LIFETIME, random, SystemTime::now().into()).await
    }
}

impl Passwords {
    fn hashes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file. Under the lock until it is in its place: of two sign-ups at once the later must not be overtaken.
    fn keep(&self) -> io::Result<()> {
        let hashes = self.hashes();
        private::replace(&self.path, &serde_json::to_vec_pretty(&*hashes)?)
    }
}

fn hash(password: &str) -> io::Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| io::Error::other(error.to_string()))
}

fn holds(password: &str, hash: &str) -> bool {
    argon2::PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn knows_who_has_which_password() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path().join("store.sqlite"), Duration::from_secs(5));
        store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();
        let path = state.path().join("passwords.json");
        let accounts = Accounts::open(store.clone(), path.clone()).unwrap();
        let check = async |accounts: &Accounts, typed: &str, password: &str| {
            accounts.check(typed, password).await.unwrap().map(|id| id.as_str().to_owned())
        };
        assert_eq!(check(&accounts, "Ada@example.com", PASSWORD).await.as_deref(), Some("usr-ada"));
        assert_eq!(check(&accounts, "ada", "wrong").await, None);
        assert_eq!(check(&accounts, "twin@example.com", PASSWORD).await, None, "two users");
        assert_eq!(check(&accounts, "nobody", PASSWORD).await, None);
        assert_eq!(check(&accounts, "", "").await, None);

        let id = accounts.sign_up(" Mary ", "mary@example.com", "long enough").await.unwrap();
        assert_eq!(accounts.sign_up("M", "MARY@example.com", "long enough").await, Err(NoAccount::Taken));
        for (name, email, password) in [
            ("", "a@b", "long enough"),
            ("A", "a", "long enough"),
            ("A", "a b@c", "long enough"),
            ("A", "a@b", "short"),
        ] {
            let refused = accounts.sign_up(name, email, password).await;
            assert!(matches!(refused, Err(NoAccount::Invalid(_))), "{name} {email} {password}");
        }
        // A restart keeps them, and what lies on the disk is no password.
        assert!(!std::fs::read_to_string(&path).unwrap().contains("long enough"));
        let again = Accounts::open(store, path).unwrap();
        assert_eq!(check(&again, "mary@example.com", "long enough").await.as_deref(), Some(id.as_str()));
        assert!(again.open_session(id).await.is_ok());
        let disabled = UserIdentifier::new("usr-alan").unwrap();
        assert!(matches!(again.open_session(disabled).await, Err(NoSession::MayNotSignIn)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sign_ups_at_the_same_time_keep_all_passwords() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::new(state.path().join("store.sqlite"), Duration::from_secs(5));
        let path = state.path().join("passwords.json");
        let accounts = Accounts::open(store, path.clone()).unwrap();
        let sign_ups = (0..32).map(|number| {
            let accounts = accounts.clone();
            tokio::spawn(async move {
                let email = format!("mary{number}@example.com");
                accounts.sign_up("Mary", &email, "long enough").await.unwrap();
            })
        });
        for signed_up in sign_ups.collect::<Vec<_>>() {
            signed_up.await.unwrap();
        }
        let kept: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept, *accounts.passwords.hashes());
    }
}
