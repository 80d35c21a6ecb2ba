//! Reads settings by name and reports every problem at once.
//!
//! Values never appear in a problem, only names and rules: a setting may be a secret.

use std::any::Any;
use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;

/// A reader of settings that remembers what was missing or malformed.
///
/// Each reading method returns `None` after noting a problem, so that a caller can go on to read the rest;
/// [`Settings::finish`] then tells all problems together. An empty value counts as absent.
pub struct Settings<'a> {
    lookup: Lookup<'a>,
    problems: Vec<Problem>,
    shared: Vec<Box<dyn Any>>,
}

/// Gives a setting's value by its name.
type Lookup<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// One setting that is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name.
    pub name: &'static str,
    /// What is expected of it.
    pub rule: String,
}

/// All problems of one start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", problem.name, problem.rule)?;
        }
        Ok(())
    }
}

impl Settings<'static> {
    /// Reads from the process environment.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }
}

impl<'a> Settings<'a> {
    /// Reads from any lookup, so that tests need not touch the environment.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { lookup: Box::new(lookup), problems: Vec::new(), shared: Vec::new() }
    }

    /// Reads a setting that may be absent.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    /// Reads a setting that must be there.
    pub fn required(&mut self, name: &'static str) -> Option<String> {
        let value = self.optional(name);
        if value.is_none() {
            self.problem(name, "required");
        }
        value
    }

    /// Reads the URL of another system, without slashes at its end: https, or http on this machine's loopback, since whoever is
    /// on the way could read the credential and forge the answers. No query, fragment or credentials in it.
    pub fn url(&mut self, name: &'static str) -> Option<String> {
        let url = self.optional(name)?;
        let url = url.trim().trim_end_matches('/');
        if !is_safe_url(url) {
            self.problem(
                name,
                "an https URL (http for loopback only) without query, fragment or credentials",
            );
            return None;
        }
        Some(url.to_owned())
    }

    /// Reads a secret that may be absent.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.optional(name).map(SecretString::from)
    }

    /// Reads a whole number within `range`, or its default.
    pub fn number<T>(
        &mut self,
        name: &'static str,
        default: T,
        range: std::ops::RangeInclusive<T>,
    ) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(value) = self.optional(name) else {
            return Some(default);
        };
        let number = value.trim().parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = range.into_inner();
            self.problem(name, format!("a whole number from {low} to {high}"));
        }
        number
    }

    /// Reads one of a closed set of words; without a default the setting is required.
    pub fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        default: Option<T>,
    ) -> Option<T> {
        let value = match (self.optional(name), default) {
            (Some(value), _) => value,
            (None, Some(default)) => return Some(default),
            (None, None) => String::new(),
        };
        let chosen = words.iter().find(|(word, _)| *word == value.trim()).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.problem(name, format!("one of {}", words.join(", ")));
        }
        chosen
    }

    /// Gives what another reader has made of the settings and shares, such as a client that is costly to make.
    pub fn shared<T: Clone + 'static>(&self) -> Option<T> {
        self.shared.iter().rev().find_map(|value| value.downcast_ref().cloned())
    }

    /// Shares a value with the readers to come; the last one of a type counts.
    pub fn share<T: Clone + 'static>(&mut self, value: T) {
        self.shared.push(Box::new(value));
    }

    /// Notes a problem; one that two readers find is noted once.
    pub fn problem(&mut self, name: &'static str, rule: impl Into<String>) {
        let problem = Problem { name, rule: rule.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Gives `value` if nothing was missing or malformed, and all problems otherwise.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Problems(self.problems)),
        }
    }
}

fn is_safe_url(url: &str) -> bool {
    let (rest, plain) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return false,
    };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    let clean = rest.bytes().all(|byte| byte.is_ascii_graphic()) && !rest.contains(['?', '#', '@', '\\']);
    clean && !host.is_empty() && (!plain || matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("problems", &self.problems).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &'static [(&'static str, &'static str)]) -> Settings<'static> {
        Settings::from_lookup(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn reports_all_problems_together_and_no_values() {
        let mut settings = settings(&[("TTL", "planted-value"), ("KIND", "planted-value"), ("EMPTY", " ")]);
        let ttl = settings.number("TTL", 10, 1..=60);
        let kind = settings.choice("KIND", &[("a", 1), ("b", 2)], Some(1));
        let pool = settings.required("POOL");
        assert_eq!(settings.required("POOL"), None);
        let empty = settings.required("EMPTY");
        assert_eq!((ttl, kind, &pool, &empty), (None, None, &None, &None));

        let problems = settings.finish(pool).unwrap_err().to_string();
        assert_eq!(
            problems,
            "TTL: a whole number from 1 to 60; KIND: one of a, b; POOL: required; EMPTY: required"
        );
    }

    #[test]
    fn reads_urls_that_nobody_on_the_way_can_read() {
        let good = [
            "https://api.example",
            "https://api.example:8443/v2/",
            " http://localhost:9000/a ",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://[::1]",
        ];
        for url in good {
            assert!(is_safe_url(url.trim()), "{url}");
        }
        let bad = [
            "http://api.example",
            "http://127.0.0.1.evil.example",
            "http://localhost@evil.example",
            "https://user:planted@api.example",
            "https://",
            "https://:443",
            "https:///v2",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "ftp://localhost",
            "api.example",
            "",
        ];
        for url in bad {
            assert!(!is_safe_url(url), "{url}");
        }
        let mut settings = settings(&[("URL", "https://api.example//"), ("BAD", "http://planted.example")]);
        assert_eq!(settings.url("URL"), Some("https://api.example".to_owned()));
        assert_eq!(settings.url("ABSENT"), None);
        assert_eq!(settings.url("BAD"), None);
        let problems = settings.finish(Some(())).unwrap_err().to_string();
        assert!(problems.starts_with("BAD: an https URL") && !problems.contains("planted"), "{problems}");
    }

    #[test]
    fn falls_back_to_defaults() {
        let mut settings = settings(&[("TTL", " 20 ")]);
        assert_eq!(settings.number("TTL", 10, 1..=60), Some(20));
        assert_eq!(settings.number("OTHER", 10, 1..=60), Some(10));
        assert_eq!(settings.choice("KIND", &[("a", 1)], Some(1)), Some(1));
        assert_eq!(settings.choice("KIND", &[("a", 1)], None), None);
        assert_eq!(settings.finish(Some(())).unwrap_err().0.len(), 1);
    }
}
