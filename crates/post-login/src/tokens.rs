//! The user pool's own tokens, by custom authentication.
//!
//! The proof goes to the pool, whose trigger (the function `custom-auth`) verifies it: nothing of it is used up here.

use backend::{Counters, Https, Secret, SignIn, login_proofs, passkey_identifier};
use domain::{
    Grant, LoginProofs, NoSession, PasskeyIdentifier, PasskeyVerifier, ProviderSignIn, ReplayGuard,
    Timestamp, User, UserDirectory, UserIdentifier,
};
use events::PostLogin;
use settings::Settings;

use crate::{Refusal, random};

/// Signs users in at the pool.
#[derive(Debug)]
pub struct IssueTokens<G = Counters, P = SignIn> {
    guard: G,
    sign_in: P,
    proofs: Option<Secret<LoginProofs>>,
}

impl IssueTokens {
    /// Reads `LOGIN_PROOF_SECRETS` where they are set, and the settings of sign-in and counters.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        if settings.optional("AUTH_SYSTEM").as_deref().map(str::trim) != Some("cognito") {
            settings.problem("AUTH_SYSTEM", "cognito, with SESSION_KIND=cognito");
        }
        let identifier = passkey_identifier(settings);
        if identifier == Some(PasskeyIdentifier::Email) {
            settings.problem("CONNECT_TOKEN_IDENTIFIER", "id, with SESSION_KIND=cognito");
        }
        let proofs = login_proofs(settings);
        let guard = Counters::from_settings(settings, https);
        let sign_in = SignIn::from_settings(settings, https);
        Some(Self { guard: guard?, sign_in: sign_in?, proofs: proofs? })
    }
}

impl<G: ReplayGuard, P: ProviderSignIn> IssueTokens<G, P> {
    pub(crate) fn guard(&self) -> &impl ReplayGuard {
        &self.guard
    }

    /// Signs in the user whom the token names, for the pool's trigger to confirm, or whom the caller names, who is
    /// authenticated: on that word, a proof of our own is made where such proofs are configured.
    pub(crate) async fn issue(
        &self,
        users: &impl UserDirectory,
        verifier: &impl PasskeyVerifier,
        event: PostLogin,
        now: Timestamp,
    ) -> Result<(UserIdentifier, Grant), Refusal> {
        let (user, answer) = match (event.signed_passkey_data, event.user_id) {
            (Some(token), claimed) => {
                let inspected = verifier.inspect(token, now)?;
                inspected.agree_with(claimed.as_ref())?;
                // Nobody has verified the token yet: whether its user exists is not for its bearer to know.
                let user = allowed(users, inspected.user()).await.map_err(|refusal| match refusal {
                    Refusal::NoSession(no_session) => Refusal::NotForThisUser(no_session),
                    other => other,
                })?;
                (user, inspected.token().expose().to_owned())
            }
            (None, Some(claimed)) => {
                let proofs = self.proofs.as_ref().ok_or(Refusal::ProofRequired)?;
                let user = allowed(users, &claimed).await?;
                let proof = proofs.current().await?.make(&user, random()?, now);
                (user, proof.expose().to_owned())
            }
            (None, None) => return Err(Refusal::ProofRequired),
        };
        let grant = self.sign_in.sign_in(&user, &answer).await?;
        Ok((user, grant))
    }
}

/// Finds a user who may sign in, as the directory spells the id. Who must change or reset the password first is sent to the
/// classic login, whatever the pool would do.
async fn allowed(users: &impl UserDirectory, id: &UserIdentifier) -> Result<UserIdentifier, Refusal> {
    let user = users.find(id).await.map_err(Refusal::Unavailable)?.ok_or(NoSession::UserNotFound)?;
    if !user.may_sign_in() {
        return Err(NoSession::MayNotSignIn.into());
    }
    let User { id, .. } = user;
    Ok(id)
}
