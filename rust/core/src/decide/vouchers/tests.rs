//! A stay is settled without a card when a desk says so, and then only that stay.

use crate::card::{Channel, Loss};
use crate::command::{CardKey, Command, Credential, HolderCheck, LossSubject, Presentation, Reply};
use crate::decide::fixture::Desk;
use crate::decide::fixture::ward::ward_policy;
use crate::ids::{CardId, StayId, VoucherId};
use crate::money::{Fen, MAX_AMOUNT};
use crate::reject::Reject;
use crate::settlement::CredentialShown;

fn authorize(desk: &mut Desk, stay: StayId, limit: i64) -> Result<VoucherId, Reject> {
    match desk.run(Command::AuthorizeStay { stay, account_limit: Fen(limit), cause: "the patient died".into() })? {
        Reply::VoucherIssued(voucher) => Ok(voucher),
        other => panic!("a desk was answered with {other:?}"),
    }
}

/// The settlement of a stay with a voucher in place of the card.
fn with_voucher(desk: &Desk, stay: StayId, card: CardId, voucher: VoucherId, account: i64) -> Command {
    let mut command = desk.settlement(stay, card, account);
    let Command::SettleStay { presentation, holder_check, .. } = &mut command else { unreachable!("a settlement") };
    *presentation = Presentation { credential: Credential::Voucher(voucher), terminal: "T1".into() };
    *holder_check = HolderCheck::default();
    command
}

/// Two stays that wait for their settlement, of a patient whose card was stolen meanwhile.
fn bereft() -> (Desk, CardId, [StayId; 2]) {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    desk.credit(card, 100_000, "2026-01");
    let stays = [("2026-01-10", "2026-01-20"), ("2026-02-10", "2026-02-20")]
        .map(|(from, to)| desk.discharged(card, from, to, "5000"));
    let (loss, channel) = (Loss::Formal, Channel::Desk);
    let (subject, verified_by) = (LossSubject::Card(CardKey::Id(card)), "the desk".into());
    desk.run(Command::ReportLoss { subject, loss, zones: Vec::new(), channel, verified_by, holder: None }).unwrap();
    (desk, card, stays)
}

#[test]
fn a_patient_whose_card_was_stolen_during_the_stay_settles_with_a_voucher() {
    let (mut desk, card, [stay, _]) = bereft();
    assert_eq!(desk.settle(stay, card, 0), Err(Reject::CardLost { until_ms: None }));
    let voucher = authorize(&mut desk, stay, 0).unwrap();
    let Ok(Reply::Settled { settlement, arpc: None, .. }) = desk.run(with_voucher(&desk, stay, card, voucher, 0))
    else {
        panic!("settled")
    };
    assert_eq!(settlement.presented.credential, CredentialShown::Voucher(voucher));
    // It is the stay's, also when the stay waits for its settlement again.
    desk.cancel(settlement.id).unwrap();
    assert!(desk.run(with_voucher(&desk, stay, card, voucher, 0)).is_ok());
}

#[test]
fn a_voucher_draws_no_more_than_the_desk_named() {
    let (mut desk, card, [stay, _]) = bereft();
    let voucher = authorize(&mut desk, stay, 30_000).unwrap();
    let over = desk.run(with_voucher(&desk, stay, card, voucher, 30_001));
    assert_eq!(over, Err(Reject::VoucherLimitExceeded { limit: Fen(30_000), requested: Fen(30_001) }));
    desk.run(with_voucher(&desk, stay, card, voucher, 30_000)).unwrap();
    assert_eq!(desk.balance(card), Fen(70_000));
}

#[test]
fn a_voucher_settles_its_own_stay_and_the_last_one_counts() {
    let (mut desk, card, [stay, other]) = bereft();
    let first = authorize(&mut desk, stay, 0).unwrap();
    let before = desk.hub.clone();
    assert_eq!(desk.run(with_voucher(&desk, other, card, first, 0)), Err(Reject::VoucherUnknown(first)));
    assert_eq!(desk.hub, before);
    let second = authorize(&mut desk, stay, 0).unwrap();
    assert_eq!(desk.run(with_voucher(&desk, stay, card, first, 0)), Err(Reject::VoucherUnknown(first)));
    assert!(desk.run(with_voucher(&desk, stay, card, second, 0)).is_ok());
}

#[test]
fn a_voucher_admits_nobody() {
    let (mut desk, card, [stay, _]) = bereft();
    let voucher = authorize(&mut desk, stay, 0).unwrap();
    let mut admission = desk.admission(card, "2026-02-25");
    let Command::Admit { presentation, .. } = &mut admission else { unreachable!("an admission") };
    presentation.credential = Credential::Voucher(voucher);
    assert_eq!(desk.run(admission), Err(Reject::CredentialNotAccepted));
}

#[test]
fn no_voucher_is_issued_for_a_stay_that_does_not_wait() {
    let (mut desk, card, [stay, _]) = bereft();
    assert_eq!(authorize(&mut desk, StayId(9), 0), Err(Reject::StayUnknown(StayId(9))));
    assert!(matches!(authorize(&mut desk, stay, -1), Err(Reject::Malformed { .. })));
    let too_large = Err(Reject::AmountTooLarge { field: "account_limit_fen".into() });
    assert_eq!(authorize(&mut desk, stay, MAX_AMOUNT.0 + 1), too_large);
    let voucher = authorize(&mut desk, stay, 0).unwrap();
    let Ok(Reply::Settled { settlement, .. }) = desk.run(with_voucher(&desk, stay, card, voucher, 0)) else {
        panic!("settled")
    };
    assert_eq!(authorize(&mut desk, stay, 0), Err(Reject::AlreadySettled { stay, settlement: settlement.id }));
}
