//! Visitor cookies that the server did not make, or that somebody altered: none
//! is ever taken for one of its own.
//!
//! A million of them go through the parsing of real request headers and the key
//! ring; a sample goes over HTTP to the built binary, which replaces and counts
//! each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use jiff::ToSpan;
use jiff::civil::Date;
use metka::config::{Collect, Config};
use metka::parse::client::client;
use metka::privacy::keys::KeyRing;

use crate::http::{Connection, exchange};
use crate::server::{Server, wait_for};
use crate::{CONFIG, configure, configured};

/// How many cookies are forged in each of [`KINDS`].
const FORGED_EACH: usize = 100_000;
/// How many of each kind are sent over HTTP.
const SENT_EACH: usize = 200;

/// How a cookie is forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    BitFlipped,
    OtherKey,
    OtherDay,
    OtherRing,
    Truncated,
    OtherCase,
    Unicode,
    ReplayedMac,
    TooOld,
    Future,
}

const KINDS: [Kind; 10] = [
    Kind::BitFlipped,
    Kind::OtherKey,
    Kind::OtherDay,
    Kind::OtherRing,
    Kind::Truncated,
    Kind::OtherCase,
    Kind::Unicode,
    Kind::ReplayedMac,
    Kind::TooOld,
    Kind::Future,
];

/// A repeatable stream of numbers (xorshift64*).
struct Numbers(u64);

/// Who makes cookies: the ring under test, another ring with the same key ids,
/// and the day.
struct Forger {
    ring: KeyRing,
    stranger: KeyRing,
    today: Date,
    numbers: Numbers,
}

// === impl Numbers ===

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn id(&mut self) -> [u8; 16] {
        ((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes()
    }
}

// === impl Forger ===

impl Forger {
    fn genuine(&mut self) -> String {
        // Any day on which a cookie is still good.
        let age = self.numbers.below(390) as i64;
        let day = self.today.saturating_sub(age.days());
        self.ring.sign_cookie(self.numbers.id(), day)
    }

    /// The bytes of a cookie's value that the ring did not sign for this day.
    fn forge(&mut self, kind: Kind) -> Vec<u8> {
        let value = self.genuine();
        let parts: Vec<&str> = value.split('.').collect();
        let [version, kid, day, id, mac] = parts[..] else { panic!("five parts: {value}") };
        let numbers = &mut self.numbers;
        let text = match kind {
            Kind::BitFlipped => {
                let mut bytes = value.clone().into_bytes();
                let at = numbers.below(bytes.len());
                bytes[at] ^= 1 << numbers.below(8);
                return bytes;
            }
            Kind::OtherKey => {
                let own: u64 = kid.parse().expect("a number");
                let other = match numbers.below(4) {
                    0 => format!("{}", own % 3 + 1),
                    1 => format!("0{kid}"),
                    2 => format!("{}", (u64::from(u32::MAX) + 1) + own),
                    _ => format!("{}", own + 1 + numbers.next() % u64::from(u32::MAX - 4)),
                };
                format!("{version}.{other}.{day}.{id}.{mac}")
            }
            Kind::OtherDay => {
                let shift = 1 + numbers.below(800) as i64;
                let base = self.today;
                let mut other = base.saturating_sub(shift.days());
                if other.strftime("%Y%m%d").to_string() == day {
                    other = base;
                }
                format!("{version}.{kid}.{}.{id}.{mac}", other.strftime("%Y%m%d"))
            }
            Kind::OtherRing => self.stranger.sign_cookie(numbers.id(), self.today),
            Kind::Truncated => value[..numbers.below(value.len())].to_owned(),
            Kind::OtherCase => {
                let letters: Vec<usize> = value
                    .bytes()
                    .enumerate()
                    .filter(|(_, byte)| byte.is_ascii_lowercase())
                    .map(|(at, _)| at)
                    .collect();
                let mut bytes = value.clone().into_bytes();
                let first = letters[numbers.below(letters.len())];
                bytes[first].make_ascii_uppercase();
                for at in letters {
                    if numbers.below(2) == 0 {
                        bytes[at].make_ascii_uppercase();
                    }
                }
                return bytes;
            }
            Kind::Unicode => {
                let at = numbers.below(value.len());
                let byte = value.as_bytes()[at];
                let alike = match numbers.below(4) {
                    // Full-width forms, mathematical digits, Cyrillic letters, and what is invisible.
                    0 => char::from_u32(0xFEE0 + u32::from(byte)).expect("a character").to_string(),
                    1 if byte.is_ascii_digit() => {
                        char::from_u32(0x1D7CE + u32::from(byte - b'0')).expect("a character").to_string()
                    }
                    2 if b"ace".contains(&byte) => match byte {
                        b'a' => "а",
                        b'c' => "с",
                        _ => "е",
                    }
                    .to_owned(),
                    _ => format!("{}\u{200B}", char::from(byte)),
                };
                format!("{}{alike}{}", &value[..at], &value[at + 1..])
            }
            Kind::ReplayedMac => {
                let other: String = numbers.id().iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{version}.{kid}.{day}.{other}.{mac}")
            }
            // These two the ring did sign, on a day that does not count today.
            Kind::TooOld => {
                let age = 397 + numbers.below(3000) as i64;
                self.ring.sign_cookie(numbers.id(), self.today.saturating_sub(age.days()))
            }
            Kind::Future => {
                let ahead = 2 + numbers.below(3000) as i64;
                self.ring.sign_cookie(numbers.id(), self.today.saturating_add(ahead.days()))
            }
        };
        assert_ne!(text, value, "{kind:?}");
        text.into_bytes()
    }
}

/// A ring with three cookie keys, so that a swapped id names a key that is there.
fn ring(dir: &Path) -> KeyRing {
    let ring = KeyRing::open(&metka::config::Keys::in_dir(dir)).expect("a key ring");
    for _ in 0..2 {
        ring.rotate_cookie_key().expect("a key");
    }
    ring
}

/// What the collector reads of a request with this cookie; `None`: it is no
/// header at all, and the request is refused.
fn read(value: &[u8], collect: &Collect) -> Option<Option<String>> {
    let mut headers = HeaderMap::new();
    let line = [b"theme=dark; metka=", value, b"; basket=7"].concat();
    headers.insert(COOKIE, HeaderValue::from_bytes(&line).ok()?);
    Some(client(IpAddr::from([192, 0, 2, 1]), &headers, collect).cookie.map(str::to_owned))
}

#[test]
fn none_of_a_million_forged_cookies_is_accepted() {
    let dir = tempfile::tempdir().expect("a directory");
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let config = Config::parse("", [], dir.path()).expect("valid");
    // Halves of the million on two threads, each with keys of its own.
    let halves: Vec<_> = (0..2_u64)
        .map(|half| {
            let forger = Forger {
                ring: ring(&dir.path().join(format!("own-{half}"))),
                stranger: ring(&dir.path().join(format!("other-{half}"))),
                today,
                numbers: Numbers(0x9E37_79B9_7F4A_7C15 + half),
            };
            let collect = config.collect.clone();
            std::thread::spawn(move || forge_all(forger, &collect))
        })
        .collect();
    let mut outcomes = BTreeMap::new();
    for half in halves {
        for (outcome, count) in half.join().expect("a thread") {
            *outcomes.entry(outcome).or_insert(0) += count;
        }
    }
    let total: usize = outcomes.values().sum();
    for ((kind, outcome), count) in &outcomes {
        println!("{kind:?}: {count} × {outcome}");
    }
    println!("{total} forged cookies, 0 accepted");
    assert_eq!(total, KINDS.len() * FORGED_EACH);
    // Those with a good signature are refused for their day, and for nothing else.
    for (kind, text) in [(Kind::TooOld, "older than 13 months"), (Kind::Future, "from a day to come")] {
        let found: usize = outcomes
            .iter()
            .filter(|((of, why), _)| *of == kind && why.contains(text))
            .map(|(_, count)| count)
            .sum();
        assert_eq!(found, FORGED_EACH, "{kind:?}");
    }
}

fn forge_all(mut forger: Forger, collect: &Collect) -> BTreeMap<(Kind, String), usize> {
    for _ in 0..1000 {
        let value = forger.genuine();
        let read = read(value.as_bytes(), collect).flatten().expect("the cookie is found");
        assert!(
            forger.ring.verify_cookie(&read, forger.today).is_ok(),
            "a genuine cookie is refused: {value}"
        );
    }
    let mut outcomes = BTreeMap::new();
    for kind in KINDS {
        for _ in 0..FORGED_EACH / 2 {
            let value = forger.forge(kind);
            let outcome = match read(&value, collect) {
                None => "no header".to_owned(),
                Some(None) => "no cookie".to_owned(),
                Some(Some(read)) => match forger.ring.verify_cookie(&read, forger.today) {
                    Ok(_) => panic!("{kind:?}: {} is accepted", value.escape_ascii()),
                    Err(error) => error.to_string(),
                },
            };
            *outcomes.entry((kind, outcome)).or_insert(0) += 1;
        }
    }
    outcomes
}

#[test]
fn the_server_replaces_and_counts_every_forged_cookie() {
    let dir = configured();
    // What is asked here is not whether hits last, nor how many cookies one address gets.
    let asked = "[collect]\ndurability = \"write\"\nmax_new_visitors_per_address_per_day = 0";
    configure(dir.path(), &CONFIG.replace("[collect]", asked));
    let server = Server::start(dir.path(), &[]);
    // The server's own ring, so that old and future cookies bear its signature.
    let ring =
        KeyRing::open(&metka::config::Keys::in_dir(&server.data().join("keys"))).expect("the server's ring");
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let others = tempfile::tempdir().expect("a directory");
    let stranger =
        KeyRing::open(&metka::config::Keys::in_dir(&others.path().join("keys"))).expect("another ring");
    let mut forger = Forger { ring, stranger, today, numbers: Numbers(7) };
    let mut connection = Connection::open(server.collect);
    let mut ask = |cookie: &[u8]| {
        let [head, tail] = [&b"GET /pixel.gif?s=clinic&u=https%3A%2F%2Fclinic.example%2F HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nCookie: metka="[..], b"\r\n\r\n"];
        assert!(connection.send(&[head, cookie, tail].concat()), "the connection stays");
        let reply = connection.reply(false);
        assert_eq!((reply.status, reply.header("x-metka")), (200, Some("ok")), "{}", cookie.escape_ascii());
        reply.cookie("metka")
    };
    let refused = || {
        let reply =
            exchange(server.web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let text = String::from_utf8(reply.body).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix("metka_cookies_refused_total "));
        line.expect("the counter").parse::<usize>().expect("a number")
    };
    for _ in 0..100 {
        let genuine = forger.genuine();
        assert_eq!(ask(genuine.as_bytes()), None, "a genuine cookie is replaced");
    }
    assert_eq!(refused(), 0);
    let mut sent = 0;
    for kind in KINDS {
        for _ in 0..SENT_EACH {
            // Bytes that no header may hold are refused before anything is read of them.
            let value = std::iter::repeat_with(|| forger.forge(kind))
                .find(|value| value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f))
                .expect("one without control characters");
            let replaced = ask(&value).expect("a new cookie");
            assert_ne!(replaced.as_bytes(), [b"metka=", &value[..]].concat(), "{kind:?}");
            sent += 1;
        }
        assert_eq!(refused(), sent, "{kind:?}");
    }
    let counts = server.settled("clinic");
    assert_eq!(counts["stored"], 100 + sent);
    let rows = wait_for("the rows", || {
        Some(server.rows(
            "SELECT countIf(identity = 'cookie'), countIf(identity = 'cookieless' AND minted != 0) FROM metka.hits",
        ))
    });
    let number =
        |at: usize| rows[0][at].as_str().map_or_else(|| rows[0][at].as_u64(), |text| text.parse().ok());
    assert_eq!((number(0), number(1)), (Some(100), Some(sent as u64)));
    println!("{sent} forged cookies sent, {sent} replaced and counted, 100 genuine ones kept");
}
