//! Corbado Connect on this machine: Frontend API, Backend API, actions, real WebAuthn ceremonies.
//!
//! Paths, fields and bodies are Corbado's. What no document tells (lifetimes, what is used once, what happens when an
//! action fails) is ours, and a setting: [`Rules`].
//!
//! # Layout
//! - `frontend`: the ten routes that the web components call.
//! - `backend`: connect tokens, verdicts on proofs, post-login by request.
//! - `ceremonies`: WebAuthn.
//! - [`actions`]: [`Actions`], which runs the functions as Corbado does.
//! - `proof`: `signedPasskeyData`.
//! - `signing`: RS256 and its key set.
//! - `store`: the file.
//! - `problem`: Corbado's error bodies.
//! - `record`: every call, for the inspector.

pub mod actions;
mod agent;
mod backend;
mod ceremonies;
mod frontend;
mod problem;
mod proof;
mod record;
pub(crate) mod signing;
pub(crate) mod store;
mod switches;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;

pub use actions::{Actions, Target};
pub use switches::{Fault, LoginOption, Switches};

use crate::function::random_name;
use crate::journal::Journal;

/// How the stand-in is set up.
#[derive(Debug)]
pub struct Settings {
    /// The directory of its store and its key.
    pub state: PathBuf,
    /// The project's id.
    pub project_id: String,
    /// The API secret, for Basic.
    pub api_secret: String,
    /// The API key, for Bearer.
    pub api_key: String,
    /// The relying party's id: a domain, `localhost` here.
    pub rp_id: String,
    /// The origins of the pages that mount the components; their ports do not matter.
    pub origins: Vec<String>,
    /// The functions that Corbado calls.
    pub actions: Actions,
    /// What no document tells.
    pub rules: Rules,
}

/// What Corbado does not document. These values are ours.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a connect token lives when its creator does not say.
    pub connect_token_lifetime: Duration,
    /// How long it may live at most.
    pub connect_token_longest: Duration,
    /// Whether tokens to append and to delete work once. Those to list always work again: the component reuses them.
    pub connect_tokens_work_once: bool,
    /// How long `signedPasskeyData` is valid; a sample in Corbado's documentation has five minutes.
    pub proof_lifetime: Duration,
    /// How long an init is cached by the browser; zero: not at all.
    pub init_lifetime: Duration,
    /// How long an action may take; the components wait ten seconds for the call that it runs in.
    pub action_timeout: Duration,
    /// What becomes of a login whose pre-login fails.
    pub when_pre_login_fails: WhenActionFails,
    /// What becomes of a login whose post-login fails.
    pub when_post_login_fails: WhenActionFails,
    /// What becomes of a new passkey whose post-append fails; it is kept in either case.
    pub when_post_append_fails: WhenActionFails,
}

/// What becomes of a process whose action fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenActionFails {
    /// The component falls back to the classic login, or skips.
    FallBack,
    /// The process goes on as if there were no action.
    GoOn,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            connect_token_lifetime: Duration::from_secs(300),
            connect_token_longest: Duration::from_secs(86_400),
            connect_tokens_work_once: true,
            proof_lifetime: Duration::from_secs(300),
            init_lifetime: Duration::ZERO,
            action_timeout: Duration::from_secs(8),
            when_pre_login_fails: WhenActionFails::FallBack,
            when_post_login_fails: WhenActionFails::FallBack,
            when_post_append_fails: WhenActionFails::GoOn,
        }
    }
}

/// The stand-in. Cloning shares it.
#[derive(Clone)]
pub struct Connect(Arc<Inner>);

pub(crate) struct Inner {
    settings: Settings,
    store: store::Store,
    key: signing::SigningKey,
    ceremonies: ceremonies::Ceremonies,
    journal: Journal,
    switches: Mutex<Switches>,
    /// The browser behind a process, by its own handle. Never a user.
    clients: Mutex<HashMap<String, String>>,
    /// Sample tokens that were verified: see [`crate::corbado`].
    samples: Mutex<std::collections::HashSet<String>>,
}

impl Connect {
    /// Opens the store, and makes a signing key if there is none.
    pub fn open(settings: Settings, journal: Journal) -> std::io::Result<Self> {
        let store = store::Store::open(&settings.state.join("corbado.sqlite"))?;
        let key = signing::SigningKey::load_or_create(&settings.state.join("corbado-signing-key.pem"))?;
        let ceremonies = ceremonies::Ceremonies::new(&settings.rp_id, &settings.origins);
        let ceremonies = ceremonies.map_err(std::io::Error::other)?;
        Ok(Self(Arc::new(Inner {
            settings,
            store,
            key,
            ceremonies,
            journal,
            switches: Mutex::default(),
            clients: Mutex::default(),
            samples: Mutex::default(),
        })))
    }

    /// The Frontend API: `/v2/connect/…`, and the key set. Each init tells the components that they find it at `url`; empty:
    /// where they are pointed anyway.
    pub fn frontend(&self, url: &str) -> Router {
        frontend::router(Arc::clone(&self.0), url)
    }

    /// The Backend API: `/v2/…`.
    pub fn backend(&self) -> Router {
        backend::router(Arc::clone(&self.0))
    }

    /// What the inspector may switch.
    pub fn switches(&self) -> Switches {
        self.0.switches().clone()
    }

    /// A user's passkeys as manage/list shows them; `None` if the store fails.
    pub(crate) fn passkeys(&self, identifier: &str) -> Option<Vec<serde_json::Value>> {
        let Some(user) = self.0.store.user(identifier).ok()? else { return Some(Vec::new()) };
        self.passkeys_of(&user)
    }

    fn passkeys_of(&self, user: &store::User) -> Option<Vec<serde_json::Value>> {
        let passkeys = self.0.store.passkeys(&user.id).ok()?;
        Some(passkeys.iter().map(frontend::shown).collect())
    }

    /// All users with their passkeys, as the inspector shows those of whom it knows no more; `None` if the store fails.
    pub(crate) fn users(&self) -> Option<Vec<serde_json::Value>> {
        let users = self.0.store.users().ok()?.into_iter().map(|user| {
            let passkeys = self.passkeys_of(&user)?;
            Some(serde_json::json!({
                "id": user.identifier,
                "username": user.identifier,
                "email": user.display_name,
                "sessions": [],
                "passkeys": passkeys,
            }))
        });
        users.collect()
    }

    /// Deletes a user's passkey; `false` if there is none, `None` if the store fails.
    pub(crate) fn delete_passkey(&self, identifier: &str, id: &str) -> Option<bool> {
        let Some(user) = self.0.store.user(identifier).ok()? else { return Some(false) };
        self.0.store.delete_passkey(&user.id, id).ok()
    }

    /// Switches.
    pub fn switch(&self, switches: Switches) {
        *self.0.switches() = switches;
    }
}

impl Inner {
    fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_millis() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

/// An id as Corbado's look.
pub(crate) fn new_id(prefix: &str) -> std::io::Result<String> {
    Ok(format!("{prefix}-{}", random_name()?))
}
