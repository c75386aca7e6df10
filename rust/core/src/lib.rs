//! All state and all rules of the hub, without clock, file, thread, randomness or environment.
//!
//! Invariant: the same requests in the same order with the same contexts give the same facts, on every machine.
//! Leaves out: bytes (`wire`), threads, files and time (`engine`), cryptograms (`cryptogram`).
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::float_arithmetic, clippy::iter_over_hash_type)]
#![expect(
    clippy::unnecessary_lazy_evaluations,
    reason = "`ok_or` would make and drop a refusal at every check that passes, a dozen in a settlement"
)]

pub mod account;
pub mod accumulator;
pub mod alert;
pub mod benefit;
pub mod calendar;
pub mod card;
pub mod catalogue;
pub mod census;
pub mod command;
mod decide;
pub mod explain;
pub mod fact;
pub mod filing;
mod finder;
pub mod fraud;
pub mod guess;
pub mod hub;
pub mod ids;
pub mod institution;
pub mod ledger;
pub mod money;
mod packed;
pub mod person;
pub mod pin;
pub mod policy;
pub mod records;
pub mod region;
pub mod reject;
pub mod request;
pub mod retirement;
pub mod rows;
pub mod seldom;
pub mod settlement;
mod shards;
pub mod statement;
pub mod stay;
pub mod suspension;
mod table;
pub mod token;
pub mod trail;
pub mod visit;

pub use decide::requests::reversible;
