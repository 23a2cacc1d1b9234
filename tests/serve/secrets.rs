//! What identifies a visitor is nowhere on the disk, in the log or in a metric.

use std::path::Path;

use crate::http::{exchange, get};
use crate::server::{Server, wait_for};
use crate::{CONFIG, configure, configured};

/// An address of RFC 5737 that nothing else here uses.
const ADDRESS: &str = "203.0.113.77";
/// Stored in the clear on purpose: the scanner must find it.
const PAGE: &str = "canary-page-7f3a";
const AGENT: &str = "CanaryAgent/77.7";
const USER_KEY: &str = "canary-user-5c1d";
const SECRET: &str = "canary-secret-93e2";

fn files(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&path, out),
            Ok(kind) if kind.is_file() => out.push(path),
            _ => {}
        }
    }
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn no_address_cookie_user_key_or_user_agent_is_ever_written() {
    let dir = configured();
    std::fs::write(dir.path().join("secret"), SECRET).expect("written");
    // Hits stay in the spool long enough to be looked at there.
    let config = CONFIG.replace("200ms", "3s");
    configure(dir.path(), &format!("{config}user_key_secret_file = \"secret\"\n"));
    let server = Server::start(dir.path(), &[]);

    let mac = {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
        mac.update(format!("clinic:{USER_KEY}").as_bytes());
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let agent = format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 {AGENT}"
    );
    let target = format!("/pixel.gif?s=clinic&u=https://clinic.example/{PAGE}&uk={USER_KEY}.{mac}");
    let mut cookie = String::new();
    let mut values = Vec::new();
    for _ in 0..3 {
        let reply = exchange(
            server.collect,
            &get(&target, &[("x-forwarded-for", ADDRESS), ("user-agent", &agent), ("cookie", &cookie)]),
        );
        assert_eq!(reply.header("x-metka"), Some("ok"), "the user key is accepted");
        if let Some(set) = reply.cookie("metka") {
            values.extend(set.trim_start_matches("metka=").split('.').skip(3).map(str::to_owned));
            cookie = set;
        }
    }
    assert_eq!(values.len(), 2, "one cookie was set, with an id and a MAC: {values:?}");

    let address: std::net::Ipv4Addr = ADDRESS.parse().expect("an address");
    let mapped = address.to_ipv6_mapped().octets();
    let mut needles: Vec<(&str, Vec<u8>)> = vec![
        ("the address", ADDRESS.into()),
        ("the address as 16 bytes", mapped.to_vec()),
        (
            "the address in hex",
            mapped.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes(),
        ),
        ("the user agent", AGENT.into()),
        ("the user key", USER_KEY.into()),
        ("the user key's secret", SECRET.into()),
    ];
    for value in &values {
        needles.push(("a part of the cookie", value.clone().into_bytes()));
        let bytes =
            (0..value.len() / 2).map(|at| u8::from_str_radix(&value[2 * at..2 * at + 2], 16).expect("hex"));
        needles.push(("a part of the cookie as bytes", bytes.collect()));
    }
    let scan = |expect_page: bool| {
        let mut paths = Vec::new();
        files(&server.data(), &mut paths);
        let mut page_found = false;
        for path in &paths {
            // A file that the engine has just merged away is no place to look.
            let Ok(bytes) = std::fs::read(path) else { continue };
            page_found |= holds(&bytes, PAGE.as_bytes());
            for (what, needle) in &needles {
                assert!(!holds(&bytes, needle), "{what} is in {}", path.display());
            }
        }
        assert!(page_found || !expect_page, "the scanner finds what is there: {} files", paths.len());
        paths.len()
    };
    // In the spool the row is in the clear, so the page must be found there.
    let in_spool = scan(true);
    server.settled("clinic");
    let in_parts = scan(false);
    // Parts are compressed: every column again, as the engine reads it.
    let rows = server.rows("SELECT * REPLACE (hex(ip) AS ip) FROM metka.hits");
    let table = serde_json::to_vec(&rows).expect("JSON");
    assert!(holds(&table, PAGE.as_bytes()), "the table has the row");
    let log =
        wait_for("a log", || Some(server.log.lock().expect("free").clone()).filter(|log| !log.is_empty()));
    let metrics =
        exchange(server.web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(holds(&metrics.body, b"metka_hits_stored_total{site=\"clinic\"} 3"), "the metrics are there");
    for (what, needle) in &needles {
        for (place, bytes) in
            [("the table", &table[..]), ("the log", log.as_bytes()), ("/metrics", &metrics.body)]
        {
            assert!(!holds(bytes, needle), "{what} is in {place}");
        }
    }
    assert!(!holds(log.as_bytes(), PAGE.as_bytes()), "a page's address is in the log");
    println!(
        "{in_spool} files before shipping, {in_parts} after, and every column looked through for {} values",
        needles.len()
    );
}
