//! Accounts of a family: whose may pay for whom, and what each gives to a settlement.
//!
//! Invariant: the own account is drawn first, then those of the payers in the order of linking, none below zero.
//! Invariant: what a payer gave comes back to that payer, whether the link still stands or not.
//! Leaves out: how much the family may give at all (`benefit`, by the package and the request).

use crate::account::MAX_PAYERS;
use crate::command::Reply;
use crate::fact::Fact;
use crate::hub::Hub;
use crate::ids::{HubNumber, PersonId};
use crate::money::Fen;
use crate::person::Person;
use crate::reject::Reject;
use crate::settlement::{FamilyDraw, Settlement};

pub(crate) fn link(hub: &Hub, id: PersonId, payer: PersonId) -> Result<(Vec<Fact>, Reply), Reject> {
    let person = of_this_hub(hub, id)?;
    of_this_hub(hub, payer)?;
    if payer == id {
        return Err(Reject::malformed("payer_person_id", "is the person's own"));
    }
    if person.seldom.payers.contains(&payer) {
        return Err(Reject::FamilyLinkExists);
    }
    if person.seldom.payers.len() >= MAX_PAYERS {
        return Err(Reject::FamilyLinksFull);
    }
    Ok((vec![Fact::FamilyLinked { person: id, payer }], Reply::Done))
}

pub(crate) fn unlink(hub: &Hub, id: PersonId, payer: PersonId) -> Result<(Vec<Fact>, Reply), Reject> {
    if !of_this_hub(hub, id)?.seldom.payers.contains(&payer) {
        return Err(Reject::FamilyLinkUnknown);
    }
    Ok((vec![Fact::FamilyUnlinked { person: id, payer }], Reply::Done))
}

/// Only accounts that one writer decides can be drawn in one decision.
fn of_this_hub(hub: &Hub, id: PersonId) -> Result<&Person, Reject> {
    match HubNumber::of_id(id.0) {
        Some(other) if other != hub.number => Err(Reject::PersonOfOtherHub { hub: other }),
        _ => hub.person(id),
    }
}

/// What the accounts of all payers hold together; a sum beyond the range of amounts is as good as any bill.
pub(crate) fn balance(hub: &Hub, person: &Person) -> Fen {
    let balances = person.seldom.payers.iter().map(|payer| hub.persons[*payer].account.balance.0);
    Fen(balances.fold(0, i64::saturating_add))
}

/// Divides what the family gives among its payers. Nothing is allocated where it gives nothing.
pub(crate) fn draws(hub: &Hub, person: &Person, amount: Fen) -> Vec<FamilyDraw> {
    let mut draws = Vec::new();
    let mut left = amount;
    for payer in &person.seldom.payers {
        if left == Fen::ZERO {
            break;
        }
        let balance = hub.persons[*payer].account.balance;
        let amount = balance.min(left);
        if amount > Fen::ZERO {
            draws.push(FamilyDraw { payer: *payer, amount, balance_after: balance - amount });
            left -= amount;
        }
    }
    debug_assert_eq!(left, Fen::ZERO, "the family gives no more than its accounts hold");
    draws
}

/// What a cancellation gives back to each payer.
pub(crate) fn returns(hub: &Hub, settlement: &Settlement) -> Vec<FamilyDraw> {
    let back = |draw: &FamilyDraw| {
        let balance_after = hub.persons[draw.payer].account.balance + draw.amount;
        FamilyDraw { balance_after, ..*draw }
    };
    settlement.family.iter().map(back).collect()
}

#[cfg(test)]
mod tests;
