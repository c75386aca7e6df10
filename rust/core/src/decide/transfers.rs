//! Change of the insured region: where a person is insured, whose books hold the account, and which card names it.
//!
//! Invariant: the balance goes along to the fen, in the person and in the books.
//! Invariant: an open stay keeps the insured region that was fixed at its admission, and settles under it.
//! Leaves out: the new card, which is applied for afterwards.

use std::sync::Arc;

use super::cards;
use crate::accumulator::AccumulatorKey;
use crate::calendar::Date;
use crate::card::{CancelCause, Card, Event, ZoneKind};
use crate::command::Reply;
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::{CardId, PersonId, RegionCode};
use crate::ledger::{LedgerAccount, Leg};
use crate::money::Fen;
use crate::person::{Documents, Person, Profile, Spell, SpellStatus, Transfer, covers};
use crate::policy::{OnTransfer, VisitKind};
use crate::reject::Reject;

pub(crate) fn decide(
    hub: &Hub,
    id: PersonId,
    spell: &Spell,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    let person = hub.person(id)?;
    let profile = Arc::new(moved(hub, person, spell, context)?);
    let last = profile.spell_on_or_last(context.today()).expect("a profile has a spell");
    // Who has a second insurance may stay at home with the first.
    let home = if hub.regions.is_home(last.region) { last.region } else { person.home };
    let anew = begins_anew(hub, person, spell);
    let mut facts = vec![Fact::PersonTransferred {
        person: id,
        profile: Arc::clone(&profile),
        home,
        anew: anew.clone(),
        legs: legs_of_move(person, home),
    }];
    facts.extend(ending(hub, person, home, context).map(|(card, zones)| Fact::CardCancelled {
        card,
        zones,
        cause: CancelCause::RegionChanged,
    }));
    let mut after = Person { documents: Documents::of(&profile), home, ..person.clone() };
    after.years.forget(&anew);
    after.seldom.transfers.push(Transfer { at: hub.number.id(context.sequence), home_before: person.home, anew });
    Ok((facts, Reply::Person(Box::new(after))))
}

/// The person's documents once the spell of that insurance has ended on the day before the new one.
fn moved(hub: &Hub, person: &Person, new: &Spell, context: &Context<'_>) -> Result<Profile, Reject> {
    let wrong = |field: &str, problem: &str| Reject::malformed(format!("new_spell.{field}"), problem);
    if hub.regions.get(new.region).is_none() {
        return Err(Reject::RegionUnknown(new.region));
    }
    if !hub.regions.is_home(new.region) {
        return Err(Reject::NotHomeOfRegion(new.region));
    }
    if new.status != SpellStatus::Normal {
        return Err(wrong("status", "must be NORMAL"));
    }
    if new.from > context.today() {
        return Err(wrong("from_date", "is in the future"));
    }
    let mut profile = person.documents.profile();
    let day_before =
        Date::from_days(new.from.days() - 1).ok_or_else(|| wrong("from_date", "is the first of all days"))?;
    let open = profile
        .spells
        .iter_mut()
        .find(|spell| spell.insurance_type == new.insurance_type && covers(spell.from, spell.to, day_before));
    let open = open.ok_or_else(|| Reject::NotInsured { day: day_before })?;
    if open.region == new.region {
        return Err(wrong("region", "is the insured region already"));
    }
    open.to = Some(day_before);
    profile.spells.push(new.clone());
    profile.check().map_err(|(_, problem)| wrong("from_date", problem))?;
    Ok(profile)
}

/// Cards that were issued elsewhere than at the account's new home, with the zones that can still be, or come, into use.
fn ending<'a>(
    hub: &'a Hub,
    person: &'a Person,
    home: RegionCode,
    context: &'a Context<'_>,
) -> impl Iterator<Item = (CardId, Vec<ZoneKind>)> {
    let elsewhere = move |card: &&Card| home != person.home && card.region != home;
    cards::of_person(hub, person).filter(elsewhere).filter_map(|card| {
        let (zones, _) = card.after_in(&[], Event::Cancel, hub.moment(card, context.stamp_ms)).ok()?;
        Some((card.id, zones))
    })
}

/// The one place that says which of a person's money moves from one region's books to another's. What is under or in a card stays
/// in the books of the region that issued it.
fn legs_of_move(person: &Person, home: RegionCode) -> Vec<Leg> {
    let mut legs = Vec::new();
    if home == person.home {
        return legs;
    }
    let mut moves = |held_in: fn(RegionCode) -> LedgerAccount, balance: Fen| {
        if balance != Fen::ZERO {
            legs.push(Leg { account: held_in(person.home), amount: -balance });
            legs.push(Leg { account: held_in(home), amount: balance });
        }
    };
    moves(LedgerAccount::PersonalAccounts, person.account.balance);
    moves(LedgerAccount::OnlineAccounts, person.seldom.online);
    legs
}

/// Years of which the new region's packages do not take over what was used elsewhere.
fn begins_anew(hub: &Hub, person: &Person, spell: &Spell) -> Vec<AccumulatorKey> {
    let packages = [VisitKind::Inpatient, VisitKind::Outpatient, VisitKind::Pharmacy];
    let packages = packages.map(|kind| hub.policy(spell.region, spell.insurance_type, kind, spell.from));
    let anew = |key: &AccumulatorKey| {
        key.insurance_type == spell.insurance_type
            && key.year >= spell.from.year()
            && packages
                .iter()
                .flatten()
                .any(|(_, (_, policy))| policy.counter() == key.counter && policy.on_transfer == OnTransfer::StartAnew)
    };
    person.years.iter().map(|(key, _)| key).filter(anew).collect()
}

#[cfg(test)]
mod tests;
