//! Who of a site's visitors is over the threshold, and is to be told of.
//!
//! In: a memory, and whose new hits it took in, or that it was made anew. Out: an [`Alert`] of each
//! visitor whom the rules bring over the threshold at their last hit, once a day (UTC).

use super::alerts::Alert;
use super::memory::{DAY_MS, Memory, day};
use super::rules::{Cookie, Facts, ask};
use crate::config::{Fraud, Site};

/// What the visitors of a site are looked at with.
pub struct Watch<'a> {
    pub config: &'a Fraud,
    pub site: &'a Site,
    /// Whether a configured database tells of networks.
    pub knows_networks: bool,
}

// === impl Watch ===

impl Watch<'_> {
    /// The alert of a visitor; none of who is below the threshold, or was told of on that day.
    pub fn look(&self, memory: &Memory, subject: u64) -> Option<Alert> {
        let visitor = memory.visitor(subject)?;
        let now = visitor.track.last;
        if visitor.told == day(now) {
            return None;
        }
        let said = ask(&Facts {
            config: self.config,
            memory,
            now,
            visitor: Some(visitor),
            user: None,
            browsers: &[],
            address: memory.address(visitor.visit.address),
            network: None,
            knows_networks: self.knows_networks,
            has_time_zones: self.site.fields.timezone,
            cookie: Cookie::Absent,
        });
        let fired = said.iter().map(|said| (said.rule.name, said.points())).filter(|(_, points)| *points > 0);
        let rules: Vec<(&str, u32)> = fired.collect();
        let score = rules.iter().map(|(_, points)| points).sum();
        (score >= self.config.threshold).then(|| Alert {
            number: 0,
            site: self.site.id.clone(),
            at_ms: now,
            subject,
            score,
            rules,
        })
    }

    /// The alerts of everybody who came within the last day, in the order of their last hits: what a
    /// making read was not looked at hit by hit.
    pub fn look_at_all(&self, memory: &Memory, now: i64) -> Vec<Alert> {
        let of_day = memory.visitors().filter(|(_, visitor)| now - visitor.track.last <= DAY_MS);
        let mut alerts: Vec<Alert> = of_day.filter_map(|(subject, _)| self.look(memory, subject)).collect();
        alerts.sort_unstable_by_key(|alert| (alert.at_ms, alert.subject));
        alerts
    }
}
