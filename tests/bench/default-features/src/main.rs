//! The guide's post-append in Rust as one writes it first: the AWS SDK with its default features, configured by `aws-config`.
//! No envelopes, signatures, limits or metrics.

use std::time::SystemTime;

use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::AttributeType;
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let client = Client::new(&aws_config::load_from_env().await);
    let pool = std::env::var("USER_POOL_ID")?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| append(&client, &pool, event.payload))).await
}

async fn append(client: &Client, pool: &str, event: Value) -> Result<Value, Error> {
    let username = event["username"].as_str().ok_or("username: missing")?;
    let user = client.admin_get_user().user_pool_id(pool).username(username).send().await?;
    let enabled = |it: &AttributeType| it.name() == "custom:mfa_enabled" && it.value() == Some("true");
    if !user.user_attributes().iter().any(enabled) {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let flag = |name: &str, value: &str| AttributeType::builder().name(name).value(value).build();
        client
            .admin_update_user_attributes()
            .user_pool_id(pool)
            .username(username)
            .user_attributes(flag("custom:mfa_enabled", "true")?)
            .user_attributes(flag("custom:preferred_mfa", "passkey")?)
            .user_attributes(flag("custom:last_mfa_update", &now)?)
            .send()
            .await?;
    }
    Ok(json!({"statusCode": 200, "body": {}}))
}
