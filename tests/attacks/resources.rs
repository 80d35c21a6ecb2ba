//! Injection, enumeration, and calls that cost much.

use serde_json::{Value, json};
use tests::api::{Call, login};

use crate::world::{On, World, good_token, invoke, page, trigger};
use crate::{Attack, Meets, Sent, rows};

const INVALID: Meets = Meets::Refusal(400, "invalid_request");
const NOBODY: Meets = Meets::Refusal(401, "unauthenticated");
const TOO_LARGE: Meets = Meets::Refusal(413, "too_large");

pub(crate) fn table(world: &World) -> Vec<Attack> {
    [injection(), enumeration(), resources(world)].into_iter().flatten().collect()
}

fn pre_login(typed: &str) -> Sent {
    invoke("pre-login", &json!({"identifier": typed}))
}

fn raw(function: &'static str, text: impl Into<Vec<u8>>) -> Sent {
    Sent::Invoke(function, text.into())
}

fn injection() -> Vec<Attack> {
    let row = rows("injection");
    let nobody = || Meets::Fallback("user_not_found");
    let with_header = |name: &str, value: &str| page(Call::get("/auth/session").header(name, value));
    let twice = r#"{"userId":"usr-nobody","userId":"usr-ada"}"#;
    let escaped_twice = r#"{"userId":"usr-nobody","user\u0049d":"usr-ada"}"#;
    let deep = |name: &str| format!(r#"{{"{name}":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    vec![
        row("a quote that ends the filter", "5.3.4", pre_login(r#"x@example.com" or email ^= ""#), nobody())
            .on(On::Pool),
        row(
            "a backslash that ends the filter",
            "5.3.4",
            pre_login(r#"x@example.com\" or email ^= "a"#),
            nobody(),
        )
        .on(On::Pool),
        row("a backslash at the filter's end", "5.3.4", pre_login(r"x@example.com\"), nobody()).on(On::Pool),
        row("SQL in the identifier", "5.3.4", pre_login("x@example.com' OR '1'='1' --"), nobody()),
        row("SQL wildcards in the identifier", "5.3.4", pre_login("%@example.com"), nobody()),
        row("a new line in the identifier", "5.1.3", pre_login("ada\r\nx: y"), INVALID),
        row("a NUL in the identifier", "5.1.3", pre_login("ada\u{0}"), INVALID),
        row("a direction mark in the identifier", "5.1.3", pre_login("ada\u{202e}"), nobody()),
        row("a new line in a header", "5.3.1", with_header("x-a", "a\r\nset-cookie: session_id=x"), INVALID),
        row(
            "a new line in a cookie",
            "5.3.1",
            page(Call::get("/auth/session").cookie("session_id=a\r\nb")),
            INVALID,
        ),
        row(
            "a new line in the origin",
            "5.3.1",
            with_header("origin", "https://app.example.com\nx"),
            INVALID,
        ),
        row("a new line in a header's name", "5.3.1", with_header("x\r\ny", "a"), INVALID),
        row("a new line in the method", "5.3.1", page(Call::new("GET\r\n", "/auth/session")), INVALID),
        row(
            "a log line in a header",
            "7.3.1",
            with_header("user-agent", r#"planted","level":"PLANTED"#),
            NOBODY,
        ),
        row(
            "a log line in the user id",
            "7.3.1",
            invoke("post-login", &json!({"userId": "planted\n{\"level\":\"PLANTED\"}"})),
            INVALID,
        ),
        row(
            "escape codes in the user id",
            "7.3.1",
            invoke("post-login", &json!({"userId": "planted\u{1b}[2J"})),
            INVALID,
        ),
        row("escape codes in the path", "7.3.1", page(Call::get("/auth/\u{1b}[2Jplanted")), INVALID),
        row(
            "escape codes in a trigger's source",
            "7.3.1",
            invoke("custom-auth", &trigger("verify", &[("/triggerSource", json!("\u{1b}[2Jplanted"))])),
            Meets::Fault("invalid_request"),
        ),
        row("a key twice", "5.1.1", raw("post-login", twice), INVALID),
        row("a key twice, once escaped", "5.1.1", raw("post-login", escaped_twice), INVALID),
        row(
            "a trigger's key twice",
            "5.1.1",
            raw(
                "custom-auth",
                trigger("verify", &[]).to_string().replacen('{', r#"{"userName":"usr-grace","#, 1),
            ),
            Meets::Fault("invalid_request"),
        ),
        row("nested 50 000 deep", "5.5.3", raw("post-login", deep("userId")), INVALID),
        row(
            "nested 50 000 deep, of a page",
            "5.5.3",
            page(Call::post("/auth/passkey/verify", &json!({})).body(&deep("signedPasskeyData")[..60_000])),
            INVALID,
        ),
        row(
            "a number of a million digits",
            "5.1.4",
            raw("post-login", format!(r#"{{"userId":{}}}"#, "9".repeat(1_000_000))),
            INVALID,
        ),
        row("a lone surrogate", "5.1.4", raw("post-login", r#"{"userId":"\ud800"}"#), INVALID),
        row("no UTF-8", "5.1.4", raw("post-login", b"{\"userId\":\"usr-ada\xff\"}".as_slice()), INVALID),
        row(
            "dots in the path",
            "13.1.1",
            page(Call::get("/auth/../auth/session")),
            Meets::Refusal(404, "not_found"),
        ),
        row(
            "a path with an encoded slash",
            "13.1.1",
            page(Call::get("/auth%2fsession")),
            Meets::Refusal(404, "not_found"),
        ),
        row(
            "an absolute path to elsewhere",
            "5.2.6",
            page(Call::get("//evil.example/auth/session")),
            Meets::Refusal(404, "not_found"),
        ),
    ]
}

/// The same status, the same words, as much work: whoever it is.
fn enumeration() -> Vec<Attack> {
    let row = rows("enumeration");
    let log_in = |user: &str| invoke("post-login", &json!({"userId": user}));
    let by_token = |user: &str| {
        let token = tests::forge::with_claims(&good_token(), |claims| claims["webauthnId"] = user.into());
        page(login(&token))
    };
    let verify = |user: &str, unknown: bool| {
        let token = tests::forge::with_claims(&good_token(), |claims| claims["webauthnId"] = user.into());
        let changes = [
            ("/userName", json!(user)),
            ("/request/userNotFound", json!(unknown)),
            ("/request/challengeAnswer", json!(token)),
        ];
        invoke("custom-auth", &trigger("verify", &changes))
    };
    let case = |case: &str, unknown: bool| {
        invoke("custom-auth", &trigger(case, &[("/request/userNotFound", json!(unknown))]))
    };
    let same = Meets::TheSameAs;
    vec![
        row("post-login: unknown or disabled", "7.4.1", log_in("usr-nobody"), same(log_in("usr-alan"))),
        row(
            "post-login: unknown or disabled, in a pool",
            "7.4.1",
            log_in("usr-nobody"),
            same(log_in("usr-alan")),
        )
        .on(On::Pool),
        row("auth-api: unknown or disabled", "7.4.1", by_token("usr-nobody"), same(by_token("usr-alan"))),
        row(
            "auth-api: unknown or known, token refused",
            "7.4.1",
            by_token("usr-nobody"),
            same(by_token("usr-ada")),
        )
        .on(On::Pool),
        row(
            "custom-auth: define for unknown or known",
            "7.4.1",
            case("define-first", true),
            same(case("define-first", false)),
        ),
        row(
            "custom-auth: create for unknown or known",
            "7.4.1",
            case("create", true),
            same(case("create", false)),
        ),
        row(
            "custom-auth: answer of unknown or known",
            "7.4.1",
            verify("usr-nobody", true),
            same(verify("usr-ada", false)),
        )
        .on(On::Pool),
        row(
            "session: unknown or ended",
            "7.4.1",
            page(Call::get("/auth/session").session(&"B".repeat(43))),
            same(page(Call::get("/auth/session").session(&"A".repeat(42)))),
        ),
    ]
}

fn resources(world: &World) -> Vec<Attack> {
    let row = rows("resources");
    let megabyte = "x".repeat(1 << 20);
    let headers = |count: usize| -> Value {
        (0..count).map(|index| (format!("x-h{index}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
    };
    let event = |headers: Value, body: &str| {
        json!({"version": "2.0", "rawPath": "/auth/session", "headers": headers, "body": body,
            "requestContext": {"http": {"method": "POST", "path": "/auth/session"}}})
    };
    let get = |count: usize| {
        let mut event = event(headers(count), "");
        event["requestContext"]["http"]["method"] = "GET".into();
        invoke("auth-api", &event)
    };
    let unavailable = || Meets::Refusal(500, "provider_unavailable");
    let many_members = |count: usize| {
        let members: serde_json::Map<_, _> =
            (0..count).map(|index| (format!("m{index}"), json!(0))).collect();
        let mut event = trigger("verify", &[]);
        event.as_object_mut().unwrap().extend(members);
        event
    };
    let from = |last: u8, call: Call| call.from(&format!("203.0.113.{last}"));
    let two_logins =
        |last| vec![page(from(last, login(&good_token()))), page(from(last, login(&good_token())))];
    let third = |last| from(last, login("a.b.c"));
    let limited = || Meets::Refusal(429, "rate_limited");
    let many_cookies = (0..2000).fold(Call::get("/auth/session"), |call, _| call.cookie("session_id=x"));
    let forwarded = vec!["203.0.113.9"; 5000].join(",");
    vec![
        row("a body of 1 MB, direct", "11.1.4", invoke("post-login", &json!({"userId": megabyte})), INVALID),
        row(
            "a body of 1 MB, by HTTP",
            "11.1.4",
            invoke("post-login", &event(json!({}), &megabyte)),
            TOO_LARGE,
        ),
        row(
            "a body of 1 MB, of a page",
            "11.1.4",
            page(Call::post("/auth/passkey/verify", &json!({})).body(&megabyte)),
            TOO_LARGE,
        ),
        row(
            "a body of 64 KiB and one byte",
            "11.1.4",
            invoke("post-login", &event(json!({}), &"x".repeat(64 * 1024 + 1))),
            TOO_LARGE,
        ),
        row(
            "10 000 headers, unsigned",
            "11.1.4",
            invoke("post-login", &event(headers(10_000), "{}")),
            NOBODY,
        ),
        row("10 000 headers, of a page", "11.1.4", get(10_000), NOBODY),
        row("40 000 headers, of a page", "11.1.4", get(40_000), INVALID),
        row("2000 session cookies", "11.1.4", page(many_cookies), NOBODY),
        row(
            "5000 forwarded addresses",
            "14.5.4",
            page(Call::get("/auth/session").header("x-forwarded-for", &forwarded)),
            NOBODY,
        ),
        row(
            "a path of 70 000 characters",
            "5.1.4",
            page(Call::get(&format!("/{}", "x".repeat(70_000)))),
            INVALID,
        ),
        row(
            "a trigger's event of 10 000 members",
            "5.5.3",
            invoke("custom-auth", &many_members(10_000)),
            Meets::Fault("invalid_request"),
        ),
        row("a third login within a minute", "2.2.1", page(third(7)), limited())
            .on(On::Limited)
            .after(two_logins(7)),
        row(
            "a third login, an address made up before it",
            "14.5.4",
            page(third(8).header("x-forwarded-for", "6.6.6.6")),
            limited(),
        )
        .on(On::Limited)
        .after(two_logins(8)),
        row("a login while Corbado does not answer", "4.1.5", page(login(&good_token())), unavailable())
            .on(On::Stalling),
        row(
            "the same by post-login",
            "4.1.5",
            invoke("post-login", &json!({"signedPasskeyData": good_token()})),
            unavailable(),
        )
        .on(On::Stalling),
        row(
            "the same by custom-auth",
            "4.1.5",
            invoke("custom-auth", &trigger("verify", &[("/request/challengeAnswer", json!(good_token()))])),
            Meets::Fault("provider_unavailable"),
        )
        .on(On::Stalling),
        row(
            "a connect token while Corbado does not answer",
            "4.1.5",
            page(
                Call::post("/auth/corbadoConnectToken", &json!({"type": "passkey-list"}))
                    .session(&world.session),
            ),
            NOBODY,
        )
        .on(On::Stalling),
    ]
}
