//! `metka serve`: everything, started and stopped in order.
//!
//! ```text
//! start   keys, geo data ─► sockets ─► spool (recovers) ─► hit threads: hits are taken from here on
//!         ─► engine ─► migrations ─► shipper, questions, demo history
//! stop    hit threads drain, the web address drains ─► spool closed ─► shipper empties what it can ─► engine
//! ```
//!
//! Invariants: hits are taken before storage is there and after it is gone; a
//! disk that failed ends the process at once ([`spool`](crate::spool) has
//! stopped acknowledging by then) and the next start decides what is on it.
//!
//! - `heap`: how the allocator gives memory back
//! - `running`: the server as the web address and the control socket see it
//! - `storage`: brings storage up, and what needs it
//! - `retention`: removes what is past its term, daily
//! - `refusals`: writes what was refused, now and then

mod heap;
mod refusals;
mod reports;
mod retention;
mod running;
mod storage;

pub(crate) use storage::{Inserts, Questions, configured};

use std::io::{IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::accept::{self, Limits, Shared};
use crate::audit::{Action, Actor, Entry, Trail};
use crate::config::{Config, ConfigError, TlsFiles};
use crate::count::Counters;
use crate::enrich::Enricher;
use crate::fraud::gaze::Eyes;
use crate::privacy::keys::{KeyError, KeyRing};
use crate::search::Search;
use crate::subject::{choices, kept};
use crate::tls::Terminator;
use crate::visitor::desk::Visitors;
use crate::{backup, control, demo, spool, tls, web};

/// Threads of the runtime for all that is not the hit path.
const BACK_THREADS: usize = 2;
/// A backup past its age is destroyed at the latest so long after.
const MAINTENANCE: Duration = Duration::from_secs(60);
/// A key that another process destroyed is out of use at the latest so long after
/// it, and a salt so long after its term; looking whether there is something to do
/// is one `stat`.
const KEYS_FOLLOWED: Duration = Duration::from_secs(5);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How old the backlog that `/health` on the collect address tells may be.
const BACKLOG_NOTED: Duration = Duration::from_secs(1);
/// What `metka serve` is asked to do.
pub struct Options {
    pub config: Config,
    /// Reads the configuration again, for a reload.
    pub read_config: ReadConfig,
    /// Add the demo clinic.
    pub demo: bool,
}

/// The addresses that end TLS themselves.
#[derive(Clone)]
struct Terminators {
    collect: Option<Arc<Terminator>>,
    web: Option<Arc<Terminator>>,
}

/// See [`Options::read_config`].
pub type ReadConfig = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// Runs until a signal ends it, or the disk fails.
pub fn run(options: Options) -> anyhow::Result<()> {
    let Options { mut config, read_config, demo } = options;
    if demo {
        demo::add_site(&mut config);
    }
    if config.sites.is_empty() {
        bail!("no [[site]] is configured (metka.example.toml shows one; --demo brings its own)");
    }
    raise_descriptor_limit();
    heap::give_back_large_blocks();
    backup::refuse_unfinished(&config.data_dir)?;
    create_data_dir(&config)?;

    let threads = match config.collect.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(accept::MAX_THREADS),
        threads => threads,
    };
    let listeners = accept::bind(config.collect.listen, threads)
        .with_context(|| format!("collect.listen: cannot listen on {}", config.collect.listen))?;
    let web_listener = std::net::TcpListener::bind(config.web.listen)
        .with_context(|| format!("web.listen: cannot listen on {}", config.web.listen))?;
    web_listener.set_nonblocking(true)?;
    name_bound_ports(&mut config, &listeners, &web_listener)?;

    let terminators = Terminators::open(&config)?;
    let keys = Arc::new(KeyRing::open(&config.keys)?);
    tracing::info!(master_key = %config.keys.master, "the key ring is open");
    let enricher = Arc::new(Enricher::open(&config, &Search::here())?);
    for warning in enricher.warnings() {
        tracing::warn!("{warning}");
    }
    warn_of_stale(&enricher);
    let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
    let opened = spool::open(
        spool::Options {
            dir: config.data_dir.join("spool"),
            spools: threads,
            durability: config.collect.durability,
            seal_interval: config.ship.interval,
            batch_rows: config.ship.batch_rows,
            max_bytes: config.ship.spool_max_bytes,
        },
        counters.clone(),
    )?;
    report_recovery(&opened.report);
    opened.outlet.keep(kept::who(&config));
    // The spool's lock is ours, so no backup is under way.
    backup::tidy(&config)?;

    let shared = Shared::new(
        Arc::new(config.clone()),
        threads,
        keys,
        enricher,
        counters.clone(),
        opened.seen,
        Limits::default(),
    )?;
    // Before the first hit: whom to leave alone must be known.
    shared.choices.load()?;
    let (stop_hits, hits_stopped) = watch::channel(false);
    let mut hit_threads = Vec::with_capacity(threads);
    for ((thread, listener), writer) in listeners.into_iter().enumerate().zip(opened.writers) {
        let (shared, tls) = (shared.clone(), terminators.collect.clone());
        hit_threads.push(accept::spawn(thread, shared, writer, listener, tls, hits_stopped.clone())?);
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACK_THREADS)
        .thread_name("back")
        .enable_all()
        .build()?;
    let outlet = opened.outlet;
    let outcome = runtime.block_on(async {
        let config = Arc::new(ArcSwap::from_pointee(config));
        let eyes = Eyes { keys: shared.keys.clone(), enricher: shared.enricher.clone() };
        let storage = storage::Storage::start(&config.load(), outlet.clone(), eyes)?;
        tokio::spawn(maintain_keys(shared.clone()));
        tokio::spawn(maintain(shared.clone(), outlet.clone()));
        tokio::spawn(note_backlog(shared.clone(), outlet.clone()));
        tokio::spawn(look_at_certificates(terminators.clone()));
        let refusals = refusals::Writing::new(shared.clone(), storage.view().store());
        tokio::spawn(refusals.clone().run());
        let retention = retention::Retention::new(shared.clone(), storage.view(), outlet.clone());
        tokio::spawn(retention.clone().run());
        let trail = Arc::new(Trail::open(&config.load().data_dir, shared.keys.clone()));
        tokio::task::spawn_blocking({
            let trail = trail.clone();
            move || look_at_trail(&trail)
        });
        let running = running::Server {
            config: config.clone(),
            read_config,
            demo,
            shared: shared.clone(),
            outlet: outlet.clone(),
            storage: storage.view(),
            terminators: terminators.clone(),
            refusals: refusals.clone(),
            retention,
            trail: trail.clone(),
            openings: Arc::default(),
            readers: Arc::default(),
        };
        let visitors = Visitors::new(Handle::current(), running.offices());
        shared.answer_visitors(Box::new(visitors.clone()));
        tokio::spawn(visitors.resume());
        let state = Arc::new(web::State::open(
            config.clone(),
            counters,
            Box::new(running),
            trail,
            demo,
            jiff::Timestamp::now,
        )?);
        let web = (web_listener, terminators.web);
        back(state, storage, refusals, web, stop_hits, hit_threads, opened.fatal).await
    });
    // What a blocking thread still does (a password check) is nobody's concern any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Everything but the hit threads, until a signal.
async fn back(
    state: Arc<web::State>,
    storage: storage::Storage,
    refusals: refusals::Writing,
    (web_listener, web_tls): (std::net::TcpListener, Option<Arc<Terminator>>),
    stop_hits: watch::Sender<bool>,
    hit_threads: Vec<JoinHandle<()>>,
    mut fatal: watch::Receiver<Option<String>>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let (stop, stopped) = watch::channel(false);
    let (stop_shipping, shipping_stopped) = watch::channel(false);
    let until_stopped = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that whoever would say stop is gone.
        drop(stopped.wait_for(|stop| *stop).await);
    };
    let data_dir = state.config.load().data_dir.clone();
    let control_listener = control::socket::bind(&data_dir.join(control::SOCKET_NAME))
        .with_context(|| format!("{}: cannot listen on the control socket", data_dir.display()))?;
    let web_listener = tokio::net::TcpListener::from_std(web_listener)?;
    let web = tokio::spawn({
        let (state, stopped) = (state.clone(), stopped.clone());
        async move { web::serve(state, web_listener, web_tls, until_stopped(stopped)).await }
    });
    let control = tokio::spawn({
        let (state, stopped) = (state.clone(), stopped.clone());
        async move { control::serve(state, control_listener, until_stopped(stopped)).await }
    });
    let bringing_up = tokio::spawn(storage.clone().bring_up(state.clone(), shipping_stopped));
    tokio::spawn(reports::run(state.clone()));
    announce(&state)?;

    let mut disk_failure = None;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&state).await,
            failed = fatal.wait_for(Option::is_some) => {
                disk_failure = failed.ok().and_then(|why| why.clone());
                break;
            }
        }
    }
    tracing::info!("stopping: open requests end first");
    // Every receiver may be gone already; then there is nobody to tell.
    let _ = stop_hits.send(true);
    let _ = stop.send(true);
    let joined = tokio::task::spawn_blocking(move || {
        for thread in hit_threads {
            if thread.join().is_err() {
                tracing::error!("a hit thread ended in a panic");
            }
        }
    });
    let (web, control, joined) = tokio::join!(web, control, joined);
    web?;
    control??;
    joined?;
    // The writers are closed by now: what they held is sealed, and is shipped if storage answers.
    let _ = stop_shipping.send(true);
    refusals.stop().await;
    storage.stop(bringing_up).await;
    // The socket's file outlives its listener.
    drop(std::fs::remove_file(data_dir.join(control::SOCKET_NAME)));
    match disk_failure {
        Some(why) => bail!("the spool's disk failed, nothing was acknowledged since: {why}"),
        None => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// Destroys salts whose day is past, also on sites without traffic, and takes over
/// what other processes changed in the key ring.
async fn maintain_keys(shared: Arc<Shared>) {
    let mut due = tokio::time::interval(KEYS_FOLLOWED);
    // What is wrong stays wrong for a while; it is said once.
    let mut said = String::new();
    loop {
        due.tick().await;
        let shared = shared.clone();
        let done = tokio::task::spawn_blocking(move || follow_keys(&shared)).await;
        // A panic in it has been reported; the next round tries again.
        let Ok(done) = done else { continue };
        let text = done.err().map(|error| error.to_string()).unwrap_or_default();
        if !text.is_empty() && text != said {
            tracing::error!(
                error = text,
                "the key ring could not be maintained; the keys in memory are used"
            );
        }
        said = text;
    }
}

/// See [`KeyRing::maintain`].
fn follow_keys(shared: &Shared) -> Result<(), KeyError> {
    let now = jiff::Timestamp::now();
    let config = shared.settings().config.clone();
    shared.keys.maintain(now, |id| Some(now.in_tz(&config.site(id)?.timezone).ok()?.date()))
}

/// Ends backups that are too old, and forgets erasures that no backup and nothing in the spool is old enough to undo
/// once no cookie of an erased browser can live, and choices of browsers whose cookie cannot live any more.
async fn maintain(shared: Arc<Shared>, outlet: spool::Outlet) {
    let mut due = tokio::time::interval(MAINTENANCE);
    loop {
        due.tick().await;
        let (shared, outlet) = (shared.clone(), outlet.clone());
        let done = tokio::task::spawn_blocking(move || {
            let now = jiff::Timestamp::now();
            let config = shared.settings().config.clone();
            match backup::expire(&config, &shared.keys, now) {
                Ok(done) if done == backup::Expired::default() => {}
                Ok(done) => {
                    tracing::info!(
                        keys = done.keys,
                        files = done.files,
                        "backups past their age are destroyed"
                    )
                }
                Err(error) => tracing::error!(%error, "backups past their age could not be destroyed"),
            }
            let oldest_backup = now.as_millisecond() - i64::from(config.backup.max_age_days) * DAY_MS;
            let mirror = config.backup.dir.join(spool::tombstone::FILE_NAME);
            let oldest_cookie = now.as_millisecond() - choices::LIFE_MS;
            match outlet.forget_erased(oldest_backup, oldest_cookie, &[mirror]) {
                Ok(0) => {}
                Ok(tombstones) => tracing::info!(tombstones, "erasures that nothing can undo are forgotten"),
                Err(error) => tracing::error!(%error, "old tombstones could not be dropped"),
            }
            if let Err(error) = shared.choices.expire(now) {
                tracing::error!(%error, "choices of browsers that are past their term could not be dropped");
            }
        });
        // A panic in it has been reported; the next round tries again.
        drop(done.await);
    }
}

/// Tells the hit threads what waits for storage and who was erased: they answer for the one,
/// make somebody new of the other, and are kept away from the locks behind both.
async fn note_backlog(shared: Arc<Shared>, outlet: spool::Outlet) {
    let mut due = tokio::time::interval(BACKLOG_NOTED);
    loop {
        due.tick().await;
        shared.note_backlog(outlet.backlog());
        shared.note_erased(outlet.tombstones());
    }
}

/// Takes new certificates over soon after their files change.
async fn look_at_certificates(terminators: Terminators) {
    let mut due = tokio::time::interval(tls::LOOK_EVERY);
    loop {
        due.tick().await;
        let all = terminators.clone();
        // A panic in it has been reported; the next round tries again.
        drop(tokio::task::spawn_blocking(move || all.iter().for_each(|one| one.look())).await);
    }
}

fn report_recovery(report: &spool::RecoveryReport) {
    tracing::info!(
        segments = report.segments,
        waiting_rows = report.rows,
        torn_bytes = report.torn_bytes,
        "the spool is open"
    );
    if report.damaged_places > 0 {
        tracing::error!(
            places = report.damaged_places,
            records = report.damaged_records,
            lost_rows = report.lost_rows,
            "the spool is damaged; what could not be read was set aside in its quarantine"
        );
    }
}

/// Said at the start and at each reload, which is when an operator looks.
fn warn_of_stale(enricher: &Enricher) {
    for database in enricher.databases(jiff::Timestamp::now()).into_iter().filter(|one| one.is_stale) {
        tracing::warn!(
            file = database.file,
            age_days = database.age_days,
            stale_after_days = database.stale_after_days,
            "a geo database is old: people are placed where networks were then"
        );
    }
}

/// A trail that is damaged at its end stops sign-ins and changes, and never hits.
fn look_at_trail(trail: &Trail) {
    match trail.verify(None) {
        Ok(found) => tracing::info!(entries = found.entries, "the audit trail is whole"),
        Err(error) => {
            tracing::error!(%error, "the audit trail is damaged (docs/audit.md)")
        }
    }
}

async fn reload(state: &Arc<web::State>) {
    let by = Actor::Job("reload by signal".to_owned());
    let noted = state.note(Entry::new(state.timestamp(), by, Action::ConfigurationReloaded)).await;
    match noted.and_then(|()| state.running.reload()) {
        Ok(changed) => {
            tracing::info!(changed = changed.join("; "), "configuration and geo data are read again")
        }
        Err(error) => tracing::error!(error, "the configuration stays as it was"),
    }
}

// === impl Terminators ===

impl Terminators {
    fn open(config: &Config) -> anyhow::Result<Terminators> {
        let open = |name: &'static str, files: &Option<TlsFiles>| {
            let terminator = files.as_ref().map(|files| Terminator::open(name, files)).transpose();
            terminator.with_context(|| format!("the certificate of the {name} address"))
        };
        Ok(Terminators { collect: open("collect", &config.collect.tls)?, web: open("web", &config.web.tls)? })
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Terminator>> {
        self.collect.iter().chain(&self.web)
    }
}

fn announce(state: &web::State) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    let offer = state.first.offer(&state.people, stdout.is_terminal(), state.now())?;
    let mut text = web::announcement(&state.config.load(), state.demo, &offer).join("\n");
    text.push('\n');
    // A closed standard output is no reason to take no hits.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    Ok(())
}

fn create_data_dir(config: &Config) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .with_context(|| format!("data_dir: cannot create {}", config.data_dir.display()))
}

/// With port 0 the kernel chooses; what is printed and configured names its choice.
fn name_bound_ports(
    config: &mut Config,
    collect: &[std::net::TcpListener],
    web: &std::net::TcpListener,
) -> anyhow::Result<()> {
    let collect = collect.first().context("no listener")?.local_addr()?;
    for (listen, url, bound) in [
        (&mut config.collect.listen, &mut config.collect.public_url, collect),
        (&mut config.web.listen, &mut config.web.public_url, web.local_addr()?),
    ] {
        for scheme in ["http", "https"] {
            if *url == format!("{scheme}://{listen}") {
                *url = format!("{scheme}://{bound}");
                break;
            }
        }
        *listen = bound;
    }
    Ok(())
}

/// A connection is a descriptor: use as many as the system allows this process.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit on open files stays as it was");
    }
}
