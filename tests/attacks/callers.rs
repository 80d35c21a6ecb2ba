//! Who calls: signatures, envelopes, the ways to call that are turned off, deployments.

use serde_json::{Value, json};
use tests::api::Call;
use tests::host::{ORIGIN, secret};
use webhooks::SigningSecret;

use crate::world::{On, World, good_token, invoke, page};
use crate::{Attack, Meets, Sent, rows};

const BODY: &str = r#"{"userId":"usr-ada"}"#;

type Headers = Vec<(String, String)>;

/// The headers of a call that is signed well.
fn signed(id: &str, timestamp: u64, body: &str) -> Headers {
    tests::host::signed(&secret(), id, timestamp, body)
}

fn with(mut headers: Headers, name: &str, value: &str) -> Headers {
    headers.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
    headers
}

fn url(headers: Headers) -> Sent {
    Sent::Url("post-login", headers, BODY.to_owned())
}

/// What a function URL makes of a call.
fn event(headers: &Headers, body: &str) -> Value {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "version": "2.0",
        "rawPath": "/",
        "headers": Value::Object(headers.into_iter().collect()),
        "requestContext": {"http": {"method": "POST", "path": "/", "sourceIp": "203.0.113.7"}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": false,
    })
}

const NOBODY: Meets = Meets::Refusal(401, "unauthenticated");
const INVALID: Meets = Meets::Refusal(400, "invalid_request");

pub(crate) fn table(_: &World) -> Vec<Attack> {
    [signatures(), replays(), envelopes(), ways(), deployments()].into_iter().flatten().collect()
}

fn signatures() -> Vec<Attack> {
    let row = rows("signature");
    let now = tests::now();
    let good = || signed("msg_attack", now, BODY);
    let foreign = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let sample = SigningSecret::parse(sandbox::sample::SECRET).unwrap();
    let right = good()[3].1.clone();
    let without = |name: &str| good().into_iter().filter(|(known, _)| known != name).collect::<Headers>();
    let twice = |name: &str| {
        let more = good().into_iter().filter(|(known, _)| known == name);
        good().into_iter().chain(more).collect::<Headers>()
    };
    let sign = |value: &str| with(good(), "webhook-signature", value);
    let mixed_case: Headers =
        sign(&right[..20]).into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect();
    vec![
        row("unsigned", "13.2.6", url(vec![good()[0].clone()]), NOBODY),
        row(
            "forged with another secret",
            "13.2.6",
            url(sign(&foreign.sign("msg_attack", now, BODY.as_bytes()))),
            NOBODY,
        ),
        row(
            "forged with the samples' published secret",
            "2.10.2",
            url(sign(&sample.sign("msg_attack", now, BODY.as_bytes()))),
            NOBODY,
        ),
        row("forged with an empty MAC", "6.2.1", url(sign("v1,")), NOBODY),
        row("truncated by a few characters", "6.2.1", url(sign(&right[..right.len() - 8])), NOBODY),
        row("MAC of another version", "6.2.1", url(sign(&right.replace("v1,", "v1a,"))), NOBODY),
        row("version in capitals", "6.2.1", url(sign(&right.replace("v1,", "V1,"))), NOBODY),
        row("stale", "13.2.6", url(signed("msg_attack", now - 302, BODY)), NOBODY),
        row("from the future", "13.2.6", url(signed("msg_attack", now + 330, BODY)), NOBODY),
        row(
            "timestamp moved to the present",
            "13.2.6",
            url(with(signed("msg_attack", now - 400, BODY), "webhook-timestamp", &now.to_string())),
            NOBODY,
        ),
        row(
            "timestamp with a sign before it",
            "5.1.4",
            url(with(good(), "webhook-timestamp", &format!("+{now}"))),
            NOBODY,
        ),
        row(
            "timestamp beyond all time",
            "5.1.4",
            url(with(good(), "webhook-timestamp", "99999999999999999999")),
            NOBODY,
        ),
        row("id changed", "13.2.6", url(with(good(), "webhook-id", "msg_other")), NOBODY),
        row(
            "id and timestamp shifted against each other",
            "13.2.6",
            url(with(
                with(good(), "webhook-id", &format!("msg_attack.{}", now / 10)),
                "webhook-timestamp",
                &(now % 10).to_string(),
            )),
            NOBODY,
        ),
        row(
            "body changed",
            "13.2.6",
            Sent::Url("post-login", good(), r#"{"userId":"usr-grace"}"#.into()),
            NOBODY,
        ),
        row(
            "body serialised anew",
            "13.2.6",
            Sent::Url("post-login", good(), r#"{"userId": "usr-ada"}"#.into()),
            NOBODY,
        ),
        row("no id", "13.2.6", url(without("webhook-id")), NOBODY),
        row("no timestamp", "13.2.6", url(without("webhook-timestamp")), NOBODY),
        row("id twice", "5.1.1", url(twice("webhook-id")), NOBODY),
        row("timestamp twice", "5.1.1", url(twice("webhook-timestamp")), NOBODY),
        row(
            "signature twice, one forged",
            "5.1.1",
            url([good(), vec![("webhook-signature".into(), "v1,AAAA".into())]].concat()),
            NOBODY,
        ),
        row("headers in capitals, MAC forged", "13.2.6", url(mixed_case), NOBODY),
        row(
            "forty candidates, none right",
            "13.2.6",
            url(sign(vec!["v1,AAAA"; 40].join(" ").as_str())),
            NOBODY,
        ),
        row(
            "right, behind 2 KiB of candidates",
            "11.1.4",
            url(sign(&format!("{} {right}", "v1,AAAA ".repeat(300)))),
            NOBODY,
        ),
        row(
            "headers with one value and with several, at odds",
            "5.1.1",
            invoke("post-login", &contradicting(&good())),
            NOBODY,
        ),
    ]
}

/// A REST API's event whose two sets of headers differ: the complete one counts.
fn contradicting(good: &Headers) -> Value {
    let several: Vec<_> = with(good.clone(), "webhook-signature", "v1,AAAA")
        .into_iter()
        .map(|(name, value)| (name, json!([value])))
        .collect();
    let one: Vec<_> = good.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "version": "1.0", "httpMethod": "POST", "path": "/",
        "headers": Value::Object(one.into_iter().collect()),
        "multiValueHeaders": Value::Object(several.into_iter().collect()),
        "requestContext": {"httpMethod": "POST", "path": "/", "stage": "$default", "identity": {"sourceIp": "203.0.113.7"}},
        "body": BODY, "isBase64Encoded": false,
    })
}

fn replays() -> Vec<Attack> {
    let row = rows("replay");
    let now = tests::now();
    let call = |id: &str, body: &str| Sent::Url("post-login", signed(id, now, body), body.to_owned());
    let replayed = || Meets::Refusal(409, "replayed");
    let grace = r#"{"userId":"usr-grace"}"#;
    vec![
        row("a signed call once more", "13.2.6", call("msg_replay_1", BODY), replayed())
            .after(vec![call("msg_replay_1", BODY)]),
        row("its id with another body, signed well", "13.2.6", call("msg_replay_2", grace), replayed())
            .after(vec![call("msg_replay_2", BODY)]),
        row(
            "its id at another time, signed well",
            "13.2.6",
            url(signed("msg_replay_3", now - 5, BODY)),
            replayed(),
        )
        .after(vec![call("msg_replay_3", BODY)]),
        row(
            "by another envelope",
            "13.2.6",
            invoke("post-login", &event(&signed("msg_replay_4", now, BODY), BODY)),
            replayed(),
        )
        .after(vec![call("msg_replay_4", BODY)]),
    ]
}

fn envelopes() -> Vec<Attack> {
    let row = rows("envelope");
    let send = |event: Value| invoke("post-login", &event);
    let good = |changes: Value| {
        let mut event = event(&vec![("content-type".into(), "application/json".into())], BODY);
        event.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        event
    };
    let raw = |text: String| Sent::Invoke("post-login", text.into_bytes());
    vec![
        row(
            "direct event with headers, as a gateway's",
            "4.1.1",
            send(json!({"userId": "usr-ada", "headers": {}})),
            INVALID,
        ),
        row(
            "direct event with a method",
            "4.1.1",
            send(json!({"userId": "usr-ada", "httpMethod": "POST"})),
            INVALID,
        ),
        row(
            "direct event with a request context",
            "4.1.1",
            send(json!({"userId": "usr-ada", "requestContext": {}})),
            INVALID,
        ),
        row(
            "direct event with a raw path",
            "4.1.1",
            send(json!({"userId": "usr-ada", "rawPath": "/"})),
            INVALID,
        ),
        row("unknown version", "4.1.5", send(good(json!({"version": "3.0"}))), INVALID),
        row("version as a number", "4.1.5", send(good(json!({"version": 2.0}))), INVALID),
        row(
            "context of two gateways",
            "4.1.5",
            send(good(json!({"requestContext": {"elb": {}, "http": {"method": "POST"}}}))),
            NOBODY,
        ),
        row("headers as a list", "5.1.4", send(good(json!({"headers": ["webhook-id"]}))), INVALID),
        row("body as an object", "5.1.4", send(good(json!({"body": {"userId": "usr-ada"}}))), INVALID),
        row(
            "body that is no base64",
            "5.1.4",
            send(good(json!({"isBase64Encoded": true, "body": "***"}))),
            INVALID,
        ),
        row(
            "members twice",
            "5.1.1",
            raw(good(json!({})).to_string().replacen('{', r#"{"body":"{}","#, 1)),
            INVALID,
        ),
        row(
            "a caller claimed in the body",
            "4.1.2",
            send(good(json!({"body": r#"{"userId":"usr-ada","caller":"signed","authenticated":true}"#}))),
            NOBODY,
        ),
        row(
            "IAM's word in the body",
            "4.1.2",
            send(good(json!({"authorizer": {"iam": {"accountId": "1", "userArn": "arn"}}}))),
            NOBODY,
        ),
        row(
            "IAM's word where signatures are asked for",
            "4.1.2",
            send(good(
                json!({"requestContext": {"http": {"method": "POST"}, "authorizer": {"iam": {"accountId": "1", "userArn": "arn"}}}}),
            )),
            NOBODY,
        ),
        row(
            "an action called by GET",
            "13.2.1",
            send(good(json!({"requestContext": {"http": {"method": "GET"}}}))),
            Meets::Refusal(405, "method_not_allowed"),
        ),
        row(
            "an action called with a form",
            "13.1.5",
            send(good(json!({"headers": {"content-type": "text/plain"}}))),
            Meets::Refusal(415, "unsupported_media_type"),
        ),
        row(
            "a page's API invoked directly",
            "4.1.1",
            invoke("auth-api", &json!({"signedPasskeyData": good_token()})),
            INVALID,
        ),
        row(
            "an action's event for a trigger",
            "4.1.1",
            invoke("custom-auth", &json!({"userId": "usr-ada"})),
            Meets::Fault("invalid_request"),
        ),
    ]
}

fn ways() -> Vec<Attack> {
    let row = rows("caller");
    let iam = |authorizer: Value| {
        let mut event = event(&vec![("content-type".into(), "application/json".into())], BODY);
        event["requestContext"]["authorizer"] = authorizer;
        invoke("post-login", &event)
    };
    let direct = || invoke("post-login", &json!({"userId": "usr-ada"}));
    let now = tests::now();
    vec![
        row("direct, where that is denied", "4.1.1", direct(), NOBODY).on(On::Strict),
        row(
            "direct with a token, where that is denied",
            "4.1.1",
            invoke("post-login", &json!({"signedPasskeyData": good_token()})),
            NOBODY,
        )
        .on(On::Strict),
        row(
            "signed, no token, where one is required",
            "3.7.1",
            url(signed("msg_strict", now, BODY)),
            Meets::Refusal(401, "proof_required"),
        )
        .on(On::Strict),
        row("no IAM authorizer, where IAM vouches", "4.1.1", iam(Value::Null), NOBODY).on(On::Iam),
        row(
            "IAM authorizer without an account",
            "4.1.5",
            iam(json!({"iam": {"accountId": "", "userArn": "arn"}})),
            NOBODY,
        )
        .on(On::Iam),
        row("a JWT authorizer's word", "4.1.5", iam(json!({"jwt": {"claims": {"sub": "usr-ada"}}})), NOBODY)
            .on(On::Iam),
        row(
            "a Lambda authorizer's word",
            "4.1.2",
            iam(json!({"lambda": {"iam": {"accountId": "1", "userArn": "arn"}}})),
            NOBODY,
        )
        .on(On::Iam),
        row("signed well, where IAM vouches", "4.1.1", url(signed("msg_iam", now, BODY)), NOBODY).on(On::Iam),
        row("signed, while no secret is set", "4.1.5", url(signed("msg_none", now, BODY)), NOBODY)
            .on(On::NoSecret),
    ]
}

fn deployments() -> Vec<Attack> {
    let row = rows("deployment");
    let none = || json!({});
    vec![
        row(
            "post-login with the embedded store",
            "14.2.2",
            invoke("post-login", &none()),
            Meets::NoStart("SESSION_STORE"),
        )
        .on(On::Deployed),
        row(
            "auth-api with the embedded store",
            "14.2.2",
            invoke("auth-api", &none()),
            Meets::NoStart("SESSION_STORE"),
        )
        .on(On::Deployed),
        row(
            "custom-auth with the embedded store",
            "14.2.2",
            invoke("custom-auth", &none()),
            Meets::NoStart("SESSION_STORE"),
        )
        .on(On::Deployed),
        row(
            "post-append with the embedded store",
            "2.5.4",
            invoke("post-append", &none()),
            Meets::NoStart("AUTH_SYSTEM"),
        )
        .on(On::Deployed),
        row(
            "auth-api with cookies for plain http",
            "3.4.1",
            invoke("auth-api", &none()),
            Meets::NoStart("SESSION_COOKIE_INSECURE"),
        )
        .on(On::Deployed),
        row(
            "every origin allowed",
            "14.5.3",
            page(Call::get("/auth/session").header("origin", ORIGIN)),
            Meets::NoStart("ALLOWED_ORIGINS"),
        )
        .on(On::NoOrigins),
    ]
}
