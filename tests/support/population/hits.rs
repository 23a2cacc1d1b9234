//! What people are made of: places, browsers, pages a minute or so apart, and a question in the end.

use metka::enrich::{Coordinates, NetworkKind};
use metka::event::Kind;
use metka::fraud::memory::DAY_MS;
use metka::fraud::sighting::{Point, Sighting};

use super::{Event, Maker, Person};

pub(super) const MINUTE: i64 = 60 * 1000;
pub(super) const HOUR: i64 = 60 * MINUTE;
/// The beginning of the month.
pub(super) const BEGIN: i64 = 20_500 * DAY_MS;
pub(super) const DAYS: u64 = 30;

/// A place: country, city, tenths of degrees, time zone, language of its browsers.
pub(super) struct Spot(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) i16,
    pub(super) i16,
    pub(super) &'static str,
    pub(super) &'static str,
);

pub(super) const HOMES: [Spot; 8] = [
    Spot("RU", "Moscow", 558, 376, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Saint Petersburg", 599, 303, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Yaroslavl", 576, 399, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Kazan", 558, 491, "Europe/Moscow", "ru-ru"),
    Spot("RU", "Yekaterinburg", 568, 606, "Asia/Yekaterinburg", "ru-ru"),
    Spot("RU", "Novosibirsk", 550, 829, "Asia/Novosibirsk", "ru-ru"),
    Spot("RU", "Vladivostok", 431, 1319, "Asia/Vladivostok", "ru-ru"),
    Spot("RU", "Krasnodar", 450, 390, "Europe/Moscow", "ru-ru"),
];
pub(super) const ABROAD: [Spot; 8] = [
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
pub(super) const EXITS: [Spot; 3] = [
    Spot("NL", "Amsterdam", 524, 49, "Europe/Amsterdam", "nl-nl"),
    Spot("DE", "Frankfurt", 501, 87, "Europe/Berlin", "de-de"),
    Spot("FI", "Helsinki", 602, 249, "Europe/Helsinki", "fi-fi"),
];
pub(super) const AGENTS: [&str; 6] = [
    "Chrome on Windows",
    "Chrome on Android",
    "Safari on iOS",
    "Yandex on Windows",
    "Firefox on Linux",
    "Edge on Windows",
];

// === impl Maker ===

impl Maker {
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.random.next() % most
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// A moment of one of these days.
    pub(super) fn day_and_hour(&mut self, days: &std::ops::Range<u64>) -> i64 {
        BEGIN
            + ((days.start + self.below(days.end - days.start)) * 24 + 7 + self.below(14)).cast_signed()
                * HOUR
            + self.below(3600).cast_signed() * 1000
    }

    /// The hit that somebody at home would send.
    pub(super) fn hit(
        &mut self,
        browser: u64,
        spot: &'static Spot,
        address: u64,
        time: i64,
    ) -> Sighting<'static> {
        Sighting {
            time,
            kind: Kind::Pageview,
            browser,
            returned: true,
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
    pub(super) fn visit(
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

    pub(super) fn question(&mut self, time: i64, person: Person) {
        self.events.push((time, Event::Question(self.people.len())));
        self.people.push(person);
    }

    /// One in ten thousand reads like ten; the others a few pages.
    pub(super) fn pages(&mut self) -> u64 {
        if self.one_in(10_000) { 40 + self.below(40) } else { 1 + self.below(8).min(self.below(8)) }
    }
}

/// Where a place is, as a database would say.
pub(super) fn point(spot: &Spot) -> Option<Point> {
    Some(Point { at: Coordinates { latitude_tenths: spot.2, longitude_tenths: spot.3 }, accuracy_km: 50 })
}
