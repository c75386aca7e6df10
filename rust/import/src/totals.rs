//! Control totals: what of a file went where, to the row and to the fen.
//!
//! Invariant: rows are imported, already there or rejected, and the three make the file; so do the sums of money.

use serde::{Deserialize, Serialize};

/// Rows with the money that stands in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// How many.
    pub rows: u64,
    /// What their money columns sum to; a row whose amounts cannot be read counts nothing.
    pub fen: i128,
}

impl Sum {
    pub(crate) fn add_row(&mut self, fen: i128) {
        self.rows += 1;
        self.fen += fen;
    }

    fn plus(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, fen: self.fen + other.fen }
    }
}

/// The totals of a file, or of its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Decided by this import; in a check, well formed.
    pub imported: Sum,
    /// In the hub before, by an earlier import or by somebody else.
    pub already: Sum,
    /// In the rejects file.
    pub rejected: Sum,
}

impl Totals {
    /// Everything that was read.
    pub fn all(&self) -> Sum {
        self.imported.plus(self.already).plus(self.rejected)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.imported = self.imported.plus(other.imported);
        self.already = self.already.plus(other.already);
        self.rejected = self.rejected.plus(other.rejected);
    }
}
