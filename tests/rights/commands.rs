//! `metka subject` by the built binary: exit codes, what it prints, and that what
//! identifies a person is in no output and no file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use metka::config::Keys;
use metka::privacy::keys::KeyRing;
use serde_json::Value;

const CONFIG: &str = "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\npreset = \"ru-152fz\"\n\
                      [[site]]\nid = \"europe\"\nhosts = [\"europe.example\"]\npreset = \"gdpr\"\ntimezone = \"Europe/Paris\"\n";
/// A user key that is found wherever it goes.
const USER_KEY: &str = "canary-user-4711";
/// A visitor's address that is found wherever it goes.
const ADDRESS: &str = "203.0.113.77";

struct Ended {
    code: i32,
    out: String,
    err: String,
}

struct Place {
    dir: tempfile::TempDir,
}

// === impl Place ===

impl Place {
    fn new() -> Place {
        Place::with(CONFIG)
    }

    fn with(config: &str) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("metka.toml"), config).expect("written");
        Place { dir }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn ring(&self) -> KeyRing {
        KeyRing::open(&Keys::in_dir(&self.data().join("keys"))).expect("a ring")
    }

    /// A cookie whose id is a canary.
    fn cookie(&self, day: jiff::civil::Date) -> String {
        self.ring().sign_cookie([0xca; 16], day)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["--config", "metka.toml"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // A command that reads no input may have closed it already.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended {
            code: output.status.code().expect("no signal ended it"),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        for said in [&ended.out, &ended.err] {
            assert!(
                !said.contains(USER_KEY) && !said.contains(ADDRESS) && !said.contains(&"ca".repeat(8)),
                "{said}"
            );
        }
        ended
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend_from_slice(arguments);
        let ended = self.run(&all, "");
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
        serde_json::from_str(&ended.out).expect("JSON")
    }

    /// Fails with this code, and says this.
    fn refused(&self, arguments: &[&str], code: i32, expected: &str) {
        let ended = self.run(arguments, "");
        assert_eq!(ended.code, code, "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(expected), "{arguments:?}: {:?} is not in {}", expected, ended.err);
        assert!(ended.out.is_empty(), "{}", ended.out);
    }
}

fn joined<'a>(some: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [some, more].concat()
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// All that is below a directory, read.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            let bytes = std::fs::read(&entry).expect("readable");
            found.push((entry, bytes));
        }
    }
    found
}

#[test]
fn a_request_goes_from_its_registration_to_its_answer() {
    let place = Place::new();
    let cookie = place.cookie(today());
    let request = ["subject", "request", "--site", "clinic", "--received", "2026-01-15T23:30"];
    let access =
        place.json(&joined(&request, &["--kind", "access", "--cookie", &cookie, "--purpose", "claim 17"]));
    let number = access["number"].as_str().expect("a number").to_owned();
    assert_eq!(access["due_date"], "2026-01-29");
    assert_eq!(access["calendar_known"], true);
    assert_eq!((&access["state"], &access["identified"]), (&"open".into(), &"cookie".into()));
    let hash = format!("{:016x}", place.ring().cookie_visitor("clinic", &[0xca; 16]));
    assert_eq!(access["subjects"], serde_json::json!([{ "kind": "visitor", "hash": hash }]));
    let user = place.json(&joined(&request, &["--kind", "stop", "--user", USER_KEY]));
    let hash = format!("{:016x}", place.ring().user_key_hash("clinic", USER_KEY));
    assert_eq!(user["subjects"], serde_json::json!([{ "kind": "user_key", "hash": hash }]));
    assert_eq!(user["next_due_date"], "2026-01-20");
    let other = place.json(&joined(&request, &["--kind", "claim", "--about", "block"]));
    assert_eq!((&other["identified"], &other["due_date"]), (&"other".into(), &"2026-01-15".into()));
    let european = place.json(&[
        "subject",
        "request",
        "--site",
        "europe",
        "--kind",
        "erase",
        "--received",
        "2026-01-31",
    ]);
    assert_eq!((&european["due_date"], &european["calendar_known"]), (&"2026-03-02".into(), &false.into()));

    let numbers = |arguments: &[&str]| -> Vec<String> {
        let listed = place.json(&[&["subject", "list"], arguments].concat());
        let requests = listed["requests"].as_array().expect("a list");
        requests.iter().map(|request| request["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    assert_eq!(numbers(&[]), ["access", "stop", "claim", "erase"]);
    assert_eq!(numbers(&["--site", "europe"]), ["erase"]);
    assert_eq!(numbers(&["--kind", "stop", "--state", "open"]), ["stop"]);
    assert_eq!(numbers(&["--overdue"]), ["access", "stop", "claim", "erase"], "all of it was long ago");
    assert_eq!(place.json(&["status"])["requests"]["overdue"], 4);
    let stop = user["number"].as_str().expect("a number");
    let stopped = place.json(&["subject", "stopped", stop]);
    assert_eq!(stopped["next_due_date"], "2026-01-29");
    place.refused(&["subject", "stopped", stop], 1, "no first step");

    // Received now, so that its term still runs.
    let fresh = place.json(&["subject", "request", "--site", "clinic", "--kind", "access"]);
    let fresh = fresh["number"].as_str().expect("a number");
    place.refused(
        &["subject", "extend", fresh, "--reason", "archive", "--days", "6"],
        1,
        "the law allows until",
    );
    let extended = place.json(&["subject", "extend", fresh, "--reason", "the archive is elsewhere"]);
    assert_eq!(extended["extension"]["until"]["term"], "10 working days and 5 working days");
    place.refused(&["subject", "extend", fresh, "--reason", "again"], 1, "extended once");
    place.refused(&["subject", "extend", &number, "--reason", "late"], 1, "cannot be extended any more");
    place.refused(&["subject", "extend", stop, "--reason", "no"], 1, "gives no longer term");

    let closed = place.json(&["subject", "close", &number, "--answer", "sent by post"]);
    assert_eq!((&closed["state"], &closed["answer"]), (&"done".into(), &"sent by post".into()));
    assert_eq!(
        place.json(&["subject", "close", stop, "--answer", "it was lawful", "--refused"])["state"],
        "refused"
    );
    place.refused(&["subject", "close", stop, "--answer", "again"], 1, "is closed (refused)");
    let shown = place.run(&["subject", "show", &number], "");
    assert_eq!(shown.code, 0, "{}", shown.err);
    for part in [
        "2026-01-29",
        "10 working days",
        "152-FZ art. 14(3), 20(1)",
        "sent by post",
        "registered",
        "claim 17",
    ] {
        assert!(shown.out.contains(part), "{part:?} is not in:\n{}", shown.out);
    }
    let mode = std::os::unix::fs::MetadataExt::mode(
        &std::fs::metadata(place.data().join("rights/requests.json")).expect("there"),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_identifies_a_person_is_in_no_output_and_no_file() {
    let place = Place::new();
    let cookie = place.cookie(today());
    let request = ["subject", "request", "--site", "clinic", "--kind", "access"];
    let purpose = format!("for {USER_KEY}, whose cookie is {cookie}, from {ADDRESS}");
    for (arguments, input) in [
        (
            joined(&request, &["--cookie", &cookie, "--purpose", &purpose.replace(USER_KEY, "a user")]),
            String::new(),
        ),
        (joined(&request, &["--user", USER_KEY, "--purpose", &purpose]), String::new()),
        (joined(&request, &["--cookie", "-"]), format!("{cookie}\n")),
        (joined(&request, &["--user", "-"]), USER_KEY.to_owned()),
    ] {
        let ended = place.run(&arguments, &input);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(!ended.out.contains(&cookie), "{}", ended.out);
    }
    let list = place.json(&["subject", "list"]);
    let requests = list["requests"].as_array().expect("a list");
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0]["subjects"], requests[2]["subjects"], "standard input gives the same person");
    assert_eq!(requests[1]["subjects"], requests[3]["subjects"]);
    let number = requests[0]["number"].as_str().expect("a number");
    let answer = format!("the cookie {cookie} of {ADDRESS}");
    assert_eq!(place.run(&["subject", "close", number, "--answer", &answer], "").code, 0);
    let parts: Vec<&str> = cookie.split('.').collect();
    let mut looked = 0;
    for (path, bytes) in files(&place.data()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for canary in [parts[3], parts[4], USER_KEY, ADDRESS] {
            assert!(!text.contains(canary), "{} holds {canary}", path.display());
        }
        looked += 1;
    }
    assert!(looked >= 3, "register, lock and ring were looked at");
}

#[test]
fn a_cookie_that_names_nobody_is_refused_with_the_reason() {
    let place = Place::new();
    let request = ["subject", "request", "--site", "clinic", "--kind", "access", "--cookie"];
    let with = |value: &str| place.run(&[&request[..], &[value]].concat(), "");
    let ended = with("v1.1.20260101.x.y");
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("no key ring"), "a new ring would find nobody: {}", ended.err);
    assert!(!place.data().join("keys").exists(), "none was made");

    let genuine = place.cookie(today());
    let mut forged = genuine.clone();
    let last = if forged.pop() == Some('0') { '1' } else { '0' };
    forged.push(last);
    // Older than a cookie may be, and still genuine: the rows may be there.
    let old = place.cookie(today().saturating_sub(jiff::Span::new().months(20)));
    assert_eq!(with(&old).code, 0);
    let other_key = genuine.replacen("v1.1.", "v1.9.", 1);
    for (value, expected) in [
        (forged.as_str(), "signature is wrong"),
        ("nonsense", "does not have the form"),
        (&"x".repeat(500), "does not have the form"),
        (other_key.as_str(), "key is not in the key ring"),
    ] {
        let ended = with(value);
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(ended.err.contains(expected) && !ended.err.contains(value), "{expected:?}: {}", ended.err);
    }
    assert_eq!(place.run(&["keys", "rotate", "cookie"], "").code, 0);
    assert_eq!(with(&genuine).code, 0, "a retired key still verifies");
    assert_eq!(place.run(&["keys", "destroy", "cookie", "1"], "").code, 0);
    let ended = with(&genuine);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("key 1 was destroyed on"), "{}", ended.err);
}

#[test]
fn wrong_usage_ends_with_2_and_what_cannot_be_done_with_1() {
    let place = Place::new();
    place.ring();
    let request = ["subject", "request", "--site", "clinic"];
    let with = |more: &[&'static str]| [&request[..], more].concat();
    for (arguments, code, expected) in [
        (vec!["subject", "request", "--site", "nowhere", "--kind", "access"], 2, "no site \"nowhere\""),
        (with(&["--kind", "forget"]), 2, "forget"),
        (with(&["--kind", "access", "--cookie", "a", "--user", "b"]), 2, "cannot be used with"),
        (with(&["--kind", "access", "--about", "block"]), 2, "only a claim"),
        (with(&["--kind", "claim", "--about", "claim"]), 2, "only a claim"),
        (with(&["--kind", "access", "--received", "yesterday"]), 2, "--received: expected a moment"),
        (with(&["--kind", "access", "--received", "2026-02-30"]), 2, "--received: expected a moment"),
        (with(&["--kind", "access", "--received", "9000-01-01"]), 2, "still to come"),
        (with(&["--kind", "access", "--user", "-"]), 2, "--user: the value is empty"),
        (with(&["--kind", "access", "--ip", ADDRESS]), 2, "--from"),
        (with(&["--kind", "access", "--from", "2026-01-01"]), 2, "--ip"),
        (
            with(&["--kind", "access", "--ip", "host", "--from", "2026-01-01", "--to", "2026-01-02"]),
            2,
            "--ip: expected",
        ),
        (
            with(&["--kind", "access", "--ip", ADDRESS, "--from", "2026-01-02", "--to", "2026-01-02"]),
            2,
            "is not before",
        ),
        (vec!["subject", "show", "2026-0001"], 1, "there is no request \"2026-0001\""),
        (vec!["subject", "close", "2026-0001", "--answer", "x"], 1, "there is no request"),
        (vec!["subject", "extend", "2026-0001", "--reason", "x", "--days", "0"], 2, "--days"),
        (vec!["subject"], 2, "Usage"),
    ] {
        place.refused(&arguments, code, expected);
    }
    let mac = format!("key.{}", "0a".repeat(32));
    place.refused(&[&request[..], &["--kind", "access", "--user", &mac]].concat(), 2, "give KEY alone");
    assert!(!place.data().join("rights/requests.json").exists(), "nothing was registered");
    let made = place.json(&["subject", "request", "--site", "clinic", "--kind", "block"]);
    let number = made["number"].as_str().expect("a number");
    place.refused(&["subject", "close", number, "--answer", " "], 2, "the answer is empty");
    let help = place.run(&["subject", "request", "--help"], "").out;
    assert!(help.contains("standard input"), "{help}");
}

#[test]
fn the_operator_s_calendar_and_terms_are_used_and_their_mistakes_reported_together() {
    let place = Place::with(&format!(
        "[rights]\ncalendar_file = \"days.txt\"\n[rights.terms]\nrectify = \"2 working days\"\n{CONFIG}"
    ));
    let days = place.dir.path().join("days.txt");
    std::fs::write(&days, "year 2026 decree 2025-09-24 1466\noff 2026-01-16\n").expect("written");
    let request = ["subject", "request", "--site", "clinic", "--received", "2026-01-15", "--kind"];
    let made = place.json(&[&request[..], &["rectify"]].concat());
    assert_eq!((&made["due_date"], &made["due"]["term"]), (&"2026-01-20".into(), &"2 working days".into()));
    assert_eq!(made["due"]["article"], "152-FZ art. 20(3); term set by the operator");
    std::fs::write(&days, "year 2026\nmove 2026-01-03\n").expect("written");
    let arguments = [&request[..], &["access"]].concat();
    place.refused(&arguments, 2, "days.txt: 2 mistakes\n  line 1: expected code");
    place.refused(&arguments, 2, "  line 2: expected year YEAR");
    let status = place.json(&["status"]);
    assert!(status["requests"]["error"].as_str().expect("said").contains("2 mistakes"), "{status}");

    let place =
        Place::with("[rights.terms]\naccess = \"soon\"\naccess_extension = \"at once\"\nreply = \"1 day\"\n");
    let ended = place.run(&["subject", "list"], "");
    assert_eq!(ended.code, 2);
    for part in [
        "3 mistakes",
        "rights.terms.access: expected a term such as at once, 10 working days, 30 days or 1 month, found \"soon\"",
        "rights.terms.access_extension: expected a term such as 10 working days",
        "rights.terms.reply: is not a key",
    ] {
        assert!(ended.err.contains(part), "{part:?} is not in:\n{}", ended.err);
    }
}

#[test]
fn a_damaged_register_is_named_by_every_command_and_hides_nothing_else() {
    let place = Place::new();
    place.json(&["subject", "request", "--site", "clinic", "--kind", "block"]);
    std::fs::write(place.data().join("rights/requests.json"), "{").expect("written");
    for arguments in [
        &["subject", "list"][..],
        &["subject", "show", "2026-0001"],
        &["subject", "request", "--site", "clinic", "--kind", "access"],
        &["subject", "close", "2026-0001", "--answer", "x"],
    ] {
        place.refused(arguments, 1, "requests.json: not a register of requests");
    }
    let status = place.json(&["status"]);
    assert!(status["requests"]["error"].as_str().expect("said").contains("requests.json"), "{status}");
    assert!(status["sites"]["clinic"].is_object());
}
