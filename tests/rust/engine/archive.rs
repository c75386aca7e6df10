//! An archive on real files: what lies there is never written over, whoever shares it, and a start says what is damaged there.

use std::fs;
use std::path::{Path, PathBuf};

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::index::IndexHome;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::verify::{self, VerifyReport};
use medsettle_engine::{Config, Engine};
use medsettle_wire::record::SCHEMA;

use crate::request;
use crate::snapshots::Place;
use crate::support::{NOW_MS, Time, config, office};

fn verified(data: &Path) -> VerifyReport {
    let files = JournalFiles::of(DataDirectory::existing(data).expect("there")).expect("there");
    verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("the check can run")
}

fn said_of(report: &VerifyReport) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

fn first_archived(place: &Place) -> PathBuf {
    place.names(".archive").first().expect("an archived segment").clone()
}

/// A hub with an archived first segment, and that segment as it was on an earlier day, when it held less.
fn with_an_older_first_segment() -> (Place, Vec<u8>) {
    let mut place = Place::new();
    let engine = place.open();
    request::furnish(&office(&engine));
    drop(engine);
    let older = fs::read(place.data().join("00000001.journal")).expect("the first segment");
    let engine = place.open();
    place.fill(&engine, 1..20);
    place.fill(&engine, 20..40);
    drop(engine);
    (place, older)
}

#[test]
fn an_older_copy_of_a_segment_never_takes_the_place_of_its_archived_form() {
    let (mut place, older) = with_an_older_first_segment();
    let archived = first_archived(&place);
    let kept = fs::read(&archived).expect("an archived segment");
    let segment = place.data().join("00000001.journal");
    fs::write(&segment, &older).expect("copied back");
    let engine = place.open();
    place.fill(&engine, 50..60);
    drop(engine);
    assert!(fs::read(&archived).expect("still there") == kept, "the archived segment is as it was");
    assert!(fs::read(&segment).expect("still there") == older, "nothing was removed either");
    let findings = said_of(&verified(&place.data()));
    let differs = |said: &String| said.contains("00000001.archive") && said.contains("differs");
    assert!(findings.iter().any(differs), "{findings:?}");
    fs::remove_file(&segment).expect("removed");
    assert_eq!(said_of(&verified(&place.data())), [""; 0], "nothing was lost");
}

#[test]
fn a_segment_that_was_archived_before_the_hub_was_killed_is_only_removed() {
    let mut place = Place::new();
    let engine = place.open();
    request::furnish(&office(&engine));
    place.fill(&engine, 1..20);
    drop(engine);
    let segment = place.data().join("00000001.journal");
    let whole = fs::read(&segment).expect("the first segment");
    let engine = place.open();
    place.fill(&engine, 20..40);
    drop(engine);
    let kept = fs::read(first_archived(&place)).expect("an archived segment");
    fs::write(&segment, whole).expect("it had not been removed yet");
    assert_eq!(said_of(&verified(&place.data())), [""; 0], "the two are the same");
    let engine = place.open();
    place.fill(&engine, 50..52);
    drop(engine);
    assert!(!segment.exists());
    assert!(fs::read(first_archived(&place)).expect("still there") == kept);
}

#[test]
fn two_hubs_with_one_archive_keep_all_that_either_has() {
    let (mut first, mut second) = (Place::new(), Place::new());
    let shared = first.scratch.path().join("archive");
    (first.archive, second.archive) = (Some(shared.clone()), Some(shared));
    let engines = [first.open(), second.open()];
    let mut digests = Vec::new();
    for (place, engine) in [&mut first, &mut second].into_iter().zip(engines) {
        request::furnish(&office(&engine));
        place.fill(&engine, 1..20);
        place.fill(&engine, 20..40);
        digests.push(place.shown(&engine));
    }
    for snapshot in first.names(".snapshot").into_iter().chain(second.names(".snapshot")) {
        fs::remove_file(snapshot).expect("removed");
    }
    let engine = first.open();
    assert_eq!((engine.report().first_read, first.shown(&engine)), (1, digests.remove(0)));
    drop(engine);
    // The second archived nothing, so all it has lies in its data directory; it is told to take an archive of its own.
    let refused = second.try_open().expect_err("the archive is the other's").to_string();
    assert!(refused.contains("belongs to another data directory"), "{refused}");
    assert_eq!(said_of(&verified(&first.data())), [""; 0]);
    let findings = said_of(&verified(&second.data()));
    assert!(!findings.is_empty() && findings.iter().all(|said| said.contains(".archive")), "{findings:?}");
}

#[test]
fn a_start_that_needs_a_damaged_archive_says_that_the_journal_is_damaged() {
    let place = Place::with_two_snapshots();
    let archived = first_archived(&place);
    for snapshot in place.snapshots() {
        fs::remove_file(snapshot).expect("removed");
    }
    let whole = fs::read(&archived).expect("an archived segment");
    for offset in [20, 5_000, whole.len() - 100, whole.len() - 1] {
        Place::damage(&archived, offset);
        let said = place.try_open().expect_err("it stays closed").to_string();
        assert!(said.starts_with("the journal is damaged and stays closed"), "at {offset}: {said}");
        assert!(said.contains(&format!("medsettle verify {}", place.data().display())), "at {offset}: {said}");
        fs::write(&archived, &whole).expect("written");
    }
    place.open();
}

#[test]
fn an_archive_within_the_index_that_is_thrown_away_is_refused() {
    let place = Place::new();
    let data = place.data();
    fs::create_dir_all(&data).expect("made");
    std::os::unix::fs::symlink(&data, place.scratch.path().join("link")).expect("linked");
    let within = [
        data.join("index"),
        data.join("index/old"),
        data.join("x/../index/old"),
        place.scratch.path().join("link/index/old"),
    ];
    for archive in within {
        let said = opened(&data, &archive).expect_err("it is refused").to_string();
        assert!(said.contains("index"), "{said}");
        assert!(!data.join("index").exists() && !data.join("IDENTITY").exists(), "nothing was made");
    }
    opened(&data, &data.join("index-of-the-past")).expect("another directory");
}

fn opened(data: &Path, archive: &Path) -> Result<Engine, medsettle_engine::OpenError> {
    let (archive, index) = (Some(archive.to_owned()), IndexHome::within(data));
    Engine::open_by(Config { data: data.to_owned(), archive, index, ..config() }, Box::new(Time::at(NOW_MS)))
}
