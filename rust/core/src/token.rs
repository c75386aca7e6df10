//! Tokens of electronic credentials that were used.
//!
//! Invariant: a token is accepted once. Its name is remembered until it ends; later it is refused for its age.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The longest life of a token, from its issue to its end.
pub const MAX_TOKEN_LIFE_MS: i64 = 5 * 60_000;

/// How far the issuer's clock may be ahead of the hub's.
pub const MAX_TOKEN_AHEAD_MS: i64 = 60_000;

/// The name that its issuer gave a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 16]);

/// Tokens that could still come again. Bounded by the tokens of [`MAX_TOKEN_LIFE_MS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedTokens {
    by_end: BTreeSet<(i64, TokenId)>,
}

impl UsedTokens {
    /// Whether the token was used.
    pub fn contains(&self, id: TokenId, expires_ms: i64) -> bool {
        self.by_end.contains(&(expires_ms, id))
    }

    pub(crate) fn note(&mut self, id: TokenId, expires_ms: i64, now_ms: i64) {
        while self.by_end.first().is_some_and(|(ends_ms, _)| *ends_ms < now_ms) {
            self.by_end.pop_first();
        }
        self.by_end.insert((expires_ms, id));
    }
}
