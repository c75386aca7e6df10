//! Rows of a CSV file: RFC 4180 with any line ends, a UTF-8 byte order mark where there is one, blank lines passed over.
//!
//! `csv-core` and not `csv`: the caller owns the memory, so a quotation mark that is never closed costs one bounded row and not the file.
//!
//! Invariant: memory is one read and one row, whatever the file holds.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use csv_core::{ReadRecordResult, Reader};

use crate::fault::FileError;
use crate::limits::{MAX_COLUMNS, MAX_ROW_BYTES, READ_BYTES};
use crate::rows::Rows;

pub(crate) struct CsvFile {
    file: File,
    reader: Reader,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet taken apart.
    from: usize,
    to: usize,
    /// Bytes of the file that are taken apart.
    offset: u64,
    row: Vec<u8>,
    ends: Vec<usize>,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Row,
    /// A row that is longer than a row may be; its beginning was kept.
    Cut,
    End,
}

impl CsvFile {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            reader: Reader::new(),
            buffer: vec![0; READ_BYTES],
            from: 0,
            to: 0,
            offset: 0,
            row: vec![0; MAX_ROW_BYTES],
            ends: vec![0; MAX_COLUMNS],
        }
    }

    /// The first row.
    pub(crate) fn header(&mut self) -> Result<Vec<String>, FileError> {
        let mut rows = Rows::default();
        match self.read(&mut rows)? {
            Found::Row => {}
            Found::Cut => return Err(FileError::Refused(format!("the header is longer than {MAX_ROW_BYTES} bytes"))),
            Found::End => return Err(FileError::Refused("the file is empty: its first row names the columns".into())),
        }
        let name = |cell: &[u8]| std::str::from_utf8(cell).map(str::to_owned);
        let names: Result<Vec<String>, _> = rows.row(0).cells().map(name).collect();
        names.map_err(|_| FileError::Refused("the header is not UTF-8: save the file as UTF-8".into()))
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Go on behind the row that ended there.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), FileError> {
        self.offset = self.file.seek(SeekFrom::Start(offset))?;
        (self.from, self.to) = (0, 0);
        Ok(())
    }

    /// Append the next row.
    pub(crate) fn read(&mut self, rows: &mut Rows) -> Result<Found, FileError> {
        let (mut written, mut cells) = (0, 0);
        let mut cut = false;
        loop {
            if self.from == self.to {
                self.fill()?;
            }
            let input = &self.buffer[self.from..self.to];
            let (result, read, out, ends) =
                self.reader.read_record(input, &mut self.row[written..], &mut self.ends[cells..]);
            self.from += read;
            self.offset += read as u64;
            written += out;
            cells += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    if !cut {
                        rows.push_row(&self.row[..written], &self.ends[..cells]);
                        // What there is of the cell in which the room ran out.
                        rows.end_cell();
                        cut = true;
                    }
                    (written, cells) = (0, 0);
                }
                ReadRecordResult::Record if cut => return Ok(Found::Cut),
                ReadRecordResult::Record => {
                    rows.push_row(&self.row[..written], &self.ends[..cells]);
                    return Ok(Found::Row);
                }
                ReadRecordResult::End => return Ok(Found::End),
            }
        }
    }

    fn fill(&mut self) -> Result<(), FileError> {
        loop {
            match self.file.read(&mut self.buffer) {
                Ok(read) => {
                    (self.from, self.to) = (0, read);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn open(bytes: &[u8]) -> CsvFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        CsvFile::new(file)
    }

    fn rows(file: &mut CsvFile) -> (Rows, Vec<Found>) {
        let (mut rows, mut found) = (Rows::default(), Vec::new());
        while found.last() != Some(&Found::End) {
            found.push(file.read(&mut rows).unwrap());
        }
        found.pop();
        (rows, found)
    }

    fn texts(rows: &Rows, row: usize) -> Vec<String> {
        rows.row(row).cells().map(|cell| String::from_utf8(cell.to_vec()).unwrap()).collect()
    }

    #[test]
    fn marks_line_ends_quotes_and_blank_lines_do_not_change_the_rows() {
        let mut file = open("\u{FEFF}a,b\r\n\"1,\"\"x\"\"\",\"2\n3\"\r\n\r\n4,5".as_bytes());
        assert_eq!(file.header().unwrap(), ["a", "b"]);
        let (rows, found) = rows(&mut file);
        assert_eq!(found, [Found::Row, Found::Row]);
        assert_eq!(texts(&rows, 0), ["1,\"x\"", "2\n3"]);
        assert_eq!(texts(&rows, 1), ["4", "5"]);
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_costs_one_row_and_no_more_memory() {
        let mut bytes = b"a,b\n1,2\n3,\"".to_vec();
        bytes.resize(bytes.len() + 3 * MAX_ROW_BYTES, b'x');
        let mut file = open(&bytes);
        file.header().unwrap();
        let (rows, found) = rows(&mut file);
        assert_eq!(found, [Found::Row, Found::Cut]);
        assert_eq!(rows.row(1).cell(0), b"3");
        assert_eq!(rows.row(1).cell(1).len(), MAX_ROW_BYTES - 1);
    }

    #[test]
    fn an_empty_file_and_a_header_of_another_encoding_are_refused() {
        assert!(open(b"").header().unwrap_err().to_string().contains("is empty"));
        let utf16: Vec<u8> = "a,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [&[0xFF, 0xFE][..], &utf16].concat();
        assert!(open(&with_mark).header().unwrap_err().to_string().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn whatever_was_written_is_read_again_also_from_the_end_of_any_row(
            table in prop::collection::vec(prop::collection::vec("[ -~\u{e9}\u{4e00}\n\r\"]{0,12}", 3), 1..20),
            crlf in any::<bool>(),
            from in 0_usize..20,
        ) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            let end = if crlf { "\r\n" } else { "\n" };
            let text: String = table.iter().map(|row| line(row) + end).collect();
            let mut file = open(format!("a,b,c{end}{text}").as_bytes());
            file.header().unwrap();
            let mut read = Rows::default();
            let mut offsets = vec![file.offset()];
            while file.read(&mut read).unwrap() == Found::Row {
                offsets.push(file.offset());
            }
            prop_assert_eq!(read.len(), table.len());
            let from = from.min(table.len() - 1);
            let mut again = open(format!("a,b,c{end}{text}").as_bytes());
            again.header().unwrap();
            again.seek(offsets[from]).unwrap();
            let (rest, _) = rows(&mut again);
            for (n, row) in table.iter().enumerate() {
                prop_assert_eq!(&texts(&read, n), row);
                if n >= from {
                    prop_assert_eq!(&texts(&rest, n - from), row);
                }
            }
        }
    }
}
