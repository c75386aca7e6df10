//! Change of the insured region, as stories.

use super::*;
use crate::account::AccountKind;
use crate::accumulator::Accumulators;
use crate::card::{Channel, Loss, Shown, ZoneKind, ZoneState};
use crate::command::{CardKey, Command, LossSubject};
use crate::decide::fixture::ward::{inpatient_year, ward_policy};
use crate::decide::fixture::{Desk, day, region, spell};
use crate::ids::CardId;
use crate::policy::{BenefitPolicy, InsuranceType};
use crate::stay::StayState;

/// Employee's insurance in the district of 110101 from a day on.
fn to_district(from: &str) -> Spell {
    spell("110101", from)
}

fn transfer(person: PersonId, spell: Spell) -> Command {
    Command::TransferRegion { person, spell }
}

fn ward(on_transfer: OnTransfer) -> (Desk, CardId) {
    let mut desk = Desk::ward(ward_policy());
    let district = BenefitPolicy { region: region("110101"), on_transfer, ..ward_policy() };
    desk.install(9, district);
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-03");
    (desk, card)
}

fn shown(desk: &Desk, card: CardId) -> Shown {
    let card = &desk.hub.cards[card];
    card.insurance.shown(desk.hub.moment(card, desk.now_ms))
}

fn in_books(desk: &Desk, code: &str) -> i128 {
    let account = LedgerAccount::PersonalAccounts(region(code));
    desk.hub.ledger.balances().find(|(of, _)| *of == account).map_or(0, |(_, sum)| sum)
}

#[test]
fn the_old_spell_ends_the_day_before_the_old_card_ends_and_the_balance_goes_along() {
    let (mut desk, card) = ward(OnTransfer::Carry);
    let person = desk.holder(card);
    let waiting = desk.apply_for(person, Some(card)).unwrap();
    let Ok(Reply::Person(shown_person)) = desk.run(transfer(person, to_district("2026-03-01"))) else {
        panic!("moved")
    };
    let after = &desk.hub.persons[person];
    assert_eq!(*shown_person, *after);
    assert_eq!(after.home, region("110101"));
    let spells: Vec<_> = after.documents.spells().iter().map(|spell| (spell.region, spell.to)).collect();
    assert_eq!(spells, [(region("110100"), Some(day("2026-02-28"))), (region("110101"), None)]);
    assert_eq!(after.account.balance, Fen(100_000));
    assert_eq!((in_books(&desk, "110100"), in_books(&desk, "110101")), (0, 100_000));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    for ended in [card, waiting] {
        let (zones, cause) = (ZoneKind::ALL.to_vec(), CancelCause::RegionChanged);
        let fact = Fact::CardCancelled { card: ended, zones, cause };
        assert!(desk.facts.contains(&fact));
        assert_eq!(shown(&desk, ended), Shown::Plain(ZoneState::Cancelled));
    }
    let new = desk.issue(person, Some(card));
    assert_eq!(desk.hub.cards[new].region, region("110101"));
    desk.run(Command::EnableCard { card: new, zone: ZoneKind::Insurance }).expect("the new region's card");
}

#[test]
fn a_card_of_which_one_zone_is_lost_for_ever_ends_with_the_region_and_one_that_is_dead_stays_as_it_is() {
    for zones in [vec![ZoneKind::Insurance], vec![ZoneKind::Bank], ZoneKind::ALL.to_vec()] {
        let (mut desk, card) = ward(OnTransfer::Carry);
        desk.run(Command::EnableCard { card, zone: ZoneKind::Bank }).unwrap();
        let subject = LossSubject::Card(CardKey::Id(card));
        let (loss, channel, verified_by) = (Loss::Formal, Channel::Desk, "clerk 7".into());
        let lost = zones.clone();
        desk.run(Command::ReportLoss { subject, loss, zones, channel, verified_by, holder: None }).unwrap();
        desk.run(transfer(desk.holder(card), to_district("2026-03-01"))).unwrap();
        for zone in ZoneKind::ALL {
            let state = if lost.contains(&zone) { ZoneState::FormalLost } else { ZoneState::Cancelled };
            assert_eq!(desk.hub.cards[card].zone(zone).state, state, "{zone:?} after the loss of {lost:?}");
        }
    }
}

#[test]
fn a_stay_that_is_open_keeps_its_insured_region_and_settles_with_the_new_card() {
    let (mut desk, card) = ward(OnTransfer::Carry);
    let person = desk.holder(card);
    let stay = desk.discharged(card, "2026-02-20", "2026-02-25", "5000");
    desk.run(transfer(person, to_district("2026-03-01"))).unwrap();
    assert_eq!(desk.settle(stay, card, 0), Err(Reject::CardCancelled));
    let new = desk.issue(person, Some(card));
    desk.run(Command::EnableCard { card: new, zone: ZoneKind::Insurance }).unwrap();
    let settled = desk.settle(stay, new, 30_000).expect("what began before is settled");
    assert_eq!(settled.case.insured_region, region("110100"));
    assert_eq!((in_books(&desk, "110100"), in_books(&desk, "110101")), (0, 70_000));
}

#[test]
fn a_cancellation_after_the_change_gives_back_to_where_the_account_is_now() {
    let (mut desk, card) = ward(OnTransfer::Carry);
    let person = desk.holder(card);
    let stay = desk.discharged(card, "2026-02-20", "2026-02-25", "5000");
    let settlement = desk.settle(stay, card, 30_000).unwrap().id;
    desk.run(transfer(person, to_district("2026-03-01"))).unwrap();
    assert_eq!((in_books(&desk, "110100"), in_books(&desk, "110101")), (0, 70_000));
    desk.run(Command::CancelSettlement { settlement }).unwrap();
    assert_eq!(desk.hub.persons[person].account.balance, Fen(100_000));
    assert_eq!((in_books(&desk, "110100"), in_books(&desk, "110101")), (0, 100_000));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    assert_eq!(desk.hub.stays[stay].state, StayState::Discharged);
}

/// The payer has moved since: what it paid comes back to it, and to the books that keep it now.
#[test]
fn a_payer_that_has_moved_gets_back_to_its_new_home_what_it_paid() {
    let (mut desk, payer) = ward(OnTransfer::Carry);
    let child = desk.patient("CHILD");
    let (person, moving) = (desk.holder(child), desk.holder(payer));
    desk.run(Command::LinkFamily { person, payer: moving }).unwrap();
    let stay = desk.discharged(child, "2026-02-20", "2026-02-25", "5000");
    let mut together = desk.settlement(stay, child, 30_000);
    let Command::SettleStay { use_family, .. } = &mut together else { unreachable!("a stay is settled") };
    *use_family = true;
    let Ok(Reply::Settled { settlement, .. }) = desk.run(together) else { panic!("settled") };
    assert_eq!(in_books(&desk, "110100"), 70_000);
    desk.run(transfer(moving, to_district("2026-03-01"))).unwrap();
    assert_eq!((in_books(&desk, "110100"), in_books(&desk, "110101")), (0, 70_000));
    desk.run(Command::CancelSettlement { settlement: settlement.id }).unwrap();
    assert_eq!(desk.hub.persons[moving].account.balance, Fen(100_000));
    assert_eq!((in_books(&desk, "110100"), in_books(&desk, "110101")), (0, 100_000));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
}

#[test]
fn the_online_account_goes_along_and_what_is_in_a_card_stays_where_the_card_was_issued() {
    let (mut desk, card) = ward(OnTransfer::Carry);
    let person = desk.holder(card);
    for (account, amount) in [(AccountKind::Online, 700), (AccountKind::Offline, 40)] {
        desk.run(Command::TopUp { card, account, amount: Fen(amount) }).unwrap();
    }
    desk.run(transfer(person, to_district("2026-03-01"))).unwrap();
    let new = desk.issue(person, Some(card));
    desk.run(Command::EnableCard { card: new, zone: ZoneKind::Insurance }).unwrap();
    let after = &desk.hub.persons[person];
    assert_eq!((after.seldom.online, desk.hub.cards[card].seldom.offline), (Fen(700), Fen(40)));
    let books = desk.books();
    let booked = |account: fn(RegionCode) -> LedgerAccount, code| books.get(&account(region(code))).copied();
    let online = ["110100", "110101"].map(|code| booked(LedgerAccount::OnlineAccounts, code).unwrap_or(0));
    let offline = ["110100", "110101"].map(|code| booked(LedgerAccount::OfflinePurses, code).unwrap_or(0));
    assert_eq!((online, offline), ([0, 700], [40, 0]));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
}

#[test]
fn what_was_used_counts_in_the_new_region_unless_its_package_begins_anew() {
    for (on_transfer, carried) in [(OnTransfer::Carry, true), (OnTransfer::StartAnew, false)] {
        let (mut desk, card) = ward(on_transfer);
        let person = desk.holder(card);
        let stay = desk.discharged(card, "2026-02-20", "2026-02-25", "5000");
        let settlement = desk.settle(stay, card, 0).unwrap().id;
        let used = desk.hub.persons[person].used(inpatient_year(2026));
        assert_ne!(used, Accumulators::default());
        desk.run(transfer(person, to_district("2026-03-01"))).unwrap();
        let expected = if carried { used } else { Accumulators::default() };
        assert_eq!(desk.hub.persons[person].used(inpatient_year(2026)), expected, "{on_transfer:?}");
        desk.run(Command::CancelSettlement { settlement }).unwrap();
        assert_eq!(
            desk.hub.persons[person].used(inpatient_year(2026)),
            Accumulators::default(),
            "taken back once, if it still counts"
        );
    }
}

#[test]
fn a_change_that_cannot_be_is_refused_and_changes_nothing() {
    let (mut desk, card) = ward(OnTransfer::Carry);
    let person = desk.holder(card);
    let resident = Spell { insurance_type: InsuranceType::Resident, ..to_district("2026-03-01") };
    let ended = Spell { status: SpellStatus::Ended, ..to_district("2026-03-01") };
    let wrong = |field: &str, problem: &str| Reject::malformed(format!("new_spell.{field}"), problem);
    let refused = [
        (spell("990000", "2026-03-01"), Reject::RegionUnknown(region("990000"))),
        (spell("310100", "2026-03-01"), Reject::NotHomeOfRegion(region("310100"))),
        (ended, wrong("status", "must be NORMAL")),
        (to_district("2026-03-02"), wrong("from_date", "is in the future")),
        (resident, Reject::NotInsured { day: day("2026-02-28") }),
        (to_district("2010-01-01"), Reject::NotInsured { day: day("2009-12-31") }),
        (spell("110100", "2026-03-01"), wrong("region", "is the insured region already")),
    ];
    let before = desk.hub.clone();
    for (spell, reject) in refused {
        assert_eq!(desk.run(transfer(person, spell)), Err(reject));
    }
    assert_eq!(desk.run(transfer(PersonId(1), to_district("2026-03-01"))), Err(Reject::PersonUnknown));
    assert_eq!(desk.hub, before);
}

#[test]
fn who_changes_a_second_insurance_keeps_account_and_card_at_home() {
    let (mut desk, card) = ward(OnTransfer::Carry);
    let person = desk.holder(card);
    let resident = Spell { insurance_type: InsuranceType::Resident, ..spell("110100", "2010-01-01") };
    let spells = vec![spell("110100", "2010-01-01"), resident.clone()];
    let update = Command::UpdatePerson { person, name: None, certificates: Vec::new(), spells, entitlements: None };
    desk.run(update).unwrap();
    let moved = Spell { region: region("110101"), from: day("2026-03-01"), ..resident };
    desk.run(transfer(person, moved)).unwrap();
    assert_eq!(desk.hub.persons[person].home, region("110100"));
    assert_eq!(shown(&desk, card), Shown::Plain(ZoneState::Enabled));
    assert_eq!(in_books(&desk, "110100"), 100_000);
}
