//! Quote and settlement of a visit are one calculation; place, lines, totals and card must be right.

use crate::command::{CheckMethod, ChipPresentation, Command, Credential, HolderCheck, Query, Reply};
use crate::decide::fixture::clinic::{PHARMACY, bill, medicine, outpatient_year, visit_policy};
use crate::decide::fixture::ward::{DISTANT, LOCAL, NEIGHBOUR, code, line, refund};
use crate::decide::fixture::{Desk, certificate, day, region};
use crate::fact::Fact;
use crate::hub::{Actor, role};
use crate::ids::{CardId, Hash32, InstitutionCode};
use crate::institution::InstitutionKind;
use crate::ledger::is_balanced;
use crate::money::Fen;
use crate::policy::{BenefitPolicy, Counter, FilingKind, VisitKind};
use crate::reject::Reject;
use crate::stay::MAX_LINES_PER_REQUEST;
use crate::visit::{QuoteVisit, VisitBill, VisitHolder};

const TODAY: &str = "2026-03-01";
const OUTPATIENT: VisitKind = VisitKind::Outpatient;

fn clinic() -> (Desk, CardId) {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    (desk, card)
}

fn visit(yuan: &str) -> VisitBill {
    bill(OUTPATIENT, TODAY, &medicine(TODAY, yuan), 0)
}

/// Every way of asking for this bill is refused alike, and nothing changes.
fn refused(desk: &mut Desk, card: CardId, bill: VisitBill, reject: &Reject) {
    let before = desk.hub.clone();
    assert_eq!(desk.quote_visit(card, bill.clone()), Err(reject.clone()));
    let asked = desk.visit_of(card, bill, 20_000);
    assert_eq!(desk.settle_visit(asked), Err(reject.clone()));
    assert_eq!(desk.hub, before);
}

#[test]
fn a_visit_is_settled_as_it_was_quoted_and_keeps_its_lines() {
    let (mut desk, card) = clinic();
    let lines = [line(7, "A1", "2", "100", TODAY), line(3, "B1", "1", "120", TODAY), line(9, "C1", "1", "50", TODAY)];
    let bill = bill(OUTPATIENT, TODAY, &lines, 10_000);
    let quoted = desk.quote_visit(card, bill.clone()).unwrap();
    // 200.00 of class A, 90.00 of B: 20.00 are over the ceiling and a tenth of the rest comes first; the pool pays 55 %.
    let split = &quoted.split;
    assert_eq!((split.bill.total, split.bill.in_scope), (Fen(37_000), Fen(29_000)));
    assert_eq!(
        (split.bill.over_ceiling, split.bill.first_pay, split.bill.own_pay),
        (Fen(2_000), Fen(1_000), Fen(5_000))
    );
    assert_eq!((split.fund_total(), split.account, split.cash), (Fen(15_950), Fen(10_000), Fen(11_050)));
    assert_eq!((quoted.clipped, quoted.filing), (false, FilingKind::Local));
    let mut asked = desk.visit_of(card, bill, 37_000);
    asked.quote = Some(quoted.digest);
    let settlement = desk.settle_visit(asked).unwrap();
    assert_eq!(settlement.split, quoted.split);
    assert_eq!((settlement.balance_after, desk.balance(card)), (Fen(90_000), Fen(90_000)));
    assert!(is_balanced(&settlement.legs));
    assert_eq!(settlement.deltas, [(outpatient_year(2026), desk.used_by_visits(card, 2026))]);
    let used = desk.used_by_visits(card, 2026);
    assert_eq!((used.admissions, used.eligible, used.account), (0, Fen(29_000), Fen(10_000)));
    assert_eq!(desk.facts, [Fact::Settled { settlement: settlement.clone() }]);
    let kept = settlement.visit().unwrap();
    assert_eq!(kept.lines, quoted.lines);
    assert_eq!(kept.lines.iter().map(|line| line.line.line_id).collect::<Vec<_>>(), [7, 3, 9]);
    assert_eq!((&*kept.department, &*kept.diagnosis, settlement.stay()), ("internal medicine", "J06", None));
    assert!(kept.lines.iter().all(|line| line.catalogue == settlement.catalogue));
    settlement.split.bill.check_lines(kept.lines.iter().map(|line| &line.split)).unwrap();
    assert_eq!(settlement.policies, [(2026, Hash32([11; 32]))]);
}

#[test]
fn a_visit_stands_in_the_day_and_is_read_and_explained() {
    let (mut desk, card) = clinic();
    let settlement = desk.visited(card, OUTPATIENT, TODAY, 20_000);
    let (rows, totals) = desk.today();
    assert_eq!((rows[0].id, rows[0].cancels, totals.count), (settlement.id, None, 1));
    assert_eq!((totals.total, totals.fund_total, totals.cash), (Fen(20_000), Fen(11_000), Fen(9_000)));
    let standing = desk.standing(settlement.id);
    assert_eq!((&standing.settlement, standing.stands()), (&settlement, true));
    let Ok(Reply::Explained { text, .. }) = desk.ask(Query::Explain(settlement.id)) else { panic!("explained") };
    assert!(text[0].contains("of a visit on 2026-03-01, OUTPATIENT"), "{text:?}");
    assert!(text.iter().any(|line| line.starts_with("Line 1: A1, 1 × 200 = 200.00")), "{text:?}");
    let page = crate::command::Page { size: 10, after: None };
    let stays = Query::ListStays { person: None, institution: None, state: None, page };
    assert_eq!(desk.ask(stays), Ok(Reply::Stays { stays: Vec::new(), next: None }));
}

/// A hospital that named the wrong kind of visit was told to ask for another certificate.
#[test]
fn hospitals_settle_outpatient_visits_and_pharmacies_their_own() {
    let (mut desk, card) = clinic();
    let inpatient = Reject::malformed("visit_kind", "a stay is no visit");
    let unoffered = |institution, visit| Reject::VisitNotOffered { institution, visit };
    let (hospital, pharmacy) = (InstitutionKind::Hospital, InstitutionKind::Pharmacy);
    let unknown = "H11010099999";
    for (place, roles, kind, expected) in [
        (LOCAL, role::HOSPITAL, OUTPATIENT, None),
        (PHARMACY, role::PHARMACY, VisitKind::Pharmacy, None),
        (LOCAL, role::HOSPITAL, VisitKind::Inpatient, Some(inpatient)),
        (LOCAL, role::HOSPITAL, VisitKind::Pharmacy, Some(unoffered(hospital, VisitKind::Pharmacy))),
        (PHARMACY, role::PHARMACY, OUTPATIENT, Some(unoffered(pharmacy, OUTPATIENT))),
        (LOCAL, role::PHARMACY, OUTPATIENT, Some(Reject::RoleForbidden)),
        (PHARMACY, role::HOSPITAL, VisitKind::Pharmacy, Some(Reject::RoleForbidden)),
        (LOCAL, role::PHARMACY, VisitKind::Pharmacy, Some(unoffered(hospital, VisitKind::Pharmacy))),
        (PHARMACY, role::HOSPITAL, OUTPATIENT, Some(unoffered(pharmacy, OUTPATIENT))),
        (PHARMACY, role::HUB, OUTPATIENT, Some(unoffered(pharmacy, OUTPATIENT))),
        (unknown, role::HOSPITAL, OUTPATIENT, Some(Reject::InstitutionUnknown(code(unknown)))),
    ] {
        desk.actor = Actor { institution: InstitutionCode::parse(place).unwrap(), roles };
        let bill = VisitBill { kind, ..visit("200") };
        if let Some(reject) = expected {
            refused(&mut desk, card, bill, &reject);
        } else {
            let asked = desk.visit_of(card, bill, 20_000);
            assert_eq!(desk.settle_visit(asked).unwrap().case.visit_kind, kind);
        }
    }
}

#[test]
fn a_visit_needs_insurance_a_network_packages_and_a_day_that_has_come() {
    let (mut desk, card) = clinic();
    let on = |date: &str| bill(OUTPATIENT, date, &medicine(date, "200"), 0);
    let future = Reject::StayDatesWrong { field: "visit_date".into(), problem: "is in the future" };
    refused(&mut desk, card, on("2026-03-02"), &future);
    refused(&mut desk, card, on("2009-12-31"), &Reject::NotInsured { day: day("2009-12-31") });
    let before_catalogue = Reject::CatalogueNotInForce { region: region("110101"), day: day("2024-12-31") };
    refused(&mut desk, card, on("2024-12-31"), &before_catalogue);
    let mut closed = crate::decide::fixture::institution(LOCAL, "110101");
    closed.networked = false;
    desk.run(Command::RegisterInstitution { institution: closed }).unwrap();
    refused(&mut desk, card, visit("200"), &Reject::InstitutionNotNetworked);

    let mut desk = Desk::clinic(|policy| BenefitPolicy { effective_from: day("2026-03-01"), ..policy });
    let card = desk.patient("P1");
    let missing = Reject::PolicyNotInForce { region: region("110100"), day: day("2026-02-28") };
    refused(&mut desk, card, on("2026-02-28"), &missing);
}

#[test]
fn lines_are_refused_with_their_ids_or_their_paths() {
    let (mut desk, card) = clinic();
    let good = line(1, "A1", "1", "200", TODAY);
    let with = |other| vec![good.clone(), other];
    let path = |field: &str, problem: &str| Reject::malformed(format!("lines[1].{field}"), problem);
    let mut early = good.clone();
    early.date = day("2026-02-28");
    early.line_id = 2;
    let wrong_day = Reject::StayDatesWrong { field: "lines[1].date".into(), problem: "is not the day of the visit" };
    let huge = line(2, "A1", "900000", "9999999999", TODAY);
    let many: Vec<_> = (1..=MAX_LINES_PER_REQUEST as u64 + 1).map(|id| line(id, "A1", "1", "1", TODAY)).collect();
    let too_many = Reject::TooLarge { what: "lines", limit: MAX_LINES_PER_REQUEST, size: MAX_LINES_PER_REQUEST + 1 };
    for (lines, reject) in [
        (Vec::new(), Reject::malformed("lines", "at least one is needed")),
        (many, too_many),
        (with(refund(2, &good, "-1")), path("takes_back_line_id", "a visit has nothing to take back")),
        (with(line(2, "A1", "-1", "200", TODAY)), path("quantity", "must be positive")),
        (with(line(2, "A1", "0", "200", TODAY)), path("quantity", "must be positive")),
        (with(early), wrong_day),
        (with(good.clone()), Reject::LineDuplicate { lines: vec![1] }),
        (with(line(2, "X1", "1", "200", TODAY)), Reject::ItemUnknown { lines: vec![2] }),
        (with(huge), Reject::AmountTooLarge { field: "lines[1]".into() }),
    ] {
        refused(&mut desk, card, bill(OUTPATIENT, TODAY, &lines, 0), &reject);
    }
    let mut other_total = visit("200");
    other_total.lines[0].1 = Some(Fen(19_999));
    refused(&mut desk, card, other_total, &Reject::LineTotalMismatch { lines: vec![1] });
}

#[test]
fn a_total_other_than_the_hub_s_is_refused_with_both_before_the_signed_amount_is_looked_at() {
    let (mut desk, card) = clinic();
    let asked = desk.visit_of(card, visit("200"), 19_999);
    assert_eq!(desk.settle_visit(asked), Err(Reject::TotalMismatch { institution: Fen(19_999), hub: Fen(20_000) }));
    let mut asked = desk.visit_of(card, visit("200"), 20_000);
    let Credential::Chip(ChipPresentation { amount, .. }) = &mut asked.presentation.credential else { panic!("chip") };
    *amount = Fen(1);
    let mismatch = Reject::AmountMismatch { field: "amount_fen", signed: Fen(1), expected: Fen(20_000) };
    assert_eq!(desk.settle_visit(asked), Err(mismatch));
}

#[test]
fn an_account_is_drawn_exactly_or_the_visit_is_not_settled() {
    let (mut desk, card) = clinic();
    let dear = || bill(OUTPATIENT, TODAY, &medicine(TODAY, "5000"), 100_001);
    let quoted = desk.quote_visit(card, dear()).unwrap();
    assert_eq!((quoted.split.account, quoted.clipped), (Fen(100_000), true));
    let asked = desk.visit_of(card, dear(), 500_000);
    let missing = Reject::BalanceInsufficient { requested: Fen(100_001), available: Fen(100_000) };
    assert_eq!(desk.settle_visit(asked), Err(missing));
}

#[test]
fn a_quote_is_stale_once_a_line_or_the_year_is_different() {
    let (mut desk, card) = clinic();
    let quoted = desk.quote_visit(card, visit("200")).unwrap().digest;
    let mut renumbered = visit("200");
    renumbered.lines[0].0.line_id = 2;
    let mut asked = desk.visit_of(card, renumbered, 20_000);
    asked.quote = Some(quoted);
    assert_eq!(desk.settle_visit(asked), Err(Reject::QuoteStale));
    desk.visited(card, OUTPATIENT, TODAY, 990_909);
    let mut asked = desk.visit_of(card, visit("200"), 20_000);
    asked.quote = Some(quoted);
    assert_eq!(desk.settle_visit(asked.clone()), Err(Reject::QuoteStale));
    asked.quote = Some(desk.quote_visit(card, visit("200")).unwrap().digest);
    assert!(desk.settle_visit(asked).is_ok());
}

#[test]
fn a_quote_by_certificate_is_the_quote_by_card() {
    let (desk, card) = clinic();
    let by_card = desk.quote_visit(card, visit("200")).unwrap();
    let ask = |passport| {
        let holder = VisitHolder::Certificate(certificate(passport));
        desk.ask(Query::QuoteVisit(Box::new(QuoteVisit { holder, bill: visit("200") })))
    };
    let Ok(Reply::Quoted { split, digest, .. }) = ask("P1") else { panic!("quoted") };
    assert_eq!((*split, digest), (by_card.split, by_card.digest));
    assert_eq!(ask("P9"), Err(Reject::PersonUnknown));
}

#[test]
fn the_first_use_of_a_collected_card_at_a_verified_holder_enables_it_with_the_settlement() {
    let (mut desk, _) = clinic();
    let person = desk.enrol("P2");
    let card = desk.issue(person, None);
    let mut asked = desk.visit_of(card, visit("200"), 20_000);
    assert_eq!(desk.settle_visit(asked.clone()), Err(Reject::HolderNotVerified));
    asked.holder_check = HolderCheck::by(CheckMethod::Photo);
    let settlement = desk.settle_visit(asked.clone()).unwrap();
    let [Fact::CardEnabled { by_first_use: true, .. }, Fact::Settled { settlement: settled }] = &desk.facts[..] else {
        panic!("{:?}", desk.facts)
    };
    assert_eq!(*settled, settlement);
    let Credential::Chip(chip) = &asked.presentation.credential else { panic!("chip") };
    assert_eq!(desk.settle_visit(asked.clone()), Err(Reject::CryptogramReplayed { atc: chip.atc }));
}

#[test]
fn visits_elsewhere_go_by_what_was_filed_by_their_day() {
    let (mut desk, card) = clinic();
    desk.act_as(DISTANT);
    refused(&mut desk, card, visit("200"), &Reject::FilingMissing);
    // What is filed today is no leave for a visit of yesterday: it had no course in which to file.
    desk.file(card, FilingKind::LongTerm, "310000", TODAY, None);
    let yesterday = bill(OUTPATIENT, "2026-02-28", &medicine("2026-02-28", "200"), 0);
    refused(&mut desk, card, yesterday, &Reject::FilingMissing);
    assert_eq!(desk.quote_visit(card, visit("200")).unwrap().filing, FilingKind::LongTerm);
    desk.act_as(NEIGHBOUR);
    refused(&mut desk, card, visit("200"), &Reject::FilingMissing);
    desk.act_as(LOCAL);
    assert_eq!(desk.quote_visit(card, visit("200")).unwrap().filing, FilingKind::LongTermAtHome);
}

#[test]
fn the_package_of_the_kind_and_of_the_day_applies_and_may_count_elsewhere() {
    let (mut desk, card) = clinic();
    let mut pharmacy = visit_policy(VisitKind::Pharmacy);
    pharmacy.layers[0].bands[0].rate_bp = 3_000;
    desk.install(21, BenefitPolicy { effective_from: day("2026-02-01"), ..pharmacy });
    let inpatient = Some(Counter::Inpatient);
    let dialysis = BenefitPolicy { counter: inpatient, effective_from: day("2026-03-01"), ..visit_policy(OUTPATIENT) };
    desk.install(22, dialysis);
    let purchase = desk.visited(card, VisitKind::Pharmacy, TODAY, 10_000);
    assert_eq!(purchase.split.fund_total(), Fen(3_000));
    let purchase = desk.visited(card, VisitKind::Pharmacy, "2026-01-31", 10_000);
    assert_eq!(purchase.split.fund_total(), Fen(5_500));
    desk.visited(card, OUTPATIENT, TODAY, 10_000);
    assert_eq!((desk.used(card, 2026).eligible, desk.used(card, 2026).admissions), (Fen(10_000), 0));
    assert_eq!(desk.used_by_visits(card, 2026).eligible, Fen(20_000));
}
