//! The function `post-append`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(post_append::App::from_settings).await
}
