//! The pixel's query string: `s u r k ad n t w uk i`.
//!
//! `+` is a space, as forms write it; everything else is percent-encoding. The
//! rules for bad text and doubled keys are those of [`super`].

use std::borrow::Cow;
use std::ops::Range;

use super::report::{self, Report};
use crate::event::Kind;
use crate::reject::Reason;

/// The most parameters looked at: ten are known, and a page may add some.
pub const MAX_PARAMETERS: usize = 64;

const KEYS: [&str; 10] = ["s", "u", "r", "k", "ad", "n", "t", "w", "uk", "i"];

/// Part of no text.
const NO_BYTE: u8 = 0xFF;
/// The same as two bytes, the second [`NO_BYTE`] where there is none.
const KEY_BYTES: [[u8; 2]; KEYS.len()] = {
    let mut all = [[NO_BYTE; 2]; KEYS.len()];
    let mut at = 0;
    while at < KEYS.len() {
        let key = KEYS[at].as_bytes();
        all[at] = [key[0], if key.len() == 2 { key[1] } else { NO_BYTE }];
        at += 1;
    }
    all
};

/// A value as it came, or where it stands decoded.
#[derive(Clone)]
enum Value<'a> {
    Plain(&'a [u8]),
    Decoded(Range<usize>),
}

/// Reads a query string (without `?`). Decoded values go to `decoded`, which is
/// cleared first: room for all of them, once.
pub fn parse<'a>(query: &'a str, decoded: &'a mut Vec<u8>) -> Result<Report<'a>, Reason> {
    decoded.clear();
    let mut values: [Option<Value>; KEYS.len()] = [const { None }; KEYS.len()];
    let bytes = query.as_bytes();
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let end = find(bytes, at, b'&');
        let pair = &bytes[at..end];
        at = end + 1;
        if pair.is_empty() {
            continue;
        }
        if count == MAX_PARAMETERS {
            return Err(Reason::TooLarge);
        }
        count += 1;
        let Some((position, value)) = known(pair) else { continue };
        if values[position].is_some() {
            return Err(Reason::BadRequest);
        }
        values[position] = Some(decode(value, query.len(), decoded)?);
    }
    let decoded: &'a [u8] = decoded;
    let mut report = Report::default();
    for (key, value) in KEYS.into_iter().zip(values) {
        let value = match value {
            None => continue,
            Some(Value::Plain(bytes)) => bytes,
            Some(Value::Decoded(range)) => &decoded[range],
        };
        let value = std::str::from_utf8(value).map_err(|_| Reason::BadRequest)?;
        match key {
            "s" => report.site = Cow::Borrowed(value),
            "u" => report.page = Some(value).filter(|page| !page.is_empty()).map(Cow::Borrowed),
            "r" => report.referrer = Cow::Borrowed(value),
            "k" => report.kind = Some(Kind::parse(value).ok_or(Reason::BadRequest)?),
            "ad" => report.ad = Cow::Borrowed(value),
            "n" => report.name = Cow::Borrowed(value),
            "t" => report.title = Cow::Borrowed(value),
            "w" => report.width = digits(value).ok_or(Reason::BadRequest)?,
            "uk" => report.user_key = Cow::Borrowed(value),
            _ => report.id = Some(report::hit_id(value).ok_or(Reason::BadRequest)?),
        }
    }
    Ok(report)
}

fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    report::width(text.parse::<u32>().ok()?.into())
}

/// Where a byte is next, or the end.
fn find(bytes: &[u8], from: usize, byte: u8) -> usize {
    bytes[from..].iter().position(|one| *one == byte).map_or(bytes.len(), |length| from + length)
}

/// Which of [`KEYS`] a parameter has, and its value.
fn known(pair: &[u8]) -> Option<(usize, &[u8])> {
    let (key, value) = match *pair {
        [key] => ([key, NO_BYTE], &[][..]),
        [key, b'=', ref value @ ..] => ([key, NO_BYTE], value),
        [one, two] => ([one, two], &[][..]),
        [one, two, b'=', ref value @ ..] => ([one, two], value),
        _ => return None,
    };
    KEY_BYTES.iter().position(|known| *known == key).map(|position| (position, value))
}

/// Decodes one value onto the end of `decoded`, which is made as large as the whole
/// query needs; a `%` without two hex digits is a mistake, not a percent sign.
fn decode<'a>(bytes: &'a [u8], most: usize, decoded: &mut Vec<u8>) -> Result<Value<'a>, Reason> {
    let Some(first) = bytes.iter().position(|byte| matches!(byte, b'%' | b'+')) else {
        return Ok(Value::Plain(bytes));
    };
    let start = decoded.len();
    decoded.reserve(most.saturating_sub(start));
    decoded.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => decoded.push(b' '),
            b'%' => {
                let &[high, low] = bytes.get(at + 1..at + 3).ok_or(Reason::BadRequest)? else {
                    return Err(Reason::BadRequest);
                };
                let (high, low) = (HEX[usize::from(high)], HEX[usize::from(low)]);
                if high | low > 15 {
                    return Err(Reason::BadRequest);
                }
                decoded.push(high << 4 | low);
                at += 2;
            }
            _ => {
                // Up to the next one all at once.
                let end = bytes[at..].iter().position(|byte| matches!(byte, b'%' | b'+'));
                let end = end.map_or(bytes.len(), |length| at + length);
                decoded.extend_from_slice(&bytes[at..end]);
                at = end;
                continue;
            }
        }
        at += 1;
    }
    Ok(Value::Decoded(start..decoded.len()))
}

/// What a hex digit stands for; more than 15 for what is none.
const HEX: [u8; 256] = {
    let mut values = [0xFF; 256];
    let mut byte = 0;
    while byte < 256 {
        if let Some(value) = (byte as u8 as char).to_digit(16) {
            values[byte] = value as u8;
        }
        byte += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_query_is_read() {
        let mut decoded = Vec::new();
        let report = parse(
            "s=clinic&u=https%3A%2F%2Fclinic.example%2F&r=&k=ad_view&ad=b-1&n=x+y&t=%D0%9F&w=1920&uk=a.b&i=00000000000000ff&zz=1",
            &mut decoded,
        )
        .expect("valid");
        assert_eq!(report.site, "clinic");
        assert_eq!(report.page.as_deref(), Some("https://clinic.example/"));
        assert_eq!(report.kind, Some(Kind::AdView));
        assert_eq!((&*report.name, &*report.title, report.width), ("x y", "П", 1920));
        assert_eq!(report.id, Some(255));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for query in [
            "s=a&s=a",
            "s=%",
            "s=%4",
            "s=%zz",
            "t=%ff",
            "t=%C0%80",
            "t=%ED%A0%80",
            "k=view",
            "k=",
            "w=-1",
            "w=1e3",
            "w=99999999999",
            "w=",
            "i=1",
            "i=000000000000000g",
            "i=+000000000000001",
            "i=00000000000000001",
        ] {
            assert_eq!(parse(query, &mut Vec::new()).err(), Some(Reason::BadRequest), "{query}");
        }
        assert_eq!(parse(&"a=1&".repeat(65), &mut Vec::new()).err(), Some(Reason::TooLarge));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in any::<String>()) {
            let _ = parse(&query, &mut Vec::new());
        }

        #[test]
        fn what_was_encoded_is_read_back(title in any::<String>()) {
            let encoded = percent_encoding::utf8_percent_encode(&title, percent_encoding::NON_ALPHANUMERIC);
            let query = format!("s=a&t={encoded}");
            let mut decoded = Vec::new();
            prop_assert_eq!(parse(&query, &mut decoded).expect("valid").title, title);
        }
    }
}
