//! Everything that can be set.

use std::time::Duration;

use backend::{
    ConnectTokens, Directory, Https, ProviderTokens, Sessions, Trust, Verifier, passkey_identifier,
};
use domain::PasskeyIdentifier;
use settings::Settings;

use crate::cookie::SessionCookie;
use crate::limits::Limits;
use crate::origin::Origins;

/// The settings, and the systems they lead to.
#[derive(Debug)]
pub struct Config {
    pub(crate) users: Directory,
    pub(crate) sessions: Sessions,
    pub(crate) verifier: Verifier,
    pub(crate) connect_tokens: ConnectTokens,
    pub(crate) provider_tokens: ProviderTokens,
    pub(crate) origins: Origins,
    pub(crate) cookie: SessionCookie,
    pub(crate) limits: Limits,
    pub(crate) identifier: PasskeyIdentifier,
    pub(crate) lifetime: Duration,
    pub(crate) idle: Option<Duration>,
}

impl Config {
    /// Reads all of it; what is missing or malformed is noted together.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let https = Https::from_settings(settings, Trust::Public);
        let origins = Origins::from_settings(settings);
        let lifetime = settings.number("SESSION_TTL_SECONDS", 10_800, 60..=2_592_000);
        let idle = settings.number("SESSION_IDLE_SECONDS", 0, 0..=2_592_000);
        let cookie = SessionCookie::from_settings(settings, lifetime);
        let limits = Limits::from_settings(settings);
        let identifier = passkey_identifier(settings);
        let https = https?;
        let users = Directory::from_settings(settings, Some(&https));
        let sessions = Sessions::from_settings(settings, &https);
        let verifier = Verifier::from_settings(settings, &https);
        let connect_tokens = ConnectTokens::from_settings(settings, &https);
        let provider_tokens = ProviderTokens::from_settings(settings, &https);
        Some(Self {
            users: users?,
            sessions: sessions?,
            verifier: verifier?,
            connect_tokens: connect_tokens?,
            provider_tokens: provider_tokens?,
            origins: origins?,
            cookie: cookie?,
            limits: limits?,
            identifier: identifier?,
            lifetime: Duration::from_secs(lifetime?),
            idle: Some(idle?).filter(|seconds| *seconds > 0).map(Duration::from_secs),
        })
    }
}
