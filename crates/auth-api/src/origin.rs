//! Which pages may call, and the CORS answers (Fetch standard).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue};
use settings::Settings;

/// The origins whose pages may call, spelled as browsers send them.
#[derive(Debug, Clone)]
pub(crate) struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Reads `ALLOWED_ORIGINS`: one or more, separated by spaces or commas.
    pub(crate) fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        const NAME: &str = "ALLOWED_ORIGINS";
        let text = settings.required(NAME)?;
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let origins: Option<Vec<_>> = words.map(read).collect();
        let origins = origins.filter(|origins| !origins.is_empty());
        if origins.is_none() {
            settings.problem(
                NAME,
                "https://host[:port], one or more; http for localhost only; no path, no *, lower case",
            );
        }
        origins.map(Self)
    }

    /// Admits a request without `Origin`, or with an allowed one, which is returned.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, &'static str> {
        let mut sent = headers.get_all(ORIGIN).iter();
        match (sent.next(), sent.next()) {
            (None, _) => Ok(None),
            (Some(origin), None) if self.0.contains(origin) => Ok(Some(origin.clone())),
            (Some(_), None) => Err("origin: not allowed"),
            (Some(_), Some(_)) => Err("origin: repeated"),
        }
    }

    /// Lets a page of an admitted origin read the answer.
    pub(crate) fn let_read(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        // Whatever lies between must not give one origin's answer to another.
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers
                .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after, x-request-id"));
        }
    }
}

fn read(origin: &str) -> Option<HeaderValue> {
    let (scheme, authority) = origin.split_once("://")?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let scheme_fits = scheme == "https" || (scheme == "http" && local);
    let host_fits = local
        || (!host.is_empty()
            && host.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c)));
    // Browsers leave the default port out.
    let default = if scheme == "https" { "443" } else { "80" };
    let port_fits = port.is_none_or(|port| {
        port != default && !port.starts_with('0') && port.parse::<u16>().is_ok() && !port.starts_with('+')
    });
    (scheme_fits && host_fits && port_fits).then(|| HeaderValue::from_str(origin).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_origins_as_browsers_send_them() {
        let good = [
            "https://example.com",
            "https://app.example.com:8443",
            "http://localhost:8080",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
        ];
        for origin in good {
            assert!(read(origin).is_some(), "{origin}");
        }
        let bad = [
            "*",
            "null",
            "https://",
            "example.com",
            "https://example.com/",
            "https://Example.com",
            "https://example.com:443",
            "https://example.com:+8443",
            "https://example.com:99999",
            "https://*.example.com",
            "http://example.com",
            "https://user@example.com",
            "ftp://localhost",
        ];
        for origin in bad {
            assert!(read(origin).is_none(), "{origin}");
        }
    }
}
