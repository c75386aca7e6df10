//! Reimbursements: paid at once, waiting for a bank zone, released by whatever brings one into use, and never twice.

use crate::account::AccountKind;
use crate::card::{Channel, Loss, TEMPORARY_LOSS_MS, ZoneKind};
use crate::command::{CardKey, Command, LossSubject, Reply};
use crate::decide::fixture::Desk;
use crate::fact::Fact;
use crate::ids::CardId;
use crate::ledger::LedgerAccount;
use crate::money::Fen;
use crate::reject::Reject;

const PAID: Result<bool, Reject> = Ok(false);
const WAITS: Result<bool, Reject> = Ok(true);

impl Desk {
    /// Whether the claim waits.
    fn pay_out(&mut self, card: CardId, claim: &str, amount: i64) -> Result<bool, Reject> {
        let (person, amount) = (self.holder(card), Fen(amount));
        match self.run(Command::PayOut { person, amount, claim_number: claim.into() })? {
            Reply::PaidOut { waiting } => Ok(waiting),
            other => panic!("a reimbursement was answered with {other:?}"),
        }
    }

    fn bank(&mut self, card: CardId) {
        self.run(Command::EnableCard { card, zone: ZoneKind::Bank }).unwrap();
    }

    fn lose_bank(&mut self, card: CardId) {
        let (subject, zones) = (LossSubject::Card(CardKey::Id(card)), vec![ZoneKind::Bank]);
        let (channel, verified_by) = (Channel::Phone, "clerk".into());
        self.run(Command::ReportLoss { subject, loss: Loss::Temporary, zones, channel, verified_by, holder: None })
            .unwrap();
    }

    /// What was paid to banks, and what waits.
    fn paid_and_waiting(&self, card: CardId) -> (i128, i128) {
        let (home, books) = (self.hub.persons[self.holder(card)].home, self.books());
        let of = |account| books.get(&account).copied().unwrap_or_default();
        let (paid, waiting) = (of(LedgerAccount::BankPayouts(home)), of(LedgerAccount::PayoutsWaiting(home)));
        assert_eq!(of(LedgerAccount::Reimbursements(home)), -(paid + waiting));
        (paid, waiting)
    }
}

fn released(facts: &[Fact]) -> Vec<&str> {
    let claims = facts.iter().filter_map(|fact| match fact {
        Fact::PayOutReleased { claim_number, .. } => Some(&**claim_number),
        _ => None,
    });
    claims.collect()
}

#[test]
fn a_reimbursement_is_paid_to_the_bank_zone_in_use_once_per_claim() {
    let mut desk = Desk::open();
    let card = desk.patient("P1");
    desk.bank(card);
    assert_eq!(desk.pay_out(card, "C1", 5_000), PAID);
    let paid = Err(Reject::ClaimPaid { claim_number: "C1".into() });
    assert_eq!(desk.pay_out(card, "C1", 5_000), paid);
    assert_eq!(desk.pay_out(card, "C1", 1), paid);
    assert_eq!(desk.paid_and_waiting(card), (5_000, 0));
    let other = desk.patient("P2");
    assert_eq!(desk.pay_out(other, "C1", 300), WAITS, "another person's claim is another claim");
}

#[test]
fn what_waits_is_paid_in_the_record_that_brings_the_bank_zone_into_use() {
    let mut desk = Desk::open();
    let card = desk.patient("P1");
    assert_eq!(desk.pay_out(card, "C1", 5_000), WAITS);
    assert_eq!(desk.pay_out(card, "C2", 700), WAITS);
    assert_eq!(desk.pay_out(card, "C1", 5_000), Err(Reject::ClaimPaid { claim_number: "C1".into() }));
    assert_eq!(desk.paid_and_waiting(card), (0, 5_700));
    desk.bank(card);
    assert_eq!(released(&desk.facts), ["C1", "C2"]);
    assert_eq!(desk.paid_and_waiting(card), (5_700, 0));
    assert_eq!(desk.pay_out(card, "C3", 1), PAID);
    assert_eq!(desk.facts.len(), 1, "nothing is released twice");
}

#[test]
fn nothing_is_paid_to_a_lost_bank_zone_and_its_withdrawal_releases_it() {
    let mut desk = Desk::open();
    let card = desk.patient("P1");
    desk.bank(card);
    desk.lose_bank(card);
    assert_eq!(desk.pay_out(card, "C1", 5_000), WAITS);
    let insurance = Command::WithdrawLoss { card, zones: vec![ZoneKind::Bank], verified_by: "clerk".into() };
    desk.run(insurance).unwrap();
    assert_eq!((released(&desk.facts), desk.paid_and_waiting(card)), (vec!["C1"], (5_000, 0)));
}

#[test]
fn a_loss_that_ended_by_itself_is_noticed_by_the_next_request_of_the_person() {
    let mut desk = Desk::open();
    let card = desk.patient("P1");
    desk.bank(card);
    desk.lose_bank(card);
    assert_eq!(desk.pay_out(card, "C1", 5_000), WAITS);
    desk.now_ms += TEMPORARY_LOSS_MS - 1;
    assert_eq!(desk.pay_out(card, "C1", 5_000), Err(Reject::ClaimPaid { claim_number: "C1".into() }));
    desk.now_ms += 1;
    assert_eq!(desk.pay_out(card, "C1", 4_999), Err(Reject::ClaimPaid { claim_number: "C1".into() }));
    assert_eq!(desk.pay_out(card, "C1", 5_000), PAID);
    assert_eq!(desk.paid_and_waiting(card), (5_000, 0));
    desk.lose_bank(card);
    assert_eq!(desk.pay_out(card, "C2", 20), WAITS);
    desk.now_ms += TEMPORARY_LOSS_MS;
    assert_eq!(desk.pay_out(card, "C3", 3), PAID);
    assert_eq!((released(&desk.facts), desk.paid_and_waiting(card)), (vec!["C2"], (5_023, 0)));
}

#[test]
fn the_insurance_zone_alone_releases_nothing() {
    let mut desk = Desk::open();
    let person = desk.enrol("P1");
    let card = desk.issue(person, None);
    assert_eq!(desk.pay_out(card, "C1", 5_000), WAITS);
    desk.run(Command::EnableCard { card, zone: ZoneKind::Insurance }).unwrap();
    assert_eq!(desk.paid_and_waiting(card), (0, 5_000));
}

#[test]
fn the_statement_shows_what_waits_and_when_it_was_paid_to_which_card() {
    let mut desk = Desk::open();
    let card = desk.patient("P1");
    desk.pay_out(card, "C1", 5_000).unwrap();
    desk.bank(card);
    let rows: Vec<_> =
        desk.statement(card).into_iter().map(|entry| (entry.account, entry.amount.0, entry.event)).collect();
    let paid_out =
        |card, waiting| crate::statement::Event::PaidOut { claim_number: "C1".into(), card, waiting: Fen(waiting) };
    let expected = [(AccountKind::Bank, 0, paid_out(None, 5_000)), (AccountKind::Bank, 5_000, paid_out(Some(card), 0))];
    assert_eq!(rows, expected);
}
