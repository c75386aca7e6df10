//! Batches too small to fill lanes: triple DES card by card, SM4 with the bytes of a few cards in one word.
//!
//! A word of lanes takes as long for one card as for all of them, so that a card alone waits for 63 that are not there.
//!
//! Invariant: time does not depend on secrets, as in `crate::lanes`, where AES stands, whose instructions need no lanes.

mod sm4;
mod tdes;

pub(crate) use sm4::{sm4_of_zeros, verify as verify_sm4};
pub(crate) use tdes::{Tdes, verify as verify_tdes};
