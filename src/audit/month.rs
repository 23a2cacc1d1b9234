//! The files of the trail: their names, and what stands at the end of one.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::line::{Line, MAX_LINE_BYTES};
use super::{AuditError, Damage, at};

/// The most files a trail may have: fifty years, where the longest term is ten. A
/// look opens them all at once.
pub(super) const MAX_MONTHS: usize = 600;

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month {
    year: i16,
    month: i8,
}

/// The end of one file.
pub(super) struct Tail {
    /// The length of the file, and of its whole lines.
    pub bytes: u64,
    pub whole: u64,
    pub last: Option<Line>,
}

// === impl Month ===

impl Month {
    pub fn of(at: Timestamp) -> Month {
        let date = at.to_zoned(TimeZone::UTC).date();
        Month { year: date.year(), month: date.month() }
    }

    /// The month of a file's name; none for files of other sorts.
    pub fn named(name: &str) -> Option<Month> {
        let month = Month::parse(name.strip_suffix(".log")?)?;
        (month.name() == name).then_some(month)
    }

    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Option<Month> {
        let (year, month) = text.split_once('-')?;
        let date = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        (date.year() >= 0).then_some(Month { year: date.year(), month: date.month() })
    }

    pub fn name(self) -> String {
        format!("{self}.log")
    }

    pub fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    /// The first moment after it; none at the end of the calendar.
    pub fn end(self) -> Option<Timestamp> {
        let next = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        Some(Date::new(next.0, next.1, 1).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

// === impl Tail ===

impl Tail {
    /// Reads it; `number` is of the entry that should stand there, for errors.
    pub fn read(path: &Path, number: u64) -> Result<Tail, AuditError> {
        let file = open(path)?;
        let bytes = file.metadata().map_err(at(path))?.len();
        // The torn line and the whole one before it.
        let from = bytes.saturating_sub(2 * MAX_LINE_BYTES as u64);
        let mut window = vec![0; (bytes - from) as usize];
        file.read_exact_at(&mut window, from).map_err(at(path))?;
        let long = || AuditError::damaged(path, number, Damage::Form);
        let Some(end) = window.iter().rposition(|byte| *byte == b'\n') else {
            return if from == 0 { Ok(Tail { bytes, whole: 0, last: None }) } else { Err(long()) };
        };
        let start = window[..end].iter().rposition(|byte| *byte == b'\n').map(|before| before + 1);
        let start = start.or((from == 0).then_some(0)).ok_or_else(long)?;
        let line = Line::parse(&window[start..end]).ok_or_else(long)?;
        Ok(Tail { bytes, whole: from + end as u64 + 1, last: Some(line) })
    }
}

/// The months that have a file, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<Month>, AuditError> {
    let listed = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(at(dir))?,
    };
    let mut months = Vec::new();
    for entry in listed {
        let name = entry.map_err(at(dir))?.file_name();
        months.extend(name.to_str().and_then(Month::named));
        if months.len() > MAX_MONTHS {
            return Err(AuditError::Many(dir.to_owned()));
        }
    }
    months.sort_unstable();
    Ok(months)
}

/// Opens a file of the trail to read it; refuses one that others can read.
pub(super) fn open(path: &Path) -> Result<File, AuditError> {
    let file = File::open(path).map_err(at(path))?;
    let mode = file.metadata().map_err(at(path))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AuditError::Mode { path: path.to_owned(), mode });
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_one_name_and_ends_where_the_next_begins() {
        for (name, end) in [
            ("2026-11.log", Some("2026-12-01T00:00:00Z")),
            ("2026-12.log", Some("2027-01-01T00:00:00Z")),
            ("2026-1.log", None),
            ("2026-13.log", None),
            ("-2026-01.log", None),
            ("2026-11.log.new", None),
            ("head", None),
        ] {
            let month = Month::named(name);
            assert_eq!(month.and_then(Month::end).map(|end| end.to_string()).as_deref(), end, "{name}");
        }
        let last = "2026-11-30T23:59:59.999Z".parse().expect("an instant");
        assert_eq!(Month::of(last).name(), "2026-11.log");
    }
}
