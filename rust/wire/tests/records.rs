//! What is written to the journal is read back: every fact, with whatever values it can hold.

#[path = "support/arbitrary.rs"]
mod arbitrary;

use std::collections::BTreeSet;
use std::sync::Arc;

use arbitrary::Arbitrary;
use medsettle_core::benefit::LineSplit;
use medsettle_core::command::Reply;
use medsettle_core::fact::{Fact, Record};
use medsettle_core::ids::AlertId;
use medsettle_wire::Operation;
use medsettle_wire::bound::bound;
use medsettle_wire::encode::encode_reply;
use medsettle_wire::record::{RecordError, StoredRecord, decode_body, encode_record};
use proptest::prelude::*;

fn written(record: &Record, response: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    encode_record(record, response, &mut body);
    body
}

proptest! {
    #[test]
    fn a_record_of_any_facts_is_read_as_it_was_written(seed: u64, response: Vec<u8>) {
        let record = Arbitrary::new(seed).record();
        let read = decode_body(&written(&record, &response), record.stamp_ms).unwrap();
        prop_assert_eq!(read, vec![StoredRecord { record, response }]);
    }

    #[test]
    fn a_frame_gives_its_records_in_order(seed: u64) {
        let mut arbitrary = Arbitrary::new(seed);
        let records: Vec<Record> = (0..3).map(|_| Record { stamp_ms: 7, ..arbitrary.record() }).collect();
        let mut body = Vec::new();
        for record in &records {
            encode_record(record, b"answer", &mut body);
        }
        let read = decode_body(&body, 7).unwrap();
        prop_assert!(read.into_iter().map(|stored| stored.record).eq(records));
    }

    #[test]
    fn bytes_that_are_no_records_are_refused_or_read_without_panic(seed: u64, at: prop::sample::Index, to: u8) {
        let record = Arbitrary::new(seed).record();
        let mut body = written(&record, &[]);
        let cut = at.index(body.len() - 1) + 1;
        if cut < body.len() {
            prop_assert!(decode_body(&body[..cut], 0).is_err());
        }
        let place = at.index(body.len());
        body[place] = to;
        let _ = decode_body(&body, 0);
    }
}

/// The reply that goes with a fact, where it is longer than most.
fn reply_to(fact: &Fact) -> (Operation, Reply) {
    match fact {
        Fact::Settled { settlement } => {
            let of = if settlement.visit().is_some() { Operation::VisitsSettle } else { Operation::InpatientSettle };
            let (settlement, years) = (Arc::clone(settlement), settlement.deltas.clone());
            let alerts = (0..7).map(|n| AlertId(u64::MAX - n)).collect();
            (of, Reply::Settled { settlement, years, arpc: Some([0xFF; 8]), alerts })
        }
        Fact::ChargesAdded { lines, sum, .. } => {
            (Operation::InpatientAddCharges, Reply::ChargesAdded { lines: lines.clone(), sum: *sum })
        }
        Fact::PatientDischarged { .. } => {
            (Operation::InpatientDischarge, Reply::Discharged { sum: LineSplit::default() })
        }
        Fact::PersonEnrolled { person, .. } => (Operation::PersonsEnroll, Reply::PersonEnrolled(*person)),
        Fact::CardApplied { card, .. } => (Operation::CardsApply, Reply::CardApplied(*card)),
        Fact::CardEnabled { card, .. } => (Operation::CardsEnable, Reply::CardEnabled { cancelled: Some(*card) }),
        Fact::AccountCredited { amount, .. } => (Operation::AccountsCredit, Reply::Balance(*amount)),
        _ => (Operation::CardsHandOver, Reply::Done),
    }
}

#[test]
fn no_decision_is_longer_than_its_bound() {
    let (mut bounded, mut is_close) = (BTreeSet::new(), false);
    let mut arbitrary = Arbitrary::new(2);
    for _ in 0..4_000 {
        let record = arbitrary.record();
        for fact in &record.facts {
            let record = Record { facts: vec![fact.clone()], ..record.clone() };
            let (operation, reply) = reply_to(fact);
            let Some(bound) = bound(&record, &reply) else { continue };
            let mut response = Vec::new();
            encode_reply(operation, &reply, &mut response);
            let len = written(&record, &response).len();
            assert!(len <= bound, "{len} of {bound}: {record:?}, {reply:?}");
            is_close |= 3 * len > bound;
            let shown = format!("{fact:?}");
            bounded.insert(shown.split([' ', '(']).next().unwrap_or_default().to_owned());
        }
    }
    let expected = [
        "AccountCredited",
        "CardApplied",
        "CardEnabled",
        "CardHandedOver",
        "CardMade",
        "ChargesAdded",
        "PatientDischarged",
        "PersonEnrolled",
        "Settled",
        "YearOpened",
    ];
    assert!(bounded.iter().map(String::as_str).eq(expected), "{bounded:?}");
    assert!(is_close, "the bounds are far too wide");
}

#[test]
fn the_generator_makes_every_fact() {
    let mut seen = BTreeSet::new();
    let mut arbitrary = Arbitrary::new(1);
    for _ in 0..2_000 {
        for fact in arbitrary.record().facts {
            let shown = format!("{fact:?}");
            seen.insert(shown.split([' ', '(']).next().unwrap_or_default().to_owned());
        }
    }
    assert_eq!(seen.len(), arbitrary::FACTS, "{seen:?}");
}

#[test]
fn an_unknown_fact_or_field_is_refused_and_named() {
    let drawn = Arbitrary::new(3).record();
    let record = Record { facts: Vec::new(), actor: drawn.institution, ..drawn };
    let known = written(&record, &[]);
    let fields = &known[2..];
    assert!(known[1] < 0x80, "the length is one byte");
    // Field 9 of the record holds the facts; 127 is no fact, and 99 no field of a record.
    for (extra, field, problem) in [
        (&[9 << 3 | 2, 3, 0xfa, 0x07, 0][..], "facts[0]", "has an unknown field 127"),
        (&[9 << 3 | 2, 0][..], "facts[0]", "is of no kind that this release knows"),
        (&[0x98, 0x06, 1][..], "", "has an unknown field 99"),
    ] {
        let length = u8::try_from(fields.len() + extra.len()).unwrap();
        let mut body = vec![known[0], length];
        body.extend_from_slice(fields);
        body.extend_from_slice(extra);
        let RecordError { index, fault } = decode_body(&body, 0).unwrap_err();
        assert_eq!((index, fault.field.as_str(), fault.problem.as_ref()), (0, field, problem));
    }
}
