//! What has a term outside of storage: the register of requests and the audit trail.
//!
//! In: a moment. Out: a line for each site and kind, like those of storage.
//!
//! - `requests`: a closed request goes three calendar years (UTC) after it was closed,
//!   as long as somebody may go to court about it. Open ones stay.
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
use crate::privacy::keys::KeyRing;
use crate::rights::register::{Filter, Register};

/// The job's name in the audit trail.
pub const ACTOR: &str = "retention";
/// How long closed requests are kept: the general limitation of actions.
const REQUEST_YEARS: i64 = 3;

/// All there is of a data directory.
pub fn others(config: &Arc<Config>, keys: &Arc<KeyRing>) -> Vec<Arc<dyn Others>> {
    vec![
        Arc::new(Requests { data_dir: config.data_dir.clone() }),
        // The last: an entry in it tells of what it removed of itself.
        Arc::new(Entries { config: config.clone(), keys: keys.clone() }),
    ]
}

struct Requests {
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
        let before = now.to_zoned(TimeZone::UTC).checked_sub(REQUEST_YEARS.years());
        let before = before.map_err(|error| named(&error))?.timestamp().as_millisecond();
        let register = Register::new(&self.data_dir);
        let requests = register.list(&Filter::default()).map_err(|error| named(&error))?;
        if mode == Mode::Remove {
            register.expire(before).map_err(|error| named(&error))?;
        }
        // By site: how many go, and when the oldest that stays was closed.
        let mut sites: BTreeMap<String, (u64, Option<i64>)> = BTreeMap::new();
        for request in requests {
            let (removed, oldest) = sites.entry(request.site).or_default();
            match request.closed {
                Some(closed) if closed < before => *removed += 1,
                Some(closed) => *oldest = Some(oldest.map_or(closed, |other| closed.min(other))),
                None => {}
            }
        }
        let time = |ms| Timestamp::from_millisecond(ms).ok().map(|time| time.to_string());
        let line = |(site, (removed, oldest)): (String, (u64, Option<i64>))| KindReport {
            site,
            kind: "requests".to_owned(),
            removed,
            held_back: 0,
            oldest_left: oldest.and_then(time),
        };
        Ok(sites.into_iter().map(line).collect())
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
