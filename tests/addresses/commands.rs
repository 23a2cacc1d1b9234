//! `metka addresses` beside a server and without one.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::{Asker, place, stored};

#[test]
fn commands_say_what_the_api_says_with_a_server_and_without_one() {
    let place = place();
    let server = place.serve();
    let (mut one, mut another) = (Browser::new("8.8.8.8"), Browser::new("208.67.222.222"));
    for _ in 0..2 {
        one.view(&server, "clinic", "/");
    }
    another.view(&server, "clinic", "/");
    stored(&server, 3, 0);
    let asker = Asker::new(&server, "security", None);
    let list = ["addresses", "list", "--site", "clinic", "--purpose", "security", "--by"];
    let mut answers: Vec<Value> = Vec::new();
    for by in ["address", "network", "asn", "country", "time:day"] {
        let answer = server.command(&[&list[..], &[by]].concat());
        assert_eq!(answer, asker.ask(by, json!({})), "{by}");
        answers.push(answer);
    }
    let token = answers[0]["results"][0]["address"].as_str().expect("a token").to_owned();
    let narrowed =
        [&list[..], &["time:hour", "--range", "24h", "--address", &token, "--country", "DE"]].concat();
    assert_eq!(server.command(&narrowed)["totals"]["hits"], 2);
    let open = |words: &'static str| {
        [
            "addresses",
            "open",
            "--site",
            "clinic",
            "--address",
            &token,
            "--purpose",
            "support",
            "--words",
            words,
        ]
        .map(str::to_owned)
    };
    let run =
        |arguments: &[String]| place.done(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    assert_eq!(run(&open("with a server"))["ip"], "8.8.8.8");
    let mut wrong = open("with a server");
    wrong[7] = "curiosity".to_owned();
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    assert!(place.refused(&wrong, "", 2).contains("purpose: expected one of fraud"));
    for purpose in [&["--purpose", "curiosity"][..], &[]] {
        let list = [&["addresses", "list", "--site", "clinic"], purpose].concat();
        assert!(place.refused(&list, "", 2).contains("purpose"), "{purpose:?}");
    }
    assert_eq!(server.terminate().0, Some(0));

    // Nothing runs.
    let answer = place.done(&[&list[..], &["address"]].concat(), "");
    assert_eq!(answer, answers[0]);
    assert_eq!(run(&open("without a server"))["ip"], "8.8.8.8");
    let trail = place.done(&["audit", "list", "--action", "address_opened"], "");
    let entries = trail["entries"].as_array().expect("entries");
    let words: Vec<&Value> = entries.iter().map(|entry| &entry["words"]).collect();
    assert_eq!(words, [&json!("with a server"), &json!("without a server")]);
    assert!(entries.iter().all(|entry| entry["actor"]["command"].is_string()), "{trail}");
    let trail = place.done(&["audit", "list", "--action", "addresses_listed"], "");
    let entries = trail["entries"].as_array().expect("entries").iter();
    let by_commands = entries.filter(|entry| entry["actor"]["command"].is_string());
    assert_eq!(by_commands.count(), 5 + 1 + 1, "with a server and without one, and none that was refused");
}
