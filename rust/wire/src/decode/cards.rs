//! Requests about cards.

use medsettle_core::card::{Personalisation, ZoneKind};
use medsettle_core::command::{CardKey, Command, LossSubject, Query};
use medsettle_core::ids::{CardId, StayId};

use super::presentation::{Proof, card_sn, made_chip, made_key, pan, presentation};
use super::{Asked, actor, page, person};
use crate::convert::{Checked, Fault, amount, at, certificate, coded, day, each, given_text, id, id_if_given, region};
use crate::limits::{MAX_ACTOR, MAX_LABEL};
use crate::v1;

fn card(number: u64) -> Checked<CardId> {
    at("card_id", id(number)).map(CardId)
}

pub(super) fn apply(message: v1::CardsApplyRequest) -> Checked<Command> {
    Ok(Command::ApplyForCard {
        person: person(message.person_id)?,
        predecessor: id_if_given(message.predecessor_card_id).map(CardId),
        generation: at("generation", given_text(message.generation, MAX_LABEL))?,
    })
}

pub(super) fn fail_application(message: v1::CardsFailApplicationRequest) -> Checked<Command> {
    Ok(Command::FailApplication { card: card(message.card_id)?, cause: at("cause", coded(message.cause))? })
}

/// What a card is made with, from the fields of the two requests that make one.
fn personalisation(
    digits: &str,
    sequence_number: u32,
    code: &str,
    scheme: i32,
    key_index: u32,
) -> Checked<Personalisation> {
    Ok(Personalisation {
        pan: pan(digits, sequence_number)?,
        card_sn: at("card_sn", card_sn(code))?,
        chip: made_chip(scheme, key_index)?,
    })
}

pub(super) fn mark_made(message: v1::CardsMarkMadeRequest) -> Checked<Asked> {
    let v1::CardsMarkMadeRequest { pan, sequence_number, card_sn, scheme, key_index, .. } = &message;
    let made = personalisation(pan, *sequence_number, card_sn, *scheme, *key_index)?;
    let proof = made_key(pan, *scheme, *key_index)?.map(Proof::MadeKey);
    let purse = at("purse_fen", amount(message.purse_fen))?;
    Ok(Asked { command: Command::MarkCardMade { card: card(message.card_id)?, made, purse }, proof })
}

pub(super) fn replace(message: v1::CardsReplaceRequest) -> Checked<Asked> {
    let v1::CardsReplaceRequest { pan, sequence_number, card_sn, scheme, key_index, .. } = &message;
    let proof = made_key(pan, *scheme, *key_index)?.map(Proof::MadeKey);
    let command = Command::ReplaceCard {
        lost: at("lost_card_id", id(message.lost_card_id)).map(CardId)?,
        made: personalisation(pan, *sequence_number, card_sn, *scheme, *key_index)?,
        generation: at("generation", given_text(message.generation, MAX_LABEL))?,
        enable: message.enable,
    };
    Ok(Asked { command, proof })
}

pub(super) fn unlock(message: v1::CardsUnlockRequest) -> Checked<Asked> {
    let shown = message.presentation.map(|shown| presentation(Some(shown))).transpose()?;
    let (presentation, proof) = shown.map_or((None, None), |(shown, proof)| (Some(shown), proof));
    let zone = at("zone", coded(message.zone))?;
    let command = Command::UnlockCard { card: card(message.card_id)?, zone, presentation };
    Ok(Asked { command, proof })
}

pub(super) fn set_pin(message: v1::CardsSetPinRequest) -> Checked<Command> {
    Ok(Command::SetPin { card: card(message.card_id)? })
}

pub(super) fn verify_pin(message: v1::CardsVerifyPinRequest) -> Checked<Command> {
    Ok(Command::VerifyPin { card: at("card_sn", card_sn(&message.card_sn))? })
}

pub(super) fn retire_generation(message: v1::CardsRetireGenerationRequest) -> Checked<Command> {
    Ok(Command::RetireGeneration {
        region: at("region", region(&message.region))?,
        generation: at("generation", given_text(message.generation, MAX_LABEL))?,
        cut_over: at("cut_over_date", day(&message.cut_over_date))?,
    })
}

pub(super) fn count_by_state(message: v1::CardsCountByStateRequest) -> Checked<Query> {
    let given = |text: &String| !text.is_empty();
    let code = Some(message.region).filter(given);
    let generation = Some(message.generation).filter(given);
    Ok(Query::CountCards {
        region: code.map(|code| at("region", region(&code))).transpose()?,
        generation: generation.map(|name| at("generation", given_text(name, MAX_LABEL))).transpose()?,
    })
}

pub(super) fn hand_over(message: v1::CardsHandOverRequest) -> Checked<Command> {
    let collected_by = actor("collected_by", message.collected_by)?;
    Ok(Command::HandOverCard { card: card(message.card_id)?, collected_by })
}

pub(super) fn enable(message: v1::CardsEnableRequest) -> Checked<Command> {
    Ok(Command::EnableCard { card: card(message.card_id)?, zone: at("zone", coded(message.zone))? })
}

/// The zones that are named, each once; both where none is.
fn zones(numbers: Vec<i32>) -> Checked<Vec<ZoneKind>> {
    let mut zones = each("zones", numbers, coded)?;
    if zones.is_empty() {
        zones.extend(ZoneKind::ALL);
    }
    zones.sort_unstable();
    zones.dedup();
    Ok(zones)
}

pub(super) fn report_loss(message: v1::CardsReportLossRequest) -> Checked<Command> {
    use v1::cards_report_loss_request::Subject;
    let subject = match message.subject.ok_or_else(|| Fault::of("subject", "is missing"))? {
        Subject::CardId(number) => LossSubject::Card(CardKey::Id(card(number)?)),
        Subject::CardSn(text) => LossSubject::Card(CardKey::Sn(at("card_sn", card_sn(&text))?)),
        Subject::Certificate(document) => LossSubject::Certificate(at("certificate", certificate(&document))?),
    };
    Ok(Command::ReportLoss {
        subject,
        loss: at("loss", coded(message.loss))?,
        zones: zones(message.zones)?,
        channel: at("channel", coded(message.channel))?,
        verified_by: actor("verified_by", message.verified_by)?,
        holder: message.holder.map(|document| at("holder", certificate(&document))).transpose()?,
    })
}

pub(super) fn withdraw_loss(message: v1::CardsWithdrawLossRequest) -> Checked<Command> {
    let verified_by = actor("verified_by", message.verified_by)?;
    Ok(Command::WithdrawLoss { card: card(message.card_id)?, zones: zones(message.zones)?, verified_by })
}

pub(super) fn cancel(message: v1::CardsCancelRequest) -> Checked<Command> {
    Ok(Command::CancelCard { card: card(message.card_id)?, cause: at("cause", coded(message.cause))? })
}

pub(super) fn authorize_stay(message: v1::CardsAuthorizeStayRequest) -> Checked<Command> {
    Ok(Command::AuthorizeStay {
        stay: StayId(at("stay_id", id(message.stay_id))?),
        account_limit: at("account_limit_fen", amount(message.account_limit_fen))?,
        cause: at("cause", given_text(message.cause, MAX_ACTOR))?,
    })
}

pub(super) fn get(message: v1::CardsGetRequest) -> Checked<Query> {
    let key = match message.key.ok_or_else(|| Fault::of("key", "is missing"))? {
        v1::cards_get_request::Key::CardId(number) => CardKey::Id(card(number)?),
        v1::cards_get_request::Key::CardSn(text) => CardKey::Sn(at("card_sn", card_sn(&text))?),
    };
    Ok(Query::GetCard(key))
}

pub(super) fn list(message: v1::CardsListRequest) -> Checked<Query> {
    Ok(Query::ListCards { person: person(message.person_id)?, page: page(message.page)? })
}
