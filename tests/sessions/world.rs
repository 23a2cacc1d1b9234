//! Made-up browsers, and what they do when: a script, from a seed.
//!
//! Times like the edges: of half an hour, of the sites' midnights, of the nights on
//! which the clock is changed.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::random::Random;

pub const SECOND: i64 = 1000;
pub const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A script is about so many days, and so many midnights.
pub const DAYS: i32 = 4;
/// The most that two collectors' clocks differ.
const MAX_SKEW: usize = 1500;

/// The second day of the script, and a zone in which that night is a special one.
/// They are in the past: about it the collector's time zone data and the engine's,
/// which may be of different years, agree.
const NIGHTS: &[(&str, &str)] = &[
    ("2025-03-30", "Europe/Berlin"),
    ("2025-10-26", "Europe/London"),
    ("2025-03-09", "America/St_Johns"),
    ("2025-11-02", "America/Havana"),
    ("2025-03-09", "America/Havana"),
    // Their days begin at 1:00, or their 23:00 comes twice.
    ("2025-04-25", "Africa/Cairo"),
    ("2025-10-31", "Africa/Cairo"),
    ("2025-09-07", "America/Santiago"),
    ("2025-04-06", "America/Santiago"),
    // Half an hour of change.
    ("2025-04-06", "Australia/Lord_Howe"),
    ("2025-10-05", "Australia/Lord_Howe"),
    ("2025-05-31", "Pacific/Kiritimati"),
    ("2025-12-31", "Etc/GMT+12"),
    ("2025-06-15", "Asia/Kathmandu"),
    ("2025-02-28", "Pacific/Chatham"),
];
const OTHER_ZONES: &[&str] =
    &["UTC", "Europe/Moscow", "Pacific/Kiritimati", "Etc/GMT+12", "America/New_York"];

/// How a site asks for consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Implied,
    OptIn,
    Cookieless,
}

pub struct Place {
    pub id: String,
    pub zone_name: &'static str,
    pub zone: TimeZone,
    pub mode: Mode,
}

pub struct Browser {
    /// The first half of an IPv6 address, or an IPv4 address.
    pub network: String,
    pub agent: String,
    pub keeps_cookies: bool,
    pub gpc: bool,
    pub machine: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Granted,
    Denied,
    Marketing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    View,
    Event,
    AdView,
    Engagement,
    /// Says something about consent, with a hit.
    Say(Word),
    /// Sends the hit before once more, to the collector that had it.
    Retry,
    /// Its cookies are deleted; no hit.
    Clear,
}

/// One step of a browser.
pub struct Step {
    pub at: i64,
    pub browser: usize,
    /// Each history has host names of its own.
    pub history: usize,
    pub site: usize,
    pub collector: usize,
    pub act: Act,
}

pub struct Script {
    pub places: Vec<Place>,
    pub browsers: Vec<Browser>,
    /// By time.
    pub steps: Vec<Step>,
    pub first: Date,
    /// By how much the collectors' clocks are off.
    pub skew: [i64; 2],
}

impl Place {
    pub fn day(&self, at: i64) -> Date {
        self.zone.to_datetime(Timestamp::from_millisecond(at).expect("in range")).date()
    }

    /// When a day begins here.
    pub fn begin(&self, day: Date) -> i64 {
        day.to_zoned(self.zone.clone()).expect("in range").timestamp().as_millisecond()
    }
}

impl Script {
    pub fn new(seed: u64, histories: usize) -> Script {
        let mut random = Random(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let (night, zone) = NIGHTS[seed as usize % NIGHTS.len()];
        let first: Date = night.parse::<Date>().expect("a date").saturating_sub(1.day());
        let mut places = Vec::new();
        for (number, mode) in [Mode::Implied, Mode::Cookieless, Mode::OptIn].into_iter().enumerate() {
            let zone_name = if random.chance(60) { zone } else { random.pick(OTHER_ZONES) };
            let zone = TimeZone::get(zone_name).expect("a known zone");
            places.push(Place { id: format!("site-{seed}-{number}"), zone_name, zone, mode });
        }
        let skew = [0, random.below(2 * MAX_SKEW) as i64 - MAX_SKEW as i64];
        let mut script = Script { places, browsers: Vec::new(), steps: Vec::new(), first, skew };
        for history in 0..histories {
            script.history(&mut random, history);
        }
        script.steps.sort_by_key(|step| step.at);
        script
    }

    fn history(&mut self, random: &mut Random, history: usize) {
        let main = random.below(self.places.len());
        let other = random.below(self.places.len());
        let before = self.browsers.len();
        for _ in 0..1 + random.below(4) {
            let number = self.browsers.len();
            let household = number > before && random.chance(25);
            let (network, agent) = match self.browsers.last() {
                // Two of a kind behind one address: nobody can tell them apart without cookies.
                Some(last) if household => (last.network.clone(), last.agent.clone()),
                _ => (network(number), agent(random, number)),
            };
            let machine = agent.contains("Googlebot");
            self.browsers.push(Browser {
                network,
                agent,
                keeps_cookies: random.chance(60),
                gpc: random.chance(8),
                machine,
            });
            self.walk(random, history, number, [main, other]);
        }
    }

    /// What one browser does.
    fn walk(&mut self, random: &mut Random, history: usize, browser: usize, sites: [usize; 2]) {
        let midnights: Vec<i64> =
            (1..DAYS).map(|day| self.places[sites[0]].begin(self.first.saturating_add(day.days()))).collect();
        let end = self.places[sites[0]].begin(self.first.saturating_add(DAYS.days())) - 2 * HOUR;
        let midnight = midnights[random.below(midnights.len())];
        let mut at = match random.below(3) {
            0 => midnight - random.below(50 * 60_000) as i64,
            1 => midnight - 1 - random.below(31) as i64 * MINUTE,
            _ => midnights[0] - random.below(20 * 60 * 60_000) as i64,
        };
        for _ in 0..1 + random.below(14) {
            let next = midnights.iter().copied().find(|midnight| *midnight > at);
            at = match (random.below(12), next) {
                (0, _) => at,
                (1, _) => at + 30 * MINUTE,
                (2, _) => at + 30 * MINUTE + 1,
                (3, _) => at + 29 * MINUTE,
                (4, _) => at + 1 + random.below(200) as i64,
                (5, Some(next)) => at.max(next - random.below(25 * 60_000) as i64),
                (6, Some(next)) => next + [-1, 0, 1, 30 * MINUTE - 1, 30 * MINUTE][random.below(5)],
                (7, _) => at + random.below(9 * 60 * 60_000) as i64,
                _ => at + random.below(12 * 60_000) as i64,
            };
            if at >= end {
                break;
            }
            let act = match random.below(100) {
                0..=3 => Act::Clear,
                4..=6 => Act::Say(Word::Denied),
                7..=10 => Act::Say(Word::Granted),
                11 => Act::Say(Word::Marketing),
                12..=19 => Act::Retry,
                20..=29 => Act::Event,
                30..=36 => Act::AdView,
                37..=43 => Act::Engagement,
                _ => Act::View,
            };
            let site = if random.chance(85) { sites[0] } else { sites[1] };
            self.steps.push(Step { at, browser, history, site, collector: random.below(2), act });
        }
    }
}

/// An address of a documentation range, of its own for every number.
fn network(number: usize) -> String {
    match number % 2 {
        0 if number / 2 < 254 => format!("192.0.2.{}", number / 2 + 1),
        _ => format!("2001:db8:0:{number:x}::"),
    }
}

fn agent(random: &mut Random, number: usize) -> String {
    if random.chance(4) {
        return "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".to_owned();
    }
    let version = 100 + number % 40;
    match random.below(3) {
        0 => format!("Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"),
        1 => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        ),
        _ => "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1".to_owned(),
    }
}
