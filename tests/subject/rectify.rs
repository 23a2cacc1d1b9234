//! Rectified: another value, and the old one nowhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::place::Place;
use crate::server::{Server, wait_for};
use crate::{ADDRESS, Browser, PURPOSE, count, http, numbers, others, place_with, stored, traces};

/// A text that only the old values hold: it is looked for in every file and column.
const CANARY: &str = "canary-5e17ab";

/// Every field that may be rectified, what it gets, and whether a hit can bring the old value.
const FIELDS: &[(&str, &str, bool)] = &[
    ("title", "Right title", true),
    ("query", "", true),
    ("referrer_host", "right.example", true),
    ("referrer_path", "/right", true),
    ("source", "Right source", true),
    ("channel", "mail", false),
    ("utm_source", "right-source", true),
    ("utm_medium", "right-medium", true),
    ("utm_campaign", "right-campaign", true),
    ("utm_content", "right-content", true),
    ("utm_term", "right-term", true),
    ("country", "RU", false),
    ("city", "Тверь", false),
    ("network", "Right network", false),
    ("device", "tablet", false),
    ("props.doctor", "Right doctor", true),
    ("props.branch", "", true),
    ("user_key", "", false),
];

fn here() -> Place {
    place_with("hosts = [\"clinic.example\"]", "hosts = [\"clinic.example\"]\nquery_parameters = [\"q\"]")
}

fn rectify(place: &Place, browser: &Browser, field: &str, value: &str) -> Value {
    let arguments = ["subject", "rectify", "--site", "clinic", "--purpose", PURPOSE, "--field", field];
    place.done(&[&arguments[..], &["--value", "-", "--cookie", "-"]].concat(), &lines(browser, value))
}

/// The person's line, and the value's.
fn lines(browser: &Browser, value: &str) -> String {
    format!("{}\n{value}\n", browser.value())
}

/// A hit whose every field holds what is to go.
fn event(server: &Server, browser: &mut Browser, page: &str) {
    let word = CANARY;
    let campaign: String = ["source", "medium", "campaign", "content", "term"]
        .map(|name| format!("&utm_{name}={word}-{name}"))
        .concat();
    let hit = json!({
        "s": "clinic", "k": "event", "n": "booked", "t": format!("{word} title"),
        "u": format!("https://clinic.example{page}?q={word}{campaign}"),
        "r": format!("https://{word}.example/{word}"),
        "p": {"doctor": format!("{word} doctor"), "branch": format!("{word} branch"), "kept": "as it was"},
    });
    let headers = [("Cookie", browser.cookie.as_str()), ("X-Forwarded-For", ADDRESS)];
    let reply = http::exchange(server.collect, &http::event(&hit.to_string(), &headers));
    assert_eq!(reply.status, 202, "{}", reply.json());
    if let Some(cookie) = reply.cookie("metka") {
        browser.cookie = cookie;
    }
}

#[test]
fn what_was_wrong_is_right_in_every_column_and_nowhere_else() {
    let place = here();
    let server = place.serve();
    let (mut anna, mut boris) = (Browser::of("anna-key-1", ADDRESS), Browser::new("198.51.100.20"));
    let rows = 6;
    anna.view(&server, "clinic", "/anna/0");
    for page in 1..rows {
        event(&server, &mut anna, &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
    }
    stored(&server, "clinic", 2 * rows - 1);
    let (files, found) = traces(&place, &server, CANARY);
    assert!(!files.is_empty() && found == rows - 1, "{files:?}, {found}");
    let kept = others(&server, "/anna/");
    let before = numbers(&server, "other");
    let mine = "path LIKE '/anna/%'";
    for (field, value, brought) in FIELDS {
        let column =
            field.strip_prefix("props.").map_or((*field).to_owned(), |name| format!("props['{name}']"));
        // What geo data would have brought is put there first.
        if !*brought && matches!(*field, "city" | "network") {
            assert_eq!(rectify(&place, &anna, field, CANARY)["changed"], rows, "{field}");
        }
        // A property is put right where it is, and added nowhere.
        let differs = match (field.strip_prefix("props."), value.is_empty()) {
            (Some(name), true) => format!("mapContains(props, '{name}')"),
            (Some(name), false) => format!("mapContains(props, '{name}') AND {column} != '{value}'"),
            _ if *field == "user_key" => "user_key != 0".to_owned(),
            _ => format!("{column} != '{value}'"),
        };
        let expected = count(&server, &format!("{mine} AND {differs}"));
        assert!(expected > 0, "{field} has something to put right");
        let done = rectify(&place, &anna, field, value);
        assert_eq!((&done["changed"], &done["rows"]), (&json!(expected), &json!(rows)), "{field}: {done}");
        assert_eq!(count(&server, &format!("{mine} AND {differs}")), 0, "{field}");
        assert_eq!(rectify(&place, &anna, field, value)["changed"], 0, "{field}: twice is once");
    }
    assert_eq!(count(&server, &format!("{mine} AND props['kept'] = 'as it was'")), rows - 1);
    assert_eq!(count(&server, &format!("{mine} AND mapContains(props, 'branch')")), 0);
    assert_eq!(traces(&place, &server, CANARY), (Vec::new(), 0), "the old values are nowhere");
    assert_eq!(others(&server, "/anna/"), kept, "nobody else has changed");
    assert_eq!(numbers(&server, "other"), before);
    assert_eq!(server.rows("SELECT count() FROM metka.corrections")[0][0], 0);

    // Not one column of the table's order, and no hash, time or term.
    let keyed = server.rows(
        "SELECT name FROM system.columns WHERE database = 'metka' AND table = 'hits' \
         AND (is_in_sorting_key OR is_in_partition_key)",
    );
    let mut refused: BTreeSet<&str> = keyed.iter().map(|row| row[0].as_str().expect("a name")).collect();
    refused.extend([
        "visitor",
        "minted",
        "before",
        "time",
        "keep_days",
        "hold",
        "ip",
        "consent",
        "batch",
        "nothing",
    ]);
    for column in &refused {
        let arguments = ["subject", "rectify", "--site", "clinic", "--purpose", PURPOSE, "--field", column];
        let arguments = [&arguments[..], &["--value", "", "--cookie", "-"]].concat();
        place.refused(&arguments, anna.value(), 2);
    }

    // The trail says which field, and nobody's value.
    let trail = place.done(&["audit", "list", "--action", "subject_rectified"], "");
    let entries = trail["entries"].as_array().expect("entries");
    assert_eq!(entries.len(), 2 * FIELDS.len() + 2, "a refused one leaves none");
    for (field, value, _) in FIELDS {
        assert!(trail.to_string().contains(&format!("by cookie, {field}")), "{field}");
        assert!(value.len() < 3 || !trail.to_string().contains(value), "{value}");
    }
    println!(
        "{} fields rectified, old values in no file; {} others unchanged; {} columns refused",
        FIELDS.len(),
        kept.len(),
        refused.len()
    );
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn only_the_rows_of_a_time_are_rectified_and_the_request_says_so() {
    let place = here();
    let server = place.serve();
    let mut anna = Browser::new(ADDRESS);
    anna.view(&server, "clinic", "/anna/0");
    event(&server, &mut anna, "/anna/1");
    stored(&server, "clinic", 2);
    let between = wait_for("a later millisecond", || {
        let last = server.rows("SELECT toUnixTimestamp64Milli(max(time)) FROM metka.hits")[0][0].as_i64();
        let now = jiff::Timestamp::now();
        (Some(now.as_millisecond()) > last).then_some(now)
    });
    wait_for("a later one still", || (jiff::Timestamp::now() > between).then_some(()));
    event(&server, &mut anna, "/anna/2");
    let request = ["subject", "request", "--site", "clinic", "--kind", "rectify", "--cookie", "-"];
    let number = place.done(&request, anna.value())["number"].as_str().expect("a number").to_owned();
    // The request alone says who is meant; what still waits is taken along.
    let arguments = ["subject", "rectify", "--site", "clinic", "--request", &number, "--field", "title"];
    let after = between.to_string();
    let time = ["--value", "Secret title", "--from", &after, "--purpose", "the title is Secret title"];
    let done = place.done(&[&arguments[..], &time[..]].concat(), "");
    assert_eq!((&done["changed"], &done["rows"]), (&json!(1), &json!(3)), "{done}");
    let titles = server.rows("SELECT title FROM metka.hits WHERE kind = 'event' ORDER BY time");
    assert_eq!(titles, [[json!(format!("{CANARY} title"))], [json!("Secret title")]]);
    let history = place.done(&["subject", "show", &number], "")["history"].to_string();
    assert!(history.contains("title rectified: 1 rows changed") && !history.contains("Secret"), "{history}");
    let trail = place.done(&["audit", "list", "--action", "subject_rectified"], "").to_string();
    assert!(trail.contains("the title is [removed]") && trail.contains(&number), "{trail}");
    let help = place.run(&["subject", "rectify", "--help"], "");
    assert!(String::from_utf8_lossy(&help.stdout).contains("props.NAME"));
    // Of another site, and of nobody.
    let elsewhere = ["subject", "rectify", "--site", "other", "--request", &number, "--field", "title"];
    let error = place.refused(&[&elsewhere[..], &["--value", "x", "--purpose", PURPOSE]].concat(), "", 2);
    assert!(error.contains("is about the site"), "{error}");
    let unknown = ["subject", "request", "--site", "clinic", "--kind", "rectify"];
    let nobody = place.done(&unknown, "")["number"].as_str().expect("a number").to_owned();
    let arguments = ["subject", "find", "--site", "clinic", "--request", &nobody, "--purpose", PURPOSE];
    let error = place.refused(&arguments, "", 2);
    assert!(error.contains("identified by other means"), "{error}");
    let arguments = ["subject", "find", "--site", "clinic", "--request", &number, "--purpose", PURPOSE];
    assert_eq!(place.done(&arguments, "")["rows"], 3);
    assert_eq!(server.terminate().0, Some(0));
}

/// The server is killed at some moment of a correction: asked for again it is done, and the value
/// lies in no table that is only on its way.
#[test]
fn a_correction_that_was_cut_short_can_be_asked_for_again() {
    let kills = if std::env::var_os("METKA_SOAK").is_some() { 15 } else { 3 };
    let place = here();
    let (mut unfinished, mut went_on) = (0, 0);
    let mutations = |place: &Place| {
        let is_mutation = |path: &&PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mutation_"))
        };
        paths_below(&place.data().join("engine")).iter().filter(is_mutation).count()
    };
    for kill in 0..kills {
        let server = place.serve();
        let mut anna = Browser::new(ADDRESS);
        let path = format!("/anna{kill}/");
        let before = count(&server, "site = 'clinic'");
        anna.view(&server, "clinic", &format!("{path}0"));
        for page in 1..10 {
            event(&server, &mut anna, &format!("{path}{page}"));
        }
        stored(&server, "clinic", before + 10);
        let (mutated, trail) = (mutations(&place), trail_bytes(&place));
        let segments = || std::fs::read_dir(place.data().join("spool/00")).map_or(0, Iterator::count);
        let at_first = segments();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["subject", "rectify", "--site", "clinic", "--purpose", PURPOSE, "--cookie", anna.value()])
            .args(["--field", "title", "--value", "Right title", "--json", "--config", "metka.toml"])
            .current_dir(place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut ended = || command.try_wait().expect("a child of ours").is_some();
        match kill % 3 {
            0 => wait_for("the entry", || (trail_bytes(&place) != trail || ended()).then_some(())),
            1 => wait_for("the segments to be closed", || (segments() != at_first || ended()).then_some(())),
            _ => wait_for("the mutation", || (mutations(&place) > mutated || ended()).then_some(())),
        }
        unfinished += usize::from(!ended());
        server.kill();
        let _ = command.kill();
        command.wait().expect("it ends");
        let server = place.serve();
        let old = format!("path LIKE '{path}%' AND title != 'Right title'");
        wait_for("the value to be on its way no longer", || {
            (server.rows("SELECT count() FROM metka.corrections")[0][0] == 0).then_some(())
        });
        let left = count(&server, &old);
        assert!(left == 0 || left == 10, "kill {kill}: all or nothing, and {left} rows are left");
        went_on += usize::from(left == 0);
        assert_eq!(rectify(&place, &anna, "title", "Right title")["changed"], left, "kill {kill}");
        assert_eq!(count(&server, &old), 0, "kill {kill}");
        assert_eq!(traces(&place, &server, &format!("{CANARY} title")), (Vec::new(), 0), "kill {kill}");
        assert_eq!(server.terminate().0, Some(0));
    }
    println!(
        "{kills} kills during corrections, {unfinished} before the end; {went_on} were done, the others repeated"
    );
    assert!(unfinished > 0, "the kills came too late to tell anything");
}

fn trail_bytes(place: &Place) -> u64 {
    let files = paths_below(&place.data().join("audit"));
    files.iter().filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum()
}

/// Every file below a directory in which others come and go meanwhile.
fn paths_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = |path: PathBuf| if path.is_dir() { paths_below(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}
