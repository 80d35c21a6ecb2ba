//! Access and ID tokens.
//!
//! Source: Amazon Cognito developer guide, "Understanding user pool JSON web tokens".

use domain::User;
use serde_json::{Value, json};

use super::{Answer, CLIENT_ID, Inner, POOL_ID, REGION};
use crate::connect::now_millis;
use crate::function::random_name;

const LIFETIME: u64 = 3600;

impl Inner {
    /// Issues the tokens of a user who has signed in. There is no refresh: the demo is short.
    pub(super) fn issue(&self, user: &User) -> Answer {
        let millis = now_millis();
        let now = millis / 1000;
        let common = json!({
            "sub": user.id.as_str(),
            "iss": issuer(),
            "origin_jti": random_name()?,
            "event_id": random_name()?,
            "auth_time": now,
            "iat": now,
            "exp": now + LIFETIME,
        });
        let with = |more: Value| {
            let mut claims = common.clone();
            if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
                claims.extend(more);
            }
            self.key.sign(&claims)
        };
        let access = with(json!({
            "token_use": "access",
            "client_id": CLIENT_ID,
            "username": user.id.as_str(),
            "scope": "aws.cognito.signin.user.admin",
            "jti": random_name()?,
            // Beside Cognito's claims: a sign-out and a sign-in may share a second.
            "issued_ms": millis,
        }))?;
        let identity = with(json!({
            "token_use": "id",
            "aud": CLIENT_ID,
            "cognito:username": user.id.as_str(),
            "email": user.profile.email,
            "email_verified": user.profile.email.is_some(),
            "jti": random_name()?,
        }))?;
        let tokens = json!({
            "AccessToken": access,
            "IdToken": identity,
            "ExpiresIn": LIFETIME,
            "TokenType": "Bearer",
        });
        Ok(json!({"AuthenticationResult": tokens, "ChallengeParameters": {}}))
    }

    /// Reads whose an access token of this pool is, and when it was issued, in milliseconds since the epoch.
    pub(super) fn read_access_token(&self, token: &str) -> Option<(String, u64)> {
        let claims = self.key.verify(token)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let fits = text("token_use") == Some("access")
            && text("client_id") == Some(CLIENT_ID)
            && text("iss") == Some(issuer().as_str())
            && claims.get("exp")?.as_u64()? > now_millis() / 1000;
        fits.then(|| Some((text("username")?.to_owned(), claims.get("issued_ms")?.as_u64()?)))?
    }
}

fn issuer() -> String {
    format!("https://cognito-idp.{REGION}.amazonaws.com/{POOL_ID}")
}
