//! A snapshot in a backup, on real files: taken from a hub that goes on, put in place by a restore, and passed over where it is of no use.

use std::fs;
use std::path::{Path, PathBuf};

use medsettle_engine::backup::{Backup, Restored, restore};
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::{Engine, verify};
use medsettle_wire::record::SCHEMA;
use medsettle_wire::{Operation, v1};

use crate::request;
use crate::snapshots::{Place, copy_all, sealed_anew};
use crate::support::{NOW_MS, OFFICE, office};

const NEVER_ASKED: u64 = u64::MAX;

/// Take all frames that the backup does not have.
fn take_frames(engine: &Engine, backup: &mut Backup) {
    let mut from_frame_number = backup.tail().number;
    loop {
        let asked = v1::OperationsTakeJournalRequest { from_frame_number };
        let page: v1::OperationsTakeJournalResponse = office(engine).get(Operation::OperationsTakeJournal, &asked);
        for frame in &page.frames {
            backup.take(frame.frame_number, &frame.content).expect("taken in");
        }
        from_frame_number = page.next_from_frame_number;
        if from_frame_number == 0 {
            return;
        }
    }
}

fn page_of(engine: &Engine, last_frame_number: u64, from_offset: u64) -> v1::OperationsTakeSnapshotResponse {
    let asked = v1::OperationsTakeSnapshotRequest { last_frame_number, from_offset };
    office(engine).get(Operation::OperationsTakeSnapshot, &asked)
}

/// Take the newest snapshot that the frames cover; the frame behind which it stands.
fn take_snapshot(engine: &Engine, backup: &mut Backup) -> u64 {
    let (last, mut from) = (backup.tail().number, 0);
    loop {
        let page = page_of(engine, last, from);
        backup.take_snapshot(page.frame_number, &page.content).expect("taken in");
        from = page.next_from_offset;
        if from == 0 {
            assert!(backup.keep_snapshot().expect("checked").is_none(), "it can be used");
            return page.frame_number;
        }
    }
}

/// A hub that was backed up with its newer snapshot and frames behind it.
pub(crate) fn backed_up() -> (Place, PathBuf) {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let directory = place.scratch.path().join("backup");
    let mut backup = Backup::open(&directory, SCHEMA).expect("begun");
    take_frames(&engine, &mut backup);
    let frame = take_snapshot(&engine, &mut backup);
    assert_eq!(backup.snapshot_frame(), frame);
    assert!(frame < backup.tail().number, "there is more behind it");
    drop((engine, backup));
    (place, directory)
}

fn snapshot_in(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut snapshots: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "snapshot")).collect();
    assert_eq!(snapshots.len(), 1, "one is kept");
    snapshots.remove(0)
}

/// The place with the data directory that a backup makes.
fn restored(place: &mut Place, from: &Path) -> Restored {
    fs::remove_dir_all(place.data()).expect("removed");
    restore(from, &place.data(), place.segment_len, SCHEMA, NOW_MS, &mut |_, _| {}).expect("restored")
}

#[test]
fn a_restored_hub_starts_with_the_snapshot_of_its_backup_and_is_what_it_was() {
    let (mut place, backup) = backed_up();
    let engine = place.open();
    let shown = place.shown(&engine);
    drop(engine);
    let restored = restored(&mut place, &backup);
    assert_eq!(restored.passed, Vec::<String>::new());
    assert!(restored.snapshot_frame > 0);
    let directory = DataDirectory::existing(place.data()).expect("there");
    let verified = verify::verify(&directory, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("the check can run");
    assert_eq!(verified.findings, []);
    assert_eq!(verified.snapshots[0].head.tail.number, restored.snapshot_frame);

    let engine = place.open();
    assert_eq!(engine.report().snapshot.unwrap_or(0), restored.snapshot_frame, "what lies before is not folded again");
    assert!(engine.report().first_read > 1);
    assert_eq!(place.shown(&engine), shown);
    place.fill(&engine, 200..202);
    let shown = place.shown(&engine);
    drop(engine);
    assert_eq!(place.shown(&place.open()), shown, "it goes on as any hub");
}

#[test]
fn a_snapshot_of_a_backup_that_cannot_be_used_costs_the_restored_hub_nothing_but_time() {
    let (mut place, backup) = backed_up();
    let engine = place.open();
    let shown = place.shown(&engine);
    drop(engine);
    let snapshot = snapshot_in(&backup);
    let whole = fs::read(&snapshot).expect("a snapshot");
    let foreign = fs::read(snapshot_in(&backed_up().1)).expect("a snapshot");
    let flipped = |offset: usize| {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1;
        bytes
    };
    let cut = whole[..4_096].to_vec();
    for (content, reason) in [
        (flipped(60), "its head is damaged"),
        (flipped(5_000), "its content does not have the hash it bears"),
        (cut, "it is 4096 bytes long"),
        (foreign, "the journal has another frame"),
        (sealed_anew(flipped(40)), "it says that it stands behind frame"),
        (sealed_anew(flipped(64)), "is not what that frame says"),
    ] {
        fs::write(&snapshot, content).expect("written");
        let restored = restored(&mut place, &backup);
        let [passed] = &restored.passed[..] else { panic!("{:?}", restored.passed) };
        assert!(passed.contains(&snapshot.display().to_string()) && passed.contains(reason), "{reason}: {passed}");
        let engine = place.open();
        assert_eq!((restored.snapshot_frame, engine.report().snapshot.unwrap_or(0)), (0, 0), "{reason}");
        assert_eq!(place.shown(&engine), shown, "{reason}");
    }
}

#[test]
fn a_snapshot_of_another_state_is_not_put_in_place_however_well_it_is_written() {
    let (mut place, backup) = backed_up();
    let mut fork = Place::new();
    copy_all(&place.data(), &fork.data());
    for (place, persons) in [(&mut place, 50..60), (&mut fork, 60..70)] {
        let engine = place.open();
        place.fill(&engine, persons);
    }
    let engine = place.open();
    let shown = place.shown(&engine);
    let mut going_on = Backup::open(&backup, SCHEMA).expect("gone on with");
    take_frames(&engine, &mut going_on);
    take_snapshot(&engine, &mut going_on);
    drop((engine, going_on));
    let snapshot = snapshot_in(&backup);
    let mut forged = fs::read(&fork.snapshots()[1]).expect("a snapshot");
    forged[72..104].copy_from_slice(&fs::read(&snapshot).expect("a snapshot")[72..104]);
    fs::write(&snapshot, sealed_anew(forged)).expect("written");
    let restored = restored(&mut place, &backup);
    assert!(restored.passed[0].contains("the journal up to there gives"), "{:?}", restored.passed);
    let engine = place.open();
    assert_eq!((restored.snapshot_frame, engine.report().snapshot.unwrap_or(0)), (0, 0));
    assert_eq!(place.shown(&engine), shown);
}

#[test]
fn a_snapshot_that_its_frames_do_not_cover_is_never_taken() {
    let place = Place::with_two_snapshots();
    let engine = place.open();
    let newer = page_of(&engine, NEVER_ASKED, 0).frame_number;
    let older = page_of(&engine, newer - 1, 0).frame_number;
    assert!(0 < older && older < newer);
    assert_eq!(page_of(&engine, older - 1, 0), v1::OperationsTakeSnapshotResponse::default());
    let beyond = page_of(&engine, newer, 1 << 40);
    assert_eq!((beyond.content.len(), beyond.next_from_offset), (0, 0));

    let directory = place.scratch.path().join("backup");
    let mut backup = Backup::open(&directory, SCHEMA).expect("begun");
    let page = page_of(&engine, newer, 0);
    backup.take_snapshot(newer, &page.content).expect("taken in");
    let unfit = backup.keep_snapshot().expect("checked").expect("no use").to_string();
    assert!(unfit.contains(&format!("it stands behind frame {newer}, the frames of the backup end with 0")), "{unfit}");
    backup.take_snapshot(newer, &page.content).expect("taken in");
    drop(backup);
    drop(Backup::open(&directory, SCHEMA).expect("gone on with"));
    let left: Vec<_> = fs::read_dir(&directory).expect("there").map(|entry| entry.expect("one").file_name()).collect();
    assert_eq!(left, ["LOCK"], "nothing of it stays");
}

/// A hub whose snapshot is taken in several pages.
fn with_a_long_snapshot() -> Place {
    let mut place = Place::new();
    place.segment_len = 8 << 20;
    let engine = place.open();
    request::furnish(&office(&engine));
    let mut random = fastrand::Rng::with_seed(7);
    for year in 2001..=2004 {
        let mut catalogue = request::catalogue();
        let item = catalogue.items[0].clone();
        catalogue.effective_from = format!("{year}-01-01");
        catalogue.items = (0..4_000)
            .map(|number| {
                let name = (0..200).map(|_| random.alphanumeric()).collect();
                v1::CatalogueItem { code: format!("B{number}"), name, ..item.clone() }
            })
            .collect();
        let header = Some(request::header(OFFICE));
        let request = v1::PackagesInstallCatalogueRequest { header, catalogue: Some(catalogue) };
        office(&engine).get::<v1::PackagesInstallCatalogueResponse>(Operation::PackagesInstallCatalogue, &request);
    }
    Place::cut(&engine);
    drop(engine);
    place
}

#[test]
fn a_snapshot_that_the_hub_removes_meanwhile_is_taken_to_its_end() {
    let place = with_a_long_snapshot();
    let [taken] = &place.snapshots()[..] else { panic!("one snapshot") };
    let whole = fs::read(taken).expect("a snapshot");
    let engine = place.open();
    let first = page_of(&engine, NEVER_ASKED, 0);
    assert_eq!((first.next_from_offset, first.file_bytes), (1 << 20, whole.len() as u64));
    for number in 1..=2 {
        request::enroll(&office(&engine), number);
        Place::cut(&engine);
    }
    assert!(!taken.exists(), "two newer ones are kept");
    let (mut content, mut from) = (first.content, first.next_from_offset);
    while from > 0 {
        let page = page_of(&engine, NEVER_ASKED, from);
        assert_eq!((page.frame_number, page.file_bytes), (first.frame_number, first.file_bytes));
        assert!(page.content.len() <= 1 << 20, "a page is a page");
        content.extend_from_slice(&page.content);
        from = page.next_from_offset;
    }
    assert!(content == whole);
}

#[test]
fn whoever_comes_back_for_a_snapshot_that_is_gone_is_told_by_the_frame() {
    let place = with_a_long_snapshot();
    let engine = place.open();
    let first = page_of(&engine, NEVER_ASKED, 0);
    for number in 1..=2 {
        request::enroll(&office(&engine), number);
        Place::cut(&engine);
    }
    drop(engine);
    let engine = place.open();
    let again = page_of(&engine, NEVER_ASKED, first.next_from_offset);
    assert!(again.frame_number > first.frame_number);
    let none = page_of(&engine, first.frame_number, first.next_from_offset);
    assert_eq!(none, v1::OperationsTakeSnapshotResponse::default(), "nor is there an older one");
}
