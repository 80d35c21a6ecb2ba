//! Amazon SQS: a FIFO queue for what is done later.

use std::time::Duration;

use aws_sdk_sqs::Client;
use domain::{Deferrals, Intent, Unavailable};
use outbound::{Https, aws, failure};
use settings::Settings;

/// The name of this system in logs.
const SYSTEM: &str = "sqs";

/// A FIFO queue. Needs the permissions SendMessage and ChangeMessageVisibility; Lambda, which delivers, also ReceiveMessage,
/// DeleteMessage and GetQueueAttributes.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Reads `DEFER_QUEUE_URL` and the AWS settings.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let url = settings.url("DEFER_QUEUE_URL");
        let url = url.filter(|url| {
            let fifo = url.ends_with(".fifo");
            if !fifo {
                settings.problem("DEFER_QUEUE_URL", "a FIFO queue, whose name ends in .fifo");
            }
            fifo
        });
        let config = aws::sdk_config(settings, https, "AWS_ENDPOINT_URL_SQS");
        let client = Client::new(&config?);
        Some(Self { client, url: url? })
    }
}

impl Deferrals for Queue {
    /// SendMessage. Sent twice within five minutes, it is kept once.
    async fn defer(&self, intent: &Intent, message: &str) -> Result<(), Unavailable> {
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_group_id(intent.group())
            .message_deduplication_id(intent.name())
            .message_body(message);
        request.send().await.map_err(|error| failure::sdk_unavailable(SYSTEM, &error, |_| None))?;
        Ok(())
    }

    /// ChangeMessageVisibility.
    async fn put_off(&self, receipt: &str, pause: Duration) -> Result<(), Unavailable> {
        let seconds = i32::try_from(pause.as_secs()).unwrap_or(i32::MAX);
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds);
        request.send().await.map_err(|error| failure::sdk_unavailable(SYSTEM, &error, |_| None))?;
        Ok(())
    }
}
