//! One contract suite a port. Every adapter of the port passes it.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    AccountStatus, Begun, Candidate, Claim, FlowKey, FlowNonce, MfaPolicy, Rate, RateKey, RateLimiter,
    ReplayGuard, ReplayKey, Session, SessionId, SessionStore, SignedPasskeyData, Timestamp, TypedIdentifier,
    User, UserDirectory, UserIdentifier, Verdict, VerdictLog,
};

/// Users that a directory must hold before [`directory`] runs; each is named by its id.
#[derive(Debug, Clone)]
pub struct Users {
    /// Active, verified e-mail address, no MFA.
    pub active: String,
    /// That user's e-mail address.
    pub active_email: String,
    /// Active, no MFA, for concurrent updates.
    pub second: String,
    /// Disabled.
    pub disabled: String,
    /// Awaiting a password change.
    pub force_change: String,
    /// The e-mail address of an active user which is not verified.
    pub unverified_email: String,
    /// An e-mail address that two users have.
    pub shared_email: String,
}

impl Users {
    /// The demo users.
    pub fn demo() -> Self {
        Self {
            active: "usr-ada".into(),
            active_email: "ada@example.com".into(),
            second: "usr-twin-1".into(),
            disabled: "usr-alan".into(),
            force_change: "usr-linus".into(),
            unverified_email: "barbara@example.com".into(),
            shared_email: "twin@example.com".into(),
        }
    }
}

fn id(text: &str) -> UserIdentifier {
    UserIdentifier::new(text).unwrap()
}

fn typed(text: &str) -> TypedIdentifier {
    TypedIdentifier::new(text).unwrap()
}

async fn find(users: &impl UserDirectory, name: &str) -> User {
    users.find(&id(name)).await.unwrap().unwrap()
}

/// What every [`UserDirectory`] does.
pub async fn directory<D: UserDirectory + Send + Sync + 'static>(directory: Arc<D>, users: &Users) {
    let active = find(&*directory, &users.active).await;
    assert_eq!(active.id, id(&users.active));
    assert_eq!(active.status, AccountStatus::Active);
    assert!(!active.mfa.enabled && !active.mfa.prefers_passkey && !active.mfa.unfinished);
    assert_eq!(find(&*directory, &users.disabled).await.status, AccountStatus::Disabled);
    assert_eq!(find(&*directory, &users.force_change).await.status, AccountStatus::ForceChangePassword);
    for nobody in ["nobody", "nobody@example.com", "no body", &"x".repeat(256), "x\" or \"", "ÄÖ\u{1F511}"]
    {
        assert_eq!(directory.find(&id(nobody)).await, Ok(None), "{nobody}");
    }

    let found = Candidate::One { id: active.id.clone(), status: AccountStatus::Active, verified: true };
    for text in [users.active_email.clone(), users.active_email.to_uppercase()] {
        assert_eq!(directory.find_by_identifier(&typed(&text)).await, Ok(found.clone()), "{text}");
    }
    let unverified = directory.find_by_identifier(&typed(&users.unverified_email)).await.unwrap();
    assert!(matches!(unverified, Candidate::One { verified: false, .. }), "{unverified:?}");
    let shared = directory.find_by_identifier(&typed(&users.shared_email)).await;
    assert_eq!(shared, Ok(Candidate::Several));
    for nobody in [
        "nobody",
        "nobody@example.com",
        "@",
        "x@example.com\" or email ^= \"",
        "\\\"@example.com",
        "%@example.com",
        "*@example.com",
        "' OR 1=1 --@example.com",
    ] {
        assert_eq!(directory.find_by_identifier(&typed(nobody)).await, Ok(Candidate::Nobody), "{nobody}");
    }

    let now = Timestamp::from_secs(1_800_000_000);
    for _ in 0..2 {
        let update = active.mfa.after_passkey(MfaPolicy::Keep, now).unwrap();
        directory.update_mfa(&active.id, &update).await.unwrap();
        let mfa = find(&*directory, &users.active).await.mfa;
        assert!(mfa.enabled && mfa.prefers_passkey && !mfa.unfinished, "{mfa:?}");
        assert_eq!(mfa.after_passkey(MfaPolicy::Keep, now), None);
        assert_eq!(mfa.after_passkey(MfaPolicy::PreferPasskey, now), None);
    }

    let second = id(&users.second);
    let update = find(&*directory, &users.second).await.mfa.after_passkey(MfaPolicy::Keep, now).unwrap();
    let updates: Vec<_> = (0..4)
        .map(|_| {
            let (directory, second) = (Arc::clone(&directory), second.clone());
            tokio::spawn(async move { directory.update_mfa(&second, &update).await })
        })
        .collect();
    for update in updates {
        assert_eq!(update.await.unwrap(), Ok(()));
    }
    assert!(find(&*directory, &users.second).await.mfa.prefers_passkey);
}

/// What every [`SessionStore`] does.
pub async fn session_store<S: SessionStore + Send + Sync + 'static>(store: Arc<S>) {
    let start = Timestamp::from_secs(1_800_000_000);
    let session = Session::new(id("ada"), start, Duration::from_secs(60));
    let key = SessionId::from_random([1; 32]).key();
    assert_eq!(store.find(key, start).await, Ok(None));
    store.create(key, &session).await.unwrap();
    assert_eq!(store.find(key, start).await, Ok(Some(session.clone())));
    assert_eq!(store.find(key, Timestamp::from_millis(1_800_000_059_999)).await, Ok(Some(session.clone())));
    for later in [60, 61, 1_000_000] {
        let later = start.plus(Duration::from_secs(later));
        assert_eq!(store.find(key, later).await, Ok(None), "expired at {later}");
    }
    assert!(store.create(key, &session).await.is_err(), "a key is never used twice");

    let other = SessionId::from_random([2; 32]).key();
    store.create(other, &session).await.unwrap();
    store.revoke(key).await.unwrap();
    store.revoke(key).await.unwrap();
    assert_eq!(store.find(key, start).await, Ok(None));
    assert_eq!(store.find(other, start).await, Ok(Some(session)));

    let third = SessionId::from_random([3; 32]).key();
    let bobs = SessionId::from_random([4; 32]).key();
    store.create(third, &Session::new(id("ada"), start, Duration::from_secs(600))).await.unwrap();
    store.create(bobs, &Session::new(id("bob"), start, Duration::from_secs(600))).await.unwrap();
    let later = start.plus(Duration::from_secs(30));
    for seen in [later, start] {
        store.touch(third, seen).await.unwrap();
        assert_eq!(store.find(third, later).await.unwrap().unwrap().last_seen, later, "never goes back");
    }
    store.revoke_all(&id("ada")).await.unwrap();
    store.revoke_all(&id("nobody")).await.unwrap();
    for gone in [other, third] {
        assert_eq!(store.find(gone, start).await, Ok(None));
        store.touch(gone, later).await.unwrap();
        assert_eq!(store.find(gone, start).await, Ok(None), "a touch brings nothing back");
    }
    assert!(store.find(bobs, start).await.unwrap().is_some());

    let many: Vec<_> = (10..60)
        .map(|byte| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let key = SessionId::from_random([byte; 32]).key();
                let session = Session::new(id("ada"), start, Duration::from_secs(60));
                store.create(key, &session).await.unwrap();
                store.find(key, start).await.unwrap().is_some()
            })
        })
        .collect();
    for one in many {
        assert!(one.await.unwrap());
    }
}

/// What every [`SessionStore`] does for [`domain::resume`].
pub async fn idle_sessions(store: &impl SessionStore) {
    let start = Timestamp::from_secs(1_800_000_000);
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    let idle = Some(Duration::from_secs(300));
    let key = SessionId::from_random([77; 32]).key();
    store.create(key, &Session::new(id("ada"), start, Duration::from_secs(1000))).await.unwrap();
    let seen = async |seconds| store.find(key, at(seconds)).await.unwrap().map(|session| session.last_seen);
    assert!(domain::resume(store, key, idle, at(59)).await.unwrap().is_some());
    assert_eq!(seen(59).await, Some(start), "recorded at most once a minute");
    assert!(domain::resume(store, key, None, at(299)).await.unwrap().is_some());
    assert_eq!(seen(299).await, Some(start), "nothing is recorded where it does not count");
    assert!(domain::resume(store, key, idle, at(299)).await.unwrap().is_some());
    assert_eq!(seen(299).await, Some(at(299)));
    assert!(domain::resume(store, key, idle, at(598)).await.unwrap().is_some());
    assert!(domain::resume(store, key, idle, at(958)).await.unwrap().is_none());
    assert_eq!(seen(598).await, None, "and is gone for good");
}

/// What every [`RateLimiter`] does.
pub async fn rate_limiter<L: RateLimiter + Send + Sync + 'static>(limiter: Arc<L>) {
    let start = Timestamp::from_secs(1_800_000_000);
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    let key = RateKey::new("login", "203.0.113.7");
    for seconds in [0, 1, 59] {
        assert_eq!(limiter.hit(key, 3, at(seconds)).await, Ok(Rate::Within), "{seconds}");
    }
    let exceeded = |seconds| Ok(Rate::Exceeded { retry_after: Duration::from_secs(seconds) });
    assert_eq!(limiter.hit(key, 3, at(10)).await, exceeded(50));
    assert_eq!(limiter.hit(key, 3, at(59)).await, exceeded(1));
    assert_eq!(limiter.hit(RateKey::new("login", "203.0.113.8"), 3, at(59)).await, Ok(Rate::Within));
    assert_eq!(limiter.hit(RateKey::new("token", "203.0.113.7"), 3, at(59)).await, Ok(Rate::Within));
    assert_eq!(limiter.hit(key, 3, at(60)).await, Ok(Rate::Within), "the next window");

    let contested = RateKey::new("login", "contested");
    let hits: Vec<_> = (0..24)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { limiter.hit(contested, 10, start).await })
        })
        .collect();
    let mut within = 0;
    for hit in hits {
        within += usize::from(hit.await.unwrap().unwrap() == Rate::Within);
    }
    assert_eq!(within, 10, "of any number of calls at the same time, the limit is within");
}

/// What every [`ReplayGuard`] does.
pub async fn replay_guard<G: ReplayGuard + Send + Sync + 'static>(guard: Arc<G>) {
    let start = Timestamp::from_secs(1_800_000_000);
    let until = start.plus(Duration::from_secs(300));
    let key = ReplayKey::webhook("post-login", "msg_1");
    assert_eq!(guard.claim(key, until, start).await, Ok(Claim::First));
    assert_eq!(guard.claim(key, until, start).await, Ok(Claim::Replayed));
    let last = start.plus(Duration::from_millis(299_999));
    assert_eq!(guard.claim(key, until, last).await, Ok(Claim::Replayed));
    assert_eq!(guard.claim(key, until.plus(Duration::from_secs(300)), until).await, Ok(Claim::First));
    assert_eq!(guard.claim(key, until, until).await, Ok(Claim::Replayed));
    for other in [ReplayKey::webhook("post-login", "msg_2"), ReplayKey::webhook("pre-login", "msg_1")] {
        assert_eq!(guard.claim(other, until, start).await, Ok(Claim::First));
    }

    let contested = ReplayKey::webhook("post-login", "contested");
    let claims: Vec<_> = (0..16)
        .map(|_| {
            let guard = Arc::clone(&guard);
            tokio::spawn(async move { guard.claim(contested, until, start).await })
        })
        .collect();
    let mut first = 0;
    for claim in claims {
        first += usize::from(claim.await.unwrap().unwrap() == Claim::First);
    }
    assert_eq!(first, 1, "of any number of calls at the same time, one is first");
}

/// What every [`VerdictLog`] that is a [`ReplayGuard`], too, does.
pub async fn verdict_log<L: VerdictLog + ReplayGuard + Send + Sync + 'static>(log: Arc<L>) {
    let start = Timestamp::from_secs(1_800_000_000);
    let until = start.plus(Duration::from_secs(300));
    let token = |name: &str| ReplayKey::token(&SignedPasskeyData::new(name));
    let flow = |user: &str, nonce| FlowKey::new(&id(user), &FlowNonce::from_random([nonce; 32]));
    let (own, other_flow, other_user) = (flow("ada", 1), flow("ada", 2), flow("bob", 1));
    for (name, verdict) in
        [("yes", Verdict::Accepted), ("no", Verdict::Refused), ("unknown", Verdict::Unknown)]
    {
        let key = token(name);
        assert_eq!(log.begin(key, own, until, start).await, Ok(Begun::First), "{name}");
        assert_eq!(log.begin(key, own, until, start).await, Ok(Begun::Open), "{name}");
        for other in [other_flow, other_user] {
            assert_eq!(log.begin(key, other, until, start).await, Ok(Begun::Foreign), "{name}");
            assert!(log.conclude(key, other, verdict).await.is_err(), "{name}");
        }
        assert_eq!(log.begin(key, own, until, start).await, Ok(Begun::Open), "{name}");
        for _ in 0..2 {
            log.conclude(key, own, verdict).await.unwrap();
        }
        for another in [Verdict::Accepted, Verdict::Refused, Verdict::Unknown] {
            assert_eq!(log.conclude(key, own, another).await.is_ok(), another == verdict, "{name}");
        }
        assert_eq!(log.begin(key, own, until, start).await, Ok(Begun::Judged(verdict)), "{name}");
        assert_eq!(log.begin(key, other_flow, until, start).await, Ok(Begun::Foreign), "{name}");
        assert_eq!(log.claim(key, until, start).await, Ok(Claim::Replayed), "{name}");
        // Once it has expired, nothing of it is left.
        assert_eq!(log.begin(key, own, until.plus(Duration::from_secs(300)), until).await, Ok(Begun::First));
        assert_eq!(log.begin(key, own, until, until).await, Ok(Begun::Open), "{name}");
    }
    assert!(log.conclude(token("never begun"), own, Verdict::Accepted).await.is_err());

    // What another function has used is nobody's to judge.
    let elsewhere = token("elsewhere");
    assert_eq!(log.claim(elsewhere, until, start).await, Ok(Claim::First));
    assert_eq!(log.begin(elsewhere, own, until, start).await, Ok(Begun::Foreign));
    assert!(log.conclude(elsewhere, own, Verdict::Accepted).await.is_err());
    // And the other way round, also after the record has expired.
    assert_eq!(
        log.claim(token("yes"), until.plus(Duration::from_secs(900)), until.plus(Duration::from_secs(600)))
            .await,
        Ok(Claim::First)
    );
    assert_eq!(
        log.begin(token("yes"), own, until, until.plus(Duration::from_secs(600))).await,
        Ok(Begun::Foreign)
    );

    let contested = token("contested");
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.begin(contested, own, until, start).await.unwrap() })
        })
        .collect();
    let mut first = 0;
    for call in calls {
        match call.await.unwrap() {
            Begun::First => first += 1,
            begun => assert_eq!(begun, Begun::Open),
        }
    }
    assert_eq!(first, 1, "of any number of calls at the same time, one is first");
}
