//! Which kinds of data have a term, and when it has run out: the one place where a
//! condition is built, for counting, for removing and for verifying.
//!
//! In: a kind and a moment. Out: SQL over the columns of its table, whose only
//! values are numbers of ours: a mutation's file keeps its text.
//!
//! Each row carries its own terms. A term of n days has run out when
//! `time + n × 24 h <= now`, to the millisecond. Held rows (`hold`) are past their
//! term like others, but never expired. What goes with the whole row is not
//! counted again with its columns.

/// A day, in milliseconds: terms are not calendar days.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// From this age on, in days, storage's own term (a TTL) removes a held row too:
/// nothing is held for ever (schema/README.md).
const HOLD_DAYS: i64 = 3650;

/// A table of rows with terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Hits,
    Refusals,
}

/// What a term is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whole rows of hits.
    Raw,
    /// The encrypted address, and the id of its key.
    Ip,
    City,
    UserKey,
    Props,
    /// Whole sums of refused hits: what they hold of a person is the address.
    Refusals,
}

// === impl Table ===

impl Table {
    pub const ALL: [Table; 2] = [Table::Hits, Table::Refusals];

    pub fn name(self) -> &'static str {
        match self {
            Table::Hits => "hits",
            Table::Refusals => "refusals",
        }
    }

    /// The kind of its whole rows.
    pub fn rows(self) -> Kind {
        match self {
            Table::Hits => Kind::Raw,
            Table::Refusals => Kind::Refusals,
        }
    }

    /// The kinds of its columns.
    pub fn columns(self) -> &'static [Kind] {
        match self {
            Table::Hits => &[Kind::Ip, Kind::City, Kind::UserKey, Kind::Props],
            Table::Refusals => &[],
        }
    }

    /// All kinds, rows first.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        std::iter::once(self.rows()).chain(self.columns().iter().copied())
    }

    /// The time of a row in milliseconds since 1970.
    pub fn time(self) -> &'static str {
        match self {
            Table::Hits => "toUnixTimestamp64Milli(time)",
            Table::Refusals => "(toInt64(toUnixTimestamp(hour)) * 1000)",
        }
    }

    fn hold(self) -> &'static str {
        match self {
            Table::Hits => "hold",
            // A sum of refusals is nobody's claim.
            Table::Refusals => "false",
        }
    }
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Kind; 6] = [Kind::Raw, Kind::Ip, Kind::City, Kind::UserKey, Kind::Props, Kind::Refusals];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Raw => "raw",
            Kind::Ip => "ip",
            Kind::City => "city",
            Kind::UserKey => "user_key",
            Kind::Props => "props",
            Kind::Refusals => "refusals",
        }
    }

    pub fn table(self) -> Table {
        match self {
            Kind::Refusals => Table::Refusals,
            _ => Table::Hits,
        }
    }

    /// The column with the row's own term, in days.
    pub fn days(self) -> &'static str {
        match self {
            Kind::Raw => "keep_days",
            Kind::Ip | Kind::Refusals => "ip_days",
            Kind::City => "city_days",
            Kind::UserKey => "user_key_days",
            Kind::Props => "props_days",
        }
    }

    /// The columns that are wiped, each with what is left; none for whole rows.
    pub fn wiped(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Raw | Kind::Refusals => &[],
            // Of a wiped address not even the key is told.
            Kind::Ip => &[("ip", "toFixedString('', 16)"), ("ip_key", "toUInt32(0)")],
            Kind::City => &[("city", "''")],
            Kind::UserKey => &[("user_key", "toUInt64(0)")],
            Kind::Props => &[("props", "CAST(map(), 'Map(String, String)')")],
        }
    }

    /// The row holds something of this kind.
    pub fn present(self) -> &'static str {
        match self {
            Kind::Raw | Kind::Refusals => "true",
            Kind::Ip => "(ip_key != 0 OR ip != toFixedString('', 16))",
            Kind::City => "city != ''",
            Kind::UserKey => "user_key != 0",
            Kind::Props => "notEmpty(props)",
        }
    }

    /// What the job removes.
    pub fn expired(self, now_ms: i64) -> String {
        let table = self.table();
        let own = self.past(now_ms);
        let kept = match self == table.rows() {
            true => String::new(),
            false => format!(" AND NOT {}", table.rows().past(now_ms)),
        };
        format!("({} AND {own}{kept} AND NOT {})", self.present(), table.hold())
    }

    /// What only `hold` keeps.
    pub fn held_back(self, now_ms: i64) -> String {
        format!("({} AND {} AND {})", self.present(), self.past(now_ms), self.table().hold())
    }

    /// What is there, not held, and stays: its age may be told.
    pub fn young(self, now_ms: i64) -> String {
        let (table, own) = (self.table(), self.past(now_ms));
        let row = table.rows().past(now_ms);
        format!("({} AND NOT {} AND NOT ({own} OR {row}))", self.present(), table.hold())
    }

    /// What nothing may have removed when the job is done: neither it, nor storage's
    /// own terms, which go by a clock that goes on while the job runs.
    pub fn safe(self, now_ms: i64) -> String {
        let soon = now_ms.saturating_add(DAY_MS);
        let (table, past) = (self.table(), self.past(soon));
        let row = table.rows().past(soon);
        let held = format!("({} AND {} + {} > {soon})", table.hold(), table.time(), HOLD_DAYS * DAY_MS);
        format!("({} AND ({held} OR NOT ({past} OR {row})))", self.present())
    }

    fn past(self, now_ms: i64) -> String {
        format!("({} + toInt64({}) * {DAY_MS} <= {now_ms})", self.table().time(), self.days())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_the_rows_own_term_and_the_given_moment_only() {
        assert_eq!(
            Kind::Raw.expired(7),
            "(true AND (toUnixTimestamp64Milli(time) + toInt64(keep_days) * 86400000 <= 7) AND NOT hold)"
        );
        for kind in Kind::ALL {
            for text in [kind.expired(123), kind.held_back(123), kind.safe(123)] {
                assert!(text.contains(kind.days()), "{text}");
                assert!(!text.contains("now"), "{text}");
            }
            assert!(kind.table().kinds().any(|other| other == kind));
            assert_eq!(kind.wiped().is_empty(), kind == kind.table().rows());
        }
    }
}
