//! MFA flags that cannot be set at once: kept in a queue, and set later, in order, once.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value, json};
use tests::emulator::Emulator;
use tests::function::Function;
use tests::host::TestHost;
use tests::stub::{Reaction, Received, Stub, aws_error, json};

/// What a pool does about updates.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Fine,
    Throttled,
    /// The same for one user's updates.
    BusyWith(&'static str),
    Down,
    Stalled,
}

/// A user pool that keeps the flags, and may be busy.
struct Pool {
    stub: Stub,
    mood: Arc<Mutex<Mood>>,
    flags: Arc<Mutex<HashMap<String, HashMap<String, String>>>>,
}

impl Pool {
    async fn start() -> Self {
        let mood = Arc::new(Mutex::new(Mood::Fine));
        let flags: Arc<Mutex<HashMap<String, HashMap<String, String>>>> = Arc::default();
        let (moods, kept) = (Arc::clone(&mood), Arc::clone(&flags));
        let stub = Stub::start(move |request, _| react(request, *moods.lock().unwrap(), &kept)).await;
        Self { stub, mood, flags }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The time of a user's last update.
    fn last_update(&self, user: &str) -> Option<String> {
        self.flags.lock().unwrap().get(user)?.get("custom:last_mfa_update").cloned()
    }

    fn updates(&self) -> usize {
        self.stub.received().iter().filter(|it| it.operation() == "AdminUpdateUserAttributes").count()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AUTH_SYSTEM", "cognito".into()),
            ("USER_POOL_ID", "eu-central-1_pool".into()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", self.stub.url()),
            ("UPSTREAM_TIMEOUT_MS", "2000".into()),
            ("DEFER_AFTER_MS", "1000".into()),
            ("DEFER_PACE_MS", "0".into()),
        ]
    }
}

fn react(
    request: &Received,
    mood: Mood,
    flags: &Mutex<HashMap<String, HashMap<String, String>>>,
) -> Reaction {
    let body = request.json();
    let user = body["Username"].as_str().unwrap_or_default().to_owned();
    let mut flags = flags.lock().unwrap();
    match (request.operation(), mood) {
        (_, Mood::Down) => aws_error(500, "InternalErrorException"),
        (_, Mood::Stalled) => Reaction::After(Duration::from_secs(30), Box::new(Reaction::Reset)),
        ("AdminGetUser", _) if user == "nobody" => aws_error(400, "UserNotFoundException"),
        ("AdminGetUser", _) => {
            let attributes: Vec<_> = flags
                .get(&user)
                .into_iter()
                .flatten()
                .map(|(name, value)| json!({"Name": name, "Value": value}))
                .collect();
            let user = json!({"Username": user, "Enabled": true, "UserStatus": "CONFIRMED", "UserAttributes": attributes});
            json(200, &user)
        }
        ("AdminUpdateUserAttributes", Mood::BusyWith(busy)) if user == busy => {
            aws_error(400, "TooManyRequestsException")
        }
        ("AdminUpdateUserAttributes", Mood::Throttled) => aws_error(400, "TooManyRequestsException"),
        ("AdminUpdateUserAttributes", _) => {
            for attribute in body["UserAttributes"].as_array().unwrap() {
                let text = |name: &str| attribute[name].as_str().unwrap().to_owned();
                flags.entry(user.clone()).or_default().insert(text("Name"), text("Value"));
            }
            json(200, &json!({}))
        }
        (operation, _) => panic!("{operation}"),
    }
}

async fn host(pool: &Pool, more: &[(&'static str, String)]) -> TestHost {
    let mut settings = pool.settings();
    for (name, value) in more {
        settings.retain(|(known, _)| known != name);
        settings.push((name, value.clone()));
    }
    let pairs: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    TestHost::start(&pairs).await
}

fn embedded() -> (&'static str, String) {
    ("DEFER_QUEUE_URL", "embedded".into())
}

async fn append(host: &TestHost, user: &str) -> Value {
    host.invoke("post-append", json!({"username": user}).to_string()).await.payload
}

fn deferred() -> Value {
    json!({"statusCode": 200, "body": {"deferred": true}})
}

/// A batch as Lambda's poller hands it over.
fn batch(messages: &[(String, String)]) -> String {
    let records: Vec<_> = messages
        .iter()
        .map(|(receipt, message)| {
            json!({
                "messageId": format!("m{receipt}"), "receiptHandle": receipt, "body": message,
                "attributes": {"ApproximateReceiveCount": "1"}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:deferred.fifo", "awsRegion": "eu-central-1",
            })
        })
        .collect();
    json!({"Records": records}).to_string()
}

/// Delivers what is due in the embedded queue, as the local host does, and tells how much was left.
async fn deliver(host: &TestHost, ahead: u64) -> usize {
    let now = Timestamp::from_secs(tests::now() + ahead);
    sandbox::deferred::deliver(&host.host.invoker(), &host.store, now).await.unwrap()
}

/// Hands messages over, and tells which are to come again.
async fn work(host: &TestHost, messages: &[(String, String)]) -> Vec<String> {
    let invoked = host.invoke("post-append", batch(messages)).await;
    assert_eq!(invoked.function_error, None, "{}", invoked.payload);
    let failures = invoked.payload["batchItemFailures"].as_array().unwrap().clone();
    failures.iter().map(|it| it["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

fn kept(host: &TestHost) -> Vec<String> {
    let store = rusqlite::Connection::open(host.store.path()).unwrap();
    let mut select = store.prepare("SELECT message FROM deferred ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Whatever keeps the pool from taking the update, the flag is set later, as of the time of the append.
#[tokio::test(flavor = "multi_thread")]
async fn no_flag_is_lost_on_a_laptop() {
    for mood in [Mood::Throttled, Mood::Down, Mood::Stalled] {
        let pool = Pool::start().await;
        let host = host(&pool, &[embedded()]).await;
        pool.is(mood);
        let before = Timestamp::from_secs(tests::now()).to_string();
        assert_eq!(append(&host, "ada").await, deferred(), "{mood:?}");
        assert_eq!(pool.last_update("ada"), None);
        let [message] = kept(&host).try_into().unwrap();
        assert!(!message.contains("whsec_") && message.contains("ada"), "{message}");
        assert_eq!(deliver(&host, 0).await, 1, "{mood:?}: still so, and it stays");
        assert_eq!(kept(&host).len(), 1);

        pool.is(Mood::Fine);
        assert_eq!(deliver(&host, 3600).await, 0, "{mood:?}");
        let set = pool.last_update("ada").unwrap();
        assert!(set >= before, "{set} {before}");
        assert_eq!(
            (kept(&host).len(), pool.flags.lock().unwrap()["ada"]["custom:mfa_enabled"].as_str()),
            (0, "true")
        );
        // Delivered once more, nothing is written.
        let updates = pool.updates();
        assert_eq!(work(&host, &[("1".into(), message)]).await, [""; 0]);
        assert_eq!(pool.updates(), updates);
        assert_eq!(pool.last_update("ada"), Some(set));
    }
}

/// What a busy pool does not touch: definite answers, and builds and deployments without a queue.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_cannot_be_done_now_is_deferred() {
    let pool = Pool::start().await;
    let with_queue = host(&pool, &[embedded()]).await;
    assert_eq!(append(&with_queue, "ada").await, json!({"statusCode": 200, "body": {}}));
    assert_eq!(append(&with_queue, "nobody").await["body"]["error"], "user_not_found");
    assert_eq!(append(&with_queue, "").await["body"]["error"], "invalid_request");
    assert_eq!(kept(&with_queue).len(), 0);
    pool.is(Mood::Down);
    let without = host(&pool, &[]).await;
    assert_eq!(append(&without, "grace").await["body"]["error"], "provider_unavailable");
    // A batch is an event like any other there.
    let answer = without.invoke("post-append", batch(&[("1".into(), "{}".into())])).await;
    assert_eq!(answer.status_and_code(), (400, "invalid_request".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_refuses_is_a_failure() {
    let pool = Pool::start().await;
    pool.is(Mood::Throttled);
    let queue = Stub::start(|_, _| aws_error(400, "AWS.SimpleQueueService.NonExistentQueue")).await;
    let settings = [
        ("DEFER_QUEUE_URL", format!("{}/000000000000/deferred.fifo", queue.url())),
        ("AWS_ENDPOINT_URL_SQS", queue.url()),
    ];
    let host = host(&pool, &settings).await;
    let answer = append(&host, "ada").await;
    assert_eq!(
        (&answer["statusCode"], &answer["body"]["error"]),
        (&json!(500), &json!("provider_unavailable"))
    );
    assert!(!queue.received().is_empty());
}

/// An intent does not overwrite what came after it, and none of a user's overtakes another.
#[tokio::test(flavor = "multi_thread")]
async fn intents_are_made_in_time_order() {
    let pool = Pool::start().await;
    let host = host(&pool, &[embedded(), ("MFA_WHEN_ALREADY_SET", "prefer-passkey".into())]).await;
    pool.is(Mood::Down);
    assert_eq!(append(&host, "ada").await, deferred());
    pool.is(Mood::Fine);
    let [older] = kept(&host).try_into().unwrap();
    assert_eq!(append(&host, "ada").await["statusCode"], 200);
    let newer = pool.last_update("ada").unwrap();
    // Somebody switched MFA off since: what is newer than the intent stays.
    pool.flags.lock().unwrap().get_mut("ada").unwrap().insert("custom:mfa_enabled".into(), "false".into());
    let updates = pool.updates();
    assert_eq!(work(&host, &[("1".into(), older)]).await, [""; 0]);
    assert_eq!((pool.updates(), pool.last_update("ada")), (updates, Some(newer)));

    // Of a batch in which a user's first message fails the others of this user stay, too; other users' do not.
    pool.is(Mood::Down);
    for user in ["ada", "grace", "ada"] {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(append(&host, user).await, deferred());
    }
    let messages: Vec<_> =
        kept(&host).into_iter().skip(1).enumerate().map(|(n, it)| (n.to_string(), it)).collect();
    pool.is(Mood::BusyWith("ada"));
    assert_eq!(work(&host, &messages).await, ["m0", "m2"]);
    assert!(pool.last_update("grace").is_some());
    // What is not ours holds up nobody.
    pool.is(Mood::Fine);
    let bad = ("9".to_owned(), messages[0].1.replace("v1,", "v1,AAAA"));
    let mixed = [bad, messages[0].clone(), messages[1].clone(), messages[2].clone()];
    assert_eq!(work(&host, &mixed).await, ["m9"]);
    let set = pool.last_update("ada").unwrap();
    let times: Vec<_> =
        messages.iter().map(|(_, it)| events::Deferred::parse(it).unwrap().intent.at).collect();
    assert!(times.iter().any(|at| at.to_string() == set), "{set}");
}

/// Anybody who may invoke can hand a batch over: only what we sealed counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_message_sets_nothing() {
    let pool = Pool::start().await;
    let host = host(&pool, &[embedded(), ("ACTION_DIRECT_INVOCATION", "deny".into())]).await;
    pool.is(Mood::Down);
    let body = json!({"username": "ada"}).to_string();
    let sample = sandbox::sample::Sample {
        function: "post-append".into(),
        case: "ad hoc".into(),
        event: serde_json::from_str(&body).unwrap(),
        expected: Value::Null,
    };
    let url = host.url();
    let reply = tokio::task::spawn_blocking(move || {
        let secret = tests::host::secret();
        sandbox::invoke::send(&url, &sample, sandbox::invoke::Via::Url, &secret, tests::now()).unwrap()
    });
    assert_eq!(reply.await.unwrap().body, r#"{"deferred":true}"#);
    pool.is(Mood::Fine);
    let [message] = kept(&host).try_into().unwrap();
    let inner: Value = serde_json::from_str(&message).unwrap();
    let text = inner["intent"].as_str().unwrap();
    let other_user = text.replace("ada", "eve");
    let own = webhooks::SigningSecret::parse("whsec_b3RoZXIgc2VjcmV0IG9mIHRlc3RzIGZvciBldmU=").unwrap();
    let webhook = tests::host::secret().sign("msg_1", 0, other_user.as_bytes());
    let forged = [
        "{}".to_owned(),
        "planted".to_owned(),
        json!({"intent": other_user, "seal": inner["seal"]}).to_string(),
        json!({"intent": other_user, "seal": ""}).to_string(),
        json!({"intent": other_user, "seal": "v1,"}).to_string(),
        json!({"intent": other_user, "seal": own.sign("post-append-deferred", 0, other_user.as_bytes())})
            .to_string(),
        json!({"intent": other_user, "seal": webhook}).to_string(),
    ];
    for (number, message) in forged.into_iter().enumerate() {
        let left = work(&host, &[(number.to_string(), message)]).await;
        assert_eq!(left, [format!("m{number}")]);
    }
    assert_eq!(pool.updates(), 0);
    // Ours goes through, though direct invocations of events are denied.
    assert_eq!(work(&host, &[("1".into(), message)]).await, [""; 0]);
    assert!(pool.last_update("ada").is_some());
    let denied = host.invoke("post-append", body).await;
    assert_eq!(denied.status_and_code(), (401, "unauthenticated".into()));
    let log = host.lines().join("\n");
    assert!(!log.contains("planted") && log.contains("no seal of ours"), "{log}");
}

/// Lines about updates that are made later name the user by the short hash, or not at all: no message, receipt, seal or queue.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_about_whom_is_logged() {
    const USER: &str = "planted@example.com";
    let pool = Pool::start().await;
    let queue = Stub::start(|_, _| aws_error(400, "planted.Code planted")).await;
    let on_sqs = [
        ("DEFER_QUEUE_URL", format!("{}/000000000000/planted.fifo", queue.url())),
        ("AWS_ENDPOINT_URL_SQS", queue.url()),
    ];
    let loud = [("RUST_LOG", "trace"), ("AWS_LAMBDA_LOG_LEVEL", "TRACE"), ("METRICS_NAMESPACE", "Connect")];
    let loud = loud.map(|(name, value)| (name, value.to_owned()));
    let in_file = host(&pool, &[&[embedded()], loud.as_slice()].concat()).await;
    let refused = host(&pool, &[on_sqs.as_slice(), loud.as_slice()].concat()).await;

    pool.is(Mood::Throttled);
    assert_eq!(append(&in_file, USER).await, deferred());
    assert_eq!(append(&refused, USER).await["statusCode"], 500);
    let [message] = kept(&in_file).try_into().unwrap();
    let sealed = events::Deferred::parse(&message).unwrap();
    let messages = [
        message.clone(),
        message.replace("v1,", "v1,AAAA"),
        message.replace("planted", "planted\\\\n"),
        message.replace("passkey", "planted"),
        "planted".to_owned(),
    ];
    // One by one, or the first would hold up the others.
    for (number, message) in messages.into_iter().enumerate() {
        for host in [&in_file, &refused] {
            let receipt = format!("planted-receipt-{number}");
            let left = work(host, &[(receipt.clone(), message.clone())]).await;
            assert_eq!(left, [format!("m{receipt}")], "{number}");
        }
    }
    assert_eq!(deliver(&in_file, 0).await, 1);
    pool.is(Mood::Fine);
    assert_eq!(deliver(&in_file, 3600).await, 0);

    let last = in_file.invoke("pre-login", "{}").await.payload["body"]["requestId"].clone();
    let mut lines = in_file.log_with(last.as_str().unwrap()).await;
    lines.extend(refused.lines());
    let log = lines.join("\n");
    for word in [
        "planted",
        &sealed.seal,
        &sealed.intent.group(),
        &sealed.intent.name(),
        &sealed.text,
        "AKID",
        "whsec_",
    ] {
        assert!(!log.contains(word), "{word} in {log}");
    }
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |field: &'static str, value: &'static str| {
        let of = lines.iter().filter(move |line| line[field] == value);
        of.collect::<Vec<_>>()
    };
    let [put_off] = with("outcome", "deferred").try_into().unwrap();
    assert_eq!(put_off["user.ref"], lambda::action::user_ref(USER));
    let (worked, left) = (with("outcome", "messages_taken"), with("message", "message left in the queue"));
    assert_eq!((worked.len(), left.len()), (12, 11));
    assert!(worked.iter().all(|line| line["user.ref"].is_null() && line["caller"] == "queue"), "{log}");
    let known =
        ["timestamp", "level", "message", "cause", "deliveries", "request_id", "trace_id", "function"];
    for line in left {
        let fields: Vec<_> = line.as_object().unwrap().keys().collect();
        assert!(fields.iter().all(|field| known.contains(&field.as_str())), "{line}");
    }
}

/// A roll-out day, with the queue and the poller of an emulator: the pool is throttled, and takes up again.
#[tokio::test(flavor = "multi_thread")]
async fn no_flag_is_lost_on_sqs() {
    const SCRIPT: &str = r#"
import boto3, json, sys
wanted = json.load(sys.stdin)
client = lambda name: boto3.client(name, endpoint_url=wanted["endpoint"], region_name="eu-central-1",
                                   aws_access_key_id="test", aws_secret_access_key="test")
sqs = client("sqs")
if "map" in wanted:
    client("lambda").create_event_source_mapping(EventSourceArn=wanted["arn"], FunctionName=wanted["map"], BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"], ScalingConfig={"MaximumConcurrency": 2})
    json.dump(None, sys.stdout)
elif "count" in wanted:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    got = sqs.get_queue_attributes(QueueUrl=wanted["count"], AttributeNames=names)["Attributes"]
    json.dump([int(got[name]) for name in names], sys.stdout)
else:
    url = sqs.create_queue(QueueName="deferred.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "30"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    json.dump({"url": url, "arn": arn}, sys.stdout)
"#;
    let emulator = Emulator::start().await;
    let run = |more: Value| {
        let mut wanted = json!({"endpoint": emulator.url()});
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tests::python::run(SCRIPT, &wanted)
    };
    let queue = run(json!({}));
    let (url, arn) = (queue["url"].as_str().unwrap(), queue["arn"].as_str().unwrap());
    let pool = Pool::start().await;
    pool.is(Mood::Throttled);
    let settings = [("DEFER_QUEUE_URL", url.to_owned()), ("AWS_ENDPOINT_URL_SQS", emulator.url())];
    let host = host(&pool, &settings).await;
    let users: Vec<_> = (0..20).map(|number| format!("usr-{number}")).collect();
    for user in &users {
        assert_eq!(append(&host, user).await, deferred(), "{user}");
    }
    assert_eq!(run(json!({"count": url})), json!([20, 0]));

    // The same binary as the worker, with no more than its role allows.
    let binary = tests::binaries().join("post-append");
    let mut environment = pool.settings();
    environment.extend(settings.clone());
    environment.push(("ACTION_SIGNING_SECRETS", "whsec_dGVzdHMgc2lnbiB3aXRoIHRoaXMgc2VjcmV0IGtleQ==".into()));
    environment.push(("EMBEDDED_STORE", "/nowhere/store.sqlite".into()));
    environment.retain(|(name, _)| !["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(name));
    let allowed =
        ["SendMessage", "ChangeMessageVisibility", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
    let actions: Vec<_> = allowed.iter().map(|action| format!("sqs:{action}")).collect();
    let function = Function {
        name: "post-append",
        binary: &binary,
        timeout: 10,
        environment,
        allowed: actions.iter().map(|action| (action.as_str(), arn.to_owned())).collect(),
    };
    function.create(&emulator);
    pool.is(Mood::Fine);
    run(json!({"map": "post-append", "arn": arn}));
    for _ in 0..240 {
        if pool.flags.lock().unwrap().len() == users.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    for user in &users {
        assert!(pool.last_update(user).is_some(), "{user}");
    }
    assert_eq!(pool.updates() % users.len(), 0, "each set once, beside the throttled attempts");
    for _ in 0..60 {
        if run(json!({"count": url})) == json!([0, 0]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("the queue is not empty: {}", run(json!({"count": url})));
}
