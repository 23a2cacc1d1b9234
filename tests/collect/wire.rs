//! Connections: keep-alive, time-outs, smuggling, drain, a full spool, CORS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use metka::accept::Limits;
use serde_json::json;

use crate::collector::Collector;
use crate::http::{Connection, event, exchange, get, request};
use crate::unlimited;

const HIT: &str = "/pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F";

/// Limits so short that a test can wait for them.
fn short() -> Limits {
    Limits {
        head_read: Duration::from_millis(200),
        body_read: Duration::from_millis(200),
        stall: Duration::from_millis(600),
        ..Limits::default()
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let mut connection = Connection::open(collector.address);
    for _ in 0..20 {
        connection.send(&get(HIT, &[]));
        assert_eq!(connection.reply(false).header("x-metka"), Some("ok"));
    }
    // Sent at once, answered in order.
    connection.send(&[get(HIT, &[]), get("/health", &[]), get(HIT, &[])].concat());
    assert_eq!(connection.reply(false).header("x-metka"), Some("ok"));
    assert_eq!(connection.reply(false).json()["status"], json!("ok"));
    assert_eq!(connection.reply(false).header("x-metka"), Some("ok"));
    assert_eq!(collector.finish().len(), 22);
}

#[test]
fn whoever_sends_too_slowly_is_closed_and_holds_up_nobody() {
    let collector = Collector::start(&unlimited(), short());
    let mut slow_head = Connection::open(collector.address);
    slow_head.send(b"GET /pixel.gif HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let mut silent = Connection::open(collector.address);
    let mut slow_body = Connection::open(collector.address);
    slow_body.send(b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    assert_eq!(exchange(collector.address, &get(HIT, &[])).header("x-metka"), Some("ok"));
    assert_eq!(slow_body.reply(false).status, 408);
    for connection in [&mut slow_head, &mut silent, &mut slow_body] {
        let reply = connection.reply(false);
        assert!(matches!(reply.status, 0 | 408), "{reply:?}");
        assert!(connection.is_closed());
    }
    assert_eq!(collector.finish().len(), 1);
}

#[test]
fn whoever_does_not_read_answers_is_closed() {
    let collector = Collector::start(&unlimited(), short());
    let mut deaf = Connection::open(collector.address);
    // Far more answers than both sockets' buffers hold, none of them read.
    let requests = get("/privacy", &[]).repeat(500);
    let mut blocked = false;
    for _ in 0..200 {
        blocked |= !deaf.send(&requests);
    }
    assert!(blocked, "the server took 100,000 requests whose answers nobody read");
    assert_eq!(exchange(collector.address, &get(HIT, &[])).header("x-metka"), Some("ok"));
    wait_until(|| collector.shared.counts().connections == 0);
}

#[test]
fn whoever_ends_their_side_after_the_request_is_answered() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let mut stream = TcpStream::connect(collector.address).expect("the collector accepts connections");
    stream.write_all(&get(HIT, &[])).expect("it is sent");
    stream.shutdown(Shutdown::Write).expect("it is ended");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the whole answer");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-metka: ok"), "{answer}");
    assert_eq!(collector.finish().len(), 1);
}

#[test]
fn a_request_with_two_lengths_ends_its_connection() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let smuggled =
        "GET /pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2Fsmuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for lengths in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked", 5 + smuggled.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}", 5 + smuggled.len()),
        "Transfer-Encoding: chunked\r\nContent-Length: 0".to_owned(),
        "Content-Length: 5\r\nTransfer-Encoding: chunked, chunked".to_owned(),
        "Transfer-Encoding: xchunked\r\nContent-Length: 5".to_owned(),
    ] {
        let mut connection = Connection::open(collector.address);
        connection.send(
            format!("POST /event HTTP/1.1\r\nHost: x\r\n{lengths}\r\n\r\n0\r\n\r\n{smuggled}").as_bytes(),
        );
        let reply = connection.reply(false);
        assert_eq!(reply.status, 400, "{lengths}");
        assert!(connection.is_closed(), "{lengths}: the connection goes on");
    }
    assert!(collector.finish().is_empty(), "a smuggled hit was stored");
}

#[test]
fn a_drain_finishes_open_requests_and_takes_no_new_connections() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let mut open = Connection::open(collector.address);
    let hit = event(r#"{"s":"clinic","u":"https://clinic.example/last"}"#, &[]);
    let (head, tail) = hit.split_at(hit.len() - 5);
    open.send(head);
    let mut idle = Connection::open(collector.address);
    idle.send(&get("/health", &[]));
    assert_eq!(idle.reply(false).status, 200);
    wait_until(|| collector.shared.counts().connections == 2);
    collector.stop();
    assert!(idle.is_closed(), "an idle connection outlived the drain");
    open.send(tail);
    assert_eq!(open.reply(false).json()["accepted"], 1);
    assert!(open.is_closed());
    let address = collector.address;
    let rows = collector.finish();
    assert_eq!(rows.len(), 1);
    assert!(std::net::TcpStream::connect(address).is_err(), "the listener outlived the drain");
}

#[test]
fn a_full_spool_refuses_hits_and_says_so() {
    let collector = Collector::start_with(&unlimited(), Limits::default(), 1);
    let pixel = exchange(collector.address, &get(HIT, &[]));
    assert_eq!((pixel.status, pixel.header("x-metka"), pixel.body.len()), (200, Some("full"), 43));
    assert!(pixel.all("set-cookie").is_empty(), "a cookie was set for a hit that was not kept");
    let hit = event(r#"{"s":"clinic","u":"https://clinic.example/","i":"0123456789abcdef"}"#, &[]);
    for _ in 0..2 {
        // The second is no duplicate: the first was not kept.
        let reply = exchange(collector.address, &hit);
        assert_eq!(reply.status, 503);
        assert_eq!(reply.json(), json!({"accepted": 0, "refused": [{"index": 0, "reason": "full"}]}));
        assert!(reply.header("retry-after").is_some());
    }
    let health = exchange(collector.address, &get("/health", &[]));
    assert_eq!((health.status, health.json()["reason"].as_str()), (503, Some("full")));
    assert_eq!(collector.counts("clinic").refused.get("full"), Some(&3));
    assert!(collector.finish().is_empty());
}

#[test]
fn pages_of_the_site_may_read_answers_and_others_may_not() {
    let collector = Collector::start(&unlimited(), Limits::default());
    let body = r#"{"s":"clinic","u":"https://clinic.example/"}"#;
    for (origin, allowed) in [
        ("https://clinic.example", true),
        ("https://www.clinic.example:8443", true),
        ("https://strict.example", false),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let reply = exchange(collector.address, &event(body, &[("Origin", origin)]));
        assert_eq!(reply.status, 202);
        assert_eq!(reply.header("access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(reply.header("access-control-allow-credentials"), allowed.then_some("true"));
        assert_eq!(reply.header("vary"), Some("Origin"));
    }
    let ask = |origin| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        exchange(collector.address, &request("OPTIONS", "/event", &headers, b""))
    };
    let own = ask("https://strict.example");
    assert_eq!(
        (own.status, own.header("access-control-allow-origin")),
        (204, Some("https://strict.example"))
    );
    assert_eq!(own.header("access-control-allow-headers"), Some("content-type"));
    assert_eq!(ask("https://evil.example").header("access-control-allow-origin"), None);
}

#[test]
fn a_limited_address_is_told_when_to_come_back() {
    let config = unlimited().replace("rate_limit_per_minute = 0", "rate_limit_per_minute = 3");
    let collector = Collector::start(&config, Limits::default());
    let hit = |address: &str| get(HIT, &[("X-Forwarded-For", address)]);
    for address in ["192.0.2.1", "192.0.2.2"] {
        let outcomes: Vec<Option<String>> = (0..4)
            .map(|_| exchange(collector.address, &hit(address)).header("x-metka").map(str::to_owned))
            .collect();
        assert_eq!(
            outcomes.iter().flatten().map(String::as_str).collect::<Vec<_>>(),
            ["ok", "ok", "ok", "rate-limited"]
        );
    }
    let forwarded = [("X-Forwarded-For", "192.0.2.1")];
    let reply =
        exchange(collector.address, &event(r#"{"s":"clinic","u":"https://clinic.example/"}"#, &forwarded));
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("60")));
    // Addresses of one /64 share a limit; the client cannot choose another by lying to the left.
    let outcomes: Vec<bool> =
        ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::3", "2001:db8::4", "2001:db8:0:1::1"]
            .iter()
            .map(|address| {
                exchange(collector.address, &hit(&format!("198.51.100.9, {address}"))).header("x-metka")
                    == Some("ok")
            })
            .collect();
    assert_eq!(outcomes, [true, true, true, false, true]);
    assert_eq!(collector.finish().len(), 6 + 4);
}

#[test]
fn a_second_connection_beyond_the_limit_is_closed_and_counted() {
    let limits = Limits { connections_per_thread: 1, ..Limits::default() };
    let collector = Collector::start(&unlimited(), limits);
    let mut first = Connection::open(collector.address);
    first.send(&get(HIT, &[]));
    assert_eq!(first.reply(false).status, 200);
    let mut second = Connection::open(collector.address);
    assert!(second.is_closed());
    assert_eq!(collector.shared.counts().connections_refused, 1);
    first.send(&get(HIT, &[]));
    assert_eq!(first.reply(false).status, 200);
}

#[test]
fn every_answered_hit_is_stored_once_whoever_hangs_up_and_whichever_thread_takes_it() {
    const CLIENTS: usize = 8;
    const HITS: usize = 60;
    let collector = Collector::start(&unlimited().replace("threads = 1", "threads = 2"), Limits::default());
    let address = collector.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            std::thread::spawn(move || {
                let mut answered = Vec::new();
                let mut connection = Connection::open(address);
                for number in 0..HITS {
                    let path = format!("/{client}-{number}");
                    let body = format!(r#"{{"s":"clinic","u":"https://clinic.example{path}"}}"#);
                    connection.send(&event(&body, &[]));
                    if number % 10 == 9 {
                        // Hangs up without reading the answer: kept or not, but never twice.
                        connection = Connection::open(address);
                    } else {
                        assert_eq!(connection.reply(false).json()["accepted"], 1);
                        answered.push(path);
                    }
                }
                answered
            })
        })
        .collect();
    let answered: Vec<String> =
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
    let shared = collector.shared.clone();
    let mut stored: Vec<String> =
        collector.finish().iter().map(|row| row["path"].as_str().expect("a path").to_owned()).collect();
    stored.sort();
    let counts = shared.counters.counts().remove("clinic").expect("counted");
    assert_eq!((counts.in_flight, counts.stored), (0, stored.len() as u64));
    assert_eq!(counts.received, counts.stored + counts.refused.values().sum::<u64>());
    let before = stored.len();
    stored.dedup();
    assert_eq!(stored.len(), before, "a hit was stored twice");
    assert_eq!(answered.len(), CLIENTS * HITS * 9 / 10);
    for path in answered {
        assert!(stored.binary_search(&path).is_ok(), "{path} was answered and is not stored");
    }
    let steps = shared.counts().steps;
    assert!(steps.iter().all(|step| step.entered >= before as u64 && step.timed > 0), "{steps:?}");
}

#[test]
fn a_proxy_says_who_connected_and_nobody_else_may() {
    let config = unlimited().replace("[collect]", "[collect]\nclient_address = \"proxy-protocol\"");
    let collector = Collector::start(&config, Limits::default());
    for header in ["PROXY TCP4 192.0.2.1 198.51.100.1 5 80\r\n", "PROXY TCP4 192.0.2.2 198.51.100.1 5 80\r\n"]
    {
        let mut connection = Connection::open(collector.address);
        connection.send(header.as_bytes());
        connection.send(&[get(HIT, &[("X-Forwarded-For", "203.0.113.1")]), get(HIT, &[])].concat());
        assert_eq!(connection.reply(false).header("x-metka"), Some("ok"));
        assert_eq!(connection.reply(false).header("x-metka"), Some("ok"));
    }
    // A trusted proxy that sends no header would count all visitors as one.
    let mut bare = Connection::open(collector.address);
    bare.send(&get(HIT, &[]));
    assert!(bare.is_closed());
    let untrusting = config.replace("[collect]", "[collect]\ntrusted_proxies = [\"198.51.100.1\"]");
    let other = Collector::start(&untrusting, Limits::default());
    let mut connection = Connection::open(other.address);
    connection.send(b"PROXY TCP4 192.0.2.1 198.51.100.1 5 80\r\n");
    connection.send(&get(HIT, &[]));
    assert_eq!(connection.reply(false).status, 400);
    assert!(other.finish().is_empty());
    let rows = collector.finish();
    let visitors: Vec<&serde_json::Value> = rows.iter().map(|row| &row["visitor"]).collect();
    assert_eq!(rows.len(), 4);
    assert!(visitors[0] == visitors[1] && visitors[2] == visitors[3] && visitors[0] != visitors[2]);
}

#[test]
fn a_person_is_told_what_the_collector_sees_of_them() {
    let config = unlimited().replace("[collect]", "[collect]\nclient_address = \"x-forwarded-for\"");
    let collector = Collector::start(&config, Limits::default());
    let cookie = exchange(collector.address, &get(HIT, &[])).cookie("metka").expect("a cookie");
    let ask = |peer: &str, lines: &[(&'static str, &str)]| {
        let mut headers = hyper::HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, hyper::header::HeaderValue::from_str(value).expect("a header"));
        }
        let peer = peer.parse().expect("an address");
        let explained =
            metka::accept::explain::explain(&collector.shared, &headers, peer, jiff::Timestamp::now());
        serde_json::to_value(explained).expect("JSON")
    };
    let behind = ask("127.0.0.1", &[("x-forwarded-for", "198.51.100.4, 192.0.2.7"), ("cookie", &cookie)]);
    assert_eq!((&behind["address"], &behind["after_proxy"]), (&json!("192.0.2.7"), &json!("127.0.0.1")));
    assert_eq!((&behind["cookie"], &behind["warnings"]), (&json!("valid"), &json!([])));
    let site = |answer: &serde_json::Value, id: &str| {
        answer["sites"]
            .as_array()
            .expect("sites")
            .iter()
            .find(|site| site["site"] == id)
            .expect("the site")
            .clone()
    };
    assert_eq!(site(&behind, "clinic")["identity"], "cookie");
    assert_eq!(site(&behind, "cookieless")["identity"], "cookieless");
    let bare = ask("127.0.0.1", &[("forwarded", "for=192.0.2.7"), ("sec-gpc", "1")]);
    assert_eq!((&bare["address"], bare["warnings"].as_array().map(Vec::len)), (&json!("127.0.0.1"), Some(2)));
    assert_eq!(site(&bare, "dropper")["refused"], "signal-dropped");
    let untrusted = ask(
        "203.0.113.5",
        &[("x-forwarded-for", "192.0.2.7"), ("cookie", "metka=v1.forged; metka_optout=1")],
    );
    assert_eq!((&untrusted["address"], &untrusted["cookie"]), (&json!("203.0.113.5"), &json!("refused")));
    assert_eq!(site(&untrusted, "clinic")["refused"], "opted-out");
    assert_eq!(untrusted["warnings"].as_array().map(Vec::len), Some(1));
    // Asking leaves no trace.
    assert_eq!(collector.finish().len(), 1);
}

/// Waits for a condition.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let give_up = std::time::Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(std::time::Instant::now() < give_up, "the condition did not come to hold within 30 s");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
