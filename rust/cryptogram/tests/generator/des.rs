//! The eight S-boxes of DES (FIPS 46-3, appendix 1): as circuits, and as truth tables of each output bit.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::tables;

/// Each box by row (first and last bit of the input) and column (the four bits between).
#[rustfmt::skip]
const BOXES: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7,
        0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
        4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0,
        15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10,
        3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
        0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15,
        13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8,
        13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
        13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7,
        1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15,
        13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
        10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4,
        3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9,
        14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
        4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14,
        11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11,
        10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
        9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6,
        4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1,
        13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
        1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2,
        6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7,
        1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
        7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8,
        2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
    ],
];

/// What `search` found.
const RECIPES: [&str; 8] = [
    "2013agfejefdbglfaidl",
    "0132fhcjbegcjagcc",
    "3012aiclfbeekfgglj",
    "3021kbgdigdkbcg",
    "1023bjdjcldbegljfkde",
    "3210khfgjkjgekhjikgf",
    "0312lfhbeicgkfcafajll",
    "1032ajeljhljbkhjkf",
];

/// Truth tables of the four output bits, the most significant first. Bit `x` is the value for the input bits 1 to 6 of
/// which bit 1 is the least significant bit of `x`, so that wires and bits of the standard are in the same order.
fn truth_tables(table: &[u8; 64]) -> [u64; 4] {
    let output = |x: usize| {
        let bit = |number: usize| x >> (number - 1) & 1;
        let row = bit(1) << 1 | bit(6);
        let column = bit(2) << 3 | bit(3) << 2 | bit(4) << 1 | bit(5);
        table[row * 16 + column]
    };
    [3, 2, 1, 0].map(|bit| (0..64).filter(|x| output(*x) >> bit & 1 == 1).map(|x| 1 << x).sum())
}

pub(super) fn file() -> String {
    let mut text = String::from(super::HEAD);
    text.push_str("/// Bit `x` of a table is an output bit of a box; bit 1 of the input is the lowest of `x`, and output bit 1 is first.\n");
    text.push_str("pub(crate) const TRUTH_TABLES: [[u64; 4]; 8] = [\n");
    for table in &BOXES {
        let tables = truth_tables(table).map(|table| format!("0x{table:016X}"));
        let _ = writeln!(text, "    [{}],", tables.join(", "));
    }
    text.push_str("];\n");
    for (position, (table, recipe)) in BOXES.iter().zip(RECIPES).enumerate() {
        let number = position + 1;
        let (circuit, outputs) = tables::follow(6, &truth_tables(table), recipe);
        text.push('\n');
        text.push_str(&circuit.text(&format!("box_{number}"), &format!("S-box {number} of DES"), &outputs));
    }
    text
}

pub(super) fn search(seconds: u64) {
    for (position, table) in BOXES.iter().enumerate() {
        let end = Instant::now() + Duration::from_secs(seconds);
        tables::search(&format!("S-box {}", position + 1), 6, &truth_tables(table), || Instant::now() < end);
    }
}
