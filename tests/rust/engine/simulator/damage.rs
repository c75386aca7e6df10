//! What a medium does that no crash does: flipped bits, and sectors or frames that another history wrote.
//!
//! Everything is done to copies of a disk that nobody uses. Frames of another history come from a fork: the same disk, opened
//! twice, with another request each time, so that two frames bear the same number at the same place.
//!
//! Invariant: every damage is refused with a finding in the damaged file, or what the journal holds is unchanged.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use fastrand::Rng;
use medsettle_core::hub::Hub;
use medsettle_core::rows::StateDigest;
use medsettle_engine::error::JournalError;
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::frame::{BLOCK_LEN, FrameHeader, SECTOR_LEN, is_untouched};
use medsettle_engine::journal::{HubId, Tail};
use medsettle_engine::recovery::{self, Options, Unusable};
use medsettle_engine::storage::Storage as _;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_wire::record::{SCHEMA, decode_body};
use medsettle_wire::v1::command::Command;

use super::disks::Disks;
use super::life::Course;
use super::spoiled;
use super::world::{Settings, World};
use crate::request;
use crate::support::{config, office};

const IDENTITY: &str = "IDENTITY";

/// Damage copies of disks that nobody uses, and see them refused, or passed over. What the journal holds is remembered.
pub(super) fn try_some(course: &mut Course, world: &World, disks: &Disks) {
    let opened = disks.copy();
    let before = content_of(&opened).expect("a disk after a crash opens");
    assert_eq!(
        content_of(&opened).expect("and again"),
        Content { torn: false, ..before },
        "what was torn is cut at once"
    );
    course.left = before;
    let rng = &mut course.rng;
    for _ in 0..3 {
        let damaged = disks.copy();
        let name = flip(rng, &damaged);
        expect_refused(&damaged, &name, before, "a flipped bit");
    }
    let damaged = disks.copy();
    if let Some(name) = misplace(rng, &damaged.data) {
        expect_refused(&damaged, &name, before, "a block in the place of another");
    }
    let damaged = disks.copy();
    if let Some(name) = lose(rng, &damaged.data, before.tail) {
        expect_refused(&damaged, &name, before, "a write that never came, before others that did");
    }
    spoiled::try_some(course, world, disks);
    if course.rng.u32(..3) == 0 {
        transplant(course, world, disks);
    }
}

/// What a journal holds: its end, the state it gives, and a hash of all bodies, for a frame's own hash is what may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) tail: Tail,
    pub(super) digest: StateDigest,
    bodies: u64,
    /// The opening that found it cut a torn frame.
    torn: bool,
}

/// What opening finds that begins with the first frame, in the archive or not; it cuts what a crash tore.
pub(super) fn content_of(disks: &Disks) -> Result<Content, JournalError> {
    let options = Options::new(HubId(config().hub.get().into()), SCHEMA);
    let mut bodies = DefaultHasher::new();
    let mut hub = Hub::new(config().hub, 0);
    let opened = recovery::open(Arc::new(disks.files()), &options, Halt::default(), &mut |frame| {
        frame.body.hash(&mut bodies);
        let stored = decode_body(frame.body, frame.header.stamp_ms).map_err(|error| Unusable(error.to_string()))?;
        for stored in &stored {
            hub.apply(&stored.record);
        }
        Ok(())
    })?;
    let torn = opened.report.torn.is_some();
    Ok(Content { tail: opened.report.tail, digest: hub.digest(), bodies: bodies.finish(), torn })
}

fn expect_refused(damaged: &Disks, name: &str, before: Content, what: &str) {
    match content_of(damaged) {
        Err(JournalError::Corrupt { finding, .. }) => {
            assert!(finding.path.ends_with(name), "{what} in {name}: {finding}");
        }
        Err(error) => panic!("{what} in {name}: {error}"),
        Ok(after) => assert_eq!(
            (after.tail, after.bodies),
            (before.tail, before.bodies),
            "{what} in {name} made another history of it"
        ),
    }
}

/// Names of what counts: segments and the identity, not what is being prepared.
fn names(disk: &SimulatedDisk) -> Vec<String> {
    let names = disk.list().expect("a disk in memory");
    names.into_iter().filter(|name| name == IDENTITY || name.ends_with(".journal")).collect()
}

/// A file, and how much of it was written.
fn bytes_of(disk: &SimulatedDisk, name: &str) -> (Vec<u8>, usize) {
    let content = disk.content(name).expect("it is listed");
    let written = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (content, written)
}

/// Flip one bit, mostly where something was written; gives the file.
fn flip(rng: &mut Rng, disks: &Disks) -> String {
    let mut files = disks.named(&[".journal", ".archive"]);
    files.push((disks.data.clone(), IDENTITY.into()));
    let (disk, name) = &files[rng.usize(..files.len())];
    let (content, written) = bytes_of(disk, name);
    let within = if rng.u32(..4) == 0 { content.len() } else { written.next_multiple_of(BLOCK_LEN) };
    let offset = rng.usize(..within.max(1));
    disk.patch(name, offset, &[content[offset] ^ 1 << rng.u32(..8)]);
    name.clone()
}

/// Write one block of a segment over another, of this segment or of the next place; none if it would change nothing.
fn misplace(rng: &mut Rng, disk: &SimulatedDisk) -> Option<String> {
    let names = names(disk);
    let segments: Vec<&String> = names.iter().filter(|name| *name != IDENTITY).collect();
    let name = segments[rng.usize(..segments.len())];
    let (content, written) = bytes_of(disk, name);
    let blocks = written.div_ceil(BLOCK_LEN);
    if blocks < 2 || blocks >= content.len() / BLOCK_LEN {
        return None;
    }
    let (from, to) = (rng.usize(1..blocks), rng.usize(1..=blocks));
    let block = &content[from * BLOCK_LEN..][..BLOCK_LEN];
    if block == &content[to * BLOCK_LEN..][..BLOCK_LEN] || is_untouched(block) {
        return None;
    }
    disk.patch(name, to * BLOCK_LEN, block);
    Some(name.clone())
}

/// Leave one block, or one sector, before the last frame as the preparer made it; none if there is no such place.
fn lose(rng: &mut Rng, disk: &SimulatedDisk, tail: Tail) -> Option<String> {
    let (name, last) = place_of(disk, tail.number)?;
    let len = if rng.bool() { BLOCK_LEN } else { SECTOR_LEN };
    let at = BLOCK_LEN + len * rng.usize(..last / len);
    (at < last).then(|| {
        disk.patch(&name, at, &vec![0; len]);
        name
    })
}

/// Let two histories begin on copies of one disk, and bring a sector, or a whole frame, of one into the other.
fn transplant(course: &mut Course, world: &World, disks: &Disks) {
    let (one, other) = (disks.copy(), disks.copy());
    for (fork, fen) in [(&one, 11), (&other, 22)] {
        let engine = world.open(fork.in_a_process(), Settings::PLAIN, &fork.index, &course.time).expect("opened");
        for number in 0..2 {
            let person = world.patients[0].person;
            // Long enough that the frame's content goes on behind its first sector.
            let credit = |key| Command::AccountsCredit(request::credit(person, fen, &format!("fork-{number}-{key}")));
            office(&engine).submit((0..4).map(credit).collect());
            if number == 0 {
                spoiled::cut(&engine);
            }
        }
    }
    let held = content_of(&one.copy()).expect("a fork opens");
    spoiled::believe_fork(course, world, (&one, &other), held);
    let Some((name, at)) = place_of(&one.data, held.tail.number) else { return };
    let (theirs, _) = bytes_of(&other.data, &name);
    let (ours, _) = bytes_of(&one.data, &name);
    let (frame, theirs) = (&ours[at..at + BLOCK_LEN], &theirs[at..at + BLOCK_LEN]);
    let same_place = FrameHeader::decode(theirs, SCHEMA).is_ok_and(|(header, _)| header.number == held.tail.number);
    if !same_place || frame == theirs {
        return;
    }
    // The whole frame follows a frame that is not there; one of its sectors belongs to another frame of that number.
    let damaged = one.copy();
    damaged.data.patch(&name, at, theirs);
    expect_refused(&damaged, &name, held, "a frame of another history");
    for sector in (0..BLOCK_LEN).step_by(SECTOR_LEN) {
        if frame[sector..][..SECTOR_LEN] != theirs[sector..][..SECTOR_LEN] {
            let damaged = one.copy();
            damaged.data.patch(&name, at + sector, &theirs[sector..][..SECTOR_LEN]);
            expect_refused(&damaged, &name, held, "a sector of another history");
        }
    }
}

/// File and offset of the frame with a number.
fn place_of(disk: &SimulatedDisk, number: u64) -> Option<(String, usize)> {
    for name in names(disk).into_iter().filter(|name| name != IDENTITY) {
        let (content, _) = bytes_of(disk, &name);
        for at in (BLOCK_LEN..content.len()).step_by(BLOCK_LEN) {
            let is_wanted = |header: &FrameHeader| header.number == number;
            if FrameHeader::decode(&content[at..at + BLOCK_LEN], SCHEMA).is_ok_and(|(header, _)| is_wanted(&header)) {
                return Some((name, at));
            }
        }
    }
    None
}
