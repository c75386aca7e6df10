//! The life of cards, and of whole generations, in the journal.

use medsettle_core::card::{Chip, Personalisation};
use medsettle_core::fact::Fact;
use medsettle_core::ids::{CardId, Pan, PersonId};
use medsettle_core::money::Fen;
use medsettle_core::pin::HashedPin;

use super::facts::{card_sn, day, region};
use super::{account, settlement};
use crate::convert::{Checked, Coded, Fault, array, at, coded, each, hash, id_if_given, institution_code, number};
use crate::v1;
use crate::v1::fact::Fact as Message;

pub(super) fn from_fact(fact: &Fact) -> Message {
    match fact {
        Fact::CardUnlocked { card, zone, atc } => {
            Message::CardUnlocked(v1::CardUnlocked { card_id: card.0, zone: zone.number(), atc: atc.map(u32::from) })
        }
        Fact::GenerationRetired { region, generation, cut_over } => Message::GenerationRetired(v1::GenerationRetired {
            region: region.get(),
            generation: generation.to_string(),
            cut_over_days: cut_over.days(),
        }),
        Fact::CardApplied { card, person, region, generation, predecessor } => Message::CardApplied(v1::CardApplied {
            card_id: card.0,
            person_id: person.0,
            region: region.get(),
            generation: generation.to_string(),
            predecessor_card_id: predecessor.map_or(0, |card| card.0),
        }),
        Fact::CardApplicationFailed { card, cause } => {
            Message::CardApplicationFailed(v1::CardApplicationFailed { card_id: card.0, cause: cause.number() })
        }
        Fact::CardMade { card, made, purse, legs } => Message::CardMade(v1::CardMade {
            card_id: card.0,
            pan: made.pan.number(),
            sequence_number: u32::from(made.pan.sequence_number()),
            card_sn: made.card_sn.to_string(),
            scheme: made.chip.map_or(0, |chip| i32::from(chip.scheme)),
            key_index: made.chip.map_or(0, |chip| chip.key_index),
            purse_fen: purse.0,
            legs: settlement::from_legs(legs),
        }),
        Fact::CardHandedOver { card, collected_by } => {
            Message::CardHandedOver(v1::CardHandedOver { card_id: card.0, collected_by: collected_by.to_string() })
        }
        Fact::CardEnabled { card, zone, cancelled, by_first_use, moves, legs } => {
            Message::CardEnabled(v1::CardEnabled {
                card_id: card.0,
                zone: zone.number(),
                cancelled_card_id: cancelled.map_or(0, |card| card.0),
                by_first_use: *by_first_use,
                moves: account::from_moves(moves),
                legs: settlement::from_legs(legs),
            })
        }
        Fact::CardReportedLost { card, zones, loss, until_ms, channel, verified_by } => {
            Message::CardReportedLost(v1::CardReportedLost {
                card_id: card.0,
                zones: zones.iter().map(|zone| zone.number()).collect(),
                loss: loss.number(),
                until_ms: *until_ms,
                channel: channel.number(),
                verified_by: verified_by.to_string(),
            })
        }
        Fact::CardLossWithdrawn { card, zones, verified_by } => Message::CardLossWithdrawn(v1::CardLossWithdrawn {
            card_id: card.0,
            zones: zones.iter().map(|zone| zone.number()).collect(),
            verified_by: verified_by.to_string(),
        }),
        Fact::CardLocked { card, cause } => {
            Message::CardLocked(v1::CardLocked { card_id: card.0, cause: cause.number() })
        }
        Fact::PinSet { card, hashed } => Message::PinSet(v1::PinSet {
            card_id: card.0,
            pin_hash: hashed.hash.0.to_vec(),
            pin_key_check: hashed.key_check.to_vec(),
        }),
        Fact::PinWrong { card, count } => Message::PinWrong(v1::PinWrong { card_id: card.0, count: *count }),
        Fact::PinVerified { card } => Message::PinVerified(v1::PinVerified { card_id: card.0 }),
        Fact::CryptogramWrong { card, institution, count } => Message::CryptogramWrong(v1::CryptogramWrong {
            card_id: card.0,
            institution_code: institution.as_str().to_owned(),
            count: *count,
        }),
        Fact::CardCancelled { card, zones, cause } => Message::CardCancelled(v1::CardCancelled {
            card_id: card.0,
            cause: cause.number(),
            zones: zones.iter().map(|zone| zone.number()).collect(),
        }),
        other => unreachable!("not of a card: {other:?}"),
    }
}

pub(super) fn fact(message: Message) -> Checked<Fact> {
    match message {
        Message::CardUnlocked(m) => at("card_unlocked", unlocked(&m)),
        Message::GenerationRetired(m) => at("generation_retired", generation_retired(m)),
        Message::CardApplied(m) => at("card_applied", card_applied(m)),
        Message::CardApplicationFailed(m) => {
            let cause = at("card_application_failed.cause", coded(m.cause))?;
            Ok(Fact::CardApplicationFailed { card: CardId(m.card_id), cause })
        }
        Message::CardMade(m) => at("card_made", card_made(m)),
        Message::CardHandedOver(m) => {
            Ok(Fact::CardHandedOver { card: CardId(m.card_id), collected_by: m.collected_by.into() })
        }
        Message::CardEnabled(m) => at("card_enabled", card_enabled(m)),
        Message::CardReportedLost(m) => at("card_reported_lost", card_reported_lost(m)),
        Message::CardLossWithdrawn(m) => Ok(Fact::CardLossWithdrawn {
            card: CardId(m.card_id),
            zones: at("card_loss_withdrawn", each("zones", m.zones, coded))?,
            verified_by: m.verified_by.into(),
        }),
        Message::CardCancelled(m) => {
            let zones = each("card_cancelled.zones", m.zones, coded)?;
            let cause = at("card_cancelled.cause", coded(m.cause))?;
            Ok(Fact::CardCancelled { card: CardId(m.card_id), zones, cause })
        }
        Message::CardLocked(m) => {
            Ok(Fact::CardLocked { card: CardId(m.card_id), cause: at("card_locked.cause", coded(m.cause))? })
        }
        Message::PinSet(m) => Ok(Fact::PinSet {
            card: CardId(m.card_id),
            hashed: HashedPin {
                hash: at("pin_set.pin_hash", hash(&m.pin_hash))?,
                key_check: at("pin_set.pin_key_check", array(&m.pin_key_check))?,
            },
        }),
        Message::PinWrong(m) => Ok(Fact::PinWrong { card: CardId(m.card_id), count: m.count }),
        Message::PinVerified(m) => Ok(Fact::PinVerified { card: CardId(m.card_id) }),
        Message::CryptogramWrong(m) => Ok(Fact::CryptogramWrong {
            card: CardId(m.card_id),
            institution: at("cryptogram_wrong.institution_code", institution_code(&m.institution_code))?,
            count: m.count,
        }),
        _ => unreachable!("only facts of cards are sent here"),
    }
}

fn unlocked(message: &v1::CardUnlocked) -> Checked<Fact> {
    Ok(Fact::CardUnlocked {
        card: CardId(message.card_id),
        zone: at("zone", coded(message.zone))?,
        atc: at("atc", message.atc.map(number).transpose())?,
    })
}

fn generation_retired(message: v1::GenerationRetired) -> Checked<Fact> {
    Ok(Fact::GenerationRetired {
        region: at("region", region(message.region))?,
        generation: message.generation.into(),
        cut_over: at("cut_over_days", day(message.cut_over_days))?,
    })
}

fn card_applied(message: v1::CardApplied) -> Checked<Fact> {
    Ok(Fact::CardApplied {
        card: CardId(message.card_id),
        person: PersonId(message.person_id),
        region: at("region", region(message.region))?,
        generation: message.generation.into(),
        predecessor: id_if_given(message.predecessor_card_id).map(CardId),
    })
}

fn card_made(message: v1::CardMade) -> Checked<Fact> {
    let pan = Pan::parse(&message.pan, message.sequence_number);
    let made = Personalisation {
        pan: pan.ok_or_else(|| Fault::of("pan", "is no number of a card"))?,
        card_sn: card_sn(&message.card_sn)?,
        chip: match u8::try_from(message.scheme).map_err(|_| Fault::of("scheme", "is no scheme"))? {
            0 => None,
            scheme => Some(Chip { scheme, key_index: message.key_index }),
        },
    };
    let (purse, legs) = (Fen(message.purse_fen), settlement::legs(message.legs)?);
    Ok(Fact::CardMade { card: CardId(message.card_id), made, purse, legs })
}

fn card_enabled(message: v1::CardEnabled) -> Checked<Fact> {
    Ok(Fact::CardEnabled {
        card: CardId(message.card_id),
        zone: at("zone", coded(message.zone))?,
        cancelled: id_if_given(message.cancelled_card_id).map(CardId),
        by_first_use: message.by_first_use,
        moves: account::moves(message.moves)?,
        legs: settlement::legs(message.legs)?,
    })
}

fn card_reported_lost(message: v1::CardReportedLost) -> Checked<Fact> {
    Ok(Fact::CardReportedLost {
        card: CardId(message.card_id),
        zones: each("zones", message.zones, coded)?,
        loss: at("loss", coded(message.loss))?,
        until_ms: message.until_ms,
        channel: at("channel", coded(message.channel))?,
        verified_by: message.verified_by.into(),
    })
}
