//! The function `pre-login`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run(pre_login::App::from_settings).await
}
