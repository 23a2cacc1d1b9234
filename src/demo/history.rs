//! Made-up hits, day by day: the same day gives the same hits on every machine.
//!
//! People have a device, a place and a habit; most carry a cookie, some refuse
//! it, some come back over weeks. Traffic follows the hours and weekdays of a
//! clinic in Moscow, grows slowly, and rises while a campaign runs. Visits do
//! not cross midnight UTC, so that a day's rows are of one month.

use std::borrow::Cow;

use jiff::civil::Date;

use super::random::Random;
use super::vocabulary::{Device, Origin, Page, Place, Vocabulary};
use crate::config::{Retention, Site};
use crate::event::{ConsentState, IdentityKind, Kind};
use crate::store::row::{Row, SCROLL_UNKNOWN};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Visits begin before this minute of the day (UTC): the longest then ends before midnight.
const LAST_MINUTE: u64 = 23 * 60;
/// No visit lasts longer, in milliseconds.
const LONGEST_VISIT_MS: i64 = 55 * MINUTE_MS;
/// Moscow is three hours ahead of UTC all year.
const MOSCOW_HOURS: u64 = 3;
/// How many of a thousand visits of a day fall into each hour in Moscow.
const HOURS: [u32; 24] =
    [14, 8, 5, 3, 3, 5, 12, 26, 42, 56, 64, 66, 63, 60, 57, 55, 54, 56, 60, 66, 70, 68, 52, 30];
/// Percent of the mean, from Monday.
const WEEKDAYS: [u64; 7] = [116, 112, 108, 104, 100, 84, 76];
/// From this page people book.
const BOOKING: &str = "/demo/zapis";
/// On one in so many of its views the page's script fails.
const ERROR_OF_VIEWS: i64 = 40;
/// As what.
const ERROR: &str = "TypeError /demo/clinic.js:5";

/// How much happens.
pub struct Shape {
    pub visits_per_day: u64,
    /// After each page, in percent: another one follows.
    pub next_page: u64,
    /// For each page, in percent: leaving it is reported.
    pub engagement: u64,
    /// For each ad block on a page, in percent: it is rendered.
    pub ads: u64,
    /// For each page, in percent: something is done there.
    pub deeds: u64,
    /// In percent: the person carries a cookie.
    pub cookies: u64,
}

/// A site's made-up past.
pub struct History {
    pub seed: u64,
    pub shape: Shape,
    pub vocabulary: Vocabulary,
    site: String,
    host: String,
    policy: String,
    retention: Retention,
}

/// What stays the same over a person's visits.
struct Person<'a> {
    number: u64,
    cookie: Option<u64>,
    new: bool,
    device: &'a Device,
    place: &'a Place,
    language: &'a str,
    ip: [u8; 16],
}

// === impl History ===

impl History {
    /// The demo clinic: about a hundred thousand hits in half a year.
    pub fn clinic(site: &Site) -> History {
        let shape =
            Shape { visits_per_day: 75, next_page: 56, engagement: 85, ads: 70, deeds: 5, cookies: 76 };
        History::new(site, shape, Vocabulary::clinic())
    }

    pub fn new(site: &Site, shape: Shape, mut vocabulary: Vocabulary) -> History {
        // As the collector does it with real views.
        for (_, page) in &mut vocabulary.pages {
            let mut path = Cow::Borrowed(page.path.as_str());
            if site.path_rules.apply(&mut path) {
                page.path = path.into_owned();
                page.title.clear();
            }
        }
        History {
            seed: 20_260_101,
            shape,
            vocabulary,
            site: site.id.clone(),
            host: site
                .hosts
                .first()
                .map_or("clinic.example", |host| host.trim_start_matches("*."))
                .to_owned(),
            policy: site.policy_version.clone(),
            retention: site.retention,
        }
    }

    /// The hits of one day (UTC), by time.
    pub fn day(&self, day: Date) -> Vec<Row<'_>> {
        let number = day_number(day);
        let begin = number as i64 * DAY_MS;
        let mut random = Random::of(&[self.seed, number]);
        let weekday = WEEKDAYS[day.weekday().to_monday_zero_offset().unsigned_abs() as usize % 7];
        // Half a percent of growth in a week; a campaign in each second month.
        let growth = 100 + (number % 3650) / 70;
        let campaign = if day.month() % 2 == 0 && (8..=21).contains(&day.day()) { 125 } else { 100 };
        let noise = random.between(88, 112);
        let visits = self.shape.visits_per_day * weekday * campaign * noise * growth / 100 / 100 / 100 / 130;
        let hours: Vec<(u32, u64)> =
            (0..24u64).map(|hour| (HOURS[((hour + MOSCOW_HOURS) % 24) as usize], hour)).collect();
        let mut rows = Vec::new();
        for visit in 0..visits {
            let minute = (*random.weighted(&hours) * 60 + random.below(60)).min(LAST_MINUTE - 1);
            let start = begin + minute as i64 * MINUTE_MS + random.below(60_000) as i64;
            let person = self.person(number, visits, visit, &mut random);
            self.visit(&person, number, start, &mut random, &mut rows);
        }
        rows.sort_by_key(|row| row.time);
        rows
    }

    /// Somebody new today, or somebody of the last weeks.
    fn person(&self, day: u64, visits: u64, visit: u64, random: &mut Random) -> Person<'_> {
        // People are numbered by the day on which they first came.
        let new = random.chance(62);
        let (first_day, index) = if new {
            (day, visit)
        } else {
            // More of yesterday than of last month.
            let back = (random.unit() * random.unit() * 60.0) as u64 + 1;
            (day.saturating_sub(back), random.below(visits))
        };
        let number = first_day << 20 | index;
        let mut own = Random::of(&[self.seed, 1, number]);
        let cookie = own.chance(self.shape.cookies).then(|| own.draw() | 1);
        let device = own.weighted(&self.vocabulary.devices);
        let place = own.weighted(&self.vocabulary.places);
        let language = own.weighted(&self.vocabulary.languages);
        // Addresses of phones change from day to day.
        let address_day = if device.device == "mobile" { day } else { day / 14 };
        let mut address = Random::of(&[self.seed, 2, number, address_day]);
        let mut ip = [0; 16];
        ip[..8].copy_from_slice(&address.draw().to_le_bytes());
        ip[8..].copy_from_slice(&address.draw().to_le_bytes());
        Person { number, cookie, new, device, place, language, ip }
    }

    fn visit<'a>(
        &'a self,
        person: &Person<'a>,
        day: u64,
        start: i64,
        random: &mut Random,
        rows: &mut Vec<Row<'a>>,
    ) {
        let origin = random.weighted(&self.vocabulary.origins);
        let end = start + LONGEST_VISIT_MS;
        let mut time = start;
        let mut first = true;
        loop {
            let page = random.weighted(&self.vocabulary.pages);
            let mut row = self.row(person, day, time, page, first.then_some(origin), first, random);
            let with_cookie = row.identity == IdentityKind::Cookie || person.cookie.is_some();
            rows.push(row.clone());
            first = false;
            // What follows on the page carries the cookie that the page view was given.
            let later = |row: &mut Row<'a>, random: &mut Random, kind: Kind, time: i64| {
                row.kind = kind;
                row.time = time;
                match person.cookie.filter(|_| with_cookie) {
                    Some(cookie) => {
                        (row.identity, row.visitor, row.minted) = (IdentityKind::Cookie, cookie, 0);
                    }
                    None => row.minted = random.draw() | 1,
                }
                row.source = "";
                row.channel = "internal";
                row.referrer_host = "";
                row.referrer_path = "";
                [row.utm_source, row.utm_medium, row.utm_campaign, row.utm_content, row.utm_term] = [""; 5];
            };
            let stay = random.between(3_000, 40_000) as i64 * random.between(1, 4) as i64;
            let mut at = time;
            for ad in page.ads {
                if !random.chance(self.shape.ads) {
                    continue;
                }
                at += random.between(200, 900) as i64;
                row.ad = ad;
                later(&mut row, random, Kind::AdView, at);
                rows.push(row.clone());
                if random.chance(62) {
                    at += random.between(1_000, 2_500) as i64;
                    later(&mut row, random, Kind::AdViewable, at);
                    rows.push(row.clone());
                    if random.chance(if *ad == "banner-1" { 4 } else { 2 }) {
                        at += random.between(500, 6_000) as i64;
                        later(&mut row, random, Kind::AdClick, at);
                        rows.push(row.clone());
                    }
                }
                row.ad = "";
            }
            if page.path == BOOKING && time.rem_euclid(ERROR_OF_VIEWS) == 0 {
                row.name = ERROR;
                later(&mut row, random, Kind::Error, at.max(time) + 300);
                rows.push(row.clone());
                row.name = "";
            }
            let busy = if page.path == BOOKING { 4 * self.shape.deeds } else { self.shape.deeds };
            if random.chance(busy) {
                let deed = random.weighted(&self.vocabulary.deeds);
                at += random.between(1_000, 20_000) as i64;
                (row.name, row.props) = (deed.name, &deed.props);
                later(&mut row, random, Kind::Event, at);
                rows.push(row.clone());
                (row.name, row.props) = ("", &[]);
            }
            time = (time + stay).max(at + 500);
            if random.chance(self.shape.engagement) {
                row.engaged_ms = (stay * random.between(40, 95) as i64 / 100) as u32;
                row.scroll = random.between(10, 100) as u8;
                later(&mut row, random, Kind::Engagement, time);
                rows.push(row);
            }
            time += random.between(200, 3_000) as i64;
            if !random.chance(self.shape.next_page) || time + 4 * MINUTE_MS > end {
                return;
            }
        }
    }

    /// A page view. `origin` is of the first one; the others come from the site itself.
    #[expect(clippy::too_many_arguments, reason = "each is another thing that the row depends on")]
    fn row<'a>(
        &'a self,
        person: &Person<'a>,
        day: u64,
        time: i64,
        page: &'a Page,
        origin: Option<&'a Origin>,
        first: bool,
        random: &mut Random,
    ) -> Row<'a> {
        let cookieless = Random::of(&[self.seed, 3, day, person.number]).draw() | 1;
        let (identity, visitor, minted) = match person.cookie {
            Some(cookie) if first && person.new => (IdentityKind::Cookieless, cookieless, cookie),
            Some(cookie) => (IdentityKind::Cookie, cookie, 0),
            // The server offers a new cookie each time, and none comes back.
            None => (IdentityKind::Cookieless, cookieless, random.draw() | 1),
        };
        let utm = origin.map_or([""; 5], |origin| origin.utm);
        Row {
            site: &self.site,
            time,
            kind: Kind::Pageview,
            visitor,
            identity,
            minted,
            user_key: 0,
            before: 0,
            host: &self.host,
            path: &page.path,
            query: "",
            title: &page.title,
            referrer_host: origin.map_or("", |origin| &origin.referrer_host),
            referrer_path: origin.map_or("", |origin| &origin.referrer_path),
            source: origin.map_or("", |origin| &origin.source),
            channel: origin.map_or("internal", |origin| origin.channel),
            utm_source: utm[0],
            utm_medium: utm[1],
            utm_campaign: utm[2],
            utm_content: utm[3],
            utm_term: utm[4],
            ip: person.ip,
            ip_key: (day / 30) as u32,
            country: person.place.country,
            region: &person.place.region,
            city: &person.place.city,
            asn: person.place.asn,
            network: &person.place.network,
            browser: person.device.browser,
            browser_version: &person.device.browser_version,
            os: person.device.os,
            os_version: &person.device.os_version,
            device: person.device.device,
            bot: "",
            language: person.language,
            screen: person.device.screen,
            ad: "",
            name: "",
            props: &[],
            engaged_ms: 0,
            scroll: SCROLL_UNKNOWN,
            timezone: person.place.timezone,
            consent: ConsentState::Unstated,
            policy: &self.policy,
            keep_days: self.retention.raw_days,
            ip_days: self.retention.ip_days,
            city_days: self.retention.city_days,
            user_key_days: self.retention.user_key_days,
            props_days: self.retention.props_days,
            hold: false,
            demo: true,
        }
    }
}

/// Days since 1970.
pub fn day_number(day: Date) -> u64 {
    let epoch = Date::constant(1970, 1, 1);
    u64::try_from(epoch.until(day).map_or(0, |span| span.get_days())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clinic() -> History {
        History::clinic(&Site::with_defaults("clinic", &["clinic.example"]))
    }

    #[test]
    fn a_day_is_the_same_each_time_and_stays_within_itself() {
        let day = Date::constant(2026, 8, 15);
        let (one, two) = (clinic(), clinic());
        let rows = one.day(day);
        let text = |rows: &[Row]| rows.iter().map(|row| format!("{row:?}")).collect::<Vec<_>>();
        assert_eq!(text(&rows), text(&two.day(day)));
        assert!(rows.len() > 200, "{}", rows.len());
        let begin = day_number(day) as i64 * DAY_MS;
        assert!(rows.iter().all(|row| row.time >= begin && row.time < begin + DAY_MS && row.demo));
        assert!(rows.windows(2).all(|pair| pair[0].time <= pair[1].time));
    }

    #[test]
    fn half_a_year_has_everything_that_the_dashboard_shows() {
        let history = clinic();
        let first = Date::constant(2026, 5, 1);
        let days = (0..183).filter_map(|n| first.checked_add(jiff::Span::new().days(n)).ok());
        let (mut hits, mut adopted, mut refused, mut kinds) = (0, 0, 0, std::collections::HashSet::new());
        for day in days {
            for row in history.day(day) {
                hits += 1;
                kinds.insert(row.kind);
                adopted += u32::from(row.minted != 0 && row.identity == IdentityKind::Cookieless);
                refused += u32::from(row.identity == IdentityKind::Cookieless);
            }
        }
        assert!((60_000..=130_000).contains(&hits), "{hits} hits");
        assert_eq!(kinds.len(), Kind::ALL.len() - 1, "all but consent");
        assert!(adopted > 5_000 && refused > 5_000, "{adopted} {refused}");
    }
}
