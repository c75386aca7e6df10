//! Damage that no crash leaves behind: always refused, always with its place, never a shorter log in silence.

use medsettle_engine::error::{Damage, JournalError};
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::frame::{Frame, FrameHeader, FrameKind, HashAlgorithm};
use medsettle_engine::journal::{Appended, FrameHash, HeaderError, HubId};
use medsettle_engine::recovery::{self, Options, Unusable};
use medsettle_engine::storage::Storage;
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::verify::{self, Begin, Objection, Seen};
use medsettle_wire::record::decode_body;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::{Arc, LazyLock};

use crate::support::{HUB, SCHEMA, body, damage, journal_of, open, open_with, options, refusal};

const SEGMENT_1: &str = "00000001.journal";
const SEGMENT_2: &str = "00000002.journal";
const SEGMENT_3: &str = "00000003.journal";

/// Three frames in the first segment, one in the second, the third prepared.
fn small_journal() -> SimulatedDisk {
    journal_of(&[body(1, 10), body(2, 300), body(3, 20), body(4, 5_000)])
}

fn missing(number: u64) -> Damage {
    Damage::SegmentMissing { first: number, last: number, places: None }
}

fn findings(disk: &SimulatedDisk) -> Vec<Damage> {
    let report = verify::verify(disk, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("the walk can run");
    report.findings.into_iter().map(|finding| finding.damage).collect()
}

#[test]
fn every_flipped_bit_of_a_journal_is_refused_in_its_file_and_near_its_place() {
    let disk = small_journal();
    let names = ["IDENTITY", SEGMENT_1, SEGMENT_2, SEGMENT_3];
    assert_eq!(disk.list().expect("lists"), [SEGMENT_1, SEGMENT_2, SEGMENT_3, "IDENTITY"], "nothing else is trusted");
    for name in names {
        let content = disk.content(name).expect("the file is there");
        for bit in 0..content.len() * 8 {
            let at = bit / 8;
            disk.patch(name, at, &[content[at] ^ 1 << (bit % 8)]);
            let finding = refusal(&disk);
            assert!(finding.path.ends_with(name), "bit {bit} of {name} was blamed on {finding}");
            let sector = (at / 512 * 512) as u64;
            let is_label = at < 4096;
            assert_eq!(finding.offset, if is_label { 0 } else { sector }, "bit {bit} of {name}: {finding}");
            disk.patch(name, at, &content[at..=at]);
        }
    }
    assert_eq!(open(&disk).expect("all flips were taken back").found.len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_of_a_large_journal_is_refused_in_its_file_and_near_its_place(at in any::<Index>(), bit in 0..8_u32) {
        let disk = LARGE.copy();
        let names = disk.list().expect("lists");
        let lens: Vec<usize> = names.iter().map(|name| disk.content(name).expect("listed").len()).collect();
        let mut at = at.index(lens.iter().sum());
        let file = lens.iter().position(|len| if at < *len { true } else { at -= len; false }).expect("within");
        let name = &names[file];
        let content = disk.content(name).expect("listed");
        disk.patch(name, at, &[content[at] ^ 1_u8 << bit]);
        let finding = refusal(&disk);
        prop_assert!(finding.path.ends_with(name), "{} was blamed on {}", name, finding);
        let place = if at < 4096 { 0 } else { at / 512 * 512 };
        prop_assert_eq!(finding.offset, place as u64);
    }
}

/// Some hundred frames of all lengths in dozens of segments.
static LARGE: LazyLock<SimulatedDisk> =
    LazyLock::new(|| journal_of(&(0..300).map(|seed| body(seed, seed * 331 % 11_000)).collect::<Vec<_>>()));

#[test]
fn truncation_at_every_length_is_refused() {
    let disk = small_journal();
    for name in ["IDENTITY", SEGMENT_1, SEGMENT_2, SEGMENT_3] {
        let content = disk.content(name).expect("the file is there");
        for len in 0..content.len() {
            let disk = disk.copy();
            disk.set_content(name, content[..len].to_vec());
            let finding = refusal(&disk);
            assert!(finding.path.ends_with(name), "{name} cut to {len}: {finding}");
            assert!(matches!(finding.damage, Damage::FileLength { .. }), "{name} cut to {len}: {finding}");
        }
        let disk = disk.copy();
        disk.set_content(name, [content, vec![0; 4096]].concat());
        assert!(matches!(damage(&disk), Damage::FileLength { .. }));
    }
}

#[test]
fn a_missing_segment_is_refused() {
    for (name, number) in [(SEGMENT_1, 1), (SEGMENT_2, 2)] {
        let disk = small_journal();
        disk.remove(name);
        assert_eq!(damage(&disk), missing(number));
        assert_eq!(findings(&disk), [missing(number)], "what is behind it is sound");
    }
    let disk = small_journal();
    for name in [SEGMENT_1, SEGMENT_2, SEGMENT_3] {
        disk.remove(name);
    }
    assert_eq!(damage(&disk), missing(1), "a directory that lost all is not a new one");
    assert_eq!(findings(&disk), [missing(1)]);
}

#[test]
fn a_missing_identity_is_refused_once_there_are_facts() {
    let disk = small_journal();
    disk.remove("IDENTITY");
    assert_eq!(damage(&disk), Damage::IdentityMissing);
    let disk = journal_of(&[body(1, 10)]);
    disk.remove("IDENTITY");
    disk.remove(SEGMENT_2);
    assert_eq!(damage(&disk), Damage::IdentityMissing);
}

#[test]
fn swapped_segments_are_refused() {
    let disk = small_journal();
    let (first, second) = (disk.content(SEGMENT_1).expect("there"), disk.content(SEGMENT_2).expect("there"));
    disk.set_content(SEGMENT_1, second);
    disk.set_content(SEGMENT_2, first);
    assert_eq!(damage(&disk), Damage::SegmentNumber { expected: 1, found: 2 });
}

#[test]
fn a_segment_of_another_directory_is_refused() {
    let (disk, other) = (small_journal(), small_journal());
    for name in [SEGMENT_1, SEGMENT_2, SEGMENT_3] {
        let disk = disk.copy();
        disk.set_content(name, other.content(name).expect("there"));
        assert_eq!(damage(&disk), Damage::ForeignDirectory);
    }
}

#[test]
fn a_directory_of_another_hub_is_refused_by_name() {
    let disk = small_journal();
    let other = Options { hub: HubId(32), ..options() };
    let error = open_with(disk, &other).err().expect("refused");
    assert!(matches!(error, JournalError::ForeignHub { expected: HubId(32), found: HUB, .. }), "{error}");
}

#[test]
fn a_second_prepared_segment_is_refused() {
    let disk = small_journal();
    let mut label =
        medsettle_engine::journal::segment::Label::decode(&disk.content(SEGMENT_3).expect("there")).expect("valid");
    label.segment = 4;
    let mut content = disk.content(SEGMENT_3).expect("there");
    label.encode(&mut content);
    disk.set_content("00000004.journal", content);
    assert_eq!(damage(&disk), Damage::PreparedTwice);
    assert_eq!(findings(&disk), [Damage::PreparedTwice]);
}

#[test]
fn a_journal_without_its_prepared_segment_opens() {
    let disk = small_journal();
    disk.remove(SEGMENT_3);
    assert_eq!(open(&disk).expect("the preparer had not finished").found.len(), 4);
}

#[test]
fn a_frame_in_the_place_of_another_is_refused() {
    let block =
        |disk: &SimulatedDisk, index: usize| disk.content(SEGMENT_1).expect("there")[index * 4096..][..4096].to_vec();
    let disk = small_journal();
    // Stale: the medium kept an older frame. Duplicated: the last frame again behind itself. Swapped: two frames.
    for (place, from, expected) in [(2, 1, 2), (3, 1, 3), (1, 2, 1)] {
        let disk = disk.copy();
        disk.patch(SEGMENT_1, place * 4096, &block(&disk, from));
        let finding = refusal(&disk);
        assert_eq!(finding.damage, Damage::FrameMisplaced { expected, found: from as u64 });
        assert_eq!(finding.offset, place as u64 * 4096);
    }
}

#[test]
fn an_acknowledged_frame_that_vanished_in_the_middle_is_refused() {
    let disk = small_journal();
    for place in 1..4 {
        let disk = disk.copy();
        disk.patch(SEGMENT_1, place * 4096, &[0; 4096]);
        refusal(&disk);
    }
}

/// A journal with one frame, and that frame's header.
fn one_frame() -> (SimulatedDisk, FrameHeader) {
    let disk = journal_of(&[body(1, 10)]);
    let header = FrameHeader {
        schema: SCHEMA,
        kind: FrameKind::Business,
        hash_algorithm: HashAlgorithm::Blake3,
        hub: HUB,
        number: 1,
        epoch: 1,
        first_sequence: 1,
        last_sequence: 1,
        stamp_ms: 1_000,
        durable_up_to: 0,
        key_id: 0,
        body_len: 0,
        previous: FrameHash::default(),
    };
    (disk, header)
}

#[test]
fn a_whole_frame_that_does_not_follow_is_refused() {
    type Change = fn(&mut FrameHeader);
    let cases: [(Change, &str); 9] = [
        (|header| header.hub = HubId(5), "belongs to hub 5"),
        (|header| header.previous = FrameHash([7; 32]), "follows a frame with hash 0707"),
        (|header| header.epoch = 2, "the epoch changes"),
        (|header| header.kind = FrameKind::Epoch, "a later epoch"),
        (|header| header.first_sequence = 2, "first sequence"),
        (|header| (header.first_sequence, header.last_sequence) = (0, 0), "first sequence"),
        (|header| header.kind = FrameKind::Seal, "only a business frame"),
        (|header| header.durable_up_to = 1, "durable"),
        (|header| header.schema = SCHEMA + 1, "schema 4 is newer than 3"),
    ];
    for (change, expected) in cases {
        let (disk, mut header) = one_frame();
        change(&mut header);
        let frame = Frame::encode(header, &body(1, 10), Vec::new()).expect("fits");
        disk.patch(SEGMENT_1, 4096, frame.bytes());
        let finding = refusal(&disk);
        assert!(finding.to_string().contains(expected), "{finding}");
        assert_eq!(finding.offset, 4096);
        assert_eq!(findings(&disk).first(), Some(&finding.damage));
    }
}

#[test]
fn a_newer_schema_says_which_one_is_needed() {
    let (disk, header) = one_frame();
    let header = FrameHeader { schema: SCHEMA + 2, ..header };
    disk.patch(SEGMENT_1, 4096, Frame::encode(header, b"", Vec::new()).expect("fits").bytes());
    let error = HeaderError::NewerSchema { found: SCHEMA + 2, supported: SCHEMA };
    assert_eq!(damage(&disk), Damage::Header { frame: 1, error });
}

#[test]
fn a_newer_format_says_which_one_is_needed_and_nothing_is_changed() {
    for name in ["IDENTITY", SEGMENT_1, SEGMENT_2] {
        let disk = small_journal();
        let mut block = disk.content(name).expect("there")[..4096].to_vec();
        block[8..12].copy_from_slice(&2_u32.to_le_bytes());
        let covered = [&[0; 12], &block[..508]].concat();
        block[508..512].copy_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
        disk.patch(name, 0, &block);
        let content = disk.content(name);
        let finding = refusal(&disk);
        assert!(finding.path.ends_with(name), "{finding}");
        assert_eq!(finding.damage, Damage::NewerFormat { found: 2, supported: 1 });
        assert!(finding.to_string().contains("needs the program that wrote it, or a later one"), "{finding}");
        assert_eq!(disk.content(name), content);
    }
}

#[test]
fn a_body_that_the_reader_cannot_use_is_refused_with_its_place_and_words() {
    let disk = small_journal();
    let opened = recovery::open(Arc::new(disk), &options(), Halt::default(), &mut |frame| {
        if frame.header.number == 2 { Err(Unusable("fact 99 needs version 7".into())) } else { Ok(()) }
    });
    let message = opened.err().expect("refused").to_string();
    for part in [
        "00000001.journal at offset 8192",
        "frame 2",
        "fact 99 needs version 7",
        "medsettle verify",
        "medsettle inspect",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn verify_gathers_every_finding_and_changes_nothing() {
    let disk = small_journal();
    disk.patch(SEGMENT_1, 4096 + 600, &[0xAA]);
    disk.patch(SEGMENT_1, 3 * 4096 + 40, &[0xAA]);
    disk.patch(SEGMENT_3, 9_000, &[1]);
    let before: Vec<_> = disk.list().expect("lists").iter().map(|name| disk.content(name)).collect();
    let mut frames = Vec::new();
    let report = verify::inspect(&disk, SCHEMA, &mut |seen| {
        if let Seen::Frame(frame) = seen {
            frames.push(frame.header.number);
        }
        Ok(())
    });
    let report = report.expect("the walk can run");
    assert_eq!(frames, [2, 4], "frames 1 and 3 are damaged, those behind them are not hidden");
    let places: Vec<_> =
        report.findings.iter().map(|finding| (finding.path.ends_with(SEGMENT_3), finding.offset)).collect();
    assert_eq!(places, [(false, 4096 + 512), (false, 3 * 4096), (true, 9_000 / 512 * 512)]);
    let after: Vec<_> = disk.list().expect("lists").iter().map(|name| disk.content(name)).collect();
    assert_eq!(before, after);
}

#[test]
fn bodies_that_are_decoded_on_other_threads_are_blamed_in_the_order_of_the_journal() {
    let disk = small_journal();
    disk.patch(SEGMENT_1, 4096 + 600, &[0xAA]);
    disk.patch(SEGMENT_1, 3 * 4096 + 40, &[0xAA]);
    let one_by_one = verify::verify(&disk, SCHEMA, &mut |_, _| {}, &mut |frame| {
        decode_body(frame.body, frame.header.stamp_ms).map(drop).map_err(|error| Unusable(error.to_string()))
    });
    let mut told = Vec::new();
    let report =
        verify::verify_records(&disk, SCHEMA, &mut |done, total| told.push((done, total))).expect("the walk can run");
    let frames = report.findings.iter().map(|finding| match finding.damage {
        Damage::Body { frame, .. } => (true, frame),
        _ => (false, finding.offset / 4096),
    });
    // Bodies of these tests are no records.
    assert_eq!(frames.collect::<Vec<_>>(), [(false, 1), (true, 2), (false, 3), (true, 4)]);
    assert_eq!(Ok(report), one_by_one.map_err(|error| error.to_string()));
    assert_eq!(told.last(), Some(&(3 * 16 * 1024, 3 * 16 * 1024)));
}

#[test]
fn verify_of_a_clean_journal_finds_nothing_and_counts_everything() {
    let disk = small_journal();
    let mut last_progress = (0, 0);
    let report = verify::verify(&disk, SCHEMA, &mut |done, total| last_progress = (done, total), &mut |_| Ok(()));
    let report = report.expect("the walk can run");
    assert_eq!((report.findings.len(), report.frames, report.facts, report.segments), (0, 4, 4, 3));
    assert_eq!(report.tail.number, 4);
    assert_eq!(last_progress, (3 * 16 * 1024, 3 * 16 * 1024));
}

#[test]
fn verify_reads_a_journal_that_is_open() {
    let disk = small_journal();
    let mut session = open(&disk).expect("opens");
    assert_eq!(session.append(b"five"), Appended::Durable);
    assert_eq!(findings(&disk), []);
}

#[test]
fn a_walk_from_a_later_frame_reads_only_the_segments_from_there_on_and_ends_when_enough_was_seen() {
    let disk = small_journal();
    let walk = |begin: Begin, enough: u64| {
        let mut frames = Vec::new();
        let report = verify::inspect_from(&disk, SCHEMA, begin, &mut |seen| {
            let Seen::Frame(frame) = seen else { return Ok(()) };
            frames.push(frame.header.number);
            if frame.header.number == enough { Err(Objection::Enough) } else { Ok(()) }
        });
        (frames, report.expect("the walk can run").findings.len())
    };
    assert_eq!(walk(Begin::Frame(3), 9), (vec![1, 2, 3, 4], 0));
    for begin in [Begin::Frame(4), Begin::Sequence(4), Begin::Frame(40)] {
        assert_eq!(walk(begin, 9), (vec![4], 0));
    }
    assert_eq!(walk(Begin::Beginning, 2), (vec![1, 2], 0));
    disk.patch(SEGMENT_1, 4096 + 600, &[0xAA]);
    assert_eq!(walk(Begin::Frame(4), 9), (vec![4], 0));
    assert_eq!(walk(Begin::Frame(2), 9), (vec![2, 3, 4], 1));
    disk.patch(SEGMENT_2, 4096 + 600, &[0xAA]);
    assert_eq!(walk(Begin::Frame(4), 9).1, 1);
}

#[test]
fn verify_names_a_directory_without_a_journal() {
    let walked = verify::verify(&SimulatedDisk::new(), SCHEMA, &mut |_, _| {}, &mut |_| Ok(()));
    assert!(matches!(walked, Err(JournalError::NoJournal { .. })));
}
