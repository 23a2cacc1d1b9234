//! Several collectors on one storage: their jobs fall into each other at every statement.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metka::spool::{Subject, Tombstone};
use metka::store::{Block, Change, Endpoint, Limits, List, Storage, StorageError};
use serde_json::{Value, json};

use crate::place::Place;
use crate::proxy::{message_length, read_until};
use crate::server::{PATIENCE, Server};
use crate::{ADDRESS, Browser, PURPOSE, contains, numbers, place_with};

/// Rows of each person.
const ROWS: u64 = 3;
/// More statements than any job has.
const MAX_ROUNDS: u64 = 40;

/// What each round has one of, who is somebody's job or nobody's.
const CORRECTED: u64 = 1;
const UNBLOCKED: u64 = 2;
const ERASED: u64 = 3;
const PEOPLE: u64 = 4;

/// A ClickHouse to which more than one collector may connect.
struct Engine {
    process: Child,
    address: SocketAddr,
    password: String,
    directory: tempfile::TempDir,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Correct,
    Unblock,
    Erase,
    /// What a collector does with what is left of jobs when it starts.
    Start,
}

/// What happens in between, once.
type Other = Box<dyn FnOnce() -> Result<u64, String> + Send>;

/// Before which of its statements a collector is interrupted, and what came of that.
struct Interruption {
    before: u64,
    statements: u64,
    other: Option<Other>,
    done: Option<Result<u64, String>>,
}

// === impl Engine ===

impl Engine {
    fn start() -> Engine {
        let directory = tempfile::tempdir().expect("a directory");
        let mut process = Command::new(env!("CARGO_BIN_EXE_metka"))
            .args(["engine", "--listen", "127.0.0.1:0", "--data"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("the line of readiness");
        let url = ready["listen"].as_str().expect("an address");
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
        let password = password(directory.path());
        Engine { process, address, password, directory }
    }

    /// A collector's storage, which is reached at this address.
    fn storage(&self, address: SocketAddr, database: &str) -> Storage {
        storage(address, &self.password, database)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn password(data: &Path) -> String {
    std::fs::read_to_string(data.join("engine/secret")).expect("a secret").trim().to_owned()
}

fn storage(address: SocketAddr, password: &str, database: &str) -> Storage {
    let (url, user) = (format!("http://{address}"), "default".to_owned());
    Storage::new(&Endpoint::Http { url, user, password: password.to_owned() }, database)
}

// === impl Work ===

impl Work {
    /// Says how many rows it was about.
    async fn run(self, storage: &Storage, round: u64) -> Result<u64, StorageError> {
        match self {
            Work::Correct => {
                let change = Change::Text { column: "city", value: "Tver".to_owned() };
                storage.correct(&[block(round, CORRECTED)], (0, now_ms()), &change).await
            }
            Work::Unblock => storage.delist(List::Blocked, &[block(round, UNBLOCKED)]).await.map(|()| ROWS),
            Work::Erase => {
                let Block { site, subject } = block(round, ERASED);
                storage.erase(&[Tombstone { site, subject, before_ms: now_ms(), made_ms: now_ms() }]).await
            }
            Work::Start => storage.settle_jobs().await.map(|()| ROWS),
        }
    }
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn block(round: u64, person: u64) -> Block {
    Block { site: "clinic".to_owned(), subject: Subject::Visitor(10 * round + person) }
}

fn blocking<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

/// People for so many rounds, all of them blocked.
async fn filled(storage: &Storage, rounds: u64) {
    storage.migrate().await.expect("migrations apply");
    let database = storage.database();
    let insert = format!(
        "INSERT INTO {database}.hits (site, time, kind, visitor, city, props, keep_days, city_days, props_days, batch, row) \
         SELECT 'clinic', now64(3) - toIntervalHour(1), 'pageview', \
         10 * intDiv(number, {PEOPLE} * {ROWS}) + intDiv(number, {ROWS}) % {PEOPLE} + 1, 'Moscow', \
         map('doctor', 'Moscow'), 3650, 3650, 3650, 1, number FROM numbers({rounds} * {PEOPLE} * {ROWS})"
    );
    storage.execute(&insert, &[]).await.expect("inserted");
    let all: Vec<Block> =
        (0..rounds).flat_map(|round| (1..=PEOPLE).map(move |person| block(round, person))).collect();
    storage.enlist(List::Blocked, &all, 1).await.expect("blocked");
    assert_eq!(storage.hold_listed().await.expect("held"), rounds * PEOPLE * ROWS);
}

async fn rows(storage: &Storage, sql: &str) -> Vec<Vec<Value>> {
    storage.json(sql, &[], &Limits::default()).await.expect("an answer")
}

/// Stands before storage for one collector.
fn interrupted(engine: SocketAddr, interruption: Arc<Mutex<Interruption>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let interruption = interruption.clone();
            // An error is a connection that ended.
            std::thread::spawn(move || drop(pass(client, engine, &interruption)));
        }
    });
    address
}

fn pass(mut client: TcpStream, engine: SocketAddr, interruption: &Mutex<Interruption>) -> io::Result<()> {
    let mut server = TcpStream::connect(engine)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    loop {
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        read_until(&mut client, &mut request, message_length)?;
        // Only the waiting for old parts looks there, again and again.
        if !contains(&request, b"system.parts") {
            let mut interruption = interruption.lock().expect("no panic holds this lock");
            if interruption.statements == interruption.before
                && let Some(other) = interruption.other.take()
            {
                interruption.done = Some(other());
            }
            interruption.statements += 1;
        }
        server.write_all(&request)?;
        read_until(&mut server, &mut answer, message_length)?;
        client.write_all(&answer)?;
    }
}

/// One collector's work is interrupted by another's before each of its statements. How often.
fn interleaved(engine: &Engine, first: Work, other: Work) -> u64 {
    let database = format!("{first:?}_{other:?}").to_lowercase();
    blocking(filled(&engine.storage(engine.address, &database), MAX_ROUNDS));
    for round in 0..MAX_ROUNDS {
        let (address, password, name) = (engine.address, engine.password.clone(), database.clone());
        let between = move || {
            let storage = storage(address, &password, &name);
            blocking(other.run(&storage, round)).map_err(|error| error.to_string())
        };
        let interruption =
            Interruption { before: round, statements: 0, other: Some(Box::new(between)), done: None };
        let interruption = Arc::new(Mutex::new(interruption));
        let proxy = interrupted(engine.address, interruption.clone());
        let what = format!("{first:?}, and {other:?} before statement {round}");
        let found = blocking(first.run(&engine.storage(proxy, &database), round));
        assert_eq!(found.map_err(|error| error.to_string()), Ok(ROWS), "{what}: the first");
        let done = interruption.lock().expect("no panic holds this lock").done.take();
        let Some(done) = done else {
            return round;
        };
        assert_eq!(done, Ok(ROWS), "{what}: the other");
        blocking(each_is_done(&engine.storage(engine.address, &database), round, [first, other], &what));
    }
    panic!("{first:?} has no more than {MAX_ROUNDS} statements");
}

/// Exactly what was asked for has become of exactly those who were meant.
async fn each_is_done(storage: &Storage, round: u64, works: [Work; 2], what: &str) {
    let did = |work| works.contains(&work);
    let database = storage.database();
    let sql = format!(
        "SELECT visitor % 10, count(), countIf(city = 'Tver'), countIf(city = 'Moscow'), countIf(hold) \
         FROM {database}.hits WHERE intDiv(visitor, 10) = {round} GROUP BY 1 ORDER BY 1"
    );
    let mut expected = Vec::new();
    for person in (1..=PEOPLE).filter(|person| !(*person == ERASED && did(Work::Erase))) {
        let corrected = if person == CORRECTED && did(Work::Correct) { ROWS } else { 0 };
        let held = if person == UNBLOCKED && did(Work::Unblock) { 0 } else { ROWS };
        expected.push(json!([person, ROWS, corrected, ROWS - corrected, held]));
    }
    assert_eq!(json!(rows(storage, &sql).await), json!(expected), "{what}: person, rows, Tver, Moscow, held");
    let listed = storage.listed(List::Blocked).await.expect("a list");
    for person in 1..=PEOPLE {
        let is_listed = !(person == UNBLOCKED && did(Work::Unblock));
        assert_eq!(listed.contains(&block(round, person)), is_listed, "{what}: {person} is blocked");
    }
    for table in ["erase_queue", "corrections"] {
        let left = rows(storage, &format!("SELECT count() FROM {database}.{table}")).await;
        assert_eq!(left[0][0], 0, "{what}: {table} is empty");
    }
}

#[test]
fn jobs_of_two_collectors_change_whom_they_are_about_and_nobody_else() {
    let engine = Engine::start();
    let pairs = [
        (Work::Correct, Work::Unblock),
        (Work::Correct, Work::Erase),
        (Work::Correct, Work::Start),
        (Work::Unblock, Work::Correct),
        (Work::Erase, Work::Unblock),
        (Work::Erase, Work::Correct),
    ];
    let engine = &engine;
    std::thread::scope(|scope| {
        let running = pairs
            .map(|(first, other)| (first, other, scope.spawn(move || interleaved(engine, first, other))));
        for (first, other, thread) in running {
            let rounds = thread.join().expect("every round is right");
            println!("{first:?}, and {other:?} before each of its {rounds} statements: both are done");
            assert!(rounds > 5, "a job has more statements");
        }
    });
}

/// A collector is gone in the middle of a correction: storage goes on with it, as long as it knows of whom and
/// to what.
#[test]
fn what_a_crash_leaves_is_done_or_harmless_and_goes() {
    let engine = Engine::start();
    let storage = engine.storage(engine.address, "crashed");
    blocking(async {
        let gone: [&[&str]; 3] = [&[], &["corrections"], &["erase_queue", "corrections"]];
        let changes = [
            Change::Text { column: "city", value: "Tver".to_owned() },
            Change::Property { name: "doctor".to_owned(), value: "Tver".to_owned() },
        ];
        filled(&storage, (gone.len() * changes.len()) as u64 + 1).await;
        let mut round = 0;
        for tables in gone {
            for change in &changes {
                let what = format!("round {round}, without {tables:?}");
                cut_short(&storage, round, change).await;
                for table in tables {
                    let sql = format!("ALTER TABLE crashed.{table} DELETE WHERE 1");
                    storage.execute(&sql, &[]).await.expect("removed");
                }
                // Not a day has passed, so it may be another's work.
                storage.settle_jobs().await.expect("nothing is left");
                let left = rows(&storage, "SELECT count() FROM crashed.erase_queue").await;
                assert_eq!(left[0][0], u64::from(tables.len() < 2), "{what}");
                storage.execute("SYSTEM START MERGES crashed.hits", &[]).await.expect("started");
                let running =
                    "SELECT count() FROM system.mutations WHERE database = 'crashed' AND NOT is_done";
                while rows(&storage, running).await[0][0] != 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let column = match change {
                    Change::Text { .. } => "city",
                    _ => "props['doctor']",
                };
                let sql = format!(
                    "SELECT visitor % 10, {column}, length(props), count() FROM crashed.hits \
                     WHERE intDiv(visitor, 10) = {round} GROUP BY ALL ORDER BY ALL"
                );
                let value = |person| if person == CORRECTED && tables.is_empty() { "Tver" } else { "Moscow" };
                let expected: Vec<Value> =
                    (1..=PEOPLE).map(|person| json!([person, value(person), 1, ROWS])).collect();
                assert_eq!(json!(rows(&storage, &sql).await), json!(expected), "{what}");
                for table in ["erase_queue", "corrections"] {
                    let sql = format!("ALTER TABLE crashed.{table} DELETE WHERE 1");
                    storage.execute(&sql, &[]).await.expect("removed");
                }
                round += 1;
            }
        }

        // After a day it goes, but for what a mutation still needs.
        cut_short(&storage, round, &changes[0]).await;
        for table in ["erase_queue", "corrections"] {
            let aged =
                format!("ALTER TABLE crashed.{table} UPDATE began = began - toIntervalHour(25) WHERE 1");
            storage.execute(&aged, &[]).await.expect("a day has passed");
            for (job, hours) in [(7, 25), (8, 23)] {
                let sql = format!(
                    "INSERT INTO crashed.{table} (job, began) SELECT {job}, now64(3) - toIntervalHour({hours})"
                );
                storage.execute(&sql, &[]).await.expect("inserted");
            }
        }
        let left = async || {
            let sql = "SELECT least(job, 9) AS one FROM (SELECT job FROM crashed.erase_queue UNION ALL \
                       SELECT job FROM crashed.corrections) ORDER BY one";
            json!(rows(&storage, sql).await)
        };
        assert_eq!(left().await, json!([[7], [7], [8], [8], [9], [9]]));
        storage.hold_listed().await.expect("held");
        assert_eq!(left().await, json!([[8], [8], [9], [9]]), "what is older than a day is gone");
        storage.execute("SYSTEM START MERGES crashed.hits", &[]).await.expect("started");
        storage.settle_jobs().await.expect("it waits for the mutation");
        assert_eq!(left().await, json!([[8], [8]]), "and what is younger may be another's");
        let sql =
            format!("SELECT DISTINCT city FROM crashed.hits WHERE visitor = {}", 10 * round + CORRECTED);
        assert_eq!(json!(rows(&storage, &sql).await), json!([["Tver"]]));
        println!(
            "{round} corrections cut short: 2 were done, 4 changed nothing; what was left is gone after a day"
        );
    });
}

/// A correction in the middle of which its collector ends: its mutation waits.
async fn cut_short(storage: &Storage, round: u64, change: &Change) {
    storage.execute("SYSTEM STOP MERGES crashed.hits", &[]).await.expect("stopped");
    let waiting = async {
        let running = "SELECT count() FROM system.mutations WHERE database = 'crashed' AND NOT is_done";
        while rows(storage, running).await[0][0] != 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let whose = [block(round, CORRECTED)];
    tokio::select! {
        ended = storage.correct(&whose, (0, now_ms()), change) => panic!("it ended: {ended:?}"),
        () = waiting => {}
    }
}

#[test]
fn a_block_or_hold_that_ended_at_one_collector_stays_ended_when_another_starts() {
    let engine = Engine::start();
    let keys = tempfile::tempdir().expect("a directory");
    let shared = format!(
        "[keys]\ndir = \"{}\"\n[storage]\nrollups = false\nurl = \"http://{}\"\npassword_file = \"{}\"\n[operator]",
        keys.path().join("keys").display(),
        engine.address,
        engine.directory.path().join("engine/secret").display()
    );
    let [here, there] = [(); 2].map(|()| place_with("[operator]", &shared));
    let server = here.serve();
    let mut other = there.serve();
    let (mut anna, mut boris) = (Browser::new(ADDRESS), Browser::new(ADDRESS));
    for browser in [&mut anna, &mut boris] {
        browser.view(&server, "clinic", "/page");
    }
    server.settled("clinic");
    let before = numbers(&server, "clinic");
    let subject = |place: &Place, job: &str, browser: &Browser| {
        let arguments = ["subject", job, "--site", "clinic", "--purpose", PURPOSE, "--cookie", "-"];
        place.done(&arguments, browser.value())
    };
    let restart = |server: Server| {
        assert_eq!(server.terminate().0, Some(0));
        let server = there.serve();
        // It answers when the start is done.
        numbers(&server, "clinic");
        server
    };
    let copy = |name: &str| -> Value {
        let text = std::fs::read(there.data().join("rights").join(name)).expect("a copy");
        serde_json::from_slice::<Value>(&text).expect("JSON")["blocks"].clone()
    };
    for (begin, end, shown, name) in
        [("block", "unblock", "blocked", "blocks.json"), ("hold", "release", "hold", "holds.json")]
    {
        let is_on = |browser: &Browser| subject(&here, "find", browser)[shown].as_bool();
        subject(&there, begin, &anna);
        subject(&there, begin, &boris);
        assert_eq!(subject(&here, end, &anna)[shown], false);
        assert_eq!(copy(name).as_array().map(Vec::len), Some(2), "the other does not know of it yet");
        other = restart(other);
        assert_eq!([&anna, &boris].map(is_on), [Some(false), Some(true)], "after {end} and a start");
        assert_eq!(copy(name).as_array().map(Vec::len), Some(1), "it has left the copy");
        assert_eq!(held(&engine), 1);

        // Anew, where it ended and where the copy still has it from before: both are later than the end.
        subject(&here, begin, &anna);
        assert_eq!(subject(&here, end, &boris)[shown], false);
        subject(&there, begin, &boris);
        empty(&engine, if begin == "block" { "blocked" } else { "held" });
        other = restart(other);
        assert_eq!(
            [&anna, &boris].map(is_on),
            [Some(false), Some(true)],
            "what the table lost is in the copy"
        );
        for browser in [&anna, &boris] {
            assert_eq!(subject(&here, end, browser)[shown], false);
        }
        other = restart(other);
        assert_eq!([&anna, &boris].map(is_on), [Some(false), Some(false)]);
        assert_eq!(held(&engine), 0);
    }
    assert_eq!(numbers(&server, "clinic"), before);
    println!(
        "a block and a hold ended at one collector: not brought back by the start of another, and made anew there kept"
    );
    for server in [server, other] {
        assert_eq!(server.terminate().0, Some(0));
    }
}

fn held(engine: &Engine) -> u64 {
    let storage = engine.storage(engine.address, "metka");
    blocking(storage.number("SELECT count() FROM metka.hits WHERE hold", &[])).expect("a count")
}

/// Loses a list, as a storage does that was restored from its own backup.
fn empty(engine: &Engine, table: &str) {
    let sql = format!("TRUNCATE TABLE metka.{table}");
    blocking(engine.storage(engine.address, "metka").execute(&sql, &[])).expect("emptied");
}
