//! Where it is kept what is done later.

use std::time::Duration;

use domain::{Intent, Unavailable};
use outbound::{Https, Trust};
use settings::Settings;

/// The queue that is configured.
#[derive(Debug, Clone)]
pub enum Deferrals {
    /// Amazon SQS.
    Sqs(Box<sqs::Queue>),
    /// The embedded store. Not in a deployed build.
    #[cfg(feature = "embedded")]
    Embedded(sqlite::Store),
}

impl Deferrals {
    /// Reads `DEFER_QUEUE_URL`: the URL of a FIFO queue, or `embedded` on a laptop; `Some(None)` where it is not set.
    #[allow(clippy::option_option, reason = "a setting may be malformed, and may be absent")]
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Option<Self>> {
        match settings.optional("DEFER_QUEUE_URL").as_deref().map(str::trim) {
            None => Some(None),
            #[cfg(feature = "embedded")]
            Some("embedded") => sqlite::Store::from_settings(settings).map(Self::Embedded).map(Some),
            Some(_) => {
                let https = Https::from_settings(settings, Trust::Aws)?;
                sqs::Queue::from_settings(settings, &https).map(Box::new).map(Self::Sqs).map(Some)
            }
        }
    }
}

impl domain::Deferrals for Deferrals {
    async fn defer(&self, intent: &Intent, message: &str) -> Result<(), Unavailable> {
        match self {
            Self::Sqs(queue) => queue.defer(intent, message).await,
            #[cfg(feature = "embedded")]
            Self::Embedded(store) => store.defer(intent, message).await,
        }
    }

    async fn put_off(&self, receipt: &str, pause: Duration) -> Result<(), Unavailable> {
        match self {
            Self::Sqs(queue) => queue.put_off(receipt, pause).await,
            #[cfg(feature = "embedded")]
            Self::Embedded(store) => store.put_off(receipt, pause).await,
        }
    }
}
