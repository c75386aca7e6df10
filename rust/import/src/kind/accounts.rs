//! Rows that credit a personal account: `Accounts.Credit`, once per person and period.

use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;

use super::of_person::Request;
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

pub(super) struct Credit {
    amount: usize,
    period_key: usize,
}

impl Credit {
    pub(super) fn new(header: &Header) -> Self {
        Self { amount: header.required("amount_fen"), period_key: header.required("period_key") }
    }
}

impl Request for Credit {
    fn append(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
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
