//! Which database is believed in what, and that a reload takes over all of it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use metka::enrich::{Embedded, Location, NetworkKind, Scope, TimeZoneSource};

use crate::mmdb::{Database, Value};
use crate::{config, ip, names, opened, text};

const ADDRESS: &str = "8.8.8.8";

fn write(dir: &Path, name: &'static str, record: Vec<(&'static str, Value)>) -> PathBuf {
    let mut database = Database::new(name, 28, 6);
    let address: IpAddr = "8.8.0.0".parse().expect("an address");
    database.insert(address, 16, Value::Map(record));
    let file = dir.join(format!("{name}.mmdb"));
    std::fs::write(&file, database.finish()).expect("written");
    file
}

fn country(code: &str) -> (&'static str, Value) {
    ("country", Value::Map(vec![("iso_code", text(code))]))
}

fn city(name: &str) -> (&'static str, Value) {
    ("city", Value::Map(vec![("names", names(name))]))
}

fn location(latitude: f64, longitude: f64, rest: &[(&'static str, Value)]) -> (&'static str, Value) {
    let mut all = vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))];
    all.extend_from_slice(rest);
    ("location", Value::Map(all))
}

fn asn(number: u32) -> Vec<(&'static str, Value)> {
    vec![("autonomous_system_number", Value::U32(number)), ("autonomous_system_organization", text("A"))]
}

fn traits(all: &[(&'static str, Value)]) -> (&'static str, Value) {
    ("traits", Value::Map(all.to_vec()))
}

fn told(files: &[&PathBuf], check: impl FnOnce(&Location)) {
    let files: Vec<PathBuf> = files.iter().map(|file| (*file).clone()).collect();
    check(&opened(&files, &[]).places().location(&ip(ADDRESS)));
}

#[test]
fn the_first_that_knows_the_country_gives_the_place_and_all_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let zone = |name: &str| ("time_zone", text(name));
    let tver = write(
        dir.path(),
        "Tver",
        vec![country("RU"), city("Tver"), location(56.86, 35.9, &[("accuracy_radius", Value::U16(20))])],
    );
    let berlin = write(
        dir.path(),
        "Berlin",
        vec![country("DE"), city("Berlin"), location(52.52, 13.4, &[zone("Europe/Berlin")])],
    );
    let bare = write(dir.path(), "Bare", vec![country("RU")]);
    let network = write(dir.path(), "Network", asn(64_500));
    let nowhere = write(dir.path(), "Nowhere", vec![location(1.0, 2.0, &[zone("Asia/Almaty")])]);

    told(&[&tver, &berlin], |location| {
        assert_eq!((&*location.place.country, location.place.city), ("RU", "Tver"));
        assert_eq!(location.accuracy_km, Some(20));
        let zone = (location.time_zone.as_deref(), location.time_zone_source);
        assert_eq!(zone, (Some("Europe/Moscow"), Some(TimeZoneSource::Derived)), "not the other's");
    });
    told(&[&berlin, &tver], |location| {
        assert_eq!((&*location.place.country, location.place.city), ("DE", "Berlin"));
        assert_eq!(location.accuracy_km, Some(50), "not the other's");
        let zone = (location.time_zone.as_deref(), location.time_zone_source);
        assert_eq!(zone, (Some("Europe/Berlin"), Some(TimeZoneSource::Database)));
    });
    told(&[&bare, &tver], |location| {
        assert_eq!((location.place.city, location.coordinates), ("", None), "no other's city is added");
        assert_eq!((location.accuracy_km, location.time_zone.as_deref()), (Some(1000), None));
    });
    told(&[&network, &nowhere, &tver], |location| {
        assert_eq!((location.place.asn, location.place.city), (64_500, "Tver"));
        let point = location.coordinates.expect("known");
        assert_eq!((point.latitude_tenths, point.longitude_tenths), (569, 359));
    });
    told(&[&nowhere], |location| {
        assert_eq!((location.coordinates, location.accuracy_km), (None, None), "coordinates of no country");
    });
}

#[test]
fn a_zone_that_is_no_zone_is_replaced_by_the_derived_one() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, zone) in [("A", "+03:00"), ("B", ""), ("C", "Europe/Atlantis")] {
        let detail = location(55.75, 37.6, &[("time_zone", text(zone))]);
        let file = write(dir.path(), name, vec![country("RU"), detail]);
        told(&[&file], |location| {
            let found = (location.time_zone.as_deref(), location.time_zone_source);
            assert_eq!(found, (Some("Europe/Moscow"), Some(TimeZoneSource::Derived)), "{zone:?}");
        });
    }
}

#[test]
fn the_kind_is_the_first_databases_that_says_one_and_then_the_list_s() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = |kind: &str| ("connection_type", text(kind));
    let corporate = write(dir.path(), "Corporate", vec![line("Corporate")]);
    let cellular = write(dir.path(), "Cellular", vec![line("Cellular")]);
    let silent = write(dir.path(), "Silent", vec![traits(&[("user_type", text("router"))])]);
    let vpn = write(dir.path(), "Vpn", vec![("is_anonymous_vpn", Value::Bool(true))]);
    let rented = write(dir.path(), "Rented", asn(24_940));
    let plain = write(dir.path(), "Plain", asn(64_500));
    for (files, expected) in [
        (vec![&corporate], NetworkKind::Access),
        (vec![&cellular, &corporate], NetworkKind::Mobile),
        (vec![&corporate, &vpn], NetworkKind::Access),
        (vec![&vpn, &corporate], NetworkKind::Proxy),
        (vec![&silent, &cellular], NetworkKind::Mobile),
        (vec![&silent], NetworkKind::Unknown),
        (vec![&plain], NetworkKind::Unknown),
        (vec![&rented], NetworkKind::Hosting),
        (vec![&corporate, &rented], NetworkKind::Hosting),
        (vec![&rented, &vpn], NetworkKind::Proxy),
        (vec![&cellular, &rented], NetworkKind::Mobile),
    ] {
        told(&files, |location| assert_eq!(location.kind, expected, "{files:?}"));
    }
}

#[test]
fn a_network_of_geoip2_enterprise_is_found_among_its_traits() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), "Enterprise", vec![country("RU"), traits(&asn(64_500))]);
    told(&[&file], |location| assert_eq!((location.place.asn, location.place.network), (64_500, "A")));
}

#[test]
fn a_reload_takes_over_files_and_lists() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), "Network", asn(64_500));
    let files = [file.clone()];
    let enricher = opened(&files, &[]);
    let kind = || enricher.places().location(&ip(ADDRESS)).kind;
    assert_eq!(kind(), NetworkKind::Unknown);
    // The file is the same and is not opened again; the list is another.
    enricher.reload(&config(&files, &[64_500])).expect("reloads");
    assert_eq!(kind(), NetworkKind::Hosting);
    let before = enricher.databases(jiff::Timestamp::UNIX_EPOCH);
    let mut newer = Database::new("Newer", 24, 4).built_at(1_795_000_000);
    newer.insert(ADDRESS.parse().expect("an address"), 32, Value::Map(vec![country("RU")]));
    std::fs::write(&file, newer.finish()).expect("written");
    enricher.reload(&config(&files, &[64_500])).expect("reloads");
    assert_eq!(kind(), NetworkKind::Unknown, "no network is known any more");
    assert_eq!(enricher.places().location(&ip(ADDRESS)).place.country, "RU");
    let after = enricher.databases(jiff::Timestamp::UNIX_EPOCH);
    assert_eq!((before[0].kind.as_str(), before[0].ip_version), ("Network", 6));
    assert_eq!((after[0].kind.as_str(), after[0].ip_version), ("Newer", 4));
}

#[test]
fn what_is_inside_is_where_it_is_and_what_is_not_public_is_nowhere() {
    let dir = tempfile::tempdir().expect("a directory");
    // All of IPv4 and all of IPv6 is in one place.
    let mut everywhere = Database::new("Everywhere", 24, 6);
    let record = || Value::Map([vec![country("RU"), city("Tver")], asn(24_940)].concat());
    everywhere.insert("::".parse().expect("an address"), 1, record());
    everywhere.insert("8000::".parse().expect("an address"), 1, record());
    let file = dir.path().join("everywhere.mmdb");
    std::fs::write(&file, everywhere.finish()).expect("written");
    let enricher = opened(&[file], &[]);
    let places = enricher.places();
    for (address, scope, embedded) in [
        ("8.8.8.8", Scope::Public, None),
        ("::ffff:8.8.8.8", Scope::Public, None),
        ("2002:808:808::1", Scope::Public, Some(Embedded::SixToFour)),
        ("2001:0:102:304::f7f7:f7f7", Scope::Public, Some(Embedded::Teredo)),
        ("64:ff9b::8.8.8.8", Scope::Public, Some(Embedded::Nat64)),
        ("2a02:6b8::feed:ff", Scope::Public, None),
        ("2002:a00:1::1", Scope::Private, Some(Embedded::SixToFour)),
        ("2001:0:808:808::3fff:fdd2", Scope::Documentation, Some(Embedded::Teredo)),
        ("64:ff9b::127.0.0.1", Scope::Loopback, Some(Embedded::Nat64)),
        ("64:ff9b:1::8.8.8.8", Scope::LocalTranslation, None),
        ("::ffff:10.0.0.1", Scope::Private, None),
        ("192.0.2.1", Scope::Documentation, None),
        ("100.64.0.1", Scope::Shared, None),
        ("fd12::1", Scope::UniqueLocal, None),
        ("fe80::1", Scope::LinkLocal, None),
        ("2001:db8::1", Scope::Documentation, None),
    ] {
        let location = places.location(&ip(address));
        assert_eq!((location.scope, location.embedded), (scope, embedded), "{address}");
        let is_public = scope == Scope::Public;
        assert_eq!(location.place.city == "Tver", is_public, "{address}");
        assert_eq!(location.time_zone.is_some(), location.place.country == "FR", "several, no coordinates");
        assert_eq!(location.kind == NetworkKind::Hosting, is_public, "{address}");
        assert_eq!(places.locate(&ip(address)), location.place, "{address}");
    }
}
