//! ministack: Cognito and more on loopback, started on a free port and stopped by its own process id.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{
    AttributeType, AuthFlowType, ExplicitAuthFlowsType, LambdaConfigType, SchemaAttributeType,
};
use tempfile::TempDir;

use crate::host::free_port;

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    process: Child,
    port: u16,
    _state: TempDir,
}

impl Emulator {
    /// Starts it and waits until it answers.
    pub async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let process = Command::new(crate::tool("ministack"))
            .envs([
                ("BIND_HOST", "127.0.0.1"),
                ("GATEWAY_PORT", port.to_string().as_str()),
                ("MINISTACK_HOST", "127.0.0.1"),
                ("STATE_DIR", &state.path().display().to_string()),
                // What it leaves behind goes away with its state.
                ("TMPDIR", &state.path().display().to_string()),
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
                ("AUTH", "true"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_ENDPOINT_URL", &url),
                ("LOG_LEVEL", "WARNING"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let emulator = Self { process, port, _state: state };
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(Instant::now() < deadline, "the emulator does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        emulator
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The settings that lead an AWS client there.
    pub fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("AUTH_SYSTEM", "cognito".into()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_ENDPOINT_URL", self.url()),
        ]
    }

    /// Stores a secret, and returns its ARN.
    pub fn secret(&self, name: &str, text: &str) -> String {
        const SCRIPT: &str = r#"
import boto3, json, sys
wanted = json.load(sys.stdin)
client = boto3.client("secretsmanager", endpoint_url=wanted["endpoint"], region_name="eu-central-1",
                      aws_access_key_id="test", aws_secret_access_key="test")
json.dump(client.create_secret(Name=wanted["name"], SecretString=wanted["text"])["ARN"], sys.stdout)
"#;
        let wanted = serde_json::json!({"endpoint": self.url(), "name": name, "text": text});
        crate::python::run(SCRIPT, &wanted).as_str().unwrap().to_owned()
    }

    /// A client for setting up users.
    pub fn cognito(&self) -> Client {
        let pairs = self.settings();
        let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // An emulator in Python may be slow, and runs triggers.
        pairs.push(("UPSTREAM_TIMEOUT_MS", "20000"));
        let mut settings = crate::settings(&pairs);
        let https = outbound::Https::from_settings(&mut settings, outbound::Trust::Aws).unwrap();
        Client::new(&outbound::aws::sdk_config(&mut settings, &https, "NONE").unwrap())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The password of confirmed users.
pub const PASSWORD: &str = "Correct-Horse-7";

/// Creates a user pool with the attributes for the MFA flags, and returns its id.
pub async fn create_pool(client: &Client) -> String {
    let custom = |name: &str| {
        SchemaAttributeType::builder().name(name).attribute_data_type("String".into()).mutable(true).build()
    };
    let pool = client
        .create_user_pool()
        .pool_name("pool")
        .schema(custom("mfa_enabled"))
        .schema(custom("preferred_mfa"))
        .schema(custom("last_mfa_update"))
        .send()
        .await
        .unwrap();
    pool.user_pool.unwrap().id.unwrap()
}

/// Makes a function the pool's triggers for custom authentication.
pub async fn set_triggers(client: &Client, pool: &str, function: &str) {
    let triggers = LambdaConfigType::builder()
        .define_auth_challenge(function)
        .create_auth_challenge(function)
        .verify_auth_challenge_response(function);
    client.update_user_pool().user_pool_id(pool).lambda_config(triggers.build()).send().await.unwrap();
}

/// Creates a user; `confirmed` gives them a password of their own.
pub async fn create_user(
    client: &Client,
    pool: &str,
    name: &str,
    email: &str,
    verified: bool,
    confirmed: bool,
) {
    let attribute =
        |name: &str, value: &str| AttributeType::builder().name(name).value(value).build().unwrap();
    client
        .admin_create_user()
        .user_pool_id(pool)
        .username(name)
        .user_attributes(attribute("email", email))
        .user_attributes(attribute("email_verified", if verified { "true" } else { "false" }))
        .message_action("SUPPRESS".into())
        .send()
        .await
        .unwrap();
    if confirmed {
        client
            .admin_set_user_password()
            .user_pool_id(pool)
            .username(name)
            .password(PASSWORD)
            .permanent(true)
            .send()
            .await
            .unwrap();
    }
}

/// Creates an app client whose users sign in with their password or by custom authentication, and returns its id.
pub async fn create_app_client(client: &Client, pool: &str) -> String {
    let app_client = client
        .create_user_pool_client()
        .user_pool_id(pool)
        .client_name("app")
        .explicit_auth_flows(ExplicitAuthFlowsType::AllowUserPasswordAuth)
        .explicit_auth_flows(ExplicitAuthFlowsType::AllowCustomAuth)
        .explicit_auth_flows(ExplicitAuthFlowsType::AllowRefreshTokenAuth)
        .send()
        .await
        .unwrap();
    app_client.user_pool_client.unwrap().client_id.unwrap()
}

/// What a sign-in with a password gives.
pub struct Tokens {
    pub access: String,
    pub id: String,
    pub refresh: String,
}

/// Signs a confirmed user in with their password.
pub async fn sign_in(client: &Client, app_client: &str, user: &str) -> Tokens {
    let answer = client
        .initiate_auth()
        .auth_flow(AuthFlowType::UserPasswordAuth)
        .client_id(app_client)
        .auth_parameters("USERNAME", user)
        .auth_parameters("PASSWORD", PASSWORD)
        .send()
        .await
        .unwrap();
    let tokens = answer.authentication_result.unwrap();
    Tokens {
        access: tokens.access_token.unwrap(),
        id: tokens.id_token.unwrap(),
        refresh: tokens.refresh_token.unwrap(),
    }
}
