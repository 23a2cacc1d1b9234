//! What has a term outside of storage: the registers of requests and incidents, the log
//! of disclosures, and the audit trail.
//!
//! In: a moment. Out: a line for each site and kind, like those of storage.
//!
//! - `requests`: a closed request goes three calendar years (UTC) after it was closed,
//!   as long as somebody may go to court about it. Open ones stay.
//! - `disclosures`: so long after they were made; `incidents`: after they were closed.
//! - `audit`: whole months of the trail whose last moment is past the longest
//!   `retention.audit_days` of the sites. What a dry run would have to count only the
//!   trail itself could tell, so it has no line; a run has one, without a site, when
//!   it removed some.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::{KindReport, Mode, Others};
use crate::audit::{self, Actor, Trail};
use crate::config::Config;
use crate::disclosure::Log;
use crate::incident;
use crate::privacy::keys::KeyRing;
use crate::rights::register::{Filter, Register};

/// The job's name in the audit trail.
pub const ACTOR: &str = "retention";
/// How long closed requests, disclosures and closed incidents are kept: the general
/// limitation of actions.
const REQUEST_YEARS: i64 = 3;

/// All there is of a data directory.
pub fn others(config: &Arc<Config>, keys: &Arc<KeyRing>) -> Vec<Arc<dyn Others>> {
    vec![
        Arc::new(Requests { data_dir: config.data_dir.clone() }),
        Arc::new(Disclosures { data_dir: config.data_dir.clone() }),
        Arc::new(Incidents { data_dir: config.data_dir.clone() }),
        // The last: an entry in it tells of what it removed of itself.
        Arc::new(Entries { config: config.clone(), keys: keys.clone() }),
    ]
}

struct Requests {
    data_dir: PathBuf,
}

struct Disclosures {
    data_dir: PathBuf,
}

struct Incidents {
    data_dir: PathBuf,
}

struct Entries {
    config: Arc<Config>,
    keys: Arc<KeyRing>,
}

// === impl Requests ===

impl Others for Requests {
    fn expire(&self, now: Timestamp, mode: Mode) -> Result<Vec<KindReport>, String> {
        let named = |error: &dyn std::fmt::Display| format!("the register of requests: {error}");
        let before = term_begins(now).map_err(|error| named(&error))?;
        let register = Register::new(&self.data_dir);
        let requests = register.list(&Filter::default()).map_err(|error| named(&error))?;
        if mode == Mode::Remove {
            register.expire(before).map_err(|error| named(&error))?;
        }
        let ends = requests.into_iter().map(|request| (request.site, request.closed));
        Ok(lines("requests", ends, before))
    }
}

// === impl Disclosures ===

impl Others for Disclosures {
    fn expire(&self, now: Timestamp, mode: Mode) -> Result<Vec<KindReport>, String> {
        let named = |error: &dyn std::fmt::Display| format!("the log of disclosures: {error}");
        let before = term_begins(now).map_err(|error| named(&error))?;
        let log = Log::new(&self.data_dir);
        let all = log.list().map_err(|error| named(&error))?;
        if mode == Mode::Remove {
            log.expire(|one| one.at < before).map_err(|error| named(&error))?;
        }
        Ok(lines("disclosures", all.into_iter().map(|one| (one.site, Some(one.at))), before))
    }
}

// === impl Incidents ===

impl Others for Incidents {
    fn expire(&self, now: Timestamp, mode: Mode) -> Result<Vec<KindReport>, String> {
        let named = |error: &dyn std::fmt::Display| format!("the register of incidents: {error}");
        let before = term_begins(now).map_err(|error| named(&error))?;
        let register = incident::Register::new(&self.data_dir);
        let all = register.list().map_err(|error| named(&error))?;
        if mode == Mode::Remove {
            let is_past = |one: &incident::Incident| one.closed.is_some_and(|closed| closed < before);
            register.expire(is_past).map_err(|error| named(&error))?;
        }
        Ok(lines("incidents", all.into_iter().map(|one| (one.site, one.closed)), before))
    }
}

// === impl Entries ===

impl Others for Entries {
    fn expire(&self, now: Timestamp, mode: Mode) -> Result<Vec<KindReport>, String> {
        let Some(before) = audit::term_begins(&self.config, now).filter(|_| mode == Mode::Remove) else {
            return Ok(Vec::new());
        };
        let trail = Trail::open(&self.config.data_dir, self.keys.clone());
        let expired = trail
            .expire(before, Actor::Job(ACTOR.to_owned()), now)
            .map_err(|error| format!("the audit trail: {error}"))?;
        let line = KindReport {
            site: String::new(),
            kind: "audit".to_owned(),
            removed: expired.entries,
            held_back: 0,
            oldest_left: None,
        };
        Ok(Some(line).filter(|line| line.removed > 0).into_iter().collect())
    }
}

/// What ended before this moment, in milliseconds since 1970, is past its term.
fn term_begins(now: Timestamp) -> Result<i64, jiff::Error> {
    Ok(now.to_zoned(TimeZone::UTC).checked_sub(REQUEST_YEARS.years())?.timestamp().as_millisecond())
}

/// By site: how many go of those that ended then, and when the oldest that stays ended.
fn lines(kind: &str, ends: impl Iterator<Item = (String, Option<i64>)>, before: i64) -> Vec<KindReport> {
    let mut sites: BTreeMap<String, (u64, Option<i64>)> = BTreeMap::new();
    for (site, ended) in ends {
        let (removed, oldest) = sites.entry(site).or_default();
        match ended {
            Some(ended) if ended < before => *removed += 1,
            Some(ended) => *oldest = Some(oldest.map_or(ended, |other| ended.min(other))),
            None => {}
        }
    }
    let time = |ms| Timestamp::from_millisecond(ms).ok().map(|time| time.to_string());
    let line = |(site, (removed, oldest)): (String, (u64, Option<i64>))| KindReport {
        site,
        kind: kind.to_owned(),
        removed,
        held_back: 0,
        oldest_left: oldest.and_then(time),
    };
    sites.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::audit::{Action, Entry};
    use crate::config::Keys;
    use crate::rights::desk::{Desk, Received};
    use crate::rights::register::{Note, Outcome};
    use crate::rights::request::IdentifiedBy;
    use crate::rights::terms::Kind;

    const NOW: &str = "2030-05-20T10:00:00Z";
    const SITES: &str = "[[site]]\nid='a'\nhosts=['a.example']\n[site.retention]\naudit_days=100\n\
                         [[site]]\nid='b'\nhosts=['b.example']\n[site.retention]\naudit_days=200\n";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn open(dir: &Path) -> (Arc<Config>, Arc<KeyRing>) {
        let config = Config::parse(SITES, [], dir).expect("a configuration");
        let keys = KeyRing::open(&Keys::in_dir(&dir.join("keys"))).expect("a ring");
        (Arc::new(config), Arc::new(keys))
    }

    /// Lines as (site, kind, removed, oldest left).
    fn expire(dir: &Path, mode: Mode) -> Vec<(String, String, u64, Option<String>)> {
        let (config, keys) = open(dir);
        let lines = others(&config, &keys)
            .into_iter()
            .flat_map(|other| other.expire(at(NOW), mode).expect("it expires"))
            .map(|line| (line.site, line.kind, line.removed, line.oldest_left));
        lines.collect()
    }

    #[test]
    fn closed_requests_go_after_three_years_and_open_ones_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let (config, _) = open(dir.path());
        let desk = Desk::open(&config).expect("a desk");
        for (site, closed) in [
            (0, Some("2027-05-20T09:59:59.999Z")),
            (0, Some("2027-05-20T10:00:00Z")),
            (1, Some("2027-01-01T00:00:00Z")),
            (1, None),
        ] {
            let received = Received {
                kind: Kind::Access,
                about: None,
                identified: IdentifiedBy::Cookie,
                subjects: Vec::new(),
                at: at("2027-01-01T00:00:00Z"),
                purpose: "a copy".to_owned(),
            };
            let came = at("2027-01-01T00:00:00Z");
            let request = desk.receive(&config.sites[site], received, "olga", came).expect("received");
            if let Some(closed) = closed {
                let note = Note { at: at(closed).as_millisecond(), who: "olga", what: "closed" };
                desk.register().close(&request.number, Outcome::Done, "sent", note).expect("closed");
            }
        }
        let line = |site: &str, removed, oldest: Option<&str>| {
            (site.to_owned(), "requests".to_owned(), removed, oldest.map(str::to_owned))
        };
        let left = Some("2027-05-20T10:00:00Z");
        let expected = [line("a", 1, left), line("b", 1, None)];
        assert_eq!(expire(dir.path(), Mode::DryRun), expected);
        assert_eq!(expire(dir.path(), Mode::DryRun), expected, "a dry run removes nothing");
        assert_eq!(expire(dir.path(), Mode::Remove), expected);
        assert_eq!(expire(dir.path(), Mode::Remove), [line("a", 0, left), line("b", 0, None)]);
        let numbers: Vec<String> = desk
            .register()
            .list(&Filter::default())
            .expect("a list")
            .into_iter()
            .map(|request| request.number)
            .collect();
        assert_eq!(numbers, ["2027-0002", "2027-0004"]);
    }

    #[test]
    fn disclosures_and_closed_incidents_go_after_three_years() {
        let dir = tempfile::tempdir().expect("a directory");
        let (config, keys) = open(dir.path());
        let rights = config.data_dir.join("rights");
        let line = |kind: &str, removed, oldest: Option<&str>| {
            ("a".to_owned(), kind.to_owned(), removed, oldest.map(str::to_owned))
        };
        let past = at("2027-05-20T09:59:59.999Z").as_millisecond();
        let disclosure = |number: u32, at: i64| {
            serde_json::json!({"number": format!("D-2027-000{number}"), "at": at, "site": "a", "recipient": "x",
                "recipient_kind": "court", "basis": "x", "purpose": "x", "scope": {"range": {"from": 1, "to": 2}},
                "fields": ["path"], "format": "csv", "rows": 0, "visitors": 0, "sha256": "0".repeat(64),
                "who": "olga", "request": null})
        };
        let incident = |number: u32, closed: Option<i64>| {
            serde_json::json!({"number": format!("I-2027-000{number}"), "site": "a", "kind": "loss", "from": 1, "to": 2,
                "detected": 2, "registered": 3, "what": "x", "who": "olga", "clocks": [], "subjects_informed": null,
                "affected": {"rows": 0, "visitors": 0, "cookies": 0, "user_keys": 0, "addresses": 0, "first": null,
                    "last": null, "kinds": []},
                "state": if closed.is_some() { "closed" } else { "open" }, "result": "", "closed": closed, "history": []})
        };
        let write = |name: &str, records: serde_json::Value| {
            let text = serde_json::json!({"version": 1, "last": {"2027": 3}, "records": records}).to_string();
            crate::private_file::replace(&rights.join(name), text.as_bytes()).expect("written");
        };
        write("disclosures.json", serde_json::json!([disclosure(1, past), disclosure(2, past + 1)]));
        write(
            "incidents.json",
            serde_json::json!([incident(1, Some(past)), incident(2, Some(past + 1)), incident(3, None)]),
        );
        let left = Some("2027-05-20T10:00:00Z");
        let expected = [line("disclosures", 1, left), line("incidents", 1, left)];
        assert_eq!(expire(dir.path(), Mode::DryRun), expected);
        assert_eq!(expire(dir.path(), Mode::Remove), expected);
        assert_eq!(
            expire(dir.path(), Mode::Remove),
            [line("disclosures", 0, left), line("incidents", 0, left)]
        );
        let kept = Log::new(&config.data_dir).list().expect("a list");
        assert_eq!(kept.iter().map(|one| one.number.as_str()).collect::<Vec<_>>(), ["D-2027-0002"]);
        assert_eq!(incident::Register::new(&config.data_dir).list().expect("a list").len(), 2);
        // A damaged file is named, and nothing else is removed for it.
        std::fs::write(rights.join("disclosures.json"), "{").expect("written");
        let errors: Vec<String> =
            others(&config, &keys).iter().filter_map(|one| one.expire(at(NOW), Mode::Remove).err()).collect();
        assert!(errors.len() == 1 && errors[0].contains("disclosures.json"), "{errors:?}");
    }

    #[test]
    fn months_of_the_trail_go_by_the_longest_term_of_the_sites() {
        let dir = tempfile::tempdir().expect("a directory");
        let (config, keys) = open(dir.path());
        let trail = Trail::open(&config.data_dir, keys);
        // 200 days before are 2029-11-01T10:00: October is over by then, November is not.
        for time in ["2029-09-01T00:00:00Z", "2029-10-31T23:59:59Z", "2029-11-01T00:00:00Z", NOW] {
            let entry = Entry::new(at(time), Actor::Job(ACTOR.to_owned()), Action::RetentionRun);
            trail.append(&entry).expect("appended");
        }
        assert_eq!(expire(dir.path(), Mode::DryRun), []);
        assert_eq!(trail.verify(None).expect("whole").entries, 4);
        let line = (String::new(), "audit".to_owned(), 2, None);
        assert_eq!(expire(dir.path(), Mode::Remove), [line]);
        assert_eq!(expire(dir.path(), Mode::Remove), []);
        // The two that stay, and that two went.
        let left = trail.verify(None).expect("whole");
        assert_eq!((left.entries, left.first.map(|first| first.number)), (3, Some(3)));
    }
}
