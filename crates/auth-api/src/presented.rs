//! The session or token that a request presents.

use domain::{ProviderTokens, SessionKey};
use domain::{SessionId, Timestamp, TokenUse, Unavailable, User, UserDirectory, resume};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

use crate::config::Config;

/// How many presented sessions one request ends at most.
const MAX_REVOKED: usize = 8;

/// The values of all cookies of a name. Other cookies do not count, whatever bytes they have.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let pairs =
        headers.get_all(COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn read_id(value: &[u8]) -> Option<SessionId> {
    SessionId::parse(std::str::from_utf8(value).ok()?)
}

/// What a request presents to show who is signed in.
pub(crate) enum Presented {
    /// Nothing.
    Nothing,
    /// One of our sessions, by cookie or as bearer.
    Session(SessionId),
    /// A token of the provider, as bearer.
    Token(String),
    /// Something that is neither, or more than one thing: nobody can say which counts.
    Unusable,
}

/// A user who is signed in.
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) expires: Timestamp,
}

/// Why nobody is signed in. The first three look alike from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotSignedIn {
    Nothing,
    Invalid,
    User,
    Unavailable(Unavailable),
}

impl From<Unavailable> for NotSignedIn {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

impl Presented {
    /// Reads the request. `Authorization` goes before the cookie, and does without it.
    pub(crate) fn read(headers: &HeaderMap, cookie_name: &str) -> Self {
        let mut authorizations = headers.get_all(AUTHORIZATION).iter();
        match (authorizations.next(), authorizations.next()) {
            (None, _) => Self::by_cookie(headers, cookie_name),
            (Some(value), None) => value.to_str().ok().and_then(Self::by_bearer).unwrap_or(Self::Unusable),
            (Some(_), Some(_)) => Self::Unusable,
        }
    }

    fn by_bearer(authorization: &str) -> Option<Self> {
        let (scheme, token) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        match SessionId::parse(token) {
            Some(id) => Some(Self::Session(id)),
            None if token.split('.').count() == 3 => Some(Self::Token(token.to_owned())),
            None => None,
        }
    }

    fn by_cookie(headers: &HeaderMap, name: &str) -> Self {
        let values: Vec<_> = cookies(headers, name).collect();
        match values.as_slice() {
            [] | [b""] => Self::Nothing,
            [value] => read_id(value).map_or(Self::Unusable, Self::Session),
            // A page of a neighbouring domain can plant a second one.
            _ => Self::Unusable,
        }
    }

    /// The keys of all sessions that a request presents in any way: a login or logout ends each of them, also those that
    /// prove nothing because something else goes before them.
    pub(crate) fn all_session_keys(headers: &HeaderMap, cookie_name: &str) -> Vec<SessionKey> {
        let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
            match Self::by_bearer(value.to_str().ok()?) {
                Some(Self::Session(id)) => Some(id),
                _ => None,
            }
        });
        let cookies = cookies(headers, cookie_name).filter_map(read_id);
        // Nobody has that many; each costs a call to the store.
        bearers.chain(cookies).take(MAX_REVOKED).map(|id| id.key()).collect()
    }

    /// Finds who is signed in. The user is looked up each time: who was disabled meanwhile is not.
    pub(crate) async fn sign_in(
        &self,
        config: &Config,
        token_use: TokenUse,
        now: Timestamp,
    ) -> Result<SignedIn, NotSignedIn> {
        let (id, expires) = match self {
            Self::Nothing => return Err(NotSignedIn::Nothing),
            Self::Unusable => return Err(NotSignedIn::Invalid),
            Self::Session(id) => {
                let session = resume(&config.sessions, id.key(), config.idle, now).await?;
                session.map(|session| (session.user, session.expires)).ok_or(NotSignedIn::Invalid)?
            }
            Self::Token(token) => {
                let session = config.provider_tokens.verify(token, token_use, now).await?;
                session.map(|session| (session.user, session.expires)).ok_or(NotSignedIn::Invalid)?
            }
        };
        let user = config.users.find(&id).await?;
        let user = user.filter(User::may_sign_in).ok_or(NotSignedIn::User)?;
        Ok(SignedIn { user, expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match Presented::read(&map, "session_id") {
            Presented::Nothing => "nothing".into(),
            Presented::Session(id) => format!("session {}", &id.expose()[..2]),
            Presented::Token(token) => format!("token {token}"),
            Presented::Unusable => "unusable".into(),
        }
    }

    #[test]
    fn reads_one_proof_or_none() {
        let id = SessionId::from_random([7; 32]);
        let other = SessionId::from_random([8; 32]);
        let (id, other) = (id.expose(), other.expose());
        let cookie = |value: &str| format!("session_id={value}");
        let long = format!("a={}; session_id={id}", "x".repeat(8000));
        let rows: Vec<(Vec<(&'static str, String)>, &str)> = vec![
            (vec![], "nothing"),
            (vec![("cookie", "theme=dark".into())], "nothing"),
            (vec![("cookie", cookie(""))], "nothing"),
            (vec![("cookie", cookie(id))], "session Bw"),
            (vec![("cookie", format!("a=b;session_id={id} ; c"))], "session Bw"),
            (vec![("cookie", "a=b".into()), ("cookie", cookie(id))], "session Bw"),
            (vec![("cookie", long)], "session Bw"),
            (vec![("cookie", format!("{}; {}", cookie(id), cookie(other)))], "unusable"),
            (vec![("cookie", format!("{}; {}", cookie(id), cookie(id)))], "unusable"),
            (vec![("cookie", cookie(&id[1..]))], "unusable"),
            (vec![("cookie", cookie(&format!("{id}A")))], "unusable"),
            (vec![("cookie", cookie(&format!("\"{id}\"")))], "unusable"),
            (vec![("cookie", cookie(&id.replace('B', "%42")))], "unusable"),
            (vec![("cookie", cookie(&format!("{}*", &id[1..])))], "unusable"),
            (vec![("cookie", format!("name=Jos\u{e9}; session_id={id}"))], "session Bw"),
            (vec![("cookie", format!("xsession_id={id}; session_id_x={id}"))], "nothing"),
            (vec![("cookie", format!("SESSION_ID={id}"))], "nothing"),
            (vec![("authorization", format!("Bearer {id}"))], "session Bw"),
            (vec![("authorization", format!("bearer {id}"))], "session Bw"),
            (vec![("authorization", "Bearer a.b.c".into())], "token a.b.c"),
            (vec![("authorization", "Bearer a.b".into())], "unusable"),
            (vec![("authorization", "Bearer".into())], "unusable"),
            (vec![("authorization", format!("Bearer  {id}"))], "unusable"),
            (vec![("authorization", format!("Basic {id}"))], "unusable"),
            (vec![("authorization", "Basic x".into()), ("cookie", cookie(id))], "unusable"),
            (
                vec![("authorization", format!("Bearer {id}")), ("authorization", format!("Bearer {id}"))],
                "unusable",
            ),
            (vec![("authorization", format!("Bearer {other}")), ("cookie", cookie(id))], "session CA"),
        ];
        for (headers, expected) in rows {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(presented(&headers), expected, "{headers:.120?}");
        }
    }
}
