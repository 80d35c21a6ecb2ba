//! Everything together, as `make run` starts it: functions, Corbado, user pool, demo application, inspector.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use webhooks::SigningSecret;

use crate::connect::{Actions, Connect, LoginOption, Rules, Settings, Switches, Target};
use crate::demo::accounts::Accounts;
use crate::demo::{Application, People};
use crate::function::{self, LogSink, random_name};
use crate::host::{Host, local_functions, own_origins};
use crate::journal::{Journal, Lane, Note, Outcome};
use crate::pool::{self, NamedPool, Pool};
use crate::secrets::SigningSecrets;
use crate::site::{Place, Site, readable};
use crate::{ACTIONS, corbado};

/// How it is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port of the pages; 0 takes a free one.
    pub port: u16,
    /// The port of the functions; 0 takes a free one.
    pub functions_port: u16,
    /// Where what is made is kept.
    pub state: PathBuf,
    /// The embedded store.
    pub store: PathBuf,
    /// The folder of the functions' binaries.
    pub binaries: PathBuf,
    /// The folder of the bundled web components.
    pub bundle: PathBuf,
    /// Serves the Frontend API on a port of its own, too; 0 takes a free one.
    pub frontend_api_port: Option<u16>,
    /// The functions run elsewhere, below this URL.
    pub actions_url: Option<String>,
    /// Origins of pages of your own that may mount the components.
    pub allowed_origins: Vec<String>,
    /// What Corbado does not document.
    pub rules: Rules,
    /// The user pool whose users these are, in place of the demo's own.
    pub pool: Option<NamedPool>,
    /// The environment that the functions get.
    pub environment: HashMap<String, String>,
}

/// All of it, running. Dropping it stops it.
#[derive(Debug)]
pub struct Laptop {
    /// The functions.
    pub host: Host,
    /// Everything else.
    pub site: Site,
    /// The Frontend API by itself, for pages of allowed origins.
    pub frontend_api: Option<Site>,
    /// Corbado.
    pub connect: Connect,
    /// What happens.
    pub journal: Journal,
}

impl Laptop {
    /// Starts it. `log` gets every line that a function writes.
    pub async fn start(options: Options, secrets: &SigningSecrets, log: LogSink) -> std::io::Result<Self> {
        let place = take(options.port).await?;
        let frontend_api = match options.frontend_api_port {
            Some(port) => Some(take(port).await?),
            None => None,
        };
        let functions_place = take(options.functions_port).await?;
        let functions_port = functions_place.port();
        let journal = Journal::default();
        let pool = options.pool.as_ref();
        let environment =
            environment(&options.environment, pool, &options.store, place.port(), functions_port);
        let mut functions = local_functions(&options.binaries, functions_port, &environment, secrets);
        functions.extend(auth_api_of_pool(&functions, pool, place.port()));
        if options.actions_url.is_some() {
            // Nobody else runs this one.
            functions.retain(|function| function.name == crate::demo::FOR_POOL);
        }
        let functions_url =
            options.actions_url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{functions_port}"));

        let state = &options.state;
        let connect = Connect::open(
            Settings {
                state: state.clone(),
                project_id: corbado::PROJECT_ID.to_owned(),
                api_secret: corbado::API_SECRET.to_owned(),
                // Nobody needs it who does not set one.
                api_key: random_name()?,
                rp_id: "localhost".to_owned(),
                origins: origins(place.port(), &options.allowed_origins),
                actions: Actions::new(targets(&functions_url, secrets), options.rules.action_timeout),
                rules: options.rules,
            },
            journal.clone(),
        )?;
        let people = match options.pool {
            Some(pool) => {
                connect
                    .switch(Switches { login_option: LoginOption::SystemExtension, ..Switches::default() });
                People::Pool(pool)
            }
            None => demo_people(state, &options.store, &functions_url, &journal).await?,
        };
        let application = Application {
            people,
            connect: connect.clone(),
            journal: journal.clone(),
            functions_url,
            pool_functions_url: format!("http://127.0.0.1:{functions_port}"),
            bundle: options.bundle,
            project_id: corbado::PROJECT_ID.to_owned(),
        };
        // Not before all is there that functions and pages need: whoever is answered may go on at once.
        let host = Host::start(functions_place, functions, noting(&journal, log)).await?;
        let allowed = &options.allowed_origins;
        let frontend = |url: String| readable(connect.frontend(&url), allowed);
        let frontend_api = frontend_api.map(|place| {
            let router = frontend(format!("http://localhost:{}", place.port()));
            place.serve(router, allowed)
        });
        let router = application.router(frontend(format!("http://localhost:{}/fapi", place.port())));
        let site = place.serve(router, allowed);
        Ok(Self { host, site, frontend_api, connect, journal })
    }
}

async fn take(port: u16) -> std::io::Result<Place> {
    Place::take(port).await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("127.0.0.1:{port}: {error}; choose another port"))
    })
}

/// The demo's own users, and a user pool of them.
async fn demo_people(
    state: &Path,
    store: &Path,
    functions_url: &str,
    journal: &Journal,
) -> std::io::Result<People> {
    let store = sqlite::Store::new(store, Duration::from_secs(5));
    store.seed(&sqlite::seed::DEMO_USERS).await.map_err(std::io::Error::other)?;
    let accounts = Accounts::open(store, state.join("demo-passwords.json"))?;
    let key = state.join("pool-signing-key.pem");
    let pool = Pool::open(accounts.clone(), &key, functions_url, journal.clone())?;
    Ok(People::Demo(accounts, pool))
}

/// What functions are told beside `environment`: where the store, the pages and Corbado are, and of the user pool, unless
/// they are told already.
pub fn environment(
    environment: &HashMap<String, String>,
    pool: Option<&NamedPool>,
    store: &Path,
    port: u16,
    functions_port: u16,
) -> HashMap<String, String> {
    let mut environment = environment.clone();
    let origins = format!("http://localhost:{port} {}", own_origins(functions_port));
    environment.entry("ALLOWED_ORIGINS".into()).or_insert(origins);
    // Not every browser takes a secure cookie from http://localhost.
    environment.entry("SESSION_COOKIE_INSECURE".into()).or_insert_with(|| "true".into());
    environment.insert("EMBEDDED_STORE".into(), store.display().to_string());
    if let Some(pool) = pool {
        let is_set = |name: &str| environment.get(name).is_some_and(|value| !value.trim().is_empty());
        let mut defaults = pool.defaults();
        defaults.retain(|(name, _)| !is_set(name));
        if !is_set("AWS_REGION") && !is_set("AWS_DEFAULT_REGION") {
            defaults.push(("AWS_REGION", pool.region().to_owned()));
        }
        environment.extend(defaults.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    if !environment.contains_key("CORBADO_PROJECT_ID") {
        environment.insert("CORBADO_PROJECT_ID".into(), corbado::PROJECT_ID.to_owned());
        environment.insert("CORBADO_API_SECRET".into(), corbado::API_SECRET.to_owned());
        environment.insert("CORBADO_BACKEND_API_URL".into(), format!("http://127.0.0.1:{port}/corbado"));
    }
    environment
}

/// The same auth-api once more, set up for the user pool: what option 1 deploys.
fn auth_api_of_pool(
    functions: &[function::Settings],
    named: Option<&NamedPool>,
    port: u16,
) -> Option<function::Settings> {
    let mut settings = functions.iter().find(|it| it.name == "auth-api")?.clone();
    settings.name = crate::demo::FOR_POOL.to_owned();
    let url = format!("http://127.0.0.1:{port}/pool");
    let keys = format!("{url}/.well-known/jwks.json");
    let mut pairs =
        vec![("AUTH_SYSTEM", "cognito"), ("SESSION_STORE", "embedded"), ("COGNITO_CHECK_REVOCATION", "true")];
    // A named pool, its region and credentials are in the environment.
    if named.is_none() {
        // A profile or a session of a real account must not get in the way.
        settings.environment.retain(|name, _| !name.starts_with("AWS_"));
        pairs.extend([
            ("USER_POOL_ID", pool::POOL_ID),
            ("USER_POOL_CLIENT_ID", pool::CLIENT_ID),
            ("COGNITO_JWKS_URL", &keys),
            ("AWS_REGION", pool::REGION),
            ("AWS_ACCESS_KEY_ID", "sandbox"),
            ("AWS_SECRET_ACCESS_KEY", "sandbox"),
            ("AWS_ENDPOINT_URL", &url),
        ]);
    }
    settings.environment.extend(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    Some(settings)
}

fn origins(port: u16, allowed: &[String]) -> Vec<String> {
    let own = format!("http://localhost:{port}");
    std::iter::once(own).chain(allowed.iter().cloned()).collect()
}

fn targets(functions_url: &str, secrets: &SigningSecrets) -> BTreeMap<String, Target> {
    let targets = ACTIONS.iter().filter_map(|name| {
        let secret = SigningSecret::parse(secrets.get(*name)?)?;
        Some(((*name).to_owned(), Target { url: format!("{functions_url}/lambda-url/{name}"), secret }))
    });
    targets.collect()
}

/// Notes the lines of the functions in the journal, and passes them on.
fn noting(journal: &Journal, log: LogSink) -> LogSink {
    let journal = journal.clone();
    Arc::new(move |function, line| {
        if let Ok(Value::Object(fields)) = serde_json::from_str(line) {
            let status = fields.get("status").and_then(Value::as_u64).and_then(|it| u16::try_from(it).ok());
            let outcome = fields.get("outcome").and_then(Value::as_str).unwrap_or("log");
            let mut note = Note::new(
                Lane::Function,
                format!("{function}: {}", outcome.replace('_', " ")),
                status.map_or(Outcome::Done, Outcome::of),
            );
            if let Some(status) = status {
                note = note.status(status);
            }
            if let Some(duration) = fields.get("duration_ms").and_then(Value::as_f64) {
                note = note.took(Duration::from_secs_f64(duration.max(0.0) / 1e3));
            }
            journal.record(note.detail(Value::Object(fields)));
        }
        log(function, line);
    })
}

/// Removes what was made and kept below `state`, and the embedded store: users, passkeys, sessions.
pub fn forget(state: &Path, store: &Path) -> std::io::Result<()> {
    let stores = [store.to_owned(), state.join("corbado.sqlite")];
    let files = stores
        .iter()
        .flat_map(|path| ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", path.display()))));
    for file in files.chain([state.join("demo-passwords.json")]) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(std::io::Error::new(error.kind(), format!("{}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}
