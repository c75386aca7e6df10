//! What a check of a data directory says of its snapshots, on real files: every way in which one cannot be used, and nothing else.

use std::fs;
use std::path::Path;

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::error::{Damage, Finding};
use medsettle_engine::snapshot::HEAD_FIELDS;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::verify::{self, Replay, VerifyReport};
use medsettle_wire::record::{SCHEMA, decode_body};

use crate::request;
use crate::snapshots::{Place, copy_all, sealed_anew};
use crate::support::office;

fn checked_with(data: &Path, progress: &mut dyn FnMut(u64, u64)) -> VerifyReport {
    let files = JournalFiles::of(DataDirectory::existing(data).expect("there")).expect("there");
    let each = &mut |frame: &medsettle_engine::journal::FrameRef<'_>| {
        decode_body(frame.body, frame.header.stamp_ms).expect("whole");
        Ok(())
    };
    verify::verify(&files, SCHEMA, progress, each).expect("the check can run")
}

fn checked(place: &Place) -> VerifyReport {
    checked_with(&place.data(), &mut |_, _| {})
}

/// The only finding, which is of a snapshot: its offset and its words.
fn finding_in(report: &VerifyReport, path: &Path) -> (u64, String) {
    let [Finding { path: found, offset, damage }] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!(found, path);
    assert!(damage.spares_the_journal(), "{damage}");
    let advice = report.findings[0].advice(path.parent().expect("a directory"));
    assert!(advice.contains("a start passes over it, and nothing is lost but time"), "{advice}");
    assert!(advice.contains(&format!("rm {}", path.display())), "{advice}");
    (*offset, damage.to_string())
}

#[test]
fn sound_snapshots_are_listed_and_their_bytes_count() {
    let place = Place::with_two_snapshots();
    let mut told = Vec::new();
    let report = checked_with(&place.data(), &mut |done, total| told.push((done, total)));
    assert_eq!(report.findings, []);
    let listed: Vec<_> = report.snapshots.iter().rev().map(|sound| sound.path.clone()).collect();
    assert_eq!(listed, place.snapshots());
    let files = place.snapshots().into_iter().chain(place.names(".journal"));
    let bytes: u64 = files.map(|path| fs::metadata(path).expect("there").len()).sum();
    let (done, total) = *told.last().expect("progress");
    assert_eq!(done, total);
    assert!(total >= bytes, "{total} bytes of {bytes}, and the archived segments");
    assert!(told.is_sorted(), "progress goes on");
}

#[test]
fn a_bit_that_flips_anywhere_in_a_snapshot_is_found_and_the_other_one_stays_sound() {
    let place = Place::with_two_snapshots();
    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let whole = fs::read(newer).expect("a snapshot");
    let behind_content = whole.iter().rposition(|byte| *byte != 0).expect("content") + 1;
    assert!(behind_content < whole.len(), "this one ends within a block");
    let content = (4_096, "its content does not have the hash");
    let head = (0, "its head is damaged");
    let last = whole.len() - 1;
    for (offset, (found, what)) in [
        (0, head),
        (60, head),
        (511, head),
        (4_095, head),
        (4_096, content),
        (4_096 + 900, content),
        (behind_content - 1, content),
        (last, (4_096, "bytes behind its content are not zero")),
    ] {
        Place::damage(newer, offset);
        let report = checked(&place);
        let (at, said) = finding_in(&report, newer);
        assert_eq!(at, found, "damage at {offset}: {said}");
        assert!(said.contains(what), "damage at {offset}: {said}");
        assert_eq!(report.snapshots.len(), 1);
        fs::write(newer, &whole).expect("written");
    }
    for (len, found, what) in [(0, 0, "its head is damaged"), (4_096, 128, "it is 4096 bytes long, its head says")] {
        fs::write(newer, &whole[..len]).expect("written");
        let (at, said) = finding_in(&checked(&place), newer);
        assert_eq!((at, said.contains(what)), (found, true), "{said}");
    }
}

#[test]
fn every_field_of_a_head_is_held_against_the_rows_and_the_journal() {
    let place = Place::with_two_snapshots();
    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let whole = fs::read(newer).expect("a snapshot");
    for (field, range) in HEAD_FIELDS {
        let mut bytes = whole.clone();
        bytes[range.start] ^= 1;
        fs::write(newer, sealed_anew(bytes)).expect("written");
        let report = checked(&place);
        let (at, said) = finding_in(&report, newer);
        // What shows in one field may be the fault of another.
        let expected = match field {
            "magic" => 0,
            "hub id" => 16,
            "stamp" => 48,
            "row count" => 112,
            "body length" | "body hash" => 4_096,
            _ => range.start as u64,
        };
        assert_eq!(at, expected, "{field}: {said}");
        assert_eq!(report.snapshots.len(), 1);
    }
}

#[test]
fn snapshots_of_another_directory_of_a_fork_and_under_another_name_are_found() {
    let mut place = Place::with_two_snapshots();
    let foreign = Place::with_two_snapshots();
    let mut fork = Place::new();
    copy_all(&place.data(), &fork.data());
    for (place, persons) in [(&mut place, 50..60), (&mut fork, 60..70)] {
        let engine = place.open();
        place.fill(&engine, persons);
    }
    let [older, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let whole = fs::read(newer).expect("a snapshot");
    fs::copy(&foreign.snapshots()[1], newer).expect("copied");
    assert_eq!(finding_in(&checked(&place), newer).0, 16);
    fs::copy(&fork.snapshots()[1], newer).expect("copied");
    let (at, said) = finding_in(&checked(&place), newer);
    assert_eq!((at, said.contains("the journal has another frame")), (72, true), "{said}");
    fs::copy(older, newer).expect("copied");
    assert_eq!(finding_in(&checked(&place), newer).0, 40);
    fs::write(newer, &whole).expect("written");
    assert_eq!(checked(&place).findings, []);
}

#[test]
fn a_journal_that_ends_before_a_sound_snapshot_has_lost_what_was_durable() {
    let mut place = Place::new();
    let engine = place.open();
    request::furnish(&office(&engine));
    place.fill(&engine, 1..2);
    let before = tempfile::tempdir().expect("a scratch directory");
    drop(engine);
    copy_all(&place.data(), before.path());
    let engine = place.open();
    place.fill(&engine, 2..3);
    drop(engine);
    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    fs::copy(newer, before.path().join(newer.file_name().expect("a name"))).expect("copied");
    let report = checked_with(before.path(), &mut |_, _| {});
    let [Finding { damage: damage @ Damage::EndsBeforeSnapshot { .. }, .. }] = &report.findings[..] else {
        panic!("{:?}", report.findings)
    };
    assert!(!damage.spares_the_journal());
}

#[test]
fn a_snapshot_that_was_being_written_is_told_of_and_is_no_finding() {
    let place = Place::with_two_snapshots();
    assert_eq!(checked(&place).unfinished_snapshot, None);
    let left = place.data().join("snapshot.tmp");
    fs::write(&left, [7; 5_000]).expect("written");
    let report = checked(&place);
    assert_eq!((report.findings, report.unfinished_snapshot), (vec![], Some(left)));
}

#[test]
fn a_snapshot_that_a_hub_removes_while_the_check_runs_is_no_finding() {
    let place = Place::with_two_snapshots();
    let [older, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let mut told = Vec::new();
    let report = checked_with(&place.data(), &mut |done, total| {
        let _ = fs::remove_file(older);
        told.push((done, total));
    });
    assert_eq!(report.findings, []);
    let [sound] = &report.snapshots[..] else { panic!("{:?}", report.snapshots) };
    assert_eq!(&sound.path, newer);
    assert!(told.last().is_some_and(|(done, total)| done == total));
}

fn replayed(place: &Place, left_out: u64) -> VerifyReport {
    let files = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).expect("there");
    let mut replay = Replay::towards(&files).expect("listed");
    let mut report = verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |frame| {
        if frame.header.number == left_out { Ok(()) } else { replay.take_frame(frame) }
    })
    .expect("the check can run");
    replay.compare(&mut report);
    report
}

#[test]
fn a_replay_tells_a_snapshot_of_another_state_however_well_it_is_written() {
    let mut place = Place::with_two_snapshots();
    let mut fork = Place::new();
    copy_all(&place.data(), &fork.data());
    for (place, persons) in [(&mut place, 50..60), (&mut fork, 60..70)] {
        let engine = place.open();
        place.fill(&engine, persons);
    }
    let report = replayed(&place, 0);
    assert_eq!((report.findings, report.snapshots.len()), (vec![], 2));

    let [_, newer] = &place.snapshots()[..] else { panic!("two snapshots") };
    let mut forged = fs::read(&fork.snapshots()[1]).expect("a snapshot");
    forged[72..104].copy_from_slice(&fs::read(newer).expect("a snapshot")[72..104]);
    fs::write(newer, sealed_anew(forged)).expect("written");
    assert_eq!(checked(&place).findings, [], "nothing but the journal tells");
    let report = replayed(&place, 0);
    let (at, said) = finding_in(&report, newer);
    assert_eq!((at, said.contains("the journal up to there gives")), (112, true), "{said}");
    assert_eq!(report.snapshots.len(), 1);
    // Behind a gap there is no state to compare with: that makes no finding.
    assert_eq!(replayed(&place, 5).findings, []);
}
