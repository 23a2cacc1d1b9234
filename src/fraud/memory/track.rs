//! Where somebody was, and how fast they would have been.
//!
//! Only a change of country is taken for a journey. Within a country addresses move without
//! their people: mobile networks come out now here and now in the capital. Nor is anybody in
//! the country of a hosting network or a proxy: of those the rule `network` speaks.

use super::Shape;
use super::recent::Recent;
use super::words::Words;
use crate::enrich::NetworkKind;
use crate::fraud::sighting::{Point, Sighting};

/// Hits this far apart in place are compared at least this far apart in time: clocks of
/// two collectors differ, and a division by nothing says nothing.
const LEAST_MS: i64 = 60 * 1000;

/// Addresses, countries and journeys of a visitor or a user key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// When the first and the last hit came, in milliseconds; 0 before the first.
    pub first: i64,
    pub last: i64,
    pub hits: u32,
    pub addresses: Recent<16>,
    /// Numbers of words.
    pub countries: Recent<6>,
    /// The last known place.
    pub place: Option<Place>,
    /// The last one that was not of a hosting network or a proxy.
    home: Option<Place>,
    /// The latest change of country that is no journey; most have none.
    pub jump: Option<Box<Jump>>,
}

/// Where and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Milliseconds.
    pub time: i64,
    /// Numbers of words.
    pub country: u16,
    pub city: u16,
    pub point: Option<Point>,
    pub network: NetworkKind,
}

/// From one place to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    pub from: Place,
    pub to: Place,
    /// As the crow flies, less what the two places may be off.
    pub km: u32,
    /// As if all the time between the two hits was spent on the way.
    pub km_per_hour: u32,
}

// === impl Track ===

impl Track {
    pub fn see(&mut self, hit: &Sighting, words: &mut Words, shape: &Shape) {
        self.hits = self.hits.saturating_add(1);
        if self.first == 0 || hit.time < self.first {
            self.first = hit.time;
        }
        if hit.address != 0 {
            self.addresses.see(hit.address, hit.time);
        }
        let is_there = !matches!(hit.network, NetworkKind::Hosting | NetworkKind::Proxy);
        if is_there && !hit.country.is_empty() {
            self.countries.see(words.number(hit.country).into(), hit.time);
        }
        let is_late = hit.time < self.last;
        self.last = self.last.max(hit.time);
        if is_late || (hit.country.is_empty() && hit.point.is_none()) {
            return;
        }
        let place = Place {
            time: hit.time,
            country: words.number(hit.country),
            city: words.number(hit.city),
            point: hit.point,
            network: hit.network,
        };
        if let Some(jump) = self.home.filter(|_| is_there).and_then(|before| Jump::between(before, place)) {
            // A fast one over a short way takes no place of one that is asked for.
            if jump.is_beyond(shape.km_per_hour, shape.km) {
                self.jump = Some(Box::new(jump));
            }
        }
        self.place = Some(place);
        if is_there {
            self.home = self.place;
        }
    }
}

// === impl Jump ===

impl Jump {
    /// Faster than this, and as far as that.
    pub fn is_beyond(&self, km_per_hour: u32, km: u32) -> bool {
        self.km_per_hour > km_per_hour && self.km >= km
    }

    /// None within a country, and where the two may be one place.
    fn between(from: Place, to: Place) -> Option<Jump> {
        if from.country == to.country {
            return None;
        }
        let (here, there) = (from.point?, to.point?);
        let off = f64::from(here.accuracy_km) + f64::from(there.accuracy_km);
        let km = here.at.distance_km(there.at) - off;
        if km <= 0.0 {
            return None;
        }
        let hours = (to.time - from.time).max(LEAST_MS) as f64 / 3_600_000.0;
        Some(Jump { from, to, km: km as u32, km_per_hour: (km / hours) as u32 })
    }
}
