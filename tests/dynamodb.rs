//! The DynamoDB table: the ports' suites on two emulators, and the adapter against exact answers.
//!
//! The emulators are made by different people and wrong in different places, so what holds on both is likely to hold.
//! What neither does (throttling, lost answers, damaged items) is scripted.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    Begun, Claim, FlowKey, FlowNonce, Rate, RateKey, RateLimiter, Reason, ReplayGuard, ReplayKey, Session,
    SessionId, SessionStore, SignedPasskeyData, Timestamp, UserIdentifier, Verdict, VerdictLog, hex,
};
use dynamodb::Table;
use outbound::{Https, Trust};
use serde_json::{Value, json};
use tests::dynamodb::{Moto, Pairs, client, create_table};
use tests::emulator::Emulator;
use tests::stub::{GENEROUS, Reaction, Received, STALLED, Stub, aws_error, json, limit_for};
use tests::suites;

fn id(text: &str) -> UserIdentifier {
    UserIdentifier::new(text).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + seconds)
}

fn session(user: &str) -> Session {
    Session::new(id(user), at(0), Duration::from_secs(600))
}

fn session_id(number: u8) -> SessionId {
    SessionId::from_random([number; 32])
}

fn webhook(name: &str) -> ReplayKey {
    ReplayKey::webhook("post-login", name)
}

fn token() -> ReplayKey {
    ReplayKey::token(&SignedPasskeyData::new("planted-token"))
}

fn flow(nonce: u8) -> FlowKey {
    FlowKey::new(&id("ada"), &FlowNonce::from_random([nonce; 32]))
}

fn table(pairs: &Pairs, more: &[(&str, &str)]) -> Table {
    let mut pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    pairs.extend(more);
    let mut settings = tests::settings(&pairs);
    let https = Https::from_settings(&mut settings, Trust::Aws).unwrap();
    let table = Table::from_settings(&mut settings, &https);
    settings.finish(table).unwrap()
}

/// A server with the table of `infra/table.json`, and the adapter on it.
async fn on(pairs: &Pairs) -> Arc<Table> {
    let name = create_table(pairs).await;
    Arc::new(table(pairs, &[("DYNAMODB_TABLE", &name), ("UPSTREAM_TIMEOUT_MS", "10000")]))
}

// ---- on the emulators ----

async fn all_ports(pairs: &Pairs) {
    let table = on(pairs).await;
    suites::session_store(Arc::clone(&table)).await;
    suites::idle_sessions(&*table).await;
    suites::replay_guard(Arc::clone(&table)).await;
    suites::verdict_log(Arc::clone(&table)).await;
    suites::rate_limiter(Arc::clone(&table)).await;

    for now in [0, 1, 60] {
        let hit = table.hit(RateKey::new("login", "nobody"), 0, at(now)).await;
        assert!(matches!(hit, Ok(Rate::Exceeded { .. })), "nothing is within a limit of 0");
    }

    // Several pages of the index, and nobody else's.
    let keys: Vec<_> = (100..160).map(|number| session_id(number).key()).collect();
    for key in &keys {
        table.create(*key, &session("grace")).await.unwrap();
    }
    let other = session_id(160).key();
    table.create(other, &session("grace2")).await.unwrap();
    table.revoke_all(&id("grace")).await.unwrap();
    for key in keys {
        assert_eq!(table.find(key, at(1)).await, Ok(None));
    }
    assert!(table.find(other, at(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_ministack() {
    all_ports(&Emulator::start().await.settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_moto() {
    all_ports(&Moto::start().await.settings()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_name_or_that_is_not_there() {
    let emulator = Emulator::start().await;
    let pairs = emulator.settings();
    let missing = table(&pairs, &[("DYNAMODB_TABLE", "missing"), ("UPSTREAM_TIMEOUT_MS", "10000")]);
    let cause = missing.find(session_id(1).key(), at(0)).await.unwrap_err();
    assert_eq!(cause.to_string(), "dynamodb: refused, status 400, ResourceNotFoundException");

    let mut settings = tests::settings(&[("AWS_REGION", "eu-central-1")]);
    let https = Https::from_settings(&mut settings, Trust::Aws).unwrap();
    let table = Table::from_settings(&mut settings, &https);
    let problems = settings.finish(table).unwrap_err();
    assert!(problems.to_string().contains("DYNAMODB_TABLE: required"), "{problems}");
}

/// What lies in the table: hashes for keys, and times by which DynamoDB may clear away.
#[tokio::test(flavor = "multi_thread")]
async fn items_hold_no_secret_and_expire() {
    let moto = Moto::start().await;
    let pairs = moto.settings();
    let table = on(&pairs).await;
    let secret = session_id(9);
    let expires = Timestamp::from_millis(1_800_000_600_001);
    table.create(secret.key(), &Session { expires, ..session("ada") }).await.unwrap();
    table.claim(webhook("planted-id"), expires, at(0)).await.unwrap();
    table.hit(RateKey::new("login", "planted-address"), 3, at(0)).await.unwrap();

    let client = client(&pairs);
    let mut items = client.scan().table_name("sessions").send().await.unwrap().items.unwrap();
    items.sort_by_key(|item| item["pk"].as_s().unwrap().clone());
    let shown = format!("{items:?}");
    assert!(!shown.contains(secret.expose()) && !shown.contains("planted"), "{shown}");
    let number = |item: &HashMap<String, AttributeValue>, name: &str| -> u64 {
        item[name].as_n().unwrap().parse().unwrap()
    };
    let rate = RateKey::new("login", "planted-address");
    let expected = [
        (format!("rate#{}#30000000", hex(rate.as_bytes())), 1_800_000_060),
        (format!("replay#{}", hex(webhook("planted-id").as_bytes())), 1_800_000_601),
        (format!("session#{}", hex(secret.key().as_bytes())), 1_800_000_601),
    ];
    let found: Vec<_> =
        items.iter().map(|item| (item["pk"].as_s().unwrap().clone(), number(item, "ttl"))).collect();
    assert_eq!(found, expected);
    assert_eq!(number(&items[2], "expires"), 1_800_000_600_001);

    let ttl = client.describe_time_to_live().table_name("sessions").send().await.unwrap();
    let ttl = ttl.time_to_live_description.unwrap();
    assert_eq!(ttl.attribute_name(), Some("ttl"));
}

// ---- a lost answer ----

/// Passes requests on to `url` and drops every other answer, the first one included.
fn losing_every_other_answer(url: String) -> impl Fn(&Received, usize) -> Reaction + Send + Sync {
    move |request, before| {
        let post = ureq::post(&url).config().http_status_as_error(false).build();
        let names = ["authorization", "content-type", "x-amz-date", "x-amz-target"];
        let post = names.iter().fold(post, |post, name| post.header(*name, request.header(name)));
        let mut answer = post.send(&request.body).unwrap();
        if before % 2 == 0 {
            return Reaction::Reset;
        }
        let body = answer.body_mut().read_to_string().unwrap();
        let content_type = vec![("content-type", "application/x-amz-json-1.0".to_owned())];
        Reaction::Answer(answer.status().as_u16(), content_type, body)
    }
}

/// The call was carried out, its answer was lost, and the SDK repeats it: the item in the way is the call's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_answer_is_no_replay_and_no_failed_login() {
    let emulator = Emulator::start().await;
    let pairs = emulator.settings();
    let name = create_table(&pairs).await;
    let url = pairs.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL").unwrap().1.clone();
    let stub = Stub::start(losing_every_other_answer(url)).await;
    let lossy = [
        ("DYNAMODB_TABLE", name.as_str()),
        ("UPSTREAM_TIMEOUT_MS", "10000"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &stub.url()),
    ];
    let table = table(&pairs, &lossy);

    assert_eq!(table.claim(webhook("msg_1"), at(300), at(0)).await, Ok(Claim::First));
    assert_eq!(table.claim(webhook("msg_1"), at(300), at(0)).await, Ok(Claim::Replayed));
    assert_eq!(table.begin(token(), flow(1), at(300), at(0)).await, Ok(Begun::First));
    assert_eq!(table.conclude(token(), flow(1), Verdict::Accepted).await, Ok(()));
    assert_eq!(table.begin(token(), flow(1), at(300), at(0)).await, Ok(Begun::Judged(Verdict::Accepted)));
    assert_eq!(table.begin(token(), flow(2), at(300), at(0)).await, Ok(Begun::Foreign));
    let key = session_id(1).key();
    assert_eq!(table.create(key, &session("ada")).await, Ok(()));
    assert_eq!(table.create(key, &session("mallory")).await.unwrap_err().reason, Reason::Refused);
    assert_eq!(table.find(key, at(1)).await, Ok(Some(session("ada"))));
    assert_eq!(table.touch(key, at(2)).await, Ok(()));
    assert_eq!(table.find(key, at(3)).await.unwrap().unwrap().last_seen, at(2));
    let rate = RateKey::new("login", "203.0.113.7");
    assert_eq!(table.hit(rate, 3, at(0)).await, Ok(Rate::Within));
    assert_eq!(table.revoke_all(&id("ada")).await, Ok(()));
    assert_eq!(table.find(key, at(3)).await, Ok(None));
    let operations = stub.received().len();
    assert_eq!(operations % 2, 0, "each call was made twice");

    let marks: Vec<_> = stub
        .received()
        .iter()
        .filter(|request| request.operation() == "PutItem")
        .map(|request| {
            let body = request.json();
            let condition = body["ConditionExpression"].as_str().unwrap();
            let own = " OR (#owner = :owner AND attribute_not_exists(verdict))";
            assert!(condition.ends_with(own), "{body}");
            assert_eq!(body["ExpressionAttributeNames"]["#owner"], "owner");
            assert_eq!(body["ExpressionAttributeValues"][":owner"], body["Item"]["owner"]);
            body["Item"]["owner"]["S"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(marks.len(), 14);
    assert!(marks.chunks(2).all(|attempts| attempts[0] == attempts[1]), "both attempts of a call share it");
    assert_eq!(marks.iter().collect::<HashSet<_>>().len(), 7, "no two calls do");
}

// ---- against exact answers ----

fn scripted(stub: &Stub, limit: (&'static str, &str)) -> Table {
    let pairs = [
        ("DYNAMODB_TABLE", " table ".to_owned()),
        ("AWS_REGION", "eu-central-1".into()),
        ("AWS_ACCESS_KEY_ID", "AKIDTEST".into()),
        ("AWS_SECRET_ACCESS_KEY", "planted-secret".into()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9".into()),
        ("AWS_ENDPOINT_URL_DYNAMODB", stub.url()),
        (limit.0, limit.1.into()),
    ];
    table(&pairs, &[])
}

fn item() -> Value {
    json!({
        "pk": {"S": "session#1"},
        "user": {"S": "ada"},
        "created": {"N": "1800000000000"},
        "expires": {"N": "1800000600000"},
        "last_seen": {"N": "1800000000000"},
        "ttl": {"N": "1800000600"},
    })
}

#[tokio::test]
async fn failures_are_retried_and_named() {
    let slow = || Reaction::After(Duration::from_secs(60), Box::new(Reaction::Reset));
    let rows = [
        (
            aws_error(400, "ProvisionedThroughputExceededException"),
            3,
            "dynamodb: throttled, status 400, ProvisionedThroughputExceededException",
        ),
        (aws_error(400, "ThrottlingException"), 3, "dynamodb: throttled, status 400, ThrottlingException"),
        (aws_error(400, "RequestLimitExceeded"), 3, "dynamodb: throttled, status 400, RequestLimitExceeded"),
        (aws_error(500, "InternalServerError"), 3, "dynamodb: failed, status 500, InternalServerError"),
        (
            aws_error(400, "ResourceNotFoundException"),
            1,
            "dynamodb: refused, status 400, ResourceNotFoundException",
        ),
        (aws_error(400, "ValidationException"), 1, "dynamodb: refused, status 400, ValidationException"),
        (
            aws_error(400, "AccessDeniedException"),
            1,
            "dynamodb: credential, status 400, AccessDeniedException",
        ),
        (Reaction::Answer(403, vec![], "<html>planted</html>".into()), 1, "dynamodb: credential, status 403"),
        (Reaction::Answer(200, vec![], "<html>planted</html>".into()), 1, "dynamodb: unreadable, status 200"),
        (Reaction::Reset, 3, "dynamodb: transport"),
        (slow(), 3, "dynamodb: timeout"),
        (STALLED, 3, "dynamodb: timeout"),
    ];
    for (reaction, attempts, expected) in rows {
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let table = scripted(&stub, limit_for(expected));
        let cause = table.find(session_id(1).key(), at(0)).await.unwrap_err();
        assert_eq!(cause.to_string(), expected);
        assert_eq!(stub.received().len(), attempts, "{expected}");
        assert!(!format!("{cause:?} {cause}").contains("planted"), "{cause:?}");
    }
}

/// No operation answers yes when the table does not.
#[tokio::test]
async fn every_operation_tells_of_a_failure() {
    let stub = Stub::start(|_, _| aws_error(400, "AccessDeniedException")).await;
    let table = scripted(&stub, GENEROUS);
    let key = session_id(1).key();
    let causes = [
        table.create(key, &session("planted")).await.unwrap_err(),
        table.find(key, at(0)).await.unwrap_err(),
        table.touch(key, at(0)).await.unwrap_err(),
        table.revoke(key).await.unwrap_err(),
        table.revoke_all(&id("planted")).await.unwrap_err(),
        table.claim(webhook("planted"), at(9), at(0)).await.unwrap_err(),
        table.begin(token(), flow(1), at(9), at(0)).await.unwrap_err(),
        table.conclude(token(), flow(1), Verdict::Accepted).await.unwrap_err(),
        table.hit(RateKey::new("login", "planted"), 3, at(0)).await.unwrap_err(),
    ];
    for cause in causes {
        assert_eq!(cause.reason, Reason::Credential);
        assert!(!format!("{cause:?} {cause}").contains("planted"), "{cause:?}");
    }
    let shown = format!("{table:?}");
    assert!(!shown.contains("planted"), "{shown}");
}

/// With AWS's namespace before the code, without it as ministack has it, and in the header as other services do.
#[tokio::test]
async fn a_condition_that_is_not_met_is_an_answer() {
    let code = "ConditionalCheckFailedException";
    let failed =
        |kind: &str| json(400, &json!({"__type": kind, "message": "The conditional request failed"}));
    let spelt =
        [failed(code), failed(&format!("com.amazonaws.dynamodb.v20120810#{code}")), aws_error(400, code)];
    for reaction in spelt {
        let stub = Stub::start(move |_, _| reaction.clone()).await;
        let table = scripted(&stub, GENEROUS);
        let key = session_id(1).key();
        assert_eq!(table.claim(webhook("msg_1"), at(9), at(0)).await, Ok(Claim::Replayed));
        let hit = table.hit(RateKey::new("login", "a"), 3, at(50)).await;
        assert_eq!(hit, Ok(Rate::exceeded(at(50))));
        assert_eq!(table.touch(key, at(0)).await, Ok(()));
        let cause = table.create(key, &session("ada")).await.unwrap_err();
        assert_eq!(cause.reason, Reason::Refused);
        assert_eq!(cause.to_string(), format!("dynamodb: refused, {code}"));
        let cause = table.conclude(token(), flow(1), Verdict::Accepted).await.unwrap_err();
        assert_eq!(cause.to_string(), format!("dynamodb: refused, {code}"));
        assert_eq!(stub.received().len(), 5, "none is repeated");
    }
}

#[tokio::test]
async fn sessions_are_read_consistently_and_only_whole() {
    let stub = Stub::start(|_, _| json(200, &json!({"Item": item()}))).await;
    let table = scripted(&stub, GENEROUS);
    let key = session_id(1).key();
    assert_eq!(table.find(key, at(599)).await, Ok(Some(session("ada"))));
    assert_eq!(table.find(key, at(600)).await, Ok(None), "expired, and not yet cleared away");
    let request = stub.received()[0].json();
    assert_eq!(request["ConsistentRead"], true);
    assert_eq!(request["TableName"], "table");

    let damaged = [
        ("user", None),
        ("user", Some(json!({"S": ""}))),
        ("user", Some(json!({"S": "planted\nline"}))),
        ("user", Some(json!({"N": "1"}))),
        ("created", None),
        ("expires", None),
        ("expires", Some(json!({"N": "planted"}))),
        ("expires", Some(json!({"N": "-1"}))),
        ("expires", Some(json!({"N": "1800000600000.5"}))),
        ("expires", Some(json!({"S": "1800000600000"}))),
        ("last_seen", Some(json!({"NULL": true}))),
    ];
    for (name, value) in damaged {
        let mut item = item();
        match value.clone() {
            Some(value) => item[name] = value,
            None => drop(item.as_object_mut().unwrap().remove(name)),
        }
        let stub = Stub::start(move |_, _| json(200, &json!({"Item": item}))).await;
        let cause = scripted(&stub, GENEROUS).find(key, at(0)).await.unwrap_err();
        assert_eq!(format!("{cause}"), "dynamodb: unreadable", "{name} {value:?}");
        assert!(!format!("{cause:?}").contains("planted"), "{cause:?}");
    }
}

/// Three pages, the second of them empty, as a page of an index may be; of the first, one delete is left over and goes
/// again by itself, throttled at first.
#[tokio::test]
async fn revoke_all_takes_all_pages_and_what_a_batch_leaves_over() {
    let keys = |pk: &str| json!({"pk": {"S": pk}, "user": {"S": "ada"}});
    let alone = Arc::new(Mutex::new(0));
    let count = Arc::clone(&alone);
    let stub = Stub::start(move |request, _| {
        let body = request.json();
        match (request.operation(), body["ExclusiveStartKey"]["pk"]["S"].as_str()) {
            ("Query", None) => {
                json(200, &json!({"Items": [keys("a"), keys("b")], "LastEvaluatedKey": keys("b")}))
            }
            ("Query", Some("b")) => json(200, &json!({"Items": [], "LastEvaluatedKey": keys("c")})),
            ("Query", Some("c")) => json(200, &json!({"Items": [keys("d")]})),
            ("BatchWriteItem", _) if body.to_string().contains(r#""S":"b""#) => {
                let left = json!([{"DeleteRequest": {"Key": {"pk": {"S": "b"}}}}]);
                json(200, &json!({"UnprocessedItems": {"table": left}}))
            }
            ("BatchWriteItem", _) => json(200, &json!({"UnprocessedItems": {}})),
            ("DeleteItem", _) => {
                *count.lock().unwrap() += 1;
                match *count.lock().unwrap() {
                    1 => aws_error(400, "ProvisionedThroughputExceededException"),
                    _ => json(200, &json!({})),
                }
            }
            (other, _) => panic!("{other} {body}"),
        }
    })
    .await;
    scripted(&stub, GENEROUS).revoke_all(&id("ada")).await.unwrap();
    let received = stub.received();
    let operations: Vec<_> = received.iter().map(Received::operation).collect();
    let (query, batch, delete) = ("Query", "BatchWriteItem", "DeleteItem");
    assert_eq!(operations, [query, batch, delete, delete, query, query, batch]);
    assert_eq!(received[0].json()["IndexName"], "by_user");
    assert_eq!(received[2].json()["Key"], json!({"pk": {"S": "b"}}));
    let deletes = &received[1].json()["RequestItems"]["table"];
    let delete = |pk: &str| json!({"DeleteRequest": {"Key": {"pk": {"S": pk}}}});
    assert_eq!(*deletes, json!([delete("a"), delete("b")]));

    // A batch that was not carried out is no success.
    let stub = Stub::start(move |request, _| match request.operation() {
        "Query" => json(200, &json!({"Items": [{"user": {"S": "ada"}}]})),
        _ => json(200, &json!({})),
    })
    .await;
    let cause = scripted(&stub, GENEROUS).revoke_all(&id("ada")).await.unwrap_err();
    assert_eq!(cause.to_string(), "dynamodb: unreadable");
}
