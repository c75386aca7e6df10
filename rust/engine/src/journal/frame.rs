//! One frame: its bytes in memory and on disk. FORMAT.md is the same in words; a test compares the two.
//!
//! Invariant: a frame starts on a block of 4,096 bytes, fills whole blocks, and every sector of it bears its own checksum.
//! Invariant: no written sector is all zero, so a sector alone tells whether it is valid, untouched or damaged.
//! Invariant: the frame hash covers every header field and the body, and the next frame repeats it.
//! Leaves out: where frames lie (segment), whether one follows another (chain), what a body means (wire).

use std::fmt;
use std::ops::Range;

use crate::limits::MAX_BODY_LEN;

/// Unit of alignment: what a page cache and most disks write at least.
pub const BLOCK_LEN: usize = 4096;
/// Unit of damage: what a disk writes whole or not at all.
pub const SECTOR_LEN: usize = 512;
/// Bytes of a sector that carry content; its checksum takes the rest.
pub const SECTOR_PAYLOAD_LEN: usize = 508;

const SECTORS_PER_BLOCK: usize = BLOCK_LEN / SECTOR_LEN;

const MAGIC: Range<usize> = 0..8;
const SCHEMA: Range<usize> = 8..12;
const KIND: usize = 12;
const HASH_ALGORITHM: usize = 13;
const RESERVED: Range<usize> = 14..16;
const HUB: Range<usize> = 16..24;
const NUMBER: Range<usize> = 24..32;
const EPOCH: Range<usize> = 32..40;
const FIRST_SEQUENCE: Range<usize> = 40..48;
const LAST_SEQUENCE: Range<usize> = 48..56;
const STAMP_MS: Range<usize> = 56..64;
const DURABLE_UP_TO: Range<usize> = 64..72;
const KEY_ID: Range<usize> = 72..76;
const BODY_LEN: Range<usize> = 76..80;
const PREVIOUS_HASH: Range<usize> = 80..112;
const FRAME_HASH: Range<usize> = 112..144;

/// Bytes of the header before the body.
pub const HEADER_LEN: usize = FRAME_HASH.end;
/// First bytes of every frame.
pub const FRAME_MAGIC: [u8; 8] = *b"MEDFRAME";

/// Name, first byte and length of every header field, in order.
pub const HEADER_FIELDS: [(&str, Range<usize>); 16] = [
    ("magic", MAGIC),
    ("schema", SCHEMA),
    ("kind", KIND..KIND + 1),
    ("hash algorithm", HASH_ALGORITHM..HASH_ALGORITHM + 1),
    ("reserved", RESERVED),
    ("hub id", HUB),
    ("frame number", NUMBER),
    ("epoch", EPOCH),
    ("first sequence", FIRST_SEQUENCE),
    ("last sequence", LAST_SEQUENCE),
    ("stamp", STAMP_MS),
    ("durable up to", DURABLE_UP_TO),
    ("key id", KEY_ID),
    ("body length", BODY_LEN),
    ("previous hash", PREVIOUS_HASH),
    ("frame hash", FRAME_HASH),
];

/// The hub whose facts a journal holds; a restore keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HubId(pub u64);

impl fmt::Display for HubId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// Hash of a frame, by which the next one names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameHash(pub [u8; 32]);

impl fmt::Display for FrameHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for FrameHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// The facts of one batch.
    Business = 1,
    /// Written when idle, so that the last business frame does not stay last.
    Seal = 2,
    /// Begins the epoch of a restore or a takeover.
    Epoch = 3,
}

impl FrameKind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Business, Self::Seal, Self::Epoch].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// How a frame is hashed; the number stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum HashAlgorithm {
    /// BLAKE3 with 256 bits.
    Blake3 = 1,
}

/// The fields of a header, without its checksums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHeader {
    /// Number of the schema that the body was encoded with.
    pub schema: u32,
    /// What the frame is for.
    pub kind: FrameKind,
    /// How `previous` and the frame's own hash are made.
    pub hash_algorithm: HashAlgorithm,
    /// Whose facts these are.
    pub hub: HubId,
    /// Position in the journal, from 1, without gaps.
    pub number: u64,
    /// Raised by every restore and takeover.
    pub epoch: u64,
    /// Sequence of the first fact; one more than `last_sequence` when the frame holds none.
    pub first_sequence: u64,
    /// Sequence of the last fact.
    pub last_sequence: u64,
    /// When the batch was decided; never before the stamp of an earlier frame.
    pub stamp_ms: i64,
    /// The newest frame that was known to be durable when this one was encoded.
    pub durable_up_to: u64,
    /// Key that the body is encrypted with; 0 for none.
    pub key_id: u32,
    /// Bytes of the body.
    pub body_len: u32,
    /// Hash of the frame before; zero for the first.
    pub previous: FrameHash,
}

/// What is wrong with a header whose sector is valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it and its fields are")]
pub enum HeaderError {
    #[error("it does not begin with the magic of a frame")]
    NoMagic,
    #[error(
        "schema {found} is newer than {supported}, the newest this program knows: it needs the program that wrote it, or a later one"
    )]
    NewerSchema { found: u32, supported: u32 },
    #[error("frame kind {0} is unknown")]
    UnknownKind(u8),
    #[error("hash algorithm {0} is unknown")]
    UnknownHashAlgorithm(u8),
    #[error("reserved bytes are not zero")]
    ReservedNotZero,
    #[error("body of {0} bytes is longer than a frame may hold")]
    BodyTooLong(u32),
}

/// A body longer than a frame may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body of {len} bytes exceeds the limit of {limit}")]
pub struct BodyTooLong {
    /// Its length.
    pub len: usize,
    /// What a frame of this journal may hold.
    pub limit: usize,
}

impl FrameHeader {
    /// How many facts the frame holds.
    pub fn facts(&self) -> u64 {
        self.last_sequence.saturating_add(1).saturating_sub(self.first_sequence)
    }

    /// Bytes of the whole frame on disk.
    pub fn frame_len(&self) -> usize {
        frame_len(self.body_len as usize)
    }

    /// The header fields and the frame hash in the first sector of a frame.
    pub fn decode(sector: &[u8], supported_schema: u32) -> Result<(Self, FrameHash), HeaderError> {
        let header = &sector[..HEADER_LEN];
        if header[MAGIC] != FRAME_MAGIC {
            return Err(HeaderError::NoMagic);
        }
        let schema = u32_at(header, SCHEMA);
        if schema > supported_schema {
            return Err(HeaderError::NewerSchema { found: schema, supported: supported_schema });
        }
        let kind = FrameKind::from_number(header[KIND]).ok_or(HeaderError::UnknownKind(header[KIND]))?;
        if header[HASH_ALGORITHM] != HashAlgorithm::Blake3 as u8 {
            return Err(HeaderError::UnknownHashAlgorithm(header[HASH_ALGORITHM]));
        }
        if header[RESERVED] != [0; 2] {
            return Err(HeaderError::ReservedNotZero);
        }
        let body_len = u32_at(header, BODY_LEN);
        if body_len as usize > MAX_BODY_LEN {
            return Err(HeaderError::BodyTooLong(body_len));
        }
        let decoded = Self {
            schema,
            kind,
            hash_algorithm: HashAlgorithm::Blake3,
            hub: HubId(u64_at(header, HUB)),
            number: u64_at(header, NUMBER),
            epoch: u64_at(header, EPOCH),
            first_sequence: u64_at(header, FIRST_SEQUENCE),
            last_sequence: u64_at(header, LAST_SEQUENCE),
            stamp_ms: u64_at(header, STAMP_MS).cast_signed(),
            durable_up_to: u64_at(header, DURABLE_UP_TO),
            key_id: u32_at(header, KEY_ID),
            body_len,
            previous: hash_at(header, PREVIOUS_HASH),
        };
        Ok((decoded, hash_at(header, FRAME_HASH)))
    }

    /// The header's bytes, with the frame hash that ends them.
    pub fn bytes_with(&self, hash: FrameHash) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..FRAME_HASH.start].copy_from_slice(&self.encode());
        header[FRAME_HASH].copy_from_slice(&hash.0);
        header
    }

    /// The header bytes before the frame hash.
    fn encode(&self) -> [u8; FRAME_HASH.start] {
        let mut header = [0; FRAME_HASH.start];
        header[MAGIC].copy_from_slice(&FRAME_MAGIC);
        header[SCHEMA].copy_from_slice(&self.schema.to_le_bytes());
        header[KIND] = self.kind as u8;
        header[HASH_ALGORITHM] = self.hash_algorithm as u8;
        header[HUB].copy_from_slice(&self.hub.0.to_le_bytes());
        header[NUMBER].copy_from_slice(&self.number.to_le_bytes());
        header[EPOCH].copy_from_slice(&self.epoch.to_le_bytes());
        header[FIRST_SEQUENCE].copy_from_slice(&self.first_sequence.to_le_bytes());
        header[LAST_SEQUENCE].copy_from_slice(&self.last_sequence.to_le_bytes());
        header[STAMP_MS].copy_from_slice(&self.stamp_ms.to_le_bytes());
        header[DURABLE_UP_TO].copy_from_slice(&self.durable_up_to.to_le_bytes());
        header[KEY_ID].copy_from_slice(&self.key_id.to_le_bytes());
        header[BODY_LEN].copy_from_slice(&self.body_len.to_le_bytes());
        header[PREVIOUS_HASH].copy_from_slice(&self.previous.0);
        header
    }

    /// The frame hash over these fields and `body`.
    pub fn hash_with(&self, body: &[u8]) -> FrameHash {
        hash_of(&self.encode(), body)
    }
}

/// A frame ready to be written.
#[derive(Debug, Clone)]
pub struct Frame {
    header: FrameHeader,
    hash: FrameHash,
    bytes: Vec<u8>,
}

impl Frame {
    /// Encode `header` (whose body length is set here) and `body` into `buffer`, whose old content is dropped.
    pub fn encode(mut header: FrameHeader, body: &[u8], mut buffer: Vec<u8>) -> Result<Self, BodyTooLong> {
        let too_long = BodyTooLong { len: body.len(), limit: MAX_BODY_LEN };
        if body.len() > MAX_BODY_LEN {
            return Err(too_long);
        }
        header.body_len = u32::try_from(body.len()).map_err(|_| too_long)?;
        let fields = header.encode();
        let hash = hash_of(&fields, body);

        buffer.clear();
        buffer.resize(header.frame_len(), 0);
        let (at_head, mut rest) = body.split_at(body.len().min(SECTOR_PAYLOAD_LEN - HEADER_LEN));
        buffer[..fields.len()].copy_from_slice(&fields);
        buffer[FRAME_HASH].copy_from_slice(&hash.0);
        buffer[HEADER_LEN..HEADER_LEN + at_head.len()].copy_from_slice(at_head);
        let seed = frame_seed(header.number);
        for (sector, index) in buffer.chunks_exact_mut(SECTOR_LEN).zip(0..) {
            if index > 0 {
                let (here, after) = rest.split_at(rest.len().min(SECTOR_PAYLOAD_LEN));
                sector[..here.len()].copy_from_slice(here);
                rest = after;
            }
            seal_sector(sector, seed, index);
        }
        Ok(Self { header, hash, bytes: buffer })
    }

    /// The fields it was made with.
    pub fn header(&self) -> &FrameHeader {
        &self.header
    }

    /// The hash by which the next frame names it.
    pub fn hash(&self) -> FrameHash {
        self.hash
    }

    /// The bytes as they are written: whole blocks.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Give the buffer back, for the next frame.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// What a sector says on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectorState {
    /// Its checksum is right for its frame number and place.
    Valid,
    /// All zero, as the preparer left it.
    Untouched,
    /// Anything else.
    Damaged,
}

/// The state of `sector` as sector `index` of frame `number`.
pub fn sector_state(sector: &[u8], number: u64, index: u32) -> SectorState {
    state_with_seed(sector, frame_seed(number), index)
}

pub(crate) fn state_with_seed(sector: &[u8], seed: u32, index: u32) -> SectorState {
    let (payload, stored) = sector.split_at(SECTOR_PAYLOAD_LEN);
    if stored == checksum(payload, seed, index) {
        SectorState::Valid
    } else if is_untouched(sector) {
        SectorState::Untouched
    } else {
        SectorState::Damaged
    }
}

/// The number that `sector` bears if it is the valid first sector of a frame, whatever frame belongs there.
pub(crate) fn claimed_number(sector: &[u8]) -> Option<u64> {
    let number = u64_at(sector, NUMBER);
    let is_head = sector[MAGIC] == FRAME_MAGIC && sector_state(sector, number, 0) == SectorState::Valid;
    is_head.then_some(number)
}

/// Whether `bytes` are all zero.
pub fn is_untouched(bytes: &[u8]) -> bool {
    const ZERO: [u8; BLOCK_LEN] = [0; BLOCK_LEN];
    bytes.chunks(BLOCK_LEN).all(|chunk| chunk == &ZERO[..chunk.len()])
}

/// Start of the checksums of all sectors of frame `number`. Number 0 is used for blocks that are no frames.
pub(crate) fn frame_seed(number: u64) -> u32 {
    crc32c::crc32c(&number.to_le_bytes())
}

/// Write the checksum behind the payload of `sector`.
pub(crate) fn seal_sector(sector: &mut [u8], seed: u32, index: u32) {
    let (payload, stored) = sector.split_at_mut(SECTOR_PAYLOAD_LEN);
    stored.copy_from_slice(&checksum(payload, seed, index));
}

/// CRC32C over frame number, sector index and payload. Zero is written as all ones, so that no written sector is all zero.
fn checksum(payload: &[u8], seed: u32, index: u32) -> [u8; 4] {
    match crc32c::crc32c_append(crc32c::crc32c_append(seed, &index.to_le_bytes()), payload) {
        0 => u32::MAX.to_le_bytes(),
        checksum => checksum.to_le_bytes(),
    }
}

/// Bytes on disk of a frame with a body of `body_len` bytes.
pub const fn frame_len(body_len: usize) -> usize {
    (HEADER_LEN + body_len).div_ceil(SECTOR_PAYLOAD_LEN).div_ceil(SECTORS_PER_BLOCK) * BLOCK_LEN
}

/// The longest body whose frame takes at most `len` bytes on disk.
pub const fn longest_body_within(len: usize) -> usize {
    (len / BLOCK_LEN * SECTORS_PER_BLOCK * SECTOR_PAYLOAD_LEN).saturating_sub(HEADER_LEN)
}

fn hash_of(fields: &[u8], body: &[u8]) -> FrameHash {
    // In one piece, the few chunks of a small frame are hashed side by side; in two pieces, one after the other.
    let mut small = [0; 2 * BLOCK_LEN];
    let len = fields.len() + body.len();
    let hash = if len <= small.len() {
        small[..fields.len()].copy_from_slice(fields);
        small[fields.len()..len].copy_from_slice(body);
        blake3::hash(&small[..len])
    } else {
        blake3::Hasher::new().update(fields).update(body).finalize()
    };
    FrameHash(*hash.as_bytes())
}

fn u32_at(bytes: &[u8], range: Range<usize>) -> u32 {
    u32::from_le_bytes(bytes[range].try_into().expect("the range is four bytes long"))
}

fn u64_at(bytes: &[u8], range: Range<usize>) -> u64 {
    u64::from_le_bytes(bytes[range].try_into().expect("the range is eight bytes long"))
}

fn hash_at(bytes: &[u8], range: Range<usize>) -> FrameHash {
    FrameHash(bytes[range].try_into().expect("the range is thirty-two bytes long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The register of CRC32C (reflected polynomial) before four zero bytes were shifted through it.
    fn unshift(register: u32) -> u32 {
        (0..32).fold(
            register,
            |register, _| {
                if register >> 31 == 1 { (register ^ 0x82F6_3B78) << 1 | 1 } else { register << 1 }
            },
        )
    }

    #[test]
    fn a_sector_whose_checksum_is_zero_is_written_with_ones_and_valid() {
        let (number, index) = (7, 3);
        let mut sector = [0; SECTOR_LEN];
        let covered = crc32c::crc32c_append(frame_seed(number), &u32::to_le_bytes(index));
        let register = !crc32c::crc32c_append(covered, &sector[..SECTOR_PAYLOAD_LEN - 4]);
        let closing = register ^ unshift(u32::MAX);
        sector[SECTOR_PAYLOAD_LEN - 4..SECTOR_PAYLOAD_LEN].copy_from_slice(&closing.to_le_bytes());
        assert_eq!(crc32c::crc32c_append(covered, &sector[..SECTOR_PAYLOAD_LEN]), 0, "the payload is chosen so");

        seal_sector(&mut sector, frame_seed(number), index);
        assert_eq!(sector[SECTOR_PAYLOAD_LEN..], [0xFF; 4]);
        assert_eq!(sector_state(&sector, number, index), SectorState::Valid);
    }
}
