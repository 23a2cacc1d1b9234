//! The collect address: sockets, limits, routes, drain.
//!
//! One OS thread per core, each with a single-threaded runtime, its own listener
//! (`SO_REUSEPORT`) and its own spool writer; threads share only [`Shared`].
//! HTTP/1.1 with keep-alive, by hyper; where the address ends TLS itself, HTTP/2
//! too ([`tls`](crate::tls)). A visitor's request is answered when its
//! hits are durable, and never waits for storage.
//!
//! | route | module |
//! |---|---|
//! | `GET`, `HEAD` pixel path | [`pixel`]: always the image; `X-Metka` says what became of the hit |
//! | `POST`, `OPTIONS` event path | [`event`] |
//! | `GET` script path | [`script`] |
//! | `GET /health` | [`route`]: 200 while hits can be made durable; says what waits for storage |
//! | `GET /.well-known/gpc.json` | [`route`]: whether Sec-GPC is respected |
//! | `GET /privacy`, `POST /privacy/opt-out`, `/privacy/opt-in` | [`privacy_page`] |
//!
//! Bounds are in [`limits`]. A request that panics is answered 500 and counted;
//! it ends no other. A drain stops accepting, lets open requests finish for
//! `collect.drain`, and then closes what is left.
//!
//! Requests with both `Content-Length` and `Transfer-Encoding` are read as
//! chunked and their connection is closed after the answer (RFC 9112, 6.1), so
//! that nothing after them is ever taken for a second request; so is one whose
//! body is chunked more than once.

pub mod answer;
pub mod event;
pub mod explain;
pub mod limits;
pub mod listen;
pub mod pixel;
pub mod privacy_page;
mod privacy_words;
pub mod proxy;
pub mod route;
pub mod script;
pub mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;

use crate::config::Config;
use crate::count::Counters;
use crate::enrich::Enricher;
use crate::enrich::junk::Junk;
use crate::identify::crowd::Crowd;
use crate::identify::limit::{PerMinute, RateLimits};
use crate::identify::sites::{SiteTable, SitesError};
use crate::parse::client::{cookie_name, is_https};
use crate::pipeline::{StepCount, StepCounters};
use crate::privacy::address::ClientIp;
use crate::privacy::keys::KeyRing;
use crate::refusals::{Refusals, Terms};
use crate::spool::{Backlog, Seen, Subject, Tombstones};
use crate::subject::choices::Choices;
pub use limits::Limits;
pub use listen::bind;
pub use serve::{serve, spawn};

/// The most hit threads.
pub const MAX_THREADS: usize = 64;

/// What all hit threads share.
pub struct Shared {
    settings: ArcSwap<Settings>,
    pub keys: Arc<KeyRing>,
    pub enricher: Arc<Enricher>,
    pub counters: Arc<Counters>,
    pub seen: Arc<Seen>,
    pub crowd: Crowd,
    pub refusals: Refusals,
    /// What officers have noted for browsers.
    pub choices: Arc<Choices>,
    pub limits: Limits,
    /// As last looked at: hit threads do not take the locks that the shipper takes.
    backlog: ArcSwap<Backlog>,
    /// Erasures in force, as last looked at.
    erased: ArcSwap<Tombstones>,
    steps: Vec<StepCounters>,
    panics: AtomicU64,
    connections: AtomicU64,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
    cookies_refused: AtomicU64,
}

/// What follows from the configuration; replaced as a whole by a reload.
pub struct Settings {
    pub config: Arc<Config>,
    pub sites: SiteTable,
    pub rates: Arc<RateLimits>,
    pub junk: Junk,
    /// For refusals of hits that name no site.
    pub refusal_terms: Terms,
    pub cookie_name: &'static str,
    /// Browsers reach the collector by https.
    pub secure: bool,
}

/// What the accept side counts besides hits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct AcceptCounts {
    /// Requests that panicked.
    pub panics: u64,
    /// Connections open now.
    pub connections: u64,
    /// Connections closed at once because their thread had as many as it may.
    pub connections_refused: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// Visitor cookies that were forged, altered, too old, or of a destroyed key.
    pub cookies_refused: u64,
    /// Addresses and networks remembered by the rate limits.
    pub addresses_remembered: u64,
    pub steps: Vec<StepCount>,
}

// === impl Shared ===

impl Shared {
    /// State for `threads` hit threads.
    pub fn new(
        config: Arc<Config>,
        threads: usize,
        keys: Arc<KeyRing>,
        enricher: Arc<Enricher>,
        counters: Arc<Counters>,
        seen: Arc<Seen>,
        limits: Limits,
    ) -> Result<Arc<Shared>, SitesError> {
        let choices = Arc::new(Choices::new(&config.data_dir));
        let settings = Settings::new(config, &counters, None)?;
        Ok(Arc::new(Shared {
            settings: ArcSwap::from_pointee(settings),
            keys,
            enricher,
            counters,
            seen,
            crowd: Crowd::default(),
            refusals: Refusals::default(),
            choices,
            limits,
            backlog: ArcSwap::default(),
            erased: ArcSwap::default(),
            steps: (0..threads.clamp(1, MAX_THREADS)).map(|_| StepCounters::default()).collect(),
            panics: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            cookies_refused: AtomicU64::new(0),
        }))
    }

    /// Takes over what can change while running: everything about sites, rates,
    /// paths, proxies and the public URL. Listeners, threads and durability stay.
    pub fn reload(&self, config: Arc<Config>) -> Result<(), SitesError> {
        let rates = self.settings.load().rates.clone();
        let settings = Settings::new(config, &self.counters, Some(rates))?;
        self.settings.store(Arc::new(settings));
        Ok(())
    }

    /// What waits for storage, for [`Shared::backlog`].
    pub fn note_backlog(&self, backlog: Backlog) {
        self.backlog.store(Arc::new(backlog));
    }

    /// Whose cookies are not to be recognised any more, for [`Shared::is_erased`].
    pub fn note_erased(&self, tombstones: Arc<Tombstones>) {
        self.erased.store(tombstones);
    }

    /// Whether this visitor of a site was erased: whoever comes with their cookie is
    /// somebody new.
    pub fn is_erased(&self, site: &str, visitor: u64) -> bool {
        self.erased.load().is_of(site, Subject::Visitor(visitor))
    }

    /// What waited for storage when it was last noted.
    pub fn backlog(&self) -> Arc<Backlog> {
        self.backlog.load_full()
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The step counters of one thread.
    pub fn steps(&self, thread: usize) -> &StepCounters {
        &self.steps[thread % self.steps.len()]
    }

    /// As the crowd knows an address on a site.
    pub fn crowd_key(&self, site: &str, ip: &ClientIp) -> u64 {
        self.keys.limiter_key(&[site.as_bytes(), &ip.prefix()])
    }

    /// A visitor's cookie was forged, altered, too old, or of a destroyed key.
    pub fn cookie_refused(&self) {
        self.cookies_refused.fetch_add(1, Relaxed);
    }

    /// What was counted so far.
    pub fn counts(&self) -> AcceptCounts {
        AcceptCounts {
            panics: self.panics.load(Relaxed),
            connections: self.connections.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            handshakes_failed: self.handshakes_failed.load(Relaxed),
            cookies_refused: self.cookies_refused.load(Relaxed),
            addresses_remembered: self.settings.load().rates.remembered() as u64,
            steps: StepCounters::sum(&self.steps),
        }
    }
}

// === impl Settings ===

impl Settings {
    fn new(
        config: Arc<Config>,
        counters: &Counters,
        rates: Option<Arc<RateLimits>>,
    ) -> Result<Settings, SitesError> {
        let sites = SiteTable::load(&config, counters)?;
        let collect = &config.collect;
        let per_minute = PerMinute {
            address: collect.rate_limit_per_minute,
            network: collect.rate_limit_network_per_minute,
            site: collect.rate_limit_site_per_minute,
        };
        // A reload that leaves the rates alone does not forgive anybody.
        let rates = rates
            .filter(|rates| rates.per_minute() == per_minute)
            .unwrap_or_else(|| Arc::new(RateLimits::new(per_minute)));
        let (cookie_name, secure) = (cookie_name(&collect.public_url), is_https(&collect.public_url));
        let (junk, refusal_terms) = (Junk::new(&config.enrich), Terms::strictest(&config));
        Ok(Settings { sites, rates, junk, refusal_terms, cookie_name, secure, config })
    }
}
