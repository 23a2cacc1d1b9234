//! What is looked at for the policy's table: storage, key ring, files.
//!
//! Each fact is one of its own: what cannot be looked at is an error in its place, and
//! hides nothing else. Counting reads some columns of all hits of the site.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{RECENT_MS, Report, evidence};
use crate::audit::{Action, Filter as TrailFilter, MAX_LISTED, Trail, Verified};
use crate::backup;
use crate::config::{Config, Fields, Site};
use crate::disclosure::Log;
use crate::incident::Incident;
use crate::incident::register::{Register, State};
use crate::parse::hit::{DOWNLOAD, OUTBOUND};
use crate::privacy::keys::{KeyInfo, KeyRing, Purpose};
use crate::retention::survey::{Count, survey};
use crate::retention::terms::{DAY_MS, Kind, Table};
use crate::retention::{self, Report as Retention};
use crate::rights::desk::{Attention, Desk};
use crate::store::row::SCROLL_UNKNOWN;
use crate::store::{Limits, List, Param, Storage};
use crate::web::people::{People, Roster};

/// Counting is work like that of a job: a hundred million hits take some tens of seconds.
const TIME: Duration = Duration::from_secs(120);
/// Hosts of recent hits that are looked at; a site has a few.
const MAX_HOSTS: u64 = 1000;
/// How far back consent and looks are counted.
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What was found, or why it was not.
pub(super) type Found<T> = Result<T, String>;

/// Who looks.
pub struct Witness {
    pub config: Arc<Config>,
    pub keys: Arc<KeyRing>,
    pub storage: Storage,
    pub trail: Arc<Trail>,
    /// When the oldest batch that waits in the spool was opened, in milliseconds since 1970.
    pub waiting_since_ms: Option<u64>,
}

/// All of it.
pub(super) struct Facts {
    pub now: Timestamp,
    pub hits: Found<Hits>,
    /// Recent hits of hosts that are not the site's.
    pub foreign: Found<u64>,
    /// By kind, what was past its term a day ago, and the oldest that is not.
    pub terms: Found<BTreeMap<Kind, Count>>,
    pub keys: Vec<KeyInfo>,
    /// Address keys that should have been destroyed a day ago.
    pub keys_left: Found<usize>,
    pub blocked: Found<usize>,
    pub on_disk: OnDisk,
}

/// What the data directory says.
pub(super) struct OnDisk {
    pub last_run: Found<Option<Retention>>,
    pub requests: Found<Attention>,
    pub acts: Found<usize>,
    pub disclosures: Found<usize>,
    pub incidents: Found<Incidents>,
    pub erasing: Found<bool>,
    pub trail: Found<Verified>,
    pub looks: Found<Looks>,
    pub backup: Found<Option<Timestamp>>,
    pub people: Found<Arc<Roster>>,
}

/// Hits of the site.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits {
    /// An address that no key protects.
    pub bare_addresses: u64,
    /// More than a count, though the visitor said no.
    pub beyond_a_no: u64,
    /// Recent ones with a cookie, though the visitor did not say yes.
    pub cookie_before_yes: u64,
    /// Of the last month.
    pub cookieless: u64,
    pub marketing: u64,
    /// Recent ones, and those of them under the version in force.
    pub recent: u64,
    pub in_force: u64,
    pub held: u64,
    /// Recent ones that hold what the site does not collect, by field.
    pub not_collected: Vec<(&'static str, u64)>,
}

/// Looks at people's data in the last month.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looks {
    pub all: usize,
    pub without_purpose: usize,
    /// Those at an address.
    pub addresses: usize,
    /// Questions about statistics of addresses.
    pub listings: usize,
    /// Checks of a visitor.
    pub checks: usize,
    /// Case files.
    pub cases: usize,
}

/// Incidents of the site.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Incidents {
    pub all: usize,
    pub open: usize,
    /// Clocks of theirs that ended before their step was done.
    pub late: usize,
}

// === impl Incidents ===

impl Incidents {
    fn of(all: &[Incident], site: &str, now: Timestamp) -> Incidents {
        let mut found = Incidents::default();
        for incident in all.iter().filter(|incident| incident.site == site) {
            found.all += 1;
            if incident.state == State::Open {
                found.open += 1;
                let late = incident.clocks.iter();
                found.late += late
                    .filter(|clock| clock.done.is_none() && clock.is_late(None, now.as_millisecond()))
                    .count();
            }
        }
        found
    }
}

// === impl Witness ===

impl Witness {
    /// The table of a site, as it is now.
    pub async fn report(&self, site: &Site, now: Timestamp) -> Report {
        let facts = self.facts(site, now).await;
        evidence::report(&self.config, site, &facts)
    }

    async fn facts(&self, site: &Site, now: Timestamp) -> Facts {
        let (config, trail, id) = (self.config.clone(), self.trail.clone(), site.id.clone());
        let on_disk = tokio::task::spawn_blocking(move || OnDisk::read(&config, &trail, &id, now));
        let (hits, foreign) = (self.hits(site, now).await, self.foreign(site, now).await);
        let (terms, keys_left) = (self.terms(site, now).await, self.keys_left(now).await);
        let blocked = self.storage.listed(List::Blocked).await.map_err(text);
        let blocked = blocked.map(|blocks| blocks.iter().filter(|block| block.site == site.id).count());
        Facts {
            now,
            hits,
            foreign,
            terms,
            keys: self.keys.list(),
            keys_left,
            blocked,
            on_disk: on_disk.await.unwrap_or_else(|error| OnDisk::unread(&error.to_string())),
        }
    }

    async fn hits(&self, site: &Site, now: Timestamp) -> Found<Hits> {
        let now_ms = now.as_millisecond();
        let since = |ms: i64| format!("time >= fromUnixTimestamp64Milli(toInt64({}), 'UTC')", now_ms - ms);
        let (recent, month) = (since(RECENT_MS), since(MONTH.as_millis() as i64));
        let off = not_collected(site.fields);
        let mut columns = vec![
            "countIf(ip != toFixedString('', 16) AND ip_key = 0)".to_owned(),
            "countIf(consent = 'denied' AND (identity = 'cookie' OR minted != 0 OR user_key != 0 OR ip_key != 0))"
                .to_owned(),
            format!("countIf({recent} AND identity = 'cookie' AND consent IN ('unstated', 'denied'))"),
            format!("countIf({month} AND identity = 'cookieless')"),
            format!("countIf({month} AND consent = 'marketing')"),
            format!("countIf({recent})"),
            format!("countIf({recent} AND policy = {{policy:String}})"),
            "countIf(hold)".to_owned(),
        ];
        let fixed = columns.len();
        columns.extend(off.iter().map(|(_, condition)| format!("countIf({recent} AND {condition})")));
        let sql = format!(
            "SELECT {} FROM {}.hits WHERE site = {{site:String}}",
            columns.join(", "),
            self.storage.database()
        );
        let params = [param("site", &site.id), param("policy", &site.policy_version)];
        let rows = self.storage.json(&sql, &params, &limits()).await.map_err(text)?;
        let row = rows.first().ok_or("storage counted nothing")?;
        let number = |column: usize| row.get(column).and_then(Value::as_u64).unwrap_or_default();
        Ok(Hits {
            bare_addresses: number(0),
            beyond_a_no: number(1),
            cookie_before_yes: number(2),
            cookieless: number(3),
            marketing: number(4),
            recent: number(5),
            in_force: number(6),
            held: number(7),
            not_collected: off
                .iter()
                .enumerate()
                .map(|(at, (name, _))| (*name, number(fixed + at)))
                .collect(),
        })
    }

    async fn foreign(&self, site: &Site, now: Timestamp) -> Found<u64> {
        let sql = format!(
            "SELECT host, count() FROM {}.hits WHERE site = {{site:String}} \
             AND time >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') AND host != '' GROUP BY host LIMIT {MAX_HOSTS}",
            self.storage.database()
        );
        let since = ("since".to_owned(), Param::Number(now.as_millisecond() - RECENT_MS));
        let rows =
            self.storage.json(&sql, &[param("site", &site.id), since], &limits()).await.map_err(text)?;
        let of_others = rows
            .iter()
            .filter(|row| row.first().and_then(Value::as_str).is_some_and(|host| !site.has_host(host)));
        Ok(of_others.filter_map(|row| row.get(1)?.as_u64()).sum())
    }

    async fn terms(&self, site: &Site, now: Timestamp) -> Found<BTreeMap<Kind, Count>> {
        let mut counts: BTreeMap<Kind, Count> = BTreeMap::new();
        for table in Table::ALL {
            // A day later than its term, it is to be gone.
            let lines = survey(&self.storage, table, now.as_millisecond() - DAY_MS).await.map_err(text)?;
            for (kind, count) in
                lines.iter().filter(|line| line.site == site.id).flat_map(|line| &line.counts)
            {
                counts.entry(*kind).or_default().add(*count);
            }
        }
        Ok(counts)
    }

    async fn keys_left(&self, now: Timestamp) -> Found<usize> {
        let yesterday = now.checked_sub(SignedDuration::from_hours(24)).map_err(text)?;
        let (keys, waiting) = (self.keys.list(), self.waiting_since_ms);
        let due = retention::due_address_keys(&self.storage, &self.config, &keys, waiting, yesterday);
        due.await.map(|due| due.len()).map_err(text)
    }
}

// === impl Facts ===

impl Facts {
    /// Since when the oldest address key that exists was used.
    pub fn oldest_address_key(&self) -> Option<&str> {
        let held = self.keys.iter().filter(|key| key.purpose == Purpose::Ip && key.destroyed.is_empty());
        held.map(|key| key.created.as_str()).min()
    }

    pub fn address_keys_destroyed(&self) -> usize {
        self.keys.iter().filter(|key| key.purpose == Purpose::Ip && !key.destroyed.is_empty()).count()
    }
}

// === impl OnDisk ===

impl OnDisk {
    fn read(config: &Config, trail: &Trail, site: &str, now: Timestamp) -> OnDisk {
        let dir = &config.data_dir;
        let requests = Desk::open(config).and_then(|desk| desk.attention(Some(site), now));
        OnDisk {
            last_run: Retention::last(dir).map_err(text),
            requests: requests.map_err(text),
            acts: acts(dir, site),
            disclosures: Log::new(dir)
                .list()
                .map(|log| log.iter().filter(|one| one.site == site).count())
                .map_err(text),
            incidents: Register::new(dir).list().map(|all| Incidents::of(&all, site, now)).map_err(text),
            erasing: dir.join("rights/erasing.json").try_exists().map_err(text),
            trail: trail.verify(None).map_err(text),
            looks: looks(trail, now),
            backup: backup::latest(&config.backup.dir).map_err(text),
            people: People::new(dir).read().map_err(text),
        }
    }

    fn unread(error: &str) -> OnDisk {
        let error = error.to_owned();
        OnDisk {
            last_run: Err(error.clone()),
            requests: Err(error.clone()),
            acts: Err(error.clone()),
            disclosures: Err(error.clone()),
            incidents: Err(error.clone()),
            erasing: Err(error.clone()),
            trail: Err(error.clone()),
            looks: Err(error.clone()),
            backup: Err(error.clone()),
            people: Err(error),
        }
    }
}

/// What a site does not collect, and which rows would hold it all the same.
fn not_collected(mut fields: Fields) -> Vec<(&'static str, String)> {
    let condition = |name: &str| match name {
        "title" => "title != ''".to_owned(),
        "width" => "screen != ''".to_owned(),
        "scroll" => format!("scroll != {SCROLL_UNKNOWN}"),
        "engaged" => "engaged_ms != 0".to_owned(),
        "outbound" => format!("kind = 'event' AND name = '{OUTBOUND}'"),
        "downloads" => format!("kind = 'event' AND name = '{DOWNLOAD}'"),
        "props" => "notEmpty(props)".to_owned(),
        "errors" => "kind = 'error'".to_owned(),
        _ => "timezone != ''".to_owned(),
    };
    let off = Fields::NAMES.iter().filter(|name| fields.flag(name).is_some_and(|collected| !*collected));
    off.map(|name| (*name, condition(name))).collect()
}

/// How many acts of destruction a site has.
fn acts(data_dir: &Path, site: &str) -> Found<usize> {
    let acts = crate::subject::act::Act::all(data_dir).map_err(text)?;
    Ok(acts.iter().filter(|act| act.site == site).count())
}

fn looks(trail: &Trail, now: Timestamp) -> Found<Looks> {
    let from = now.checked_sub(MONTH).ok();
    let filter = TrailFilter { from, ..TrailFilter::last(MAX_LISTED) };
    let entries = trail.list(&filter).map_err(text)?;
    let is_look = |action: Action| {
        matches!(
            action,
            Action::SubjectFound
                | Action::SubjectExported
                | Action::Disclosed
                | Action::AddressOpened
                | Action::AddressesListed
                | Action::AlertsRead
                | Action::CaseFileOpened
                | Action::FraudChecked
        )
    };
    let mut looks = Looks::default();
    for entry in entries.iter().map(crate::audit::Listed::entry).filter(|entry| is_look(entry.action)) {
        looks.all += 1;
        looks.without_purpose += usize::from(entry.purpose.is_none());
        looks.addresses += usize::from(entry.action == Action::AddressOpened);
        looks.listings += usize::from(entry.action == Action::AddressesListed);
        looks.checks += usize::from(entry.action == Action::FraudChecked);
        looks.cases += usize::from(entry.action == Action::CaseFileOpened);
    }
    Ok(looks)
}

fn limits() -> Limits {
    Limits { time: TIME, ..Limits::default() }
}

fn param(name: &str, value: &str) -> (String, Param) {
    (name.to_owned(), Param::Text(value.to_owned()))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
