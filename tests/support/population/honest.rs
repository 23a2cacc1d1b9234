//! Honest people who do what looks odd: phones that change addresses in the middle of a visit and share them with thousands,
//! offices behind one address, families with one browser, VPNs that are turned on and off, flights, patients who live abroad.
//!
//! Some are signed in on two devices within two days and are asked about by their user key.

use metka::enrich::NetworkKind;
use metka::event::Kind;
use metka::fraud::rules::Cookie;

use super::hits::{DAYS, EXITS, HOMES, HOUR, MINUTE, Spot, point};
use super::{Maker, Person};

/// How a browser is used.
#[derive(Clone, Copy)]
enum Way {
    Phone,
    Home,
    Office,
    Family,
    Vpn,
    Flight,
    Abroad,
}

/// One browser of an honest person.
struct Device {
    browser: u64,
    user_key: u64,
    home: &'static Spot,
    /// Its address at home.
    own: u64,
    office: u64,
    /// On which days it is used.
    days: std::ops::Range<u64>,
}

// === impl Way ===

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Phone => "a phone",
            Way::Home => "at home",
            Way::Office => "an office",
            Way::Family => "a family",
            Way::Vpn => "a VPN, on and off",
            Way::Flight => "a flight",
            Way::Abroad => "abroad",
        }
    }
}

// === impl Maker ===

impl Maker {
    /// One of them, by number.
    pub(super) fn honest(&mut self, number: u64) {
        let browser = number + 1;
        let home = self.home();
        let own = 1_000_000 + number;
        // Of a hundred.
        let way = match self.below(100) {
            0..=49 => Way::Phone,
            50..=74 => Way::Home,
            75..=84 => Way::Office,
            85..=88 => Way::Family,
            89..=95 => Way::Vpn,
            96..=97 => Way::Flight,
            _ => Way::Abroad,
        };
        // Sixty people in an office.
        let device = Device { browser, user_key: 0, home, own, office: 500_000 + number / 60, days: 0..DAYS };
        let last = self.used(&device, way);
        let address = if matches!(way, Way::Office) { device.office } else { own };
        let person = Person {
            browser,
            user_key: 0,
            address,
            labels: &[],
            kind: way.name(),
            cookie: Cookie::Plausible,
        };
        self.question(last + MINUTE, person);
    }

    /// Somebody who is signed in on a phone and on something else, by number.
    pub(super) fn honest_user(&mut self, number: u64) {
        let home = self.home();
        let (user_key, own) = (70_000_000 + number, 8_000_000 + number);
        let first = self.below(DAYS - 1);
        // Of a hundred.
        let (way, kind) = match self.below(100) {
            0..=66 => (Way::Home, "a phone and at home"),
            67..=86 => (Way::Office, "a phone and an office"),
            87..=97 => (Way::Vpn, "a phone and a VPN"),
            // Whose phone stays in its carrier's network at home.
            _ => (Way::Abroad, "roaming and abroad"),
        };
        let mut last = 0;
        for (at, way) in [Way::Phone, way].into_iter().enumerate() {
            let browser = 80_000_000 + number * 2 + at as u64;
            let office = 600_000 + number / 60;
            let device = Device { browser, user_key, home, own, office, days: first..first + 2 };
            last = last.max(self.used(&device, way));
        }
        let person = Person { browser: 0, user_key, address: own, labels: &[], kind, cookie: Cookie::Absent };
        self.question(last + MINUTE, person);
    }

    fn home(&mut self) -> &'static Spot {
        &HOMES[self.below(HOMES.len() as u64).min(self.below(HOMES.len() as u64)) as usize]
    }

    /// The visits of one browser; when the last one ended.
    fn used(&mut self, device: &Device, way: Way) -> i64 {
        let Device { browser, user_key, home, own, office, ref days } = *device;
        let city = home.3.unsigned_abs() as u64;
        let mut last = 0;
        let visits = 1 + self.below(4);
        // Forty addresses of a carrier in a city.
        let mobile = 10_000 + city * 40;
        let english = self.one_in(12);
        for visit in 0..visits {
            let time = self.day_and_hour(days);
            let pages = self.pages();
            let mut first = self.hit(browser, home, own, time);
            first.user_key = user_key;
            if english {
                first.language = "en-us";
            }
            let carrier = mobile + self.below(40);
            let next = mobile + self.below(40);
            let exit = self.below(EXITS.len() as u64);
            let at_exit = 900_000 + exit * 50 + self.below(50);
            match way {
                Way::Phone => {
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
                Way::Office => {
                    first.address = office;
                    last = last.max(self.visit(first, pages, |_, _| {}));
                }
                Way::Family => {
                    first.user_key = 2_000_000 + browser * 2 + visit % 2;
                    last = last.max(self.visit(first, pages, |_, _| {}));
                }
                Way::Vpn => {
                    let (from, spot) = (pages / 2, &EXITS[exit as usize]);
                    last = last.max(self.visit(first, pages, |page, hit| {
                        if page >= from {
                            (hit.address, hit.country, hit.city, hit.point) =
                                (at_exit, spot.0, spot.1, point(spot));
                            hit.network = NetworkKind::Hosting;
                        }
                    }));
                }
                Way::Flight => {
                    let there =
                        self.visit(first, pages, |_, _| {}) + 7 * HOUR + self.below(24).cast_signed() * HOUR;
                    let spot = &EXITS[exit as usize];
                    let mut arrived = self.hit(browser, spot, own + 3_000_000, there);
                    arrived.language = home.5;
                    let back = self.visit(arrived, pages, |_, _| {});
                    last = last.max(back);
                    break;
                }
                Way::Abroad => {
                    let spot = &EXITS[exit as usize];
                    let mut abroad = self.hit(browser, spot, own, time);
                    abroad.language = home.5;
                    abroad.user_key = user_key;
                    last = last.max(self.visit(abroad, pages, |_, _| {}));
                }
                Way::Home => {
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
        last
    }
}
