//! Application cryptograms: derive the session key, check the MAC over what the chip signed, answer with an ARPC.
//!
//! Invariant: a [`Session`] comes only from a cryptogram that passed, so no ARPC can be computed for a wrong one.
//! Invariant: cryptograms are compared in constant time, and every key and key schedule is zeroized when dropped.
//! Invariant: no key is ever shown by `Debug`, and a PAN only in part.
//! Left out: card states, counters and clocks (the core), where keys come from (the engine's key ring), and the chip's
//! own side (the soft card; signing exists only behind the feature `card`). The DES and SM4 crates look up tables, so
//! their running time is not independent of the key; AES is.

#![forbid(unsafe_code)]

mod block;
mod derive;
mod field;
mod key;
mod mac;
mod scheme;
mod signed;
mod verify;

pub use field::{Cryptogram, FieldError, Pan, SequenceNumber};
pub use key::MasterKey;
pub use scheme::{Derivation, Scheme};
pub use signed::{SignedBytes, SignedFields, TransactionDate};
#[cfg(feature = "card")]
pub use verify::sign;
pub use verify::{ArpcError, Request, Session, Verdict, verify};
