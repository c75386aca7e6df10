//! Failing writes and syncs: the journal halts, retries nothing, and a restart keeps what was acknowledged.

use medsettle_engine::halt::HaltReason;
use medsettle_engine::journal::{Appended, FrameSource as _, JournalPort as _};
use medsettle_engine::storage::simulated::{Failure, SimulatedDisk};

use crate::support::{body, journal_of, open, wait_for_prepared};

/// Append frames of changing length, over several segments, until one is not durable; the bodies that were.
fn work(disk: &SimulatedDisk, frames: usize) -> (Vec<Vec<u8>>, Option<HaltReason>) {
    let mut session = open(disk).expect("opens");
    let mut acknowledged = session.found.clone();
    for seed in 0..frames {
        let body = body(seed, [10, 700, 5_000][seed % 3]);
        match session.append(&body) {
            Appended::Durable => acknowledged.push(body),
            Appended::Indeterminate(reason) => {
                let calls = disk.segment_calls();
                for _ in 0..3 {
                    assert_eq!(session.append(b"later"), Appended::Indeterminate(reason.clone()));
                }
                assert_eq!(disk.segment_calls(), calls, "a halted journal touches the disk no more");
                return (acknowledged, Some(reason));
            }
            Appended::Fenced { tail } => panic!("fenced at {tail:?}"),
        }
    }
    (acknowledged, None)
}

#[test]
fn a_failure_at_every_call_halts_and_a_restart_keeps_exactly_what_was_acknowledged() {
    let disk = SimulatedDisk::new();
    let (_, halted) = work(&disk, 9);
    assert_eq!(halted, None);
    let calls = disk.segment_calls();
    assert_eq!(calls, 18, "one write and one sync per frame");
    for nth in 0..calls {
        for failure in [Failure::InputOutput, Failure::Short(0), Failure::Short(512), Failure::Short(3_000)] {
            let disk = SimulatedDisk::new();
            disk.fail_segment_call(nth, failure);
            let (acknowledged, halted) = work(&disk, 9);
            let reason = halted.expect("a failed call is never passed over");
            let is_write = nth % 2 == 0;
            assert_eq!(matches!(reason, HaltReason::WriteFailed { .. }), is_write, "{reason}");
            assert_eq!(matches!(reason, HaltReason::SyncFailed { .. }), !is_write, "{reason}");
            assert_eq!(acknowledged.len() as u64, nth / 2);

            // The process is restarted; or the power goes first.
            for power_cut in [false, true] {
                let disk = disk.copy();
                if power_cut {
                    disk.crash(|_| false);
                } else {
                    disk.kill();
                }
                // A write that stopped inside a sector was cut by the failing call, not by the medium.
                let stopped_in_sector = is_write && !power_cut && failure == Failure::Short(3_000);
                match open(&disk) {
                    Ok(session) => assert_eq!(session.found, acknowledged),
                    Err(error) => assert!(stopped_in_sector, "{error}"),
                }
            }
        }
    }
}

#[test]
fn a_failing_repair_keeps_the_journal_closed_and_loses_nothing() {
    let bodies = [body(1, 10), body(2, 700)];
    let disk = journal_of(&bodies);
    for nth in 0..2 {
        disk.fail_segment_call(nth, Failure::InputOutput);
        assert!(open(&disk).is_err(), "the last frame could not be written again and synced");
        disk.crash(|_| false);
    }
    assert_eq!(open(&disk).expect("the disk works again").found, bodies);
}

#[test]
fn a_frame_that_does_not_follow_is_fenced_and_nothing_is_written() {
    let disk = journal_of(&[body(1, 10)]);
    let mut session = open(&disk).expect("opens");
    let mut elsewhere = session.chain.clone();
    assert_eq!(session.append(b"ours"), Appended::Durable);
    let tail = session.journal.tail();
    let calls = disk.segment_calls();
    let theirs = elsewhere.business(1, 1_000, 1, b"theirs", Vec::new()).expect("fits");
    assert_eq!(session.append_frame(&theirs), Appended::Fenced { tail });
    let next = session.frame(b"next");
    assert_eq!(session.journal.append(2, next.header().previous, &next), Appended::Fenced { tail });
    assert_eq!(disk.segment_calls(), calls);
    assert_eq!(session.append_frame(&next), Appended::Durable);
}

#[test]
fn seals_and_epochs_carry_no_facts_and_the_order_goes_on() {
    let disk = journal_of(&[body(1, 10)]);
    let mut session = open(&disk).expect("opens");
    let seal = session.chain.seal(500, 1, Vec::new());
    assert_eq!(seal.header().stamp_ms, 1_000, "a stamp never goes back");
    assert_eq!(session.append_frame(&seal), Appended::Durable);
    let epoch = session.chain.next_epoch(2_000, 2, seal.into_buffer());
    assert_eq!(session.append_frame(&epoch), Appended::Durable);
    assert_eq!(session.append(b"after"), Appended::Durable);
    let tail = session.journal.tail();
    assert_eq!((tail.number, tail.epoch, tail.last_sequence), (4, 2, 2));
    drop(session);
    assert_eq!(open(&disk).expect("opens").journal.tail(), tail);
}

#[test]
fn durable_frames_are_read_from_any_number_while_the_journal_is_open() {
    let bodies: Vec<_> = (0..12).map(|seed| body(seed, [10, 700, 5_000][seed % 3])).collect();
    let disk = journal_of(&bodies);
    let mut session = open(&disk).expect("opens");
    for from in 1..=13 {
        let mut range = session.journal.durable().read(from as u64).expect("reads");
        for (body, number) in bodies.iter().zip(1..).skip(from - 1) {
            let frame = range.next().expect("reads").expect("a frame is left");
            assert_eq!((frame.header.number, frame.body), (number, body.as_slice()));
        }
        assert!(range.next().expect("reads").is_none());
    }
    let mut before = session.journal.read(12).expect("reads");
    assert_eq!(session.append(b"thirteen"), Appended::Durable);
    let mut after = session.journal.read(13).expect("reads");
    assert!(before.next().expect("reads").is_some());
    assert!(before.next().expect("reads").is_none(), "what became durable later is not in the range");
    assert_eq!(after.next().expect("reads").expect("durable").body, b"thirteen");
}

#[test]
fn a_body_longer_than_a_segment_is_not_made_into_a_frame() {
    let disk = SimulatedDisk::new();
    let mut session = open(&disk).expect("opens");
    let longest = session.chain.max_body_len();
    let tail = *session.chain.tail();
    assert!(session.chain.business(1, 0, 0, &vec![1; longest + 1], Vec::new()).is_err());
    assert_eq!(*session.chain.tail(), tail, "the chain is as it was");
    assert_eq!(session.append(&vec![1; longest]), Appended::Durable);
    assert_eq!(session.append(&vec![2; longest]), Appended::Durable);
    wait_for_prepared(&disk);
    drop(session);
    assert_eq!(open(&disk).expect("opens").found.len(), 2);
}
