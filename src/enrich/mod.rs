//! What a hit says between the lines: browser, place, source, language, screen.
//!
//! ```text
//! user agent ─► user_agent: quick answer at once, the full one from a helper thread for the rows after
//! address    ─► place: MaxMind-format databases, in memory
//! referrer, utm ─► source: a closed table
//! Sec-CH-UA, referrer, network ─► hints, junk: what a mark is made of
//! ```
//!
//! In: values. Out: values. Nothing here waits: a missing file or a full queue
//! gives an emptier answer, a warning at the start, and never a refused hit.
//!
//! [`Enricher`] is shared by all threads and reloaded in place.

pub mod client;
pub mod hints;
pub mod junk;
pub mod place;
pub mod source;
pub mod user_agent;

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;

pub use client::{language, screen_class};
use place::GeoError;
pub use place::{
    Attribution, Coordinates, DatabaseInfo, Embedded, Location, NetworkKind, Place, Places, Scope,
    TimeZoneSource, ZoneOfCountry, zones_of_country,
};
use user_agent::UserAgentError;
pub use user_agent::{Classifier, UserAgent, UserAgentStats};

use crate::config::Config;
use crate::search::Search;

/// All lookups that need files.
pub struct Enricher {
    search: Search,
    classifier: ArcSwap<Classifier>,
    places: ArcSwap<Places>,
}

/// A configured file cannot be used. A file that is not configured and not
/// found is a warning instead.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    #[error(transparent)]
    Geo(#[from] GeoError),
    #[error(transparent)]
    UserAgent(#[from] UserAgentError),
}

// === impl Enricher ===

impl Enricher {
    /// Opens the geo databases and finds the user agent rules, which are loaded
    /// later, on the helper thread.
    pub fn open(config: &Config, search: &Search) -> Result<Enricher, EnrichError> {
        Ok(Enricher {
            search: search.clone(),
            classifier: ArcSwap::from_pointee(Classifier::open(&config.enrich, search)?),
            places: ArcSwap::from_pointee(Places::open(&config.geo, &config.enrich, search, None)?),
        })
    }

    /// Opens the files again. On an error everything stays as it was.
    pub fn reload(&self, config: &Config) -> Result<(), EnrichError> {
        let classifier = Classifier::open(&config.enrich, &self.search)?;
        let before = self.places.load();
        let places = Places::open(&config.geo, &config.enrich, &self.search, Some(&before))?;
        if !self.classifier.load().is_same(&classifier) {
            self.classifier.store(Arc::new(classifier));
        }
        self.places.store(Arc::new(places));
        Ok(())
    }

    /// What is missing, one sentence each, naming the command that brings it.
    pub fn warnings(&self) -> Vec<String> {
        let (classifier, places) = (self.classifier.load(), self.places.load());
        classifier.warnings().iter().chain(places.warnings()).cloned().collect()
    }

    /// Browser, system, device and whether it is a machine. Never waits.
    pub fn classify_user_agent(&self, user_agent: &str) -> Arc<UserAgent> {
        self.classifier.load().classify(user_agent)
    }

    /// How the user agent cache and its helper thread are doing.
    pub fn user_agent_stats(&self) -> UserAgentStats {
        self.classifier.load().stats()
    }

    /// The geo databases in force: they know where an address is.
    pub fn places(&self) -> Guard<Arc<Places>> {
        self.places.load()
    }

    /// The geo databases in force, with their age.
    pub fn databases(&self, now: Timestamp) -> Vec<DatabaseInfo> {
        self.places.load().databases(now)
    }

    /// What the licences of the geo databases in use ask to be shown.
    pub fn attribution(&self) -> Vec<Attribution> {
        self.places.load().attribution()
    }
}
