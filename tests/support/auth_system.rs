//! An authentication system of the contract in `infra/auth-system.openapi.json`, in memory.
//!
//! It checks each call and each of its own answers against the file, so that file, adapter and stub stay one.

pub mod contract;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sqlite::seed::{DEMO_USERS, DemoUser};
use webhooks::{SignatureHeaders, SigningSecret};

use crate::stub::{Reaction, Received, Stub, json};
use contract::{Body, Contract, Operation};

/// How far the clocks of the two sides may be apart.
const TOLERANCE: Duration = Duration::from_secs(300);

/// What proves to the stub that a call may be made.
#[derive(Debug, Clone)]
pub enum Proof {
    Bearer(&'static str),
    Signature(SigningSecret),
}

/// The stub, with the demo users.
#[derive(Debug)]
pub struct AuthSystem {
    stub: Stub,
    state: Arc<Mutex<State>>,
}

/// A user as the stub keeps it.
#[derive(Debug, Clone)]
pub struct Account {
    user: DemoUser,
    pub mfa_enabled: bool,
    pub preferred_method: Option<String>,
    pub last_update: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    accounts: Vec<Account>,
    sessions: HashMap<String, Value>,
    webhook_ids: HashSet<String>,
    faults: Vec<String>,
}

impl AuthSystem {
    /// Starts on a free port.
    pub async fn start(proof: Proof) -> Self {
        let accounts = DEMO_USERS.map(|user| Account {
            user,
            mfa_enabled: user.preferred_mfa.is_some(),
            preferred_method: user.preferred_mfa.map(str::to_owned),
            last_update: None,
        });
        let state = Arc::new(Mutex::new(State { accounts: accounts.into(), ..State::default() }));
        let shared = Arc::clone(&state);
        let contract = Contract::read();
        let stub =
            Stub::start(move |request, _| shared.lock().unwrap().answer(&contract, &proof, request)).await;
        Self { stub, state }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.stub.url()
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.stub.received()
    }

    /// Where a call or an answer was not as the file has it.
    pub fn faults(&self) -> Vec<String> {
        self.state.lock().unwrap().faults.clone()
    }

    /// A user as it is now.
    pub fn account(&self, id: &str) -> Account {
        let state = self.state.lock().unwrap();
        state.accounts.iter().find(|account| account.user.id == id).unwrap().clone()
    }
}

impl State {
    fn answer(&mut self, contract: &Contract, proof: &Proof, request: &Received) -> Reaction {
        if !self.is_proven(proof, request) {
            return json(401, &json!({"message": "planted"}));
        }
        let Some(operation) = contract.operations().find(|operation| operation.path == request.path) else {
            return json(404, &json!({"message": "planted"}));
        };
        let body = serde_json::from_str(&request.body).unwrap_or_default();
        let fit = contract.check(operation, Body::Request, &body);
        let fit = fit.and_then(|()| match (request.method.as_str(), request.header("content-type")) {
            ("POST", "application/json") => Ok(()),
            (method, kind) => Err(format!("{method} of {kind}")),
        });
        if let Err(fault) = fit {
            self.faults.push(format!("{}: request: {fault}", operation.name));
            return json(400, &json!({"message": "planted"}));
        }
        let answer = self.perform(operation, &body);
        if let Err(fault) = contract.check(operation, Body::Answer, &answer) {
            self.faults.push(format!("{}: answer: {fault}", operation.name));
        }
        json(200, &answer)
    }

    fn is_proven(&mut self, proof: &Proof, request: &Received) -> bool {
        match proof {
            Proof::Bearer(token) => request.header("authorization") == format!("Bearer {token}"),
            Proof::Signature(secret) => {
                let headers = SignatureHeaders {
                    id: request.header("webhook-id"),
                    timestamp: request.header("webhook-timestamp"),
                    signatures: request.header("webhook-signature"),
                };
                let secrets = std::slice::from_ref(secret);
                let body = request.body.as_bytes();
                webhooks::verify(secrets, headers, body, crate::now(), TOLERANCE).is_ok()
                    && self.webhook_ids.insert(headers.id.to_owned())
            }
        }
    }

    fn perform(&mut self, operation: Operation<'_>, body: &Value) -> Value {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let key = text("key").to_owned();
        match operation.name {
            "users.find" => json!({"user": self.by_id(text("id")).map(|account| account.shown())}),
            "users.findByIdentifier" => json!({"users": self.by_identifier(text("identifier"))}),
            "users.updateMfa" => {
                let only_if_disabled = body["onlyIfDisabled"] == true;
                // RFC 3339 in UTC with milliseconds: in order of time as texts, too.
                let newer = |account: &Account| {
                    body["unlessNewer"] == true
                        && account.last_update.as_deref() > body["mfa"]["lastUpdate"].as_str()
                };
                let stays = |account: &Account| (only_if_disabled && account.mfa_enabled) || newer(account);
                if let Some(account) = self.by_id(text("id")).filter(|account| !stays(account)) {
                    account.mfa_enabled = true;
                    account.preferred_method = body["mfa"]["preferredMethod"].as_str().map(str::to_owned);
                    account.last_update = body["mfa"]["lastUpdate"].as_str().map(str::to_owned);
                }
                json!({})
            }
            "sessions.create" => {
                let free = !self.sessions.contains_key(&key);
                self.sessions.entry(key).or_insert_with(|| body["session"].clone());
                json!({"created": free})
            }
            "sessions.find" => json!({"session": self.sessions.get(&key)}),
            "sessions.touch" => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    let latest = session["lastSeen"].as_u64().max(body["lastSeen"].as_u64());
                    session["lastSeen"] = json!(latest);
                }
                json!({})
            }
            "sessions.revoke" => {
                self.sessions.remove(&key);
                json!({})
            }
            "sessions.revokeAll" => {
                self.sessions.retain(|_, session| session["user"] != text("user"));
                json!({})
            }
            unknown => panic!("{unknown} is in the file and not in the stub"),
        }
    }

    fn by_id(&mut self, id: &str) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.user.id == id)
    }

    /// A user name goes before an e-mail address.
    fn by_identifier(&self, typed: &str) -> Vec<Value> {
        let matching = |text: fn(&DemoUser) -> &str| -> Vec<&DemoUser> {
            let users = self.accounts.iter().map(|account| &account.user);
            users.filter(|user| text(user).eq_ignore_ascii_case(typed)).collect()
        };
        let shown =
            |user: &DemoUser, verified| json!({"id": user.id, "status": user.status, "verified": verified});
        let by_name = matching(|user| user.username);
        if !by_name.is_empty() {
            return by_name.into_iter().map(|user| shown(user, true)).collect();
        }
        matching(|user| user.email).into_iter().map(|user| shown(user, user.email_verified)).collect()
    }
}

impl Account {
    fn shown(&self) -> Value {
        json!({
            "id": self.user.id,
            "status": self.user.status,
            "displayName": self.user.display_name,
            "email": self.user.email,
            "mfa": {"enabled": self.mfa_enabled, "preferredMethod": self.preferred_method},
        })
    }
}
