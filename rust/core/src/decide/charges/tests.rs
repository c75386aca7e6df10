//! What a bill becomes, line by line: splits, refunds, revocations, and refusals that name every bad line.

use super::*;
use crate::catalogue::Item;
use crate::command::Command;
use crate::decide::fixture::ward::{charges, item, line, refund, ward_catalogue, ward_policy};
use crate::decide::fixture::{Desk, day, region};
use crate::money::UnitPrice;
use crate::policy::InsuranceType;

/// A stay since 2026-01-10 that has no charges.
fn admitted() -> (Desk, StayId) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    let stay = desk.admit(card, "2026-01-10").unwrap();
    (desk, stay)
}

/// `B1` on the second day: 10 % first pay, 100.00 at most.
fn b1(id: u64, quantity: &str, price: &str) -> ChargeLine {
    line(id, "B1", quantity, price, "2026-01-11")
}

fn a1(id: u64, quantity: &str, price: &str) -> ChargeLine {
    line(id, "A1", quantity, price, "2026-01-11")
}

fn revoke_of(stay: StayId, line_ids: &[u64]) -> Command {
    Command::RevokeCharges { stay, line_ids: line_ids.to_vec() }
}

fn split(total: i64, own_pay: i64, over_ceiling: i64, first_pay: i64, in_scope: i64) -> LineSplit {
    LineSplit {
        total: Fen(total),
        own_pay: Fen(own_pay),
        over_ceiling: Fen(over_ceiling),
        first_pay: Fen(first_pay),
        in_scope: Fen(in_scope),
    }
}

/// I8 over whatever the stay holds.
fn assert_sum_of_lines(desk: &Desk, stay: StayId) {
    let stay = desk.stay(stay);
    stay.sum.check_lines(stay.lines.values().map(|line| &line.split)).unwrap();
    stay.sum.check().unwrap();
}

#[test]
fn each_line_is_split_on_its_own_terms_and_the_stay_is_their_sum() {
    let (mut desk, stay) = admitted();
    let lines = [b1(3, "3", "120"), a1(1, "1.5", "10.01"), line(2, "C1", "2", "7", "2026-01-12")];
    let Ok(Reply::ChargesAdded { lines, sum }) = desk.run(charges(stay, &lines)) else { panic!("added") };
    let splits: Vec<_> = lines.iter().map(|line| (line.line.line_id, line.split)).collect();
    let b1 = split(36_000, 0, 6_000, 3_000, 27_000);
    assert_eq!(splits, [(3, b1), (1, split(1_502, 0, 0, 0, 1_502)), (2, split(1_400, 1_400, 0, 0, 0))]);
    assert_eq!(sum, split(38_902, 1_400, 6_000, 3_000, 28_502));
    assert_eq!(desk.stay(stay).sum, sum);
    assert_sum_of_lines(&desk, stay);
}

#[test]
fn own_expense_and_an_unmet_restriction_are_wholly_the_person_s() {
    let (mut desk, stay) = admitted();
    let own = ChargeLine { own_expense: true, ..line(1, "unlisted", "1", "30", "2026-01-11") };
    let unmet = ChargeLine { restriction_met: Some(false), ..b1(2, "1", "50") };
    let met = ChargeLine { restriction_met: Some(true), ..b1(3, "1", "50") };
    let Ok(Reply::ChargesAdded { lines, .. }) = desk.run(charges(stay, &[own.clone(), unmet.clone(), met])) else {
        panic!("added")
    };
    let splits: Vec<_> = lines.iter().map(|line| line.split).collect();
    assert_eq!(splits, [split(3_000, 3_000, 0, 0, 0), split(5_000, 5_000, 0, 0, 0), split(5_000, 0, 0, 500, 4_500)]);
    desk.run(charges(stay, &[refund(4, &own, "-1"), refund(5, &unmet, "-1")])).unwrap();
    assert_eq!(desk.stay(stay).sum, split(5_000, 0, 0, 500, 4_500));
    let unmet_and_unknown = ChargeLine { item_code: "X1".into(), line_id: 6, ..unmet };
    assert_eq!(desk.run(charges(stay, &[unmet_and_unknown])), Err(Reject::ItemUnknown { lines: vec![6] }));
}

#[test]
fn nothing_is_added_while_a_line_is_bad_and_every_bad_line_is_named() {
    let (mut desk, stay) = admitted();
    desk.run(charges(stay, &[a1(1, "2", "10"), a1(2, "2", "10"), refund(3, &a1(1, "2", "10"), "-1")])).unwrap();
    let before = desk.hub.clone();
    let unknown = |id| line(id, "X1", "1", "10", "2026-01-11");
    let base = a1(1, "2", "10");
    let of_nothing = |id| refund(id, &a1(99, "1", "10"), "-1");
    let too_much = |id| refund(id, &base, "-2");
    let other_price = |id| ChargeLine { unit_price: UnitPrice::parse("11").unwrap(), ..refund(id, &base, "-1") };
    let other_item = |id| ChargeLine { item_code: "B1".into(), ..refund(id, &base, "-1") };
    for (lines, reject) in [
        (vec![a1(5, "1", "1"), unknown(6), a1(7, "1", "1"), unknown(8)], Reject::ItemUnknown { lines: vec![6, 8] }),
        (vec![unknown(6), refund(7, &unknown(6), "-1")], Reject::ItemUnknown { lines: vec![6] }),
        (
            vec![a1(1, "1", "1"), a1(5, "1", "1"), a1(5, "1", "1"), unknown(6)],
            Reject::LineDuplicate { lines: vec![1, 5] },
        ),
        (
            vec![of_nothing(5), too_much(6), refund(7, &refund(3, &base, "-1"), "-1")],
            Reject::LineUnknown { lines: vec![5, 7] },
        ),
        (
            vec![too_much(5), other_price(6), other_item(7), refund(8, &base, "-1"), refund(9, &base, "-0.0001")],
            Reject::RefundExceeds { lines: vec![5, 6, 7, 9] },
        ),
    ] {
        assert_eq!(desk.run(charges(stay, &lines)), Err(reject));
    }
    assert_eq!(desk.hub, before);
}

#[test]
fn the_institution_s_own_amount_of_a_line_is_checked() {
    let (mut desk, stay) = admitted();
    let add = |amounts: [Option<i64>; 3]| {
        let lines = (1..).zip(amounts).map(|(id, amount)| (a1(id, "1.5", "10.01"), amount.map(Fen))).collect();
        Command::AddCharges { stay, lines }
    };
    let mismatch = Err(Reject::LineTotalMismatch { lines: vec![1, 3] });
    assert_eq!(desk.run(add([Some(1_501), Some(1_502), Some(1_503)])), mismatch);
    assert!(desk.run(add([Some(1_502), None, Some(1_502)])).is_ok());
}

#[test]
fn a_line_is_dated_between_the_admission_and_today_under_a_catalogue() {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    let stay = desk.admit(card, "2024-12-31").unwrap();
    for (on, problem) in [("2024-12-30", "is before the admission"), ("2026-03-02", "is in the future")] {
        let good = line(1, "A1", "1", "1", "2026-02-01");
        let late = ChargeLine { own_expense: true, ..line(2, "A1", "1", "1", on) };
        let refused = desk.run(charges(stay, &[good, late]));
        let wrong = Reject::StayDatesWrong { field: "lines[1].date".into(), problem };
        assert_eq!(refused, Err(wrong), "{on}");
    }
    let uncovered = Reject::CatalogueNotInForce { region: region("110101"), day: day("2024-12-31") };
    assert_eq!(desk.run(charges(stay, &[line(1, "A1", "1", "1", "2024-12-31")])), Err(uncovered));
}

#[test]
fn a_request_without_sense_or_beyond_its_bounds_is_refused_with_the_path() {
    let (mut desk, stay) = admitted();
    let malformed = |field: &str, problem: &str| Err(Reject::malformed(field, problem));
    assert_eq!(desk.run(charges(stay, &[])), malformed("lines", "at least one is needed"));
    let first = a1(1, "1", "1");
    for quantity in ["0", "-1"] {
        let refused = desk.run(charges(stay, &[first.clone(), a1(2, quantity, "1")]));
        assert_eq!(refused, malformed("lines[1].quantity", "must be positive, or take a line back"));
    }
    let refused = desk.run(charges(stay, &[first.clone(), refund(2, &first, "1")]));
    assert_eq!(refused, malformed("lines[1].quantity", "must be negative where a line is taken back"));
    let too_large = |i| Err(Reject::AmountTooLarge { field: format!("lines[{i}]") });
    assert_eq!(desk.run(charges(stay, &[first.clone(), a1(2, "1", "100000000.01")])), too_large(1));
    assert_eq!(desk.run(charges(stay, &[a1(2, "1", "100000000"), first])), too_large(1));
    let lines: Vec<_> = (1..=1_001).map(|id| a1(id, "1", "1")).collect();
    let refused = Err(Reject::TooLarge { what: "lines", limit: MAX_LINES_PER_REQUEST, size: 1_001 });
    assert_eq!(desk.run(charges(stay, &lines)), refused);
    for request in 0..20 {
        let lines: Vec<_> = (1..=1_000).map(|id| a1(request * 1_000 + id, "1", "1")).collect();
        desk.run(charges(stay, &lines)).unwrap();
    }
    assert_eq!(desk.run(charges(stay, &[a1(20_001, "1", "1")])), Err(Reject::StayTooLong));
}

#[test]
fn an_item_of_class_b_without_ratio_for_the_insurance_has_no_rule() {
    let (mut desk, stay) = admitted();
    let mut b2 = item("B2", ItemClass::B);
    b2.first_pay_bp[InsuranceType::Resident as usize] = Some(1_000);
    let base = ward_catalogue("110101", "2025-01-01");
    let items: Vec<Item> = [b2].into_iter().chain(base.items().iter().cloned()).collect();
    let order = base.ceiling_order;
    desk.install_catalogue(9, crate::catalogue::Catalogue::new(base.region, base.effective_from, None, order, items));
    let refused = desk.run(charges(stay, &[line(1, "B2", "1", "1", "2026-01-11")]));
    assert!(matches!(refused, Err(Reject::NoRule { what }) if what.starts_with("B2: ")));
}

#[test]
fn taking_a_line_back_piece_by_piece_leaves_nothing_of_it() {
    let (mut desk, stay) = admitted();
    // Thirds of a fen: each piece alone would round to another sum.
    let billed = b1(1, "3", "100.006667");
    desk.run(charges(stay, std::slice::from_ref(&billed))).unwrap();
    for id in 2..=4 {
        desk.run(charges(stay, &[refund(id, &billed, "-1")])).unwrap();
        assert_sum_of_lines(&desk, stay);
    }
    assert_eq!(desk.stay(stay).sum, LineSplit::default());
    assert_eq!(desk.stay(stay).lines[&1].left, Quantity::ZERO);
    let refused = desk.run(charges(stay, &[refund(5, &billed, "-0.0001")]));
    assert_eq!(refused, Err(Reject::RefundExceeds { lines: vec![5] }));
}

#[test]
fn a_line_can_be_taken_back_in_the_request_that_bills_it_but_not_twice() {
    let (mut desk, stay) = admitted();
    let billed = a1(1, "2", "10");
    let twice = [billed.clone(), refund(2, &billed, "-2"), refund(3, &billed, "-2")];
    assert_eq!(desk.run(charges(stay, &twice)), Err(Reject::RefundExceeds { lines: vec![3] }));
    let before = [refund(2, &billed, "-1"), billed.clone()];
    assert_eq!(desk.run(charges(stay, &before)), Err(Reject::LineUnknown { lines: vec![2] }));
    desk.run(charges(stay, &[billed.clone(), refund(2, &billed, "-1.5"), refund(3, &billed, "-0.5")])).unwrap();
    assert_eq!(desk.stay(stay).sum, LineSplit::default());
    let lines: Vec<_> = desk.stay(stay).lines.values().map(|line| (line.ordinal, line.left)).collect();
    assert_eq!(lines, [(0, Quantity::ZERO), (1, Quantity::ZERO), (2, Quantity::ZERO)]);
}

#[test]
fn revoking_undoes_lines_refunds_before_what_they_take_back_and_the_latest_first() {
    let (mut desk, stay) = admitted();
    let billed = b1(1, "3", "100.006667");
    desk.run(charges(stay, &[billed.clone(), a1(2, "1", "10")])).unwrap();
    let whole = desk.stay(stay);
    desk.run(charges(stay, &[refund(10, &billed, "-1")])).unwrap();
    let once = desk.stay(stay);
    // The later refund has the smaller id: order is that of coming, not of numbers.
    desk.run(charges(stay, &[refund(5, &billed, "-2")])).unwrap();
    let before = desk.hub.clone();
    for (revoked, held) in [(vec![1], vec![1]), (vec![10], vec![10]), (vec![1, 5], vec![1]), (vec![10, 1], vec![10, 1])]
    {
        assert_eq!(desk.run(revoke_of(stay, &revoked)), Err(Reject::LineTakenBack { lines: held }));
    }
    assert_eq!(desk.run(revoke_of(stay, &[5, 7, 8])), Err(Reject::LineUnknown { lines: vec![7, 8] }));
    assert_eq!(desk.hub, before);
    desk.run(revoke_of(stay, &[5, 5])).unwrap();
    assert_eq!((&desk.stay(stay).lines, desk.stay(stay).sum), (&once.lines, once.sum));
    desk.run(revoke_of(stay, &[10])).unwrap();
    assert_eq!((&desk.stay(stay).lines, desk.stay(stay).sum), (&whole.lines, whole.sum));
    assert_sum_of_lines(&desk, stay);
    desk.run(charges(stay, &[refund(10, &billed, "-1"), refund(5, &billed, "-2")])).unwrap();
    let Ok(Reply::ChargesRevoked { count: 3, sum }) = desk.run(revoke_of(stay, &[1, 5, 10])) else { panic!("revoked") };
    assert_eq!(sum, split(1_000, 0, 0, 0, 1_000));
}

#[test]
fn revoking_without_naming_lines_revokes_all_and_their_ids_are_free_again() {
    let (mut desk, stay) = admitted();
    let billed = a1(1, "2", "10");
    desk.run(charges(stay, &[billed.clone(), refund(2, &billed, "-1"), a1(3, "1", "5")])).unwrap();
    let revoked = Reply::ChargesRevoked { count: 3, sum: LineSplit::default() };
    assert_eq!(desk.run(revoke_of(stay, &[])), Ok(revoked));
    assert!(desk.stay(stay).lines.is_empty());
    assert!(desk.run(charges(stay, &[a1(3, "1", "5")])).is_ok());
}

#[test]
fn the_catalogue_of_the_line_s_day_decides_and_refunds_keep_to_that_of_the_line() {
    let (mut desk, stay) = admitted();
    let (early, late) = (line(1, "A1", "1", "10", "2026-01-14"), line(2, "A1", "1", "10", "2026-01-15"));
    desk.run(charges(stay, std::slice::from_ref(&early))).unwrap();
    let base = ward_catalogue("110000", "2026-01-15");
    let items = vec![item("A1", ItemClass::C)];
    let changed = crate::catalogue::Catalogue::new(base.region, base.effective_from, None, base.ceiling_order, items);
    desk.install_catalogue(4, changed);
    desk.run(charges(stay, std::slice::from_ref(&late))).unwrap();
    let also_early = ChargeLine { line_id: 3, ..early.clone() };
    desk.run(charges(stay, &[also_early])).unwrap();
    let lines = desk.stay(stay).lines.clone();
    let versions: Vec<_> = lines.values().map(|line| (line.class, line.catalogue.0[0])).collect();
    assert_eq!(versions, [(ItemClass::A, 2), (ItemClass::C, 4), (ItemClass::A, 2)]);
    let taken_back = ChargeLine { date: day("2026-01-20"), ..refund(4, &early, "-1") };
    desk.run(charges(stay, &[taken_back])).unwrap();
    let taken_back = &desk.stay(stay).lines[&4];
    assert_eq!((taken_back.split, taken_back.catalogue.0[0]), (split(-1_000, 0, 0, 0, -1_000), 2));
    desk.install_catalogue(5, ward_catalogue("110100", "2026-01-01"));
    desk.run(charges(stay, &[ChargeLine { line_id: 5, ..late }])).unwrap();
    assert_eq!(desk.stay(stay).lines[&5].catalogue.0[0], 5, "the most specific region's catalogue goes first");
}
