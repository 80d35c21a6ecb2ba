//! Cognito's triggers of custom authentication: define, create and verify auth challenge.
//!
//! Source: Amazon Cognito developer guide, "Custom authentication challenge Lambda triggers". Real events have members missing,
//! null or new, so an event is kept whole as the text that it is, read tolerantly, and only `response` is written.

use std::fmt;

use domain::{FlowNonce, UserIdentifier};
use secrecy::SecretString;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::read::{self, Invalid};

/// The one kind of challenge that there is.
pub const CUSTOM_CHALLENGE: &str = "CUSTOM_CHALLENGE";
/// What marks the challenge as Corbado's, in the words of its guide.
const CHALLENGE_METADATA: &str = "CORBADO_CHALLENGE_COGNITO_CLAIM";

/// An event, and what it asks.
#[derive(Debug)]
pub struct CustomAuth<'a> {
    whole: Members<'a>,
    /// `userPoolId`.
    pub pool: Option<String>,
    /// `userName`; `None` where it is missing or no user's.
    pub user: Option<UserIdentifier>,
    /// Whether the pool knows the user, and wants no other way of signing in first: `userNotFound` is absent, null or false, and
    /// `cognito:user_status` among the attributes absent or `CONFIRMED`.
    pub may_sign_in: bool,
    /// What is asked.
    pub trigger: Trigger,
}

/// What an event asks, by its `triggerSource`.
#[derive(Debug)]
pub enum Trigger {
    /// `DefineAuthChallenge_Authentication`: what comes next, after these rounds.
    Define(Vec<Round>),
    /// `CreateAuthChallenge_Authentication`: a challenge.
    Create,
    /// `VerifyAuthChallengeResponse_Authentication`: whether an answer is right.
    Verify(Response),
}

/// One round of a sign-in so far: an entry of `request.session`. What cannot be read is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// `challengeName`.
    pub challenge_name: Option<String>,
    /// `challengeResult`.
    pub challenge_result: Option<bool>,
}

/// A client's response to the challenge. What cannot be read is `None`.
#[derive(Debug)]
pub struct Response {
    /// `challengeAnswer`.
    pub answer: Option<SecretString>,
    /// The nonce among `privateChallengeParameters`.
    pub flow: Option<FlowNonce>,
}

/// `response` of define.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Defined {
    challenge_name: Option<&'static str>,
    issue_tokens: bool,
    fail_authentication: bool,
}

impl Defined {
    /// Asks for the challenge.
    pub const CHALLENGE: Self =
        Self { challenge_name: Some(CUSTOM_CHALLENGE), issue_tokens: false, fail_authentication: false };
    /// Signs the user in.
    pub const TOKENS: Self = Self { challenge_name: None, issue_tokens: true, fail_authentication: false };
    /// Ends the sign-in without success.
    pub const FAILURE: Self = Self { challenge_name: None, issue_tokens: false, fail_authentication: true };
}

/// `response` of create. Cognito wants both maps filled; the client gets the public one only.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created<'a> {
    public_challenge_parameters: Public,
    private_challenge_parameters: Private<'a>,
    challenge_metadata: &'static str,
}

#[derive(Debug, Serialize)]
struct Public {
    challenge: &'static str,
}

#[derive(Serialize)]
struct Private<'a> {
    nonce: &'a str,
}

impl fmt::Debug for Private<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private(..)")
    }
}

impl<'a> Created<'a> {
    /// The challenge of one flow: to answer with `signedPasskeyData`.
    pub fn new(flow: &'a FlowNonce) -> Self {
        Self {
            public_challenge_parameters: Public { challenge: "signedPasskeyData" },
            private_challenge_parameters: Private { nonce: flow.expose() },
            challenge_metadata: CHALLENGE_METADATA,
        }
    }
}

/// `response` of verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Whether the answer proves the user.
    pub answer_correct: bool,
}

/// The members of an object in their order, each value as it is spelt.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

/// How many members an object may have; Cognito's have fewer than ten.
const MAX_MEMBERS: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestWire<'a> {
    #[serde(borrow)]
    user_attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    user_not_found: Option<&'a RawValue>,
    #[serde(borrow)]
    challenge_name: Option<&'a RawValue>,
    #[serde(borrow)]
    challenge_answer: Option<&'a RawValue>,
    #[serde(borrow)]
    private_challenge_parameters: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoundWire<'a> {
    #[serde(borrow)]
    challenge_name: Option<&'a RawValue>,
    #[serde(borrow)]
    challenge_result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct AttributesWire<'a> {
    #[serde(borrow, rename = "cognito:user_status")]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PrivateWire<'a> {
    #[serde(borrow)]
    nonce: Option<&'a RawValue>,
}

impl<'a> CustomAuth<'a> {
    /// Reads an event. Only what nobody could answer is refused: no object, a member twice, another trigger.
    pub fn parse(json: &'a str) -> Result<Self, Invalid> {
        let whole: Members<'a> = read::object(json.as_bytes())?;
        let request: RequestWire<'a> = whole
            .get("request")
            .map_or(Err(Invalid::Missing("request")), |it| read::object(it.get().as_bytes()))?;
        let source: String =
            whole.get("triggerSource").and_then(value).ok_or(Invalid::Missing("triggerSource"))?;
        let trigger = match source.as_str() {
            "DefineAuthChallenge_Authentication" => Trigger::Define(rounds(request.session)),
            "CreateAuthChallenge_Authentication" => {
                let named = request.challenge_name.map(value::<String>);
                if named.is_some_and(|name| name.as_deref() != Some(CUSTOM_CHALLENGE)) {
                    return Err(Invalid::UnknownWord("challengeName"));
                }
                Trigger::Create
            }
            "VerifyAuthChallengeResponse_Authentication" => Trigger::Verify(Response {
                answer: request.challenge_answer.and_then(value::<String>).map(SecretString::from),
                flow: request.private_challenge_parameters.and_then(flow),
            }),
            _ => return Err(Invalid::UnknownWord("triggerSource")),
        };
        let user = whole.get("userName").and_then(value::<String>);
        Ok(Self {
            pool: whole.get("userPoolId").and_then(value),
            user: user.and_then(|user| UserIdentifier::new(user).ok()),
            may_sign_in: request.user_not_found.is_none_or(|it| value(it) == Some(false))
                && request.user_attributes.is_none_or(may_sign_in),
            trigger,
            whole,
        })
    }

    /// Writes the event with `response`: its members replaced or added, all else as it came.
    pub fn respond(&self, response: &impl Serialize) -> serde_json::Result<String> {
        let ours = serde_json::to_string(response)?;
        let ours: Members = serde_json::from_str(&ours)?;
        let theirs =
            self.whole.get("response").and_then(|it| read::object::<Members>(it.get().as_bytes()).ok());
        let mut response = theirs.unwrap_or_default();
        for (name, value) in ours.0 {
            response.set(&name, value);
        }
        let response = serde_json::value::to_raw_value(&response)?;
        let mut whole = Members(self.whole.0.clone());
        whole.set("response", &response);
        serde_json::to_string(&whole)
    }
}

/// Reads a value of a type; `None` if it is of another.
fn value<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn may_sign_in(attributes: &RawValue) -> bool {
    match read::object::<AttributesWire>(attributes.get().as_bytes()) {
        Ok(wire) => wire.status.is_none_or(|status| value::<String>(status).as_deref() == Some("CONFIRMED")),
        Err(_) => false,
    }
}

fn rounds(session: Option<&RawValue>) -> Vec<Round> {
    let unreadable = Round { challenge_name: None, challenge_result: None };
    let Some(session) = session else { return Vec::new() };
    let Some(entries) = value::<Vec<&RawValue>>(session) else { return vec![unreadable] };
    let read = |entry: &RawValue| {
        let Ok(wire) = read::object::<RoundWire>(entry.get().as_bytes()) else { return unreadable.clone() };
        Round {
            challenge_name: wire.challenge_name.and_then(value),
            challenge_result: wire.challenge_result.and_then(value),
        }
    };
    entries.into_iter().map(read).collect()
}

fn flow(parameters: &RawValue) -> Option<FlowNonce> {
    let wire: PrivateWire = read::object(parameters.get().as_bytes()).ok()?;
    FlowNonce::parse(&value::<String>(wire.nonce?)?)
}

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    fn set(&mut self, name: &str, value: &'a RawValue) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

// They hold the answer and the user's attributes.
impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members(..)")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if members.get(&name).is_some() || members.0.len() == MAX_MEMBERS {
                        return Err(serde::de::Error::custom("a member twice, or too many"));
                    }
                    members.0.push((name, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
#[path = "custom_auth_tests.rs"]
mod tests;
