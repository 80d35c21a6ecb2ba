//! The rules of a passkey integration: who may sign in, when MFA flags change, what proves a user.
//!
//! # Layout
//! - [`identity`]: user identifiers and what was typed, validated.
//! - [`time`]: a point in time, always passed in.
//! - [`user`]: a user of the authentication system, and [`user::UserDirectory`], the port to it.
//! - [`encoding`]: bytes as text.
//! - [`deferral`]: what is done later, and the port to where it is kept.
//! - [`mfa`]: when a created passkey changes a user's MFA settings.
//! - [`passkey`]: from a `signedPasskeyData` token to a proven user.
//! - [`session`]: sessions and the replay guard, with their ports.
//! - [`challenge`]: answers to a provider's custom challenge, with the log of their verdicts.
//! - [`login_proof`]: short proofs by which post-login answers such a challenge.
//! - [`connect`]: connect tokens, and the port to their issuer.
//! - [`provider`]: tokens of the identity provider itself, and the ports that verify them and sign users in.
//! - [`rate`]: rate limits, and the port to their counter.
//! - [`unavailable`]: why a system behind a port could not answer.
//!
//! No AWS, no HTTP, no JSON, no clock, no randomness and no environment: all of these are arguments.

pub mod challenge;
pub mod connect;
pub mod deferral;
pub mod encoding;
pub mod identity;
pub mod login_proof;
pub mod mfa;
pub mod passkey;
pub mod provider;
pub mod rate;
pub mod session;
pub mod time;
pub mod unavailable;
pub mod user;

pub use challenge::{
    Answer, Begun, FlowKey, FlowNonce, Judgement, NoJudgement, Verdict, VerdictLog, Wrong, judge,
};
pub use connect::{
    ConnectToken, ConnectTokenIssuer, ConnectTokenKind, ConnectTokenSubject, PasskeyIdentifier,
};
pub use deferral::{Deferrals, Intent, pause_after};
pub use encoding::hex;
pub use identity::{Malformed, TypedIdentifier, UserIdentifier};
pub use login_proof::{BadProof, LoginProof, LoginProofs};
pub use mfa::{MfaPolicy, MfaState, MfaUpdate};
pub use passkey::{
    Inspected, NotVerified, PasskeyClaims, PasskeyVerifier, Rejection, SignedPasskeyData, VerifiedPasskey,
    verify_passkey,
};
pub use provider::{Grant, NoGrant, ProviderSession, ProviderSignIn, ProviderTokens, TokenUse};
pub use rate::{Rate, RateKey, RateLimiter, Window};
pub use session::{
    Claim, NoSession, ProvenUser, ReplayGuard, ReplayKey, Session, SessionId, SessionKey, SessionStore,
    open_session, resume,
};
pub use time::Timestamp;
pub use unavailable::{Reason, Unavailable};
pub use user::{AccountStatus, Candidate, Profile, Resolution, User, UserDirectory};
