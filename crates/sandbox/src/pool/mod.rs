//! The side of a user pool that option 1 needs: password and custom authentication, tokens under RS256, a key set.
//!
//! Speaks the JSON protocol of Amazon Cognito (`X-Amz-Target`), with the users of the embedded store. The custom
//! challenge is decided by the function `custom-auth`, which is asked as Cognito asks its triggers.
//!
//! Source: Amazon Cognito API reference and developer guide, "Custom authentication challenge Lambda triggers".
//!
//! # Layout
//! - this file: the operations.
//! - `flow`: custom authentication, trigger by trigger.
//! - `tokens`: access and ID tokens.
//! - `named`: another user pool in place of this one.

mod flow;
mod named;
mod tokens;

pub use named::NamedPool;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use domain::{AccountStatus, User, UserDirectory, UserIdentifier};
use serde_json::{Value, json};

use crate::connect::signing::SigningKey;
use crate::demo::accounts::Accounts;
use crate::journal::{Journal, Lane, Note, Outcome};

/// The pool's region, id and app client.
pub const REGION: &str = "eu-central-1";
/// The pool's id.
pub const POOL_ID: &str = "eu-central-1_sandbox";
/// The app client's id.
pub const CLIENT_ID: &str = "sandbox-client";

/// What stands before the name of an operation in `X-Amz-Target`.
const TARGET: &str = "AWSCognitoIdentityProviderService.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const CUSTOM_CHALLENGE: &str = "CUSTOM_CHALLENGE";

/// The pool. Cloning shares it.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    accounts: Accounts,
    key: SigningKey,
    /// Where functions are invoked.
    functions_url: String,
    journal: Journal,
    flows: Mutex<HashMap<String, flow::Flow>>,
    /// When users have signed out everywhere, in milliseconds since the epoch.
    signed_out: Mutex<HashMap<String, u64>>,
}

/// An error as Cognito answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault(&'static str, String);

type Answer = Result<Value, Fault>;

impl Fault {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self(code, message.into())
    }

    fn not_authorized(message: &str) -> Self {
        Self::new("NotAuthorizedException", message)
    }

    fn parameter(message: &str) -> Self {
        Self::new("InvalidParameterException", message)
    }

    fn internal() -> Self {
        Self::new("InternalErrorException", "Something is wrong with the sandbox.")
    }

    fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "The sandbox's user pool knows no such operation.")
    }

    fn unknown_client() -> Self {
        Self::new("ResourceNotFoundException", "User pool client does not exist.")
    }
}

impl From<domain::Unavailable> for Fault {
    fn from(_: domain::Unavailable) -> Self {
        Self::internal()
    }
}

/// No random bytes, or no signature.
impl From<std::io::Error> for Fault {
    fn from(_: std::io::Error) -> Self {
        Self::internal()
    }
}

impl Pool {
    /// Makes a pool of the accounts; its key is kept at `key`, functions are invoked below `functions_url`.
    pub fn open(
        accounts: Accounts,
        key: &Path,
        functions_url: &str,
        journal: Journal,
    ) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            accounts,
            key: SigningKey::load_or_create(key)?,
            functions_url: functions_url.to_owned(),
            journal,
            flows: Mutex::default(),
            signed_out: Mutex::default(),
        })))
    }

    /// `POST /pool`, with or without a slash at its end, and the key set below it.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/pool", post(operation))
            .route("/pool/", post(operation))
            .route("/pool/.well-known/jwks.json", get(jwks))
            .with_state(self.clone())
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

async fn jwks(State(Pool(pool)): State<Pool>) -> Json<Value> {
    Json(pool.key.jwks().clone())
}

async fn operation(State(Pool(pool)): State<Pool>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    let (start, operation) = (Instant::now(), Operation::read(&headers, &body));
    let request = &operation.request;
    let answer = match operation.name.as_str() {
        "InitiateAuth" => pool.initiate_auth(request).await,
        "RespondToAuthChallenge" => pool.respond(request).await,
        "AdminGetUser" => pool.admin_get_user(request).await,
        "GetUser" => pool.get_user(request).await,
        "GlobalSignOut" => pool.global_sign_out(request).await,
        _ => Err(Fault::unknown_operation()),
    };
    operation.answer(answer.map(|body| (StatusCode::OK, body)), start, &pool.journal)
}

/// What is asked of a pool.
struct Operation {
    name: String,
    request: Value,
}

impl Operation {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        Self {
            name: target.strip_prefix(TARGET).unwrap_or_default().to_owned(),
            request: serde_json::from_slice(body).unwrap_or(Value::Null),
        }
    }

    /// Notes the answer, and makes a response of it.
    fn answer(
        self,
        answer: Result<(StatusCode, Value), Fault>,
        start: Instant,
        journal: &Journal,
    ) -> Response {
        let (status, body) = answer.unwrap_or_else(|Fault(code, message)| {
            let internal = code == "InternalErrorException";
            let status = if internal { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
            (status, json!({"__type": code, "message": message}))
        });
        let response = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response();
        let title = if self.name.is_empty() { "no operation" } else { self.name.as_str() };
        journal.record(
            Note::new(Lane::Pool, title, Outcome::of(status.as_u16()))
                .status(status.as_u16())
                .took(start.elapsed())
                .detail(json!({"request": self.request, "answer": body})),
        );
        response
    }
}

fn text<'a>(request: &'a Value, pointer: &str) -> Result<&'a str, Fault> {
    let text = request.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        Fault::parameter(&format!("{} is missing.", pointer.rsplit('/').next().unwrap_or_default()))
    })
}

impl Inner {
    async fn initiate_auth(&self, request: &Value) -> Answer {
        if text(request, "/ClientId")? != CLIENT_ID {
            return Err(Fault::unknown_client());
        }
        let user = text(request, "/AuthParameters/USERNAME")?;
        match text(request, "/AuthFlow")? {
            "CUSTOM_AUTH" => self.begin(user).await,
            "USER_PASSWORD_AUTH" => {
                let password = text(request, "/AuthParameters/PASSWORD")?;
                let id = self.accounts.check(user, password).await?;
                let wrong = || Fault::not_authorized("Incorrect username or password.");
                let user = self.accounts.store().find(&id.ok_or_else(wrong)?).await?.ok_or_else(wrong)?;
                match user.status {
                    AccountStatus::Active => self.issue(&user),
                    AccountStatus::Disabled => Err(Fault::not_authorized("User is disabled.")),
                    AccountStatus::ResetRequired => Err(Fault::new(
                        "PasswordResetRequiredException",
                        "Password reset required for the user",
                    )),
                    _ => Err(Fault::not_authorized("The sandbox has no form for a new password.")),
                }
            }
            _ => Err(Fault::parameter("The sandbox knows CUSTOM_AUTH and USER_PASSWORD_AUTH.")),
        }
    }

    async fn admin_get_user(&self, request: &Value) -> Answer {
        if text(request, "/UserPoolId")? != POOL_ID {
            return Err(Fault::new("ResourceNotFoundException", "User pool does not exist."));
        }
        let user = self.user(text(request, "/Username")?).await?;
        let user = user.ok_or_else(|| Fault::new("UserNotFoundException", "User does not exist."))?;
        let (enabled, status) = status(user.status);
        Ok(json!({
            "Username": user.id.as_str(),
            "UserAttributes": listed(&user),
            "Enabled": enabled,
            "UserStatus": status,
        }))
    }

    /// The user of an access token that is good.
    async fn bearer(&self, request: &Value) -> Result<User, Fault> {
        let revoked = || Fault::not_authorized("Access Token has been revoked");
        let (user, issued) = self
            .read_access_token(text(request, "/AccessToken")?)
            .ok_or_else(|| Fault::not_authorized("Invalid Access Token"))?;
        let out = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner).get(&user).copied();
        if out.is_some_and(|out| issued <= out) {
            return Err(revoked());
        }
        self.user(&user).await?.ok_or_else(revoked)
    }

    async fn get_user(&self, request: &Value) -> Answer {
        let user = self.bearer(request).await?;
        Ok(json!({"Username": user.id.as_str(), "UserAttributes": listed(&user)}))
    }

    async fn global_sign_out(&self, request: &Value) -> Answer {
        let user = self.bearer(request).await?;
        let now = crate::connect::now_millis();
        let mut all = self.signed_out.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(user.id.as_str().to_owned(), now);
        Ok(json!({}))
    }

    async fn user(&self, id: &str) -> Result<Option<User>, Fault> {
        match UserIdentifier::new(id) {
            Ok(id) => Ok(self.accounts.store().find(&id).await?),
            Err(_) => Ok(None),
        }
    }
}

/// Whether a user is enabled, and Cognito's word for the rest.
fn status(status: AccountStatus) -> (bool, &'static str) {
    match status {
        AccountStatus::Active => (true, "CONFIRMED"),
        AccountStatus::Disabled => (false, "CONFIRMED"),
        AccountStatus::ForceChangePassword => (true, "FORCE_CHANGE_PASSWORD"),
        AccountStatus::ResetRequired => (true, "RESET_REQUIRED"),
        _ => (true, "UNKNOWN"),
    }
}

/// The standard attributes of a user, by name.
fn attributes(user: &User) -> impl Iterator<Item = (&'static str, &str)> {
    let email = user.profile.email.as_deref();
    let all = [
        ("sub", Some(user.id.as_str())),
        ("email", email),
        ("email_verified", email.map(|_| "true")),
        ("name", user.profile.display_name.as_deref()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?)))
}

/// The same, as operations answer them.
fn listed(user: &User) -> Vec<Value> {
    attributes(user).map(|(name, value)| json!({"Name": name, "Value": value})).collect()
}
