//! An index that is made again from a journal with damage: the journal's first fault is told, and the old index stays.

use std::fs;

use medsettle_engine::OpenError;
use medsettle_engine::archive::JournalFiles;
use medsettle_engine::error::JournalError;
use medsettle_engine::index::{IndexHome, rebuild};
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::verify;
use medsettle_wire::record::SCHEMA;

use crate::snapshots::Place;

#[test]
fn a_rebuild_from_a_damaged_journal_tells_the_first_fault_and_keeps_the_old_index() {
    let place = Place::with_two_snapshots();
    let shown = place.shown(&place.open());
    let files = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).expect("there");
    let home = IndexHome::within(&place.data());
    // Between the snapshots: a start from the newer one does not need it.
    let damaged = place.names(".journal").remove(0);
    let whole = fs::read(&damaged).expect("read");
    Place::damage(&damaged, 9_000);
    let report = verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("it can be read");
    match rebuild(&files, &home, &mut |_, _| {}) {
        Err(OpenError::Journal(JournalError::Corrupt { finding, .. })) => assert_eq!(*finding, report.findings[0]),
        other => panic!("{other:?}"),
    }
    let engine = place.open();
    assert!(engine.report().snapshot.is_some(), "it begins with its snapshot, as before");
    assert_eq!(place.shown(&engine), shown);
    drop(engine);

    fs::write(&damaged, whole).expect("mended");
    rebuild(&files, &home, &mut |_, _| {}).expect("made");
    let beside = fs::read_dir(place.data()).expect("a directory");
    let names: Vec<_> = beside.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.iter().filter(|name| name.to_string_lossy().starts_with("index")).count(), 1, "{names:?}");
    assert_eq!(place.shown(&place.open()), shown);
}
