//! Sessions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};
use domain::{Reason, Session, SessionKey, SessionStore, Timestamp, Unavailable, UserIdentifier, hex};

use crate::failure::{CONDITION_FAILED, is_condition_failed, unavailable};
use crate::table::{millis, put_once, text};
use crate::{SYSTEM, Table};

/// The index that finds a user's sessions.
const BY_USER: &str = "by_user";
/// How many items one BatchWriteItem takes.
const BATCH: i32 = 25;

/// An item, or the key of one.
type Item = HashMap<String, AttributeValue>;

impl SessionStore for Table {
    async fn create(&self, key: SessionKey, session: &Session) -> Result<(), Unavailable> {
        let put = self
            .put(pk(key), session.expires)
            .item("user", text(session.user.as_str()))
            .item("created", millis(session.created))
            .item("last_seen", millis(session.last_seen));
        if put_once(put, "attribute_not_exists(pk)").await? {
            return Ok(());
        }
        Err(Unavailable::new(SYSTEM, Reason::Refused).code(CONDITION_FAILED))
    }

    /// GetItem, consistently: a session that was revoked must not be found, and one just created must be.
    async fn find(&self, key: SessionKey, now: Timestamp) -> Result<Option<Session>, Unavailable> {
        let request = self.client.get_item().table_name(&self.name).key("pk", text(pk(key)));
        let answer = request.consistent_read(true).send().await.map_err(|error| unavailable(&error))?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let session = read(&item).ok_or_else(unreadable)?;
        Ok(Some(session).filter(|session| session.expires > now))
    }

    async fn touch(&self, key: SessionKey, now: Timestamp) -> Result<(), Unavailable> {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(pk(key)))
            .update_expression("SET last_seen = :now")
            // UpdateItem makes an item where there is none: a revoked session would come back.
            .condition_expression("attribute_exists(pk) AND last_seen < :now")
            .expression_attribute_values(":now", millis(now));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_condition_failed(&error) => Ok(()),
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn revoke(&self, key: SessionKey) -> Result<(), Unavailable> {
        self.delete(HashMap::from([("pk".to_owned(), text(pk(key)))])).await
    }

    /// Queries the index, page by page. An index follows its table with a delay, mostly well below a second, so a
    /// session created that shortly before may be missed.
    async fn revoke_all(&self, user: &UserIdentifier) -> Result<(), Unavailable> {
        let mut next = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(BY_USER)
                .key_condition_expression("#user = :user")
                .expression_attribute_names("#user", "user")
                .expression_attribute_values(":user", text(user.as_str()))
                .limit(BATCH)
                .set_exclusive_start_key(next)
                .send()
                .await
                .map_err(|error| unavailable(&error))?;
            self.delete_batch(page.items.unwrap_or_default()).await?;
            next = page.last_evaluated_key;
            if next.is_none() {
                return Ok(());
            }
        }
    }
}

impl Table {
    async fn delete(&self, key: Item) -> Result<(), Unavailable> {
        let request = self.client.delete_item().table_name(&self.name).set_key(Some(key));
        request.send().await.map(|_| ()).map_err(|error| unavailable(&error))
    }

    /// Deletes up to [`BATCH`] items, of which the index gave the keys.
    async fn delete_batch(&self, items: Vec<Item>) -> Result<(), Unavailable> {
        let deletes = items.into_iter().map(|mut item| {
            let pk = item.remove("pk").ok_or_else(unreadable)?;
            let delete = DeleteRequest::builder().key("pk", pk).build().map_err(|_| unreadable())?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        });
        let deletes: Vec<_> = deletes.collect::<Result<_, Unavailable>>()?;
        if deletes.is_empty() {
            return Ok(());
        }
        let request = self.client.batch_write_item().request_items(&self.name, deletes);
        let answer = request.send().await.map_err(|error| unavailable(&error))?;
        // What was throttled out of the batch goes one by one: each of these calls is retried with a pause.
        let left = answer.unprocessed_items.unwrap_or_default().into_values().flatten();
        for delete in left.filter_map(|write| write.delete_request) {
            self.delete(delete.key).await?;
        }
        Ok(())
    }
}

fn pk(key: SessionKey) -> String {
    format!("session#{}", hex(key.as_bytes()))
}

fn read(item: &Item) -> Option<Session> {
    let time = |name| {
        let millis = item.get(name)?.as_n().ok()?.parse().ok()?;
        Some(Timestamp::from_millis(millis))
    };
    Some(Session {
        user: UserIdentifier::new(item.get("user")?.as_s().ok()?).ok()?,
        created: time("created")?,
        expires: time("expires")?,
        last_seen: time("last_seen")?,
    })
}

fn unreadable() -> Unavailable {
    Unavailable::new(SYSTEM, Reason::Unreadable)
}
