//! The function `post-login`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(post_login::App::from_settings).await
}
