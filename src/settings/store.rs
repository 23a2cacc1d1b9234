//! The files of what is kept: `settings/SITE.json` in the data directory.
//!
//! The server and the commands use the same files. Writers hold `settings/lock` and
//! replace a file whole, as with `people.json`: after a crash the old or the new text is
//! there. Readers look at its version on each use, so that a change by either is seen by
//! the other at the next request, and a removed link is refused at once.
//!
//! Limits: [`MAX_FILE_BYTES`], [`MAX_CHANGES`], and those of [`super::kept`].

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use jiff::civil::Date;

use super::change::{Change, Done};
use super::kept::Kept;
use super::{Funnel, Goal, Kind, Link, Note, Report, Segment, Settings};
use crate::audit::AuditError;
use crate::config::{MAX_SITE_ID_BYTES, MAX_SITES};
use crate::private_file::{self as file, Version};

/// The most that one file may have, in bytes: every change writes it as a whole.
pub const MAX_FILE_BYTES: u64 = 8 << 20;
/// The most changes at once: a site set up anew from a file.
pub const MAX_CHANGES: usize = 1000;

/// The directory of the files, in the data directory.
pub const DIRECTORY: &str = "settings";
const LOCK_NAME: &str = "lock";
const FILE_VERSION: u32 = 1;

/// The store.
pub struct Store {
    directory: PathBuf,
    cached: RwLock<HashMap<String, Seen>>,
}

/// A site's settings, as the file of this version had them.
type Seen = (Option<Version>, Arc<Settings>);

/// Who changes something.
#[derive(Clone, Debug)]
pub struct Author {
    /// As the audit trail names them; what they make carries it.
    pub name: String,
    /// Whether they may change what others made.
    pub others: bool,
}

/// Why what is kept could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file or its lock cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The file is not what this version writes.
    #[error("{}: not settings of a site: {source}", path.display())]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("{}: written by a later metka (version {version}, this one knows {FILE_VERSION})", path.display())]
    Later { path: PathBuf, version: u32 },
    /// It reads, and says what cannot be.
    #[error("{}: the settings are damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    /// The id of a site that cannot be one.
    #[error("{0:?} is not the id of a site")]
    Site(String),
    #[error("the settings would have {0} bytes, at most {MAX_FILE_BYTES} are kept")]
    Bytes(u64),
    #[error("{0} changes, at most {MAX_CHANGES} are made at once")]
    Changes(usize),
    /// Something that may not be kept as it was asked for.
    #[error("{field}: {what}")]
    Wrong { field: String, what: String },
    #[error("there are {0} {1}s already, at most so many are kept")]
    Many(usize, Kind),
    #[error("there is no {kind} {id:?}")]
    None { kind: Kind, id: String },
    #[error("{kind}.name: another {kind} is named {name:?}")]
    Taken { kind: Kind, name: String },
    #[error("the goal {goal} is a step of the funnel {funnel}")]
    Needed { goal: String, funnel: String },
    #[error("the {kind} {id} was made by somebody else")]
    Foreign { kind: Kind, id: String },
    /// The change could not be written into the audit trail, so it was not made.
    #[error("the audit trail: {0}")]
    Audit(#[from] AuditError),
}

// === impl Store ===

impl Store {
    /// The store of a data directory. Nothing is read or made yet.
    pub fn new(data_dir: &Path) -> Store {
        Store { directory: data_dir.join(DIRECTORY), cached: RwLock::default() }
    }

    /// What is kept of a site now; empty where there is no file.
    pub fn read(&self, site: &str) -> Result<Arc<Settings>, SettingsError> {
        let path = self.path(site)?;
        let version = file::version(&path).map_err(|source| trouble(&path, source))?;
        if let Some((cached, settings)) = self.cached.read().expect("no panic holds this lock").get(site)
            && *cached == version
        {
            return Ok(settings.clone());
        }
        let settings = Arc::new(load(&path)?);
        let mut cached = self.cached.write().expect("no panic holds this lock");
        if cached.len() > MAX_SITES {
            cached.clear();
        }
        cached.insert(site.to_owned(), (version, settings.clone()));
        Ok(settings)
    }

    /// Makes changes in their order, all or none, alone among all processes, and waits
    /// until that is durable. `note` writes the entry of each into the audit trail; what
    /// is refused has none.
    pub fn change(
        &self,
        site: &str,
        author: &Author,
        changes: Vec<Change>,
        now: i64,
        mut note: impl FnMut(&Done) -> Result<(), AuditError>,
    ) -> Result<Vec<Done>, SettingsError> {
        if changes.len() > MAX_CHANGES {
            return Err(SettingsError::Changes(changes.len()));
        }
        self.update(site, |settings| {
            let made = changes.into_iter().map(|change| change.make(settings, author, now));
            let made = made.collect::<Result<Vec<Done>, SettingsError>>()?;
            // What cannot be written has no entry either.
            written(settings)?;
            made.iter().try_for_each(&mut note)?;
            Ok(made)
        })
    }

    /// Notes for which period a report was sent; an earlier one than noted changes nothing.
    pub fn report_sent(&self, site: &str, id: &str, period: Date) -> Result<(), SettingsError> {
        self.update(site, |settings| {
            // Removed meanwhile: there is nothing to be noted.
            if let Some(report) = settings.reports.iter_mut().find(|report| report.id == id) {
                report.sent = report.sent.max(Some(period));
            }
            Ok(())
        })
    }

    fn update<T>(
        &self,
        site: &str,
        change: impl FnOnce(&mut Settings) -> Result<T, SettingsError>,
    ) -> Result<T, SettingsError> {
        let path = self.path(site)?;
        let lock_path = self.directory.join(LOCK_NAME);
        let _lock = file::lock(&lock_path).map_err(|source| trouble(&lock_path, source))?;
        let mut settings = load(&path)?;
        settings.version = FILE_VERSION;
        let value = change(&mut settings)?;
        file::replace(&path, &written(&settings)?).map_err(|source| trouble(&path, source))?;
        Ok(value)
    }

    /// The name of a site's file; the id is what stands in the configuration.
    fn path(&self, site: &str) -> Result<PathBuf, SettingsError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if site.is_empty() || site.len() > MAX_SITE_ID_BYTES || !site.bytes().all(fits) {
            return Err(SettingsError::Site(site.chars().take(MAX_SITE_ID_BYTES).collect()));
        }
        Ok(self.directory.join(format!("{site}.json")))
    }
}

fn load(path: &Path) -> Result<Settings, SettingsError> {
    let bytes = file::read_within(path, MAX_FILE_BYTES).map_err(|source| trouble(path, source))?;
    let Some(bytes) = bytes else { return Ok(Settings::default()) };
    let settings: Settings = serde_json::from_slice(&bytes)
        .map_err(|source| SettingsError::Format { path: path.to_owned(), source })?;
    if settings.version != FILE_VERSION {
        return Err(SettingsError::Later { path: path.to_owned(), version: settings.version });
    }
    check(&settings).map_err(|what| SettingsError::Damaged { path: path.to_owned(), what })?;
    Ok(settings)
}

/// The text of the file.
fn written(settings: &Settings) -> Result<Vec<u8>, SettingsError> {
    let mut text = serde_json::to_vec_pretty(settings).expect("settings have string keys only");
    text.push(b'\n');
    match text.len() as u64 {
        ..=MAX_FILE_BYTES => Ok(text),
        bytes => Err(SettingsError::Bytes(bytes)),
    }
}

/// What would let an id be given twice, or a funnel name no goal.
fn check(settings: &Settings) -> Result<(), String> {
    check_ids::<Goal>(settings)?;
    check_ids::<Funnel>(settings)?;
    check_ids::<Segment>(settings)?;
    check_ids::<Note>(settings)?;
    check_ids::<Link>(settings)?;
    check_ids::<Report>(settings)?;
    for funnel in &settings.funnels {
        if let Some(step) = funnel.steps.iter().find(|step| settings.goal_by_id(step).is_none()) {
            return Err(format!("the funnel {} names {step:?}, which is no goal", funnel.id));
        }
    }
    Ok(())
}

fn check_ids<T: Kept>(settings: &Settings) -> Result<(), String> {
    let list = T::list(settings);
    if list.len() > T::MOST {
        return Err(format!("{} {}s, at most {} are kept", list.len(), T::KIND, T::MOST));
    }
    let mut seen = HashSet::new();
    for thing in list {
        let number = thing.id().strip_prefix(T::KIND.letter()).and_then(|digits| digits.parse::<u64>().ok());
        match number {
            Some(number) if number <= settings.last && seen.insert(number) => {}
            Some(_) => return Err(format!("{:?} is there twice, or beyond the last id given", thing.id())),
            None => return Err(format!("{:?} is not the id of a {}", thing.id(), T::KIND)),
        }
    }
    Ok(())
}

fn trouble(path: &Path, source: std::io::Error) -> SettingsError {
    SettingsError::File { path: path.to_owned(), source }
}

// === impl SettingsError ===

impl SettingsError {
    /// Whether what was asked is at fault, and not what is kept here.
    pub fn is_of_the_question(&self) -> bool {
        use SettingsError::{Bytes, Changes, Many, Needed, None, Taken, Wrong};
        matches!(
            self,
            Wrong { .. } | Many(..) | None { .. } | Taken { .. } | Needed { .. } | Bytes(_) | Changes(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;
    use crate::audit::{Actor, Entry};
    use crate::settings::kept::{MAX_GOALS, MAX_NAME_CHARS};

    const NOW: i64 = 1_790_000_000_000;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::new(dir.path());
        (dir, store)
    }

    fn author(name: &str, others: bool) -> Author {
        Author { name: name.to_owned(), others }
    }

    fn make(store: &Store, by: &Author, changes: Value) -> Result<Vec<Done>, String> {
        let changes: Vec<Change> = serde_json::from_value(changes).map_err(|error| error.to_string())?;
        store.change("clinic", by, changes, NOW, |_| Ok(())).map_err(|error| error.to_string())
    }

    fn goal(name: &str) -> Value {
        json!({"put": {"goal": {"name": name, "kind": "event", "value": "signup"}}})
    }

    #[test]
    fn what_is_put_is_read_back_by_another_store_as_it_was_asked_for() {
        let (dir, store) = store();
        let owner = author("olga", true);
        let asked = json!([
            {"put": {"goal": {"name": " Запись ", "kind": "event", "value": "signup", "currency": "RUB"}}},
            {"put": {"goal": {"name": "Цены", "kind": "page", "value": "/prices/**"}}},
            {"put": {"goal": {"name": "До конца", "kind": "scroll", "value": "/about", "percent": 90}}},
            {"put": {"goal": {"name": "Баннер", "kind": "ad_click", "value": ""}}},
            {"put": {"funnel": {"name": "Приём", "steps": ["Цены", "g1"]}}},
            {"put": {"segment": {"name": "Москва", "filters": [["is", "visit:city", ["Moscow"]]], "by": "nobody"}}},
            {"put": {"note": {"day": "2026-11-26", "text": "Новый сайт"}}},
            {"put": {"report": {"to": ["head@clinic.example"], "every": "week", "language": "ru",
                                "sent": "2026-01-01"}}},
        ]);
        make(&store, &owner, asked).expect("made");
        let read = Store::new(dir.path()).read("clinic").expect("readable");
        assert_eq!(
            read.told(),
            json!({
                "goals": [
                    {"id": "g1", "name": "Запись", "kind": "event", "value": "signup", "currency": "RUB"},
                    {"id": "g2", "name": "Цены", "kind": "page", "value": "/prices/**"},
                    {"id": "g3", "name": "До конца", "kind": "scroll", "value": "/about", "percent": 90},
                    {"id": "g4", "name": "Баннер", "kind": "ad_click", "value": ""},
                ],
                "funnels": [{"id": "f5", "name": "Приём", "steps": ["g2", "g1"]}],
                "segments": [{"id": "s6", "name": "Москва", "filters": [["is", "visit:city", ["Moscow"]]],
                              "by": "olga"}],
                "notes": [{"id": "n7", "day": "2026-11-26", "text": "Новый сайт", "by": "olga"}],
            })
        );
        assert_eq!((read.reports[0].id.as_str(), read.reports[0].sent), ("r8", None));
        let replaced =
            json!([{"put": {"goal": {"id": "g2", "name": "Цены", "kind": "page", "value": "/price"}}}]);
        assert_eq!(make(&store, &owner, replaced).expect("made")[0].deed.name(), "replaced");
        assert_eq!(store.read("clinic").expect("readable").goals[1].name, "Цены");
        assert_eq!(store.read("another").expect("readable").as_ref(), &Settings::default());
    }

    #[test]
    fn every_mistake_is_named_and_changes_nothing() {
        let (_dir, store) = store();
        let owner = author("olga", true);
        make(
            &store,
            &owner,
            json!([goal("A"), goal("B"), {"put": {"funnel": {"name": "F", "steps": ["g1", "g2"]}}}]),
        )
        .expect("made");
        let before = store.read("clinic").expect("readable");
        let long = "x".repeat(MAX_NAME_CHARS + 1);
        let page = |value: &str| json!({"put": {"goal": {"name": "N", "kind": "page", "value": value}}});
        let segment = |filters: Value| json!({"put": {"segment": {"name": "S", "filters": filters}}});
        let report = |to: Value| json!({"put": {"report": {"to": to, "every": "day", "language": "ru"}}});
        for (change, expected) in [
            (goal(""), "goal.name: 0 characters, 1 to 100 are allowed"),
            (goal(&long), "goal.name: 101 characters"),
            (goal("a\u{202e}b"), "goal.name: has a character that does not print"),
            (goal("A"), "goal.name: another goal is named \"A\""),
            (page("prices"), "goal.value: expected a path"),
            (page("/a b"), "goal.value: a path has no ' '"),
            (page("/a?b"), "goal.value: a path has no '?'"),
            (page("/***"), "goal.value: expected at most 8 of * and **"),
            (
                json!({"put": {"goal": {"name": "N", "kind": "page", "value": "/", "currency": "RUB"}}}),
                "goal.currency: only an event has one",
            ),
            (
                json!({"put": {"goal": {"name": "N", "kind": "event", "value": "e", "currency": "rub"}}}),
                "goal.currency: expected three capital letters",
            ),
            (
                json!({"put": {"goal": {"name": "N", "kind": "scroll", "value": "/"}}}),
                "goal.percent: a scroll needs one",
            ),
            (
                json!({"put": {"goal": {"name": "N", "kind": "scroll", "value": "/", "percent": 101}}}),
                "goal.percent: expected 1 to 100, found 101",
            ),
            (json!({"put": {"goal": {"name": "N", "kind": "wish", "value": "/"}}}), "unknown variant `wish`"),
            (
                json!({"put": {"goal": {"name": "N", "kind": "page", "value": "/", "price": 1}}}),
                "unknown field `price`",
            ),
            (
                json!({"put": {"goal": {"id": "g9", "name": "N", "kind": "page", "value": "/"}}}),
                "there is no goal \"g9\"",
            ),
            (
                json!({"put": {"funnel": {"name": "G", "steps": ["g1"]}}}),
                "funnel.steps: 1 steps, 2 to 8 are allowed",
            ),
            (
                json!({"put": {"funnel": {"name": "G", "steps": ["g1", "g7"]}}}),
                "funnel.steps[1]: there is no goal \"g7\"",
            ),
            (json!({"remove": {"goal": "g1"}}), "the goal g1 is a step of the funnel f3"),
            (json!({"remove": {"note": "n1"}}), "there is no note \"n1\""),
            (segment(json!([])), "segment.filters: expected at least one"),
            (
                segment(json!([["is", "visit:shoe", ["x"]]])),
                "segment.filters: #/filters/0/1: Invalid dimension",
            ),
            (
                segment(json!([["and", [["is", "segment", ["s1"]]]]])),
                "segment.filters: segments cannot be named here",
            ),
            (
                json!({"put": {"note": {"day": "0001-01-01", "text": "x"}}}),
                "note.day: 0001-01-01 is not within",
            ),
            (json!({"put": {"note": {"day": "26.11.2026", "text": "x"}}}), "expected a date such as"),
            (json!({"put": {"link": {"name": "L", "expires": NOW}}}), "link.expires: that moment has passed"),
            (report(json!([])), "report.to: 0 addresses"),
            (report(json!(["a@b.example\r\nBcc: c@d.example"])), "report.to[0]: expected an address of mail"),
            (report(json!(["a@b.example", "a@b.example"])), "report.to[1]: is there twice"),
            (
                json!({"put": {"report": {"to": ["a@b.example"], "every": "day", "language": "fr"}}}),
                "report.language: expected ru or en",
            ),
        ] {
            let error = make(&store, &owner, json!([goal("first"), change])).expect_err("refused");
            assert!(error.contains(expected), "{error:?} has no {expected:?}");
            assert!(!error.contains("b.example"), "{error}");
        }
        assert_eq!(store.read("clinic").expect("readable"), before);
    }

    #[test]
    fn ids_are_not_given_again_and_lists_are_bounded() {
        let (_dir, store) = store();
        let owner = author("olga", true);
        make(&store, &owner, json!([goal("A"), {"remove": {"goal": "g1"}}])).expect("made");
        let many: Vec<Value> = (0..MAX_GOALS).map(|number| goal(&format!("G{number}"))).collect();
        let made = make(&store, &owner, Value::Array(many)).expect("made");
        assert_eq!(made[0].id, "g2");
        let error = make(&store, &owner, json!([goal("one more")])).expect_err("refused");
        assert_eq!(error, "there are 100 goals already, at most so many are kept");
    }

    #[test]
    fn what_somebody_made_is_changed_by_them_or_by_who_may_change_all() {
        let (_dir, store) = store();
        let put =
            |id: &str, text: &str| json!([{"put": {"note": {"id": id, "day": "2026-11-26", "text": text}}}]);
        make(&store, &author("vera", false), put("", "mine")).expect("made");
        let error = make(&store, &author("ivan", false), put("n1", "his")).expect_err("refused");
        assert_eq!(error, "the note n1 was made by somebody else");
        let error =
            make(&store, &author("ivan", false), json!([{"remove": {"note": "n1"}}])).expect_err("refused");
        assert!(error.contains("somebody else"), "{error}");
        make(&store, &author("vera", false), put("n1", "mine again")).expect("made");
        make(&store, &author("olga", true), put("n1", "the owner's")).expect("made");
        let kept = &store.read("clinic").expect("readable").notes[0];
        assert_eq!((kept.text.as_str(), kept.by.as_str()), ("the owner's", "vera"));
    }

    #[test]
    fn a_link_is_found_by_its_secret_only_until_it_expires_or_is_removed() {
        let (dir, store) = store();
        let owner = author("olga", true);
        let made =
            make(&store, &owner, json!([{"put": {"link": {"name": "Partner", "expires": NOW + 100}}}]));
        let made = made.expect("made").remove(0);
        let secret = made.secret.expect("a new link has one");
        assert_eq!((secret.len(), made.told["secret"].clone()), (32, Value::Null));
        let id_at =
            |now| store.read("clinic").expect("readable").link(&secret, now).map(|link| link.id.clone());
        assert_eq!((id_at(NOW + 99), id_at(NOW + 100)), (Some("l1".to_owned()), None));
        let renamed = json!([{"put": {"link": {"id": "l1", "name": "P", "secret": "0", "filters": []}}}]);
        assert_eq!(make(&store, &owner, renamed).expect("made")[0].secret, None);
        assert_eq!(id_at(NOW + 100), Some("l1".to_owned()), "the same address, without an end now");
        let text = std::fs::read_to_string(dir.path().join("settings/clinic.json")).expect("readable");
        assert!(!text.contains(&secret));
        make(&store, &owner, json!([{"remove": {"link": "l1"}}])).expect("made");
        assert_eq!(id_at(NOW), None);
    }

    #[test]
    fn a_change_without_its_entry_is_not_made_and_entries_have_no_texts() {
        let (_dir, store) = store();
        let entries: RefCell<Vec<Entry>> = RefCell::default();
        let changes = |value: Value| serde_json::from_value::<Vec<Change>>(value).expect("changes");
        let wanted = json!([goal("Secret wish"), {"put": {"link": {"name": "Secret partner"}}}]);
        let at = jiff::Timestamp::UNIX_EPOCH;
        let noted = |done: &Done| {
            entries.borrow_mut().push(done.entry(at, Actor::Person("olga".to_owned()), "clinic"));
            Ok(())
        };
        store.change("clinic", &author("olga", true), changes(wanted), NOW, noted).expect("made");
        let told: Vec<String> = entries
            .borrow()
            .iter()
            .map(|entry| format!("{} {}", entry.action, entry.detail.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(told, ["settings_changed goal g1 added", "link_made link l2 added"]);
        let refused = |_: &Done| Err(AuditError::Field { field: "detail", what: "refused".to_owned() });
        let removal = changes(json!([{"remove": {"goal": "g1"}}]));
        assert!(store.change("clinic", &author("olga", true), removal, NOW, refused).is_err());
        assert_eq!(store.read("clinic").expect("readable").goals.len(), 1);
    }

    #[test]
    fn a_file_that_is_not_as_this_writes_it_is_named_and_not_written_over() {
        let (dir, store) = store();
        let path = dir.path().join("settings/clinic.json");
        for (text, expected) in [
            ("{", "not settings of a site"),
            (r#"{"version":2}"#, "written by a later metka"),
            (
                r#"{"version":1,"last":0,"notes":[{"id":"n1","day":"2026-11-26","text":"x","by":"y"}]}"#,
                "damaged",
            ),
            (
                r#"{"version":1,"last":3,"funnels":[{"id":"f1","name":"F","steps":["g2"]}]}"#,
                "which is no goal",
            ),
        ] {
            file::replace(&path, text.as_bytes()).expect("written");
            let error = make(&store, &author("olga", true), json!([goal("A")])).expect_err("refused");
            assert!(error.contains(expected) && error.contains("clinic.json"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("readable"), text);
        }
        assert!(
            store.read("../people").is_err_and(|error| error.to_string().contains("not the id of a site"))
        );
    }
}
