//! Tokens of electronic credentials: what is read, and what is refused before anybody looks at the signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use medsettle_core::command::{Command, Credential, Request};
use medsettle_core::token::TokenId;
use medsettle_wire::decode::{Decoded, Proof, decode};
use medsettle_wire::{Operation, v1};
use prost::Message;

const HEADER: &str = r#"{"alg":"EdDSA","kid":"app-1","typ":"JWT"}"#;
const CLAIMS: &str = r#"{"jti":"000102030405060708090a0b0c0d0e0f","sub":"00000000000000000000000000000ABC","aud":"H11010500001","iat":1760000000,"exp":1760000120}"#;

fn compact(header: &str, claims: &str, signature: &[u8]) -> String {
    [header.as_bytes(), claims.as_bytes(), signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// An admission that shows the token, or the problem of the token.
fn admitted(token: &str) -> Result<(Request, Option<Proof>), String> {
    let credential = v1::presentation::Credential::Electronic(v1::ElectronicCredential { token: token.into() });
    let message = v1::InpatientAdmitRequest {
        header: Some(v1::RequestHeader {
            request_id: "r-1".into(),
            created_ms: 1_760_000_000_000,
            institution_code: "H11010500001".into(),
            ..Default::default()
        }),
        presentation: Some(v1::Presentation { credential: Some(credential), terminal_id: "T1".into() }),
        admission_date: "2025-10-09".into(),
        kind: v1::admission_kind::Kind::Planned as i32,
        department: "surgery".into(),
        diagnosis: "K35".into(),
        ..Default::default()
    };
    match decode(Operation::InpatientAdmit, &message.encode_to_vec()) {
        Ok(Decoded::Core { request, proof, .. }) => Ok((request, proof)),
        Ok(other) => panic!("an admission came out as {other:?}"),
        Err(refused) => {
            assert_eq!(refused.metadata["field"], "presentation.electronic.token");
            Err(refused.metadata["problem"].clone())
        }
    }
}

#[test]
fn a_token_is_read_with_what_its_issuer_signed() {
    let text = compact(HEADER, CLAIMS, &[7; 64]);
    let (Request::Command(_, command), Some(Proof::Token(check))) = admitted(&text).unwrap() else { panic!("a token") };
    let Command::Admit { presentation, .. } = *command else { panic!("an admission") };
    let Credential::Electronic(token) = presentation.credential else { panic!("a token") };
    assert_eq!(token.id, TokenId(std::array::from_fn(|i| u8::try_from(i).unwrap())));
    assert_eq!((token.issued_ms, token.expires_ms), (1_760_000_000_000, 1_760_000_120_000));
    assert_eq!((token.audience.as_str(), token.card_sn.to_string().as_str()), ("H11010500001", &CLAIMS[50..82]));
    assert_eq!((&*check.key, check.signature), ("app-1", [7; 64]));
    assert_eq!(*check.signed, text[..text.rfind('.').unwrap()]);
}

#[test]
fn a_token_that_is_not_of_the_contract_s_form_is_refused() {
    let header = |text: &str| compact(text, CLAIMS, &[0; 64]);
    let claims = |from: &str, to: &str| compact(HEADER, &CLAIMS.replace(from, to), &[0; 64]);
    let cases = [
        (String::new(), "has not three parts"),
        ("a.b".into(), "has not three parts"),
        ("x".repeat(1_025), "is longer than 1,024 characters"),
        (header(r#"{"alg":"none","kid":"app-1"}"#), "is not of algorithm EdDSA and type JWT"),
        (header(r#"{"alg":"EdDSA","kid":"app-1","typ":"JOSE"}"#), "is not of algorithm EdDSA and type JWT"),
        (header(r#"{"alg":"EdDSA"}"#), "has not the header that the contract names"),
        (header(r#"{"alg":"EdDSA","kid":"app-1","crit":["b64"]}"#), "has not the header that the contract names"),
        (header("?"), "has not the header that the contract names"),
        (claims("iat", "nbf"), "has not the claims that the contract names"),
        (claims("1760000120", "-1"), "has not the claims that the contract names"),
        (claims("0a0b", "0A0B"), "has a jti that is not 32 digits of 0-9 a-f"),
        (claims("ABC", "abc"), "has a sub that is no recognition code"),
        (claims("H11010500001", "H1"), "has an aud that is no institution's code"),
        (compact(HEADER, CLAIMS, &[0; 63]), "has no signature of 64 bytes"),
        (format!("{}=", compact(HEADER, CLAIMS, &[0; 64])), "has no signature of 64 bytes"),
    ];
    for (token, problem) in cases {
        assert_eq!(admitted(&token).unwrap_err(), problem, "{token}");
    }
}
