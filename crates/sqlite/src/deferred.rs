//! What is done later: a queue in the file, and the deliveries from it.

use std::fmt;
use std::time::{Duration, SystemTime};

use domain::{Deferrals, Intent, Timestamp, Unavailable};
use rusqlite::params;

use crate::Store;

/// How long a delivered message is nobody else's.
const DELIVERY: Duration = Duration::from_secs(30);

/// A message, delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names the message. Not by the row's number: SQLite gives a number out again, and a receipt may be used late.
    pub receipt: String,
    /// The message.
    pub message: String,
    /// How often it was delivered, this time included.
    pub deliveries: u32,
}

// The message names a user.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("deliveries", &self.deliveries).finish_non_exhaustive()
    }
}

impl Deferrals for Store {
    async fn defer(&self, intent: &Intent, message: &str) -> Result<(), Unavailable> {
        let (name, group, message) = (intent.name(), intent.group(), message.to_owned());
        self.write(move |store| {
            store.execute(
                "INSERT INTO deferred (name, of_group, message, due) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (name) DO NOTHING",
                params![name, group, message],
            )?;
            Ok(())
        })
        .await
    }

    async fn put_off(&self, receipt: &str, pause: Duration) -> Result<(), Unavailable> {
        let name = receipt.to_owned();
        let due = Timestamp::from(SystemTime::now()).plus(pause);
        self.write(move |store| {
            store.execute("UPDATE deferred SET due = ?2 WHERE name = ?1", params![name, due.as_millis()])?;
            Ok(())
        })
        .await
    }
}

impl Store {
    /// Delivers messages that are due at `now`, the oldest of each group only: no message overtakes another of its group. They
    /// come again after half a minute, unless they are done by then.
    pub async fn deliver(&self, limit: u32, now: Timestamp) -> Result<Vec<Delivery>, Unavailable> {
        self.write(move |store| {
            let mut take = store.prepare_cached(
                "UPDATE deferred SET due = ?2, deliveries = deliveries + 1
                 WHERE id IN (
                     SELECT min(id) FROM deferred GROUP BY of_group HAVING min(id) IN
                         (SELECT id FROM deferred WHERE due <= ?1)
                     LIMIT ?3)
                 RETURNING name, message, deliveries",
            )?;
            let until = now.plus(DELIVERY).as_millis();
            let rows = take.query_map(params![now.as_millis(), until, limit], |row| {
                Ok(Delivery { receipt: row.get(0)?, message: row.get(1)?, deliveries: row.get(2)? })
            })?;
            rows.collect()
        })
        .await
    }

    /// Forgets a message that is done.
    pub async fn done(&self, receipt: &str) -> Result<(), Unavailable> {
        let name = receipt.to_owned();
        self.write(move |store| {
            store.execute("DELETE FROM deferred WHERE name = ?1", [name])?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use domain::UserIdentifier;

    use super::*;

    #[tokio::test]
    async fn delivers_in_order_until_done() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("store.sqlite"), Duration::from_secs(5));
        let intent = |user: &str, at| Intent {
            user: UserIdentifier::new(user).unwrap(),
            at: Timestamp::from_secs(at),
        };
        for (user, at) in [("ada", 1), ("ada", 2), ("grace", 1), ("ada", 1)] {
            store.defer(&intent(user, at), &format!("{user} {at}")).await.unwrap();
        }
        let at = Timestamp::from_secs;
        let messages = async |now| {
            let delivered = store.deliver(10, at(now)).await.unwrap();
            let mut shown: Vec<_> =
                delivered.iter().map(|it| format!("{} {}", it.message, it.deliveries)).collect();
            shown.sort();
            shown
        };
        assert_eq!(messages(100).await, ["ada 1 1", "grace 1 1"], "kept once, one of each user");
        assert_eq!(messages(129).await, [""; 0], "being worked on");
        let again = store.deliver(10, at(130)).await.unwrap();
        assert_eq!(again.len(), 2);
        let ada = again.iter().find(|it| it.message == "ada 1").unwrap();
        assert_eq!(ada.deliveries, 2);
        store.done(&ada.receipt).await.unwrap();
        assert_eq!(messages(131).await, ["ada 2 1"], "the next of this user");
        let grace = again.iter().find(|it| it.message == "grace 1").unwrap();
        store.put_off(&grace.receipt, Duration::from_secs(60)).await.unwrap();
        let now = Timestamp::from(SystemTime::now());
        let later = |seconds| now.plus(Duration::from_secs(seconds));
        let grace_is_due =
            async |now| store.deliver(10, now).await.unwrap().iter().any(|it| it.message == "grace 1");
        assert!(!grace_is_due(later(50)).await && grace_is_due(later(70)).await);
        // A receipt that is used late is for no other message, though its row's number is free.
        let due = later(200);
        for delivery in store.deliver(10, due).await.unwrap() {
            store.done(&delivery.receipt).await.unwrap();
            store.defer(&intent("edsger", 1), "edsger 1").await.unwrap();
            store.done(&delivery.receipt).await.unwrap();
            store.done("junk").await.unwrap();
        }
        let left = store.deliver(10, due).await.unwrap();
        assert!(left.iter().any(|it| it.message == "edsger 1"), "{}", left.len());
    }
}
