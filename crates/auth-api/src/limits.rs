//! Rate limits, and whose address a request came from.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use domain::{Rate, RateKey, RateLimiter, Timestamp, Unavailable, UserIdentifier};
use settings::Settings;

/// How many calls a minute are let through; 0 is no limit.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    connect_tokens: u32,
    logins: u32,
    proxies: usize,
    logins_need_limiter: bool,
}

/// Why a call is not let through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Too many; the time until the next window.
    Exceeded(Duration),
    /// The limiter could not answer, and is required to.
    Unavailable(Unavailable),
}

impl Limits {
    /// Reads `RATE_LIMIT_CONNECT_TOKENS_PER_MINUTE`, `RATE_LIMIT_LOGINS_PER_MINUTE`,
    /// `RATE_LIMIT_WHEN_UNAVAILABLE` and `TRUSTED_PROXY_HOPS`.
    pub(crate) fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let connect_tokens = settings.number("RATE_LIMIT_CONNECT_TOKENS_PER_MINUTE", 60, 0..=100_000);
        let logins = settings.number("RATE_LIMIT_LOGINS_PER_MINUTE", 60, 0..=100_000);
        let proxies = settings.number("TRUSTED_PROXY_HOPS", 0, 0..=10);
        let words = [("allow", false), ("refuse-logins", true)];
        let logins_need_limiter = settings.choice("RATE_LIMIT_WHEN_UNAVAILABLE", &words, Some(false));
        Some(Self {
            connect_tokens: connect_tokens?,
            logins: logins?,
            proxies: proxies?,
            logins_need_limiter: logins_need_limiter?,
        })
    }

    /// Counts a connect token of a user.
    pub(crate) async fn connect_token(
        &self,
        limiter: &impl RateLimiter,
        user: &UserIdentifier,
        now: Timestamp,
    ) -> Result<(), Held> {
        let key = RateKey::new("connect-token", user.as_str());
        hit(limiter, key, self.connect_tokens, false, now).await
    }

    /// Counts a login from an address, before anything is verified.
    pub(crate) async fn login(
        &self,
        limiter: &impl RateLimiter,
        addresses: &[IpAddr],
        now: Timestamp,
    ) -> Result<(), Held> {
        let key = RateKey::new("login", &self.client(addresses));
        hit(limiter, key, self.logins, self.logins_need_limiter, now).await
    }

    /// Counts a verdict that was not `success` for the user the token named. Only afterwards, and it holds back only
    /// further answers to failures: counted before, anybody could lock anybody out by naming them.
    pub(crate) async fn failed_verdict(
        &self,
        limiter: &impl RateLimiter,
        user: &UserIdentifier,
        now: Timestamp,
    ) -> Result<(), Held> {
        let key = RateKey::new("failed-verdict", user.as_str());
        hit(limiter, key, self.logins, false, now).await
    }

    /// The client's address: the nearest one that is not a trusted proxy's. Whatever stands farther away in
    /// `x-forwarded-for` anybody can have written.
    fn client(&self, addresses: &[IpAddr]) -> String {
        let behind_proxies =
            addresses.len().checked_sub(self.proxies + 1).and_then(|index| addresses.get(index));
        // Fewer hops than configured: the request came around the proxies.
        let client = behind_proxies.or(addresses.last());
        client.map_or_else(|| "unknown".to_owned(), |address| network(*address).to_string())
    }
}

/// An IPv4 address, or the /64 network of an IPv6 address: one customer has at least that.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

async fn hit(
    limiter: &impl RateLimiter,
    key: RateKey,
    limit: u32,
    needed: bool,
    now: Timestamp,
) -> Result<(), Held> {
    if limit == 0 {
        return Ok(());
    }
    match limiter.hit(key, limit, now).await {
        Ok(Rate::Within) => Ok(()),
        Ok(Rate::Exceeded { retry_after }) => Err(Held::Exceeded(retry_after)),
        Err(cause) if needed => Err(Held::Unavailable(cause)),
        Err(cause) => {
            lambda::telemetry::log_not_limited(&cause);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: usize, addresses: &[&str]) -> String {
        let limits = Limits { connect_tokens: 0, logins: 0, proxies, logins_need_limiter: false };
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        limits.client(&addresses)
    }

    #[test]
    fn believes_only_what_trusted_hops_say() {
        let chain = ["6.6.6.6", "198.51.100.1", "203.0.113.7"];
        assert_eq!(client(0, &chain), "203.0.113.7");
        assert_eq!(client(1, &chain), "198.51.100.1");
        assert_eq!(client(2, &chain), "6.6.6.6");
        assert_eq!(client(3, &chain), "203.0.113.7");
        assert_eq!(client(0, &[]), "unknown");
    }

    #[test]
    fn takes_ipv6_by_network() {
        assert_eq!(client(0, &["2001:db8:1:2:3:4:5:6"]), "2001:db8:1:2::");
        assert_eq!(client(0, &["2001:db8:1:2:ffff::"]), "2001:db8:1:2::");
        assert_eq!(client(0, &["::ffff:203.0.113.7"]), "203.0.113.7");
    }

    struct Fixed(Result<Rate, Unavailable>);

    impl RateLimiter for Fixed {
        async fn hit(&self, _: RateKey, _: u32, _: Timestamp) -> Result<Rate, Unavailable> {
            self.0.clone()
        }
    }

    #[tokio::test]
    async fn a_limiter_that_is_down_holds_nothing_unless_told_to() {
        let cause = Unavailable::new("store", domain::Reason::Storage);
        let down = Fixed(Err(cause.clone()));
        let now = Timestamp::from_secs(1);
        let mut limits = Limits { connect_tokens: 1, logins: 1, proxies: 0, logins_need_limiter: false };
        assert_eq!(limits.login(&down, &[], now).await, Ok(()));
        limits.logins_need_limiter = true;
        assert_eq!(limits.login(&down, &[], now).await, Err(Held::Unavailable(cause)));
        let user = UserIdentifier::new("ada").unwrap();
        assert_eq!(limits.connect_token(&down, &user, now).await, Ok(()));
        limits.logins = 0;
        assert_eq!(limits.login(&down, &[], now).await, Ok(()));
    }
}
