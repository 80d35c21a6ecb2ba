//! The pool's public keys: fetched when first needed, kept, and fetched again for a key that is not known.

use std::collections::HashMap;
use std::time::Duration;

use domain::{Reason, Timestamp, Unavailable};
use jsonwebtoken::DecodingKey;
use outbound::Https;
use outbound::failure::unavailable;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::SYSTEM;

/// Keys that are not known lead to one fetch a minute at most: whoever makes up key ids cannot drive more.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// While no key is known at all, the next fetch comes sooner: one hiccup at the start must not cost a minute of logins.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The key set of one pool.
#[derive(Debug)]
pub(crate) struct Jwks {
    https: Https,
    url: String,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<String, DecodingKey>,
    asked: Option<Timestamp>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("asked", &self.asked).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl Jwks {
    pub(crate) fn new(https: &Https, url: String) -> Self {
        Self { https: https.clone(), url, kept: Mutex::default() }
    }

    /// Finds a key. `None` if the pool has no such key, as far as was asked in the last minute; an error if it could not be
    /// asked, or no key is known yet.
    pub(crate) async fn key(&self, kid: &str, now: Timestamp) -> Result<Option<DecodingKey>, Unavailable> {
        let mut kept = self.kept.lock().await;
        if let Some(key) = kept.keys.get(kid) {
            return Ok(Some(key.clone()));
        }
        let interval = if kept.keys.is_empty() { RETRY_INTERVAL } else { REFRESH_INTERVAL };
        if kept.asked.is_some_and(|asked| now < asked.plus(interval)) {
            // Without any key nobody can say that this one does not exist.
            return if kept.keys.is_empty() {
                Err(Unavailable::new(SYSTEM, Reason::Unreadable))
            } else {
                Ok(None)
            };
        }
        kept.asked = Some(now);
        // Where that fails, the keys that are known stay good.
        kept.keys = self.fetch().await?;
        Ok(kept.keys.get(kid).cloned())
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, Unavailable> {
        let answer = self.https.get_json(&self.url).await.map_err(|failure| unavailable(SYSTEM, failure))?;
        let unreadable = || Unavailable::new(SYSTEM, Reason::Unreadable).status(answer.status);
        if answer.status != 200 {
            return Err(unreadable());
        }
        let set: KeySet = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let keys: HashMap<_, _> = set.keys.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(unreadable()) } else { Ok(keys) }
    }
}

impl Key {
    /// Takes RSA keys for signatures by RS256, and no others.
    fn read(self) -> Option<(String, DecodingKey)> {
        let fits =
            |value: &Option<String>, wanted: &str| value.as_deref().is_none_or(|value| value == wanted);
        if self.kty != "RSA" || !fits(&self.alg, "RS256") || !fits(&self.r#use, "sig") {
            return None;
        }
        let key = DecodingKey::from_rsa_components(&self.n?, &self.e?).ok()?;
        Some((self.kid?, key))
    }
}
