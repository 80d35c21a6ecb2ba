//! The directory of users.

use domain::{Candidate, MfaUpdate, TypedIdentifier, Unavailable, User, UserDirectory, UserIdentifier};
use outbound::{Https, Trust};
use settings::Settings;

/// The authentication system that is configured.
#[derive(Debug, Clone)]
pub enum Directory {
    /// Amazon Cognito.
    Cognito(Box<cognito::Directory>),
    /// Any system, behind the contract of the crate `rest`.
    Rest(Box<rest::AuthSystem>),
    /// The embedded store. Not in a deployed build.
    #[cfg(feature = "embedded")]
    Embedded(sqlite::Store),
}

#[derive(Clone, Copy)]
enum Kind {
    Embedded,
    Cognito,
    Rest,
}

impl Directory {
    /// Reads `AUTH_SYSTEM` and what the chosen system needs; `https` is a client that exists already.
    pub fn from_settings(settings: &mut Settings<'_>, https: Option<&Https>) -> Option<Self> {
        // A deployed build must say which system it serves.
        let default = if cfg!(feature = "embedded") { Some(Kind::Embedded) } else { None };
        let kinds = [("embedded", Kind::Embedded), ("cognito", Kind::Cognito), ("rest", Kind::Rest)];
        let kinds = if cfg!(feature = "embedded") { kinds.as_slice() } else { &kinds[1..] };
        match settings.choice("AUTH_SYSTEM", kinds, default)? {
            Kind::Cognito => {
                let https = shared_or_own(settings, https, Trust::Aws)?;
                cognito::Directory::from_settings(settings, &https).map(Box::new).map(Self::Cognito)
            }
            Kind::Rest => {
                let https = shared_or_own(settings, https, Trust::Public)?;
                rest::AuthSystem::from_settings(settings, &https).map(Box::new).map(Self::Rest)
            }
            #[cfg(feature = "embedded")]
            Kind::Embedded => sqlite::Store::from_settings(settings).map(Self::Embedded),
            #[cfg(not(feature = "embedded"))]
            Kind::Embedded => None,
        }
    }
}

fn shared_or_own(settings: &mut Settings<'_>, shared: Option<&Https>, trust: Trust) -> Option<Https> {
    shared.cloned().or_else(|| Https::from_settings(settings, trust))
}

/// Calls one method on whichever adapter is configured.
macro_rules! on_adapter {
    ($self:ident, $adapter:ident => $call:expr) => {
        match $self {
            Self::Cognito(users) => {
                let $adapter = &**users;
                $call.await
            }
            Self::Rest(users) => {
                let $adapter = &**users;
                $call.await
            }
            #[cfg(feature = "embedded")]
            Self::Embedded($adapter) => $call.await,
        }
    };
}

impl UserDirectory for Directory {
    async fn find(&self, id: &UserIdentifier) -> Result<Option<User>, Unavailable> {
        on_adapter!(self, users => UserDirectory::find(users, id))
    }

    async fn find_by_identifier(&self, typed: &TypedIdentifier) -> Result<Candidate, Unavailable> {
        on_adapter!(self, users => users.find_by_identifier(typed))
    }

    async fn update_mfa(&self, id: &UserIdentifier, update: &MfaUpdate) -> Result<(), Unavailable> {
        on_adapter!(self, users => users.update_mfa(id, update))
    }
}
