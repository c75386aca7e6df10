//! Requests about personal accounts and yearly accumulators.

use medsettle_core::account::{MAX_CLAIM_NUMBER, MAX_PERIOD_KEY};
use medsettle_core::accumulator::AccumulatorKey;
use medsettle_core::command::{Command, Query};
use medsettle_core::ids::{CardId, PersonId};
use medsettle_core::statement::Range;

use super::person;
use super::presentation::card_sn;
use crate::convert::{Checked, amount, at, coded, day_if_given, given_accumulators, given_text, id, within};
use crate::limits::MAX_TERMINAL;
use crate::v1;

pub(super) fn credit(message: v1::AccountsCreditRequest) -> Checked<Command> {
    Ok(Command::CreditAccount {
        person: person(message.person_id)?,
        amount: at("amount_fen", amount(message.amount_fen))?,
        period_key: at("period_key", given_text(message.period_key, MAX_PERIOD_KEY))?,
    })
}

pub(super) fn open_year(message: v1::AccountsOpenYearRequest) -> Checked<Command> {
    let key = AccumulatorKey {
        insurance_type: at("insurance_type", coded(message.insurance_type))?,
        year: message.benefit_year,
        counter: at("counter", coded(message.counter))?,
    };
    let accumulators = within("accumulators", message.accumulators, |sums| given_accumulators(&sums))?;
    Ok(Command::OpenYear { person: person(message.person_id)?, key, accumulators })
}

pub(super) fn top_up(message: v1::AccountsTopUpRequest) -> Checked<Command> {
    Ok(Command::TopUp {
        card: at("card_id", id(message.card_id)).map(CardId)?,
        account: at("account", coded(message.account))?,
        amount: at("amount_fen", amount(message.amount_fen))?,
    })
}

pub(super) fn purchase(message: v1::AccountsPurchaseRequest) -> Checked<Command> {
    Ok(Command::Purchase {
        card: at("card_sn", card_sn(&message.card_sn))?,
        account: at("account", coded(message.account))?,
        amount: at("amount_fen", amount(message.amount_fen))?,
        terminal: at("terminal_id", given_text(message.terminal_id, MAX_TERMINAL))?,
    })
}

pub(super) fn pay_out(message: v1::AccountsPayOutRequest) -> Checked<Command> {
    Ok(Command::PayOut {
        person: person(message.person_id)?,
        amount: at("amount_fen", amount(message.amount_fen))?,
        claim_number: at("claim_number", given_text(message.claim_number, MAX_CLAIM_NUMBER))?,
    })
}

pub(super) fn link_family(message: v1::AccountsLinkFamilyRequest) -> Checked<Command> {
    Ok(Command::LinkFamily { person: person(message.person_id)?, payer: payer(message.payer_person_id)? })
}

pub(super) fn unlink_family(message: v1::AccountsUnlinkFamilyRequest) -> Checked<Command> {
    Ok(Command::UnlinkFamily { person: person(message.person_id)?, payer: payer(message.payer_person_id)? })
}

fn payer(person: u64) -> Checked<PersonId> {
    at("payer_person_id", id(person)).map(PersonId)
}

pub(super) fn statement(message: v1::AccountsStatementRequest) -> Checked<Query> {
    let range = Range {
        after: message.after_sequence,
        from: at("from_date", day_if_given(&message.from_date))?,
        to: at("to_date", day_if_given(&message.to_date))?,
    };
    Ok(Query::Statement { person: person(message.person_id)?, range })
}

pub(super) fn get(message: v1::AccountsGetRequest) -> Checked<Query> {
    Ok(Query::GetAccount { person: person(message.person_id)? })
}

pub(super) fn get_accumulators(message: v1::AccountsGetAccumulatorsRequest) -> Checked<Query> {
    let year = (message.benefit_year != 0).then_some(message.benefit_year);
    Ok(Query::GetAccumulators { person: person(message.person_id)?, year })
}
