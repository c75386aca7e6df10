//! What moved a person's money or used a person's limits, as the holder reads it.
//!
//! Invariant: entries come from facts alone, in the order of the journal; nothing is looked up in today's rules.
//! Invariant: the entries of one account add up to what it holds, and each says what the account held after it.
//! Invariant: a page holds whole decisions, so that it can be followed from the sequence of its last one.
//! Leaves out: keeping the entries (`records`), and who may read them (the contract's roles).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::{AccountKind, PurseMove};
use crate::calendar::Date;
use crate::fact::{Fact, Record};
use crate::fraud::{Claim, Unwind};
use crate::hub::Hub;
use crate::ids::{CardId, CardSn, InstitutionCode, PersonId, SettlementId};
use crate::money::Fen;
use crate::settlement::{Adjustment, Cancellation, FamilyDraw, Settlement};

/// Entries at which a page ends with the decision that reached it: a message of about 50 KB, and far less work than a settlement's sync.
pub const PAGE_ENTRIES: usize = 256;

/// One row of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The record.
    pub sequence: u64,
    /// Hub's time.
    pub stamp_ms: i64,
    /// Who asked for it.
    pub institution: InstitutionCode,
    /// The account that it is about.
    pub account: AccountKind,
    /// What came in; negative went out; zero where only limits were used.
    pub amount: Fen,
    /// What the account held afterwards.
    pub balance: Fen,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A contribution for a period.
    Credited {
        /// Which.
        period_key: Box<str>,
    },
    /// A stay or a visit of the person was settled.
    Settled(Arc<Settlement>),
    /// A settlement of the person was negated.
    Cancelled(Arc<Cancellation>),
    /// A settlement of the person was recomputed.
    Adjusted {
        /// Which.
        settlement: SettlementId,
        /// By how much more the funds pay; negative is owed by the person.
        fund_delta: Fen,
    },
    /// The holder paid in.
    ToppedUp {
        /// The card; a purse is that card's.
        card: CardId,
    },
    /// An institution was paid.
    Purchased {
        /// The card; a purse is that card's.
        card: CardId,
        /// Its recognition code.
        card_sn: CardSn,
        /// The terminal.
        terminal: Box<str>,
    },
    /// The purse under a card was opened.
    PurseOpened {
        /// The card.
        card: CardId,
        /// Its recognition code.
        card_sn: CardSn,
    },
    /// Money came or went with a new card.
    PurseMoved {
        /// The older card, whose purse it was.
        from: CardId,
        /// The new card.
        to: CardId,
        /// Recognition code of the one that the entry is about: what went left the older card, what came is on the new one.
        card_sn: CardSn,
    },
    /// A pay-out was decided or paid.
    PaidOut {
        /// Which.
        claim_number: Box<str>,
        /// To whose bank zone; none while it waits.
        card: Option<CardId>,
        /// What waits from now on; negative where it was withdrawn.
        waiting: Fen,
    },
    /// The account paid for another person.
    FamilyPaid(Arc<Settlement>),
    /// What the account had paid for another person came back.
    FamilyReturned(Arc<Cancellation>),
    /// What a thief had drawn from the account came back.
    Unwound(Claim),
}

/// Which entries are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Only of later records.
    pub after: u64,
    /// From this business day on.
    pub from: Option<Date>,
    /// Up to this business day.
    pub to: Option<Date>,
}

impl Range {
    /// The wanted ones of a person's entries, and whether more follow: at most [`PAGE_ENTRIES`] and the rest of the decision that reached them.
    pub fn page(self, entries: &[Entry]) -> (&[Entry], bool) {
        let is_before = |entry: &Entry| {
            entry.sequence <= self.after || self.from.is_some_and(|from| Date::business_day(entry.stamp_ms) < from)
        };
        let rest = &entries[entries.partition_point(is_before)..];
        let wanted = |entry: &Entry| self.to.is_none_or(|to| Date::business_day(entry.stamp_ms) <= to);
        let rest = &rest[..rest.partition_point(wanted)];
        let Some(last) = rest.get(PAGE_ENTRIES - 1) else { return (rest, false) };
        let end = rest.partition_point(|entry| entry.sequence <= last.sequence);
        (&rest[..end], end < rest.len())
    }
}

/// Gives the entries of a record, whose they are, with the hub as it is before the record is applied.
pub(crate) fn entries_of(record: &Record, before: &Hub, mut give: impl FnMut(PersonId, Entry)) {
    for fact in &record.facts {
        let mut of_account = |person: PersonId, account: AccountKind, amount: Fen, balance: Fen, event: Event| {
            let Record { sequence, stamp_ms, institution, .. } = *record;
            give(person, Entry { sequence, stamp_ms, institution, account, amount, balance, event });
        };
        let mut entry =
            |person, amount, balance, event| of_account(person, AccountKind::Insurance, amount, balance, event);
        match fact {
            Fact::AccountCredited { person, amount, period_key, .. } => {
                let balance = before.persons[*person].account.balance + *amount;
                entry(*person, *amount, balance, Event::Credited { period_key: period_key.clone() });
            }
            Fact::Settled { settlement } => {
                let own = settlement.split.family - settlement.split.account;
                entry(settlement.person, own, settlement.balance_after, Event::Settled(Arc::clone(settlement)));
                for FamilyDraw { payer, amount, balance_after } in &settlement.family {
                    entry(*payer, -*amount, *balance_after, Event::FamilyPaid(Arc::clone(settlement)));
                }
            }
            Fact::SettlementCancelled { cancellation, .. } => cancelled(cancellation, entry),
            Fact::Unwound { unwind } => unwound(unwind, entry),
            Fact::ToppedUp { person, card, account, amount, balance_after, .. } => {
                of_account(*person, *account, *amount, *balance_after, Event::ToppedUp { card: *card });
            }
            Fact::Purchased { person, card, account, amount, balance_after, terminal, .. } => {
                let made = before.cards[*card].made.as_ref().expect("only a card that was made pays");
                let event = Event::Purchased { card: *card, card_sn: made.card_sn, terminal: terminal.clone() };
                of_account(*person, *account, -*amount, *balance_after, event);
            }
            Fact::PayOutMade { person, pay_out, card, .. } => {
                let (paid, waiting) =
                    if pay_out.waiting { (Fen::ZERO, pay_out.amount) } else { (pay_out.amount, Fen::ZERO) };
                let event = Event::PaidOut { claim_number: pay_out.claim_number.clone(), card: *card, waiting };
                of_account(*person, AccountKind::Bank, paid, Fen::ZERO, event);
            }
            Fact::PayOutReleased { person, claim_number, card, .. } => {
                let paid = waiting(before, *person, claim_number);
                let event =
                    Event::PaidOut { claim_number: claim_number.clone(), card: Some(*card), waiting: Fen::ZERO };
                of_account(*person, AccountKind::Bank, paid, Fen::ZERO, event);
            }
            Fact::PayOutWithdrawn { person, claim_number, .. } => {
                let waiting = -waiting(before, *person, claim_number);
                let event = Event::PaidOut { claim_number: claim_number.clone(), card: None, waiting };
                of_account(*person, AccountKind::Bank, Fen::ZERO, Fen::ZERO, event);
            }
            Fact::CardMade { card, made, purse, .. } if *purse != Fen::ZERO => {
                let person = before.cards[*card].person;
                let event = Event::PurseOpened { card: *card, card_sn: made.card_sn };
                of_account(person, AccountKind::Purse, *purse, *purse, event);
            }
            Fact::CardEnabled { card, moves, .. } if !moves.is_empty() => {
                moved((*card, code_of(*card, record, before)), moves, before, of_account);
            }
            _ => {}
        }
    }
}

/// What waits under a claim number.
fn waiting(before: &Hub, person: PersonId, claim_number: &str) -> Fen {
    let pay_outs = before.persons[person].seldom.pay_outs.iter();
    pay_outs.filter(|pay_out| *pay_out.claim_number == *claim_number).map(|pay_out| pay_out.amount).sum()
}

/// Recognition code of a card, which may have been made in the same record.
fn code_of(card: CardId, record: &Record, before: &Hub) -> CardSn {
    let made_now = record.facts.iter().find_map(|fact| match fact {
        Fact::CardMade { card: made, made: personalisation, .. } if *made == card => Some(personalisation.card_sn),
        _ => None,
    });
    let made_before = || before.cards.get(card)?.made.as_ref().map(|made| made.card_sn);
    made_now.or_else(made_before).expect("only a card that was made holds or gets a purse")
}

/// Each purse is emptied, and each shows where it went. The new card may be of the same record, the older ones are not.
fn moved(
    (to, to_sn): (CardId, CardSn),
    moves: &[PurseMove],
    before: &Hub,
    mut entry: impl FnMut(PersonId, AccountKind, Fen, Fen, Event),
) {
    let Some(first) = moves.first() else { return };
    let person = before.cards[first.from].person;
    let mut insurance = before.persons[person].account.balance;
    let mut offline = before.cards.get(to).map_or(Fen::ZERO, |card| card.seldom.offline);
    for PurseMove { from, account, amount } in moves {
        let (reached, balance) = match account {
            AccountKind::Offline => (AccountKind::Offline, &mut offline),
            _ => (AccountKind::Insurance, &mut insurance),
        };
        *balance += *amount;
        let from_sn = before.cards[*from].made.as_ref().expect("only a card that was made has a purse").card_sn;
        let event = |card_sn| Event::PurseMoved { from: *from, to, card_sn };
        entry(person, *account, -*amount, Fen::ZERO, event(from_sn));
        entry(person, reached, *amount, *balance, event(to_sn));
    }
}

fn cancelled(cancellation: &Arc<Cancellation>, mut entry: impl FnMut(PersonId, Fen, Fen, Event)) {
    let settlement = &cancellation.settlement;
    let (person, balance) = (settlement.person, cancellation.balance_after);
    let own = settlement.split.account - settlement.split.family;
    entry(person, own, balance, Event::Cancelled(Arc::clone(cancellation)));
    for FamilyDraw { payer, amount, balance_after } in &cancellation.family {
        entry(*payer, *amount, *balance_after, Event::FamilyReturned(Arc::clone(cancellation)));
    }
    adjusted(person, balance, &cancellation.adjustments, entry);
}

fn unwound(unwind: &Arc<Unwind>, mut entry: impl FnMut(PersonId, Fen, Fen, Event)) {
    let mut balance = Fen::ZERO;
    for (place, reversal) in unwind.reversals.iter().enumerate() {
        let event = || Event::Unwound(Claim { unwind: Arc::clone(unwind), reversal: place });
        balance = reversal.balance_after;
        entry(unwind.person, reversal.account, balance, event());
        for FamilyDraw { payer, amount, balance_after } in &reversal.family {
            entry(*payer, *amount, *balance_after, event());
        }
    }
    adjusted(unwind.person, balance, &unwind.adjustments, entry);
}

fn adjusted(
    person: PersonId,
    balance: Fen,
    adjustments: &[Adjustment],
    mut entry: impl FnMut(PersonId, Fen, Fen, Event),
) {
    for adjustment in adjustments {
        let event = Event::Adjusted { settlement: adjustment.settlement, fund_delta: adjustment.fund_delta };
        entry(person, Fen::ZERO, balance, event);
    }
}
