//! [`Report`]: what a page said about one hit, read from either form and
//! checked only for what needs no site. Text is borrowed where it can be.

use std::borrow::Cow;

use crate::event::{ConsentState, Kind, Props};

/// The longest address of a page or referrer, in bytes: browsers allow more,
/// but nothing honest comes near it.
pub const MAX_URL_BYTES: usize = 8 * 1024;
/// The widest screen believed, in CSS pixels: video walls end below 40,000.
pub const MAX_WIDTH: u32 = 100_000;
/// The longest engaged time believed, in milliseconds: a day. A longer one is
/// cut to it.
pub const MAX_ENGAGED_MS: u32 = 24 * 60 * 60 * 1000;
/// An engaged time that cannot be, in milliseconds: a page would have had to be in
/// view and focus without a break for 31 days.
pub const IMPOSSIBLE_ENGAGED_MS: f64 = 31.0 * 24.0 * 60.0 * 60.0 * 1000.0;
/// The longest name of a time zone that can be one, in bytes; the longest of the
/// IANA database has 32.
const MAX_ZONE_BYTES: usize = 64;
/// A hit id has so many hex digits.
pub const HIT_ID_DIGITS: usize = 16;

/// One hit as its page reported it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Report<'a> {
    pub site: Cow<'a, str>,
    pub kind: Option<Kind>,
    /// The page's address; `None`: see the `Referer` header.
    pub page: Option<Cow<'a, str>>,
    pub referrer: Cow<'a, str>,
    pub title: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub props: Props<'a>,
    pub ad: Cow<'a, str>,
    pub width: u32,
    pub engaged_ms: u32,
    pub scroll: Option<u8>,
    pub timezone: Cow<'a, str>,
    pub user_key: Cow<'a, str>,
    pub consent: Option<ConsentState>,
    pub id: Option<u64>,
    /// The engaged time is [`IMPOSSIBLE_ENGAGED_MS`] or more.
    pub engaged_impossibly: bool,
}

/// What `c` may say.
pub fn consent(text: &str) -> Option<ConsentState> {
    match text {
        "granted" => Some(ConsentState::Granted),
        "denied" => Some(ConsentState::Denied),
        "marketing" => Some(ConsentState::Marketing),
        _ => None,
    }
}

/// A hit id: exactly 16 hex digits.
pub fn hit_id(text: &str) -> Option<u64> {
    let fits = text.len() == HIT_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// A screen width.
pub fn width(number: f64) -> Option<u32> {
    (number >= 0.0 && number <= f64::from(MAX_WIDTH)).then_some(number as u32)
}

/// An engaged time.
pub fn engaged_ms(number: f64) -> Option<u32> {
    (number >= 0.0 && number.is_finite()).then_some(number.min(f64::from(MAX_ENGAGED_MS)) as u32)
}

/// Whether a text can be the name of a time zone: of this browser's database, which
/// may be newer than ours.
pub fn may_be_zone(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-:.".contains(&byte);
    text.len() <= MAX_ZONE_BYTES && text.bytes().all(fits)
}

/// A scroll depth in percent.
pub fn scroll(number: f64) -> Option<u8> {
    (0.0..=100.0).contains(&number).then_some(number as u8)
}
