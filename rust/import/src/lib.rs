//! Files of persons, cards, accounts, accumulators and filings, as ordinary commands of the contract.
//!
//! Rows of a CSV or Parquet file become messages of commands, and the hub's answers become what happened to each row. Read natively and
//! row by row into messages of bytes: Python hands on whole messages and looks at no row. `csv-core` reads CSV because it works in memory
//! that its caller bounds; `parquet` without `arrow` reads Parquet because texts, whole numbers and days need none of it.
//!
//! Invariant: pure but for the file that is read: nothing here sends, writes, or asks for the time.
//! Invariant: no file panics; what is wrong with it is a refusal before anything is asked, or a row of the rejects file.
//! Invariant: it knows the contract (`wire`) and nothing of an engine: there is no second way into a hub.
#![forbid(unsafe_code)]

mod check;
mod columns;
mod csv;
mod fault;
mod fingerprint;
mod header;
mod import;
mod kind;
pub mod limits;
mod message;
mod money;
mod parquet_file;
mod rehearsal;
mod rejects;
mod rows;
mod source;
mod totals;

pub use check::Check;
pub use columns::{Column, Kind, Part};
pub use fault::{Fault, FileError, Stopped};
pub use fingerprint::fingerprint;
pub use header::{Header, REJECT_PREFIX};
pub use import::{Behind, Import};
pub use message::Caller;
pub use source::Position;
pub use totals::{Sum, Totals};
