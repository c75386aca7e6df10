//! Quote and settlement are one calculation; what the institution and the card state must be what the hub holds.

use std::sync::Arc;

use crate::benefit::Split;
use crate::command::{ChipPresentation, Command, Credential, Query, Reply};
use crate::decide::fixture::ward::{DISTANT, NEIGHBOUR, charges, code, discharge, inpatient_year, line, ward_policy};
use crate::decide::fixture::{Desk, day, region};
use crate::fact::Fact;
use crate::ids::{CardId, Hash32, SettlementId, StayId};
use crate::ledger::is_balanced;
use crate::money::Fen;
use crate::policy::{AccountUse, BenefitPolicy, FilingKind};
use crate::reject::Reject;
use crate::stay::StayState;

/// A stay of 5,000.00 that waits for its settlement, its patient with 1,000.00.
fn discharged(policy: BenefitPolicy) -> (Desk, CardId, StayId) {
    let mut desk = Desk::ward(policy);
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
    (desk, card, stay)
}

#[derive(Debug, PartialEq)]
struct Quoted {
    split: Split,
    digest: Hash32,
    clipped: bool,
}

fn quote(desk: &Desk, stay: StayId, account: i64) -> Result<Quoted, Reject> {
    match desk.ask(Query::Quote { stay, account_request: Fen(account), use_family: false })? {
        Reply::Quoted { split, digest, clipped, .. } => Ok(Quoted { split: *split, digest, clipped }),
        other => panic!("a quote was answered with {other:?}"),
    }
}

/// The settlement that names a quote.
fn settle_quoted(desk: &mut Desk, stay: StayId, card: CardId, account: i64, quoted: Hash32) -> Result<Reply, Reject> {
    let mut command = desk.settlement(stay, card, account);
    if let Command::SettleStay { quote, .. } = &mut command {
        *quote = Some(quoted);
    }
    desk.run(command)
}

#[test]
fn a_settlement_is_its_quote_and_the_digest_carries_over() {
    let (mut desk, card, stay) = discharged(ward_policy());
    let quoted = quote(&desk, stay, 60_000).unwrap();
    assert!(!quoted.clipped);
    let Ok(Reply::Settled { settlement, years, .. }) = settle_quoted(&mut desk, stay, card, 60_000, quoted.digest)
    else {
        panic!("settled")
    };
    assert_eq!(settlement.split, quoted.split);
    let split = &settlement.split;
    assert_eq!((split.deductible, split.fund_total(), split.person_part), (Fen(100_000), Fen(352_000), Fen(148_000)));
    assert_eq!((split.account, split.cash), (Fen(60_000), Fen(88_000)));
    assert_eq!((settlement.balance_after, desk.balance(card)), (Fen(40_000), Fen(40_000)));
    assert_eq!(years, [(inpatient_year(2026), desk.used(card, 2026))]);
    assert_eq!(settlement.deltas, years, "the first of the year is all of it");
    assert!(is_balanced(&settlement.legs));
    assert_eq!(desk.facts, [Fact::Settled { settlement: Arc::clone(&settlement) }]);
    let stay = desk.stay(stay);
    assert_eq!((stay.state, stay.settlement), (StayState::Settled, Some(settlement.id)));
    let (rows, totals) = desk.today();
    assert_eq!((rows[0].id, rows[0].cancels, rows.len()), (settlement.id, None, 1));
    assert_eq!((totals.count, totals.total, totals.fund_total), (1, Fen(500_000), Fen(352_000)));
    assert_eq!((totals.account, totals.cash), (Fen(60_000), Fen(88_000)));
}

#[test]
fn a_quote_is_stale_once_anything_that_it_showed_is_different() {
    type Event = fn(&mut Desk, CardId, StayId);
    let filed: Event = |desk, card, _| desk.file(card, FilingKind::LongTerm, "310000", "2026-01-01", None);
    let charged: Event = |desk, _, stay| {
        desk.run(Command::CancelDischarge { stay }).unwrap();
        desk.run(charges(stay, &[line(2, "A1", "1", "0.01", "2026-01-11")])).unwrap();
        desk.run(discharge(stay, "2026-01-20")).unwrap();
    };
    let settled_before: Event = |desk, card, _| drop(desk.settled(card, "2026-02-01", "2026-02-02", "2000"));
    let new_package: Event = |desk, _, _| {
        let effective_from = day("2026-01-20");
        desk.install(9, BenefitPolicy { effective_from, ..ward_policy() });
    };
    let new_catalogue: Event = |desk, _, _| {
        desk.install_catalogue(9, crate::decide::fixture::ward::ward_catalogue("310000", "2026-01-20"));
    };
    let nothing: Event = |_, _, _| ();
    for (name, event, stale) in [
        ("a late filing", filed, true),
        ("another charge", charged, true),
        ("another settlement", settled_before, true),
        ("another package of the same content", new_package, true),
        ("another catalogue of the same content", new_catalogue, true),
        ("nothing", nothing, false),
    ] {
        let mut desk = Desk::ward(ward_policy());
        let card = desk.patient("P1");
        desk.act_as(DISTANT);
        desk.file(card, FilingKind::Transfer, "310000", "2026-01-01", None);
        let stay = desk.discharged(card, "2026-01-10", "2026-01-20", "5000");
        let quoted = quote(&desk, stay, 0).unwrap();
        event(&mut desk, card, stay);
        let before = desk.hub.clone();
        let settled = settle_quoted(&mut desk, stay, card, 0, quoted.digest).map(|_| ());
        assert_eq!(settled, if stale { Err(Reject::QuoteStale) } else { Ok(()) }, "{name}");
        if stale {
            assert_eq!(desk.hub, before);
            let again = quote(&desk, stay, 0).unwrap();
            assert!(settle_quoted(&mut desk, stay, card, 0, again.digest).is_ok(), "{name}");
        }
    }
}

#[test]
fn a_quote_of_another_account_request_or_stay_is_stale_and_none_is_needed() {
    let (mut desk, card, stay) = discharged(ward_policy());
    let other = desk.patient("P2");
    let alike = desk.discharged(other, "2026-01-10", "2026-01-20", "5000");
    for digest in [quote(&desk, stay, 1).unwrap().digest, quote(&desk, alike, 0).unwrap().digest, Hash32::default()] {
        assert_eq!(settle_quoted(&mut desk, stay, card, 0, digest), Err(Reject::QuoteStale));
    }
    assert!(desk.settle(stay, card, 0).is_ok());
}

#[test]
fn a_settlement_draws_exactly_what_was_asked_or_refuses() {
    for (credited, asked, available) in
        [(0, 100_000, None), (0, 100_001, Some(100_000)), (100_000, 148_000, None), (100_000, 148_001, Some(148_000))]
    {
        let (mut desk, card, stay) = discharged(ward_policy());
        if credited > 0 {
            desk.credit(card, credited, "2026-02");
        }
        let balance = desk.balance(card);
        match (desk.settle(stay, card, asked), available) {
            (Ok(settlement), None) => {
                assert_eq!(settlement.split.account, Fen(asked));
                assert_eq!(desk.balance(card), balance - Fen(asked));
            }
            (Err(refused), Some(available)) => {
                let (requested, available) = (Fen(asked), Fen(available));
                assert_eq!(refused, Reject::BalanceInsufficient { requested, available });
                assert_eq!(desk.balance(card), balance);
            }
            (other, _) => panic!("{asked}: {other:?}"),
        }
    }
}

#[test]
fn a_quote_clips_the_request_to_what_can_be_drawn_and_says_so() {
    let (mut desk, card, stay) = discharged(ward_policy());
    let clipped = quote(&desk, stay, 100_001).unwrap();
    assert_eq!((clipped.split.account, clipped.split.cash, clipped.clipped), (Fen(100_000), Fen(48_000), true));
    let exact = quote(&desk, stay, 100_000).unwrap();
    assert_eq!(exact, Quoted { clipped: false, ..clipped });
    let by_both = desk.ask(Query::Quote { stay, account_request: Fen(100_001), use_family: true });
    assert!(matches!(by_both, Ok(Reply::Quoted { clipped: true, .. })), "there is no family account to draw on");
    assert!(settle_quoted(&mut desk, stay, card, 100_000, exact.digest).is_ok());

    let forbidden = BenefitPolicy { account_use: AccountUse::Forbidden, ..ward_policy() };
    let (mut desk, card, stay) = discharged(forbidden);
    assert_eq!(quote(&desk, stay, 1).map(|quoted| (quoted.split.account, quoted.clipped)), Ok((Fen::ZERO, true)));
    let refused = Reject::AccountUseForbidden;
    assert_eq!(desk.settle(stay, card, 1), Err(refused));
    assert!(desk.settle(stay, card, 0).is_ok());
}

#[test]
fn a_total_other_than_the_hub_s_is_refused_with_both_before_the_signed_amount_is_looked_at() {
    let (mut desk, card, stay) = discharged(ward_policy());
    let mut command = desk.settlement(stay, card, 0);
    let Command::SettleStay { total, presentation, .. } = &mut command else { unreachable!("a settlement") };
    *total = Fen(499_999);
    let Credential::Chip(ChipPresentation { amount, .. }) = &mut presentation.credential else { panic!("no chip") };
    *amount = Fen(1);
    assert_eq!(desk.run(command), Err(Reject::TotalMismatch { institution: Fen(499_999), hub: Fen(500_000) }));
}

#[test]
fn an_open_stay_is_quoted_as_if_the_patient_left_today() {
    let (mut desk, card, _) = discharged(ward_policy());
    let stay = desk.admit(card, "2026-02-20").unwrap();
    assert_eq!(quote(&desk, stay, 0), Err(Reject::StayEmpty(stay)));
    desk.run(charges(stay, &[line(1, "A1", "1", "5000", "2026-02-20")])).unwrap();
    desk.install(9, BenefitPolicy { effective_from: day("2026-02-25"), deductibles: Vec::new(), ..ward_policy() });
    let today = quote(&desk, stay, 0).unwrap();
    assert_eq!(today.split.fund_total(), Fen(440_000));
    desk.run(discharge(stay, "2026-02-24")).unwrap();
    assert_eq!(quote(&desk, stay, 0).unwrap().split.fund_total(), Fen(352_000));
}

#[test]
fn a_stay_without_charges_or_without_a_package_is_not_settled() {
    let (mut desk, card, _) = discharged(BenefitPolicy { effective_to: Some(day("2026-02-09")), ..ward_policy() });
    let stay = desk.admit(card, "2026-02-01").unwrap();
    desk.run(discharge(stay, "2026-02-10")).unwrap();
    assert_eq!(desk.settle(stay, card, 0), Err(Reject::StayEmpty(stay)));
    desk.run(Command::CancelDischarge { stay }).unwrap();
    desk.run(charges(stay, &[line(1, "A1", "1", "5000", "2026-02-01")])).unwrap();
    desk.run(discharge(stay, "2026-02-10")).unwrap();
    let uncovered = Reject::PolicyNotInForce { region: region("110100"), day: day("2026-02-10") };
    assert_eq!(desk.settle(stay, card, 0), Err(uncovered.clone()));
    assert_eq!(quote(&desk, stay, 0), Err(uncovered));
}

#[test]
fn a_later_package_changes_nothing_that_was_settled() {
    let (mut desk, card, stay) = discharged(ward_policy());
    let settlement = desk.settle(stay, card, 0).unwrap();
    desk.install(9, BenefitPolicy { effective_from: day("2026-01-01"), deductibles: Vec::new(), ..ward_policy() });
    let Ok(Reply::Settlement(standing)) = desk.ask(Query::GetSettlement(settlement.id)) else { panic!("found") };
    assert_eq!((&standing.settlement, standing.stands()), (&settlement, true));
    assert_eq!(standing.settlement.policies, [(2026, Hash32([1; 32]))]);
    assert_eq!(standing.settlement.catalogue, Hash32([2; 32]));
}

#[test]
fn stays_and_settlements_of_another_institution_are_not_quoted_read_or_listed_except_by_who_may() {
    let (mut desk, card, stay) = discharged(ward_policy());
    let settlement = desk.settled(card, "2026-02-01", "2026-02-02", "2000");
    let own = desk.actor;
    desk.act_as(NEIGHBOUR);
    let forbidden = Reject::NotYourInstitution(code(NEIGHBOUR));
    let foreign = Reject::NotYourInstitution(own.institution);
    let page = crate::command::Page { size: 10, after: None };
    let listed = Query::ListSettlements { day: day("2026-03-01"), institution: Some(own.institution), page };
    let get = Query::GetSettlement(settlement.id);
    assert_eq!(desk.ask(get.clone()), Err(foreign.clone()));
    assert_eq!(desk.ask(Query::Explain(settlement.id)), Err(foreign.clone()));
    assert_eq!(desk.ask(listed.clone()), Err(foreign.clone()));
    assert_eq!(quote(&desk, stay, 0), Err(foreign));
    assert_eq!(quote(&desk, settlement.stay().unwrap(), 0), Err(forbidden.clone()));
    assert_eq!(desk.cancel(settlement.id), Err(forbidden));
    assert_eq!(desk.today().0, []);
    assert_eq!(desk.ask(Query::GetSettlement(SettlementId(5))), Err(Reject::SettlementUnknown(SettlementId(5))));
    desk.actor.roles = 1 << 6;
    assert!(desk.ask(get).is_ok());
    assert!(matches!(desk.ask(listed), Ok(Reply::Settlements { totals, .. }) if totals.count == 1));
}

#[test]
fn pages_of_a_day_join_without_gap_and_carry_the_totals_of_the_whole_day() {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    let ids: Vec<_> = (0..3)
        .map(|week| {
            let (from, to) = (format!("2026-01-{:02}", 1 + 7 * week), format!("2026-01-{:02}", 2 + 7 * week));
            desk.settled(card, &from, &to, "2000").id
        })
        .collect();
    let (mut after, mut read) = (None, Vec::new());
    loop {
        let page = crate::command::Page { size: 2, after };
        let query = Query::ListSettlements { day: day("2026-03-01"), institution: None, page };
        let Ok(Reply::Settlements { rows, totals, next }) = desk.ask(query) else { panic!("rows") };
        assert_eq!((totals.count, totals.total), (3, Fen(600_000)));
        read.extend(rows.iter().map(|row| row.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(read, ids);
}
