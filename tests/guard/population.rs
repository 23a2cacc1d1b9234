//! A thousand patients with many small attributes, and the sets that questions are about,
//! by definition: bit sets of people, which know nothing of the guard.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use metka::event::Kind;
use metka::guard::exact::Exact;
use metka::query::QueryError;
use metka::store::row::HitId;
use metka::web::running::Answering;
use serde_json::{Value, json};

use crate::random::Random;
use crate::reference::Hit;

pub const ZONE: &str = "Europe/Moscow";
pub const PEOPLE: usize = 1000;
/// The first day with visits; with it the days are a whole month and parts of two more, so
/// that weeks lie over both of its ends.
pub const FIRST: Date = date(2026, 2, 16);
pub const DAYS: i64 = 56;

pub const CITIES: &[(&str, &str, u64)] = &[
    ("Moscow", "Moscow", 420),
    ("Podolsk", "Moscow Oblast", 60),
    ("Khimki", "Moscow Oblast", 7),
    ("Yaroslavl", "Yaroslavl Oblast", 190),
    ("Perm", "Perm Krai", 120),
    ("Tver", "Tver Oblast", 60),
    ("Rzhev", "Tver Oblast", 4),
    ("Kazan", "Tatarstan", 40),
    ("Omsk", "Omsk Oblast", 20),
];
pub const DEVICES: &[(&str, u64)] = &[("mobile", 620), ("desktop", 350), ("tablet", 24), ("tv", 3)];
pub const BROWSERS: &[(&str, u64)] = &[
    ("Chrome", 520),
    ("Yandex Browser", 250),
    ("Safari", 160),
    ("Firefox", 50),
    ("Chromium", 5),
    ("Opera", 8),
];
pub const SOURCES: &[(&str, u64)] =
    &[("Google", 400), ("Yandex", 300), ("Direct / None", 180), ("VK", 60), ("2GIS", 30), ("App", 24)];
pub const PAGES: &[(&str, u64)] = &[
    ("/", 300),
    ("/ceny", 200),
    ("/vrachi", 150),
    ("/kontakty", 100),
    ("/laser", 60),
    ("/botox", 40),
    ("/akne", 20),
    ("/psoriaz", 8),
    ("/hiv", 3),
];

/// Bits of people, visits or hits.
pub type Bits = Vec<u64>;

/// One visit.
pub struct Visit {
    pub person: usize,
    pub day: Date,
    pub hour: i8,
    pub values: BTreeMap<&'static str, String>,
    /// Pages, and whether it is an event there.
    pub hits: Vec<(String, bool)>,
    first_hit: usize,
}

pub struct World {
    pub visits: Vec<Visit>,
    cookies: Vec<bool>,
    hits: usize,
}

/// The people, visits and page views of a group.
#[derive(Clone, Default, PartialEq)]
pub struct Group {
    pub people: Bits,
    pub visits: Bits,
    pub views: Bits,
    pub events: Bits,
    /// Of the visits those that the bounce rate is about, and of these those that bounced.
    pub entered: Bits,
    pub bounced: Bits,
}

fn weighted(random: &mut Random, list: &[(&'static str, u64)]) -> &'static str {
    let all: u64 = list.iter().map(|(_, weight)| weight).sum();
    let mut at = random.below(all as usize) as u64;
    for (name, weight) in list {
        if at < *weight {
            return name;
        }
        at -= weight;
    }
    list[0].0
}

fn put(bits: &mut Bits, index: usize) {
    if bits.len() <= index / 64 {
        bits.resize(index / 64 + 1, 0);
    }
    bits[index / 64] |= 1 << (index % 64);
}

pub fn count(bits: &Bits) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}

pub fn contains(all: &Bits, part: &Bits) -> bool {
    part.iter().enumerate().all(|(index, word)| word & !all.get(index).copied().unwrap_or(0) == 0)
}

pub fn meet(one: &Bits, two: &Bits) -> bool {
    one.iter().zip(two).any(|(one, two)| one & two != 0)
}

// === impl World ===

impl World {
    pub fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let cities: Vec<(&str, u64)> = CITIES.iter().map(|(name, _, weight)| (*name, *weight)).collect();
        let mut world = World { visits: Vec::new(), cookies: Vec::new(), hits: 0 };
        for person in 0..PEOPLE {
            // Some come back, on another day and sometimes from another town.
            let returns = random.chance(15);
            world.cookies.push(returns);
            let device = weighted(&mut random, DEVICES);
            let browser = weighted(&mut random, BROWSERS);
            let source = weighted(&mut random, SOURCES);
            // One town in ten is nobody else's.
            let own = random.chance(8).then(|| format!("Town {}", person % 40));
            let mut city = own.unwrap_or_else(|| weighted(&mut random, &cities).to_owned());
            let mut on = World::day(&mut random);
            for _ in 0..if returns { 2 } else { 1 } {
                let mut values = BTreeMap::new();
                let region =
                    CITIES.iter().find(|(name, _, _)| *name == city).map_or("Elsewhere", |known| known.1);
                values.insert("visit:region", region.to_owned());
                values.insert(
                    "visit:country",
                    if region == "Elsewhere" && person % 11 == 0 { "KZ" } else { "RU" }.to_owned(),
                );
                values.insert("visit:city", city.clone());
                values.insert("visit:device", device.to_owned());
                values.insert("visit:browser", browser.to_owned());
                values.insert("visit:source", source.to_owned());
                let pages = 1 + random.below(4);
                let app = source == "App" && person % 8 != 0;
                let mut hits = Vec::new();
                for number in 0..pages {
                    let page = if number > 0 && random.chance(3) {
                        format!("/pacient-{person}")
                    } else {
                        weighted(&mut random, PAGES).to_owned()
                    };
                    hits.push((page, app || (number > 0 && random.chance(12))));
                }
                world.visits.push(Visit {
                    person,
                    day: on,
                    hour: 8 + random.below(12) as i8,
                    values,
                    first_hit: world.hits,
                    hits,
                });
                world.hits += pages;
                let next = World::day(&mut random);
                on = if next == on { on.tomorrow().expect("a day") } else { next };
                if random.chance(40) {
                    city = weighted(&mut random, &cities).to_owned();
                }
            }
        }
        world
    }

    /// Few come on Sundays, and most in March.
    fn day(random: &mut Random) -> Date {
        loop {
            let day = FIRST.checked_add((random.below(DAYS as usize) as i64).days()).expect("a day");
            let weight = match (day.weekday().to_monday_zero_offset(), day.month()) {
                (6, _) => 8,
                (5, _) => 25,
                (_, 3) => 100,
                _ => 40,
            };
            if random.chance(weight) {
                return day;
            }
        }
    }

    pub fn days(&self) -> Vec<Date> {
        (0..DAYS).map(|day| FIRST.checked_add(day.days()).expect("a day")).collect()
    }

    /// The rows as a collector would have stored them.
    pub fn rows(&self) -> Vec<Hit> {
        let zone = TimeZone::get(ZONE).expect("a known zone");
        let mut rows = Vec::new();
        for (index, visit) in self.visits.iter().enumerate() {
            let at = visit
                .day
                .at(visit.hour, (index % 30) as i8, 0, 0)
                .to_zoned(zone.clone())
                .expect("an instant");
            for (number, (page, is_event)) in visit.hits.iter().enumerate() {
                let mut text: BTreeMap<&'static str, String> = BTreeMap::new();
                for (dimension, value) in &visit.values {
                    let column = dimension.trim_start_matches("visit:");
                    let value =
                        if *dimension == "visit:source" && value == "Direct / None" { "" } else { value };
                    text.insert(column, value.to_owned());
                }
                text.insert("host", "clinic.example".to_owned());
                text.insert("path", page.clone());
                text.insert("name", if *is_event { "zapis".to_owned() } else { String::new() });
                let cookie = self.cookies[visit.person];
                rows.push(Hit {
                    id: HitId { batch: 9, row: rows.len() as u32 },
                    time: at.timestamp().as_millisecond() + number as i64 * 60_000,
                    kind: if *is_event { Kind::Event } else { Kind::Pageview },
                    visitor: 5_000 + visit.person as u64,
                    cookie,
                    minted: 0,
                    before: 0,
                    mark: "",
                    text,
                    props: Vec::new(),
                    engaged_ms: 0,
                    scroll: 255,
                    consent: metka::event::ConsentState::Unstated,
                });
            }
        }
        rows
    }

    /// The groups of a question, by definition.
    pub fn groups(&self, question: &Value) -> BTreeMap<Vec<String>, Group> {
        let day = |index: usize| -> Date {
            question["date_range"][index].as_str().expect("a day").parse().expect("a day")
        };
        let (first, last) = (day(0), day(1));
        let filters: Vec<Filter> =
            question["filters"].as_array().into_iter().flatten().map(Filter::of).collect();
        let dimensions: Vec<&str> =
            question["dimensions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let about_pages =
            dimensions.contains(&"event:page") || question["filters"].to_string().contains("event:page");
        let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
        if dimensions.is_empty() {
            groups.insert(Vec::new(), Group::default());
        }
        for (index, visit) in
            self.visits.iter().enumerate().filter(|(_, visit)| first <= visit.day && visit.day <= last)
        {
            for (number, (page, is_event)) in visit.hits.iter().enumerate() {
                if !filters.iter().all(|filter| filter.holds(visit, page)) {
                    continue;
                }
                let key: Vec<String> =
                    dimensions.iter().map(|name| value(name, visit, page).into_owned()).collect();
                let group = groups.entry(key.clone()).or_default();
                put(&mut group.people, visit.person);
                put(&mut group.visits, index);
                put(if *is_event { &mut group.events } else { &mut group.views }, visit.first_hit + number);
                let entry = &visit.hits[0].0;
                let entered = !about_pages
                    || (filters.iter().all(|filter| filter.holds(visit, entry))
                        && dimensions
                            .iter()
                            .map(|name| value(name, visit, entry).into_owned())
                            .eq(key.iter().cloned()));
                if entered {
                    put(&mut group.entered, index);
                    if visit.hits.len() == 1 {
                        put(&mut group.bounced, index);
                    }
                }
            }
        }
        groups
    }
}

fn value<'a>(name: &str, visit: &'a Visit, page: &'a str) -> Cow<'a, str> {
    match name {
        "event:page" => Cow::Borrowed(page),
        "visit:entry_page" => Cow::Borrowed(&visit.hits[0].0),
        "time:hour" => Cow::Owned(format!("{} {:02}:00:00", visit.day, visit.hour)),
        "time:day" => Cow::Owned(visit.day.to_string()),
        "time:week" => Cow::Owned(metka::guard::calendar::monday(visit.day).expect("a day").to_string()),
        "time:month" => Cow::Owned(visit.day.first_of_month().to_string()),
        name => Cow::Borrowed(&visit.values[name]),
    }
}

/// A filter that was read.
struct Filter {
    negated: bool,
    contains: bool,
    dimension: String,
    values: Vec<String>,
}

impl Filter {
    fn of(filter: &Value) -> Filter {
        if filter[0] == "not" {
            let inner = Filter::of(&filter[1]);
            return Filter { negated: !inner.negated, ..inner };
        }
        let operator = filter[0].as_str().expect("an operator");
        assert!(["is", "is_not", "contains"].contains(&operator), "{operator} is not known here");
        let values = filter[2].as_array().expect("values").iter();
        Filter {
            negated: operator == "is_not",
            contains: operator == "contains",
            dimension: filter[1].as_str().expect("a dimension").to_owned(),
            values: values.map(|value| value.as_str().expect("text").to_owned()).collect(),
        }
    }

    fn holds(&self, visit: &Visit, page: &str) -> bool {
        let value = value(&self.dimension, visit, page);
        let fits =
            |wanted: &String| if self.contains { value.contains(wanted.as_str()) } else { *wanted == value };
        self.values.iter().any(fits) != self.negated
    }
}

// === impl Exact ===

impl Exact for World {
    fn understood(&self, question: &Value) -> Result<Value, QueryError> {
        Ok(question.clone())
    }

    fn answer<'a>(&'a self, question: &'a Value) -> Answering<'a, Result<Value, QueryError>> {
        let answer = exactly(self.groups(question), question);
        Box::pin(async move { Ok(answer) })
    }
}

/// The exact answer of some groups, in the order of the engine's.
fn exactly(groups: BTreeMap<Vec<String>, Group>, question: &Value) -> Value {
    let metrics: Vec<&str> =
        question["metrics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut rows: Vec<(Vec<String>, Vec<Value>)> =
        groups
            .into_iter()
            .map(|(key, group)| {
                let number = |metric: &&str| match *metric {
                    "visitors" => json!(count(&group.people)),
                    "visits" => json!(count(&group.visits)),
                    "pageviews" => json!(count(&group.views)),
                    "events" => json!(count(&group.views) + count(&group.events)),
                    "bounce_rate" => match count(&group.entered) {
                        0 => Value::Null,
                        entered => {
                            json!((count(&group.bounced) as f64 * 100.0 / entered as f64).round_ties_even()
                                as u64)
                        }
                    },
                    other => panic!("{other} is not known here"),
                };
                (key, metrics.iter().map(number).collect())
            })
            .collect();
    let by_time = question["dimensions"][0].as_str().is_some_and(|name| name.starts_with("time"));
    if !by_time {
        rows.sort_by_key(|(_, metrics)| std::cmp::Reverse(metrics[0].as_u64()));
    }
    let rows: Vec<Value> =
        rows.into_iter().map(|(key, metrics)| json!({ "dimensions": key, "metrics": metrics })).collect();
    json!({ "results": rows, "meta": {}, "query": question })
}

/// Noon after the last visit.
pub fn now() -> Timestamp {
    let day = FIRST.checked_add(DAYS.days()).expect("a day");
    day.at(12, 0, 0, 0).to_zoned(TimeZone::get(ZONE).expect("a known zone")).expect("an instant").timestamp()
}
