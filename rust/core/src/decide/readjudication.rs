//! What later settlements should have been, once earlier ones are gone.
//!
//! Invariant: recomputation uses the packages, filings and bills that the settlements themselves recorded.
//! Invariant: the difference is between fund and person; the hospital's bill, account and cash stay as they were paid.

use std::collections::{BTreeMap, BTreeSet};

use super::calculation;
use crate::accumulator::{AccumulatorKey, Accumulators};
use crate::benefit::{AccountRequest, Case, Draw, adjudicate};
use crate::hub::Hub;
use crate::ids::{Hash32, SettlementId};
use crate::ledger::{LedgerAccount, Leg};
use crate::money::Fen;
use crate::person::Person;
use crate::policy::{BenefitPolicy, Counter, Fund};
use crate::records::Records;
use crate::reject::Reject;
use crate::settlement::{Adjustment, Settlement, Standing};

type Years = Vec<(AccumulatorKey, Accumulators)>;

/// Standing settlements that were committed later than the first of those cancelled and count in one of the same years, in the order of
/// admission, then of the journal. The cancelled ones are the holder's.
pub(crate) fn later_than(cancelled: &[Standing], holder: &Person, records: &dyn Records) -> Vec<Standing> {
    later_in(&years_of(cancelled.iter(), holder), cancelled, holder, records)
}

/// Everything that a recomputation may change, in the same order: what is later in the same years, and from there on what is later in
/// the years of that, for a stay over the new year carries a change from one into the next.
pub(crate) fn within_reach(cancelled: &[Standing], holder: &Person, records: &dyn Records) -> Vec<Standing> {
    let mut years = years_of(cancelled.iter(), holder);
    loop {
        let reached = later_in(&years, cancelled, holder, records);
        let further = years_of(cancelled.iter().chain(&reached), holder);
        if further == years {
            return reached;
        }
        years = further;
    }
}

fn years_of<'a>(standings: impl Iterator<Item = &'a Standing>, holder: &Person) -> BTreeSet<AccumulatorKey> {
    standings.flat_map(|standing| holder.counting(standing)).map(|(key, _)| *key).collect()
}

fn later_in(
    years: &BTreeSet<AccumulatorKey>,
    cancelled: &[Standing],
    holder: &Person,
    records: &dyn Records,
) -> Vec<Standing> {
    let Some(first) = cancelled.iter().map(|standing| standing.settlement.id).min() else { return Vec::new() };
    let is_cancelled = |id: SettlementId| cancelled.iter().any(|standing| standing.settlement.id == id);
    let mut later: Vec<Standing> = years
        .iter()
        .flat_map(|key| records.settlements_of_year(holder.id, *key))
        .filter(|other| other.settlement.id > first && !is_cancelled(other.settlement.id))
        .collect();
    later.sort_by_key(|other| (other.settlement.case.admission, other.settlement.id));
    later.dedup_by_key(|other| other.settlement.id);
    later
}

/// Every year that an undoing touches, as it is afterwards: without the deltas that are taken back, and with what was recomputed.
pub(crate) fn years_after<'a>(
    person: &Person,
    taken_back: impl Iterator<Item = &'a (AccumulatorKey, Accumulators)>,
    adjustments: &[Adjustment],
) -> Result<Years, Reject> {
    let mut used = Used { person, changed: BTreeMap::new() };
    for (key, delta) in taken_back {
        used.change(*key, |sum| sum.checked_sub(*delta))?;
    }
    for (key, change) in adjustments.iter().flat_map(|adjustment| &adjustment.changes) {
        used.change(*key, |sum| sum.checked_add(*change))?;
    }
    Ok(used.changed.into_iter().collect())
}

/// Recompute the later settlements as if the cancelled ones had never been.
pub(crate) fn recompute(
    hub: &Hub,
    person: &Person,
    cancelled: &[Standing],
    later: &[Standing],
    because_of: SettlementId,
) -> Result<Vec<Adjustment>, Reject> {
    let mut used = Used { person, changed: BTreeMap::new() };
    let counts = |standing: &Standing, key| person.still_counts(key, standing.settlement.id);
    for standing in later.iter().chain(cancelled) {
        for (key, delta) in person.counting(standing) {
            used.change(*key, |sum| sum.checked_sub(*delta))?;
        }
    }
    let mut adjustments = Vec::new();
    for standing in later {
        let adjustment = recompute_one(hub, person, standing, &used, because_of)?;
        for (key, delta) in adjustment.deltas.iter().filter(|(key, _)| counts(standing, *key)) {
            used.change(*key, |sum| sum.checked_add(*delta))?;
        }
        if adjustment.split.funds != standing.split().funds || adjustment.deltas != standing.deltas() {
            adjustments.push(adjustment);
        }
    }
    Ok(adjustments)
}

/// Accumulators while settlements are taken off and put on again.
struct Used<'a> {
    person: &'a Person,
    changed: BTreeMap<AccumulatorKey, Accumulators>,
}

impl Used<'_> {
    fn get(&self, key: AccumulatorKey) -> Accumulators {
        self.changed.get(&key).copied().unwrap_or_else(|| self.person.used(key))
    }

    fn change(
        &mut self,
        key: AccumulatorKey,
        change: impl FnOnce(Accumulators) -> Option<Accumulators>,
    ) -> Result<(), Reject> {
        let sum = change(self.get(key)).ok_or_else(|| Reject::AmountTooLarge { field: "accumulators".into() })?;
        self.changed.insert(key, sum);
        Ok(())
    }
}

fn recompute_one(
    hub: &Hub,
    person: &Person,
    standing: &Standing,
    used: &Used<'_>,
    because_of: SettlementId,
) -> Result<Adjustment, Reject> {
    let settlement = &standing.settlement;
    let facts = &settlement.case;
    let used_in =
        |year: i32, counter: Counter| used.get(AccumulatorKey { insurance_type: facts.insurance_type, year, counter });
    let case = Case {
        bill: settlement.split.bill,
        level: facts.level,
        category: facts.category,
        entitlements: &facts.entitlements,
        filings: &[facts.filing],
        scope: facts.scope,
        admission: facts.admission,
        discharge: facts.discharge,
        accumulators_of: &used_in,
    };
    let nothing = AccountRequest {
        draw: Draw::Settle,
        requested: Fen::ZERO,
        use_family: false,
        own_balance: Fen::ZERO,
        family_balance: Fen::ZERO,
    };
    let result = adjudicate(&case, &|year| recorded_policy(hub, settlement, year), &nothing)
        .map_err(|error| calculation::refusal(error, facts.insured_region, facts.discharge))?;
    let mut deltas = calculation::keyed(result.deltas, facts.insurance_type);
    if let (Some((_, last)), Some((_, paid))) = (deltas.last_mut(), settlement.deltas.last()) {
        last.account = paid.account;
    }
    let before = standing.split();
    let mut split = result.split;
    (split.account, split.family, split.cash) = (before.account, before.family, before.cash);
    let region = facts.insured_region;
    let mut legs = Vec::new();
    for fund in Fund::ALL {
        let delta = split.funds[*fund] - before.funds[*fund];
        if delta != Fen::ZERO {
            let account = LedgerAccount::Fund { region, insurance_type: facts.insurance_type, fund: *fund };
            legs.push(Leg { account, amount: -delta });
        }
    }
    let fund_delta = split.fund_total() - before.fund_total();
    if fund_delta != Fen::ZERO {
        legs.push(Leg { account: LedgerAccount::PersonSettlement(person.home), amount: fund_delta });
    }
    let mut changes = changes(standing.deltas(), &deltas)?;
    changes.retain(|(key, _)| person.still_counts(*key, settlement.id));
    Ok(Adjustment { settlement: settlement.id, because_of, fund_delta, split, deltas, changes, legs })
}

fn changes(
    before: &[(AccumulatorKey, Accumulators)],
    now: &[(AccumulatorKey, Accumulators)],
) -> Result<Vec<(AccumulatorKey, Accumulators)>, Reject> {
    let mut changes: BTreeMap<AccumulatorKey, Accumulators> = now.iter().copied().collect();
    for (key, delta) in before {
        let change = changes.entry(*key).or_default();
        *change = change.checked_sub(*delta).ok_or_else(|| Reject::AmountTooLarge { field: "accumulators".into() })?;
    }
    Ok(changes.into_iter().collect())
}

/// The package that the settlement recorded for a year, whatever was installed since.
pub(crate) fn recorded_policy<'a>(hub: &'a Hub, settlement: &Settlement, year: i32) -> Option<&'a BenefitPolicy> {
    let hash: Hash32 = settlement.policies.iter().find(|(of, _)| *of == year).map(|(_, hash)| *hash)?;
    let case = &settlement.case;
    hub.regions.upwards(case.insured_region).find_map(|region| {
        let packages = hub.policies.get(&(region, case.insurance_type, case.visit_kind))?;
        packages.iter().find(|(installed, _)| *installed == hash).map(|(_, policy)| &**policy)
    })
}

#[cfg(test)]
mod tests;
