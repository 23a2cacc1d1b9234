//! The conservation counters: for each site
//! `received = stored + waiting + in flight + refused`, at every moment.
//!
//! A hit is *received* when it has been told apart in a request (each element
//! of an array is one), *in flight* until it is durable or refused, *waiting*
//! while the spool holds it, *stored* once storage has acknowledged its batch.
//! `received` is not kept: it is the sum of the others, so that the equation
//! cannot break; what can go wrong is a hit that leaves one state without
//! entering the next, and each transition here is one call.
//!
//! The counts live as long as the data directory: the shipper's checkpoint
//! carries `stored` and `refused` across restarts, recovery of the spool
//! restores `waiting`, and what was in flight at a crash was never answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

use crate::reject::Reason;

/// The label for hits that name no configured site: request data never becomes
/// a label.
pub const UNKNOWN_SITE: &str = "-";

/// One site's counters. Shared by all threads.
pub struct SiteCounters {
    site: String,
    stored: AtomicU64,
    waiting: AtomicU64,
    in_flight: AtomicU64,
    refused: [AtomicU64; Reason::COUNT],
}

/// One site's counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteCounts {
    /// The sum of all that follows.
    pub received: u64,
    /// Acknowledged by storage.
    pub stored: u64,
    /// Durable in the spool, not yet acknowledged by storage.
    pub waiting: u64,
    /// Being handled.
    pub in_flight: u64,
    /// Refused, by the name of the reason; reasons with no hits are absent.
    pub refused: BTreeMap<String, u64>,
}

/// All sites' counters.
pub struct Counters {
    sites: RwLock<BTreeMap<String, Arc<SiteCounters>>>,
    unknown: Arc<SiteCounters>,
}

// === impl SiteCounters ===

impl SiteCounters {
    fn new(site: &str) -> Arc<Self> {
        Arc::new(SiteCounters {
            site: site.to_owned(),
            stored: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }

    /// The site's id.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// A hit arrived.
    pub fn arrived(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// A hit in flight was refused.
    pub fn refused(&self, reason: Reason) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// A hit in flight is durable in the spool.
    pub fn durable(&self) {
        self.waiting.fetch_add(1, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Recovery found `hits` in the spool that storage has not acknowledged.
    pub fn recovered(&self, hits: u64) {
        self.waiting.fetch_add(hits, Relaxed);
    }

    /// Storage acknowledged `hits` that were waiting.
    pub fn stored(&self, hits: u64) {
        self.stored.fetch_add(hits, Relaxed);
        self.waiting.fetch_sub(hits, Relaxed);
    }

    /// Storage lost `hits` that it had acknowledged, and will not take them again.
    pub fn lost(&self, hits: u64) {
        self.waiting.fetch_add(hits, Relaxed);
        self.stored.fetch_sub(hits, Relaxed);
    }

    /// The counts carried over from the last run.
    pub fn restore(&self, stored: u64, refused: &BTreeMap<String, u64>) {
        self.stored.fetch_add(stored, Relaxed);
        for reason in Reason::ALL {
            if let Some(hits) = refused.get(reason.name()) {
                self.refused[reason as usize].fetch_add(*hits, Relaxed);
            }
        }
    }

    /// The counts now. Taken one after the other, so a hit that moves at this
    /// moment may be seen in neither or both of two states; at rest it is exact.
    pub fn counts(&self) -> SiteCounts {
        let in_flight = self.in_flight.load(Relaxed);
        let waiting = self.waiting.load(Relaxed);
        let stored = self.stored.load(Relaxed);
        let refused: BTreeMap<String, u64> = Reason::ALL
            .into_iter()
            .map(|reason| (reason.name().to_owned(), self.refused[reason as usize].load(Relaxed)))
            .filter(|(_, hits)| *hits > 0)
            .collect();
        let received = stored + waiting + in_flight + refused.values().sum::<u64>();
        SiteCounts { received, stored, waiting, in_flight, refused }
    }
}

// === impl Counters ===

impl Counters {
    /// Counters for the configured sites.
    pub fn new<'a>(sites: impl IntoIterator<Item = &'a str>) -> Arc<Self> {
        let counters = Counters { sites: RwLock::default(), unknown: SiteCounters::new(UNKNOWN_SITE) };
        for site in sites {
            counters.site(site);
        }
        Arc::new(counters)
    }

    /// The counters of a site that is, or once was, configured. Made on first
    /// use; callers pass configured ids or ids read from the product's own
    /// files, never request data.
    pub fn site(&self, site: &str) -> Arc<SiteCounters> {
        if site == UNKNOWN_SITE {
            return self.unknown.clone();
        }
        if let Some(found) = self.sites.read().expect("no panic holds this lock").get(site) {
            return found.clone();
        }
        let mut sites = self.sites.write().expect("no panic holds this lock");
        sites.entry(site.to_owned()).or_insert_with(|| SiteCounters::new(site)).clone()
    }

    /// The counters of hits that name no configured site.
    pub fn unknown(&self) -> &Arc<SiteCounters> {
        &self.unknown
    }

    /// Every site's counts now; [`UNKNOWN_SITE`] only if it has any.
    pub fn counts(&self) -> BTreeMap<String, SiteCounts> {
        let sites = self.sites.read().expect("no panic holds this lock");
        let mut all: BTreeMap<String, SiteCounts> =
            sites.iter().map(|(id, counters)| (id.clone(), counters.counts())).collect();
        let unknown = self.unknown.counts();
        if unknown.received > 0 {
            all.insert(UNKNOWN_SITE.to_owned(), unknown);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hit_is_in_exactly_one_state() {
        let counters = Counters::new(["clinic"]);
        let site = counters.site("clinic");
        for _ in 0..10 {
            site.arrived();
        }
        for _ in 0..3 {
            site.refused(Reason::ForeignHost);
        }
        for _ in 0..5 {
            site.durable();
        }
        site.stored(4);
        let counts = site.counts();
        assert_eq!((counts.received, counts.stored, counts.waiting, counts.in_flight), (10, 4, 1, 2));
        assert_eq!(counts.refused, BTreeMap::from([("foreign-host".to_owned(), 3)]));
    }

    #[test]
    fn unknown_sites_share_one_label_and_stay_out_while_empty() {
        let counters = Counters::new(["clinic"]);
        assert_eq!(counters.counts().keys().collect::<Vec<_>>(), ["clinic"]);
        counters.unknown().arrived();
        counters.unknown().refused(Reason::UnknownSite);
        assert_eq!(counters.counts()[UNKNOWN_SITE].received, 1);
    }
}
