//! Segments that move to an archive: what lies there already is never replaced, and damage there is a finding like any other.

use std::fs;
use std::sync::Arc;

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::backup::{Backup, restore};
use medsettle_engine::error::{Damage, JournalError};
use medsettle_engine::journal::Appended;
use medsettle_engine::journal::segment::Label;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::storage::{DataDirectory, Storage as _};
use medsettle_engine::verify::{self, VerifyReport};

use crate::support::{HUB, SCHEMA, body, open, open_with, options, wait_for_prepared};

const FIRST: &str = "00000001.journal";
const ARCHIVED: &str = "00000001.archive";

/// A hub's disk with some full segments, its label, and the first segment as it was when it held one frame.
fn some_segments(seed: usize) -> (SimulatedDisk, Label, Vec<u8>) {
    let disk = SimulatedDisk::new();
    let mut session = open(&disk).expect("a new journal opens");
    assert_eq!(session.append(&body(seed, 100)), Appended::Durable);
    let early = disk.content(FIRST).expect("the first segment");
    while session.journal.segment() < 4 {
        assert_eq!(session.append(&body(seed, 3_000)), Appended::Durable);
    }
    wait_for_prepared(&disk);
    (disk, Label::identity(session.report.directory, HUB), early)
}

fn files(data: &SimulatedDisk, archive: &SimulatedDisk) -> JournalFiles {
    JournalFiles::new(Arc::new(data.clone()), Arc::new(archive.clone()))
}

fn verified(files: &JournalFiles) -> VerifyReport {
    verify::verify(files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("the walk can run")
}

fn said_of(files: &JournalFiles) -> Vec<String> {
    verified(files).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_archived_segment_is_never_replaced_by_an_older_copy() {
    let (data, label, early) = some_segments(1);
    let files = files(&data, &SimulatedDisk::new());
    files.archive(&label, 1, SCHEMA).expect("archived");
    assert_eq!((data.content(FIRST), said_of(&files)), (None, vec![]));
    let sound = verified(&files);
    data.set_content(FIRST, early.clone());
    let refused = files.archive(&label, 1, SCHEMA).expect_err("it differs").to_string();
    assert!(refused.contains(ARCHIVED) && refused.contains("both are kept"), "{refused}");
    assert_eq!(data.content(FIRST), Some(early));
    let findings = said_of(&files);
    assert!(findings.iter().any(|said| said.contains(ARCHIVED) && said.contains("differs")), "{findings:?}");
    data.remove(FIRST);
    assert_eq!(verified(&files), sound, "nothing was lost");
}

#[test]
fn a_segment_that_lies_in_the_archive_already_is_only_removed() {
    let (data, label, _) = some_segments(1);
    let (archive, whole) = (SimulatedDisk::new(), data.content(FIRST).expect("the first segment"));
    let files = files(&data, &archive);
    files.archive(&label, 1, SCHEMA).expect("archived");
    let kept = archive.content(ARCHIVED);
    data.set_content(FIRST, whole);
    assert_eq!(said_of(&files), [""; 0], "the two are the same");
    files.archive(&label, 1, SCHEMA).expect("archived again");
    assert_eq!((data.content(FIRST), archive.content(ARCHIVED)), (None, kept));
    assert_eq!(archive.list().expect("lists"), [ARCHIVED]);
}

#[test]
fn another_hub_with_the_same_archive_replaces_nothing_there() {
    let (data, label, _) = some_segments(1);
    let (other, other_label, _) = some_segments(2);
    let archive = SimulatedDisk::new();
    files(&data, &archive).archive(&label, 1, SCHEMA).expect("archived");
    let kept = archive.content(ARCHIVED);
    let refused = files(&other, &archive).archive(&other_label, 1, SCHEMA).expect_err("it is another hub's");
    let JournalError::Corrupt { finding, .. } = refused else { panic!("{refused}") };
    assert_eq!(finding.damage, Damage::ForeignDirectory);
    assert!(other.content(FIRST).is_some() && archive.content(ARCHIVED) == kept);
    assert_eq!(said_of(&files(&data, &archive)), [""; 0]);
    assert_eq!(said_of(&files(&other, &archive)).len(), 1);
}

#[test]
fn damage_anywhere_in_an_archived_segment_is_a_finding_and_hides_no_other() {
    let (data, label, _) = some_segments(1);
    let archive = SimulatedDisk::new();
    let files = files(&data, &archive);
    files.archive(&label, 1, SCHEMA).expect("archived");
    let sound = verified(&files);
    data.patch("00000003.journal", 4_096 + 100, &[0xaa, 0x55, 0xaa]);
    let whole = archive.content(ARCHIVED).expect("archived");
    let len = whole.len();
    let spoiled = |offset: usize| {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x10;
        bytes
    };
    let flipped = [20, 3_000, 4_097, len - 100, len - 64, len - 56, len - 40, len - 1].map(spoiled);
    let cut = [0, 100, 4_096, len - 4_096].map(|len| whole[..len].to_vec());
    for content in flipped.into_iter().chain(cut) {
        archive.set_content(ARCHIVED, content);
        let (report, findings) = (verified(&files), said_of(&files));
        assert!(findings[0].starts_with(&format!("/simulated/{ARCHIVED} at offset ")), "{findings:?}");
        assert!(
            findings.iter().any(|said| said.starts_with("/simulated/00000003.journal at offset 4096")),
            "{findings:?}"
        );
        assert!(report.frames + 4 >= sound.frames, "the rest is read: {} of {}", report.frames, sound.frames);
        let refused = open_with(files.clone(), &options()).err().expect("it stays closed");
        assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
    }
}

#[test]
fn a_backup_is_not_made_in_a_directory_of_a_hub_or_its_archive() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    for name in ["IDENTITY", FIRST, ARCHIVED] {
        let directory = scratch.path().join(name);
        fs::create_dir(&directory).expect("made");
        fs::write(directory.join(name), "of a hub").expect("written");
        let refused = Backup::open(&directory, SCHEMA).err().expect("refused").to_string();
        assert!(refused.contains("a backup needs a directory of its own"), "{refused}");
        assert!(!directory.join("LOCK").exists(), "nothing was left there");
    }
    Backup::open(&scratch.path().join("own"), SCHEMA).expect("a directory of its own");
}

#[test]
fn a_restore_leaves_no_mark_in_a_directory_that_somebody_else_has_taken() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let (from, to) = (scratch.path().join("backup"), scratch.path().join("taken"));
    let directory = DataDirectory::create(&to).expect("made");
    let mut backup = Backup::open(&from, SCHEMA).expect("begun");
    let frame = open(&SimulatedDisk::new()).expect("a new journal opens").frame(&body(1, 100));
    let header = frame.header();
    let content = [&header.bytes_with(frame.hash())[..], &body(1, 100)].concat();
    backup.take(1, &content).expect("taken in");
    backup.keep().expect("kept");
    let held = directory.lock().expect("free");
    fs::remove_file(to.join("LOCK")).expect("it looks empty");
    let refused = restore(&from, &to, 1 << 20, SCHEMA, 0, &mut |_, _| {}).expect_err("it is taken").to_string();
    assert!(refused.contains("is not empty"), "{refused}");
    assert!(!to.join("IDENTITY").exists(), "a mark would let the next restore remove what is there");
    drop(held);
}
