//! Snapshots that a medium or a mistake has spoiled, in copies of disks that nobody uses.
//!
//! Invariant: whatever is wrong with a snapshot, a start gives the state that the whole journal gives, from the next one that serves.
//! Invariant: a start from either kept snapshot needs nothing of the archive.

use fastrand::Rng;
use medsettle_engine::journal::frame::BLOCK_LEN;
use medsettle_engine::snapshot::{Head, KEPT, name_of};
use medsettle_engine::{Engine, journal::Tail};
use medsettle_wire::{Operation, v1};

use super::damage::Content;
use super::disks::Disks;
use super::life::Course;
use super::world::{Settings, World};
use crate::request;
use crate::support::{OFFICE, office};

/// Spoil the newest snapshot of a copy, or both, or take the archive away, and start from what is left.
pub(super) fn try_some(course: &mut Course, world: &World, disks: &Disks) {
    let mut heads = disks.snapshots();
    if heads.is_empty() || course.rng.bool() {
        return;
    }
    let damaged = disks.copy();
    let newest = heads.remove(0);
    spoil(&mut course.rng, &damaged, &newest, heads.first());
    if course.rng.u32(..4) == 0
        && let Some(older) = heads.pop()
    {
        spoil(&mut course.rng, &damaged, &older, None);
    }
    let serves = newest_of(&heads, disks.index.sequence());
    if heads.len() + 1 == KEPT && serves.is_some() {
        for (disk, name) in damaged.named(&[".archive"]) {
            disk.remove(&name);
        }
    }
    let left = course.left;
    expect_start(course, world, &damaged, serves, left);
}

fn newest_of(heads: &[Head], reached: u64) -> Option<u64> {
    heads.iter().find(|head| head.tail.last_sequence <= reached).map(|head| head.tail.number)
}

/// Flip a bit, cut a part off, or put another snapshot in the place of this one.
fn spoil(rng: &mut Rng, disks: &Disks, head: &Head, other: Option<&Head>) {
    let name = name_of(head.tail.number);
    let content = disks.data.content(&name).expect("it is listed");
    let written = content.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    // The length of a snapshot depends on the order of its rows, so it must not decide how much is drawn.
    let (kind, place) = (rng.u32(..4), usize::try_from(rng.u32(..)).expect("at least 32 bits"));
    match (kind, other) {
        (0, _) => disks.data.set_content(&name, content[..place % (content.len() / BLOCK_LEN) * BLOCK_LEN].to_vec()),
        (1, Some(other)) => {
            let other = disks.data.content(&name_of(other.tail.number)).expect("it is listed");
            disks.data.set_content(&name, other);
        }
        _ => disks.data.patch(&name, place / 8 % written, &[content[place / 8 % written] ^ 1 << (place % 8)]),
    }
}

/// Start from a copy; the state must be that of its whole journal.
fn expect_start(course: &mut Course, world: &World, disks: &Disks, snapshot: Option<u64>, left: Content) {
    let opened = world.open(disks.in_a_process(), Settings::PLAIN, &disks.index, &course.time);
    let engine = opened.unwrap_or_else(|error| panic!("a spoiled snapshot is passed over: {error}"));
    assert_eq!(engine.report().snapshot, snapshot, "a spoiled snapshot is passed over");
    let told: v1::OperationsDigestResponse =
        office(&engine).get(Operation::OperationsDigest, &v1::OperationsDigestRequest {});
    assert_eq!(told.digest, left.digest.0.to_be_bytes(), "the state is not that of the whole journal");
    course.tally.spoiled += 1;
    course.tally.spoiled_starts += u64::from(snapshot.is_some());
}

/// Have a snapshot cut now.
pub(super) fn cut(engine: &Engine) {
    let request = v1::OperationsSnapshotRequest { header: Some(request::header(OFFICE)) };
    let _cut: v1::OperationsSnapshotResponse = office(engine).get(Operation::OperationsSnapshot, &request);
}

/// Bring the newest snapshot of a fork of the same history in the place of one's own, and start.
pub(super) fn believe_fork(course: &mut Course, world: &World, (one, other): (&Disks, &Disks), left: Content) {
    let (mut own, theirs) = (one.snapshots(), other.snapshots());
    let (Tail { number, hash, .. }, their) = (own[0].tail, theirs[0].tail);
    // A hub whose clock is not believed decides nothing, and then the fork is none.
    if number != their.number || hash == their.hash {
        return;
    }
    let copy = one.copy();
    copy.data.set_content(&name_of(number), other.data.content(&name_of(number)).expect("it is listed"));
    own.remove(0);
    expect_start(course, world, &copy, newest_of(&own, copy.index.sequence()), left);
}
