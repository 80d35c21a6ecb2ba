use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

fn event(source: &str, request: Value) -> String {
    json!({"version": "1", "triggerSource": source, "userPoolId": "eu-1_p", "userName": "ada", "request": request,
           "response": {"answerCorrect": null}})
    .to_string()
}

const DEFINE: &str = "DefineAuthChallenge_Authentication";
const CREATE: &str = "CreateAuthChallenge_Authentication";
const VERIFY: &str = "VerifyAuthChallengeResponse_Authentication";

fn session(request: Value) -> Vec<(Option<String>, Option<bool>)> {
    let text = event(DEFINE, request);
    let Trigger::Define(rounds) = CustomAuth::parse(&text).unwrap().trigger else { panic!("define") };
    rounds.into_iter().map(|round| (round.challenge_name, round.challenge_result)).collect()
}

#[test]
fn reads_sessions_in_any_state() {
    let custom = || Some(CUSTOM_CHALLENGE.to_owned());
    let rows = [
        (json!({}), vec![]),
        (json!({"session": null}), vec![]),
        (json!({"session": []}), vec![]),
        (
            json!({"session": [{"challengeName": "CUSTOM_CHALLENGE", "challengeResult": true, "challengeMetadata": null}]}),
            vec![(custom(), Some(true))],
        ),
        (
            json!({"session": [{"challengeName": "CUSTOM_CHALLENGE", "challengeResult": null}]}),
            vec![(custom(), None)],
        ),
        (json!({"session": [{"challengeName": "CUSTOM_CHALLENGE"}]}), vec![(custom(), None)]),
        (
            json!({"session": [{"challengeName": "CUSTOM_CHALLENGE", "challengeResult": "true"}]}),
            vec![(custom(), None)],
        ),
        (
            json!({"session": [{"challengeName": 1, "challengeResult": false}, null, 7, []]}),
            vec![(None, Some(false)), (None, None), (None, None), (None, None)],
        ),
        (json!({"session": {"challengeName": "CUSTOM_CHALLENGE"}}), vec![(None, None)]),
        (json!({"session": "x"}), vec![(None, None)]),
    ];
    for (request, expected) in rows {
        assert_eq!(session(request.clone()), expected, "{request}");
    }
    // A member twice in a round: nobody can say which counts.
    let twice = r#"{"triggerSource":"DefineAuthChallenge_Authentication","request":{"session":[
        {"challengeName":"CUSTOM_CHALLENGE","challengeResult":false,"challengeResult":true}]}}"#;
    let Trigger::Define(rounds) = CustomAuth::parse(twice).unwrap().trigger else { panic!("define") };
    assert_eq!(rounds, [Round { challenge_name: None, challenge_result: None }]);
}

#[test]
fn reads_answers_of_any_type() {
    let nonce = FlowNonce::from_random([7; 32]);
    let private = json!({"nonce": nonce.expose()});
    let read = |request: Value| {
        let text = event(VERIFY, request);
        let Trigger::Verify(response) = CustomAuth::parse(&text).unwrap().trigger else { panic!("verify") };
        let answer = response.answer.map(|answer| answer.expose_secret().to_owned());
        (answer, response.flow.map(|flow| flow.expose().to_owned()))
    };
    let flow = Some(nonce.expose().to_owned());
    let good = json!({"challengeAnswer": "a.b.c", "privateChallengeParameters": private});
    assert_eq!(read(good), (Some("a.b.c".into()), flow.clone()));
    for answer in [json!(null), json!(1), json!(true), json!(["a.b.c"]), json!({"answer": "a.b.c"})] {
        let request = json!({"challengeAnswer": answer, "privateChallengeParameters": private});
        assert_eq!(read(request), (None, flow.clone()), "{answer}");
    }
    for private in [
        json!(null),
        json!({}),
        json!({"nonce": null}),
        json!({"nonce": 1}),
        json!({"nonce": ""}),
        json!({"nonce": "short"}),
        json!([nonce.expose()]),
        json!(nonce.expose()),
    ] {
        let request = json!({"challengeAnswer": "a", "privateChallengeParameters": private});
        assert_eq!(read(request), (Some("a".into()), None), "{private}");
    }
}

#[test]
fn users_sign_in_unless_the_pool_says_otherwise() {
    let rows = [
        (json!({}), true),
        (json!({"userNotFound": null}), true),
        (json!({"userNotFound": false}), true),
        (json!({"userNotFound": true}), false),
        (json!({"userNotFound": "false"}), false),
        (json!({"userNotFound": 0}), false),
        (json!({"userAttributes": null}), true),
        (json!({"userAttributes": {}}), true),
        (json!({"userAttributes": {"cognito:user_status": null}}), true),
        (json!({"userAttributes": {"cognito:user_status": "CONFIRMED"}}), true),
        (json!({"userAttributes": {"cognito:user_status": "CONFIRMED"}, "userNotFound": true}), false),
        (json!({"userAttributes": {"cognito:user_status": "FORCE_CHANGE_PASSWORD"}}), false),
        (json!({"userAttributes": {"cognito:user_status": "RESET_REQUIRED"}}), false),
        (json!({"userAttributes": {"cognito:user_status": "NEW_STATUS"}}), false),
        (json!({"userAttributes": {"cognito:user_status": 1}}), false),
        (json!({"userAttributes": []}), false),
    ];
    for (request, expected) in rows {
        let text = event(DEFINE, request.clone());
        assert_eq!(CustomAuth::parse(&text).unwrap().may_sign_in, expected, "{request}");
    }
    let of = |name: Value| {
        let text = json!({"triggerSource": DEFINE, "request": {}, "userName": name}).to_string();
        CustomAuth::parse(&text).unwrap().user.map(|user| user.as_str().to_owned())
    };
    assert_eq!(of(json!("ada")), Some("ada".into()));
    for bad in [json!(null), json!(""), json!(1), json!("a\nb"), json!("a".repeat(257))] {
        assert_eq!(of(bad.clone()), None, "{bad}");
    }
}

#[test]
fn refuses_what_nobody_could_answer() {
    let parse = |text: &str| CustomAuth::parse(text).map(|_| ()).unwrap_err();
    for bad in ["null", "[]", "1", r#""x""#, "", "{"] {
        assert_eq!(parse(bad), Invalid::NotAnObject, "{bad}");
    }
    assert_eq!(parse("{}"), Invalid::Missing("request"));
    assert_eq!(parse(r#"{"request":null,"triggerSource":"x"}"#), Invalid::NotAnObject);
    assert_eq!(parse(r#"{"request":{}}"#), Invalid::Missing("triggerSource"));
    assert_eq!(parse(r#"{"request":{},"triggerSource":null}"#), Invalid::Missing("triggerSource"));
    for source in ["", "PreSignUp_SignUp", "DefineAuthChallenge", "defineauthchallenge_authentication"] {
        assert_eq!(parse(&event(source, json!({}))), Invalid::UnknownWord("triggerSource"), "{source}");
    }
    assert_eq!(parse(r#"{"request":{},"request":{},"triggerSource":"x"}"#), Invalid::NotAnObject);
    assert_eq!(
        parse(r#"{"request":{"challengeAnswer":"a","challengeAnswer":"b"},"triggerSource":"x"}"#),
        Invalid::NotAnObject
    );
    for name in [json!("SRP_A"), json!(1)] {
        let text = event(CREATE, json!({"challengeName": name}));
        assert_eq!(parse(&text), Invalid::UnknownWord("challengeName"), "{name}");
    }
    for name in [json!(null), json!(CUSTOM_CHALLENGE)] {
        assert!(CustomAuth::parse(&event(CREATE, json!({"challengeName": name}))).is_ok());
    }
}

#[test]
fn writes_the_response_and_nothing_else() {
    let text = r#" {"version":"1","big":123456789012345678901234567890,"triggerSource":"VerifyAuthChallengeResponse_Authentication",
        "response":{"answerCorrect":true,"new":1.0},"request":{"deep":[[{"a":1e400}]],"\u0061b":"\ud83d\ude00"},"userName":"ada","later":{}}"#;
    let event = CustomAuth::parse(text).unwrap();
    let answer = event.respond(&Verified { answer_correct: false }).unwrap();
    assert_eq!(
        answer,
        r#"{"version":"1","big":123456789012345678901234567890,"triggerSource":"VerifyAuthChallengeResponse_Authentication","response":{"answerCorrect":false,"new":1.0},"request":{"deep":[[{"a":1e400}]],"\u0061b":"\ud83d\ude00"},"userName":"ada","later":{}}"#
    );
    for response in ["null", "[]", "1", "{}"] {
        let text = format!(r#"{{"triggerSource":"{VERIFY}","request":{{}},"response":{response}}}"#);
        let answer = CustomAuth::parse(&text).unwrap().respond(&Verified { answer_correct: true }).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["response"], json!({"answerCorrect": true}), "{response}");
    }
    let text = format!(r#"{{"triggerSource":"{DEFINE}","request":{{}}}}"#);
    let answer = CustomAuth::parse(&text).unwrap().respond(&Defined::CHALLENGE).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let expected =
        json!({"challengeName": "CUSTOM_CHALLENGE", "issueTokens": false, "failAuthentication": false});
    assert_eq!(answer["response"], expected);
}

#[test]
fn spells_challenges_as_the_guide_does() {
    let flow = FlowNonce::from_random([7; 32]);
    let created = Created::new(&flow);
    assert_eq!(
        serde_json::to_value(&created).unwrap(),
        json!({
            "publicChallengeParameters": {"challenge": "signedPasskeyData"},
            "privateChallengeParameters": {"nonce": flow.expose()},
            "challengeMetadata": "CORBADO_CHALLENGE_COGNITO_CLAIM",
        })
    );
    assert!(!format!("{created:?}").contains(flow.expose()));
    let text = event(
        VERIFY,
        json!({"challengeAnswer": "planted", "privateChallengeParameters": {"nonce": "planted"}}),
    );
    assert!(!format!("{:?}", CustomAuth::parse(&text).unwrap()).contains("planted"));
}
