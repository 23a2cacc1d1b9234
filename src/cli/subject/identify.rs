//! Who a request or a job is about, as the command line says it.
//!
//! No value goes into an error, the register or a log.

use std::io::{BufRead, Read};
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::super::context::Failure;
use crate::config::{Config, Site};
use crate::privacy::keys::{KeyError, KeyRing};
use crate::subject::Who;

/// What standard input is read for is shorter.
const MAX_INPUT_BYTES: u64 = 1024;

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
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

// === impl IdentifyArgs ===

impl IdentifyArgs {
    /// Who is meant, if anybody is, with the values as they were given.
    pub fn who(&self, site: &Site) -> Result<Option<Who>, Failure> {
        let given = [("--from", &self.from), ("--to", &self.to)];
        if let (None, Some((option, _))) = (&self.ip, given.iter().find(|(_, time)| time.is_some())) {
            return Err(Failure::usage(format_args!(
                "{option}: is the time of an address, which --ip names"
            )));
        }
        self.person(site)
    }

    /// The same where --from and --to have a meaning of their own: the rows of that time,
    /// and of an address the time in which the person had it.
    pub fn who_and_when(&self, site: &Site) -> Result<(Option<Who>, [Option<Timestamp>; 2]), Failure> {
        let moment = |option, text: &Option<String>| {
            text.as_deref().map(|text| moment_of(option, text, site)).transpose()
        };
        let (from, to) = (moment("--from", &self.from)?, moment("--to", &self.to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(Failure::usage(format_args!("--from: {from} is not before --to, {to}")));
        }
        Ok((self.person(site)?, [from, to]))
    }

    /// Whether somebody is named here.
    pub fn is_given(&self) -> bool {
        self.cookie.is_some() || self.user.is_some() || self.ip.is_some()
    }

    fn person(&self, site: &Site) -> Result<Option<Who>, Failure> {
        if let Some(value) = &self.cookie {
            return Ok(Some(Who::Cookie(given("--cookie", value)?)));
        }
        if let Some(value) = &self.user {
            return Ok(Some(Who::User(given("--user", value)?)));
        }
        let (Some(ip), Some(from), Some(to)) = (&self.ip, &self.from, &self.to) else { return Ok(None) };
        let ip = given("--ip", ip)?;
        if ip.parse::<IpAddr>().is_err() {
            return Err(Failure::usage("--ip: expected an address such as 192.0.2.1 or 2001:db8::1"));
        }
        let (from, to) = (moment_of("--from", from, site)?, moment_of("--to", to, site)?);
        if from >= to {
            return Err(Failure::usage(format_args!("--from: {from} is not before --to, {to}")));
        }
        Ok(Some(Who::Address { ip, from: from.to_string(), to: to.to_string() }))
    }

    /// A text in which no value stands that was given to identify the person.
    pub fn without_values(&self, text: &str) -> String {
        let values = [&self.cookie, &self.user, &self.ip].into_iter().flatten();
        let values = values.filter(|value| !value.is_empty() && *value != "-");
        values.fold(text.to_owned(), |text, value| text.replace(value.as_str(), "[removed]"))
    }
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

/// The ring that made the hashes that are stored; a new one would find nobody.
pub fn ring(config: &Config) -> Result<KeyRing, Failure> {
    if !KeyRing::exists(&config.keys.dir) {
        return Err(KeyError::NoRing(config.keys.dir.clone()).into());
    }
    Ok(KeyRing::open(&config.keys)?)
}

/// The value of an option, from standard input if it is `-`.
pub(in crate::cli) fn given(option: &str, value: &str) -> Result<String, Failure> {
    let value = line_of(option, value)?.trim().to_owned();
    if value.is_empty() {
        return Err(Failure::usage(format_args!("{option}: the value is empty")));
    }
    Ok(value)
}

/// The value of an option, or the next line of standard input if it is `-`.
pub fn line_of(option: &str, value: &str) -> Result<String, Failure> {
    if value != "-" {
        return Ok(value.to_owned());
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_INPUT_BYTES)
        .read_line(&mut line)
        .map_err(|error| Failure::usage(format_args!("{option} on standard input: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
