//! How long a piece of work waited for other systems.

use std::cell::Cell;
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

tokio::task_local! {
    static WAITED: Cell<Duration>;
}

/// Does some work, and tells how long it waited for answers of other systems, from each request to the head of its answer.
pub async fn measure<T>(work: impl Future<Output = T>) -> (T, Duration) {
    WAITED
        .scope(Cell::default(), async {
            let done = work.await;
            (done, WAITED.with(Cell::get))
        })
        .await
}

/// A connector that adds to what [`measure`] tells.
#[derive(Debug)]
pub(crate) struct Timed(pub(crate) SharedHttpConnector);

impl HttpConnector for Timed {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let started = Instant::now();
            let answer = answer.await;
            // Nobody may be measuring.
            let _ = WAITED.try_with(|waited| waited.set(waited.get() + started.elapsed()));
            answer
        })
    }
}
