//! The inventory: every field that is stored, why, for how long, and what it means.
//!
//! In: nothing. Out: one table, for a subject's export ("everything held, with
//! meaning and source of each field"), for `metka policy` and for the records that
//! the law asks for. Its columns are compared with `schema/` and with the engine's
//! `system.columns` in both directions (`tests/retention/inventory.rs`), its files with what
//! the code writes: a field that is stored and not told here fails a test.
//!
//! A backup holds the tables and the spool again, and no field of its own: its line
//! is [`Place::Backups`], with a term of its own. Logs hold nothing of a person.
//!
//! Clauses are those of the published policy. `6.2.3` covers what a careful operator
//! needs to keep the data whole (batch numbers, keys, accounts).

mod hits;
mod others;
mod rollups;

/// Where a field is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A table of storage.
    Table(&'static str),
    /// The collector's log on disk: the rows of `hits` until storage has them, and
    /// what is beside them.
    Spool,
    /// `keys.dir`.
    KeyRing,
    /// `people.json`: accounts and tokens of those who look at the numbers.
    People,
    /// `sessions.json`.
    Sessions,
    /// `backup.dir`, and wherever its files were copied.
    Backups,
    /// `retention/last.json`.
    RetentionReport,
    /// `rights/`: requests, blocks, erasures under way, acts.
    Rights,
    /// `audit/`.
    Audit,
    /// `settings/`: what people keep beside the numbers.
    Settings,
}

/// What a field says of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Personal {
    /// It singles a person or a browser out by itself.
    Identifies,
    /// It is about one, and is tied to them by the visitor's hash in the same row.
    Linked,
    /// It is about one of the operator's own people.
    Staff,
    /// It is about nobody.
    No,
}

/// How long a field is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    RawDays,
    IpDays,
    CityDays,
    UserKeyDays,
    PropsDays,
    /// `backup.max_age`.
    BackupMaxAge,
    /// Until storage has it: minutes, or as long as storage is away, at most its row's term.
    UntilStored,
    /// As long as the work lasts, or until a later one replaces it.
    Replaced,
    /// Until a person removes it.
    Removed,
    /// A fixed time, told in words.
    Fixed(&'static str),
}

/// Where a field comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A header of the browser's request, by its name.
    Header(&'static str),
    /// A cookie that the collector set.
    Cookie,
    /// The network connection, or the header in which a trusted proxy names it.
    Connection,
    /// The site's page, through the pixel or the script.
    Page,
    /// The collector made it from the sources named.
    Computed(&'static str),
    /// The site's configuration.
    Settings,
    /// Whoever works with the numbers typed or chose it.
    Operator,
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub place: Place,
    pub name: &'static str,
    pub personal: Personal,
    /// The clause of the policy by which it may be held.
    pub clause: &'static str,
    pub term: Term,
    pub source: Source,
    pub english: &'static str,
    pub russian: &'static str,
}

/// All fields, those of `hits` first.
pub fn all() -> impl Iterator<Item = &'static Field> {
    hits::FIELDS.iter().chain(others::FIELDS).chain(rollups::FIELDS)
}

/// The fields of one place.
pub fn of(place: Place) -> impl Iterator<Item = &'static Field> {
    all().filter(move |field| field.place == place)
}

/// One line of the table, in the order of its columns.
const fn at(
    place: Place,
    name: &'static str,
    (personal, clause): (Personal, &'static str),
    (term, source): (Term, Source),
    english: &'static str,
    russian: &'static str,
) -> Field {
    Field { place, name, personal, clause, term, source, english, russian }
}

/// One field by its place and name.
pub fn field(place: Place, name: &str) -> Option<&'static Field> {
    of(place).find(|field| field.name == name)
}

// === impl Place ===

impl Place {
    pub const ALL: [Place; 21] = [
        Place::Table("hits"),
        Place::Table("refusals"),
        Place::Table("erase_queue"),
        Place::Table("blocked"),
        Place::Table("held"),
        Place::Table("ended"),
        Place::Table("corrections"),
        Place::Table("migrations"),
        Place::Table("visits"),
        Place::Table("visitors_by_day"),
        Place::Table("visits_by_day"),
        Place::Table("rollup_days"),
        Place::Spool,
        Place::KeyRing,
        Place::People,
        Place::Sessions,
        Place::Backups,
        Place::RetentionReport,
        Place::Rights,
        Place::Audit,
        Place::Settings,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Place::Table(name) => name,
            Place::Spool => "spool",
            Place::KeyRing => "key ring",
            Place::People => "people.json",
            Place::Sessions => "sessions.json",
            Place::Backups => "backups",
            Place::RetentionReport => "retention/last.json",
            Place::Rights => "rights",
            Place::Audit => "audit",
            Place::Settings => "settings",
        }
    }
}

// === impl Personal ===

impl Personal {
    pub fn name(self) -> &'static str {
        match self {
            Personal::Identifies => "identifies",
            Personal::Linked => "linked by the visitor's hash",
            Personal::Staff => "the operator's own people",
            Personal::No => "no",
        }
    }

    /// Whether it belongs into the answer to a visitor's request.
    pub fn is_of_a_visitor(self) -> bool {
        matches!(self, Personal::Identifies | Personal::Linked)
    }
}

// === impl Term ===

impl Term {
    /// The setting that decides, or the time in words.
    pub fn name(self) -> &'static str {
        match self {
            Term::RawDays => "retention.raw_days",
            Term::IpDays => "retention.ip_days",
            Term::CityDays => "retention.city_days",
            Term::UserKeyDays => "retention.user_key_days",
            Term::PropsDays => "retention.props_days",
            Term::BackupMaxAge => "backup.max_age",
            Term::UntilStored => "until storage has it",
            Term::Replaced => "until the work is done",
            Term::Removed => "until it is removed",
            Term::Fixed(time) => time,
        }
    }
}

// === impl Source ===

impl Source {
    pub fn name(self) -> &'static str {
        match self {
            Source::Header(name) | Source::Computed(name) => name,
            Source::Cookie => "the collector's cookie",
            Source::Connection => "the connection",
            Source::Page => "the page",
            Source::Settings => "the site's settings",
            Source::Operator => "the operator",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::row::COLUMNS;
    use crate::web::people::People;
    use crate::web::role::Role;

    fn names(place: Place) -> BTreeSet<String> {
        of(place).map(|field| field.name.to_owned()).collect()
    }

    #[test]
    fn every_field_is_told_once_and_in_both_languages() {
        let mut seen = BTreeSet::new();
        for field in all() {
            let name = format!("{} {}", field.place.name(), field.name);
            assert!(Place::ALL.contains(&field.place), "{name}");
            assert!(seen.insert(name.clone()), "{name} twice");
            assert!(field.english.is_ascii() && field.english.ends_with('.'), "{name}: {}", field.english);
            let is_russian = field.russian.chars().any(|letter| ('а'..='я').contains(&letter));
            assert!(is_russian && field.russian.ends_with('.'), "{name}: {}", field.russian);
            assert!(field.clause.starts_with(|first: char| first.is_ascii_digit()), "{name}");
        }
        for place in Place::ALL {
            assert!(of(place).next().is_some(), "{} has no field", place.name());
        }
    }

    #[test]
    fn the_fields_of_hits_stand_in_the_order_of_the_row() {
        let fields: Vec<&str> = of(Place::Table("hits")).map(|field| field.name).collect();
        assert_eq!(fields, COLUMNS);
    }

    #[test]
    fn what_has_a_term_of_its_own_in_a_row_has_it_here() {
        for (name, term) in [
            ("ip", Term::IpDays),
            ("ip_key", Term::IpDays),
            ("city", Term::CityDays),
            ("user_key", Term::UserKeyDays),
            ("props", Term::PropsDays),
        ] {
            assert_eq!(field(Place::Table("hits"), name).map(|field| field.term), Some(term), "{name}");
        }
        let others = of(Place::Table("hits")).filter(|field| field.term == Term::RawDays).count();
        assert_eq!(others, COLUMNS.len() - 5);
        assert!(of(Place::Table("refusals")).all(|field| field.term == Term::IpDays));
    }

    /// All names of members in a JSON text, however deep.
    fn members(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(object) => {
                for (name, value) in object {
                    if !value.is_array() {
                        found.insert(name.clone());
                    }
                    members(value, found);
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| members(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_files_of_people_and_sessions_have_exactly_these_fields() {
        let dir = tempfile::tempdir().expect("a directory");
        let people = People::new(dir.path());
        people
            .change(|roster| {
                roster.add("officer", Role::ALL[0], Some("hash".to_owned()), 1)?;
                roster.offer_second_factor("officer")?;
                roster.create_token("grafana", Role::ALL[0], None, None, 1).map(drop)
            })
            .expect("written");
        let roster = people.read().expect("read");
        let sessions = crate::web::sessions::Sessions::open(dir.path()).expect("opened");
        sessions.begin(roster.person("officer").expect("added"), 1).expect("begun");
        for (place, file) in [(Place::People, "people.json"), (Place::Sessions, "sessions.json")] {
            let text = std::fs::read(dir.path().join(file)).expect("readable");
            let mut found = BTreeSet::new();
            members(&serde_json::from_slice(&text).expect("JSON"), &mut found);
            found.remove("version");
            assert_eq!(found, names(place), "{file}");
        }
    }

    #[test]
    fn the_settings_of_a_site_have_exactly_these_lists() {
        let empty = serde_json::to_value(crate::settings::Settings::default()).expect("JSON");
        let mut found: BTreeSet<String> = empty.as_object().expect("an object").keys().cloned().collect();
        found.remove("version");
        found.remove("last");
        assert_eq!(found, names(Place::Settings));
    }

    #[test]
    fn the_key_ring_has_exactly_these_fields() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = crate::config::Keys::in_dir(&dir.path().join("keys"));
        let ring = crate::privacy::keys::KeyRing::open(&keys).expect("a ring");
        ring.rotate_address_key(2026 * 12 + 11).expect("made");
        ring.rotate_address_key(2026 * 12 + 11).expect("retired and made");
        ring.rotate_address_key(2026 * 12 + 10).expect("made");
        ring.destroy_address_key(20_261_001).expect("destroyed");
        let day = "2026-11-25".parse().expect("a day");
        ring.cookieless_visitor("clinic", day, b"prefix", "agent");
        let text = std::fs::read_to_string(keys.dir.join("ring.toml")).expect("readable");
        let table: toml::Table = text.parse().expect("TOML");
        let mut found = BTreeSet::new();
        for list in table.values().filter_map(toml::Value::as_array) {
            found.extend(list.iter().filter_map(toml::Value::as_table).flat_map(|one| one.keys().cloned()));
        }
        found.insert("master".to_owned());
        assert_eq!(found, names(Place::KeyRing));
    }
}
