//! The rejects file: rows as they stood in the file, behind why they were rejected.
//!
//! Invariant: taken back as a file, mended or not, its rows are the rows of the file; the columns in front are passed over.
//! Invariant: cells stand there byte by byte, also those that are no text.

use csv_core::{WriteResult, Writer};

use crate::fault::Fault;
use crate::header::Header;
use crate::rows::Row;

/// The columns in front of the row.
const COLUMNS: [&str; 4] = ["reject_row", "reject_field", "reject_reason", "reject_detail"];

/// The header's row.
pub(crate) fn header_row(header: &Header) -> Vec<u8> {
    let own = header.own().map(|cell| header.names()[cell].as_bytes());
    let mut out = Vec::new();
    line(COLUMNS.iter().map(|name| name.as_bytes()).chain(own), &mut out);
    out
}

/// Append one row; `number` counts the rows below the header from 1.
pub(crate) fn append(number: u64, fault: &Fault, row: Row<'_>, header: &Header, out: &mut Vec<u8>) {
    let number = number.to_string();
    let why = [number.as_bytes(), fault.field.as_bytes(), fault.reason.as_bytes(), fault.detail.as_bytes()];
    if row.len() == header.names().len() {
        line(why.into_iter().chain(header.own().map(|cell| row.cell(cell))), out);
    } else {
        // Cells too many or too few stand as they were found: which is whose, only a person can tell.
        line(why.into_iter().chain(row.cells()), out);
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut writer = Writer::new();
    for (n, cell) in cells.enumerate() {
        if n > 0 {
            written(out, |room| flat(writer.delimiter(room)));
        }
        let mut rest = cell;
        while !rest.is_empty() {
            written(out, |room| {
                let (result, read, wrote) = writer.field(rest, room);
                rest = &rest[read..];
                (result, wrote)
            });
        }
    }
    written(out, |room| flat(writer.terminator(room)));
}

fn flat((result, wrote): (WriteResult, usize)) -> (WriteResult, usize) {
    (result, wrote)
}

/// Let the writer write, into as much room as it needs.
fn written(out: &mut Vec<u8>, mut write: impl FnMut(&mut [u8]) -> (WriteResult, usize)) {
    loop {
        let mut room = [0; 256];
        let (result, wrote) = write(&mut room);
        out.extend_from_slice(&room[..wrote]);
        if result == WriteResult::InputEmpty {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Kind;
    use crate::rows::Rows;

    #[test]
    fn a_row_stands_behind_why_it_was_rejected_byte_by_byte() {
        let names = ["reject_row", "amount_fen", "period_key", "person_id"].map(str::to_owned).to_vec();
        let header = Header::new(names, Kind::Accounts.columns()).unwrap();
        let mut rows = Rows::default();
        rows.push_row(b"712,\xFF\"k", &[1, 3, 7, 7]);
        let mut out = header_row(&header);
        let fault = Fault::malformed("amount_fen", "is no whole number, or too large a one");
        append(9, &fault, rows.row(0), &header, &mut out);
        let expected: &[u8] = b"reject_row,reject_field,reject_reason,reject_detail,amount_fen,period_key,person_id\n\
            9,amount_fen,REQUEST_MALFORMED,\"is no whole number, or too large a one\",12,\",\xFF\"\"k\",\n";
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
    }
}
