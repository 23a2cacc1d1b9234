//! The bytes of the spool: segment headers and records. The layout is in the
//! module documentation of [`super`] and in `docs/spool.md`.
//!
//! Pure functions over byte slices. Invariant: nothing here trusts a length
//! that has not been compared with its limit.

use super::{COLUMNS_VERSION, MAX_RECORD_BYTES};

/// The first bytes of every segment.
const MAGIC: [u8; 8] = *b"METKASPL";
/// The format that this code writes and reads.
pub(super) const FORMAT_VERSION: u16 = 1;
pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
pub(super) const RECORD_HEADER_BYTES: usize = 20;
/// Set on the first record of each group: what stands before it was synced
/// before it was written, so a hole there is damage and not a torn group.
pub(super) const GROUP_START: u8 = 0x80;
/// The low bits of a hit's flags: how many journal keys stand before its payload.
pub(super) const KEYS_MASK: u8 = 0x03;
/// The most journal keys of one hit.
pub const MAX_KEYS: usize = 2;
/// On [`Kind::InsertAcked`]: the batch went to the dead letters.
pub(super) const DEAD_LETTERED: u8 = 0x01;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A row.
    Hit = 1,
    /// A batch was opened; the hits that follow are its rows.
    BatchOpen = 2,
    /// The batch is complete; its token is fixed.
    BatchSeal = 3,
    /// Storage has acknowledged the batch, or it went to the dead letters.
    InsertAcked = 4,
    /// The batch's rows were counted in storage.
    Verified = 5,
    /// Rows of a subject must not be delivered; only in the file of tombstones.
    Tombstone = 6,
    /// The reason of a dead letter, as text.
    Reason = 8,
}

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub columns_version: u16,
    pub spool: u16,
    /// The node's 24 bits.
    pub node: u32,
    /// Random for each life of a file.
    pub generation: u64,
    pub number: u64,
    pub first_lsn: u64,
    pub created_ms: u64,
    /// The last batch that was opened before this segment.
    pub batch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    NotASegment,
    Checksum,
    Version(u16),
}

/// A record whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// `None` for a type that this version does not know.
    pub kind: Option<Kind>,
    pub flags: u8,
    /// On a hit: the low 16 bits of its batch's number.
    pub tag: u16,
    pub lsn: u64,
    /// All after the record's header, without padding.
    pub body: &'a [u8],
    /// The record's whole length in the file.
    pub total: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchOpen {
    pub id: u64,
    pub month: u32,
    pub columns_version: u16,
    pub opened_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchSeal {
    pub id: u64,
    /// The LSN of the batch's `BatchOpen`.
    pub first_lsn: u64,
    /// The LSN of its last hit; `first_lsn` when it has none.
    pub last_lsn: u64,
    pub rows: u32,
    /// BLAKE3 of all payloads in order.
    pub content: [u8; 32],
    pub token: [u8; 16],
}

// === impl Kind ===

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Hit,
            2 => Kind::BatchOpen,
            3 => Kind::BatchSeal,
            4 => Kind::InsertAcked,
            5 => Kind::Verified,
            6 => Kind::Tombstone,
            8 => Kind::Reason,
            _ => return None,
        })
    }
}

// === impl SegmentHeader ===

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[10..12].copy_from_slice(&self.columns_version.to_le_bytes());
        out[12..14].copy_from_slice(&self.spool.to_le_bytes());
        out[16..20].copy_from_slice(&self.node.to_le_bytes());
        out[20..24].copy_from_slice(&self.batch.to_le_bytes());
        out[24..32].copy_from_slice(&self.generation.to_le_bytes());
        out[32..40].copy_from_slice(&self.number.to_le_bytes());
        out[40..48].copy_from_slice(&self.first_lsn.to_le_bytes());
        out[48..56].copy_from_slice(&self.created_ms.to_le_bytes());
        let crc = crc32c::crc32c(&out[..60]);
        out[60..64].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderError> {
        if bytes.len() < SEGMENT_HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(HeaderError::NotASegment);
        }
        let version = u16_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderError::Version(version));
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(HeaderError::Checksum);
        }
        Ok(SegmentHeader {
            columns_version: u16_at(bytes, 10),
            spool: u16_at(bytes, 12),
            node: u32_at(bytes, 16),
            generation: u64_at(bytes, 24),
            number: u64_at(bytes, 32),
            first_lsn: u64_at(bytes, 40),
            created_ms: u64_at(bytes, 48),
            batch: u32_at(bytes, 20),
        })
    }

    /// What the checksums of the segment's records start from: a record of an
    /// earlier life of the file, or of another segment, has a wrong checksum.
    pub fn seed(&self) -> u32 {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.generation.to_le_bytes());
        bytes[8..].copy_from_slice(&self.number.to_le_bytes());
        crc32c::crc32c(&bytes)
    }
}

// === impl BatchOpen ===

impl BatchOpen {
    pub fn append(&self, lsn: u64, out: &mut Vec<u8>) {
        let start = begin(out, Kind::BatchOpen, 0, lsn);
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.month.to_le_bytes());
        out.extend_from_slice(&self.columns_version.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.opened_ms.to_le_bytes());
        finish(out, start);
    }

    pub fn decode(body: &[u8]) -> Option<BatchOpen> {
        (body.len() >= 24).then(|| BatchOpen {
            id: u64_at(body, 0),
            month: u32_at(body, 8),
            columns_version: u16_at(body, 12),
            opened_ms: u64_at(body, 16),
        })
    }

    pub fn new(id: u64, month: u32, opened_ms: u64) -> BatchOpen {
        BatchOpen { id, month, columns_version: COLUMNS_VERSION, opened_ms }
    }
}

// === impl BatchSeal ===

impl BatchSeal {
    /// The length of the body.
    pub const BYTES: usize = 80;

    pub fn append(&self, lsn: u64, out: &mut Vec<u8>) {
        let start = begin(out, Kind::BatchSeal, 0, lsn);
        out.extend_from_slice(&self.encode());
        finish(out, start);
    }

    pub fn encode(&self) -> [u8; BatchSeal::BYTES] {
        let mut out = [0; BatchSeal::BYTES];
        out[0..8].copy_from_slice(&self.id.to_le_bytes());
        out[8..16].copy_from_slice(&self.first_lsn.to_le_bytes());
        out[16..24].copy_from_slice(&self.last_lsn.to_le_bytes());
        out[24..28].copy_from_slice(&self.rows.to_le_bytes());
        out[32..64].copy_from_slice(&self.content);
        out[64..80].copy_from_slice(&self.token);
        out
    }

    pub fn decode(body: &[u8]) -> Option<BatchSeal> {
        let body: &[u8; BatchSeal::BYTES] = body.get(..BatchSeal::BYTES)?.try_into().ok()?;
        let mut content = [0; 32];
        content.copy_from_slice(&body[32..64]);
        let mut token = [0; 16];
        token.copy_from_slice(&body[64..80]);
        Some(BatchSeal {
            id: u64_at(body, 0),
            first_lsn: u64_at(body, 8),
            last_lsn: u64_at(body, 16),
            rows: u32_at(body, 24),
            content,
            token,
        })
    }
}

// === impl Record ===

impl<'a> Record<'a> {
    /// The record at the start of `bytes`, if its checksum is right.
    pub fn parse(bytes: &'a [u8], seed: u32) -> Option<Record<'a>> {
        let total = total_length(bytes)?;
        let record = bytes.get(..total)?;
        if crc32c::crc32c_append(seed, &record[4..]) != u32_at(record, 0) {
            return None;
        }
        let length = u32_at(record, 4) as usize;
        Some(Record {
            kind: Kind::from_byte(record[16]),
            flags: record[17],
            tag: u16_at(record, 18),
            lsn: u64_at(record, 8),
            body: &record[RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + length],
            total,
        })
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.kind == Some(kind)
    }

    /// A hit's journal keys.
    pub fn keys(&self) -> impl Iterator<Item = u64> + 'a {
        let body = self.body;
        (0..self.key_count()).map(move |index| u64_at(body, index * 8))
    }

    /// A hit's payload.
    pub fn payload(&self) -> &'a [u8] {
        &self.body[self.key_count() * 8..]
    }

    fn key_count(&self) -> usize {
        let keys = usize::from(self.flags & KEYS_MASK);
        if self.is(Kind::Hit) && self.body.len() >= keys * 8 { keys } else { 0 }
    }
}

/// The length in the file of the record that starts `bytes`, if its header is
/// there and its length is within the limit; `None` for the all-zero header
/// that ends a segment.
pub(super) fn total_length(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < RECORD_HEADER_BYTES || bytes[16] == 0 {
        return None;
    }
    let length = u32_at(bytes, 4) as usize;
    (length <= MAX_RECORD_BYTES).then(|| padded(length))
}

/// The length in the file of a record with a body of `length` bytes.
pub(super) fn padded(length: usize) -> usize {
    (RECORD_HEADER_BYTES + length).next_multiple_of(8)
}

/// Starts a record; its body is then appended to `out`, and [`finish`] called.
pub(super) fn begin(out: &mut Vec<u8>, kind: Kind, flags: u8, lsn: u64) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&lsn.to_le_bytes());
    out.extend_from_slice(&[kind as u8, flags, 0, 0]);
    start
}

/// [`begin`] of a hit with `keys` journal keys, in the batch with this number.
/// The number's low bits stand in each hit, so that one whose batch's open or
/// seal record is damaged is not taken for another batch's.
pub(super) fn begin_hit(out: &mut Vec<u8>, keys: usize, batch: u32, lsn: u64) -> usize {
    let start = begin(out, Kind::Hit, keys as u8, lsn);
    out[start + 18..start + 20].copy_from_slice(&(batch as u16).to_le_bytes());
    start
}

/// Fills in the length and pads. The checksum comes with [`stamp`], when the
/// segment is known.
pub(super) fn finish(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start - RECORD_HEADER_BYTES;
    out[start + 4..start + 8].copy_from_slice(&(length as u32).to_le_bytes());
    out.resize(start + padded(length), 0);
}

/// Writes the checksum of a whole record.
pub(super) fn stamp(record: &mut [u8], seed: u32) {
    let crc = crc32c::crc32c_append(seed, &record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Appends an `InsertAcked` or `Verified` record.
pub(super) fn append_note(out: &mut Vec<u8>, kind: Kind, flags: u8, lsn: u64, id: u64) {
    let start = begin(out, kind, flags, lsn);
    out.extend_from_slice(&id.to_le_bytes());
    finish(out, start);
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}
