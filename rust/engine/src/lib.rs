//! Threads, files and the clock of medsettle: everything between a decision and its durability.
//!
//! The journal is whole in itself: bodies of frames are opaque bytes here, `wire` gives them their meaning.

pub mod clock;
pub mod error;
pub mod halt;
pub mod journal;
pub mod keyring;
pub mod limits;
pub mod recovery;
pub mod storage;
pub mod verify;
