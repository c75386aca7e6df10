//! Cards as responses show them.

use medsettle_core::card::{Shown, Zone, ZoneState};
use medsettle_core::command::CardView;

use crate::v1;
use crate::v1::card::State;

/// The state of a zone, temporary loss aside, as the contract names it.
pub(crate) fn card_state(state: ZoneState) -> State {
    match state {
        ZoneState::Applied => State::Applied,
        ZoneState::Failed(_) => State::Failed,
        ZoneState::Made => State::Made,
        ZoneState::Issued => State::Issued,
        ZoneState::Enabled => State::Enabled,
        ZoneState::FormalLost => State::FormalLost,
        ZoneState::Locked => State::Locked,
        ZoneState::Cancelled => State::Cancelled,
        ZoneState::Retired => State::Retired,
    }
}

/// What a zone shows, and until when it is lost.
pub(super) fn shown(zone: &Zone, at_ms: i64) -> (State, i64) {
    match zone.shown(at_ms) {
        Shown::Plain(state) => (card_state(state), 0),
        Shown::TempLost(until_ms) => (State::TempLost, until_ms),
    }
}

pub(super) fn card(view: &CardView) -> v1::Card {
    let card = &view.card;
    let (insurance_state, insurance_lost_until_ms) = shown(&card.insurance, view.at_ms);
    let (bank_state, bank_lost_until_ms) = shown(&card.bank, view.at_ms);
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
        insurance_state: insurance_state as i32,
        bank_state: bank_state as i32,
        insurance_lost_until_ms,
        bank_lost_until_ms,
        predecessor_card_id: card.predecessor.map_or(0, |card| card.0),
        atc: u32::from(card.counter.highest),
        generation: card.generation.to_string(),
        purse_fen: card.purse.0,
        offline_fen: card.offline.0,
        chipless: made.is_some() && chip.is_none(),
    }
}
