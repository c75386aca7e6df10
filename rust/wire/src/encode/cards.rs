//! Cards as responses show them.

use medsettle_core::card::{CardState, Moment, Shown, Zone};
use medsettle_core::command::CardView;

use crate::convert::Coded;
use crate::v1;

/// What a zone shows, and until when it is lost.
pub(super) fn shown(zone: &Zone, at: Moment) -> (i32, i64) {
    let shown = zone.shown(at);
    let until_ms = if let Shown::TempLost(until_ms) = shown { until_ms } else { 0 };
    (shown.name().number(), until_ms)
}

pub(super) fn card(view: &CardView) -> v1::Card {
    let card = &view.card;
    let (insurance_state, insurance_lost_until_ms) = shown(&card.insurance, view.at);
    let (bank_state, bank_lost_until_ms) = shown(&card.bank, view.at);
    let made = card.made.as_ref();
    let chip = made.and_then(|made| made.chip);
    v1::Card {
        card_id: card.id.0,
        person_id: card.person.0,
        region: card.region.to_string(),
        pan: made.map(|made| made.pan.number()).unwrap_or_default(),
        sequence_number: made.map_or(0, |made| u32::from(made.pan.sequence_number())),
        card_sn: made.map(|made| made.card_sn.to_string()).unwrap_or_default(),
        scheme: chip.map_or(0, |chip| i32::from(chip.scheme)),
        key_index: chip.map_or(0, |chip| chip.key_index),
        insurance_state,
        bank_state,
        insurance_lost_until_ms,
        bank_lost_until_ms,
        predecessor_card_id: card.seldom.predecessor.map_or(0, |card| card.0),
        atc: u32::from(card.counter.highest),
        generation: card.generation.to_string(),
        purse_fen: card.seldom.purse.0,
        offline_fen: card.seldom.offline.0,
        chipless: made.is_some() && chip.is_none(),
        pin_tries_left: card.seldom.pin.map_or(0, |pin| pin.tries_left()),
        pin_set: card.seldom.pin.is_some(),
    }
}

pub(super) fn counts(counts: &[(CardState, u64)], insured: u64) -> v1::CardsCountByStateResponse {
    let row = |(state, count): &(CardState, u64)| v1::CardCount { state: state.number(), count: *count };
    v1::CardsCountByStateResponse { header: None, counts: counts.iter().map(row).collect(), insured_persons: insured }
}
