//! The preparer: full disks, crashes while a directory is made or a segment filled.

use std::thread;
use std::time::{Duration, Instant};

use medsettle_engine::halt::HaltReason;
use medsettle_engine::journal::Appended;
use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::SimulatedDisk;

use crate::support::{body, journal_of, open};

const SEGMENT_LEN: usize = 16 << 10;

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn a_full_disk_raises_the_flag_keeps_everything_readable_and_goes_on_when_there_is_space() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(Some(SEGMENT_LEN + 4096));
    let mut session = open(&disk).expect("there is space for the first segment");
    let state = session.journal.disk();
    wait_until("the disk is full", || state.is_full());
    for seed in 0..3 {
        assert_eq!(session.append(&body(seed, 10)), Appended::Durable, "the active segment has room");
    }
    let frame = session.frame(&body(3, 10));
    let durable = session.journal.durable();
    let waiting = thread::spawn(move || session.append_frame(&frame));
    assert_eq!(durable.tail().number, 3, "the frame waits, it does not fail");
    assert!(durable.read(1).is_ok());
    disk.set_capacity(None);
    assert_eq!(waiting.join().expect("appends"), Appended::Durable);
    wait_until("the flag goes down", || !state.is_full());
    assert_eq!(durable.tail().number, 4);
}

#[test]
fn a_frame_that_waits_for_space_gives_up_once_space_is_not_waited_for() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(Some(SEGMENT_LEN + 4096));
    let mut session = open(&disk).expect("opens");
    for seed in 0..3 {
        assert_eq!(session.append(&body(seed, 10)), Appended::Durable);
    }
    let stopper = session.journal.stopper();
    let frame = session.frame(&body(3, 10));
    let waiting = thread::spawn(move || session.append_frame(&frame));
    stopper.wait_for_no_space();
    assert_eq!(waiting.join().expect("appends"), Appended::Indeterminate(HaltReason::Stopped));
    disk.kill();
    disk.set_capacity(None);
    assert_eq!(open(&disk).expect("opens").found.len(), 3);
}

#[test]
fn a_half_filled_segment_of_a_dead_process_is_made_anew() {
    let disk = journal_of(&[body(1, 10)]);
    disk.remove("00000002.journal");
    disk.set_content("00000002.journal.tmp", vec![7; 5_000]);
    let session = open(&disk).expect("opens");
    wait_until("the segment is there", || disk.content("00000002.journal").is_some());
    drop(session);
    let content = disk.content("00000002.journal").expect("there");
    assert_eq!(content.len(), SEGMENT_LEN);
    assert!(content[4096..].iter().all(|byte| *byte == 0));
    assert_eq!(open(&disk).expect("opens").found.len(), 1);
}

#[test]
fn a_directory_whose_making_was_interrupted_is_made_whole() {
    let disk = SimulatedDisk::new();
    drop(open(&disk).expect("a new journal opens"));
    // The first segment had its name, the identity not yet.
    disk.remove("IDENTITY");
    disk.remove("00000002.journal");
    let session = open(&disk).expect("opens");
    assert!(session.report.created);
    drop(session);
    let session = open(&disk).expect("opens");
    assert!(!session.report.created);

    // Nothing had its name yet.
    let disk = SimulatedDisk::new();
    disk.set_content("00000001.journal.tmp", vec![0; 4096]);
    assert!(open(&disk).expect("opens").report.created);
}

#[test]
fn names_survive_a_power_cut_as_soon_as_frames_are_acknowledged_in_the_file() {
    let disk = SimulatedDisk::new();
    let mut session = open(&disk).expect("opens");
    let bodies: Vec<_> = (0..10).map(|seed| body(seed, 3_000)).collect();
    for (body, acknowledged) in bodies.iter().zip(1..) {
        assert_eq!(session.append(body), Appended::Durable);
        let cut = disk.copy();
        cut.crash(|_| false);
        assert_eq!(open(&cut).expect("opens").found, bodies[..acknowledged]);
    }
    assert!(disk.list().expect("lists").len() > 4, "several segments were used");
}

/// Lost with it: every settlement acknowledged in a segment whose name a killed process had given and not made durable, once
/// the hub had been started again and the power went.
#[test]
fn a_name_that_a_killed_process_left_is_durable_before_the_journal_opens() {
    let disk = journal_of(&[body(1, 3_000)]);
    let names = disk.list().expect("lists");
    let prepared = names.last().expect("segments");
    disk.rename(prepared, "aside").expect("renamed");
    disk.sync_directory().expect("synced");
    disk.rename("aside", prepared).expect("renamed");
    disk.kill();
    let _session = open(&disk).expect("opens");
    let cut = disk.copy();
    cut.crash(|_| false);
    assert_eq!(cut.list().expect("lists"), names);
}
