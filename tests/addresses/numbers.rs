//! Every number is what a recount of the sent hits gives, by address, network, autonomous system,
//! country and time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::place::{contains, files_below};
use crate::places::{HIGH, LOW, Place as Home};
use crate::server::Server;
use crate::{Asker, place, send, stored};

/// Two of one /24, two alone, two of one /48, and some without a place.
const ADDRESSES: [&str; 8] = [
    "9.9.9.9",
    "9.9.9.10",
    "8.8.8.8",
    "208.67.222.222",
    "208.67.222.220",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "198.51.100.201",
];
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const PAGE: &str = "s=clinic&u=https%3A%2F%2Fclinic.example%2F";

/// What one address sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sent {
    hits: u64,
    /// Browsers at an address are people.
    people: BTreeSet<String>,
    marks: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    /// Script errors, by name.
    errors: BTreeMap<String, u64>,
}

// === impl Sent ===

impl Sent {
    fn add(&mut self, other: &Sent) {
        self.hits += other.hits;
        self.people.extend(other.people.iter().cloned());
        for (into, from) in [
            (&mut self.marks, &other.marks),
            (&mut self.reasons, &other.reasons),
            (&mut self.errors, &other.errors),
        ] {
            for (name, number) in from {
                *into.entry(name.clone()).or_default() += number;
            }
        }
    }

    fn most_frequent_errors(&self) -> BTreeMap<&String, &u64> {
        let mut all: Vec<(&String, &u64)> = self.errors.iter().collect();
        all.sort_by_key(|(name, count)| (u64::MAX - *count, *name));
        all.into_iter().take(10).collect()
    }

    /// As a row tells it.
    fn told(&self) -> Value {
        json!({
            "hits": self.hits, "visitors": self.people.len(), "refused": self.reasons.values().sum::<u64>(),
            "limited": self.reasons.get("rate-limited").unwrap_or(&0), "marked": self.marks.values().sum::<u64>(),
            "marks": self.marks, "reasons": self.reasons, "errors": self.errors.values().sum::<u64>(),
            "error_names": self.most_frequent_errors(),
        })
    }
}

/// The numbers of a row alone.
fn numbers(row: &Value) -> Value {
    let names =
        ["hits", "visitors", "refused", "limited", "marked", "errors", "marks", "reasons", "error_names"];
    names
        .iter()
        .map(|name| ((*name).to_owned(), row[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Sends hits of several kinds from all addresses. What opted out has no address.
fn sent(server: &Server) -> BTreeMap<&'static str, Sent> {
    let mut all: BTreeMap<&str, Sent> = BTreeMap::new();
    let mut hit = |address: &'static str, query: &str, agent: &str, headers: &[(&str, &str)]| {
        let mut with_agent = headers.to_vec();
        with_agent.push(("User-Agent", agent));
        let outcome = send(server, address, query, &with_agent);
        let is_nobodys = outcome == "opted-out";
        let sent = all.entry(if is_nobodys { "" } else { address }).or_default();
        if outcome != "ok" {
            *sent.reasons.entry(outcome).or_default() += 1;
            return;
        }
        sent.hits += 1;
        // A home has all of its /64, which these are of.
        let at = if address.contains(':') { network(address) } else { address.to_owned() };
        sent.people.insert(format!("{at} {agent}"));
        if agent == CRAWLER {
            *sent.marks.entry("crawler".to_owned()).or_default() += 1;
        }
        if let Some((_, name)) = query.split_once("&k=error&n=") {
            *sent.errors.entry(name.replace("%20", " ")).or_default() += 1;
        }
    };
    let foreign = "s=clinic&u=https%3A%2F%2Felsewhere.example%2F";
    for (at, address) in ADDRESSES.into_iter().enumerate() {
        for number in 0..=at {
            hit(address, PAGE, if number % 2 == 0 { CHROME } else { FIREFOX }, &[]);
        }
        for _ in 0..at % 3 {
            hit(address, foreign, FIREFOX, &[]);
        }
    }
    for _ in 0..3 {
        hit(ADDRESSES[2], PAGE, CRAWLER, &[]);
        hit(ADDRESSES[3], "s=clinic&u=nonsense", FIREFOX, &[]);
        hit(ADDRESSES[4], &format!("{PAGE}&i=00000000000000ff"), FIREFOX, &[]);
        hit(ADDRESSES[5], PAGE, FIREFOX, &[("Cookie", "metka_optout=1")]);
    }
    // Twelve different errors, of which ten are named; what else may be in an error's name is refused.
    for number in 1..=12 {
        for _ in 0..if number < 3 { number } else { 1 } {
            hit(ADDRESSES[7], &format!("{PAGE}&k=error&n=TypeError%20/js/{number}.js:{number}"), CHROME, &[]);
        }
    }
    hit(ADDRESSES[0], &format!("{PAGE}&k=error&n=TypeError%20/js/2.js:2"), CHROME, &[]);
    hit(ADDRESSES[0], &format!("{PAGE}&k=error&n=Anna%20is%20not%20a%20function"), CHROME, &[]);
    // One sends more than its share.
    for _ in 0..80 {
        hit(ADDRESSES[1], PAGE, FIREFOX, &[]);
    }
    all
}

fn network(address: &str) -> String {
    match address.rsplit_once('.') {
        Some((network, _)) => network.to_owned(),
        None => address.split(':').take(3).collect::<Vec<_>>().join(":"),
    }
}

fn home(address: &str) -> Option<&'static Home> {
    let first: u8 = address.split('.').next()?.parse().ok()?;
    // Addresses for documentation have no place.
    (!address.starts_with("198.51.100.")).then_some(if first < 128 { &LOW } else { &HIGH })
}

/// What was sent, by a key made of the address.
fn by<K: Ord>(all: &BTreeMap<&'static str, Sent>, key: impl Fn(&str) -> K) -> BTreeMap<K, Sent> {
    let mut sums: BTreeMap<K, Sent> = BTreeMap::new();
    for (address, sent) in all {
        sums.entry(key(address)).or_default().add(sent);
    }
    sums
}

#[test]
fn all_numbers_are_a_recount_of_what_was_sent_and_no_answer_and_no_file_holds_an_address() {
    let place = place();
    let server = place.serve();
    let all = sent(&server);
    let total = by(&all, |_| ()).remove(&()).expect("something was sent");
    let refused: u64 = total.reasons.values().sum();
    stored(&server, total.hits, refused);
    assert!(total.reasons["rate-limited"] > 0 && total.reasons["duplicate"] == 2, "{:?}", total.reasons);
    let asker = Asker::new(&server, "security", Some("clinic"));

    // By address: each token opens to the address that sent these.
    let answer = asker.ask("address", json!({ "order_by": "refused" }));
    assert_eq!(numbers(&answer["totals"]), total.told());
    let rows = answer["results"].as_array().expect("rows").clone();
    assert_eq!((rows.len(), &answer["total_rows"]), (all.len(), &json!(all.len())));
    let order: Vec<u64> = rows.iter().filter_map(|row| row["refused"].as_u64()).collect();
    assert!(order.is_sorted_by(|one, next| one >= next), "{order:?}");
    let mut tokens: BTreeMap<String, Value> = BTreeMap::new();
    let mut networks: BTreeMap<String, Value> = BTreeMap::new();
    let mut answers = vec![answer.to_string()];
    for row in &rows {
        let address = match &row["address"] {
            Value::Null => String::new(),
            token => asker.open(token),
        };
        assert_eq!(numbers(row), all[&*address].told(), "{address}");
        let home = home(&address);
        assert_eq!(row["asn"], home.map_or(0, |home| home.asn), "{address}");
        assert_eq!(row["country"], home.map_or("", |home| home.country), "{address}");
        assert_eq!(row["key_destroyed"], false);
        if !address.is_empty() {
            let known = networks.insert(network(&address), row["network"].clone());
            assert!(known.is_none_or(|known| known == row["network"]), "{address}");
            tokens.insert(address, row["address"].clone());
        }
    }
    assert!(
        answer["notes"][0].as_str().is_some_and(|note| note.contains("3 refusals have no address")),
        "{answer}"
    );

    // By network, whose tokens are those of the rows by address.
    let answer = asker.ask("network", json!({ "limit": 1000 }));
    answers.push(answer.to_string());
    assert_eq!(numbers(&answer["totals"]), total.told());
    let of_networks = by(&all, |address| if address.is_empty() { String::new() } else { network(address) });
    let found = answer["results"].as_array().expect("rows");
    assert_eq!(found.len(), of_networks.len());
    for (name, sent) in &of_networks {
        let token = networks.get(name).cloned().unwrap_or(Value::Null);
        let row = found.iter().find(|row| row["network"] == token).expect("a row");
        assert_eq!(numbers(row), sent.told(), "{name}");
        let addresses = ADDRESSES.iter().filter(|address| network(address) == *name).count();
        assert_eq!(row["addresses"], if name.is_empty() { Value::Null } else { json!(addresses) }, "{name}");
    }

    // By autonomous system and by country.
    for (key, of) in [
        ("asn", by(&all, |address| json!(home(address).map_or(0, |home| home.asn)).to_string())),
        ("country", by(&all, |address| json!(home(address).map_or("", |home| home.country)).to_string())),
    ] {
        let answer = asker.ask(key, json!({}));
        answers.push(answer.to_string());
        let found: BTreeMap<String, Value> = answer["results"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| (row[key].to_string(), numbers(row)))
            .collect();
        let expected: BTreeMap<String, Value> =
            of.into_iter().map(|(name, sent)| (name, sent.told())).collect();
        assert_eq!(found, expected);
    }

    // Filters: a network's addresses, an address's hours, a country's networks.
    let quad9 = asker.rows("address", json!({ "network": networks["9.9.9"] }));
    let named: BTreeSet<String> = quad9.iter().map(|row| row["address"].to_string()).collect();
    assert_eq!(named, BTreeSet::from(["9.9.9.9", "9.9.9.10"].map(|address| tokens[address].to_string())));
    for by in ["time:hour", "time:day"] {
        for (address, token) in &tokens {
            let answer = asker.ask(by, json!({ "address": token }));
            let rows = answer["results"].as_array().expect("rows");
            let hits: u64 = rows.iter().filter_map(|row| row["hits"].as_u64()).sum();
            assert_eq!(hits, all[&**address].hits, "{by} {address}");
            assert_eq!(numbers(&answer["totals"]), all[&**address].told(), "{by} {address}");
            let format = if by == "time:day" { 10 } else { 19 };
            assert!(rows.iter().all(|row| row["time"].as_str().is_some_and(|time| time.len() == format)));
        }
    }
    let german = asker.ask("network", json!({ "country": "DE", "asn": LOW.asn }));
    let of_germany: BTreeSet<&str> = ADDRESSES
        .into_iter()
        .filter(|address| home(address).is_some_and(|home| home.country == "DE"))
        .collect();
    let mut expected = Sent::default();
    of_germany.iter().for_each(|address| expected.add(&all[address]));
    assert_eq!(numbers(&german["totals"]), expected.told());

    // Pages never overlap.
    let pages: Vec<Value> = (0..all.len())
        .flat_map(|offset| asker.rows("address", json!({ "limit": 1, "offset": offset })))
        .collect();
    assert_eq!(pages, asker.rows("address", json!({})));
    assert!(asker.rows("address", json!({ "offset": all.len() })).is_empty());

    // Another site has none of this.
    let other = Asker::new(&server, "security", Some("other"));
    let question = json!({ "site_id": "other", "purpose": "security", "date_range": "day", "by": "address", "address": tokens["9.9.9.9"] });
    assert_eq!(other.done("/api/v1/addresses", &question)["results"], json!([]));

    let log = server.log.lock().expect("free").clone();
    let data = place.data();
    assert_eq!(server.terminate().0, Some(0));
    let mut files = Vec::new();
    files_below(&data, &mut files);
    assert!(files.len() > 10);
    for address in ADDRESSES {
        assert!(answers.iter().all(|answer| !answer.contains(&format!("\"{address}"))), "{address}");
        assert!(!log.contains(address), "{address}");
        let parsed: std::net::IpAddr = address.parse().expect("an address");
        let bytes = match parsed {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        for (path, contents) in &files {
            assert!(!contains(contents, address.as_bytes()), "{address} in {}", path.display());
            assert!(!contains(contents, &bytes), "{address} as bytes in {}", path.display());
        }
    }
    println!(
        "{} hits and {refused} refusals of {} addresses, counted six ways; {} files",
        total.hits,
        ADDRESSES.len(),
        files.len()
    );
}
