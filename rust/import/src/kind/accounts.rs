//! Rows that credit a personal account: `Accounts.Credit`, once per person and period.

use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Answered;

use super::holder::Holder;
use super::{Next, Rules, State, accepted, only};
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

const CREDIT: u8 = 1;

pub(super) struct Accounts {
    holder: Holder,
    amount: usize,
    period_key: usize,
}

impl Accounts {
    pub(super) fn new(header: &Header) -> Self {
        let (amount, period_key) = (header.required("amount_fen"), header.required("period_key"));
        Self { holder: Holder::new(header), amount, period_key }
    }

    fn credit(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
        let period_key = cells.given(self.period_key)?.to_owned();
        let header = message.header("credit", &[&person_id.to_le_bytes(), period_key.as_bytes()]);
        let amount_fen = cells.number(self.amount)?;
        if amount_fen <= 0 {
            return Err(cells.named(self.amount, "must be positive"));
        }
        message.push(Command::AccountsCredit(v1::AccountsCreditRequest { header, person_id, amount_fen, period_key }));
        Ok(())
    }
}

impl Rules for Accounts {
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault> {
        match (state.step, self.holder.given(cells)?) {
            (CREDIT, _) => self.credit(cells, state.person, message),
            (_, Some(person)) => self.credit(cells, person, message),
            (_, None) => self.holder.ask(cells, message),
        }
    }

    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        if state.step != CREDIT && self.holder.given(cells)?.is_none() {
            state.person = Holder::take(self, only(results))?;
            state.step = CREDIT;
            return Ok(Next::Ask);
        }
        match accepted(only(results)) {
            Ok(_) => Ok(Next::Done),
            // Credited by somebody else, or under another institution's ids: with which amount is not known here, so somebody has to look.
            Err(refusal) => Err(refusal.fault(self)),
        }
    }

    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        let person = self.holder.given(cells)?;
        if person.is_none() {
            self.holder.ask(cells, message)?;
        }
        self.credit(cells, person.unwrap_or(1), message)
    }

    fn column(&self, field: &str) -> String {
        column_of_holder(field)
    }
}

/// Fields of `Persons.Get` under the names of their columns.
pub(super) fn column_of_holder(field: &str) -> String {
    match field {
        "certificate.kind" => "certificate_kind".to_owned(),
        "certificate.number" => "certificate_number".to_owned(),
        other => other.to_owned(),
    }
}
