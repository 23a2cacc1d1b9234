//! The table of the policy: what it shows is what is there.

use std::process::Command;

use serde_json::Value;

use crate::server::Server;
use crate::{Asker, CONFIG, Place, stored, text, visitor};

/// One line of evidence, by its English words.
fn line<'a>(report: &'a Value, clause: &str, english: &str) -> &'a Value {
    let clauses = report["clauses"].as_array().expect("clauses");
    let clause = clauses.iter().find(|one| one["clause"] == clause).expect("the clause");
    let lines = clause["evidence"].as_array().expect("lines");
    lines.iter().find(|one| one["en"] == english).unwrap_or_else(|| panic!("{english} in {clause}"))
}

fn seen(report: &Value, clause: &str, english: &str) -> (String, String) {
    let line = line(report, clause, english);
    let part = |name: &str| line[name].as_str().expect("a text").to_owned();
    (part("value"), part("state"))
}

fn execute(server: &Server, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(server.storage().execute(sql, &[])).expect("the statement runs");
}

#[test]
fn the_table_shows_what_is_there_and_what_is_not_as_promised() {
    let place = Place::with(CONFIG);
    let server = place.serve();
    let mut browser = visitor(&server, "clinic", "/");
    browser.view(&server, "clinic", "/prices");
    stored(&server, "clinic", 2);
    server.command(&["retention", "run"]);
    server.command(&["backup"]);
    let officer = Asker::new(&server, "officer", None);
    let ask = || officer.seen("/api/v1/policy?site_id=clinic");
    let report = ask();
    assert_eq!(
        (report["version"].as_str(), report["state"].as_str()),
        (Some("2024-04-01"), Some("green")),
        "{report}"
    );
    let check = |report: &Value, clause: &str, english: &str, value: &str, state: &str| {
        assert_eq!(seen(report, clause, english), (value.to_owned(), state.to_owned()), "{clause} {english}");
    };
    let (denied, bare) = ("rows beyond a count after a no", "addresses stored without encryption");
    let (foreign, late) = ("hits from other hosts in an hour", "raw: past the term by more than a day");
    check(&report, "2.1, 2.2", denied, "0", "green");
    check(&report, "1.1.6, 1.1.7", bare, "0", "green");
    check(&report, "2.3", foreign, "0", "green");
    check(&report, "5.1", late, "0", "green");
    check(&report, "9.1, 9.2", "of them under the version in force", "2", "none");
    check(&report, "6.2.1", "of them without a purpose", "0", "green");
    assert_eq!(seen(&report, "5.5, 6.2.3", "the last verified backup").1, "green");

    // The engine would end what is late before it can be seen.
    execute(&server, "SYSTEM STOP TTL MERGES metka.hits");
    // Each line is put out of order by what it is about, and by nothing else.
    let copy = |what: &str| {
        format!(
            "INSERT INTO metka.hits SELECT * REPLACE ({what}) FROM metka.hits WHERE site = 'clinic' ORDER BY time LIMIT 1"
        )
    };
    for (sql, clause, english) in [
        (copy("'denied' AS consent, 'cookie' AS identity, 7001 AS visitor"), "2.1, 2.2", denied),
        (copy("toFixedString('7002', 16) AS ip, 0 AS ip_key, 7002 AS visitor"), "1.1.6, 1.1.7", bare),
        (copy("'evil.example' AS host, 7003 AS visitor"), "2.3", foreign),
        (copy("now64(3, 'UTC') - toIntervalDay(8) AS time, 6 AS keep_days, 7004 AS visitor"), "5.1", late),
    ] {
        let before = ask();
        execute(&server, &sql);
        let after = ask();
        check(&after, clause, english, "1", "red");
        assert_eq!(after["state"], "red");
        for one in before["clauses"].as_array().into_iter().flatten().filter(|one| one["clause"] != clause) {
            let name = one["clause"].as_str().expect("a name");
            let same =
                after["clauses"].as_array().into_iter().flatten().find(|other| other["clause"] == name);
            assert_eq!(one["state"], same.expect("it is there")["state"], "{name} after {sql}");
        }
        execute(&server, "ALTER TABLE metka.hits DELETE WHERE visitor BETWEEN 7001 AND 7004");
    }
    assert_eq!(ask()["state"], "green");

    let other = officer.seen("/api/v1/policy?site_id=other");
    assert_eq!(seen(&other, "9.3, 9.4", "the contact is given"), ("-".to_owned(), "red".to_owned()));
    for (language, word) in [("ru", "Исполнение политики"), ("en", "How the privacy policy")]
    {
        let page = officer.get(&format!("/api/v1/policy?site_id=clinic&format=html&language={language}"));
        assert!(text(&page).contains(word), "{}", text(&page));
        assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("'sha256-")));
    }

    // The command says the same beside the server and without one, and can be a check.
    let states = |report: &Value| -> Vec<Value> {
        report["clauses"].as_array().into_iter().flatten().map(|clause| clause["state"].clone()).collect()
    };
    let expected = states(&ask());
    let command = |arguments: &[&str]| {
        let all = [&["policy", "--config", "metka.toml", "--json"], arguments].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_metka")).args(all).current_dir(place.path()).output();
        output.expect("the binary runs")
    };
    let beside = server.command(&["policy", "--site", "clinic"]);
    assert_eq!(states(&beside["policy"][0]), expected);
    assert_eq!(server.command(&["policy"])["policy"].as_array().map(Vec::len), Some(2));
    assert_eq!(command(&["--check", "--site", "clinic"]).status.code(), Some(0));
    assert_eq!(command(&["--check"]).status.code(), Some(1), "the other site has no contact");
    assert_eq!(command(&["--site", "nobody"]).status.code(), Some(2));
    server.command(&["policy", "--site", "clinic", "--language", "ru", "--html", "policy.html"]);
    let page = std::fs::read_to_string(place.path().join("policy.html")).expect("written");
    assert!(page.contains("Исполнение политики"));
    assert_eq!(server.terminate().0, Some(0));
    let offline: Value = serde_json::from_slice(&command(&["--site", "clinic"]).stdout).expect("JSON");
    assert_eq!(states(&offline["policy"][0]), expected);
}

/// A site that collects as little as can be stored.
#[test]
fn a_row_holds_what_is_not_collected_only_if_it_does() {
    const BARE: &str = "[collect]\nthreads = 1\n[ship]\ninterval = \"1s\"\n\
        [[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\nfields = []\n";
    let place = Place::with(BARE);
    let server = place.serve();
    visitor(&server, "clinic", "/");
    stored(&server, "clinic", 1);
    let officer = Asker::new(&server, "officer", None);
    let told = || {
        let report = officer.seen("/api/v1/policy?site_id=clinic");
        seen(&report, "3.3", "rows of an hour with what is not collected")
    };
    assert_eq!(told(), ("0".to_owned(), "green".to_owned()));
    for (number, held) in [
        "'x' AS title",
        "'m' AS screen",
        "50 AS scroll",
        "0 AS scroll",
        "1 AS engaged_ms",
        "map('a', 'b') AS props",
        "'Europe/Moscow' AS timezone",
        "'error' AS kind",
    ]
    .into_iter()
    .enumerate()
    {
        execute(
            &server,
            &format!(
                "INSERT INTO metka.hits SELECT * REPLACE ({held}, toUInt64(0) AS batch) \
                 FROM (SELECT * FROM metka.hits WHERE kind = 'pageview' AND batch != 0)"
            ),
        );
        assert_eq!(told(), ((number + 1).to_string(), "red".to_owned()), "{held}");
    }
}
