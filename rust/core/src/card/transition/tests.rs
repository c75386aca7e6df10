//! The table above `Zone::after`, walked cell by cell for both zones.

use std::num::NonZeroI64;

use super::*;
use crate::card::{CardState, Generation, TEMPORARY_LOSS_MS};

const NOW: i64 = 1_000_000;
const UNTIL: i64 = NOW + 1;
const CAUSE: FailureCause = FailureCause::NoValidPhoto;

/// A column: a command, or what comes with time.
#[derive(Clone, Copy, Debug)]
enum Column {
    Command(Event),
    LossEnds,
    Retire,
}

fn column(name: &str) -> Column {
    Column::Command(match name {
        "FailApplication" => Event::FailApplication(CAUSE),
        "MarkMade" => Event::MarkMade,
        "HandOver" => Event::HandOver,
        "Enable" => Event::Enable,
        "TemporaryLoss" => Event::ReportLoss(Loss::Temporary),
        "FormalLoss" => Event::ReportLoss(Loss::Formal),
        "WithdrawLoss" => Event::WithdrawLoss,
        "Lock" => Event::Lock,
        "Unlock" => Event::Unlock,
        "Supersede" => Event::Supersede,
        "Cancel" => Event::Cancel,
        "LossEnds" => return Column::LossEnds,
        "Retire" => return Column::Retire,
        other => panic!("the table names an event {other}"),
    })
}

fn state(name: &str) -> ZoneState {
    match name {
        "Applied" => ZoneState::Applied,
        "Failed" => ZoneState::Failed(CAUSE),
        "Made" => ZoneState::Made,
        "Issued" => ZoneState::Issued,
        "Enabled" => ZoneState::Enabled,
        "FormalLost" => ZoneState::FormalLost,
        "Cancelled" => ZoneState::Cancelled,
        other => panic!("the table names a state {other}"),
    }
}

/// Every zone that shows a state of the table now, with all that can lie beneath it.
fn zones(name: &str) -> Vec<(Zone, Moment)> {
    let everything = ["Applied", "Failed", "Made", "Issued", "Enabled", "FormalLost", "Cancelled"].map(state);
    let mut found = Vec::new();
    for state in everything {
        for lost_until_ms in [None, NonZeroI64::new(NOW), NonZeroI64::new(UNTIL)] {
            for (locked, retired) in [(false, false), (false, true), (true, false), (true, true)] {
                let (zone, at) = (Zone { state, lost_until_ms, locked }, Moment { now_ms: NOW, retired });
                if format!("{:?}", zone.shown(at).name()) == name {
                    found.push((zone, at));
                }
            }
        }
    }
    assert!(!found.is_empty(), "no zone shows {name}");
    found
}

/// What a zone must be after a command.
fn expected(zone: Zone, shown: CardState, event: Event, cell: &str) -> Result<Zone, Reject> {
    match (cell, event) {
        ("-", _) => Err(Reject::CardStateForbids { state: shown, event: event.name() }),
        ("lost", _) => Err(Reject::CardLost { until_ms: Some(UNTIL) }),
        ("TempLost", _) => Ok(Zone { lost_until_ms: NonZeroI64::new(NOW + TEMPORARY_LOSS_MS), ..zone }),
        ("Locked", _) => Ok(Zone { locked: true, ..zone }),
        ("before", Event::Unlock) => Ok(Zone { locked: false, ..zone }),
        ("before", _) => Ok(Zone { lost_until_ms: None, ..zone }),
        (plain, _) => Ok(Zone { state: state(plain), ..zone }),
    }
}

/// What a zone must show once its loss has ended, or its generation is over.
fn expected_with_time(zone: Zone, at: Moment, cell: &str) -> Shown {
    match cell {
        "same" => zone.shown(at),
        "before" => Zone { lost_until_ms: None, ..zone }.shown(at),
        "Retired" => Shown::Retired,
        other => panic!("the table says {other} of what comes with time"),
    }
}

fn card_with(kind: ZoneKind, zone: Zone) -> Card {
    let region = crate::ids::RegionCode::parse("110000").unwrap();
    let mut card =
        Card::applied(crate::ids::CardId(2), crate::ids::PersonId(1), region, Generation::new("3".into()), None);
    *card.zone_mut(kind) = zone;
    card
}

/// Each zone alone: the event does to it what the table says, and nothing to the other.
fn check_command(zone: Zone, at: Moment, event: Event, cell: &str) {
    let expected = expected(zone, zone.shown(at).name(), event, cell);
    assert_eq!(zone.after(event, at), expected, "{zone:?} {event:?}");
    for kind in ZoneKind::ALL {
        let card = card_with(kind, zone);
        let after = card.after_in(&[kind], event, at).map(|(changed, after)| {
            assert_eq!(changed, [kind]);
            after
        });
        assert_eq!(after, expected.clone().map(|zone| card_with(kind, zone)), "{kind:?} {zone:?} {event:?}");
    }
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let mut rows = include_str!("../transition.rs").lines().filter_map(|line| line.trim().strip_prefix("/// |"));
    let cells = |row: &'static str| row.trim_end_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let header = cells(rows.next().unwrap());
    let mut states = Vec::new();
    for row in rows.skip(1).map(cells) {
        assert_eq!(row.len(), header.len(), "{row:?}");
        states.push(row[0]);
        for (zone, at) in zones(row[0]) {
            for (name, cell) in header[1..].iter().zip(&row[1..]) {
                match column(name) {
                    Column::Command(event) => check_command(zone, at, event, cell),
                    Column::LossEnds => {
                        let later = Moment { now_ms: UNTIL, ..at };
                        assert_eq!(zone.shown(later), expected_with_time(zone, later, cell), "{zone:?} {at:?}");
                    }
                    Column::Retire => {
                        let over = Moment { retired: true, ..at };
                        assert_eq!(zone.shown(over), expected_with_time(zone, at, cell), "{zone:?} {at:?}");
                    }
                }
            }
        }
    }
    states.sort_unstable();
    let mut all = CardState::ALL.map(|state| format!("{state:?}"));
    all.sort_unstable();
    assert_eq!(states, all, "one row for every state");
    assert_eq!(header.len(), 14, "one column for every event");
}

#[test]
fn a_loss_report_kills_the_zone_that_it_can_and_leaves_the_other() {
    let at = Moment { now_ms: NOW, retired: false };
    let mut card = card_with(ZoneKind::Insurance, Zone::plain(ZoneState::Enabled));
    card.bank = Zone { lost_until_ms: NonZeroI64::new(UNTIL), ..Zone::plain(ZoneState::Enabled) };
    let temporary = Event::ReportLoss(Loss::Temporary);
    let (changed, after) = card.after_in(&[], temporary, at).unwrap();
    assert_eq!(changed, [ZoneKind::Insurance]);
    assert_eq!(after.bank, card.bank, "a second report extends nothing");
    assert_eq!(card.after_in(&[ZoneKind::Bank], temporary, at), Err(Reject::CardLost { until_ms: Some(UNTIL) }));
}
