//! Rows of a Parquet file: its columns, read beside each other, as the cells that a CSV file would have.
//!
//! The crate `parquet` without `arrow`: the columns that may stand here are texts, whole numbers and days, and the low-level readers give
//! just these, with a third of the crates. Numbers become the digits that the table of columns asks for, so that one reader of rows serves
//! both kinds of file.
//!
//! Invariant: memory is a page of each column and some rows, whatever the file holds.
//! Invariant: a file that the crate cannot bear ends as a refusal, also where it panics.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use medsettle_core::calendar::Date;
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use crate::csv::Found;
use crate::fault::FileError;
use crate::limits::{MAX_COLUMNS, MAX_ROW_BYTES, PARQUET_ROWS};
use crate::rows::Rows;

/// What a Parquet file begins with.
pub(crate) const MAGIC: &[u8] = b"PAR1";

pub(crate) struct ParquetFile {
    file: SerializedFileReader<File>,
    forms: Vec<Form>,
    next_group: usize,
    columns: Vec<Column>,
    /// Rows of the columns that are decoded, and which is next.
    decoded: usize,
    next: usize,
    rows_read: u64,
}

/// How the values of a column are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Signed,
    Unsigned,
    Day,
}

enum Reader {
    Bytes(ColumnReaderImpl<ByteArrayType>),
    Int32(ColumnReaderImpl<Int32Type>),
    Int64(ColumnReaderImpl<Int64Type>),
}

/// One column of the row group, with its decoded cells.
struct Column {
    reader: Reader,
    optional: bool,
    form: Form,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ParquetFile {
    pub(crate) fn open(file: File) -> Result<Self, FileError> {
        guarded(|| {
            let file = SerializedFileReader::new(file).map_err(|error| unreadable(&error))?;
            let schema = file.metadata().file_metadata().schema_descr();
            if schema.num_columns() > MAX_COLUMNS {
                let problem = format!("the file has {} columns, at most {MAX_COLUMNS} are taken", schema.num_columns());
                return Err(FileError::Refused(problem));
            }
            let forms: Result<Vec<Form>, FileError> = schema.columns().iter().map(|column| form(column)).collect();
            let forms = forms?;
            Ok(Self { file, forms, next_group: 0, columns: Vec::new(), decoded: 0, next: 0, rows_read: 0 })
        })
    }

    pub(crate) fn header(&self) -> Vec<String> {
        let schema = self.file.metadata().file_metadata().schema_descr();
        schema.columns().iter().map(|column| column.path().string()).collect()
    }

    /// How many rows it says it has.
    pub(crate) fn rows_in_all(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    pub(crate) fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// Pass over rows from the beginning; whole groups of them are not even decoded.
    pub(crate) fn skip(&mut self, mut rows: u64) -> Result<(), FileError> {
        while self.next_group < self.file.num_row_groups() {
            let group = u64::try_from(self.file.metadata().row_group(self.next_group).num_rows()).unwrap_or(0);
            if group > rows {
                break;
            }
            rows -= group;
            self.rows_read += group;
            self.next_group += 1;
        }
        let mut passed = Rows::default();
        for _ in 0..rows {
            self.read(&mut passed)?;
            passed.drop_row();
        }
        Ok(())
    }

    /// Append the next row.
    pub(crate) fn read(&mut self, rows: &mut Rows) -> Result<Found, FileError> {
        if self.next == self.decoded && !guarded(|| self.decode())? {
            return Ok(Found::End);
        }
        rows.begin_row();
        let mut length = 0;
        for column in &self.columns {
            let cell = column.cell(self.next);
            length += cell.len();
            // A row that is cut keeps its columns, and of them what fits.
            let kept = if length > MAX_ROW_BYTES { &[] } else { cell };
            rows.push_bytes(kept);
            rows.end_cell();
        }
        self.next += 1;
        self.rows_read += 1;
        if length > MAX_ROW_BYTES {
            return Ok(Found::Cut);
        }
        Ok(Found::Row)
    }

    /// Decode some more rows of every column; false where there are none.
    fn decode(&mut self) -> Result<bool, FileError> {
        loop {
            let mut counts = Vec::with_capacity(self.columns.len());
            for column in &mut self.columns {
                counts.push(column.decode().map_err(|error| unreadable(&error))?);
            }
            if counts.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(FileError::Refused(
                    "the file is damaged: its columns have different numbers of rows".into(),
                ));
            }
            (self.decoded, self.next) = (counts.first().copied().unwrap_or(0), 0);
            if self.decoded > 0 {
                return Ok(true);
            }
            if self.next_group == self.file.num_row_groups() {
                return Ok(false);
            }
            self.open_group()?;
        }
    }

    fn open_group(&mut self) -> Result<(), FileError> {
        let group = self.file.get_row_group(self.next_group).map_err(|error| unreadable(&error))?;
        self.columns.clear();
        for (n, form) in self.forms.iter().enumerate() {
            let reader = match group.get_column_reader(n).map_err(|error| unreadable(&error))? {
                reader @ ColumnReader::ByteArrayColumnReader(_) => Reader::Bytes(get_typed_column_reader(reader)),
                reader @ ColumnReader::Int32ColumnReader(_) => Reader::Int32(get_typed_column_reader(reader)),
                reader @ ColumnReader::Int64ColumnReader(_) => Reader::Int64(get_typed_column_reader(reader)),
                _ => {
                    return Err(FileError::Refused("the file is damaged: a column is not what its schema says".into()));
                }
            };
            let optional = group.metadata().column(n).column_descr().max_def_level() > 0;
            self.columns.push(Column { reader, optional, form: *form, bytes: Vec::new(), ends: Vec::new() });
        }
        self.next_group += 1;
        Ok(())
    }
}

impl Column {
    fn cell(&self, row: usize) -> &[u8] {
        let begin = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[begin..self.ends[row]]
    }

    fn decode(&mut self) -> parquet::errors::Result<usize> {
        self.bytes.clear();
        self.ends.clear();
        let (bytes, ends, form) = (&mut self.bytes, &mut self.ends, self.form);
        match &mut self.reader {
            Reader::Bytes(reader) => read(reader, self.optional, |value| {
                bytes.extend_from_slice(value.map_or(&[], parquet::data_type::ByteArray::data));
                ends.push(bytes.len());
            }),
            Reader::Int32(reader) => read(reader, self.optional, |value| {
                write_number(form, value.map(|value| (i64::from(*value), u64::from(value.cast_unsigned()))), bytes);
                ends.push(bytes.len());
            }),
            Reader::Int64(reader) => read(reader, self.optional, |value| {
                write_number(form, value.map(|value| (*value, value.cast_unsigned())), bytes);
                ends.push(bytes.len());
            }),
        }
    }
}

/// Read some records, each a value or none.
fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    optional: bool,
    mut take: impl FnMut(Option<&T::T>),
) -> parquet::errors::Result<usize> {
    let (mut levels, mut values) = (Vec::new(), Vec::with_capacity(PARQUET_ROWS));
    let (records, ..) = reader.read_records(PARQUET_ROWS, optional.then_some(&mut levels), None, &mut values)?;
    let mut values = values.iter();
    for record in 0..records {
        let is_there = !optional || levels.get(record).is_some_and(|level| *level > 0);
        take(if is_there { values.next() } else { None });
    }
    Ok(records)
}

/// Both ways in which the bits of a whole number can be meant.
fn write_number(form: Form, value: Option<(i64, u64)>, out: &mut Vec<u8>) {
    let Some((signed, unsigned)) = value else { return };
    let written = match form {
        Form::Unsigned => write!(out, "{unsigned}"),
        Form::Day => match i32::try_from(signed).ok().and_then(Date::from_days) {
            Some(day) => write!(out, "{day}"),
            None => write!(out, "day {signed}"),
        },
        Form::Signed | Form::Text => write!(out, "{signed}"),
    };
    written.expect("memory takes everything");
}

/// How a column's values become text, where it is a text, a whole number or a day.
fn form(column: &ColumnDescriptor) -> Result<Form, FileError> {
    let plain = column.max_rep_level() == 0 && column.max_def_level() <= 1 && column.path().parts().len() == 1;
    let logical = matches!(
        column.logical_type_ref(),
        None | Some(LogicalType::String | LogicalType::Enum | LogicalType::Date | LogicalType::Integer(_))
    );
    let form = match (column.physical_type(), column.converted_type()) {
        (Type::BYTE_ARRAY, ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM) => Some(Form::Text),
        (Type::INT32, ConvertedType::DATE) => Some(Form::Day),
        (
            Type::INT32 | Type::INT64,
            ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64,
        ) => Some(Form::Signed),
        (
            Type::INT32 | Type::INT64,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
        ) => Some(Form::Unsigned),
        _ => None,
    };
    form.filter(|_| plain && logical).ok_or_else(|| {
        let (name, physical) = (column.path().string(), column.physical_type());
        let kind = match column.converted_type() {
            ConvertedType::NONE => physical.to_string(),
            converted => format!("{converted} ({physical})"),
        };
        FileError::Refused(format!("column {name:?} is {kind}: columns are texts, whole numbers or days"))
    })
}

fn unreadable(error: &parquet::errors::ParquetError) -> FileError {
    FileError::Refused(format!("the Parquet file cannot be read: {error}"))
}

/// What reads bytes of strangers may panic in a crate that is not ours.
fn guarded<T>(read: impl FnOnce() -> Result<T, FileError>) -> Result<T, FileError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(FileError::Refused("the Parquet file is damaged".into())))
}
