//! What must hold of any bytes: the fuzz targets run these checks on what libFuzzer invents, `cargo test` on the corpus.
//!
//! Invariant: no check knows what the bytes were meant to be; it compares the program with itself and with FORMAT.md.
//! Invariant: `frames_of` reads a segment by FORMAT.md alone, with nothing of the engine.

use std::sync::{Arc, LazyLock};

use medsettle_engine::error::JournalError;
use medsettle_engine::halt::Halt;
use medsettle_engine::journal::frame::{Frame, FrameHeader, FrameKind, HashAlgorithm};
use medsettle_engine::journal::segment::Label;
use medsettle_engine::journal::{DirectoryId, FrameHash, HubId};
use medsettle_engine::limits::MIN_SEGMENT_LEN;
use medsettle_engine::recovery::{self, Options};
use medsettle_engine::storage::simulated::SimulatedDisk;
use medsettle_engine::verify;
use medsettle_wire::decode::{decode, split_batch};
use medsettle_wire::record::{SCHEMA, decode_body, encode_record};
use medsettle_wire::{Operation, command, commands};

const HUB: HubId = HubId(37);
const BLOCK: usize = 4096;
const SECTOR: usize = 512;
const PAYLOAD: usize = 508;
const HEADER: usize = 144;
const SEGMENT: &str = "00000001.journal";

/// Two bytes name the operation, the rest is its request. It is refused or understood, the same way each time.
pub(crate) fn request(bytes: &[u8]) {
    let Some((number, request)) = bytes.split_first_chunk::<2>() else { return };
    let number = u32::from(u16::from_le_bytes(*number));
    if let Some(operation) = Operation::ALL.into_iter().find(|operation| operation.number() == number) {
        assert_eq!(decode(operation, request), decode(operation, request), "{operation}");
    } else {
        // Any other number stands for a batch, and for one command of a batch.
        drop(split_batch(request));
        drop(command(request));
        for one in commands(request).unwrap_or_default() {
            drop(command(one));
        }
    }
}

/// A body that can be read says the same after it was written again: nothing is dropped in silence.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(records) = decode_body(bytes, 1) else { return };
    let mut again = Vec::new();
    for stored in &records {
        encode_record(&stored.record, &stored.response, &mut again);
    }
    assert_eq!(decode_body(&again, 1).as_ref(), Ok(&records));
}

/// A header that can be read is written as the same bytes.
pub(crate) fn frame(bytes: &[u8]) {
    let mut sector = [0; SECTOR];
    let len = bytes.len().min(SECTOR);
    sector[..len].copy_from_slice(&bytes[..len]);
    let Ok((header, hash)) = FrameHeader::decode(&sector, SCHEMA) else { return };
    // Longer bodies only take longer.
    if header.body_len > 1 << 16 {
        return;
    }
    let body = vec![0; header.body_len as usize];
    let frame = Frame::encode(header.clone(), &body, Vec::new()).expect("as long as a body may be");
    assert_eq!(frame.header(), &header);
    assert_eq!(frame.bytes()[..HEADER - 32], sector[..HEADER - 32]);
    assert_eq!(header.hash_with(&body) == hash, frame.hash() == hash);
}

/// What opens holds exactly the whole frames that lie in the segment, and goes on from there; what does not is left alone.
pub(crate) fn recovery(bytes: &[u8]) {
    let content = segment(bytes);
    let disk = SimulatedDisk::new();
    let (directory, hub) = (DirectoryId([7; 16]), HUB);
    let mut identity = vec![0; BLOCK];
    Label::identity(directory, hub).encode(&mut identity);
    disk.set_content("IDENTITY", identity);
    disk.set_content(SEGMENT, content.clone());

    let report = verify::verify(&disk, SCHEMA, &mut |_, _| {}, &mut |_| Ok(())).expect("the walk can run");
    match open(&disk) {
        Ok(found) => {
            assert_eq!(found, frames_of(&content), "what was not written appeared, or what was written is gone");
            assert_eq!(report.findings, [], "damage was taken for a crash");
            assert_eq!(open(&disk).ok(), Some(found), "a second opening finds what the first did");
        }
        Err(error) => {
            assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
            assert!(!report.findings.is_empty(), "verify finds nothing, but opening says: {error}");
            assert_eq!(disk.content(SEGMENT), Some(content), "a refusal changes nothing");
        }
    }
}

fn open(disk: &SimulatedDisk) -> Result<Vec<Vec<u8>>, JournalError> {
    let mut found = Vec::new();
    let options = Options { segment_len: MIN_SEGMENT_LEN, ..Options::new(HUB, SCHEMA) };
    let opened = recovery::open(Arc::new(disk.clone()), &options, Halt::default(), &mut |frame| {
        found.push(frame.body.to_vec());
        Ok(())
    })?;
    drop(opened);
    disk.kill();
    Ok(found)
}

/// The content of a segment that the bytes describe, by the first of them: everything behind the label as it is; changes of a
/// sound journal; frames that are sound by themselves and follow nothing; or such frames and then changes.
fn segment(bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![0; usize::try_from(MIN_SEGMENT_LEN).expect("short")];
    let label = Label { directory: DirectoryId([7; 16]), hub: HUB, segment: 1, file_len: MIN_SEGMENT_LEN };
    label.encode(&mut content);
    let (mode, bytes) = bytes.split_first().map_or((0, bytes), |(mode, rest)| (mode % 4, rest));
    match mode {
        0 => {
            let len = bytes.len().min(content.len() - BLOCK);
            content[BLOCK..BLOCK + len].copy_from_slice(&bytes[..len]);
        }
        1 => {
            content[BLOCK..].copy_from_slice(&SOUND);
            change(&mut content, bytes);
        }
        _ => {
            let (frames, changes) = bytes.split_at(bytes.len().min(if mode == 2 { bytes.len() } else { 24 }));
            own_frames(&mut content, frames);
            change(&mut content, changes);
        }
    }
    content
}

/// Three frames of one block, as a hub writes them.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut content = Vec::new();
    let mut previous = FrameHash::default();
    for number in 1..=3 {
        let body = vec![u8::try_from(number).expect("small"); 600];
        let frame = Frame::encode(FrameHeader { previous, ..header(number) }, &body, Vec::new()).expect("fits");
        previous = frame.hash();
        content.extend_from_slice(frame.bytes());
    }
    content
});

fn header(number: u64) -> FrameHeader {
    FrameHeader {
        schema: SCHEMA,
        kind: FrameKind::Business,
        hash_algorithm: HashAlgorithm::Blake3,
        hub: HUB,
        number,
        epoch: 1,
        first_sequence: number,
        last_sequence: number,
        stamp_ms: 1_000,
        durable_up_to: number - 1,
        key_id: 0,
        body_len: 0,
        previous: FrameHash::default(),
    }
}

/// Each change is a place (two bytes, behind the label), a length (one byte), and as many bytes.
fn change(content: &mut [u8], mut changes: &[u8]) {
    let room = content.len() - BLOCK;
    while let [low, high, len, rest @ ..] = changes {
        let at = BLOCK + usize::from(u16::from_le_bytes([*low, *high])) % room;
        let len = usize::from(*len).min(rest.len()).min(content.len() - at);
        content[at..at + len].copy_from_slice(&rest[..len]);
        changes = &rest[len..];
    }
}

/// Frames with right checksums and hashes whose headers are a little off: eight bytes each say what is added to the fields.
fn own_frames(content: &mut [u8], frames: &[u8]) {
    let (mut at, mut previous) = (BLOCK, FrameHash::default());
    for (deltas, number) in frames.chunks_exact(8).zip(1_u64..) {
        let mut header = header(number);
        let add = |field: &mut u64, by: u8| *field = field.wrapping_add_signed(i64::from(by.cast_signed() / 32));
        header.previous = if deltas[0] > 250 { FrameHash([deltas[0]; 32]) } else { previous };
        header.kind = [FrameKind::Business, FrameKind::Seal, FrameKind::Epoch][usize::from(deltas[1] / 100)];
        header.schema = header.schema.wrapping_add(u32::from(deltas[1] % 100 == 99));
        for (field, delta) in [
            (&mut header.epoch, deltas[2]),
            (&mut header.first_sequence, deltas[3]),
            (&mut header.last_sequence, deltas[4]),
            (&mut header.durable_up_to, deltas[5]),
            (&mut header.number, deltas[6]),
        ] {
            add(field, delta);
        }
        header.stamp_ms -= i64::from(deltas[6] % 32);
        let frame = Frame::encode(header, &vec![deltas[7]; usize::from(deltas[7]) * 16], Vec::new()).expect("fits");
        let end = at + frame.bytes().len();
        let Some(place) = content.get_mut(at..end) else { return };
        place.copy_from_slice(frame.bytes());
        if let Some(step) = deltas[0].checked_sub(100).filter(|step| *step < 100) {
            forge(place, usize::from(step) * 37, frame.header().number);
        }
        (at, previous) = (end, frame.hash());
    }
}

/// Change a byte of a frame and make the checksum of its sector right again: only the hash, or the zeros behind the body, tell.
fn forge(frame: &mut [u8], at: usize, number: u64) {
    let (sector, index) = (&mut frame[at / PAYLOAD * SECTOR..][..SECTOR], at / PAYLOAD);
    sector[at % PAYLOAD] ^= 1;
    let checksum = checksum(sector, number, u32::try_from(index).expect("few sectors"));
    sector[PAYLOAD..].copy_from_slice(&checksum);
}

fn checksum(sector: &[u8], number: u64, index: u32) -> [u8; 4] {
    let covered = [&number.to_le_bytes()[..], &index.to_le_bytes(), &sector[..PAYLOAD]].concat();
    match crc32c::crc32c(&covered) {
        0 => u32::MAX,
        checksum => checksum,
    }
    .to_le_bytes()
}

/// Bodies of the whole frames that follow each other from the beginning, read by FORMAT.md.
fn frames_of(content: &[u8]) -> Vec<Vec<u8>> {
    let (mut at, mut previous, mut bodies) = (BLOCK, [0; 32], Vec::new());
    while let Some((body, hash, len)) = frame_at(&content[at..], bodies.len() as u64 + 1, &previous) {
        bodies.push(body);
        (at, previous) = (at + len, hash);
    }
    bodies
}

fn frame_at(bytes: &[u8], number: u64, previous: &[u8]) -> Option<(Vec<u8>, [u8; 32], usize)> {
    let head = bytes.get(..SECTOR)?;
    let body_len = u32::from_le_bytes(head[76..80].try_into().ok()?) as usize;
    let len = (HEADER + body_len).div_ceil(PAYLOAD).next_multiple_of(BLOCK / SECTOR) * SECTOR;
    let mut laid_out = Vec::new();
    for (sector, index) in bytes.get(..len)?.chunks(SECTOR).zip(0_u32..) {
        if sector[PAYLOAD..] != checksum(sector, number, index) {
            return None;
        }
        laid_out.extend_from_slice(&sector[..PAYLOAD]);
    }
    let covered = [&laid_out[..112], &laid_out[HEADER..HEADER + body_len]].concat();
    let hash = *blake3::hash(&covered).as_bytes();
    let follows = laid_out[..8] == *b"MEDFRAME" && laid_out[80..112] == *previous && laid_out[112..HEADER] == hash;
    follows.then(|| (laid_out[HEADER..HEADER + body_len].to_vec(), hash, len))
}
