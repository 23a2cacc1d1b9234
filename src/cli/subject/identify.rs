//! Who a request is about: the values of the command line become keyed hashes.
//!
//! No value goes into an error, the register or a log.

use std::io::Read;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::super::context::Failure;
use crate::config::{Config, Site};
use crate::event::MAX_USER_KEY_BYTES;
use crate::privacy::address::ClientIp;
use crate::privacy::keys::{CookieError, KeyError, KeyRing, MAX_VALUE_BYTES, Purpose};
use crate::rights::request::{IdentifiedBy, Subject};
use crate::subject::Who;

/// What standard input is read for is shorter.
const MAX_INPUT_BYTES: u64 = 1024;
/// The hex digits of a user key's signature.
const USER_KEY_MAC_DIGITS: usize = 64;

/// Who it is about: one of these, or none if the person is known in another way.
///
/// Other users of the machine see the arguments of a command: give - and pass the
/// value on standard input.
#[derive(clap::Args)]
pub struct IdentifyArgs {
    /// By the value of the visitor's cookie; - reads it from standard input, where no other user sees it
    #[arg(long, value_name = "VALUE", group = "person", allow_hyphen_values = true)]
    cookie: Option<String>,
    /// By the key that the site gives its user, without the signature; - reads it from standard input
    #[arg(long, value_name = "KEY", group = "person", allow_hyphen_values = true)]
    user: Option<String>,
    /// By an address and the time in which it was used; - reads it from standard input
    #[arg(long, value_name = "ADDR", group = "person", requires_all = ["from", "to"], allow_hyphen_values = true)]
    ip: Option<String>,
    /// Since when the person had the address
    #[arg(long, value_name = "TIME", requires = "ip")]
    from: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME", requires = "ip")]
    to: Option<String>,
}

/// The person.
pub enum Identified {
    Subjects(IdentifiedBy, Vec<Subject>),
    /// Storage has to be asked who had it.
    Address(AddressInTime),
}

/// An address, and from when until when somebody had it.
#[expect(dead_code, reason = "read by whatever asks storage in address::resolve")]
pub struct AddressInTime {
    pub address: ClientIp,
    pub from: Timestamp,
    pub to: Timestamp,
}

// === impl IdentifyArgs ===

impl IdentifyArgs {
    /// Who is meant, if anybody is, with the values as they were given.
    pub fn who(&self, site: &Site) -> Result<Option<Who>, Failure> {
        if let Some(value) = &self.cookie {
            return Ok(Some(Who::Cookie(given("--cookie", value)?)));
        }
        if let Some(value) = &self.user {
            return Ok(Some(Who::User(given("--user", value)?)));
        }
        match (&self.ip, &self.from, &self.to) {
            (Some(ip), Some(from), Some(to)) => Ok(Some(Who::Address {
                ip: given("--ip", ip)?,
                from: moment_of("--from", from, site)?.to_string(),
                to: moment_of("--to", to, site)?.to_string(),
            })),
            _ => Ok(None),
        }
    }

    /// A text in which no value stands that was given to identify the person.
    pub fn without_values(&self, text: &str) -> String {
        let values = [&self.cookie, &self.user, &self.ip].into_iter().flatten();
        let values = values.filter(|value| !value.is_empty() && *value != "-");
        values.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "[removed]"))
    }
}

/// Who the arguments name.
pub fn identify(
    args: &IdentifyArgs,
    config: &Config,
    site: &Site,
    now: Timestamp,
) -> Result<Identified, Failure> {
    if let Some(value) = &args.cookie {
        let subject = by_cookie(&given("--cookie", value)?, config, site, now)?;
        return Ok(Identified::Subjects(IdentifiedBy::Cookie, vec![subject]));
    }
    if let Some(value) = &args.user {
        let subject = by_user(&given("--user", value)?, config, site)?;
        return Ok(Identified::Subjects(IdentifiedBy::User, vec![subject]));
    }
    if let (Some(value), Some(from), Some(to)) = (&args.ip, &args.from, &args.to) {
        let address: std::net::IpAddr = given("--ip", value)?
            .parse()
            .map_err(|_| Failure::usage("--ip: expected an address such as 192.0.2.1 or 2001:db8::1"))?;
        let (from, to) = (moment_of("--from", from, site)?, moment_of("--to", to, site)?);
        if from >= to {
            return Err(Failure::usage(format_args!("--from: {from} is not before --to, {to}")));
        }
        return Ok(Identified::Address(AddressInTime { address: ClientIp::new(address), from, to }));
    }
    Ok(Identified::Subjects(IdentifiedBy::Other, Vec::new()))
}

/// A moment as people write it: RFC 3339, or a date, or a date with a time in the
/// site's time zone.
pub fn moment_of(option: &str, text: &str, site: &Site) -> Result<Timestamp, Failure> {
    let wrong = || {
        Failure::usage(format_args!(
            "{option}: expected a moment such as 2026-11-26T10:00:00+03:00, 2026-11-26T10:00 or 2026-11-26, \
             found {:?}",
            crate::parse::text::cut(text, 60)
        ))
    };
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let zone = TimeZone::get(&site.timezone).map_err(|_| wrong())?;
    // A text with an offset is a moment, and would lose it here.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-T:. ".contains(&byte));
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(DateTime::from))
        .ok()
        .filter(|_| is_plain)
        .ok_or_else(wrong)?;
    Ok(civil.to_zoned(zone).map_err(|_| wrong())?.timestamp())
}

fn by_cookie(value: &str, config: &Config, site: &Site, now: Timestamp) -> Result<Subject, Failure> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(refused(&CookieError::Form));
    }
    let ring = ring(config)?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let cookie = match ring.read_cookie(value, today) {
        // Its signature is right, and what it stands for may still be stored.
        Err(CookieError::TooOld) => {
            day_of(value).map_or(Err(CookieError::TooOld), |day| ring.read_cookie(value, day))
        }
        other => other,
    };
    match cookie {
        Ok(cookie) => Ok(Subject::visitor(ring.cookie_visitor(&site.id, &cookie.id))),
        Err(error @ CookieError::UnknownKey) => {
            Err(destroyed(value, &ring).unwrap_or_else(|| refused(&error)))
        }
        Err(error) => Err(refused(&error)),
    }
}

fn refused(error: &CookieError) -> Failure {
    Failure::failed(format_args!("--cookie: {error}"))
}

/// If the key that signed the cookie was destroyed, nothing can tell it from a forged one.
fn destroyed(value: &str, ring: &KeyRing) -> Option<Failure> {
    let id: u32 = value.split('.').nth(1)?.parse().ok()?;
    let keys = ring.list();
    let key = keys.iter().find(|key| key.purpose == Purpose::Cookie && key.id == id)?;
    (!key.destroyed.is_empty()).then(|| {
        Failure::failed(format_args!(
            "--cookie: its key {id} was destroyed on {}: whether it is genuine cannot be told any more",
            key.destroyed
        ))
    })
}

/// The day on which a cookie says that it was made.
fn day_of(value: &str) -> Option<Date> {
    let number: i32 = value.split('.').nth(2)?.parse().ok()?;
    Date::new((number / 10_000) as i16, (number / 100 % 100) as i8, (number % 100) as i8).ok()
}

fn by_user(key: &str, config: &Config, site: &Site) -> Result<Subject, Failure> {
    if key.len() > MAX_USER_KEY_BYTES {
        return Err(Failure::usage(format_args!(
            "--user: {} bytes, a user key has at most {MAX_USER_KEY_BYTES}",
            key.len()
        )));
    }
    let is_mac =
        |text: &str| text.len() == USER_KEY_MAC_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if key.rsplit_once('.').is_some_and(|(_, mac)| is_mac(mac)) {
        return Err(Failure::usage("--user: this is KEY.MAC as the page sends it: give KEY alone"));
    }
    Ok(Subject::user_key(ring(config)?.user_key_hash(&site.id, key)))
}

/// The ring that made the hashes that are stored; a new one would find nobody.
fn ring(config: &Config) -> Result<KeyRing, Failure> {
    if !KeyRing::exists(&config.keys.dir) {
        return Err(KeyError::NoRing(config.keys.dir.clone()).into());
    }
    Ok(KeyRing::open(&config.keys)?)
}

/// The value of an option, from standard input if it is `-`.
fn given(option: &str, value: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let value = if value == "-" {
        std::io::stdin()
            .take(MAX_INPUT_BYTES)
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format_args!("{option} on standard input: {error}")))?;
        text.lines().next().unwrap_or_default().trim()
    } else {
        value
    };
    if value.is_empty() {
        return Err(Failure::usage(format_args!("{option}: the value is empty")));
    }
    Ok(value.to_owned())
}
