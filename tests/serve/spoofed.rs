//! Whose hit it is, whatever a visitor writes into headers: the address that the
//! built binary stored, deciphered with its own key ring.
//!
//! Every form of [`FORMS`] is sent in each `collect.client_address` mode: from a
//! peer that is no proxy, and through proxies that are trusted, which append the
//! address they saw in the ways that proxies do. This machine's own addresses
//! `127.0.0.1` (trusted) and `127.0.0.9` (not) are the peers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use metka::privacy::keys::KeyRing;
use serde_json::Value;

use crate::http::{Connection, Reply};
use crate::server::Server;
use crate::{CONFIG, configure, configured};

/// The visitor behind the proxies.
const VISITOR: &str = "203.0.113.50";
const VISITOR_6: &str = "2001:db8:50::1";
const TRUSTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Three networks of proxies, as a chain has them.
const NETWORKS: &str = r#"["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]"#;

/// What a visitor sends to be taken for somebody else: header lines, raw.
const FORMS: [&[&str]; 54] = [
    &["X-Forwarded-For: 198.51.100.1"],
    &["X-Forwarded-For: 198.51.100.1, 198.51.100.2"],
    &["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.2"],
    &["X-Forwarded-For: 127.0.0.1"],
    &["X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3"],
    &["X-Forwarded-For: 192.168.1.1, 172.16.0.1, 169.254.169.254"],
    &["X-Forwarded-For: 198.51.100.1, 127.0.0.1"],
    &["X-Forwarded-For: ::1"],
    &["X-Forwarded-For: fd00::1"],
    &["X-Forwarded-For: 2001:db8::1"],
    &["X-Forwarded-For: [2001:db8::1]:443"],
    &["X-Forwarded-For: ::ffff:198.51.100.1"],
    &["X-Forwarded-For: ::ffff:127.0.0.1"],
    &["X-Forwarded-For: 198.51.100.1:80"],
    &["X-Forwarded-For: 127.0.0.1:65535, 10.0.0.1:1"],
    &["X-Forwarded-For: \"198.51.100.1\""],
    &["X-Forwarded-For: \"198.51.100.1"],
    &["X-Forwarded-For: 198.51.100.1\", \""],
    &["X-Forwarded-For: unknown"],
    &["X-Forwarded-For: _hidden, -, localhost"],
    &["X-Forwarded-For: fe80::1%eth0"],
    &["X-Forwarded-For: 0x7f.0.0.1, 2130706433, 0177.0.0.1, 127.1"],
    &["X-Forwarded-For: 999.1.1.1, 198.51.100"],
    &["X-Forwarded-For:"],
    &["X-Forwarded-For: ,"],
    &["X-Forwarded-For: ,,, ,,198.51.100.1,,,"],
    &["X-Forwarded-For:    198.51.100.1\t  ,\t198.51.100.2   "],
    &["X-Forwarded-For: 198.51.100.1; 198.51.100.2 198.51.100.3"],
    &["X-Forwarded-For: for=198.51.100.1"],
    &["X-Forwarded-For: \u{661}98.51.100.1, \u{ff11}98.51.100.1"],
    &["x-FORWARDED-for: 198.51.100.1"],
    &["X_Forwarded_For: 198.51.100.1"],
    &["X-Real-IP: 198.51.100.1"],
    &["CF-Connecting-IP: 198.51.100.1", "True-Client-IP: 198.51.100.2"],
    &["X-Client-IP: 198.51.100.1", "Client-IP: 198.51.100.2", "X-Cluster-Client-IP: 198.51.100.3"],
    &[
        "Fastly-Client-IP: 198.51.100.1",
        "X-Azure-ClientIP: 198.51.100.2",
        "X-Appengine-User-IP: 198.51.100.3",
    ],
    &["X-Forwarded: for=198.51.100.1", "Forwarded-For: 198.51.100.1", "X-Originating-IP: 198.51.100.1"],
    &["X-ProxyUser-IP: 198.51.100.1", "Via: 1.1 198.51.100.1", "X-Remote-Addr: 198.51.100.1"],
    &["Connection: close, X-Forwarded-For, Forwarded", "X-Forwarded-For: 198.51.100.1"],
    &["Forwarded: for=198.51.100.1"],
    &["Forwarded: for=198.51.100.1, for=198.51.100.2"],
    &["Forwarded: for=198.51.100.1", "Forwarded: for=198.51.100.2"],
    &["Forwarded: for=127.0.0.1, for=10.0.0.1"],
    &["Forwarded: FOR=\"[2001:db8::1]:4711\";proto=https;by=10.0.0.1"],
    &["Forwarded: for=\"198.51.100.1:80\";host=\"a, for=198.51.100.2\""],
    &["Forwarded: for=\"198.51.100.1"],
    &["Forwarded: for=198.51.100.1;for=198.51.100.2"],
    &["Forwarded: for=unknown", "Forwarded: for=_hidden;by=_me"],
    &["Forwarded: proto=http;host=x", "Forwarded: ;;;,,,for"],
    &["Forwarded: for = 198.51.100.1 ; for=\"a\\\"b\""],
    &["Forwarded: for=\"\\\"198.51.100.1\\\"\""],
    &["Forwarded: 198.51.100.1"],
    &["X-Forwarded-For: 198.51.100.1", "Forwarded: for=198.51.100.2", "X-Real-IP: 198.51.100.3"],
    &[
        "Proxy-Protocol: PROXY TCP4 198.51.100.1 127.0.0.1 1 80",
        "X-Forwarded-Host: 198.51.100.1",
        "X-Forwarded-Proto: https",
    ],
];

/// How trusted proxies append: `true` in the visitor's own line, else in a line
/// of its own; what `X-Forwarded-For` and `Forwarded` then end with; the address.
const APPENDED: [(bool, &str, &str, &str); 6] = [
    (true, VISITOR, "for=203.0.113.50", VISITOR),
    (false, VISITOR, "for=203.0.113.50;proto=https", VISITOR),
    // Over three proxies of three networks.
    (
        true,
        "203.0.113.50, 10.0.0.3, fd00::7",
        "for=203.0.113.50, for=10.0.0.3;by=10.0.0.4, for=\"[fd00::7]\"",
        VISITOR,
    ),
    (false, "203.0.113.50:4711, 10.0.0.3:80", "For=\"203.0.113.50:4711\",for=\"10.0.0.3:80\"", VISITOR),
    (true, VISITOR_6, "for=\"[2001:db8:50::1]\"", VISITOR_6),
    (false, "[2001:db8:50::1]:443", "host=\"a,b\";for=\"[2001:db8:50::1]:443\"", VISITOR_6),
];

/// The hits sent to one server, by number, and whose each is.
struct Sent {
    server: Server,
    _dir: tempfile::TempDir,
    expected: BTreeMap<usize, (String, String)>,
}

// === impl Sent ===

impl Sent {
    fn start(mode: &str) -> Sent {
        let dir = configured();
        let collect = format!(
            "[collect]\ndurability = \"write\"\nclient_address = \"{mode}\"\ntrusted_proxies = {NETWORKS}"
        );
        configure(dir.path(), &CONFIG.replace("[collect]", &collect));
        Sent { server: Server::start(dir.path(), &[]), _dir: dir, expected: BTreeMap::new() }
    }

    /// Sends a hit with these lines from `peer`, after `first` on the connection.
    fn send(&mut self, peer: Ipv4Addr, first: &[u8], lines: &[String]) -> Reply {
        let number = self.expected.len();
        let mut head = format!(
            "GET /pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F{number} HTTP/1.1\r\nHost: stats.clinic.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
        );
        for line in lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        let mut connection = Connection::open_from(peer, self.server.collect);
        connection.send(&[first, head.as_bytes(), b"\r\n"].concat());
        connection.reply(false)
    }

    /// The same, and it is a hit of `address`.
    fn hit(&mut self, peer: Ipv4Addr, first: &[u8], lines: &[String], address: &str) {
        let reply = self.send(peer, first, lines);
        let what = format!("{} {peer} {lines:?}", first.escape_ascii());
        assert_eq!((reply.status, reply.header("x-metka")), (200, Some("ok")), "{what}");
        self.expected.insert(self.expected.len(), (address.to_owned(), what));
    }

    /// Compares with what was stored, and says how many hits there were.
    fn check(self) -> usize {
        let counts = self.server.settled("clinic");
        assert_eq!(counts["stored"], self.expected.len());
        let ring = KeyRing::open(&self.server.data().join("keys")).expect("the server's ring");
        let rows = self.server.rows("SELECT path, hex(ip), ip_key FROM metka.hits");
        assert_eq!(rows.len(), self.expected.len());
        for row in rows {
            let [Value::String(path), Value::String(hex), key] = &row[..] else { panic!("{row:?}") };
            let number: usize = path.trim_start_matches('/').parse().expect("a number");
            let stored = u128::from_str_radix(hex, 16).expect("hex").to_be_bytes();
            let key = key.as_u64().expect("a key").try_into().expect("a key's id");
            let found = ring.reveal(stored, key).expect("its key").lookup(|address| address.to_string());
            let (expected, what) = &self.expected[&number];
            assert_eq!(&found, expected, "{what}");
            assert_ne!(stored, to_bytes(expected), "it is stored in the clear");
        }
        self.expected.len()
    }
}

fn to_bytes(address: &str) -> [u8; 16] {
    match address.parse().expect("an address") {
        IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        IpAddr::V6(six) => six.octets(),
    }
}

fn lines(form: &[&str]) -> Vec<String> {
    form.iter().map(|line| (*line).to_owned()).collect()
}

/// The lines as a proxy passes them on: all of them, and what it saw itself at
/// the end of the one header that it sets.
fn passed_on(form: &[&str], header: &str, in_line: bool, seen: &str) -> Vec<String> {
    let mut lines = lines(form);
    let own = lines
        .iter_mut()
        .rev()
        .find(|line| line.split(':').next().is_some_and(|name| name.eq_ignore_ascii_case(header)));
    match own {
        Some(line) if in_line => line.push_str(&format!(", {seen}")),
        _ => lines.push(format!("{header}: {seen}")),
    }
    lines
}

#[test]
fn a_spoofed_header_changes_nobodys_address() {
    for (mode, header) in [("x-forwarded-for", "X-Forwarded-For"), ("forwarded", "Forwarded")] {
        let mut sent = Sent::start(mode);
        for form in FORMS {
            sent.hit(STRANGER, b"", &lines(form), "127.0.0.9");
            for (in_line, list, forwarded, address) in APPENDED {
                let seen = if mode == "forwarded" { forwarded } else { list };
                sent.hit(TRUSTED, b"", &passed_on(form, header, in_line, seen), address);
            }
        }
        // Bytes that are no text, a list that is longer than any chain, and one that is longer than the walk.
        let long = vec!["198.51.100.1"; 500].join(", ");
        let proxies = vec!["10.0.0.9"; 100].join(", ");
        for spoofed in [long.as_str(), proxies.as_str()] {
            let spoofed = if mode == "forwarded" {
                spoofed.replace("198", "for=198").replace("10.", "for=10.")
            } else {
                spoofed.to_owned()
            };
            let seen = if mode == "forwarded" { "for=203.0.113.50" } else { VISITOR };
            sent.hit(TRUSTED, b"", &[format!("{header}: {spoofed}, {seen}")], VISITOR);
            sent.hit(STRANGER, b"", &[format!("{header}: {spoofed}, {seen}")], "127.0.0.9");
        }
        // A proxy that does not set the header passes a spoofed one of the other kind: ignored.
        let other =
            if mode == "forwarded" { "X-Forwarded-For: 198.51.100.1" } else { "Forwarded: for=198.51.100.1" };
        sent.hit(TRUSTED, b"", &[other.to_owned(), "X-Real-IP: 198.51.100.2".to_owned()], "127.0.0.1");
        // What is no text is not read as text.
        let number = sent.expected.len();
        let mut raw = format!("GET /pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F{number} HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n{header}: ").into_bytes();
        raw.extend_from_slice(b"\xff\xfe\x80, ");
        raw.extend_from_slice(if mode == "forwarded" { b"for=203.0.113.50" } else { VISITOR.as_bytes() });
        raw.extend_from_slice(b"\r\n\r\n");
        let mut connection = Connection::open_from(TRUSTED, sent.server.collect);
        connection.send(&raw);
        assert_eq!(connection.reply(false).header("x-metka"), Some("ok"));
        sent.expected.insert(number, (VISITOR.to_owned(), "bytes that are no text".to_owned()));
        println!("{mode}: {} hits of {} forms, every address right", sent.check(), FORMS.len());
    }
}

#[test]
fn where_the_peer_is_the_client_no_header_is_read() {
    let mut sent = Sent::start("peer");
    for form in FORMS {
        sent.hit(STRANGER, b"", &lines(form), "127.0.0.9");
        sent.hit(TRUSTED, b"", &lines(form), "127.0.0.1");
    }
    println!("peer: {} hits of {} forms, every address right", sent.check(), FORMS.len());
}

#[test]
fn the_proxy_protocol_is_read_from_trusted_proxies_only_and_no_header_beside_it() {
    let mut sent = Sent::start("proxy-protocol");
    let four: Ipv4Addr = VISITOR.parse().expect("an address");
    let six: Ipv6Addr = VISITOR_6.parse().expect("an address");
    let headers: Vec<(Vec<u8>, &str)> = vec![
        (format!("PROXY TCP4 {VISITOR} 127.0.0.1 4711 80\r\n").into_bytes(), VISITOR),
        (format!("PROXY TCP6 {VISITOR_6} ::1 4711 80\r\n").into_bytes(), VISITOR_6),
        (version_2(0x21, 0x11, &[&four.octets()[..], &[127, 0, 0, 1, 1, 1, 0, 80]].concat()), VISITOR),
        (
            version_2(
                0x21,
                0x21,
                &[&six.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[1, 1, 0, 80], &[4, 0, 1, 0]].concat(),
            ),
            VISITOR_6,
        ),
        // The proxy speaks for itself.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (version_2(0x20, 0, &[]), "127.0.0.1"),
    ];
    for form in FORMS {
        sent.hit(STRANGER, b"", &lines(form), "127.0.0.9");
        for (header, address) in &headers {
            sent.hit(TRUSTED, header, &lines(form), address);
        }
    }
    // What is no hit at all: a proxy that sends no header, or a broken one; a stranger that
    // sends one; a visitor that sends another through the proxy.
    let mut refused = 0;
    for (header, _) in &headers {
        let twice = [&headers[0].0[..], header].concat();
        for (peer, first) in
            [(STRANGER, &header[..]), (TRUSTED, &twice), (TRUSTED, &header[..header.len() - 1])]
        {
            let reply = sent.send(peer, first, &[]);
            assert!(
                matches!(reply.status, 0 | 400 | 405),
                "{peer} {}: {}",
                first.escape_ascii(),
                reply.status
            );
            refused += 1;
        }
    }
    let bare = sent.send(TRUSTED, b"", &lines(FORMS[0]));
    assert_eq!(bare.status, 0, "a trusted proxy without the header is closed upon");
    println!(
        "proxy-protocol: {} hits of {} forms, every address right, {} refused",
        sent.check(),
        FORMS.len(),
        refused + 1
    );
}

fn version_2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).expect("short").to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, addresses].concat()
}
