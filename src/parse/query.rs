//! The pixel's query string: `s u r k ad n t w uk i`.
//!
//! `+` is a space, as forms write it; everything else is percent-encoding. The
//! rules for bad text and doubled keys are those of [`super`].

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::report::{self, Report};
use crate::event::Kind;
use crate::reject::Reason;

/// The most parameters looked at: ten are known, and a page may add some.
pub const MAX_PARAMETERS: usize = 64;

/// Reads a query string (without `?`).
pub fn parse(query: &str) -> Result<Report<'_>, Reason> {
    let mut report = Report::default();
    let mut seen = 0_u16;
    for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if index == MAX_PARAMETERS {
            return Err(Reason::TooLarge);
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        const KEYS: [&str; 10] = ["s", "u", "r", "k", "ad", "n", "t", "w", "uk", "i"];
        let Some(position) = KEYS.iter().position(|known| *known == key) else { continue };
        if seen & (1 << position) != 0 {
            return Err(Reason::BadRequest);
        }
        seen |= 1 << position;
        let value = decode(value)?;
        match key {
            "s" => report.site = value,
            "u" => report.page = Some(value).filter(|page| !page.is_empty()),
            "r" => report.referrer = value,
            "k" => report.kind = Some(Kind::parse(&value).ok_or(Reason::BadRequest)?),
            "ad" => report.ad = value,
            "n" => report.name = value,
            "t" => report.title = value,
            "w" => report.width = digits(&value).ok_or(Reason::BadRequest)?,
            "uk" => report.user_key = value,
            _ => report.id = Some(report::hit_id(&value).ok_or(Reason::BadRequest)?),
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

/// Decodes one value; a `%` without two hex digits is a mistake, not a percent sign.
fn decode(text: &str) -> Result<Cow<'_, str>, Reason> {
    let bytes = text.as_bytes();
    let broken = bytes.iter().enumerate().any(|(at, byte)| {
        *byte == b'%' && !bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return Err(Reason::BadRequest);
    }
    if !text.contains('+') {
        return percent_decode(bytes).decode_utf8().map_err(|_| Reason::BadRequest);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(|_| Reason::BadRequest)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_query_is_read() {
        let report = parse(
            "s=clinic&u=https%3A%2F%2Fclinic.example%2F&r=&k=ad_view&ad=b-1&n=x+y&t=%D0%9F&w=1920&uk=a.b&i=00000000000000ff&zz=1",
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
            assert_eq!(parse(query).err(), Some(Reason::BadRequest), "{query}");
        }
        assert_eq!(parse(&"a=1&".repeat(65)).err(), Some(Reason::TooLarge));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in any::<String>()) {
            let _ = parse(&query);
        }

        #[test]
        fn what_was_encoded_is_read_back(title in any::<String>()) {
            let encoded = percent_encoding::utf8_percent_encode(&title, percent_encoding::NON_ALPHANUMERIC);
            let query = format!("s=a&t={encoded}");
            prop_assert_eq!(parse(&query).expect("valid").title, title);
        }
    }
}
