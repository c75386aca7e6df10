//! Whose account pays, in which order, where it is booked, and to whom it comes back.

use std::sync::Arc;

use crate::command::{Command, Query, Reply, ReversalEffect};
use crate::decide::fixture::clinic::{bill, medicine};
use crate::decide::fixture::ward::{charges, discharge, line, ward_policy};
use crate::decide::fixture::{Desk, enrolment, region, spell};
use crate::ids::{CardId, HubNumber, IDS_PER_HUB, PersonId, RequestId};
use crate::ledger::{LedgerAccount, Leg};
use crate::money::Fen;
use crate::policy::{AccountUse, BenefitPolicy, VisitKind};
use crate::reject::Reject;
use crate::settlement::{FamilyDraw, Settlement};

const ON: &str = "2026-02-01";

/// A child without money, and the cards of two parents who hold this much and pay in this order.
fn family(mother: i64, father: i64) -> (Desk, CardId, [CardId; 2]) {
    let mut desk = Desk::clinic(|policy| policy);
    let child = desk.patient("CHILD");
    let parents = [("MOTHER", mother), ("FATHER", father)].map(|(name, amount)| {
        let card = desk.patient(name);
        if amount > 0 {
            desk.credit(card, amount, "2026-01");
        }
        desk.link(child, card).unwrap();
        card
    });
    (desk, child, parents)
}

impl Desk {
    fn link(&mut self, person: CardId, payer: CardId) -> Result<Reply, Reject> {
        let (person, payer) = (self.holder(person), self.holder(payer));
        self.run(Command::LinkFamily { person, payer })
    }

    fn unlink(&mut self, person: CardId, payer: CardId) -> Result<Reply, Reject> {
        let (person, payer) = (self.holder(person), self.holder(payer));
        self.run(Command::UnlinkFamily { person, payer })
    }

    /// A visit for 1,000.00 of which the pool pays 550.00, drawing so much from the accounts of the family.
    fn visit_together(&mut self, card: CardId, account: i64) -> Result<Arc<Settlement>, Reject> {
        self.serve(VisitKind::Pharmacy);
        let mut bill = bill(VisitKind::Pharmacy, ON, &medicine(ON, "1000"), account);
        bill.use_family = true;
        let asked = self.visit_of(card, bill, 100_000);
        self.settle_visit(asked)
    }
}

fn draws(desk: &Desk, settled: &[FamilyDraw]) -> Vec<(PersonId, i64, i64)> {
    assert!(settled.iter().all(|draw| desk.hub.persons.contains_key(draw.payer)));
    settled.iter().map(|draw| (draw.payer, draw.amount.0, draw.balance_after.0)).collect()
}

#[test]
fn the_own_account_pays_first_then_the_payers_in_the_order_of_linking() {
    let (mut desk, child, [mother, father]) = family(10_000, 20_000);
    desk.credit(child, 5_000, "2026-01");
    let settlement = desk.visit_together(child, 22_000).unwrap();
    assert_eq!((settlement.split.account, settlement.split.family), (Fen(22_000), Fen(17_000)));
    assert_eq!(settlement.split.cash, Fen(45_000 - 22_000));
    let expected = vec![(desk.holder(mother), 10_000, 0), (desk.holder(father), 7_000, 13_000)];
    assert_eq!(draws(&desk, &settlement.family), expected);
    assert_eq!([child, mother, father].map(|card| desk.balance(card)), [Fen(0), Fen(0), Fen(13_000)]);
    assert_eq!(desk.used_by_visits(child, 2026).account, Fen(5_000), "what the family paid is not the child's use");
    assert_eq!(desk.used_by_visits(mother, 2026), crate::accumulator::Accumulators::default());
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
}

#[test]
fn the_recorded_bill_with_a_family_account_is_settled_to_the_fen() {
    let mut desk = Desk::ward(ward_policy());
    let (card, payer) = (desk.patient("P1"), desk.patient("P2"));
    desk.credit(card, 250_000, "2026-01");
    desk.credit(payer, 100_000, "2026-01");
    desk.link(card, payer).unwrap();
    let stay = desk.admit(card, "2026-01-10").unwrap();
    let on = "2026-01-11";
    let lines = [line(1, "A1", "1", "18000", on), line(2, "B1", "40", "100", on), line(3, "C1", "1", "3000", on)];
    desk.run(charges(stay, &lines)).unwrap();
    desk.run(discharge(stay, "2026-01-20")).unwrap();
    let quote = Query::Quote { stay, account_request: Fen(687_200), use_family: true };
    let Ok(Reply::Quoted { split, clipped: true, .. }) = desk.ask(quote) else { panic!("a clipped quote") };
    let mut command = desk.settlement(stay, card, 350_000);
    if let Command::SettleStay { use_family, .. } = &mut command {
        *use_family = true;
    }
    let Ok(Reply::Settled { settlement, .. }) = desk.run(command) else { panic!("settled") };
    assert_eq!(settlement.split, *split);
    assert_eq!((split.fund_total(), split.person_part), (Fen(1_812_800), Fen(687_200)));
    assert_eq!((split.account, split.family, split.cash), (Fen(350_000), Fen(100_000), Fen(337_200)));
    assert_eq!((settlement.balance_after, desk.balance(payer)), (Fen::ZERO, Fen::ZERO));
}

#[test]
fn a_payer_without_money_is_passed_over_and_more_than_all_hold_is_refused() {
    let (mut desk, child, [mother, father]) = family(0, 3_000);
    let refused = desk.visit_together(child, 3_001);
    assert_eq!(refused, Err(Reject::BalanceInsufficient { requested: Fen(3_001), available: Fen(3_000) }));
    let settlement = desk.visit_together(child, 3_000).unwrap();
    assert_eq!(draws(&desk, &settlement.family), [(desk.holder(father), 3_000, 0)]);
    assert_eq!([mother, father].map(|card| desk.balance(card)), [Fen(0), Fen(0)]);
}

#[test]
fn nobody_pays_for_another_unasked_or_against_the_package() {
    let (mut desk, child, [mother, _]) = family(10_000, 0);
    let asked = desk.visit_of(child, bill(VisitKind::Pharmacy, ON, &medicine(ON, "1000"), 1), 100_000);
    desk.serve(VisitKind::Pharmacy);
    assert_eq!(desk.settle_visit(asked), Err(Reject::BalanceInsufficient { requested: Fen(1), available: Fen(0) }));
    let mut strict = Desk::clinic(|policy| BenefitPolicy { family_use: AccountUse::Forbidden, ..policy });
    let (child, payer) = (strict.patient("CHILD"), strict.patient("MOTHER"));
    strict.credit(payer, 10_000, "2026-01");
    strict.link(child, payer).unwrap();
    let refused = strict.visit_together(child, 1);
    assert_eq!(refused, Err(Reject::BalanceInsufficient { requested: Fen(1), available: Fen(0) }));
    assert_eq!(desk.balance(mother), Fen(10_000));
}

#[test]
fn each_payer_gets_back_what_it_paid_also_after_the_link_ended() {
    let (mut desk, child, [mother, father]) = family(10_000, 20_000);
    let books = desk.books();
    let settlement = desk.visit_together(child, 15_000).unwrap();
    desk.unlink(child, mother).unwrap();
    desk.credit(mother, 1_000, "2026-02");
    let short = desk.visit_together(child, 20_000);
    assert_eq!(short, Err(Reject::BalanceInsufficient { requested: Fen(20_000), available: Fen(15_000) }));
    let cancellation = desk.cancel_visit(settlement.id).unwrap();
    let expected = vec![(desk.holder(mother), 10_000, 11_000), (desk.holder(father), 5_000, 20_000)];
    assert_eq!(draws(&desk, &cancellation.family), expected);
    assert_eq!([child, mother, father].map(|card| desk.balance(card)), [Fen(0), Fen(11_000), Fen(20_000)]);
    assert_eq!(desk.books().len(), books.len());
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
}

#[test]
fn a_reversal_gives_back_to_each_payer_too() {
    let (mut desk, child, [mother, father]) = family(10_000, 20_000);
    desk.visit_together(child, 15_000).unwrap();
    let request_id = RequestId::parse(&format!("r-{}", desk.hub.sequence() - 1)).unwrap();
    let reply = desk.run(Command::Reverse { request_id });
    assert!(matches!(reply, Ok(Reply::Reversed(ReversalEffect::Undone { cancellation: Some(_) }))), "{reply:?}");
    assert_eq!([mother, father].map(|card| desk.balance(card)), [Fen(10_000), Fen(20_000)]);
}

#[test]
fn each_payers_part_is_booked_where_its_account_is_kept() {
    let (mut desk, child, _) = family(0, 0);
    let Command::EnrollPerson { name, sex, birth_date, certificates, entitlements, .. } = enrolment("AUNT") else {
        unreachable!()
    };
    let spells = vec![spell("110101", "2010-01-01")];
    let aunt = Command::EnrollPerson { name, sex, birth_date, certificates, spells, entitlements };
    let Ok(Reply::PersonEnrolled(payer)) = desk.run(aunt) else { panic!("enrolled") };
    let home = desk.hub.persons[payer].home;
    assert_eq!(home, region("110101"));
    desk.run(Command::CreditAccount { person: payer, amount: Fen(9_000), period_key: "2026-01".into() }).unwrap();
    let person = desk.holder(child);
    desk.run(Command::LinkFamily { person, payer }).unwrap();
    let settlement = desk.visit_together(child, 4_000).unwrap();
    let leg = Leg { account: LedgerAccount::PersonalAccounts(home), amount: Fen(-4_000) };
    assert!(settlement.legs.contains(&leg), "{:?}", settlement.legs);
    assert_eq!(desk.books()[&LedgerAccount::PersonalAccounts(home)], 5_000);
}

#[test]
fn two_persons_never_draw_the_same_money_of_one_payer() {
    let (mut desk, child, [mother, _]) = family(30_000, 0);
    let other = desk.patient("SISTER");
    desk.link(other, mother).unwrap();
    assert!(desk.visit_together(child, 20_000).is_ok());
    let refused = desk.visit_together(other, 20_000);
    assert_eq!(refused, Err(Reject::BalanceInsufficient { requested: Fen(20_000), available: Fen(10_000) }));
    assert!(desk.visit_together(other, 10_000).is_ok());
    assert_eq!(desk.balance(mother), Fen::ZERO);
}

#[test]
fn a_link_is_between_two_persons_of_this_hub_once_and_for_few() {
    let (mut desk, child, [mother, _]) = family(0, 0);
    let person = desk.holder(child);
    let link = |payer| Command::LinkFamily { person, payer };
    let of_another_hub = PersonId(12 * IDS_PER_HUB + 1);
    assert_eq!(desk.run(link(of_another_hub)), Err(Reject::PersonOfOtherHub { hub: HubNumber::new(12).unwrap() }));
    assert_eq!(desk.run(link(PersonId(person.0 + 999))), Err(Reject::PersonUnknown));
    assert!(matches!(desk.run(link(person)), Err(Reject::Malformed { .. })));
    assert_eq!(desk.link(child, mother), Err(Reject::FamilyLinkExists));
    for n in 0..6 {
        let payer = desk.enrol(&format!("UNCLE{n}"));
        desk.run(link(payer)).unwrap();
    }
    let ninth = desk.enrol("NINTH");
    assert_eq!(desk.run(link(ninth)), Err(Reject::FamilyLinksFull));
    assert_eq!(desk.run(Command::UnlinkFamily { person, payer: ninth }), Err(Reject::FamilyLinkUnknown));
    desk.unlink(child, mother).unwrap();
    desk.run(link(ninth)).unwrap();
    let Ok(Reply::Accounts { payers, .. }) = desk.ask(Query::GetAccount { person }) else { panic!("accounts") };
    assert_eq!((payers.len(), payers.last()), (8, Some(&ninth)));
}
