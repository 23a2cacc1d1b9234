//! The site's published policy as a table: each clause, what carries it out, by which
//! settings, and what can be seen of it now.
//!
//! In: a site, and what the server holds. Out: a [`Report`], for `metka policy`, for
//! the officer's page and for print.
//!
//! ```text
//! clauses ──┐
//! settings ─┼──► Report { clauses: [{ clause, settings, evidence: [{ value, state }], state }], state }
//! facts ────┘
//! ```
//!
//! Invariants:
//! - Evidence is counted when it is asked for, from storage, files and key ring; nothing
//!   in it is a constant. What could not be looked at is red and says why.
//! - `green` and `red` are said only of what can be either; a bare number is `none`. A
//!   clause is red if one of its lines is, and the report if a clause is.
//! - A line that depends on a setting looks at the hits of the last [`RECENT_MS`]: older
//!   ones may be of another setting.
//! - No line holds anything of a person: counts, dates, names of settings.
//!
//! - `clauses`: the clauses, in words
//! - [`facts`]: what is looked at
//! - `evidence`: which of it belongs to which clause, and what is right
//! - [`page`]: the report as a page to be printed

mod clauses;
mod evidence;
pub mod facts;
pub mod page;

use serde::{Deserialize, Serialize};

pub use facts::Witness;

/// How far back hits are looked at for what a setting decides, in milliseconds: an hour.
pub const RECENT_MS: i64 = 3_600_000;

/// The table of one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub site: String,
    /// The policy's version and address, as configured.
    pub version: String,
    pub url: String,
    /// RFC 3339.
    pub made: String,
    pub state: State,
    pub clauses: Vec<Clause>,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Such as `5.1`, or several.
    pub clause: String,
    /// What the policy says.
    pub ru: String,
    pub en: String,
    /// What carries it out.
    pub does_ru: String,
    pub does_en: String,
    pub settings: Vec<Setting>,
    pub evidence: Vec<Evidence>,
    pub state: State,
}

/// A setting and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    pub key: String,
    pub value: String,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub ru: String,
    pub en: String,
    pub value: String,
    pub state: State,
}

/// Whether it is as the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Green,
    Red,
    /// Neither can be said.
    None,
}

/// The language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Ru,
    En,
}

// === impl State ===

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Green => "green",
            State::Red => "red",
            State::None => "none",
        }
    }

    /// Green if it is as it should be.
    fn of(is_right: bool) -> State {
        if is_right { State::Green } else { State::Red }
    }

    /// The state of a whole.
    fn all(parts: impl IntoIterator<Item = State>) -> State {
        parts.into_iter().fold(State::None, |whole, part| match (whole, part) {
            (State::Red, _) | (_, State::Red) => State::Red,
            (State::Green, _) | (_, State::Green) => State::Green,
            (State::None, State::None) => State::None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_is_as_bad_as_its_worst_part() {
        use State::{Green, None, Red};
        for (parts, whole) in [
            (&[][..], None),
            (&[None, None], None),
            (&[None, Green], Green),
            (&[Green, Red, Green], Red),
            (&[Red, None], Red),
        ] {
            assert_eq!(State::all(parts.iter().copied()), whole, "{parts:?}");
        }
    }
}
