//! Every bound of an import, each with its reason. A file may be as long as it is: no bound below grows with it.

/// Bytes of one row, its cells put together: the longest person (every column filled) has about two thousand. It bounds what a
/// quotation mark that is never closed can make a reader keep.
pub const MAX_ROW_BYTES: usize = 16 << 10;

/// Bytes of one cell: 200 characters of a name in UTF-8 are 800.
pub const MAX_CELL_BYTES: usize = 1_024;

/// Columns of a header: more than any kind of file has; with it the ends of a row's cells are bounded as well.
pub const MAX_COLUMNS: usize = 128;

/// How often a part of a person that may come several times (a certificate, a spell, an entitlement) has columns of its own.
pub const MAX_PARTS: usize = 4;

/// Bytes of a message at which no further row is put into it: a quarter of what a hub takes, so that whatever the last row adds still fits.
pub const MESSAGE_GOAL: usize = 1 << 20;

/// Commands of a message at which no further row is put into it: a row adds at most [`MAX_COMMANDS_OF_ROW`], and one frame holds 10,000.
pub const COMMANDS_GOAL: usize = 5_000;

/// Commands of one row in one message: a card is made, handed over, and both its zones are enabled.
pub const MAX_COMMANDS_OF_ROW: usize = 4;

/// Pieces of the file that are under way at once: enough that the hub decides one, writes another and finds the next one waiting.
pub const PIECES_IN_FLIGHT: usize = 6;

/// Bytes of one read of a CSV file.
pub const READ_BYTES: usize = 256 << 10;

/// Rows of each column of a Parquet file that are decoded at once.
pub const PARQUET_ROWS: usize = 1_024;

/// Cards of a person that are looked through for one in use; it is a page of the hub's.
pub const CARDS_OF_PERSON: u32 = 500;

/// Bytes of one read of a file that is hashed.
pub const HASH_BYTES: usize = 1 << 20;
