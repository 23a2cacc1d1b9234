//! The time zones of each country, and which of them is nearest to a place.
//!
//! In: `zones.txt`, facts of the tz database in a form of ours, read once.
//! Out: names that the tz database knows, with the main city of each.
//!
//! The nearest city is a guess: zones follow borders of regions, which are not
//! here, so that near one the neighbour's zone may be told.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Serialize;

use super::location::Coordinates;

/// A zone that some part of a country keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneOfCountry {
    /// Its name in the tz database: `Europe/Moscow`.
    pub name: &'static str,
    /// Its main city, which may be in another country.
    pub coordinates: Coordinates,
}

static ZONES: LazyLock<HashMap<&'static str, Vec<ZoneOfCountry>>> =
    LazyLock::new(|| include_str!("zones.txt").lines().filter_map(line).collect());

/// All zones of a country, by its code in upper case; none when it is not known.
pub fn zones_of_country(country: &str) -> &'static [ZoneOfCountry] {
    ZONES.get(country).map_or(&[], Vec::as_slice)
}

/// The one zone of a country, or of several the nearest. Without coordinates
/// nothing tells between several.
pub(super) fn derived(country: &str, coordinates: Option<Coordinates>) -> Option<&'static str> {
    match (zones_of_country(country), coordinates) {
        ([only], _) => Some(only.name),
        (zones, Some(here)) => {
            let distance = |zone: &ZoneOfCountry| here.distance_km(zone.coordinates);
            let nearest = zones.iter().min_by(|one, other| distance(one).total_cmp(&distance(other)));
            nearest.map(|zone| zone.name)
        }
        _ => None,
    }
}

/// Whether the tz database has a zone of this name; offsets (`+03:00`) and
/// abbreviations, which some databases hold, are none.
pub(super) fn is_known(name: &str) -> bool {
    name.contains('/') && jiff::tz::TimeZone::get(name).is_ok()
}

/// A country and its zones; `None` for a comment.
fn line(line: &'static str) -> Option<(&'static str, Vec<ZoneOfCountry>)> {
    let mut words = line.split(' ');
    let country = words.next().filter(|word| *word != "#")?;
    let mut zones = Vec::new();
    while let Some(name) = words.next() {
        let mut tenths = || words.next()?.parse().ok();
        let coordinates = Coordinates { latitude_tenths: tenths()?, longitude_tenths: tenths()? };
        zones.push(ZoneOfCountry { name, coordinates });
    }
    Some((country, zones))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::countries::COUNTRIES;

    /// Islands on which nobody lives.
    const WITHOUT_ZONE: [&str; 2] = ["BV", "HM"];

    #[test]
    fn every_country_has_zones_that_the_tz_database_knows() {
        for (country, name) in COUNTRIES {
            let zones = zones_of_country(country);
            assert_eq!(zones.is_empty(), WITHOUT_ZONE.contains(country), "{country} {name}");
        }
        let lines = include_str!("zones.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(ZONES.len(), lines, "a line could not be read, or a country is there twice");
        let known: Vec<&str> = COUNTRIES.iter().map(|(country, _)| *country).collect();
        for (country, zones) in ZONES.iter() {
            assert!(known.contains(country), "{country}");
            for zone in zones {
                assert!(is_known(zone.name), "{}", zone.name);
                let Coordinates { latitude_tenths, longitude_tenths } = zone.coordinates;
                assert!((-900..=900).contains(&latitude_tenths), "{zone:?}");
                assert!((-1800..=1800).contains(&longitude_tenths), "{zone:?}");
            }
        }
        println!("{} countries, {} zones", ZONES.len(), ZONES.values().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn a_zone_is_derived_from_the_country_and_then_the_nearest_city() {
        for (country, latitude, longitude, expected) in [
            ("FR", 43.3, 5.4, "Europe/Paris"),
            ("RU", 57.6, 39.9, "Europe/Moscow"),
            ("RU", 54.7, 20.5, "Europe/Kaliningrad"),
            ("RU", 55.0, 82.9, "Asia/Novosibirsk"),
            ("RU", 43.1, 131.9, "Asia/Vladivostok"),
            ("US", 37.4, -122.1, "America/Los_Angeles"),
            ("US", 21.3, -157.9, "Pacific/Honolulu"),
            ("ES", 28.1, -15.4, "Atlantic/Canary"),
            ("ES", 41.4, 2.2, "Europe/Madrid"),
            // Across the 180th meridian.
            ("NZ", -43.9, -176.5, "Pacific/Chatham"),
            ("KI", -11.4, -151.8, "Pacific/Kiritimati"),
        ] {
            assert_eq!(derived(country, Coordinates::new(latitude, longitude)), Some(expected), "{country}");
        }
        assert_eq!(derived("FR", None), Some("Europe/Paris"));
        for country in ["RU", "US", "", "ZZ", "BV", "fr"] {
            assert_eq!(derived(country, None), None, "{country:?}");
        }
    }

    #[test]
    fn offsets_are_no_zones() {
        for (name, expected) in [
            ("Europe/Moscow", true),
            ("Asia/Calcutta", true),
            ("+03:00", false),
            ("-", false),
            ("", false),
            ("Europe/Atlantis", false),
        ] {
            assert_eq!(is_known(name), expected, "{name:?}");
        }
    }
}
