//! Refused hits: in their table as they were sent, without a clear address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use metka::privacy::keys::KeyRing;
use serde_json::{Value, json};

use crate::configured;
use crate::http::{Reply, event, exchange, get};
use crate::server::{Server, wait_for};

const ADDRESSES: [&str; 3] = ["192.0.2.77", "198.51.100.201", "2001:db8:77::abcd"];

const STRICT: &str = "[[site]]\nid = \"strict\"\nhosts = [\"strict.example\"]\nsignals = \"drop\"\n";
/// Whoever opted out, or sends a signal for which a site drops hits, is counted and not told apart,
/// whatever else is wrong.
const OPTED_OUT: (&str, &str) = ("Cookie", "metka_optout=1");
const SIGNAL: (&str, &str) = ("Sec-GPC", "1");

/// Site, reason, the address that is to be stored, or none: how often.
type Sent = BTreeMap<(&'static str, &'static str, &'static str), u64>;
/// Sends one hit under these headers.
type Send<'a> = &'a dyn Fn(&[(&str, &str)]) -> Reply;

/// The table as it is now; addresses as hex.
fn table(server: &Server) -> Vec<Vec<Value>> {
    server.rows(
        "SELECT toString(site), toString(reason), hex(ip), ip_key, count, ip_days, toUnixTimestamp(hour) \
         FROM metka.refusals",
    )
}

fn total(rows: &[Vec<Value>]) -> u64 {
    rows.iter().map(|row| row[4].as_u64().expect("a number")).sum()
}

fn sent(server: &Server) -> Sent {
    let mut sent = Sent::new();
    let mut hit = |times: u64, site, reason, address: &'static str, send: Send| {
        let from = if address.is_empty() { ADDRESSES[0] } else { address };
        for _ in 0..times {
            let reply = send(&[("X-Forwarded-For", from)]);
            let told = reply.header("x-metka").map(str::to_owned);
            let told = told.or_else(|| Some(reply.json()["refused"][0]["reason"].as_str()?.to_owned()));
            assert_eq!(told.as_deref(), Some(reason), "{site} {}", reply.status);
        }
        *sent.entry((site, reason, address)).or_default() += times;
    };
    let pixel = |query: &'static str| {
        move |headers: &[(&str, &str)]| {
            exchange(server.collect, &get(&format!("/pixel.gif?{query}"), headers))
        }
    };
    let foreign = pixel("s=clinic&u=https%3A%2F%2Felsewhere.example%2F");
    hit(3, "clinic", "foreign-host", ADDRESSES[0], &foreign);
    hit(2, "clinic", "foreign-host", ADDRESSES[1], &foreign);
    hit(1, "clinic", "foreign-host", ADDRESSES[2], &foreign);
    hit(4, "clinic", "bad-request", ADDRESSES[2], &pixel("s=clinic&u=nonsense"));
    hit(2, "", "unknown-site", ADDRESSES[0], &pixel("s=other&u=https%3A%2F%2Fclinic.example%2F"));
    hit(1, "", "bad-request", ADDRESSES[1], &pixel("s=%zz"));
    hit(2, "", "bad-request", ADDRESSES[1], &|headers| exchange(server.collect, &event("{", headers)));
    let by = |private: (&'static str, &'static str), query: &'static str| {
        move |headers: &[(&str, &str)]| {
            let all = [headers, &[private][..]].concat();
            exchange(server.collect, &get(&format!("/pixel.gif?{query}"), &all))
        }
    };
    hit(5, "clinic", "opted-out", "", &by(OPTED_OUT, "s=clinic&u=https%3A%2F%2Fclinic.example%2F"));
    hit(1, "clinic", "opted-out", "", &by(OPTED_OUT, "s=clinic&u=https%3A%2F%2Felsewhere.example%2F"));
    hit(1, "clinic", "opted-out", "", &by(OPTED_OUT, "s=clinic&u=nonsense"));
    hit(2, "", "unknown-site", "", &by(OPTED_OUT, "s=other&u=https%3A%2F%2Fclinic.example%2F"));
    hit(1, "", "bad-request", "", &by(OPTED_OUT, "s=%zz"));
    hit(3, "strict", "signal-dropped", "", &by(SIGNAL, "s=strict&u=https%3A%2F%2Felsewhere.example%2F"));
    // The other site does not drop hits for a signal.
    hit(
        1,
        "clinic",
        "foreign-host",
        ADDRESSES[0],
        &by(SIGNAL, "s=clinic&u=https%3A%2F%2Felsewhere.example%2F"),
    );
    // Of a hit of no site nobody knows.
    hit(1, "", "bad-request", "", &by(SIGNAL, "s=%zz"));
    hit(2, "", "bad-request", "", &|headers| {
        exchange(server.collect, &event("{", &[headers, &[SIGNAL][..]].concat()))
    });
    sent
}

#[test]
fn the_table_equals_what_was_refused_and_holds_no_clear_address() {
    let dir = configured("", STRICT);
    let server = Server::start(dir.path(), &[]);
    let sent = sent(&server);
    let all: u64 = sent.values().sum();
    let rows =
        wait_for("the refusals to be written", || Some(table(&server)).filter(|rows| total(rows) >= all));
    assert_eq!(total(&rows), all);

    let keys =
        KeyRing::open(&metka::config::Keys::in_dir(&server.data().join("keys"))).expect("the key ring");
    let mut found: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for row in &rows {
        let [site, reason, ip] = [0, 1, 2].map(|at| row[at].as_str().expect("a text"));
        let [key, count, days, hour] = [3, 4, 5, 6].map(|at| row[at].as_u64().expect("a number"));
        assert_eq!((days, hour % 3600), (90, 0));
        let bytes: Vec<u8> =
            (0..16).map(|at| u8::from_str_radix(&ip[2 * at..2 * at + 2], 16).expect("hex digits")).collect();
        let bytes: [u8; 16] = bytes.try_into().expect("sixteen");
        let address = match key {
            0 => String::new(),
            key => keys
                .reveal(bytes, u32::try_from(key).expect("an id"))
                .expect("the key is there")
                .lookup(|address| address.to_string()),
        };
        if !address.is_empty() {
            let clear = match address.parse::<IpAddr>().expect("an address") {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            assert_ne!(Ipv6Addr::from(bytes), clear, "stored in the clear");
        }
        *found.entry((site.to_owned(), reason.to_owned(), address)).or_default() += count;
    }
    let expected: BTreeMap<(String, String, String), u64> = sent
        .iter()
        .map(|((site, reason, address), count)| {
            (((*site).to_owned(), (*reason).to_owned(), (*address).to_owned()), *count)
        })
        .collect();
    assert_eq!(found, expected);
    println!("{all} refusals of {} addresses in {} rows", ADDRESSES.len(), rows.len());

    // The counters, which are exact, say the same.
    let status = server.command(&["status"]);
    for (site, label) in [("clinic", "clinic"), ("strict", "strict"), ("", "-")] {
        let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, reason, _), count) in sent.iter().filter(|((id, ..), _)| *id == site) {
            *by_reason.entry(reason).or_default() += count;
        }
        assert_eq!(status["sites"][label]["refused"], json!(by_reason));
        assert_eq!(shown(&server, site), by_reason.into_iter().map(|(r, n)| (r.to_owned(), n)).collect());
    }
    // In no column, nor in the log.
    let everything = table(&server);
    let log = server.log.lock().expect("free").clone();
    for address in ADDRESSES {
        assert!(!json!(everything).to_string().contains(address) && !log.contains(address), "{address}");
    }
    assert_eq!(server.rows("SELECT count() FROM metka.hits"), [[json!(0)]]);
}

/// What the API shows, by reason.
fn shown(server: &Server, site: &str) -> BTreeMap<String, u64> {
    let name = format!("test-{}", if site.is_empty() { "none" } else { site });
    let token = server.command(&["token", "create", "--name", &name, "--role", "officer"]);
    let token = token["token"].as_str().expect("a token").to_owned();
    let bytes = format!(
        "GET /api/v1/refusals?site_id={site} HTTP/1.1\r\nHost: metka\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let reply = exchange(server.web, bytes.as_bytes());
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let mut sums = BTreeMap::new();
    for row in reply.json()["results"].as_array().expect("a list") {
        let keys: Vec<&str> = row.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["count", "hour", "reason"]);
        *sums.entry(row["reason"].as_str().expect("a reason").to_owned()).or_default() +=
            row["count"].as_u64().expect("a number");
    }
    sums
}

#[test]
fn what_was_not_written_yet_is_written_at_the_stop() {
    let dir = configured("", STRICT);
    let server = Server::start(dir.path(), &[]);
    // The table is there as it is written to, and the interval has only begun.
    wait_for("the table", || {
        server.rows("SELECT count() FROM system.columns WHERE table = 'refusals' AND name = 'country'")[0][0]
            .as_u64()
            .filter(|n| *n == 1)
    });
    let all: u64 = sent(&server).values().sum();
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    let server = Server::start(dir.path(), &[]);
    assert_eq!(total(&table(&server)), all);
}

#[test]
fn a_site_has_a_limit_of_its_own_when_it_is_asked_for() {
    const LIMIT: usize = 5;
    let dir = configured(&format!("rate_limit_site_per_minute = {LIMIT}"), "");
    let server = Server::start(dir.path(), &[]);
    let outcomes: Vec<String> = (0..4 * LIMIT)
        .map(|number| {
            let reply = crate::view(&server, &format!("192.0.2.{number}"), "", &[]);
            reply.header("x-metka").expect("an outcome").to_owned()
        })
        .collect();
    let refused = outcomes.iter().filter(|outcome| *outcome == "rate-limited").count();
    println!("{} of {} hits refused", refused, outcomes.len());
    assert!(outcomes[..LIMIT].iter().all(|outcome| outcome == "ok"), "{outcomes:?}");
    // Another one is let in every twelve seconds.
    assert!(refused >= LIMIT, "{outcomes:?}");
    assert_eq!(server.settled("clinic")["refused"]["rate-limited"], refused);
}
