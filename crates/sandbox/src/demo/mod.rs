//! The demo application: sign-up and login with a password, then with a passkey, and the list of one's passkeys.
//!
//! What it does by itself is what your own application does already: pages, accounts, passwords. Everything else goes
//! through the functions.
//!
//! # Layout
//! - this file: [`Application`], its pages and routes.
//! - [`accounts`]: the classic login, with passwords.
//! - `proxy`: passes `/auth/…` on to the function auth-api.

pub mod accounts;
mod proxy;

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use domain::{NoSession, UserIdentifier};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::connect::{Connect, LoginOption};
use crate::guard;
use crate::inspector;
use crate::journal::{Journal, Lane, Note, Outcome};
use crate::pool::{self, NamedPool, Pool};
use accounts::{Accounts, NoAccount};
pub(crate) use proxy::FOR_POOL;

/// The name of the cookie that auth-api, and so this application, keeps a session in.
const COOKIE: &str = "session_id";
/// The largest body that a page sends.
const MAX_BODY: usize = 64 * 1024;

const PAGES: [(&str, &str); 4] = [
    ("login", include_str!("../../web/pages/login.html")),
    ("signup", include_str!("../../web/pages/signup.html")),
    ("append", include_str!("../../web/pages/append.html")),
    ("profile", include_str!("../../web/pages/profile.html")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const ASSETS: [(&str, &str, &str); 8] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../web/pages/style.css")),
    ("session.js", JAVASCRIPT, include_str!("../../web/pages/session.js")),
    ("pool.js", JAVASCRIPT, include_str!("../../web/pages/pool.js")),
    ("login.js", JAVASCRIPT, include_str!("../../web/pages/login.js")),
    ("signup.js", JAVASCRIPT, include_str!("../../web/pages/signup.js")),
    ("append.js", JAVASCRIPT, include_str!("../../web/pages/append.js")),
    ("profile.js", JAVASCRIPT, include_str!("../../web/pages/profile.js")),
    ("icon.svg", "image/svg+xml", include_str!("../../web/pages/icon.svg")),
];

/// Scripts from here only. The components put their styles into the page, which takes `unsafe-inline` for styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the application is made of. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Application {
    /// The users.
    pub people: People,
    /// Corbado.
    pub connect: Connect,
    /// What happens.
    pub journal: Journal,
    /// Where the functions are: `/lambda-url/…` below it.
    pub functions_url: String,
    /// Where the auth-api of the user pool is.
    pub pool_functions_url: String,
    /// The folder of the bundled components, `connect.js`.
    pub bundle: PathBuf,
    /// The project at Corbado.
    pub project_id: String,
}

/// Whose accounts these are.
#[derive(Debug, Clone)]
pub enum People {
    /// The demo's own, and a user pool of the sandbox with the same users.
    Demo(Accounts, Pool),
    /// A user pool's, which is not the sandbox's. Passwords are checked there, whatever the option: the demo's own accounts
    /// must not open sessions of users who happen to have the same names.
    Pool(NamedPool),
}

impl People {
    /// The demo's own accounts, where there are any.
    fn accounts(&self) -> Result<&Accounts, Refusal> {
        match self {
            Self::Demo(accounts, _) => Ok(accounts),
            Self::Pool(pool) => {
                let message = format!("Accounts are those of the user pool {}.", pool.id());
                Err(Refusal(StatusCode::FORBIDDEN, message))
            }
        }
    }
}

type App = State<Arc<Application>>;

/// A refusal that a page shows.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"message": self.1}))).into_response()
    }
}

impl Application {
    /// All of it: pages, `/auth`, `/fapi`, `/corbado`, `/pool`, `/inspector`.
    ///
    /// Pages of other origins may be let in to call `frontend`; the rest is for the application's own pages in any case.
    pub fn router(self, frontend: Router) -> Router {
        let connect = self.connect.clone();
        let pool = match &self.people {
            People::Demo(_, pool) => pool.router(),
            People::Pool(pool) => pool.router(&self.journal),
        };
        let app = Arc::new(self);
        Router::new()
            .route("/", get(async || Redirect::to("/login")))
            .route("/{page}", get(page))
            .route("/assets/{name}", get(asset))
            .route("/demo/config", get(config))
            .route("/demo/option", post(choose))
            .route("/demo/sign-up", post(sign_up))
            .route("/demo/login", post(login))
            .route("/auth/{*path}", any(proxy::auth_api))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&app))
            .nest("/inspector", inspector::router(app))
            .layer(middleware::from_fn(headers))
            .nest("/corbado", connect.backend())
            .merge(pool)
            .layer(middleware::from_fn(guard::loopback_only))
            .nest("/fapi", frontend)
    }
}

/// Headers of everything that a browser shows.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let rows: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in rows {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Passkeys are for names, and not for addresses: whoever comes by an address is sent to the name.
async fn page(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if let Some(port) = ["127.0.0.1:", "[::1]:"].iter().find_map(|address| host.strip_prefix(address)) {
        return Redirect::to(&format!("http://localhost:{port}/{name}")).into_response();
    }
    let found = PAGES.iter().find(|(page, _)| *page == name);
    found.map_or_else(not_found, |(_, html)| axum::response::Html(*html).into_response())
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "There is no such page.\n").into_response()
}

async fn asset(State(app): App, Path(name): Path<String>) -> Response {
    if name == "connect.js" {
        let script = tokio::fs::read(app.bundle.join("connect.js")).await.unwrap_or_else(|_| {
            b"document.body.dataset.missing = 'The web components are not built: run `make web`.'".to_vec()
        });
        return ([(header::CONTENT_TYPE, JAVASCRIPT)], script).into_response();
    }
    let found = ASSETS.iter().chain(&inspector::ASSETS).find(|(asset, ..)| *asset == name);
    found.map_or_else(not_found, |(_, kind, text)| ([(header::CONTENT_TYPE, *kind)], *text).into_response())
}

/// What the pages need to know.
async fn config(State(app): App) -> Json<Value> {
    let mut config = match &app.people {
        People::Demo(..) => {
            let mut users: Vec<_> = sqlite::seed::DEMO_USERS.iter().map(|user| user.email).collect();
            users.dedup();
            json!({"poolClientId": pool::CLIENT_ID, "demoUsers": users, "demoPassword": accounts::PASSWORD})
        }
        People::Pool(pool) => json!({"poolClientId": pool.client(), "userPool": pool.id()}),
    };
    if let Some(config) = config.as_object_mut() {
        config.insert("projectId".to_owned(), Value::from(app.project_id.as_str()));
        config.insert("loginOption".to_owned(), json!(app.connect.switches().login_option));
    }
    Json(config)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Choice {
    login_option: LoginOption,
}

async fn choose(State(app): App, Json(choice): Json<Choice>) -> StatusCode {
    let mut switches = app.connect.switches();
    switches.login_option = choice.login_option;
    app.connect.switch(switches);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct SignUp {
    name: String,
    email: String,
    password: String,
}

async fn sign_up(State(app): App, Json(form): Json<SignUp>) -> Result<Response, Refusal> {
    let accounts = app.people.accounts()?;
    let made = accounts.sign_up(&form.name, &form.email, &form.password).await;
    let id = made.map_err(|refused| {
        let status = match refused {
            NoAccount::Invalid(_) => StatusCode::BAD_REQUEST,
            NoAccount::Taken => StatusCode::CONFLICT,
            NoAccount::Unavailable(_) | NoAccount::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, refused.to_string())
    });
    app.note("sign-up", &id.as_ref().map(|_| ()).map_err(|refusal| refusal.0));
    session_of(accounts, id?).await
}

#[derive(Deserialize)]
struct Login {
    identifier: String,
    password: String,
}

async fn login(State(app): App, Json(form): Json<Login>) -> Result<Response, Refusal> {
    let accounts = app.people.accounts()?;
    let id = accounts.check(&form.identifier, &form.password).await;
    let wrong = || Refusal(StatusCode::UNAUTHORIZED, "User name or password are wrong.".to_owned());
    let answer = match id {
        Ok(Some(id)) => session_of(accounts, id).await,
        Ok(None) => Err(wrong()),
        Err(_) => Err(Refusal(StatusCode::INTERNAL_SERVER_ERROR, "Please try again.".to_owned())),
    };
    app.note("login by password", &answer.as_ref().map(|_| ()).map_err(|refusal| refusal.0));
    answer
}

/// Signs a user in with a session of the application, as its classic login always has.
async fn session_of(accounts: &Accounts, id: UserIdentifier) -> Result<Response, Refusal> {
    let opened = accounts.open_session(id).await;
    let (id, _) = opened.map_err(|refused| match refused {
        NoSession::UserNotFound | NoSession::MayNotSignIn => {
            let why = "This user may not sign in, or must change the password first.";
            Refusal(StatusCode::FORBIDDEN, why.to_owned())
        }
        NoSession::Unavailable(_) => {
            Refusal(StatusCode::INTERNAL_SERVER_ERROR, "Please try again.".to_owned())
        }
    })?;
    let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", id.expose());
    Ok(([(header::SET_COOKIE, cookie)], Json(json!({"success": true}))).into_response())
}

impl Application {
    fn note(&self, what: &str, outcome: &Result<(), StatusCode>) {
        let status = outcome.err().unwrap_or(StatusCode::OK).as_u16();
        self.journal.record(Note::new(Lane::Page, what, Outcome::of(status)).status(status));
    }
}
