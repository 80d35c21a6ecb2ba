//! The function `custom-auth`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run_trigger(custom_auth::App::from_settings).await
}
