//! What happens to cards in their holders' hands, and to whole generations, in the journal.

use medsettle_core::fact::Fact;
use medsettle_core::ids::CardId;

use super::facts::{day, region};
use crate::convert::{Checked, Coded, at, coded, number};
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
        other => unreachable!("not of a card in its holder's hands: {other:?}"),
    }
}

pub(super) fn unlocked(message: &v1::CardUnlocked) -> Checked<Fact> {
    Ok(Fact::CardUnlocked {
        card: CardId(message.card_id),
        zone: at("zone", coded(message.zone))?,
        atc: at("atc", message.atc.map(number).transpose())?,
    })
}

pub(super) fn generation_retired(message: v1::GenerationRetired) -> Checked<Fact> {
    Ok(Fact::GenerationRetired {
        region: at("region", region(message.region))?,
        generation: message.generation.into(),
        cut_over: at("cut_over_days", day(message.cut_over_days))?,
    })
}
