//! Limits of a year hold over visits of both kinds, and over whatever comes at once.

use crate::accumulator::Accumulators;
use crate::command::Command;
use crate::decide::fixture::Desk;
use crate::decide::fixture::clinic::{bill, medicine, outpatient_year};
use crate::decide::fixture::ward::ward_policy;
use crate::money::Fen;
use crate::policy::{AdmissionRange, Fund, VisitKind};

const TODAY: &str = "2026-03-01";
const KINDS: [VisitKind; 2] = [VisitKind::Outpatient, VisitKind::Pharmacy];

/// F6: of a limit of 5,500.00, 5,450.00 are used. Two claims of 200.00 at 55 % are both quoted the 50.00 that are left,
/// and paid 50.00 together, in either order.
#[test]
fn f6_two_claims_at_once_are_paid_what_is_left_of_the_limit_and_no_more() {
    for order in [[0, 1], [1, 0]] {
        let mut desk = Desk::clinic(|policy| policy);
        let card = desk.patient("P1");
        let mut used = Accumulators { eligible: Fen(990_909), own_burden: Fen(445_909), ..Accumulators::default() };
        used.funds[Fund::Pool] = Fen(545_000);
        let (person, key) = (desk.holder(card), outpatient_year(2026));
        desk.run(Command::OpenYear { person, key, accumulators: used }).unwrap();
        for kind in KINDS {
            desk.serve(kind);
            let quoted = desk.quote_visit(card, bill(kind, TODAY, &medicine(TODAY, "200"), 0)).unwrap();
            assert_eq!(quoted.split.fund_total(), Fen(5_000));
        }
        let paid: Vec<_> =
            order.map(|i| desk.visited(card, KINDS[i], TODAY, 20_000).split.fund_total()).into_iter().collect();
        assert_eq!(paid, [Fen(5_000), Fen::ZERO]);
        let used = desk.used_by_visits(card, 2026);
        assert_eq!((used.funds[Fund::Pool], used.eligible), (Fen(550_000), Fen(990_909 + 40_000)));
    }
}

#[test]
fn stays_and_visits_do_not_use_up_each_other_s_limits() {
    let mut desk = Desk::clinic(|policy| policy);
    let card = desk.patient("P1");
    let stay = desk.settled(card, "2026-01-10", "2026-01-20", "5000");
    let visit = desk.visited(card, VisitKind::Outpatient, TODAY, 1_000_000);
    assert_eq!((stay.split.fund_total(), visit.split.fund_total()), (Fen(352_000), Fen(550_000)));
    let second = desk.settled(card, "2026-02-01", "2026-02-02", "5000");
    assert_eq!(second.split.deductible, Fen(50_000), "the visit was no admission");
    assert_eq!(desk.visited(card, VisitKind::Pharmacy, TODAY, 10_000).split.fund_total(), Fen::ZERO);
}

#[test]
fn a_deductible_of_the_year_is_charged_over_its_visits_and_begins_anew_with_the_year() {
    let mut desk = Desk::clinic(|mut policy| {
        let mut row = ward_policy().deductibles[0].clone();
        (row.admission, row.amount) = (AdmissionRange::parse("1+").unwrap(), Fen(30_000));
        policy.deductibles = vec![row];
        policy.deductible_year_cap = Some(Fen(30_000));
        policy
    });
    let card = desk.patient("P1");
    let mut charged = |kind, on| desk.visited(card, kind, on, 20_000).split.deductible;
    assert_eq!(charged(VisitKind::Outpatient, "2025-12-31"), Fen(20_000));
    assert_eq!(charged(VisitKind::Outpatient, "2026-01-01"), Fen(20_000));
    assert_eq!(charged(VisitKind::Pharmacy, TODAY), Fen(10_000));
    assert_eq!(charged(VisitKind::Outpatient, TODAY), Fen::ZERO);
    assert_eq!(charged(VisitKind::Pharmacy, "2025-12-31"), Fen(10_000));
    assert_eq!(desk.used_by_visits(card, 2025).deductible, Fen(30_000));
}
