//! An archive in another place than it was, gone, or of another hub: said before anything is changed.
//!
//! Invariant: what is asserted of a refusal holds of the files as well: a data directory that was refused is what it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use medsettle_engine::archive::JournalFiles;
use medsettle_engine::backup::restore;
use medsettle_engine::storage::DataDirectory;
use medsettle_engine::verify;
use medsettle_wire::record::SCHEMA;

use crate::backup::backed_up;
use crate::request;
use crate::snapshots::Place;
use crate::support::{NOW_MS, office};

fn refusal(place: &Place) -> String {
    place.try_open().expect_err("it stays closed").to_string()
}

/// A hub whose older segments lie in a directory of their own.
fn archived_elsewhere() -> Place {
    let mut place = Place::new();
    place.archive = Some(place.scratch.path().join("archive"));
    let engine = place.open();
    request::furnish(&office(&engine));
    place.fill(&engine, 1..20);
    place.fill(&engine, 20..40);
    drop(engine);
    assert!(place.names(".archive").len() > 1);
    place
}

fn moved(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "archive") {
            fs::rename(&path, to.join(path.file_name().expect("a name"))).expect("moved");
        }
    }
}

fn checked(place: &Place) -> Vec<String> {
    let files = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).expect("there");
    let report = verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("it can be read");
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_archive_that_is_to_lie_elsewhere_is_moved_first() {
    let mut place = Place::with_two_snapshots();
    let (data, elsewhere) = (place.data(), place.scratch.path().join("elsewhere"));
    place.archive = Some(elsewhere.clone());
    let said = refusal(&place);
    let command = format!("mv {0}/*.archive {1}/", data.display(), elsewhere.display());
    assert!(said.contains(&command), "{said}");
    assert!(!elsewhere.exists() && !data.join("ARCHIVE").exists(), "nothing was written");
    moved(&data, &elsewhere);
    drop(place.open());
    assert_eq!(checked(&place), [""; 0]);

    let third = place.scratch.path().join("third");
    fs::create_dir(&third).expect("made");
    let noted = fs::read_to_string(data.join("ARCHIVE")).expect("noted");
    for (archive, to) in [(Some(third.clone()), &third), (None, &data)] {
        place.archive = archive;
        let said = refusal(&place);
        let command = format!("mv {}/*.archive {}/", elsewhere.display(), to.display());
        assert!(said.contains(&command), "{said}");
        assert_eq!(fs::read_to_string(data.join("ARCHIVE")).expect("noted"), noted);
    }
    moved(&elsewhere, &data);
    drop(place.open());
    assert!(!data.join("ARCHIVE").exists(), "the archive is here again");
    assert_eq!(checked(&place), [""; 0]);
}

#[test]
fn an_archive_that_is_gone_keeps_the_hub_closed_until_it_is_back() {
    let mut place = archived_elsewhere();
    let archive = place.archive.clone().expect("set");
    let last = place.names(".archive").len();
    let away = place.scratch.path().join("away");
    fs::rename(&archive, &away).expect("renamed");
    let said = refusal(&place);
    assert!(said.contains(&format!("{} lacks segments 1 to {last}; is it mounted?", archive.display())), "{said}");
    assert!(!archive.exists(), "no empty one is made instead");
    fs::create_dir(&archive).expect("an empty place to mount at");
    assert!(refusal(&place).contains("is it mounted?"));
    fs::remove_dir(&archive).expect("removed");
    fs::rename(&away, &archive).expect("back");
    fs::rename(archive.join("00000002.archive"), place.scratch.path().join("second")).expect("moved away");
    assert!(refusal(&place).contains("lacks segment 2; is it mounted?"));
    fs::rename(place.scratch.path().join("second"), archive.join("00000002.archive")).expect("back");

    // It is lost while the hub runs: what no start needs stays where it is.
    let engine = place.open();
    let here = place.names(".journal").len();
    fs::rename(&archive, &away).expect("renamed");
    fs::create_dir(&archive).expect("an empty place to mount at");
    place.fill(&engine, 50..60);
    place.fill(&engine, 60..70);
    // `cut` was answered each time: a snapshot does not fail because its segments find no room elsewhere.
    drop(engine);
    assert_eq!(fs::read_dir(&archive).expect("there").count(), 0, "nothing is moved to where the rest is not");
    assert!(place.names(".journal").len() > here);
}

#[test]
fn a_restored_hub_is_told_that_the_archive_is_that_of_the_first_and_its_directory_stays_as_it_was() {
    let first = archived_elsewhere();
    let (mut second, backup) = backed_up();
    let to = second.scratch.path().join("restored");
    restore(&backup, &to, second.segment_len, SCHEMA, NOW_MS, &mut |_, _| {}).expect("restored");
    fs::rename(second.data(), second.scratch.path().join("old")).expect("moved");
    fs::rename(&to, second.data()).expect("moved");
    second.archive.clone_from(&first.archive);
    let said = refusal(&second);
    let archive = first.archive.as_ref().expect("set");
    assert!(said.contains(&format!("the archive {} belongs to another data directory", archive.display())), "{said}");
    assert!(!second.data().join("ARCHIVE").exists(), "nothing was written");
    second.archive = Some(second.scratch.path().join("own"));
    drop(second.open());

    let mut new = Place::new();
    new.archive.clone_from(&first.archive);
    assert!(refusal(&new).contains("give this hub an archive of its own"));
    assert!(new.names(".journal").is_empty(), "nothing was made");
}

#[test]
fn a_check_names_the_archive_and_says_where_segments_were_looked_for() {
    let place = archived_elsewhere();
    let archive = place.archive.clone().expect("set");
    let away = place.scratch.path().join("away");
    fs::rename(&archive, &away).expect("renamed");
    let gone = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).err().expect("gone");
    assert!(gone.to_string().contains(&archive.display().to_string()), "{gone}");
    fs::rename(&away, &archive).expect("back");
    for number in [2, 3] {
        fs::remove_file(archive.join(format!("{number:08}.archive"))).expect("removed");
    }
    let [missing] = &checked(&place)[..] else { panic!("one finding") };
    let (data, archive) = (place.data(), archive.display());
    let expected =
        format!("segments 2 to 3 are missing: they lie neither in {} nor in the archive {archive}", data.display());
    assert!(missing.ends_with(&expected), "{missing}");
}

#[test]
fn an_offset_in_an_archived_segment_is_told_as_one_of_its_content() {
    let place = archived_elsewhere();
    let archived = place.names(".archive").remove(0);
    Place::damage(&archived, 5_000);
    let files = JournalFiles::of(DataDirectory::existing(place.data()).expect("there")).expect("there");
    let verified = verify::verify(&files, SCHEMA, &mut |_, _| {}, &mut |_| Ok(()));
    let found = verified.map(|report| report.findings.iter().map(ToString::to_string).collect::<String>());
    let found = found.unwrap_or_else(|error| error.to_string());
    assert!(found.contains("00000001.archive") && found.contains(" of its uncompressed content"), "{found}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn nobody_but_the_user_of_the_hub_reads_what_a_hub_or_a_backup_makes() {
    let place = archived_elsewhere();
    for directory in [place.data(), place.data().join("index"), place.archive.clone().expect("set")] {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    let (_second, backup) = backed_up();
    assert_eq!(mode(&backup), 0o700);
    for entry in fs::read_dir(&backup).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
