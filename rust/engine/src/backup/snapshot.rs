//! The snapshot of a backup: the file of the hub that was backed up, beside the pieces.
//!
//! Invariant: it gets its name only when it was read whole and stands behind a frame of the pieces; the newest one stays.
//! Invariant: without it nothing is missing but time: a restore goes on without one that cannot be used, and says so.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use medsettle_core::ids::HubNumber;
use medsettle_core::rows::RowReader;

use super::piece::{PieceName, PieceReader};
use super::{BackupError, io};
use crate::journal::{HubId, Tail};
use crate::snapshot::{self, Head, TEMPORARY_NAME, Unfit, name_of};
use crate::storage::{Access, DataDirectory, Storage as _, StorageFile, make_file};

/// A snapshot that is being taken in.
pub(super) struct SnapshotWriter {
    pub(super) frame: u64,
    path: PathBuf,
    file: BufWriter<File>,
}

impl SnapshotWriter {
    pub(super) fn begin(directory: &Path, frame: u64) -> Result<Self, BackupError> {
        let path = directory.join(TEMPORARY_NAME);
        let file = make_file(&path).map_err(io("making", &path))?;
        Ok(Self { frame, path, file: BufWriter::new(file) })
    }

    pub(super) fn write(&mut self, content: &[u8]) -> Result<(), BackupError> {
        self.file.write_all(content).map_err(io("writing", &self.path))
    }

    pub(super) fn finish(self) -> Result<(), BackupError> {
        let Self { path, file, .. } = self;
        let file = file.into_inner().map_err(|error| io("writing", &path)(error.into_error()))?;
        file.sync_all().map_err(io("syncing", &path))
    }
}

/// Read the file called `name` whole: a snapshot of this hub that stands behind `frame`.
pub(super) fn examine(
    directory: &Path,
    name: &str,
    access: Access,
    hub: HubId,
    frame: &Tail,
) -> Result<Result<Head, Unfit>, BackupError> {
    let examined = read_whole(directory, name, access, hub, frame.number)?;
    Ok(examined.and_then(|head| head.stands_behind(frame).map(|()| head)))
}

/// The same without the frame, of which only the number is known.
pub(super) fn read_whole(
    directory: &Path,
    name: &str,
    access: Access,
    hub: HubId,
    number: u64,
) -> Result<Result<Head, Unfit>, BackupError> {
    let path = directory.join(name);
    let storage = DataDirectory::existing(directory).map_err(io("opening", directory))?;
    match storage.open(name, access).map_err(Unfit::from).and_then(|file| sound(file, hub, number)) {
        Err(Unfit::Io(error)) if error.raw_os_error().is_some() => Err(io("reading", &path)(error)),
        read => Ok(read),
    }
}

fn sound(file: Box<dyn StorageFile>, hub: HubId, number: u64) -> Result<Head, Unfit> {
    let hub_number = u32::try_from(hub.0).ok().and_then(HubNumber::new).ok_or(Unfit::Foreign)?;
    let mut rows = RowReader::new(hub_number);
    let head = snapshot::read_file(file, &mut |_| {}, &mut |row| rows.read(row).map(drop))?;
    head.is_of(head.directory, hub, number)?;
    let (found, expected) = (rows.finish()?, head.tail.last_sequence);
    if found == expected { Ok(head) } else { Err(Unfit::Sequence { found, expected }) }
}

/// Name what was taken in, and remove the ones before.
pub(super) fn keep(directory: &Path, frame: u64) -> Result<(), BackupError> {
    let storage = DataDirectory::existing(directory).map_err(io("opening", directory))?;
    let path = directory.join(name_of(frame));
    storage.rename(TEMPORARY_NAME, &name_of(frame)).map_err(io("naming", &path))?;
    storage.sync_directory().map_err(io("syncing", directory))?;
    for other in numbers(directory)?.into_iter().filter(|number| *number != frame) {
        let path = directory.join(name_of(other));
        fs::remove_file(&path).map_err(io("removing", &path))?;
    }
    Ok(())
}

/// The frames behind which a backup has snapshots, newest first.
pub(super) fn numbers(directory: &Path) -> Result<Vec<u64>, BackupError> {
    let listed = DataDirectory::existing(directory).and_then(|storage| snapshot::numbers(&storage));
    listed.map_err(io("listing", directory))
}

/// Throw away what was taken in of a snapshot.
pub(super) fn discard(directory: &Path) -> Result<(), BackupError> {
    let path = directory.join(TEMPORARY_NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io("removing", &path)(error)),
        _ => Ok(()),
    }
}

/// Frame `number` of the pieces, which are sound up to there, or damage; none if they end before.
pub(super) fn frame_of(
    directory: &Path,
    pieces: &[PieceName],
    number: u64,
    schema: u32,
) -> Result<Option<Tail>, BackupError> {
    let Some(piece) = pieces.iter().find(|piece| piece.first <= number && number <= piece.last) else {
        return Ok(None);
    };
    let mut reader = PieceReader::open(directory, *piece)?;
    let first = reader.first_header(schema)?;
    let mut tail = Tail::before(&first);
    while tail.number < number {
        match reader.next(&tail, Some(first.hub), schema)? {
            Some(frame) => tail = Tail::after(&frame.header, frame.hash),
            None => return Ok(None),
        }
    }
    Ok(Some(tail))
}
