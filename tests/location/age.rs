//! How old databases are and whom they ask to be named, as the commands show it.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::mmdb::{Database, Value};
use crate::place::Place;
use crate::server::wait_for;
use crate::{opened, text};

const DAY_SECONDS: i64 = 86_400;
const CONFIG: &str = r#"
[collect]
threads = 1
[geo]
files = ["city.mmdb", "ipinfo.mmdb", "old.mmdb", "undated.mmdb"]
[[site]]
id = "clinic"
hosts = ["clinic.example"]
"#;

/// A database of so many days ago; none is undated.
fn database(kind: &'static str, age_days: Option<i64>) -> Vec<u8> {
    // An hour more, so that the day is over for as long as the test takes.
    let seconds = age_days.map_or(0, |days| Timestamp::now().as_second() - days * DAY_SECONDS - 3600);
    let mut database = Database::new(kind, 24, 4).built_at(seconds as u64);
    let address: IpAddr = "8.8.8.8".parse().expect("an address");
    database.insert(address, 32, Value::Map(vec![("country_code", text("US"))]));
    database.finish()
}

fn place() -> Place {
    let place = Place::with(CONFIG);
    for (name, kind, age_days) in [
        ("city", "GeoLite2-City", Some(31)),
        ("ipinfo", "ipinfo country_asn_free.mmdb", Some(90)),
        ("old", "Other", Some(91)),
        ("undated", "Other", None),
    ] {
        std::fs::write(place.path().join(format!("{name}.mmdb")), database(kind, age_days)).expect("written");
    }
    place
}

/// What a status should say of each file: type, age, whether it is stale.
fn told(status: &Json) -> Vec<Json> {
    let databases = status["geo"]["databases"].as_array().expect("a list");
    let told =
        databases.iter().map(|one| json!([one["file"], one["type"], one["age_days"], one["is_stale"]]));
    told.collect()
}

#[test]
fn old_databases_are_shown_with_their_age_by_check_and_status() {
    let place = place();
    let expected = [
        json!(["city.mmdb", "GeoLite2-City", 31, true]),
        json!(["ipinfo.mmdb", "ipinfo country_asn_free.mmdb", 90, false]),
        json!(["old.mmdb", "Other", 91, true]),
        json!(["undated.mmdb", "Other", null, true]),
    ];
    let status = place.done(&["status"], "");
    assert_eq!(told(&status), expected);
    assert_eq!(status["geo"]["databases"][0]["stale_after_days"], 30);
    assert_eq!(status["geo"]["databases"][0]["ip_version"], 4);
    assert!(status["geo"]["databases"][3]["built"].is_null());

    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["status", "--config", "metka.toml"])
        .current_dir(place.path())
        .output()
        .expect("the binary runs");
    let shown = String::from_utf8(shown.stdout).expect("text");
    let lines: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("geo      ")).collect();
    assert!(lines[0].starts_with("city.mmdb (GeoLite2-City, IPv4): built "), "{shown}");
    assert!(
        lines[0].ends_with(", 31 days old; tells country; after 30 days a newer one is wanted"),
        "{shown}"
    );
    assert!(lines[1].ends_with(", 90 days old; tells country"), "{shown}");
    assert_eq!(lines.len(), 4, "{shown}");

    let check = place.done(&["check"], "");
    let findings = check["findings"].as_array().expect("a list");
    let of_file = |name: &str| {
        let found = findings.iter().find(|one| one["text"].as_str().expect("text").starts_with(name));
        let found = found.unwrap_or_else(|| panic!("{name}: {check}"));
        (found["state"].as_str().expect("a state"), found["text"].as_str().expect("text"))
    };
    let (state, text) = of_file("city.mmdb");
    assert_eq!(state, "lacking");
    assert!(text.contains("(GeoLite2-City, IPv4)") && text.contains("31 days old"), "{text}");
    assert!(text.contains("after 30 days a newer one is wanted"), "{text}");
    assert_eq!(of_file("ipinfo.mmdb").0, "ok");
    assert_eq!(of_file("old.mmdb").0, "lacking");
    assert!(of_file("undated.mmdb").1.contains("does not say when it was built"));

    std::fs::remove_file(place.path().join("old.mmdb")).expect("there");
    let status = place.done(&["status"], "");
    assert!(status["geo"]["error"].as_str().expect("an error").contains("old.mmdb"), "{status}");
}

#[test]
fn a_server_warns_of_old_databases_and_shows_those_in_force() {
    let place = place();
    let server = place.serve();
    let log = server.log.clone();
    let warned = || {
        let log = log.lock().expect("free");
        log.lines().filter(|line| line.contains("a geo database is old")).count()
    };
    assert_eq!(warned(), 3, "{}", log.lock().expect("free"));
    std::fs::write(place.path().join("old.mmdb"), database("Other", Some(2))).expect("written");
    assert_eq!(told(&server.command(&["status"]))[2], json!(["old.mmdb", "Other", 91, true]), "in force");
    server.signal(rustix::process::Signal::HUP);
    wait_for("the reload", || (warned() >= 5).then_some(()));
    assert_eq!(told(&server.command(&["status"]))[2], json!(["old.mmdb", "Other", 2, false]));
    assert_eq!(warned(), 5);
}

#[test]
fn a_database_of_something_else_is_lacking() {
    let place =
        Place::with("[geo]\nfiles = [\"other.mmdb\"]\n[[site]]\nid = \"a\"\nhosts = [\"a.example\"]\n");
    let file = place.path().join("other.mmdb");
    let seconds = Timestamp::now().as_second() as u64;
    let address: IpAddr = "8.8.8.8".parse().expect("an address");
    for (record, expected, state) in [
        (vec![("domain", text("clinic.example"))], json!([]), "lacking"),
        (vec![("country_code", text("ZZ"))], json!([]), "lacking"),
        (vec![("is_tor_exit_node", Value::Bool(true))], json!(["kind"]), "ok"),
        (
            vec![
                ("city", text("Tver")),
                ("country_code", text("RU")),
                ("latitude", Value::Float(56.9)),
                ("longitude", Value::Float(35.9)),
                ("timezone", text("Europe/Moscow")),
            ],
            json!(["country", "city", "coordinates", "time-zone"]),
            "ok",
        ),
        (vec![("asn", text("AS64500"))], json!(["network"]), "ok"),
    ] {
        let mut database = Database::new("Other", 28, 6).built_at(seconds);
        database.insert(address, 32, Value::Map(record));
        std::fs::write(&file, database.finish()).expect("written");
        assert_eq!(place.done(&["status"], "")["geo"]["databases"][0]["tells"], expected);
        let check = place.done(&["check"], "");
        let found = check["findings"].as_array().expect("a list").iter();
        let mut found =
            found.filter(|one| one["text"].as_str().is_some_and(|text| text.starts_with("other.mmdb")));
        assert_eq!(found.next().expect("a finding")["state"], state, "{expected}");
    }
}

#[test]
fn licences_name_their_makers_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, kind: &'static str| {
        let path = dir.path().join(name);
        std::fs::write(&path, database(kind, Some(1))).expect("written");
        path
    };
    let files = [
        file("a.mmdb", "GeoLite2-City"),
        file("b.mmdb", "GeoLite2-ASN"),
        file("c.mmdb", "ipinfo country_asn_free.mmdb"),
        file("IP2LOCATION-LITE-DB11.mmdb", "City"),
        file("dbip-country.mmdb", "country"),
        file("d.mmdb", "GeoIP2-Enterprise"),
    ];
    let credits: Vec<String> = opened(&files, &[]).attribution().iter().map(ToString::to_string).collect();
    assert_eq!(
        credits,
        [
            "This product includes GeoLite data created by MaxMind (https://www.maxmind.com)",
            "IP address data powered by IPinfo (https://ipinfo.io)",
            "This site or product includes IP2Location LITE data (https://lite.ip2location.com)",
            "IP Geolocation by DB-IP (https://db-ip.com)",
        ]
    );
}
