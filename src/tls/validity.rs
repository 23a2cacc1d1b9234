//! From when to when a certificate is valid.
//!
//! rustls checks the dates of others' certificates and has no words for one's
//! own, so they are read here from the DER (RFC 5280, 4.1): the second field of
//! the certificate's body after serial number, algorithm and issuer. Only what
//! leads there is looked at; anything unexpected is no validity.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
/// `[0]`, the version; only the first versions leave it out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

// === impl Validity ===

impl Validity {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Option<Validity> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (body, _) = expect(certificate, SEQUENCE)?;
        let after_version = expect(body, VERSION).map_or(body, |(_, rest)| rest);
        let (_, after_serial) = expect(after_version, INTEGER)?;
        let (_, after_algorithm) = expect(after_serial, SEQUENCE)?;
        let (_, after_issuer) = expect(after_algorithm, SEQUENCE)?;
        let (validity, _) = expect(after_issuer, SEQUENCE)?;
        let (from, rest) = time(validity)?;
        let (until, _) = time(rest)?;
        Some(Validity { from, until })
    }
}

/// The content of the element at the start, if it has this tag, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and rest; lengths of at most four bytes.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) || rest.len() < count {
            return None;
        }
        let (bytes, after) = rest.split_at(count);
        length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = after;
    }
    (length <= rest.len()).then(|| {
        let (content, rest) = rest.split_at(length);
        (tag, content, rest)
    })
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, the only forms that RFC 5280 allows.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, content, rest) = element(der)?;
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then_some(());
    digits(text)?;
    let (year, text) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i16 = text[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let two = |at: usize| text[at..at + 2].parse::<i8>().ok();
    let civil = DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some((civil.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut bytes = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        bytes.extend_from_slice(content);
        bytes
    }

    fn certificate(version: bool, from: (u8, &str), until: (u8, &str)) -> Vec<u8> {
        let validity =
            wrap(SEQUENCE, &[wrap(from.0, from.1.as_bytes()), wrap(until.0, until.1.as_bytes())].concat());
        let mut body = Vec::new();
        if version {
            body.extend(wrap(VERSION, &wrap(INTEGER, &[2])));
        }
        body.extend(wrap(INTEGER, &[1; 20]));
        body.extend(wrap(SEQUENCE, &[5, 0]));
        // Longer than a length of one byte can say.
        body.extend(wrap(SEQUENCE, &[0x31; 300]));
        body.extend(validity);
        wrap(SEQUENCE, &wrap(SEQUENCE, &body))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        for version in [true, false] {
            let der =
                certificate(version, (UTC_TIME, "991231235959Z"), (GENERALIZED_TIME, "20500102030405Z"));
            let expected = Validity { from: at("1999-12-31T23:59:59Z"), until: at("2050-01-02T03:04:05Z") };
            assert_eq!(Validity::of(&der), Some(expected));
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_no_validity_and_no_panic() {
        let good = certificate(true, (UTC_TIME, "260101000000Z"), (UTC_TIME, "270101000000Z"));
        assert!(Validity::of(&good).is_some());
        for length in 0..good.len() {
            assert_eq!(Validity::of(&good[..length]), None, "cut to {length} bytes");
        }
        for at in 0..good.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = good.clone();
                changed[at] = value;
                let _ = Validity::of(&changed);
            }
        }
        for broken in ["261301000000Z", "2601010000Z", "260101000000", "26010100000éZ", "+60101000000Z"] {
            assert_eq!(Validity::of(&certificate(true, (UTC_TIME, broken), (UTC_TIME, broken))), None);
        }
    }
}
