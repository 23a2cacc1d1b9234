//! The value of the visitor's cookie:
//!
//! ```text
//! v1.KID.MINTDAY.ID.MAC
//! ```
//!
//! KID is the signing key's id in decimal, MINTDAY the day the cookie was made
//! as `yyyymmdd`, ID 128 random bits and MAC 128 bits of BLAKE3 keyed with the
//! cookie key over everything before the last dot; both as lower-case hex.
//! At most [`MAX_VALUE_BYTES`]. There is one spelling of each value: the MAC
//! covers the text, and the MAC's own text is compared, in constant time.

use std::fmt::Write;

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use subtle::ConstantTimeEq;

use super::secret::{Secret, write_hex};

/// `v1.` + ten digits + `.` + eight digits + `.` + two times 32 hex digits and a dot.
pub const MAX_VALUE_BYTES: usize = 3 + 10 + 1 + 8 + 1 + 32 + 1 + 32;
/// A cookie older than this is replaced (CNIL's limit for audience measurement).
pub const MAX_AGE_MONTHS: i32 = 13;
const VERSION: &str = "v1";
const MAC_BYTES: usize = 16;
const ID_BYTES: usize = 16;
const DAY_DIGITS: usize = 8;
const MAX_KID_DIGITS: usize = 10;

/// Why a cookie's value is not accepted. The visitor gets a new cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    #[error("the cookie does not have the form v1.kid.day.id.mac")]
    Form,
    #[error("the cookie's key is not in the key ring")]
    UnknownKey,
    #[error("the cookie's signature is wrong")]
    Forged,
    #[error("the cookie is older than {MAX_AGE_MONTHS} months")]
    TooOld,
    /// Only a server whose clock was wrong can have signed it.
    #[error("the cookie is from a day to come")]
    FromTheFuture,
}

/// What a signed value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub id: [u8; 16],
    /// The day that it was made on, UTC.
    pub day: Date,
}

/// What a value says, before its signature has been looked at.
pub(super) struct Parsed<'a> {
    pub kid: u32,
    day: Date,
    id: [u8; 16],
    signed: &'a str,
    mac: &'a str,
}

pub(super) fn sign(key: &Secret, kid: u32, id: [u8; 16], today: Date) -> String {
    let mut value = String::with_capacity(MAX_VALUE_BYTES);
    // Writing to a string cannot fail.
    let _ = write!(value, "{VERSION}.{kid}.{:04}{:02}{:02}.", today.year(), today.month(), today.day());
    push_hex(&mut value, &id);
    let mac = mac(key, &value);
    value.push('.');
    push_hex(&mut value, &mac);
    value
}

pub(super) fn parse(value: &str) -> Result<Parsed<'_>, CookieError> {
    parts(value).ok_or(CookieError::Form)
}

/// Every part but KID has its length, so that the places of the dots are known.
fn parts(value: &str) -> Option<Parsed<'_>> {
    if value.len() > MAX_VALUE_BYTES || !value.is_ascii() {
        return None;
    }
    let (signed, mac) = value.split_at_checked(value.len().checked_sub(2 * MAC_BYTES + 1)?)?;
    let (rest, id) = signed.split_at_checked(signed.len().checked_sub(2 * ID_BYTES + 1)?)?;
    let (rest, day) = rest.split_at_checked(rest.len().checked_sub(DAY_DIGITS + 1)?)?;
    let kid = rest.strip_prefix(VERSION)?.strip_prefix('.')?;
    let (mac, id, day) = (mac.strip_prefix('.')?, id.strip_prefix('.')?, day.strip_prefix('.')?);
    if kid.len() > MAX_KID_DIGITS {
        return None;
    }
    let (kid, date) = (number(kid)?, number(day)?);
    let day = Date::new((date / 10_000) as i16, (date / 100 % 100) as i8, (date % 100) as i8).ok()?;
    Some(Parsed { kid: u32::try_from(kid).ok()?, day, id: super::secret::from_hex(id)?, signed, mac })
}

/// A number of at least one digit and of nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = text
        .bytes()
        .try_fold(0, |number: u64, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')));
    digits.filter(|_| !text.is_empty())
}

impl Parsed<'_> {
    pub fn verify(&self, key: &Secret, today: Date) -> Result<Cookie, CookieError> {
        let mut expected = [0; 2 * MAC_BYTES];
        write_hex(&mac(key, self.signed), &mut expected);
        if !bool::from(expected.ct_eq(self.mac.as_bytes())) {
            return Err(CookieError::Forged);
        }
        if is_too_old(self.day, today) {
            return Err(CookieError::TooOld);
        }
        // Sites' days differ by up to a day around the earth.
        if self.day > today && self.day > today.saturating_add(1.day()) {
            return Err(CookieError::FromTheFuture);
        }
        Ok(Cookie { id: self.id, day: self.day })
    }
}

fn is_too_old(day: Date, today: Date) -> bool {
    let months = |date: Date| i32::from(date.year()) * 12 + i32::from(date.month());
    // The calendar is asked only where days matter.
    months(today) - months(day) >= MAX_AGE_MONTHS
        && day < today.saturating_sub(Span::new().months(MAX_AGE_MONTHS))
}

fn mac(key: &Secret, text: &str) -> [u8; MAC_BYTES] {
    let hash = blake3::keyed_hash(key.bytes(), text.as_bytes());
    let mut mac = [0; MAC_BYTES];
    mac.copy_from_slice(&hash.as_bytes()[..MAC_BYTES]);
    mac
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    text.push_str(&super::secret::to_hex(bytes));
}
