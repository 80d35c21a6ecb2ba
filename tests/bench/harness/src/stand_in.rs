//! Stands in for Cognito, DynamoDB, Secrets Manager and Corbado, over TLS: answers at once, or as slowly and as seldom as told.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::events::SIGNING_SECRET;
use crate::http::{Connection, Request};

const USER: &str = r#"{"Username":"usr-ada","Enabled":true,"UserStatus":"CONFIRMED","UserCreateDate":1.7672256E9,
"UserLastModifiedDate":1.7672256E9,"UserAttributes":[{"Name":"sub","Value":"7f8a1f6e-1a0e-4b57-9a1c-3d8c6f1f2b11"},
{"Name":"email","Value":"ada@example.com"},{"Name":"email_verified","Value":"true"},{"Name":"name","Value":"Ada"}]}"#;

/// How a system is limited: calls a second by kind, and the time that an answer takes.
#[derive(Clone, Default)]
pub(crate) struct Limits {
    /// By Cognito's category of the operation.
    pub(crate) per_second: HashMap<&'static str, f64>,
    pub(crate) latency: HashMap<&'static str, Duration>,
}

/// The server.
pub(crate) struct StandIn {
    pub(crate) url: String,
    /// The certificate authority to trust.
    pub(crate) root: String,
    counts: Arc<Mutex<HashMap<String, (u64, u64)>>>,
}

struct State {
    limits: Limits,
    buckets: Mutex<HashMap<&'static str, (f64, Instant)>>,
    counts: Arc<Mutex<HashMap<String, (u64, u64)>>>,
}

impl StandIn {
    pub(crate) async fn start(limits: Limits) -> io::Result<Self> {
        let (root, tls) = certificates();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::default();
        let state = Arc::new(State { limits, buckets: Mutex::default(), counts: Arc::clone(&counts) });
        tokio::spawn(accept(listener, tls.clone(), Arc::clone(&state)));
        // `localhost` may mean this first.
        if let Ok(listener) = TcpListener::bind(("::1", port)).await {
            tokio::spawn(accept(listener, tls, state));
        }
        Ok(Self { url: format!("https://localhost:{port}"), root, counts })
    }

    /// Writes a file of roots to trust: those that the product embeds, and this one.
    pub(crate) fn write_roots(&self, path: &Path, embedded: &[&str]) -> io::Result<()> {
        std::fs::write(path, format!("{}{}", embedded.concat(), self.root))
    }

    /// How many calls of each operation were answered and throttled.
    pub(crate) fn counts(&self) -> HashMap<String, (u64, u64)> {
        self.counts.lock().unwrap().clone()
    }
}

/// An authority, and a certificate for the name `localhost`, as Cognito has them: keys on P-256.
fn certificates() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for self-signed whose names are alike.
    params.distinguished_name.push(DnType::CommonName, "bench root");
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&server_key, &issuer).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], server_key.into())
        .unwrap();
    (root.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let mut connection = Connection::new(tls.accept(stream).await?);
            while let Some(request) = connection.request().await? {
                let (status, headers, body) = state.answer(&request).await;
                connection.answer(status, headers, body.as_bytes()).await?;
            }
            io::Result::Ok(())
        });
    }
}

const JSON: &str = "content-type: application/x-amz-json-1.1\r\n";

impl State {
    async fn answer(&self, request: &Request) -> (u16, &'static str, String) {
        let operation = match request.operation.as_str() {
            "" => request.path.as_str(),
            operation => operation,
        };
        let kind = category(operation);
        if let Some(latency) = self.limits.latency.get(kind) {
            tokio::time::sleep(*latency).await;
        }
        let admitted = self.admits(kind);
        let mut counts = self.counts.lock().unwrap();
        let count = counts.entry(operation.to_owned()).or_default();
        if !admitted {
            count.1 += 1;
            let body = r#"{"__type":"TooManyRequestsException","message":"Rate exceeded"}"#;
            return (400, JSON, body.to_owned());
        }
        count.0 += 1;
        let body = match operation {
            "AdminGetUser" => USER.to_owned(),
            "GetSecretValue" => format!(
                r#"{{"ARN":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:signing-AbCdEf","CreatedDate":1.7672256E9,
"Name":"signing","SecretString":"{SIGNING_SECRET}","VersionId":"EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE","VersionStages":["AWSCURRENT"]}}"#
            ),
            "/v2/passkey/verifySignedData" => r#"{"verificationResult":"success"}"#.to_owned(),
            _ if request.method == "POST" => "{}".to_owned(),
            _ => return (404, JSON, String::new()),
        };
        (200, JSON, body)
    }

    /// A bucket of one second's calls, which fills steadily.
    fn admits(&self, kind: &'static str) -> bool {
        let Some(&rate) = self.limits.per_second.get(kind) else { return true };
        let mut buckets = self.buckets.lock().unwrap();
        let now = Instant::now();
        let (tokens, filled) = buckets.entry(kind).or_insert((rate, now));
        *tokens = (*tokens + (now - *filled).as_secs_f64() * rate).min(rate);
        *filled = now;
        let admitted = *tokens >= 1.0;
        if admitted {
            *tokens -= 1.0;
        }
        admitted
    }
}

/// Cognito's quota categories. Source: Cognito developer guide, "Quotas in Amazon Cognito".
pub(crate) fn category(operation: &str) -> &'static str {
    match operation {
        "AdminGetUser" | "GetUser" => "UserRead",
        "AdminUpdateUserAttributes" | "AdminSetUserMFAPreference" => "UserUpdate",
        "AdminInitiateAuth" | "AdminRespondToAuthChallenge" => "UserAuthentication",
        "ListUsers" => "UserList",
        _ => "",
    }
}
