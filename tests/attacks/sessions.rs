//! Sessions at auth-api, and pages of others.

use serde_json::json;
use tests::api::{Call, login};
use tests::host::ORIGIN;

use crate::world::{On, World, good_token, page};
use crate::{Attack, Meets, Sent, rows};

const NOBODY: Meets = Meets::Refusal(401, "unauthenticated");
const CONNECT: &str = "/auth/corbadoConnectToken";

pub(crate) fn table(world: &World) -> Vec<Attack> {
    [sessions(world), cross_site(world)].into_iter().flatten().collect()
}

fn show(session: &str) -> Sent {
    page(Call::get("/auth/session").session(session))
}

fn sessions(world: &World) -> Vec<Attack> {
    let row = rows("session");
    let id = &world.session;
    let planted = "A".repeat(43);
    let cookie = |cookie: &str| page(Call::get("/auth/session").cookie(cookie));
    let log_in = |session: &str| page(login(&good_token()).session(session));
    let connect =
        |session: &str| page(Call::post(CONNECT, &json!({"type": "passkey-append"})).session(session));
    let mut swapped = id.clone().into_bytes();
    // The first that is not like the fourth: two of a kind would be the id itself.
    let other = (4..42).find(|&at| swapped[at] != swapped[3]).unwrap();
    swapped.swap(3, other);
    let flipped = if id.ends_with('A') { format!("{}E", &id[..42]) } else { format!("{}A", &id[..42]) };
    let key: String = key_of(id);
    vec![
        row("none", "3.7.1", page(Call::get("/auth/session")), NOBODY),
        row("guessed", "3.2.2", show(&planted), NOBODY),
        row("fixed before a login", "3.2.1", show(&planted), NOBODY).after(vec![log_in(&planted)]),
        row("truncated", "3.2.2", show(&id[..42]), NOBODY),
        row("with a character more", "3.2.2", show(&format!("{id}A")), NOBODY),
        row("with another last character", "3.2.2", show(&flipped), NOBODY),
        row("with two characters swapped", "3.2.2", show(&String::from_utf8(swapped).unwrap()), NOBODY),
        row("in capitals", "3.2.2", show(&id.to_ascii_uppercase()), NOBODY),
        row("quoted", "5.1.3", show(&format!("\"{id}\"")), NOBODY),
        row("percent-encoded", "5.1.3", show(&format!("%{:02x}{}", id.as_bytes()[0], &id[1..])), NOBODY),
        row("the key that the store has of it", "3.7.1", show(&key), NOBODY),
        row("after its logout", "3.3.1", show(&world.logged_out), NOBODY),
        row("after its logout, for a connect token", "3.3.1", connect(&world.logged_out), NOBODY),
        row("after its end", "3.3.2", show(&world.expired), NOBODY),
        row("after a rest too long", "3.3.2", show(&world.rested), NOBODY).on(On::Idle),
        row("of a user who was disabled", "3.7.1", show(&world.of_disabled), NOBODY),
        row("of a user who was disabled, for a connect token", "3.7.1", connect(&world.of_disabled), NOBODY),
        row(
            "two cookies, one of them good",
            "5.1.1",
            page(Call::get("/auth/session").session(&planted).session(id)),
            NOBODY,
        ),
        row(
            "good cookie, then a planted one",
            "5.1.1",
            page(Call::get("/auth/session").session(id).session(&planted)),
            NOBODY,
        ),
        row("injected into another cookie", "5.1.3", cookie(&format!("theme=x, session_id={id}")), NOBODY),
        row("under a name that ends alike", "5.1.3", cookie(&format!("xsession_id={id}")), NOBODY),
        row("under the name in capitals", "5.1.3", cookie(&format!("SESSION_ID={id}")), NOBODY),
        row(
            "without its prefix, as a subdomain may set it",
            "3.4.4",
            cookie(&format!("session_id={}", world.prefixed)),
            NOBODY,
        )
        .on(On::Prefixed)
        .after(vec![cookie(&format!("__Host-session_id={}", world.prefixed))]),
        row(
            "in the query",
            "3.1.1",
            page(Call::get(&format!("/auth/session?access_token={id}&session_id={id}"))),
            NOBODY,
        ),
        row(
            "in the body",
            "5.1.1",
            page(Call::post(CONNECT, &json!({"type": "passkey-list", "sessionId": id, "session_id": id}))),
            NOBODY,
        ),
        row(
            "as Basic",
            "3.5.2",
            page(Call::get("/auth/session").header("authorization", &format!("Basic {id}"))),
            NOBODY,
        ),
        row(
            "as bearer with two spaces",
            "5.1.3",
            page(Call::get("/auth/session").header("authorization", &format!("Bearer  {id}"))),
            NOBODY,
        ),
        row(
            "bad bearer beside a good cookie",
            "4.1.5",
            page(Call::get("/auth/session").session(id).bearer("x")),
            NOBODY,
        ),
        row(
            "identity claimed by headers",
            "14.5.4",
            page(
                Call::get("/auth/session")
                    .header("x-user-id", "usr-ada")
                    .header("x-amzn-oidc-identity", "usr-ada"),
            ),
            NOBODY,
        ),
        row(
            "identity claimed by the body",
            "4.1.2",
            page(Call::post(
                CONNECT,
                &json!({"type": "passkey-append", "identifier": "usr-grace", "data": {"identifier": "usr-grace"}}),
            )),
            NOBODY,
        ),
        row(
            "a login type of connect token",
            "4.1.2",
            page(Call::post(CONNECT, &json!({"type": "passkey-login"})).session(id)),
            Meets::Refusal(400, "invalid_request"),
        ),
    ]
}

/// What the store keeps of a session id, in the id's own alphabet.
fn key_of(id: &str) -> String {
    use base64::Engine;
    let encoding = base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let bytes = encoding.decode(id).unwrap().try_into().unwrap();
    encoding.encode(domain::SessionId::from_random(bytes).key().as_bytes())
}

fn cross_site(world: &World) -> Vec<Attack> {
    let row = rows("cross-site");
    let id = &world.session;
    let foreign = || Meets::Refusal(403, "origin_not_allowed");
    let media = || Meets::Refusal(415, "unsupported_media_type");
    let from = |origin: &str| page(login(&good_token()).header("origin", origin));
    let connect = || Call::post(CONNECT, &json!({"type": "passkey-append"})).session(id);
    let log_in = || login(&good_token());
    vec![
        row("foreign origin", "14.5.3", from("https://evil.example"), foreign()),
        row("origin null", "14.5.3", from("null"), foreign()),
        row("empty origin", "14.5.3", from(""), foreign()),
        row("the origin by plain http", "14.5.3", from(&ORIGIN.replace("https", "http")), foreign()),
        row("the origin with a port", "14.5.3", from(&format!("{ORIGIN}:8443")), foreign()),
        row("a subdomain of the origin", "14.5.3", from(&ORIGIN.replace("://", "://evil.")), foreign()),
        row("the origin as a prefix", "14.5.3", from(&format!("{ORIGIN}.evil.example")), foreign()),
        row("the origin in capitals", "14.5.3", from(&ORIGIN.to_ascii_uppercase()), foreign()),
        row(
            "two origins in one header",
            "14.5.3",
            from(&format!("{ORIGIN}, https://evil.example")),
            foreign(),
        ),
        row(
            "foreign origin with a good session",
            "4.2.2",
            page(connect().header("origin", "https://evil.example")),
            foreign(),
        ),
        row(
            "preflight of a foreign origin",
            "14.5.3",
            page(
                Call::new("OPTIONS", CONNECT)
                    .header("origin", "https://evil.example")
                    .header("access-control-request-method", "POST"),
            ),
            foreign(),
        ),
        row(
            "no origin, a form's content type",
            "13.2.3",
            page(connect().without("origin").header("content-type", "application/x-www-form-urlencoded")),
            media(),
        ),
        row(
            "no origin, plain text",
            "13.2.3",
            page(connect().without("origin").header("content-type", "text/plain")),
            media(),
        ),
        row(
            "no origin, multipart",
            "13.2.3",
            page(connect().without("origin").header("content-type", "multipart/form-data; boundary=x")),
            media(),
        ),
        row(
            "no origin, no content type",
            "13.2.3",
            page(connect().without("origin").without("content-type")),
            media(),
        ),
        row(
            "two content types in one header",
            "13.2.5",
            page(connect().header("content-type", "text/plain, application/json")),
            media(),
        ),
        row("login by a form", "4.2.2", page(log_in().header("content-type", "text/plain")), media()),
        row(
            "logout by a form",
            "4.2.2",
            page(Call::post("/auth/logout", &json!({})).session(id).header("content-type", "text/plain")),
            media(),
        ),
        row(
            "login by GET",
            "13.2.1",
            page(Call::get("/auth/passkey/verify").session(id)),
            Meets::Refusal(405, "method_not_allowed"),
        ),
        row(
            "a method by a header",
            "13.2.1",
            page(Call::get(CONNECT).session(id).header("x-http-method-override", "POST")),
            Meets::Refusal(405, "method_not_allowed"),
        ),
    ]
}
