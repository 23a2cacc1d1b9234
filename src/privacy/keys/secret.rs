//! 256 random bits, what they hash, and how they are written.

use super::KeyError;

pub(super) const SECRET_BYTES: usize = 32;
/// A part stands behind its length.
const LENGTH_BYTES: usize = 8;
/// Site id, address prefix and most user agents fit.
const HASHED_AT_ONCE: usize = 320;

/// 256 random bits. Not printable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret(pub [u8; SECRET_BYTES]);

// === impl Secret ===

impl Secret {
    pub fn random() -> Result<Secret, KeyError> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
        Ok(Secret(bytes))
    }

    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// A keyed hash of the parts, each with its length, so that no two lists of
    /// parts read alike. Never 0, which means "none" in a row.
    pub fn hash(&self, parts: &[&[u8]]) -> u64 {
        // What is short, which is nearly always, is hashed in one piece.
        let mut whole = [0; HASHED_AT_ONCE];
        let mut end = 0;
        let length: usize = parts.iter().map(|part| LENGTH_BYTES + part.len()).sum();
        let hash = if length <= HASHED_AT_ONCE {
            for part in parts {
                let start = end + LENGTH_BYTES;
                whole[end..start].copy_from_slice(&(part.len() as u64).to_le_bytes());
                end = start + part.len();
                whole[start..end].copy_from_slice(part);
            }
            blake3::keyed_hash(&self.0, &whole[..end])
        } else {
            let mut hasher = blake3::Hasher::new_keyed(&self.0);
            for part in parts {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            hasher.finalize()
        };
        let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = *hash.as_bytes();
        u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]).max(1)
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(super) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The digits of `bytes`, in place.
pub(super) fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// What a digit stands for; more than 15 for what is none.
const VALUES: [u8; 256] = {
    let mut values = [0xFF; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Lower-case hex of exactly N bytes.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    (seen < 16).then_some(bytes)
}
