//! Rows that file a permission: `Filings.File`, once per person, kind, destination and days.

use medsettle_wire::Reason;
use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Answered;

use super::holder::{Holder, column_of_holder};
use super::{Next, Refusal, Rules, State, accepted, only, unexpected};
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

const FILE: u8 = 1;
const COMPARE: u8 = 2;

/// A page of the hub's: nobody has more filings that stand.
const PAGE: u32 = 500;

pub(super) struct Filings {
    holder: Holder,
    kind: usize,
    destination: usize,
    valid_from: usize,
    valid_to: Option<usize>,
}

impl Filings {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            holder: Holder::new(header),
            kind: header.required("kind"),
            destination: header.required("destination"),
            valid_from: header.required("valid_from"),
            valid_to: header.find("valid_to"),
        }
    }

    /// The request without header and person.
    fn filing(&self, cells: &Cells<'_>) -> Result<v1::FilingsFileRequest, Fault> {
        Ok(v1::FilingsFileRequest {
            header: None,
            person_id: 0,
            kind: cells.coded(self.kind, v1::filing::Kind::from_str_name)?,
            destination: cells.given(self.destination)?.to_owned(),
            valid_from: cells.given(self.valid_from)?.to_owned(),
            valid_to: cells.optional(self.valid_to)?.map(str::to_owned),
        })
    }

    fn file(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
        let filing = self.filing(cells)?;
        let valid_to = filing.valid_to.as_deref().unwrap_or("");
        let parts: [&[u8]; 5] = [
            &person_id.to_le_bytes(),
            &filing.kind.to_le_bytes(),
            filing.destination.as_bytes(),
            filing.valid_from.as_bytes(),
            valid_to.as_bytes(),
        ];
        let header = message.header("filing", &parts);
        message.push(Command::FilingsFile(v1::FilingsFileRequest { header, person_id, ..filing }));
        Ok(())
    }

    /// Whether the filing that stands in the way is the row's own.
    fn is_filed(&self, cells: &Cells<'_>, state: &State, listed: &v1::FilingsListResponse) -> Result<bool, Fault> {
        let filing = self.filing(cells)?;
        let same = |other: &v1::Filing| {
            other.kind == filing.kind
                && other.destination == filing.destination
                && other.valid_from == filing.valid_from
                && other.valid_to == filing.valid_to
        };
        Ok(listed.filings.iter().any(|other| other.filing_id == state.thing && same(other)))
    }
}

impl Rules for Filings {
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault> {
        match (state.step, self.holder.given(cells)?) {
            (COMPARE, _) => {
                let page = Some(v1::Page { page_size: PAGE, page_token: String::new() });
                message.push(Command::FilingsList(v1::FilingsListRequest { person_id: state.person, page }));
                Ok(())
            }
            (FILE, _) => self.file(cells, state.person, message),
            (_, Some(person)) => self.file(cells, person, message),
            (_, None) => self.holder.ask(cells, message),
        }
    }

    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        let given = self.holder.given(cells)?;
        match (state.step, given) {
            (COMPARE, _) => match accepted(only(results)).map_err(|refusal| refusal.fault(self))? {
                Answered::FilingsList(listed) if self.is_filed(cells, state, &listed)? => Ok(Next::Done),
                Answered::FilingsList(_) => Err(Fault {
                    field: "valid_from".into(),
                    reason: Reason::FilingConflicts.name(),
                    detail: format!("filing_id={}", state.thing).into(),
                }),
                _ => Err(unexpected()),
            },
            (FILE, _) | (_, Some(_)) => match accepted(only(results)) {
                Ok(_) => Ok(Next::Done),
                Err(refusal) if refusal.is(Reason::FilingConflicts) => {
                    conflicting(state, given, &refusal);
                    Ok(Next::Ask)
                }
                Err(refusal) => Err(refusal.fault(self)),
            },
            (_, None) => {
                state.person = Holder::take(self, only(results))?;
                state.step = FILE;
                Ok(Next::Ask)
            }
        }
    }

    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        self.file(cells, self.holder.rehearsed(cells, message)?, message)
    }

    fn column(&self, field: &str) -> String {
        column_of_holder(field)
    }
}

fn conflicting(state: &mut State, given: Option<u64>, refusal: &Refusal) {
    state.step = COMPARE;
    state.person = given.unwrap_or(state.person);
    state.thing = refusal.value("filing_id").parse().unwrap_or(0);
}
