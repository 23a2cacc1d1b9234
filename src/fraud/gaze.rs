//! Turns stored rows into sightings.
//!
//! In: blocks of the columns [`COLUMNS`], and what tells where a stored address is ([`Eyes`]).
//! Out: a [`Sighting`] for each hit, but for those of whoever is [`Gone`](super::gone::Gone).
//!
//! An address is revealed in this process for as long as it takes to find its place and to hash
//! it; a block has many hits of few addresses, so what was found is remembered, up to
//! [`MAX_PLACES`] of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::gone::Gone;
use super::memory::Memory;
use super::sighting::{Point, Sighting};
use crate::enrich::{Enricher, NetworkKind};
use crate::event::Kind;
use crate::privacy::address::ClientIp;
use crate::privacy::keys::KeyRing;
use crate::store::native::{Broken, Column, Type, Words};

/// Addresses of one reading whose place is remembered.
const MAX_PLACES: usize = 100_000;
/// What [`COLUMNS`] are.
pub const TYPES: &[Type] = &[
    Type::UInt64,
    Type::UInt64,
    Type::UInt8,
    Type::UInt8,
    Type::UInt64,
    Type::UInt64,
    Type::UInt64,
    Type::UInt64,
    Type::UInt64,
    Type::UInt32,
    Type::Words,
    Type::Words,
    Type::Words,
    Type::Words,
    Type::Words,
    Type::Words,
    Type::Words,
    Type::Words,
    Type::Words,
];
/// A browser is its cookie, also where that was only offered yet: whether the hit came with it stands before.
pub const COLUMNS: &str = "batch, toUInt64(toUnixTimestamp64Milli(time)), toUInt8(kind), \
    toUInt8(identity = 'cookie'), if(identity = 'cookie', visitor, minted), visitor, user_key, \
    reinterpretAsUInt64(substring(ip, 1, 8)), reinterpretAsUInt64(substring(ip, 9, 8)), ip_key, \
    country, city, hits.browser, os, bot, language, timezone, \
    toLowCardinality(if(has({pages:Array(String)}, path), toString(path), '')), ad";

/// Which of [`TYPES`] is the browser.
pub const BROWSER: usize = 4;

/// What tells where a stored address is.
#[derive(Clone)]
pub struct Eyes {
    pub keys: Arc<KeyRing>,
    pub enricher: Arc<Enricher>,
}

/// Turns rows into sightings.
pub struct Gaze {
    eyes: Eyes,
    site: String,
    gone: Gone,
    places: HashMap<(u64, u64, u32), Seen>,
}

/// What a stored address tells.
#[derive(Clone, Copy)]
struct Seen {
    address: u64,
    point: Option<Point>,
    network: NetworkKind,
}

// === impl Eyes ===

impl Eyes {
    /// What an address is remembered by.
    pub fn key(&self, site: &str, ip: &ClientIp) -> u64 {
        self.keys.limiter_key(&[b"fraud", site.as_bytes(), &ip.prefix()])
    }
}

// === impl Gaze ===

impl Gaze {
    pub fn new(eyes: &Eyes, site: &str, gone: Gone) -> Gaze {
        Gaze { eyes: eyes.clone(), site: site.to_owned(), gone, places: HashMap::new() }
    }

    /// Takes the hits of a block in.
    pub fn take(&mut self, block: &[Column], memory: &mut Memory) -> Result<(), Broken> {
        use Column::{UInt8, UInt32, UInt64};
        let [
            UInt64(_),
            UInt64(times),
            UInt8(kinds),
            UInt8(returned),
            UInt64(browsers),
            UInt64(visitors),
            UInt64(user_keys),
            UInt64(low),
            UInt64(high),
            UInt32(ip_keys),
            words @ ..,
        ] = block
        else {
            return Err(Broken::misplaced());
        };
        let words: Vec<&Words> = words
            .iter()
            .map(|column| match column {
                Column::Words(words) => Ok(words),
                _ => Err(Broken::misplaced()),
            })
            .collect::<Result<_, Broken>>()?;
        let [countries, cities, families, systems, marks, languages, zones, paths, ads] = words[..] else {
            return Err(Broken::misplaced());
        };
        let mut agent = String::new();
        for row in 0..times.len() {
            if self.gone.has([browsers[row], visitors[row]], user_keys[row]) {
                continue;
            }
            let Some(kind) = Kind::ALL.into_iter().find(|kind| *kind as i8 as u8 == kinds[row]) else {
                continue;
            };
            let seen = self.place(low[row], high[row], ip_keys[row]);
            agent.clear();
            let (family, system) = (word(families, row), word(systems, row));
            if !family.is_empty() {
                agent.push_str(family);
                if !system.is_empty() {
                    agent.push_str(" on ");
                    agent.push_str(system);
                }
            }
            memory.see(&Sighting {
                time: times[row].cast_signed(),
                kind,
                browser: browsers[row],
                returned: returned[row] != 0,
                visitor: visitors[row],
                user_key: user_keys[row],
                address: seen.address,
                country: word(countries, row),
                city: word(cities, row),
                point: seen.point,
                network: seen.network,
                agent: &agent,
                mark: word(marks, row),
                language: word(languages, row),
                timezone: word(zones, row),
                path: word(paths, row),
                ad: word(ads, row),
            });
        }
        Ok(())
    }

    fn place(&mut self, low: u64, high: u64, key: u32) -> Seen {
        let nowhere = Seen { address: 0, point: None, network: NetworkKind::Unknown };
        if key == 0 {
            return nowhere;
        }
        if let Some(seen) = self.places.get(&(low, high, key)) {
            return *seen;
        }
        let mut stored = [0; 16];
        stored[..8].copy_from_slice(&low.to_le_bytes());
        stored[8..].copy_from_slice(&high.to_le_bytes());
        // A key that was destroyed took its addresses along.
        let seen = self.eyes.keys.reveal(stored, key).map_or(nowhere, |ip| {
            let places = self.eyes.enricher.places();
            let location = places.location(&ip);
            let accuracy_km = location.accuracy_km.unwrap_or_default();
            Seen {
                address: self.eyes.key(&self.site, &ip),
                point: location.coordinates.map(|at| Point { at, accuracy_km }),
                network: location.kind,
            }
        });
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
        }
        self.places.insert((low, high, key), seen);
        seen
    }
}

fn word(words: &Words, row: usize) -> &str {
    let key = words.codes.get(row).and_then(|code| words.keys.get(*code as usize));
    key.and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
}
