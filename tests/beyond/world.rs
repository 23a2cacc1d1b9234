//! Hits of few people with few values, at times that like the edges: of half an hour, of
//! midnights, of weeks, of the range.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use metka::config::Site;
use metka::event::{ConsentState, IdentityKind, Kind};
use metka::settings::{Aim, Funnel, Goal, Settings};
use metka::spool::Subject;
use metka::store::row::{COLUMNS, HitId, Row};
use metka::store::{Block, List, Storage};

use crate::goal::Seen;
use crate::random::Random;

pub const MINUTE: i64 = 60_000;
pub const DAY: i64 = 86_400_000;

pub const PAGES: &[&str] = &["/", "/a", "/a/b", "/a/b/c", "/Ёлка", ""];

/// A hit, as far as these questions look at it.
#[derive(Clone, Debug)]
pub struct Hit {
    pub id: HitId,
    pub time: i64,
    pub kind: Kind,
    pub visitor: u64,
    pub cookie: bool,
    pub minted: u64,
    pub before: u64,
    pub marked: bool,
    pub path: &'static str,
    pub name: &'static str,
    pub ad: &'static str,
    pub source: &'static str,
    pub scroll: u8,
    pub marketing: bool,
}

// === impl Hit ===

impl Hit {
    /// A page view of somebody without a cookie.
    pub fn view(time: i64, visitor: u64, path: &'static str) -> Hit {
        Hit {
            id: HitId { batch: 1, row: 0 },
            time,
            kind: Kind::Pageview,
            visitor,
            cookie: false,
            minted: 0,
            before: 0,
            marked: false,
            path,
            name: "",
            ad: "",
            source: "",
            scroll: 255,
            marketing: false,
        }
    }

    pub fn event(time: i64, visitor: u64, name: &'static str) -> Hit {
        Hit { kind: Kind::Event, name, ..Hit::view(time, visitor, "/") }
    }

    /// The same hit of somebody with a cookie.
    pub fn known(self) -> Hit {
        Hit { cookie: true, ..self }
    }

    pub fn counted(&self) -> bool {
        matches!(self.kind, Kind::Pageview | Kind::Event)
    }

    pub fn seen(&self) -> Seen<'_> {
        Seen { kind: self.kind, name: self.name, path: self.path, ad: self.ad, scroll: self.scroll }
    }

    fn row<'a>(&self, site: &'a str) -> Row<'a> {
        Row {
            site,
            time: self.time,
            kind: self.kind,
            visitor: self.visitor,
            identity: if self.cookie { IdentityKind::Cookie } else { IdentityKind::Cookieless },
            minted: self.minted,
            user_key: 0,
            before: self.before,
            host: "clinic.example",
            path: self.path,
            query: "",
            title: "",
            referrer_host: "",
            referrer_path: "",
            source: self.source,
            channel: "",
            utm_source: "",
            utm_medium: "",
            utm_campaign: "",
            utm_content: "",
            utm_term: "",
            ip: [0; 16],
            ip_key: 0,
            country: "",
            region: "",
            city: "",
            asn: 0,
            network: "",
            browser: "",
            browser_version: "",
            os: "",
            os_version: "",
            device: "",
            bot: if self.marked { "crawler" } else { "" },
            language: "",
            screen: "",
            ad: self.ad,
            name: self.name,
            props: &[],
            engaged_ms: 0,
            scroll: self.scroll,
            timezone: "",
            consent: if self.marketing { ConsentState::Marketing } else { ConsentState::Granted },
            policy: "",
            keep_days: 3650,
            ip_days: 3650,
            city_days: 3650,
            user_key_days: 3650,
            props_days: 3650,
            hold: false,
            demo: false,
        }
    }
}

/// One site's people and hits, and whom it has blocked.
#[derive(Clone)]
pub struct World {
    pub site: Site,
    pub zone: TimeZone,
    pub hits: Vec<Hit>,
    pub blocked: Vec<u64>,
}

/// Numbers hits in their order, by two spools whose batches interleave.
pub fn numbered(mut hits: Vec<Hit>) -> Vec<Hit> {
    for (row, hit) in hits.iter_mut().enumerate() {
        hit.id = HitId { batch: 7 + (row % 2) as u64, row: row as u32 };
    }
    hits
}

pub fn site(id: &str, zone: &str) -> Site {
    Site { timezone: zone.to_owned(), ..Site::with_defaults(id, &["clinic.example"]) }
}

/// Stores the hits of all worlds: a month is a partition, and an insert holds one.
pub async fn store(storage: &Storage, worlds: &[World]) {
    let mut months: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut blocks = Vec::new();
    for world in worlds {
        for hit in &world.hits {
            let day = at(hit.time, &TimeZone::UTC).date();
            hit.row(&world.site.id)
                .encode(hit.id, months.entry(day.first_of_month().to_string()).or_default());
        }
        let block =
            |&subject: &u64| Block { site: world.site.id.clone(), subject: Subject::Visitor(subject) };
        blocks.extend(world.blocked.iter().map(block));
    }
    for (month, payload) in months {
        storage.insert(COLUMNS, &month, Bytes::from(payload)).await.expect("the histories are stored");
    }
    storage.enlist(List::Blocked, &blocks, 0).await.expect("the blocks are stored");
}

pub fn at(time: i64, zone: &TimeZone) -> jiff::Zoned {
    Timestamp::from_millisecond(time).expect("in range").to_zoned(zone.clone())
}

pub fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("an instant").as_millisecond()
}

/// Goals of every kind; some are never reached, some by the same hits.
pub fn settings() -> Settings {
    let page = |value: &str| Aim::Page { value: value.to_owned() };
    let event = |value: &str| Aim::Event { value: value.to_owned(), currency: None };
    let aims = [
        ("root", page("/")),
        ("a", page("/a")),
        ("below a", page("/a/*")),
        ("far below a", page("/a/**")),
        ("any page", page("**")),
        ("Ё", page("/Ё*")),
        ("call", event("call")),
        ("зап'ись", event("зап'ись")),
        ("read a", Aim::Scroll { value: "/a*".to_owned(), percent: 50 }),
        ("click", Aim::AdClick { value: String::new() }),
        ("click 1", Aim::AdClick { value: "banner-1".to_owned() }),
        ("never", event("never")),
    ];
    let goals = aims.into_iter().enumerate().map(|(index, (name, aim))| Goal {
        id: format!("g{index}"),
        name: name.to_owned(),
        aim,
    });
    let funnel = |id: &str, steps: &[&str]| Funnel {
        id: id.to_owned(),
        name: id.to_owned(),
        steps: steps.iter().map(|&step| step.to_owned()).collect(),
    };
    Settings {
        goals: goals.collect(),
        funnels: vec![funnel("f1", &["g1", "g6"]), funnel("f2", &["g1"]), funnel("f3", &["g1", "g99", "g2"])],
        ..Settings::default()
    }
}

/// Who did what when.
pub fn history(random: &mut Random, zone: &TimeZone, edges: &[i64], by_weeks: bool) -> Vec<Hit> {
    let mut hits = Vec::new();
    for person in 0..1 + random.below(6) as u64 {
        // A cookie that is set and never comes back adopts nothing.
        let returns = random.chance(70);
        let mut time = edges[random.below(edges.len())] - 40 * MINUTE + random.below(60) as i64 * MINUTE;
        let mut minted_before = false;
        for _ in 0..random.below(16) {
            time += match random.below(10) {
                0 | 1 => 0,
                2 => 30 * MINUTE,
                3 => 30 * MINUTE + 1,
                4 => 29 * MINUTE,
                5 => random.below(3) as i64 * 60 * MINUTE,
                6 if by_weeks => (1 + random.below(15) as i64) * DAY,
                7 if by_weeks => 7 * DAY,
                _ => random.below(600_000) as i64,
            };
            let with_cookie = returns && minted_before && random.chance(80);
            let minted = if with_cookie || random.chance(30) { 0 } else { 1000 + person };
            minted_before |= minted != 0;
            let (hash, mut before) = hashes(zone, person, time);
            if with_cookie || random.chance(10) {
                before = 0; // As of a collector from before there was such a thing.
            }
            let visitor = if with_cookie { 1000 + person } else { hash };
            hits.push(Hit { cookie: with_cookie, minted, before, ..hit(random, time, visitor) });
        }
    }
    numbered(hits)
}

fn hit(random: &mut Random, time: i64, visitor: u64) -> Hit {
    let kind = match random.below(10) {
        0..=4 => Kind::Pageview,
        5 => Kind::Event,
        6 => Kind::Engagement,
        7 if random.chance(50) => Kind::Consent,
        7 => Kind::Error,
        8 => Kind::AdView,
        _ => Kind::AdClick,
    };
    let is_ad = matches!(kind, Kind::AdView | Kind::AdClick);
    Hit {
        kind,
        name: if kind == Kind::Event { random.pick(&["call", "зап'ись", "pageview"]) } else { "" },
        ad: if is_ad { random.pick(&["banner-1", "banner-2"]) } else { "" },
        source: random.pick(&["", "Google", "Яндекс"]),
        scroll: if kind == Kind::Engagement && random.chance(80) { random.below(101) as u8 } else { 255 },
        marked: random.chance(8),
        marketing: random.chance(60),
        ..Hit::view(time, visitor, random.pick(PAGES))
    }
}

/// The hash of somebody without a cookie on the day of `time`, and the day before's
/// if half an hour ago was another day.
fn hashes(zone: &TimeZone, person: u64, time: i64) -> (u64, u64) {
    let day = |time: i64| {
        let number = jiff::civil::date(2026, 1, 1).until(at(time, zone).date()).expect("in range").get_days();
        1_000_000 + number as u64 * 10_000 + person
    };
    let (today, then) = (day(time), day(time - 30 * MINUTE));
    (today, if then == today { 0 } else { then })
}
