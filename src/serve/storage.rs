//! Brings storage up, and then what needs it: migrations, the shipper,
//! questions, the demo's history. The hit path waits for none of this.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::addresses::AddressError;
use crate::config::{self, Config, Site};
use crate::engine::{State as EngineState, Supervisor};
use crate::fraud::follow::{Memories, POLL, REMAKE_PAUSE};
use crate::fraud::gaze::Eyes;
use crate::guard::{self, Asker};
use crate::query::{self, QueryError};
use crate::rollup::Rollups;
use crate::settings::{self, Settings};
use crate::ship::{self, Found, ShipMetrics, Sink, SinkError};
use crate::spool::{Batch, Outlet, Unverified};
use crate::store::{self, Endpoint, StorageError, migrate};
use crate::web::running::{Answering, Archive, ArchiveError, EngineStatus};
use crate::{demo, web};

/// How long to wait before storage is asked again while it is not there.
const RETRY: Duration = Duration::from_millis(250);
/// The wait grows up to this.
const MAX_RETRY: Duration = Duration::from_secs(5);
/// How long what was asked for waits for storage, which a server that was started a moment ago still
/// prepares.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether days have ended or were changed.
const TEND_EVERY: Duration = Duration::from_secs(5);
/// After an erasure that could not be carried out at a start.
const RECHECK_AGAIN: Duration = Duration::from_secs(60);
/// How much longer than its own drain the shipper may take to end.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Storage and its engine, while `serve` runs.
#[derive(Clone)]
pub(super) struct Storage {
    store: store::Storage,
    engine: Option<Arc<Mutex<Option<Supervisor>>>>,
    view: View,
    outlet: Outlet,
    ready: watch::Sender<bool>,
}

/// What is shown of storage.
#[derive(Clone)]
pub(super) struct View {
    store: store::Storage,
    engine: Option<watch::Receiver<EngineState>>,
    ship: Arc<ShipMetrics>,
    ready: watch::Receiver<bool>,
}

/// [`store::Storage`] as the shipper needs it.
pub(crate) struct Inserts(pub(crate) store::Storage);

/// [`store::Storage`] as the web address needs it.
pub(crate) struct Questions {
    pub(crate) store: store::Storage,
    /// What each site keeps beside its numbers: goals, segments.
    pub(crate) settings: Arc<settings::Store>,
}

// === impl Storage ===

impl Storage {
    /// Starts the engine, if no server is configured. Does not wait for it.
    pub(super) fn start(config: &Config, outlet: Outlet, eyes: Eyes) -> anyhow::Result<Storage> {
        let (endpoint, supervisor) = if config.storage.url.is_empty() {
            let exe = std::env::current_exe().context("the path of the running binary")?;
            let supervisor = Supervisor::start(config, exe)?;
            (supervisor.endpoint(), Some(supervisor))
        } else {
            (configured(&config.storage)?, None)
        };
        let store = store::Storage::new(&endpoint, &config.storage.database);
        let memories = Arc::new(Memories::new(store.clone(), eyes, jiff::Timestamp::now()));
        let store = match config.storage.rollups {
            true => store.clone().with_rollups(Arc::new(Rollups::new(store, jiff::Timestamp::now))),
            false => store,
        };
        let store = store.with_memories(memories);
        let engine = supervisor.as_ref().map(Supervisor::state);
        let (ready, told) = watch::channel(false);
        let view = View { store: store.clone(), engine, ship: Arc::default(), ready: told };
        Ok(Storage {
            store,
            engine: supervisor.map(|supervisor| Arc::new(Mutex::new(Some(supervisor)))),
            view,
            outlet,
            ready,
        })
    }

    pub(super) fn view(&self) -> View {
        self.view.clone()
    }

    /// Waits for storage, applies the schema, then ships until told to stop.
    pub(super) async fn bring_up(self, state: Arc<web::State>, stopped: watch::Receiver<bool>) {
        let mut stop = stopped.clone();
        tokio::select! {
            // An error means that whoever would say stop is gone.
            _ = stop.wait_for(|stop| *stop) => return,
            () = self.until_ready(&state) => {}
        }
        self.ready.send_replace(true);
        let erasures = tokio::spawn(recheck_erasures(state.clone()));
        state
            .set_archive(Box::new(Questions { store: self.store.clone(), settings: state.settings.clone() }));
        let rollups = self.store.rollups().cloned().map(|rollups| tokio::spawn(tend(rollups, state.clone())));
        let memories =
            self.store.memories().cloned().map(|memories| tokio::spawn(remember(memories, state.clone())));
        let history = state.demo.then(|| tokio::spawn(load_demo(self.store.clone(), state.clone())));
        ship::run(self.outlet.clone(), Inserts(self.store.clone()), self.view.ship.clone(), stopped).await;
        erasures.abort();
        for looking_after in [rollups, memories].into_iter().flatten() {
            looking_after.abort();
        }
        if let Some(history) = history {
            history.abort();
        }
    }

    async fn until_ready(&self, state: &web::State) {
        let mut wait = RETRY;
        loop {
            let tried = async {
                migrate::run(&self.store, &migrate::Form::default()).await?;
                migrate::check(&self.store).await?;
                state.running.restore_blocks().await
            };
            match tried.await {
                Ok(()) => return,
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, "storage is not there yet");
                }
                Err(error) => {
                    tracing::error!(%error, "storage cannot be used as it is; hits wait in the spool");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(MAX_RETRY);
        }
    }

    /// Lets the shipper end, which has been told to, and then stops the engine.
    pub(super) async fn stop(self, bringing_up: JoinHandle<()>) {
        // A shipper that waits for a dead engine ends by its own bound; this is for a fault in it.
        if tokio::time::timeout(ship::DRAIN + STOP_GRACE, bringing_up).await.is_err() {
            tracing::error!(rows = self.outlet.backlog().rows, "the shipper did not end");
        }
        if let Some(engine) = self.engine
            && let Some(supervisor) = engine.lock().await.take()
        {
            supervisor.stop().await;
        }
    }
}

/// The server that the configuration names.
pub(crate) fn configured(storage: &config::Storage) -> anyhow::Result<Endpoint> {
    let password = match &storage.password_file {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("storage.password_file: cannot read {}", path.display()))?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
    };
    Ok(Endpoint::Http { url: storage.url.clone(), user: storage.user.clone(), password })
}

/// See [`web::running::Running::recheck_erasures`]. What cannot be done now is tried again
/// until it is.
async fn recheck_erasures(state: Arc<web::State>) {
    loop {
        match state.running.recheck_erasures().await {
            Ok(0) => return,
            Ok(rows) => {
                tracing::warn!(rows, "rows of erased subjects were in storage and are deleted again");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "erasures could not be looked after; they are tried again");
                tokio::time::sleep(RECHECK_AGAIN).await;
            }
        }
    }
}

/// Looks after the rollups of every site, until the runtime ends.
async fn tend(rollups: Arc<Rollups>, state: Arc<web::State>) {
    loop {
        for site in state.config.load_full().sites.iter() {
            loop {
                match rollups.tend(site).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) if error.is_retryable() => {
                        tracing::debug!(%error, site = site.id, "storage is not there for the rollups");
                        break;
                    }
                    Err(error) => {
                        tracing::error!(%error, site = site.id, "rollups could not be made; hits answer");
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(TEND_EVERY).await;
    }
}

/// Looks after what is remembered of the visitors of every site, until the runtime ends.
async fn remember(memories: Arc<Memories>, state: Arc<web::State>) {
    // When all sites are to be looked after, whatever was shipped from here.
    let mut all_at = Instant::now();
    // Sites whose questions were refused; said once until they are answered again.
    let mut refused: HashSet<String> = HashSet::new();
    loop {
        let due = memories.wait(all_at).await;
        let config = state.config.load_full();
        memories.keep(&config.sites);
        let mut is_pending = false;
        for site in config.sites.iter().filter(|site| due.has(&site.id)) {
            match memories.tend(&config, site, state.timestamp()).await {
                Ok(of_site) => {
                    is_pending |= of_site;
                    refused.remove(&site.id);
                }
                Err(error @ StorageError::Refused { .. }) if refused.insert(site.id.clone()) => {
                    tracing::error!(
                        %error,
                        site = site.id,
                        "storage refuses what the memory of visitors asks; checks and alerts know nothing new"
                    );
                    is_pending = true;
                }
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, site = site.id, "storage is not there for the memory of visitors");
                    is_pending = true;
                }
                Err(error) => {
                    tracing::error!(%error, site = site.id, "what is remembered of visitors could not be made");
                }
            }
        }
        let now = Instant::now();
        if due.has_all() {
            all_at = now + POLL;
        }
        if is_pending {
            all_at = all_at.min(now + REMAKE_PAUSE);
        }
    }
}

async fn load_demo(store: store::Storage, state: Arc<web::State>) {
    let config = state.config.load_full();
    let Some(site) = config.site(demo::SITE) else { return };
    match demo::load(&store, site, state.timestamp()).await {
        Ok(rows) => tracing::info!(rows, "the made-up history is loaded"),
        Err(error) => tracing::error!(%error, "the made-up history could not be loaded"),
    }
}

// === impl View ===

impl View {
    pub(super) fn store(&self) -> store::Storage {
        self.store.clone()
    }

    /// Whether the tables are of this version and say who is blocked and held.
    pub(super) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits for that, and says whether it came.
    pub(super) async fn until_ready(&self) -> bool {
        let mut ready = self.ready.clone();
        let told = tokio::time::timeout(READY_TIMEOUT, ready.wait_for(|ready| *ready));
        told.await.is_ok_and(|told| told.is_ok())
    }

    pub(super) fn engine(&self) -> EngineStatus {
        match self.engine.as_ref().map(|state| state.borrow().clone()) {
            None => EngineStatus { state: "external", restarts: 0 },
            Some(state) => EngineStatus { state: state.name(), restarts: state.restarts() },
        }
    }

    pub(super) fn ship(&self) -> Value {
        let ship = &self.ship;
        json!({
            "last_success_ms": ship.last_success_ms.load(Relaxed),
            "attempts": ship.attempts.load(Relaxed),
            "retries": ship.retries.load(Relaxed),
            "batches": ship.batches.load(Relaxed),
            "rows": ship.rows.load(Relaxed),
            "bytes": ship.bytes.load(Relaxed),
            "dead_batches": ship.dead_batches.load(Relaxed),
            "dead_rows": ship.dead_rows.load(Relaxed),
            "failing": ship.failing.load(Relaxed),
            "verified_batches": ship.verified_batches.load(Relaxed),
            "found_batches": ship.found_batches.load(Relaxed),
            "mended_batches": ship.mended_batches.load(Relaxed),
            "storage_restarts": ship.storage_restarts.load(Relaxed),
        })
    }
}

// === impl Inserts ===

impl Sink for Inserts {
    async fn insert(&self, batch: &Batch) -> Result<(), SinkError> {
        let columns = store::row::columns(batch.columns_version).ok_or_else(|| SinkError {
            retryable: true,
            code: 0,
            text: format!("rows of columns version {} are not known", batch.columns_version),
        })?;
        self.0.insert(&columns, &batch.token, batch.body()).await?;
        let (rollups, memories) = (self.0.rollups(), self.0.memories());
        if rollups.is_some() || memories.is_some() {
            for (site, oldest) in batch.oldest() {
                rollups.inspect(|rollups| rollups.shipped(&site, oldest));
                memories.inspect(|memories| memories.shipped(&site));
            }
        }
        Ok(())
    }

    async fn count(&self, batches: &[Unverified]) -> Result<BTreeMap<u64, Found>, SinkError> {
        let asked: Vec<store::Asked> = batches
            .iter()
            .map(|one| store::Asked { id: one.id, opened_ms: one.opened_ms, rows: u64::from(one.rows) })
            .collect();
        let held = self.0.count_batches(&asked).await?;
        Ok(held
            .into_iter()
            .map(|(id, held)| (id, Found { rows: held.rows, distinct: held.distinct }))
            .collect())
    }

    async fn remove(&self, batch: u64) -> Result<(), SinkError> {
        Ok(self.0.remove_batch(batch).await?)
    }

    async fn uptime(&self) -> Result<Duration, SinkError> {
        Ok(self.0.uptime().await?)
    }
}

impl From<StorageError> for SinkError {
    fn from(error: StorageError) -> SinkError {
        SinkError {
            retryable: error.is_retryable(),
            code: error.code().unwrap_or(0),
            text: error.to_string(),
        }
    }
}

// === impl Questions ===

impl Questions {
    /// For a command, which has no store of settings yet.
    pub(crate) fn beside(store: store::Storage, config: &Config) -> Questions {
        Questions { store, settings: Arc::new(settings::Store::new(&config.data_dir)) }
    }

    /// What the people of a site keep beside its numbers.
    fn settings(&self, site: &str) -> Result<Arc<Settings>, ArchiveError> {
        self.settings.read(site).map_err(|error| ArchiveError::Failed(error.to_string()))
    }
}

impl Archive for Questions {
    fn query<'a>(
        &'a self,
        site: &'a Site,
        question: &'a Value,
        now: jiff::Timestamp,
        asker: Asker,
        together: Option<&'a query::Together>,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async move {
            let settings = self.settings(&site.id)?;
            Ok(guard::query(&self.store, site, &settings, question, now, asker, together).await?)
        })
    }

    fn together<'a>(
        &'a self,
        site: &'a Site,
        questions: &'a [Value],
        now: jiff::Timestamp,
        asker: Asker,
    ) -> Answering<'a, Result<Option<query::Together>, ArchiveError>> {
        Box::pin(async move {
            match asker.on(site) {
                Asker::Exact => {
                    let settings = self.settings(&site.id)?;
                    Ok(Some(query::together(&self.store, site, &settings, questions, now).await?))
                }
                // The guard asks questions of its own.
                Asker::Guarded => Ok(None),
            }
        })
    }

    fn report<'a>(
        &'a self,
        report: query::Report,
        site: &'a Site,
        question: &'a Value,
        now: jiff::Timestamp,
        asker: Asker,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async move {
            let settings = self.settings(&site.id)?;
            Ok(guard::report(report, &self.store, site, &settings, question, now, asker).await?)
        })
    }

    fn refusals<'a>(
        &'a self,
        site: &'a str,
        from: jiff::Timestamp,
        to: jiff::Timestamp,
    ) -> Answering<'a, Result<Value, ArchiveError>> {
        Box::pin(async move {
            let hours = self.store.refusals(site, from.as_second(), to.as_second()).await?;
            let instant = |seconds| jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string();
            let results: Vec<Value> = hours
                .into_iter()
                .map(|row| json!({ "hour": instant(row.hour), "reason": row.reason, "count": row.count }))
                .collect();
            Ok(json!({ "site_id": site, "from": from.to_string(), "to": to.to_string(), "results": results }))
        })
    }

    fn remove_demo(&self) -> Answering<'_, Result<u64, ArchiveError>> {
        Box::pin(async move { Ok(demo::remove(&self.store).await?) })
    }
}

impl From<QueryError> for ArchiveError {
    fn from(error: QueryError) -> ArchiveError {
        match error {
            QueryError::Invalid(lines) => ArchiveError::Question(lines),
            error @ QueryError::TooExpensive => ArchiveError::Limit(error.to_string()),
            QueryError::Storage(error) => error.into(),
        }
    }
}

impl From<AddressError> for ArchiveError {
    fn from(error: AddressError) -> ArchiveError {
        match error {
            AddressError::Question(lines) => ArchiveError::Question(lines),
            AddressError::Storage(error) => error.into(),
            error @ AddressError::TooExpensive => ArchiveError::Limit(error.to_string()),
            other => ArchiveError::Failed(other.to_string()),
        }
    }
}

impl From<StorageError> for ArchiveError {
    fn from(error: StorageError) -> ArchiveError {
        if error.is_retryable() {
            ArchiveError::Unavailable("storage is away for the moment".to_owned())
        } else {
            ArchiveError::Failed(error.to_string())
        }
    }
}
