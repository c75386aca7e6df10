//! Which filing counts for a stay away from home, and what it costs not to have one.

use crate::command::Command;
use crate::decide::fixture::ward::{DISTANT, LOCAL, NEIGHBOUR, charges, discharge, line, ward_policy};
use crate::decide::fixture::{Desk, region};
use crate::ids::{CardId, StayId};
use crate::money::Fen;
use crate::policy::{Adjustment, BenefitPolicy, FilingAdjustment, FilingKind, Mode, Scope, Unfiled};
use crate::reject::Reject;
use crate::stay::AdmissionKind;

/// The filing and the fund's share of a stay of 5,000.00, of which 4,000.00 are above the deductible.
type Settled = Result<(FilingKind, i64), Reject>;

fn ward(hospital: &str, policy: BenefitPolicy) -> (Desk, CardId) {
    let mut desk = Desk::ward(policy);
    let card = desk.patient("P1");
    desk.act_as(hospital);
    (desk, card)
}

/// 2026-01-10 to 2026-01-20, waiting for its settlement.
fn stay(desk: &mut Desk, card: CardId, kind: AdmissionKind) -> StayId {
    let Command::Admit { presentation, holder_check, admission, department, diagnosis, .. } =
        desk.admission(card, "2026-01-10")
    else {
        unreachable!("an admission")
    };
    desk.run(Command::Admit { presentation, holder_check, admission, kind, department, diagnosis }).unwrap();
    let stay = StayId(desk.hub.number().id(desk.hub.sequence()));
    desk.run(charges(stay, &[line(1, "A1", "1", "5000", "2026-01-10")])).unwrap();
    desk.run(discharge(stay, "2026-01-20")).unwrap();
    stay
}

fn settle(desk: &mut Desk, stay: StayId, card: CardId) -> Settled {
    let settlement = desk.settle(stay, card, 0)?;
    Ok((settlement.case.filing, settlement.split.fund_total().0))
}

fn reduced() -> BenefitPolicy {
    let unfiled_adjustment = Some(Adjustment { mode: Mode::Points, value_bp: 3_000 });
    BenefitPolicy { unfiled: Unfiled::Reduced, unfiled_adjustment, ..ward_policy() }
}

#[test]
fn the_most_favourable_filing_that_was_made_counts() {
    use FilingKind::{Emergency, LongTerm, OtherTemporary, Transfer};
    for (filed, kind, expected) in [
        (vec![Transfer], AdmissionKind::Planned, (Transfer, 312_000)),
        (vec![OtherTemporary], AdmissionKind::Planned, (OtherTemporary, 272_000)),
        (vec![LongTerm], AdmissionKind::Planned, (LongTerm, 352_000)),
        (vec![OtherTemporary, Transfer], AdmissionKind::Planned, (Transfer, 312_000)),
        (vec![Transfer, OtherTemporary, LongTerm], AdmissionKind::Emergency, (LongTerm, 352_000)),
        (vec![OtherTemporary], AdmissionKind::Emergency, (Emergency, 312_000)),
        (vec![], AdmissionKind::Emergency, (Emergency, 312_000)),
    ] {
        let (mut desk, card) = ward(DISTANT, ward_policy());
        for filing in &filed {
            desk.file(card, *filing, "310000", "2026-01-01", None);
        }
        let stay = stay(&mut desk, card, kind);
        assert_eq!(settle(&mut desk, stay, card), Ok(expected), "{filed:?} {kind:?}");
    }
}

#[test]
fn without_a_filing_the_package_reduces_or_refuses_and_a_late_filing_helps() {
    let (mut desk, card) = ward(DISTANT, ward_policy());
    let waiting = stay(&mut desk, card, AdmissionKind::Planned);
    assert_eq!(settle(&mut desk, waiting, card), Err(Reject::FilingMissing));
    desk.file(card, FilingKind::Transfer, "310000", "2026-01-10", None);
    assert_eq!(settle(&mut desk, waiting, card), Ok((FilingKind::Transfer, 312_000)));

    let (mut desk, card) = ward(DISTANT, reduced());
    let waiting = stay(&mut desk, card, AdmissionKind::Planned);
    assert_eq!(settle(&mut desk, waiting, card), Ok((FilingKind::Unfiled, 232_000)));
}

#[test]
fn a_filing_made_during_the_stay_or_before_its_settlement_counts_from_the_admission() {
    for (from, counts) in [("2026-01-15", true), ("2026-03-01", true), ("2026-03-02", false)] {
        let (mut desk, card) = ward(DISTANT, ward_policy());
        let waiting = stay(&mut desk, card, AdmissionKind::Planned);
        desk.file(card, FilingKind::Transfer, "310000", from, None);
        let expected = if counts { Ok((FilingKind::Transfer, 312_000)) } else { Err(Reject::FilingMissing) };
        assert_eq!(settle(&mut desk, waiting, card), expected, "{from}");
    }
}

#[test]
fn a_filing_made_before_is_valid_on_the_day_of_admission_whenever_it_ends() {
    for (from, to, counts) in [
        ("2026-01-10", Some("2026-01-10"), true),
        ("2026-01-01", Some("2026-01-15"), true),
        ("2026-01-01", Some("2026-01-09"), false),
        ("2026-01-11", None, false),
    ] {
        for late in [false, true] {
            let (mut desk, card) = ward(DISTANT, ward_policy());
            let file = |desk: &mut Desk| desk.file(card, FilingKind::Transfer, "310000", from, to);
            if !late {
                file(&mut desk);
            }
            let waiting = stay(&mut desk, card, AdmissionKind::Planned);
            if late {
                file(&mut desk);
            }
            let counts = counts || (late && from == "2026-01-11");
            let expected = if counts { Ok((FilingKind::Transfer, 312_000)) } else { Err(Reject::FilingMissing) };
            assert_eq!(settle(&mut desk, waiting, card), expected, "{from} {to:?} late: {late}");
        }
    }
}

#[test]
fn a_destination_covers_what_lies_below_it_and_nothing_else() {
    for (destination, counts) in [("310000", true), ("310100", true), ("110200", false)] {
        let (mut desk, card) = ward(DISTANT, ward_policy());
        desk.file(card, FilingKind::LongTerm, destination, "2026-01-01", None);
        let stay = stay(&mut desk, card, AdmissionKind::Planned);
        let expected = if counts { Ok((FilingKind::LongTerm, 352_000)) } else { Err(Reject::FilingMissing) };
        assert_eq!(settle(&mut desk, stay, card), expected, "{destination}");
    }
}

#[test]
fn a_withdrawn_filing_permits_nothing() {
    let (mut desk, card) = ward(DISTANT, ward_policy());
    desk.file(card, FilingKind::LongTerm, "310000", "2026-01-01", None);
    let stay = stay(&mut desk, card, AdmissionKind::Planned);
    let person = desk.holder(card);
    let filing = desk.hub.persons[person].seldom.filings[0].id;
    desk.run(Command::WithdrawFiling { person, filing }).unwrap();
    assert_eq!(settle(&mut desk, stay, card), Err(Reject::FilingMissing));
}

#[test]
fn care_in_the_own_pool_is_local_and_that_of_a_person_filed_elsewhere_long_term_at_home() {
    for (filed, to, expected) in [
        (FilingKind::LongTerm, None, FilingKind::LongTermAtHome),
        (FilingKind::LongTerm, Some("2026-01-09"), FilingKind::Local),
        (FilingKind::Transfer, None, FilingKind::Local),
    ] {
        let (mut desk, card) = ward(LOCAL, ward_policy());
        desk.file(card, filed, "310000", "2026-01-01", to);
        let stay = stay(&mut desk, card, AdmissionKind::Planned);
        let settlement = desk.settle(stay, card, 0).unwrap();
        assert_eq!((settlement.case.filing, settlement.case.scope), (expected, None), "{filed:?} {to:?}");
        assert_eq!(settlement.split.fund_total(), Fen(352_000));
    }
}

#[test]
fn an_adjustment_may_tell_the_own_province_from_others() {
    for (hospital, destination, expected, scope) in
        [(NEIGHBOUR, "110200", 332_000, Scope::InProvince), (DISTANT, "310100", 312_000, Scope::CrossProvince)]
    {
        let mut policy = ward_policy();
        let near = Adjustment { mode: Mode::Points, value_bp: 500 };
        for row in &mut policy.filing_adjustments {
            row.scope = Some(Scope::CrossProvince);
        }
        let (kind, scope_of_row) = (FilingKind::Transfer, Some(Scope::InProvince));
        policy.filing_adjustments.push(FilingAdjustment { kind, scope: scope_of_row, adjustment: near });
        let (mut desk, card) = ward(hospital, policy);
        desk.file(card, FilingKind::Transfer, destination, "2026-01-01", None);
        let stay = stay(&mut desk, card, AdmissionKind::Planned);
        let settlement = desk.settle(stay, card, 0).unwrap();
        assert_eq!((settlement.split.fund_total(), settlement.case.scope), (Fen(expected), Some(scope)));
        assert_eq!(settlement.case.insured_region, region("110100"));
    }
}
