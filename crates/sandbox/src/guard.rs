//! Keeps web pages away from the local host.
//!
//! It listens on loopback only, but a page in the user's own browser reaches loopback, too: by a plain cross-site
//! request (foreign `Origin`), or by a name of its own that resolves to 127.0.0.1 (foreign `Host`, "DNS rebinding").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses a request whose `Host` is not this machine, or whose `Origin` is.
pub(crate) async fn loopback_only(request: Request, next: Next) -> Response {
    admit(State(Arc::default()), request, next).await
}

/// The same, but lets pages of `allowed` origins in, too.
pub(crate) async fn admit(State(allowed): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    if is_local(request.headers(), &allowed) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "Only this machine may call the local host, and no foreign web page.\n")
        .into_response()
}

fn is_local(headers: &HeaderMap, allowed: &[String]) -> bool {
    let single = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Some(None),
            (Some(value), None) => value.to_str().ok().map(Some),
            _ => None,
        }
    };
    let host = match single(header::HOST) {
        Some(Some(host)) => host,
        _ => return false,
    };
    let origin = match single(header::ORIGIN) {
        Some(None) => return names_loopback(host),
        Some(Some(origin)) => origin,
        None => return false,
    };
    // A page of the local host itself would have exactly this origin.
    let own = origin.strip_prefix("http://") == Some(host);
    names_loopback(host) && (own || allowed.iter().any(|allowed| allowed == origin))
}

fn names_loopback(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    matches!(name.to_ascii_lowercase().as_str(), "127.0.0.1" | "localhost" | "[::1]")
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_this_machine_and_no_page() {
        let rows: [(&[(&str, &str)], bool); 14] = [
            (&[("host", "127.0.0.1:9000")], true),
            (&[("host", "localhost:9000")], true),
            (&[("host", "LOCALHOST")], true),
            (&[("host", "[::1]:9000")], true),
            (&[("host", "[::1]")], true),
            (&[("host", "127.0.0.1:9000"), ("origin", "http://127.0.0.1:9000")], true),
            (&[], false),
            (&[("host", "evil.example:9000")], false),
            (&[("host", "127.0.0.1.evil.example")], false),
            (&[("host", "localhost:9000:80")], false),
            (&[("host", "127.0.0.1:9000"), ("host", "evil.example")], false),
            (&[("host", "127.0.0.1:9000"), ("origin", "http://127.0.0.1:8000")], false),
            (&[("host", "127.0.0.1:9000"), ("origin", "null")], false),
            (&[("host", "127.0.0.1:9000"), ("origin", "https://evil.example")], false),
        ];
        for (pairs, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_local(&headers, &[]), expected, "{pairs:?}");
        }
    }

    #[test]
    fn admits_pages_that_are_allowed() {
        let allowed = ["http://localhost:3000".to_owned()];
        let rows = [
            ("127.0.0.1:9000", "http://localhost:3000", true),
            ("127.0.0.1:9000", "http://localhost:3001", false),
            ("127.0.0.1:9000", "http://localhost:30000", false),
            ("evil.example:9000", "http://localhost:3000", false),
        ];
        for (host, origin, expected) in rows {
            let headers = [(header::HOST, host), (header::ORIGIN, origin)];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            assert_eq!(is_local(&HeaderMap::from_iter(headers), &allowed), expected, "{host} {origin}");
        }
    }
}
