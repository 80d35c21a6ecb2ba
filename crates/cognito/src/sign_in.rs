//! Signs users in by the pool's custom authentication, whose triggers are the function `custom-auth`.

use std::time::Duration;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::config::Config;
use aws_sdk_cognitoidentityprovider::config::retry::RetryConfig;
use aws_sdk_cognitoidentityprovider::config::timeout::TimeoutConfig;
use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use aws_sdk_cognitoidentityprovider::types::{AuthFlowType, AuthenticationResultType, ChallengeNameType};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Grant, NoGrant, ProviderSignIn, Reason, Unavailable, UserIdentifier};
use outbound::{Https, aws};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use secrets::{Name, Secret};
use settings::Settings;

use crate::SYSTEM;
use crate::failure::unavailable;

/// The time limit of the call that asks for the challenge: two triggers run in it, which may have to start first.
const START_LIMIT: Duration = Duration::from_secs(5);
/// The time limit of the call that carries the answer: two triggers run in it, and it is never repeated.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

/// One app client of a pool. Needs the permissions AdminInitiateAuth and AdminRespondToAuthChallenge.
#[derive(Debug, Clone)]
pub struct SignIn {
    client: Client,
    pool: String,
    app_client: String,
    app_client_secret: Option<Secret<SecretString>>,
}

impl SignIn {
    /// Reads `USER_POOL_ID`, `USER_POOL_CLIENT_ID`, `USER_POOL_CLIENT_SECRET` or its ARN where the client has one, and the AWS
    /// settings.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let pool = settings.required("USER_POOL_ID").map(|pool| pool.trim().to_owned());
        let app_client = settings.required("USER_POOL_CLIENT_ID").map(|client| client.trim().to_owned());
        let app_client = app_client.filter(|client| {
            let one = !client.contains(char::is_whitespace);
            if !one {
                settings.problem("USER_POOL_CLIENT_ID", "one, to sign users in with");
            }
            one
        });
        const SECRET: Name = Name { value: "USER_POOL_CLIENT_SECRET", arn: "USER_POOL_CLIENT_SECRET_ARN" };
        let secret = Secret::from_settings(settings, SECRET, "not empty", |text| Some(text.clone()));
        let config = aws::sdk_config(settings, https, "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER");
        let client = Client::new(&config?);
        Some(Self { client, pool: pool?, app_client: app_client?, app_client_secret: secret? })
    }

    /// AdminInitiateAuth: makes a challenge and returns its session. May be repeated, since nothing is answered yet.
    async fn start(&self, user: &UserIdentifier, secret_hash: Option<&str>) -> Result<String, NoGrant> {
        let request = self
            .client
            .admin_initiate_auth()
            .user_pool_id(&self.pool)
            .client_id(&self.app_client)
            .auth_flow(AuthFlowType::CustomAuth)
            .auth_parameters("USERNAME", user.as_str());
        let request = match secret_hash {
            Some(hash) => request.auth_parameters("SECRET_HASH", hash),
            None => request,
        };
        let limits = TimeoutConfig::builder()
            .operation_timeout(START_LIMIT)
            .operation_attempt_timeout(START_LIMIT)
            .build();
        let limited = Config::builder().timeout_config(limits);
        let answer = request.customize().config_override(limited).send().await;
        let answer = answer.map_err(|error| match error.code() {
            Some(
                "UserNotFoundException" | "UserNotConfirmedException" | "PasswordResetRequiredException",
            ) => NoGrant::User,
            _ => unavailable(&error).into(),
        })?;
        // A pool without triggers might hand out tokens right here, for nothing.
        match (answer.challenge_name, answer.session) {
            (Some(ChallengeNameType::CustomChallenge), Some(session)) => Ok(session),
            _ => Err(unreadable()),
        }
    }

    /// AdminRespondToAuthChallenge, once: the answer counts once.
    async fn respond(
        &self,
        user: &UserIdentifier,
        secret_hash: Option<&str>,
        session: String,
        answer: &str,
    ) -> Result<AuthenticationResultType, NoGrant> {
        let request = self
            .client
            .admin_respond_to_auth_challenge()
            .user_pool_id(&self.pool)
            .client_id(&self.app_client)
            .challenge_name(ChallengeNameType::CustomChallenge)
            .session(session)
            .challenge_responses("USERNAME", user.as_str())
            .challenge_responses("ANSWER", answer);
        let request = match secret_hash {
            Some(hash) => request.challenge_responses("SECRET_HASH", hash),
            None => request,
        };
        let limits = TimeoutConfig::builder()
            .operation_timeout(ANSWER_LIMIT)
            .operation_attempt_timeout(ANSWER_LIMIT)
            .build();
        let once = Config::builder().retry_config(RetryConfig::disabled()).timeout_config(limits);
        let answer = request.customize().config_override(once).send().await;
        let answer = answer.map_err(|error| match error.code() {
            // Our own credentials are refused by other codes.
            Some("NotAuthorizedException" | "CodeMismatchException") => NoGrant::Refused,
            _ => unavailable(&error).into(),
        })?;
        // Another challenge after this one is none that we could answer.
        answer.authentication_result.ok_or_else(unreadable)
    }

    async fn refresh(&self) -> bool {
        match &self.app_client_secret {
            Some(secret) => secret.refresh().await,
            None => false,
        }
    }

    /// `SECRET_HASH`: base64 of HMAC-SHA256 of user name and client id (Amazon Cognito developer guide, "Computing secret hash
    /// values").
    async fn secret_hash(&self, user: &UserIdentifier) -> Result<Option<String>, Unavailable> {
        let Some(secret) = &self.app_client_secret else { return Ok(None) };
        let secret = secret.current().await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().trim().as_bytes());
        let message = format!("{}{}", user.as_str(), self.app_client);
        Ok(Some(BASE64_STANDARD.encode(hmac::sign(&key, message.as_bytes()))))
    }
}

impl ProviderSignIn for SignIn {
    async fn sign_in(&self, user: &UserIdentifier, answer: &str) -> Result<Grant, NoGrant> {
        let mut secret_hash = self.secret_hash(user).await?;
        let session = match self.start(user, secret_hash.as_deref()).await {
            // What Cognito says to a wrong secret hash.
            Err(NoGrant::Unavailable(cause))
                if cause.reason == Reason::Credential && self.refresh().await =>
            {
                secret_hash = self.secret_hash(user).await?;
                self.start(user, secret_hash.as_deref()).await?
            }
            started => started?,
        };
        let tokens = self.respond(user, secret_hash.as_deref(), session, answer).await?;
        Ok(Grant {
            access_token: tokens.access_token.ok_or_else(unreadable)?.into(),
            id_token: tokens.id_token.ok_or_else(unreadable)?.into(),
            refresh_token: tokens.refresh_token.map(SecretString::from),
            expires_in: Duration::from_secs(u64::try_from(tokens.expires_in).unwrap_or_default()),
            token_type: tokens.token_type.unwrap_or_else(|| "Bearer".to_owned()),
        })
    }
}

fn unreadable() -> NoGrant {
    Unavailable::new(SYSTEM, Reason::Unreadable).into()
}
