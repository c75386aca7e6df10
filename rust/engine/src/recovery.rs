//! Opens the journal of a data directory: walks every frame, cuts what a crash tore, refuses everything else.
//!
//! Invariant: opening changes a file only to zero a torn frame that was never acknowledged, or to repeat the last frame.
//! Invariant: what the medium does not hold is not served, even if the page cache remembers it.
//! Invariant: a refusal changes nothing.
//!
//! The table of one frame stands at `judge` in `journal/reader.rs`; the table of segments stands at `Walk::enter`, that of snapshots at
//! [`Start`]. Leaves out: what bodies mean (the caller's `each`), reading snapshots (`snapshot`).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Damage, Finding, JournalError};
use crate::halt::Halt;
use crate::journal::frame::{BLOCK_LEN, longest_body_within};
use crate::journal::segment::{
    FIRST_FRAME_OFFSET, IDENTITY_NAME, Label, encode_restoring, is_restoring, name_of, number_of, temporary_name_of,
};
use crate::journal::{
    Chain, Dialect, DirectoryId, FrameRef, HubId, LocalJournal, Position, Scanned, SegmentScan, Tail, WriterParts,
    make_segment,
};
use crate::limits::{DEFAULT_SEGMENT_LEN, MIN_SEGMENT_LEN};
use crate::storage::{Access, AlignedBuffer, DirectoryLock, LockError, Storage};

/// How to open a journal.
#[derive(Debug, Clone)]
pub struct Options {
    /// The hub that the directory must belong to, or will if it is new.
    pub hub: HubId,
    /// The newest schema of bodies that `each` understands; new frames bear it.
    pub schema: u32,
    /// Length of segments made from now on.
    pub segment_len: u64,
}

impl Options {
    /// The journal of `hub` with bodies of `schema` and segments of the default length.
    pub fn new(hub: HubId, schema: u32) -> Self {
        Self { hub, schema, segment_len: DEFAULT_SEGMENT_LEN }
    }
}

/// An open journal.
pub struct Opened {
    /// For the thread that writes.
    pub journal: LocalJournal,
    /// For the thread that decides.
    pub chain: Chain,
    /// For the log.
    pub report: OpenReport,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// Which directory this is.
    pub directory: DirectoryId,
    /// The directory was new.
    pub created: bool,
    /// How many segments hold frames.
    pub segments: u64,
    /// The first segment that had to be read.
    pub first_read: u64,
    /// The frame of the snapshot that the state began with, if it began with one.
    pub snapshot: Option<u64>,
    /// The last frame.
    pub tail: Tail,
    /// A warning for the log: a crash interrupted the write of this frame, which nobody had been told of.
    pub torn: Option<TornTail>,
}

impl fmt::Display for OpenReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (last, behind) = (self.tail.number, self.tail.number - self.snapshot.unwrap_or(0));
        match self.snapshot {
            Some(frame) => write!(out, "started from the snapshot behind frame {frame}")?,
            None => write!(out, "started without a snapshot")?,
        }
        write!(out, ": {behind} frames folded, the last is {last}")?;
        if self.torn.is_some() { write!(out, "; a torn one was cut") } else { Ok(()) }
    }
}

/// The torn frame that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "frame number, file, and the offsets that were cut between")]
pub struct TornTail {
    pub path: PathBuf,
    pub offset: u64,
    pub end: u64,
    pub frame: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, end, frame } = self;
        write!(
            out,
            "{} at offset {offset}: frame {frame} was torn by a crash before it was acknowledged; cut to {end}",
            path.display()
        )
    }
}

/// A body that `each` cannot use, in words for the operator; a newer kind of fact says which version is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// Called with every frame in order.
pub type EachFrame<'a> = dyn FnMut(&FrameRef<'_>) -> Result<(), Unusable> + 'a;

/// Take the directory, recover its journal or make a new one, and give every frame to `each` in order.
pub fn open(
    storage: Arc<dyn Storage>,
    options: &Options,
    halt: Halt,
    each: &mut EachFrame<'_>,
) -> Result<Opened, JournalError> {
    let opening = Opening::begin(storage, options)?;
    let through = opening.walk(None, each)?.expect("without a snapshot there is nothing to differ from");
    opening.open(through, halt)
}

/// A directory that is taken, but not yet recovered.
pub struct Opening {
    storage: Arc<dyn Storage>,
    options: Options,
    lock: DirectoryLock,
    identity: Label,
    created: bool,
}

/// A walk that came to the end of the journal, so that it can be opened.
pub struct Through {
    walk: Walk,
    first_read: u64,
    last_segment: u64,
}

impl Through {
    /// Refuse a journal that ends before a frame behind which a sound snapshot stands.
    pub(crate) fn reaches(&self, storage: &dyn Storage, snapshot: u64) -> Result<(), JournalError> {
        let frame = self.walk.tail.number;
        if snapshot > frame {
            let damage = Damage::EndsBeforeSnapshot { frame, snapshot };
            return Err(refuse(storage, &name_of(self.walk.active), damage));
        }
        Ok(())
    }
}

impl Opening {
    /// Take the directory, and make it if it is new.
    pub fn begin(storage: Arc<dyn Storage>, options: &Options) -> Result<Self, JournalError> {
        let block = BLOCK_LEN as u64;
        if options.segment_len < MIN_SEGMENT_LEN || !options.segment_len.is_multiple_of(block) {
            return Err(JournalError::SegmentLen { len: options.segment_len, least: MIN_SEGMENT_LEN });
        }
        let lock = lock(&*storage)?;
        let (identity, created) = identify_or_create(&*storage, options)?;
        if identity.hub != options.hub {
            let directory = directory_of(&*storage);
            return Err(JournalError::ForeignHub { directory, expected: options.hub, found: identity.hub });
        }
        Ok(Self { storage, options: options.clone(), lock, identity, created })
    }

    /// Which directory it is.
    pub fn directory(&self) -> DirectoryId {
        self.identity.directory
    }

    /// The label that all its files bear.
    pub(crate) fn identity(&self) -> Label {
        self.identity
    }

    /// Give every frame behind `after`, the frame of a snapshot, to `each`; all frames without one. Nothing is changed yet. `None`: the frame
    /// `after` has another hash in this journal; no frame was given out, and another start may be tried.
    pub fn walk(&self, after: Option<Tail>, each: &mut EachFrame<'_>) -> Result<Option<Through>, JournalError> {
        let Self { storage, options, identity, .. } = self;
        let segments = segments_of(&**storage, after.is_some())?;
        let last = *segments.last().expect("a journal has a segment");
        let dialect = Dialect { hub: options.hub, schema: options.schema };
        let start = Start { after, identity, dialect };
        let segments = start.needed(&**storage, &segments)?;
        let mut walk = Walk::new(segments[0], after);
        for &number in segments {
            let access = if number + 1 >= last { Access::ReadMedium } else { Access::Read };
            let mut scan = SegmentScan::open(&**storage, identity, number, access)?;
            if number == segments[0] {
                walk.begin_at(&mut scan, options.schema)?;
            }
            while walk.enter(&mut scan, number, dialect)? {
                let frame = scan.frame();
                match walk.place(&frame) {
                    Place::Behind => each(&frame).map_err(|Unusable(what)| {
                        scan.corrupt(frame.offset, Damage::Body { frame: frame.header.number, what })
                    })?,
                    Place::Covered => {}
                    Place::OtherHistory => return Ok(None),
                }
            }
            walk.leave(&scan, number);
        }
        if last > walk.active + 1 {
            return Err(refuse(&**storage, &name_of(walk.active + 2), Damage::PreparedTwice));
        }
        let through = Through { walk, first_read: segments[0], last_segment: last };
        through.reaches(&**storage, after.map_or(0, |after| after.number))?;
        Ok(Some(through))
    }

    /// Cut what a crash tore, make sure of the last frame, and open the journal for writing.
    pub fn open(self, through: Through, halt: Halt) -> Result<Opened, JournalError> {
        let Self { storage, options, lock, identity, created } = self;
        let Through { walk, first_read, last_segment } = through;
        repair(&*storage, &walk)?;
        let capacity = walk.prepared_len.unwrap_or(u64::MAX).min(options.segment_len) - FIRST_FRAME_OFFSET;
        let max_body_len = longest_body_within(usize::try_from(capacity).unwrap_or(usize::MAX));
        let Walk { tail, active, torn, after, .. } = walk;
        let (directory, snapshot) = (identity.directory, (after.number > 0).then_some(after.number));
        let report = OpenReport { directory, created, segments: active, first_read, snapshot, tail, torn };
        let journal = LocalJournal::start(WriterParts {
            storage,
            lock,
            identity,
            dialect: Dialect { hub: options.hub, schema: options.schema },
            halt,
            tail,
            position: Position { segment: active, offset: walk.end },
            segment_len: options.segment_len,
            next_is_ready: last_segment > active,
        })?;
        Ok(Opened { journal, chain: Chain::new(tail, options.hub, options.schema, max_body_len), report })
    }
}

/// Where a replay begins.
///
/// | snapshots | journal | start |
/// | --- | --- | --- |
/// | the newest is sound, and its frame is this journal's | reaches back to it | there |
/// | the newest is damaged, foreign, of another format or another history | | as if it were not there, with a warning |
/// | sound, even if the records index does not reach it | ends before its frame | refuse: acknowledged frames are gone |
/// | none that is sound | begins with its first segment, here or in the archive | the first frame |
/// | none that is sound | does not reach back | refuse: a segment is missing |
struct Start<'a> {
    after: Option<Tail>,
    identity: &'a Label,
    dialect: Dialect,
}

impl Start<'_> {
    /// Of `segments`, those from the last on that does not begin behind `after`. It holds a whole frame, so what is prepared next is told
    /// from what is in use.
    fn needed<'s>(&self, storage: &dyn Storage, segments: &'s [u64]) -> Result<&'s [u64], JournalError> {
        let Some(after) = self.after else { return Ok(segments) };
        for (place, &number) in segments.iter().enumerate().rev() {
            let mut scan = SegmentScan::open(storage, self.identity, number, Access::Read)?;
            let first = scan.first_header(self.dialect.schema)?;
            if first.is_some_and(|first| first.number <= after.number) {
                return Ok(&segments[place..]);
            }
        }
        match segments {
            // A journal without a whole frame: the walk says what that means.
            [1, ..] => Ok(segments),
            [first, ..] => Err(missing(storage, first - 1, first - 1)),
            [] => unreachable!("a journal has a segment"),
        }
    }
}

/// Where a frame stands against the snapshot from which a replay begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The snapshot holds it.
    Covered,
    /// It is to be folded.
    Behind,
    /// It shows that the snapshot is of another history.
    OtherHistory,
}

/// The walk over all segments.
struct Walk {
    tail: Tail,
    /// The last segment that holds a whole frame, or the first.
    active: u64,
    /// Where the next frame goes in it.
    end: u64,
    last_frame_offset: Option<u64>,
    torn: Option<TornTail>,
    torn_segment: u64,
    prepared_len: Option<u64>,
    /// The frame of the snapshot; what stands up to it is only checked.
    after: Tail,
}

impl Walk {
    fn new(first_segment: u64, after: Option<Tail>) -> Self {
        Self {
            tail: Tail::EMPTY,
            active: first_segment,
            end: FIRST_FRAME_OFFSET,
            last_frame_offset: None,
            torn: None,
            torn_segment: 0,
            prepared_len: None,
            after: after.unwrap_or(Tail::EMPTY),
        }
    }

    /// Behind a snapshot, the walk begins with whatever frame the first segment it needs begins with.
    fn begin_at(&mut self, scan: &mut SegmentScan, schema: u32) -> Result<(), JournalError> {
        if self.after.number > 0
            && let Some(first) = scan.first_header(schema)?
        {
            self.tail = Tail::before(&first);
        }
        Ok(())
    }

    fn place(&self, frame: &FrameRef<'_>) -> Place {
        let (number, after) = (frame.header.number, &self.after);
        let differs = (number == after.number && frame.hash != after.hash)
            || (number == after.next_number() && frame.header.previous != after.hash);
        match number {
            _ if differs => Place::OtherHistory,
            _ if number <= after.number => Place::Covered,
            _ => Place::Behind,
        }
    }

    /// Go on in segment `number`; true if there is a frame.
    ///
    /// | the segment before | here | verdict |
    /// | --- | --- | --- |
    /// | used, not torn | frames, torn frame or untouched | go on |
    /// | used, its last frame torn | untouched | go on |
    /// | used, its last frame torn | anything written | refuse |
    /// | untouched or only a torn frame | anything written | refuse |
    /// | untouched or only a torn frame | untouched | refuse (more than one prepared) |
    fn enter(&mut self, scan: &mut SegmentScan, number: u64, dialect: Dialect) -> Result<bool, JournalError> {
        let offset = scan.position();
        let scanned = scan.next(&self.tail, dialect)?;
        if scanned == Scanned::End {
            return Ok(false);
        }
        if let Some(torn) = &self.torn {
            return Err(scan.corrupt(offset, Damage::WrittenBehind { frame: torn.frame }));
        }
        if number > self.active + 1 || (number > self.active && self.last_frame_offset.is_none()) {
            return Err(scan.corrupt(offset, Damage::UsedBehindPrepared));
        }
        if let Scanned::Torn { frame, offset, end } = scanned {
            self.torn = Some(TornTail { path: scan.path().to_owned(), offset, end, frame });
            self.torn_segment = number;
            return Ok(false);
        }
        let frame = scan.frame();
        self.tail = Tail::after(frame.header, frame.hash);
        self.active = number;
        self.end = scan.position();
        self.last_frame_offset = Some(frame.offset);
        Ok(true)
    }

    fn leave(&mut self, scan: &SegmentScan, number: u64) {
        if number > self.active {
            self.prepared_len = Some(scan.len());
        }
    }
}

/// Zero the torn frame, write the last whole frame again, and sync. Names as well: a process that was killed between giving a file
/// its name and making the name durable left one that a power cut would take away, with the frames that go there now.
fn repair(storage: &dyn Storage, walk: &Walk) -> Result<(), JournalError> {
    storage.sync_directory().map_err(JournalError::io("syncing", storage.path_of("")))?;
    if let Some(torn) = &walk.torn {
        rewrite(storage, walk.torn_segment, torn.offset, torn.end, true)?;
    }
    if let Some(offset) = walk.last_frame_offset {
        rewrite(storage, walk.active, offset, walk.end, false)?;
    }
    Ok(())
}

/// Write `from..to` of a segment again, as it is or zeroed, and sync.
fn rewrite(storage: &dyn Storage, segment: u64, from: u64, to: u64, zeroed: bool) -> Result<(), JournalError> {
    let name = name_of(segment);
    let mut bytes = AlignedBuffer::zeroed(usize::try_from(to - from).expect("at most a frame"));
    let io = |action| JournalError::io(action, storage.path_of(&name));
    if !zeroed {
        let medium = storage.open(&name, Access::ReadMedium).map_err(io("opening"))?;
        medium.read_at(&mut bytes, from).map_err(io("reading"))?;
    }
    let file = storage.open(&name, Access::Write).map_err(io("opening"))?;
    file.write_at(&bytes, from).map_err(io("writing"))?;
    file.sync_data().map_err(io("syncing"))
}

pub(crate) fn lock(storage: &dyn Storage) -> Result<DirectoryLock, JournalError> {
    storage.lock().map_err(|error| match error {
        LockError::Held { holder_pid } => JournalError::Locked { directory: directory_of(storage), holder_pid },
        LockError::Io(cause) => JournalError::io("locking", storage.path_of(""))(cause),
    })
}

/// The label of the directory; a new directory, or one whose making a crash interrupted, is made first.
fn identify_or_create(storage: &dyn Storage, options: &Options) -> Result<(Label, bool), JournalError> {
    if let Some(identity) = identity_of(storage)? {
        return Ok((identity, false));
    }
    let io = |action| JournalError::io(action, storage.path_of(""));
    let identity = match segment_numbers(storage)?.as_slice() {
        [] => {
            let directory = DirectoryId::random().map_err(io("drawing the id of"))?;
            let first = Label { directory, hub: options.hub, segment: 1, file_len: options.segment_len };
            make_segment(storage, &first, &mut |file, chunk, offset| file.write_at(chunk, offset))
                .map_err(io("making the first segment in"))?;
            Label::identity(directory, options.hub)
        }
        // The first segment had its name, the identity not yet: nothing can have been written behind the label.
        [1] => {
            let label = label_of(storage, &name_of(1))?;
            let identity = Label::identity(label.directory, label.hub);
            let mut scan = SegmentScan::open(storage, &identity, 1, Access::ReadMedium)?;
            let dialect = Dialect { hub: options.hub, schema: options.schema };
            if scan.next(&Tail::EMPTY, dialect)? != Scanned::End {
                return Err(refuse(storage, IDENTITY_NAME, Damage::IdentityMissing));
            }
            identity
        }
        _ => return Err(refuse(storage, IDENTITY_NAME, Damage::IdentityMissing)),
    };
    write_identity(storage, &identity).map_err(io("writing the identity of"))?;
    Ok((identity, true))
}

/// Name the directory: from here on it opens.
pub(crate) fn write_identity(storage: &dyn Storage, identity: &Label) -> std::io::Result<()> {
    replace_identity(storage, |block| identity.encode(block))
}

/// Mark the directory as one that is being made of a backup: it does not open before it is named.
pub(crate) fn mark_restoring(storage: &dyn Storage) -> std::io::Result<()> {
    replace_identity(storage, encode_restoring)
}

fn replace_identity(storage: &dyn Storage, encode: impl FnOnce(&mut [u8])) -> std::io::Result<()> {
    let temporary = temporary_name_of(0);
    let mut block = AlignedBuffer::zeroed(BLOCK_LEN);
    encode(&mut block);
    let file = storage.create(&temporary)?;
    file.write_at(&block, 0)?;
    file.sync_data()?;
    storage.rename(&temporary, IDENTITY_NAME)?;
    storage.sync_directory()
}

/// The label in the identity file, if there is that file.
pub(crate) fn identity_of(storage: &dyn Storage) -> Result<Option<Label>, JournalError> {
    let names = storage.list().map_err(JournalError::io("listing", storage.path_of("")))?;
    if !names.iter().any(|name| name == IDENTITY_NAME) {
        return Ok(None);
    }
    let label = label_of(storage, IDENTITY_NAME)?;
    if label.segment == 0 { Ok(Some(label)) } else { Err(refuse(storage, IDENTITY_NAME, Damage::Label)) }
}

/// The label of the file called `name`.
pub(crate) fn label_of(storage: &dyn Storage, name: &str) -> Result<Label, JournalError> {
    let io = |action| JournalError::io(action, storage.path_of(name));
    let opening = JournalError::opening(storage.path_of(name), directory_of(storage));
    let file = storage.open(name, Access::Read).map_err(opening)?;
    let found = file.len().map_err(io("asking the length of"))?;
    let least = BLOCK_LEN as u64;
    if found < least || (name == IDENTITY_NAME && found > least) {
        return Err(refuse(storage, name, Damage::FileLength { expected: least, found }));
    }
    let mut block = AlignedBuffer::zeroed(BLOCK_LEN);
    file.read_at(&mut block, 0).map_err(io("reading"))?;
    let damage = |damage| if is_restoring(&block) { Damage::RestoreInterrupted } else { damage };
    Label::decode(&block).map_err(|found| refuse(storage, name, damage(found)))
}

/// Whether the directory bears the mark of a restore that has not come to its end.
pub(crate) fn is_being_restored(storage: &dyn Storage) -> bool {
    matches!(
        label_of(storage, IDENTITY_NAME),
        Err(JournalError::Corrupt { finding, .. }) if finding.damage == Damage::RestoreInterrupted
    )
}

/// The numbers of all segments, without a gap: from 1 on, unless a snapshot stands for the beginning.
fn segments_of(storage: &dyn Storage, behind_snapshot: bool) -> Result<Vec<u64>, JournalError> {
    let numbers = segment_numbers(storage)?;
    let first = if behind_snapshot { numbers.first().copied().unwrap_or(1) } else { 1 };
    let gap = (first..).zip(numbers.iter()).find(|(expected, found)| expected != *found);
    match gap.map(|(expected, found)| (expected, found.saturating_sub(1))).or(numbers.is_empty().then_some((1, 1))) {
        Some((first, last)) => Err(missing(storage, first, last)),
        None => Ok(numbers),
    }
}

/// The numbers of the segments that are there, in order.
pub(crate) fn segment_numbers(storage: &dyn Storage) -> Result<Vec<u64>, JournalError> {
    let names = storage.list().map_err(JournalError::io("listing", storage.path_of("")))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

pub(crate) fn directory_of(storage: &dyn Storage) -> String {
    storage.path_of("").display().to_string()
}

/// That segments in a row are in none of the places where they could lie.
pub(crate) fn missing(storage: &dyn Storage, first: u64, last: u64) -> JournalError {
    let archive = storage.archive_path();
    let places = archive.map(|archive| format!("{} nor in the archive {}", directory_of(storage), archive.display()));
    refuse(storage, &name_of(first), Damage::SegmentMissing { first, last: last.max(first), places })
}

pub(crate) fn refuse(storage: &dyn Storage, name: &str, damage: Damage) -> JournalError {
    let finding = Finding { path: storage.path_of(name), offset: 0, damage };
    JournalError::Corrupt { finding: Box::new(finding), directory: directory_of(storage) }
}
