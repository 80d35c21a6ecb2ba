//! The replay guard and rate limits.

use domain::{Claim, Rate, RateKey, RateLimiter, ReplayGuard, ReplayKey, Timestamp, Unavailable, Window};

use crate::Table;
use crate::failure::{is_condition_failed, unavailable};
use crate::table::{hex, millis, number, put_once, text, ttl};

impl ReplayGuard for Table {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        let put = self
            .put(format!("replay#{}", hex(key.as_bytes())), until)
            .expression_attribute_values(":now", millis(now));
        let first = put_once(put, "attribute_not_exists(pk) OR expires <= :now").await?;
        Ok(if first { Claim::First } else { Claim::Replayed })
    }
}

impl RateLimiter for Table {
    /// An item a window. Where the SDK repeats a call whose answer was lost, the hit may count twice: the limit is
    /// then reached one hit early, which is harmless.
    async fn hit(&self, key: RateKey, limit: u32, now: Timestamp) -> Result<Rate, Unavailable> {
        // A window without hits has no item, so the condition below would let the first one in.
        if limit == 0 {
            return Ok(Rate::exceeded(now));
        }
        let window = Window::of(now);
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(format!("rate#{}#{}", hex(key.as_bytes()), window.number())))
            .update_expression("SET #ttl = :ttl ADD hits :one")
            .condition_expression("attribute_not_exists(hits) OR hits < :limit")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":ttl", ttl(window.end()))
            .expression_attribute_values(":one", number(1_u32))
            .expression_attribute_values(":limit", number(limit));
        match request.send().await {
            Ok(_) => Ok(Rate::Within),
            Err(error) if is_condition_failed(&error) => Ok(Rate::exceeded(now)),
            Err(error) => Err(unavailable(&error)),
        }
    }
}
