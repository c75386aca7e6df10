//! The theft that the project grew from, taken back: balance and limits, each in its own year, and claims on those who did not check.

use std::sync::Arc;

use crate::card::ZoneKind;
use crate::command::{Command, Page, Query, Reply, UnwindRequest};
use crate::decide::fixture::clinic::{PHARMACY, bill, medicine, outpatient_year};
use crate::decide::fixture::ward::{LOCAL, NEIGHBOUR, code};
use crate::decide::fixture::{Desk, certificate, day};
use crate::fact::Fact;
use crate::fraud::{ClaimFilter, MAX_REVERSED, Unwind, UnwindScope};
use crate::hub::Hub;
use crate::ids::{CardId, Hash32, SettlementId};
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::policy::{Fund, InsuranceType, VisitKind};
use crate::reject::Reject;
use crate::settlement::Settlement;

/// Noon of a day in UTC, in the evening of which the business day is the same.
fn noon(on: &str) -> i64 {
    i64::from(day(on).days()) * 86_400_000 + 12 * 3_600_000
}

/// A visit on a day, drawing so much from the account.
fn visit(desk: &mut Desk, card: CardId, at: VisitKind, on: &str, fen: i64, account: i64) -> Arc<Settlement> {
    desk.now_ms = noon(on);
    desk.serve(at);
    let yuan = format!("{}.{:02}", fen / 100, fen % 100);
    let asked = desk.visit_of(card, bill(at, on, &medicine(on, &yuan), account), fen);
    desk.settle_visit(asked).unwrap()
}

struct Robbed {
    desk: Desk,
    card: CardId,
    thefts: [Arc<Settlement>; 2],
    own: [Arc<Settlement>; 2],
}

/// Across a new year the thief uses up most of one year's limit and some of the next, and the holder's own visits are cut.
fn robbed() -> Robbed {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    desk.credit(card, 250_000, "2026-01");
    let in_december = visit(&mut desk, card, VisitKind::Outpatient, "2026-12-20", 800_000, 100_000);
    let cut = visit(&mut desk, card, VisitKind::Outpatient, "2026-12-28", 300_000, 0);
    let in_january = visit(&mut desk, card, VisitKind::Pharmacy, "2027-01-05", 100_000, 45_000);
    let cut_again = visit(&mut desk, card, VisitKind::Outpatient, "2027-01-10", 1_100_000, 0);
    assert_eq!(in_december.split.fund_total(), Fen(440_000));
    assert_eq!(cut.split.fund_total(), Fen(110_000), "of 1,650.00: the thief left no more of the limit");
    assert_eq!(cut_again.split.fund_total(), Fen(495_000), "of 6,050.00 to the limit of 5,500.00");
    desk.now_ms = noon("2027-02-01");
    Robbed { desk, card, thefts: [in_december, in_january], own: [cut, cut_again] }
}

impl Robbed {
    fn scope(&self) -> UnwindScope {
        let excluded = self.own.iter().map(|own| own.id).collect();
        UnwindScope {
            card: self.card,
            since_ms: noon("2026-12-20"),
            until_ms: None,
            excluded,
            excluded_stays: Vec::new(),
        }
    }
}

fn asked(scope: UnwindScope) -> UnwindRequest {
    UnwindRequest { scope, case_number: "F-2027-1".into(), second_approver: "director".into(), preview: None }
}

fn preview(desk: &Desk, scope: UnwindScope) -> Result<Hash32, Reject> {
    match desk.ask(Query::PreviewUnwind(Box::new(scope)))? {
        Reply::UnwindPreviewed { digest, .. } => Ok(digest),
        other => panic!("a preview was answered with {other:?}"),
    }
}

fn unwind(desk: &mut Desk, asked: UnwindRequest) -> Result<Arc<Unwind>, Reject> {
    match desk.run(Command::Unwind(asked))? {
        Reply::Unwound { unwind, .. } => Ok(unwind),
        other => panic!("an unwind was answered with {other:?}"),
    }
}

fn claims(desk: &Desk, filter: ClaimFilter) -> Vec<(SettlementId, Fen, Fen)> {
    let page = Page { size: 500, after: None };
    let Ok(Reply::Claims { claims, next: None }) = desk.ask(Query::ListClaims { filter, page }) else {
        panic!("claims were asked for")
    };
    let row = |reversal: &crate::fraud::Reversal| {
        (reversal.settlement, reversal.fund, reversal.account + reversal.family_total())
    };
    claims.iter().map(|claim| row(claim.reversal())).collect()
}

fn pool() -> LedgerAccount {
    let region = crate::decide::fixture::region("110100");
    LedgerAccount::Fund { region, insurance_type: InsuranceType::Employee, fund: Fund::Pool }
}

#[test]
fn f7_everything_the_thief_settled_is_reversed_in_one_call_each_in_its_own_year() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let Robbed { desk, card, thefts, .. } = &mut robbed;
    assert_eq!(desk.balance(*card), Fen(105_000));
    let unwound = unwind(desk, asked(scope)).unwrap();
    let [Fact::Unwound { .. }, paid @ ..] = &desk.facts[..] else { panic!("{:?}", desk.facts) };
    assert!(paid.iter().all(|fact| matches!(fact, Fact::PayOutMade { .. })), "one fact, and what it gives the holder");
    assert_eq!(unwound.reversals.iter().map(|r| r.settlement).collect::<Vec<_>>(), thefts.each_ref().map(|t| t.id));
    assert_eq!(desk.balance(*card), Fen(250_000));
    for (year, pool) in [(2026, 165_000), (2027, 550_000)] {
        assert_eq!(desk.used_by_visits(*card, year).funds[Fund::Pool], Fen(pool), "{year}");
    }
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    let mut replayed = Hub::new(desk.hub.number(), 7);
    desk.journal.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed, desk.hub);
}

#[test]
fn f8_a_genuine_claim_that_was_cut_gets_the_difference() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let Robbed { desk, card, own, .. } = &mut robbed;
    let pool_before = desk.books()[&pool()];
    let unwound = unwind(desk, asked(scope)).unwrap();
    let deltas: Vec<_> = unwound.adjustments.iter().map(|a| (a.settlement, a.fund_delta)).collect();
    assert_eq!(deltas, [(own[0].id, Fen(55_000)), (own[1].id, Fen(55_000))]);
    let standing = desk.standing(own[0].id);
    assert_eq!(standing.split().fund_total(), Fen(165_000), "as if there had been no thief");
    assert_eq!((standing.split().account, standing.split().cash), (Fen::ZERO, Fen(190_000)), "as it was paid");
    // She has no bank zone yet, so what she gets waits for one.
    let home = crate::decide::fixture::region("110100");
    let waits = |desk: &Desk| desk.books().get(&LedgerAccount::PayoutsWaiting(home)).copied().unwrap_or_default();
    assert_eq!(waits(desk), 110_000);
    desk.run(Command::EnableCard { card: *card, zone: ZoneKind::Bank }).unwrap();
    assert_eq!((waits(desk), desk.books()[&LedgerAccount::BankPayouts(home)]), (0, 110_000));
    let restored = 440_000 + 55_000;
    assert_eq!(desk.books()[&pool()], pool_before + restored - 110_000);
}

#[test]
fn f10_every_unwound_debit_is_a_claim_on_the_institution_that_did_not_check() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let Robbed { desk, thefts, .. } = &mut robbed;
    let cash = |desk: &Desk| desk.books()[&LedgerAccount::Cash(code(LOCAL))];
    let earned = |desk: &Desk| desk.books()[&LedgerAccount::Institution(code(LOCAL))];
    let before = (cash(desk), earned(desk));
    unwind(desk, asked(scope)).unwrap();
    let hospital = (thefts[0].id, Fen(440_000), Fen(100_000));
    let pharmacy = (thefts[1].id, Fen(55_000), Fen(45_000));
    assert_eq!(claims(desk, ClaimFilter::default()), [hospital, pharmacy]);
    let on = |place: &str| ClaimFilter { institution: Some(code(place)), case_number: None };
    assert_eq!(claims(desk, on(PHARMACY)), [pharmacy]);
    assert_eq!(claims(desk, on(NEIGHBOUR)), []);
    let of = |case: &str| ClaimFilter { institution: None, case_number: Some(case.into()) };
    assert_eq!((claims(desk, of("F-2027-1")).len(), claims(desk, of("F-2027-2")).len()), (2, 0));
    assert_eq!(desk.books()[&LedgerAccount::Claims(code(LOCAL))], -540_000);
    assert_eq!((cash(desk), earned(desk)), before, "the thief's cash is nobody's credit");
}

#[test]
fn what_was_unwound_is_neither_unwound_nor_cancelled_again() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let Robbed { desk, thefts, .. } = &mut robbed;
    unwind(desk, asked(scope.clone())).unwrap();
    let before = desk.hub.clone();
    assert_eq!(unwind(desk, asked(scope)), Err(Reject::NothingToUnwind));
    desk.serve(VisitKind::Outpatient);
    assert!(matches!(desk.cancel_visit(thefts[0].id), Err(Reject::AlreadyCancelled { .. })));
    assert_eq!(desk.hub, before);
    assert!(!desk.standing(thefts[0].id).stands());
}

#[test]
fn an_unwind_that_would_differ_from_its_preview_is_refused() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let Robbed { desk, card, .. } = &mut robbed;
    let approved = preview(desk, scope.clone()).unwrap();
    let with = |preview| UnwindRequest { preview: Some(preview), ..asked(scope.clone()) };
    visit(desk, *card, VisitKind::Outpatient, "2027-02-02", 10_000, 0);
    assert_eq!(unwind(desk, with(approved)), Err(Reject::QuoteStale));
    let narrower = UnwindScope { until_ms: Some(noon("2027-02-01")), ..scope.clone() };
    let approved = preview(desk, narrower.clone()).unwrap();
    desk.now_ms += 60_000;
    let request = UnwindRequest { preview: Some(approved), ..asked(narrower) };
    assert!(unwind(desk, request).is_ok(), "time alone changes nothing");
}

type Change = fn(&mut UnwindRequest, i64);

#[test]
fn an_unwind_that_contradicts_itself_is_refused_with_the_field() {
    let robbed = robbed();
    let now_ms = robbed.desk.now_ms;
    let cases: [(Change, &str); 7] = [
        (|asked, now_ms| asked.scope.since_ms = now_ms + 1, "scope.since_ms"),
        (|asked, now_ms| asked.scope.until_ms = Some(now_ms + 1), "scope.until_ms"),
        (|asked, _| asked.scope.until_ms = Some(asked.scope.since_ms - 1), "scope.until_ms"),
        (|asked, _| asked.second_approver = "clerk".into(), "second_approver"),
        // One person took back a victim's own visits alone, by writing her name in capitals the second time.
        (|asked, _| asked.second_approver = "ClerK".into(), "second_approver"),
        (|asked, _| asked.scope.excluded.push(SettlementId(9)), "scope.excluded_settlement_ids[2]"),
        (|asked, _| asked.scope.excluded.push(asked.scope.excluded[0]), "scope.excluded_settlement_ids[2]"),
    ];
    for (change, expected) in cases {
        let mut desk = self::robbed().desk;
        let mut request = asked(robbed.scope());
        change(&mut request, now_ms);
        let before = desk.hub.clone();
        let Err(Reject::Malformed { field, .. }) = unwind(&mut desk, request) else { panic!("{expected}") };
        assert_eq!(field, expected);
        assert_eq!(desk.hub, before);
    }
    let mut desk = robbed.desk;
    let unknown =
        UnwindScope { card: CardId(9), since_ms: 0, until_ms: None, excluded: Vec::new(), excluded_stays: Vec::new() };
    assert_eq!(unwind(&mut desk, asked(unknown)), Err(Reject::CardUnknown));
    let before_it_all = UnwindScope {
        until_ms: Some(1),
        since_ms: 0,
        excluded: Vec::new(),
        excluded_stays: Vec::new(),
        card: robbed.card,
    };
    assert_eq!(unwind(&mut desk, asked(before_it_all)), Err(Reject::NothingToUnwind));
}

#[test]
fn more_than_one_decision_holds_is_refused_whole() {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    for _ in 0..=MAX_REVERSED {
        desk.visited(card, VisitKind::Outpatient, "2026-02-20", 100);
    }
    let scope = UnwindScope { card, since_ms: 0, until_ms: None, excluded: Vec::new(), excluded_stays: Vec::new() };
    let before = desk.hub.clone();
    let too_large = Reject::UnwindTooLarge { limit: MAX_REVERSED };
    assert_eq!(unwind(&mut desk, asked(scope)), Err(too_large));
    assert_eq!(desk.hub, before);
}

#[test]
fn a_stay_of_the_thief_is_void_and_stands_in_nobody_s_way() {
    let mut robbed = robbed();
    let Robbed { desk, card, .. } = &mut robbed;
    desk.serve(VisitKind::Outpatient);
    let stolen = desk.settled(*card, "2027-01-11", "2027-01-20", "5000");
    let stay = stolen.stay().unwrap();
    assert!(matches!(desk.admit(*card, "2027-01-15"), Err(Reject::StayOverlaps { .. })));
    let scope = UnwindScope {
        card: *card,
        since_ms: stolen.stamp_ms,
        until_ms: None,
        excluded: Vec::new(),
        excluded_stays: Vec::new(),
    };
    let unwound = unwind(desk, asked(scope)).unwrap();
    assert_eq!(unwound.reversals[0].stay, Some(stay));
    assert_eq!(desk.state(stay), crate::stay::StayState::Void);
    assert_eq!(desk.used(*card, 2027).admissions, 0);
    assert!(desk.admit(*card, "2027-01-15").is_ok());
}

#[test]
fn the_family_gets_back_what_the_thief_drew_from_it() {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    let payer_card = desk.patient("P2");
    let (person, payer) = (desk.holder(card), desk.holder(payer_card));
    desk.credit(card, 1_000, "2026-01");
    desk.credit(payer_card, 90_000, "2026-01");
    desk.run(Command::LinkFamily { person, payer }).unwrap();
    for on in ["2026-12-20", "2026-12-21"] {
        desk.now_ms = noon(on);
        desk.serve(VisitKind::Outpatient);
        let account = if on == "2026-12-20" { 21_000 } else { 20_000 };
        let mut bill = bill(VisitKind::Outpatient, on, &medicine(on, "1000"), account);
        bill.use_family = true;
        let asked = desk.visit_of(card, bill, 100_000);
        desk.settle_visit(asked).unwrap();
    }
    assert_eq!((desk.balance(card), desk.balance(payer_card)), (Fen(0), Fen(50_000)));
    let scope = UnwindScope {
        card,
        since_ms: noon("2026-12-20"),
        until_ms: None,
        excluded: Vec::new(),
        excluded_stays: Vec::new(),
    };
    let unwound = unwind(&mut desk, asked(scope)).unwrap();
    assert_eq!((desk.balance(card), desk.balance(payer_card)), (Fen(1_000), Fen(90_000)));
    assert_eq!(unwound.sum(crate::fraud::Reversal::family_total), Fen(40_000));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    assert_eq!(desk.hub.persons[person].used(outpatient_year(2026)), crate::accumulator::Accumulators::default());
    assert!(desk.hub.person_named(&certificate("P2")).is_some());
}

fn balance_of(desk: &Desk, account: fn(crate::ids::RegionCode) -> LedgerAccount) -> i128 {
    desk.books().get(&account(crate::decide::fixture::region("110100"))).copied().unwrap_or_default()
}

/// A second look shows that a visit thought the holder's own was the thief's too; what it was given by the first unwind goes with it.
fn unwind_again(robbed: &mut Robbed) -> Arc<Unwind> {
    let scope = UnwindScope { excluded: vec![robbed.own[1].id], ..robbed.scope() };
    unwind(&mut robbed.desk, asked(scope)).unwrap()
}

/// 550.00 of a thief's visit waited for a bank zone, and were paid when one came into use after the visit had been taken back.
#[test]
fn what_waits_on_a_settlement_is_not_paid_once_it_is_taken_back_from_the_thief() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    unwind(&mut robbed.desk, asked(scope)).unwrap();
    assert_eq!(balance_of(&robbed.desk, LedgerAccount::PayoutsWaiting), 110_000);
    unwind_again(&mut robbed);
    assert_eq!(balance_of(&robbed.desk, LedgerAccount::PayoutsWaiting), 55_000, "of the visit that is the holder's");
    assert_eq!(balance_of(&robbed.desk, LedgerAccount::PersonSettlement), 0, "nothing was paid, so nothing is owed");
    robbed.desk.run(Command::EnableCard { card: robbed.card, zone: ZoneKind::Bank }).unwrap();
    assert_eq!(balance_of(&robbed.desk, LedgerAccount::BankPayouts), 55_000);
}

/// 550.00 had been paid to the bank on a visit that was then taken back: it was owed, and nobody was told.
#[test]
fn what_was_paid_on_a_settlement_is_told_as_owed_once_it_is_taken_back_from_the_thief() {
    let mut robbed = robbed();
    robbed.desk.run(Command::EnableCard { card: robbed.card, zone: ZoneKind::Bank }).unwrap();
    let scope = robbed.scope();
    unwind(&mut robbed.desk, asked(scope)).unwrap();
    assert_eq!(balance_of(&robbed.desk, LedgerAccount::BankPayouts), 110_000);
    let unwound = unwind_again(&mut robbed);
    let told: Vec<_> = unwound.adjustments.iter().map(|a| (a.settlement, a.fund_delta, a.legs.len())).collect();
    assert_eq!(told, [(robbed.own[0].id, Fen(-55_000), 0)]);
    assert_eq!(balance_of(&robbed.desk, LedgerAccount::PersonSettlement), -55_000);
    let report = crate::explain::unwind(&unwound, "clerk 7").join("\n");
    let owed = format!("On settlement {} 550.00 had been paid out to the person, who owes them", robbed.own[0].id);
    assert!(report.contains(&owed), "{report}");
    let of_settlement = crate::explain::text(&robbed.desk.standing(robbed.own[0].id)).join("\n");
    assert!(of_settlement.contains(&owed), "{of_settlement}");
}

/// The victim was kept out of hospital by a bed that the thief had taken with her card and never paid for.
#[test]
fn a_stay_that_the_thief_began_and_never_settled_is_void_with_the_rest() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let Robbed { desk, card, .. } = &mut robbed;
    desk.act_as(NEIGHBOUR);
    let bed = desk.admit(*card, "2027-01-20").unwrap();
    desk.act_as(LOCAL);
    assert!(matches!(desk.admit(*card, "2027-01-25"), Err(Reject::StayOverlaps { .. })));
    let Ok(Reply::UnwindPreviewed { unwind: shown, .. }) = desk.ask(Query::PreviewUnwind(Box::new(scope.clone())))
    else {
        panic!("a preview was asked for")
    };
    let unwound = unwind(desk, asked(scope)).unwrap();
    assert_eq!(unwound.voided.iter().map(|voided| voided.stay).collect::<Vec<_>>(), [bed]);
    assert_eq!(shown.voided, unwound.voided);
    let report = crate::explain::unwind(&unwound, "clerk 7").join("\n");
    let told = format!("Stay {bed} at {NEIGHBOUR}, begun on 2027-01-20 and never settled, is void.");
    assert!(report.contains(&told), "{report}");
    desk.act_as(NEIGHBOUR);
    assert_eq!(desk.state(bed), crate::stay::StayState::Void);
    desk.act_as(LOCAL);
    assert!(desk.admit(*card, "2027-01-25").is_ok());
}

#[test]
fn a_stay_of_the_holder_is_left_alone_where_it_is_named_or_began_at_another_time() {
    let mut robbed = robbed();
    let Robbed { desk, card, .. } = &mut robbed;
    desk.serve(VisitKind::Outpatient);
    let bed = desk.discharged(*card, "2027-01-20", "2027-01-22", "5000");
    let of = |since_ms, excluded_stays| UnwindScope {
        card: *card,
        since_ms,
        until_ms: None,
        excluded: Vec::new(),
        excluded_stays,
    };
    assert_eq!(unwind(desk, asked(of(desk.now_ms, vec![bed]))), Err(Reject::NothingToUnwind));
    let Err(Reject::Malformed { field, .. }) = unwind(desk, asked(of(desk.now_ms, vec![crate::ids::StayId(9)]))) else {
        panic!("no such stay")
    };
    assert_eq!(field, "scope.excluded_stay_ids[0]");
    desk.now_ms += 60_000;
    assert_eq!(unwind(desk, asked(of(desk.now_ms, Vec::new()))), Err(Reject::NothingToUnwind));
    assert!(
        unwind(desk, asked(of(desk.now_ms - 60_000, Vec::new()))).unwrap().reversals.is_empty(),
        "a bed alone is enough"
    );
    assert_eq!(desk.state(bed), crate::stay::StayState::Void);
}

#[test]
fn the_report_explains_every_fen() {
    let mut robbed = robbed();
    let scope = robbed.scope();
    let unwound = unwind(&mut robbed.desk, asked(scope)).unwrap();
    let text = crate::explain::unwind(&unwound, "clerk 7");
    let report = text.join("\n");
    for told in [
        "of case F-2027-1",
        "from 2026-12-20 20:00:00 to 2027-02-01 20:00:00",
        "asked for by clerk 7 and approved by director",
        "funds 4400.00, account 1000.00; 5400.00 is claimed there",
        "Year 2026 (OUTPATIENT): 8000.00 eligible and 4400.00 of the limit are free again",
        "was the holder's own and stays",
        "the insured place pays out to the person 550.00",
        "In all 4950.00 come back to the funds, 1450.00 to the holder's account; 6400.00 are claimed",
    ] {
        assert!(report.contains(told), "{told:?} is not in\n{report}");
    }
}
