//! Events, requests and answers on the wire, to and from the domain.
//!
//! Unknown fields are ignored, known ones are strict: a field that is there with another type, `null`
//! included, is refused and never taken for absent.

pub mod auth_api;
pub mod post_append;
pub mod post_login;
pub mod pre_login;
mod read;

pub use auth_api::{
    ConnectTokenAnswer, ConnectTokenRequest, KindField, LoginAnswer, LoginRequest, SessionAnswer,
};
pub use post_append::PostAppend;
pub use post_login::{PostLogin, SessionCreated};
pub use pre_login::{PreLogin, Resolved};
pub use read::Invalid;

/// `{}`: done, and nothing to tell.
#[derive(Debug, serde::Serialize)]
pub struct Empty {}
