//! Settings of AWS clients, read from the environment as Lambda provides it.
//!
//! Not by the `aws-config` crate: its chain of providers costs more at a cold start than all the rest.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::Region;
use aws_types::sdk_config::{SdkConfig, StalledStreamProtectionConfig};
use secrecy::ExposeSecret;
use settings::Settings;

use crate::Https;

/// A throttled or failed call is made three times at most, with jitter.
const ATTEMPTS: u32 = 3;

/// Reads `AWS_REGION`, the credentials and `AWS_ENDPOINT_URL`; `service` names the service's own endpoint setting,
/// such as `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER`, which goes first.
pub fn sdk_config(settings: &mut Settings<'_>, https: &Https, service: &'static str) -> Option<SdkConfig> {
    let region = settings.optional("AWS_REGION").or_else(|| settings.optional("AWS_DEFAULT_REGION"));
    if region.is_none() {
        settings.problem("AWS_REGION", "required");
    }
    let region = region.map(Region::new);
    let credentials = credentials(settings, https, region.clone());
    let endpoint = endpoint(settings, [service, "AWS_ENDPOINT_URL"]);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region?)
        .credentials_provider(credentials?)
        .http_client(https.sdk_http_client())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(https.timeout()).build())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(200))
                .with_max_backoff(Duration::from_secs(1)),
        );
    Some(match endpoint? {
        Some(url) => config.endpoint_url(url).build(),
        None => config.build(),
    })
}

/// Reads the first of `names` that is set.
fn endpoint(settings: &mut Settings<'_>, names: [&'static str; 2]) -> Option<Option<String>> {
    let Some((name, url)) = names.into_iter().find_map(|name| Some((name, settings.optional(name)?))) else {
        return Some(None);
    };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        settings.problem(name, "an http or https URL");
        return None;
    }
    Some(Some(url))
}

fn credentials(
    settings: &mut Settings<'_>,
    https: &Https,
    region: Option<Region>,
) -> Option<SharedCredentialsProvider> {
    let id = settings.optional("AWS_ACCESS_KEY_ID");
    let secret = settings.secret("AWS_SECRET_ACCESS_KEY");
    let token = settings.secret("AWS_SESSION_TOKEN").map(|token| token.expose_secret().to_owned());
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let credentials = Credentials::new(id, secret.expose_secret(), token, None, "Environment");
            Some(SharedCredentialsProvider::new(credentials))
        }
        (None, None) => profile(settings, https, region),
        (None, Some(_)) => {
            settings.problem("AWS_ACCESS_KEY_ID", "required beside AWS_SECRET_ACCESS_KEY");
            None
        }
        (Some(_), None) => {
            settings.problem("AWS_SECRET_ACCESS_KEY", "required beside AWS_ACCESS_KEY_ID");
            None
        }
    }
}

/// Takes the credentials of `AWS_PROFILE` (or `default`) from the AWS profile files, read at the first call.
#[cfg(feature = "profile")]
fn profile(
    _settings: &mut Settings<'_>,
    https: &Https,
    region: Option<Region>,
) -> Option<SharedCredentialsProvider> {
    use aws_config::profile::ProfileFileCredentialsProvider;
    use aws_config::provider_config::ProviderConfig;

    let config =
        ProviderConfig::without_region().with_region(region).with_http_client(https.sdk_http_client());
    let provider = ProfileFileCredentialsProvider::builder().configure(&config).build();
    Some(SharedCredentialsProvider::new(provider))
}

#[cfg(not(feature = "profile"))]
fn profile(
    settings: &mut Settings<'_>,
    _https: &Https,
    _region: Option<Region>,
) -> Option<SharedCredentialsProvider> {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        settings.problem(name, "required: Lambda sets it");
    }
    None
}
