//! Rows that bring a card into the state in which the system before left it.
//!
//! | step | asks | goes on |
//! | --- | --- | --- |
//! | Look | `Persons.Get` where a certificate names the person, `Cards.Get` by recognition code | unless the code is another card's |
//! | List | `Cards.List`, where the insurance zone shall be in use | unless another card of the person is: enabling would end it |
//! | Apply | `Cards.Apply`, where the hub did not know the code | |
//! | Make | `MarkMade`, `HandOver`, `Enable` of each zone, as far as the states ask for | |
//!
//! Invariant: no step needs a secret: a card is named by what is printed and written on it, its keys are the issuer's in the hub's ring.
//! Invariant: what is malformed in any step is found before the first, so no application is left behind for it.
//! Leaves out: the chip's counter and the day of issue, for which the contract has no field; lost and cancelled cards, which pay nowhere.

use medsettle_wire::Reason;
use medsettle_wire::v1;
use medsettle_wire::v1::card::State as CardState;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Answered;

use super::holder::{Holder, column_of_holder};
use super::{Next, Rules, State, accepted, only, unexpected};
use crate::fault::Fault;
use crate::header::Header;
use crate::limits::CARDS_OF_PERSON;
use crate::message::Message;
use crate::rows::Cells;

const LOOK: u8 = 0;
const LIST: u8 = 1;
const APPLY: u8 = 2;
const MAKE: u8 = 3;

pub(super) struct Cards {
    holder: Holder,
    generation: usize,
    pan: usize,
    sequence_number: Option<usize>,
    card_sn: usize,
    scheme: Option<usize>,
    key_index: Option<usize>,
    purse: Option<usize>,
    insurance_state: usize,
    bank_state: Option<usize>,
    collected_by: Option<usize>,
}

/// How far a row wants its card.
#[derive(Clone, Copy)]
struct Wanted {
    handed_over: bool,
    enabled: bool,
    bank_enabled: bool,
}

impl Cards {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            holder: Holder::new(header),
            generation: header.required("generation"),
            pan: header.required("pan"),
            sequence_number: header.find("sequence_number"),
            card_sn: header.required("card_sn"),
            scheme: header.find("scheme"),
            key_index: header.find("key_index"),
            purse: header.find("purse_fen"),
            insurance_state: header.required("insurance_state"),
            bank_state: header.find("bank_state"),
            collected_by: header.find("collected_by"),
        }
    }

    fn wanted(&self, cells: &Cells<'_>) -> Result<Wanted, Fault> {
        let rank = match cells.given(self.insurance_state)? {
            "MADE" => 0,
            "ISSUED" => 1,
            "ENABLED" => 2,
            _ => return Err(cells.named(self.insurance_state, "is none of MADE, ISSUED, ENABLED")),
        };
        let bank_enabled = match (self.bank_state, cells.optional(self.bank_state)?) {
            (Some(_), Some("ENABLED")) if rank > 0 => true,
            (Some(cell), Some("ENABLED")) => return Err(cells.named(cell, "is of a card that nobody has collected")),
            (Some(cell), Some(_)) => return Err(cells.named(cell, "is neither ENABLED nor empty")),
            _ => false,
        };
        Ok(Wanted { handed_over: rank > 0, enabled: rank > 1, bank_enabled })
    }

    fn look(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        if self.holder.given(cells)?.is_none() {
            self.holder.ask(cells, message)?;
        }
        let key = Some(v1::cards_get_request::Key::CardSn(cells.given(self.card_sn)?.to_owned()));
        message.push(Command::CardsGet(v1::CardsGetRequest { key }));
        Ok(())
    }

    fn apply(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
        let generation = cells.given(self.generation)?.to_owned();
        // All that the application says, so that a row which is mended is another request.
        let parts = [cells.given(self.card_sn)?.as_bytes(), &person_id.to_be_bytes(), generation.as_bytes()];
        let header = message.header("card.apply", &parts);
        let request = v1::CardsApplyRequest { header, person_id, predecessor_card_id: 0, generation };
        message.push(Command::CardsApply(request));
        Ok(())
    }

    /// What the card is made with, without header and card.
    fn made(&self, cells: &Cells<'_>) -> Result<v1::CardsMarkMadeRequest, Fault> {
        let scheme = match (self.scheme, cells.optional(self.scheme)?) {
            (Some(cell), Some(_)) => cells.coded(cell, v1::chip::Scheme::from_str_name)?,
            _ => 0,
        };
        Ok(v1::CardsMarkMadeRequest {
            header: None,
            card_id: 0,
            pan: cells.given(self.pan)?.to_owned(),
            sequence_number: cells.number_or_zero(self.sequence_number)?,
            card_sn: cells.given(self.card_sn)?.to_owned(),
            scheme,
            key_index: cells.number_or_zero(self.key_index)?,
            purse_fen: cells.number_or_zero(self.purse)?,
        })
    }

    fn make(&self, cells: &Cells<'_>, card_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
        let wanted = self.wanted(cells)?;
        let made = self.made(cells)?;
        let sn = made.card_sn.clone();
        let header = message.header("card.made", &[sn.as_bytes()]);
        message.push(Command::CardsMarkMade(v1::CardsMarkMadeRequest { header, card_id, ..made }));
        if wanted.handed_over {
            let header = message.header("card.handed", &[sn.as_bytes()]);
            let collected_by = cells.optional(self.collected_by)?.unwrap_or("holder").to_owned();
            message.push(Command::CardsHandOver(v1::CardsHandOverRequest { header, card_id, collected_by }));
        }
        let zones = [
            (wanted.enabled, v1::zone::Kind::Insurance, "card.insurance"),
            (wanted.bank_enabled, v1::zone::Kind::Bank, "card.bank"),
        ];
        for (_, zone, of) in zones.into_iter().filter(|(wanted, ..)| *wanted) {
            let header = message.header(of, &[sn.as_bytes()]);
            message.push(Command::CardsEnable(v1::CardsEnableRequest { header, card_id, zone: zone as i32 }));
        }
        Ok(())
    }

    fn take_look(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        let mut results = results.into_iter();
        state.person = match self.holder.given(cells)? {
            Some(person) => person,
            None => Holder::take(self, results.next().ok_or_else(unexpected)?)?,
        };
        let enables = self.wanted(cells)?.enabled;
        match accepted(results.next().ok_or_else(unexpected)?) {
            Ok(Answered::CardsGet(found)) => {
                let card = found.card.ok_or_else(unexpected)?;
                if !self.is_the_same(cells, state.person, &card)? {
                    return Err(exists("card_sn", "another card has this recognition code"));
                }
                state.thing = card.card_id;
                let unused = matches!(card.insurance_state(), CardState::Applied | CardState::Made | CardState::Issued);
                state.step = if enables && unused { LIST } else { MAKE };
            }
            Err(refusal) if refusal.is(Reason::CardUnknown) => state.step = if enables { LIST } else { APPLY },
            Err(refusal) => return Err(refusal.fault(self)),
            Ok(_) => return Err(unexpected()),
        }
        Ok(Next::Ask)
    }

    fn is_the_same(&self, cells: &Cells<'_>, person: u64, card: &v1::Card) -> Result<bool, Fault> {
        let made = self.made(cells)?;
        Ok(card.person_id == person
            && card.pan == made.pan
            && card.sequence_number == made.sequence_number
            && card.scheme == made.scheme
            && card.key_index == made.key_index)
    }

    /// A card in use ends when another is enabled: an import never ends one.
    fn take_list(state: &mut State, listed: &v1::CardsListResponse) -> Result<Next, Fault> {
        let in_use = |card: &v1::Card| {
            card.card_id != state.thing
                && matches!(card.insurance_state(), CardState::Enabled | CardState::TempLost | CardState::Locked)
        };
        if listed.cards.iter().any(in_use) {
            return Err(exists("insurance_state", "the person has another card in use"));
        }
        state.step = if state.thing == 0 { APPLY } else { MAKE };
        Ok(Next::Ask)
    }

    /// Of a card that the hub knew before, what is refused by its state has happened already, or has been overtaken.
    fn take_made(&self, state: &State, results: Vec<Answered>) -> Result<Next, Fault> {
        for result in results {
            match accepted(result) {
                Err(refusal) if state.found && is_of_state(&refusal) => {}
                Err(refusal) => return Err(refusal.fault(self)),
                Ok(_) => {}
            }
        }
        Ok(Next::Done)
    }
}

fn is_of_state(refusal: &super::Refusal) -> bool {
    [Reason::CardStateForbids, Reason::CardLost, Reason::CardLocked, Reason::CardRetired, Reason::CardCancelled]
        .into_iter()
        .any(|reason| refusal.is(reason))
}

fn exists(field: &'static str, detail: &'static str) -> Fault {
    Fault { field: field.into(), reason: Reason::CardExists.name(), detail: detail.into() }
}

impl Rules for Cards {
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault> {
        match state.step {
            LIST => {
                let page = Some(v1::Page { page_size: CARDS_OF_PERSON, page_token: String::new() });
                message.push(Command::CardsList(v1::CardsListRequest { person_id: state.person, page }));
                Ok(())
            }
            APPLY => self.apply(cells, state.person, message),
            MAKE => self.make(cells, state.thing, message),
            _ => self.look(cells, message),
        }
    }

    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        match state.step {
            LOOK => {
                let next = self.take_look(cells, state, results);
                state.found = state.thing != 0;
                next
            }
            MAKE => self.take_made(state, results),
            _ => match accepted(only(results)).map_err(|refusal| refusal.fault(self))? {
                Answered::CardsList(listed) => Self::take_list(state, &listed),
                Answered::CardsApply(applied) => {
                    state.thing = applied.card_id;
                    state.step = MAKE;
                    Ok(Next::Ask)
                }
                _ => Err(unexpected()),
            },
        }
    }

    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        self.look(cells, message)?;
        self.apply(cells, 1, message)?;
        self.make(cells, 1, message)
    }

    fn column(&self, field: &str) -> String {
        column_of_holder(field)
    }

    fn is_exclusive(&self, state: &State) -> bool {
        state.step != LOOK
    }

    fn is_rehearsed(&self) -> bool {
        true
    }
}
