//! A hub as the engine's tests have it: one way to write requests, for benchmarks as well. Its modules find one another at the root of
//! the crate, so a benchmark names them there: `use crate::hub::{caller, ...}`.

#![allow(dead_code, unused_imports, reason = "not every benchmark needs all of it")]

#[path = "../../tests/rust/engine/caller.rs"]
pub(crate) mod caller;
#[path = "../../tests/rust/engine/process.rs"]
pub(crate) mod process;
#[path = "../../tests/rust/engine/request.rs"]
pub(crate) mod request;
#[path = "../../tests/rust/engine/support.rs"]
pub(crate) mod support;
#[path = "../../tests/rust/engine/visits.rs"]
pub(crate) mod visits;
#[path = "../../tests/rust/engine/watched.rs"]
pub(crate) mod watched;
