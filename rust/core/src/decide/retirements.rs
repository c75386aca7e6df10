//! The end of a generation of cards, and how many cards there are in each state.

use crate::calendar::Date;
use crate::card::CardState;
use crate::census::ByState;
use crate::command::Reply;
use crate::fact::Fact;
use crate::hub::{Context, Hub};
use crate::ids::RegionCode;
use crate::reject::Reject;

/// Set the first day on which a generation no longer works; a day that has not come may be moved.
pub(crate) fn decide(
    hub: &Hub,
    region: RegionCode,
    generation: &str,
    cut_over: Date,
    context: &Context<'_>,
) -> Result<(Vec<Fact>, Reply), Reject> {
    if hub.regions.get(region).is_none() {
        return Err(Reject::RegionUnknown(region));
    }
    if !hub.regions.iter().any(|node| hub.regions.is_home(node.code) && hub.regions.within(node.code, region)) {
        return Err(Reject::NotHomeOfRegion(region));
    }
    if let Some(cut_over) = hub.retirements.set_for(region, generation).filter(|day| *day <= context.today()) {
        return Err(Reject::GenerationRetired { cut_over });
    }
    if cut_over < context.today() {
        return Err(Reject::malformed("cut_over_date", "is in the past"));
    }
    Ok((vec![Fact::GenerationRetired { region, generation: generation.into(), cut_over }], Reply::Done))
}

/// Count cards and insured persons of a region and what lies below it, or of the whole hub.
pub(crate) fn count(
    hub: &Hub,
    region: Option<RegionCode>,
    generation: Option<&str>,
    context: &Context<'_>,
) -> Result<Reply, Reject> {
    if let Some(region) = region.filter(|region| hub.regions.get(*region).is_none()) {
        return Err(Reject::RegionUnknown(region));
    }
    let wanted = |code: RegionCode| region.is_none_or(|region| hub.regions.within(code, region));
    let mut sums = ByState::default();
    for (code, name, counts) in hub.census.groups(context.stamp_ms, &hub.cards) {
        if !wanted(code) || generation.is_some_and(|generation| generation != name) {
            continue;
        }
        let retired = hub.retirements.is_over(&hub.regions, code, name, context.today());
        for (state, count) in CardState::ALL.into_iter().zip(counts) {
            let shown = if retired && !state.is_dead() { CardState::Retired } else { state };
            sums[shown as usize] += count;
        }
    }
    let insured = hub.census.insured(context.today()).filter(|(code, _)| wanted(*code)).map(|(_, count)| count).sum();
    Ok(Reply::CardCounts { counts: CardState::ALL.into_iter().zip(sums).collect(), insured })
}

#[cfg(test)]
mod tests;
