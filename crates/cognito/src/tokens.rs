//! The pool's access and ID tokens, verified offline, and where wanted at the pool: what a user who signed in with a password holds.
//!
//! Source: Amazon Cognito developer guide, "Verifying JSON web tokens".

use std::collections::HashSet;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::error::ProvideErrorMetadata;
use domain::{ProviderSession, ProviderTokens, Reason, Timestamp, TokenUse, Unavailable, UserIdentifier};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation};
use outbound::{Https, aws};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use settings::Settings;

use crate::SYSTEM;
use crate::failure::unavailable;
use crate::jwks::Jwks;

/// What an access token needs to speak for its user at the pool; those of managed login may lack it.
const OWN_SCOPE: &str = "aws.cognito.signin.user.admin";
/// The longest token looked at, in bytes: Cognito's stay well below.
const MAX_TOKEN: usize = 16 * 1024;

/// Verifies tokens of one pool and its app clients.
#[derive(Debug)]
pub struct Tokens {
    jwks: Jwks,
    clients: Vec<String>,
    validation: Validation,
    client: Client,
    ask_pool: bool,
}

#[derive(Deserialize)]
struct Claims {
    token_use: String,
    exp: u64,
    // Of access tokens.
    client_id: Option<String>,
    username: Option<String>,
    scope: Option<String>,
    // Of ID tokens.
    aud: Option<String>,
    #[serde(rename = "cognito:username")]
    cognito_username: Option<String>,
}

/// A token that was verified offline.
struct Verified {
    session: ProviderSession,
    /// Whether the pool answers to it about its own user.
    own_scope: bool,
}

impl Tokens {
    /// Reads `USER_POOL_ID`, `USER_POOL_CLIENT_ID` (one or more, separated by spaces), `COGNITO_JWKS_URL`,
    /// `COGNITO_CHECK_REVOCATION` and the AWS settings.
    pub fn from_settings(settings: &mut Settings<'_>, https: &Https) -> Option<Self> {
        let pool = settings.required("USER_POOL_ID");
        let clients = settings.required("USER_POOL_CLIENT_ID");
        let ask_pool =
            settings.choice("COGNITO_CHECK_REVOCATION", &[("true", true), ("false", false)], Some(false));
        let config = aws::sdk_config(settings, https, "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER");
        let pool = pool?.trim().to_owned();
        let Some((region, _)) = pool.split_once('_') else {
            settings.problem("USER_POOL_ID", "a region and an id, joined by an underscore");
            return None;
        };
        let issuer = format!("https://cognito-idp.{region}.amazonaws.com/{pool}");
        let url = match settings.optional("COGNITO_JWKS_URL") {
            Some(_) => settings.url("COGNITO_JWKS_URL"),
            None => Some(format!("{issuer}/.well-known/jwks.json")),
        };

        // Only the first call installs the provider; later ones find the same.
        let _ = RING.install_default();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims = HashSet::from(["exp".to_owned(), "iss".to_owned()]);
        // Time is an argument here, and the audience stands in another claim of access tokens.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let clients = clients?.split_ascii_whitespace().map(ToOwned::to_owned).collect();
        let client = Client::new(&config?);
        Some(Self { jwks: Jwks::new(https, url?), clients, validation, client, ask_pool: ask_pool? })
    }

    /// GetUser: tells whether an access token is still good at the pool, which alone knows of a sign-out.
    async fn is_current(&self, token: &str) -> Result<bool, Unavailable> {
        match self.client.get_user().access_token(token).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_void(error.code()) => Ok(false),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Verifies a token offline.
    async fn read(
        &self,
        token: &str,
        token_use: TokenUse,
        now: Timestamp,
    ) -> Result<Option<Verified>, Unavailable> {
        if token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let kid = match jsonwebtoken::decode_header(token) {
            Ok(header) if header.alg == Algorithm::RS256 => header.kid,
            _ => return Ok(None),
        };
        let Some(kid) = kid else { return Ok(None) };
        let Some(key) = self.jwks.key(&kid, now).await? else { return Ok(None) };
        let Ok(token) = jsonwebtoken::decode::<Claims>(token, &key, &self.validation) else {
            return Ok(None);
        };
        Ok(self.accept(token.claims, token_use, now))
    }

    fn accept(&self, claims: Claims, token_use: TokenUse, now: Timestamp) -> Option<Verified> {
        let own_scope = claims.scope.is_some_and(|scopes| scopes.split(' ').any(|scope| scope == OWN_SCOPE));
        let (client, user) = match (claims.token_use.as_str(), token_use) {
            ("access", _) => (claims.client_id?, claims.username?),
            ("id", TokenUse::ConnectToken) => (claims.aud?, claims.cognito_username?),
            _ => return None,
        };
        let expires = Timestamp::from_secs(claims.exp);
        if !self.clients.contains(&client) || expires <= now {
            return None;
        }
        let session = ProviderSession { user: UserIdentifier::new(user).ok()?, expires };
        Some(Verified { session, own_scope })
    }
}

impl ProviderTokens for Tokens {
    async fn verify(
        &self,
        token: &str,
        token_use: TokenUse,
        now: Timestamp,
    ) -> Result<Option<ProviderSession>, Unavailable> {
        // Only access tokens can be asked about.
        let token_use = if self.ask_pool { TokenUse::Session } else { token_use };
        let Some(verified) = self.read(token, token_use, now).await? else { return Ok(None) };
        if self.ask_pool && !(verified.own_scope && self.is_current(token).await?) {
            return Ok(None);
        }
        Ok(Some(verified.session))
    }

    /// GlobalSignOut: ends the user's access and refresh tokens, those of other devices included. The pool has no call that
    /// would end fewer by an access token.
    async fn revoke(&self, token: &str, now: Timestamp) -> Result<(), Unavailable> {
        let Some(verified) = self.read(token, TokenUse::Session, now).await? else { return Ok(()) };
        if !verified.own_scope {
            // The pool would refuse it, just as it refuses a token that is void already.
            return Err(Unavailable::new(SYSTEM, Reason::Refused).code("scope"));
        }
        match self.client.global_sign_out().access_token(token).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_void(error.code()) => Ok(()),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// Tells whether a code says that a token, or the user it stands for, is good no more.
fn is_void(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "NotAuthorizedException"
                | "UserNotFoundException"
                | "UserNotConfirmedException"
                | "PasswordResetRequiredException"
        )
    )
}

/// The cryptography of the JWT crate by ring, which TLS has brought along already: RS256, verifying, nothing else.
static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::RS256 => Ok(Box::new(Rs256 { key: key.clone() })),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Rs256 {
    key: DecodingKey,
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

impl signature::Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = self.key.kind() else {
            return Err(signature::Error::new());
        };
        RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| signature::Error::new())
    }
}
