//! Marked hits: answered and stored, in no number, and shown on request.

use std::collections::BTreeMap;

use serde_json::json;

use crate::http::{event, exchange};
use crate::server::Server;
use crate::{CHROME, ask, configured, networks, view};

const HINTS: (&str, &str) = ("Sec-CH-UA", "\"Google Chrome\";v=\"131\", \"Chromium\";v=\"131\"");
const OTHER_HINTS: (&str, &str) = ("Sec-CH-UA", "\"Google Chrome\";v=\"133\", \"Chromium\";v=\"133\"");
const HEADLESS: (&str, &str) = ("Sec-CH-UA", "\"HeadlessChrome\";v=\"131\", \"Chromium\";v=\"131\"");
const GOOGLEBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

fn started(datacentres: &str) -> (tempfile::TempDir, Server) {
    let dir = configured(
        "",
        &format!(
            "[geo]\nfiles = [\"networks.mmdb\"]\n[enrich]\ncontradictions = \"mark\"\nreferrer_spam = [\"spam.example\"]\n{datacentres}"
        ),
    );
    std::fs::write(dir.path().join("networks.mmdb"), networks::database(24940)).expect("written");
    let server = Server::start(dir.path(), &[]);
    (dir, server)
}

#[test]
fn marked_hits_are_in_the_table_and_out_of_the_numbers_until_they_are_asked_for() {
    let (_dir, server) = started("datacentres = \"mark\"");
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for (mark, address, parameters, headers) in [
        ("", "192.0.2.1", "", vec![]),
        ("", "192.0.2.2", "&r=https%3A%2F%2Fyandex.ru%2F", vec![HINTS]),
        ("", "192.0.2.3", "", vec![HINTS]),
        ("crawler", "192.0.2.4", "", vec![("User-Agent", GOOGLEBOT)]),
        ("library", "192.0.2.5", "", vec![("User-Agent", "curl/8.5.0")]),
        ("headless", "192.0.2.6", "", vec![HEADLESS]),
        ("contradiction", "192.0.2.7", "", vec![OTHER_HINTS]),
        ("referrer-spam", "192.0.2.8", "&r=https%3A%2F%2Fbuy.spam.example%2F", vec![HINTS]),
        ("referrer-spam", "192.0.2.9", "&r=https%3A%2F%2Fwww.semalt.com%2F", vec![]),
        // The one network of the database begins at 0.0.0.0; addresses for documentation have no place.
        ("datacentre", "8.8.8.8", "", vec![HINTS]),
    ] {
        let mut all = headers.clone();
        if !all.iter().any(|(name, _)| *name == "User-Agent") {
            all.push(("User-Agent", CHROME));
        }
        let reply = view(&server, address, parameters, &all);
        assert_eq!((reply.status, reply.header("x-metka")), (200, Some("ok")), "{mark} {address}");
        assert_eq!(
            reply.cookie("metka").is_some(),
            mark.is_empty(),
            "a marked hit is offered no cookie: {mark}"
        );
        *sent.entry(mark).or_default() += 1;
    }
    for (mark, address, said) in [
        ("impossible", "192.0.2.10", json!({"k": "pageview", "z": "<b>"})),
        ("impossible", "192.0.2.11", json!({"k": "engagement", "d": 1e12})),
        ("", "192.0.2.12", json!({"k": "pageview", "z": "Europe/Moscow", "d": 5000})),
    ] {
        let mut body = said.clone();
        body["s"] = json!("clinic");
        body["u"] = json!("https://clinic.example/");
        let headers = [("X-Forwarded-For", address), ("User-Agent", CHROME)];
        assert_eq!(exchange(server.collect, &event(&body.to_string(), &headers)).status, 202, "{said}");
        *sent.entry(mark).or_default() += 1;
    }
    let total: u64 = sent.values().sum();
    assert_eq!(server.settled("clinic")["stored"], total);
    let stored: BTreeMap<String, u64> = server
        .rows("SELECT toString(bot), count() FROM metka.hits GROUP BY 1")
        .into_iter()
        .map(|row| (row[0].as_str().expect("a text").to_owned(), row[1].as_u64().expect("a number")))
        .collect();
    assert_eq!(stored, sent.iter().map(|(mark, count)| ((*mark).to_owned(), *count)).collect());
    println!("{total} hits by mark: {stored:?}");

    let (metrics, people) = (json!(["visitors", "pageviews"]), sent[""]);
    assert_eq!(ask(&server, metrics.clone(), json!([]), false), [(json!([]), json!([people, people]))]);
    // One of the marked hits is no page view.
    let all = total - 1;
    assert_eq!(ask(&server, metrics.clone(), json!([]), true), [(json!([]), json!([all, all]))]);
    let by_mark: BTreeMap<String, u64> = ask(&server, json!(["pageviews"]), json!(["event:mark"]), true)
        .into_iter()
        .map(|(mark, views)| {
            (mark[0].as_str().expect("a text").to_owned(), views[0].as_u64().expect("a number"))
        })
        .collect();
    let mut expected = stored.clone();
    let people = expected.remove("").expect("people");
    expected.insert("(none)".to_owned(), people);
    *expected.get_mut("impossible").expect("two") -= 1;
    assert_eq!(by_mark, expected);
    let without = ask(&server, json!(["pageviews"]), json!(["event:mark"]), false);
    assert_eq!(without, [(json!(["(none)"]), json!([people]))]);
}

#[test]
fn rented_servers_count_unless_they_are_to_be_marked() {
    let (_dir, server) = started("");
    assert!(view(&server, "8.8.8.8", "", &[("User-Agent", CHROME)]).cookie("metka").is_some());
    server.settled("clinic");
    let rows = server.rows("SELECT toString(bot), asn FROM metka.hits");
    assert_eq!(rows, [[json!(""), json!(24940)]]);
}
