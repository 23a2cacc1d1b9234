//! Which kind of request has which term, by which article, and what it is
//! counted by.
//!
//! In: a kind, the law that the site is under, the moment of receipt, the site's
//! time zone, the operator's terms and the calendar. Out: a [`Due`]: the last day,
//! the term as text, the articles, and whether the calendar knew the years.
//!
//! - A term runs from the day after receipt (Civil Code, article 191), in the
//!   site's time zone, and ends with its last day.
//! - Working days are counted one by one. A term in calendar days that ends on a
//!   day off ends with the next working day (article 193).
//! - Under the GDPR a month ends on the same day of the next month, or on its last
//!   day if it has none, and then on the next working day (Regulation 1182/71,
//!   article 3). Which holidays an operator abroad has is not known: only weekends
//!   are skipped, and the answer says so.
//!
//! Each term is a key of `[rights.terms]`; the defaults are the law as this product
//! knows it. A longer one is the operator's decision and answer: it is not refused,
//! since law changes, and the due date says that the operator set the term.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, is_weekend};
use crate::config::{Preset, Site};

/// Ten years, in days: longer is a slip of the pen.
pub const MAX_DAYS: u16 = 3650;
/// The same in months.
pub const MAX_MONTHS: u16 = 120;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Kind {
    /// To know what is kept
    Access,
    /// To correct what is wrong
    Rectify,
    /// To block disputed data while it is checked
    Block,
    /// To clarify what was found wrong and lift the block
    Unblock,
    /// To stop unlawful processing, and destroy what came of it
    Stop,
    /// To withdraw the consent to processing
    Withdraw,
    /// To have the data erased
    Erase,
    /// To withdraw the consent to marketing
    Marketing,
    /// A claim under the policy's clause 8.2
    Claim,
}

/// The law that decides a site's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// Federal law 152-FZ.
    Russian,
    Gdpr,
}

/// A length of time as laws state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    AtOnce,
    WorkingDays(u16),
    Days(u16),
    Months(u16),
}

/// A key of `[rights.terms]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Access,
    AccessExtension,
    Rectify,
    Block,
    Unblock,
    StopFirst,
    Stop,
    Withdraw,
    Erase,
    Marketing,
    Claim,
    Gdpr,
    GdprExtension,
}

/// The terms in force: the law's, or the operator's in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms([Term; Rule::ALL.len()]);

/// Until when something must be done, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// The last day, in the site's time zone.
    #[serde(with = "super::request::day")]
    pub date: Date,
    /// The end of that day: the first moment at which it is too late, in milliseconds since 1970.
    pub ends: i64,
    /// Such as `10 working days`.
    pub term: String,
    /// The article that states the term.
    pub article: String,
    /// The articles that it is counted by.
    pub counted_by: String,
    pub holidays: Holidays,
}

/// What the calendar knew of the days that were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holidays {
    Known,
    /// The decree of a year is not known: its days are by the Labour Code alone.
    DecreeUnknown,
    /// Only Saturdays and Sundays were left out.
    WeekendsOnly,
}

/// Why a date cannot be told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    #[error("{0}: no date can be counted from this moment")]
    Range(Timestamp),
    #[error("a claim is about another kind of request, and only a claim is")]
    About,
    #[error("{article} gives no longer term for a request of kind {kind}")]
    NoExtension { kind: Kind, article: &'static str },
    #[error("{asked} more days end on {end}, the law allows until {limit} ({article})")]
    TooLong { asked: u16, end: Date, limit: Date, article: &'static str },
}

/// What a term is counted in, and whether all of it was known.
struct Counting<'a> {
    calendar: Option<&'a Calendar>,
    is_known: bool,
    has_rolled: bool,
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Access,
        Kind::Rectify,
        Kind::Block,
        Kind::Unblock,
        Kind::Stop,
        Kind::Withdraw,
        Kind::Erase,
        Kind::Marketing,
        Kind::Claim,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Access => "access",
            Kind::Rectify => "rectify",
            Kind::Block => "block",
            Kind::Unblock => "unblock",
            Kind::Stop => "stop",
            Kind::Withdraw => "withdraw",
            Kind::Erase => "erase",
            Kind::Marketing => "marketing",
            Kind::Claim => "claim",
        }
    }

    fn rule(self, law: Law) -> Rule {
        match (law, self) {
            (_, Kind::Claim) => Rule::Claim,
            (Law::Gdpr, _) => Rule::Gdpr,
            (Law::Russian, Kind::Access) => Rule::Access,
            (Law::Russian, Kind::Rectify) => Rule::Rectify,
            (Law::Russian, Kind::Block) => Rule::Block,
            (Law::Russian, Kind::Unblock) => Rule::Unblock,
            (Law::Russian, Kind::Stop) => Rule::Stop,
            (Law::Russian, Kind::Withdraw) => Rule::Withdraw,
            (Law::Russian, Kind::Erase) => Rule::Erase,
            (Law::Russian, Kind::Marketing) => Rule::Marketing,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Law ===

impl Law {
    /// The law of a site is told by its preset.
    pub fn of(site: &Site) -> Law {
        match site.preset {
            Some(Preset::Gdpr | Preset::Cnil) => Law::Gdpr,
            Some(Preset::Ru152Fz) | None => Law::Russian,
        }
    }
}

// === impl Term ===

impl Term {
    /// Reads `at once`, `10 working days`, `30 days`, `1 month`.
    pub fn parse(text: &str) -> Option<Term> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |text: &str, most: u16| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|number| is_plain && (1..=most).contains(number))
        };
        match words[..] {
            ["at", "once"] => Some(Term::AtOnce),
            [days, "working", "day" | "days"] => number(days, MAX_DAYS).map(Term::WorkingDays),
            [days, "day" | "days"] => number(days, MAX_DAYS).map(Term::Days),
            [months, "month" | "months"] => number(months, MAX_MONTHS).map(Term::Months),
            _ => None,
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self {
            Term::AtOnce => return f.write_str("at once"),
            Term::WorkingDays(number) => (number, "working day"),
            Term::Days(number) => (number, "day"),
            Term::Months(number) => (number, "month"),
        };
        write!(f, "{number} {unit}{}", if *number == 1 { "" } else { "s" })
    }
}

// === impl Rule ===

impl Rule {
    pub const ALL: [Rule; 13] = [
        Rule::Access,
        Rule::AccessExtension,
        Rule::Rectify,
        Rule::Block,
        Rule::Unblock,
        Rule::StopFirst,
        Rule::Stop,
        Rule::Withdraw,
        Rule::Erase,
        Rule::Marketing,
        Rule::Claim,
        Rule::Gdpr,
        Rule::GdprExtension,
    ];

    /// The key in the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            Rule::Access => "access",
            Rule::AccessExtension => "access_extension",
            Rule::Rectify => "rectify",
            Rule::Block => "block",
            Rule::Unblock => "unblock",
            Rule::StopFirst => "stop_first",
            Rule::Stop => "stop",
            Rule::Withdraw => "withdraw",
            Rule::Erase => "erase",
            Rule::Marketing => "marketing",
            Rule::Claim => "claim",
            Rule::Gdpr => "gdpr",
            Rule::GdprExtension => "gdpr_extension",
        }
    }

    /// The law's term.
    pub const fn default(self) -> Term {
        match self {
            Rule::Access | Rule::Stop | Rule::Erase => Term::WorkingDays(10),
            Rule::AccessExtension => Term::WorkingDays(5),
            Rule::Rectify | Rule::Unblock => Term::WorkingDays(7),
            Rule::Block | Rule::Marketing => Term::AtOnce,
            Rule::StopFirst => Term::WorkingDays(3),
            Rule::Withdraw | Rule::Claim => Term::Days(30),
            Rule::Gdpr => Term::Months(1),
            Rule::GdprExtension => Term::Months(2),
        }
    }

    /// Where the duty and its term are written.
    pub const fn article(self) -> &'static str {
        match self {
            Rule::Access => "152-FZ art. 14(3), 20(1)",
            Rule::AccessExtension => "152-FZ art. 14(3), 20(1)",
            Rule::Rectify => "152-FZ art. 20(3)",
            Rule::Block => "152-FZ art. 21(1)",
            Rule::Unblock => "152-FZ art. 21(2)",
            Rule::StopFirst | Rule::Stop => "152-FZ art. 21(3)",
            Rule::Withdraw => "152-FZ art. 21(5)",
            // Who asks for erasure need not say whether consent is withdrawn or the
            // processing was unlawful: the shorter of the two terms keeps both.
            Rule::Erase => "152-FZ art. 21(3), shorter than 21(5)",
            Rule::Marketing => "152-FZ art. 15(2)",
            Rule::Claim => "policy clause 8.2",
            Rule::Gdpr | Rule::GdprExtension => "GDPR art. 12(3)",
        }
    }

    /// Whether the term lengthens another one, so that it has a length.
    pub const fn is_extension(self) -> bool {
        matches!(self, Rule::AccessExtension | Rule::GdprExtension)
    }
}

// === impl Terms ===

impl Default for Terms {
    fn default() -> Terms {
        Terms(Rule::ALL.map(Rule::default))
    }
}

impl Terms {
    pub fn get(&self, rule: Rule) -> Term {
        self.0[rule as usize]
    }

    pub fn set(&mut self, rule: Rule, term: Term) {
        self.0[rule as usize] = term;
    }

    /// Until when a request must be done. `about` is what a claim is about, if one
    /// of the law's duties: the earlier date wins.
    pub fn due(
        &self,
        (kind, about): (Kind, Option<Kind>),
        law: Law,
        received: Timestamp,
        zone: &TimeZone,
        calendar: &Calendar,
    ) -> Result<Due, TermError> {
        let due = |kind: Kind| self.count(kind.rule(law), law, received, zone, calendar);
        match (kind, about) {
            (Kind::Claim, Some(Kind::Claim)) => Err(TermError::About),
            (Kind::Claim, Some(about)) => {
                let (claim, duty) = (due(Kind::Claim)?, due(about)?);
                Ok(if duty.date < claim.date { duty } else { claim })
            }
            (_, None) => due(kind),
            _ => Err(TermError::About),
        }
    }

    /// What must be done before the rest: unlawful processing is stopped before its
    /// data is destroyed.
    pub fn first_step(
        &self,
        (kind, about): (Kind, Option<Kind>),
        law: Law,
        received: Timestamp,
        zone: &TimeZone,
        calendar: &Calendar,
    ) -> Result<Option<Due>, TermError> {
        if law != Law::Russian || ![Some(kind), about].contains(&Some(Kind::Stop)) {
            return Ok(None);
        }
        self.count(Rule::StopFirst, law, received, zone, calendar).map(Some)
    }

    /// The longer term of a request, by a reasoned notice: by `days` days of the
    /// law's own sort, or by all that it allows.
    #[expect(clippy::too_many_arguments, reason = "the parts of one question, of which each caller has all")]
    pub fn extended(
        &self,
        kind: Kind,
        law: Law,
        received: Timestamp,
        due: &Due,
        days: Option<u16>,
        zone: &TimeZone,
        calendar: &Calendar,
    ) -> Result<Due, TermError> {
        let rule = match (law, kind) {
            (Law::Gdpr, Kind::Claim) => None,
            (Law::Gdpr, _) => Some(Rule::GdprExtension),
            (Law::Russian, Kind::Access) => Some(Rule::AccessExtension),
            (Law::Russian, _) => None,
        };
        let none = || TermError::NoExtension { kind, article: kind.rule(law).article() };
        let rule = rule.ok_or_else(none)?;
        let out_of_range = || TermError::Range(received);
        let most = self.get(rule);
        let mut counting = Counting::new(law, calendar);
        // Further months count with the first from the receipt, so that all three end
        // on its day of the month.
        let (from, whole) = match (most, self.get(kind.rule(law))) {
            (Term::Months(more), Term::Months(first)) => {
                (received.to_zoned(zone.clone()).date(), Term::Months(first + more))
            }
            _ => (due.date, most),
        };
        let limit = counting.end(from, whole).ok_or_else(out_of_range)?;
        let (end, term) = match days {
            None => (limit, most),
            Some(asked) => {
                let term = match most {
                    Term::WorkingDays(_) => Term::WorkingDays(asked),
                    _ => Term::Days(asked),
                };
                (counting.end(due.date, term).ok_or_else(out_of_range)?, term)
            }
        };
        if end > limit {
            let asked = days.unwrap_or_default();
            return Err(TermError::TooLong { asked, end, limit, article: rule.article() });
        }
        Ok(Due {
            date: end,
            ends: end_of(end, zone).ok_or_else(out_of_range)?,
            term: format!("{} and {term}", due.term),
            article: self.article(rule),
            counted_by: counting.counted_by(law),
            holidays: counting.holidays().or(due.holidays),
        })
    }

    fn count(
        &self,
        rule: Rule,
        law: Law,
        received: Timestamp,
        zone: &TimeZone,
        calendar: &Calendar,
    ) -> Result<Due, TermError> {
        let term = self.get(rule);
        let mut counting = Counting::new(law, calendar);
        let from = received.to_zoned(zone.clone()).date();
        let out_of_range = || TermError::Range(received);
        let date = counting.end(from, term).ok_or_else(out_of_range)?;
        Ok(Due {
            date,
            ends: end_of(date, zone).ok_or_else(out_of_range)?,
            term: term.to_string(),
            article: self.article(rule),
            counted_by: if term == Term::AtOnce { String::new() } else { counting.counted_by(law) },
            holidays: if term == Term::AtOnce { Holidays::Known } else { counting.holidays() },
        })
    }

    fn article(&self, rule: Rule) -> String {
        let article = rule.article();
        if self.get(rule) == rule.default() {
            article.to_owned()
        } else {
            format!("{article}; term set by the operator")
        }
    }
}

// === impl Holidays ===

impl Holidays {
    /// Whether nothing is left to check by hand.
    pub fn are_known(self) -> bool {
        self == Holidays::Known
    }

    /// What people are told, if there is something to tell.
    pub const fn warning(self) -> Option<&'static str> {
        match self {
            Holidays::Known => None,
            Holidays::DecreeUnknown => {
                Some("the decree of a year in it is not known: its days off are by the Labour Code alone")
            }
            Holidays::WeekendsOnly => Some("only weekends were left out: add the operator's own holidays"),
        }
    }

    fn or(self, other: Holidays) -> Holidays {
        if self == Holidays::Known { other } else { self }
    }
}

// === impl Counting ===

impl Counting<'_> {
    fn new(law: Law, calendar: &Calendar) -> Counting<'_> {
        let calendar = (law == Law::Russian).then_some(calendar);
        Counting { calendar, is_known: true, has_rolled: false }
    }

    fn is_working_day(&mut self, day: Date) -> bool {
        match self.calendar {
            Some(calendar) => {
                self.is_known &= calendar.knows(day.year());
                calendar.is_working_day(day)
            }
            None => !is_weekend(day),
        }
    }

    /// The last day of a term that runs from the day after `from`.
    fn end(&mut self, from: Date, term: Term) -> Option<Date> {
        let mut day = match term {
            Term::AtOnce => return Some(from),
            Term::WorkingDays(number) => {
                let (mut day, mut left) = (from, number);
                while left > 0 {
                    day = day.tomorrow().ok()?;
                    left -= u16::from(self.is_working_day(day));
                }
                return Some(day);
            }
            Term::Days(number) => from.checked_add(i32::from(number).days()).ok()?,
            // A day that the month does not have becomes its last one.
            Term::Months(number) => from.checked_add(Span::new().months(number)).ok()?,
        };
        while !self.is_working_day(day) {
            self.has_rolled = true;
            day = day.tomorrow().ok()?;
        }
        Some(day)
    }

    fn counted_by(&self, law: Law) -> String {
        match (law, self.has_rolled) {
            (Law::Russian, false) => "Civil Code art. 191".to_owned(),
            (Law::Russian, true) => "Civil Code art. 191, 193".to_owned(),
            (Law::Gdpr, _) => "Regulation 1182/71 art. 3".to_owned(),
        }
    }

    fn holidays(&self) -> Holidays {
        match (self.calendar, self.is_known) {
            (None, _) => Holidays::WeekendsOnly,
            (Some(_), true) => Holidays::Known,
            (Some(_), false) => Holidays::DecreeUnknown,
        }
    }
}

/// The first moment after a day, in milliseconds since 1970.
pub(super) fn end_of(day: Date, zone: &TimeZone) -> Option<i64> {
    let next = day.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
    Some(next.timestamp().as_millisecond())
}
