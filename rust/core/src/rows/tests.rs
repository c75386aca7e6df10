//! Rows against the state that they are of, through hubs in which every kind of row stands.

use std::collections::BTreeSet;

use super::*;
use crate::alert::AlertKind;
use crate::command::{Command, Verdict};
use crate::decide::fixture::alerts::{alert_rules, rule};
use crate::decide::fixture::ward::{code, ward_policy};
use crate::decide::fixture::{Desk, day, region};
use crate::policy::VisitKind;
use crate::suspension::Suspension;
use crate::token::TokenId;

/// A hub in which every kind of row stands.
fn full() -> Desk {
    let mut desk = Desk::ward(ward_policy());
    desk.take_visits(|policy| policy);
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    desk.serve(VisitKind::Outpatient);
    desk.visited(card, VisitKind::Outpatient, "2026-03-01", 50_000);
    let rules = [rule(AlertKind::OverlapWithStay)];
    desk.install_alert_rules(9, alert_rules("110100", "2026-01-01", &rules)).unwrap();
    desk.act_as("H11010000001");
    desk.admit(card, "2026-03-01").unwrap();
    let other = desk.patient("P2");
    let valid = std::mem::replace(&mut desk.verdict, Verdict::Invalid);
    for _ in 0..3 {
        desk.admit(other, "2026-03-01").unwrap_err();
    }
    desk.verdict = valid;
    desk.register("H11010000009", "110100");
    let suspension = crate::suspension::PlaceSuspension {
        department: "".into(),
        days: Suspension { from: day("2026-04-01"), to: None },
    };
    desk.run(Command::SuspendInstitution { institution: code("H11010000009"), suspension, case_number: "C1".into() })
        .unwrap();
    desk.hub.retirements.set(region("110100"), "2", day("2030-01-01"));
    desk.hub.used_tokens.note(TokenId([7; 16]), desk.now_ms + 1_000, desk.now_ms);
    desk
}

fn rows_of(hub: &Hub) -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    let Ok(()) = hub.each_row(|row| {
        rows.push(row.to_vec());
        Ok::<(), std::convert::Infallible>(())
    });
    rows
}

pub(crate) fn restored(hub: &Hub, seed: u64) -> Hub {
    let (mut reader, mut restoring) = (RowReader::new(hub.number), Restoring::new(hub.number, seed));
    for row in rows_of(hub) {
        reader.read(&row).unwrap().into_iter().for_each(|row| restoring.put(row));
    }
    restoring.finish(reader.finish().unwrap())
}

#[test]
fn the_rows_of_a_hub_make_an_equal_one_with_the_same_digest_whatever_the_seed() {
    let hub = full().hub;
    let again = restored(&hub, 99);
    assert_eq!(again, hub);
    assert_eq!(again.digest(), hub.digest());
    assert_eq!(restored(&again, 3), hub, "also from what was restored");
}

#[test]
fn a_restored_hub_goes_on_as_the_first_one_does() {
    let mut desk = full();
    let mut again = restored(&desk.hub, 5);
    let so_far = desk.journal.len();
    // Beyond the window, so that the ids that were restored leave.
    desk.now_ms += crate::request::WINDOW_MS + crate::request::MAX_AHEAD_MS + 1;
    let card = desk.patient("P3");
    desk.visited(card, VisitKind::Outpatient, "2026-03-03", 10_000);
    desk.journal[so_far..].iter().for_each(|record| again.apply(record));
    assert_eq!(again, desk.hub);
    assert_eq!(again.digest(), desk.hub.digest());
}

#[test]
fn one_changed_row_changes_the_digest() {
    let desk = full();
    let mut changed = desk.hub.clone();
    let id = changed.persons.values().next().unwrap().id;
    changed.persons.get_mut(id).unwrap().account.balance.0 += 1;
    assert_ne!(changed.digest(), desk.hub.digest());
    assert_ne!(Hub::new(desk.hub.number, 1).digest(), desk.hub.digest());
}

#[test]
fn what_is_no_row_or_stands_in_the_wrong_place_is_named() {
    let hub = full().hub;
    let rows = rows_of(&hub);
    let add = |rows: &[&[u8]]| {
        let mut reader = RowReader::new(hub.number);
        rows.iter().try_for_each(|row| reader.read(row).map(drop))
    };
    let (head, last) = (&rows[0][..], rows.last().unwrap().as_slice());
    assert_eq!(add(&[last]), Err(BadRow { number: 1, what: "is not the head" }));
    assert_eq!(add(&[head, head]), Err(BadRow { number: 2, what: "is a second head" }));
    assert_eq!(add(&[head, &last[..last.len() - 1]]), Err(BadRow { number: 2, what: "cannot be read" }));
    assert_eq!(add(&[head, &[last, &[0]].concat()]), Err(BadRow { number: 2, what: "is longer than what it holds" }));
    assert_eq!(add(&[head, &[200]]), Err(BadRow { number: 2, what: "cannot be read" }));
    let mut foreign = RowReader::new(HubNumber::new(12).unwrap());
    assert_eq!(foreign.read(head).map(drop), Err(BadRow { number: 1, what: "is of another hub" }));
    let empty = RowReader::new(hub.number).finish();
    assert_eq!(empty, Err(BadRow { number: 1, what: "is missing" }));
}

#[test]
fn what_no_hub_gives_or_another_one_gave_is_no_row() {
    let hub = full().hub;
    let head = rows_of(&hub).remove(0);
    let foreign = HubNumber::new(hub.number.get() + 1).unwrap().id(5);
    let mut person = Person::clone(hub.persons.values().next().unwrap());
    person.id = crate::ids::PersonId(foreign);
    let mut reader = RowReader::new(hub.number);
    reader.read(&head).unwrap();
    let row = postcard::to_allocvec(&Row::Person(Arc::new(person))).unwrap();
    assert_eq!(reader.read(&row).map(drop), Err(BadRow { number: 2, what: "has the id of another hub" }));
    let day = postcard::to_allocvec(&i32::MIN).unwrap();
    assert!(postcard::from_bytes::<crate::calendar::Date>(&day).is_err());
    let request = postcard::to_allocvec("an id with blanks").unwrap();
    assert!(postcard::from_bytes::<crate::ids::RequestId>(&request).is_err());
    let institution = postcard::to_allocvec(&[0xff_u8; 12]).unwrap();
    assert!(postcard::from_bytes::<crate::ids::InstitutionCode>(&institution).is_err());
}

/// With the count before each they fill 96 and 128 bytes, which are sizes that an allocator has; a word more would cost a hub of ten million
/// persons as much as a row of pointers.
#[test]
fn what_there_are_millions_of_is_as_small_as_it_was() {
    assert_eq!((size_of::<Person>(), size_of::<Card>()), (80, 112));
}

/// Rows of an older program are told by their format alone. Whoever changes what a row holds sees this fail, raises [`FORMAT`], and
/// puts the new number here.
#[test]
fn rows_of_this_format_are_the_bytes_they_always_were() {
    let hub = full().hub;
    let rows = rows_of(&hub);
    let kinds: BTreeSet<u8> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(kinds, (0..=17).collect(), "every kind of row stands in this hub");
    assert_eq!((FORMAT, hub.digest().to_string().as_str()), (2, "7c5080cd8656f89299b03d560046b435"));
}
