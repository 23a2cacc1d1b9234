//! One line: an entry, a space, 64 hex digits of its MAC.

use crate::privacy::keys::KeyRing;

use super::entry::Written;

/// The longest line with its end, in bytes: all bounded texts of an entry, each
/// byte of them escaped, and what stands around them.
pub const MAX_LINE_BYTES: usize = 4096;
/// A MAC in hex, and the space before it.
const MAC_BYTES: usize = 65;
/// What every entry begins with.
const NUMBER_KEY: &[u8] = b"{\"number\":";

/// What chains an entry to the one before it.
pub(super) type Mac = [u8; 32];
/// What stands for the entry before the first.
pub(super) const NO_MAC: Mac = [0; 32];

/// A line as it was read; nothing in it is proven.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub number: u64,
    /// The entry's exact bytes.
    pub entry: Vec<u8>,
    pub mac: Mac,
}

// === impl Line ===

impl Line {
    /// An entry behind the one with the MAC `previous`.
    pub fn new(keys: &KeyRing, previous: &Mac, written: &Written) -> Line {
        let entry = serde_json::to_vec(written).expect("an entry has string keys only");
        Line { number: written.number, mac: keys.audit_mac(previous, &entry), entry }
    }

    /// Reads a line without its end.
    pub fn parse(bytes: &[u8]) -> Option<Line> {
        let (entry, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let mac = mac_of_hex(std::str::from_utf8(mac.strip_prefix(b" ")?).ok()?)?;
        let digits = entry.strip_prefix(NUMBER_KEY)?.split(|byte| *byte == b',').next()?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Line { number, entry: entry.to_owned(), mac })
    }

    /// Whether it stands behind the entry with the MAC `previous`, as it was written.
    pub fn follows(&self, keys: &KeyRing, previous: &Mac) -> bool {
        keys.audit_mac(previous, &self.entry) == self.mac
    }

    pub fn text(&self) -> Vec<u8> {
        let mut text = self.entry.clone();
        text.push(b' ');
        text.extend_from_slice(hex(&self.mac).as_bytes());
        text.push(b'\n');
        text
    }
}

pub(super) fn hex(mac: &Mac) -> String {
    blake3::Hash::from_bytes(*mac).to_hex().to_string()
}

/// Lower-case digits only: a MAC has one form.
pub(super) fn mac_of_hex(text: &str) -> Option<Mac> {
    let mac = blake3::Hash::from_hex(text).ok()?;
    (mac.to_hex().as_str() == text).then(|| *mac.as_bytes())
}
