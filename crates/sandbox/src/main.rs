//! `sandbox run`, `watch`, `invoke`, `sign`: the functions on a laptop.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use sandbox::connect::{Rules, WhenActionFails};
use sandbox::function::LogSink;
use sandbox::invoke::{self, Via};
use sandbox::laptop::{self, Laptop};
use sandbox::secrets::{self, SigningSecrets};
use sandbox::{FUNCTIONS, WITH_URL, deferred, sample};
use sqlite::store::state_directory;
use webhooks::SigningSecret;

#[derive(Parser)]
#[command(about = "Runs the functions on this machine: no account, no network.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Seed the embedded store, start the local host and serve until Ctrl-C.
    Run {
        /// The port of the functions on 127.0.0.1.
        #[arg(long, default_value_t = 9000)]
        port: u16,
        #[command(flatten)]
        pages: Pages,
    },
    /// Send events/<FUNCTION>/<EVENT>.json to the local host and show the answer.
    Invoke {
        /// The function: pre-login, post-login, post-append, auth-api or custom-auth.
        function: String,
        /// The name of the sample.
        event: String,
        /// How to send it.
        #[arg(long, value_enum, default_value_t = Via::Direct)]
        via: Via,
        /// The port on 127.0.0.1.
        #[arg(long, default_value_t = 9000)]
        port: u16,
        /// The folder of the samples.
        #[arg(long, default_value = "events")]
        events: PathBuf,
    },
    /// Sign a new sample below events/ with the samples' own secret, in place.
    Sign {
        /// The file.
        file: PathBuf,
    },
    /// Seed the embedded store and run the functions under `cargo lambda watch`: saved changes are compiled and served.
    Watch {
        /// The port on 127.0.0.1.
        #[arg(long, default_value_t = 9000)]
        port: u16,
        /// The program `cargo-lambda`.
        #[arg(long, default_value = "cargo-lambda")]
        cargo_lambda: PathBuf,
        #[command(flatten)]
        pages: Pages,
    },
}

/// The demo application.
#[derive(clap::Args)]
struct Pages {
    /// The port of the pages on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    pages_port: u16,
    /// Forget users, passkeys and sessions first.
    #[arg(long)]
    fresh: bool,
    /// Call functions that run elsewhere, below this URL.
    #[arg(long, value_name = "URL")]
    actions_url: Option<String>,
    /// Let pages of this origin mount the web components, too; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// The folder of the bundled web components.
    #[arg(long, default_value = "target/web")]
    bundle: PathBuf,
    #[command(flatten)]
    rules: RuleOptions,
}

/// What Corbado does not document. These rules are ours.
#[derive(clap::Args)]
#[command(next_help_heading = "Rules of ours, where Corbado documents none")]
struct RuleOptions {
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

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { port, pages } => run(port, pages).await,
        Command::Invoke { function, event, via, port, events } => {
            invoke_sample(&events, &function, &event, via, port)
        }
        Command::Sign { file } => sign(&file),
        Command::Watch { port, cargo_lambda, pages } => watch(port, &cargo_lambda, pages).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(port: u16, pages: Pages) -> Result<(), Failure> {
    let environment: HashMap<String, String> = std::env::vars().collect();
    let state = state(&environment)?;
    let secrets = secrets::load_or_create(&state)?;
    let store = store(&environment, &state);
    let mut laptop = start(port, pages, state, environment, &secrets).await?;
    say(&welcome(&laptop, &store));
    let functions = laptop.host.invoker();
    let store = sqlite::Store::new(store, Duration::from_secs(5));
    tokio::select! {
        () = deferred::deliver_forever(&functions, &store) => {}
        () = laptop.site.wait() => {}
        () = laptop.host.wait() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

async fn start(
    port: u16,
    pages: Pages,
    state: PathBuf,
    environment: HashMap<String, String>,
    secrets: &SigningSecrets,
) -> Result<Laptop, Failure> {
    let store = store(&environment, &state);
    if pages.fresh {
        laptop::forget(&state, &store)?;
    }
    let options = laptop::Options {
        port: pages.pages_port,
        functions_port: port,
        state,
        store,
        binaries: std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default(),
        bundle: pages.bundle,
        actions_url: pages.actions_url,
        allowed_origins: pages.allow_origin,
        rules: pages.rules.into(),
        environment,
    };
    let log: LogSink = Arc::new(|_function, line| say(line));
    Ok(Laptop::start(options, secrets, log).await?)
}

fn welcome(laptop: &Laptop, store: &Path) -> String {
    let (functions, pages) = (laptop.host.address(), laptop.site.address().port());
    let port = if functions.port() == 9000 { String::new() } else { format!(" PORT={}", functions.port()) };
    let urls: String =
        WITH_URL.iter().map(|name| format!("  http://{functions}/lambda-url/{name}\n")).collect();
    format!(
        "Open http://localhost:{pages} and, beside it, http://localhost:{pages}/inspector. Ctrl-C ends it all.\n\n\
         The functions listen:\n\n{urls}\n\
         Users, sessions: {}\n\n\
         Try in another terminal:\n\
         \x20 make invoke{port} F=pre-login E=by-email\n\
         \x20 make invoke{port} F=post-login E=user-id VIA=url\n\
         \x20 make invoke{port} F=post-append E=first-passkey VIA=url\n",
        store.display()
    )
}

fn invoke_sample(events: &Path, function: &str, case: &str, via: Via, port: u16) -> Result<(), Failure> {
    let environment: HashMap<String, String> = std::env::vars().collect();
    if !FUNCTIONS.contains(&function) {
        return Err(format!("no function {function}: one of {}", FUNCTIONS.join(", ")).into());
    }
    let cases = sample::cases(events, function)?;
    if !cases.iter().any(|known| known == case) {
        return Err(format!("no sample {case}: one of {}", cases.join(", ")).into());
    }
    let sample = sample::read(events, function, case)?;
    let via = if WITH_URL.contains(&function) { via } else { Via::Direct };
    let secrets = secrets::load_or_create(&state(&environment)?)?;
    // auth-api is called by web pages, which sign nothing.
    let secret = secrets.get(function).map_or(sample::SECRET, String::as_str);
    let secret = SigningSecret::parse(secret).ok_or("the signing secret of this function is malformed")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let base_url = format!("http://127.0.0.1:{port}");
    let reply = invoke::send(&base_url, &sample, via, &secret, now)
        .map_err(|error| format!("{base_url}: {error}; is `make run` running?"))?;
    say(&reply.to_string());
    Ok(())
}

fn sign(file: &Path) -> Result<(), Failure> {
    let mut event = serde_json::from_slice(&std::fs::read(file)?)?;
    sample::sign(&mut event)?;
    std::fs::write(file, format!("{event:#}\n"))?;
    Ok(())
}

async fn watch(port: u16, cargo_lambda: &Path, mut pages: Pages) -> Result<(), Failure> {
    let environment: HashMap<String, String> = std::env::vars().collect();
    let state = state(&environment)?;
    let store = store(&environment, &state);
    let secrets = secrets::load_or_create(&state)?;
    pages.actions_url = Some(format!("http://127.0.0.1:{port}"));
    let laptop = start(0, pages, state, environment.clone(), &secrets).await?;
    let pages_port = laptop.site.address().port();
    let mut command = tokio::process::Command::new(cargo_lambda);
    command.args(["lambda", "watch", "--disable-cors", "-A", "127.0.0.1", "-P", &port.to_string()]);
    command.envs(laptop::environment(&environment, &store, pages_port, port));
    // cargo-lambda has one environment for all functions, so each accepts the secrets of all: on a laptop only.
    let secrets: Vec<_> = secrets.into_values().collect();
    command.env("ACTION_SIGNING_SECRETS", secrets.join(" "));
    say(&format!("Open http://localhost:{pages_port}. The first call of each function compiles it."));
    let mut process = command
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}; `make watch` installs it", cargo_lambda.display()))?;
    tokio::select! {
        status = process.wait() => {
            let status = status?;
            if !status.success() {
                return Err(format!("cargo lambda watch: {status}").into());
            }
        }
        result = tokio::signal::ctrl_c() => {
            // The terminal's Ctrl-C reaches cargo-lambda, too, which then stops its functions.
            result?;
            process.wait().await?;
        }
    }
    Ok(())
}

fn state(environment: &HashMap<String, String>) -> Result<PathBuf, Failure> {
    state_directory(|name| environment.get(name).cloned())
        .ok_or("neither XDG_STATE_HOME nor HOME is set".into())
}

fn store(environment: &HashMap<String, String>, state: &Path) -> PathBuf {
    let path = environment.get("EMBEDDED_STORE").filter(|path| !path.is_empty()).map(PathBuf::from);
    path.unwrap_or_else(|| state.join("store.sqlite"))
}

fn say(text: &str) {
    // A closed terminal is no reason to stop serving.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
