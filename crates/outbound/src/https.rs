//! The HTTPS client: rustls with ring, few roots, connections reused for a short time.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use settings::Settings;

use crate::connector::Connector;
use crate::timing::Timed;

/// The roots of AWS's own certificate authority.
const AMAZON: &str = include_str!("../roots/amazon.pem");
/// The roots behind the common hosts and CDNs.
const PUBLIC: &str = include_str!("../roots/public.pem");
/// How long an idle connection is kept. A frozen function wakes up with dead sockets, so: not long.
const IDLE: Duration = Duration::from_secs(15);
/// The time limit of one call, where none is set.
const DEFAULT_TIMEOUT_MS: u64 = 2000;
/// The largest answer read, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Whom to trust. `TLS_ROOTS_FILE` replaces either set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// AWS endpoints only.
    Aws,
    /// AWS endpoints and other systems.
    Public,
}

/// The client. Cloning shares the connections and the TLS configuration.
#[derive(Debug, Clone)]
pub struct Https {
    connector: SharedHttpConnector,
    timeout: Duration,
}

/// A client that other readers of the settings may use, too.
#[derive(Clone)]
struct Shared(Trust, Https);

/// An answer of any status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Not within the time limit.
    #[error("timeout")]
    Timeout,
    /// No connection, or it broke.
    #[error("transport")]
    Transport,
    /// More than 256 KiB.
    #[error("answer too large")]
    TooLarge,
    /// The request cannot be formed: a bad URL or header.
    #[error("request")]
    Request,
}

impl Https {
    /// Reads `UPSTREAM_TIMEOUT_MS` and `TLS_ROOTS_FILE`. Where one is malformed, that is noted and its default taken, so
    /// that whatever needs a client can be read, too, and all problems be told together.
    ///
    /// A client that was made of the same settings before is shared: making one means reading the roots.
    pub fn from_settings(settings: &mut Settings<'_>, trust: Trust) -> Option<Self> {
        if let Some(Shared(known, https)) = settings.shared()
            && (known == trust || known == Trust::Public)
        {
            return Some(https);
        }
        let timeout = settings.number("UPSTREAM_TIMEOUT_MS", DEFAULT_TIMEOUT_MS, 50..=30_000);
        let roots = settings.optional("TLS_ROOTS_FILE").and_then(|path| {
            let roots = std::fs::read_to_string(path).ok().and_then(|pem| read_roots(&pem));
            if roots.is_none() {
                settings.problem("TLS_ROOTS_FILE", "a readable PEM file of one or more root certificates");
            }
            roots
        });
        let roots = roots.unwrap_or_else(|| embedded_roots(trust));
        let timeout = Duration::from_millis(timeout.unwrap_or(DEFAULT_TIMEOUT_MS));
        let connector =
            SharedHttpConnector::new(Timed(SharedHttpConnector::new(Connector::new(roots, IDLE))));
        let https = Self { connector, timeout };
        settings.share(Shared(trust, https.clone()));
        Some(https)
    }

    /// The same client with a time limit of `limit`, where that is less than its own.
    #[must_use]
    pub fn at_most(mut self, limit: Duration) -> Self {
        self.timeout = self.timeout.min(limit);
        self
    }

    /// The time limit of one call.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The same client for the AWS SDK, which sets time limits of its own.
    pub fn sdk_http_client(&self) -> SharedHttpClient {
        let connector = self.connector.clone();
        http_client_fn(move |_settings, _components| connector.clone())
    }

    /// Posts JSON and reads the whole answer within the time limit.
    ///
    /// `headers` authenticate the call; their names are in lower case. Sends at most once, except over a reused
    /// connection that was already closed before anything was sent.
    pub async fn post_json(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<Answer, Failure> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|_| Failure::Request)?;
        let json = [("content-type", "application/json"), ("accept", "application/json")];
        for (name, value) in json.iter().chain(headers).copied() {
            request.headers_mut().try_insert(name, value.to_owned()).map_err(|_| Failure::Request)?;
        }
        self.exchange(request, url).await
    }

    /// Gets JSON and reads the whole answer within the time limit.
    pub async fn get_json(&self, url: &str) -> Result<Answer, Failure> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.headers_mut().try_insert("accept", "application/json").map_err(|_| Failure::Request)?;
        self.exchange(request, url).await
    }

    async fn exchange(&self, mut request: HttpRequest, url: &str) -> Result<Answer, Failure> {
        request.set_uri(url).map_err(|_| Failure::Request)?;
        let exchange = async {
            let response =
                self.connector.call(request).await.map_err(|error| {
                    if error.is_timeout() { Failure::Timeout } else { Failure::Transport }
                })?;
            let status = response.status().as_u16();
            let mut stream = ByteStream::new(response.into_body());
            let mut body = Vec::new();
            while let Some(chunk) = stream.next().await {
                body.extend_from_slice(&chunk.map_err(|_| Failure::Transport)?);
                if body.len() > MAX_ANSWER {
                    return Err(Failure::TooLarge);
                }
            }
            Ok(Answer { status, body })
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(Failure::Timeout))
    }
}

fn embedded_roots(trust: Trust) -> RootCertStore {
    let files = match trust {
        Trust::Aws => &[AMAZON][..],
        Trust::Public => &[AMAZON, PUBLIC],
    };
    let mut roots = RootCertStore::empty();
    // Good ones, as a test knows; one that were not would just not be trusted.
    roots.add_parsable_certificates(files.iter().flat_map(|pem| certificates(pem)).map(CertificateDer::from));
    roots
}

/// The certificates in a PEM of ours. The decoder of the TLS library takes the same time for every text, as for keys, and
/// seven times as long as this one.
fn certificates(pem: &str) -> impl Iterator<Item = Vec<u8>> {
    pem.split("-----END CERTIFICATE-----").filter_map(|part| {
        let (_, text) = part.split_once("-----BEGIN CERTIFICATE-----")?;
        BASE64_STANDARD.decode(text.lines().collect::<String>()).ok()
    })
}

/// Reads a PEM of at least one certificate, if every one can be a trust anchor.
fn read_roots(pem: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_roots_are_still_trusted_by_mozilla() {
        for (pem, count) in [(AMAZON, 5), (PUBLIC, 17)] {
            let roots: Vec<_> = certificates(pem).map(CertificateDer::from).collect();
            let strictly: Vec<_> =
                CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
            assert_eq!(roots, strictly);
            assert_eq!(roots.len(), count);
            for root in roots {
                assert!(
                    webpki_root_certs::TLS_SERVER_ROOT_CERTS.contains(&root),
                    "no longer trusted: one of\n{pem}"
                );
            }
            assert!(read_roots(pem).is_some());
        }
        assert_eq!(embedded_roots(Trust::Aws).len(), 5);
        assert_eq!(embedded_roots(Trust::Public).len(), 22);
    }

    #[test]
    fn refuses_roots_that_are_malformed_or_trust_nobody() {
        let good = AMAZON.to_owned();
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in ["", "no PEM", garbage, &format!("{good}{garbage}"), "-----BEGIN CERTIFICATE-----\n*"] {
            assert!(read_roots(bad).is_none(), "{bad}");
        }
        let mut settings = Settings::from_lookup(|name| {
            (name == "TLS_ROOTS_FILE").then(|| "/nowhere/planted.pem".to_owned())
        });
        let https = Https::from_settings(&mut settings, Trust::Aws);
        let problems = settings.finish(https).unwrap_err().to_string();
        assert_eq!(problems, "TLS_ROOTS_FILE: a readable PEM file of one or more root certificates");
    }
}
