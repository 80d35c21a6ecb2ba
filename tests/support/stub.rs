//! An HTTP server on loopback that answers exactly what a test scripts, or misbehaves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The operation of an AWS JSON call, such as `AdminGetUser`.
    pub fn operation(&self) -> &str {
        self.header("x-amz-target").rsplit('.').next().unwrap()
    }
}

/// What the stub does about a request.
#[derive(Debug, Clone)]
pub enum Reaction {
    /// Answers with a status, extra headers and a body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Waits first.
    After(Duration, Box<Reaction>),
    /// Sends these bytes and closes.
    Raw(&'static [u8]),
    /// Sends these bytes, and nothing for a minute.
    Stall(&'static [u8]),
    /// Resets the connection.
    Reset,
}

/// Promises a body, begins it, and sends no more.
pub const STALLED: Reaction = Reaction::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{");

/// A time limit for calls that are to run into one; other calls get [`GENEROUS`], since a test's machine may be busy.
pub const HASTY: (&str, &str) = ("UPSTREAM_TIMEOUT_MS", "500");
pub const GENEROUS: (&str, &str) = ("UPSTREAM_TIMEOUT_MS", "10000");

/// The one that fits what is expected.
pub fn limit_for(expected: &str) -> (&'static str, &'static str) {
    if expected.ends_with("timeout") { HASTY } else { GENEROUS }
}

/// Answers with JSON.
pub fn json(status: u16, body: &Value) -> Reaction {
    Reaction::Answer(status, vec![("content-type", "application/json".into())], body.to_string())
}

/// Answers as AWS does when an operation fails.
pub fn aws_error(status: u16, code: &str) -> Reaction {
    // The message has what a log must never show.
    let body = serde_json::json!({"__type": code, "message": "planted message"});
    Reaction::Answer(
        status,
        vec![
            ("content-type", "application/x-amz-json-1.1".into()),
            ("x-amzn-errortype", format!("{code}:http://internal.amazon.com/coral/com.amazonaws/")),
        ],
        body.to_string(),
    )
}

/// A certificate authority of the test's own, for `TLS_ROOTS_FILE`.
pub struct Authority {
    pub pem: String,
    acceptor: TlsAcceptor,
}

impl Authority {
    /// Makes an authority, and a certificate for the name `localhost`.
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let pem = root.pem();
        let issuer = Issuer::new(params, key);

        let server_key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &issuer).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], server_key.into())
            .unwrap();
        Self { pem, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// The server. Dropping it stops it.
#[derive(Debug)]
pub struct Stub {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    server: JoinHandle<()>,
}

impl Stub {
    /// Starts on a free port; `script` gets each request and how many came before it.
    pub async fn start(script: impl Fn(&Received, usize) -> Reaction + Send + Sync + 'static) -> Self {
        Self::start_with(None, script).await
    }

    /// The same over TLS, reached as `https://localhost`.
    pub async fn start_tls(
        authority: &Authority,
        script: impl Fn(&Received, usize) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(authority.acceptor.clone()), script).await
    }

    async fn start_with(
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Received, usize) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let received = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let record = Arc::clone(&received);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, record, tls) = (Arc::clone(&script), Arc::clone(&record), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => {
                            let _ = serve(stream, &*script, &record).await;
                        }
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let _ = serve(stream, &*script, &record).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, received, server }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A connection that can be reset.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn reset(&self) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn reset(&self) -> std::io::Result<()> {
        self.set_zero_linger()
    }
}

impl Stream for TlsStream<TcpStream> {
    fn reset(&self) -> std::io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

async fn serve(
    mut stream: impl Stream,
    script: &(impl Fn(&Received, usize) -> Reaction + Send + Sync),
    record: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    while let Some(request) = read(&mut stream).await? {
        let before = {
            let mut all = record.lock().unwrap();
            all.push(request.clone());
            all.len() - 1
        };
        let mut reaction = script(&request, before);
        while let Reaction::After(delay, then) = reaction {
            tokio::time::sleep(delay).await;
            reaction = *then;
        }
        match reaction {
            Reaction::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
            }
            Reaction::Raw(bytes) => {
                stream.write_all(bytes).await?;
                return stream.shutdown().await;
            }
            Reaction::Stall(bytes) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_secs(60)).await;
                return stream.reset();
            }
            Reaction::Reset | Reaction::After(..) => return stream.reset(),
        }
    }
    Ok(())
}

async fn read(stream: &mut impl Stream) -> std::io::Result<Option<Received>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(None);
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Received { method: method.to_owned(), path: path.to_owned(), headers, body }))
}
