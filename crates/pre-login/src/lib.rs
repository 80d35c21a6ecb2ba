//! Translates what a user typed into the authentication system's user id.

use backend::{Directory, passkey_identifier};
use domain::{PasskeyIdentifier, Resolution, Unavailable, UserDirectory, UserIdentifier};
use events::{PreLogin, Resolved};
use lambda::{Action, Call, Code, Problem, Reply};
use settings::Settings;

/// The action with its directory.
#[derive(Debug)]
pub struct App<U = Directory> {
    users: U,
    identifier: PasskeyIdentifier,
}

impl App {
    /// Reads `CONNECT_TOKEN_IDENTIFIER` and the directory's settings.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        let users = Directory::from_settings(settings, None);
        let identifier = passkey_identifier(settings);
        Some(Self { users: users?, identifier: identifier? })
    }
}

impl<U: UserDirectory> App<U> {
    /// Finds whom the typed identifier means, and whether they can sign in with a passkey.
    pub async fn handle(&self, event: &PreLogin) -> Result<Resolution, Unavailable> {
        let resolution = self.users.find_by_identifier(&event.identifier).await?.resolve();
        match (resolution, self.identifier) {
            (Resolution::Found(id), PasskeyIdentifier::Email) => self.by_email(&id).await,
            (resolution, _) => Ok(resolution),
        }
    }

    /// The answer where passkeys are kept under the e-mail address.
    async fn by_email(&self, id: &UserIdentifier) -> Result<Resolution, Unavailable> {
        let Some(user) = self.users.find(id).await? else { return Ok(Resolution::Untyped) };
        let email = self.identifier.of(&user, &self.users).await?;
        Ok(email.map_or(Resolution::Untyped, Resolution::Found))
    }
}

impl<U: UserDirectory + Send + Sync> Action for App<U> {
    const NAME: &'static str = "pre-login";
    const FAILURE: &'static str = "Failed to resolve the identifier";

    async fn answer(&self, event: &[u8], call: &Call) -> Result<Reply, Problem> {
        let event = PreLogin::parse(event).map_err(|cause| Problem::new(Code::InvalidRequest, cause))?;
        match self.handle(&event).await {
            Ok(resolution) => {
                if let Resolution::Found(id) = &resolution {
                    call.about(id.as_str());
                }
                reply(resolution, None)
            }
            Err(cause) => reply(Resolution::Untyped, Some(cause.to_string())),
        }
    }

    /// A well-formed event is always answered 200: Corbado then falls back to the classic login.
    fn failed(&self, problem: Problem) -> Result<Reply, Problem> {
        reply(Resolution::Untyped, problem.cause)
    }
}

fn reply(resolution: Resolution, cause: Option<String>) -> Result<Reply, Problem> {
    let body = Resolved::new(resolution);
    let outcome = match (body.code(), &cause) {
        (_, Some(_)) => "failed",
        (Some(_), None) => "refused",
        (None, None) => "found",
    };
    Ok(Reply::new(outcome, &body)?.code(body.code()).cause(cause))
}
