//! Messages that Lambda's poller takes from an SQS queue, and the answer that names those to deliver again.
//!
//! Source: AWS Lambda developer guide, "Using Lambda with Amazon SQS".

use std::fmt;

use serde::Deserialize;
use serde_json::json;

/// A message, delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// `messageId`.
    pub id: String,
    /// `receiptHandle`: names this delivery.
    pub receipt: String,
    /// `body`.
    pub body: String,
    /// `ApproximateReceiveCount`: how often it was delivered, this time included.
    pub deliveries: u32,
}

// The body may name a user, and whoever has the receipt can end the delivery.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, deliveries, receipt: _, body: _ } = self;
        f.debug_struct("Message").field("id", id).field("deliveries", deliveries).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "Records")]
    records: Vec<RecordWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordWire {
    event_source: String,
    message_id: String,
    receipt_handle: String,
    body: String,
    attributes: Option<AttributesWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributesWire {
    approximate_receive_count: Option<String>,
}

/// Recognises a batch of messages.
pub(crate) fn recognise(payload: &str) -> Option<Vec<Message>> {
    let wire: Wire = serde_json::from_str(payload).ok()?;
    let read = |record: RecordWire| {
        let count = record.attributes.and_then(|it| it.approximate_receive_count?.parse().ok());
        let message = Message {
            id: record.message_id,
            receipt: record.receipt_handle,
            body: record.body,
            deliveries: count.unwrap_or(1),
        };
        (record.event_source == "aws:sqs").then_some(message)
    };
    let messages: Option<Vec<_>> = wire.records.into_iter().map(read).collect();
    messages.filter(|messages| !messages.is_empty())
}

/// Names the messages to deliver again: all others are done.
pub(crate) fn answer(failed: &[String]) -> String {
    let failures: Vec<_> = failed.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({"batchItemFailures": failures}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_batches_of_sqs_only() {
        let record = |source: &str| {
            json!({"messageId": "m1", "receiptHandle": "r1", "body": "b", "eventSource": source,
                   "attributes": {"ApproximateReceiveCount": "3"}, "awsRegion": "eu-central-1"})
        };
        let batch = |records: serde_json::Value| recognise(&json!({"Records": records}).to_string());
        let message = Message { id: "m1".into(), receipt: "r1".into(), body: "b".into(), deliveries: 3 };
        assert_eq!(batch(json!([record("aws:sqs")])), Some(vec![message.clone()]));
        assert_eq!(
            batch(json!([record("aws:sqs"), record("aws:sqs")])),
            Some(vec![message.clone(), message])
        );
        for bad in [
            json!([]),
            json!({}),
            json!([record("aws:s3")]),
            json!([record("aws:sqs"), record("aws:s3")]),
            json!([{}]),
        ] {
            assert_eq!(batch(bad.clone()), None, "{bad}");
        }
        assert_eq!(recognise("{}"), None);
    }

    #[test]
    fn debug_shows_neither_body_nor_receipt() {
        let (receipt, body) = ("planted".to_owned(), "planted".to_owned());
        let shown = format!("{:?}", Message { id: "m1".into(), receipt, body, deliveries: 3 });
        assert!(shown.contains("m1") && !shown.contains("planted"), "{shown}");
    }

    #[test]
    fn names_what_failed() {
        assert_eq!(answer(&[]), r#"{"batchItemFailures":[]}"#);
        assert_eq!(answer(&["m1".into()]), r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#);
    }
}
