//! Rows as they stand in the file, for as long as they are under way: a rejected one is given back as it was.
//!
//! Invariant: cells are bytes of the file; nothing is taken for text before [`Cells::text`] has looked at it.

use std::borrow::Cow;

use crate::fault::Fault;
use crate::header::Header;
use crate::limits::MAX_CELL_BYTES;

/// Rows one behind the other in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    /// Where each cell ends in `bytes`.
    ends: Vec<usize>,
    /// Where each row begins, in `bytes` and in `ends`.
    begins: Vec<(usize, usize)>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.begins.len()
    }

    pub(crate) fn begin_row(&mut self) {
        self.begins.push((self.bytes.len(), self.ends.len()));
    }

    /// The row that was begun last was none after all.
    pub(crate) fn drop_row(&mut self) {
        if let Some((bytes, ends)) = self.begins.pop() {
            self.bytes.truncate(bytes);
            self.ends.truncate(ends);
        }
    }

    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn end_cell(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// A whole row, its cells put together and the end of each counted from its beginning.
    pub(crate) fn push_row(&mut self, bytes: &[u8], ends: &[usize]) {
        self.begin_row();
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.ends.extend(ends.iter().map(|end| begin + end));
    }

    pub(crate) fn row(&self, row: usize) -> Row<'_> {
        let (begin, first) = self.begins[row];
        let last = self.begins.get(row + 1).map_or(self.ends.len(), |(_, ends)| *ends);
        Row { bytes: &self.bytes, begin, ends: &self.ends[first..last] }
    }
}

/// One row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    bytes: &'a [u8],
    begin: usize,
    ends: &'a [usize],
}

impl<'a> Row<'a> {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn cell(&self, cell: usize) -> &'a [u8] {
        let begin = if cell == 0 { self.begin } else { self.ends[cell - 1] };
        &self.bytes[begin..self.ends[cell]]
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = &'a [u8]> {
        let row = *self;
        (0..row.len()).map(move |cell| row.cell(cell))
    }
}

/// A row under its header.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    row: Row<'a>,
    header: &'a Header,
}

impl<'a> Cells<'a> {
    /// A row with as many cells as the header has.
    pub(crate) fn new(row: Row<'a>, header: &'a Header) -> Result<Self, Fault> {
        if row.len() == header.names().len() {
            return Ok(Self { row, header });
        }
        let problem = format!("has {} cells under {} columns", row.len(), header.names().len());
        Err(Fault::malformed("", problem))
    }

    fn fault(&self, cell: usize, problem: impl Into<Cow<'static, str>>) -> Fault {
        Fault::malformed(self.header.names()[cell].clone(), problem)
    }

    /// A cell's text; empty where nothing stands in it.
    pub(crate) fn text(&self, cell: usize) -> Result<&'a str, Fault> {
        let bytes = self.row.cell(cell);
        if bytes.len() > MAX_CELL_BYTES {
            return Err(self.fault(cell, format!("has {} bytes, at most {MAX_CELL_BYTES} are taken", bytes.len())));
        }
        if bytes.contains(&0) {
            return Err(self.fault(cell, "has a NUL byte"));
        }
        std::str::from_utf8(bytes).map_err(|_| self.fault(cell, "is not UTF-8"))
    }

    /// A text that must stand there.
    pub(crate) fn given(&self, cell: usize) -> Result<&'a str, Fault> {
        match self.text(cell)? {
            "" => Err(self.fault(cell, "is missing")),
            text => Ok(text),
        }
    }

    /// A text of a column that the file may lack; none where nothing stands in it.
    pub(crate) fn optional(&self, cell: Option<usize>) -> Result<Option<&'a str>, Fault> {
        Ok(cell.map(|cell| self.text(cell)).transpose()?.filter(|text| !text.is_empty()))
    }

    /// A whole number.
    pub(crate) fn number<T: std::str::FromStr>(&self, cell: usize) -> Result<T, Fault> {
        let text = self.given(cell)?;
        // A plus sign would make two texts of one number.
        let number = if text.starts_with('+') { None } else { text.parse().ok() };
        number.ok_or_else(|| self.fault(cell, "is no whole number, or too large a one"))
    }

    /// A whole number; zero where nothing stands, or where the file lacks the column.
    pub(crate) fn number_or_zero<T: std::str::FromStr + Default>(&self, cell: Option<usize>) -> Result<T, Fault> {
        match (cell, self.optional(cell)?) {
            (Some(cell), Some(_)) => self.number(cell),
            _ => Ok(T::default()),
        }
    }

    /// A name of a closed list of the contract.
    pub(crate) fn coded<T: Into<i32>>(&self, cell: usize, named: fn(&str) -> Option<T>) -> Result<i32, Fault> {
        match named(self.given(cell)?).map(Into::into) {
            Some(number) if number != 0 => Ok(number),
            _ => Err(self.fault(cell, "is none of the names that the column takes; --columns lists them")),
        }
    }

    /// The column that stands for a field of a request.
    pub(crate) fn named(&self, cell: usize, problem: impl Into<Cow<'static, str>>) -> Fault {
        self.fault(cell, problem)
    }
}
