//! Hands the updates that post-append has put off back to it, when they are due: what Lambda's poller does for a queue in SQS.

use std::time::{Duration, SystemTime};

use domain::{Timestamp, Unavailable};
use serde_json::{Value, json};
use sqlite::{Delivery, Store};

use crate::function::Outcome;
use crate::host::Invoker;

/// How many messages one batch has at most.
const BATCH: u32 = 10;
/// How often the queue is looked at.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks for due messages again and again. A store that cannot be used now may be a moment later.
pub async fn deliver_forever(functions: &Invoker, store: &Store) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let _ = deliver(functions, store, SystemTime::now().into()).await;
    }
}

/// Hands over what is due at `now`, and forgets what is done; returns how many messages stay.
pub async fn deliver(functions: &Invoker, store: &Store, now: Timestamp) -> Result<usize, Unavailable> {
    let deliveries = store.deliver(BATCH, now).await?;
    if deliveries.is_empty() {
        return Ok(0);
    }
    let left = match functions.invoke("post-append", batch(&deliveries).to_string()).await {
        Some(Outcome::Answered(answer)) => left(&answer),
        // It crashed, or is not there: all of them come again.
        Some(Outcome::Failed(_)) | None => None,
    };
    let stays = |delivery: &&Delivery| left.as_ref().is_none_or(|left| left.contains(&delivery.receipt));
    for delivery in deliveries.iter().filter(|delivery| !stays(delivery)) {
        store.done(&delivery.receipt).await?;
    }
    Ok(deliveries.iter().filter(stays).count())
}

fn batch(deliveries: &[Delivery]) -> Value {
    let record = |delivery: &Delivery| {
        json!({
            "messageId": delivery.receipt,
            "receiptHandle": delivery.receipt,
            "body": delivery.message,
            "attributes": {"ApproximateReceiveCount": delivery.deliveries.to_string()},
            "eventSource": "aws:sqs",
        })
    };
    json!({"Records": deliveries.iter().map(record).collect::<Vec<_>>()})
}

/// The messages that come again; `None` if the answer does not say.
fn left(answer: &[u8]) -> Option<Vec<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = answer.get("batchItemFailures")?.as_array()?;
    failures.iter().map(|it| Some(it.get("itemIdentifier")?.as_str()?.to_owned())).collect()
}
