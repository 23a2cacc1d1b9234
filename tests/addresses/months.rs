//! One address under the keys of two months, and what is left when one of them is destroyed.

use jiff::ToSpan;
use jiff::tz::TimeZone;
use metka::config::{IpStorage, Keys};
use metka::privacy::address::ClientIp;
use metka::privacy::keys::KeyRing;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::{Asker, execute, place, place_with, stored, text};

const ADDRESS: &str = "9.9.9.9";
const NEIGHBOUR: &str = "9.9.9.10";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_address_of_two_months_is_one_row_until_one_of_its_keys_is_destroyed() {
    let place = place();
    // The ring knows last month's key before the server reads it.
    let keys = KeyRing::open(&Keys::in_dir(&place.data().join("keys"))).expect("a key ring");
    let today = jiff::Timestamp::now().to_zoned(TimeZone::UTC).date();
    let before = today.first_of_month().checked_sub(1.day()).expect("a day");
    let month = u32::try_from(i32::from(before.year()) * 12 + i32::from(before.month())).expect("a month");
    let then = |address: &str| {
        keys.protect(&ClientIp::parse(address).expect("an address"), IpStorage::Encrypted, month)
    };
    let (ip, key) = then(ADDRESS);
    assert_ne!(key, 0);
    let server = place.serve();
    let (mut one, mut another) = (Browser::new(ADDRESS), Browser::new(NEIGHBOUR));
    for _ in 0..3 {
        one.view(&server, "clinic", "/");
    }
    another.view(&server, "clinic", "/");
    another.view(&server, "clinic", "/");
    stored(&server, 5, 0);
    // The same was there on the last day of the month before.
    let now_form = server.rows("SELECT hex(ip), count() FROM metka.hits GROUP BY ip ORDER BY 2 DESC LIMIT 1");
    let now_form = now_form[0][0].as_str().expect("hex digits").to_owned();
    execute(
        &server,
        &format!(
            "INSERT INTO metka.hits SELECT * REPLACE (toDateTime64('{before} 12:00:00', 3, 'UTC') AS time, \
             toFixedString(unhex('{}'), 16) AS ip, toUInt32({key}) AS ip_key, batch + 1000000 AS batch) \
             FROM (SELECT * FROM metka.hits WHERE ip = unhex('{now_form}'))",
            hex(&ip)
        ),
    );
    stored(&server, 8, 0);
    let asker = Asker::new(&server, "security", None);
    let from = before.to_string();
    let ask = |by: &str, more: Value| {
        let mut question =
            json!({ "date_range": [from, today.checked_add(1.day()).expect("a day").to_string()] });
        for (key, value) in more.as_object().expect("an object") {
            question[key] = value.clone();
        }
        asker.ask(by, question)
    };
    let answer = ask("address", json!({}));
    let rows = answer["results"].as_array().expect("rows").clone();
    let numbers = |rows: &[Value]| {
        rows.iter().map(|row| (row["hits"].as_u64(), row["visitors"].as_u64())).collect::<Vec<_>>()
    };
    // One browser with a cookie is one visitor in both months.
    assert_eq!(numbers(&rows), [(Some(6), Some(1)), (Some(2), Some(1))], "{answer}");
    assert_eq!(asker.open(&rows[0]["address"]), ADDRESS);
    let days = ask("time:day", json!({ "address": rows[0]["address"] }));
    assert_eq!(numbers(days["results"].as_array().expect("rows")), [(Some(3), Some(1)); 2], "{days}");
    let networks = ask("network", json!({}));
    let networks = networks["results"].as_array().expect("rows");
    assert_eq!(numbers(networks), [(Some(8), Some(2))]);
    assert_eq!(networks[0]["addresses"], 2);
    // All time begins before today, also where it is looked which addresses a network has.
    let ever = asker.ask("address", json!({ "date_range": "all", "network": networks[0]["network"] }));
    assert_eq!(numbers(ever["results"].as_array().expect("rows")), numbers(&rows), "{ever}");
    assert!(ever["date_range"][0].as_str().is_some_and(|first| first.starts_with(&from)), "{ever}");

    // Last month's key goes: what it protected is a row that nobody can read.
    server.command(&["keys", "destroy", "ip", &key.to_string()]);
    let answer = ask("address", json!({}));
    let rows = answer["results"].as_array().expect("rows").clone();
    let destroyed: Vec<&Value> = rows.iter().filter(|row| row["key_destroyed"] == true).collect();
    assert_eq!((rows.len(), destroyed.len(), &destroyed[0]["hits"]), (3, 1, &json!(3)), "{answer}");
    assert_eq!(destroyed[0]["network"], Value::Null);
    assert!(answer["notes"].to_string().contains("1 keys of months are destroyed"), "{answer}");
    let opening = json!({
        "site_id": "clinic", "address": destroyed[0]["address"], "purpose": "claim", "words": "a claim",
    });
    let reply = asker.post("/api/v1/addresses/open", &opening);
    assert_eq!(reply.status, 409, "{}", text(&reply));
    let networks = ask("network", json!({}));
    let rows = networks["results"].as_array().expect("rows");
    assert_eq!(numbers(rows), [(Some(5), Some(2)), (Some(3), Some(1))]);
    assert_eq!((&rows[1]["network"], &rows[1]["key_destroyed"]), (&Value::Null, &json!(true)));
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_site_that_stores_networks_or_nothing_is_told_of() {
    for (how, note, rows) in [("truncated", "stores the /24 or /48", 1), ("none", "stores no addresses", 1)] {
        let place = place_with(
            "hosts = [\"clinic.example\"]",
            &format!("hosts = [\"clinic.example\"]\nip = \"{how}\""),
        );
        let server = place.serve();
        Browser::new(ADDRESS).view(&server, "clinic", "/");
        Browser::new(NEIGHBOUR).view(&server, "clinic", "/");
        stored(&server, 2, 0);
        let asker = Asker::new(&server, "security", None);
        let answer = asker.ask("address", json!({}));
        assert!(answer["notes"].to_string().contains(note), "{answer}");
        let found = answer["results"].as_array().expect("rows");
        assert_eq!((found.len(), &found[0]["hits"]), (rows, &json!(2)), "{answer}");
        match how {
            "none" => assert_eq!(found[0]["address"], Value::Null),
            _ => assert_eq!(asker.open(&found[0]["address"]), "9.9.9.0"),
        }
        // Without addresses there are autonomous systems all the same.
        assert_eq!(asker.rows("asn", json!({}))[0]["asn"], crate::places::LOW.asn);
        assert_eq!(server.terminate().0, Some(0));
    }
}
