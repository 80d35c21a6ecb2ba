//! A user pool that the environment names, in place of the sandbox's own: what the pages ask of it is passed on.
//!
//! Its triggers are its own, and must reach the sandbox's `/corbado`, as those of an emulator on this machine do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use outbound::{Https, Trust};
use serde_json::Value;
use settings::{Problems, Settings};

use super::{CUSTOM_CHALLENGE, Fault, Operation, TARGET, text};
use crate::journal::Journal;

/// How long the pool may take, in milliseconds: behind one answer are up to three triggers of five seconds each.
const TIMEOUT_MS: &str = "20000";

/// The pool, and the app client of the pages.
#[derive(Debug, Clone)]
pub struct NamedPool {
    id: String,
    region: String,
    client: String,
    /// Where an emulator is.
    endpoint: Option<String>,
    https: Https,
}

impl NamedPool {
    /// Reads `USER_POOL_ID`, `USER_POOL_CLIENT_ID` (the first, if there are more) and the endpoint; `None` if there is
    /// neither pool nor client.
    pub fn from_environment(environment: &HashMap<String, String>) -> Result<Option<Self>, Problems> {
        let mut settings = Settings::from_lookup(|name| match name {
            "UPSTREAM_TIMEOUT_MS" => Some(TIMEOUT_MS.to_owned()),
            name => environment.get(name).cloned(),
        });
        let (id, clients) = (settings.optional("USER_POOL_ID"), settings.optional("USER_POOL_CLIENT_ID"));
        if id.is_none() && clients.is_none() {
            return Ok(None);
        }
        if id.is_none() {
            settings.problem("USER_POOL_ID", "required beside USER_POOL_CLIENT_ID");
        }
        if clients.is_none() {
            settings.problem("USER_POOL_CLIENT_ID", "required beside USER_POOL_ID");
        }
        let id = id.and_then(|id| {
            let parts = region_and_name(id.trim());
            if parts.is_none() {
                settings.problem("USER_POOL_ID", "a region and an id, joined by an underscore");
            }
            parts.map(|(region, _)| (region.to_owned(), id.trim().to_owned()))
        });
        let service = "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER";
        let name = if settings.optional(service).is_some() { service } else { "AWS_ENDPOINT_URL" };
        // `None` is also what a malformed one gives, but then there is a problem.
        let endpoint = settings.url(name);
        let https = Https::from_settings(&mut settings, Trust::Aws);
        let client =
            clients.and_then(|clients| clients.split_ascii_whitespace().next().map(ToOwned::to_owned));
        let pool = id.zip(client).zip(https).map(|(((region, id), client), https)| Self {
            id,
            region,
            client,
            endpoint,
            https,
        });
        settings.finish(pool).map(Some)
    }

    /// The pool's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The app client's id.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Where passkeys and sessions of its users are kept below `state`: apart from those of others, who may have the same
    /// names.
    pub fn folder(&self, state: &Path) -> PathBuf {
        state.join(format!("pool-{}", self.id))
    }

    /// What functions are told that are told nothing else: the users are the pool's, and where its keys are.
    pub(crate) fn defaults(&self) -> Vec<(&'static str, String)> {
        let mut defaults = vec![("AUTH_SYSTEM", "cognito".to_owned())];
        if let Some(endpoint) = &self.endpoint {
            let url = format!("{endpoint}/{}/.well-known/jwks.json", self.id);
            defaults.push(("COGNITO_JWKS_URL", url));
        }
        defaults
    }

    /// The pool's region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// `POST /pool`, with or without a slash at its end.
    pub(crate) fn router(&self, journal: &Journal) -> Router {
        Router::new()
            .route("/pool", post(operation))
            .route("/pool/", post(operation))
            .with_state((self.clone(), journal.clone()))
    }

    /// Passes on what the pages need, for their own app client, and nothing else.
    async fn pass_on(&self, operation: &Operation) -> Result<(StatusCode, Value), Fault> {
        let request = &operation.request;
        let (parameter, known): (_, &[&str]) = match operation.name.as_str() {
            "InitiateAuth" => ("/AuthFlow", &["CUSTOM_AUTH", "USER_PASSWORD_AUTH"]),
            "RespondToAuthChallenge" => ("/ChallengeName", &[CUSTOM_CHALLENGE]),
            _ => return Err(Fault::unknown_operation()),
        };
        if text(request, "/ClientId")? != self.client {
            return Err(Fault::unknown_client());
        }
        if !known.contains(&text(request, parameter)?) {
            return Err(Fault::parameter(&format!("The sandbox passes on {}.", known.join(" and "))));
        }
        let url = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/"),
            None => format!("https://cognito-idp.{}.amazonaws.com/", self.region),
        };
        let target = format!("{TARGET}{}", operation.name);
        let headers = [("content-type", super::CONTENT_TYPE), ("x-amz-target", target.as_str())];
        let silent = || Fault::new("InternalErrorException", "The user pool does not answer.");
        let answer = self.https.post_json(&url, &headers, request.to_string()).await;
        let answer = answer.map_err(|_| silent())?;
        let status = StatusCode::from_u16(answer.status).map_err(|_| silent())?;
        let body = serde_json::from_slice(&answer.body).map_err(|_| silent())?;
        Ok((status, body))
    }
}

/// The parts of a pool's id. It becomes part of a host name and of a path.
fn region_and_name(id: &str) -> Option<(&str, &str)> {
    let (region, name) = id.split_once('_')?;
    let region_fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = !region.is_empty()
        && region.bytes().all(region_fits)
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some((region, name))
}

async fn operation(
    State((pool, journal)): State<(NamedPool, Journal)>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    let (start, operation) = (Instant::now(), Operation::read(&headers, &body));
    let answer = pool.pass_on(&operation).await;
    operation.answer(answer, start, &journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<NamedPool>, String> {
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        NamedPool::from_environment(&environment.collect()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn needs_both_names_or_neither() {
        assert!(read(&[]).unwrap().is_none());
        assert!(
            read(&[("USER_POOL_ID", " "), ("AWS_ENDPOINT_URL", "http://localhost:4566")]).unwrap().is_none()
        );
        let client = ("USER_POOL_CLIENT_ID", "planted");
        let rows: &[(&[(&str, &str)], &str)] = &[
            (
                &[("USER_POOL_ID", "eu-central-1_planted")],
                "USER_POOL_CLIENT_ID: required beside USER_POOL_ID",
            ),
            (&[client], "USER_POOL_ID: required beside USER_POOL_CLIENT_ID"),
            (
                &[client, ("USER_POOL_ID", "planted")],
                "USER_POOL_ID: a region and an id, joined by an underscore",
            ),
            (
                &[client, ("USER_POOL_ID", "eu_../planted")],
                "USER_POOL_ID: a region and an id, joined by an underscore",
            ),
            (
                &[client, ("USER_POOL_ID", "eu.planted/_a")],
                "USER_POOL_ID: a region and an id, joined by an underscore",
            ),
        ];
        for (pairs, expected) in rows {
            assert_eq!(read(pairs).unwrap_err(), *expected, "{pairs:?}");
        }
        let plain = [client, ("USER_POOL_ID", "eu-central-1_a"), ("AWS_ENDPOINT_URL", "http://pool.example")];
        let problem = read(&plain).unwrap_err();
        assert!(problem.starts_with("AWS_ENDPOINT_URL: an https URL (http for loopback only)"), "{problem}");
    }

    #[test]
    fn knows_where_an_emulator_keeps_its_keys() {
        let pair = [("USER_POOL_ID", "eu-central-1_a"), ("USER_POOL_CLIENT_ID", "first second")];
        let real = read(&pair).unwrap().unwrap();
        assert_eq!((real.id(), real.client(), real.region()), ("eu-central-1_a", "first", "eu-central-1"));
        assert_eq!(real.defaults(), [("AUTH_SYSTEM", "cognito".to_owned())]);
        assert_eq!(real.folder(Path::new("/state")), Path::new("/state/pool-eu-central-1_a"));
        let endpoints = [
            ("AWS_ENDPOINT_URL", "http://localhost:1"),
            ("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", "http://localhost:2/"),
        ];
        let emulated = read(&[pair, endpoints].concat()).unwrap().unwrap();
        let keys = "http://localhost:2/eu-central-1_a/.well-known/jwks.json";
        assert_eq!(emulated.defaults()[1], ("COGNITO_JWKS_URL", keys.to_owned()));
    }
}
