//! The endpoints, one function each, in the guide's older and newer spelling.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use domain::{
    ConnectTokenIssuer, ConnectTokenSubject, NoSession, NotVerified, PasskeyVerifier, ProvenUser,
    ProviderTokens, Rejection, Session, SessionId, SessionStore, Timestamp, TokenUse, User, open_session,
    verify_passkey,
};
use events::{ConnectTokenAnswer, ConnectTokenRequest, KindField, LoginAnswer, LoginRequest, SessionAnswer};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CONTENT_TYPE, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use lambda::http::{Logged, RequestContext};
use lambda::{Code, Problem};

use crate::answer::{Answer, Refusal, no_randomness};
use crate::config::Config;
use crate::presented::Presented;

type Configured = State<Arc<Config>>;
type Context = Extension<RequestContext>;
type Outcome = Result<Answer, Refusal>;

/// All endpoints.
pub fn router(config: Arc<Config>) -> Router {
    Router::new()
        .route("/auth/corbadoConnectToken", route("POST", post(older_connect_token)))
        .route("/auth/createConnectToken", route("POST", post(newer_connect_token)))
        .route("/auth/passkey/verify", route("POST", post(older_login)))
        .route("/auth/completeLogin", route("POST", post(newer_login)))
        .route("/auth/session", route("GET", get(session)))
        .route("/auth/logout", route("POST", post(logout)))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(config)
}

/// A route that also answers the preflight for its method.
fn route(method: &'static str, methods: MethodRouter<Arc<Config>>) -> MethodRouter<Arc<Config>> {
    methods.options(move |context: Context, headers: HeaderMap| preflight(method, context, headers))
}

async fn older_connect_token(
    config: Configured,
    context: Context,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let outcome = connect_token(&config, &context, &headers, &body, KindField::Type).await;
    render(outcome, &context)
}

async fn newer_connect_token(
    config: Configured,
    context: Context,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let outcome = connect_token(&config, &context, &headers, &body, KindField::ConnectTokenType).await;
    render(outcome, &context)
}

/// Issues a connect token for the signed-in user. Who that is comes from the session, never from the body.
async fn connect_token(
    config: &Config,
    context: &RequestContext,
    headers: &HeaderMap,
    body: &[u8],
    field: KindField,
) -> Outcome {
    require_json(headers)?;
    let now = Timestamp::from(context.now);
    let presented = Presented::read(headers, config.cookie.name());
    let user = presented.sign_in(config, TokenUse::ConnectToken, now).await?.user;
    let request = ConnectTokenRequest::parse(body, field)?;
    config.limits.connect_token(&config.sessions, &user.id, now).await?;
    let subject = subject(config, &user).await?;
    let token = config.connect_tokens.issue(request.kind, &subject).await?;
    let answer = ConnectTokenAnswer { connect_token: token.expose() };
    Ok(Answer::json("connect_token_issued", &answer)?.about(user.id.as_str()))
}

async fn subject(config: &Config, user: &User) -> Result<ConnectTokenSubject, Refusal> {
    let identifier = config.identifier.of(user, &config.users).await?;
    let identifier = identifier.ok_or_else(|| {
        Problem::new(Code::InternalError, "user: no verified e-mail address that leads back to the user")
    })?;
    let display_name = user.profile.shown_name().unwrap_or(user.id.as_str()).to_owned();
    Ok(ConnectTokenSubject { identifier, display_name })
}

async fn older_login(
    config: Configured,
    context: Context,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let outcome = login(&config, &context, &headers, &body).await.and_then(|(id, session)| {
        let answer = LoginAnswer { success: true, access_token: None };
        let answer = Answer::json("session_created", &answer)?.cookie(config.cookie.set(&id));
        Ok(answer.about(session.user.as_str()))
    });
    render(outcome, &context)
}

async fn newer_login(
    config: Configured,
    context: Context,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let outcome = login(&config, &context, &headers, &body).await.and_then(|(id, session)| {
        let answer = LoginAnswer { success: true, access_token: Some(id.expose()) };
        Ok(Answer::json("session_created", &answer)?.about(session.user.as_str()))
    });
    render(outcome.map_err(Refusal::with_success_false), &context)
}

/// Turns a passkey's token into a new session. Those that were presented beside it end before it begins: whoever knew
/// their ids knows nothing after the login.
async fn login(
    config: &Config,
    context: &RequestContext,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(SessionId, Session), Refusal> {
    require_json(headers)?;
    let request = LoginRequest::parse(body)?;
    let now = Timestamp::from(context.now);
    config.limits.login(&config.sessions, &context.addresses, now).await?;
    let proven = prove(config, request, now).await?;
    for old in Presented::all_session_keys(headers, config.cookie.name()) {
        config.sessions.revoke(old).await?;
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| no_randomness())?;
    let opened = open_session(&config.users, &config.sessions, proven, config.lifetime, random, now).await;
    let opened = opened.map_err(|refused| match refused {
        NoSession::Unavailable(cause) => Refusal::from(cause),
        refused => Problem::new(Code::LoginRefused, refused).into(),
    })?;
    Ok(opened)
}

async fn prove(config: &Config, request: LoginRequest, now: Timestamp) -> Result<ProvenUser, Refusal> {
    let token = request.signed_passkey_data;
    let named = config.verifier.inspect(token.clone(), now).map(|inspected| inspected.user().clone());
    let rejection = match verify_passkey(&config.verifier, &config.sessions, token, None, now).await {
        Ok(passkey) => return Ok(ProvenUser::by_passkey(passkey)),
        Err(NotVerified::Unavailable(cause)) => return Err(cause.into()),
        Err(NotVerified::Rejected(rejection)) => rejection,
    };
    if let (Rejection::Verdict(_), Ok(user)) = (rejection, named) {
        config.limits.failed_verdict(&config.sessions, &user, now).await?;
    }
    Err(Problem::new(Code::ProofRejected, format_args!("signedPasskeyData: {rejection}")).into())
}

async fn session(config: Configured, context: Context, headers: HeaderMap) -> Response<Body> {
    let presented = Presented::read(&headers, config.cookie.name());
    let signed_in = presented.sign_in(&config, TokenUse::Session, context.now.into()).await;
    let outcome = signed_in.map_err(Refusal::from).and_then(|signed_in| {
        let user = &signed_in.user;
        let answer = SessionAnswer::new(&user.id, &user.profile, signed_in.expires);
        Ok(Answer::json("session_shown", &answer)?.about(user.id.as_str()))
    });
    render(outcome, &context)
}

/// Ends every session that is presented, signs out the user of a provider's access token, and takes the cookie back in any
/// case.
async fn logout(config: Configured, context: Context, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let outcome = async {
        // A page may send a logout without a body; a form of a foreign page has another type.
        if !body.is_empty() || headers.contains_key(CONTENT_TYPE) {
            require_json(&headers)?;
        }
        let clear = config.cookie.clear();
        for key in Presented::all_session_keys(&headers, config.cookie.name()) {
            if let Err(cause) = config.sessions.revoke(key).await {
                return Err(Refusal::from(cause).cookie(clear));
            }
        }
        if let Presented::Token(token) = Presented::read(&headers, config.cookie.name())
            && let Err(cause) = config.provider_tokens.revoke(&token, context.now.into()).await
        {
            return Err(Refusal::from(cause).cookie(clear));
        }
        Ok(Answer::empty("logged_out").cookie(clear))
    };
    render(outcome.await, &context)
}

/// A request that a form or a plain link of a foreign page can make is none of these endpoints'.
fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next().map(HeaderValue::to_str), types.next()) {
        (Some(Ok(content_type)), None) if lambda::action::is_json(content_type) => Ok(()),
        _ => Err(Problem::new(Code::UnsupportedMediaType, "http: content-type").into()),
    }
}

/// Answers the preflight of an allowed origin; see [`crate::origin`] for the rest of the answer.
async fn preflight(method: &'static str, context: Context, headers: HeaderMap) -> Response<Body> {
    if !headers.contains_key(ORIGIN) || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        let mut response = render(Err(not_allowed()), &context);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
        return response;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answers = response.headers_mut();
    answers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(method));
    answers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    answers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response.extensions_mut().insert(Logged { outcome: "preflight", ..Logged::default() });
    response
}

async fn not_found(context: Context) -> Response<Body> {
    render(Err(Problem::new(Code::NotFound, "http: path").into()), &context)
}

/// The router adds the header `allow`.
async fn method_not_allowed(context: Context) -> Response<Body> {
    render(Err(not_allowed()), &context)
}

fn not_allowed() -> Refusal {
    Problem::new(Code::MethodNotAllowed, "http: method").into()
}

fn render(outcome: Outcome, context: &RequestContext) -> Response<Body> {
    let response = match outcome {
        Ok(answer) => answer.render(),
        Err(refusal) => refusal.render(&context.request_id),
    };
    response.map(Body::from)
}
