//! Honest people who do what looks odd: phones that change addresses in the middle of a visit and share them with thousands,
//! offices behind one address, families with one browser, VPNs that are turned on and off, flights, patients who live abroad.

use metka::enrich::NetworkKind;
use metka::event::Kind;
use metka::fraud::rules::Cookie;

use super::hits::{EXITS, HOMES, HOUR, MINUTE, point};
use super::{Maker, Person};

// === impl Maker ===

impl Maker {
    /// One of them, by number.
    pub(super) fn honest(&mut self, number: u64) {
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
}
