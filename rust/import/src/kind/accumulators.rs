//! Rows that open a running year: `Accounts.OpenYear`, once per person, insurance, year and counter.

use medsettle_wire::v1;
use medsettle_wire::v1::command::Command;
use medsettle_wire::v1::command_result::Result as Answered;

use super::accounts::column_of_holder;
use super::holder::Holder;
use super::{Next, Rules, State, accepted, only};
use crate::fault::Fault;
use crate::header::Header;
use crate::message::Message;
use crate::rows::Cells;

const OPEN: u8 = 1;

pub(super) struct Years {
    holder: Holder,
    insurance_type: usize,
    benefit_year: usize,
    counter: usize,
    admissions: Option<usize>,
    sums: [Option<usize>; 11],
}

impl Years {
    pub(super) fn new(header: &Header) -> Self {
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
        Self {
            holder: Holder::new(header),
            insurance_type: header.required("insurance_type"),
            benefit_year: header.required("benefit_year"),
            counter: header.required("counter"),
            admissions: header.find("admissions"),
            sums: SUMS.map(|name| header.find(name)),
        }
    }

    fn open(&self, cells: &Cells<'_>, person_id: u64, message: &mut Message<'_>) -> Result<(), Fault> {
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

    fn accumulators(&self, cells: &Cells<'_>) -> Result<v1::Accumulators, Fault> {
        let mut read = [0_i64; 11];
        for (sum, cell) in read.iter_mut().zip(self.sums) {
            *sum = cells.number_or_zero(cell)?;
        }
        let [
            eligible_fen,
            deductible_fen,
            pool_fen,
            large_sum_fen,
            catastrophic_fen,
            civil_servant_fen,
            supplement_fen,
            medical_aid_fen,
            other_fund_fen,
            own_burden_fen,
            account_fen,
        ] = read;
        Ok(v1::Accumulators {
            admissions: cells.number_or_zero(self.admissions)?,
            eligible_fen,
            deductible_fen,
            pool_fen,
            large_sum_fen,
            catastrophic_fen,
            civil_servant_fen,
            supplement_fen,
            medical_aid_fen,
            other_fund_fen,
            own_burden_fen,
            account_fen,
        })
    }
}

impl Rules for Years {
    fn ask(&self, cells: &Cells<'_>, state: &State, message: &mut Message<'_>) -> Result<(), Fault> {
        match (state.step, self.holder.given(cells)?) {
            (OPEN, _) => self.open(cells, state.person, message),
            (_, Some(person)) => self.open(cells, person, message),
            (_, None) => self.holder.ask(cells, message),
        }
    }

    fn take(&self, cells: &Cells<'_>, state: &mut State, results: Vec<Answered>) -> Result<Next, Fault> {
        if state.step != OPEN && self.holder.given(cells)?.is_none() {
            state.person = Holder::take(self, only(results))?;
            state.step = OPEN;
            return Ok(Next::Ask);
        }
        match accepted(only(results)) {
            Ok(_) => Ok(Next::Done),
            // Opened by somebody else, or used since: with which sums is not known here, so somebody has to look.
            Err(refusal) => Err(refusal.fault(self)),
        }
    }

    fn rehearse(&self, cells: &Cells<'_>, message: &mut Message<'_>) -> Result<(), Fault> {
        let person = self.holder.given(cells)?;
        if person.is_none() {
            self.holder.ask(cells, message)?;
        }
        self.open(cells, person.unwrap_or(1), message)
    }

    fn column(&self, field: &str) -> String {
        column_of_holder(field.strip_prefix("accumulators.").unwrap_or(field))
    }
}
