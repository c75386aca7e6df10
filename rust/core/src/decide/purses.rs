//! Money beside the insurance account: the online account, purses in chips, and purses kept under chipless cards.
//!
//! Invariant: a card event moves money between accounts in the fact that it is, and the sum of all balances stays (F5).
//! Invariant: the online account stops with the card. A purse in a chip does not: nobody can stop what a terminal takes from it.
//!
//! | card | top-up | purchase ONLINE | purchase OFFLINE |
//! | --- | --- | --- | --- |
//! | in use | yes | with its PIN | yes |
//! | lost, locked, retired, or never enabled | refused | refused | yes |
//! | cancelled, with money in its chip | refused | refused | yes |
//! | cancelled, its purse moved or spent | refused | refused | refused |

use super::{accounts, cards, pins};
use crate::account::{AccountKind, PurseMove};
use crate::card::{Card, Moment, Shown, ZoneKind, ZoneState};
use crate::command::{CardKey, Command, Reply};
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{CardId, InstitutionCode};
use crate::ledger::{LedgerAccount, Leg};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;

type Decided = Result<(Vec<Fact>, Reply), Reject>;

/// Pays the holder's own money in. The chip is told by the terminal at the desk.
pub(crate) fn top_up(hub: &Hub, id: CardId, account: AccountKind, amount: Fen, context: &Context<'_>) -> Decided {
    let card = hub.card(id)?;
    accounts::check_amount(amount)?;
    let holder = hub.person(card.person)?;
    let held = Held::of(holder, card, account)?;
    check_in_use(hub, card, context)?;
    let balance_after = held.balance.checked_add(amount);
    let balance_after = balance_after.ok_or_else(|| Reject::AmountTooLarge { field: "amount_fen".into() })?;
    let legs = vec![
        Leg { account: LedgerAccount::TopUps(holder.home), amount: -amount },
        Leg { account: held.booked, amount },
    ];
    let fact = Fact::ToppedUp { person: holder.id, card: id, account, amount, balance_after, legs };
    Ok((vec![fact], Reply::Balance(balance_after)))
}

/// Pays an institution. What a terminal took from a chip has happened already, wherever the card is now.
pub(crate) fn purchase(hub: &Hub, institution: InstitutionCode, command: &Command, context: &Context<'_>) -> Decided {
    let Command::Purchase { card, account, amount, terminal } = command else {
        unreachable!("the hub sends purchases only")
    };
    let (account, amount) = (*account, *amount);
    hub.institution(institution)?;
    let card = cards::find(hub, CardKey::Sn(*card))?;
    accounts::check_amount(amount)?;
    let holder = hub.person(card.person)?;
    let held = Held::of(holder, card, account)?;
    if account == AccountKind::Online {
        check_in_use(hub, card, context)?;
        pins::compare(card, context)?;
    } else if card.insurance.state == ZoneState::Cancelled && card.seldom.offline == Fen::ZERO {
        return Err(Reject::CardCancelled);
    }
    if held.balance < amount {
        return Err(Reject::PurchaseExceeds { requested: amount, available: held.balance });
    }
    let balance_after = held.balance - amount;
    let legs = vec![
        Leg { account: LedgerAccount::Institution(institution), amount },
        Leg { account: held.booked, amount: -amount },
    ];
    let terminal = terminal.clone();
    let fact = Fact::Purchased { person: holder.id, card: card.id, account, amount, balance_after, terminal, legs };
    let mut facts = vec![fact];
    if account == AccountKind::Online {
        facts.push(Fact::PinVerified { card: card.id });
    }
    Ok((facts, Reply::Balance(balance_after)))
}

/// An account that is paid into and from, and where it is booked.
struct Held {
    balance: Fen,
    booked: LedgerAccount,
}

impl Held {
    fn of(holder: &Person, card: &Card, account: AccountKind) -> Result<Self, Reject> {
        match account {
            AccountKind::Online => {
                Ok(Self { balance: holder.seldom.online, booked: LedgerAccount::OnlineAccounts(holder.home) })
            }
            AccountKind::Offline if card.has_chip() => {
                Ok(Self { balance: card.seldom.offline, booked: LedgerAccount::OfflinePurses(card.region) })
            }
            _ => Err(Reject::AccountNotOffered(account)),
        }
    }
}

/// A card that was collected and never used must be enabled first.
fn check_in_use(hub: &Hub, card: &Card, context: &Context<'_>) -> Result<(), Reject> {
    match card.may_settle(hub.moment(card, context.stamp_ms), false) {
        Ok(_) => Ok(()),
        Err(Reject::HolderNotVerified) => Err(Reject::CardNotEnabled { state: card.insurance.state.into() }),
        Err(refusal) => Err(refusal),
    }
}

/// The legs with which the purse under a card begins: the old system paid it in.
pub(crate) fn opening(card: &Card, is_chip: bool, purse: Fen) -> Result<Vec<Leg>, Reject> {
    if purse == Fen::ZERO {
        return Ok(Vec::new());
    }
    if !purse.is_amount() {
        return Err(Reject::malformed("purse_fen", "is no amount"));
    }
    if is_chip {
        return Err(Reject::malformed("purse_fen", "is of a card without a chip"));
    }
    Ok(vec![
        Leg { account: LedgerAccount::Contributions(card.region), amount: -purse },
        Leg { account: LedgerAccount::CardPurses(card.region), amount: purse },
    ])
}

/// What comes to the insurance account when this card is enabled.
pub(crate) fn incoming(hub: &Hub, card: &Card) -> Fen {
    cards::others(hub, card).map(|other| other.seldom.purse).sum()
}

/// What older cards hold and their holder takes along, with its legs. A chip that is lost may still be spent from, so its
/// purse stays where it is: moving it would pay twice.
pub(crate) fn moving(hub: &Hub, card: &Card, ended: Option<CardId>, now_ms: i64) -> (Vec<PurseMove>, Vec<Leg>) {
    let home = hub.persons[card.person].home;
    let (mut moves, mut legs) = (Vec::new(), Vec::new());
    let mut take = |other: &Card, account, amount, from, to| {
        if amount != Fen::ZERO {
            moves.push(PurseMove { from: other.id, account, amount });
            legs.extend([Leg { account: from, amount: -amount }, Leg { account: to, amount }]);
        }
    };
    for other in cards::others(hub, card) {
        let (from, to) = (LedgerAccount::CardPurses(other.region), LedgerAccount::PersonalAccounts(home));
        take(other, AccountKind::Purse, other.seldom.purse, from, to);
        if Some(other.id) == ended && card.has_chip() && !is_lost(other, now_ms) {
            let (from, to) = (LedgerAccount::OfflinePurses(other.region), LedgerAccount::OfflinePurses(card.region));
            take(other, AccountKind::Offline, other.seldom.offline, from, to);
        }
    }
    (moves, legs)
}

/// Whoever reported either zone lost has not the chip, whether its generation still works or not.
fn is_lost(card: &Card, now_ms: i64) -> bool {
    let now = Moment { now_ms, retired: false };
    let lost = |zone| matches!(card.zone(zone).shown(now), Shown::TempLost(_) | Shown::Plain(ZoneState::FormalLost));
    ZoneKind::ALL.into_iter().any(lost)
}

#[cfg(test)]
mod tests;
