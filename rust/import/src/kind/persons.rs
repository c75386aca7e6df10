//! Rows that enrol a person: `Persons.Enroll`, once per certificate.

use medsettle_wire::Reason;
use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Answered;

use super::{Next, Rules, State, accepted, only, unexpected};
use crate::fault::Fault;
use crate::header::Header;
use crate::limits::MAX_PARTS;
use crate::message::Message;
use crate::rows::Cells;

const COMPARE: u8 = 1;

pub(super) struct Persons {
    name: usize,
    sex: usize,
    birth_date: usize,
    certificates: Vec<Certificate>,
    spells: Vec<Spell>,
    entitlements: Vec<Entitlement>,
}

struct Certificate {
    kind: usize,
    number: usize,
}

struct Spell {
    insurance_type: usize,
    region: usize,
    category: usize,
    status: Option<usize>,
    from_date: usize,
    to_date: Option<usize>,
}

struct Entitlement {
    name: usize,
    from_date: usize,
    to_date: Option<usize>,
}

impl Persons {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            name: header.required("name"),
            sex: header.required("sex"),
            birth_date: header.required("birth_date"),
            certificates: parts(header, Certificate::find),
            spells: parts(header, Spell::find),
            entitlements: parts(header, Entitlement::find),
        }
    }

    fn enrolment(&self, cells: &Cells<'_>) -> Result<v1::PersonsEnrollRequest, Fault> {
        let mut request = v1::PersonsEnrollRequest {
            header: None,
            name: cells.given(self.name)?.to_owned(),
            sex: cells.coded(self.sex, v1::sex::Kind::from_str_name)?,
            birth_date: cells.given(self.birth_date)?.to_owned(),
            certificates: Vec::with_capacity(1),
            spells: Vec::with_capacity(1),
            entitlements: Vec::new(),
        };
        for (n, part) in self.certificates.iter().enumerate() {
            if n == 0 || is_there(cells, &[part.kind, part.number])? {
                request.certificates.push(part.read(cells)?);
            }
        }
        for (n, part) in self.spells.iter().enumerate() {
            if n == 0 || is_there(cells, &[part.insurance_type, part.region, part.category, part.from_date])? {
                request.spells.push(part.read(cells)?);
            }
        }
        for part in &self.entitlements {
            if is_there(cells, &[part.name, part.from_date])? {
                request.entitlements.push(part.read(cells)?);
            }
        }
        Ok(request)
    }

    fn enroll(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        let mut request = self.enrolment(cells)?;
        let first = &request.certificates[0];
        request.header = message.header("person", &[&first.kind.to_le_bytes(), first.number.as_bytes()]);
        message.push(Command::PersonsEnroll(request));
        Ok(())
    }

    /// Whether the holder of the certificate is the person of the row, so far as birth and sex and every certificate say.
    fn is_the_same(&self, cells: &Cells<'_>, person: &v1::Person) -> Result<bool, Fault> {
        let row = self.enrolment(cells)?;
        Ok(person.sex == row.sex
            && person.birth_date == row.birth_date
            && person.name == row.name
            && row.certificates.iter().all(|certificate| person.certificates.contains(certificate)))
    }
}

/// Finds the column of a name for the part that is being looked for.
type Find<'a> = &'a dyn Fn(&str) -> Option<usize>;

/// The parts for which the file has columns.
fn parts<T>(header: &Header, find: fn(Find<'_>) -> Option<T>) -> Vec<T> {
    (0..MAX_PARTS).filter_map(|part| find(&|name| header.find_part(name, part))).collect()
}

/// Whether a row has a part: something stands in one of the columns that every such part fills.
fn is_there(cells: &Cells<'_>, columns: &[usize]) -> Result<bool, Fault> {
    for column in columns {
        if !cells.text(*column)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Certificate {
    fn find(find: Find<'_>) -> Option<Self> {
        Some(Self { kind: find("certificate_kind")?, number: find("certificate_number")? })
    }

    fn read(&self, cells: &Cells<'_>) -> Result<v1::Certificate, Fault> {
        Ok(v1::Certificate {
            kind: cells.coded(self.kind, v1::certificate::Kind::from_str_name)?,
            number: cells.given(self.number)?.to_owned(),
        })
    }
}

impl Spell {
    fn find(find: Find<'_>) -> Option<Self> {
        Some(Self {
            insurance_type: find("insurance_type")?,
            region: find("region")?,
            category: find("category")?,
            status: find("status"),
            from_date: find("from_date")?,
            to_date: find("to_date"),
        })
    }

    fn read(&self, cells: &Cells<'_>) -> Result<v1::InsuranceSpell, Fault> {
        let status = match (self.status, cells.optional(self.status)?) {
            (Some(cell), Some(_)) => cells.coded(cell, v1::insurance_spell::Status::from_str_name)?,
            _ => v1::insurance_spell::Status::Normal as i32,
        };
        Ok(v1::InsuranceSpell {
            insurance_type: cells.coded(self.insurance_type, v1::insurance_type::Kind::from_str_name)?,
            region: cells.given(self.region)?.to_owned(),
            category: cells.coded(self.category, v1::category::Kind::from_str_name)?,
            status,
            from_date: cells.given(self.from_date)?.to_owned(),
            to_date: cells.optional(self.to_date)?.map(str::to_owned),
        })
    }
}

impl Entitlement {
    fn find(find: Find<'_>) -> Option<Self> {
        Some(Self {
            name: find("entitlement_name")?,
            from_date: find("entitlement_from_date")?,
            to_date: find("entitlement_to_date"),
        })
    }

    fn read(&self, cells: &Cells<'_>) -> Result<v1::Entitlement, Fault> {
        Ok(v1::Entitlement {
            name: cells.given(self.name)?.to_owned(),
            from_date: cells.given(self.from_date)?.to_owned(),
            to_date: cells.optional(self.to_date)?.map(str::to_owned),
        })
    }
}

impl Rules for Persons {
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault> {
        if state.step != COMPARE {
            return self.enroll(cells, message);
        }
        let certificate = self.certificates[0].read(cells)?;
        let key = Some(v1::persons_get_request::Key::Certificate(certificate));
        message.push(Command::PersonsGet(v1::PersonsGetRequest { key }));
        Ok(())
    }

    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        let in_use = || Fault {
            field: "certificate_number".into(),
            reason: Reason::CertificateInUse.name(),
            detail: "it names a person of another name, sex, birth date or of fewer certificates".into(),
        };
        match (state.step, accepted(only(results))) {
            (COMPARE, Ok(Answered::PersonsGet(found))) => {
                let person = found.person.ok_or_else(unexpected)?;
                if self.is_the_same(cells, &person)? { Ok(Next::Done) } else { Err(in_use()) }
            }
            // The first certificate is free, so it is a further one that names another.
            (COMPARE, Err(refusal)) if refusal.is(Reason::PersonUnknown) => Err(in_use()),
            (COMPARE, Ok(_)) => Err(unexpected()),
            (_, Ok(_)) => Ok(Next::Done),
            (_, Err(refusal)) if refusal.is(Reason::CertificateInUse) => {
                state.step = COMPARE;
                Ok(Next::Ask)
            }
            (_, Err(refusal)) => Err(refusal.fault(self)),
        }
    }

    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        self.enroll(cells, message)
    }

    /// `spells[1].region` stands in column `region_2`. A part left out before it shifts the number, never the column's name.
    fn column(&self, field: &str) -> String {
        let Some((part, rest)) = field.split_once('[') else { return field.to_owned() };
        let Some((index, rest)) = rest.split_once(']') else { return field.to_owned() };
        let rest = rest.strip_prefix('.').unwrap_or("");
        let name = match part {
            "certificates" => format!("certificate_{}", if rest.is_empty() { "number" } else { rest }),
            "entitlements" => format!("entitlement_{}", if rest.is_empty() { "name" } else { rest }),
            _ => if rest.is_empty() { "insurance_type" } else { rest }.to_owned(),
        };
        match index {
            "0" => name,
            _ => index.parse::<usize>().map_or(name.clone(), |index| format!("{name}_{}", index + 1)),
        }
    }
}
