//! The wall clock jumps while hits arrive.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::engine::number;
use crate::http::{exchange, get};
use crate::load::{Load, Numbers, Plan};
use crate::server::{Server, wait_for};
use crate::shim::Shim;
use crate::{METRICS, configure, serve, soak};

const CLIENTS: usize = 4;
/// Answers to wait for after each jump.
const ANSWERS: u64 = 100;
const HOUR_MS: i64 = 3_600_000;

/// Where the clock goes.
enum To {
    /// So many milliseconds from where it is.
    By(i64),
    /// Shortly before this moment, which is then passed.
    Before(&'static str),
}

/// The server's clock, as the test sees it.
struct Clock {
    shim: Shim,
    offset_ms: i64,
}

// === impl Clock ===

impl Clock {
    fn now(&self) -> i64 {
        Timestamp::now().as_millisecond() + self.offset_ms
    }

    fn set(&mut self, to_ms: i64) {
        self.offset_ms += to_ms - self.now();
        self.shim.set_clock(self.offset_ms * 1_000_000);
    }
}

fn moment(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a moment").as_millisecond()
}

#[test]
fn a_clock_that_jumps_loses_and_doubles_nothing() {
    let tomorrow = Timestamp::now().to_zoned(TimeZone::get("Europe/Berlin").expect("bundled")).tomorrow();
    let midnight = tomorrow.and_then(|day| day.start_of_day()).expect("a day").timestamp().to_string();
    let midnight: &'static str = midnight.leak();
    // 2026-12-31 has no leap second yet: a machine that gets one lives through its last second twice.
    let jumps = [
        ("an hour ahead", To::By(HOUR_MS)),
        ("an hour back", To::By(-HOUR_MS)),
        ("over midnight of the site's zone", To::Before(midnight)),
        ("back over a month's boundary", To::Before("2026-11-01T00:00:00Z")),
        ("over the end of summer time", To::Before("2026-10-25T01:00:00Z")),
        ("over the beginning of summer time", To::Before("2026-03-29T01:00:00Z")),
        ("to a leap second", To::Before("2027-01-01T00:00:00Z")),
        ("the leap second again", To::By(-1000)),
        ("back to today", To::By(0)),
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let shim = Shim::new(dir.path());
    configure(dir.path(), "threads = 2", "interval = \"200ms\"", "");
    let mut command = serve();
    shim.under(&mut command);
    let server = Server::start_by(command, dir.path());
    assert!(shim.is_attached(), "the shim is not loaded");
    let mut clock = Clock { shim: shim.clone(), offset_ms: 0 };
    let load = Load::start(server.collect, CLIENTS, &Plan::new(&Numbers::default()));
    let rounds = if soak() { 20 } else { 1 };
    let mut visited = Vec::new();
    for _ in 0..rounds {
        for (name, to) in &jumps {
            let reads = shim.clock_reads();
            match to {
                To::By(0) => clock.set(Timestamp::now().as_millisecond()),
                To::By(by) => clock.set(clock.now() + by),
                To::Before(text) => clock.set(moment(text) - 300),
            }
            let from = clock.now();
            let answered = load.answered();
            wait_for(&format!("answers after {name}"), || {
                (load.answered() >= answered + ANSWERS).then_some(())
            });
            if let To::Before(text) = to {
                let passed = moment(text) + 300;
                wait_for("the boundary to be passed", || (clock.now() > passed).then_some(()));
                let answered = load.answered();
                wait_for(&format!("answers after {name}"), || {
                    (load.answered() >= answered + ANSWERS).then_some(())
                });
            }
            assert!(shim.clock_reads() > reads, "the server did not read its clock after {name}");
            visited.push((*name, from, clock.now()));
            sane(&server, name);
        }
    }
    let outcome = load.finish();
    assert_eq!((outcome.refused.len(), outcome.unanswered.len()), (0, 0), "{:?}", outcome.refused);
    let counts = server.settled("clinic");
    let line = outcome.check(&crate::engine::numbered(server.rows(crate::engine::HITS)));
    assert_eq!(counts["stored"], counts["received"], "{counts}");
    for (name, from, to) in &visited {
        let sql = format!(
            "SELECT count() FROM metka.hits WHERE time BETWEEN fromUnixTimestamp64Milli({from}) AND fromUnixTimestamp64Milli({to})"
        );
        let rows = number(&server.rows(&sql)[0][0]);
        assert!(rows > 0, "no row is of the time that {name} led to");
    }
    let log = server.log.lock().expect("free").clone();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(server.terminate().0, Some(0));
    println!("{} jumps of the clock, all seen in the rows' times: {line}", visited.len());
}

/// What is shown of the server stays within reason.
fn sane(server: &Server, name: &str) {
    let status = server.command(&["status"]);
    let backlog = &status["backlog"];
    assert!(
        backlog["rows"].as_u64().is_some() && status["engine"]["state"].is_string(),
        "after {name}: {status}"
    );
    let counts = &status["sites"]["clinic"];
    let [received, stored, waiting, in_flight] =
        ["received", "stored", "waiting", "in_flight"].map(|key| counts[key].as_u64().expect("a count"));
    assert_eq!(received, stored + waiting + in_flight, "after {name}: {status}");
    let reply = exchange(server.web, METRICS);
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    assert_eq!(reply.status, 200, "after {name}: {text}");
    let age = text.lines().find_map(|line| line.strip_prefix("metka_backlog_oldest_seconds "));
    let age: f64 = age.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no age: {text}"));
    // A batch that was open during a jump is as old as the jump is long; never negative, never 1970.
    assert!((0.0..400.0 * 86_400.0).contains(&age), "after {name}: the oldest row waits for {age} s");
    let health = exchange(server.collect, &get("/health", &[]));
    assert_eq!(health.status, 200, "after {name}");
}
