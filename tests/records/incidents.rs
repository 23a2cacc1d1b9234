//! Whom an incident is about, what is due, and whom to tell.

use serde_json::{Value, json};

use crate::place::Place;
use crate::{Browser, EVER, entries, nothing_identifies, place, stored};

const ANNA: &str = "203.0.113.77";
const KEYS: [&str; 3] = ["anna-key-1", "boris-key-2", "clara-key-3"];

fn report(place: &Place, site: &str, kind: &str, from: &str, to: &str) -> Value {
    let what = "резервная копия лежала открыто, нашёл boss@clinic.example";
    let mut arguments = vec!["incident", "report", "--site", site, "--kind", kind, "--what", what];
    arguments.extend(["--from", from, "--to", to]);
    place.done(&arguments, "")
}

/// A moment that no hit has, between those before and after.
fn between() -> String {
    let now = jiff::Timestamp::now();
    crate::wait_for("the clock to go on", || {
        (jiff::Timestamp::now().as_millisecond() > now.as_millisecond() + 2).then_some(())
    });
    let moment = jiff::Timestamp::from_millisecond(now.as_millisecond() + 1).expect("a moment");
    moment.to_string()
}

fn numbers(incident: &Value) -> [u64; 5] {
    ["rows", "visitors", "cookies", "user_keys", "addresses"]
        .map(|name| incident["affected"][name].as_u64().expect("a number"))
}

/// The rows of a kind of data.
fn rows_with(incident: &Value, kind: &str) -> u64 {
    let kinds = incident["affected"]["kinds"].as_array().expect("kinds").iter();
    let held: Vec<&Value> = kinds.filter(|one| one["name"] == kind).collect();
    assert_eq!(held.len(), 1, "{kind}");
    held[0]["rows"].as_u64().expect("a number")
}

#[test]
fn an_incident_counts_what_was_sent_and_finds_whom_to_tell() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(KEYS[0], ANNA);
    let mut boris = Browser::of(KEYS[1], "198.51.100.20");
    let mut clara = Browser::of(KEYS[2], "198.51.100.20");
    let mut dina = Browser::new("198.51.100.22");
    // Before: clara. Within: anna, boris and dina. After: clara and dina.
    clara.view(&server, "clinic", "/clara/1");
    let from = between();
    for page in 0..3 {
        anna.view(&server, "clinic", &format!("/anna/{page}"));
        boris.view(&server, "clinic", &format!("/boris/{page}?utm_source=x"));
    }
    dina.view(&server, "clinic", "/dina/1");
    dina.view(&server, "clinic", "/dina/2");
    dina.view(&server, "other", "/dina/1");
    let to = between();
    clara.view(&server, "clinic", "/clara/2");
    dina.view(&server, "clinic", "/dina/3");
    stored(&server, "clinic", 11);
    // Blocked people are in no statistic, and affected all the same.
    place.done(&["subject", "block", "--site", "clinic", "--purpose", "x", "--cookie", "-"], anna.value());

    let incident = report(&place, "clinic", "access", &from, &to);
    let number = incident["number"].as_str().expect("a number").to_owned();
    assert_eq!(numbers(&incident), [8, 3, 3, 2, 3], "{incident}");
    assert_eq!((rows_with(&incident, "user_key"), rows_with(&incident, "source")), (6, 3), "{incident}");
    assert_eq!((rows_with(&incident, "pages"), rows_with(&incident, "ads")), (8, 0));
    assert_eq!((rows_with(&incident, "address"), rows_with(&incident, "visitor")), (8, 8));
    let moment = |name: &str| incident[name].as_i64().expect("a moment");
    let (first, last) = (&incident["affected"]["first"], &incident["affected"]["last"]);
    assert!(
        moment("from") <= first.as_i64().expect("a moment")
            && last.as_i64().expect("a moment") < moment("to")
    );
    let times = "SELECT toUnixTimestamp64Milli(min(time)), toUnixTimestamp64Milli(max(time)) FROM metka.hits";
    let times = server.rows(&format!(
        "{times} WHERE site = 'clinic' AND (path LIKE '/anna%' OR path LIKE '/boris%' OR path IN ('/dina/1', '/dina/2'))"
    ));
    assert_eq!(times[0], [first.clone(), last.clone()]);

    // Which of the clinic's users are meant: exactly those, also in a long list.
    let mut many: Vec<String> = (0..2500).map(|other| format!("user-{other}")).collect();
    many.extend(KEYS.map(str::to_owned));
    let input = format!("\n{}\n{}\n", many.join("\r\n"), KEYS[0]);
    let matched = place.done(&["incident", "match", &number, "--users", "-"], &input);
    assert_eq!(matched["affected"], json!([KEYS[0], KEYS[1]]), "{matched}");
    assert_eq!(matched["given"], 2503);
    let file = place.path().join("users");
    std::fs::write(&file, KEYS[2]).expect("written");
    assert_eq!(place.done(&["incident", "match", &number, "--users", "users"], "")["affected"], json!([]));
    let listed = place.done(&["incident", "subjects", &number], "");
    let of_kind = |kind: &str| {
        let all = listed["subjects"].as_array().expect("subjects").iter();
        all.filter(|one| one["kind"] == kind)
            .map(|one| one["hash"].as_str().expect("a hash"))
            .collect::<Vec<_>>()
    };
    assert_eq!(of_kind("user_key").len(), 2, "{listed}");
    // What a person is found by stands in the list, if and only if they are affected.
    for (browser, is_affected) in [(&anna, true), (&boris, true), (&clara, false), (&dina, true)] {
        let find = ["subject", "find", "--site", "clinic", "--purpose", "x", "--cookie", "-"];
        let found = place.done(&find, browser.value());
        let hash = found["subjects"][0]["hash"].as_str().expect("a hash");
        assert_eq!(of_kind("visitor").contains(&hash), is_affected, "{found}");
    }

    // Clocks, status, steps.
    let hours = |incident: &Value| -> Vec<(String, i64)> {
        let clocks = incident["clocks"].as_array().expect("clocks").iter();
        clocks
            .map(|clock| {
                let due = clock["due"].as_i64().expect("a moment");
                let name = clock["name"].as_str().expect("a name").to_owned();
                assert_eq!(clock["hours"].as_i64(), Some((due - moment_of(incident)) / 3_600_000), "{clock}");
                (name, clock["hours"].as_i64().expect("hours"))
            })
            .collect()
    };
    let russian = [("first_notice".to_owned(), 24), ("inquiry".to_owned(), 72)];
    assert_eq!(hours(&incident), russian);
    let gdpr = report(&place, "other", "disclosure", EVER[0], EVER[1]);
    assert_eq!(hours(&gdpr), [("notice_to_authority".to_owned(), 72)]);
    assert_eq!(numbers(&gdpr)[..2], [1, 1]);
    let mut old = vec!["incident", "report", "--site", "clinic", "--kind", "loss", "--what", "a disk"];
    let detected = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25)).to_string();
    old.extend(["--from", EVER[0], "--to", EVER[1], "--detected", &detected]);
    let late = place.done(&old, "");
    assert_eq!(
        (late["clocks"][0]["late"].clone(), late["clocks"][1]["late"].clone()),
        (json!(true), json!(false))
    );
    assert_eq!(numbers(&late)[0], 11);
    let attention = place.done(&["status"], "")["incidents"].clone();
    assert_eq!(attention, json!({"open": 3, "overdue": [late["number"]], "due_soon": []}));
    let late = late["number"].as_str().expect("a number").to_owned();
    for step in ["first_notice", "subjects_informed"] {
        let done = place.done(&["incident", "done", &late, step], "");
        assert!(done["history"].to_string().contains(&format!("done: {step}")), "{done}");
        assert!(place.refused(&["incident", "done", &late, step], "", 2).contains("is done already"));
    }
    assert_eq!(place.done(&["status"], "")["incidents"]["overdue"], json!([]));
    assert!(place.refused(&["incident", "done", &late, "notice_to_authority"], "", 2).contains("is no step"));
    let closed = place.done(&["incident", "close", &late, "--result", "восстановлено из копии"], "");
    assert_eq!(
        (closed["state"].as_str(), closed["result"].as_str()),
        (Some("closed"), Some("восстановлено из копии"))
    );
    assert!(place.refused(&["incident", "close", &late, "--result", "again"], "", 2).contains("is closed"));
    assert_eq!(place.done(&["status"], "")["incidents"]["open"], 2);

    // The notice: in both languages, with what to do, and without anybody's data.
    for (language, parts) in [
        ("ru", ["Клиника «Пример»", "резервная копия", "смените пароль", "+7 000 000-00-00"]),
        ("en", ["Клиника «Пример»", "резервная копия", "change its password", "+7 000 000-00-00"]),
    ] {
        let notice = place.done(&["incident", "show", &number, "--notice", language], "");
        let text = notice["notice"].as_str().expect("a text");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        for canary in [ANNA, KEYS[0], anna.value(), "boss@clinic.example"] {
            assert!(!text.contains(canary), "{text}");
        }
    }

    // Without a server: the same numbers, as the trail counts them too.
    assert_eq!(server.terminate().0, Some(0));
    let again = report(&place, "clinic", "change", &from, &to);
    assert_eq!(again["affected"], incident["affected"]);
    let matched = place.done(&["incident", "match", &number, "--users", "-"], &input);
    assert_eq!(matched["affected"], json!([KEYS[0], KEYS[1]]));
    let listed_again = place.done(&["incident", "subjects", &number], "");
    assert_eq!(listed_again, listed);
    let all = place.done(&["incident", "list", "--site", "clinic"], "")["incidents"]
        .as_array()
        .expect("a list")
        .len();
    assert_eq!(all, 3);
    let found =
        ["incident_reported", "incident_changed", "incident_subjects"].map(|action| entries(&place, action));
    // Lists of 2,503 keys are compared in three pieces.
    assert_eq!(found, [4, 3, 3 + 1 + 1 + 3 + 1], "an entry before each, and none of what was refused");
    let canaries = [anna.value(), ANNA, KEYS[0], KEYS[1], "user-17", "boss@clinic.example"];
    let files = nothing_identifies(&place, &canaries);
    println!(
        "8 rows of 3 visitors as sent, 2 of 2,503 user keys matched; {files} files without what identifies anybody"
    );
}

/// When it was detected.
fn moment_of(incident: &Value) -> i64 {
    incident["detected"].as_i64().expect("a moment")
}

#[test]
fn what_is_no_incident_is_refused_and_a_damaged_register_is_named() {
    let place = place();
    let server = place.serve();
    let mut anna = Browser::of(KEYS[0], ANNA);
    anna.view(&server, "clinic", "/anna");
    stored(&server, "clinic", 1);
    let reported =
        ["incident", "report", "--site", "clinic", "--kind", "loss", "--from", EVER[0], "--to", EVER[1]];
    let changed = |changes: &[(&str, &'static str)], more: &[&'static str]| {
        let mut arguments = reported.to_vec();
        for (name, value) in changes {
            let at = arguments.iter().position(|one| one == name).expect("an option");
            arguments[at + 1] = value;
        }
        arguments.extend(more);
        arguments
    };
    let what = ["--what", "a disk"];
    for (arguments, expected) in [
        (changed(&[], &[]), "--what"),
        (changed(&[], &["--what", " "]), "what: expected a text"),
        (changed(&[("--kind", "theft")], &what), "possible values: disclosure, loss, access, change"),
        (changed(&[("--site", "nowhere")], &what), "no site \"nowhere\""),
        (
            changed(&[("--from", "2100-01-01"), ("--to", "2101-01-01")], &what),
            "from is not before to and now",
        ),
        (changed(&[("--from", "soon")], &what), "--from: expected a moment"),
        (changed(&[], &["--what", "a disk", "--detected", "2100-01-01"]), "still to come"),
        (vec!["incident", "show", "I-2026-0001"], "there is no number"),
        (vec!["incident", "done", "I-2026-0001", "inquiry"], "there is no number"),
        (vec!["incident", "subjects", "I-2026-0001"], "there is no number"),
        (vec!["incident", "match", "I-2026-0001", "--users", "nowhere"], "--users"),
    ] {
        let error = place.refused(&arguments, "", 2);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert!(!place.data().join("rights/incidents.json").exists(), "nothing was registered");
    assert_eq!(entries(&place, "incident_reported") + entries(&place, "incident_changed"), 0);

    let number =
        report(&place, "clinic", "loss", EVER[0], EVER[1])["number"].as_str().expect("said").to_owned();
    let signed = format!("one-key\n{}.{}", KEYS[0], "a".repeat(64));
    for (input, expected) in [
        ("", "there is no user key"),
        (signed.as_str(), "line 2: the user key is KEY.MAC"),
        (&"x".repeat(200), "line 1: the user key is empty or longer"),
    ] {
        let error = place.refused(&["incident", "match", &number, "--users", "-"], input, 2);
        assert!(error.contains(expected) && !error.contains(KEYS[0]), "{error}");
    }
    let register = place.data().join("rights/incidents.json");
    let text = std::fs::read_to_string(&register).expect("readable");
    for damaged in
        [text[..text.len() / 2].to_owned(), text.replace("\"open\"", "\"closed\""), "{}".to_owned()]
    {
        std::fs::write(&register, &damaged).expect("written");
        for arguments in [
            changed(&[], &what),
            vec!["incident", "list"],
            vec!["incident", "done", &number, "inquiry"],
            vec!["incident", "subjects", &number],
        ] {
            let error = place.refused(&arguments, "", 1);
            assert!(error.contains("incidents.json: "), "{arguments:?}: {error}");
        }
        let status = place.done(&["status"], "");
        assert!(status["incidents"]["error"].as_str().expect("said").contains("incidents.json"), "{status}");
        assert_eq!(std::fs::read_to_string(&register).expect("readable"), damaged, "it is not written over");
    }
    assert_eq!(server.terminate().0, Some(0));
}
