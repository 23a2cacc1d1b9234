//! A stored field of a person's rows is corrected or cleared (152-FZ article 20(3)).
//!
//! ```text
//! 1. what waits is stored; the spool's segments are closed, and settle
//! 2. the rows get the value: a mutation that knows it from a table alone   src/store/correct.rs
//! 3. counted: none has another value; the parts with the old one are gone
//! 4. storage's disk is synced, the spool lets its segments go              overwritten with zeros
//! ```
//!
//! In: a [`Correction`], which is checked before anything is written down. Out: how many
//! rows had another value. Rows that come later are as the collector sees them.
//!
//! Which fields: [`FIELDS`], one line for each column of `hits`, with what it may hold
//! or why it stays as it is. A column of the table's order cannot be changed by storage:
//! whoever disputes one has the rows blocked or erased.
//!
//! Asking again is harmless. A crash before step 2 has changed nothing; in step 2
//! ClickHouse goes on with it at its next start; after it only files with the old value are
//! left, as they are without a correction.
//!
//! The value is personal data: it is in no statement, entry, history, error or log.

use jiff::Timestamp;

use super::block::blocks;
use super::erase::alone;
use super::note::Note;
use super::stop::Changed;
use super::{Office, PATIENCE, Person, SubjectError};
use crate::enrich::source::Channel;
use crate::event::{MAX_HOST_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_PROP_VALUE_BYTES, MAX_TITLE_BYTES};
use crate::parse::hygiene;
use crate::parse::text::is_unprintable;
use crate::spool::SETTLE;
use crate::store::Change;

/// A property is named `props.NAME`.
const PROPERTY: &str = "props.";
/// The classes of devices, as the user agent's data has them.
pub(crate) const DEVICES: [&str; 6] = ["desktop", "mobile", "tablet", "tv", "console", "other"];
/// The longest name of a place or network, as of the geo data.
const MAX_PLACE_BYTES: usize = 96;
/// The longest name of a source: a host, or what a campaign called itself.
const MAX_SOURCE_BYTES: usize = MAX_HOST_BYTES;

const ORDER: &str = "the table is ordered by it, so that storage cannot change it: block or erase the rows";
const HASH: &str = "a keyed hash, by which rows are found; another one would make them another person's";
const TIME: &str = "when the server was asked, by its own clock";
const TERM: &str = "how long the row is kept, under the policy of its time";
const INTERNAL: &str = "about how the row is stored, and not about the person";
const OWN: &str = "which page, event or ad block the server was asked about: the row is that";
const MEASURED: &str = "measured by the page, not stated about the person";
const CONSENT: &str = "what the visitor said: see withdraw-marketing";
const ADDRESS: &str =
    "encrypted under the month's key, and gone with its term: erase it with its rows or its key";
const MARK: &str = "by which a hit is in a number or not: a dispute about that is a claim";

/// What may become of a column.
#[derive(Clone, Copy)]
enum Rule {
    /// Corrected, or cleared by an empty value.
    May(Form),
    /// Cleared only.
    Cleared,
    /// The properties, each by its name.
    Properties,
    /// Neither, and why.
    Stays(&'static str),
}

/// What a value may be.
#[derive(Clone, Copy)]
enum Form {
    /// A text as intake keeps it, up to so many bytes.
    Text(usize),
    Path(usize),
    /// Two capital letters (ISO 3166-1 alpha-2).
    Country,
    Host,
    Device,
    Channel,
}

/// Every column, in the order of the row.
const FIELDS: &[(&str, Rule)] = &[
    ("site", Rule::Stays(INTERNAL)),
    ("time", Rule::Stays(TIME)),
    ("kind", Rule::Stays(OWN)),
    ("visitor", Rule::Stays(HASH)),
    ("identity", Rule::Stays(HASH)),
    ("minted", Rule::Stays(HASH)),
    ("user_key", Rule::Cleared),
    ("before", Rule::Stays(HASH)),
    ("host", Rule::Stays(OWN)),
    ("path", Rule::Stays(OWN)),
    ("query", Rule::Cleared),
    ("title", Rule::May(Form::Text(MAX_TITLE_BYTES))),
    ("referrer_host", Rule::May(Form::Host)),
    ("referrer_path", Rule::May(Form::Path(MAX_PATH_BYTES))),
    ("source", Rule::May(Form::Text(MAX_SOURCE_BYTES))),
    ("channel", Rule::May(Form::Channel)),
    ("utm_source", Rule::May(Form::Text(MAX_NAME_BYTES))),
    ("utm_medium", Rule::May(Form::Text(MAX_NAME_BYTES))),
    ("utm_campaign", Rule::May(Form::Text(MAX_NAME_BYTES))),
    ("utm_content", Rule::May(Form::Text(MAX_NAME_BYTES))),
    ("utm_term", Rule::May(Form::Text(MAX_NAME_BYTES))),
    ("ip", Rule::Stays(ADDRESS)),
    ("ip_key", Rule::Stays(ADDRESS)),
    ("country", Rule::May(Form::Country)),
    ("region", Rule::Stays(ORDER)),
    ("city", Rule::May(Form::Text(MAX_PLACE_BYTES))),
    ("asn", Rule::Stays(ORDER)),
    ("network", Rule::May(Form::Text(MAX_PLACE_BYTES))),
    ("browser", Rule::Stays(ORDER)),
    ("browser_version", Rule::Stays(ORDER)),
    ("os", Rule::Stays(ORDER)),
    ("os_version", Rule::Stays(ORDER)),
    ("device", Rule::May(Form::Device)),
    ("bot", Rule::Stays(MARK)),
    ("language", Rule::Stays(ORDER)),
    ("screen", Rule::Stays(ORDER)),
    ("ad", Rule::Stays(OWN)),
    ("name", Rule::Stays(OWN)),
    ("props", Rule::Properties),
    ("engaged_ms", Rule::Stays(MEASURED)),
    ("scroll", Rule::Stays(MEASURED)),
    ("timezone", Rule::Stays(ORDER)),
    ("consent", Rule::Stays(CONSENT)),
    ("policy", Rule::Stays(TERM)),
    ("keep_days", Rule::Stays(TERM)),
    ("ip_days", Rule::Stays(TERM)),
    ("city_days", Rule::Stays(TERM)),
    ("user_key_days", Rule::Stays(TERM)),
    ("props_days", Rule::Stays(TERM)),
    ("hold", Rule::Stays(TERM)),
    ("demo", Rule::Stays(INTERNAL)),
    ("batch", Rule::Stays(INTERNAL)),
    ("row", Rule::Stays(INTERNAL)),
];

/// A correction that was found right. Holds personal data: it cannot be printed.
pub struct Correction {
    change: Change,
    /// Milliseconds since 1970.
    from: Option<i64>,
    to: Option<i64>,
}

// === impl Correction ===

impl Correction {
    /// A field of the rows in `from..to`, RFC 3339, gets this value; all rows without them.
    pub fn new(
        field: &str,
        value: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Correction, SubjectError> {
        let change = change(field, value)?;
        let moment = |name, text: Option<&str>| {
            let parsed = text.map(str::parse::<Timestamp>).transpose();
            parsed.map_err(|_| SubjectError::Instant(name)).map(|at| at.map(Timestamp::as_millisecond))
        };
        let (from, to) = (moment("from", from)?, moment("to", to)?);
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(SubjectError::Range),
            _ => Ok(Correction { change, from, to }),
        }
    }
}

// === impl Office ===

impl Office {
    /// From the return on the person's rows that came before `now` have the value, and no
    /// file of storage or spool has the old one.
    pub async fn rectify(
        &self,
        mut person: Person,
        correction: Correction,
        now: Timestamp,
    ) -> Result<Changed, SubjectError> {
        let Correction { change, from, to } = correction;
        let now = now.as_millisecond();
        let _alone = alone().await;
        self.caught_up(now).await?;
        let closed = self.outlet.close_segments();
        let these = closed.clone();
        self.wait(PATIENCE, SubjectError::Waiting, move |office| Ok(office.outlet.is_settled(&these)))
            .await?;
        // One of these that is sent again from now on may come too late to be put right.
        let dead_before = self.outlet.backlog().dead_rows;
        let time = (from.unwrap_or(0).max(0), to.unwrap_or(now).min(now));
        let changed = self.storage.correct(&blocks(&person), time, &change).await?;
        let patience = match self.sync_storage().await? {
            Some(at) => {
                self.outlet.flushed(at);
                PATIENCE
            }
            None => SETTLE + PATIENCE,
        };
        self.wait(patience, SubjectError::Spool, move |office| Ok(office.outlet.is_released(&closed)?))
            .await?;
        let dead = self.outlet.backlog().dead_rows.max(dead_before);
        if dead > 0 {
            person.notes.push(Note::DeadRows(dead));
        }
        self.changed(person, changed).await
    }
}

/// What becomes of the rows, if the field may have the value.
fn change(field: &str, value: &str) -> Result<Change, SubjectError> {
    if let Some(name) = field.strip_prefix(PROPERTY) {
        return property(name, value);
    }
    let (column, rule) = FIELDS.iter().find(|(column, _)| *column == field).ok_or(SubjectError::NoField)?;
    match rule {
        Rule::Stays(why) => Err(SubjectError::Field { field: column, why }),
        Rule::Properties => {
            Err(SubjectError::Field { field: column, why: "name one of them, as props.NAME" })
        }
        Rule::Cleared if !value.is_empty() => Err(SubjectError::Value {
            field: (*column).to_owned(),
            expected: "an empty value: it can only be cleared".to_owned(),
        }),
        Rule::Cleared if *column == "user_key" => Ok(Change::NoUserKey),
        Rule::Cleared => Ok(Change::Text { column, value: String::new() }),
        Rule::May(form) => match form.takes(value) {
            true => Ok(Change::Text { column, value: value.to_owned() }),
            false => Err(SubjectError::Value { field: (*column).to_owned(), expected: form.expected() }),
        },
    }
}

fn property(name: &str, value: &str) -> Result<Change, SubjectError> {
    // A name that intake would not keep is the name of no property.
    if name.is_empty() || name.len() > MAX_NAME_BYTES || hygiene::kept("", name, MAX_NAME_BYTES) != name {
        return Err(SubjectError::NoField);
    }
    if value.is_empty() {
        return Ok(Change::NoProperty { name: name.to_owned() });
    }
    match hygiene::kept(name, value, MAX_PROP_VALUE_BYTES) == value {
        true => Ok(Change::Property { name: name.to_owned(), value: value.to_owned() }),
        false => Err(SubjectError::Value {
            field: format!("{PROPERTY}{name}"),
            expected: Form::Text(MAX_PROP_VALUE_BYTES).expected(),
        }),
    }
}

// === impl Form ===

impl Form {
    /// Whether intake could have stored it. An empty value clears.
    fn takes(self, value: &str) -> bool {
        value.is_empty()
            || match self {
                Form::Text(most) => hygiene::kept("", value, most) == value,
                Form::Path(most) => {
                    value.starts_with('/')
                        && !value.contains(is_unprintable)
                        && hygiene::kept_path(value.into(), most) == value
                }
                Form::Country => value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase()),
                Form::Host => {
                    let is_part = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
                    value.len() <= MAX_HOST_BYTES && value.bytes().all(is_part)
                }
                Form::Device => DEVICES.contains(&value),
                Form::Channel => Channel::ALL.iter().any(|channel| channel.name() == value),
            }
    }

    fn expected(self) -> String {
        match self {
            Form::Text(most) => format!(
                "up to {most} bytes without control characters, contacts, document numbers and tokens, or nothing"
            ),
            Form::Path(most) => format!("a path of up to {most} bytes that intake would keep, or nothing"),
            Form::Country => "two capital letters such as RU, or nothing".to_owned(),
            Form::Host => format!("a host name of up to {MAX_HOST_BYTES} bytes in small letters, or nothing"),
            Form::Device => format!("one of {}, or nothing", DEVICES.join(", ")),
            Form::Channel => {
                let names: Vec<&str> = Channel::ALL.iter().map(|channel| channel.name()).collect();
                format!("one of {}, or nothing", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::row::COLUMNS;

    #[test]
    fn every_column_may_be_rectified_or_has_a_reason_why_not() {
        let told: Vec<&str> = FIELDS.iter().map(|(column, _)| *column).collect();
        assert_eq!(told, COLUMNS);
        let schema = include_str!("../../schema/0001_hits.sql");
        let key =
            schema.split_once("ORDER BY (").and_then(|(_, rest)| rest.split_once("\nTTL")).expect("a key").0;
        let words: Vec<&str> =
            key.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).collect();
        for (column, rule) in FIELDS {
            match rule {
                Rule::Stays(why) => {
                    assert!(!why.is_empty(), "{column}");
                    assert!(*why != ORDER || words.contains(column), "{column} is not in the order");
                }
                _ => assert!(!words.contains(column), "{column} is in the order: storage cannot change it"),
            }
        }
    }

    #[test]
    fn a_value_is_what_intake_could_have_stored() {
        for (field, value, taken) in [
            ("country", "RU", true),
            ("country", "", true),
            ("country", "ru", false),
            ("country", "RUS", false),
            ("city", "Тверь", true),
            ("city", "two\nlines", false),
            ("city", " Tver", false),
            ("city", &"я".repeat(49), false),
            ("title", "write to olga@clinic.example", false),
            ("device", "tablet", true),
            ("device", "fridge", false),
            ("channel", "search", true),
            ("channel", "Search", false),
            ("referrer_host", "ya.ru", true),
            ("referrer_host", "https://ya.ru", false),
            ("referrer_path", "/a/b", true),
            ("referrer_path", "a/b", false),
            ("user_key", "", true),
            ("user_key", "another", false),
            ("query", "a=1", false),
            ("props.doctor", "Иванова", true),
            ("props.doctor", "", true),
            ("props.doctor", "+7 921 123-45-67", false),
            ("props.", "x", false),
            ("props.two\nlines", "x", false),
            ("props", "x", false),
            ("region", "RU-TVE", false),
            ("browser", "", false),
            ("visitor", "", false),
            ("time", "2026-01-01", false),
            ("consent", "granted", false),
            ("no such", "x", false),
        ] {
            let found = Correction::new(field, value, None, None);
            assert_eq!(found.is_ok(), taken, "{field} {value:?}");
            if let Err(error) = found {
                assert!(value.len() < 3 || !error.to_string().contains(value), "{error}");
            }
        }
    }

    #[test]
    fn a_range_of_time_has_a_beginning_before_its_end() {
        for (from, to, taken) in [
            (None, None, true),
            (Some("2026-01-01T00:00:00Z"), None, true),
            (None, Some("2026-01-01T00:00:00Z"), true),
            (Some("2026-01-01T00:00:00Z"), Some("2026-01-02T00:00:00Z"), true),
            (Some("2026-01-02T00:00:00Z"), Some("2026-01-01T00:00:00Z"), false),
            (Some("yesterday"), None, false),
        ] {
            assert_eq!(Correction::new("city", "", from, to).is_ok(), taken, "{from:?} {to:?}");
        }
    }
}
