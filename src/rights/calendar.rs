//! The working days of Russia.
//!
//! In: a text that lists what each year's Government decree moved; the built-in
//! one, or the operator's in its place (`rights.calendar_file`). Out: whether a
//! day is a working day, and whether that year's decree is known.
//!
//! The text has one statement a line; `#` begins a comment:
//!
//! ```text
//! year 2026 decree 2025-09-24 1466   the lines that follow are by this decree: its date and number
//! year 2028 code                     no decree is known yet; only for `off` and `work` lines
//! move 2026-01-03 2026-01-09         the day off of the first date is taken on the second
//! off 2026-06-01                     a day off for another reason, such as a regional holiday
//! work 2026-06-06                    a weekend day that is worked for another reason
//! ```
//!
//! All else is article 112 of the Labour Code as it has stood since 2013:
//! weekends, the holidays of [`HOLIDAYS`], and the day off that follows a
//! holiday on a weekend. Only the Government moves those of January. A move from
//! a holiday leaves it a holiday; from another weekend day, makes that one a
//! working day.
//!
//! Invariants: every mistake of a text is reported, with its line; a text with a
//! mistake gives no calendar. A year without a line is computed by article 112
//! alone, and [`Calendar::knows`] says so.
//!
//! Limits: [`MAX_FILE_BYTES`], [`MAX_MISTAKES`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, Weekday, date};

/// A year takes half a kilobyte, so this is a century of them.
pub const MAX_FILE_BYTES: u64 = 64 << 10;
/// Whoever passes some other file sees enough of it by then.
pub const MAX_MISTAKES: usize = 50;
/// Month and day of the holidays of article 112.
pub const HOLIDAYS: [(i8, i8); 14] = [
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 4),
    (1, 5),
    (1, 6),
    (1, 7),
    (1, 8),
    (2, 23),
    (3, 8),
    (5, 1),
    (5, 9),
    (6, 12),
    (11, 4),
];
/// What mistakes in the built-in text are named by; there are none.
const BUILT_IN: &str = "calendar.ru.txt";

/// The calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    years: BTreeMap<i16, Year>,
}

/// How one year differs from weekends and holidays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Year {
    /// Date and number; none while the decree is not known.
    decree: Option<String>,
    off: BTreeSet<Date>,
    worked: BTreeSet<Date>,
}

/// Why there is no calendar.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: more than {MAX_FILE_BYTES} bytes, which no calendar has", .0.display())]
    Size(PathBuf),
    /// All that is wrong, one line each.
    #[error("{}", Mistakes(path, mistakes, *more))]
    Mistakes { path: PathBuf, mistakes: Vec<Mistake>, more: usize },
}

/// One line that says nothing, or what cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub what: String,
}

struct Mistakes<'a>(&'a Path, &'a [Mistake], usize);

/// A statement below its year.
#[derive(Clone, Copy)]
enum Statement {
    Move(Date, Date),
    Off(Date),
    Work(Date),
}

/// A year as the text states it.
struct Stated {
    year: i16,
    decree: Option<String>,
    statements: Vec<(usize, Statement)>,
}

// === impl Calendar ===

impl Calendar {
    /// The calendar that the product was shipped with.
    pub fn built_in() -> Calendar {
        Calendar::parse(include_str!("calendar.ru.txt"), Path::new(BUILT_IN))
            .expect("a test reads the shipped calendar")
    }

    /// The calendar of a file.
    pub fn read(path: &Path) -> Result<Calendar, CalendarError> {
        let failed = |source| CalendarError::File { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut text = String::new();
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        Calendar::parse(&text, path)
    }

    /// The calendar of a text; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Calendar, CalendarError> {
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(CalendarError::Size(path.to_owned()));
        }
        let mut mistakes = Vec::new();
        let stated = statements(text, &mut mistakes);
        let years = stated.into_iter().map(|stated| (stated.year, Year::of(stated, &mut mistakes))).collect();
        if mistakes.is_empty() {
            return Ok(Calendar { years });
        }
        mistakes.sort_by_key(|mistake| mistake.line);
        let more = mistakes.len().saturating_sub(MAX_MISTAKES);
        mistakes.truncate(MAX_MISTAKES);
        Err(CalendarError::Mistakes { path: path.to_owned(), mistakes, more })
    }

    /// Whether the decree of the year is known.
    pub fn knows(&self, year: i16) -> bool {
        self.years.get(&year).is_some_and(|year| year.decree.is_some())
    }

    /// Each year that is known, with its decree's date and number.
    pub fn decrees(&self) -> impl Iterator<Item = (i16, &str)> {
        self.years.iter().filter_map(|(year, of)| Some((*year, of.decree.as_deref()?)))
    }

    pub fn is_working_day(&self, day: Date) -> bool {
        match self.years.get(&day.year()) {
            Some(year) => year.is_working_day(day),
            None => {
                let mut year = Year::default();
                year.follow_article_112(day.year(), &BTreeSet::new());
                year.is_working_day(day)
            }
        }
    }
}

// === impl Year ===

impl Year {
    fn of(stated: Stated, mistakes: &mut Vec<Mistake>) -> Year {
        let mut year = Year { decree: stated.decree, ..Year::default() };
        let mut moved_holidays = BTreeSet::new();
        let mut named = BTreeMap::new();
        let mut once = |line: usize, day: Date, mistakes: &mut Vec<Mistake>| match named.insert(day, line) {
            None => true,
            Some(first) => {
                mistakes.push(Mistake { line, what: format!("{day} is named in line {first} already") });
                false
            }
        };
        for (line, statement) in &stated.statements {
            let Statement::Move(from, to) = *statement else { continue };
            let mut wrong = |what| mistakes.push(Mistake { line: *line, what });
            if !is_weekend(from) {
                wrong(format!("{from} is no Saturday or Sunday: there is no day off to move"));
            } else if is_weekend(to) || is_holiday(to) {
                wrong(format!("{to} is a weekend day or a holiday already"));
            } else if once(*line, from, mistakes) && once(*line, to, mistakes) {
                year.off.insert(to);
                let freed = if is_holiday(from) { &mut moved_holidays } else { &mut year.worked };
                freed.insert(from);
            }
        }
        year.follow_article_112(stated.year, &moved_holidays);
        for (line, statement) in &stated.statements {
            match *statement {
                Statement::Move(..) => {}
                Statement::Off(day) if !year.is_working_day(day) => {
                    mistakes.push(Mistake { line: *line, what: format!("{day} is a day off already") });
                }
                Statement::Work(day) if year.is_working_day(day) => {
                    mistakes.push(Mistake { line: *line, what: format!("{day} is a working day already") });
                }
                Statement::Off(day) if once(*line, day, mistakes) => {
                    year.off.insert(day);
                }
                Statement::Work(day) if once(*line, day, mistakes) => {
                    year.off.remove(&day);
                    year.worked.insert(day);
                }
                Statement::Off(_) | Statement::Work(_) => {}
            }
        }
        year
    }

    /// Article 112, part 2: the day off of a holiday on a weekend is the working
    /// day that follows it, except in January, and unless a decree moved it.
    fn follow_article_112(&mut self, year: i16, moved: &BTreeSet<Date>) {
        for (month, day) in HOLIDAYS.into_iter().filter(|(month, _)| *month != 1) {
            let holiday = date(year, month, day);
            if is_weekend(holiday) && !moved.contains(&holiday) {
                let mut next = holiday;
                while !self.is_working_day(next) {
                    // The last holiday is in November, and a year has working days after it.
                    next = next.saturating_add(jiff::Span::new().days(1));
                }
                self.off.insert(next);
            }
        }
    }

    fn is_working_day(&self, day: Date) -> bool {
        self.worked.contains(&day) || !(is_weekend(day) || is_holiday(day) || self.off.contains(&day))
    }
}

// === impl Mistakes ===

impl fmt::Display for Mistakes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistakes(path, mistakes, more) = self;
        let count = mistakes.len() + more;
        write!(f, "{}: {count} mistake{}", path.display(), if count == 1 { "" } else { "s" })?;
        for Mistake { line, what } in *mistakes {
            write!(f, "\n  line {line}: {what}")?;
        }
        if *more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        Ok(())
    }
}

/// Whether people are off on this day in every week.
pub fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn is_holiday(day: Date) -> bool {
    HOLIDAYS.contains(&(day.month(), day.day()))
}

/// The statements of a text, by year.
fn statements(text: &str, mistakes: &mut Vec<Mistake>) -> Vec<Stated> {
    let mut years: Vec<Stated> = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let words: Vec<&str> = text.split('#').next().unwrap_or_default().split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let added = match words[..] {
            ["year", year, ref basis @ ..] => begin(&mut years, year, basis),
            ["move", from, to] => {
                in_year(&mut years, line, [from, to], |[from, to]| Statement::Move(from, to))
            }
            ["off", day] => in_year(&mut years, line, [day], |[day]| Statement::Off(day)),
            ["work", day] => in_year(&mut years, line, [day], |[day]| Statement::Work(day)),
            _ => Err(format!(
                "expected year YEAR decree DATE NUMBER, year YEAR code, move DATE DATE, off DATE or work DATE, \
                 found {:?}",
                crate::parse::text::cut(text.trim(), 80)
            )),
        };
        mistakes.extend(added.err().map(|what| Mistake { line, what }));
    }
    years
}

fn begin(years: &mut Vec<Stated>, text: &str, basis: &[&str]) -> Result<(), String> {
    let year = text.parse().ok().filter(|year| (1993..=9000).contains(year));
    let year = year.ok_or_else(|| format!("expected a year such as 2026, found {text:?}"))?;
    let is_known = years.iter().any(|known| known.year == year);
    let decree = match basis {
        ["code"] => Ok(None),
        ["decree", day, number] => {
            day_of(day).map(|day| Some(format!("{day} no. {}", crate::parse::text::cut(number, 20))))
        }
        _ => Err("expected code, or decree with its date and number".to_owned()),
    };
    // Also with a wrong basis, so that the lines below it are not all reported.
    years.push(Stated { year, decree: decree.clone().unwrap_or_default(), statements: Vec::new() });
    if is_known {
        return Err(format!("{year} has begun in a line above"));
    }
    decree.map(|_| ())
}

fn in_year<const DAYS: usize>(
    years: &mut [Stated],
    line: usize,
    texts: [&str; DAYS],
    statement: impl Fn([Date; DAYS]) -> Statement,
) -> Result<(), String> {
    let mut days = [Date::ZERO; DAYS];
    for (day, text) in days.iter_mut().zip(texts) {
        *day = day_of(text)?;
    }
    let year = years.last_mut().ok_or("expected a year line above it")?;
    if let Some(other) = days.iter().find(|day| day.year() != year.year) {
        return Err(format!("{other} is not in {}, whose lines these are", year.year));
    }
    year.statements.push((line, statement(days)));
    Ok(())
}

fn day_of(text: &str) -> Result<Date, String> {
    // A date alone: the parser would also take a date with a time.
    text.parse().ok().filter(|_| text.len() == 10).ok_or_else(|| {
        format!("expected a date such as 2026-01-09, found {:?}", crate::parse::text::cut(text, 40))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Calendar::parse(text, Path::new("days.txt")).expect_err("mistakes").to_string()
    }

    #[test]
    fn the_days_that_everybody_knows_are_as_they_were() {
        let calendar = Calendar::built_in();
        for (days, is_working) in [
            // Worked Saturdays, and what was off for them.
            ("2024-04-27 2024-11-02 2024-12-28 2025-11-01 2027-02-20", true),
            ("2024-04-29 2024-04-30 2024-12-30 2025-11-03 2027-02-22", false),
            // Moved from January.
            ("2023-02-24 2023-05-08 2024-05-10 2024-12-31 2025-05-02 2025-12-31", false),
            ("2026-01-09 2026-12-31 2027-11-05 2027-12-31", false),
            // Moved from holidays on weekends, by decree and by article 112.
            ("2025-05-08 2025-06-13", false),
            ("2025-02-24 2025-03-10", true),
            ("2023-11-06 2026-03-09 2026-05-11 2027-05-03 2027-05-10 2027-06-14", false),
            // Ordinary ones.
            ("2023-01-09 2024-01-09 2025-01-09 2026-01-12 2027-01-11 2026-05-08 2026-11-03", true),
            ("2026-02-23 2026-06-12 2026-11-04 2026-02-28 2026-03-01", false),
        ] {
            for day in days.split(' ') {
                let day: Date = day.parse().expect("a date");
                assert_eq!(calendar.is_working_day(day), is_working, "{day}");
            }
        }
    }

    #[test]
    fn each_year_has_as_many_working_days_as_its_published_calendar() {
        let calendar = Calendar::built_in();
        for (year, expected) in [(2023, 247), (2024, 248), (2025, 247), (2026, 247), (2027, 247)] {
            let days = date(year, 1, 1).series(jiff::Span::new().days(1));
            let days = days.take_while(|day| day.year() == year);
            assert_eq!(days.filter(|day| calendar.is_working_day(*day)).count(), expected, "{year}");
            assert!(calendar.knows(year));
        }
        assert_eq!(calendar.decrees().count(), 5);
    }

    #[test]
    fn a_year_without_a_line_follows_the_labour_code_alone() {
        let calendar = Calendar::built_in();
        assert!(!calendar.knows(2028) && !calendar.knows(2022));
        for (day, is_working) in [
            // 1, 2 and 8 January 2028 are on weekends: only the Government moves these.
            (date(2028, 1, 8), false),
            (date(2028, 1, 10), true),
            (date(2028, 12, 29), true),
            // 4 November 2028 is a Saturday.
            (date(2028, 11, 6), false),
            (date(2028, 11, 7), true),
            // 12 June 2033 is a Sunday, 1 May 2033 too.
            (date(2033, 6, 13), false),
            (date(2033, 5, 2), false),
            (date(2033, 5, 3), true),
        ] {
            assert_eq!(calendar.is_working_day(day), is_working, "{day}");
        }
    }

    #[test]
    fn lines_for_other_reasons_change_single_days_and_code_is_not_a_decree() {
        let text = "year 2028 code # nothing is known\noff 2028-06-01\nwork 2028-06-03\n";
        let calendar = Calendar::parse(text, Path::new("days.txt")).expect("valid");
        assert!(!calendar.knows(2028));
        assert!(!calendar.is_working_day(date(2028, 6, 1)));
        assert!(calendar.is_working_day(date(2028, 6, 3)));
        // A holiday's own day off can be worked by such a line.
        let text = "year 2028 code\nwork 2028-11-06\n";
        let calendar = Calendar::parse(text, Path::new("days.txt")).expect("valid");
        assert!(calendar.is_working_day(date(2028, 11, 6)));
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "move 2026-01-03 2026-01-09\n\
                    year 2026 decree\n\
                    year 26 code\n\
                    year 2026 decree 2025-09-24 1466\n\
                    # nothing\n\
                    move 2026-01-03 2026-01-09 2026-01-10\n\
                    move 2026-01-05 2026-01-09\n\
                    move 2026-01-03 2026-01-04\n\
                    move 2026-01-03 2026-13-09\n\
                    move 2026-01-03 2027-01-11\n\
                    move 2026-01-03 2026-01-09\n\
                    move 2026-01-04 2026-01-09\n\
                    off 2026-03-09\n\
                    work 2026-03-10\n\
                    holiday 2026-03-10\n\
                    off 2026-03-10T12:00\n";
        let found = wrong(text);
        for part in [
            "days.txt: 14 mistakes",
            "line 1: expected a year line above it",
            "line 2: expected code, or decree",
            "line 3: expected a year such as 2026, found \"26\"",
            "line 4: 2026 has begun in a line above",
            "line 6: expected year YEAR",
            "line 7: 2026-01-05 is no Saturday or Sunday",
            "line 8: 2026-01-04 is a weekend day or a holiday already",
            "line 9: expected a date such as 2026-01-09, found \"2026-13-09\"",
            "line 10: 2027-01-11 is not in 2026",
            "line 12: 2026-01-09 is named in line 11 already",
            "line 13: 2026-03-09 is a day off already",
            "line 14: 2026-03-10 is a working day already",
            "line 15: expected year YEAR",
            "line 16: expected a date",
        ] {
            assert!(found.contains(part), "{part:?} is missing in:\n{found}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused_briefly() {
        let found = wrong(&"nonsense\n".repeat(MAX_MISTAKES + 7));
        assert_eq!(found.lines().count(), MAX_MISTAKES + 2, "{found}");
        assert!(found.ends_with("and 7 more"), "{found}");
        let long = "#".repeat(MAX_FILE_BYTES as usize + 1);
        assert!(wrong(&long).contains("which no calendar has"));
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("days.txt");
        let missing = Calendar::read(&path).expect_err("missing").to_string();
        assert!(missing.contains("days.txt"), "{missing}");
        std::fs::write(&path, long).expect("written");
        assert!(matches!(Calendar::read(&path), Err(CalendarError::Size(_))));
        std::fs::write(&path, include_str!("calendar.ru.txt")).expect("written");
        assert_eq!(Calendar::read(&path).expect("valid"), Calendar::built_in());
    }
}
