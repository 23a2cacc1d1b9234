//! HTTP/1.1 as nobody writes it: what could be two requests, heads and bodies
//! that grow without end, packed bodies, and more requests than anybody reads.

use std::io::Write;

use crate::http::{Connection, Reply, event, exchange, get, request};
use crate::{PAGE, megabytes, resident_at_rest, serve, sized};

const SMUGGLED: &str =
    "GET /pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2Fsmuggled HTTP/1.1\r\nHost: x\r\n\r\n";
const HIT: &str = r#"{"s":"clinic","u":"https://clinic.example/"}"#;

/// How a connection must go on after what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It is closed after the answer.
    Closed,
    /// It takes another request.
    Open,
}

use After::{Closed, Open};

fn chunked(body: &str) -> Vec<u8> {
    format!("POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
        .into_bytes()
}

fn raw(text: impl Into<String>) -> Vec<u8> {
    text.into().into_bytes()
}

/// What is sent, the status of its answer, and what then.
fn cases() -> Vec<(&'static str, Vec<u8>, u16, After)> {
    let size = format!("{:x}", HIT.len());
    let one = format!("{size}\r\n{HIT}\r\n0\r\n\r\n");
    let lengths =
        |lines: &str| raw(format!("POST /event HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n0\r\n\r\n{SMUGGLED}"));
    let headers =
        |count: usize| raw(format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: 1\r\n".repeat(count)));
    vec![
        ("a length and chunks", lengths("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, Closed),
        ("chunks and a length", lengths("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400, Closed),
        ("chunks twice", lengths("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400, Closed),
        (
            "chunks, differently",
            lengths("Transfer-Encoding: chunked, identity\r\nContent-Length: 5"),
            400,
            Closed,
        ),
        (
            "a vertical tab before chunked",
            lengths("Transfer-Encoding: \x0bchunked\r\nContent-Length: 5"),
            400,
            Closed,
        ),
        (
            "a folded transfer encoding",
            lengths("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5"),
            400,
            Closed,
        ),
        ("a folded header", raw("GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n\tb\r\n\r\n"), 400, Closed),
        ("a CR alone in a header", raw("GET /health HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n"), 400, Closed),
        ("LF alone for every line end", raw("GET /health HTTP/1.1\nHost: x\n\n"), 200, Open),
        ("LF alone after a chunk's size", chunked(&one.replacen("\r\n", "\n", 1)), 400, Closed),
        ("LF alone after a chunk", chunked(&format!("{size}\r\n{HIT}\n0\r\n\r\n")), 400, Closed),
        (
            "LF alone in a chunk's extension",
            chunked(&format!("{size};a=\nb\r\n{HIT}\r\n0\r\n\r\n")),
            400,
            Closed,
        ),
        (
            "a chunk with an extension",
            chunked(&format!("{size};name=value\r\n{HIT}\r\n0\r\n\r\n")),
            202,
            Open,
        ),
        ("an extension without end", chunked(&format!("{size};{}", "x".repeat(100_000))), 400, Closed),
        (
            "a small extension on each of many chunks",
            chunked(&format!("1;{}\r\n \r\n", "x".repeat(100)).repeat(10_000)),
            400,
            Closed,
        ),
        ("trailers without end", chunked(&format!("0\r\n{}", "X: 1\r\n".repeat(20_000))), 400, Closed),
        ("100 headers", headers(99), 200, Open),
        ("101 headers", headers(100), 431, Closed),
        ("10,000 headers", headers(10_000), 431, Closed),
        (
            "a head of a megabyte",
            raw(format!("GET /health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))),
            431,
            Closed,
        ),
        (
            "a target in absolute form",
            raw("GET http://other.example/health HTTP/1.1\r\nHost: x\r\n\r\n"),
            200,
            Open,
        ),
        (
            "a target in authority form",
            raw("CONNECT other.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
            404,
            Closed,
        ),
        ("a target in asterisk form", raw("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), 404, Closed),
        (
            "an unknown expectation",
            raw(format!(
                "POST /event HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: {}\r\n\r\n{HIT}",
                HIT.len()
            )),
            202,
            Open,
        ),
        ("HTTP/2 by prior knowledge, in the clear", raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, Closed),
        (
            "an upgrade to HTTP/2",
            raw(
                "GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
            ),
            200,
            Open,
        ),
    ]
}

#[test]
fn nothing_is_ever_two_requests_and_nothing_grows_without_end() {
    let (server, _dir) = serve("threads = 1");
    let cases = cases();
    let mut hits = 0;
    for (name, bytes, status, after) in &cases {
        let mut connection = Connection::open(server.collect);
        connection.send(bytes);
        let reply = connection.reply(false);
        // Closed with a reset before the answer could be read: refused all the same.
        assert!(reply.status == *status || (reply.status == 0 && *after == Closed), "{name}: {reply:?}");
        hits += u64::from(*status == 202);
        match after {
            Closed => assert!(connection.is_closed(), "{name}: the connection goes on"),
            Open => {
                connection.send(&get("/health", &[]));
                assert_eq!(connection.reply(false).status, 200, "{name}");
            }
        }
        assert_eq!(exchange(server.collect, &get("/health", &[])).status, 200, "after {name}");
    }
    let counts = server.command(&["status"])["sites"]["clinic"].clone();
    assert_eq!(counts["received"], hits, "a smuggled hit was taken: {counts}");
    println!("{} odd requests, {hits} hits taken from them", cases.len());
}

#[test]
fn who_asks_before_sending_is_told_to_go_on_or_is_refused_first() {
    let (server, _dir) = serve("threads = 1");
    let ask = |target: &str, length: usize| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut asking = Connection::open(server.collect);
    asking.send(ask("/event", HIT.len()).as_bytes());
    assert_eq!(asking.reply(false).status, 100);
    asking.send(HIT.as_bytes());
    assert_eq!(asking.reply(false).status, 202);
    for (target, length, status) in
        [("/nothing", 10, 404), ("/pixel.gif", 10, 405), ("/event", 9_000_000, 413)]
    {
        let mut refused = Connection::open(server.collect);
        refused.send(ask(target, length).as_bytes());
        assert_eq!(refused.reply(false).status, status, "{target}");
        assert!(refused.is_closed());
    }
}

#[test]
fn more_requests_than_anybody_reads_are_answered_in_order_and_hold_up_nobody() {
    let (server, _dir) = serve("threads = 1");
    for _ in 0..20 {
        exchange(server.collect, &get(PAGE, &[]));
    }
    let before = resident_at_rest(&server);
    let requests = sized(2_000, 20_000);
    let mut flood = Connection::open(server.collect);
    let sending = std::thread::spawn(move || {
        let burst = [get(PAGE, &[]), get("/health", &[])].concat();
        let mut answered = 0;
        for _ in 0..requests / 100 {
            assert!(flood.send(&burst.repeat(50)));
            for _ in 0..50 {
                assert_eq!(flood.reply(false).header("x-metka"), Some("ok"));
                assert_eq!(flood.reply(false).json()["status"], "ok");
                answered += 2;
            }
        }
        answered
    });
    let mut others = 0;
    while !sending.is_finished() {
        let reply = exchange(server.collect, &get(PAGE, &[]));
        assert_eq!(reply.header("x-metka"), Some("ok"));
        others += 1;
    }
    assert_eq!(sending.join().expect("the flood"), requests);
    let grown = resident_at_rest(&server) - before;
    println!(
        "{requests} pipelined requests answered in order, {others} of others meanwhile, {} more",
        megabytes(grown)
    );
    assert!(others > 0 && grown < 32 << 20, "{others} others, {} more", megabytes(grown));
}

/// 64 MiB of nothing, packed by each of the codings that HTTP knows.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![b' '; 64 << 20];
    let gzip = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("packed")
    };
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(&zeros).expect("packed");
    let packed = gzip(&zeros);
    let zstd = zstd::bulk::compress(&zeros, 1).expect("packed");
    vec![
        ("gzip, gzip", gzip(&packed)),
        ("gzip", packed),
        ("deflate", deflate.finish().expect("packed")),
        ("zstd", zstd),
        ("br", vec![0x5b; 1000]),
        ("compress", vec![0x1f; 1000]),
        ("aes128gcm", vec![0; 1000]),
    ]
}

#[test]
fn packed_bodies_are_refused_unopened() {
    let (server, _dir) = serve("threads = 1");
    assert_eq!(exchange(server.collect, &event(HIT, &[("Content-Encoding", "identity")])).status, 202);
    let before = resident_at_rest(&server);
    let bombs = bombs();
    let mut refused = 0;
    for (coding, body) in &bombs {
        assert!(body.len() < 1_000_000, "{coding}: {} bytes are refused for their size", body.len());
        let headers = [("Content-Type", "text/plain"), ("Content-Encoding", coding)];
        let reply = exchange(server.collect, &request("POST", "/event", &headers, body));
        assert_eq!((reply.status, reply.header("accept-encoding")), (415, Some("identity")), "{coding}");
        assert_eq!(reply.json()["accepted"], 0);
        assert!(reply.json()["error"].as_str().is_some_and(|text| text.contains("Content-Encoding")));
        let headers =
            [("Content-Type", "application/json"), ("Content-Encoding", coding), ("Connection", "close")];
        let body = &body[..body.len().min(10_000)];
        let reply: Reply = exchange(server.web, &request("POST", "/api/v1/session", &headers, body));
        assert_eq!(reply.status, 415, "{coding} at the web address");
        refused += 2;
    }
    let grown = resident_at_rest(&server) - before;
    println!("{refused} packed bodies refused unopened, {} more", megabytes(grown));
    assert!(grown < 16 << 20, "memory has grown by {}", megabytes(grown));
}
