//! What is wrong with a file, and what is wrong with one of its rows.

use std::borrow::Cow;
use std::io;

/// Why a file is not imported at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its header or its form is not what was asked for; nothing of it was looked at.
    #[error("{0}")]
    Refused(String),
    /// What was written about an earlier run is not of this file.
    #[error("the checkpoint does not fit: {0}")]
    Checkpoint(String),
}

/// Why the import of a file ends early: not for a fault of a row, so it can go on later from where it was.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The hub refuses everybody, or this caller, for a reason that no row can mend.
    #[error("{reason}{detail}")]
    Refused {
        /// Its name in the contract.
        reason: &'static str,
        /// What it says beside.
        detail: String,
    },
    /// What came back is no answer to what was asked.
    #[error("the hub's answer does not belong to what was asked")]
    NoAnswer,
    /// The file could not be read further.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why one row is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The column at fault; empty where it is the whole row.
    pub field: Cow<'static, str>,
    /// Name of a reason of the contract.
    pub reason: &'static str,
    /// What is wrong, in words.
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// A row that does not follow the table of its columns.
    pub(crate) fn malformed(field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: "REQUEST_MALFORMED", detail: problem.into() }
    }
}
