//! `head`: where the trail ends and begins, sealed.
//!
//! ```text
//! {"version":1,"number":512,"mac":"…","first":101,"before":"…","removed":"2023-10"} SEAL
//! ```
//!
//! `number` and `mac` are the last entry's; `first` is the number of the oldest
//! entry that is kept, `before` the MAC of the one before that, and `removed` the
//! last month whose file went by its term. SEAL is the trail's MAC over the last
//! entry's MAC and `head` with the text before it, so that whoever cuts the trail
//! back cannot write the head that would fit.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::line::{Mac, NO_MAC, hex, mac_of_hex};
use super::month::Month;
use super::{AuditError, Damage, at};
use crate::privacy::keys::KeyRing;
use crate::private_file;

const FILE_NAME: &str = "head";
const VERSION: u32 = 1;
/// Tells what is sealed from an entry, which begins with a brace.
const SEALED: &[u8] = b"head ";

/// The two ends of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The last entry's; 0 before there is one.
    pub number: u64,
    pub mac: Mac,
    /// The oldest entry that is kept, or the one to come.
    pub first: u64,
    pub before: Mac,
    pub removed: Option<Month>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: u32,
    number: u64,
    mac: String,
    first: u64,
    before: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
}

// === impl Head ===

impl Head {
    /// Of a trail without entries.
    pub fn new() -> Head {
        Head { number: 0, mac: NO_MAC, first: 1, before: NO_MAC, removed: None }
    }

    pub fn path(dir: &Path) -> PathBuf {
        dir.join(FILE_NAME)
    }

    /// The head, if there is one and it is as it was written.
    pub fn read(dir: &Path, keys: &KeyRing) -> Result<Option<Head>, AuditError> {
        let path = Head::path(dir);
        let Some(bytes) = private_file::read(&path).map_err(at(&path))? else { return Ok(None) };
        let wrong = || AuditError::damaged(&path, 0, Damage::Seal);
        let (text, head, seal) = Head::parse(&bytes).ok_or_else(wrong)?;
        if head.seal(text, keys) != seal {
            return Err(wrong());
        }
        Ok(Some(head))
    }

    pub fn write(&self, dir: &Path, keys: &KeyRing) -> Result<(), AuditError> {
        let path = Head::path(dir);
        let text = Text {
            version: VERSION,
            number: self.number,
            mac: hex(&self.mac),
            first: self.first,
            before: hex(&self.before),
            removed: self.removed.map(|month| month.to_string()),
        };
        let text = serde_json::to_string(&text).expect("a head has string keys only");
        let line = format!("{text} {}\n", hex(&self.seal(text.as_bytes(), keys)));
        private_file::replace(&path, line.as_bytes()).map_err(at(&path))
    }

    fn parse(bytes: &[u8]) -> Option<(&[u8], Head, Mac)> {
        let line = bytes.strip_suffix(b"\n")?;
        let space = line.iter().rposition(|byte| *byte == b' ')?;
        let seal = mac_of_hex(std::str::from_utf8(&line[space + 1..]).ok()?)?;
        let text: Text = serde_json::from_slice(&line[..space]).ok()?;
        let removed = match &text.removed {
            Some(month) => Some(Month::parse(month)?),
            None => None,
        };
        let (mac, before) = (mac_of_hex(&text.mac)?, mac_of_hex(&text.before)?);
        let head = Head { number: text.number, mac, first: text.first, before, removed };
        (text.version == VERSION && head.first >= 1 && head.first - 1 <= head.number).then_some((
            &line[..space],
            head,
            seal,
        ))
    }

    fn seal(&self, text: &[u8], keys: &KeyRing) -> Mac {
        keys.audit_mac(&self.mac, &[SEALED, text].concat())
    }
}
