//! Whose hash a cookie or a user key is: what can be said without asking storage.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{SubjectError, Who};
use crate::event::MAX_USER_KEY_BYTES;
use crate::privacy::keys::{CookieError, KeyRing, MAX_VALUE_BYTES, Purpose};
use crate::spool::Subject;

/// The hex digits of a user key's signature.
const USER_KEY_MAC_DIGITS: usize = 64;

/// The hash that rows of a site hold for this; `None` for an address, which storage has
/// to be asked about, and for a request, whose hashes the register holds.
pub fn hash_of(keys: &KeyRing, site: &str, who: &Who) -> Result<Option<Subject>, SubjectError> {
    match who {
        Who::Cookie(value) => by_cookie(keys, site, value).map(Some),
        Who::User(key) => by_user(keys, site, key).map(Some),
        Who::Address { .. } | Who::Request(_) => Ok(None),
    }
}

fn by_cookie(keys: &KeyRing, site: &str, value: &str) -> Result<Subject, SubjectError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(CookieError::Form.into());
    }
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let cookie = match keys.read_cookie(value, today) {
        // Its signature is right, and what it stands for may still be stored.
        Err(CookieError::TooOld) => {
            day_of(value).map_or(Err(CookieError::TooOld), |day| keys.read_cookie(value, day))
        }
        read => read,
    };
    match cookie {
        Ok(cookie) => Ok(Subject::Visitor(keys.cookie_visitor(site, &cookie.id))),
        Err(error @ CookieError::UnknownKey) => Err(destroyed(value, keys).unwrap_or(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// If the key that signed the cookie was destroyed, nothing can tell it from a forged one.
fn destroyed(value: &str, keys: &KeyRing) -> Option<SubjectError> {
    let id: u32 = value.split('.').nth(1)?.parse().ok()?;
    let keys = keys.list();
    let key = keys.iter().find(|key| key.purpose == Purpose::Cookie && key.id == id)?;
    (!key.destroyed.is_empty()).then(|| SubjectError::CookieKey { id, at: key.destroyed.clone() })
}

/// The day on which a cookie says that it was made.
fn day_of(value: &str) -> Option<Date> {
    let number: i32 = value.split('.').nth(2)?.parse().ok()?;
    Date::new((number / 10_000) as i16, (number / 100 % 100) as i8, (number % 100) as i8).ok()
}

fn by_user(keys: &KeyRing, site: &str, key: &str) -> Result<Subject, SubjectError> {
    if key.is_empty() || key.len() > MAX_USER_KEY_BYTES {
        return Err(SubjectError::UserKey);
    }
    let is_mac =
        |text: &str| text.len() == USER_KEY_MAC_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if key.rsplit_once('.').is_some_and(|(_, mac)| is_mac(mac)) {
        return Err(SubjectError::SignedUserKey);
    }
    Ok(Subject::UserKey(keys.user_key_hash(site, key)))
}
