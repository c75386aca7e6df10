//! Rows that open a running year: `Accounts.OpenYear`, once per person, insurance, year and counter.

use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;

use super::of_person::Request;
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

/// Columns of sums, in the order in which [`Opening::accumulators`] reads them.
const SUMS: [&str; 11] = [
    "eligible_fen",
    "deductible_fen",
    "pool_fen",
    "large_sum_fen",
    "catastrophic_fen",
    "civil_servant_fen",
    "supplement_fen",
    "medical_aid_fen",
    "other_fund_fen",
    "own_burden_fen",
    "account_fen",
];

pub(super) struct Opening {
    insurance_type: usize,
    benefit_year: usize,
    counter: usize,
    admissions: Option<usize>,
    sums: [Option<usize>; SUMS.len()],
}

impl Opening {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            insurance_type: header.required("insurance_type"),
            benefit_year: header.required("benefit_year"),
            counter: header.required("counter"),
            admissions: header.find("admissions"),
            sums: SUMS.map(|name| header.find(name)),
        }
    }

    fn accumulators(&self, cells: &Cells<'_>) -> Result<v1::Accumulators, Fault> {
        let mut columns = self.sums.into_iter();
        let mut next = || cells.number_or_zero(columns.next().expect("there is a column for each sum"));
        Ok(v1::Accumulators {
            admissions: cells.number_or_zero(self.admissions)?,
            eligible_fen: next()?,
            deductible_fen: next()?,
            pool_fen: next()?,
            large_sum_fen: next()?,
            catastrophic_fen: next()?,
            civil_servant_fen: next()?,
            supplement_fen: next()?,
            medical_aid_fen: next()?,
            other_fund_fen: next()?,
            own_burden_fen: next()?,
            account_fen: next()?,
        })
    }
}

impl Request for Opening {
    const WITHIN: &'static str = "accumulators.";

    fn append(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
        let insurance_type = cells.coded(self.insurance_type, v1::insurance_type::Kind::from_str_name)?;
        let benefit_year: i32 = cells.number(self.benefit_year)?;
        let counter = cells.coded(self.counter, v1::counter::Kind::from_str_name)?;
        let key = [insurance_type.to_le_bytes(), benefit_year.to_le_bytes(), counter.to_le_bytes()].concat();
        let header = message.header("year", &[&person_id.to_le_bytes(), &key]);
        let accumulators = Some(self.accumulators(cells)?);
        message.push(Command::AccountsOpenYear(v1::AccountsOpenYearRequest {
            header,
            person_id,
            insurance_type,
            benefit_year,
            counter,
            accumulators,
        }));
        Ok(())
    }
}
