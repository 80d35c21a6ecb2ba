//! Reads the claims of a `signedPasskeyData` token. Nothing here proves anything: the verdict is Corbado's.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::{PasskeyClaims, Rejection, Timestamp};
use serde::Deserialize;

/// The longest token read, in bytes; a real one has about 900.
const MAX_TOKEN: usize = 16 * 1024;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: u64,
    nbf: Option<u64>,
    #[serde(rename = "webauthnId")]
    webauthn_id: String,
}

/// Reads a compact JWS with a header, claims and a signature, all in base64url without padding (RFC 7515, 7519).
pub fn read(token: &str) -> Result<PasskeyClaims, Rejection> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Rejection::Malformed);
    };
    if token.len() > MAX_TOKEN {
        return Err(Rejection::Malformed);
    }
    let header: Header = part(header)?;
    let claims: Claims = part(claims)?;
    // An unsigned token is refused for its algorithm first, which says more.
    if header.alg == "RS256" && (signature.is_empty() || BASE64_URL_SAFE_NO_PAD.decode(signature).is_err()) {
        return Err(Rejection::Malformed);
    }
    Ok(PasskeyClaims {
        algorithm: header.alg,
        issuer: claims.iss,
        subject: claims.sub,
        webauthn_id: claims.webauthn_id,
        expires: Timestamp::from_secs(claims.exp),
        not_before: claims.nbf.map(Timestamp::from_secs),
    })
}

fn part<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Rejection> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Malformed)?;
    crate::read_object(&json).ok_or(Rejection::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str, signature: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(header), encode(claims), encode(signature))
    }

    const HEADER: &str = r#"{"alg":"RS256","kid":"pki-1","typ":"JWT"}"#;
    const CLAIMS: &str =
        r#"{"iss":"pro-1","sub":"usr-1","exp":300,"nbf":1,"iat":2,"jti":"x","webauthnId":"ada"}"#;

    #[test]
    fn reads_the_claims() {
        let claims = read(&token(HEADER, CLAIMS, "signature")).unwrap();
        assert_eq!(claims.algorithm, "RS256");
        assert_eq!(claims.issuer, "pro-1");
        assert_eq!(claims.subject, "usr-1");
        assert_eq!(claims.webauthn_id, "ada");
        assert_eq!(claims.expires, Timestamp::from_secs(300));
        assert_eq!(claims.not_before, Some(Timestamp::from_secs(1)));
    }

    #[test]
    fn passes_other_algorithms_on_to_be_refused() {
        let unsigned = token(r#"{"alg":"none"}"#, CLAIMS, "");
        assert_eq!(read(&unsigned).map(|claims| claims.algorithm), Ok("none".to_owned()));
    }

    #[test]
    fn refuses_what_is_no_such_token() {
        let good = token(HEADER, CLAIMS, "signature");
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        let long = token(HEADER, CLAIMS, &"x".repeat(MAX_TOKEN));
        let with = |claims: &str| token(HEADER, claims, "signature");
        let rows = [
            String::new(),
            "a".to_owned(),
            "a.b.c".to_owned(),
            "..".to_owned(),
            unsigned.to_owned(),
            format!("{unsigned}."),
            format!("{good}.x"),
            format!("{good}="),
            format!("{good} "),
            long,
            token("{}", CLAIMS, "signature"),
            token("[\"RS256\"]", CLAIMS, "signature"),
            with("{}"),
            with("null"),
            with(r#"["pro-1","usr-1",300,1,"ada"]"#),
            with(&CLAIMS.replace("300", "\"300\"")),
            with(&CLAIMS.replace("300", "-1")),
            with(&CLAIMS.replace("300", "1e99")),
            with(&CLAIMS.replace(r#""exp":300,"#, "")),
            with(&CLAIMS.replace(r#""webauthnId":"ada""#, r#""webauthnId":null"#)),
            with(&CLAIMS.replace(r#""webauthnId":"ada""#, r#""webauthnId":"ada","webauthnId":"eve""#)),
        ];
        for token in rows {
            assert_eq!(read(&token).map(|_| ()), Err(Rejection::Malformed), "{token}");
        }
    }
}
