//! Reports by mail, against a mail server of the test's own.

use serde_json::{Value, json};

use crate::mail_server::{Mail, MailServer};
use crate::place::Place;
use crate::server::{Server, wait_for};
use crate::{Asker, SETTINGS, trail};

const TO: [&str; 2] = ["head@clinic.example", "marketing@clinic.example"];

fn config(mail: &MailServer) -> String {
    format!(
        "[collect]\nthreads = 1\n[ship]\ninterval = \"1s\"\n\
         [mail]\nurl = \"smtp://{}\"\nfrom = \"Метка <metka@clinic.example>\"\n\
         [[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n",
        mail.address
    )
}

fn report(every: &str, language: &str) -> Value {
    json!({ "report": { "to": TO, "every": every, "language": language } })
}

fn arrived(server: &MailServer, count: usize) -> Vec<Mail> {
    wait_for("the mail", || {
        let taken = server.taken();
        (taken.len() >= count).then_some(taken)
    })
}

#[test]
fn a_report_is_sent_once_and_not_again_after_a_restart() {
    let mail = MailServer::start();
    let place = Place::with(&config(&mail));
    let server = Server::start(place.path(), &["--demo"]);
    wait_for("the history", || {
        server.log.lock().expect("free").contains("the made-up history is loaded").then_some(())
    });
    let owner = Asker::with_token(&server, "owner", None);
    assert_eq!(owner.seen("/api/v1/settings?site_id=demo")["mail"], true);
    owner.put("demo", report("week", "ru"));

    let first = arrived(&mail, 1).remove(0);
    assert_eq!((first.from.as_str(), &first.to), ("metka@clinic.example", &TO.map(str::to_owned).to_vec()));
    let subject = first.header("subject").replace('\u{a0}', " ");
    assert!(subject.starts_with("Посещения сайта demo: ") && subject.ends_with(" г."), "{subject}");
    assert_eq!(first.header("auto-submitted"), "auto-generated");
    let id = first.header("message-id");
    assert!(id.starts_with("<report.demo.r1.week.") && id.ends_with("@127.0.0.1>"), "{id}");
    let parts = first.parts();
    let kinds: Vec<&str> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["text", "html"]);
    for (kind, part) in &parts {
        for said in ["Посетители", "Страницы", "Источники", "Вы получили это письмо"]
        {
            assert!(part.contains(said), "{kind} has no {said}: {part}");
        }
        assert_eq!(part.matches("://").count(), 1, "{kind}: {part}");
        assert!(part.contains(&format!("http://{}/?site=demo", server.web)), "{part}");
    }
    let sent = wait_for("it to be noted", || {
        let reports = owner.seen("/api/v1/settings?site_id=demo")["reports"].clone();
        reports[0]["sent"].as_str().map(str::to_owned)
    });
    assert!(id.contains(&sent), "{id} {sent}");
    // The letter shown is the letter sent.
    let shown = server.command(&["report", "send", "--site", "demo", "--report", "r1", "--dry-run"]);
    assert_eq!(
        shown["text"].as_str().map(|text| text.replace('\u{a0}', " ").trim_end().to_owned()),
        Some(parts[0].1.trim_end().to_owned())
    );
    let english = report("month", "en");
    owner.done(SETTINGS, &json!({ "site_id": "demo", "put": english }));
    let second = arrived(&mail, 2).remove(1);
    assert!(second.header("subject").starts_with("Visits to demo: "), "{}", second.header("subject"));
    assert!(second.parts()[0].1.contains("You got this mail because"), "{:?}", second.parts());
    wait_for("it to be noted", || {
        let reports = owner.seen("/api/v1/settings?site_id=demo")["reports"].clone();
        reports[1]["sent"].as_str().map(drop)
    });
    let entries = trail(&server);
    let sendings: Vec<_> = entries.iter().filter(|(action, _)| action == "report_sent").collect();
    assert_eq!(sendings.len(), 2);
    assert!(sendings.iter().all(|(_, detail)| detail.ends_with("addresses: 2") && !detail.contains('@')));
    let (code, log) = server.terminate();
    assert!(code == Some(0) && !log.contains(TO[0]), "{log}");

    // After the restart a third one comes, and not the first two again.
    let server = Server::start(place.path(), &["--demo"]);
    let owner = Asker::with_token(&server, "owner", Some("demo"));
    owner.put("demo", report("day", "ru"));
    let all = arrived(&mail, 3);
    assert!(all[2].header("message-id").contains(".r3.day."), "{}", all[2].header("message-id"));
    assert_eq!(all.len(), 3);
    assert_eq!(server.terminate().0, Some(0));
}

#[test]
fn a_failed_sending_is_tried_again_and_told_by_status() {
    let mail = MailServer::start();
    mail.refuse(1);
    let place = Place::with(&config(&mail));
    let server = place.serve();
    let owner = Asker::with_token(&server, "owner", None);
    owner.put("clinic", report("day", "ru"));
    let failing = wait_for("the failure to be told", || {
        let status = server.command(&["status"]);
        status["jobs"]["reports"]["failing"][0].as_object().cloned()
    });
    assert_eq!(mail.refused(), 1, "the fault happened");
    assert_eq!(
        (&failing["site"], &failing["report"], &failing["times"]),
        (&json!("clinic"), &json!("r1"), &json!(1))
    );
    assert_eq!(failing["error"], "the mail server refused it with 451");
    // A site without hits has no numbers, which is said.
    let taken = arrived(&mail, 1).remove(0);
    assert_eq!(taken.to.len(), 2);
    wait_for("the success to be told", || {
        let status = server.command(&["status"]);
        let reports = &status["jobs"]["reports"];
        (reports["sent"] == 1 && reports["failing"] == json!([])).then_some(())
    });
    assert_eq!(mail.taken().len(), 1);
    let (code, log) = server.terminate();
    assert!(code == Some(0) && log.contains("a report could not be sent"), "{log}");
    assert!(TO.iter().all(|address| !log.contains(address)), "{log}");
}

#[test]
fn a_command_sends_or_shows_a_report_without_a_server() {
    let mail = MailServer::start();
    let place = Place::with(&config(&mail));
    let made = json!({ "put": report("month", "en") });
    place.done(&["settings", "apply", "-", "--site", "clinic"], &made.to_string());
    let send = ["report", "send", "--site", "clinic", "--report", "r1"];
    let with = |more: &[&'static str]| [&send[..], more].concat();
    let error = place.refused(&["report", "send", "--site", "clinic", "--report", "r9"], "", 2);
    assert!(error.contains("the site clinic has no report \"r9\""), "{error}");
    for (day, expected) in [("2999-01-01", "has not ended yet"), ("26.11.2026", "is not a day such as")] {
        let error = place.refused(&with(&["--day", day]), "", 2);
        assert!(error.contains(expected), "{error}");
    }
    // The tables are made by whoever serves first.
    place.done(&["migrate"], "");
    let shown = place.done(&with(&["--day", "2026-02-10", "--dry-run"]), "");
    assert_eq!(shown["period"], json!(["2026-02-01", "2026-02-28"]));
    assert_eq!(shown["subject"], "Visits to clinic: February 2026");
    assert!(mail.taken().is_empty());
    let sent = place.done(&with(&["--day", "2026-02-10"]), "");
    assert_eq!(sent["sent"], 2);
    assert!(arrived(&mail, 1)[0].header("message-id").contains(".month.2026-02-01@"));
    let kept = |place: &Place| {
        place.done(&["settings", "show", "--site", "clinic"], "")["reports"][0]["sent"].clone()
    };
    assert_eq!(kept(&place), Value::Null, "another period than the last counts for nothing");
    place.done(&with(&[]), "");
    assert!(kept(&place).is_string());
    assert_eq!(arrived(&mail, 2).len(), 2);
}
