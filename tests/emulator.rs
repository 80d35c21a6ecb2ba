//! Cognito on an emulator, from the adapter to the real binaries.
//!
//! Accepting a call proves little about AWS; exact AWS shapes are in `adapters.rs`. Here the point is that real
//! requests meet a server that keeps users.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::operation::admin_get_user::AdminGetUserOutput;
use outbound::{Https, Trust};
use serde_json::{Value, json};
use tests::emulator::{Emulator, create_pool, create_user};
use tests::host::TestHost;
use tests::suites;

struct Pool {
    emulator: Emulator,
    client: Client,
    id: String,
}

impl Pool {
    async fn start() -> Self {
        let emulator = Emulator::start().await;
        let client = emulator.cognito();
        let id = create_pool(&client).await;
        for (name, email, verified, confirmed) in [
            ("ada", "ada@example.com", true, true),
            ("grace", "grace@example.com", true, true),
            ("alan", "alan@example.com", true, true),
            ("linus", "linus@example.com", true, false),
            ("barbara", "barbara@example.com", false, true),
            ("twin1", "twin@example.com", true, true),
            ("twin2", "twin@example.com", true, true),
        ] {
            create_user(&client, &id, name, email, verified, confirmed).await;
        }
        client.admin_disable_user().user_pool_id(&id).username("alan").send().await.unwrap();
        Self { emulator, client, id }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.emulator.settings().to_vec();
        settings.push(("USER_POOL_ID", self.id.clone()));
        settings
    }

    async fn host(&self, more: &[(&'static str, &str)]) -> TestHost {
        let settings = self.settings();
        let mut pairs: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        pairs.extend(more);
        TestHost::start(&pairs).await
    }

    async fn user(&self, name: &str) -> AdminGetUserOutput {
        self.client.admin_get_user().user_pool_id(&self.id).username(name).send().await.unwrap()
    }
}

fn attribute<'a>(user: &'a AdminGetUserOutput, name: &str) -> Option<&'a str> {
    user.user_attributes().iter().find(|it| it.name() == name).and_then(|it| it.value())
}

#[tokio::test(flavor = "multi_thread")]
async fn cognito_is_a_directory() {
    let pool = Pool::start().await;
    let settings = pool.settings();
    let pairs: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut settings = tests::settings(&pairs);
    let https = Https::from_settings(&mut settings, Trust::Aws).unwrap();
    let directory = cognito::Directory::from_settings(&mut settings, &https);
    let users = suites::Users {
        active: "ada".into(),
        active_email: "ada@example.com".into(),
        second: "grace".into(),
        disabled: "alan".into(),
        force_change: "linus".into(),
        unverified_email: "barbara@example.com".into(),
        shared_email: "twin@example.com".into(),
    };
    suites::directory(Arc::new(settings.finish(directory).unwrap()), &users).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actions_run_on_a_user_pool() {
    let pool = Pool::start().await;
    let host = pool.host(&[]).await;
    let body = async |function: &str, event: Value| -> Value {
        host.invoke(function, event.to_string()).await.payload["body"].clone()
    };

    assert_eq!(
        body("pre-login", json!({"identifier": "ada@example.com"})).await,
        json!({"identifier": "ada"})
    );
    let code = async |identifier: &str| -> Value {
        body("pre-login", json!({"identifier": identifier})).await["error"]["code"].clone()
    };
    assert_eq!(code("nobody@example.com").await, "user_not_found");
    assert_eq!(code("x@example.com\" or email ^= \"").await, "user_not_found");
    assert_eq!(code("alan@example.com").await, "account_disabled");
    assert_eq!(code("linus@example.com").await, "force_change_password");
    assert_eq!(code("barbara@example.com").await, "untyped");
    assert_eq!(code("twin@example.com").await, "untyped");

    assert_eq!(body("post-append", json!({"username": "ada"})).await, json!({}));
    let ada = pool.user("ada").await;
    assert_eq!(attribute(&ada, "custom:mfa_enabled"), Some("true"));
    assert_eq!(attribute(&ada, "custom:preferred_mfa"), Some("passkey"));
    let updated = attribute(&ada, "custom:last_mfa_update").unwrap().to_owned();
    assert!(updated.ends_with('Z') && updated.len() == 24, "{updated}");
    assert_eq!(body("post-append", json!({"username": "ada"})).await, json!({}));
    let again = pool.user("ada").await;
    assert_eq!(attribute(&again, "custom:last_mfa_update"), Some(updated.as_str()), "nothing written");
    assert_eq!(body("post-append", json!({"username": "nobody"})).await["error"], "user_not_found");

    assert!(body("post-login", json!({"userId": "ada"})).await["sessionId"].is_string());
    assert_eq!(body("post-login", json!({"userId": "alan"})).await["error"], "login_refused");
    assert_eq!(body("post-login", json!({"userId": "linus"})).await["error"], "login_refused");
    assert_eq!(body("post-login", json!({"userId": "nobody"})).await["error"], "login_refused");
    assert_eq!(host.sessions(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_factor_is_kept_or_joined_by_the_passkey() {
    let pool = Pool::start().await;
    let append = async |host: &TestHost| {
        let invoked = host.invoke("post-append", r#"{"username":"ada"}"#).await;
        assert_eq!(invoked.payload, json!({"statusCode": 200, "body": {}}));
        pool.user("ada").await
    };
    // A first passkey, with the pool's own preference beside the attributes.
    let ada = append(&pool.host(&[("COGNITO_MFA_PREFERENCE", "software_token")]).await).await;
    assert_eq!(attribute(&ada, "custom:mfa_enabled"), Some("true"));
    assert_eq!(ada.user_mfa_setting_list(), ["SOFTWARE_TOKEN_MFA"]);
    assert_eq!(ada.preferred_mfa_setting(), Some("SOFTWARE_TOKEN_MFA"));

    // A user with a factor of the pool's own, and no marks.
    let factor = aws_sdk_cognitoidentityprovider::types::SoftwareTokenMfaSettingsType::builder()
        .enabled(true)
        .preferred_mfa(true)
        .build();
    let set = pool.client.admin_set_user_mfa_preference().user_pool_id(&pool.id).username("grace");
    set.software_token_mfa_settings(factor).send().await.unwrap();
    let keep = pool.host(&[]).await;
    keep.invoke("post-append", r#"{"username":"grace"}"#).await;
    assert_eq!(attribute(&pool.user("grace").await, "custom:mfa_enabled"), None, "kept");
    let prefer = pool.host(&[("MFA_WHEN_ALREADY_SET", "prefer-passkey")]).await;
    prefer.invoke("post-append", r#"{"username":"grace"}"#).await;
    let grace = pool.user("grace").await;
    assert_eq!(attribute(&grace, "custom:preferred_mfa"), Some("passkey"));
    assert_eq!(grace.user_mfa_setting_list(), ["SOFTWARE_TOKEN_MFA"], "the other factor stays on");
}
