//! What can be switched while the stand-in runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ACTIONS;

/// The way from a verified passkey to a session, as Corbado's guide has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginOption {
    /// Option 1: the proof answers the user pool's custom challenge.
    SystemExtension,
    /// Option 2: the page posts the proof to an endpoint.
    CustomEndpoint,
    /// Option 3: the action post-login opens the session.
    PostLoginAction,
}

/// How an action is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It is not called; an answer 500 takes its answer's place.
    Answers500,
    /// It is not called; the time runs out.
    TimesOut,
    /// It is called with a signature under another secret.
    WrongSignature,
    /// It is not called; the answer is what it says when the provider throttles it.
    ProviderThrottled,
}

/// The switches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Switches {
    /// Logins by passkey are rolled out.
    pub login_allowed: bool,
    /// New passkeys are rolled out.
    pub append_allowed: bool,
    /// Adding passkeys from the list is rolled out.
    pub manage_allowed: bool,
    /// The browser offers passkeys in the form's autofill.
    pub conditional_ui: bool,
    /// How a login becomes a session; the action post-login is configured in one of them only.
    pub login_option: LoginOption,
    /// Actions that fail.
    pub faults: BTreeMap<String, Fault>,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            login_allowed: true,
            append_allowed: true,
            manage_allowed: true,
            conditional_ui: true,
            login_option: LoginOption::CustomEndpoint,
            faults: BTreeMap::new(),
        }
    }
}

impl Switches {
    /// Tells whether all names are those of actions.
    pub fn is_valid(&self) -> bool {
        self.faults.keys().all(|name| ACTIONS.contains(&name.as_str()))
    }
}
