//! The binary: arguments, exit codes, what it prints, what it leaves on disk.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use metka::count::Counters;
use metka::spool;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// One run's end.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

struct Metka {
    dir: tempfile::TempDir,
}

// === impl Metka ===

impl Metka {
    fn new() -> Metka {
        let dir = tempfile::tempdir().expect("a directory");
        let text = "[[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n";
        std::fs::write(dir.path().join("metka.toml"), text).expect("written");
        Metka { dir }
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "", &[])
    }

    fn run_with(&self, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("METKA_LOG", "warn")
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        // A command that reads no input may have closed it already.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        Ended {
            code: output.status.code().expect("no signal ended it"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--config", "metka.toml", "--json"];
        all.extend_from_slice(arguments);
        self.run(&all).ok().json()
    }
}

// === impl Ended ===

impl Ended {
    fn ok(self) -> Ended {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

#[test]
fn wrong_usage_and_configuration_end_with_2_and_say_why() {
    let metka = Metka::new();
    for (arguments, expected) in [
        (&["nonsense"][..], "nonsense"),
        (&[], "Usage"),
        (&["user", "add", "olga", "--role", "king", "--password-stdin"], "king"),
        (&["user", "add", "olga", "--role", "owner"], "--password-stdin"),
        (&["--config", "missing.toml", "check"], "missing.toml"),
        (&["--config", "metka.toml", "token", "create", "--name", "a b", "--role", "viewer"], "a b"),
        (
            &["--config", "metka.toml", "token", "create", "--name", "x", "--role", "viewer", "--site", "y"],
            "\"y\"",
        ),
        (&["--config", "metka.toml", "stats", "missing.json"], "missing.json"),
        // Commands of later work do not exist, rather than doing nothing.
        (&["disclose"], "disclose"),
    ] {
        let ended = metka.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
        assert!(ended.out.is_empty(), "{arguments:?}: {}", ended.out);
    }
    let ended =
        metka.run_with(&["check"], "", &[("METKA_WEB__LISTEN", "nowhere"), ("METKA_WEB__SPEED", "1")]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("web.listen") && ended.err.contains("speed"), "{}", ended.err);
    assert!(ended.err.contains("2 mistakes"), "{}", ended.err);
    let rules = "[\"/doctors/dr-* => /doctors/:doctor\", \"/booking/** => /booking/:step\"]";
    let site = [
        ("METKA_SITE__0__ID", "clinic"),
        ("METKA_SITE__0__HOSTS", "[\"clinic.example\"]"),
        ("METKA_SITE__0__PATH_RULES", rules),
    ];
    let ended = metka.run_with(&["check"], "", &site);
    assert_eq!(ended.code, 2);
    assert!(
        ended.err.contains("site[0].path_rules") && ended.err.contains("a star stands for a whole segment"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("1 mistake"), "{}", ended.err);
}

#[test]
fn help_and_version_end_with_0() {
    let metka = Metka::new();
    let help = metka.run(&["--help"]).ok().out;
    for command in ["serve", "check", "status", "stats", "user", "token", "site", "demo"] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in:\n{help}");
    }
    assert!(metka.run(&["--version"]).ok().out.starts_with("metka "));
    assert!(metka.run(&["token", "create", "--help"]).ok().out.contains("shown once"));
}

#[test]
fn people_are_added_listed_and_removed() {
    let metka = Metka::new();
    let add = |login: &str, role: &str, input: &str| {
        metka.run_with(&["user", "add", login, "--role", role, "--password-stdin"], input, &[])
    };
    add("olga", "owner", &format!("{PASSWORD}\n")).ok();
    add("ivan", "viewer", PASSWORD).ok();
    assert_eq!(add("ivan", "viewer", PASSWORD).code, 1);
    let short = add("petr", "viewer", "short\n");
    assert_eq!((short.code, short.err.contains("at least")), (2, true), "{}", short.err);
    assert!(!short.err.contains("short\n"), "the password is not repeated: {}", short.err);

    let listed = metka.json(&["user", "list"]);
    let logins: Vec<&str> =
        listed["people"].as_array().expect("a list").iter().filter_map(|one| one["login"].as_str()).collect();
    assert_eq!(logins, ["olga", "ivan"]);
    assert!(metka.run(&["user", "list"]).ok().out.lines().any(|line| line.starts_with("ivan   viewer")));

    let people = metka.data().join("people.json");
    let before = std::fs::read_to_string(&people).expect("readable");
    metka.run_with(&["user", "passwd", "ivan", "--password-stdin"], "another long one\n", &[]).ok();
    assert_ne!(std::fs::read_to_string(&people).expect("readable"), before);
    assert_eq!(mode(&people), 0o600);
    assert_eq!(mode(&metka.data()), 0o700);
    assert!(!before.contains(PASSWORD));

    metka.run(&["user", "remove", "ivan"]).ok();
    assert_eq!(metka.run(&["user", "remove", "ivan"]).code, 1);
    let last = metka.run(&["user", "remove", "olga"]);
    assert_eq!((last.code, last.err.contains("last owner")), (1, true), "{}", last.err);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it exists").mode() & 0o777
}

#[test]
fn tokens_are_made_listed_without_their_secret_and_revoked() {
    let metka = Metka::new();
    let made = metka.json(&["token", "create", "--name", "grafana", "--role", "viewer", "--site", "clinic"]);
    let secret = made["token"].as_str().expect("a token");
    assert!(secret.starts_with("mtk_") && secret.len() == 68, "{secret}");
    let plain = metka.run(&["token", "create", "--name", "other", "--role", "owner", "--days", "1"]).ok();
    assert!(plain.out.starts_with("mtk_") && plain.out.lines().count() == 1, "{}", plain.out);

    let listed = metka.json(&["token", "list"]);
    assert_eq!(listed["tokens"][0]["name"], "grafana");
    assert_eq!(listed["tokens"][0]["site"], "clinic");
    assert_eq!(listed["tokens"][0]["expires"], Value::Null);
    assert!(listed["tokens"][1]["expires"].is_i64());
    assert!(!listed.to_string().contains(secret));

    metka.run(&["token", "revoke", "grafana"]).ok();
    assert_eq!(metka.run(&["token", "revoke", "grafana"]).code, 1);
    assert_eq!(metka.json(&["token", "list"])["tokens"].as_array().expect("a list").len(), 1);
}

#[test]
fn a_list_that_others_can_read_is_refused_by_name() {
    use std::os::unix::fs::PermissionsExt;
    let metka = Metka::new();
    metka.run(&["token", "create", "--name", "x", "--role", "viewer"]).ok();
    let people = metka.data().join("people.json");
    std::fs::set_permissions(&people, std::fs::Permissions::from_mode(0o644)).expect("changed");
    let ended = metka.run(&["token", "list"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("people.json") && ended.err.contains("0644"), "{}", ended.err);
}

#[test]
fn sites_are_listed_from_the_configuration() {
    let metka = Metka::new();
    assert_eq!(
        metka.json(&["site", "list"]),
        json!({ "sites": [{ "id": "clinic", "hosts": ["clinic.example"], "timezone": "Europe/Moscow" }] })
    );
}

#[test]
fn the_data_directory_can_be_named() {
    let metka = Metka::new();
    metka.run(&["--data", "elsewhere", "token", "create", "--name", "x", "--role", "viewer"]).ok();
    assert!(metka.dir.path().join("elsewhere/people.json").exists());
    assert!(!metka.data().exists());
}

#[test]
fn status_without_a_server_tells_what_the_last_one_left() {
    let metka = Metka::new();
    let status = metka.json(&["status"]);
    let nothing = json!({ "received": 0, "stored": 0, "waiting": 0, "in_flight": 0, "refused": {} });
    assert_eq!(status["sites"], json!({ "clinic": nothing }));
    assert_eq!(status["engine"]["state"], "stopped");

    // As a server would have left it: three hits durable, one refused, none shipped.
    let counters = Counters::new(["clinic"]);
    let site = counters.site("clinic");
    let options = spool::Options {
        dir: metka.data().join("spool"),
        spools: 1,
        durability: metka::config::Durability::Fsync,
        seal_interval: std::time::Duration::from_secs(1),
        batch_rows: 100,
        max_bytes: 64 << 20,
    };
    let opened = spool::open(options, counters.clone()).expect("opened");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let writer = opened.writers.into_iter().next().expect("one writer");
        for _ in 0..3 {
            site.arrived();
            let ticket =
                writer.append(&site, 24_311, |_, out| out.extend_from_slice(b"\x06clinic")).expect("room");
            ticket.await.expect("durable");
        }
        site.arrived();
        site.refused(metka::reject::Reason::ForeignHost);
        opened.outlet.checkpoint().expect("written");
        writer.close();
    });
    drop(opened.outlet);
    let status = metka.json(&["status"]);
    assert_eq!(
        status["sites"]["clinic"],
        json!({ "received": 4, "stored": 0, "waiting": 3, "in_flight": 0, "refused": { "foreign-host": 1 } })
    );
    assert_eq!(status["backlog"]["rows"], 3);

    let stat = metka.json(&["spool", "stat"]);
    assert_eq!(stat["waiting"], json!({ "clinic": 3 }));
    assert_eq!(metka.json(&["spool", "verify"])["ok"], true);
}

#[test]
fn check_says_each_fault_and_whether_it_is_the_configuration_s() {
    let metka = Metka::new();
    let no_library = ("METKA_ENGINE__LIBRARY", "missing.so");
    let check = |environment: &[(&str, &str)]| {
        metka.run_with(&["--config", "metka.toml", "--json", "check"], "", environment)
    };
    let ended = check(&[no_library]);
    assert_eq!(ended.code, 1, "storage is a matter of the moment: {}{}", ended.out, ended.err);
    let found = ended.json();
    assert_eq!(found["ok"], false);
    let state = |what: &str| {
        let findings = found["findings"].as_array().expect("a list");
        findings.iter().find(|one| one["what"] == what).map(|one| one["state"].clone())
    };
    assert_eq!(state("storage"), Some(json!("WRONG")));
    for what in ["sites", "data directory", "people", "keys"] {
        assert_eq!(state(what), Some(json!("ok")), "{what}");
    }
    assert!(!metka.data().exists(), "a check makes nothing");
    let ended = check(&[no_library, ("METKA_GEO__FILES", "[\"missing.mmdb\"]")]);
    assert_eq!(ended.code, 2, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("missing.mmdb"), "{}", ended.out);
}

#[test]
fn serve_without_a_site_is_a_fault_of_the_configuration() {
    let metka = Metka::new();
    let ended = metka.run(&["serve"]);
    assert_eq!((ended.code, ended.err.contains("[[site]]")), (2, true), "{}", ended.err);
}

/// Ends the server when a test fails.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One request to the web address; the answer as text.
fn ask(address: &str, request: &str) -> String {
    use std::io::Read;
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn a_server_is_signed_in_to_with_its_code_and_ends_cleanly_even_without_storage() {
    use std::io::{BufRead, BufReader};
    let metka = Metka::new();
    let child = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(["--config", "metka.toml", "serve"])
        .current_dir(metka.dir.path())
        .env_clear()
        .env("METKA_COLLECT__LISTEN", "127.0.0.1:0")
        .env("METKA_WEB__LISTEN", "127.0.0.1:0")
        .env("METKA_ENGINE__LIBRARY", "missing.so")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut serving = Serving(child);
    let lines: Vec<String> = BufReader::new(serving.0.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .take(3)
        .collect();
    let address = lines[0].strip_prefix("dashboard  http://").expect("its address").trim_end_matches('/');
    let file = metka.data().join("first-sign-in");
    assert!(lines[2].contains("first-sign-in"), "{lines:?}");
    assert_eq!(mode(&file), 0o600);
    let code = std::fs::read_to_string(&file).expect("readable");

    let body = json!({ "code": code.trim() }).to_string();
    let answer = ask(
        address,
        &format!(
            "POST /api/v1/session HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"role\":\"owner\""), "{answer}");
    assert!(!file.exists());

    let made = metka.json(&["token", "create", "--name", "x", "--role", "viewer"]);
    let answer = ask(
        address,
        &format!(
            "GET /api/v1/live?site_id=clinic HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             authorization: Bearer {}\r\n\r\n",
            made["token"].as_str().expect("a token")
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("storage is not ready yet"), "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert_eq!(metka.json(&["status"])["sites"]["clinic"]["received"], 0);

    let pid = rustix::process::Pid::from_child(&serving.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert!(serving.0.wait().expect("it ends").success());
    assert!(!metka.data().join("control.sock").exists());
}
