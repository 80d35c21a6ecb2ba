//! The state machine of a sign-in: one challenge, one answer, the end.

use events::custom_auth::CUSTOM_CHALLENGE;
use events::{Defined, Round};

/// Decides what comes after the rounds so far.
///
/// A token counts once, so a wrong answer cannot become right: there is no second challenge. Rounds of another kind (a
/// password by SRP, say) are no part of this sign-in and end it, too. A user whom the pool does not know,
/// or who must use the password first, goes the same way, and gets no tokens at its end.
pub fn define(rounds: &[Round], may_sign_in: bool) -> Defined {
    match rounds {
        [] => Defined::CHALLENGE,
        [Round { challenge_name: Some(name), challenge_result: Some(true) }]
            if name == CUSTOM_CHALLENGE && may_sign_in =>
        {
            Defined::TOKENS
        }
        _ => Defined::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every round that can be read: names of Cognito's own, of ours, another spelling, none; and any result.
    fn any_round() -> Vec<Round> {
        let names = [
            Some(CUSTOM_CHALLENGE),
            Some("custom_challenge"),
            Some("CUSTOM_CHALLENGE "),
            Some("SRP_A"),
            Some("PASSWORD_VERIFIER"),
            Some("DEVICE_SRP_AUTH"),
            Some("SMS_MFA"),
            Some("NEW_PASSWORD_REQUIRED"),
            Some(""),
            None,
        ];
        let round = |name: Option<&str>, result| Round {
            challenge_name: name.map(ToOwned::to_owned),
            challenge_result: result,
        };
        names
            .into_iter()
            .flat_map(|name| [Some(true), Some(false), None].map(|result| round(name, result)))
            .collect()
    }

    #[test]
    fn every_history_of_up_to_three_rounds() {
        let rounds = any_round();
        let mut histories: Vec<Vec<Round>> = vec![vec![]];
        let mut longest = histories.clone();
        for _ in 0..3 {
            longest = longest
                .iter()
                .flat_map(|history| {
                    rounds.iter().map(|round| [history.as_slice(), std::slice::from_ref(round)].concat())
                })
                .collect();
            histories.extend(longest.iter().cloned());
        }
        assert_eq!(histories.len(), 1 + 30 + 30 * 30 + 30 * 30 * 30);
        for exists in [true, false] {
            let count = |wanted| histories.iter().filter(|it| define(it, exists) == wanted).count();
            assert_eq!(count(Defined::CHALLENGE), 1);
            assert_eq!(count(Defined::TOKENS), usize::from(exists));
            assert_eq!(count(Defined::FAILURE), histories.len() - 1 - usize::from(exists));
            assert_eq!(define(&[], exists), Defined::CHALLENGE);
        }
        let right = Round { challenge_name: Some("CUSTOM_CHALLENGE".into()), challenge_result: Some(true) };
        assert_eq!(define(std::slice::from_ref(&right), true), Defined::TOKENS);
        assert_eq!(define(&[right.clone(), right], true), Defined::FAILURE);
    }
}
