//! A FIFO queue as SQS keeps one, with its dead letters.
//!
//! Source: Amazon SQS developer guide, "Amazon SQS FIFO queue delivery logic".

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

/// As in the template: a message that was delivered so often is set aside.
const MOST_DELIVERIES: u32 = 25;
const BATCH: usize = 10;

/// The queue. Pauses between deliveries are left out: what may come again comes at once.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: BTreeMap<u64, Message>,
    names: HashSet<(String, String)>,
    next: u64,
    pub(crate) dead: Vec<String>,
    /// Pauses that were asked for, and those that no delivery goes with.
    pub(crate) pauses: u64,
    pub(crate) bad_pauses: u64,
}

#[derive(Debug)]
struct Message {
    group: String,
    body: String,
    deliveries: u32,
    delivered: bool,
}

impl Queue {
    /// Performs SendMessage or ChangeMessageVisibility.
    pub(crate) fn answer(&mut self, operation: &str, body: &Value) -> Value {
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        match operation {
            "SendMessage" => {
                let id =
                    self.send(text("MessageGroupId"), text("MessageDeduplicationId"), text("MessageBody"));
                json!({"MessageId": id.to_string(), "SequenceNumber": id.to_string()})
            }
            "ChangeMessageVisibility" => {
                self.pauses += 1;
                let receipt = text("ReceiptHandle");
                let known = self.messages.iter().any(|(id, it)| it.delivered && it.receipt(*id) == receipt);
                let pause = body["VisibilityTimeout"].as_u64().unwrap();
                self.bad_pauses += u64::from(!known || pause > 900);
                json!({})
            }
            other => panic!("{other}"),
        }
    }

    /// Keeps a message, once for each name within its group.
    pub(crate) fn send(&mut self, group: String, name: String, body: String) -> u64 {
        self.next += 1;
        if self.names.insert((group.clone(), name)) {
            let message = Message { group, body, deliveries: 0, delivered: false };
            self.messages.insert(self.next, message);
        }
        self.next
    }

    /// Delivers a batch: (id, record). No message overtakes another of its group, and none comes while one of its group is
    /// delivered.
    pub(crate) fn receive(&mut self) -> Vec<(u64, Value)> {
        let tired: Vec<_> = self
            .messages
            .iter()
            .filter(|(_, it)| !it.delivered && it.deliveries >= MOST_DELIVERIES)
            .map(|(id, _)| *id)
            .collect();
        for id in tired {
            self.dead.extend(self.messages.remove(&id).map(|it| it.body));
        }
        let busy: HashSet<_> =
            self.messages.values().filter(|it| it.delivered).map(|it| it.group.clone()).collect();
        let free = self.messages.iter_mut().filter(|(_, it)| !busy.contains(&it.group)).take(BATCH);
        let deliver = |(id, message): (&u64, &mut Message)| {
            message.delivered = true;
            message.deliveries += 1;
            let record = json!({
                "messageId": id.to_string(),
                "receiptHandle": message.receipt(*id),
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": message.deliveries.to_string()},
                "eventSource": "aws:sqs",
            });
            (*id, record)
        };
        free.map(deliver).collect()
    }

    /// Ends a delivery: what is done is forgotten, what is left comes again.
    pub(crate) fn end(&mut self, id: u64, is_done: bool) {
        if is_done {
            self.messages.remove(&id);
        } else if let Some(message) = self.messages.get_mut(&id) {
            message.delivered = false;
        }
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &str> {
        self.messages.values().map(|it| it.body.as_str())
    }
}

impl Message {
    /// Names a delivery; a process to kill is found by its beginning.
    fn receipt(&self, id: u64) -> String {
        format!("post-append/{id}/{}", self.deliveries)
    }
}
