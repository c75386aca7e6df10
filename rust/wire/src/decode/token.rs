//! The token of an electronic credential: a JSON web signature in compact form (RFC 7515) by Ed25519 (RFC 8037).
//!
//! Invariant: header and claims hold what `presentation.proto` names and nothing else, so nothing of a token can mean more to
//! somebody else than it means here.
//! Leaves out: the signature (the engine checks it, with the issuer's key) and whether the token may be used (the core).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use medsettle_core::command::Token;
use medsettle_core::ids::{CardSn, InstitutionCode};
use medsettle_core::token::TokenId;
use serde::Deserialize;

use crate::convert::{Checked, Fault};

/// A signature of an issuer, to be verified before the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCheck {
    /// Name of the issuer's key.
    pub key: Box<str>,
    /// What is signed: header and claims as they came.
    pub signed: Box<str>,
    /// The signature.
    pub signature: [u8; 64],
}

/// Longest token: header, claims and signature in base64 take some 400.
const MAX_TOKEN: usize = 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    jti: String,
    sub: String,
    aud: String,
    iat: u32,
    exp: u32,
}

pub(super) fn token(bytes: &[u8]) -> Checked<(Token, TokenCheck)> {
    if bytes.len() > MAX_TOKEN {
        return Err(Fault::here("is longer than 1,024 characters"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::here("is no text"))?;
    let (signed, signature) = text.rsplit_once('.').ok_or_else(|| Fault::here("has not three parts"))?;
    let (header, claims) = signed.split_once('.').ok_or_else(|| Fault::here("has not three parts"))?;
    let header: Header = json(header).ok_or_else(|| Fault::here("has not the header that the contract names"))?;
    if header.alg != "EdDSA" || header.typ.is_some_and(|typ| typ != "JWT") {
        return Err(Fault::here("is not of algorithm EdDSA and type JWT"));
    }
    let claims: Claims = json(claims).ok_or_else(|| Fault::here("has not the claims that the contract names"))?;
    let signature = part(signature).and_then(|bytes| bytes.try_into().ok());
    let check = TokenCheck {
        key: header.kid.into(),
        signed: signed.into(),
        signature: signature.ok_or_else(|| Fault::here("has no signature of 64 bytes"))?,
    };
    let token = Token {
        id: token_id(&claims.jti).ok_or_else(|| Fault::here("has a jti that is not 32 digits of 0-9 a-f"))?,
        card_sn: CardSn::parse(&claims.sub).ok_or_else(|| Fault::here("has a sub that is no recognition code"))?,
        audience: InstitutionCode::parse(&claims.aud)
            .ok_or_else(|| Fault::here("has an aud that is no institution's code"))?,
        issued_ms: i64::from(claims.iat) * 1_000,
        expires_ms: i64::from(claims.exp) * 1_000,
    };
    Ok((token, check))
}

fn part(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn json<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    serde_json::from_slice(&part(text)?).ok()
}

fn token_id(text: &str) -> Option<TokenId> {
    let lower = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    lower.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(|number| TokenId(number.to_be_bytes()))
}
