//! The function `auth-api`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    lambda::run_http(auth_api::App::from_settings).await
}
