//! The same journal on the file system of this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use medsettle_engine::error::JournalError;
use medsettle_engine::journal::{Appended, JournalPort};
use medsettle_engine::recovery::Options;
use medsettle_engine::storage::{DataDirectory, Storage};
use medsettle_engine::verify;

use crate::support::{HUB, SCHEMA, Session, body, open_with};

fn options() -> Options {
    Options { segment_len: 1 << 20, ..Options::new(HUB, SCHEMA) }
}

fn open(directory: &DataDirectory) -> Result<Session, JournalError> {
    open_with(directory.clone(), &options())
}

#[test]
fn frames_over_many_segments_are_there_after_reopening_and_verify_clean() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path().join("data")).expect("made");
    let bodies: Vec<_> = (0..200).map(|seed| body(seed, seed * 331 % 60_000)).collect();
    let mut session = open(&directory).expect("a new journal opens");
    assert!(session.report.created);
    for body in &bodies {
        assert_eq!(session.append(body), Appended::Durable);
    }
    let tail = session.journal.tail();
    drop(session);
    let session = open(&directory).expect("opens");
    assert_eq!((session.journal.tail(), session.report.torn.as_ref()), (tail, None));
    assert!(session.report.segments > 3);
    assert!(session.found == bodies, "the bodies are those that were acknowledged");
    drop(session);
    let report = verify::verify(&directory, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("the walk can run");
    assert_eq!((report.findings, report.frames), (vec![], 200));
}

#[test]
fn a_second_opener_is_told_the_directory_and_the_holder() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path()).expect("made");
    let held = open(&directory).expect("opens");
    let message = open(&directory).err().expect("refused").to_string();
    assert!(message.contains(&scratch.path().display().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    drop(held);
    assert!(open(&directory).is_ok());
}

#[test]
fn another_process_that_holds_the_directory_is_named() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path()).expect("made");
    let mut holder = Command::new("flock")
        .arg(scratch.path().join("LOCK"))
        .args(["sh", "-c", "echo 4242 > \"$0\"; echo held; read end"])
        .arg(scratch.path().join("LOCK"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("flock of util-linux is there");
    let mut said = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().expect("piped"), &mut said).expect("the holder speaks");
    let error = open(&directory).err().expect("refused");
    assert!(matches!(error, JournalError::Locked { holder_pid: Some(4242), .. }), "{error}");
    drop(holder.stdin.take());
    holder.wait().expect("the holder ends");
    assert!(open(&directory).is_ok());
}

#[test]
fn closing_the_inherited_descriptor_lets_go_of_the_directory() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path()).expect("made");
    let lock = directory.lock().expect("free");
    lock.close_inherited();
    assert!(directory.lock().is_ok(), "the last descriptor is closed");
}

#[test]
fn nobody_but_the_user_of_the_hub_reads_the_files() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path()).expect("made");
    drop(open(&directory).expect("opens"));
    for entry in fs::read_dir(scratch.path()).expect("lists") {
        let entry = entry.expect("lists");
        assert_eq!(entry.metadata().expect("there").permissions().mode() & 0o077, 0, "{:?}", entry.file_name());
    }
}

#[test]
fn a_flipped_bit_on_the_disk_is_refused_and_left_as_it_is() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path()).expect("made");
    let mut session = open(&directory).expect("opens");
    assert_eq!(session.append(&body(1, 900)), Appended::Durable);
    drop(session);
    let path = scratch.path().join("00000001.journal");
    let mut content = fs::read(&path).expect("reads");
    content[4096 + 700] ^= 4;
    fs::write(&path, &content).expect("writes");
    let message = open(&directory).err().expect("refused").to_string();
    assert!(message.contains("00000001.journal at offset 4608"), "{message}");
    assert!(fs::read(&path).expect("reads") == content);
}

#[test]
fn a_directory_that_does_not_exist_is_not_made_by_reading() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    assert!(DataDirectory::existing(scratch.path().join("nowhere")).is_err());
    assert!(!scratch.path().join("nowhere").exists());
}

#[test]
fn a_directory_stays_taken_when_its_lock_file_is_removed() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let directory = DataDirectory::create(scratch.path().join("data")).expect("made");
    let session = open(&directory).expect("a new journal opens");
    fs::remove_file(directory.path_of("LOCK")).expect("removed");
    let error = open(&directory).err().expect("it is taken");
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    drop(session);
    open(&directory).expect("it is free");
}
