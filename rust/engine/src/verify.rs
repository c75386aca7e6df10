//! Walks a whole journal and gathers everything that is wrong with it, and with the snapshots beside it (`snapshots`).
//!
//! Invariant: nothing is changed and no lock is taken; a hub may be writing meanwhile.
//! Invariant: behind damage the walk goes on at the next frame that can be told, so one bad sector hides no other.
//! Leaves out: what bodies mean (the caller's `see`), printing and exit codes (the command line).

mod copies;
mod snapshots;

use std::path::PathBuf;

pub use self::snapshots::{Replay, Sound};

use medsettle_wire::record::{RecordError, decode_body};

use self::snapshots::Snapshots;
use crate::ahead::{Folded, decoded_ahead};
use crate::error::{Damage, Finding, JournalError};
use crate::journal::segment::{IDENTITY_NAME, Label, name_of};
use crate::journal::{Dialect, FrameHeader, FrameRef, Scanned, SegmentScan, Tail};
use crate::limits::READ_WINDOW_LEN;
use crate::recovery::{
    EachFrame, TornTail, Unusable, directory_of, identity_of, label_of, missing, refuse, segment_numbers,
};
use crate::storage::{Access, Storage};

/// What the walk meets, in the order of the journal.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// A whole frame in its right place.
    Frame(FrameRef<'a>),
    /// Something that no crash leaves behind.
    Finding(&'a Finding),
    /// A frame that a crash tore, or that is being written right now. Opening the journal cuts it.
    Torn(&'a TornTail),
    /// How far the walk is.
    #[expect(missing_docs, reason = "the names say it")]
    Progress { done_bytes: u64, total_bytes: u64 },
}

/// What a walk found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whose journal it is, as far as a label could be read.
    pub identity: Option<Label>,
    /// How many segments could be read.
    pub segments: u64,
    /// How many bytes all segments have.
    pub bytes: u64,
    /// How many whole frames there are.
    pub frames: u64,
    /// How many facts they hold.
    pub facts: u64,
    /// The last whole frame.
    pub tail: Tail,
    /// The frame at the end that a crash tore.
    pub torn: Option<TornTail>,
    /// The snapshots that a start can begin with, newest first; only [`verify`] looks at them.
    pub snapshots: Vec<Sound>,
    /// A snapshot that is being written, or was when the hub was killed: the next one replaces it.
    pub unfinished_snapshot: Option<PathBuf>,
    /// Empty for a clean directory.
    pub findings: Vec<Finding>,
}

/// Check every byte of the journal and of the snapshots; `progress` gets bytes done and in total. `each` says of a body whether it can
/// be used; a body that cannot is a finding.
pub fn verify(
    storage: &dyn Storage,
    schema: u32,
    progress: &mut dyn FnMut(u64, u64),
    each: &mut EachFrame<'_>,
) -> Result<VerifyReport, JournalError> {
    let mut snapshots = Snapshots::in_directory(storage)?;
    let report = walked(storage, schema, &mut snapshots, progress, &mut |_, frame| each(frame))?;
    checked(storage, &snapshots, report, progress)
}

/// The same with every record decoded, which takes longer than all the rest and so is done on other threads. A body with a record that
/// cannot be decoded is a finding.
pub fn verify_records(
    storage: &dyn Storage,
    schema: u32,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, JournalError> {
    let mut snapshots = Snapshots::in_directory(storage)?;
    // How many findings the walk had made before frames of these numbers, so that those of bodies come in their places.
    let (mut made, mut unusable) = (Vec::new(), Vec::new());
    let decode = |header: &FrameHeader, body: &[u8]| Ok(decode_body(body, header.stamp_ms).err());
    let fold = |frame: &Folded, error: &mut Option<RecordError>| {
        unusable.extend(error.take().map(|error| (frame.header.number, frame.unusable(error.to_string()))));
        Ok(())
    };
    let (report, _) = decoded_ahead(decode, fold, |ahead| {
        walked(storage, schema, &mut snapshots, progress, &mut |findings, frame| {
            if made.last().map_or(0, |(_, count)| *count) < findings {
                made.push((frame.header.number, findings));
            }
            ahead.give(frame)
        })
    });
    let mut report = report?;
    for (before, (number, finding)) in unusable.into_iter().enumerate() {
        let upto = made.partition_point(|(frame, _)| *frame <= number);
        let made_before = upto.checked_sub(1).map_or(0, |last| made[last].1);
        report.findings.insert(made_before + before, finding);
    }
    checked(storage, &snapshots, report, progress)
}

/// The walk of a check. `each` gets every frame with the number of findings so far.
fn walked(
    storage: &dyn Storage,
    schema: u32,
    snapshots: &mut Snapshots,
    progress: &mut dyn FnMut(u64, u64),
    each: &mut dyn FnMut(usize, &FrameRef<'_>) -> Result<(), Unusable>,
) -> Result<VerifyReport, JournalError> {
    let mut findings = 0;
    inspect(storage, schema, &mut |seen| match seen {
        Seen::Frame(frame) => {
            snapshots.note(&frame);
            each(findings, &frame).map_err(Objection::Unusable)
        }
        Seen::Progress { done_bytes, total_bytes } => {
            progress(done_bytes, total_bytes + snapshots.bytes());
            Ok(())
        }
        Seen::Finding(_) => {
            findings += 1;
            Ok(())
        }
        Seen::Torn(_) => Ok(()),
    })
}

/// What a walk found, and what stands in the snapshots.
fn checked(
    storage: &dyn Storage,
    snapshots: &Snapshots,
    mut report: VerifyReport,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, JournalError> {
    let (walked, total) = (report.bytes, report.bytes + snapshots.bytes());
    for number in segment_numbers(storage)? {
        report.findings.extend(copies::compared(storage, number)?);
    }
    snapshots.check(storage, &mut report, &mut |done| progress(walked + done, total))?;
    Ok(report)
}

/// What `see` says against going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// The frame cannot be used, which is a finding; the walk goes on.
    Unusable(Unusable),
    /// Enough was seen; the walk ends here.
    Enough,
}

impl From<Unusable> for Objection {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// Called with everything that the walk meets.
pub type SeeJournal<'a> = dyn FnMut(Seen<'_>) -> Result<(), Objection> + 'a;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first frame.
    Beginning,
    /// Not behind the frame of this number; segments that end before it are not read.
    Frame(u64),
    /// Not behind the frame that holds this sequence.
    Sequence(u64),
}

impl Begin {
    fn is_reached_by(self, first: &FrameHeader) -> bool {
        match self {
            Self::Beginning => false,
            Self::Frame(number) => first.number <= number,
            Self::Sequence(sequence) => first.first_sequence <= sequence,
        }
    }
}

/// Show everything in the journal to `see`, frame by frame. An error of `see` about a frame becomes a finding.
pub fn inspect(storage: &dyn Storage, schema: u32, see: &mut SeeJournal<'_>) -> Result<VerifyReport, JournalError> {
    inspect_from(storage, schema, Begin::Beginning, see)
}

/// The same without what lies before a place, as far as whole segments do.
pub fn inspect_from(
    storage: &dyn Storage,
    schema: u32,
    from: Begin,
    see: &mut SeeJournal<'_>,
) -> Result<VerifyReport, JournalError> {
    let report = VerifyReport {
        identity: None,
        segments: 0,
        bytes: 0,
        frames: 0,
        facts: 0,
        tail: Tail::EMPTY,
        torn: None,
        snapshots: Vec::new(),
        unfinished_snapshot: None,
        findings: Vec::new(),
    };
    let mut walk =
        Walk { storage, schema, from, report, used: 1, gap: false, enough: false, done_bytes: 0, told_bytes: 0 };
    walk.run(see)?;
    Ok(walk.report)
}

struct Walk<'a> {
    storage: &'a dyn Storage,
    schema: u32,
    from: Begin,
    report: VerifyReport,
    /// The last segment that holds a frame, or the first.
    used: u64,
    /// What comes next cannot be expected to follow `report.tail`: something before it could not be read.
    gap: bool,
    /// Nobody wants to see more.
    enough: bool,
    done_bytes: u64,
    told_bytes: u64,
}

impl Walk<'_> {
    fn run(&mut self, see: &mut SeeJournal<'_>) -> Result<(), JournalError> {
        let storage = self.storage;
        let numbers = segment_numbers(storage)?;
        self.identify(&numbers, see)?;
        for &number in &numbers {
            self.report.bytes += storage.open(&name_of(number), Access::Read).and_then(|file| file.len()).unwrap_or(0);
        }
        let mut expected = 1;
        let skipped = self.skipped(&numbers);
        for &number in &numbers {
            if self.enough {
                return Ok(());
            }
            if number != expected {
                self.gap = true;
                self.found(missing(storage, expected, number.saturating_sub(1)), see)?;
            }
            expected = number.saturating_add(1);
            if skipped.contains(&number) {
                (self.used, self.gap) = (number, true);
                continue;
            }
            let Some(identity) = self.report.identity else {
                self.caught(label_of(storage, &name_of(number)), see)?;
                continue;
            };
            let opened = SegmentScan::open(storage, &identity, number, Access::Read);
            match self.caught(opened, see)? {
                Some(scan) => {
                    self.report.segments += 1;
                    let dialect = Dialect { hub: identity.hub, schema: self.schema };
                    self.segment(&mut scan.live(), number, dialect, see)?;
                }
                None => self.gap = true,
            }
        }
        let last = numbers.last().copied().unwrap_or(0);
        if self.enough {
            return Ok(());
        }
        if last == 0 {
            self.found(missing(storage, 1, 1), see)?;
        } else if last > self.used + 1 && self.report.findings.is_empty() {
            self.found(refuse(storage, &name_of(last), Damage::PreparedTwice), see)?;
        }
        Ok(())
    }

    /// The segments that end before the place where the walk shall begin: their successors begin at it or before.
    fn skipped<'n>(&self, numbers: &'n [u64]) -> &'n [u64] {
        let Some(identity) = self.report.identity.filter(|_| self.from != Begin::Beginning) else { return &[] };
        let reached = |number: &u64| {
            let opened = SegmentScan::open(self.storage, &identity, *number, Access::Read);
            let first = opened.and_then(|mut scan| scan.first_header(self.schema)).ok().flatten();
            first.is_some_and(|first| self.from.is_reached_by(&first))
        };
        let begun = numbers.iter().rposition(reached).unwrap_or(0);
        &numbers[..begun]
    }

    /// Whose journal it is: by the identity file, else by the first segment whose label can be read.
    fn identify(&mut self, numbers: &[u64], see: &mut SeeJournal<'_>) -> Result<(), JournalError> {
        let storage = self.storage;
        let read = identity_of(storage);
        if let Ok(None) = read {
            if numbers.is_empty() {
                return Err(JournalError::NoJournal { directory: directory_of(storage) });
            }
            self.found(refuse(storage, IDENTITY_NAME, Damage::IdentityMissing), see)?;
        }
        let by_segment = || numbers.iter().find_map(|number| label_of(storage, &name_of(*number)).ok());
        self.report.identity = self.caught(read, see)?.flatten().or_else(by_segment);
        Ok(())
    }

    fn segment(
        &mut self,
        scan: &mut SegmentScan,
        number: u64,
        dialect: Dialect,
        see: &mut SeeJournal<'_>,
    ) -> Result<(), JournalError> {
        let base = self.done_bytes;
        let mut tail = self.report.tail;
        if self.gap
            && let Some(first) = scan.first_header(dialect.schema)?
        {
            tail = Tail::before(&first);
            self.gap = false;
        }
        loop {
            let offset = scan.position();
            match scan.next(&tail, dialect) {
                Ok(Scanned::End) => break,
                Ok(scanned) => {
                    self.out_of_place(scan, number, offset, see)?;
                    if let Scanned::Torn { frame, offset, end } = scanned {
                        let torn = TornTail { path: scan.path().to_owned(), offset, end, frame };
                        tell(see, Seen::Torn(&torn));
                        self.report.torn = Some(torn);
                        break;
                    }
                    self.used = number;
                    let frame = scan.frame();
                    tail = Tail::after(frame.header, frame.hash);
                    self.report.tail = tail;
                    self.report.frames += 1;
                    // A frame may claim any number of them.
                    self.report.facts = self.report.facts.saturating_add(frame.header.facts());
                    match see(Seen::Frame(frame)) {
                        Ok(()) => {}
                        Err(Objection::Enough) => {
                            self.enough = true;
                            return Ok(());
                        }
                        Err(Objection::Unusable(Unusable(what))) => {
                            let damage = Damage::Body { frame: frame.header.number, what };
                            self.found(scan.corrupt(frame.offset, damage), see)?;
                        }
                    }
                }
                Err(error) => {
                    self.found(error, see)?;
                    let Some(follows) = scan.skip_damage(dialect.schema)? else {
                        self.gap = true;
                        break;
                    };
                    tail = follows;
                }
            }
            self.progress(base + scan.position(), see);
        }
        self.progress(base + scan.len(), see);
        Ok(())
    }

    /// Whether what lies at `offset` may not be there because of what the segments before hold.
    fn out_of_place(
        &mut self,
        scan: &SegmentScan,
        number: u64,
        offset: u64,
        see: &mut SeeJournal<'_>,
    ) -> Result<(), JournalError> {
        if let Some(torn) = self.report.torn.take() {
            self.found(scan.corrupt(offset, Damage::WrittenBehind { frame: torn.frame }), see)?;
        }
        if number > self.used + 1 && self.report.findings.is_empty() {
            self.found(scan.corrupt(offset, Damage::UsedBehindPrepared), see)?;
        }
        Ok(())
    }

    fn progress(&mut self, done_bytes: u64, see: &mut SeeJournal<'_>) {
        self.done_bytes = done_bytes;
        if done_bytes >= self.told_bytes + READ_WINDOW_LEN as u64 || done_bytes == self.report.bytes {
            self.told_bytes = done_bytes;
            tell(see, Seen::Progress { done_bytes, total_bytes: self.report.bytes });
        }
    }

    /// The value, or none after noting why there is none.
    fn caught<T>(
        &mut self,
        result: Result<T, JournalError>,
        see: &mut SeeJournal<'_>,
    ) -> Result<Option<T>, JournalError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.found(error, see).map(|()| None),
        }
    }

    /// Note a finding; any other error ends the walk.
    fn found(&mut self, error: JournalError, see: &mut SeeJournal<'_>) -> Result<(), JournalError> {
        let JournalError::Corrupt { finding, .. } = error else {
            return Err(error);
        };
        tell(see, Seen::Finding(&finding));
        self.report.findings.push(*finding);
        Ok(())
    }
}

/// Only a frame can be unusable; of anything else `see` has nothing to say.
fn tell(see: &mut SeeJournal<'_>, seen: Seen<'_>) {
    let _ = see(seen);
}
