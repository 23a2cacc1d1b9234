//! The built binary: what its commands and its server write, and how `metka audit`
//! ends.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::http::{exchange, request};
use super::server::{Server, wait_for};

const CONFIG: &str = "[collect]\nthreads = 1\n[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
const PASSWORD: &str = "correct horse battery";
const PASSPHRASE: &str = "five words on a card";
/// What must be in no entry.
const CANARIES: [&str; 4] =
    ["192.0.2.77", "canarycookie0123456789", "typed-canary-login", "canary password 1"];

struct Place(tempfile::TempDir);

// === impl Place ===

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("metka.toml"), CONFIG).expect("written");
        Place(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(arguments)
            .args(["--config", "metka.toml"])
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    fn done(&self, arguments: &[&str], input: &str) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        let output = self.run(&all, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn refused(&self, arguments: &[&str], input: &str, code: i32) -> String {
        let output = self.run(arguments, input);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn entries(&self) -> Vec<Value> {
        self.done(&["audit", "list", "--last", "1000"], "")["entries"].as_array().expect("a list").clone()
    }

    fn actions(&self) -> Vec<String> {
        let action = |entry: &Value| entry["action"].as_str().expect("text").to_owned();
        self.entries().iter().map(action).collect()
    }

    /// Everything in the trail's directory.
    fn text(&self) -> String {
        let files = std::fs::read_dir(self.path().join("data/audit")).expect("readable");
        let text = |path| String::from_utf8(std::fs::read(path).expect("readable")).expect("text");
        files.map(|entry| text(entry.expect("readable").path())).collect()
    }

    fn month(&self) -> std::path::PathBuf {
        let files = std::fs::read_dir(self.path().join("data/audit")).expect("readable");
        let mut paths: Vec<_> = files.map(|entry| entry.expect("readable").path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        paths.sort();
        paths.pop().expect("there is a month")
    }
}

fn sign_in(server: &Server, login: &str, password: &str) -> super::http::Reply {
    let body = json!({ "login": login, "password": password }).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Forwarded-For", CANARIES[0]),
        ("Cookie", "metka_session=canarycookie0123456789"),
        ("Connection", "close"),
    ];
    exchange(server.web, &request("POST", "/api/v1/session", &headers, body.as_bytes()))
}

#[test]
fn every_command_is_recorded_with_who_ran_it_and_what_is_refused_is_not() {
    let place = Place::new();
    let error = place.refused(&["audit", "verify"], "", 1);
    assert!(error.contains("there is no key ring"), "{error}");
    assert!(!place.path().join("data").exists(), "a look makes nothing");
    assert_eq!(place.done(&["user", "list"], "")["people"], json!([]));
    assert!(!place.path().join("data").exists(), "a look makes nothing");

    place.done(&["user", "add", "olga", "--role", "owner", "--password-stdin"], PASSWORD);
    place.refused(&["user", "add", "olga", "--role", "owner", "--password-stdin"], PASSWORD, 1);
    place.done(&["user", "passwd", "olga", "--password-stdin"], PASSWORD);
    place.done(&["user", "add", "ivan", "--role", "viewer", "--password-stdin"], PASSWORD);
    place.done(&["user", "remove", "ivan"], "");
    place.refused(&["user", "remove", "olga"], "", 1);
    place.done(&["user", "list"], "");
    let token =
        place.done(&["token", "create", "--name", "grafana", "--role", "viewer", "--site", "clinic"], "");
    place.done(&["token", "revoke", "grafana"], "");
    place.done(&["keys", "rotate", "cookie"], "");
    place.done(&["keys", "destroy", "cookie", "1"], "");
    place.refused(&["keys", "destroy", "cookie", "1"], "", 1);
    place.done(&["keys", "export", "ring.export", "--passphrase-stdin"], PASSPHRASE);
    place.done(&["keys", "sync", "--from", "ring.export", "--passphrase-stdin"], PASSPHRASE);
    let expected = [
        "person_added",
        "password_changed",
        "person_added",
        "person_removed",
        "people_listed",
        "token_created",
        "token_revoked",
        "keys_rotated",
        "keys_destroyed",
        "keys_exported",
        "keys_synced",
    ];
    assert_eq!(place.actions(), expected);
    let entries = place.entries();
    let user =
        String::from_utf8(Command::new("id").arg("-un").output().expect("id runs").stdout).expect("text");
    assert!(entries.iter().all(|entry| entry["actor"]["command"] == user.trim()), "{entries:?}");
    assert_eq!(entries[0]["detail"], "login olga, role owner");
    assert_eq!(entries[5]["site"], "clinic");
    let text = place.text();
    assert!(!text.contains(token["token"].as_str().expect("text")) && !text.contains(PASSWORD));
    assert!(!text.contains(PASSPHRASE) && text.contains("ring.export"));

    // The same key in another place, and its trail begins with that.
    let there = Place::new();
    std::fs::copy(place.path().join("ring.export"), there.path().join("ring.export")).expect("copied");
    there.done(&["keys", "import", "ring.export", "--passphrase-stdin"], PASSPHRASE);
    assert_eq!(there.actions(), ["keys_synced"]);

    // Narrowed.
    let list = |arguments: &[&str]| {
        let mut all = vec!["audit", "list"];
        all.extend_from_slice(arguments);
        place.done(&all, "")["entries"].as_array().expect("a list").len()
    };
    assert_eq!(list(&["--action", "person_added"]), 2);
    assert_eq!(list(&["--site", "clinic"]), 2);
    assert_eq!(list(&["--last", "3"]), 3);
    assert_eq!((list(&["--from", "2026-01-01"]), list(&["--to", "2026-01-01"])), (11, 0));
    for (arguments, expected) in [
        (["audit", "list", "--action", "sign-in"], "is not an action"),
        (["audit", "list", "--from", "yesterday"], "yesterday"),
        (["audit", "verify", "--anchor", "12"], "is not an anchor"),
    ] {
        let error = place.refused(&arguments, "", 2);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let lines = String::from_utf8(place.run(&["audit", "list"], "").stdout).expect("text");
    assert!(lines.contains(&format!("command of {}", user.trim())), "{lines}");

    // Looks left no entry; and a change whose entry cannot be written is not made.
    let verified = place.done(&["audit", "verify"], "");
    assert_eq!((&verified["entries"], &verified["last"]["number"]), (&json!(11), &json!(11)));
    let anchor = verified["anchor"].as_str().expect("text").to_owned();
    place.done(&["audit", "verify", "--anchor", &anchor], "");
    let month = place.month();
    let honest = std::fs::read(&month).expect("readable");
    let lines: Vec<&[u8]> = honest.split_inclusive(|byte| *byte == b'\n').collect();
    std::fs::write(&month, lines[..9].concat()).expect("written");
    let error = place.refused(&["audit", "verify", "--anchor", &anchor], "", 1);
    assert!(error.contains("entry 10: it is missing: the trail was cut off"), "{error}");
    place.refused(&["audit", "list"], "", 1);
    let cookie_keys = || place.done(&["keys", "list"], "").to_string();
    let people = std::fs::read(place.path().join("data/people.json")).expect("readable");
    let keys = cookie_keys();
    for arguments in [
        &["user", "add", "mallory", "--role", "owner", "--password-stdin"][..],
        &["user", "passwd", "olga", "--password-stdin"],
        &["token", "create", "--name", "x", "--role", "owner"],
        &["keys", "rotate", "cookie"],
        &["keys", "destroy", "cookie", "2"],
        &["keys", "export", "second.export", "--passphrase-stdin"],
        &["user", "list"],
    ] {
        let error = place.refused(arguments, PASSWORD, 1);
        assert!(error.contains("the audit trail: ") && error.contains("entry 10"), "{arguments:?}: {error}");
    }
    assert_eq!(std::fs::read(place.path().join("data/people.json")).expect("readable"), people);
    assert_eq!(cookie_keys(), keys);
    assert!(!place.path().join("second.export").exists());
    std::fs::write(&month, honest).expect("written");
    place.done(&["audit", "verify", "--anchor", &anchor], "");
    println!("11 commands recorded, 3 refused ones not; 7 commands refused on a trail that was cut");
}

#[test]
fn a_server_and_commands_beside_it_write_one_trail_without_an_address_a_cookie_or_what_was_typed() {
    let place = Place::new();
    place.done(&["user", "add", "olga", "--role", "owner", "--password-stdin"], PASSWORD);
    let server = Server::start(place.path(), &[]);
    let reply = sign_in(&server, "olga", PASSWORD);
    assert_eq!(reply.status, 200);
    let cookie = reply.cookie("metka_session").expect("a session");
    let mut wrong = 0;
    for _ in 0..8 {
        wrong += u64::from(sign_in(&server, "olga", CANARIES[3]).status != 200);
        wrong += u64::from(sign_in(&server, CANARIES[2], CANARIES[3]).status != 200);
    }
    assert_eq!(wrong, 16);
    let out = [("Cookie", cookie.as_str()), ("X-Forwarded-For", CANARIES[0]), ("Connection", "close")];
    assert_eq!(exchange(server.web, &request("DELETE", "/api/v1/session", &out, b"")).status, 204);
    server.signal(rustix::process::Signal::HUP);
    wait_for("the reload", || place.actions().contains(&"configuration_reloaded".to_owned()).then_some(()));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..5).for_each(|_| drop(place.done(&["user", "list"], ""))));
        }
    });
    let beside = place.done(&["audit", "verify"], "");
    assert_eq!(server.terminate().0, Some(0));
    let after = place.done(&["audit", "verify", "--anchor", beside["anchor"].as_str().expect("text")], "");

    let entries = place.entries();
    assert_eq!(after["entries"], entries.len());
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["number"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=entries.len() as u64).collect::<Vec<_>>());
    let of = |action: &str| entries.iter().filter(|entry| entry["action"] == action).collect::<Vec<_>>();
    assert_eq!((of("sign_in").len(), of("sign_out").len(), of("people_listed").len()), (1, 1, 15));
    assert_eq!(of("sign_in")[0]["actor"], json!({ "person": "olga" }));
    assert_eq!(of("configuration_reloaded")[0]["actor"], json!({ "job": "reload by signal" }));
    // Two pairs of source and account: an entry at once each, and the rest counted.
    let failed = of("sign_in_failed");
    let sum: u64 = failed
        .iter()
        .map(|entry| entry["detail"].as_str().and_then(|text| text.rsplit(' ').next()).expect("text"))
        .map(|count| count.parse::<u64>().expect("a number"))
        .sum();
    assert_eq!(sum, 16, "{failed:?}");
    assert!(failed.len() <= 6, "{failed:?}");
    assert!(failed.iter().all(|entry| entry["actor"] == "visitor"), "{failed:?}");
    for account in ["login olga, source ", "a login that does not exist, source "] {
        assert!(failed.iter().any(|entry| entry["detail"].to_string().contains(account)), "{failed:?}");
    }
    let text = place.text();
    for canary in CANARIES.iter().chain([&PASSWORD, &cookie.split_once('=').expect("a value").1]) {
        assert!(!text.contains(canary), "{canary} is in the trail");
    }
    println!(
        "{} entries by a server and commands at once, in {} of them 16 wrong sign-ins",
        entries.len(),
        failed.len()
    );
}

#[test]
fn a_server_whose_trail_is_damaged_takes_hits_and_signs_nobody_in() {
    let place = Place::new();
    place.done(&["user", "add", "olga", "--role", "owner", "--password-stdin"], PASSWORD);
    let month = place.month();
    let honest = std::fs::read(&month).expect("readable");
    std::fs::write(&month, b"").expect("emptied");
    let server = Server::start(place.path(), &[]);
    let hit = super::http::get("/pixel.gif?s=clinic&u=https://clinic.example/", &[("Connection", "close")]);
    assert_eq!(exchange(server.collect, &hit).header("x-metka"), Some("ok"));
    let reply = sign_in(&server, "olga", PASSWORD);
    assert_eq!((reply.status, reply.cookie("metka_session")), (500, None));
    assert_eq!(sign_in(&server, "olga", "not the password").status, 401);
    wait_for("the server to say so", || {
        let log = server.log.lock().expect("free");
        (log.contains("the audit trail is damaged") && log.contains("it is missing")).then_some(())
    });
    std::fs::write(&month, honest).expect("written");
    assert_eq!(sign_in(&server, "olga", PASSWORD).status, 200, "it is well again");
    assert_eq!(server.terminate().0, Some(0));
}
