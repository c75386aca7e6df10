//! Application cryptograms: derive the session key, check the MAC over what the chip signed, answer with an ARPC.
//!
//! Invariant: a [`Session`] comes only from a cryptogram that passed, so no ARPC is known for a wrong one.
//! Invariant: time does not depend on keys and on what a cryptogram ought to be, and every key and key schedule is
//! zeroized when dropped.
//! Invariant: no key is ever shown by `Debug`, and a PAN only in part.
//! Left out: card states, counters and clocks (the core), where keys come from (the engine's key ring), and the chip's
//! own side (the soft card; signing exists only behind the feature `card`, with a verification that is plain and not constant in time).

#![forbid(unsafe_code)]

#[rustfmt::skip]
#[allow(clippy::pedantic, reason = "generated")]
#[path = "gen/des_boxes.rs"]
mod des_boxes;
#[rustfmt::skip]
#[allow(clippy::pedantic, reason = "generated")]
#[path = "gen/sm4_box.rs"]
mod sm4_box;

mod derive;
mod des_tables;
mod few;
mod field;
mod key;
#[allow(
    clippy::inline_always,
    reason = "what is not inlined into a function for an instruction set is not compiled for it"
)]
mod lanes;
#[cfg(any(test, feature = "card"))]
pub mod reference;
mod scheme;
mod signed;
mod sm4_parameters;
mod verify;

pub use field::{Cryptogram, FieldError, Pan, SequenceNumber};
pub use key::MasterKey;
#[cfg(feature = "card")]
pub use reference::sign;
pub use scheme::{Derivation, Scheme};
pub use signed::{SignedBytes, SignedFields, TransactionDate};
pub use verify::{ArpcError, Request, Session, Verdict, Verifier};
