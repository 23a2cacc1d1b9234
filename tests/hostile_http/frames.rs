//! HTTP/2, frame by frame, as no client writes it: every attack ends its own
//! connection or gets nowhere, memory stays, and the next visitor is served.

use std::time::Duration;

use metka::tls::http2::MAX_REQUESTS;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::pem::Pair;
use crate::server::Server;
use crate::tls::{Client, H2};
use crate::{NAME, PAGE, block_on, megabytes, resident, resident_at_rest, serve, sized};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The stream of the last request: above all others.
const LAST: u32 = 0x7fff_fffd;
/// Frames that go out in one write.
const BURST: u32 = 64;
/// An attack that the server neither ends nor takes within this has stopped it.
const PATIENCE: Duration = Duration::from_secs(300);

/// How an attack must end.
enum End {
    /// The server closes; if it says why, by one of these.
    Closed(&'static [u32]),
    /// It is all taken, and the connection still answers.
    Endured,
}

use End::{Closed, Endured};

struct Attack {
    name: &'static str,
    /// Sent first.
    opening: Vec<u8>,
    /// Round by round.
    round: fn(u32) -> Vec<u8>,
    /// At most so many rounds: one that must be closed is closed before.
    rounds: u32,
    end: End,
}

/// What came back.
#[derive(Debug, Default)]
struct Seen {
    goaway: Option<u32>,
    resets: Vec<u32>,
    pongs: u32,
    answered_last: bool,
}

/// A frame that came back.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The number at a place of the payload.
    fn number(&self, at: usize) -> Option<u32> {
        self.payload.get(at..at + 4).map(|four| u32::from_be_bytes(four.try_into().expect("four bytes")))
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header that is not to be kept, in HPACK without Huffman coding.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &string(value.as_bytes())].concat()
}

/// A string with its length (RFC 7541, 5.1, prefix of seven bits).
fn string(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if value.len() < 127 {
        bytes.push(value.len() as u8);
    } else {
        bytes.push(127);
        let mut rest = value.len() - 127;
        while rest >= 128 {
            bytes.push(rest as u8 | 128);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes.extend_from_slice(value);
    bytes
}

/// The pseudo headers of a request.
fn head(method: &str, path: &str) -> Vec<u8> {
    let mut block = match method {
        "GET" => vec![0x82],
        _ => [&[0x02][..], &string(method.as_bytes())].concat(),
    };
    block.push(0x87);
    block.extend([&[0x04][..], &string(path.as_bytes())].concat());
    block.extend([&[0x01][..], &string(NAME.as_bytes())].concat());
    block
}

/// The stream of a round: clients use the odd ones.
fn stream(round: u32) -> u32 {
    round * 2 + 1
}

fn get(round: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream(round), &head("GET", path))
}

/// A request for an event whose body has not ended.
fn post(round: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream(round), &head("POST", "/event"))
}

fn reset(round: u32) -> Vec<u8> {
    frame(RESET, 0, stream(round), &8_u32.to_be_bytes())
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

fn attacks() -> Vec<Attack> {
    let flood = sized(20_000, 1_000_000);
    let attack = |name, opening, round, rounds, end| Attack { name, opening, round, rounds, end };
    vec![
        attack(
            "rapid reset",
            vec![],
            |round| [get(round, PAGE), reset(round)].concat(),
            200_000,
            Closed(&[ENHANCE_YOUR_CALM, 0]),
        ),
        attack(
            "rapid reset of open bodies",
            vec![],
            |round| [post(round), reset(round)].concat(),
            200_000,
            Closed(&[ENHANCE_YOUR_CALM, 0]),
        ),
        attack(
            "requests without end",
            vec![],
            |round| get(round, "/health"),
            200_000,
            Closed(&[0, ENHANCE_YOUR_CALM]),
        ),
        attack("streams without end", vec![], post, 200_000, Closed(&[ENHANCE_YOUR_CALM])),
        attack(
            "windows that grow by nothing, stream after stream",
            vec![],
            |round| [post(round), frame(WINDOW_UPDATE, 0, stream(round), &[0; 4])].concat(),
            200_000,
            Closed(&[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]),
        ),
        attack(
            "bodies after their end, stream after stream",
            vec![],
            |round| [get(round, PAGE), frame(DATA, 0, stream(round), b"more")].concat(),
            200_000,
            Closed(&[ENHANCE_YOUR_CALM, PROTOCOL_ERROR, 5]),
        ),
        attack(
            "CONTINUATION without end",
            frame(HEADERS, 0, 1, &head("GET", PAGE)),
            |_| frame(CONTINUATION, 0, 1, &literal("x-flood", "1").repeat(1000)),
            10_000,
            Closed(&[ENHANCE_YOUR_CALM, PROTOCOL_ERROR, COMPRESSION_ERROR]),
        ),
        attack(
            "empty CONTINUATION without end",
            frame(HEADERS, 0, 1, &head("GET", PAGE)),
            |_| frame(CONTINUATION, 0, 1, &[]),
            200_000,
            Closed(&[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]),
        ),
        attack(
            "one entry of the compression table, named a thousand times in each request",
            // Kept as entry 62: a value of 4,000 bytes.
            frame(
                HEADERS,
                END_HEADERS | END_STREAM,
                1,
                &[head("GET", PAGE), vec![0x40, 1, b'x'], string(&[b'a'; 4000])].concat(),
            ),
            |round| {
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    stream(round + 1),
                    &[head("GET", PAGE), vec![0xbe; 1000]].concat(),
                )
            },
            200_000,
            Closed(&[ENHANCE_YOUR_CALM, PROTOCOL_ERROR, 0]),
        ),
        attack(
            "tiny pieces of a body without end",
            post(0),
            |_| frame(DATA, 0, 1, b" "),
            400_000,
            Closed(&[ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR]),
        ),
        attack(
            "empty pieces of a body without end",
            post(0),
            |_| frame(DATA, 0, 1, &[]),
            2_000_000,
            Closed(&[ENHANCE_YOUR_CALM]),
        ),
        attack(
            "more body than the window",
            post(0),
            |_| frame(DATA, 0, 1, &[b' '; 16_384]),
            10_000,
            Closed(&[FLOW_CONTROL_ERROR]),
        ),
        attack(
            "a frame too large",
            vec![],
            |_| frame(DATA, 0, 1, &[0; 16_385]),
            100,
            Closed(&[FRAME_SIZE_ERROR]),
        ),
        attack(
            "a window beyond its bound",
            vec![],
            |_| frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
            100,
            Closed(&[FLOW_CONTROL_ERROR]),
        ),
        attack(
            "a push from the client",
            get(0, PAGE),
            |_| frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
            100,
            Closed(&[PROTOCOL_ERROR]),
        ),
        attack(
            "an even stream",
            vec![],
            |_| frame(HEADERS, END_HEADERS | END_STREAM, 2, &head("GET", PAGE)),
            100,
            Closed(&[PROTOCOL_ERROR]),
        ),
        attack(
            "a table index that is not there",
            vec![],
            |round| frame(HEADERS, END_HEADERS | END_STREAM, stream(round), &[0xff, 0xff, 0x7f]),
            100,
            Closed(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
        attack(
            "SETTINGS flood",
            vec![],
            |round| frame(SETTINGS, 0, 0, &setting(4, 65_535 + round % 2)),
            flood,
            Endured,
        ),
        attack(
            "SETTINGS that grow the table",
            vec![],
            |round| frame(SETTINGS, 0, 0, &setting(1, u32::MAX - round)),
            flood,
            Endured,
        ),
        attack(
            "PING flood",
            vec![],
            |round| frame(PING, 0, 0, &u64::from(round).to_be_bytes()),
            flood,
            Endured,
        ),
        attack(
            "PRIORITY flood",
            vec![],
            |round| frame(PRIORITY, 0, stream(round), &[0, 0, 0, 0, 1]),
            flood,
            Endured,
        ),
        attack(
            "frames of unknown kinds",
            vec![],
            |round| frame(0x20 + (round % 200) as u8, 0xff, round, &[0; 100]),
            flood,
            Endured,
        ),
        attack(
            "WINDOW_UPDATE flood",
            vec![],
            |round| frame(WINDOW_UPDATE, 0, 0, &(1 + round % 2).to_be_bytes()),
            flood,
            Endured,
        ),
    ]
}

/// A server whose collect address ends TLS.
fn serve_tls() -> (Server, Pair, [tempfile::TempDir; 2]) {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "stats", NAME);
    let (server, data) = serve(&format!(
        "threads = 1\nclient_address = \"peer\"\ntls_certificate_file = {:?}\ntls_key_file = {:?}",
        pair.certificate, pair.key
    ));
    (server, pair, [dir, data])
}

/// Takes whole frames off what was read.
fn frames(bytes: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some(payload) = bytes.get(at + 9..at + 9 + length) else { break };
        let stream = u32::from_be_bytes(head[5..9].try_into().expect("four bytes"));
        frames.push(Frame { kind: head[3], flags: head[4], stream, payload: payload.to_vec() });
        at += 9 + length;
    }
    bytes.drain(..at);
    frames
}

/// Reads until the server closes, or has answered on [`LAST`].
async fn read(mut stream: impl AsyncRead + Unpin) -> Seen {
    let mut seen = Seen::default();
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while !seen.answered_last {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { break };
        bytes.extend_from_slice(&buffer[..count]);
        for frame in frames(&mut bytes) {
            match frame.kind {
                GOAWAY => seen.goaway = frame.number(4),
                RESET => seen.resets.extend(frame.number(0)),
                PING if frame.flags == 1 => seen.pongs += 1,
                HEADERS if frame.stream == LAST => seen.answered_last = true,
                _ => {}
            }
        }
    }
    seen
}

/// Opens a connection, sends `opening` and then round by round, and at the end
/// asks for an answer on [`LAST`]. Returns how many rounds were sent before the
/// server closed, and what came back.
async fn run(client: &Client, opening: &[u8], round: fn(u32) -> Vec<u8>, rounds: u32) -> (u32, Seen) {
    let (reading, mut writing) = tokio::io::split(client.connect().await.expect("a handshake"));
    let reader = tokio::spawn(read(reading));
    let preface = [PREFACE, &frame(SETTINGS, 0, 0, &[]), opening].concat();
    let mut open = writing.write_all(&preface).await.is_ok() && writing.flush().await.is_ok();
    let mut sent = 0;
    while open && sent < rounds && !reader.is_finished() {
        let next = (sent + BURST).min(rounds);
        let burst: Vec<u8> = (sent..next).flat_map(round).collect();
        sent = next;
        open = writing.write_all(&burst).await.is_ok() && writing.flush().await.is_ok();
        // The reader has its turn: what is not read holds the server up.
        tokio::task::yield_now().await;
    }
    let last = frame(HEADERS, END_HEADERS | END_STREAM, LAST, &head("GET", "/health"));
    let _ = writing.write_all(&last).await;
    let _ = writing.flush().await;
    (sent, reader.await.expect("the reader"))
}

#[test]
fn attacks_by_frames_end_their_own_connection_or_get_nowhere() {
    let (server, pair, _dir) = serve_tls();
    let client = Client::new(server.collect, &pair, NAME, &[H2]);
    // Buffers, caches and the allocator's own reserve are there from now on.
    for _ in 0..20 {
        assert!(block_on(client.get(PAGE)).is_ok());
    }
    let before = resident_at_rest(&server);
    let mut most = before;
    let attacks = attacks();
    for attack in &attacks {
        let running = run(&client, &attack.opening, attack.round, attack.rounds);
        let (sent, seen) = block_on(async { timeout(PATIENCE, running).await })
            .unwrap_or_else(|_| panic!("{}: neither closed nor taken within {PATIENCE:?}", attack.name));
        let now = resident(&server);
        most = most.max(now);
        println!(
            "{}: {sent} rounds, goaway {:?}, {} resets, {} pongs, {}",
            attack.name,
            seen.goaway,
            seen.resets.len(),
            seen.pongs,
            megabytes(now)
        );
        match attack.end {
            Closed(codes) => {
                assert!(!seen.answered_last, "{}: all {sent} rounds were taken", attack.name);
                let said = seen.goaway;
                assert!(said.is_none_or(|code| codes.contains(&code)), "{}: {said:?}", attack.name);
            }
            Endured => assert!(seen.answered_last, "{}: closed after {sent}, {:?}", attack.name, seen.goaway),
        }
        let reply = block_on(client.get(PAGE)).expect("the next visitor is served");
        assert_eq!(reply.header("x-metka"), Some("ok"), "after {}", attack.name);
    }
    let grown = most - before;
    println!(
        "{} attacks; memory {} at first, at most {} more",
        attacks.len(),
        megabytes(before),
        megabytes(grown)
    );
    assert!(grown < 16 << 20, "memory has grown by {}", megabytes(grown));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_connection_that_has_had_its_requests_is_asked_to_end_and_answers_them_all() {
    let (server, pair, _dir) = serve_tls();
    let client = Client::new(server.collect, &pair, NAME, &[H2]);
    let answered = block_on(async {
        let mut sender = client.open().await.expect("a connection");
        let mut answered = 0;
        while let Ok(reply) = sender.get(NAME, "/health").await {
            assert_eq!(reply.status, 200);
            answered += 1;
        }
        answered
    });
    println!("{answered} requests on one connection");
    // Those that were under way when it was asked are answered, too.
    assert!((MAX_REQUESTS..MAX_REQUESTS + 100).contains(&answered), "{answered} requests");
    assert!(block_on(client.get(PAGE)).is_ok());
}

#[test]
fn answers_that_nobody_reads_are_few_and_their_connections_end() {
    let (server, pair, _dir) = serve_tls();
    let connections = sized(50, 500);
    const STREAMS: u32 = 200;
    let client = Client::new(server.collect, &pair, NAME, &[H2]);
    assert!(block_on(client.get("/privacy")).is_ok());
    let before = resident_at_rest(&server);
    let (refused, most) = block_on(async {
        let mut held = Vec::new();
        for _ in 0..connections {
            let mut stream = client.connect().await.expect("a handshake");
            // No byte of any body may be sent.
            let mut bytes = PREFACE.to_vec();
            bytes.extend(frame(SETTINGS, 0, 0, &setting(4, 0)));
            (0..STREAMS).for_each(|round| bytes.extend(get(round, "/privacy?s=clinic")));
            stream.write_all(&bytes).await.expect("sent");
            stream.flush().await.expect("sent");
            held.push(stream);
        }
        let mut refused = 0;
        let mut most = 0;
        for mut stream in held {
            // Until the server closes, which it does by itself: the test sends nothing more.
            let mut bytes = Vec::new();
            let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
            most = most.max(resident(&server));
            assert!(read.is_ok(), "a connection that reads nothing lives on");
            for frame in frames(&mut bytes) {
                let empty = frame.payload.is_empty();
                assert!(frame.kind != DATA || empty, "a body was sent into a window of nothing");
                refused += u32::from(frame.kind == RESET && frame.number(0) == Some(REFUSED_STREAM));
            }
        }
        (refused, most)
    });
    let held = i64::from(connections) * 32;
    let each = (most - before) / held;
    println!(
        "{connections} connections with {STREAMS} answers that nobody reads: {refused} streams refused, \
         memory {} at first, at most {} more, {each} bytes for each answer held",
        megabytes(before),
        megabytes(most - before)
    );
    assert_eq!(refused, connections * (STREAMS - 32), "32 at once, and no more");
    assert!(each < 24 << 10, "{each} bytes for each answer that is held");
    assert!(block_on(client.get(PAGE)).is_ok());
}

#[test]
fn requests_that_would_be_two_behind_a_proxy_are_refused() {
    let (server, pair, _dir) = serve_tls();
    let client = Client::new(server.collect, &pair, NAME, &[H2]);
    let body = br#"{"s":"clinic","u":"https://clinic.example/smuggled"}"#;
    let with = |more: Vec<u8>| {
        [
            frame(HEADERS, END_HEADERS, 1, &[head("POST", "/event"), more].concat()),
            frame(DATA, END_STREAM, 1, body),
        ]
        .concat()
    };
    let length = body.len();
    let cases = [
        ("a transfer encoding", with(literal("transfer-encoding", "chunked"))),
        ("a connection header", with(literal("connection", "keep-alive"))),
        ("a length too small", with(literal("content-length", "4"))),
        ("a length too large", with(literal("content-length", &(length + 1).to_string()))),
        (
            "two lengths",
            with([literal("content-length", &length.to_string()), literal("content-length", "4")].concat()),
        ),
        ("a name in capitals", with(literal("X-Capital", "1"))),
        ("a line end in a value", with(literal("x-a", "1\r\nTransfer-Encoding: chunked"))),
        ("a line end in a name", with(literal("x-a: 1\r\nx-b", "1"))),
        ("a pseudo header at the end", with([literal("x-a", "1"), vec![0x04], string(b"/health")].concat())),
        ("two paths", with([&[0x04][..], &string(b"/health")].concat())),
        ("an unknown pseudo header", with(literal(":evil", "1"))),
        ("another Host", with(literal("host", "other.example"))),
        ("no authority", {
            let bare = [&[0x02][..], &string(b"POST"), &[0x87, 0x04], &string(b"/event")].concat();
            [frame(HEADERS, END_HEADERS, 1, &bare), frame(DATA, END_STREAM, 1, body)].concat()
        }),
        ("a path with a space", {
            let odd = head("POST", "/event HTTP/1.1\r\nHost: x");
            [frame(HEADERS, END_HEADERS, 1, &odd), frame(DATA, END_STREAM, 1, body)].concat()
        }),
    ];
    let count = cases.len();
    let counts = || server.command(&["status"])["sites"]["clinic"].clone();
    for (name, opening) in cases {
        let (_, seen) =
            block_on(async { timeout(PATIENCE, run(&client, &opening, |_| Vec::new(), 0)).await })
                .expect("an end");
        let counts = counts();
        assert_eq!(counts["received"], 0, "{name}: taken as a hit, {seen:?}");
    }
    // One that is right, so that the others were refused for what is wrong with them.
    let right = with(literal("content-length", &length.to_string()));
    block_on(async { timeout(PATIENCE, run(&client, &right, |_| Vec::new(), 0)).await }).expect("an end");
    assert_eq!(counts()["received"], 1);
    println!("{count} malformed requests refused, the well-formed one taken");
}
