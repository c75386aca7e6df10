//! Makes a data directory of a backup.
//!
//! Invariant: from its first moment to its last, the directory that is being made does not open: its `IDENTITY` is a mark until every
//! frame was read back from the medium and checked.
//! Invariant: the hub stays, the directory is a new one, and an epoch frame follows the last frame.
//! Invariant: a snapshot is put in place only if the frames up to it, folded anew, give its digest; the records index, without which no
//! start can begin with it, is made on the way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medsettle_wire::record::decode_body;

use super::piece::{PieceName, PieceReader};
use super::placing::Placing;
use super::{BackupError, damaged, io, names_in, pieces_of, snapshot};
use crate::error::{Damage, JournalError};
use crate::index::{INDEX_NAME, IndexHome};
use crate::journal::frame::HEADER_LEN;
use crate::journal::segment::{FIRST_FRAME_OFFSET, IDENTITY_NAME, Label, name_of, temporary_name_of};
use crate::journal::{
    Chain, Dialect, DirectoryId, Frame, FrameHash, FrameRef, HubId, Scanned, SegmentScan, Tail, make_segment,
};
use crate::recovery::{is_being_restored, mark_restoring, write_identity};
use crate::storage::{Access, DataDirectory, DirectoryLock, LOCK_NAME, Storage, StorageFile};

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Restored {
    pub hub: HubId,
    pub directory: DirectoryId,
    /// Frames of the backup; the epoch frame is one more.
    pub frames: u64,
    pub last_sequence: u64,
    /// Hash of the last frame of the backup.
    pub last_hash: FrameHash,
    pub epoch: u64,
    /// The frame of the snapshot that a start will begin with; 0 for none.
    pub snapshot_frame: u64,
    /// The snapshots of the backup that cannot be used, each with the reason.
    pub passed: Vec<String>,
}

/// Restore the backup in `from` to the new directory `to`. `progress` gets bytes done and in total.
pub fn restore(
    from: &Path,
    to: &Path,
    segment_len: u64,
    schema: u32,
    now_ms: i64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, BackupError> {
    let mut source = Source::open(from, schema)?;
    let storage = DataDirectory::create(to).map_err(io("making", to))?;
    let _lock = take_empty(&storage, to)?;
    let directory = DirectoryId::random().map_err(io("drawing the id of", to))?;
    let label = Label { file_len: segment_len, ..Label::identity(directory, source.hub) };
    // All of it is read twice: from the backup, and back from the medium.
    let all = 2 * source.total_bytes;
    let mut target = Segments { storage: &storage, label, number: 0, open: None, position: 0 };
    let mut buffer = Vec::new();
    while let Some(frame) = source.next(schema, std::mem::take(&mut buffer))? {
        target.append(&frame)?;
        buffer = frame.into_buffer();
        progress(source.done_bytes, all);
    }
    let last = source.tail;
    let mut chain = Chain::new(last, source.hub, schema, usize::MAX);
    target.append(&chain.next_epoch(now_ms, last.number, buffer))?;
    target.sync()?;
    let expected = *chain.tail();
    let dialect = Dialect { hub: source.hub, schema };
    let identity = Label::identity(directory, source.hub);
    let used = target.number;
    let mut placing = Placing::choose(from, source.hub, &source.snapshot_frames, source.tail)?;
    placing.begin(&storage, directory, source.hub)?;
    let mut told = |segment| progress(source.total_bytes + source.total_bytes * segment / used, all);
    let found = read_back(&storage, &identity, used, dialect, &mut told, &mut |frame| placing.take_frame(frame))?;
    if found != expected {
        let path = storage.path_of(&name_of(used));
        return Err(damaged(&path, 0, Damage::SectorLost { frame: found.next_number() }));
    }
    let snapshot_frame = placing.finish(&storage, directory)?;
    write_identity(&storage, &identity).map_err(io("writing the identity of", to))?;
    Ok(Restored {
        snapshot_frame,
        passed: placing.passed,
        hub: source.hub,
        directory,
        frames: last.number,
        last_sequence: last.last_sequence,
        last_hash: last.hash,
        epoch: expected.epoch,
    })
}

/// Take the directory, see that it is empty or holds what an interrupted restore left, and mark it as one that does not open.
fn take_empty(storage: &DataDirectory, to: &Path) -> Result<DirectoryLock, BackupError> {
    let not_empty = || BackupError::TargetNotEmpty { directory: to.display().to_string() };
    let free = || {
        let names = names_in(to)?;
        let is_marked = names.iter().any(|name| name == IDENTITY_NAME) && is_being_restored(storage);
        // A restore that was killed while it made its mark has nothing but these.
        let is_nothing = |name: &String| *name == LOCK_NAME || *name == temporary_name_of(0);
        if is_marked || names.iter().all(is_nothing) { Ok(is_marked) } else { Err(not_empty()) }
    };
    // Looked at before, so that nothing is left in a directory of somebody else; what counts is what lies there once it is taken.
    free()?;
    let lock = storage.lock().map_err(|_| not_empty())?;
    if !free()? {
        mark_restoring(storage).map_err(io("marking", to))?;
    }
    IndexHome::within(to).clear()?;
    let kept = [IDENTITY_NAME, LOCK_NAME, INDEX_NAME];
    for name in names_in(to)?.iter().filter(|name| !kept.contains(&name.as_str())) {
        let path = storage.path_of(name);
        std::fs::remove_file(&path).map_err(io("removing", &path))?;
    }
    Ok(lock)
}

/// The frames of a backup in order.
struct Source {
    from: PathBuf,
    pieces: std::vec::IntoIter<PieceName>,
    open: Option<PieceReader>,
    hub: HubId,
    tail: Tail,
    /// The frames behind which the backup has snapshots, once they were read.
    snapshot_frames: BTreeMap<u64, Tail>,
    wanted: Vec<u64>,
    done_bytes: u64,
    total_bytes: u64,
}

impl Source {
    fn open(from: &Path, schema: u32) -> Result<Self, BackupError> {
        let names = pieces_of(from)?;
        let Some(first) = names.first() else {
            return Err(BackupError::NoBackup { directory: from.display().to_string() });
        };
        let hub = PieceReader::open(from, *first)?.first_header(schema)?.hub;
        let mut total_bytes = 0;
        for name in &names {
            let path = from.join(name.to_string());
            total_bytes += std::fs::metadata(&path).map_err(io("asking the length of", &path))?.len();
        }
        Ok(Self {
            from: from.to_owned(),
            pieces: names.into_iter(),
            open: None,
            hub,
            tail: Tail::EMPTY,
            snapshot_frames: BTreeMap::new(),
            wanted: snapshot::numbers(from)?,
            done_bytes: 0,
            total_bytes,
        })
    }

    /// The next frame, as it is written.
    fn next(&mut self, schema: u32, buffer: Vec<u8>) -> Result<Option<Frame>, BackupError> {
        loop {
            let Some(piece) = &mut self.open else {
                let Some(next) = self.pieces.next() else { return Ok(None) };
                self.open = Some(PieceReader::open(&self.from, next)?);
                continue;
            };
            let (path, offset) = (piece.path().to_owned(), piece.offset());
            if let Some(frame) = piece.next(&self.tail, Some(self.hub), schema)? {
                let number = frame.header.number;
                let unusable = |what: String| damaged(&path, offset, Damage::Body { frame: number, what });
                decode_body(frame.body, frame.header.stamp_ms).map_err(|error| unusable(error.to_string()))?;
                let made = Frame::encode(frame.header, frame.body, buffer);
                let made = made.map_err(|error| unusable(error.to_string()))?;
                self.tail = Tail::after(made.header(), made.hash());
                if self.wanted.contains(&number) {
                    self.snapshot_frames.insert(number, self.tail);
                }
                self.done_bytes += HEADER_LEN as u64 + u64::from(made.header().body_len);
                return Ok(Some(made));
            }
            self.open = None;
        }
    }
}

/// The segments of the directory that is being made.
struct Segments<'a> {
    storage: &'a DataDirectory,
    label: Label,
    number: u64,
    open: Option<Box<dyn StorageFile>>,
    position: u64,
}

impl Segments<'_> {
    /// Write a frame behind the last one.
    fn append(&mut self, frame: &Frame) -> Result<(), BackupError> {
        let len = frame.bytes().len() as u64;
        if self.open.is_none() || self.position + len > self.label.file_len {
            self.next_segment()?;
        }
        if self.position + len > self.label.file_len {
            let least = FIRST_FRAME_OFFSET + len;
            return Err(JournalError::SegmentLen { len: self.label.file_len, least }.into());
        }
        let path = self.storage.path_of(&name_of(self.number));
        let file = self.open.as_ref().expect("a segment is open");
        file.write_at(frame.bytes(), self.position).map_err(io("writing", &path))?;
        self.position += len;
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), BackupError> {
        self.sync()?;
        self.number += 1;
        let name = name_of(self.number);
        let path = self.storage.path_of(&name);
        let label = Label { segment: self.number, ..self.label };
        let made = make_segment(self.storage, &label, &mut |file, chunk, offset| file.write_at(chunk, offset));
        let opened = made.and_then(|()| self.storage.open(&name, Access::Write));
        self.open = Some(opened.map_err(io("making", &path))?);
        self.position = FIRST_FRAME_OFFSET;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), BackupError> {
        let path = self.storage.path_of(&name_of(self.number));
        self.open.take().map_or(Ok(()), |file| file.sync_data()).map_err(io("syncing", &path))
    }
}

/// Read every segment from the medium and check every frame; gives the last one.
fn read_back(
    storage: &DataDirectory,
    identity: &Label,
    segments: u64,
    dialect: Dialect,
    progress: &mut dyn FnMut(u64),
    each: &mut dyn FnMut(&FrameRef<'_>) -> Result<(), BackupError>,
) -> Result<Tail, BackupError> {
    let mut tail = Tail::EMPTY;
    for number in 1..=segments {
        let mut scan = SegmentScan::open(storage, identity, number, Access::ReadMedium)?;
        while scan.next(&tail, dialect)? == Scanned::Frame {
            let frame = scan.frame();
            tail = Tail::after(frame.header, frame.hash);
            each(&frame)?;
        }
        progress(number);
    }
    Ok(tail)
}
