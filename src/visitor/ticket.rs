//! The number of a request with its code: `2026-0017-K7QM4XN2PDWA5TBC`.
//!
//! The code is base32 (RFC 4648) of a MAC of the number, so that a request can be
//! followed without the cookie, and by nobody who only counts numbers up. Lower case
//! is taken too, since people type it.

use subtle::ConstantTimeEq;

use crate::privacy::keys::{KeyRing, REQUEST_CODE_BYTES};

/// Eight characters for five bytes.
const CODE_CHARACTERS: usize = REQUEST_CODE_BYTES / 5 * 8;
/// More than any number and its code have.
const MAX_BYTES: usize = 64;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The number with its code.
pub fn issue(keys: &KeyRing, number: &str) -> String {
    format!("{number}-{}", code(keys, number))
}

/// The number, if the code behind it is its own.
pub fn number(keys: &KeyRing, text: &str) -> Option<String> {
    if text.len() > MAX_BYTES || !text.is_ascii() {
        return None;
    }
    let (number, given) = text.rsplit_once('-')?;
    let given = given.to_ascii_uppercase();
    bool::from(code(keys, number).as_bytes().ct_eq(given.as_bytes())).then(|| number.to_owned())
}

fn code(keys: &KeyRing, number: &str) -> String {
    let mut text = String::with_capacity(CODE_CHARACTERS);
    for bytes in keys.request_code(number).chunks_exact(5) {
        let bits = bytes.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            text.push(char::from(ALPHABET[(bits >> (5 * place) & 31) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Keys;

    #[test]
    fn a_number_is_found_by_its_own_code_and_by_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = KeyRing::open(&Keys::in_dir(&dir.path().join("keys"))).expect("a ring");
        let ticket = issue(&keys, "2026-0017");
        assert_eq!(ticket.len(), "2026-0017-".len() + 16);
        assert_eq!(number(&keys, &ticket).as_deref(), Some("2026-0017"));
        assert_eq!(number(&keys, &ticket.to_lowercase()).as_deref(), Some("2026-0017"));
        let code = ticket.rsplit('-').next().expect("a code");
        for index in 0..code.len() {
            let mut other = code.as_bytes().to_vec();
            other[index] = if other[index] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("text");
            assert_eq!(number(&keys, &format!("2026-0017-{other}")), None, "{index}");
        }
        for wrong in [
            "",
            "-",
            "2026-0017",
            "2026-0017-",
            &format!("2026-0018-{code}"),
            &format!("2026-0017-{}", &code[1..]),
            &format!("2026-0017-{code}A"),
            &format!("2026-0017-{}", "я".repeat(16)),
            &"x".repeat(1000),
        ] {
            assert_eq!(number(&keys, wrong), None, "{wrong:?}");
        }
        let elsewhere = KeyRing::open(&Keys::in_dir(&dir.path().join("other"))).expect("a ring");
        assert_eq!(number(&elsewhere, &ticket), None, "another ring has other codes");
    }
}
