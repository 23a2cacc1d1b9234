//! A hit, as the memory takes it.

use crate::enrich::{Coordinates, NetworkKind};
use crate::event::Kind;
use crate::mark::Mark;

/// One stored hit. Hashes are keyed, texts are those of the row.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting<'a> {
    /// Milliseconds since 1970.
    pub time: i64,
    pub kind: Kind,
    /// The hash of the cookie that it came with or was offered; 0 without one.
    pub browser: u64,
    /// Whether it came with that cookie. One that was only offered may be kept by nobody.
    pub returned: bool,
    /// The visitor as stored: the cookie's hash, or the day's.
    pub visitor: u64,
    /// 0 without one.
    pub user_key: u64,
    /// A keyed hash of the IPv4 address or the IPv6 /64; 0 where it is not stored any more.
    pub address: u64,
    pub country: &'a str,
    pub city: &'a str,
    /// Where the address is now said to be; none without an address or a database.
    pub point: Option<Point>,
    /// What the databases say of its network.
    pub network: NetworkKind,
    /// `Firefox on Linux`; empty when not known.
    pub agent: &'a str,
    /// The mark for which it is in no number; empty without one.
    pub mark: &'a str,
    pub language: &'a str,
    pub timezone: &'a str,
    pub path: &'a str,
    pub ad: &'a str,
}

/// A place on the map, and how far off it may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: Coordinates,
    pub accuracy_km: u32,
}

// === impl Sighting ===

impl Sighting<'_> {
    /// Whether its mark is that of a program. That an address is crowded, or a referrer an advertisement, is
    /// said of others than the visitor.
    pub fn is_of_program(&self) -> bool {
        matches!(
            Mark::parse(self.mark),
            Some(
                Mark::Crawler
                    | Mark::Automation
                    | Mark::Headless
                    | Mark::Library
                    | Mark::Empty
                    | Mark::Contradiction
                    | Mark::Impossible
            )
        )
    }
}
