//! The woman of the lost-card case learnt of the thief's purchases when her own treatment was refused: a statement would have told her.

mod histories;

use super::super::fixture::clinic::{PHARMACY, bill, medicine};
use super::super::fixture::ward::{LOCAL, code};
use super::super::fixture::{Desk, day};
use crate::account::AccountKind;
use crate::command::{Command, Query, Reply};
use crate::ids::{CardId, PersonId};
use crate::money::Fen;
use crate::policy::{BenefitPolicy, OnCancel, VisitKind};
use crate::reject::Reject;
use crate::settlement::CredentialShown;
use crate::statement::{Entry, Event, PAGE_ENTRIES, Range};

const DAY_MS: i64 = 86_400_000;

impl Desk {
    pub(in crate::decide) fn page(&self, person: PersonId, range: Range) -> (Vec<Entry>, Option<u64>) {
        match self.ask(Query::Statement { person, range }) {
            Ok(Reply::Statement { entries, next }) => (entries, next),
            other => panic!("a statement was asked for and came {other:?}"),
        }
    }

    /// Every page of the statement of a card's holder.
    pub(in crate::decide) fn statement(&self, card: CardId) -> Vec<Entry> {
        let (mut all, mut range) = (Vec::new(), Range::default());
        loop {
            let (entries, next) = self.page(self.holder(card), range);
            all.extend(entries);
            match next {
                Some(after) => range.after = after,
                None => return all,
            }
        }
    }
}

fn sums(entries: &[Entry]) -> Vec<(i64, i64)> {
    entries.iter().map(|entry| (entry.amount.0, entry.balance.0)).collect()
}

#[test]
fn f9_the_statement_shows_every_debit_with_institution_terminal_card_cryptogram_and_time() {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    desk.credit(card, 250_000, "2026-01");
    let mut debits = Vec::new();
    for (at, kind, drawn) in [(PHARMACY, VisitKind::Pharmacy, 30_000), (LOCAL, VisitKind::Outpatient, 12_345)] {
        desk.now_ms += DAY_MS;
        desk.serve(kind);
        let asked = desk.visit_of(card, bill(kind, "2026-02-01", &medicine("2026-02-01", "1000"), drawn), 100_000);
        debits.push((at, desk.now_ms, desk.settle_visit(asked).unwrap()));
    }
    let entries = desk.statement(card);
    assert_eq!(sums(&entries), [(250_000, 250_000), (-30_000, 220_000), (-12_345, 207_655)]);
    assert_eq!(entries[0].event, Event::Credited { period_key: "2026-01".into() });
    for (entry, (at, stamp_ms, settlement)) in entries[1..].iter().zip(&debits) {
        let Event::Settled(shown) = &entry.event else { panic!("{entry:?}") };
        assert_eq!((entry.institution, entry.stamp_ms), (code(at), *stamp_ms));
        assert_eq!((shown, &*shown.presented.terminal), (settlement, "T1"));
        // A settlement is committed only with a right cryptogram, whose counter it keeps.
        assert!(matches!(shown.presented.credential, CredentialShown::Chip { card: of, atc: 1.., .. } if of == card));
    }
    assert_eq!(entries[2].balance, desk.balance(card));
}

#[test]
fn a_settlement_without_a_draw_is_shown_by_the_limit_that_it_used() {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    desk.visited(card, VisitKind::Pharmacy, "2026-02-01", 100_000);
    let [Entry { amount: Fen(0), balance: Fen(0), event: Event::Settled(settlement), .. }] = &desk.statement(card)[..]
    else {
        panic!("one settlement")
    };
    assert_eq!((settlement.split.bill.total, settlement.split.fund_total()), (Fen(100_000), Fen(55_000)));
}

#[test]
fn what_a_settlement_drew_comes_back_with_its_cancellation_and_later_ones_show_their_difference() {
    let mut desk = Desk::clinic(|policy| BenefitPolicy { on_cancel: OnCancel::Readjudicate, ..policy });
    let card = desk.patient("P1");
    desk.credit(card, 50_000, "2026-01");
    desk.serve(VisitKind::Pharmacy);
    let on = "2026-02-01";
    let asked = desk.visit_of(card, bill(VisitKind::Pharmacy, on, &medicine(on, "9000"), 40_000), 900_000);
    let first = desk.settle_visit(asked).unwrap();
    let later = desk.visited(card, VisitKind::Pharmacy, on, 300_000);
    assert_eq!(later.split.fund_total(), Fen(550_000 - 495_000));
    let cancellation = desk.cancel_visit(first.id).unwrap();
    let entries = desk.statement(card);
    assert_eq!(
        sums(&entries),
        [(50_000, 50_000), (-40_000, 10_000), (0, 10_000), (40_000, 50_000), (0, 50_000), (0, 0)]
    );
    assert_eq!(entries[3].event, Event::Cancelled(cancellation));
    let fund_delta = Fen(165_000 - 55_000);
    assert_eq!(entries[4].event, Event::Adjusted { settlement: later.id, fund_delta });
    let Event::PaidOut { waiting, card: None, .. } = &entries[5].event else { panic!("{:?}", entries[5]) };
    assert_eq!((entries[5].account, *waiting), (AccountKind::Bank, fund_delta));
    assert_eq!((entries[3].sequence, entries[3].sequence), (entries[4].sequence, entries[5].sequence));
}

#[test]
fn a_statement_goes_on_behind_any_decision_and_keeps_to_its_days() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let credits = 2 * PAGE_ENTRIES + 1;
    for n in 0..credits {
        desk.now_ms += DAY_MS / 4;
        let period_key = format!("k{n}").into();
        desk.run(Command::CreditAccount { person, amount: Fen(1), period_key }).unwrap();
    }
    let (first, next) = desk.page(person, Range::default());
    assert_eq!((first.len(), next), (PAGE_ENTRIES, Some(first[PAGE_ENTRIES - 1].sequence)));
    let (second, next) = desk.page(person, Range { after: next.unwrap(), ..Range::default() });
    let (third, end) = desk.page(person, Range { after: next.unwrap(), ..Range::default() });
    assert_eq!((second.len(), third.len(), end), (PAGE_ENTRIES, 1, None));
    assert_eq!(third[0].balance, Fen(i64::try_from(credits).unwrap()));
    // The first credit is of 08:00 + 6 hours: two a day until the day ends at 24:00, then four.
    let days = Range { from: Some(day("2026-03-02")), to: Some(day("2026-03-03")), ..Range::default() };
    let (entries, next) = desk.page(person, days);
    assert_eq!((entries.len(), next, entries[0].balance), (8, None, Fen(3)));
    let exactly = Range { after: third[0].sequence, ..Range::default() };
    assert_eq!(desk.page(person, exactly), (Vec::new(), None));
}

#[test]
fn a_statement_is_of_a_known_person_and_of_days_in_their_order() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    assert_eq!(desk.page(person, Range::default()), (Vec::new(), None));
    let unknown = Query::Statement { person: PersonId(person.0 + 1), range: Range::default() };
    assert_eq!(desk.ask(unknown), Err(Reject::PersonUnknown));
    let range = Range { from: Some(day("2026-03-02")), to: Some(day("2026-03-01")), after: 0 };
    assert_eq!(desk.ask(Query::Statement { person, range }), Err(Reject::malformed("to_date", "is before from_date")));
}
