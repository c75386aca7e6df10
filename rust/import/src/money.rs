//! The money of a row, for the control totals.

use crate::columns::Kind;
use crate::fault::Fault;
use crate::header::Header;
use crate::rows::Cells;

/// The money columns that a file has.
pub(crate) struct Money(Vec<usize>);

impl Money {
    pub(crate) fn new(kind: Kind, header: &Header) -> Self {
        Self(
            kind.columns().iter().filter(|column| column.money).filter_map(|column| header.find(column.name)).collect(),
        )
    }

    /// The sum of a row's money columns.
    pub(crate) fn of(&self, cells: &Cells<'_>) -> Result<i128, Fault> {
        let fen = |cell: &usize| cells.number_or_zero::<i64>(Some(*cell)).map(i128::from);
        self.0.iter().map(fen).sum()
    }
}
