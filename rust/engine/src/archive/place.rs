//! Where a hub finds the archive that it is told to use, and why it may not use it.
//!
//! Invariant: a refusal changes nothing: no directory is made, and nothing is noted.
//! Invariant: a history that is not whole is never gone on with in silence, whether its archive was moved, is not mounted or is another's.
//! Leaves out: the archived segments themselves.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::{JournalFiles, POINTER_NAME, archived_name_of, archived_number_of, note_archive, noted_archive};
use crate::error::JournalError;
use crate::journal::HubId;
use crate::journal::segment::Label;
use crate::recovery::{self, identity_of, label_of, segment_numbers};
use crate::storage::{DataDirectory, Storage as _};

/// Why a hub may not go on with its archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// What belongs there lies in another place.
    #[error("archived segments lie in {from}, not in the archive {to}: {}mv {from}/*.archive {to}/", if *is_there { String::new() } else { format!("mkdir {to} && ") })]
    Elsewhere {
        /// Where they lie.
        from: String,
        /// Where they belong by the settings.
        to: String,
        /// Whether there is that directory.
        is_there: bool,
    },
    /// Segments that were archived are not there.
    #[error("the archive {archive} lacks {}; is it mounted?", segments(*first, *last))]
    Lacks {
        /// Which archive.
        archive: String,
        /// The first segment that is not there.
        first: u64,
        /// The last one in a row.
        last: u64,
    },
    /// Another hub archives there.
    #[error("the archive {archive} belongs to another data directory; give this hub an archive of its own")]
    Foreign {
        /// Which archive.
        archive: String,
    },
    /// The data directory is in use or cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Some segments in a row, in words.
pub(crate) fn segments(first: u64, last: u64) -> String {
    if first == last { format!("segment {first}") } else { format!("segments {first} to {last}") }
}

/// The journal of a data directory with the archive of the settings; without one, the data directory is its own.
pub(crate) fn take_up(
    data: &DataDirectory,
    hub: HubId,
    configured: Option<&Path>,
) -> Result<JournalFiles, ArchiveError> {
    // Whoever holds the directory goes on archiving meanwhile.
    let _lock = recovery::lock(data)?;
    let io = |action, path: &Path| JournalError::io(action, path.to_owned());
    let here = std::path::absolute(data.path()).map_err(io("finding", data.path()))?;
    let wanted = configured.unwrap_or(data.path());
    let wanted = std::path::absolute(wanted).map_err(io("finding", wanted))?;
    let noted = noted_archive(data.path()).map_err(io("reading", &data.path().join(POINTER_NAME)))?;
    let identity = identity_of(data)?;
    if identity.is_some_and(|identity| identity.hub != hub) {
        // The opening says so.
        return Ok(JournalFiles::in_one(Arc::new(data.clone())));
    }
    let archived = archived_in(&wanted).map_err(io("listing", &wanted))?;
    if wanted != here {
        check_owner(&wanted, &archived, identity.as_ref())?;
    }
    let first_here = segment_numbers(data)?.first().copied().unwrap_or(1);
    let lacks = |number: &u64| archived.binary_search(number).is_err();
    if let Some(first) = (1..first_here).find(lacks) {
        for from in [Some(&here), noted.as_ref()].into_iter().flatten().filter(|place| **place != wanted) {
            if archived_in(from).is_ok_and(|archived| archived.binary_search(&first).is_ok()) {
                let (from, to) = (from.display().to_string(), wanted.display().to_string());
                return Err(ArchiveError::Elsewhere { from, to, is_there: wanted.is_dir() });
            }
        }
        if wanted != here || noted.is_some() {
            let last = (first..first_here).take_while(lacks).last().unwrap_or(first);
            let archive = noted.filter(|_| wanted == here).unwrap_or(wanted).display().to_string();
            return Err(ArchiveError::Lacks { archive, first, last });
        }
    }
    if wanted == here {
        forget_archive(data).map_err(io("removing", &data.path().join(POINTER_NAME)))?;
        return Ok(JournalFiles::in_one(Arc::new(data.clone())));
    }
    let archive = DataDirectory::create(&wanted).map_err(io("making", &wanted))?;
    note_archive(data.path(), &wanted).map_err(io("writing", &data.path().join(POINTER_NAME)))?;
    Ok(JournalFiles::new(Arc::new(data.clone()), Arc::new(archive)))
}

/// The numbers of the archived segments in a directory, in order; none where there is no such directory.
fn archived_in(directory: &Path) -> io::Result<Vec<u64>> {
    let names = match DataDirectory::existing(directory).and_then(|archive| archive.list()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| archived_number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A label that cannot be read is damage, which a start that needs it and a check tell.
fn check_owner(archive: &Path, archived: &[u64], identity: Option<&Label>) -> Result<(), ArchiveError> {
    let Ok(storage) = DataDirectory::existing(archive) else { return Ok(()) };
    let is_foreign = |number: &u64| {
        let label = label_of(&storage, &archived_name_of(*number));
        label.is_ok_and(|label| identity.is_none_or(|own| own.directory != label.directory))
    };
    if archived.iter().any(is_foreign) {
        return Err(ArchiveError::Foreign { archive: archive.display().to_string() });
    }
    Ok(())
}

/// The data directory is its own archive again.
fn forget_archive(data: &DataDirectory) -> io::Result<()> {
    match fs::remove_file(data.path().join(POINTER_NAME)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| data.sync_directory()),
    }
}
