//! A function that panics when told to, behind the same edge as the real ones.
#![allow(clippy::panic)]

use std::process::ExitCode;

use lambda::{Action, Call, Problem, Reply};

struct Panicking;

impl Action for Panicking {
    const NAME: &'static str = "panicking";
    const FAILURE: &'static str = "Failed";

    async fn answer(&self, event: &[u8], _call: &Call) -> Result<Reply, Problem> {
        if event.windows(5).any(|window| window == b"panic") {
            panic!("planted panic text");
        }
        Reply::new("done", &serde_json::json!({}))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(|_settings| Some(Panicking)).await
}
