//! The only crate that knows protobuf: the contract's messages and tables, and what is refused before they are decoded.
//!
//! Invariant: what `protos/` declares stands here only in generated form (`src/gen/`), which a test compares with the protos.
//! Invariant: nothing that a caller sends is decoded before [`strict`] has walked it.
#![forbid(unsafe_code)]

mod append;
mod batch;
pub mod bound;
mod compose;
mod convert;
pub mod decode;
pub mod encode;
mod error;
pub mod limits;
mod method;
pub mod quote;
mod reason;
pub mod record;
mod refused;
pub mod rights;
mod schema;
pub mod strict;

pub use batch::{MAX_COMMANDS, command, commands};
pub use compose::{append_command, batch_answer};
pub use contract::{METHODS, Operation, Reason};
pub use error::{BatchError, DecodeError};
pub use method::{Method, Role, RoleSet};
pub use reason::{ReasonEntry, Retry, Status};
pub use refused::{Refused, encode_refusal, refusal};
pub use schema::{EnumSchema, Field, Kind, MessageSchema, Occurs, Schema};

#[allow(clippy::pedantic, missing_docs, reason = "generated")]
#[path = "gen/contract.rs"]
#[rustfmt::skip]
mod contract;

/// The messages of the contract.
#[allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]
#[path = "gen/medsettle.v1.rs"]
#[rustfmt::skip]
pub mod v1;
