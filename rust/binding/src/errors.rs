//! The exceptions of `medsettle.errors`, and which of them an error of the engine becomes.

use std::path::Path;

use medsettle_engine::OpenError;
use medsettle_engine::archive::ArchiveError;
use medsettle_engine::error::JournalError;
use medsettle_wire::Refused;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::{PyErr, import_exception};
use rustix::io::Errno;

import_exception!(medsettle.errors, BackupUnusable);
import_exception!(medsettle.errors, CorruptJournal);
import_exception!(medsettle.errors, DirectoryLocked);
import_exception!(medsettle.errors, HubUnusable);
import_exception!(medsettle.errors, ImportStopped);
import_exception!(medsettle.errors, KeyRingError);
import_exception!(medsettle.errors, Rejected);
import_exception!(medsettle.errors, ServerForgot);

/// An argument that no correct caller passes.
pub(crate) fn value_error(problem: impl ToString) -> PyErr {
    PyValueError::new_err(problem.to_string())
}

/// A refusal as an exception, where there is no reply in which it could stand.
pub(crate) fn rejected(refused: &Refused) -> PyErr {
    Rejected::new_err((refused.reason.name(), refused.metadata.clone()))
}

/// A key ring that cannot be used; the error's own text names the file.
pub(crate) fn key_ring_error(error: &medsettle_engine::keyring::KeyRingError) -> PyErr {
    KeyRingError::new_err(error.to_string())
}

/// A key that is refused before its ring is looked at.
pub(crate) fn key_refused(path: &Path, problem: impl std::fmt::Display) -> PyErr {
    KeyRingError::new_err(format!("{}: {problem}", path.display()))
}

/// A call that the operating system refused.
pub(crate) fn os_error(error: Errno) -> PyErr {
    std::io::Error::from(error).into()
}

/// What the operating system refused, with the file in the text.
pub(crate) fn os_failure(text: String) -> PyErr {
    PyOSError::new_err(text)
}

/// An engine that cannot be opened.
pub(crate) fn open_error(error: &OpenError) -> PyErr {
    match error {
        OpenError::Journal(error) | OpenError::Archive(ArchiveError::Journal(error)) => journal_error(error),
        OpenError::Core { .. } | OpenError::Archive(ArchiveError::Elsewhere { .. } | ArchiveError::Foreign { .. }) => {
            value_error(error)
        }
        OpenError::Archive(ArchiveError::Lacks { .. }) => PyOSError::new_err(error.to_string()),
        OpenError::Keys(error) => key_ring_error(error),
        OpenError::Directory { .. } | OpenError::Thread { .. } | OpenError::Random(_) | OpenError::Index(_) => {
            PyOSError::new_err(error.to_string())
        }
    }
}

/// A journal that cannot be opened or read.
pub(crate) fn journal_error(error: &JournalError) -> PyErr {
    let text = error.to_string();
    match error {
        JournalError::Corrupt { .. } => CorruptJournal::new_err(text),
        JournalError::Locked { .. } => DirectoryLocked::new_err(text),
        JournalError::ForeignHub { .. } | JournalError::SegmentLen { .. } => value_error(text),
        JournalError::NoJournal { .. } | JournalError::Io { .. } => PyOSError::new_err(text),
    }
}
