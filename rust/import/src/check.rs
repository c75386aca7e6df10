//! A file without a hub: what would be rejected whatever the hub knows, and what the file sums to.
//!
//! Invariant: nothing is asked of anybody; of the file's rows those are well formed that a hub would decode.

use std::path::Path;

use crate::columns::Kind;
use crate::csv::Found;
use crate::fault::{Fault, FileError};
use crate::kind::{Rules, rules};
use crate::limits::{COMMANDS_GOAL, MAX_ROW_BYTES};
use crate::money::Money;
use crate::rehearsal::rehearse;
use crate::rejects;
use crate::rows::{Cells, Rows};
use crate::source::Source;
use crate::totals::Totals;

/// The check of one file.
pub struct Check {
    source: Source,
    rules: Box<dyn Rules>,
    money: Money,
    totals: Totals,
    rejects: Vec<u8>,
}

impl Check {
    /// Open a file and check its header.
    pub fn open(path: &Path, kind: Kind) -> Result<Self, FileError> {
        let source = Source::open(path, kind)?;
        let (rules, money) = (rules(kind, source.header()), Money::new(kind, source.header()));
        let rejects = rejects::header_row(source.header());
        Ok(Self { source, rules, money, totals: Totals::default(), rejects })
    }

    /// Look at some more rows; false at the end of the file.
    pub fn step(&mut self) -> Result<bool, FileError> {
        let mut rows = Rows::default();
        let before = self.source.position().rows;
        let mut more = true;
        while more && rows.len() < COMMANDS_GOAL {
            let row = rows.len();
            match self.source.read(&mut rows)? {
                Found::End => more = false,
                found => self.look(&rows, row, before, found),
            }
        }
        Ok(more)
    }

    fn look(&mut self, rows: &Rows, row: usize, before: u64, found: Found) {
        let cells = if found == Found::Cut {
            Err(Fault::malformed("", format!("is longer than {MAX_ROW_BYTES} bytes; is a quotation mark not closed?")))
        } else {
            Cells::new(rows.row(row), self.source.header())
        };
        let fen = cells.as_ref().ok().and_then(|cells| self.money.of(cells).ok()).unwrap_or(0);
        match cells.and_then(|cells| rehearse(&*self.rules, &cells)) {
            Ok(()) => self.totals.imported.add_row(fen),
            Err(fault) => {
                self.totals.rejected.add_row(fen);
                let number = before + row as u64 + 1;
                rejects::append(number, &fault, rows.row(row), self.source.header(), &mut self.rejects);
            }
        }
    }

    /// What was seen so far; as imported counts what is well formed.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How much of the file was seen, and how much it is.
    pub fn progress(&self) -> (u64, u64) {
        self.source.progress()
    }

    /// Bytes that belong at the end of a rejects file; each is given once.
    pub fn take_rejects(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rejects)
    }
}
