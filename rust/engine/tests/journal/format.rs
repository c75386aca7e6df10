//! FORMAT.md and the code say the same, and the bytes of one frame are those that were agreed.

use std::ops::Range;

use medsettle_engine::archive::{self, ENTRY_FIELDS, TRAILER_FIELDS};
use medsettle_engine::journal::frame::{
    BLOCK_LEN, FRAME_MAGIC, Frame, FrameHeader, FrameKind, HEADER_FIELDS, HEADER_LEN, HashAlgorithm, SECTOR_LEN,
    SECTOR_PAYLOAD_LEN, SectorState, frame_len, longest_body_within, sector_state,
};
use medsettle_engine::journal::segment::{
    FIRST_FRAME_OFFSET, FORMAT_VERSION, IDENTITY_MAGIC, LABEL_FIELDS, RESTORING_MAGIC, SEGMENT_MAGIC,
};
use medsettle_engine::journal::{FrameHash, HubId};
use medsettle_engine::limits::MAX_BODY_LEN;
use medsettle_engine::snapshot::{self, HEAD_FIELDS};
use proptest::prelude::*;

const FORMAT: &str = include_str!("../../FORMAT.md");

/// The rows `| offset | length | field | ... |` of the table below the heading.
fn table(heading: &str) -> Vec<(String, Range<usize>)> {
    let (_, below) = FORMAT.split_once(&format!("\n## {heading}\n")).expect("FORMAT.md has the heading");
    let section = below.split("\n## ").next().expect("a split has a first part");
    rows_of(section)
}

fn rows_of(section: &str) -> Vec<(String, Range<usize>)> {
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let offset: usize = cells[0].parse().expect("an offset");
        let len: usize = cells[1].parse().expect("a length");
        (cells[2].to_owned(), offset..offset + len)
    })
    .collect()
}

fn named(fields: &[(&str, Range<usize>)]) -> Vec<(String, Range<usize>)> {
    fields.iter().map(|(name, range)| ((*name).to_owned(), range.clone())).collect()
}

/// What FORMAT.md says behind "`NAME` = ".
fn constant(name: &str) -> String {
    let (_, after) = FORMAT.split_once(&format!("`{name}` = ")).unwrap_or_else(|| panic!("FORMAT.md states {name}"));
    after.split_whitespace().next().expect("a value").trim_end_matches([',', '.', ';']).replace('`', "")
}

#[test]
fn the_document_lists_the_header_fields_of_the_code() {
    assert_eq!(table("Frame header"), named(&HEADER_FIELDS));
}

#[test]
fn the_document_lists_the_label_fields_of_the_code() {
    assert_eq!(table("Label"), named(&LABEL_FIELDS));
}

#[test]
fn the_document_lists_the_fields_of_snapshots_and_archived_segments() {
    assert_eq!(table("Snapshot"), named(&HEAD_FIELDS));
    let (_, below) = FORMAT.split_once("\n## Archived segment\n").expect("FORMAT.md has the heading");
    let (trailer, rows) = below.split_once("\n### Row of the table\n").expect("FORMAT.md has the heading");
    assert_eq!(rows_of(trailer), named(&TRAILER_FIELDS));
    assert_eq!(rows_of(rows.split("\n## ").next().expect("a split has a first part")), named(&ENTRY_FIELDS));
}

#[test]
fn fields_lie_side_by_side() {
    for fields in [&HEADER_FIELDS[..], &LABEL_FIELDS[..], &HEAD_FIELDS[..], &TRAILER_FIELDS[..], &ENTRY_FIELDS[..]] {
        let mut end = 0;
        for (name, range) in fields {
            assert_eq!(range.start, end, "{name}");
            end = range.end;
        }
    }
}

#[test]
fn the_document_states_the_constants_of_the_code() {
    let text = |magic: [u8; 8]| String::from_utf8(magic.to_vec()).expect("ASCII");
    for (name, value) in [
        ("BLOCK_LEN", BLOCK_LEN.to_string()),
        ("SECTOR_LEN", SECTOR_LEN.to_string()),
        ("SECTOR_PAYLOAD_LEN", SECTOR_PAYLOAD_LEN.to_string()),
        ("HEADER_LEN", HEADER_LEN.to_string()),
        ("MAX_BODY_LEN", MAX_BODY_LEN.to_string()),
        ("FIRST_FRAME_OFFSET", FIRST_FRAME_OFFSET.to_string()),
        ("FORMAT_VERSION", FORMAT_VERSION.to_string()),
        ("SNAPSHOT_MAGIC", text(snapshot::SNAPSHOT_MAGIC)),
        ("SNAPSHOT_VERSION", snapshot::FORMAT_VERSION.to_string()),
        ("ARCHIVE_MAGIC", text(archive::ARCHIVE_MAGIC)),
        ("ARCHIVE_VERSION", archive::FORMAT_VERSION.to_string()),
        ("FRAME_MAGIC", text(FRAME_MAGIC)),
        ("SEGMENT_MAGIC", text(SEGMENT_MAGIC)),
        ("IDENTITY_MAGIC", text(IDENTITY_MAGIC)),
        ("RESTORING_MAGIC", text(RESTORING_MAGIC)),
    ] {
        assert_eq!(constant(name), value, "{name}");
    }
}

#[test]
fn the_document_numbers_the_kinds_and_algorithms_of_the_code() {
    let row = |field: &str| {
        let row = FORMAT.lines().find(|line| line.contains(&format!("| {field} |"))).expect("FORMAT.md has the field");
        row.trim_end_matches('|').rsplit('|').next().expect("a split has a last part").trim().to_owned()
    };
    let kinds = [FrameKind::Business, FrameKind::Seal, FrameKind::Epoch];
    let named: Vec<_> = kinds.iter().map(|kind| format!("{} {kind:?}", *kind as u8).to_lowercase()).collect();
    assert_eq!(row("kind"), named.join(", "));
    assert_eq!(row("hash algorithm"), format!("{} BLAKE3 (32 bytes)", HashAlgorithm::Blake3 as u8));
}

#[test]
fn the_document_lists_every_file_of_a_data_directory() {
    let disk = crate::support::journal_of(&[b"one".to_vec()]);
    for name in medsettle_engine::storage::Storage::list(&disk).expect("lists") {
        assert!(FORMAT.contains(&format!("| `{name}` |")) || FORMAT.contains(&format!("`{name}`, ")), "{name}");
    }
}

fn header() -> FrameHeader {
    FrameHeader {
        schema: 0x0102_0304,
        kind: FrameKind::Business,
        hash_algorithm: HashAlgorithm::Blake3,
        hub: HubId(0x1112_1314_1516_1718),
        number: 0x2122_2324_2526_2728,
        epoch: 0x3132_3334_3536_3738,
        first_sequence: 0x4142_4344_4546_4748,
        last_sequence: 0x5152_5354_5556_5758,
        stamp_ms: 0x6162_6364_6566_6768,
        durable_up_to: 0x0172_7374_7576_7778,
        key_id: 0x8182_8384,
        body_len: 0,
        previous: FrameHash([0x99; 32]),
    }
}

/// CRC32C by its definition: reflected polynomial 0x82F63B78, all ones before and after.
fn crc32c_by_definition(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    })
}

#[test]
fn a_frame_is_byte_for_byte_as_documented() {
    let body: Vec<u8> = (1..=255).cycle().take(1_000).collect();
    let frame = Frame::encode(header(), &body, vec![0xFF; 9]).expect("fits");
    let bytes = frame.bytes();
    assert_eq!(bytes.len(), 4096);

    let mut content = Vec::new();
    for (sector, index) in bytes.chunks(512).zip(0_u32..) {
        content.extend_from_slice(&sector[..508]);
        let mut covered = header().number.to_le_bytes().to_vec();
        covered.extend_from_slice(&index.to_le_bytes());
        covered.extend_from_slice(&sector[..508]);
        assert_eq!(sector[508..], crc32c_by_definition(&covered).to_le_bytes());
    }
    let mut expected = b"MEDFRAME".to_vec();
    expected.extend([4, 3, 2, 1, 1, 1, 0, 0]);
    for field in [0x1112_1314_1516_1718_u64, 0x2122_2324_2526_2728, 0x3132_3334_3536_3738, 0x4142_4344_4546_4748] {
        expected.extend(field.to_le_bytes());
    }
    for field in [0x5152_5354_5556_5758_u64, 0x6162_6364_6566_6768, 0x0172_7374_7576_7778] {
        expected.extend(field.to_le_bytes());
    }
    expected.extend([0x84, 0x83, 0x82, 0x81, 0xE8, 0x03, 0, 0]);
    expected.extend([0x99; 32]);
    assert_eq!(content[..112], expected);
    expected.extend(&body);
    assert_eq!(content[112..144], blake3::hash(&expected).as_bytes()[..]);
    assert_eq!(frame.hash().0[..], content[112..144]);
    assert_eq!(content[144..1_144], body);
    assert!(content[1_144..].iter().all(|byte| *byte == 0));
}

proptest! {
    #[test]
    fn every_sector_of_a_frame_is_valid_in_its_own_place_only(len in 0_usize..9_000, number in 1_u64..u64::MAX) {
        let frame = Frame::encode(FrameHeader { number, ..header() }, &vec![0; len], Vec::new()).expect("fits");
        prop_assert_eq!(frame.bytes().len(), frame_len(len));
        prop_assert!(len <= longest_body_within(frame_len(len)));
        prop_assert!(longest_body_within(frame_len(len) - BLOCK_LEN) < len || frame_len(len) == BLOCK_LEN);
        for (sector, index) in frame.bytes().chunks(SECTOR_LEN).zip(0_u32..) {
            prop_assert_eq!(sector_state(sector, number, index), SectorState::Valid);
            prop_assert_eq!(sector_state(sector, number, index + 1), SectorState::Damaged);
            prop_assert_eq!(sector_state(sector, number - 1, index), SectorState::Damaged);
        }
        let (decoded, hash) = FrameHeader::decode(frame.bytes(), u32::MAX).expect("valid");
        prop_assert_eq!(&decoded, frame.header());
        prop_assert_eq!(hash, frame.hash());
    }

    #[test]
    fn arbitrary_bytes_as_a_segment_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 1..12_000)) {
        let disk = crate::support::journal_of(&[b"one".to_vec()]);
        disk.patch("00000001.journal", 4096, &bytes);
        prop_assert!(crate::support::open(&disk).is_err());
    }
}
