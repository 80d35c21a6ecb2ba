//! Events, requests and answers on the wire, to and from the domain.
//!
//! Unknown fields are ignored, known ones are strict: a field that is there with another type, `null`
//! included, is refused and never taken for absent. Cognito's own events ([`custom_auth`]) are read tolerantly instead.

pub mod auth_api;
pub mod custom_auth;
pub mod deferred;
pub mod post_append;
pub mod post_login;
pub mod pre_login;
mod read;

pub use auth_api::{
    ConnectTokenAnswer, ConnectTokenRequest, KindField, LoginAnswer, LoginRequest, SessionAnswer,
};
pub use custom_auth::{Created, CustomAuth, Defined, Response, Round, Trigger, Verified};
pub use deferred::Deferred;
pub use post_append::PostAppend;
pub use post_login::{PostLogin, SessionCreated, TokensIssued};
pub use pre_login::{PreLogin, Resolved};
pub use read::Invalid;

/// `{}`: done, and nothing to tell.
#[derive(Debug, serde::Serialize)]
pub struct Empty {}

/// `{"deferred": true}`: kept, and done later.
#[derive(Debug, serde::Serialize)]
pub struct Later {
    /// Always true.
    pub deferred: bool,
}
