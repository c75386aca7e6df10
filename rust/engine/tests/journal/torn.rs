//! Power cuts in the middle of the last frame.

use std::sync::Arc;

use medsettle_engine::error::Damage;
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::{Appended, JournalPort};
use medsettle_engine::recovery::Opening;
use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::{Failure, SimulatedDisk};

use crate::support::{body, journal_of, open, options, refusal};

const SECTOR: usize = 512;

/// A journal with two acknowledged frames, and the bytes of a third that was being written at an offset of a segment.
fn interrupted(last_body_len: usize) -> (SimulatedDisk, Vec<Vec<u8>>, &'static str, usize, Vec<u8>) {
    let acknowledged = vec![body(1, 100), body(2, 400)];
    let disk = journal_of(&acknowledged);
    let copy = disk.copy();
    let mut session = open(&copy).expect("the journal is whole");
    let frame = session.frame(&body(3, last_body_len));
    let at = 3 * 4096;
    let (name, offset) =
        if at + frame.bytes().len() > 16 * 1024 { ("00000002.journal", 4096) } else { ("00000001.journal", at) };
    (disk, acknowledged, name, offset, frame.bytes().to_vec())
}

/// Opening gives exactly the acknowledged frames, and the journal goes on with the frame that was torn.
fn assert_goes_on(disk: &SimulatedDisk, acknowledged: &[Vec<u8>], torn: bool) {
    let mut session = open(disk).expect("a torn tail opens");
    assert_eq!(session.found, acknowledged);
    assert_eq!(session.report.torn.is_some(), torn);
    assert_eq!(session.journal.tail().number, acknowledged.len() as u64);
    assert_eq!(session.append(b"after"), Appended::Durable);
    drop(session);
    disk.crash(|_| false);
    let session = open(disk).expect("the cut was durable");
    assert_eq!(session.found.len(), acknowledged.len() + 1);
    assert_eq!(session.report.torn, None);
}

fn every_subset_of_sectors(last_body_len: usize, goes_on_every: usize) {
    let (disk, acknowledged, name, offset, bytes) = interrupted(last_body_len);
    let sectors = bytes.len() / SECTOR;
    let untouched = vec![0; bytes.len()];
    for subset in 0..1_usize << sectors {
        disk.patch(name, offset, &untouched);
        for sector in (0..sectors).filter(|sector| subset >> sector & 1 == 1) {
            let at = sector * SECTOR;
            disk.patch(name, offset + at, &bytes[at..at + SECTOR]);
        }
        if subset + 1 == 1 << sectors {
            let session = open(&disk).expect("a whole frame opens");
            assert_eq!(session.found.len(), acknowledged.len() + 1, "written whole, though nobody was told");
        } else if subset % goes_on_every == 0 {
            assert_goes_on(&disk.copy(), &acknowledged, subset != 0);
        } else {
            let session = open(&disk).expect("a torn tail opens");
            assert_eq!(session.found, acknowledged);
            assert!(session.report.torn.is_some());
        }
    }
}

#[test]
fn every_subset_of_the_sectors_of_a_one_block_frame_opens_with_what_was_acknowledged() {
    every_subset_of_sectors(300, 1);
}

#[test]
fn every_subset_of_the_sectors_of_a_two_block_frame_at_the_start_of_a_segment_opens_with_what_was_acknowledged() {
    every_subset_of_sectors(5_000, 97);
}

#[test]
fn a_write_cut_at_any_byte_is_a_torn_tail_if_the_medium_keeps_sectors_whole_and_is_refused_if_not() {
    let (disk, acknowledged, name, offset, bytes) = interrupted(1_200);
    for cut in 0..bytes.len() {
        let whole_sectors = cut / SECTOR * SECTOR;
        let kept = disk.copy();
        kept.patch(name, offset, &bytes[..whole_sectors]);
        let session = open(&kept).expect("a torn tail opens");
        assert_eq!(session.found, acknowledged);
        drop(session);

        let broken = disk.copy();
        broken.patch(name, offset, &bytes[..cut]);
        let sector_end = whole_sectors + SECTOR;
        let is_in_sector = bytes[whole_sectors..cut].iter().any(|byte| *byte != 0);
        let misses_something = bytes[cut..sector_end].iter().any(|byte| *byte != 0);
        if is_in_sector && misses_something {
            let finding = refusal(&broken);
            assert_eq!(finding.offset, (offset + whole_sectors) as u64);
            assert_eq!(finding.damage, Damage::SectorDamaged { frame: 3, sector: (whole_sectors / SECTOR) as u64 });
        }
    }
}

#[test]
fn a_torn_frame_with_anything_behind_it_is_refused() {
    let disk = journal_of(&[body(1, 100)]);
    let torn = open(&disk.copy()).expect("the journal is whole").frame(&body(2, 300));
    let (offset, behind) = (2 * 4096, 3 * 4096);
    for kept in [0..SECTOR, SECTOR..2 * SECTOR] {
        disk.patch("00000001.journal", offset, &[0; 4096]);
        disk.patch("00000001.journal", offset + kept.start, &torn.bytes()[kept]);
        assert!(open(&disk.copy()).expect("a torn tail opens").report.torn.is_some());

        let same_segment = disk.copy();
        same_segment.patch("00000001.journal", behind + SECTOR + 17, &[1]);
        assert_eq!(refusal(&same_segment).offset, (behind + SECTOR) as u64);

        let next_segment = disk.copy();
        next_segment.patch("00000002.journal", 4096, torn.bytes());
        assert_eq!(refusal(&next_segment).damage, Damage::WrittenBehind { frame: 2 });
    }
}

#[test]
fn a_hub_that_begins_behind_a_snapshot_and_dies_before_its_first_frame_in_a_segment_opens_again() {
    // The snapshot stands behind the last frame of the first segment, and the first of the second is torn.
    let bodies = [body(1, 100), body(2, 400), body(3, 3_000)];
    let disk = journal_of(&bodies);
    let mut session = open(&disk.copy()).expect("the journal is whole");
    let snapshot = session.journal.tail();
    let next = session.frame(&body(4, 300));
    disk.patch("00000002.journal", 4_096, &next.bytes()[..SECTOR]);

    let opening = Opening::begin(Arc::new(disk.clone()), &options()).expect("nobody has it");
    let through = opening.walk(Some(snapshot), &mut |_| Ok(())).expect("a torn tail").expect("the same history");
    let opened = opening.open(through, Halt::default()).expect("it opens");
    assert_eq!((opened.report.segments, opened.report.tail), (1, snapshot), "the second is a prepared one again");
    assert!(opened.report.torn.is_some());
    drop(opened);
    disk.crash(|_| false);
    assert_eq!(open(&disk).expect("one segment is prepared, not two").found, bodies);
}

#[test]
fn an_interrupted_cut_is_cut_again() {
    let (disk, acknowledged, name, offset, bytes) = interrupted(300);
    disk.patch(name, offset, &bytes[..7 * SECTOR]);
    for stays in 0..256_u64 {
        let disk = disk.copy();
        // Opening fails at the sync of the zeros; then the power goes and only some of them are on the medium.
        disk.fail_segment_call(1, Failure::InputOutput);
        assert!(open(&disk).is_err());
        let torn = disk.copy();
        torn.patch(name, offset, &bytes[..7 * SECTOR]);
        for sector in (0..8).filter(|sector| stays >> sector & 1 == 1) {
            torn.patch(name, offset + sector * SECTOR, &[0; SECTOR]);
        }
        let session = open(&torn).expect("still a torn tail");
        assert_eq!(session.found, acknowledged);
    }
}

#[test]
fn a_frame_that_was_written_but_not_synced_is_either_durable_or_not_there_after_opening() {
    let acknowledged = vec![body(1, 100)];
    for sectors_kept in 0..9 {
        let disk = journal_of(&acknowledged);
        let mut session = open(&disk).expect("the journal is whole");
        disk.fail_segment_call(1, Failure::Short(sectors_kept * SECTOR));
        assert!(matches!(session.append(&body(2, 200)), Appended::Indeterminate(_)));
        drop(session);
        disk.kill();
        let shown = open(&disk).expect("opens").found;
        disk.crash(|_| false);
        assert_eq!(open(&disk).expect("opens").found, shown, "what was answered from may not be lost by a power cut");
        assert_eq!(shown.len(), if sectors_kept == 8 { 2 } else { 1 });
    }
}

#[test]
fn what_a_killed_process_wrote_is_durable_before_it_is_served() {
    let disk = journal_of(&[body(1, 100)]);
    let copy = disk.copy();
    let frame = open(&copy).expect("the journal is whole").frame(&body(2, 200));
    // The frame is in the page cache, dirty; nobody synced it.
    let file = disk.open("00000001.journal", medsettle_engine::storage::Access::Write).expect("the segment is there");
    file.write_at(frame.bytes(), 2 * 4096).expect("the disk writes");
    disk.kill();
    assert_eq!(open(&disk).expect("opens").found.len(), 2);
    disk.crash(|_| false);
    assert_eq!(open(&disk).expect("opens").found.len(), 2);
}
