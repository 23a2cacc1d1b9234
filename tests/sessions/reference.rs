//! The numbers by definition, slowly, from what happened: who, when, where.
//!
//! It knows no hash, no salt, no row and no SQL. A person is a cookie, or a device
//! (network and browser) on one day of the site; a first hit belongs to the cookie
//! that it was answered with if that cookie ever came back to the site; a device's
//! day continues the day before where a visit goes on over midnight.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::civil::Date;

use crate::world::{MINUTE, Place};

const TIMEOUT: i64 = 30 * MINUTE;
const LIVE: i64 = 5 * MINUTE;
/// A question sees so much around its range.
const AROUND: i64 = 24 * 60 * MINUTE;

/// A hit that was taken.
#[derive(Clone, Debug)]
pub struct Seen {
    /// By the clock of the collector that took it, in milliseconds.
    pub at: i64,
    pub history: usize,
    /// Network and browser.
    pub device: (String, String),
    /// The cookie that it came with, where the site may look at it.
    pub cookie: Option<usize>,
    /// The cookie that its answer set.
    pub minted: Option<usize>,
    pub machine: bool,
    pub view: bool,
    /// A page view or event.
    pub counted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Person {
    Cookie(usize),
    Device(Date, (String, String)),
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Numbers {
    pub visitors: u64,
    pub visits: u64,
    pub pageviews: u64,
    pub events: u64,
    pub bounces: u64,
    pub milliseconds: i64,
}

/// The people of a site, and their hits in order of time.
pub struct People<'a> {
    place: &'a Place,
    hits: BTreeMap<Person, Vec<&'a Seen>>,
    /// How many days continue the one before, and how many of these another.
    pub continued: u64,
    pub chained: u64,
    pub adopted: u64,
}

impl<'a> People<'a> {
    pub fn of(place: &'a Place, seen: &'a [Seen]) -> People<'a> {
        let returned: HashSet<usize> = seen.iter().filter_map(|hit| hit.cookie).collect();
        let mut named: Vec<(Person, &Seen)> = Vec::new();
        let mut adopted = 0;
        for hit in seen.iter().filter(|hit| !hit.machine) {
            let own = hit.minted.filter(|cookie| returned.contains(cookie));
            adopted += u64::from(own.is_some());
            let person = match hit.cookie.or(own) {
                Some(cookie) => Person::Cookie(cookie),
                None => Person::Device(place.day(hit.at), hit.device.clone()),
            };
            named.push((person, hit));
        }
        // The first and the last hit of each.
        let mut spans: HashMap<Person, (i64, i64)> = HashMap::new();
        for (person, hit) in &named {
            let span = spans.entry(person.clone()).or_insert((hit.at, hit.at));
            *span = (span.0.min(hit.at), span.1.max(hit.at));
        }
        let earlier = |person: &Person| -> Option<Person> {
            let Person::Device(day, device) = person else { return None };
            let before = Person::Device(day.yesterday().expect("in range"), device.clone());
            let (_, last) = spans.get(&before)?;
            (spans[person].0 - last <= TIMEOUT).then_some(before)
        };
        let links: Vec<Option<Person>> = spans.keys().map(earlier).collect();
        let continued = links.iter().flatten().count() as u64;
        let chained = links.iter().flatten().filter(|before| earlier(before).is_some()).count() as u64;
        let mut hits: BTreeMap<Person, Vec<&Seen>> = BTreeMap::new();
        for (mut person, hit) in named {
            while let Some(before) = earlier(&person) {
                person = before;
            }
            hits.entry(person).or_default().push(hit);
        }
        for list in hits.values_mut() {
            list.sort_by_key(|hit| hit.at);
        }
        People { place, hits, continued, chained, adopted }
    }

    /// The visits of a person among the hits that a question sees.
    fn visits(hits: &[&'a Seen], from: i64, to: i64) -> Vec<Vec<&'a Seen>> {
        let mut visits: Vec<Vec<&Seen>> = Vec::new();
        let mut previous = i64::MIN / 2;
        let mut open = false;
        for hit in hits.iter().filter(|hit| hit.at >= from - AROUND && hit.at < to + AROUND) {
            open = open && hit.at - previous <= TIMEOUT;
            previous = hit.at;
            if hit.counted && !open {
                open = true;
                visits.push(Vec::new());
            }
            // What comes before a page view, or after a gap, is in no visit.
            if open && let Some(visit) = visits.last_mut() {
                visit.push(hit);
            }
        }
        visits
    }

    /// The numbers of each group in a range.
    pub fn numbers<G: Ord>(&self, from: i64, to: i64, group: impl Fn(&Seen) -> G) -> BTreeMap<G, Numbers> {
        let mut groups: BTreeMap<G, Numbers> = BTreeMap::new();
        for hits in self.hits.values() {
            let mut here: BTreeSet<G> = BTreeSet::new();
            for visit in People::visits(hits, from, to) {
                let counted = visit.iter().filter(|hit| hit.counted);
                let inside: Vec<&&Seen> =
                    counted.clone().filter(|hit| hit.at >= from && hit.at < to).collect();
                for hit in &inside {
                    let numbers = groups.entry(group(hit)).or_default();
                    numbers.events += 1;
                    numbers.pageviews += u64::from(hit.view);
                }
                for name in inside.iter().map(|hit| group(hit)).collect::<BTreeSet<G>>() {
                    let numbers = groups.entry(name).or_default();
                    numbers.visits += 1;
                    numbers.bounces += u64::from(counted.clone().count() == 1);
                    numbers.milliseconds += visit[visit.len() - 1].at - visit[0].at;
                }
                here.extend(inside.iter().map(|hit| group(hit)));
            }
            for name in here {
                groups.entry(name).or_default().visitors += 1;
            }
        }
        groups
    }

    /// Who is there now.
    pub fn live(&self, now: i64) -> u64 {
        let is_now = |hit: &&Seen| hit.at > now - LIVE && hit.at <= now;
        self.hits.values().filter(|hits| hits.iter().any(is_now)).count() as u64
    }

    /// How many visits there are, how many of them over a midnight, and how many of
    /// these without a cookie.
    pub fn over_midnight(&self) -> (u64, u64, u64) {
        let (mut all, mut over, mut cookieless) = (0, 0, 0);
        for (person, hits) in &self.hits {
            for visit in People::visits(hits, i64::MIN / 2, i64::MAX / 2) {
                all += 1;
                if self.place.day(visit[0].at) != self.place.day(visit[visit.len() - 1].at) {
                    over += 1;
                    cookieless += u64::from(matches!(person, Person::Device(..)));
                }
            }
        }
        (all, over, cookieless)
    }
}
