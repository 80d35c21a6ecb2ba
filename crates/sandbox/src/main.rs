//! `sandbox run`, `watch`, `invoke`, `sign`: the functions on a laptop.

mod options;

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use options::{Pages, USER_POOL};
use sandbox::function::LogSink;
use sandbox::invoke::{self, Via};
use sandbox::laptop::{self, Laptop};
use sandbox::pool::NamedPool;
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
    #[command(after_help = USER_POOL)]
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
    #[command(after_help = USER_POOL)]
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
    let ground = Ground::of_environment()?;
    let mut laptop = start(port, pages, &ground).await?;
    say(&welcome(&laptop, &ground));
    let functions = laptop.host.invoker();
    let store = sqlite::Store::new(ground.store, Duration::from_secs(5));
    tokio::select! {
        () = deferred::deliver_forever(&functions, &store) => {}
        () = laptop.site.wait() => {}
        () = laptop.host.wait() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    Ok(())
}

/// What a start stands on.
struct Ground {
    environment: HashMap<String, String>,
    pool: Option<NamedPool>,
    secrets: SigningSecrets,
    state: PathBuf,
    store: PathBuf,
}

impl Ground {
    fn of_environment() -> Result<Self, Failure> {
        let environment: HashMap<String, String> = std::env::vars().collect();
        let pool = NamedPool::from_environment(&environment)?;
        let state = state(&environment)?;
        // One place for all, so that `invoke` finds them.
        let secrets = secrets::load_or_create(&state)?;
        let state = pool.as_ref().map_or(state.clone(), |pool| pool.folder(&state));
        let store = store(&environment, &state);
        Ok(Self { environment, pool, secrets, state, store })
    }
}

async fn start(port: u16, pages: Pages, ground: &Ground) -> Result<Laptop, Failure> {
    if pages.fresh {
        laptop::forget(&ground.state, &ground.store)?;
    }
    let options = laptop::Options {
        port: pages.pages_port,
        functions_port: port,
        state: ground.state.clone(),
        store: ground.store.clone(),
        binaries: std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default(),
        bundle: pages.bundle,
        actions_url: pages.actions_url,
        allowed_origins: pages.allow_origin,
        frontend_api_port: pages.frontend_api_port,
        rules: pages.rules.into(),
        pool: ground.pool.clone(),
        environment: ground.environment.clone(),
    };
    let log: LogSink = Arc::new(|_function, line| say(line));
    Ok(Laptop::start(options, &ground.secrets, log).await?)
}

fn welcome(laptop: &Laptop, ground: &Ground) -> String {
    let (functions, pages) = (laptop.host.address(), laptop.site.address().port());
    let port = if functions.port() == 9000 { String::new() } else { format!(" PORT={}", functions.port()) };
    let urls: String =
        WITH_URL.iter().map(|name| format!("  http://{functions}/lambda-url/{name}\n")).collect();
    let store = ground.store.display();
    let users = match &ground.pool {
        Some(pool) => format!("Users: those of the user pool {}. Sessions: {store}", pool.id()),
        None => format!("Users, sessions: {store}"),
    };
    let frontend_api = frontend_api(laptop);
    format!(
        "Open http://localhost:{pages} and, beside it, http://localhost:{pages}/inspector. Ctrl-C ends it all.\n\n\
         {frontend_api}The functions listen:\n\n{urls}\n\
         {users}\n\n\
         Try in another terminal:\n\
         \x20 make invoke{port} F=pre-login E=by-email\n\
         \x20 make invoke{port} F=post-login E=user-id VIA=url\n\
         \x20 make invoke{port} F=post-append E=first-passkey VIA=url\n"
    )
}

/// Says where pages of allowed origins find the Frontend API, if it has a port of its own.
fn frontend_api(laptop: &Laptop) -> String {
    let Some(site) = &laptop.frontend_api else { return String::new() };
    format!("The Frontend API for pages of your own: http://localhost:{}\n\n", site.address().port())
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
    let ground = Ground::of_environment()?;
    pages.actions_url = Some(format!("http://127.0.0.1:{port}"));
    let laptop = start(0, pages, &ground).await?;
    let pages_port = laptop.site.address().port();
    let mut command = tokio::process::Command::new(cargo_lambda);
    command.args(["lambda", "watch", "--disable-cors", "-A", "127.0.0.1", "-P", &port.to_string()]);
    let Ground { environment, pool, secrets, store, .. } = ground;
    command.envs(laptop::environment(&environment, pool.as_ref(), &store, pages_port, port));
    // cargo-lambda has one environment for all functions, so each accepts the secrets of all: on a laptop only.
    let secrets: Vec<_> = secrets.into_values().collect();
    command.env("ACTION_SIGNING_SECRETS", secrets.join(" "));
    let frontend_api = frontend_api(&laptop);
    say(&format!(
        "{frontend_api}Open http://localhost:{pages_port}. The first call of each function compiles it."
    ));
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
