//! Where an index lies, and what can be wrong there.
//!
//! Invariant: nothing but an index lies there, so all of it may be thrown away.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::store::{MemoryIndex, Store, StoreError};

/// Name of the directory in a data directory.
pub(crate) const INDEX_NAME: &str = "index";

/// Where an index lies.
#[derive(Clone)]
pub enum IndexHome {
    /// In a directory that holds nothing else.
    Directory(PathBuf),
    /// In memory, beside a disk in memory.
    Memory(MemoryIndex),
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// There is no room for it.
    #[error("the records index in {place} has no room: the disk is full")]
    Full {
        /// Where.
        place: String,
    },
    /// Anything else.
    #[error("the records index in {place} cannot be used: {cause}")]
    Failed {
        /// Where.
        place: String,
        /// Why.
        cause: String,
    },
}

impl IndexHome {
    /// The index of a data directory.
    pub fn within(data: &Path) -> Self {
        Self::Directory(data.join(INDEX_NAME))
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Memory(_) => "memory".into(),
        }
    }

    pub(super) fn store(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::Directory(path) => Box::new(Disk::open(path)?),
            Self::Memory(memory) => Box::new(memory.clone()),
        })
    }

    /// A place for an index that is to replace this one.
    pub(super) fn beside(&self) -> Self {
        match self {
            Self::Directory(path) => Self::Directory(path.with_extension("new")),
            Self::Memory(_) => Self::Memory(MemoryIndex::default()),
        }
    }

    /// Put another index, which nobody has open, in the place of this one.
    pub(super) fn replace_by(&self, other: &Self) -> Result<(), IndexError> {
        match (self, other) {
            (Self::Directory(path), Self::Directory(new)) => {
                self.clear()?;
                std::fs::rename(new, path).map_err(|error| self.error(&StoreError::Failed(error.to_string())))
            }
            (Self::Memory(memory), Self::Memory(new)) => {
                memory.replace_by(new);
                Ok(())
            }
            _ => unreachable!("both are of one kind"),
        }
    }

    /// Throw away what is there.
    pub(crate) fn clear(&self) -> Result<(), IndexError> {
        match self {
            Self::Memory(memory) => memory.clear(),
            Self::Directory(path) => match std::fs::remove_dir_all(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.error(&StoreError::Failed(error.to_string())));
                }
                _ => {}
            },
        }
        Ok(())
    }

    pub(super) fn error(&self, error: &StoreError) -> IndexError {
        match error {
            StoreError::Full => IndexError::Full { place: self.place() },
            StoreError::Damaged(cause) | StoreError::Failed(cause) => {
                IndexError::Failed { place: self.place(), cause: cause.clone() }
            }
        }
    }
}
