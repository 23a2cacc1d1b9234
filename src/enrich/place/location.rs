//! What is told of an address when somebody asks, beyond what is stored of each
//! hit: coordinates, how coarse they are, the time zone, the kind of network, and
//! which range of the registries the address is in.
//!
//! In: what the databases say, by [`super::Places::location`]. Out: a
//! [`Location`]. It is made at question time and not stored; coordinates are
//! rounded to a tenth of a degree when they are read, so that nothing holds finer
//! ones.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Embedded, Place, Scope};

/// A tenth of a degree is so far from the middle of its cell at most, at the
/// equator (0.05 degrees each way, of 111.2 km each, across): nothing is told finer.
const FINEST_KM: u32 = 8;
/// How coarse a place is of which the database does not say it. Cities: the radius
/// of the largest. Regions and countries: about the square root of a middling
/// one's area.
const CITY_KM: u32 = 50;
const REGION_KM: u32 = 250;
const COUNTRY_KM: u32 = 1000;
/// Half of the way around the Earth: nothing is coarser.
const COARSEST_KM: u32 = 20_015;
/// The Earth's mean radius (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// All that is told of an address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Location<'a> {
    /// As [`super::Places::locate`] has it.
    #[serde(flatten)]
    pub place: Place<'a>,
    pub coordinates: Option<Coordinates>,
    /// The place is within so many kilometres of the coordinates, as a rule: the
    /// database's radius, or one by what is known: city, region, country. `None`
    /// where nothing is.
    pub accuracy_km: Option<u32>,
    /// A name of the tz database.
    pub time_zone: Option<Cow<'a, str>>,
    /// Who says it; `None` without a zone.
    pub time_zone_source: Option<TimeZoneSource>,
    pub kind: NetworkKind,
    /// Of the embedded address, if there is one.
    pub scope: Scope,
    /// The IPv4 address was inside an IPv6 one, and the location is its.
    pub embedded: Option<Embedded>,
}

/// A point, in tenths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// North is positive.
    pub latitude_tenths: i16,
    /// East is positive.
    pub longitude_tenths: i16,
}

/// Where a time zone is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeZoneSource {
    Database,
    /// From the country, and where it has several zones, the coordinates.
    Derived,
}

/// Who is behind an address, as far as the databases say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    #[default]
    Unknown,
    /// Lines of homes, offices, schools.
    Access,
    /// A carrier's phones.
    Mobile,
    /// Rented servers.
    Hosting,
    /// A VPN, a proxy, an exit of Tor: the person is elsewhere.
    Proxy,
}

// === impl Coordinates ===

impl Coordinates {
    /// Rounds degrees to tenths. `None` for what is no point on Earth, and for
    /// exactly 0, 0, by which databases mean that they do not know.
    pub fn new(latitude: f64, longitude: f64) -> Option<Coordinates> {
        let is_point = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        let is_known = latitude != 0.0 || longitude != 0.0;
        (is_point && is_known).then(|| Coordinates {
            latitude_tenths: (latitude * 10.0).round() as i16,
            longitude_tenths: (longitude * 10.0).round() as i16,
        })
    }

    /// The way over the Earth's surface, by the haversine formula on a sphere.
    pub fn distance_km(self, other: Coordinates) -> f64 {
        let radians = |tenths: i16| (f64::from(tenths) / 10.0).to_radians();
        let (latitude, other_latitude) = (radians(self.latitude_tenths), radians(other.latitude_tenths));
        let longitudes = radians(self.longitude_tenths) - radians(other.longitude_tenths);
        let half_sine = |angle: f64| (angle / 2.0).sin().powi(2);
        let chord = half_sine(latitude - other_latitude)
            + latitude.cos() * other_latitude.cos() * half_sine(longitudes);
        2.0 * EARTH_RADIUS_KM * chord.clamp(0.0, 1.0).sqrt().asin()
    }
}

impl Serialize for Coordinates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut point = serializer.serialize_struct("Coordinates", 2)?;
        point.serialize_field("latitude", &(f64::from(self.latitude_tenths) / 10.0))?;
        point.serialize_field("longitude", &(f64::from(self.longitude_tenths) / 10.0))?;
        point.end()
    }
}

/// How coarse a place is: by the database's radius, or else by what is known of it.
pub(super) fn accuracy_km(radius_km: Option<f64>, place: &Place) -> Option<u32> {
    let by_level = match place {
        Place { country, .. } if country.is_empty() => return None,
        Place { city, .. } if !city.is_empty() => CITY_KM,
        Place { region, .. } if !region.is_empty() => REGION_KM,
        _ => COUNTRY_KM,
    };
    // Of more than it can hold the conversion makes the most it can.
    let radius = radius_km.filter(|radius| *radius > 0.0).map(|radius| radius.ceil() as u32);
    Some(radius.unwrap_or(by_level).clamp(FINEST_KM, COARSEST_KM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenths(latitude: f64, longitude: f64) -> Option<(i16, i16)> {
        Coordinates::new(latitude, longitude).map(|point| (point.latitude_tenths, point.longitude_tenths))
    }

    #[test]
    fn coordinates_are_rounded_to_tenths_or_refused() {
        for (latitude, longitude, expected) in [
            (55.75579833984375, 37.6172981262207, Some((558, 376))),
            (-33.85, 151.25, Some((-339, 1513))),
            (0.04, 0.0, Some((0, 0))),
            (-0.05, 0.05, Some((-1, 1))),
            (90.0, -180.0, Some((900, -1800))),
            (0.0, 0.0, None),
            (90.01, 0.0, None),
            (0.0, -180.5, None),
            (f64::NAN, 1.0, None),
            (1.0, f64::INFINITY, None),
        ] {
            assert_eq!(tenths(latitude, longitude), expected, "{latitude}, {longitude}");
        }
    }

    #[test]
    fn distances_are_great_circles() {
        let point = |latitude, longitude| Coordinates::new(latitude, longitude).expect("a point");
        let (moscow, petersburg) = (point(55.8, 37.6), point(59.9, 30.3));
        for (one, other, expected) in [
            (moscow, petersburg, 628.0),
            (petersburg, moscow, 628.0),
            (moscow, moscow, 0.0),
            // Across the 180th meridian: two tenths of a degree at the equator.
            (point(0.0, 179.9), point(0.0, -179.9), 22.2),
            // The whole way: pole to pole, and to the antipode.
            (point(90.0, 0.0), point(-90.0, 123.0), 20_015.1),
            (point(10.0, 20.0), point(-10.0, -160.0), 20_015.1),
            // A quarter of a meridian.
            (point(0.0, 90.0), point(90.0, 0.0), 10_007.6),
        ] {
            let found = one.distance_km(other);
            assert!((found - expected).abs() < 1.0, "{one:?} {other:?}: {found}");
        }
    }

    #[test]
    fn a_place_is_as_coarse_as_is_known_and_never_finer_than_a_tenth_of_a_degree() {
        let place = |country: &'static str, region, city| Place {
            country: country.into(),
            region,
            city,
            ..Place::default()
        };
        for (radius, place, expected) in [
            (Some(20.0), place("RU", "", ""), Some(20)),
            (Some(20.1), place("RU", "", ""), Some(21)),
            (Some(1.0), place("RU", "Moscow", "Moscow"), Some(8)),
            (Some(0.0), place("RU", "Moscow", "Moscow"), Some(50)),
            (Some(-5.0), place("RU", "Moscow", ""), Some(250)),
            (Some(f64::NAN), place("RU", "", ""), Some(1000)),
            (Some(1e300), place("RU", "", ""), Some(20_015)),
            (None, place("RU", "", "Moscow"), Some(50)),
            (None, place("", "", ""), None),
            (Some(5.0), place("", "", ""), None),
        ] {
            assert_eq!(accuracy_km(radius, &place), expected, "{radius:?} {place:?}");
        }
        let corner = Coordinates { latitude_tenths: 0, longitude_tenths: 0 }
            .distance_km(Coordinates { latitude_tenths: 1, longitude_tenths: 1 });
        assert!(corner / 2.0 <= f64::from(FINEST_KM), "{corner}");
    }

    #[test]
    fn a_location_is_one_flat_object() {
        let location = Location {
            place: Place { country: "RU".into(), city: "Moscow", asn: 8359, ..Place::default() },
            coordinates: Coordinates::new(55.75, 37.62),
            accuracy_km: Some(50),
            time_zone: Some("Europe/Moscow".into()),
            time_zone_source: Some(TimeZoneSource::Derived),
            kind: NetworkKind::Access,
            scope: Scope::Public,
            embedded: Some(Embedded::SixToFour),
        };
        assert_eq!(
            serde_json::to_value(&location).expect("JSON"),
            serde_json::json!({
                "country": "RU", "region": "", "city": "Moscow", "asn": 8359, "network": "",
                "coordinates": {"latitude": 55.8, "longitude": 37.6}, "accuracy_km": 50,
                "time_zone": "Europe/Moscow", "time_zone_source": "derived",
                "kind": "access", "scope": "public", "embedded": "6to4",
            })
        );
    }
}
