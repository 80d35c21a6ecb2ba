//! The session cookie (RFC 6265bis).

use domain::SessionId;
use http::HeaderValue;
use settings::Settings;

/// How the session cookie is written.
#[derive(Debug, Clone)]
pub(crate) struct SessionCookie {
    name: String,
    /// `HttpOnly; …`, all but the name, the value and the age.
    attributes: String,
    max_age: u64,
}

impl SessionCookie {
    /// Reads `SESSION_COOKIE_NAME`, `SESSION_COOKIE_DOMAIN`, `SESSION_COOKIE_HOST_PREFIX` and, in local builds,
    /// `SESSION_COOKIE_INSECURE`.
    pub(crate) fn from_settings(settings: &mut Settings<'_>, max_age: Option<u64>) -> Option<Self> {
        let flag = [("true", true), ("false", false)];
        let name = settings.optional("SESSION_COOKIE_NAME").unwrap_or_else(|| "session_id".to_owned());
        let host_prefix = settings.choice("SESSION_COOKIE_HOST_PREFIX", &flag, Some(false));
        let domain = settings.optional("SESSION_COOKIE_DOMAIN");
        let insecure = settings.choice("SESSION_COOKIE_INSECURE", &flag, Some(false));

        let mut good = host_prefix.is_some() && insecure.is_some();
        let (host_prefix, insecure) = (host_prefix.unwrap_or_default(), insecure.unwrap_or_default());
        let mut check = |holds: bool, setting: &'static str, rule: &str| {
            if !holds {
                settings.problem(setting, rule);
                good = false;
            }
        };
        let word = |text: &str, more: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)) && text.len() <= 255
        };
        // A prefix in the name would promise what only the settings below keep.
        let named = word(&name, "_-") && !name.starts_with("__");
        check(named, "SESSION_COOKIE_NAME", "letters, digits, - and _, not two _ at the start");
        if let Some(domain) = &domain {
            check(word(domain, ".-"), "SESSION_COOKIE_DOMAIN", "a domain name");
            check(!host_prefix, "SESSION_COOKIE_DOMAIN", "not together with SESSION_COOKIE_HOST_PREFIX");
        }
        if insecure {
            check(cfg!(feature = "embedded"), "SESSION_COOKIE_INSECURE", "not in a deployed build");
            check(!host_prefix, "SESSION_COOKIE_INSECURE", "not together with SESSION_COOKIE_HOST_PREFIX");
        }
        if !good {
            return None;
        }
        let secure = if insecure { "" } else { "Secure; " };
        let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        Some(Self {
            name: if host_prefix { format!("__Host-{name}") } else { name },
            attributes: format!("HttpOnly; {secure}SameSite=Strict; Path=/{domain}"),
            max_age: max_age?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Hands a session to the browser.
    pub(crate) fn set(&self, id: &SessionId) -> Option<HeaderValue> {
        self.render(id.expose(), self.max_age)
    }

    /// Takes the session back from the browser.
    pub(crate) fn clear(&self) -> Option<HeaderValue> {
        self.render("", 0)
    }

    fn render(&self, value: &str, max_age: u64) -> Option<HeaderValue> {
        let Self { name, attributes, .. } = self;
        let mut header =
            HeaderValue::from_str(&format!("{name}={value}; {attributes}; Max-Age={max_age}")).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(pairs: &[(&str, &str)]) -> Result<SessionCookie, String> {
        let mut settings = Settings::from_lookup(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let cookie = SessionCookie::from_settings(&mut settings, Some(10_800));
        settings.finish(cookie).map_err(|problems| problems.to_string())
    }

    #[test]
    fn writes_the_guides_cookie_by_default() {
        let id = SessionId::from_random([0; 32]);
        let cookie = cookie(&[]).unwrap();
        let value = id.expose();
        assert_eq!(
            cookie.set(&id).unwrap().to_str().unwrap(),
            format!("session_id={value}; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=10800")
        );
        assert_eq!(
            cookie.clear().unwrap(),
            "session_id=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0"
        );
        assert!(!format!("{:?}", cookie.set(&id)).contains(value));
    }

    #[test]
    fn follows_its_settings_and_refuses_contradictions() {
        let clear = |pairs: &[(&str, &str)]| {
            cookie(pairs).map(|cookie| cookie.clear().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(
            clear(&[("SESSION_COOKIE_NAME", "sid"), ("SESSION_COOKIE_HOST_PREFIX", "true")]),
            Ok("__Host-sid=; HttpOnly; Secure; SameSite=Strict; Path=/; Max-Age=0".into())
        );
        assert_eq!(
            clear(&[("SESSION_COOKIE_DOMAIN", "example.com")]),
            Ok("session_id=; HttpOnly; Secure; SameSite=Strict; Path=/; Domain=example.com; Max-Age=0"
                .into())
        );
        let refused: [(&[(&str, &str)], &str); 5] = [
            (&[("SESSION_COOKIE_NAME", "a;b")], "SESSION_COOKIE_NAME"),
            (&[("SESSION_COOKIE_NAME", "__Host-a")], "SESSION_COOKIE_NAME"),
            (&[("SESSION_COOKIE_DOMAIN", "example.com\r\nx: y")], "SESSION_COOKIE_DOMAIN"),
            (
                &[("SESSION_COOKIE_DOMAIN", "example.com"), ("SESSION_COOKIE_HOST_PREFIX", "true")],
                "SESSION_COOKIE_DOMAIN",
            ),
            (
                &[("SESSION_COOKIE_INSECURE", "true"), ("SESSION_COOKIE_HOST_PREFIX", "true")],
                "SESSION_COOKIE_INSECURE",
            ),
        ];
        for (pairs, name) in refused {
            let problems = clear(pairs).unwrap_err();
            assert!(problems.starts_with(name), "{problems}");
        }
    }
}
