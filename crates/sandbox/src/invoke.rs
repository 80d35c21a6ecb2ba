//! Sends a sample to the local host, as `make invoke` does.

use std::fmt;

use serde_json::Value;
use webhooks::SigningSecret;

use crate::client;
use crate::function::random_name;
use crate::sample::{self, Sample};

/// The way a sample is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Via {
    /// Invoke the function directly, with the event as it is.
    Direct,
    /// Post to the function's URL; an event without envelope is signed.
    Url,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers that matter.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Sends a sample to the host at `base_url`, brought up to `now`, and returns what comes back.
pub fn send(
    base_url: &str,
    sample: &Sample,
    via: Via,
    secret: &SigningSecret,
    now: u64,
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let event = sample::fresh(&sample.event, secret, now)?;
    let function = &sample.function;
    if via == Via::Direct {
        let url = format!("{base_url}/2015-03-31/functions/{function}/invocations");
        return post("POST", &url, &[], event.to_string().as_bytes());
    }
    let url = format!("{base_url}/lambda-url/{function}");
    if sample::is_http(&event) {
        // The envelope is the gateway's to make: what was in it is sent as a request.
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let method = text("/requestContext/http/method").or(text("/httpMethod")).unwrap_or("POST");
        let path = text("/rawPath").or(text("/path")).unwrap_or_default();
        let mut headers = sample::headers(&event);
        // The local host lets no page of another origin in.
        for (_, origin) in headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case("origin")) {
            if origin == sample::ORIGIN {
                *origin = base_url.to_owned();
            }
        }
        return post(method, &format!("{url}{path}"), &headers, &sample::body_bytes(&event));
    }
    let body = event.to_string();
    let id = format!("msg_{}", random_name()?);
    let signed = secret.headers(&id, now, body.as_bytes());
    let headers = [("content-type", "application/json".to_owned())].into_iter().chain(signed);
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value)).collect();
    post("POST", &url, &headers, body.as_bytes())
}

fn post(
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        // The client sets these itself.
        if !["host", "content-length", "connection"].contains(&name.to_ascii_lowercase().as_str()) {
            request = request.header(name, value);
        }
    }
    let mut response = client::agent(None).run(request.body(body)?)?;
    let headers = ["content-type", "cache-control", "allow", "x-amz-function-error"]
        .iter()
        .filter_map(|name| {
            Some(((*name).to_owned(), response.headers().get(*name)?.to_str().ok()?.to_owned()))
        })
        .collect();
    Ok(Reply { status: response.status().as_u16(), headers, body: response.body_mut().read_to_string()? })
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HTTP {}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        match serde_json::from_str::<Value>(&self.body) {
            Ok(json) => write!(f, "\n{json:#}"),
            Err(_) => write!(f, "\n{}", self.body),
        }
    }
}
