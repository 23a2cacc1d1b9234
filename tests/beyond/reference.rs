//! The answers by definition, slowly, from plain hits: no SQL, no arrays of steps.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use metka::settings::Aim;

use crate::goal::reached;
use crate::world::{DAY, Hit, MINUTE, World, at};

const TIMEOUT: i64 = 30 * MINUTE;

/// A filter as the API writes it.
#[derive(Clone, Debug)]
pub enum Where {
    Page(&'static str),
    NotPage(&'static str),
    Source(&'static str),
    Entry(&'static str),
    Ad(&'static str),
    Any(Vec<Where>),
    Not(Box<Where>),
}

/// What a question asks about.
#[derive(Clone, Debug)]
pub struct Ask {
    pub from: i64,
    pub to: i64,
    pub filters: Vec<Where>,
    pub marketing: bool,
}

pub struct Visit<'a> {
    pub person: u64,
    /// In order; the first is the first page view or event.
    pub hits: Vec<&'a Hit>,
    /// What comes before its person's first page view or event is none.
    real: bool,
}

/// The most visitors of each step.
pub fn funnel(world: &World, ask: &Ask, steps: &[Aim]) -> Vec<u64> {
    let visits = asked(world, ask);
    (1..=steps.len())
        .map(|number| {
            let persons: HashSet<u64> = visits
                .iter()
                .filter(|visit| {
                    let hits: Vec<&Hit> =
                        visit.hits.iter().copied().filter(|hit| ask.contains(hit.time)).collect();
                    reaches(&steps[..number], &hits)
                })
                .map(|visit| visit.person)
                .collect();
            persons.len() as u64
        })
        .collect()
}

/// Whether there are hits for all steps, each after the one before.
fn reaches(steps: &[Aim], hits: &[&Hit]) -> bool {
    let Some((first, rest)) = steps.split_first() else { return true };
    (0..hits.len()).any(|index| reached(first, hits[index].seen()) && reaches(rest, &hits[index + 1..]))
}

/// Visits by pair of pages, by entry, by exit.
#[derive(Debug, Default, PartialEq)]
pub struct Journeys {
    pub steps: BTreeMap<(String, String), u64>,
    pub entries: BTreeMap<String, u64>,
    pub exits: BTreeMap<String, u64>,
}

pub fn journeys(world: &World, ask: &Ask) -> Journeys {
    let mut journeys = Journeys::default();
    for visit in asked(world, ask) {
        let views: Vec<&Hit> =
            visit.hits.iter().copied().filter(|hit| hit.kind == metka::event::Kind::Pageview).collect();
        let mut pairs = BTreeSet::new();
        for (index, view) in views.iter().enumerate() {
            if !ask.contains(view.time) {
                continue;
            }
            if index == 0 {
                *journeys.entries.entry(view.path.to_owned()).or_default() += 1;
            } else if views[index - 1].path != view.path {
                pairs.insert((views[index - 1].path.to_owned(), view.path.to_owned()));
            }
            if index == views.len() - 1 {
                *journeys.exits.entry(view.path.to_owned()).or_default() += 1;
            }
        }
        for pair in pairs {
            *journeys.steps.entry(pair).or_default() += 1;
        }
    }
    journeys
}

/// By week: visitors of each week from it on.
pub fn retention(world: &World, ask: &Ask, now: i64) -> BTreeMap<Date, Vec<u64>> {
    let cookies = cookies(&world.seen(), i64::MIN);
    let mut begun: BTreeMap<u64, Vec<Visit>> = BTreeMap::new();
    for visit in visits(world, 0, now + 1 + DAY) {
        let counts = visit.real && (!ask.marketing || visit.hits[0].marketing);
        if counts && visit.hits[0].time <= now && cookies.contains(&visit.person) {
            begun.entry(visit.person).or_default().push(visit);
        }
    }
    let week = |time: i64| monday(at(time, &world.zone).date());
    let last = week(now);
    let mut cohorts: BTreeMap<Date, Vec<u64>> = BTreeMap::new();
    for visits in begun.values() {
        let first = visits.iter().min_by_key(|visit| visit.hits[0].time).expect("has one");
        let passes = |hit: &&Hit| ask.filters.iter().all(|filter| filter.passes(hit, first));
        if !ask.contains(first.hits[0].time) || !first.hits.iter().any(passes) {
            continue;
        }
        let weeks: BTreeSet<Date> = visits.iter().map(|visit| week(visit.hits[0].time)).collect();
        let cohort = week(first.hits[0].time);
        let mut number = 0;
        let mut at = cohort;
        let counts = cohorts.entry(cohort).or_default();
        while at <= last && number < 26 {
            if counts.len() == number {
                counts.push(0);
            }
            counts[number] += u64::from(weeks.contains(&at));
            number += 1;
            at = at.checked_add(jiff::Span::new().days(7)).expect("in range");
        }
    }
    cohorts
}

/// Visitors now, by page, by source.
pub fn live(
    world: &World,
    filters: &[Where],
    now: i64,
) -> (u64, BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let from = now - 5 * MINUTE + 1;
    let mut latest: BTreeMap<u64, (&Hit, String)> = BTreeMap::new();
    for visit in visits(world, from - DAY, now + 1 + DAY) {
        for &hit in &visit.hits {
            if hit.time < from || hit.time > now || !filters.iter().all(|filter| filter.passes(hit, &visit)) {
                continue;
            }
            let source = match visit.hits[0].source {
                "" => "Direct / None".to_owned(),
                source => source.to_owned(),
            };
            let known = latest.get(&visit.person);
            if known.is_none_or(|(earlier, _)| order(earlier) < order(hit)) {
                latest.insert(visit.person, (hit, source));
            }
        }
    }
    let (mut pages, mut sources) = (BTreeMap::new(), BTreeMap::new());
    for (hit, source) in latest.values() {
        *pages.entry(hit.path.to_owned()).or_default() += 1;
        *sources.entry(source.clone()).or_default() += 1;
    }
    (latest.len() as u64, pages, sources)
}

// === impl Ask ===

impl Ask {
    fn contains(&self, time: i64) -> bool {
        time >= self.from && time < self.to
    }
}

// === impl Where ===

impl Where {
    fn passes(&self, hit: &Hit, visit: &Visit) -> bool {
        let entry = visit.hits[0];
        match self {
            Where::Page(path) => hit.path == *path,
            Where::NotPage(path) => hit.path != *path,
            Where::Source(source) => entry.source == *source,
            Where::Entry(path) => entry.path == *path,
            Where::Ad(ad) => hit.ad == *ad,
            Where::Any(children) => children.iter().any(|child| child.passes(hit, visit)),
            Where::Not(child) => !child.passes(hit, visit),
        }
    }
}

// === impl World ===

impl World {
    /// All but the hits of those who are blocked.
    fn seen(&self) -> Vec<&Hit> {
        let covered =
            |hit: &Hit| [hit.visitor, hit.minted, hit.before].iter().any(|id| self.blocked.contains(id));
        self.hits.iter().filter(|hit| !covered(hit)).collect()
    }
}

/// The visits that a question about a range looks at.
fn asked<'a>(world: &'a World, ask: &Ask) -> Vec<Visit<'a>> {
    let mut visits = visits(world, ask.from - DAY, ask.to + DAY);
    visits.retain(|visit| {
        visit.real
            && (!ask.marketing || visit.hits[0].marketing)
            && visit.hits.iter().any(|hit| {
                ask.contains(hit.time) && ask.filters.iter().all(|filter| filter.passes(hit, visit))
            })
    });
    visits
}

/// The cookies that came back; none does before it is offered.
fn cookies(hits: &[&Hit], from: i64) -> HashSet<u64> {
    hits.iter().filter(|hit| hit.cookie && hit.time >= from).map(|hit| hit.visitor).collect()
}

/// All visits of the hits of a time, and what belongs to none.
fn visits(world: &World, from: i64, to: i64) -> Vec<Visit<'_>> {
    let all = world.seen();
    let cookies = cookies(&all, from);
    let is_adopted = |hit: &Hit| hit.minted != 0 && cookies.contains(&hit.minted);
    let hits: Vec<&Hit> =
        all.into_iter().filter(|hit| !hit.marked && hit.time >= from && hit.time < to).collect();
    let hashed: Vec<&Hit> = hits.iter().copied().filter(|hit| !hit.cookie && !is_adopted(hit)).collect();
    let mut people: BTreeMap<u64, Vec<&Hit>> = BTreeMap::new();
    for hit in hits {
        let mut person = if is_adopted(hit) { hit.minted } else { hit.visitor };
        while let Some(earlier) = before_midnight(person, &hashed) {
            person = earlier;
        }
        // Nothing that the visitor did.
        if hit.kind != metka::event::Kind::Error {
            people.entry(person).or_default().push(hit);
        }
    }
    let mut visits: Vec<Visit> = Vec::new();
    for (person, mut hits) in people {
        hits.sort_by_key(|hit| order(hit));
        let mut last: Option<i64> = None;
        let mut ended = true;
        for hit in hits {
            ended |= last.is_none_or(|last| hit.time - last > TIMEOUT);
            let begins = hit.counted() && ended;
            if begins || last.is_none() {
                visits.push(Visit { person, hits: Vec::new(), real: begins });
            }
            ended &= !begins;
            last = Some(hit.time);
            visits.last_mut().expect("there is one").hits.push(hit);
        }
    }
    visits
}

/// The hash of the day before whose visit this hash continues.
fn before_midnight(hash: u64, hashed: &[&Hit]) -> Option<u64> {
    let first =
        hashed.iter().filter(|hit| hit.visitor == hash && hit.before != 0).min_by_key(|hit| hit.time)?;
    let last = hashed.iter().filter(|hit| hit.visitor == first.before).map(|hit| hit.time).max()?;
    (first.time - last <= TIMEOUT).then_some(first.before)
}

fn order(hit: &Hit) -> (i64, u64, u32) {
    (hit.time, hit.id.batch, hit.id.row)
}

pub fn monday(mut day: Date) -> Date {
    while day.weekday() != Weekday::Monday {
        day = day.yesterday().expect("in range");
    }
    day
}

/// Midnight of a day.
pub fn midnight(day: Date, zone: &TimeZone) -> i64 {
    day.to_zoned(zone.clone()).expect("in range").timestamp().as_millisecond()
}
