//! Rows that ask for one thing about a person: the person is looked up where a certificate names them, then it is asked for.

use medsettle_wire::v1::command_result::Result as Answered;

use super::holder::{Holder, column_of_holder};
use super::{Next, Rules, State, accepted, only};
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

const ASK: u8 = 1;

/// The one thing.
pub(super) trait Request: Send + Sync {
    /// Append it.
    fn append(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault>;

    /// The message of the request in which columns stand, where it is not the request itself.
    const WITHIN: &'static str = "";
}

pub(super) struct OfPerson<R> {
    holder: Holder,
    request: R,
}

impl<R> OfPerson<R> {
    pub(super) fn new(header: &Header, request: R) -> Self {
        Self { holder: Holder::new(header), request }
    }
}

impl<R: Request> Rules for OfPerson<R> {
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault> {
        match (state.step, self.holder.given(cells)?) {
            (ASK, _) => self.request.append(cells, state.person, message),
            (_, Some(person)) => self.request.append(cells, person, message),
            (_, None) => self.holder.ask(cells, message),
        }
    }

    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        if state.step != ASK && self.holder.given(cells)?.is_none() {
            state.person = Holder::take(self, only(results))?;
            state.step = ASK;
            return Ok(Next::Ask);
        }
        // A period that is credited, a year that is open: if this row did not ask for it, nobody knows here with which amounts.
        accepted(only(results)).map(|_| Next::Done).map_err(|refusal| refusal.fault(self))
    }

    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        self.request.append(cells, self.holder.rehearsed(cells, message)?, message)
    }

    fn column(&self, field: &str) -> String {
        column_of_holder(field.strip_prefix(R::WITHIN).unwrap_or(field))
    }
}
