//! More addresses than are brought together: what is outside is counted and said.

use metka::addresses::{MAX_FORMS, MAX_LIMIT};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::{Asker, execute, place, stored};

#[test]
fn hits_of_addresses_beyond_the_bound_are_in_the_totals_and_said() {
    /// Of one hit each; and the one that was really sent is of five.
    const OTHERS: u64 = MAX_FORMS as u64 + 2500;
    const SENT: u64 = 5;
    let place = place();
    let server = place.serve();
    let mut one = Browser::new("8.8.8.8");
    for _ in 0..SENT {
        one.view(&server, "clinic", "/");
    }
    stored(&server, SENT, 0);
    // Under the month's key any sixteen bytes are an address.
    execute(
        &server,
        &format!(
            "INSERT INTO metka.hits SELECT h.* REPLACE (concat(reinterpretAsFixedString(cityHash64(n.number)), \
             reinterpretAsFixedString(cityHash64(n.number, 1))) AS ip, cityHash64(n.number, 2) AS visitor, \
             toUInt64(0) AS minted, n.number + 1000000 AS batch) \
             FROM (SELECT * FROM metka.hits LIMIT 1) AS h CROSS JOIN (SELECT number FROM numbers({OTHERS})) AS n"
        ),
    );
    stored(&server, SENT + OTHERS, 0);
    let asker = Asker::new(&server, "security", None);
    for by in ["address", "network"] {
        let answer = asker.ask(by, json!({ "date_range": "all" }));
        assert_eq!(answer["totals"]["hits"], SENT + OTHERS, "{by}");
        assert_eq!(answer["totals"]["visitors"], 1 + OTHERS, "{by}");
        assert_eq!(answer["total_rows"], MAX_FORMS, "{by}");
        assert_eq!(answer["results"][0]["hits"], SENT, "the busiest is there");
        let outside = OTHERS + 1 - MAX_FORMS as u64;
        let said = format!(
            "the {MAX_FORMS} addresses that come first are told apart: {outside} hits and 0 refusals"
        );
        assert!(
            answer["notes"][0].as_str().is_some_and(|note| note.starts_with(&said)),
            "{}",
            answer["notes"]
        );
        let page = |offset: u64| asker.rows(by, json!({ "limit": MAX_LIMIT, "offset": offset }));
        let rows: Vec<Value> =
            (0..MAX_FORMS as u64 / MAX_LIMIT).flat_map(|at| page(at * MAX_LIMIT)).collect();
        let hits: u64 = rows.iter().filter_map(|row| row["hits"].as_u64()).sum();
        assert_eq!((rows.len(), hits + outside), (MAX_FORMS, SENT + OTHERS), "{by}");
        assert!(page(MAX_FORMS as u64).is_empty());
    }
    // What is not about single addresses has no such bound.
    let answer = asker.ask("time:day", json!({ "date_range": "all" }));
    let hits: u64 =
        answer["results"].as_array().expect("rows").iter().filter_map(|row| row["hits"].as_u64()).sum();
    assert_eq!((hits, &answer["notes"]), (SENT + OTHERS, &json!([])));
    assert_eq!(server.terminate().0, Some(0));
}
