//! `[fraud]`: thresholds and weights of the rules, and the bounds of what they remember.

use super::read::Section;
use crate::fraud::memory::{MAX_ORDERS, Order};
use crate::fraud::rules::{RULES, TABLE};

/// No more points than this for one rule.
const MAX_WEIGHT: u64 = 1000;

/// `[fraud]`
#[derive(Clone, Debug, PartialEq)]
pub struct Fraud {
    /// How far back hits are remembered.
    pub window_days: u32,
    /// The most visitors, addresses and user keys of a site, each: some 400 bytes of memory.
    pub max_visitors: u32,
    /// From this score on an answer says `review`.
    pub threshold: u32,
    /// An airliner flies 900.
    pub speed_km_per_hour: u32,
    /// Neighbours across a border are nearer than a database errs.
    pub speed_km: u32,
    /// An office or a school has fewer in a day, a clinic's own network has more.
    pub people_per_address: u32,
    /// A phone on the move takes a dozen in two days.
    pub addresses_per_visitor: u32,
    /// A traveller passes two.
    pub countries_per_visitor: u32,
    /// A family shares a computer.
    pub users_per_visitor: u32,
    /// Six a minute for ten minutes.
    pub pages_per_ten_minutes: u32,
    /// And so many times what all but one in a thousand visitors of the site stay within.
    pub burst_times: u32,
    /// `"/payment > /payment/done"`: the second page cannot be reached without the first.
    pub page_order: Vec<Order>,
    /// Of the rules, in the order of their table; 0 is off.
    pub weights: [u32; RULES],
}

// === impl Fraud ===

impl Fraud {
    pub(super) fn read(section: &mut Section, mistakes: &mut Vec<String>) -> Fraud {
        let mut number = |key, default, range| section.number(key, default, range) as u32;
        let fraud = Fraud {
            window_days: number("window_days", 30, 1..=366),
            max_visitors: number("max_visitors", 200_000, 1_000..=5_000_000),
            threshold: number("threshold", 80, 1..=10_000),
            speed_km_per_hour: number("speed_km_per_hour", 1000, 100..=100_000),
            speed_km: number("speed_km", 800, 0..=20_000),
            people_per_address: number("people_per_address", 40, 2..=256),
            addresses_per_visitor: number("addresses_per_visitor", 14, 2..=16),
            countries_per_visitor: number("countries_per_visitor", 3, 2..=6),
            users_per_visitor: number("users_per_visitor", 4, 2..=4),
            pages_per_ten_minutes: number("pages_per_ten_minutes", 60, 5..=500),
            burst_times: number("burst_times", 3, 1..=100),
            page_order: Vec::new(),
            weights: [0; RULES],
        };
        let page_order = orders(section);
        let mut below = section.section("weights");
        let weights = TABLE.map(|rule| below.number(rule.name, rule.weight.into(), 0..=MAX_WEIGHT) as u32);
        below.finish(mistakes);
        Fraud { page_order, weights, ..fraud }
    }
}

fn orders(section: &mut Section) -> Vec<Order> {
    let texts = section.strings("page_order");
    if texts.len() > MAX_ORDERS {
        section
            .mistake("page_order", format_args!("{} orders, at most {MAX_ORDERS} are watched", texts.len()));
    }
    let mut orders = Vec::new();
    for text in texts {
        match text.split_once('>').map(|(before, after)| (before.trim(), after.trim())) {
            Some((before, after)) if before.starts_with('/') && after.starts_with('/') && before != after => {
                orders.push(Order { before: before.to_owned(), after: after.to_owned() });
            }
            _ => section.mistake(
                "page_order",
                format_args!("{text:?}: expected two paths such as \"/payment > /payment/done\""),
            ),
        }
    }
    orders
}
