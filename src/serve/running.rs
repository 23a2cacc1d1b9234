//! The running server as the web address and the control socket see it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use super::refusals::Writing;
use super::retention::Retention;
use super::storage::View;
use super::{ReadConfig, Terminators};
use crate::accept::{self, Shared};
use crate::addresses::{self, AddressError, Opening, Openings};
use crate::audit::{Actor, AuditError, Trail};
use crate::backup;
use crate::case::{self, CaseError};
use crate::config::{Config, Site};
use crate::demo;
use crate::disclosure::{self, DisclosureError};
use crate::enrich::{Attribution, DatabaseInfo};
use crate::fraud::alerts::Answered;
use crate::fraud::check::{self, CheckError};
use crate::fraud::readers::Readers;
use crate::incident::{self, IncidentError};
use crate::policy::{Report, Witness};
use crate::retention::Mode;
use crate::spool::{Backlog, Outlet};
use crate::subject::batch::Batch;
use crate::subject::job::{Asked, Job};
use crate::subject::{Office, SubjectError, Who};
use crate::visitor::desk::Offices;
use crate::web::running::{Answering, ArchiveError, EngineStatus, Probe, Replayed, Running, StepCount};

/// How often a flush looks whether storage has everything.
const FLUSH_POLL: Duration = Duration::from_millis(20);
/// How long a flush waits for storage.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

/// See [`Running`].
pub(super) struct Server {
    pub(super) config: Arc<ArcSwap<Config>>,
    pub(super) read_config: ReadConfig,
    pub(super) demo: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) outlet: Outlet,
    pub(super) trail: Arc<Trail>,
    pub(super) storage: View,
    pub(super) terminators: Terminators,
    pub(super) refusals: Writing,
    pub(super) retention: Retention,
    pub(super) openings: Arc<Openings>,
    pub(super) readers: Arc<Readers>,
}

// === impl Server ===

impl Running for Server {
    fn backlog(&self) -> Backlog {
        self.outlet.backlog()
    }

    fn engine(&self) -> EngineStatus {
        self.storage.engine()
    }

    fn steps(&self) -> Vec<StepCount> {
        self.shared
            .counts()
            .steps
            .into_iter()
            .map(|step| StepCount {
                name: step.name,
                hits: step.entered,
                refused: step.refused,
                seconds: seconds(step.timed, step.nanoseconds, step.entered),
            })
            .collect()
    }

    fn jobs(&self) -> Value {
        json!({
            "ship": self.storage.ship(),
            "refusals": self.refusals.described(),
            "retention": self.retention.described(),
            "fraud": self.memories(),
        })
    }

    fn certificates(&self) -> Vec<(&'static str, jiff::Timestamp)> {
        self.terminators.iter().map(|one| (one.name(), one.expires())).collect()
    }

    fn attribution(&self) -> Vec<Attribution> {
        self.shared.enricher.attribution()
    }

    fn databases(&self, now: jiff::Timestamp) -> Vec<DatabaseInfo> {
        self.shared.enricher.databases(now)
    }

    fn explain(&self, probe: &Probe) -> Value {
        json!(accept::explain::explain(&self.shared, &probe.headers, probe.peer, jiff::Timestamp::now()))
    }

    fn reload(&self) -> Result<Vec<String>, String> {
        let mut fresh = (self.read_config)().map_err(|error| error.to_string())?;
        if self.demo {
            demo::add_site(&mut fresh);
        }
        let old = self.config.load_full();
        let mut changed = keep_what_cannot_change(&mut fresh, &old);
        // All that can fail comes first, so that nothing is taken over in part.
        let mut certificates = Vec::new();
        for terminator in self.terminators.iter() {
            let loaded = terminator.load().map_err(|error| {
                format!("{}: {error}; the old certificate stays in force", terminator.name())
            })?;
            certificates.push((terminator, loaded));
        }
        self.shared.enricher.reload(&fresh).map_err(|error| error.to_string())?;
        super::warn_of_stale(&self.shared.enricher);
        let fresh = Arc::new(fresh);
        self.shared.reload(fresh.clone()).map_err(|error| error.to_string())?;
        for (terminator, loaded) in certificates {
            terminator.take(loaded);
        }
        if *fresh != *old {
            changed.insert(0, format!("{} sites are configured", fresh.sites.len()));
        }
        self.config.store(fresh);
        Ok(changed)
    }

    fn keys(&self, master_key_file: Option<std::path::PathBuf>) -> Result<(), String> {
        let done = match master_key_file {
            Some(file) => self.shared.keys.expect_master(&file),
            None => super::follow_keys(&self.shared),
        };
        done.map_err(|error| error.to_string())
    }

    fn cookies_refused(&self) -> u64 {
        self.shared.counts().cookies_refused
    }

    fn replay(&self, only: Option<u64>) -> Answering<'_, Result<Replayed, String>> {
        let outlet = self.outlet.clone();
        Box::pin(async move { replayed(outlet, only).await })
    }

    fn backup(&self, to: std::path::PathBuf) -> Answering<'_, Result<Value, String>> {
        let (config, keys) = (self.config.load_full(), self.shared.keys.clone());
        let (store, outlet) = (self.storage.store(), self.outlet.clone());
        // To its end, also when the command that asked goes away.
        let made = tokio::spawn(async move { backup::make(&config, keys, &store, &outlet, &to).await });
        Box::pin(async move {
            let made = made.await.map_err(|error| error.to_string())?;
            made.map(|made| json!(made)).map_err(|error| error.to_string())
        })
    }

    fn subject(&self, asked: Asked, by: Actor) -> Answering<'_, Result<Value, SubjectError>> {
        let (office, shared, outlet) = (self.office(), self.shared.clone(), self.outlet.clone());
        let refusals = self.refusals.clone();
        to_its_end(async move {
            // What was refused to an address goes with it, also what was not written yet.
            if matches!((&asked.job, &asked.who), (Job::Erase, Who::Address { .. })) {
                refusals.write().await.map_err(SubjectError::Storage)?;
            }
            let answer = office.answer(asked, by, jiff::Timestamp::now()).await;
            shared.note_erased(outlet.tombstones());
            answer
        })
    }

    fn subject_batch(&self, batch: Batch, by: Actor) -> Answering<'_, Result<Value, SubjectError>> {
        let (office, shared, outlet) = (self.office(), self.shared.clone(), self.outlet.clone());
        to_its_end(async move {
            let answer = office.answer_batch(batch, by, jiff::Timestamp::now()).await;
            shared.note_erased(outlet.tombstones());
            answer
        })
    }

    fn disclose(&self, asked: disclosure::Asked, by: Actor) -> Answering<'_, Result<Value, DisclosureError>> {
        let (office, storage) = (self.office(), self.storage.clone());
        to_its_end(async move {
            prepared(&storage).await?;
            office.disclose(asked, by, jiff::Timestamp::now()).await
        })
    }

    fn case(&self, asked: case::Asked, by: Actor) -> Answering<'_, Result<case::File, CaseError>> {
        let office = self.office();
        Box::pin(async move {
            prepared(&self.storage).await?;
            office.case(asked, by, jiff::Timestamp::now()).await
        })
    }

    fn incident(&self, asked: incident::Asked, by: Actor) -> Answering<'_, Result<Value, IncidentError>> {
        let office = self.office();
        to_its_end(async move { office.incident(asked, by, jiff::Timestamp::now()).await })
    }

    fn alerts(
        &self,
        site: String,
        after: u64,
        wait: Duration,
        by: Actor,
    ) -> Answering<'_, Result<Answered, AuditError>> {
        let (store, readers, trail) = (self.storage.store(), self.readers.clone(), self.trail.clone());
        Box::pin(async move {
            readers.note(by, &site, trail, jiff::Timestamp::now()).await?;
            Ok(match store.memories() {
                Some(memories) => memories.alerts.after(&site, after, wait).await,
                None => Answered::default(),
            })
        })
    }

    fn check(&self, asked: check::Asked, by: Actor) -> Answering<'_, Result<Value, CheckError>> {
        let (store, config, trail) = (self.storage.store(), self.config.load_full(), self.trail.clone());
        Box::pin(async move {
            let memories = store.memories().ok_or(CheckError::Nothing)?;
            check::check(asked, memories, &config, trail, by, jiff::Timestamp::now()).await
        })
    }

    fn addresses<'a>(
        &'a self,
        site: &'a Site,
        question: &'a Value,
        by: Actor,
        now: jiff::Timestamp,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        let desk = self.addresses();
        Box::pin(async move { Ok(desk.list(site, question, by, now).await?) })
    }

    fn open_address(
        &self,
        site: Site,
        opening: Opening,
        by: Actor,
    ) -> Answering<'_, Result<Value, AddressError>> {
        let desk = self.addresses();
        Box::pin(async move { desk.open(&site, &opening, by, jiff::Timestamp::now()).await })
    }

    fn restore_blocks(&self) -> Answering<'_, Result<(), SubjectError>> {
        let office = self.office();
        Box::pin(async move { office.restore_blocks().await })
    }

    fn recheck_erasures(&self) -> Answering<'_, Result<u64, SubjectError>> {
        let office = self.office();
        Box::pin(async move { office.recheck().await })
    }

    fn retention(&self, mode: Mode) -> Answering<'_, Result<Value, String>> {
        let retention = self.retention.clone();
        // To its end, also when the command that asked goes away.
        let done = tokio::spawn(async move { retention.once(mode).await });
        Box::pin(async move {
            let done = done.await.map_err(|error| error.to_string())?;
            done.map(|report| json!(report)).map_err(|error| error.to_string())
        })
    }

    fn policy(&self, site: Site) -> Answering<'_, Result<Report, String>> {
        let witness = Witness {
            config: self.config.load_full(),
            keys: self.shared.keys.clone(),
            storage: self.storage.store(),
            trail: self.trail.clone(),
            waiting_since_ms: self.outlet.backlog().oldest,
        };
        Box::pin(async move { Ok(witness.report(&site, jiff::Timestamp::now()).await) })
    }

    fn flush(&self) -> Answering<'_, Result<(), String>> {
        Box::pin(async move {
            let sums = || {
                let counts = self.shared.counters.counts();
                counts
                    .values()
                    .fold((0, 0), |(stored, waiting), site| (stored + site.stored, waiting + site.waiting))
            };
            // Hits that arrive meanwhile are not waited for; dead letters never come.
            let (stored, waiting) = sums();
            let goal = (stored + waiting).saturating_sub(self.outlet.backlog().dead_rows);
            let stored = async {
                while sums().0 < goal {
                    tokio::time::sleep(FLUSH_POLL).await;
                }
            };
            tokio::time::timeout(FLUSH_TIMEOUT, stored).await.map_err(|_| {
                format!("storage did not take all that waits within {} s", FLUSH_TIMEOUT.as_secs())
            })
        })
    }
}

/// Before storage knows who is blocked, nothing is shown or handed out of anybody.
async fn prepared(storage: &View) -> Result<(), SubjectError> {
    if storage.until_ready().await { Ok(()) } else { Err(SubjectError::Waiting) }
}

/// Does an office's job to its end, also when whoever asked goes away.
fn to_its_end<T, E>(
    job: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Answering<'static, Result<T, E>>
where
    T: Send + 'static,
    E: From<SubjectError> + Send + 'static,
{
    let done = tokio::spawn(job);
    Box::pin(async move { done.await.map_err(|error| SubjectError::Thread(error.to_string()))? })
}

// === impl Server, for itself ===

impl Server {
    /// Who does what is asked about one person, under the configuration in force.
    fn office(&self) -> Office {
        self.offices()()
    }

    /// What is remembered of the visitors of each site.
    fn memories(&self) -> Value {
        let store = self.storage.store();
        let config = self.config.load();
        let of = |site: &Site| Some((site.id.clone(), json!(store.memories()?.state(&site.id))));
        config.sites.iter().filter_map(of).collect::<serde_json::Map<String, Value>>().into()
    }

    /// Who answers questions about addresses.
    fn addresses(&self) -> addresses::Desk {
        addresses::Desk {
            keys: self.shared.keys.clone(),
            storage: self.storage.store(),
            trail: self.trail.clone(),
            openings: self.openings.clone(),
        }
    }

    /// Makes such offices later, also when the configuration has changed.
    pub(super) fn offices(&self) -> Offices {
        let (config, storage, outlet) = (self.config.clone(), self.storage.store(), self.outlet.clone());
        let (shared, trail) = (self.shared.clone(), self.trail.clone());
        Box::new(move || Office {
            config: config.load_full(),
            keys: shared.keys.clone(),
            storage: storage.clone(),
            outlet: outlet.clone(),
            trail: trail.clone(),
            choices: shared.choices.clone(),
        })
    }
}

/// Has dead letters sent by whoever ships, and waits for it.
async fn replayed(outlet: Outlet, only: Option<u64>) -> Result<Replayed, String> {
    let reads = |work: tokio::task::JoinError| work.to_string();
    let asked = outlet.clone();
    let started = tokio::task::spawn_blocking(move || asked.replay(only)).await.map_err(reads)?;
    let count = started.map_err(|error| error.to_string())?;
    let sent = async {
        while outlet.is_replaying() {
            tokio::time::sleep(FLUSH_POLL).await;
        }
    };
    tokio::time::timeout(FLUSH_TIMEOUT, sent).await.map_err(|_| {
        format!("storage did not answer for the dead letters within {} s", FLUSH_TIMEOUT.as_secs())
    })?;
    let dead = tokio::task::spawn_blocking(move || outlet.dead_letters()).await.map_err(reads)?;
    Ok(Replayed { replayed: count, dead: dead.map_err(|error| error.to_string())? })
}

/// Only some passages are timed; the others are taken to be alike.
fn seconds(timed: u64, nanoseconds: u64, entered: u64) -> f64 {
    if timed == 0 { 0.0 } else { nanoseconds as f64 / timed as f64 * entered as f64 / 1e9 }
}

/// Puts the old value back where a running server cannot follow, and says so.
fn keep_what_cannot_change(fresh: &mut Config, old: &Config) -> Vec<String> {
    let mut kept = Vec::new();
    // A port or URL that the start filled in differs from the file's; that is no change.
    macro_rules! keep {
        ($($field:ident).+, $name:literal) => {
            if fresh.$($field).+ != old.$($field).+ {
                fresh.$($field).+ = old.$($field).+.clone();
                kept.push(concat!($name, " changes with the next start").to_owned());
            }
        };
    }
    for (listen, url, old_listen, old_url) in [
        (
            &mut fresh.collect.listen,
            &mut fresh.collect.public_url,
            old.collect.listen,
            &old.collect.public_url,
        ),
        (&mut fresh.web.listen, &mut fresh.web.public_url, old.web.listen, &old.web.public_url),
    ] {
        if listen.port() == 0 {
            if *url == format!("http://{listen}") || *url == format!("https://{listen}") {
                url.clone_from(old_url);
            }
            *listen = old_listen;
        }
    }
    keep!(data_dir, "data_dir");
    keep!(collect.listen, "collect.listen");
    keep!(collect.durability, "collect.durability");
    keep!(collect.threads, "collect.threads");
    keep!(collect.tls, "collect.tls_certificate_file, tls_key_file");
    keep!(web.listen, "web.listen");
    keep!(web.public_url, "web.public_url");
    keep!(web.tls, "web.tls_certificate_file, tls_key_file");
    keep!(storage, "storage");
    keep!(ship, "ship");
    keep!(engine, "engine");
    keep!(keys, "keys");
    keep!(backup.dir, "backup.dir");
    kept
}
