//! Who of a site's visitors is over the threshold, and is to be told of.
//!
//! In: a memory, and whose new hits it took in, or that it was made anew. Out: an [`Alert`] of each
//! visitor whom the rules bring over the threshold at their last hit, once a day (UTC), if that hit is of the
//! last day and their cookie came back: of one that was only offered nobody can ask.
//!
//! What is out of order may be in order once other threads and collectors have stored what they have. So for
//! [`SETTLING_MS`] nobody is told of for that; they are to be looked at again.

use super::alerts::Alert;
use super::memory::{DAY_MS, Memory, day};
use super::rules::{Cookie, Facts, ask};
use crate::config::{Fraud, Site};

/// Five times as long as batches wait to be shipped, if the configuration says nothing else; more than a
/// look of this collector at what others stored takes on a site that has hits.
pub const SETTLING_MS: i64 = 10_000;
/// The rule that is about the order of hits.
const OF_ORDER: &str = "page_order";

/// What the visitors of a site are looked at with.
pub struct Watch<'a> {
    pub config: &'a Fraud,
    pub site: &'a Site,
    /// Whether a configured database tells of networks.
    pub knows_networks: bool,
}

/// What was seen of a visitor.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    Nothing,
    /// They are over the threshold if what is out of order stays so.
    Unsettled,
    Over(Alert),
}

// === impl Watch ===

impl Watch<'_> {
    /// The alert of a visitor; none of who is below the threshold, or was told of on that day. `clock` is now.
    pub fn look(&self, memory: &Memory, subject: u64, clock: i64) -> Looked {
        let Some(visitor) = memory.visitor(subject) else { return Looked::Nothing };
        let now = visitor.track.last;
        if visitor.told == day(now) || !visitor.returned || clock - now > DAY_MS {
            return Looked::Nothing;
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
        let mut rules: Vec<(&str, u32)> = fired.collect();
        let score = |rules: &[(&str, u32)]| rules.iter().map(|(_, points)| points).sum::<u32>();
        if score(&rules) < self.config.threshold {
            return Looked::Nothing;
        }
        let disorder = visitor.odd().and_then(|odd| odd.disorder());
        if disorder.is_some_and(|disorder| clock - disorder.at < SETTLING_MS) {
            rules.retain(|(rule, _)| *rule != OF_ORDER);
        }
        let score = score(&rules);
        if score < self.config.threshold {
            return Looked::Unsettled;
        }
        Looked::Over(Alert { number: 0, site: self.site.id.clone(), at_ms: now, subject, score, rules })
    }

    /// Looks at everybody: what a making read was not looked at hit by hit. The alerts come in the order of the
    /// last hits, then who is to be looked at again.
    pub fn look_at_all(&self, memory: &Memory, now: i64) -> (Vec<Alert>, Vec<u64>) {
        let (mut alerts, mut unsettled) = (Vec::new(), Vec::new());
        for (subject, _) in memory.visitors() {
            match self.look(memory, subject, now) {
                Looked::Nothing => {}
                Looked::Unsettled => unsettled.push(subject),
                Looked::Over(alert) => alerts.push(alert),
            }
        }
        alerts.sort_unstable_by_key(|alert| (alert.at_ms, alert.subject));
        (alerts, unsettled)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::enrich::NetworkKind;
    use crate::event::Kind;
    use crate::fraud::follow::shape;
    use crate::fraud::sighting::Sighting;

    #[test]
    fn who_came_longer_ago_and_who_keeps_no_cookie_is_not_told_of() {
        let text = "[fraud]\nthreshold = 60\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]";
        let config = Config::parse(text, [], Path::new("/srv")).expect("valid");
        let watch = Watch { config: &config.fraud, site: &config.sites[0], knows_networks: false };
        let mut memory = Memory::new(shape(&config.fraud));
        let noon = 20_000 * DAY_MS + DAY_MS / 2;
        for (browser, time, returned) in
            [(1, noon, true), (2, noon, false), (3, noon - DAY_MS, true), (4, noon - DAY_MS - 1, true)]
        {
            memory.see(&Sighting { returned, ..headless(browser, time) });
        }
        let (told, unsettled) = watch.look_at_all(&memory, noon);
        let told: Vec<u64> = told.iter().map(|alert| alert.subject).collect();
        assert_eq!((told, unsettled), (vec![3, 1], vec![]));
        // The same of hits that are taken in late.
        let looked = [1, 2, 3, 4].map(|browser| watch.look(&memory, browser, noon) != Looked::Nothing);
        assert_eq!(looked, [true, false, true, false]);
    }

    #[test]
    fn what_is_out_of_order_is_told_of_when_others_had_time_to_store_theirs() {
        let text = "[fraud]\nthreshold = 90\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]";
        let config = Config::parse(text, [], Path::new("/srv")).expect("valid");
        let watch = Watch { config: &config.fraud, site: &config.sites[0], knows_networks: false };
        let mut memory = Memory::new(shape(&config.fraud));
        let noon = 20_000 * DAY_MS + DAY_MS / 2;
        let click = Sighting { kind: Kind::AdClick, ad: "banner", ..headless(1, noon) };
        memory.see(&click);
        assert_eq!(watch.look(&memory, 1, noon + SETTLING_MS - 1), Looked::Unsettled);
        assert_eq!(watch.look_at_all(&memory, noon).1, [1]);
        match watch.look(&memory, 1, noon + SETTLING_MS) {
            Looked::Over(alert) => assert_eq!(alert.rules, [("automation", 60), ("page_order", 30)]),
            other => panic!("{other:?}"),
        }
        memory.see(&Sighting { kind: Kind::AdView, time: noon - 1, ..click });
        assert_eq!(watch.look(&memory, 1, noon + SETTLING_MS), Looked::Nothing);
    }

    fn headless(browser: u64, time: i64) -> Sighting<'static> {
        Sighting {
            time,
            kind: Kind::Pageview,
            browser,
            returned: true,
            visitor: browser,
            user_key: 0,
            address: 0,
            country: "",
            city: "",
            point: None,
            network: NetworkKind::Unknown,
            agent: "",
            mark: "headless",
            language: "",
            timezone: "",
            path: "/",
            ad: "",
        }
    }
}
