//! A file of rows, of either form, under its header.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::columns::Kind;
use crate::csv::{CsvFile, Found};
use crate::fault::FileError;
use crate::header::Header;
use crate::parquet_file::{MAGIC, ParquetFile};
use crate::rows::Rows;

/// A place between two rows of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Rows before it, the header not counted.
    pub rows: u64,
    /// Bytes before it in a CSV file; 0 in a Parquet file.
    pub offset: u64,
}

pub(crate) struct Source {
    form: Form,
    header: Header,
    rows: u64,
    bytes: u64,
}

enum Form {
    Csv(Box<CsvFile>),
    Parquet(Box<ParquetFile>),
}

impl Source {
    /// Open a file and check its header. Its form is told by how it begins, not by its name.
    pub(crate) fn open(path: &Path, kind: Kind) -> Result<Self, FileError> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut begin = Vec::with_capacity(MAGIC.len());
        Read::by_ref(&mut file).take(MAGIC.len() as u64).read_to_end(&mut begin)?;
        file.rewind()?;
        let (form, names) = if begin == MAGIC {
            let file = ParquetFile::open(file)?;
            let names = file.header();
            (Form::Parquet(Box::new(file)), names)
        } else {
            let mut file = CsvFile::new(file);
            let names = file.header()?;
            (Form::Csv(Box::new(file)), names)
        };
        let header = Header::new(names, kind.columns())?;
        Ok(Self { form, header, rows: 0, bytes })
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn position(&self) -> Position {
        let offset = match &self.form {
            Form::Csv(file) => file.offset(),
            Form::Parquet(_) => 0,
        };
        Position { rows: self.rows, offset }
    }

    /// How much of the file lies before what was read, and how much it is: bytes, or rows of a Parquet file.
    pub(crate) fn progress(&self) -> (u64, u64) {
        match &self.form {
            Form::Csv(file) => (file.offset(), self.bytes),
            Form::Parquet(file) => (file.rows_read(), file.rows_in_all()),
        }
    }

    /// Go on from a place, in a file that was just opened.
    pub(crate) fn resume(&mut self, position: Position) -> Result<(), FileError> {
        match &mut self.form {
            Form::Csv(file) => {
                if position.offset < file.offset() || position.offset > self.bytes {
                    return Err(FileError::Checkpoint(format!("it goes on at byte {}", position.offset)));
                }
                file.seek(position.offset)?;
            }
            Form::Parquet(file) => {
                if position.rows > file.rows_in_all() {
                    return Err(FileError::Checkpoint(format!("it goes on at row {}", position.rows)));
                }
                file.skip(position.rows)?;
            }
        }
        self.rows = position.rows;
        Ok(())
    }

    /// Append the next row.
    pub(crate) fn read(&mut self, rows: &mut Rows) -> Result<Found, FileError> {
        let found = match &mut self.form {
            Form::Csv(file) => file.read(rows)?,
            Form::Parquet(file) => file.read(rows)?,
        };
        if found != Found::End {
            self.rows += 1;
        }
        Ok(found)
    }
}
