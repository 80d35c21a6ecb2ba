//! What `sandbox run` and `watch` take.

use std::path::PathBuf;
use std::time::Duration;

use sandbox::connect::{Rules, WhenActionFails};

/// Below the options.
pub(crate) const USER_POOL: &str = "\
User pool:
  With USER_POOL_ID and USER_POOL_CLIENT_ID in the environment, the accounts are those of that pool, real or emulated, and
  option 1 signs in there; region, credentials and AWS_ENDPOINT_URL are read as the functions read them. The app client has
  no secret, and allows ALLOW_USER_PASSWORD_AUTH and ALLOW_CUSTOM_AUTH. The pool's triggers are its own: they must reach the
  stand-in for Corbado at http://localhost:<PAGES_PORT>/corbado, as those of an emulator on this machine do.";

/// The demo application.
#[derive(clap::Args)]
pub(crate) struct Pages {
    /// The port of the pages on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    pub(crate) pages_port: u16,
    /// Forget users, passkeys and sessions first.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Call functions that run elsewhere, below this URL.
    #[arg(long, value_name = "URL")]
    pub(crate) actions_url: Option<String>,
    /// Let pages of this origin mount the web components, too; may be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(crate) allow_origin: Vec<String>,
    /// Serve the Frontend API to those pages at the root of this port on 127.0.0.1, too, and nothing else there.
    #[arg(long, value_name = "PORT", requires = "allow_origin")]
    pub(crate) frontend_api_port: Option<u16>,
    /// The folder of the bundled web components.
    #[arg(long, default_value = "target/web")]
    pub(crate) bundle: PathBuf,
    #[command(flatten)]
    pub(crate) rules: RuleOptions,
}

/// What Corbado does not document. These rules are ours.
#[derive(clap::Args)]
#[command(next_help_heading = "Rules of ours, where Corbado documents none")]
pub(crate) struct RuleOptions {
    /// How long a connect token lives, in seconds, when its creator does not say.
    #[arg(long, default_value_t = 300)]
    connect_token_lifetime: u64,
    /// Let connect tokens to append and to delete work more than once.
    #[arg(long)]
    connect_tokens_work_again: bool,
    /// How long signedPasskeyData is valid, in seconds.
    #[arg(long, default_value_t = 300)]
    proof_lifetime: u64,
    /// How long browsers keep the answer to an init, in seconds.
    #[arg(long, default_value_t = 0)]
    init_lifetime: u64,
    /// How long an action may take, in seconds.
    #[arg(long, default_value_t = 8)]
    action_timeout: u64,
    /// What becomes of a login whose pre-login fails.
    #[arg(long, value_enum, default_value_t = WhenActionFails::FallBack)]
    when_pre_login_fails: WhenActionFails,
    /// What becomes of a login whose post-login fails.
    #[arg(long, value_enum, default_value_t = WhenActionFails::FallBack)]
    when_post_login_fails: WhenActionFails,
    /// What becomes of an append whose post-append fails; the passkey is kept in either case.
    #[arg(long, value_enum, default_value_t = WhenActionFails::GoOn)]
    when_post_append_fails: WhenActionFails,
}

impl From<RuleOptions> for Rules {
    fn from(options: RuleOptions) -> Self {
        Self {
            connect_token_lifetime: Duration::from_secs(options.connect_token_lifetime),
            connect_tokens_work_once: !options.connect_tokens_work_again,
            proof_lifetime: Duration::from_secs(options.proof_lifetime),
            init_lifetime: Duration::from_secs(options.init_lifetime),
            action_timeout: Duration::from_secs(options.action_timeout),
            when_pre_login_fails: options.when_pre_login_fails,
            when_post_login_fails: options.when_post_login_fails,
            when_post_append_fails: options.when_post_append_fails,
            ..Self::default()
        }
    }
}

/// Takes what browsers send as `Origin`: another spelling would never match.
fn origin(text: &str) -> Result<String, &'static str> {
    let name = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
    let spelt = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte));
    if spelt { Ok(text.to_owned()) } else { Err("an origin, such as http://localhost:3000") }
}
