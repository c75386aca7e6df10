//! Walks the frames of one segment and judges whatever is not a frame.
//!
//! Invariant: what lies at the place of the next frame gets exactly one verdict of the table at `judge`.
//! Invariant: reading changes nothing. Cutting a torn frame is the business of `recovery`.
//! Leaves out: which segments there are and in which order (`recovery`, `verify`).

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Tail;
use super::frame::{
    BLOCK_LEN, FrameHash, FrameHeader, HEADER_LEN, HubId, SECTOR_LEN, SECTOR_PAYLOAD_LEN, SectorState, claimed_number,
    frame_len, frame_seed, is_untouched, state_with_seed,
};
use super::segment::{FIRST_FRAME_OFFSET, Label, name_of};
use super::window::Window;
use crate::error::{Damage, Finding, JournalError};
use crate::limits::{MAX_BODY_LEN, READ_WINDOW_LEN};
use crate::storage::{Access, Storage};

/// A whole frame, as long as the walk stands on it.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "header, hash and body of the frame, and the file and offset where it lies")]
pub struct FrameRef<'a> {
    pub header: &'a FrameHeader,
    pub hash: FrameHash,
    pub path: &'a Path,
    pub offset: u64,
    pub body: &'a [u8],
}

impl FrameRef<'_> {
    /// Header and body as they stand on disk, without the checksums of the sectors and the padding.
    pub fn content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(HEADER_LEN + self.body.len());
        content.extend_from_slice(&self.header.bytes_with(self.hash));
        content.extend_from_slice(self.body);
        content
    }
}

/// Whose frames are read, and up to which schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) hub: HubId,
    pub(crate) schema: u32,
}

/// What stands at the place of the next frame, if not damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// A whole frame; `SegmentScan::frame` gives it.
    Frame,
    /// A frame whose write was cut short; it reaches at most to `end`.
    Torn { frame: u64, offset: u64, end: u64 },
    /// Nothing more in this segment.
    End,
}

/// What was seen of the sectors where the next frame belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sectors {
    /// The first damaged one: its offset and what it is.
    damaged: Option<(u64, Damage)>,
    valid: bool,
    untouched: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Whole,
    Torn,
    End,
    Damaged,
    WrittenBehind,
}

/// The recovery table for one frame. "Behind" means up to the end of the segment; a whole frame is not asked.
///
/// | any sector damaged | any valid | any untouched | written behind | verdict |
/// | --- | --- | --- | --- | --- |
/// | yes | | | | damaged |
/// | no | yes | no | | whole, if hash and order are right |
/// | no | yes | yes | no | torn |
/// | no | no | | no | end |
/// | no | | yes | yes | written behind a frame that is not whole |
fn judge(sectors: &Sectors, behind: bool) -> Verdict {
    match sectors {
        Sectors { damaged: Some(_), .. } => Verdict::Damaged,
        Sectors { valid: true, untouched: false, .. } => Verdict::Whole,
        _ if behind => Verdict::WrittenBehind,
        Sectors { valid: true, .. } => Verdict::Torn,
        Sectors { valid: false, .. } => Verdict::End,
    }
}

enum Found {
    Whole { frame_len: u64 },
    Torn { end: u64 },
    End,
    Corrupt { offset: u64, damage: Damage },
}

/// The walk over one segment.
pub(crate) struct SegmentScan {
    window: Window,
    number: u64,
    path: PathBuf,
    directory: String,
    position: u64,
    /// Another process may be writing: what is not a whole frame is looked at again before it is believed.
    live: bool,
    /// The frame the walk stands on: offset, header, hash.
    current: Option<(u64, FrameHeader, FrameHash)>,
    body: Vec<u8>,
}

impl SegmentScan {
    /// Open segment `number` of the directory that `identity` names and check its label.
    pub(crate) fn open(
        storage: &dyn Storage,
        identity: &Label,
        number: u64,
        access: Access,
    ) -> Result<Self, JournalError> {
        let name = name_of(number);
        let path = storage.path_of(&name);
        let directory = storage.path_of("").display().to_string();
        let file = storage.open(&name, access).map_err(JournalError::opening(path.clone(), directory.clone()))?;
        let len = file.len().map_err(JournalError::io("asking the length of", path.clone()))?;
        let mut scan = Self {
            window: Window::new(file, len),
            number,
            path,
            directory,
            position: FIRST_FRAME_OFFSET,
            live: false,
            current: None,
            body: Vec::new(),
        };
        scan.check_label(identity)?;
        Ok(scan)
    }

    /// Expect another process to be writing.
    pub(crate) fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Read anew what comes next: it may have been written since.
    pub(crate) fn forget(&mut self) {
        self.window.forget();
    }

    fn check_label(&mut self, identity: &Label) -> Result<(), JournalError> {
        let found_len = self.window.file_len();
        if found_len < FIRST_FRAME_OFFSET {
            return Err(self.corrupt(0, Damage::FileLength { expected: FIRST_FRAME_OFFSET, found: found_len }));
        }
        let label = self.window.get(0, BLOCK_LEN).map(Label::decode);
        label
            .map_err(|cause| self.read_failed(cause))?
            .and_then(|label| label.check(identity, self.number, found_len))
            .map_err(|damage| self.corrupt(0, damage))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.window.file_len()
    }

    /// Where the next frame belongs.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What stands where the frame after `tail` belongs. The walk goes on behind a whole frame only.
    pub(crate) fn next(&mut self, tail: &Tail, dialect: Dialect) -> Result<Scanned, JournalError> {
        let mut found = self.examine(tail, dialect).map_err(|cause| self.read_failed(cause))?;
        // A frame may have been finished since the window was filled, and its successors while we looked behind it.
        let mut looks_left = if self.live { 2 } else { 0 };
        while looks_left > 0 && !matches!(found, Found::Whole { .. }) {
            self.window.forget();
            found = self.examine(tail, dialect).map_err(|cause| self.read_failed(cause))?;
            looks_left = if matches!(found, Found::Corrupt { .. }) { looks_left - 1 } else { 0 };
        }
        match found {
            Found::Whole { frame_len } => {
                self.position += frame_len;
                Ok(Scanned::Frame)
            }
            Found::Torn { end } => Ok(Scanned::Torn { frame: tail.next_number(), offset: self.position, end }),
            Found::End => Ok(Scanned::End),
            Found::Corrupt { offset, damage } => Err(self.corrupt(offset, damage)),
        }
    }

    /// The frame that `next` said is there.
    pub(crate) fn frame(&self) -> FrameRef<'_> {
        let (offset, header, hash) = self.current.as_ref().expect("the walk stands on a frame");
        FrameRef { header, hash: *hash, path: &self.path, offset: *offset, body: &self.body }
    }

    /// The header where the first frame belongs, if there is one.
    pub(crate) fn first_header(&mut self, schema: u32) -> Result<Option<FrameHeader>, JournalError> {
        if self.window.file_len() == FIRST_FRAME_OFFSET {
            return Ok(None);
        }
        let failed = JournalError::io("reading", self.path.clone());
        let block = self.window.get(FIRST_FRAME_OFFSET, BLOCK_LEN).map_err(failed)?;
        let claimed = claimed_number(&block[..SECTOR_LEN]);
        Ok(claimed.and_then(|_| FrameHeader::decode(block, schema).ok()).map(|(header, _)| header))
    }

    /// Skip to the next block that begins with a valid head of any frame, and say what that frame follows.
    pub(crate) fn skip_damage(&mut self, schema: u32) -> Result<Option<Tail>, JournalError> {
        while self.position + (BLOCK_LEN as u64) < self.window.file_len() {
            self.position += BLOCK_LEN as u64;
            let failed = JournalError::io("reading", self.path.clone());
            let block = self.window.get(self.position, BLOCK_LEN).map_err(failed)?;
            if claimed_number(&block[..SECTOR_LEN]).is_some()
                && let Ok((header, _)) = FrameHeader::decode(block, schema)
            {
                return Ok(Some(Tail::before(&header)));
            }
        }
        self.position = self.window.file_len();
        Ok(None)
    }

    fn examine(&mut self, tail: &Tail, dialect: Dialect) -> io::Result<Found> {
        if self.position == self.window.file_len() {
            return Ok(Found::End);
        }
        let number = tail.next_number();
        let place = self.position;
        let head = &self.window.get(place, BLOCK_LEN)?[..SECTOR_LEN];
        match state_with_seed(head, frame_seed(number), 0) {
            SectorState::Damaged => Ok(Found::Corrupt { offset: place, damage: name_damage(head, number, 0) }),
            SectorState::Untouched => self.examine_without_head(number),
            SectorState::Valid => {
                let corrupt = |damage| Ok(Found::Corrupt { offset: place, damage });
                let (header, hash) = match FrameHeader::decode(head, dialect.schema) {
                    Ok(decoded) => decoded,
                    Err(error) => return corrupt(Damage::Header { frame: number, error }),
                };
                if let Err(damage) = tail.accepts(&header, dialect.hub) {
                    return corrupt(damage);
                }
                if header.frame_len() as u64 > self.window.file_len() - place {
                    return corrupt(Damage::BeyondSegment { frame: number });
                }
                self.examine_with_head(header, hash)
            }
        }
    }

    /// The head is valid, so the frame's length is known.
    fn examine_with_head(&mut self, header: FrameHeader, hash: FrameHash) -> io::Result<Found> {
        let (place, number, len) = (self.position, header.number, header.frame_len());
        let seed = frame_seed(number);
        let bytes = self.window.get(place, len)?;
        let mut sectors = Sectors { damaged: None, valid: true, untouched: false };
        self.body.clear();
        for (sector, index) in bytes.chunks_exact(SECTOR_LEN).zip(0_u32..) {
            match state_with_seed(sector, seed, index) {
                SectorState::Valid => {}
                SectorState::Untouched => sectors.untouched = true,
                SectorState::Damaged => {
                    let offset = place + u64::from(index) * SECTOR_LEN as u64;
                    sectors.damaged = Some((offset, name_damage(sector, number, index.into())));
                    break;
                }
            }
            let skipped = if index == 0 { HEADER_LEN } else { 0 };
            self.body.extend_from_slice(&sector[skipped..SECTOR_PAYLOAD_LEN]);
        }
        let end = place + len as u64;
        let behind = if sectors.untouched { self.first_written(end..self.window.file_len())? } else { None };
        if let Some(found) = conclude(sectors, behind, number, end) {
            return Ok(found);
        }
        let body_len = header.body_len as usize;
        if !is_untouched(&self.body[body_len..]) {
            return Ok(Found::Corrupt { offset: place, damage: Damage::Padding { frame: number } });
        }
        self.body.truncate(body_len);
        if header.hash_with(&self.body) != hash {
            return Ok(Found::Corrupt { offset: place, damage: Damage::Hash { frame: number } });
        }
        self.current = Some((place, header, hash));
        Ok(Found::Whole { frame_len: len as u64 })
    }

    /// The head is untouched: nothing was written here, or a frame of unknown length without its head.
    fn examine_without_head(&mut self, number: u64) -> io::Result<Found> {
        let place = self.position;
        let file_len = self.window.file_len();
        let furthest = file_len.min(place + frame_len(MAX_BODY_LEN) as u64);
        let seed = frame_seed(number);
        let mut sectors = Sectors { damaged: None, valid: false, untouched: true };
        let mut end = place;
        let mut from = place;
        while let Some(offset) = self.first_written(from..furthest)? {
            let in_block = usize::try_from(offset % BLOCK_LEN as u64).expect("less than a block");
            let block = self.window.get(offset - in_block as u64, BLOCK_LEN)?;
            let sector = &block[in_block..in_block + SECTOR_LEN];
            let index = (offset - place) / SECTOR_LEN as u64;
            let index_of_frame = u32::try_from(index).expect("a frame has fewer sectors");
            if state_with_seed(sector, seed, index_of_frame) != SectorState::Valid {
                sectors.damaged = Some((offset, name_damage(sector, number, index)));
                break;
            }
            sectors.valid = true;
            from = offset + SECTOR_LEN as u64;
            end = from.next_multiple_of(BLOCK_LEN as u64);
        }
        let behind = self.first_written(furthest..file_len)?;
        Ok(conclude(sectors, behind, number, end).expect("a frame without its head is not whole"))
    }

    /// Offset of the first sector in `range` that is not untouched.
    fn first_written(&mut self, range: Range<u64>) -> io::Result<Option<u64>> {
        let mut block_start = range.start / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        while block_start < range.end {
            let len = (range.end - block_start).min(READ_WINDOW_LEN as u64);
            let chunk = self.window.get(block_start, usize::try_from(len).expect("at most a window"))?;
            if !is_untouched(chunk) {
                let mut sectors = (block_start..).step_by(SECTOR_LEN).zip(chunk.chunks(SECTOR_LEN));
                let written = sectors.find(|(offset, sector)| *offset >= range.start && !is_untouched(sector));
                if let Some((offset, _)) = written {
                    return Ok(Some(offset));
                }
            }
            block_start += len;
        }
        Ok(None)
    }

    fn read_failed(&self, cause: io::Error) -> JournalError {
        JournalError::io("reading", self.path.clone())(cause)
    }

    pub(crate) fn corrupt(&self, offset: u64, damage: Damage) -> JournalError {
        let finding = Finding { path: self.path.clone(), offset, damage };
        JournalError::Corrupt { finding: Box::new(finding), directory: self.directory.clone() }
    }
}

/// What `judge` says, with its place; none if the frame is whole.
fn conclude(sectors: Sectors, behind: Option<u64>, frame: u64, end: u64) -> Option<Found> {
    match judge(&sectors, behind.is_some()) {
        Verdict::Whole => None,
        Verdict::Torn => Some(Found::Torn { end }),
        Verdict::End => Some(Found::End),
        Verdict::Damaged => sectors.damaged.map(|(offset, damage)| Found::Corrupt { offset, damage }),
        Verdict::WrittenBehind => {
            behind.map(|offset| Found::Corrupt { offset, damage: Damage::WrittenBehind { frame } })
        }
    }
}

/// Damage of a sector, or the news that it is the head of another frame.
fn name_damage(sector: &[u8], expected: u64, index: u64) -> Damage {
    match claimed_number(sector) {
        Some(found) if found != expected => Damage::FrameMisplaced { expected, found },
        _ => Damage::SectorDamaged { frame: expected, sector: index },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_evidence_has_the_verdict_of_the_table() {
        use Verdict::{Damaged, End, Torn, Whole, WrittenBehind};
        // (any valid, any untouched, written behind), verdict; without and then with a damaged sector.
        let table = [
            ((true, false, false), Whole),
            ((true, false, true), Whole),
            ((true, true, false), Torn),
            ((true, true, true), WrittenBehind),
            ((false, true, false), End),
            ((false, true, true), WrittenBehind),
        ];
        for ((valid, untouched, behind), verdict) in table {
            let damage = Damage::SectorDamaged { frame: 1, sector: 0 };
            assert_eq!(judge(&Sectors { damaged: None, valid, untouched }, behind), verdict);
            assert_eq!(judge(&Sectors { damaged: Some((0, damage)), valid, untouched }, behind), Damaged);
        }
    }
}
