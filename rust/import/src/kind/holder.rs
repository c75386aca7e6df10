//! The person whom a row is about: by the hub's number, or by a certificate that is looked up.

use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Answered;

use super::{Rules, accepted, unexpected};
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

/// Where a file names persons.
#[derive(Debug)]
pub(super) struct Holder {
    person_id: Option<usize>,
    kind: Option<usize>,
    number: Option<usize>,
}

impl Holder {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            person_id: header.find("person_id"),
            kind: header.find("certificate_kind"),
            number: header.find("certificate_number"),
        }
    }

    /// The person's number where the row has it.
    pub(super) fn given(&self, cells: &Cells<'_>) -> Result<Option<u64>, Fault> {
        match (self.person_id, cells.optional(self.person_id)?) {
            (Some(cell), Some(_)) => match cells.number(cell)? {
                0 => Err(cells.named(cell, "is 0")),
                person => Ok(Some(person)),
            },
            _ => Ok(None),
        }
    }

    /// Ask who the person is.
    pub(super) fn ask(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        let key = Some(v1::persons_get_request::Key::Certificate(self.certificate(cells)?));
        message.push(Command::PersonsGet(v1::PersonsGetRequest { key }));
        Ok(())
    }

    fn certificate(&self, cells: &Cells<'_>) -> Result<v1::Certificate, Fault> {
        let (Some(kind), Some(number)) = (self.kind, self.number) else {
            return Err(Fault::malformed(
                "person_id",
                "is missing, and the file has no certificate_kind and certificate_number",
            ));
        };
        Ok(v1::Certificate {
            kind: cells.coded(kind, v1::certificate::Kind::from_str_name)?,
            number: cells.given(number)?.to_owned(),
        })
    }

    /// The person whom a rehearsal is about: as if the hub had named somebody, where the row does not.
    pub(super) fn rehearsed(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<u64, Fault> {
        let person = self.given(cells)?;
        if person.is_none() {
            self.ask(cells, message)?;
        }
        Ok(person.unwrap_or(1))
    }

    /// The person of the answer.
    pub(super) fn take(rules: &dyn Rules, result: Answered) -> Result<u64, Fault> {
        match accepted(result).map_err(|refusal| refusal.fault(rules))? {
            Answered::PersonsGet(found) => found.person.map(|person| person.person_id).ok_or_else(unexpected),
            _ => Err(unexpected()),
        }
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
