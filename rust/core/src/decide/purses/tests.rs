//! Money beside the insurance account: which card may use it, what a loss stops, and that card events only move it.

mod events;

use crate::account::AccountKind;
use crate::card::{CardState, Channel, Loss, Personalisation, ZoneKind};
use crate::command::{CardKey, CheckMethod, Command, HolderCheck, LossSubject, Query, Reply};
use crate::decide::fixture::clinic::{bill, medicine};
use crate::decide::fixture::ward::{LOCAL, ward_policy};
use crate::decide::fixture::{Desk, Digits, making, personalisation};
use crate::ids::{CardId, CardSn};
use crate::ledger::LedgerAccount;
use crate::money::{Fen, MAX_AMOUNT};
use crate::policy::VisitKind;
use crate::reject::Reject;
use crate::statement::{Entry, Event};

const ON: &str = "2026-02-01";

impl Desk {
    /// Recognition code of a card.
    fn code(&self, card: CardId) -> CardSn {
        self.hub.cards[card].made.as_ref().unwrap().card_sn
    }

    fn top_up(&mut self, card: CardId, account: AccountKind, amount: i64) -> Result<Fen, Reject> {
        self.run(Command::TopUp { card, account, amount: Fen(amount) }).map(balance)
    }

    fn purchase(&mut self, card: CardId, account: AccountKind, amount: i64) -> Result<Fen, Reject> {
        self.act_as(LOCAL);
        let sn = self.hub.cards[card].made.as_ref().expect("only cards that were made pay").card_sn;
        self.run(Command::Purchase { card: sn, account, amount: Fen(amount), terminal: "T9".into() }).map(balance)
    }

    fn lose(&mut self, card: CardId, loss: Loss) -> Result<Reply, Reject> {
        let subject = LossSubject::Card(CardKey::Id(card));
        let (channel, verified_by) = (Channel::Desk, "clerk".into());
        self.run(Command::ReportLoss {
            subject,
            loss,
            zones: ZoneKind::ALL.to_vec(),
            channel,
            verified_by,
            holder: None,
        })
    }

    fn enable(&mut self, card: CardId) -> Result<Reply, Reject> {
        self.run(Command::EnableCard { card, zone: ZoneKind::Insurance })
    }

    /// A card, collected and not enabled, under which this much was brought over.
    fn issue_with_purse(&mut self, passport: &str, purse: i64) -> CardId {
        let person = self.enrol(passport);
        let card = self.apply_for(person, None).unwrap();
        let made = Personalisation { chip: None, ..personalisation(card.0) };
        self.run(Command::MarkCardMade { card, made, purse: Fen(purse) }).unwrap();
        self.run(Command::HandOverCard { card, collected_by: "the holder".into() }).unwrap();
        card
    }

    /// What all persons and their cards hold.
    fn money(&self) -> i128 {
        match self.ask(Query::TrialBalance) {
            Ok(Reply::TrialBalance { sum: 0, personal, .. }) => personal,
            other => panic!("the books were asked for and came {other:?}"),
        }
    }

    fn held(&self, card: CardId) -> Vec<(AccountKind, Option<CardId>, i64)> {
        match self.ask(Query::GetAccount { person: self.holder(card) }) {
            Ok(Reply::Accounts { accounts, .. }) => {
                accounts.into_iter().map(|(kind, card, held)| (kind, card, held.0)).collect()
            }
            other => panic!("accounts were asked for and came {other:?}"),
        }
    }
}

fn balance(reply: Reply) -> Fen {
    match reply {
        Reply::Balance(balance) => balance,
        other => panic!("a balance was expected and came {other:?}"),
    }
}

#[test]
fn f5_a_successor_takes_its_holders_money_along_and_the_sum_of_all_money_stays() {
    let mut desk = Desk::ward(ward_policy());
    let old = desk.issue_with_purse("P1", 7_000);
    desk.enable(old).unwrap();
    assert_eq!(desk.top_up(old, AccountKind::Offline, 1), Err(Reject::AccountNotOffered(AccountKind::Offline)));
    desk.top_up(old, AccountKind::Online, 500).unwrap();
    let chip = desk.issue(desk.holder(old), Some(old));
    desk.enable(chip).unwrap();
    assert_eq!((desk.facts.len(), desk.money()), (1, 7_500), "cancelling, enabling and moving are one fact");
    desk.top_up(chip, AccountKind::Offline, 2_000).unwrap();
    let new = desk.issue(desk.holder(old), Some(chip));
    desk.enable(new).unwrap();
    assert_eq!((desk.facts.len(), desk.money()), (1, 9_500));
    let expected = [
        (AccountKind::Insurance, None, 7_000),
        (AccountKind::Online, None, 500),
        (AccountKind::Offline, Some(new), 2_000),
    ];
    assert_eq!(desk.held(new), expected);
    let books = desk.books();
    let home = desk.hub.persons[desk.holder(new)].home;
    assert_eq!(books.get(&LedgerAccount::CardPurses(home)), None);
    assert_eq!(books[&LedgerAccount::PersonalAccounts(home)], 7_000);
    assert_eq!(books[&LedgerAccount::OfflinePurses(home)], 2_000);
}

#[test]
fn a_lost_chip_keeps_its_purse_because_whoever_has_it_can_still_spend() {
    let mut desk = Desk::ward(ward_policy());
    for (passport, loss) in [("P1", Loss::Temporary), ("P2", Loss::Formal)] {
        let old = desk.patient(passport);
        desk.top_up(old, AccountKind::Offline, 2_000).unwrap();
        let new = desk.issue(desk.holder(old), Some(old));
        desk.lose(old, loss).unwrap();
        assert_eq!(desk.purchase(old, AccountKind::Offline, 500), Ok(Fen(1_500)));
        desk.enable(new).unwrap();
        assert_eq!(desk.hub.cards[new].seldom.offline, Fen::ZERO);
        assert_eq!(desk.purchase(old, AccountKind::Offline, 1_500), Ok(Fen::ZERO));
        let spent = desk.purchase(old, AccountKind::Offline, 1);
        match loss {
            Loss::Temporary => assert_eq!(spent, Err(Reject::CardCancelled)),
            Loss::Formal => assert!(matches!(spent, Err(Reject::PurchaseExceeds { .. })), "{spent:?}"),
        }
    }
}

#[test]
fn the_purse_under_a_lost_card_comes_back_with_its_successor() {
    let mut desk = Desk::ward(ward_policy());
    let old = desk.issue_with_purse("P1", 7_000);
    desk.enable(old).unwrap();
    desk.lose(old, Loss::Formal).unwrap();
    let new = desk.issue(desk.holder(old), Some(old));
    desk.enable(new).unwrap();
    assert_eq!((desk.balance(new), desk.hub.cards[old].seldom.purse), (Fen(7_000), Fen::ZERO));
}

#[test]
fn the_online_account_stops_with_the_card_and_goes_on_with_the_next() {
    let mut desk = Desk::ward(ward_policy());
    let old = desk.patient("P1");
    desk.run(Command::SetPin { card: old }).unwrap();
    desk.top_up(old, AccountKind::Online, 3_000).unwrap();
    assert_eq!(desk.purchase(old, AccountKind::Online, 1_000), Ok(Fen(2_000)));
    desk.lose(old, Loss::Formal).unwrap();
    let lost = Err(Reject::CardLost { until_ms: None });
    assert_eq!(desk.purchase(old, AccountKind::Online, 1), lost);
    for account in [AccountKind::Online, AccountKind::Offline] {
        assert_eq!(desk.top_up(old, account, 1), lost);
    }
    let new = desk.issue(desk.holder(old), Some(old));
    let collected = Err(Reject::CardNotEnabled { state: CardState::Issued });
    assert_eq!(desk.purchase(new, AccountKind::Online, 1), collected);
    assert_eq!(desk.top_up(new, AccountKind::Offline, 1), collected);
    desk.enable(new).unwrap();
    assert_eq!(desk.purchase(new, AccountKind::Online, 2_000), Err(Reject::PinNotSet), "each card has its own");
    desk.run(Command::SetPin { card: new }).unwrap();
    assert_eq!(desk.purchase(new, AccountKind::Online, 2_000), Ok(Fen::ZERO));
}

#[test]
fn the_online_account_pays_only_with_the_pin_and_the_purse_without() {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    desk.top_up(card, AccountKind::Online, 3_000).unwrap();
    desk.top_up(card, AccountKind::Offline, 3_000).unwrap();
    assert_eq!(desk.purchase(card, AccountKind::Online, 1), Err(Reject::PinNotSet));
    desk.run(Command::SetPin { card }).unwrap();
    let right = std::mem::replace(&mut desk.pin, Digits(Some("135791"), [1; 3]));
    assert_eq!(desk.purchase(card, AccountKind::Online, 1), Err(Reject::PinWrong { tries_left: 5 }));
    assert_eq!(desk.purchase(card, AccountKind::Offline, 1), Ok(Fen(2_999)));
    assert_eq!(desk.hub.cards[card].seldom.pin.map(|pin| pin.wrong), Some(1), "the purse asks for none");
    desk.pin = right;
    assert_eq!(desk.purchase(card, AccountKind::Online, 1), Ok(Fen(2_999)));
    assert_eq!(desk.hub.cards[card].seldom.pin.map(|pin| pin.wrong), Some(0));
}

#[test]
fn a_top_up_and_a_purchase_name_an_account_that_takes_them_and_an_amount_that_can_be() {
    let mut desk = Desk::ward(ward_policy());
    let card = desk.patient("P1");
    desk.run(Command::SetPin { card }).unwrap();
    for account in [AccountKind::Insurance, AccountKind::Purse] {
        assert_eq!(desk.top_up(card, account, 1), Err(Reject::AccountNotOffered(account)));
        assert_eq!(desk.purchase(card, account, 1), Err(Reject::AccountNotOffered(account)));
    }
    for account in [AccountKind::Online, AccountKind::Offline] {
        for amount in [0, -1] {
            assert!(matches!(desk.top_up(card, account, amount), Err(Reject::Malformed { .. })));
            assert!(matches!(desk.purchase(card, account, amount), Err(Reject::Malformed { .. })));
        }
        let too_large = Err(Reject::AmountTooLarge { field: "amount_fen".into() });
        assert_eq!(desk.top_up(card, account, MAX_AMOUNT.0 + 1), too_large);
        desk.top_up(card, account, 100).unwrap();
        let refused = Reject::PurchaseExceeds { requested: Fen(101), available: Fen(100) };
        assert_eq!(desk.purchase(card, account, 101), Err(refused));
    }
    let unmade = desk.enrol("P2");
    let unmade = desk.apply_for(unmade, None).unwrap();
    for (chip, purse) in [(None, -1), (personalisation(9).chip, 1)] {
        let made = Personalisation { chip, ..personalisation(9) };
        let command = Command::MarkCardMade { card: unmade, made, purse: Fen(purse) };
        assert!(matches!(desk.run(command), Err(Reject::Malformed { .. })));
    }
    assert_eq!(desk.run(making(unmade, 9)), Ok(Reply::Done));
    assert_eq!(desk.top_up(unmade, AccountKind::Online, 1), Err(Reject::CardNotCollected));
}

#[test]
fn a_first_use_draws_on_the_money_that_the_card_brings_along() {
    let mut desk = Desk::clinic(|policy| policy);
    let old = desk.issue_with_purse("P1", 7_000);
    desk.enable(old).unwrap();
    let new = desk.issue(desk.holder(old), Some(old));
    desk.serve(VisitKind::Pharmacy);
    let mut asked = desk.visit_of(new, bill(VisitKind::Pharmacy, ON, &medicine(ON, "1000"), 5_000), 100_000);
    asked.holder_check = HolderCheck::by(CheckMethod::Photo);
    let settlement = desk.settle_visit(asked).unwrap();
    assert_eq!((settlement.balance_after, desk.balance(new)), (Fen(2_000), Fen(2_000)));
    assert_eq!(desk.hub.ledger.trial_balance(), 0);
    assert_eq!(desk.books()[&LedgerAccount::PersonalAccounts(desk.hub.persons[desk.holder(new)].home)], 2_000);
}

#[test]
fn f9_purses_and_the_online_account_stand_in_the_statement_with_card_and_terminal() {
    let mut desk = Desk::ward(ward_policy());
    let old = desk.issue_with_purse("P1", 7_000);
    desk.enable(old).unwrap();
    let chip = desk.issue(desk.holder(old), Some(old));
    desk.enable(chip).unwrap();
    desk.top_up(chip, AccountKind::Offline, 2_000).unwrap();
    desk.purchase(chip, AccountKind::Offline, 300).unwrap();
    let new = desk.issue(desk.holder(old), Some(chip));
    desk.enable(new).unwrap();
    let entries = desk.statement(new);
    let rows: Vec<_> = entries.iter().map(|entry| (entry.account, entry.amount.0, entry.balance.0)).collect();
    let expected = [
        (AccountKind::Purse, 7_000, 7_000),
        (AccountKind::Purse, -7_000, 0),
        (AccountKind::Insurance, 7_000, 7_000),
        (AccountKind::Offline, 2_000, 2_000),
        (AccountKind::Offline, -300, 1_700),
        (AccountKind::Offline, -1_700, 0),
        (AccountKind::Offline, 1_700, 1_700),
    ];
    assert_eq!(rows, expected);
    let Entry { event: Event::Purchased { card, terminal, .. }, .. } = &entries[4] else { panic!("{:?}", entries[4]) };
    assert_eq!((*card, &**terminal), (chip, "T9"));
    assert_eq!(entries[0].event, Event::PurseOpened { card: old, card_sn: desk.code(old) });
    assert_eq!(entries[1].event, Event::PurseMoved { from: old, to: chip, card_sn: desk.code(old) });
    assert_eq!(entries[2].event, Event::PurseMoved { from: old, to: chip, card_sn: desk.code(chip) });
}

#[test]
fn a_replacement_enabled_on_the_spot_brings_the_purse_and_the_statement_tells_it() {
    let mut desk = Desk::ward(ward_policy());
    let old = desk.issue_with_purse("P1", 7_000);
    desk.enable(old).unwrap();
    desk.credit(old, 1_000, "2026-01");
    desk.lose(old, Loss::Formal).unwrap();
    let (made, generation) = (personalisation(7), "3".into());
    let new = match desk.run(Command::ReplaceCard { lost: old, made, generation, enable: true }) {
        Ok(Reply::Card(view)) => view.card.id,
        other => panic!("a replacement was asked for and came {other:?}"),
    };
    assert_eq!((desk.facts.len(), desk.balance(new), desk.money()), (4, Fen(8_000), 8_000));
    let entries = desk.statement(new);
    let rows: Vec<_> = entries.iter().map(|entry| (entry.account, entry.amount.0, entry.balance.0)).collect();
    let expected = [
        (AccountKind::Purse, 7_000, 7_000),
        (AccountKind::Insurance, 1_000, 1_000),
        (AccountKind::Purse, -7_000, 0),
        (AccountKind::Insurance, 7_000, 8_000),
    ];
    assert_eq!(rows, expected);
    assert_eq!(entries[3].event, Event::PurseMoved { from: old, to: new, card_sn: desk.code(new) });
}
