//! What may stand in one thing that is kept, kind by kind, with the limits.
//!
//! In: a thing as it was asked for. Out: the thing as it is kept, or the first mistake
//! in it, named as `goal.name`.
//!
//! - Names and texts are trimmed, have no signs that do not print, and no length that a
//!   page could not show.
//! - Filters are those of questions, without the names of segments: who may change a
//!   segment must not change what a link shows.
//! - What whoever asks does not decide (who made it, a secret, what was sent) is put in
//!   by [`Kept::settle`].

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::store::SettingsError;
use super::{Aim, Funnel, Goal, Kind, Link, Note, Report, Segment, Settings, new_secret};
use crate::event::{MAX_NAME_BYTES as MAX_EVENT_BYTES, MAX_PATH_BYTES};
use crate::parse::text::is_unprintable;
use crate::query::filter::Filter;

/// A page of goals that somebody still looks through.
pub const MAX_GOALS: usize = 100;
pub const MAX_FUNNELS: usize = 50;
pub const MAX_SEGMENTS: usize = 100;
/// Some a week, for ten years.
pub const MAX_NOTES: usize = 500;
/// Each is a way in that somebody must look after.
pub const MAX_LINKS: usize = 50;
/// Each is a mail to be made.
pub const MAX_REPORTS: usize = 20;
/// A funnel of one step is a goal; beyond eight nobody reads the graph.
pub const STEPS: std::ops::RangeInclusive<usize> = 2..=8;
/// The longest name, in characters.
pub const MAX_NAME_CHARS: usize = 100;
/// The longest text of a note, in characters: two or three sentences.
pub const MAX_TEXT_CHARS: usize = 500;
/// The longest filters of a segment or a link, in bytes of JSON.
pub const MAX_FILTER_BYTES: usize = 16 << 10;
/// The most `*` and `**` of a page's pattern: each is work for every row.
pub const MAX_STARS: usize = 8;
/// The most addresses that one report goes to.
pub const MAX_ADDRESSES: usize = 20;
/// The longest address of mail, in bytes (RFC 5321, 4.5.3.1).
const MAX_ADDRESS_BYTES: usize = 254;
/// Days of notes are within these years, as those of questions.
const YEARS: std::ops::RangeInclusive<i16> = 1971..=2200;
/// The dimension that names segments.
const SEGMENT: &str = "segment";

/// One kind of thing.
pub(super) trait Kept: Clone {
    const KIND: Kind;
    /// The most of them on a site.
    const MOST: usize;

    fn list(settings: &Settings) -> &[Self];
    fn list_mut(settings: &mut Settings) -> &mut Vec<Self>;
    fn id(&self) -> &str;
    fn set_id(&mut self, id: String);
    /// The name that no other of its kind may have.
    fn own_name(&self) -> Option<&str> {
        None
    }
    /// Who made it, where that decides who may change it.
    fn author(&self) -> Option<&str> {
        None
    }
    /// Puts in what whoever asks does not decide. What is returned is shown once and
    /// kept nowhere.
    fn settle(&mut self, _old: Option<&Self>, _by: &str) -> Option<String> {
        None
    }
    /// Tidies it, and refuses what may not be kept beside the rest.
    fn check(&mut self, settings: &Settings, now: i64) -> Result<(), SettingsError>;
    fn told(&self) -> Value;
}

macro_rules! kept {
    ($type:ident in $list:ident, at most $most:ident) => {
        const KIND: Kind = Kind::$type;
        const MOST: usize = $most;

        fn list(settings: &Settings) -> &[Self] {
            &settings.$list
        }

        fn list_mut(settings: &mut Settings) -> &mut Vec<Self> {
            &mut settings.$list
        }

        fn id(&self) -> &str {
            &self.id
        }

        fn set_id(&mut self, id: String) {
            self.id = id;
        }
    };
}

impl Kept for Goal {
    kept!(Goal in goals, at most MAX_GOALS);

    fn own_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn check(&mut self, _: &Settings, _: i64) -> Result<(), SettingsError> {
        tidy("goal.name", &mut self.name, MAX_NAME_CHARS)?;
        match &mut self.aim {
            Aim::Event { value, currency } => {
                event_name(value)?;
                currency.as_deref().map_or(Ok(()), check_currency)
            }
            Aim::Page { value } => check_pattern(value),
            Aim::Scroll { value, percent } => {
                check_pattern(value)?;
                match percent {
                    1..=100 => Ok(()),
                    _ => wrong("goal.percent", format_args!("expected 1 to 100, found {percent}")),
                }
            }
            Aim::AdClick { value } if value.is_empty() => Ok(()),
            Aim::AdClick { value } => event_name(value),
        }
    }

    fn told(&self) -> Value {
        as_json(self)
    }
}

impl Kept for Funnel {
    kept!(Funnel in funnels, at most MAX_FUNNELS);

    fn own_name(&self) -> Option<&str> {
        Some(&self.name)
    }

    /// A step may be asked for by its goal's name; what is kept is the id.
    fn check(&mut self, settings: &Settings, _: i64) -> Result<(), SettingsError> {
        tidy("funnel.name", &mut self.name, MAX_NAME_CHARS)?;
        if !STEPS.contains(&self.steps.len()) {
            let (least, most) = (STEPS.start(), STEPS.end());
            return wrong(
                "funnel.steps",
                format_args!("{} steps, {least} to {most} are allowed", self.steps.len()),
            );
        }
        for (index, step) in self.steps.iter_mut().enumerate() {
            let goal = settings.goal_by_id(step).or_else(|| settings.goal(step));
            let Some(goal) = goal else {
                return wrong(
                    &format!("funnel.steps[{index}]"),
                    format_args!("there is no goal {}", quoted(step)),
                );
            };
            *step = goal.id.clone();
        }
        Ok(())
    }

    fn told(&self) -> Value {
        as_json(self)
    }
}

impl Kept for Segment {
    kept!(Segment in segments, at most MAX_SEGMENTS);

    fn author(&self) -> Option<&str> {
        Some(&self.by)
    }

    fn settle(&mut self, old: Option<&Self>, by: &str) -> Option<String> {
        self.by = old.map_or(by, |old| &old.by).to_owned();
        None
    }

    fn check(&mut self, settings: &Settings, _: i64) -> Result<(), SettingsError> {
        tidy("segment.name", &mut self.name, MAX_NAME_CHARS)?;
        if self.filters.as_array().is_some_and(Vec::is_empty) {
            return wrong("segment.filters", "expected at least one");
        }
        check_filters("segment.filters", &self.filters, settings)
    }

    fn told(&self) -> Value {
        as_json(self)
    }
}

impl Kept for Note {
    kept!(Note in notes, at most MAX_NOTES);

    fn author(&self) -> Option<&str> {
        Some(&self.by)
    }

    fn settle(&mut self, old: Option<&Self>, by: &str) -> Option<String> {
        self.by = old.map_or(by, |old| &old.by).to_owned();
        None
    }

    fn check(&mut self, _: &Settings, _: i64) -> Result<(), SettingsError> {
        tidy("note.text", &mut self.text, MAX_TEXT_CHARS)?;
        if !YEARS.contains(&self.day.year()) {
            return wrong(
                "note.day",
                format_args!("{} is not within {} to {}", self.day, YEARS.start(), YEARS.end()),
            );
        }
        Ok(())
    }

    fn told(&self) -> Value {
        as_json(self)
    }
}

impl Kept for Link {
    kept!(Link in links, at most MAX_LINKS);

    fn settle(&mut self, old: Option<&Self>, _: &str) -> Option<String> {
        let Some(old) = old else {
            let secret = new_secret();
            self.secret = hash_of(&secret);
            return Some(secret);
        };
        self.secret = old.secret.clone();
        None
    }

    fn check(&mut self, settings: &Settings, now: i64) -> Result<(), SettingsError> {
        tidy("link.name", &mut self.name, MAX_NAME_CHARS)?;
        if self.expires.is_some_and(|expires| expires <= now) {
            return wrong("link.expires", "that moment has passed");
        }
        check_filters("link.filters", &self.filters, settings)
    }

    fn told(&self) -> Value {
        Link::told(self)
    }
}

impl Kept for Report {
    kept!(Report in reports, at most MAX_REPORTS);

    fn settle(&mut self, old: Option<&Self>, _: &str) -> Option<String> {
        // Another period begins anew.
        self.sent = old.filter(|old| old.every == self.every).and_then(|old| old.sent);
        None
    }

    fn check(&mut self, _: &Settings, _: i64) -> Result<(), SettingsError> {
        if self.to.is_empty() || self.to.len() > MAX_ADDRESSES {
            return wrong(
                "report.to",
                format_args!("{} addresses, 1 to {MAX_ADDRESSES} are allowed", self.to.len()),
            );
        }
        for (index, address) in self.to.iter().enumerate() {
            // The address itself is somebody's, and stays out of errors.
            if !is_address(address) {
                return wrong(
                    &format!("report.to[{index}]"),
                    "expected an address of mail such as name@clinic.example",
                );
            }
            if self.to[..index].contains(address) {
                return wrong(&format!("report.to[{index}]"), "is there twice");
            }
        }
        match self.language.as_str() {
            "ru" | "en" => Ok(()),
            other => wrong("report.language", format_args!("expected ru or en, found {}", quoted(other))),
        }
    }

    fn told(&self) -> Value {
        as_json(self)
    }
}

/// What is kept of a link's secret. It is random and long: it needs no slow hash, and
/// looking for its hash tells nothing of it.
pub(super) fn hash_of(secret: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}

/// Whether this is an address that mail can go to: ASCII, without what could end a line
/// of a mail or begin another address.
pub fn is_address(text: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_graphic() && !"<>()[],;:\\\"".contains(letter);
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    text.len() <= MAX_ADDRESS_BYTES
        && text.chars().all(fits)
        && !name.is_empty()
        && !name.contains('@')
        && name.split('.').all(|part| !part.is_empty())
        && host.split('.').all(|part| {
            let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            !part.is_empty() && plain && !part.starts_with('-') && !part.ends_with('-')
        })
}

pub(super) fn wrong<T>(field: &str, what: impl std::fmt::Display) -> Result<T, SettingsError> {
    Err(SettingsError::Wrong { field: field.to_owned(), what: what.to_string() })
}

/// A text as errors quote it.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(MAX_NAME_CHARS).collect::<String>())
}

fn tidy(field: &str, text: &mut String, most: usize) -> Result<(), SettingsError> {
    *text = text.trim().to_owned();
    let chars = text.chars().count();
    if chars == 0 || chars > most {
        return wrong(field, format_args!("{chars} characters, 1 to {most} are allowed"));
    }
    match text.chars().any(is_unprintable) {
        true => wrong(field, "has a character that does not print"),
        false => Ok(()),
    }
}

fn event_name(value: &mut String) -> Result<(), SettingsError> {
    tidy("goal.value", value, MAX_EVENT_BYTES)?;
    match value.len() {
        ..=MAX_EVENT_BYTES => Ok(()),
        bytes => wrong("goal.value", format_args!("{bytes} bytes, at most {MAX_EVENT_BYTES} are allowed")),
    }
}

fn check_currency(currency: &str) -> Result<(), SettingsError> {
    match currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(()),
        false => wrong(
            "goal.currency",
            format_args!("expected three capital letters such as RUB, found {}", quoted(currency)),
        ),
    }
}

/// A path, in which `*` stands for anything but `/`, and `**` for anything.
fn check_pattern(value: &str) -> Result<(), SettingsError> {
    const FIELD: &str = "goal.value";
    if !value.starts_with('/') && !value.starts_with("**") {
        return wrong(FIELD, format_args!("expected a path such as /booking/**, found {}", quoted(value)));
    }
    if value.len() > MAX_PATH_BYTES {
        return wrong(FIELD, format_args!("{} bytes, at most {MAX_PATH_BYTES} are allowed", value.len()));
    }
    if let Some(letter) = value.chars().find(|letter| is_unprintable(*letter) || "?# ".contains(*letter)) {
        return wrong(FIELD, format_args!("a path has no {letter:?}"));
    }
    let stars = value.replace("**", "*").matches('*').count();
    if value.contains("***") || stars > MAX_STARS {
        return wrong(
            FIELD,
            format_args!("expected at most {MAX_STARS} of * and **, and no longer row of *"),
        );
    }
    Ok(())
}

/// The one place that says which filters a segment or a link may have.
fn check_filters(field: &str, filters: &Value, settings: &Settings) -> Result<(), SettingsError> {
    let bytes = filters.to_string().len();
    if bytes > MAX_FILTER_BYTES {
        return wrong(field, format_args!("{bytes} bytes, at most {MAX_FILTER_BYTES} are allowed"));
    }
    if names_segments(filters) {
        return wrong(field, "segments cannot be named here");
    }
    let mut mistakes = Vec::new();
    Filter::parse_all(filters, settings, &mut mistakes);
    match mistakes.is_empty() {
        true => Ok(()),
        false => wrong(field, mistakes.join("; ")),
    }
}

/// Whether a condition anywhere in these filters is about segments.
fn names_segments(filters: &Value) -> bool {
    let Value::Array(parts) = filters else { return false };
    parts.get(1).and_then(Value::as_str) == Some(SEGMENT) || parts.iter().any(names_segments)
}

fn as_json(thing: &impl serde::Serialize) -> Value {
    serde_json::to_value(thing).expect("things have string keys only")
}
