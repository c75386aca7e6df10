//! What is paid to persons: reimbursement of care outside the network, and what a recomputation gives them. To a bank zone, or waiting
//! for one.
//!
//! Invariant: a claim number is paid once; what waits is in the books from the moment it is decided.
//! Invariant: the hub's own claim numbers are longer than any that a desk may give, so they never meet.
//! Invariant: what waits because a settlement was recomputed is withdrawn in the decision that takes that settlement back; what was paid by
//! then is told there as owed.
//! Invariant: a temporary loss that ends by itself is no event: the next request of the person finds the zone in use.
//!
//! | claim | a bank zone in use | none in use |
//! | --- | --- | --- |
//! | new | paid, and what waits is released | waits |
//! | waits, same amount | released with all that waits | CLAIM_PAID: it waits on |
//! | paid, or another amount | CLAIM_PAID | CLAIM_PAID |

use super::{accounts, cards};
use crate::account::{MAX_CLAIM_NUMBER, PayOut};
use crate::card::{Card, Shown, Zone, ZoneKind, ZoneState};
use crate::command::Reply;
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{CardId, PersonId, RegionCode, SettlementId};
use crate::ledger::{LedgerAccount, Leg};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;
use crate::settlement::{Adjustment, Standing};

pub(crate) fn pay_out(
    hub: &Hub,
    id: PersonId,
    amount: Fen,
    claim_number: &str,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let person = hub.person(id)?;
    accounts::check_amount(amount)?;
    let card = bank_zone(hub, person, context.stamp_ms);
    let known = person.seldom.pay_outs.iter().find(|known| *known.claim_number == *claim_number);
    let mut facts = card.map_or_else(Vec::new, |card| releases(person, card).collect());
    match known {
        Some(known) if known.waiting && known.amount == amount && card.is_some() => {}
        Some(_) => return Err(Reject::ClaimPaid { claim_number: claim_number.into() }),
        None => facts.push(made(person, LedgerAccount::Reimbursements, amount, claim_number, card)),
    }
    Ok((facts, Reply::PaidOut { waiting: card.is_none() }))
}

/// What recomputed settlements give the person, each a pay-out of its own. What they take stays a receivable of the insured place.
pub(crate) fn differences<'a>(
    hub: &Hub,
    person: &Person,
    recomputed: impl Iterator<Item = &'a Adjustment>,
    now_ms: i64,
) -> Vec<Fact> {
    let card = bank_zone(hub, person, now_ms);
    recomputed
        .filter(|adjustment| adjustment.fund_delta > Fen::ZERO)
        .map(|Adjustment { settlement, because_of, fund_delta, .. }| {
            let claim_number = format!("adjustment {because_of}/{settlement}");
            made(person, LedgerAccount::PersonSettlement, *fund_delta, &claim_number, card)
        })
        .collect()
}

/// What had been paid out because a settlement was recomputed, and is owed once it is taken back itself, by a cancellation or an unwind
/// whose own legs take back those of its recomputations.
pub(crate) fn owed(person: &Person, standing: &Standing, because_of: SettlementId) -> Option<Adjustment> {
    let settlement = standing.settlement.id;
    let given: Fen = standing.adjustments.iter().map(|adjustment| adjustment.fund_delta).sum();
    let fund_delta = withdrawn(person, settlement) - given;
    (fund_delta < Fen::ZERO).then(|| Adjustment {
        settlement,
        because_of,
        fund_delta,
        split: standing.split().clone(),
        deltas: standing.deltas().to_vec(),
        changes: Vec::new(),
        legs: Vec::new(),
    })
}

/// What waited on a settlement that is taken back, and is not paid.
pub(crate) fn withdrawn(person: &Person, settlement: SettlementId) -> Fen {
    waiting_on(person, settlement).map(|pay_out| pay_out.amount).sum()
}

/// Nothing is paid on a settlement that is taken back.
pub(crate) fn withdrawals(person: &Person, settlement: SettlementId) -> impl Iterator<Item = Fact> {
    waiting_on(person, settlement).map(|PayOut { claim_number, amount, region, .. }| {
        let legs = moved(LedgerAccount::PayoutsWaiting(*region), LedgerAccount::PersonSettlement(*region), *amount);
        Fact::PayOutWithdrawn { person: person.id, claim_number: claim_number.clone(), legs }
    })
}

/// What waits because this settlement was recomputed.
fn waiting_on(person: &Person, settlement: SettlementId) -> impl Iterator<Item = &PayOut> {
    let ending = format!("/{settlement}");
    let is_ours =
        move |claim_number: &str| claim_number.chars().count() > MAX_CLAIM_NUMBER && claim_number.ends_with(&ending);
    person.seldom.pay_outs.iter().filter(move |pay_out| pay_out.waiting && is_ours(&pay_out.claim_number))
}

fn made(
    person: &Person,
    from: fn(RegionCode) -> LedgerAccount,
    amount: Fen,
    claim_number: &str,
    card: Option<CardId>,
) -> Fact {
    let region = person.home;
    let to = if card.is_some() { LedgerAccount::BankPayouts } else { LedgerAccount::PayoutsWaiting };
    let pay_out = PayOut { claim_number: claim_number.into(), amount, region, waiting: card.is_none() };
    let legs = moved(from(region), to(region), amount);
    Fact::PayOutMade { person: person.id, pay_out, card, legs }
}

/// Adds to the facts of a card what they release: a person whose bank zone comes into use is paid what waits.
pub(crate) fn release(hub: &Hub, facts: &mut Vec<Fact>, now_ms: i64) {
    let in_use: Vec<CardId> = facts.iter().filter_map(|fact| comes_into_use(hub, fact, now_ms)).collect();
    for card in in_use {
        facts.extend(releases(&hub.persons[hub.cards[card].person], card));
    }
}

/// The card whose bank zone a fact brings into use: it shows so once the fact has changed it.
fn comes_into_use(hub: &Hub, fact: &Fact, now_ms: i64) -> Option<CardId> {
    let (id, change): (&CardId, fn(&mut Zone)) = match fact {
        Fact::CardEnabled { card, zone: ZoneKind::Bank, .. } => (card, |zone| zone.state = ZoneState::Enabled),
        Fact::CardLossWithdrawn { card, zones, .. } if zones.contains(&ZoneKind::Bank) => {
            (card, |zone| zone.lost_until_ms = None)
        }
        Fact::CardUnlocked { card, zone: ZoneKind::Bank, .. } => (card, |zone| zone.locked = false),
        _ => return None,
    };
    let mut card = hub.cards[*id].clone();
    change(&mut card.bank);
    is_paid_to(hub, &card, now_ms).then_some(*id)
}

/// The person's card whose bank zone is in use now.
fn bank_zone(hub: &Hub, person: &Person, now_ms: i64) -> Option<CardId> {
    cards::of_person(hub, person).find(|card| is_paid_to(hub, card, now_ms)).map(|card| card.id)
}

fn is_paid_to(hub: &Hub, card: &Card, now_ms: i64) -> bool {
    card.bank.shown(hub.moment(card, now_ms)) == Shown::Plain(ZoneState::Enabled)
}

fn releases(person: &Person, card: CardId) -> impl Iterator<Item = Fact> {
    person.seldom.pay_outs.iter().filter(|pay_out| pay_out.waiting).map(
        move |PayOut { claim_number, amount, region, .. }| {
            let legs = moved(LedgerAccount::PayoutsWaiting(*region), LedgerAccount::BankPayouts(*region), *amount);
            Fact::PayOutReleased { person: person.id, claim_number: claim_number.clone(), card, legs }
        },
    )
}

fn moved(from: LedgerAccount, to: LedgerAccount, amount: Fen) -> Vec<Leg> {
    vec![Leg { account: from, amount: -amount }, Leg { account: to, amount }]
}

#[cfg(test)]
mod tests;
