//! The inspector: what happens, as it happens, and switches to see what a user would see.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::Timestamp;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::connect::{Switches, now_millis};
use crate::demo::accounts::Accounts;
use crate::demo::{Application, People};
use crate::journal::Entry;

pub(crate) const ASSETS: [(&str, &str, &str); 2] = [
    ("inspector.js", "text/javascript; charset=utf-8", include_str!("../../web/pages/inspector.js")),
    ("inspector.css", "text/css; charset=utf-8", include_str!("../../web/pages/inspector.css")),
];

type App = State<Arc<Application>>;

/// The routes below `/inspector`.
pub(crate) fn router(app: Arc<Application>) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("../../web/pages/inspector.html"))))
        .route("/journal", get(journal))
        .route("/state", get(state))
        .route("/switches", post(switch))
        .route("/clear", post(clear))
        .route("/end-session", post(end_session))
        .route("/delete-passkey", post(delete_passkey))
        .with_state(app)
}

/// The journal so far, then live (server-sent events).
async fn journal(State(app): App) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (kept, live) = app.journal.follow();
    let coming = stream::unfold(live, |mut live| async move {
        loop {
            match live.recv().await {
                Ok(entry) => return Some((entry, live)),
                // Whoever is too slow misses some.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    let entries = stream::iter(kept).chain(coming);
    Sse::new(entries.map(|entry: Entry| {
        let event = Event::default().id(entry.id.to_string());
        Ok(event.json_data(&entry).unwrap_or_default())
    }))
    .keep_alive(KeepAlive::default())
}

/// Users with MFA settings, sessions and passkeys; and the switches.
async fn state(State(app): App) -> Result<Json<Value>, StatusCode> {
    let switches = app.connect.switches();
    Ok(Json(match &app.people {
        People::Demo(accounts, _) => json!({"users": users(&app, accounts).await?, "switches": switches}),
        // The rest of them is in the pool.
        People::Pool(pool) => {
            let users = app.connect.users().ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
            json!({"userPool": pool.id(), "users": users, "switches": switches})
        }
    }))
}

async fn users(app: &Application, accounts: &Accounts) -> Result<Vec<Value>, StatusCode> {
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let now = Timestamp::from_millis(now_millis());
    let accounts = accounts.store().accounts(now).await.map_err(failed)?;
    let mut users = Vec::new();
    for account in accounts {
        let passkeys = app.connect.passkeys(account.id.as_str()).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        let sessions = account.sessions.iter().map(|session| {
            json!({
                "key": session.key,
                "created": session.created.as_millis(),
                "expires": session.expires.as_millis(),
            })
        });
        users.push(json!({
            "id": account.id.as_str(),
            "username": account.username,
            "email": account.email,
            "status": account.status,
            "mfaEnabled": account.mfa.enabled,
            "preferredMfa": account.mfa.preferred,
            "lastMfaUpdate": account.mfa.last_update.map(Timestamp::as_millis),
            "sessions": sessions.collect::<Vec<_>>(),
            "passkeys": passkeys,
        }));
    }
    Ok(users)
}

async fn switch(State(app): App, Json(switches): Json<Switches>) -> impl IntoResponse {
    if !switches.is_valid() {
        return StatusCode::BAD_REQUEST;
    }
    app.connect.switch(switches);
    StatusCode::NO_CONTENT
}

async fn clear(State(app): App, Json(()): Json<()>) -> StatusCode {
    app.journal.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct SessionKey {
    key: String,
}

async fn end_session(State(app): App, Json(session): Json<SessionKey>) -> StatusCode {
    let People::Demo(accounts, _) = &app.people else { return StatusCode::NOT_FOUND };
    match accounts.store().end_session(session.key).await {
        Ok(true) => StatusCode::NO_CONTENT,
        Ok(false) => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[derive(Deserialize)]
struct PasskeyId {
    user: String,
    id: String,
}

async fn delete_passkey(State(app): App, Json(passkey): Json<PasskeyId>) -> StatusCode {
    match app.connect.delete_passkey(&passkey.user, &passkey.id) {
        Some(true) => StatusCode::NO_CONTENT,
        Some(false) => StatusCode::NOT_FOUND,
        None => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
