//! What is handed out, and what the log says of it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::place::Place;
use crate::{Browser, EVER, entries, nothing_identifies, place, stored};

const ANNA: &str = "203.0.113.77";
const ANNAS_KEY: &str = "anna-key-1";
const FIELDS: [&str; 2] = ["--basis", "договор № 5 с оператором связи, пункт 5.2 политики"];

/// Discloses to a file, and gives the record and the text.
fn disclosed(place: &Place, kind: &str, format: &str, scope: &[&str], input: &str) -> (Value, String) {
    let file = place.path().join("disclosed");
    let mut arguments = vec!["disclose", "--site", "clinic", "--recipient", "ООО «Контроль качества»"];
    arguments.extend(["--recipient-kind", kind, "--format", format, "--out", "disclosed"]);
    arguments.extend(FIELDS);
    arguments.extend(["--purpose", "проверка качества обслуживания"]);
    arguments.extend(scope);
    let answer = place.done(&arguments, input);
    let text = std::fs::read_to_string(&file).expect("it was handed out");
    std::fs::remove_file(&file).expect("removed");
    let record = answer["disclosure"].clone();
    let sha256: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(record["sha256"], sha256, "of the very bytes");
    assert_eq!(
        (record["recipient_kind"].as_str(), record["format"].as_str(), record["site"].as_str()),
        (Some(kind), Some(format), Some("clinic"))
    );
    assert_eq!(place.done(&["disclose", "show", record["number"].as_str().expect("a number")], ""), record);
    (record, text)
}

fn range(fields: &str) -> Vec<&str> {
    vec!["--range-from", EVER[0], "--range-to", EVER[1], "--fields", fields]
}

/// The disclosures that a person's own copy tells of: number, and whether only possibly.
fn told(place: &Place, site: &str, browser: &Browser) -> Vec<(String, bool)> {
    let arguments = ["subject", "export", "--site", site, "--purpose", "a copy", "--cookie", "-"];
    let copy = place.done(&arguments, browser.value());
    let all = copy["disclosures"].as_array().expect("disclosures").iter();
    all.map(|one| {
        assert_eq!(one["recipient"], "ООО «Контроль качества»", "{one}");
        (one["number"].as_str().expect("a number").to_owned(), one["possibly"].as_bool().expect("said"))
    })
    .collect()
}

#[test]
fn a_person_and_a_range_are_disclosed_with_a_record_and_without_the_blocked() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ANNA);
    let mut boris = Browser::new("198.51.100.20");
    let mut clara = Browser::new("198.51.100.21");
    for page in 0..4 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}"));
        clara.view(&server, "clinic", &format!("/clara/{page}"));
    }
    anna.view(&server, "other", "/anna-elsewhere");
    stored(&server, "clinic", 12);
    let purpose = ["--site", "clinic", "--purpose", "a check", "--cookie", "-"];
    place.done(&[&["subject", "block"], &purpose[..]].concat(), clara.value());

    // A person: what tells who they are stays here, unless a court asks.
    let (record, text) = disclosed(&place, "quality", "json", &["--user", "-"], ANNAS_KEY);
    let copy: Value = serde_json::from_str(&text).expect("JSON");
    let rows = copy["rows"].as_array().expect("rows");
    assert_eq!(
        (record["number"].as_str(), rows.len()),
        (Some(&*format!("D-{}-0001", year())), 4),
        "{record}"
    );
    assert_eq!((record["rows"].as_u64(), record["visitors"].as_u64()), (Some(4), Some(1)));
    let told_fields: Vec<&str> = copy["fields"].as_array().expect("fields").iter().map(name).collect();
    assert_eq!(json!(told_fields), record["fields"]);
    for row in rows {
        assert!(row["path"].as_str().expect("a path").starts_with("/anna/"), "{row}");
        assert_eq!(row.as_object().expect("an object").len(), told_fields.len());
    }
    for identifying in ["visitor", "minted", "before", "user_key", "ip", "batch", "row", "ip_key"] {
        assert!(!told_fields.contains(&identifying), "{identifying}");
    }
    let subjects = record["scope"]["person"]["subjects"].as_array().expect("subjects");
    assert_eq!(subjects.len(), 2, "the key and its browser: {record}");
    assert!(!text.contains(ANNA));
    let (record, text) = disclosed(&place, "court", "csv", &["--cookie", "-"], anna.value());
    assert!(record["fields"].as_array().expect("fields").contains(&json!("ip")), "{record}");
    assert_eq!(text.lines().filter(|line| line.contains("/anna/") && line.contains(ANNA)).count(), 4);

    // A range: whoever is blocked is not in it, for whomever it is.
    let (record, text) = disclosed(&place, "operator", "csv", &range("path,time"), "");
    assert_eq!((record["rows"].as_u64(), record["visitors"].as_u64()), (Some(8), Some(2)), "{record}");
    assert_eq!(record["fields"], json!(["time", "path"]));
    assert_eq!((text.lines().count(), text.lines().next()), (9, Some("time,path")));
    assert!(text.contains("/anna/0") && text.contains("/boris/3") && !text.contains("/clara"), "{text}");
    let (record, text) = disclosed(&place, "state_body", "json", &range("ip,path"), "");
    assert_eq!((record["rows"].as_u64(), record["visitors"].as_u64()), (Some(8), Some(2)), "{record}");
    assert!(text.contains(ANNA) && !text.contains("/clara"), "{text}");

    // Of a blocked person nothing goes to anybody but a court or a state body.
    let mut arguments =
        vec!["disclose", "--site", "clinic", "--recipient", "x", "--recipient-kind", "processor"];
    arguments.extend(["--purpose", "x", "--basis", "x", "--out", "none", "--cookie", "-"]);
    let refused = place.refused(&arguments, clara.value(), 2);
    assert!(refused.contains("blocked"), "{refused}");
    let (record, text) = disclosed(&place, "court", "csv", &["--cookie", "-"], clara.value());
    assert_eq!((record["rows"].as_u64(), text.matches("/clara/").count()), (Some(4), 4));

    // Each is told of it in their own copy.
    let number = |number: u32| format!("D-{}-{number:04}", year());
    let possibly = [(number(3), true), (number(4), true)];
    assert_eq!(
        told(&place, "clinic", &anna),
        [&[(number(1), false), (number(2), false)], &possibly[..]].concat()
    );
    assert_eq!(told(&place, "clinic", &boris), possibly);
    assert_eq!(told(&place, "clinic", &clara), [&possibly[..], &[(number(5), false)]].concat());
    assert_eq!(told(&place, "other", &anna), []);
    let page = |browser: &Browser, site: &str| {
        let arguments =
            ["subject", "export", "--site", site, "--purpose", "a copy", "--format", "html", "--cookie", "-"];
        place.done(&arguments, browser.value())["text"].as_str().expect("a page").to_owned()
    };
    let told_on_page = page(&anna, "clinic");
    for part in
        ["Кому передавались данные", "ООО «Контроль качества» (court)", "возможно, среди них были ваши"]
    {
        assert!(told_on_page.contains(part), "{part}: {told_on_page}");
    }
    assert!(page(&anna, "other").contains("<p>Никому."));
    // A hit that came after a range was disclosed was not in it.
    let mut dina = Browser::new("198.51.100.22");
    dina.view(&server, "clinic", "/dina");
    assert_eq!(told(&place, "clinic", &dina), []);
    stored(&server, "clinic", 13);

    // Without a server: the same log, the same answer.
    assert_eq!(server.terminate().0, Some(0));
    let request = place.done(&["subject", "request", "--site", "clinic", "--kind", "access"], "");
    let request = request["number"].as_str().expect("a number").to_owned();
    let mut scope = range("path");
    scope.extend(["--request", &request]);
    let (record, text) = disclosed(&place, "operator", "csv", &scope, "");
    assert_eq!(
        (record["number"].as_str(), record["rows"].as_u64()),
        (Some(&*number(6)), Some(9)),
        "{record}"
    );
    assert_eq!(record["request"], request);
    assert!(text.contains("/dina") && !text.contains("/clara"));
    let history = place.done(&["subject", "show", &request], "")["history"].to_string();
    assert!(history.contains(&format!("disclosed as {}: 9 rows", number(6))), "{history}");

    let listed =
        |arguments: &[&str]| place.done(arguments, "")["disclosures"].as_array().expect("a list").len();
    assert_eq!(listed(&["disclose", "list", "--site", "clinic"]), 6);
    assert_eq!(listed(&["disclose", "list", "--site", "other"]), 0);
    assert_eq!(entries(&place, "disclosed"), 6, "an entry before each, and none of what was refused");
    let files = nothing_identifies(&place, &[anna.value(), ANNAS_KEY, ANNA, clara.value()]);
    println!("6 disclosures, over a server and without one; {files} files without what identifies anybody");
}

#[test]
fn what_is_not_to_leave_is_refused_and_leaves_no_record() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(ANNAS_KEY, ANNA);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    std::fs::write(place.path().join("there"), "mine").expect("written");
    let all = [
        ("--site", "clinic"),
        ("--recipient", "ООО «Связь»"),
        ("--recipient-kind", "operator"),
        ("--basis", "a contract"),
        ("--purpose", "quality"),
        ("--range-from", EVER[0]),
        ("--range-to", EVER[1]),
        ("--fields", "path"),
        ("--out", "out"),
    ];
    // Which options are other than these; none: it is not given.
    let check = |changes: &[(&'static str, Option<&str>)], code: i32, expected: &str| {
        let mut arguments = vec!["disclose"];
        for (name, value) in all {
            match changes.iter().find(|(changed, _)| *changed == name) {
                Some((_, Some(value))) => arguments.extend([name, value]),
                Some((_, None)) => {}
                None => arguments.extend([name, value]),
            }
        }
        for (name, value) in changes.iter().filter(|(name, _)| all.iter().all(|(known, _)| known != name)) {
            arguments.extend([Some(*name), *value].into_iter().flatten());
        }
        let error = place.refused(&arguments, "", code);
        assert!(error.contains(expected), "{changes:?}: {error}");
        assert!(!error.contains(ANNAS_KEY), "{error}");
    };
    check(&[("--basis", None)], 2, "--basis");
    check(&[("--recipient", None)], 2, "--recipient");
    check(&[("--purpose", None)], 2, "--purpose");
    check(&[("--recipient-kind", None)], 2, "--recipient-kind");
    check(&[("--out", None)], 2, "--out");
    check(&[("--fields", None)], 2, "--fields");
    check(&[("--basis", Some(" "))], 2, "basis: expected a text");
    check(&[("--recipient", Some(""))], 2, "recipient: expected a text");
    check(&[("--purpose", Some("\u{7}"))], 2, "purpose: expected a text");
    check(&[("--recipient-kind", Some("friend"))], 2, "possible values: operator, quality, state_body");
    check(&[("--site", Some("nowhere"))], 2, "no site \"nowhere\" is configured");
    check(&[("--fields", Some("path,password"))], 2, "\"password\" is not a field");
    check(&[("--fields", Some("path,batch"))], 2, "\"batch\" is not a field");
    check(&[("--fields", Some("path,ip"))], 2, "the field ip tells who");
    check(
        &[("--fields", Some("user_key")), ("--recipient-kind", Some("processor"))],
        2,
        "user_key tells who",
    );
    check(
        &[("--range-from", Some("2100-01-01")), ("--range-to", Some("2101-01-01"))],
        2,
        "from is not before to",
    );
    check(&[("--range-from", Some("yesterday"))], 2, "--range-from: expected a moment");
    check(&[("--user", Some(ANNAS_KEY))], 2, "cannot be used with");
    let no_range = [("--range-from", None), ("--range-to", None), ("--fields", None)];
    check(&no_range, 2, "of whom is not said");
    check(&[("--request", Some("2026-9999"))], 2, "there is no request");
    check(&[("--request", Some("that one"))], 2, "expected a request such as");
    check(&[("--out", Some("there"))], 1, "it is there already");
    check(&[("--out", Some("nowhere/out"))], 1, "nowhere/out");
    assert!(!place.data().join("rights/disclosures.json").exists(), "nothing was disclosed");
    assert_eq!(std::fs::read_to_string(place.path().join("there")).expect("there"), "mine");
    for left in ["out", "out.part", "there.part"] {
        assert!(!place.path().join(left).exists(), "{left}");
    }
    assert_eq!(entries(&place, "disclosed"), 0);
    assert!(place.refused(&["disclose", "--site", "clinic", "list"], "", 2).contains("either list or show"));
    assert!(place.refused(&["disclose", "show", "D-2026-0001"], "", 2).contains("there is no disclosure"));
}

#[test]
fn a_damaged_log_is_named_and_nothing_leaves() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::new(ANNA);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    disclosed(&place, "quality", "json", &range("path"), "");
    let log = place.data().join("rights/disclosures.json");
    let text = std::fs::read_to_string(&log).expect("readable");
    for damaged in [
        text[..text.len() / 2].to_owned(),
        text.replace("\"rows\": 1", "\"rows\": -1"),
        text.replace("\"2026\"", "\"2025\"").replace(&format!("\"{}\": 1", year()), "\"1999\": 1"),
        text.replace("D-", "E-"),
    ] {
        assert_ne!(damaged, text);
        std::fs::write(&log, &damaged).expect("written");
        let mut disclose =
            vec!["disclose", "--site", "clinic", "--recipient", "x", "--recipient-kind", "court"];
        disclose.extend(["--basis", "x", "--purpose", "x", "--out", "out"]);
        disclose.extend(range("path"));
        for (arguments, input) in [
            (disclose, ""),
            (vec!["disclose", "list"], ""),
            (vec!["disclose", "show", "D-2026-0001"], ""),
            (
                vec!["subject", "export", "--site", "clinic", "--purpose", "a copy", "--cookie", "-"],
                anna.value(),
            ),
        ] {
            let error = place.refused(&arguments, input, 1);
            assert!(error.contains("disclosures.json: "), "{arguments:?}: {error}");
        }
        assert!(!place.path().join("out").exists() && !place.path().join("out.part").exists());
        assert_eq!(std::fs::read_to_string(&log).expect("readable"), damaged, "it is not written over");
    }
    std::fs::write(&log, &text).expect("written");
    assert_eq!(disclosed(&place, "quality", "json", &range("path"), "").0["rows"], 1);
    assert_eq!(server.terminate().0, Some(0));
}

fn name(field: &Value) -> &str {
    field["name"].as_str().expect("a name")
}

/// The year of numbers that are given now, in the site's time zone.
fn year() -> i16 {
    jiff::Timestamp::now().in_tz("Europe/Moscow").expect("a zone").year()
}
