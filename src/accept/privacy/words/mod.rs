//! The words of the visitor's page, in Russian and English. Each sentence is true
//! of what the product does; where that depends on the site's settings, there is
//! a sentence for each.

mod english;
mod russian;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use crate::policy;
use crate::rights::request::State;
use crate::rights::terms::{Kind, Term};
use crate::visitor::Refusal;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Russian,
    English,
}

/// A sentence with its heading.
pub type Titled = [&'static str; 2];
/// The forms of a word by number: of one, of a few, of many. English has the last two alike.
pub type Forms = [&'static str; 3];

/// The page's text in one language.
pub struct Words {
    pub language: Language,
    pub code: &'static str,
    pub title: &'static str,
    pub switch: &'static str,
    pub back: &'static str,
    pub contact: &'static str,
    pub several_sites: &'static str,
    pub recorded: Recorded,
    pub choice: Choice,
    pub kept: Kept,
    pub ask: Ask,
    pub followed: Followed,
    pub refused: Refused,
    pub months: [&'static str; 12],
    pub days: Forms,
    pub working_days: Forms,
    pub months_of_a_term: Forms,
    pub hits: Forms,
    pub at_once: &'static str,
}

/// What the site records.
pub struct Recorded {
    pub heading: &'static str,
    pub intro: &'static str,
    pub always: &'static [&'static str],
    pub ip: [&'static str; 3],
    pub consent: [&'static str; 3],
    pub without_cookie: &'static str,
    /// Only where the site passes signed keys.
    pub user_key: &'static str,
    /// In the order of `Fields::NAMES`.
    pub fields: [&'static str; 9],
    pub kept: &'static str,
    pub kept_address: &'static str,
    pub policy: &'static str,
    pub version: &'static str,
}

/// Opting out and in.
pub struct Choice {
    pub heading: &'static str,
    pub counted: &'static str,
    pub opted_out: &'static str,
    pub opt_out: &'static str,
    pub opt_in: &'static str,
    /// What opting out takes away.
    pub hint: &'static str,
    pub now_out: &'static str,
    pub now_in: &'static str,
}

/// What is kept of this browser.
pub struct Kept {
    pub heading: &'static str,
    pub intro: &'static str,
    pub show: &'static str,
    pub download: &'static str,
    pub formats: [&'static str; 3],
    pub no_cookie: &'static str,
    pub forged: &'static str,
    pub nobody_can: &'static str,
    pub by_contact: &'static str,
    pub none: &'static str,
    pub rows: &'static str,
    pub first: &'static str,
    pub last: &'static str,
    pub block: &'static str,
    pub blocked: &'static str,
    pub not_blocked: &'static str,
    pub disclosed: &'static str,
    pub disclosed_to_nobody: &'static str,
    /// Said of a disclosure of a range, in which hits of theirs lie.
    pub possibly: &'static str,
    pub basis: &'static str,
    pub incident: &'static str,
    pub incident_hint: &'static str,
    pub zone: &'static str,
    pub kinds: &'static str,
    pub kinds_intro: &'static str,
    pub for_days: &'static str,
    pub elsewhere: &'static str,
    pub elsewhere_list: &'static [&'static str],
    pub backups: &'static str,
    pub hits: &'static str,
    pub hits_intro: &'static str,
    /// By the names of storage's kinds of hits.
    pub hit_kinds: [(&'static str, &'static str); 8],
    pub from: &'static str,
    pub address: &'static str,
    pub version: &'static str,
    pub without_cookie: &'static str,
}

/// The form of a request, and the list of those that were made.
pub struct Ask {
    pub heading: &'static str,
    pub intro: &'static str,
    pub legend: &'static str,
    /// In the order of `visitor::KINDS`: what it is, and what follows.
    pub kinds: [Titled; 6],
    /// What follows on an erasure that waits for nobody.
    pub erase_at_once: &'static str,
    pub text: &'static str,
    pub text_hint: &'static str,
    pub send: &'static str,
    pub yours: &'static str,
    pub none: &'static str,
    pub closed: &'static str,
    pub unknown_kind: &'static str,
    pub long_text: &'static str,
    pub no_cookie: &'static str,
}

/// One request.
pub struct Followed {
    pub title: &'static str,
    pub registered: &'static str,
    pub was_open: &'static str,
    pub keep_link: &'static str,
    pub link: &'static str,
    pub asked: &'static str,
    pub received: &'static str,
    pub due: &'static str,
    pub extended: &'static str,
    pub state: &'static str,
    pub states: [&'static str; 3],
    pub overdue: &'static str,
    pub words: &'static str,
    pub answer: &'static str,
    pub acts: &'static str,
    pub effect: &'static str,
    pub pending: &'static str,
    pub blocked: &'static str,
    pub lifted: &'static str,
    pub marketing: &'static str,
    pub erased: &'static str,
    pub officer: &'static str,
    pub other_kinds: [(Kind, &'static str); 3],
    pub claim_about: &'static str,
}

/// Why there is no answer.
pub struct Refused {
    pub forbidden: Titled,
    pub not_found: Titled,
    pub bad_form: Titled,
    pub busy: Titled,
    pub away: Titled,
    pub limited: Titled,
    pub full: Titled,
    pub too_long: Titled,
    pub failed: Titled,
}

/// A kind of hit by its name in storage, for other pages of ours; none if there is no such.
pub(crate) fn hit_kind(language: policy::Language, name: &str) -> Option<&'static str> {
    let language = match language {
        policy::Language::Ru => Language::Russian,
        policy::Language::En => Language::English,
    };
    language.words().hit_kind(name)
}

// === impl Language ===

impl Language {
    pub const ALL: [Language; 2] = [Language::Russian, Language::English];

    pub fn parse(text: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.words().code == text)
    }

    pub fn words(self) -> &'static Words {
        match self {
            Language::Russian => &russian::WORDS,
            Language::English => &english::WORDS,
        }
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        match self {
            Language::Russian => "Русский",
            Language::English => "English",
        }
    }
}

// === impl Words ===

impl Words {
    /// A kind of hit by its name in storage.
    pub fn hit_kind(&self, name: &str) -> Option<&'static str> {
        self.kept.hit_kinds.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
    }

    /// A number with its word.
    pub fn count(&self, number: u64, forms: Forms) -> String {
        let form = match (self.language, number % 10, number % 100) {
            (Language::English, ..) => usize::from(number != 1),
            (Language::Russian, _, 11..=14) => 2,
            (Language::Russian, 1, _) => 0,
            (Language::Russian, 2..=4, _) => 1,
            (Language::Russian, ..) => 2,
        };
        format!("{}\u{a0}{}", grouped(number), forms[form])
    }

    pub fn date(&self, date: Date) -> String {
        let month = self.months[usize::try_from(date.month() - 1).unwrap_or_default() % 12];
        let year = if self.language == Language::Russian { "\u{a0}г." } else { "" };
        format!("{}\u{a0}{month} {}{year}", date.day(), date.year())
    }

    pub fn moment(&self, at: Timestamp, zone: &TimeZone) -> String {
        let at = at.to_zoned(zone.clone());
        format!("{}, {:02}:{:02}", self.date(at.date()), at.hour(), at.minute())
    }

    /// A term as the register has it, such as `10 working days and 5 working days`.
    pub fn term(&self, text: &str) -> String {
        let one = |text: &str| match Term::parse(text) {
            Some(Term::AtOnce) => self.at_once.to_owned(),
            Some(Term::WorkingDays(number)) => self.count(number.into(), self.working_days),
            Some(Term::Days(number)) => self.count(number.into(), self.days),
            Some(Term::Months(number)) => self.count(number.into(), self.months_of_a_term),
            None => text.to_owned(),
        };
        text.split(" and ").map(one).collect::<Vec<_>>().join(" + ")
    }

    pub fn state(&self, state: State) -> &'static str {
        match state {
            State::Open => self.followed.states[0],
            State::Done => self.followed.states[1],
            State::Refused => self.followed.states[2],
        }
    }

    /// What is asked, in a few words.
    pub fn kind(&self, kind: Kind) -> &'static str {
        let asked_here = crate::visitor::KINDS.iter().position(|known| *known == kind);
        let others = &self.followed.other_kinds;
        match asked_here {
            Some(index) => self.ask.kinds[index][0],
            None => others.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| name),
        }
    }

    pub fn refusal(&self, refusal: Refusal) -> Titled {
        match refusal {
            Refusal::Busy => self.refused.busy,
            Refusal::Away => self.refused.away,
            Refusal::Limited => self.refused.limited,
            Refusal::Full => self.refused.full,
            Refusal::TooLong => self.refused.too_long,
            Refusal::Nobody => [self.kept.heading, self.kept.forged],
            Refusal::Failed => self.refused.failed,
        }
    }
}

/// A number with a space between thousands, as both languages take it.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::event;

    #[test]
    fn numbers_dates_and_terms_read_as_people_write_them() {
        let (russian, english) = (Language::Russian.words(), Language::English.words());
        for (number, in_russian, in_english) in [
            (1, "1 день", "1 day"),
            (2, "2 дня", "2 days"),
            (11, "11 дней", "11 days"),
            (21, "21 день", "21 days"),
            (12_345, "12\u{202f}345 дней", "12\u{202f}345 days"),
        ] {
            let plain = |words: &Words| words.count(number, words.days).replace('\u{a0}', " ");
            assert_eq!((plain(russian), plain(english)), (in_russian.to_owned(), in_english.to_owned()));
        }
        let date = jiff::civil::date(2026, 12, 10);
        assert_eq!(russian.date(date).replace('\u{a0}', " "), "10 декабря 2026 г.");
        assert_eq!(english.date(date).replace('\u{a0}', " "), "10 December 2026");
        let term = |words: &Words, text| words.term(text).replace('\u{a0}', " ");
        assert_eq!(term(russian, "10 working days and 5 working days"), "10 рабочих дней + 5 рабочих дней");
        assert_eq!(term(russian, "at once"), "сразу");
        assert_eq!(term(english, "1 month"), "1 month");
    }

    #[test]
    fn every_kind_of_hit_has_words_of_its_own_in_both_languages() {
        for language in [policy::Language::Ru, policy::Language::En] {
            let words: HashSet<_> = event::Kind::ALL
                .iter()
                .map(|kind| hit_kind(language, kind.name()).expect("it has words"))
                .collect();
            assert_eq!(words.len(), event::Kind::ALL.len());
            assert_eq!(hit_kind(language, "telepathy"), None);
        }
    }

    #[test]
    fn every_kind_of_request_has_a_name_in_both_languages() {
        for language in Language::ALL {
            for kind in Kind::ALL {
                assert!(!language.words().kind(kind).is_empty(), "{kind} in {language:?}");
            }
        }
    }
}
