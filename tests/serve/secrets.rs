//! What identifies a visitor is nowhere: not in a file, a column, the log, a
//! metric, the status, a backup or an answer.
//!
//! Canaries go in wherever a request has room for them; then everything that the
//! server wrote is looked through, raw, and every column of every table as the
//! engine reads it, the engine's own logs and lists among them. A backup is
//! looked through as the file it is, and opened: restored elsewhere, where the
//! same is done again. In each place something that is stored in the clear on
//! purpose must be found, so that nothing is proved by looking past it.

mod canary;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use canary::{Canaries, Scanner, holds};
use serde_json::json;

use crate::http::{Reply, event, exchange, get, request};
use crate::server::{Server, wait_for};
use crate::{configure, configured};

/// E-mail addresses and the like that are taken out of a page's path and title:
/// each is put into both, and looked for like every other canary.
const TAKEN_OUT_OF_PATH_AND_TITLE: [&str; 7] = [
    "anna.canary@path.example",
    "+79215550166",
    // A card number for tests, a SNILS with its check digits, an id of a client.
    "4012888888881881",
    "112-233-445 95",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnktNjYifQ.c2lnbmF0dXJlLWNhbmFyeQ",
    "0f9e8d7c-6b5a-4433-9211-00c0ffee7766",
    "1234567890.1700000066",
];

/// Addresses of RFC 5737 and RFC 3849 that nothing else here uses.
const ADDRESS: &str = "203.0.113.77";
const ADDRESS_6: &str = "2001:db8:77:7a7a:5c5c:1:2:c0de";
/// What others headers say; none of them is read.
const OTHER_ADDRESS: &str = "203.0.113.178";
/// Stored in the clear on purpose: the scanner must find it.
const PAGE: &str = "canary-page-7f3a";
const QUERY: &str = "canary-query-08b5";
const AGENT: &str = "CanaryAgent/77.7";
const USER_KEY: &str = "canary-user-5c1d";
const SECRET: &str = "canary-secret-93e2";
const MAIL: &str = "ivan.canary@mail.example";
const PHONE: &str = "+79005550177";
const TOKEN: &str = "canary-token-51ab99";
const PASSWORD: &str = "canary-password-6e6e";
const FORGED: &str = "canary-forged-cookie-1b";
const PASSPHRASE: &str = "canary words on a card";

/// Nothing is sealed before the spool was looked through.
const WAITING: &str = r#"
[collect]
threads = 1
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
[ship]
interval = "600s"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
user_key_secret_file = "secret"
"#;

/// The engine's own tables that hold what somebody sent or did, besides all whose
/// names end with `_log`. The others describe the engine; some have no end.
const SYSTEM_TABLES: [&str; 27] = [
    "asynchronous_inserts",
    "asynchronous_metrics",
    "backups",
    "columns",
    "databases",
    "detached_parts",
    "distribution_queue",
    "dropped_tables",
    "errors",
    "events",
    "merges",
    "metrics",
    "moves",
    "mutations",
    "parts",
    "parts_columns",
    "processes",
    "query_cache",
    "query_condition_cache",
    "replication_queue",
    "schema_inference_cache",
    "server_settings",
    "settings",
    "tables",
    "temporary_files",
    "user_processes",
    "warnings",
];
/// More rows of a system table are not looked at.
const SYSTEM_ROWS: usize = 1_000_000;

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&path, out),
            Ok(kind) if kind.is_file() => out.push(path),
            _ => {}
        }
    }
}

/// Without the blocks at the end that were never written: the spool's segments are allocated whole.
fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    const BLOCK: [u8; 4096] = [0; 4096];
    while let Some(rest) = bytes.strip_suffix(&BLOCK) {
        bytes = rest;
    }
    bytes
}

/// Looks through every file below `dir`; says how many, and whether the page is there.
fn look_at_files(scanner: &mut Scanner, dir: &Path) -> (usize, bool) {
    let mut paths = Vec::new();
    files(dir, &mut paths);
    let mut page = false;
    for path in &paths {
        // A file that the engine has just merged away is no place to look.
        let Ok(bytes) = std::fs::read(path) else { continue };
        let bytes = without_zeros(&bytes);
        page |= holds(bytes, PAGE);
        scanner.look(&path.display().to_string(), bytes);
    }
    (paths.len(), page)
}

/// Puts a statement to the engine itself, and returns its answer byte for byte.
fn ask(data: &Path, sql: &str, format: &str) -> Result<Vec<u8>, String> {
    let secret = std::fs::read_to_string(data.join("engine/secret")).expect("the engine's secret");
    let mut stream = UnixStream::connect(data.join("engine.sock")).expect("the engine's socket");
    // By version 1.0 the body comes in one piece, to the end of the connection.
    let head = format!(
        "POST /?default_format={format} HTTP/1.0\r\nHost: engine\r\nX-ClickHouse-Key: {}\r\nContent-Length: {}\r\n\r\n{sql}",
        secret.trim(),
        sql.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let body = answer.split_off(end + 4);
    if answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200") {
        Ok(body)
    } else {
        Err(String::from_utf8_lossy(&body).into_owned())
    }
}

/// Looks through every column of every table that holds anything of ours, as
/// text and in the engine's bytes.
/// Says how many tables and columns, which could not be read, and whether the
/// page and the last query are there.
fn look_at_columns(scanner: &mut Scanner, data: &Path) -> String {
    let marker = "canary-statement-2c2c";
    ask(data, &format!("SELECT '{marker}'"), "TSV").expect("answered");
    // The engine writes its logs, where it has any, when it is asked to.
    drop(ask(data, "SYSTEM FLUSH LOGS", "TSV"));
    let tables = ask(
        data,
        "SELECT database, name FROM system.tables WHERE lower(database) != 'information_schema' ORDER BY 1, 2",
        "TSV",
    );
    let tables = String::from_utf8(tables.expect("the tables")).expect("text");
    let columns = ask(data, "SELECT count() FROM system.columns", "TSV").expect("the columns");
    let (mut read, mut unread, mut page, mut logged) = (0, Vec::new(), false, Vec::new());
    for line in tables.lines() {
        let (database, table) = line.split_once('\t').expect("two columns");
        let is_known = SYSTEM_TABLES.contains(&table) || table.ends_with("_log");
        if database == "system" && !is_known {
            continue;
        }
        let limit = if database == "system" { format!(" LIMIT {SYSTEM_ROWS}") } else { String::new() };
        for format in ["TSVRaw", "RowBinary"] {
            match ask(data, &format!("SELECT * FROM `{database}`.`{table}`{limit}"), format) {
                Ok(bytes) => {
                    scanner.look(&format!("{database}.{table} as {format}"), &bytes);
                    page |= table == "hits" && holds(&bytes, PAGE);
                    if holds(&bytes, marker) {
                        logged.push(table);
                    }
                    read += 1;
                }
                Err(error) => {
                    assert_eq!(database, "system", "{table}: {error}");
                    scanner.look(&format!("the refusal of {table}"), error.as_bytes());
                    unread.push(table);
                }
            }
        }
    }
    assert!(page, "the scanner finds what is in the table");
    if tables.contains("system\tquery_log\n") {
        assert!(logged.contains(&"query_log"), "the scanner finds a statement in the engine's own log");
    }
    logged.dedup();
    unread.dedup();
    format!(
        "{read} readings of tables, of {} with {} columns in the engine; the last statement is in {logged:?}; not readable: {unread:?}",
        tables.lines().count(),
        String::from_utf8_lossy(&columns).trim()
    )
}

fn mac() -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(format!("clinic:{USER_KEY}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a command in a directory, with this text on its standard input.
fn run(dir: &Path, arguments: &[&str], input: &str) -> Vec<u8> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_metka"))
        .args(arguments)
        .args(["--json", "--config", "metka.toml"])
        .current_dir(dir)
        .env("METKA_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].concat()
}

fn serve(dir: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metka"));
    command.args(["serve", "--config", "metka.toml"]).env("METKA_LOG", "trace");
    let server = Server::start_by(command, dir);
    server.rows("SELECT 1");
    server
}

/// An answer as it was sent.
fn text_of(reply: &Reply) -> Vec<u8> {
    let mut text = format!("{}\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
    }
    text.extend_from_slice(&reply.body);
    text
}

/// Sends canaries wherever they fit on the collect address; returns the answers.
/// All that is kept is a page named [`PAGE`].
fn send_to_collect(address: SocketAddr) -> Vec<(String, Reply)> {
    let from = ("X-Forwarded-For", ADDRESS);
    let from_6 = ("X-Forwarded-For", ADDRESS_6);
    let encoded: String = url::form_urlencoded::byte_serialize(MAIL.as_bytes()).collect();
    let page = format!("https://clinic.example/{PAGE}");
    let pixel = |more: &str, headers: &[(&str, &str)]| {
        exchange(address, &get(&format!("/pixel.gif?s=clinic&{more}"), headers))
    };
    let post = |body: &str, headers: &[(&str, &str)]| exchange(address, &event(body, headers));
    let mut answers = vec![
        (
            "parameters that no site allows, a fragment",
            pixel(
                &format!("u={page}%3Femail%3D{encoded}%26phone%3D%2B79005550177%26utm_source%3D{QUERY}%23{encoded}&email={encoded}"),
                &[from],
            ),
        ),
        ("name and password in the page's address", pixel(&format!("u=https://{TOKEN}:{PASSWORD}@clinic.example/{PAGE}"), &[from])),
        (
            "name, password, parameters and fragment of the referrer",
            pixel(&format!("u={page}&r=https://{TOKEN}:{PASSWORD}@forum.example/thread%3Fq%3D{encoded}%23{PHONE}"), &[from_6]),
        ),
        ("a user key without a good signature", pixel(&format!("u={page}&uk={encoded}.00"), &[from])),
        (
            "headers",
            pixel(
                &format!("u={page}"),
                &[
                    from_6,
                    ("Authorization", &format!("Bearer {TOKEN}")),
                    ("Proxy-Authorization", &format!("Basic {PASSWORD}")),
                    ("Cookie", &format!("session={TOKEN}; user={MAIL}; metka={FORGED}")),
                    ("From", MAIL),
                    ("X-Real-IP", OTHER_ADDRESS),
                    ("Forwarded", &format!("for={OTHER_ADDRESS}")),
                    ("CF-Connecting-IP", OTHER_ADDRESS),
                    ("X-Phone", PHONE),
                    ("User-Agent", &format!("Mozilla/5.0 (X11; Linux x86_64; {OTHER_ADDRESS}) {MAIL} {AGENT}")),
                ],
            ),
        ),
        ("a site that does not exist", exchange(address, &get(&format!("/pixel.gif?s={encoded}&u={page}"), &[from]))),
        ("a page of another host", pixel(&format!("u=https://{TOKEN}.example/"), &[from])),
        ("a page that is none", pixel(&format!("u={encoded}"), &[from])),
        (
            "fields that no hit has",
            post(
                &json!({"s": "clinic", "u": page, "email": MAIL, "phone": PHONE, "user": {"token": [TOKEN, PASSWORD]}}).to_string(),
                &[from],
            ),
        ),
        ("a body that is no JSON", post(&format!("{{\"s\":\"clinic\",{MAIL} {PHONE} {TOKEN}"), &[from])),
        ("a body of the wrong form", post(&json!({"s": [MAIL], "u": {"x": PHONE}, "k": TOKEN}).to_string(), &[from])),
        ("a kind that does not exist", post(&json!({"s": "clinic", "u": page, "k": TOKEN}).to_string(), &[from])),
        ("a user key that is too long", post(&json!({"s": "clinic", "u": page, "uk": MAIL.repeat(40)}).to_string(), &[from])),
        ("a name that is too long", post(&json!({"s": "clinic", "u": page, "k": "event", "n": PHONE.repeat(40)}).to_string(), &[from])),
        ("a packed body", post(MAIL, &[from, ("Content-Encoding", "gzip")])),
        (
            "a form",
            exchange(
                address,
                &request("POST", "/event", &[from, ("Content-Type", "application/x-www-form-urlencoded")], MAIL.as_bytes()),
            ),
        ),
        ("a path that does not exist", exchange(address, &get(&format!("/{TOKEN}/{encoded}"), &[from]))),
        ("a method that does not exist", exchange(address, &request("PUT", &format!("/event?x={encoded}"), &[from], PHONE.as_bytes()))),
        ("an opt-out from elsewhere", exchange(address, &request("POST", "/privacy/opt-out", &[from, ("Origin", &format!("https://{TOKEN}.example"))], b""))),
        ("the privacy page", exchange(address, &get(&format!("/privacy?s={encoded}"), &[from, ("Referer", &format!("https://{TOKEN}.example/"))]))),
        ("a request line that is none", exchange(address, format!("GET /{MAIL} {PHONE} HTTP/1.1\r\n\r\n").as_bytes())),
        ("a header that is none", exchange(address, format!("GET / HTTP/1.1\r\nHost: x\r\n{MAIL}\x01: {PHONE}\r\n\r\n").as_bytes())),
    ];
    for taken_out in TAKEN_OUT_OF_PATH_AND_TITLE {
        let body =
            json!({"s": "clinic", "u": format!("{page}/{taken_out}"), "t": format!("{PAGE} {taken_out}")});
        let reply = post(&body.to_string(), &[from]);
        assert_eq!(reply.status, 202, "a hit with {taken_out} is kept");
        answers.push(("in path and title", reply));
    }
    answers.into_iter().map(|(what, reply)| (what.to_owned(), reply)).collect()
}

/// The same on the web address, by somebody whom it does not know.
fn send_to_web(address: SocketAddr) -> Vec<(String, Reply)> {
    let bearer = format!("Bearer {TOKEN}");
    let typed = [("Content-Type", "application/json"), ("X-Forwarded-For", ADDRESS)];
    let signing_in = json!({"login": MAIL, "password": PASSWORD}).to_string();
    let ask = |method: &str, target: &str, headers: &[(&str, &str)], body: &str| {
        let headers = [&typed[..], headers].concat();
        exchange(address, &request(method, target, &headers, body.as_bytes()))
    };
    [
        ("a wrong sign-in", ask("POST", "/api/v1/session", &[], &signing_in)),
        ("a sign-in that is no JSON", ask("POST", "/api/v1/session", &[], &format!("{{{MAIL}"))),
        ("a wrong code", ask("POST", "/api/v1/session", &[], &json!({"code": TOKEN}).to_string())),
        ("a wrong token", ask("POST", "/api/v2/query", &[("Authorization", &bearer)], &signing_in)),
        (
            "a wrong session",
            ask("GET", "/api/v1/sites", &[("Cookie", &format!("metka_session={TOKEN}"))], ""),
        ),
        ("a wrong path", ask("GET", &format!("/{TOKEN}?{MAIL}"), &[], "")),
        ("a wrong method", ask("PUT", &format!("/api/v2/query?{TOKEN}"), &[], PHONE)),
    ]
    .map(|(what, reply)| (what.to_owned(), reply))
    .into()
}

#[test]
fn what_identifies_a_visitor_is_nowhere() {
    let dir = configured();
    configure(dir.path(), WAITING);
    std::fs::write(dir.path().join("secret"), SECRET).expect("written");
    let server = serve(dir.path());

    // A visitor of each kind of address, with a cookie and a good user key.
    let agent = format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 {AGENT}"
    );
    let mut canaries = Canaries::default();
    let target = format!("/pixel.gif?s=clinic&u=https://clinic.example/{PAGE}&uk={USER_KEY}.{}", mac());
    for from in [ADDRESS, ADDRESS_6] {
        let mut cookie = String::new();
        for _ in 0..3 {
            let headers = [("X-Forwarded-For", from), ("User-Agent", &agent), ("Cookie", &cookie)];
            let reply = exchange(server.collect, &get(&target, &headers));
            assert_eq!(reply.header("x-metka"), Some("ok"), "the user key is accepted");
            if let Some(set) = reply.cookie("metka") {
                canaries.text("a cookie", set.trim_start_matches("metka="));
                for part in set.split('.').skip(3) {
                    let bytes = u128::from_str_radix(part, 16).expect("hex").to_be_bytes();
                    canaries.sixteen("a part of a cookie", bytes);
                }
                cookie = set;
            }
        }
    }
    assert_eq!(canaries.counts().0, 6, "two cookies were set, each with an id and a MAC");
    canaries.address("the IPv4 address", ADDRESS);
    canaries.address("the IPv6 address", ADDRESS_6);
    canaries.address("the address of other headers", OTHER_ADDRESS);
    let created = server.command(&["token", "create", "--name", "canary", "--role", "owner"]);
    let created = created["token"].as_str().expect("a token").to_owned();
    let user_mac = mac();
    for (what, value) in [
        ("the user agent", AGENT),
        ("the user key", USER_KEY),
        ("the user key's signature", &user_mac),
        ("the user key's secret", SECRET),
        ("the e-mail", MAIL),
        ("the phone", PHONE),
        ("somebody's token", TOKEN),
        ("somebody's password", PASSWORD),
        ("a forged cookie", FORGED),
        ("the server's own token", &created),
        ("the passphrase of the keys", PASSPHRASE),
    ]
    .into_iter()
    .chain(TAKEN_OUT_OF_PATH_AND_TITLE.map(|value| ("in path and title", value)))
    {
        canaries.text(what, value);
    }
    let mut scanner = canaries.scanner();

    let mut answers = send_to_collect(server.collect);
    answers.extend(send_to_web(server.web));
    let refusals = answers.iter().filter(|(_, reply)| reply.status >= 400).count();
    for (what, reply) in &answers {
        scanner.look(&format!("the answer to {what}"), &text_of(reply));
    }
    assert!(
        answers.iter().any(|(_, reply)| holds(&text_of(reply), "foreign-host")),
        "the scanner finds a reason in an answer"
    );

    // The rows wait in the spool, in the clear but for what is protected.
    let (in_spool, page) = look_at_files(&mut scanner, &server.data());
    assert!(page, "the scanner finds the page in the spool");
    let made = server.command(&["backup"]);
    let backup = PathBuf::from(made["file"].as_str().expect("a file"));
    look_at_files(&mut scanner, backup.parent().expect("a directory"));
    let look_at_server = |scanner: &mut Scanner, server: &Server| {
        let metrics =
            exchange(server.web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(holds(&metrics.body, "site=\"clinic\""), "the metrics are there");
        scanner.look("/metrics", &metrics.body);
        let status = server.command(&["status"]).to_string();
        assert!(holds(status.as_bytes(), "clinic"), "the status is there");
        scanner.look("metka status", status.as_bytes());
        scanner.look("metka spool stat", server.command(&["spool", "stat"]).to_string().as_bytes());
        let log = server.log.lock().expect("free").clone();
        assert!(holds(log.as_bytes(), "\"TRACE\""), "everything is logged that can be");
        assert!(
            !holds(log.as_bytes(), PAGE) && !holds(log.as_bytes(), QUERY),
            "a page's address is in the log"
        );
        scanner.look("the log", log.as_bytes());
        let out = server.out.lock().expect("free").clone();
        assert!(holds(out.as_bytes(), "collector"), "the addresses are printed");
        scanner.look("standard output", out.as_bytes());
        log.len()
    };
    let logged = look_at_server(&mut scanner, &server);
    server.kill();

    // The same rows, stored.
    configure(dir.path(), &WAITING.replace("600s", "200ms"));
    let server = serve(dir.path());
    let counts = server.settled("clinic");
    let stored = counts["stored"].as_u64().expect("a count");
    assert!(stored >= 6 + 6, "{counts}");
    let without = server.rows(
        "SELECT count() FROM metka.hits WHERE match(path, '/\\\\[[a-z]+\\\\]$') AND match(title, ' \\\\[[a-z]+\\\\]$')",
    );
    let marked = without[0][0].as_str().map_or_else(|| without[0][0].as_u64(), |count| count.parse().ok());
    assert_eq!(marked, Some(TAKEN_OUT_OF_PATH_AND_TITLE.len() as u64), "markers stand for them");
    let columns = look_at_columns(&mut scanner, &server.data());
    let (in_parts, _) = look_at_files(&mut scanner, &server.data());
    look_at_server(&mut scanner, &server);
    server.kill();

    // The backup, opened.
    let there = configured();
    configure(there.path(), &WAITING.replace("600s", "200ms"));
    std::fs::write(there.path().join("secret"), "another secret than the first").expect("written");
    let sealed = there.path().join("keys.sealed");
    let sealed = sealed.to_str().expect("a plain path");
    for (dir, verb) in [(dir.path(), "export"), (there.path(), "import")] {
        let said = run(dir, &["keys", verb, sealed, "--passphrase-stdin"], PASSPHRASE);
        scanner.look(&format!("keys {verb}"), &said);
    }
    let said = run(there.path(), &["restore", backup.to_str().expect("a plain path")], "");
    scanner.look("restore", &said);
    let restored = serve(there.path());
    // What waited when the backup was made has come along, and is stored there.
    let found = wait_for("the restored rows", || {
        let rows = restored.rows("SELECT count() FROM metka.hits");
        let count = rows[0][0].as_u64().or_else(|| rows[0][0].as_str()?.parse().ok());
        count.filter(|count| *count == stored)
    });
    let restored_columns = look_at_columns(&mut scanner, &restored.data());
    let (restored_files, _) = look_at_files(&mut scanner, there.path());
    look_at_server(&mut scanner, &restored);

    let (values, forms) = canaries.counts();
    println!(
        "{values} values in {forms} forms: 0 found in {} MB of {} places:\n\
         {} answers, {refusals} of them refusals; {in_spool} files with the rows in the spool, {in_parts} with the rows stored, \
         {restored_files} restored from a backup; {logged} bytes of the first log\n\
         {columns}\nrestored ({found} rows): {restored_columns}",
        scanner.bytes >> 20,
        scanner.places,
        answers.len(),
    );
}
