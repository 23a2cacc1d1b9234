//! A made-up month of a clinic's visitors, honest ones and frauds of each kind, who is what being known.
//!
//! The honest ones do what honest people do that looks odd: phones that change addresses in the middle of a visit and share
//! them with thousands, offices behind one address, families with one browser, VPNs that are turned on and off, flights,
//! patients who live abroad. How many of each there are is our guess, told with each kind; a site's own mixture differs.
//!
//! Each visitor is asked about a minute after their last hit, as a payment page would.

use std::collections::BTreeMap;

use metka::config::Config;
use metka::enrich::{Coordinates, NetworkKind};
use metka::event::Kind;
use metka::fraud::memory::{DAY_MS, Memory, Shape};
use metka::fraud::rules::{Cookie, Facts, TABLE, Verdict, ask};
use metka::fraud::sighting::{Point, Sighting};
use metka::mark::Mark;
use metka::privacy::keys::CookieError;

use crate::random::Random;

const MINUTE: i64 = 60 * 1000;
const HOUR: i64 = 60 * MINUTE;
/// The beginning of the month.
const BEGIN: i64 = 20_500 * DAY_MS;
const DAYS: u64 = 30;

/// A place: country, city, tenths of degrees, time zone, language of its browsers.
struct Spot(&'static str, &'static str, i16, i16, &'static str, &'static str);

const HOMES: [Spot; 8] = [
    Spot("RU", "Moscow", 558, 376, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Saint Petersburg", 599, 303, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Yaroslavl", 576, 399, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Kazan", 558, 491, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Yekaterinburg", 568, 606, "Asia/Yekaterinburg", "ru-ru"),
    Spot("RU", "Novosibirsk", 550, 829, "Asia/Novosibirsk", "ru-ru"),
    Spot("RU", "Vladivostok", 431, 1319, "Asia/Vladivostok", "ru-ru"),
    Spot("RU", "Krasnodar", 450, 390, "Europe/Moscow", "ru-ru"),
];
const ABROAD: [Spot; 8] = [
    Spot("US", "New York", 407, -740, "America/New_York", "en-us"),
    Spot("BR", "Sao Paulo", -235, -466, "America/Sao_Paulo", "pt-br"),
    Spot("VN", "Hanoi", 210, 1058, "Asia/Ho_Chi_Minh", "vi-vn"),
    Spot("NG", "Lagos", 65, 34, "Africa/Lagos", "en-ng"),
    Spot("ID", "Jakarta", -62, 1068, "Asia/Jakarta", "id-id"),
    Spot("IN", "Mumbai", 191, 729, "Asia/Kolkata", "hi-in"),
    Spot("MX", "Mexico City", 194, -991, "America/Mexico_City", "es-mx"),
    Spot("AU", "Sydney", -339, 1512, "Australia/Sydney", "en-au"),
];
/// Where VPNs come out.
const EXITS: [Spot; 3] = [
    Spot("NL", "Amsterdam", 524, 49, "Europe/Amsterdam", "nl-nl"),
    Spot("DE", "Frankfurt", 501, 87, "Europe/Berlin", "de-de"),
    Spot("FI", "Helsinki", 602, 249, "Europe/Helsinki", "fi-fi"),
];
const AGENTS: [&str; 6] = [
    "Chrome on Windows",
    "Chrome on Android",
    "Safari on iOS",
    "Yandex on Windows",
    "Firefox on Linux",
    "Edge on Windows",
];

/// What became of a population.
pub struct Tally {
    pub honest: u64,
    /// Those over the threshold, by the kind of honest people that they are.
    pub honest_over: BTreeMap<&'static str, u64>,
    /// Those whom more than one rule brought there.
    pub honest_over_by_several: u64,
    pub rules: Vec<Of>,
}

/// What a rule said of a population.
pub struct Of {
    pub name: &'static str,
    /// Frauds who do what the rule looks for.
    pub frauds: u64,
    /// Of them, those whom it found.
    pub found: u64,
    /// Honest people whom it fired at.
    pub honest: u64,
    /// Of the frauds that it found, those over the threshold.
    pub over: u64,
}

/// Somebody who is asked about in the end.
struct Person {
    browser: u64,
    user_key: u64,
    address: u64,
    /// Empty for an honest one: the rules that are to fire.
    labels: &'static [&'static str],
    kind: &'static str,
    cookie: Cookie,
}

/// A hit, or a question about somebody.
enum Event {
    Hit(Sighting<'static>),
    Question(usize),
}

struct Maker {
    random: Random,
    events: Vec<(i64, Event)>,
    people: Vec<Person>,
}

// === impl Of ===

impl Of {
    pub fn recall(&self) -> f64 {
        self.found as f64 / self.frauds.max(1) as f64
    }

    /// In this population.
    pub fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.honest).max(1) as f64
    }
}

// === impl Maker ===

impl Maker {
    fn below(&mut self, most: u64) -> u64 {
        self.random.next() % most
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn day_and_hour(&mut self) -> i64 {
        BEGIN
            + (self.below(DAYS) * 24 + 7 + self.below(14)).cast_signed() * HOUR
            + self.below(3600).cast_signed() * 1000
    }

    /// The hit that somebody at home would send.
    fn hit(&mut self, browser: u64, spot: &'static Spot, address: u64, time: i64) -> Sighting<'static> {
        Sighting {
            time,
            kind: Kind::Pageview,
            browser,
            visitor: browser,
            user_key: 0,
            address,
            country: spot.0,
            city: spot.1,
            point: Some(Point {
                at: Coordinates { latitude_tenths: spot.2, longitude_tenths: spot.3 },
                accuracy_km: 50,
            }),
            network: NetworkKind::Access,
            agent: AGENTS[(browser % AGENTS.len() as u64) as usize],
            mark: "",
            language: spot.5,
            timezone: spot.4,
            path: "/",
            ad: "",
        }
    }

    /// Some pages, a minute or so apart; `change` is given each page's number.
    fn visit(
        &mut self,
        first: Sighting<'static>,
        pages: u64,
        mut change: impl FnMut(u64, &mut Sighting<'static>),
    ) -> i64 {
        let mut time = first.time;
        for page in 0..pages {
            let mut hit = Sighting { time, ..first.clone() };
            change(page, &mut hit);
            self.events.push((time, Event::Hit(hit)));
            time += 20_000 + self.below(100_000).cast_signed();
        }
        time
    }

    fn question(&mut self, time: i64, person: Person) {
        self.events.push((time, Event::Question(self.people.len())));
        self.people.push(person);
    }

    /// One in ten thousand reads like ten; the others a few pages.
    fn pages(&mut self) -> u64 {
        if self.one_in(10_000) { 40 + self.below(40) } else { 1 + self.below(8).min(self.below(8)) }
    }

    fn honest(&mut self, number: u64) {
        let browser = number + 1;
        let home = &HOMES[self.below(HOMES.len() as u64).min(self.below(HOMES.len() as u64)) as usize];
        let city = home.3.unsigned_abs() as u64;
        let own = 1_000_000 + number;
        // Of a hundred.
        let (kind, share) = match self.below(100) {
            0..=49 => ("a phone", 0),
            50..=74 => ("at home", 1),
            75..=84 => ("an office", 2),
            85..=88 => ("a family", 3),
            89..=95 => ("a VPN, on and off", 4),
            96..=97 => ("a flight", 5),
            _ => ("abroad", 6),
        };
        let mut last = 0;
        let visits = 1 + self.below(4);
        // Forty addresses of a carrier in a city, sixty people in an office.
        let mobile = 10_000 + city * 40;
        let office = 500_000 + number / 60;
        let english = self.one_in(12);
        for visit in 0..visits {
            let time = self.day_and_hour();
            let pages = self.pages();
            let mut first = self.hit(browser, home, own, time);
            if english {
                first.language = "en-us";
            }
            let carrier = mobile + self.below(40);
            let next = mobile + self.below(40);
            let exit = self.below(EXITS.len() as u64);
            let at_exit = 900_000 + exit * 50 + self.below(50);
            match share {
                0 => {
                    (first.address, first.network) = (carrier, NetworkKind::Mobile);
                    let moves = self.one_in(5);
                    // The carrier's way out is the capital's, now and then.
                    let capital = self.one_in(4);
                    last = last.max(self.visit(first, pages, |page, hit| {
                        if moves && page % 3 == 2 {
                            hit.address = next;
                            if capital {
                                (hit.city, hit.point) = ("Moscow", point(&HOMES[0]));
                            }
                        }
                    }));
                }
                2 => {
                    first.address = office;
                    last = last.max(self.visit(first, pages, |_, _| {}));
                }
                3 => {
                    first.user_key = 2_000_000 + browser * 2 + visit % 2;
                    last = last.max(self.visit(first, pages, |_, _| {}));
                }
                4 => {
                    let (from, spot) = (pages / 2, &EXITS[exit as usize]);
                    last = last.max(self.visit(first, pages, |page, hit| {
                        if page >= from {
                            (hit.address, hit.country, hit.city, hit.point) =
                                (at_exit, spot.0, spot.1, point(spot));
                            hit.network = NetworkKind::Hosting;
                        }
                    }));
                }
                5 => {
                    let there =
                        self.visit(first, pages, |_, _| {}) + 7 * HOUR + self.below(24).cast_signed() * HOUR;
                    let spot = &EXITS[exit as usize];
                    let mut arrived = self.hit(browser, spot, own + 3_000_000, there);
                    arrived.language = home.5;
                    let back = self.visit(arrived, pages, |_, _| {});
                    last = last.max(back);
                    break;
                }
                6 => {
                    let spot = &EXITS[exit as usize];
                    let mut abroad = self.hit(browser, spot, own, time);
                    abroad.language = home.5;
                    last = last.max(self.visit(abroad, pages, |_, _| {}));
                }
                _ => {
                    let pays = self.one_in(10);
                    let clicks = self.one_in(10);
                    last = last.max(self.visit(first, pages + 2, |page, hit| match page {
                        0 if clicks => (hit.kind, hit.ad) = (Kind::AdView, "banner"),
                        1 if clicks => (hit.kind, hit.ad) = (Kind::AdClick, "banner"),
                        0 if pays => hit.path = "/payment",
                        1 if pays => hit.path = "/payment/done",
                        _ => {}
                    }));
                }
            }
        }
        let address = match share {
            2 => office,
            _ => own,
        };
        let person = Person { browser, user_key: 0, address, labels: &[], kind, cookie: Cookie::Plausible };
        self.question(last + MINUTE, person);
    }

    fn fraud(&mut self, kind: usize, number: u64) {
        let browser = 50_000_000 + kind as u64 * 100_000 + number;
        let home = &HOMES[self.below(HOMES.len() as u64) as usize];
        let far = &ABROAD[self.below(ABROAD.len() as u64) as usize];
        let (own, time) = (60_000_000 + browser, self.day_and_hour());
        let first = self.hit(browser, home, own, time);
        let pages = 3 + self.below(6);
        let mut person = Person {
            browser,
            user_key: 0,
            address: own,
            labels: &[],
            kind: TABLE[kind].name,
            cookie: Cookie::Plausible,
        };
        let mut last = time;
        match TABLE[kind].name {
            "speed" => {
                // A cookie that was taken away, used elsewhere ten minutes later by another browser's clock.
                person.labels = &["speed"];
                let end = self.visit(first, pages, |_, _| {}) + 10 * MINUTE;
                let stolen = self.hit(browser, far, own + 1, end);
                last = self.visit(stolen, pages, |_, _| {});
            }
            "time_zone" => {
                // A proxy in the country, the browser's own clock: of a zone that Russia, which has eleven, has not.
                person.labels = &["time_zone"];
                let zone = ["America/New_York", "America/Sao_Paulo", "Africa/Lagos", "Asia/Kolkata"]
                    [number as usize % 4];
                last = self.visit(first, pages, |_, hit| hit.timezone = zone);
            }
            "language" => {
                person.labels = &["language"];
                last = self.visit(first, pages, |_, hit| hit.language = "pt-br");
            }
            "network" => {
                person.labels = &["network"];
                let kind = if self.one_in(2) { NetworkKind::Hosting } else { NetworkKind::Proxy };
                last = self.visit(first, pages, |_, hit| hit.network = kind);
            }
            "many_countries" => {
                person.labels = &["many_countries", "many_addresses", "speed"];
                last = self.visit(first, 20, |page, hit| {
                    let spot = &ABROAD[page as usize % ABROAD.len()];
                    (hit.country, hit.city, hit.point) = (spot.0, spot.1, point(spot));
                    hit.address += page;
                });
            }
            "crowded_address" => {
                // Sixty cookies of one program, all of one address on one day.
                person.labels = &["crowded_address"];
                person.address = 61_000_000 + number / 60;
                let time = BEGIN
                    + (number / 60 % DAYS).cast_signed() * DAY_MS
                    + 10 * HOUR
                    + (number % 60).cast_signed() * MINUTE;
                let first = Sighting { time, address: person.address, ..first };
                self.visit(first, 3, |_, _| {});
                // Asked when all of them were there.
                last = BEGIN + (number / 60 % DAYS).cast_signed() * DAY_MS + 12 * HOUR;
            }
            "many_addresses" => {
                person.labels = &["many_addresses"];
                last = self.visit(first, 30, |page, hit| hit.address += page);
            }
            "many_users" => {
                person.labels = &["many_users"];
                last = self.visit(first, 12, |page, hit| hit.user_key = 70_000_000 + browser * 10 + page % 6);
            }
            "burst" => {
                person.labels = &["burst"];
                let begin = time - time % (10 * MINUTE);
                for page in 0..150 {
                    let time = begin + page * 2_000;
                    self.events.push((time, Event::Hit(Sighting { time, ..first.clone() })));
                }
                last = begin + 300_000;
            }
            "automation" => {
                person.labels = &["automation"];
                let mark = [Mark::Headless, Mark::Library, Mark::Automation][self.below(3) as usize].name();
                last = self.visit(first, pages, |_, hit| hit.mark = mark);
            }
            "cookie_forged" => {
                person.labels = &["cookie_forged"];
                person.browser = 0;
                person.cookie = Cookie::Wrong(CookieError::Forged);
            }
            "cookie_replayed" => {
                person.labels = &["cookie_replayed"];
                let other = AGENTS[(browser % AGENTS.len() as u64 + 1) as usize % AGENTS.len()];
                last = self.visit(first, 10, |page, hit| {
                    if page % 2 == 1 {
                        (hit.agent, hit.address) = (other, hit.address + 1);
                    }
                });
            }
            "browser_change" => {
                person.labels = &["browser_change"];
                let other = AGENTS[(browser % AGENTS.len() as u64 + 1) as usize % AGENTS.len()];
                last = self.visit(first, pages, |page, hit| {
                    if page >= 2 {
                        hit.agent = other;
                    }
                });
            }
            "page_order" => {
                person.labels = &["page_order"];
                let clicks = self.one_in(2);
                last = self.visit(first, pages, |page, hit| match page {
                    1 if clicks => (hit.kind, hit.ad) = (Kind::AdClick, "banner"),
                    1 => hit.path = "/payment/done",
                    _ => {}
                });
            }
            other => panic!("no fraud of the kind {other}"),
        }
        self.question(last + MINUTE, person);
    }
}

/// So many honest visitors and so many frauds of each kind, by the rules of this configuration; with a database that tells
/// of networks, or without.
pub fn judge(honest: u64, frauds: u64, config: &Config, networks: bool) -> Tally {
    let mut maker = Maker { random: Random(20_261_127), events: Vec::new(), people: Vec::new() };
    for number in 0..honest {
        maker.honest(number);
    }
    for kind in 0..TABLE.len() {
        for number in 0..frauds {
            maker.fraud(kind, number);
        }
    }
    let Maker { mut events, people, .. } = maker;
    events.sort_by_key(|(time, _)| *time);
    let mut memory = Memory::new(Shape { most: 5_000_000, orders: config.fraud.page_order.clone() });
    let mut tally = Tally {
        honest,
        honest_over: BTreeMap::new(),
        honest_over_by_several: 0,
        rules: TABLE
            .iter()
            .map(|rule| Of { name: rule.name, frauds: 0, found: 0, honest: 0, over: 0 })
            .collect(),
    };
    for (now, event) in &events {
        match event {
            Event::Hit(hit) if networks => memory.see(hit),
            Event::Hit(hit) => memory.see(&Sighting { network: NetworkKind::Unknown, ..hit.clone() }),
            Event::Question(number) => tally.ask(&people[*number], &memory, config, *now, networks),
        }
    }
    tally
}

// === impl Tally ===

impl Tally {
    fn ask(&mut self, person: &Person, memory: &Memory, config: &Config, now: i64, networks: bool) {
        let visitor = memory.visitor(person.browser);
        let last = visitor.map(|visitor| visitor.visit.address);
        let said = ask(&Facts {
            config: &config.fraud,
            memory,
            now,
            visitor,
            user: memory.user(person.user_key),
            browsers: &[],
            address: memory.address(last.unwrap_or(person.address)),
            network: None,
            knows_networks: networks,
            has_time_zones: true,
            cookie: person.cookie,
        });
        let score: u32 = said.iter().map(|said| said.points()).sum();
        let fired: Vec<&str> = said
            .iter()
            .filter(|said| matches!(said.verdict, Verdict::Fired(_)))
            .map(|said| said.rule.name)
            .collect();
        let is_over = score >= config.fraud.threshold;
        if person.labels.is_empty() && is_over {
            *self.honest_over.entry(person.kind).or_default() += 1;
            self.honest_over_by_several += u64::from(fired.len() > 1);
        }
        for of in &mut self.rules {
            let has_fired = fired.contains(&of.name);
            if person.labels.contains(&of.name) {
                of.frauds += 1;
                of.found += u64::from(has_fired);
                of.over += u64::from(has_fired && is_over);
            } else if person.labels.is_empty() {
                of.honest += u64::from(has_fired);
            }
        }
    }
}

fn point(spot: &Spot) -> Option<Point> {
    Some(Point { at: Coordinates { latitude_tenths: spot.2, longitude_tenths: spot.3 }, accuracy_km: 50 })
}
