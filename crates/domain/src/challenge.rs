//! Answers to the identity provider's custom challenge: judged once, told as often as the provider asks.
//!
//! A provider that waited too long asks again, while the token was consumed by the first question to Corbado. So each answer is
//! recorded under a hash of all of it: first that Corbado is about to be asked, then the verdict. Only the same user in the same
//! flow is told what is recorded; anybody else is a replay. The records stand where the [`crate::ReplayGuard`] of the other
//! functions keeps its own, so a token counts once wherever it is used.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::encoding::{random_id, read_random_id};
use crate::login_proof::{BadProof, LoginProof, LoginProofs};
use crate::passkey::REMEMBERED;
use crate::session::hash;
use crate::{
    NotVerified, PasskeyVerifier, Rejection, ReplayKey, SignedPasskeyData, Timestamp, Unavailable,
    UserIdentifier,
};

/// 32 random bytes in base64url that mark one run of a sign-in, known to the provider and us only.
#[derive(Debug, Clone)]
pub struct FlowNonce(SecretString);

impl FlowNonce {
    /// Makes a nonce of random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(random_id(bytes))
    }

    /// Reads a nonce that the provider hands back.
    pub fn parse(text: &str) -> Option<Self> {
        read_random_id(text).map(Self)
    }

    /// The nonce itself, for the provider's private parameters.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// SHA-256 of a user and a flow: who alone is told a recorded verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlowKey([u8; 32]);

impl FlowKey {
    /// The key of this user in this flow.
    pub fn new(user: &UserIdentifier, flow: &FlowNonce) -> Self {
        Self(hash(&["flow", user.as_str(), flow.expose()]))
    }

    /// The hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlowKey(..)")
    }
}

/// What came of an answer. Final once it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It proves the user.
    Accepted,
    /// It does not.
    Refused,
    /// Corbado was asked and could not tell; the token may be consumed.
    Unknown,
}

impl Verdict {
    /// The word by which stores keep it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word. One that nobody knows is no yes.
    fn read(word: &str) -> Self {
        let verdicts = [Self::Accepted, Self::Refused];
        verdicts.into_iter().find(|verdict| verdict.as_str() == word).unwrap_or(Self::Unknown)
    }
}

/// What the log knows of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Nothing: it is recorded now, for this flow, as being judged.
    First,
    /// This flow's, and being judged: by another call, or by one that broke off.
    Open,
    /// This flow's, and judged.
    Judged(Verdict),
    /// Another flow's or another function's.
    Foreign,
}

impl Begun {
    /// Reads a record: whether it is this flow's, and the word of its verdict.
    pub fn known(own: bool, verdict: Option<&str>) -> Self {
        match verdict {
            _ if !own => Self::Foreign,
            None => Self::Open,
            Some(word) => Self::Judged(Verdict::read(word)),
        }
    }
}

/// Remembers answers and their verdicts, beside what the replay guard remembers.
pub trait VerdictLog {
    /// Records `answer` for `flow` until `until`, atomically: of any number of calls at the same time, one is first.
    fn begin(
        &self,
        answer: ReplayKey,
        flow: FlowKey,
        until: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Begun, Unavailable>> + Send;

    /// Records the verdict on an answer that was begun for `flow`. A verdict that is there stays; recording the same once
    /// more is no error, another one is.
    fn conclude(
        &self,
        answer: ReplayKey,
        flow: FlowKey,
        verdict: Verdict,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// An answer to a challenge, as the provider passes it on.
#[derive(Debug)]
pub struct Answer<'a> {
    /// What the client sent.
    pub text: &'a SecretString,
    /// The user who signs in.
    pub user: &'a UserIdentifier,
    /// Whether the provider knows the user and lets them sign in so: if not, all is done as if it did, and the answer is wrong.
    pub may_sign_in: bool,
    /// The run of the sign-in.
    pub flow: &'a FlowNonce,
}

impl Answer<'_> {
    /// Tells whether this is meant to be a login proof, and not a token.
    pub fn is_meant_as_proof(&self) -> bool {
        LoginProof::is_meant_by(self.text.expose_secret())
    }
}

/// The judgement on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It proves the user.
    Correct,
    /// It does not.
    Wrong(Wrong),
    /// Another call is at it: ask again in a moment.
    Open,
}

/// Why an answer is wrong. Logged, never told to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The token is no proof.
    #[error("signedPasskeyData: {0}")]
    Token(#[from] Rejection),
    /// The login proof does not hold.
    #[error("login proof: {0}")]
    Proof(#[from] BadProof),
    /// A login proof that was used before.
    #[error("login proof: used before")]
    ProofUsed,
    /// The provider does not know the user, or wants another way of signing in.
    #[error("user: not found, or may not sign in")]
    User,
    /// Refused when it was judged first.
    #[error("refused before")]
    RefusedBefore,
}

/// Why there is no judgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoJudgement {
    /// A system could not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The answer was judged before, and nobody could tell then.
    #[error("an earlier attempt brought no verdict")]
    Lost,
}

/// Judges an answer: a `signedPasskeyData` token or, where `proofs` are configured, a login proof.
///
/// Corbado is asked about a token once, however often this is called.
pub async fn judge(
    verifier: &impl PasskeyVerifier,
    log: &impl VerdictLog,
    proofs: Option<&LoginProofs>,
    answer: &Answer<'_>,
    now: Timestamp,
) -> Result<Judgement, NoJudgement> {
    let text = answer.text.expose_secret();
    if answer.is_meant_as_proof() {
        judge_proof(log, proofs, &LoginProof::new(text), answer, now).await
    } else {
        judge_token(verifier, log, SignedPasskeyData::new(text), answer, now).await
    }
}

async fn judge_token(
    verifier: &impl PasskeyVerifier,
    log: &impl VerdictLog,
    token: SignedPasskeyData,
    answer: &Answer<'_>,
    now: Timestamp,
) -> Result<Judgement, NoJudgement> {
    let wrong = |rejection: Rejection| Ok(Judgement::Wrong(rejection.into()));
    let inspected = match verifier.inspect(token, now) {
        Ok(inspected) => inspected,
        Err(rejection) => return wrong(rejection),
    };
    if inspected.user() != answer.user {
        return wrong(Rejection::OtherUser);
    }
    verifier.prepare().await?;
    let key = ReplayKey::token(inspected.token());
    let flow = FlowKey::new(answer.user, answer.flow);
    let until = inspected.expires().plus(REMEMBERED);
    if let Some(known) = begin(log, key, flow, until, now, Rejection::Replayed.into()).await? {
        return Ok(known);
    }
    match verifier.confirm(&inspected).await {
        Ok(()) => accept(log, key, flow, answer).await,
        Err(NotVerified::Rejected(rejection)) => {
            // A record that fails leaves the answer open, which no later call takes for a yes either.
            let _ = log.conclude(key, flow, Verdict::Refused).await;
            wrong(rejection)
        }
        Err(NotVerified::Unavailable(cause)) => {
            let _ = log.conclude(key, flow, Verdict::Unknown).await;
            Err(cause.into())
        }
    }
}

async fn judge_proof(
    log: &impl VerdictLog,
    proofs: Option<&LoginProofs>,
    proof: &LoginProof,
    answer: &Answer<'_>,
    now: Timestamp,
) -> Result<Judgement, NoJudgement> {
    let checked = proofs.ok_or(BadProof::NotConfigured).and_then(|it| it.check(proof, answer.user, now));
    let expires = match checked {
        Ok(expires) => expires,
        Err(bad) => return Ok(Judgement::Wrong(bad.into())),
    };
    let key = ReplayKey::login_proof(proof);
    let flow = FlowKey::new(answer.user, answer.flow);
    if let Some(known) = begin(log, key, flow, expires.plus(REMEMBERED), now, Wrong::ProofUsed).await? {
        return Ok(known);
    }
    accept(log, key, flow, answer).await
}

/// Begins to judge an answer, or tells what is known of it; `replayed` is what another's answer is called.
async fn begin(
    log: &impl VerdictLog,
    key: ReplayKey,
    flow: FlowKey,
    until: Timestamp,
    now: Timestamp,
    replayed: Wrong,
) -> Result<Option<Judgement>, NoJudgement> {
    Ok(Some(match log.begin(key, flow, until, now).await? {
        Begun::First => return Ok(None),
        Begun::Open => Judgement::Open,
        Begun::Judged(Verdict::Accepted) => Judgement::Correct,
        Begun::Judged(Verdict::Refused) => Judgement::Wrong(Wrong::RefusedBefore),
        Begun::Judged(Verdict::Unknown) => return Err(NoJudgement::Lost),
        Begun::Foreign => Judgement::Wrong(replayed),
    }))
}

/// Records that an answer proves the user; only what is recorded is told, so that a later call cannot hear otherwise.
async fn accept(
    log: &impl VerdictLog,
    key: ReplayKey,
    flow: FlowKey,
    answer: &Answer<'_>,
) -> Result<Judgement, NoJudgement> {
    if !answer.may_sign_in {
        log.conclude(key, flow, Verdict::Refused).await?;
        return Ok(Judgement::Wrong(Wrong::User));
    }
    log.conclude(key, flow, Verdict::Accepted).await?;
    Ok(Judgement::Correct)
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
