//! What a record of a geo database holds beyond what is stored of a hit: where
//! exactly, in which time zone, in what kind of network. Decoded only when a
//! [`super::Location`] is asked for, so that the hit path does not pay for it.
//!
//! The same keys are in a map of their own in one layout (`location.latitude`,
//! `traits.is_anonymous_vpn`: GeoLite2, GeoIP2, DB-IP) and beside the others in
//! another (`latitude`: ip-location-db; `is_anonymous_vpn`: GeoIP2 Anonymous IP;
//! `connection_type`: GeoIP2 Connection Type). Unknown keys are skipped, and a
//! value of another type than expected is as good as none.

use std::fmt;

use maxminddb::LookupResult;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::location::{Coordinates, NetworkKind};

/// Users as GeoIP2 calls them who sit before their device.
const PEOPLE: [&str; 11] = [
    "business",
    "cafe",
    "college",
    "dialup",
    "government",
    "library",
    "military",
    "residential",
    "school",
    "satellite",
    "traveler",
];
/// And those who are machines.
const MACHINES: [&str; 3] = ["content_delivery_network", "hosting", "search_engine_spider"];
/// Whose traffic a browser's maker forwards: the person is elsewhere.
const RELAY: &str = "consumer_privacy_network";
/// Kinds of line as GeoIP2 calls them, but for `Cellular`.
const LINES: [&str; 4] = ["Cable/DSL", "Corporate", "Dialup", "Satellite"];

/// What a record holds in its maps and beside them.
pub(super) struct Details<'a> {
    nested: Nested<'a>,
    flat: Detail<'a>,
}

/// The two maps of the nested layouts.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Nested<'a> {
    #[serde(borrow)]
    location: Detail<'a>,
    #[serde(borrow)]
    traits: Detail<'a>,
}

/// The keys themselves, of whichever map.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail<'a> {
    #[serde(borrow)]
    latitude: Scalar<'a>,
    #[serde(borrow)]
    longitude: Scalar<'a>,
    #[serde(borrow)]
    accuracy_radius: Scalar<'a>,
    #[serde(borrow)]
    time_zone: Scalar<'a>,
    #[serde(borrow)]
    timezone: Scalar<'a>,
    #[serde(borrow)]
    user_type: Scalar<'a>,
    #[serde(borrow)]
    connection_type: Scalar<'a>,
    #[serde(borrow)]
    is_anonymous: Scalar<'a>,
    #[serde(borrow)]
    is_anonymous_proxy: Scalar<'a>,
    #[serde(borrow)]
    is_anonymous_vpn: Scalar<'a>,
    #[serde(borrow)]
    is_hosting_provider: Scalar<'a>,
    #[serde(borrow)]
    is_public_proxy: Scalar<'a>,
    #[serde(borrow)]
    is_residential_proxy: Scalar<'a>,
    #[serde(borrow)]
    is_tor_exit_node: Scalar<'a>,
}

/// A value of any type.
#[derive(Default)]
enum Scalar<'a> {
    #[default]
    Nothing,
    Text(&'a str),
    Number(f64),
    Flag(bool),
}

// === impl Details ===

impl<'a> Details<'a> {
    pub fn of(found: &LookupResult<'a, Vec<u8>>) -> Details<'a> {
        // What cannot be decoded is as good as none.
        Details {
            nested: found.decode().ok().flatten().unwrap_or_default(),
            flat: found.decode().ok().flatten().unwrap_or_default(),
        }
    }

    pub fn coordinates(&self) -> Option<Coordinates> {
        self.nested.location.coordinates().or_else(|| self.flat.coordinates())
    }

    pub fn radius_km(&self) -> Option<f64> {
        self.nested.location.radius_km().or_else(|| self.flat.radius_km())
    }

    pub fn time_zone(&self) -> Option<&'a str> {
        self.nested.location.time_zone().or_else(|| self.flat.time_zone())
    }

    /// `None` where the record says nothing of it.
    pub fn kind(&self) -> Option<NetworkKind> {
        self.nested.traits.kind().or_else(|| self.flat.kind())
    }
}

// === impl Detail ===

impl<'a> Detail<'a> {
    fn coordinates(&self) -> Option<Coordinates> {
        Coordinates::new(self.latitude.number()?, self.longitude.number()?)
    }

    fn radius_km(&self) -> Option<f64> {
        self.accuracy_radius.number()
    }

    fn time_zone(&self) -> Option<&'a str> {
        [&self.time_zone, &self.timezone].into_iter().map(Scalar::text).find(|name| !name.is_empty())
    }

    /// A proxy in a data centre is a proxy: what matters is that the person is elsewhere.
    fn kind(&self) -> Option<NetworkKind> {
        let (user, line) = (self.user_type.text(), self.connection_type.text());
        let proxies = [
            &self.is_anonymous_vpn,
            &self.is_public_proxy,
            &self.is_residential_proxy,
            &self.is_tor_exit_node,
            &self.is_anonymous_proxy,
        ];
        if proxies.into_iter().any(Scalar::is_set) || user == RELAY {
            Some(NetworkKind::Proxy)
        } else if self.is_hosting_provider.is_set() || MACHINES.contains(&user) {
            Some(NetworkKind::Hosting)
        } else if self.is_anonymous.is_set() {
            Some(NetworkKind::Proxy)
        } else if line == "Cellular" || user == "cellular" {
            Some(NetworkKind::Mobile)
        } else if LINES.contains(&line) || PEOPLE.contains(&user) {
            Some(NetworkKind::Access)
        } else {
            None
        }
    }
}

// === impl Scalar ===

struct ScalarVisitor;

impl<'a> Scalar<'a> {
    fn text(&self) -> &'a str {
        match self {
            Scalar::Text(text) => text.trim(),
            _ => "",
        }
    }

    /// Some databases hold numbers as text.
    fn number(&self) -> Option<f64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn is_set(&self) -> bool {
        match self {
            Scalar::Flag(flag) => *flag,
            Scalar::Number(number) => *number != 0.0,
            Scalar::Text(text) => *text == "true",
            Scalar::Nothing => false,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(record: &str) -> Option<NetworkKind> {
        serde_json::from_str::<Detail>(record).expect("a record").kind()
    }

    #[test]
    fn the_kind_is_what_the_flags_and_types_say() {
        use NetworkKind::*;
        for (record, expected) in [
            (r#"{}"#, None),
            (r#"{"is_anonymous": true, "is_anonymous_vpn": true}"#, Some(Proxy)),
            (r#"{"is_anonymous": true, "is_public_proxy": true}"#, Some(Proxy)),
            (r#"{"is_residential_proxy": true, "connection_type": "Cable/DSL"}"#, Some(Proxy)),
            (r#"{"is_tor_exit_node": true, "is_hosting_provider": true}"#, Some(Proxy)),
            (r#"{"is_anonymous": true, "is_hosting_provider": true}"#, Some(Hosting)),
            (r#"{"is_anonymous": true}"#, Some(Proxy)),
            (r#"{"is_anonymous_proxy": true}"#, Some(Proxy)),
            (r#"{"is_anonymous_vpn": false, "user_type": "residential"}"#, Some(Access)),
            (r#"{"user_type": "consumer_privacy_network"}"#, Some(Proxy)),
            (r#"{"user_type": "hosting", "connection_type": "Corporate"}"#, Some(Hosting)),
            (r#"{"user_type": "content_delivery_network"}"#, Some(Hosting)),
            (r#"{"user_type": "cellular"}"#, Some(Mobile)),
            (r#"{"user_type": "residential", "connection_type": "Cellular"}"#, Some(Mobile)),
            (r#"{"connection_type": "Cable/DSL"}"#, Some(Access)),
            (r#"{"connection_type": "Corporate"}"#, Some(Access)),
            (r#"{"user_type": "router"}"#, None),
            (r#"{"user_type": 5, "connection_type": {"a": [1]}, "is_anonymous": ["x"]}"#, None),
        ] {
            assert_eq!(kind(record), expected, "{record}");
        }
    }

    #[test]
    fn values_are_read_in_whatever_type_they_come() {
        for (record, expected) in [
            (r#"{"latitude": 55.75, "longitude": 37.62}"#, Some((558, 376))),
            (r#"{"latitude": "55.75", "longitude": " 37.62"}"#, Some((558, 376))),
            (r#"{"latitude": 55, "longitude": -37}"#, Some((550, -370))),
            (r#"{"latitude": 55.75}"#, None),
            (r#"{"latitude": "", "longitude": ""}"#, None),
            (r#"{"latitude": {"x": 1}, "longitude": 1}"#, None),
        ] {
            let detail: Detail = serde_json::from_str(record).expect("a record");
            let found = detail.coordinates().map(|point| (point.latitude_tenths, point.longitude_tenths));
            assert_eq!(found, expected, "{record}");
        }
        for (record, expected) in [
            (r#"{"time_zone": "Europe/Moscow"}"#, Some("Europe/Moscow")),
            (r#"{"timezone": "Europe/Moscow", "time_zone": ""}"#, Some("Europe/Moscow")),
            (r#"{"timezone": ""}"#, None),
        ] {
            let detail: Detail = serde_json::from_str(record).expect("a record");
            assert_eq!(detail.time_zone(), expected, "{record}");
        }
    }
}
