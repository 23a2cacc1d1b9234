//! What strangers may send, each with what must hold of it besides not panicking.
//!
//! | target | input | must hold |
//! |---|---|---|
//! | `cookie` | the value of the visitor's cookie | what was signed is accepted, and nothing else |
//! | `query` | the query string of the pixel | what was read reads the same again; a hit is within its bounds |
//! | `event` | the body of an event | the same within an array; a hit is within its bounds |
//! | `forwarding` | `X-Forwarded-For`, `Forwarded` | the client is the right-most hop that is not trusted |
//! | `hygiene` | any text | scrubbed twice is scrubbed once; an address that is added goes |
//! | `proxy` | the PROXY protocol, both versions | a header is read to its end and no further |

use std::fmt::Write;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use jiff::civil::{Date, date};
use metka::accept::proxy;
use metka::config::{ClientAddress, Fields, Keys, Network, PathRules, Site};
use metka::event::{
    Hit, MAX_HOST_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_PROP_VALUE_BYTES, MAX_PROPS, MAX_QUERY_BYTES,
    MAX_TITLE_BYTES,
};
use metka::parse::address::{MAX_HOPS, X_FORWARDED_FOR, client_address};
use metka::parse::report::{MAX_ENGAGED_MS, MAX_WIDTH, Report};
use metka::parse::text::is_unprintable;
use metka::parse::{hit, hygiene as scrubbing, json, query as pixel};
use metka::privacy::keys::KeyRing;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their files and of their seeds' directories.
#[allow(dead_code, reason = "the fuzzer's own binaries name one each")]
pub const TARGETS: [(&str, Target); 6] = [
    ("cookie", cookie),
    ("query", query),
    ("event", event),
    ("forwarding", forwarding),
    ("hygiene", hygiene),
    ("proxy", proxy),
];

static SITE: LazyLock<Site> = LazyLock::new(|| Site {
    fields: Fields::ALL,
    query_parameters: vec!["q".to_owned(), "page".to_owned()],
    path_rules: PathRules::read(&["/doctors/* => /doctors/:doctor", "/booking/** => /booking/:step"]).0,
    ..Site::with_defaults("clinic", &["clinic.example", "*.clinic.example"])
});

/// Its directory is gone once it is open: signing and verifying need no disk.
static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    KeyRing::open(&Keys::in_dir(&directory.path().join("keys"))).expect("a key ring")
});

// === cookie ===

/// The first 18 bytes are an id and a day, the others edits of the cookie that
/// they give, in threes: place, byte, and whether to replace, insert or cut.
/// All of it is tried as a cookie too.
pub fn cookie(data: &[u8]) {
    let (head, edits) = data.split_at(data.len().min(18));
    let mut id = [0; 16];
    id.iter_mut().zip(head).for_each(|(id, byte)| *id = *byte);
    let byte = |at: usize| head.get(at).copied().unwrap_or(0);
    let today = date(2026, 1 + (byte(16) % 12) as i8, 1 + (byte(17) % 28) as i8);
    let signed = KEYS.sign_cookie(id, today);
    assert_eq!(KEYS.verify_cookie(&signed, today), Ok(id), "what was signed is refused");

    let mut altered = signed.clone().into_bytes();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[0]) % altered.len().max(1);
        match edit[2] % 3 {
            0 if !altered.is_empty() => altered[at] = edit[1],
            1 => altered.insert(at, edit[1]),
            _ => altered.truncate(at),
        }
    }
    for text in [altered.as_slice(), data] {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        if let Ok(id) = KEYS.verify_cookie(text, today) {
            let day = day_of(text).expect("an accepted cookie has a day");
            assert_eq!(KEYS.sign_cookie(id, day), text, "a cookie that was not signed is accepted");
            assert_eq!(text, signed, "an altered cookie is accepted");
        }
    }
}

fn day_of(cookie: &str) -> Option<Date> {
    let day: u32 = cookie.split('.').nth(2)?.parse().ok()?;
    Date::new((day / 10_000) as i16, (day / 100 % 100) as i8, (day % 100) as i8).ok()
}

// === query ===

pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut decoded, mut again) = (Vec::new(), Vec::new());
    let Ok(report) = pixel::parse(text, &mut decoded) else { return };
    let written = write_query(&report);
    assert_eq!(pixel::parse(&written, &mut again).as_ref(), Ok(&report), "{written}");
    check_report(&report);
}

fn write_query(report: &Report) -> String {
    let mut query = String::new();
    let mut put = |key: &str, value: &str| {
        let _ = write!(query, "{key}={}&", utf8_percent_encode(value, NON_ALPHANUMERIC));
    };
    put("s", &report.site);
    put("u", report.page.as_deref().unwrap_or_default());
    put("r", &report.referrer);
    put("ad", &report.ad);
    put("n", &report.name);
    put("t", &report.title);
    put("w", &report.width.to_string());
    put("uk", &report.user_key);
    if let Some(kind) = report.kind {
        put("k", kind.name());
    }
    if let Some(id) = report.id {
        put("i", &format!("{id:016x}"));
    }
    query
}

// === event ===

pub fn event(data: &[u8]) {
    let Ok(body) = json::parse(data) else { return };
    assert!(body.elements.len() <= json::MAX_ELEMENTS);
    for report in body.elements.iter().flatten() {
        check_report(report);
    }
    if data.trim_ascii_start().starts_with(b"{") {
        let array = [b"[", data, b"]"].concat();
        let again = json::parse(&array).expect("an object within an array");
        assert_eq!(again.elements, body.elements, "an object alone is read as within an array");
    }
}

/// What must hold of a report, and of the hit that it becomes.
fn check_report(report: &Report) {
    assert!(report.width <= MAX_WIDTH && report.engaged_ms <= MAX_ENGAGED_MS);
    assert!(report.scroll.is_none_or(|depth| depth <= 100) && report.props.len() <= MAX_PROPS);
    if let Ok(hit) = hit::hit(report, Some("https://clinic.example/from/header"), &SITE) {
        check_hit(&hit);
        assert_eq!(hit::hit(report, Some("https://clinic.example/from/header"), &SITE), Ok(hit));
    }
}

fn check_hit(hit: &Hit) {
    let utm = &hit.page.utm;
    let mut texts = vec![
        (&hit.page.host, MAX_HOST_BYTES),
        (&hit.page.path, MAX_PATH_BYTES),
        (&hit.page.query, MAX_QUERY_BYTES),
        (&hit.referrer.host, MAX_HOST_BYTES),
        (&hit.referrer.path, MAX_PATH_BYTES),
        (&hit.title, MAX_TITLE_BYTES),
        (&hit.name, MAX_NAME_BYTES),
        (&hit.ad, MAX_NAME_BYTES),
    ];
    texts.extend(
        [&utm.source, &utm.medium, &utm.campaign, &utm.content, &utm.term].map(|utm| (utm, MAX_NAME_BYTES)),
    );
    for (key, value) in &hit.props {
        assert!(!key.is_empty());
        texts.extend([(key, MAX_NAME_BYTES), (value, MAX_PROP_VALUE_BYTES)]);
    }
    for (text, bytes) in texts {
        assert!(text.len() <= bytes, "{} bytes of {bytes}: {text}", text.len());
        assert!(!text.chars().any(is_unprintable), "{text:?}");
    }
    assert!(hit.page.path.starts_with('/'), "{}", hit.page.path);
    let keys: Vec<&str> = hit.props.iter().map(|(key, _)| &**key).collect();
    assert!(keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key)), "{keys:?}");
    let segments = hit.page.path.split('/').filter(|segment| !segment.is_empty());
    if segments.clone().next() == Some("doctors") && segments.count() == 2 {
        assert_eq!((&*hit.page.path, &*hit.title), ("/doctors/:doctor", ""));
    }
}

// === forwarding ===

/// A hop of a made-up chain: how it is written, its address, whether it is trusted.
struct Hop {
    text: String,
    address: Option<IpAddr>,
    trusted: bool,
}

static TRUSTED: LazyLock<Vec<Network>> = LazyLock::new(|| {
    ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"].iter().filter_map(|text| Network::parse(text)).collect()
});

/// The first byte decides which header is read and who the peer is. The others
/// are hops of a made-up chain, a byte each, and then also lines of a header.
pub fn forwarding(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let how = if first & 1 == 0 { ClientAddress::XForwardedFor } else { ClientAddress::Forwarded };
    let header = if first & 1 == 0 { X_FORWARDED_FOR } else { FORWARDED };
    let proxy = IpAddr::from([127, 0, 0, 1]);
    let stranger = IpAddr::from([198, 51, 100, 7]);

    // A chain that is made here, with what must come of it.
    let hops: Vec<Hop> = rest.iter().map(|byte| hop(*byte, how)).collect();
    let mut headers = HeaderMap::new();
    for (number, line) in hops.chunks(1 + usize::from(first >> 1) % 5).enumerate() {
        let separator = if number % 2 == 0 { ", " } else { "," };
        let line = line.iter().map(|hop| hop.text.as_str()).collect::<Vec<_>>().join(separator);
        headers.append(&header, HeaderValue::from_str(&line).expect("printable"));
    }
    check_address(how, proxy, &headers, expected(&hops, proxy));
    check_address(how, stranger, &headers, stranger);

    // Lines that anybody may send.
    let mut headers = HeaderMap::new();
    for line in rest.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(&header, value);
        }
    }
    check_address(how, stranger, &headers, stranger);
    let found = found(how, proxy, &headers);
    let lines: Vec<&[u8]> = headers.get_all(&header).iter().map(HeaderValue::as_bytes).collect();
    if how == ClientAddress::XForwardedFor && !lines.concat().contains(&b'"') && lines.concat().is_ascii() {
        let text = String::from_utf8_lossy(&lines.join(&b',')).into_owned();
        let hops: Vec<Hop> = text.split(',').map(|text| read_hop(text.trim())).collect();
        // Without a line there is no hop, not an empty one.
        let hops = if lines.is_empty() { Vec::new() } else { hops };
        assert_eq!(found, expected(&hops, proxy), "{text}");
    }
    // What another header says is nothing.
    let other = if header == FORWARDED { X_FORWARDED_FOR } else { HeaderName::from_static("x-real-ip") };
    headers.append(other, HeaderValue::from_static("203.0.113.99"));
    check_address(how, proxy, &headers, found);
}

/// The rule, said another way: of the last hops the right-most one that is not a
/// trusted proxy; where it is no address, the proxy that reported it; where all
/// are proxies, the first of them.
fn expected(hops: &[Hop], peer: IpAddr) -> IpAddr {
    let near = &hops[hops.len().saturating_sub(MAX_HOPS)..];
    let known = match near.iter().rposition(|hop| !hop.trusted) {
        None => near.first().and_then(|hop| hop.address),
        Some(last) => near[last].address.or(near.get(last + 1).and_then(|hop| hop.address)),
    };
    known.unwrap_or(peer)
}

fn hop(byte: u8, how: ClientAddress) -> Hop {
    let last = byte >> 4;
    let (address, trusted) = match byte & 7 {
        0 => (Some(IpAddr::from([10, 0, 0, last])), true),
        1 => (Some(IpAddr::from([192, 0, 2, last])), false),
        2 => (Some(IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()))), true),
        3 => (Some(IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()))), false),
        4 => (Some(IpAddr::from([127, 0, 0, 1])), true),
        _ => (None, false),
    };
    let bare = match (address, byte & 8 == 0) {
        (None, true) => "unknown".to_owned(),
        (None, false) => "_hidden".to_owned(),
        (Some(address), true) => match address {
            IpAddr::V6(address) if how == ClientAddress::Forwarded => format!("[{address}]"),
            address => address.to_string(),
        },
        (Some(IpAddr::V4(address)), false) => format!("{address}:8080"),
        (Some(IpAddr::V6(address)), false) => format!("[{address}]:8080"),
    };
    let text = match how {
        ClientAddress::Forwarded if byte & 1 == 0 => format!("for=\"{bare}\";proto=https"),
        ClientAddress::Forwarded => format!("by=\"a,b\"; For=\"{bare}\""),
        _ => bare,
    };
    Hop { text, address, trusted }
}

/// One element of `X-Forwarded-For`.
fn read_hop(text: &str) -> Hop {
    let address = metka::privacy::address::ClientIp::parse(text).map(|ip| ip.lookup(|address| address));
    let trusted = address.is_some_and(|address| TRUSTED.iter().any(|network| network.contains(address)));
    Hop { text: text.to_owned(), address, trusted }
}

fn found(how: ClientAddress, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    client_address(peer, headers, how, &TRUSTED).lookup(|address| address)
}

fn check_address(how: ClientAddress, peer: IpAddr, headers: &HeaderMap, expected: IpAddr) {
    assert_eq!(found(how, peer, headers), expected, "{headers:?}");
}

// === hygiene ===

pub fn hygiene(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let once = scrubbing::scrub(&text).into_owned();
    assert_eq!(scrubbing::scrub(&once), once, "scrubbed twice: {text:?}");
    for bytes in [0, 5, 64, 1024] {
        let short = scrubbing::kept("", &text, bytes);
        assert!(short.len() <= bytes && !short.chars().any(is_unprintable), "{short:?}");
        assert!(scrubbing::kept_path(text.as_ref().into(), bytes).len() <= bytes);
    }
    for canary in ["canary@example.ru", "canary%40example.ru", "canary%2540example.ru"] {
        for with in
            [format!("{text}/{canary}"), format!("{canary}/{text}"), format!("{text} {canary} {text}")]
        {
            let stored = scrubbing::scrub(&with);
            assert!(!stored.contains(canary), "{with:?} became {stored:?}");
        }
    }
}

// === proxy ===

/// The bytes are a header with what follows it; and an address, of which headers
/// are made.
pub fn proxy(data: &[u8]) {
    let (outcome, used) = read_header(data);
    if let Some(address) = outcome {
        let header = &data[..used];
        assert_eq!(read_header(header), (Some(address), used), "what follows a header changes it");
        for shorter in 0..used {
            assert_eq!(read_header(&header[..shorter]).0, None, "{shorter} bytes of {used} are a header");
        }
        let is_text = header.starts_with(b"PROXY ") && header.ends_with(b"\r\n");
        assert!(is_text || header.starts_with(b"\r\n\r\n\0\r\nQUIT\n"), "{}", header.escape_ascii());
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(data).for_each(|(byte, given)| *byte = *given);
    let four = Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]);
    let six = Ipv6Addr::from(bytes);
    let block = |family: u8, addresses: &[u8]| {
        let length = (addresses.len() as u16).to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[0x21, family][..], &length, addresses].concat()
    };
    for (header, address) in [
        (format!("PROXY TCP4 {four} 192.0.2.1 1 65535\r\n").into_bytes(), IpAddr::from(four)),
        (format!("PROXY TCP6 {six} 2001:db8::1 1 65535\r\n").into_bytes(), IpAddr::from(six)),
        (block(0x11, &[&four.octets()[..], &[0; 8]].concat()), IpAddr::from(four)),
        (block(0x21, &[&six.octets()[..], &[0; 20]].concat()), IpAddr::from(six)),
    ] {
        let whole = [&header[..], data].concat();
        assert_eq!(read_header(&whole), (Some(Some(address)), header.len()), "{}", header.escape_ascii());
    }
}

/// What the header says, `None` if it is refused, and how many bytes were read.
fn read_header(data: &[u8]) -> (Option<Option<IpAddr>>, usize) {
    let mut rest = data;
    let outcome = {
        let reading = pin!(proxy::read(&mut rest));
        match reading.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => outcome.ok(),
            Poll::Pending => panic!("bytes that are there were waited for"),
        }
    };
    (outcome, data.len() - rest.len())
}
