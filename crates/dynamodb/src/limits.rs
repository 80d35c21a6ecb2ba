//! The replay guard with its verdicts, and rate limits.

use domain::{
    Begun, Claim, FlowKey, Rate, RateKey, RateLimiter, Reason, ReplayGuard, ReplayKey, Timestamp,
    Unavailable, Verdict, VerdictLog, Window, hex,
};

use crate::failure::{CONDITION_FAILED, is_condition_failed, unavailable};
use crate::table::{millis, number, put_once, text, ttl};
use crate::{SYSTEM, Table};

/// The condition under which a key may be recorded: by [`put_once`], at `:now`.
const UNUSED: &str = "attribute_not_exists(pk) OR expires <= :now";

impl ReplayGuard for Table {
    async fn claim(&self, key: ReplayKey, until: Timestamp, now: Timestamp) -> Result<Claim, Unavailable> {
        let put = self.put(pk(key), until).expression_attribute_values(":now", millis(now));
        let first = put_once(put, UNUSED).await?;
        Ok(if first { Claim::First } else { Claim::Replayed })
    }
}

impl VerdictLog for Table {
    async fn begin(
        &self,
        answer: ReplayKey,
        flow: FlowKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Begun, Unavailable> {
        let flow = text(hex(flow.as_bytes()));
        let put = self
            .put(pk(answer), until)
            .item("flow", flow.clone())
            .expression_attribute_values(":now", millis(now));
        if put_once(put, UNUSED).await? {
            return Ok(Begun::First);
        }
        let request = self.client.get_item().table_name(&self.name).key("pk", text(pk(answer)));
        let item = request.consistent_read(true).send().await.map_err(|error| unavailable(&error))?.item;
        // Cleared away in this very moment: used, in any case.
        let Some(item) = item else { return Ok(Begun::Foreign) };
        let verdict = item.get("verdict").and_then(|verdict| verdict.as_s().ok());
        Ok(Begun::known(item.get("flow") == Some(&flow), verdict.map(String::as_str)))
    }

    async fn conclude(&self, answer: ReplayKey, flow: FlowKey, verdict: Verdict) -> Result<(), Unavailable> {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(pk(answer)))
            .update_expression("SET verdict = :verdict")
            .condition_expression("flow = :flow AND (attribute_not_exists(verdict) OR verdict = :verdict)")
            .expression_attribute_values(":flow", text(hex(flow.as_bytes())))
            .expression_attribute_values(":verdict", text(verdict.as_str()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_condition_failed(&error) => {
                Err(Unavailable::new(SYSTEM, Reason::Refused).code(CONDITION_FAILED))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }
}

fn pk(key: ReplayKey) -> String {
    format!("replay#{}", hex(key.as_bytes()))
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
