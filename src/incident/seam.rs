//! Which incidents a browser's own page has to tell of (clause 5.4).
//!
//! In: a site. Out: its open incidents with the ranges of time in which hits are
//! affected, and what the page says. The page knows which hits are the browser's: it
//! asks [`Affecting::covers`] of each, or asks storage for hits in the range.

use super::notice::{Both, advice, notice};
use super::register::{Register, State};
use super::{Incident, Kind};
use crate::config::Config;
use crate::rights::numbered::NumberedError;

/// One open incident, as a visitor is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affecting {
    pub number: String,
    pub kind: Kind,
    /// Hits from this moment, in milliseconds since 1970,
    pub from: i64,
    /// to before this one.
    pub to: i64,
    pub notice: Both,
    pub advice: Both,
}

// === impl Affecting ===

impl Affecting {
    /// Whether a hit that came at this moment is affected.
    pub fn covers(&self, time_ms: i64) -> bool {
        (self.from..self.to).contains(&time_ms)
    }
}

/// The open incidents of a site. The register reads its file again only when that changed:
/// keep it between questions.
pub fn affects(register: &Register, config: &Config, site: &str) -> Result<Vec<Affecting>, NumberedError> {
    let is_meant = |one: &Incident| one.site == site && one.state == State::Open;
    let told = |one: Incident| Affecting {
        notice: notice(&one, config),
        advice: advice(one.kind, config),
        number: one.number,
        kind: one.kind,
        from: one.from,
        to: one.to,
    };
    Ok(register.list()?.into_iter().filter(is_meant).map(told).collect())
}
