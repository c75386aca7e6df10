//! Threads, files and the clock of medsettle: everything between a decision and its durability.
//!
//! The journal is whole in itself: bodies of frames are opaque bytes there, `wire` gives them their meaning.

mod ahead;
pub mod archive;
mod as_of;
pub mod backup;
pub mod clock;
mod config;
mod engine;
pub mod error;
pub mod explain;
pub mod halt;
pub mod index;
pub mod journal;
mod keeper;
pub mod keyring;
pub mod limits;
mod pipeline;
pub mod recovery;
mod reply;
pub mod snapshot;
mod start;
pub mod storage;
mod take;
pub mod verify;

pub use as_of::{Past, PastError, Until};
pub use config::{Config, ConfigError};
pub use engine::{BATCH, EMPTY_COMMIT, Engine, Job, OpenError};
pub use reply::{Answer, Sink};
