//! Every adapter against its port's suite, and against a provider that misbehaves.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use domain::{
    Candidate, Claim, MfaPolicy, MfaState, NoGrant, NotVerified, PasskeyVerifier, ProviderSignIn,
    ProviderTokens, Reason, Rejection, ReplayGuard, ReplayKey, SignedPasskeyData, Timestamp, TokenUse,
    TypedIdentifier, Unavailable, UserDirectory, UserIdentifier, verify_passkey,
};
use outbound::{Https, Trust};
use sandbox::sample;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tests::forge::Forged;
use tests::stub::{
    Authority, GENEROUS, HASTY, Reaction, Received, STALLED, Stub, aws_error, json, limit_for,
};
use tests::suites;

fn id(text: &str) -> UserIdentifier {
    UserIdentifier::new(text).unwrap()
}

// ---- the embedded store ----

fn store(directory: &tempfile::TempDir) -> sqlite::Store {
    sqlite::Store::new(directory.path().join("store.sqlite"), Duration::from_secs(10))
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();
    suites::directory(Arc::new(store), &suites::Users::demo()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_a_session_store_a_replay_guard_and_a_rate_limiter() {
    let directory = tempfile::tempdir().unwrap();
    suites::session_store(Arc::new(store(&directory))).await;
    suites::idle_sessions(&store(&directory)).await;
    suites::replay_guard(Arc::new(store(&directory))).await;
    suites::verdict_log(Arc::new(store(&directory))).await;
    suites::rate_limiter(Arc::new(store(&directory))).await;
}

#[tokio::test]
async fn sqlite_keeps_the_first_update_of_two() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    store.seed(&sqlite::seed::DEMO_USERS).await.unwrap();
    let ada = id("usr-ada");
    let fresh = MfaState::default();
    for seconds in [100, 200] {
        let now = Timestamp::from_secs(seconds);
        store.update_mfa(&ada, &fresh.after_passkey(MfaPolicy::Keep, now).unwrap()).await.unwrap();
    }
    let record = store.mfa_record(&ada).await.unwrap().unwrap();
    assert_eq!(record.last_update, Some(Timestamp::from_secs(100)));
    assert_eq!(record.preferred.as_deref(), Some("passkey"));

    let grace = id("usr-grace");
    let totp = store.find(&grace).await.unwrap().unwrap().mfa;
    let now = Timestamp::from_secs(300);
    assert_eq!(totp.after_passkey(MfaPolicy::Keep, now), None);
    store.update_mfa(&grace, &totp.after_passkey(MfaPolicy::PreferPasskey, now).unwrap()).await.unwrap();
    let record = store.mfa_record(&grace).await.unwrap().unwrap();
    assert_eq!(record.preferred.as_deref(), Some("passkey"));

    // Somebody switched it off between the look and the write of an update that comes late.
    let off = "UPDATE users SET mfa_enabled = 0, last_mfa_update = 400000 WHERE id = 'usr-grace'";
    rusqlite::Connection::open(store.path()).unwrap().execute_batch(off).unwrap();
    for (seconds, is_written) in [(399, false), (400, true)] {
        let at = Timestamp::from_secs(seconds);
        let late = fresh.after_earlier_passkey(MfaPolicy::Keep, at).unwrap();
        store.update_mfa(&grace, &late).await.unwrap();
        let record = store.mfa_record(&grace).await.unwrap().unwrap();
        assert_eq!(record.last_update, Some(Timestamp::from_secs(400)), "{seconds}");
        assert_eq!(record.enabled, is_written, "{seconds}");
    }
}

#[tokio::test]
async fn sqlite_keeps_no_session_id() {
    use domain::{Session, SessionId, SessionStore};
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let session_id = SessionId::from_random([9; 32]);
    let session = Session::new(id("usr-ada"), Timestamp::from_secs(1), Duration::from_secs(60));
    store.create(session_id.key(), &session).await.unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes.windows(43).any(|window| window == session_id.expose().as_bytes());
        assert!(!found, "the session id is in the store");
    }
}

// ---- Cognito, against exact answers ----

/// A directory that speaks to `stub`, plus settings.
fn cognito(stub: &Stub, more: &[(&str, &str)]) -> cognito::Directory {
    let url = stub.url();
    let mut pairs = vec![
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "planted-secret"),
        ("AWS_SESSION_TOKEN", "session-token"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", url.as_str()),
        GENEROUS,
    ];
    pairs.extend(more);
    let mut settings = tests::settings(&pairs);
    let https = Https::from_settings(&mut settings, Trust::Aws).unwrap();
    let directory = cognito::Directory::from_settings(&mut settings, &https);
    settings.finish(directory).unwrap()
}

fn user(attributes: &[(&str, &str)], factors: Value) -> Value {
    let attributes: Vec<_> =
        attributes.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
    json!({
        "Username": "ada",
        "UserAttributes": attributes,
        "Enabled": true,
        "UserStatus": "CONFIRMED",
        "UserMFASettingList": factors,
        "PreferredMfaSetting": "",
    })
}

#[tokio::test]
async fn cognito_reads_both_shapes_of_mfa_settings() {
    let passkey = [("custom:mfa_enabled", "true"), ("custom:preferred_mfa", "passkey")];
    let state = |enabled, prefers_passkey, other_factor, unfinished| MfaState {
        enabled,
        prefers_passkey,
        other_factor,
        unfinished,
        last_update: None,
    };
    let at = |millis| MfaState { last_update: Some(Timestamp::from_millis(millis)), ..MfaState::default() };
    let updated = |text: &str| user(&[("custom:last_mfa_update", text)], json!([]));
    let sms: &[(&str, &str)] = &[("COGNITO_MFA_PREFERENCE", "sms")];
    type Row<'a> = (Value, &'a [(&'a str, &'a str)], MfaState);
    let rows: [Row<'_>; 12] = [
        (updated("2026-01-01T00:00:00.123Z"), &[], at(1_767_225_600_123)),
        (updated("2026-01-01T00:00:00Z"), &[], at(1_767_225_600_000)),
        (updated("yesterday"), &[], MfaState::default()),
        (user(&[], json!(null)), &[], state(false, false, false, false)),
        (user(&[], json!([])), &[], state(false, false, false, false)),
        (user(&[("custom:mfa_enabled", "false")], json!([])), &[], state(false, false, false, false)),
        (user(&[("custom:mfa_enabled", "TRUE")], json!([])), &[], state(false, false, false, false)),
        (user(&passkey, json!([])), &[], state(true, true, false, false)),
        (user(&[], json!(["SOFTWARE_TOKEN_MFA"])), &[], state(false, false, true, false)),
        (user(&passkey, json!([])), sms, state(true, true, false, true)),
        (user(&passkey, json!(["SMS_MFA"])), sms, state(true, true, true, false)),
        (
            user(&[("custom:has_mfa", "true")], json!([])),
            &[("COGNITO_ATTRIBUTE_MFA_ENABLED", "custom:has_mfa")],
            state(true, false, false, false),
        ),
    ];
    for (answer, settings, expected) in rows {
        let shown = answer.to_string();
        let stub = Stub::start(move |_, _| json(200, &answer)).await;
        let found = cognito(&stub, settings).find(&id("ada")).await.unwrap().unwrap();
        assert_eq!(found.mfa, expected, "{shown}");
    }
}

#[tokio::test]
async fn cognito_knows_how_to_address_a_user() {
    let verified = ("email_verified", "true");
    let email = ("email", "ada@example.com");
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>);
    let rows: [Row<'_>; 6] = [
        (&[], None, None),
        (&[email], None, None),
        (&[email, ("email_verified", "false")], None, None),
        (&[email, verified], None, Some("ada@example.com")),
        (
            &[email, verified, ("name", "Ada"), ("preferred_username", "x")],
            Some("Ada"),
            Some("ada@example.com"),
        ),
        (&[("name", ""), ("preferred_username", "Countess")], Some("Countess"), None),
    ];
    for (attributes, name, address) in rows {
        let answer = user(attributes, json!([]));
        let stub = Stub::start(move |_, _| json(200, &answer)).await;
        let profile = cognito(&stub, &[]).find(&id("ada")).await.unwrap().unwrap().profile;
        assert_eq!(profile.display_name.as_deref(), name, "{attributes:?}");
        assert_eq!(profile.email.as_deref(), address, "{attributes:?}");
    }
}

#[tokio::test]
async fn cognito_writes_the_attributes_then_the_preference() {
    let now = Timestamp::from_secs(1_800_000_000);
    let rows = [
        ("none", None),
        ("sms", Some("SMSMfaSettings")),
        ("software_token", Some("SoftwareTokenMfaSettings")),
        ("email", Some("EmailMfaSettings")),
    ];
    for (word, member) in rows {
        let stub = Stub::start(|_, _| json(200, &json!({}))).await;
        let directory = cognito(&stub, &[("COGNITO_MFA_PREFERENCE", word)]);
        let update = MfaState::default().after_passkey(MfaPolicy::Keep, now).unwrap();
        directory.update_mfa(&id("ada"), &update).await.unwrap();

        let received = stub.received();
        let operations: Vec<_> = received.iter().map(Received::operation).collect();
        assert_eq!(
            received[0].json(),
            json!({
                "UserPoolId": "eu-central-1_pool",
                "Username": "ada",
                "UserAttributes": [
                    {"Name": "custom:mfa_enabled", "Value": "true"},
                    {"Name": "custom:preferred_mfa", "Value": "passkey"},
                    {"Name": "custom:last_mfa_update", "Value": "2027-01-15T08:00:00.000Z"},
                ],
            })
        );
        match member {
            None => assert_eq!(operations, ["AdminUpdateUserAttributes"]),
            Some(member) => {
                assert_eq!(operations, ["AdminUpdateUserAttributes", "AdminSetUserMFAPreference"]);
                let settings = json!({"Enabled": true, "PreferredMfa": true});
                assert_eq!(
                    received[1].json(),
                    json!({"UserPoolId": "eu-central-1_pool", "Username": "ada", member: settings})
                );
            }
        }
        let authorization = received[0].header("authorization");
        assert!(authorization.contains("Credential=AKIDTEST/"), "{authorization}");
        assert_eq!(received[0].header("x-amz-security-token"), "session-token");
    }
}

#[tokio::test]
async fn cognito_looks_up_by_email_with_an_escaped_filter() {
    let rows = [
        ("ada@example.com", r#"email = "ada@example.com""#),
        (r#"x" or email ^= "@"#, r#"email = "x\" or email ^= \"@""#),
        (r"back\slash@example.com", r#"email = "back\\slash@example.com""#),
    ];
    for (text, filter) in rows {
        let stub = Stub::start(|request, _| match request.operation() {
            "ListUsers" => json(200, &json!({"Users": []})),
            _ => aws_error(400, "UserNotFoundException"),
        })
        .await;
        let typed = TypedIdentifier::new(text).unwrap();
        assert_eq!(cognito(&stub, &[]).find_by_identifier(&typed).await, Ok(Candidate::Nobody));
        let received = stub.received();
        let request = received.iter().find(|request| request.operation() == "ListUsers").unwrap().json();
        assert_eq!(request["Filter"], filter);
    }
    // What cannot be an e-mail address costs no look-up by e-mail.
    let stub = Stub::start(|_, _| aws_error(400, "UserNotFoundException")).await;
    let typed = TypedIdentifier::new("ada").unwrap();
    assert_eq!(cognito(&stub, &[]).find_by_identifier(&typed).await, Ok(Candidate::Nobody));
    assert_eq!(stub.received().len(), 1);
}

#[tokio::test]
async fn cognito_believes_only_exact_matches_on_all_pages() {
    let listed = |email: &str, verified: &str| {
        json!({
            "Username": format!("user-{email}"),
            "Enabled": true,
            "UserStatus": "CONFIRMED",
            "Attributes": [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": verified}],
        })
    };
    let found = |name: &str, verified| Candidate::One {
        id: id(name),
        status: domain::AccountStatus::Active,
        verified,
    };
    let ada = "ada@example.com";
    let rows: [(Vec<Value>, Result<Candidate, Reason>); 7] = [
        (vec![json!({"Users": [listed(ada, "true")]})], Ok(found("user-ada@example.com", true))),
        (vec![json!({"Users": [listed(ada, "false")]})], Ok(found("user-ada@example.com", false))),
        // An emulator returns everybody for a filter it cannot read.
        (vec![json!({"Users": [listed("eve@example.com", "true")]})], Ok(Candidate::Nobody)),
        (
            vec![json!({"Users": [listed("eve@example.com", "true"), listed(ada, "true")]})],
            Ok(found("user-ada@example.com", true)),
        ),
        (vec![json!({"Users": [listed(ada, "true"), listed(ada, "false")]})], Ok(Candidate::Several)),
        (
            vec![
                json!({"Users": [], "PaginationToken": "1"}),
                json!({"Users": [listed(ada, "true")], "PaginationToken": "2"}),
                json!({"Users": [listed("Ada@example.com", "true")]}),
            ],
            Ok(Candidate::Several),
        ),
        (vec![json!({"Users": [], "PaginationToken": "for ever"})], Err(Reason::Unreadable)),
    ];
    for (pages, expected) in rows {
        let shown = format!("{pages:?}");
        let stub = Stub::start(move |request, before| match request.operation() {
            "ListUsers" => json(200, &pages[(before - 1).min(pages.len() - 1)]),
            _ => aws_error(400, "UserNotFoundException"),
        })
        .await;
        let typed = TypedIdentifier::new(ada).unwrap();
        let candidate = cognito(&stub, &[]).find_by_identifier(&typed).await;
        assert_eq!(candidate.map_err(|cause| cause.reason), expected, "{shown}");
    }
}

/// A row of a misbehaving provider: what it does, how often it is asked, what that is called.
type Fault = (Reaction, usize, &'static str);

#[tokio::test]
async fn cognito_failures_are_retried_and_named() {
    let slow = || Reaction::After(Duration::from_secs(5), Box::new(Reaction::Reset));
    let rows: [Fault; 14] = [
        (
            aws_error(400, "TooManyRequestsException"),
            3,
            "cognito: throttled, status 400, TooManyRequestsException",
        ),
        (aws_error(400, "ThrottlingException"), 3, "cognito: throttled, status 400, ThrottlingException"),
        (aws_error(500, "InternalErrorException"), 3, "cognito: failed, status 500, InternalErrorException"),
        (aws_error(503, ""), 3, "cognito: failed, status 503"),
        (
            aws_error(400, "ResourceNotFoundException"),
            1,
            "cognito: refused, status 400, ResourceNotFoundException",
        ),
        (
            aws_error(400, "NotAuthorizedException"),
            1,
            "cognito: credential, status 400, NotAuthorizedException",
        ),
        (
            aws_error(400, "AccessDeniedException"),
            1,
            "cognito: credential, status 400, AccessDeniedException",
        ),
        (
            aws_error(400, "UnrecognizedClientException"),
            1,
            "cognito: credential, status 400, UnrecognizedClientException",
        ),
        (Reaction::Answer(403, vec![], "<html>planted</html>".into()), 1, "cognito: credential, status 403"),
        (Reaction::Answer(200, vec![], "<html>planted</html>".into()), 1, "cognito: unreadable, status 200"),
        (json(200, &json!({})), 1, "cognito: unreadable"),
        (Reaction::Reset, 3, "cognito: transport"),
        (slow(), 3, "cognito: timeout"),
        (STALLED, 3, "cognito: timeout"),
    ];
    for (reaction, attempts, expected) in rows {
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let cause = cognito(&stub, &[limit_for(expected)]).find(&id("ada")).await.unwrap_err();
        assert_eq!(cause.to_string(), expected);
        assert_eq!(stub.received().len(), attempts, "{expected}");
        assert!(!format!("{cause:?} {cause}").contains("planted"), "{cause:?}");
    }
}

/// Neither operation of an update models throttling, so the code has to do.
#[tokio::test]
async fn cognito_updates_survive_throttling() {
    let stub = Stub::start(|_, before| {
        if before % 2 == 0 { aws_error(400, "TooManyRequestsException") } else { json(200, &json!({})) }
    })
    .await;
    let directory = cognito(&stub, &[("COGNITO_MFA_PREFERENCE", "sms")]);
    let update = MfaState::default().after_passkey(MfaPolicy::Keep, Timestamp::from_secs(1)).unwrap();
    directory.update_mfa(&id("ada"), &update).await.unwrap();
    let received = stub.received();
    let operations: Vec<_> = received.iter().map(Received::operation).collect();
    let (attributes, preference) = ("AdminUpdateUserAttributes", "AdminSetUserMFAPreference");
    assert_eq!(operations, [attributes, attributes, preference, preference]);
}

/// An update that broke off between its two calls is finished by the next passkey.
#[tokio::test]
async fn cognito_updates_that_broke_off_are_finished() {
    let marks = [("custom:mfa_enabled", "true"), ("custom:preferred_mfa", "passkey")];
    let stub = Stub::start(move |request, _| match request.operation() {
        "AdminGetUser" => json(200, &user(&marks, json!([]))),
        _ => json(200, &json!({})),
    })
    .await;
    let directory = cognito(&stub, &[("COGNITO_MFA_PREFERENCE", "sms")]);
    let found = directory.find(&id("ada")).await.unwrap().unwrap();
    let update = found.mfa.after_passkey(MfaPolicy::Keep, Timestamp::from_secs(1)).unwrap();
    directory.update_mfa(&found.id, &update).await.unwrap();
    assert_eq!(stub.received().last().unwrap().operation(), "AdminSetUserMFAPreference");
}

#[tokio::test]
async fn aws_credentials_come_from_a_profile_file_on_a_laptop() {
    let stub = Stub::start(|_, _| json(200, &user(&[], json!([])))).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    let text = "[local]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = planted\n";
    std::fs::write(&file, text).unwrap();
    // The provider reads the process environment, so the real binary is asked.
    let host = tests::host::TestHost::start(&[
        ("AUTH_SYSTEM", "cognito"),
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL", &stub.url()),
        ("AWS_PROFILE", "local"),
        ("AWS_SHARED_CREDENTIALS_FILE", &file.display().to_string()),
        ("AWS_CONFIG_FILE", "/nowhere"),
    ])
    .await;
    let answer = host.invoke("pre-login", r#"{"identifier":"ada"}"#).await;
    assert_eq!(answer.payload["body"], json!({"identifier": "ada"}));
    let authorization = stub.received()[0].header("authorization").to_owned();
    assert!(authorization.contains("Credential=AKIDPROFILE/"), "{authorization}");
}

/// A sign-in that speaks to `stub`, plus settings.
fn sign_in(stub: &Stub, more: &[(&str, &str)]) -> cognito::SignIn {
    let url = stub.url();
    let mut pairs = vec![
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("USER_POOL_CLIENT_ID", " web "),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "planted-secret"),
        ("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", url.as_str()),
        HASTY,
    ];
    pairs.extend(more);
    let mut settings = tests::settings(&pairs);
    let https = Https::from_settings(&mut settings, Trust::Aws).unwrap();
    let sign_in = cognito::SignIn::from_settings(&mut settings, &https);
    settings.finish(sign_in).unwrap()
}

fn challenge() -> Reaction {
    json(
        200,
        &json!({"ChallengeName": "CUSTOM_CHALLENGE", "Session": "s1", "ChallengeParameters": {"USERNAME": "ada"}}),
    )
}

fn tokens() -> Reaction {
    let tokens = json!({"AccessToken": "planted-a", "IdToken": "planted-i", "RefreshToken": "planted-r", "ExpiresIn": 3600, "TokenType": "Bearer"});
    json(200, &json!({"AuthenticationResult": tokens, "ChallengeParameters": {}}))
}

#[tokio::test]
async fn cognito_signs_in_by_custom_authentication() {
    let script = |_: &Received, number| if number == 0 { challenge() } else { tokens() };
    let stub = Stub::start(script).await;
    let grant = sign_in(&stub, &[]).sign_in(&id("ada"), "answer").await.unwrap();
    assert_eq!(grant.access_token.expose_secret(), "planted-a");
    assert_eq!(grant.id_token.expose_secret(), "planted-i");
    assert_eq!(grant.refresh_token.as_ref().unwrap().expose_secret(), "planted-r");
    assert_eq!((grant.expires_in, grant.token_type.as_str()), (Duration::from_secs(3600), "Bearer"));
    assert!(!format!("{grant:?}").contains("planted"));
    let received = stub.received();
    let calls: Vec<_> = received.iter().map(|request| (request.operation(), request.json())).collect();
    assert_eq!(
        calls,
        [
            (
                "AdminInitiateAuth",
                json!({
                    "UserPoolId": "eu-central-1_pool", "ClientId": "web", "AuthFlow": "CUSTOM_AUTH",
                    "AuthParameters": {"USERNAME": "ada"},
                })
            ),
            (
                "AdminRespondToAuthChallenge",
                json!({
                    "UserPoolId": "eu-central-1_pool", "ClientId": "web", "ChallengeName": "CUSTOM_CHALLENGE",
                    "Session": "s1", "ChallengeResponses": {"USERNAME": "ada", "ANSWER": "answer"},
                })
            ),
        ]
    );

    // printf 'adaweb' | openssl dgst -sha256 -hmac 'planted-client-secret' -binary | base64
    let stub = Stub::start(script).await;
    let with_secret = sign_in(&stub, &[("USER_POOL_CLIENT_SECRET", "planted-client-secret")]);
    assert!(!format!("{with_secret:?}").contains("planted-client"));
    with_secret.sign_in(&id("ada"), "answer").await.unwrap();
    let hashes: Vec<_> = stub
        .received()
        .iter()
        .map(|request| {
            let body = request.json();
            let parameters =
                if body["AuthParameters"].is_object() { "AuthParameters" } else { "ChallengeResponses" };
            body[parameters]["SECRET_HASH"].clone()
        })
        .collect();
    assert_eq!(
        hashes,
        ["ETSfexf/+UkNxctiZb+oBcOYpNz+X/WyDZzcFDs/kJ4=", "ETSfexf/+UkNxctiZb+oBcOYpNz+X/WyDZzcFDs/kJ4="]
    );
}

/// The challenge may be asked for again, the answer is sent once; and nothing but tokens after an answer is success.
#[tokio::test]
async fn cognito_is_answered_once_and_only_tokens_are_tokens() {
    let unavailable = |text: &str| format!("unavailable {text}");
    let none = unavailable("cognito: unreadable");
    let starts: [(Reaction, usize, String); 8] = [
        (aws_error(400, "UserNotFoundException"), 1, "user".into()),
        (aws_error(400, "UserNotConfirmedException"), 1, "user".into()),
        (aws_error(400, "PasswordResetRequiredException"), 1, "user".into()),
        (
            aws_error(400, "NotAuthorizedException"),
            1,
            unavailable("cognito: credential, status 400, NotAuthorizedException"),
        ),
        (
            aws_error(400, "TooManyRequestsException"),
            3,
            unavailable("cognito: throttled, status 400, TooManyRequestsException"),
        ),
        (Reaction::Reset, 3, unavailable("cognito: transport")),
        // A pool without triggers, or with others.
        (tokens(), 1, none.clone()),
        (json(200, &json!({"ChallengeName": "PASSWORD_VERIFIER", "Session": "s1"})), 1, none.clone()),
    ];
    let answers: [(Reaction, usize, String); 9] = [
        (aws_error(400, "NotAuthorizedException"), 1, "refused".into()),
        (aws_error(400, "CodeMismatchException"), 1, "refused".into()),
        (
            aws_error(400, "UserLambdaValidationException"),
            1,
            unavailable("cognito: failed, status 400, UserLambdaValidationException"),
        ),
        (
            aws_error(400, "TooManyRequestsException"),
            1,
            unavailable("cognito: throttled, status 400, TooManyRequestsException"),
        ),
        (
            aws_error(500, "InternalErrorException"),
            1,
            unavailable("cognito: failed, status 500, InternalErrorException"),
        ),
        (
            aws_error(400, "AccessDeniedException"),
            1,
            unavailable("cognito: credential, status 400, AccessDeniedException"),
        ),
        (Reaction::Reset, 1, unavailable("cognito: transport")),
        (challenge(), 1, none.clone()),
        (json(200, &json!({"AuthenticationResult": {"ExpiresIn": 3600}})), 1, none),
    ];
    // Longer than any other call may take: two triggers run in each.
    let outcome = async |stub: &Stub| match sign_in(stub, &[]).sign_in(&id("ada"), "planted").await {
        Ok(_) => "tokens".to_owned(),
        Err(NoGrant::Refused) => "refused".to_owned(),
        Err(NoGrant::User) => "user".to_owned(),
        Err(NoGrant::Unavailable(cause)) => format!("unavailable {cause}"),
    };
    for (reaction, attempts, expected) in starts {
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        assert_eq!(outcome(&stub).await, expected);
        assert_eq!(stub.received().len(), attempts, "{expected}");
    }
    for (reaction, attempts, expected) in answers {
        let stub = Stub::start(move |request, _| match request.operation() {
            "AdminInitiateAuth" => challenge(),
            _ => reaction.clone(),
        })
        .await;
        assert_eq!(outcome(&stub).await, expected);
        assert_eq!(stub.received().len(), 1 + attempts, "{expected}");
    }
    let stub = Stub::start(|request, _| match request.operation() {
        "AdminInitiateAuth" => Reaction::After(Duration::from_millis(900), Box::new(challenge())),
        _ => Reaction::After(Duration::from_millis(900), Box::new(tokens())),
    })
    .await;
    assert_eq!(outcome(&stub).await, "tokens");
}

// ---- Corbado, against exact answers ----

fn verifier(url: &str, more: &[(&str, &str)]) -> corbado::Verifier {
    let mut pairs = vec![
        ("CORBADO_PROJECT_ID", "pro-sandbox"),
        ("CORBADO_BACKEND_API_URL", url),
        ("CORBADO_API_SECRET", "planted-secret"),
        GENEROUS,
    ];
    pairs.extend(more);
    let mut settings = tests::settings(&pairs);
    let https = Https::from_settings(&mut settings, Trust::Public).unwrap();
    let verifier = corbado::Verifier::from_settings(&mut settings, &https);
    settings.finish(verifier).unwrap()
}

/// The token of a sample.
fn token(case: &str) -> SignedPasskeyData {
    let sample = sample::read(&tests::events(), "post-login", case).unwrap();
    SignedPasskeyData::new(sample.event["signedPasskeyData"].as_str().unwrap())
}

fn sample_time() -> Timestamp {
    Timestamp::from_secs(sample::MADE_AT)
}

/// A replay guard that has seen nothing.
struct Oblivious;

impl ReplayGuard for Oblivious {
    async fn claim(&self, _: ReplayKey, _: Timestamp, _: Timestamp) -> Result<Claim, Unavailable> {
        Ok(Claim::First)
    }
}

async fn verify(verifier: &impl PasskeyVerifier) -> Result<UserIdentifier, NotVerified> {
    let token = token("signed-passkey-data");
    verify_passkey(verifier, &Oblivious, token, None, sample_time())
        .await
        .map(domain::VerifiedPasskey::into_user)
}

#[tokio::test]
async fn corbado_is_asked_once_with_the_documented_request() {
    let stub = Stub::start(|_, _| json(200, &json!({"verificationResult": "success"}))).await;
    assert_eq!(verify(&verifier(&stub.url(), &[])).await, Ok(id("usr-ada")));
    let received = stub.received();
    assert_eq!(received.len(), 1);
    let request = &received[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v2/passkey/verifySignedData"));
    assert_eq!(request.header("authorization"), "Basic cHJvLXNhbmRib3g6cGxhbnRlZC1zZWNyZXQ=");
    assert_eq!(request.header("content-type"), "application/json");
    let expected = json!({"signedPasskeyData": token("signed-passkey-data").expose(), "username": "usr-ada"});
    assert_eq!(request.json(), expected);

    let stub = Stub::start(|_, _| json(200, &json!({"verificationResult": "success"}))).await;
    verify(&verifier(&format!("{}/v2/", stub.url()), &[("CORBADO_API_KEY", "key-1")])).await.unwrap();
    assert_eq!(stub.received()[0].header("authorization"), "Bearer key-1");
    assert_eq!(stub.received()[0].path, "/v2/passkey/verifySignedData");
}

#[tokio::test]
async fn corbado_is_never_asked_twice_and_only_success_is_success() {
    let error = |status: u16, kind: &str| {
        json(status, &json!({"httpStatusCode": status, "message": "planted", "error": {"type": kind}}))
    };
    let verdict = |result: Value| json(200, &json!({"verificationResult": result}));
    let slow = |then| Reaction::After(Duration::from_secs(5), Box::new(then));
    let rows = [
        (verdict(json!("invalid_signature")), "verdict: invalid_signature"),
        (verdict(json!("invalid_challenge")), "verdict: invalid_challenge"),
        (verdict(json!("user_mismatch")), "verdict: user_mismatch"),
        (verdict(json!("generic_error")), "verdict: generic_error"),
        (verdict(json!("SUCCESS")), "verdict: unknown"),
        (verdict(json!("success ")), "verdict: unknown"),
        (verdict(json!(true)), "corbado: unreadable, status 200"),
        (verdict(json!(null)), "corbado: unreadable, status 200"),
        (json(200, &json!({})), "corbado: unreadable, status 200"),
        (json(200, &json!(["success"])), "corbado: unreadable, status 200"),
        (json(201, &json!({"verificationResult": "success"})), "corbado: unreadable, status 201"),
        (error(400, "validation_error"), "verdict: refused"),
        (error(401, "login_error"), "corbado: credential, status 401, login_error"),
        (error(403, "project_id_mismatch"), "corbado: credential, status 403, project_id_mismatch"),
        (error(404, "not_found"), "corbado: refused, status 404, not_found"),
        (error(429, "rate_limited"), "corbado: throttled, status 429, rate_limited"),
        (error(500, "internal_error"), "corbado: failed, status 500, internal_error"),
        (Reaction::Answer(200, vec![], "<html>".into()), "corbado: unreadable, status 200"),
        (Reaction::Answer(502, vec![], "<html>".into()), "corbado: failed, status 502"),
        (Reaction::Answer(200, vec![], "x".repeat(300_000)), "corbado: unreadable"),
        (Reaction::Raw(b"garbage\r\n\r\n"), "corbado: transport"),
        (Reaction::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"verif"), "corbado: transport"),
        (Reaction::Reset, "corbado: transport"),
        (slow(verdict(json!("success"))), "corbado: timeout"),
        (STALLED, "corbado: timeout"),
    ];
    for (reaction, expected) in rows {
        let shown = format!("{reaction:.200?}");
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let error = verify(&verifier(&stub.url(), &[limit_for(expected)])).await.unwrap_err();
        assert_eq!(error.to_string(), expected, "{shown}");
        assert_eq!(stub.received().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn corbado_is_not_asked_about_what_cannot_be_right() {
    let stub = Stub::start(|_, _| json(200, &json!({"verificationResult": "success"}))).await;
    let verifier = verifier(&stub.url(), &[]);
    let grace = id("usr-grace");
    let rows = [
        ("expired", None, Rejection::Expired),
        ("not-yet-valid", None, Rejection::NotYetValid),
        ("other-project", None, Rejection::Project),
        ("unsigned-token", None, Rejection::Algorithm),
        ("no-token-at-all", None, Rejection::Malformed),
        ("signed-passkey-data", Some(&grace), Rejection::OtherUser),
    ];
    for (case, claimed, expected) in rows {
        let result = verify_passkey(&verifier, &Oblivious, token(case), claimed, sample_time()).await;
        assert_eq!(result.map(|_| ()), Err(expected.into()), "{case}");
    }
    assert!(stub.received().is_empty());
    // The user may be named by Corbado's own id, too.
    let corbado_id = id("usr-1234567890");
    let token = token("signed-passkey-data");
    assert!(verify_passkey(&verifier, &Oblivious, token, Some(&corbado_id), sample_time()).await.is_ok());
}

/// Of two attempts with one token, one reaches Corbado, also when that one failed.
#[tokio::test]
async fn a_token_is_asked_about_once() {
    let directory = tempfile::tempdir().unwrap();
    let guard = store(&directory);
    let stub = Stub::start(|_, _| Reaction::Reset).await;
    let verifier = verifier(&stub.url(), &[]);
    let attempt = || verify_passkey(&verifier, &guard, token("signed-passkey-data"), None, sample_time());
    assert!(matches!(attempt().await, Err(NotVerified::Unavailable(_))));
    assert_eq!(attempt().await.map(|_| ()), Err(Rejection::Replayed.into()));
    assert_eq!(stub.received().len(), 1);
}

#[tokio::test]
async fn a_closed_port_is_a_transport_failure() {
    let port = tests::host::free_port();
    let error = verify(&verifier(&format!("http://127.0.0.1:{port}"), &[])).await.unwrap_err();
    assert_eq!(error.to_string(), "corbado: transport");
}

// ---- TLS ----

/// A server is trusted for a root of `TLS_ROOTS_FILE` and for nothing else: not for another authority's, not by the
/// embedded roots, not under another name. What is not trusted gets nothing.
#[tokio::test]
async fn only_the_configured_roots_are_trusted() {
    let authority = Authority::new();
    let other = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let roots = file("roots.pem", &format!("{}{}", other.pem, authority.pem));
    let other_roots = file("other.pem", &other.pem);
    let success = |_: &Received, _: usize| json(200, &json!({"verificationResult": "success"}));
    let stub = Stub::start_tls(&authority, success).await;
    let under_another_name = stub.url().replace("localhost", "127.0.0.1");

    let trusting = verifier(&stub.url(), &[("TLS_ROOTS_FILE", &roots)]);
    assert_eq!(verify(&trusting).await, Ok(id("usr-ada")));
    for (url, more) in [
        (stub.url(), vec![]),
        (stub.url(), vec![("TLS_ROOTS_FILE", other_roots.as_str())]),
        (under_another_name, vec![("TLS_ROOTS_FILE", roots.as_str())]),
    ] {
        let error = verify(&verifier(&url, &more)).await.unwrap_err();
        assert_eq!(error.to_string(), "corbado: transport", "{url} {more:?}");
    }
    assert_eq!(stub.received().len(), 1);

    // The AWS client shares the TLS configuration.
    let stub = Stub::start_tls(&authority, |_, _| json(200, &user(&[], json!([])))).await;
    let trusting = cognito(&stub, &[("TLS_ROOTS_FILE", &roots)]);
    assert!(trusting.find(&id("ada")).await.unwrap().is_some());
    let error = cognito(&stub, &[]).find(&id("ada")).await.unwrap_err();
    assert_eq!(error.to_string(), "cognito: transport");
    assert_eq!(stub.received().len(), 1);
}

// ---- the pool's keys ----

/// The key set is fetched once, again for a key that is not known, at most once a minute, and never lost to a failure.
#[tokio::test]
async fn the_pools_keys_are_kept_and_follow_a_rotation() {
    let start = Timestamp::from_secs(1_800_000_000);
    let claims = json!({
        "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool",
        "token_use": "access",
        "client_id": "client-1",
        "username": "ada",
        "exp": 1_800_003_600,
    });
    let header = |kid: &str| json!({"alg": "RS256", "kid": kid});
    let rows = [
        ("old", header("old"), claims.clone()),
        ("new", header("new"), claims.clone()),
        ("old", header("made-up"), claims),
    ];
    let forged = Forged::make(&["old", "new"], &rows);
    let [old, new, made_up] = forged.tokens.as_slice() else { panic!("three tokens") };
    let set = |name: &str| json(200, &json!({"keys": [forged.jwk(name, json!({"kid": name}))]}));
    let script = [aws_error(500, "X"), set("old"), aws_error(500, "X"), set("new")];
    let stub = Stub::start(move |_, before| script[before.min(3)].clone()).await;
    let mut settings = tests::settings(&[
        ("USER_POOL_ID", "eu-central-1_pool"),
        ("USER_POOL_CLIENT_ID", "client-0 client-1"),
        ("COGNITO_JWKS_URL", &stub.url()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    let https = Https::from_settings(&mut settings, Trust::Aws).unwrap();
    let tokens = cognito::Tokens::from_settings(&mut settings, &https);
    let tokens = settings.finish(tokens).unwrap();
    let after = async |token: &str, seconds: u64| {
        let now = start.plus(Duration::from_secs(seconds));
        let verified = tokens.verify(token, TokenUse::Session, now).await;
        (verified.map(|session| session.is_some()).map_err(|cause| cause.reason), stub.received().len())
    };
    // A fetch that fails says nothing about a token; with no key at all the next comes after a second.
    assert_eq!(after(old, 0).await, (Err(Reason::Unreadable), 1));
    assert_eq!(after(old, 0).await, (Err(Reason::Unreadable), 1));
    assert_eq!(after(old, 1).await, (Ok(true), 2));
    assert_eq!(after(made_up, 2).await, (Ok(false), 2));
    assert_eq!(after(new, 60).await, (Ok(false), 2));
    // Once a minute is over there is another fetch. It fails, and loses nothing that is known.
    assert_eq!(after(new, 61).await, (Err(Reason::Unreadable), 3));
    assert_eq!(after(old, 62).await, (Ok(true), 3));
    assert_eq!(after(new, 121).await, (Ok(true), 4));
    assert_eq!(after(old, 122).await, (Ok(false), 4));
    assert_eq!(after(new, 3600).await, (Ok(false), 4), "expired");
}
