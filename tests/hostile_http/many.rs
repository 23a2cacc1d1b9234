//! A different value each time, in every field that a hit has: memory has a bound
//! that does not depend on how many there were, and nothing that is counted or
//! shown gets a name from them.
//!
//! `METKA_VALUES` is another number of values for each field than the usual. Storage
//! is away, so the spool keeps them all: some 10 GB at the full size.

use std::net::SocketAddr;

use crate::http::{Connection, event, get};
use crate::server::Server;
use crate::{PAGE, megabytes, resident, resident_at_rest, serve, sized};

/// Connections that send at once.
const CLIENTS: u64 = 8;
/// Hits of one body, as many as the collector takes.
const HITS_OF_A_BODY: u64 = 100;
/// Requests that are sent before their answers are read.
const BURST: u64 = 20;
/// What may be more after the second half of the values than after the first: what the
/// allocator keeps, and what the spool knows of its batches.
const SLACK_BYTES: i64 = 16 << 20;
/// A remembered hit id, with its place in the order of age (`spool/seen.rs`: four million in 200 MB).
const HIT_ID_BYTES: i64 = 64;
/// A remembered address (`identify/limit.rs`: 200,000 of some 100 bytes, twice, and the table's reserve).
const ADDRESSES_BYTES: i64 = 64 << 20;

/// A field, and a hit with its value number so and so.
struct Field {
    name: &'static str,
    hit: Hit,
    /// What may be remembered of `values` of them, in bytes.
    remembered: fn(values: u64) -> i64,
    /// Hits with such values are refused, not kept.
    refused: bool,
}

enum Hit {
    /// An object of an event's body.
    Object(fn(&str) -> String),
    /// A header of a pixel's request.
    Header(fn(&str) -> (String, String)),
}

use Hit::{Header, Object};

fn fields() -> Vec<Field> {
    fn object(rest: String) -> String {
        format!(r#"{{"s":"clinic","u":"https://clinic.example/",{rest}}}"#)
    }
    let field = |name, hit| Field { name, hit, remembered: |_| 0, refused: false };
    let ids = |values: u64| HIT_ID_BYTES * i64::try_from(values).expect("a number of values");
    vec![
        Field {
            refused: true,
            ..field("sites", Object(|v| format!(r#"{{"s":"{v}","u":"https://clinic.example/"}}"#)))
        },
        field("own hosts", Object(|v| format!(r#"{{"s":"clinic","u":"https://h{v}.clinic.example/"}}"#))),
        Field {
            refused: true,
            ..field("foreign hosts", Object(|v| format!(r#"{{"s":"clinic","u":"https://h{v}.example/"}}"#)))
        },
        field("paths", Object(|v| format!(r#"{{"s":"clinic","u":"https://clinic.example/{v}"}}"#))),
        field(
            "query keys",
            Object(|v| format!(r#"{{"s":"clinic","u":"https://clinic.example/?{v}=1&utm_{v}=2"}}"#)),
        ),
        field(
            "campaigns",
            Object(|v| {
                format!(r#"{{"s":"clinic","u":"https://clinic.example/?utm_source={v}&utm_campaign={v}"}}"#)
            }),
        ),
        field("referrers", Object(|v| object(format!(r#""r":"https://r{v}.example/{v}""#)))),
        field("titles", Object(|v| object(format!(r#""t":"{v}""#)))),
        field("event names", Object(|v| object(format!(r#""k":"event","n":"{v}""#)))),
        field("property names", Object(|v| object(format!(r#""k":"event","n":"e","p":{{"{v}":"{v}"}}"#)))),
        field("ad blocks", Object(|v| object(format!(r#""k":"ad_view","ad":"{v}""#)))),
        field("user keys", Object(|v| object(format!(r#""uk":"{v}.00""#)))),
        Field { remembered: ids, ..field("hit ids", Object(|v| object(format!(r#""i":"{v}""#)))) },
        field("keys of the JSON", Object(|v| object(format!(r#""{v}":1"#)))),
        field(
            "user agents",
            Header(|v| ("User-Agent".into(), format!("Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0 {v}"))),
        ),
        field("languages", Header(|v| ("Accept-Language".into(), format!("{v},ru;q=0.5")))),
        field(
            "cookies",
            Header(|v| {
                (
                    "Cookie".into(),
                    format!("metka=v1.1.20260101.{v}{v}.{v}{v}; c{v}=1; metka_consent_{v}=granted"),
                )
            }),
        ),
        field("header names", Header(|v| (format!("X-{v}"), "1".into()))),
        Field {
            remembered: |_| ADDRESSES_BYTES,
            ..field(
                "addresses",
                Header(|v| ("X-Forwarded-For".into(), format!("2001:db8:{}:{}::1", &v[..4], &v[4..8]))),
            )
        },
    ]
}

/// Different for every number, and like no other: 16 hex digits.
fn value(number: u64) -> String {
    format!("{:016x}", number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Sends the hits from `from` to `to` of one field on one connection.
fn send(address: SocketAddr, hit: &Hit, from: u64, to: u64) {
    let requests: Box<dyn Iterator<Item = Vec<u8>>> = match hit {
        Object(object) => Box::new((from..to).step_by(HITS_OF_A_BODY as usize).map(move |first| {
            let objects = first..(first + HITS_OF_A_BODY).min(to);
            let objects: Vec<String> = objects.map(|number| object(&value(number))).collect();
            event(&format!("[{}]", objects.join(",")), &[])
        })),
        Header(header) => Box::new((from..to).map(move |number| {
            let (name, value) = header(&value(number));
            get(PAGE, &[(&name, &value)])
        })),
    };
    let mut requests = requests.peekable();
    let mut connection = Connection::open(address);
    while requests.peek().is_some() {
        let burst: Vec<Vec<u8>> = requests.by_ref().take(BURST as usize).collect();
        assert!(connection.send(&burst.concat()), "the connection was closed");
        for _ in &burst {
            let status = connection.reply(false).status;
            assert!(matches!(status, 200 | 202 | 400), "{status}");
        }
    }
}

/// The same on several connections at once.
fn send_all(server: &Server, hit: &Hit, from: u64, to: u64) {
    std::thread::scope(|scope| {
        let each = (to - from).div_ceil(CLIENTS);
        for client in 0..CLIENTS {
            let (first, last) = (from + client * each, (from + (client + 1) * each).min(to));
            scope.spawn(move || send(server.collect, hit, first.min(last), last));
        }
    });
}

/// The lines of `/metrics` without their numbers.
fn series(server: &Server) -> Vec<String> {
    let mut connection = Connection::open(server.web);
    connection.send(
        format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.web).as_bytes(),
    );
    let reply = connection.reply(false);
    assert_eq!(reply.status, 200);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn no_field_makes_memory_or_names_grow_with_its_values() {
    let usual = sized(if cfg!(debug_assertions) { 10_000 } else { 100_000 }, 2_000_000);
    let asked = std::env::var("METKA_VALUES").ok().map(|text| text.parse().expect("METKA_VALUES: a number"));
    let values: u64 = asked.unwrap_or(usual);
    let (server, _dir) = serve("durability = \"write\"");
    let fields = fields();
    // Once each, so that what is made at the first use is there.
    for field in &fields {
        send_all(&server, &field.hit, values, values + CLIENTS);
    }
    let at_first = resident_at_rest(&server);
    let mut sent = fields.len() as u64 * CLIENTS;
    let mut grown = Vec::new();
    for field in &fields {
        send_all(&server, &field.hit, 0, values / 2);
        let half = resident(&server);
        send_all(&server, &field.hit, values / 2, values);
        let whole = resident(&server);
        println!(
            "{values} {}: {} after the first half, {} after all",
            field.name,
            megabytes(half),
            megabytes(whole)
        );
        let more = whole - half - (field.remembered)(values);
        if more > SLACK_BYTES {
            grown.push(format!("{}: {} more", field.name, megabytes(more)));
        }
        sent += values;
    }
    let at_last = resident_at_rest(&server);
    let status = server.command(&["status"])["sites"].clone();
    let sites = status.as_object().expect("sites");
    let names: Vec<&str> = sites.keys().map(String::as_str).collect();
    let received: u64 = sites.values().filter_map(|counts| counts["received"].as_u64()).sum();
    let waiting = sites["clinic"]["waiting"].as_u64().expect("a number");
    println!(
        "{} fields of {values} values: {} before, {} after; {received} hits received, {waiting} kept, counted under {names:?}",
        fields.len(),
        megabytes(at_first),
        megabytes(at_last)
    );
    assert!(grown.is_empty(), "{grown:#?}");
    assert_eq!(received, sent, "every value has reached the collector");
    // All but the fields whose values are refused, and repeated hits from the same visitor.
    let kept = fields.iter().filter(|field| !field.refused).count() as u64;
    assert_eq!(waiting, kept * (values + CLIENTS));
    assert_eq!(names, ["-", "clinic"], "a site of a request has become a counter");
    let known: Vec<String> = series(&server).into_iter().filter(|line| line.contains(&value(0))).collect();
    assert!(known.is_empty(), "a value of a request is a label: {known:?}");
    let lines = series(&server).len();
    assert!(lines < 500, "{lines} series");
    println!("{lines} lines of metrics");
}
