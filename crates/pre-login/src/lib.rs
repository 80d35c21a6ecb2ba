//! Translates what a user typed into the authentication system's user id.

use backend::Directory;
use domain::{Resolution, Unavailable, UserDirectory};
use events::{PreLogin, Resolved};
use lambda::{Action, Call, Code, Problem, Reply};
use settings::Settings;

/// The action with its directory.
#[derive(Debug)]
pub struct App<U = Directory> {
    users: U,
}

impl App {
    /// Reads the directory's settings.
    pub fn from_settings(settings: &mut Settings<'_>) -> Option<Self> {
        Some(Self { users: Directory::from_settings(settings, None)? })
    }
}

impl<U: UserDirectory> App<U> {
    /// Finds whom the typed identifier means, and whether they can sign in with a passkey.
    pub async fn handle(&self, event: &PreLogin) -> Result<Resolution, Unavailable> {
        Ok(self.users.find_by_identifier(&event.identifier).await?.resolve())
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
