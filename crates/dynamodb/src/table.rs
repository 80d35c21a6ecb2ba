//! The table, and how its items are spelt.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Reason, Timestamp, Unavailable, hex};
use outbound::{Https, aws};
use settings::Settings;

use crate::SYSTEM;
use crate::failure::{is_condition_failed, unavailable};

/// A table. Needs the permissions GetItem, PutItem, UpdateItem and DeleteItem on it; to end all sessions of a user also
/// BatchWriteItem, and Query on its index.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Table {
    /// Reads `DYNAMODB_TABLE` and the AWS settings.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let name = settings.required("DYNAMODB_TABLE").map(|name| name.trim().to_owned());
        let config = aws::sdk_config(settings, https, "AWS_ENDPOINT_URL_DYNAMODB");
        let client = Client::new(&config?);
        Some(Self { client, name: name? })
    }

    /// Starts to write an item that must not be there yet; [`put_once`] sends it.
    pub(crate) fn put(&self, pk: String, expires: Timestamp) -> PutItemFluentBuilder {
        self.client
            .put_item()
            .table_name(&self.name)
            .item("pk", text(pk))
            .item("expires", millis(expires))
            .item("ttl", ttl(expires))
    }
}

/// What tells a call's own item from anybody else's; one that was changed meanwhile is not to be written over by an attempt that
/// arrives late.
const OWN: &str = "(#owner = :owner AND attribute_not_exists(verdict))";

/// Sends a write on `condition`; `false` if the condition was not met.
///
/// The SDK repeats a call whose answer was lost, and the first attempt may have been carried out. A repeated call
/// must not take its own item for another's: that would refuse a login that nobody else has made. So each call marks
/// its item with random bytes, the same for all its attempts, and an item with this mark never stands in its way.
pub(crate) async fn put_once(put: PutItemFluentBuilder, condition: &str) -> Result<bool, Unavailable> {
    let owner = owner()?;
    let put = put
        .item("owner", owner.clone())
        .condition_expression(format!("{condition} OR {OWN}"))
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_values(":owner", owner);
    match put.send().await {
        Ok(_) => Ok(true),
        Err(error) if is_condition_failed(&error) => Ok(false),
        Err(error) => Err(unavailable(&error)),
    }
}

fn owner() -> Result<AttributeValue, Unavailable> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Unavailable::new(SYSTEM, Reason::Failed))?;
    Ok(text(hex(&bytes)))
}

/// A text.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number.
pub(crate) fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// A point in time that is compared.
pub(crate) fn millis(at: Timestamp) -> AttributeValue {
    number(at.as_millis())
}

/// The second from which an item may be cleared away, never before it expires.
pub(crate) fn ttl(expires: Timestamp) -> AttributeValue {
    number(expires.as_millis().div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_cleared_away_early() {
        for (expires, expected) in [(0, "0"), (1, "1"), (999, "1"), (1000, "1"), (1001, "2")] {
            assert_eq!(ttl(Timestamp::from_millis(expires)), AttributeValue::N(expected.into()), "{expires}");
        }
    }

    #[test]
    fn every_call_has_a_mark_of_its_own() {
        assert!(owner().is_ok() && owner() != owner());
    }
}
