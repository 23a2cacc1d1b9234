//! The disk fails: a sync that returns an error ends the process, no room ends
//! nothing, cut and interrupted writes are completed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustix::io::Errno;

use crate::engine::{Engine, free_port};
use crate::http::{Reply, exchange, get};
use crate::load::{Load, Numbers, Outcome, Plan, is_kept, request};
use crate::server::{Server, wait_for};
use crate::shim::{Call, FOR_EVER, Rule, Shim};
use crate::{configure, serve, soak};

const CLIENTS: usize = 8;
/// Rows of about 1.1 KB fill a segment with some hundred hits.
const PADDING: usize = 1500;
/// The most connections.
const MOST_CLIENTS: usize = 32;
/// The smallest spool that can be configured: a thread's first segment is a
/// sixteenth of a quarter of its share, the next ones are a quarter.
const SPOOL_BYTES: u64 = 64 << 20;
/// Rows that wait for storage when the disk gets full.
const BACKLOG_HITS: u64 = 40;
const NOBODY: &str = "[storage]\nurl = \"http://127.0.0.1:1\"";

/// Which sync fails, and how many spools there are.
struct SyncFault {
    name: &'static str,
    call: Call,
    path: &'static str,
    nth: Vec<u64>,
    threads: u64,
    times: u64,
}

fn sync_faults() -> [SyncFault; 3] {
    let some = |ci: &[u64], soak_to: u64| if soak() { (1..=soak_to).collect() } else { ci.to_vec() };
    [
        SyncFault {
            name: "fdatasync of a segment",
            call: Call::Datasync,
            path: ".seg",
            nth: some(&[1, 2, 3, 5, 8, 13, 21, 34], 40),
            threads: 1,
            times: 1,
        },
        // Zeros and header. The keeper makes segments ahead, and may fail without harm; then the
        // writer makes its own: all fail from the nth on.
        SyncFault {
            name: "fdatasync of a new segment",
            call: Call::Datasync,
            path: ".spare",
            nth: vec![1, 2],
            threads: 1,
            times: FOR_EVER,
        },
        // Each roll ends in one.
        SyncFault {
            name: "fsync of a spool's directory",
            call: Call::Sync,
            path: "/spool/0",
            // Of sixteen spools: with them segments are short.
            nth: some(&[1, 2, 3, 5, 8, 11, 14, 16], 40),
            threads: 16,
            times: 1,
        },
    ]
}

#[test]
fn after_a_failed_sync_nothing_is_answered_with_success_and_the_next_start_has_every_answered_hit() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::start(dir.path(), free_port());
    let numbers = Numbers::default();
    let (mut all, mut fired, mut rounds) = (Outcome::default(), 0, 0);
    for fault in sync_faults() {
        for n in &fault.nth {
            let what = format!("{} number {n}", fault.name);
            all.add(fail_sync(&fault, *n, &what, &numbers, &engine));
            fired += 1;
            rounds += 1;
        }
    }
    let line = all.check(&engine.stored());
    println!("{rounds} failed syncs, {fired} fired: {line}, {} answered after the fault", all.too_late.len());
    assert!(all.kept.len() as u64 > fired, "too few hits were answered to prove anything");
}

/// A server whose nth sync fails, until it ends; and the next, until storage has all.
fn fail_sync(fault: &SyncFault, n: u64, what: &str, numbers: &Numbers, engine: &Engine) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let shim = Shim::new(dir.path());
    let collect = format!("threads = {}", fault.threads);
    // Few batches: each is an insert later.
    let ship = format!("interval = \"5s\"\nspool_max_bytes = {SPOOL_BYTES}");
    // Without storage nothing is released, so that every sync is one of the hits' way.
    configure(dir.path(), &collect, &ship, NOBODY);
    let mut command = serve();
    shim.under(&mut command);
    let mut server = Server::start_by(command, dir.path());
    assert!(shim.is_attached(), "the shim is not loaded");
    let (call, path, times) = (fault.call, fault.path, fault.times);
    shim.arm(0, &Rule { call, path, from: n, period: 1, times, error: Some(Errno::IO) });

    let mut plan = Plan { padding: PADDING, ..Plan::new(numbers) };
    let (log, one, counts) = (server.log.clone(), fault.threads == 1 && times == 1, shim.clone());
    plan.over = Arc::new(move || match one {
        true => counts.fired(0) > 0,
        // The keeper, and another spool until it is told, may go on.
        false => log.lock().expect("free").contains("disk failed"),
    });
    let clients = (CLIENTS * fault.threads as usize).min(MOST_CLIENTS);
    let load = Load::start(server.collect, clients, &plan);
    let status = wait_for(&format!("the process to end after {what}"), || {
        server.child.try_wait().expect("a child of ours")
    });
    let outcome = load.finish();
    let log = server.log.lock().expect("free").clone();
    assert!(shim.fired(0) > 0, "{what} did not fire:\n{log}");
    assert!(status.code().is_some_and(|code| code != 0), "{what}: {status}\n{log}");
    assert!(
        log.contains("disk failed") && log.contains("os error 5"),
        "{what}: the log does not say why:\n{log}"
    );
    assert_eq!(outcome.too_late.len(), 0, "{what}: answered with success after the fault");
    let panics = log.contains("panicked");
    assert!(!panics, "{what}:\n{log}");

    configure(dir.path(), &collect, &ship, &engine.section());
    let server = Server::start(dir.path(), &[]);
    let counts = server.settled("clinic");
    assert!(counts["stored"].as_u64() >= Some(outcome.kept.len() as u64), "{what}: {counts}");
    assert_eq!(server.terminate().0, Some(0), "{what}");
    outcome
}

#[test]
fn while_there_is_no_room_hits_are_refused_and_when_there_is_they_are_taken_again() {
    // What is full; whether hits are refused then, and whether storage's answers can be written down.
    let points = [
        ("append to a segment", ".seg", true, true),
        ("zeros and header of a new segment", ".spare", true, true),
        ("checkpoint", "/checkpoint", false, false),
        ("everything", "/spool/", true, false),
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::start(dir.path(), free_port());
    let numbers = Numbers::default();
    let (mut all, mut fired, mut shrunk) = (Outcome::default(), 0, 0);
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        for (name, path, refuses, ships) in points {
            let what = format!("{name}: {errno:?}");
            let point = Point { what: &what, path, errno, refuses, ships };
            let (outcome, times, less) = fill(&point, &numbers, &engine);
            all.add(outcome);
            fired += times;
            shrunk += less;
        }
    }
    let line = all.check(&engine.stored());
    println!(
        "{} full disks, {fired} writes failed: {line}, {shrunk} rows shipped while it was full",
        2 * points.len()
    );
}

struct Point<'a> {
    what: &'a str,
    path: &'static str,
    errno: Errno,
    refuses: bool,
    ships: bool,
}

fn fill(point: &Point, numbers: &Numbers, engine: &Engine) -> (Outcome, u64, u64) {
    let what = point.what;
    let dir = tempfile::tempdir().expect("a directory");
    let shim = Shim::new(dir.path());
    // The first segment has 1 MiB; the spool as a whole does not get full.
    let ship = format!("interval = \"200ms\"\nspool_max_bytes = {SPOOL_BYTES}");
    configure(dir.path(), "threads = 1", &ship, &engine.section());
    let mut command = serve();
    shim.under(&mut command);
    engine.stop();
    let mut server = Server::start_by(command, dir.path());
    let pid = server.child.id();
    let backlog =
        |server: &Server| server.command(&["status"])["backlog"]["rows"].as_u64().unwrap_or_default();

    // A backlog, and then no room, before the keeper has made the next segment.
    let mut outcome = Outcome::default();
    for _ in 0..BACKLOG_HITS {
        let number = numbers.fetch_add(1, Relaxed);
        assert!(is_kept(&exchange(server.collect, &request(number, PADDING))), "{what}");
        outcome.kept.push(number);
    }
    let before = wait_for("a backlog", || Some(backlog(&server)).filter(|rows| *rows >= BACKLOG_HITS));
    shim.arm(0, &Rule::always(Call::Write, point.path, point.errno));
    let plan = Plan { padding: PADDING, ..Plan::new(numbers) };
    let load = Load::start(server.collect, CLIENTS, &plan);
    if point.refuses {
        wait_for(&format!("refusals of pixels and events: {what}"), || {
            let refused = load.so_far().refused;
            (refused.contains_key("200 full") && refused.contains_key("503 full")).then_some(())
        });
        outcome.add(load.finish());
        let mut ask = |even: bool| {
            wait_for("a refusal", || {
                let number = numbers.fetch_add(2, Relaxed) & !1 | u64::from(!even);
                let reply = exchange(server.collect, &request(number, PADDING));
                if is_kept(&reply) {
                    outcome.kept.push(number);
                    return None;
                }
                Some(reply)
            })
        };
        let (pixel, event) = (ask(true), ask(false));
        check_refusals(what, &pixel, &event);
        let health = wait_for("an unhealthy answer", || {
            Some(exchange(server.collect, &get("/health", &[]))).filter(|reply| reply.status != 200)
        });
        assert_eq!((health.status, health.json()["reason"].as_str()), (503, Some("full")), "{what}");
        for path in ["/", "/health"] {
            let reply = exchange(server.web, &get(path, &[]));
            assert!(
                reply.status != 0 && reply.status != 500,
                "{what}: the web address's {path}: {}",
                reply.status
            );
        }
        engine.go_on();
        let shipped = ship_or_not(point, &server, &shim, before, backlog);
        let (more, times) = room_again(point, &mut server, &shim, &plan, pid);
        outcome.add(more);
        return (outcome, times, shipped);
    }
    // Hits go on; only storage's answers cannot be written down.
    engine.go_on();
    let shipped = ship_or_not(point, &server, &shim, before, backlog);
    let answered = load.answered();
    wait_for("more answers", || (load.answered() > answered + 50).then_some(()));
    outcome.add(load.finish());
    assert_eq!(outcome.refused.len(), 0, "{what}: {:?}", outcome.refused);
    let (more, times) = room_again(point, &mut server, &shim, &plan, pid);
    outcome.add(more);
    (outcome, times, shipped)
}

/// How a hit is refused for want of room.
fn check_refusals(what: &str, pixel: &Reply, event: &Reply) {
    assert_eq!((pixel.status, pixel.header("x-metka"), pixel.body.len()), (200, Some("full"), 43), "{what}");
    assert_eq!(event.status, 503, "{what}");
    assert!(event.header("retry-after").is_some(), "{what}: {:?}", event.headers);
    assert_eq!(event.json()["refused"][0]["reason"], "full", "{what}");
}

/// While there is no room: the backlog goes, if its acknowledgements can be
/// written; else the writing of one has failed and the rows stay.
fn ship_or_not(
    point: &Point,
    server: &Server,
    shim: &Shim,
    before: u64,
    backlog: impl Fn(&Server) -> u64,
) -> u64 {
    let what = point.what;
    if point.ships {
        wait_for(&format!("the backlog to shrink: {what}"), || (backlog(server) < before / 2).then_some(()));
        return before - backlog(server);
    }
    wait_for(&format!("an acknowledgement that cannot be written: {what}"), || {
        server.log.lock().expect("free").contains("an acknowledgement could not be written").then_some(())
    });
    assert!(shim.fired(0) > 0, "{what}");
    0
}

/// There is room again: hits are taken by the same process, and everything is stored.
fn room_again(point: &Point, server: &mut Server, shim: &Shim, plan: &Plan, pid: u32) -> (Outcome, u64) {
    let what = point.what;
    let fired = shim.fired(0);
    assert!(fired > 0, "{what}: no write failed");
    shim.disarm(0);
    let mut outcome = Outcome::default();
    wait_for(&format!("hits to be taken again: {what}"), || {
        let number = plan.numbers.fetch_add(1, Relaxed);
        let kept = is_kept(&exchange(server.collect, &request(number, 0)));
        kept.then(|| outcome.kept.push(number))
    });
    assert!(
        server.child.try_wait().expect("ours").is_none() && server.child.id() == pid,
        "{what}: restarted"
    );
    let load = Load::start(server.collect, CLIENTS, plan);
    wait_for("more hits", || (load.answered() >= 50).then_some(()));
    outcome.add(load.finish());
    wait_for("a healthy answer", || {
        (exchange(server.collect, &get("/health", &[])).status == 200).then_some(())
    });
    server.settled("clinic");
    let log = server.log.lock().expect("free").clone();
    assert!(!log.contains("panicked") && !log.contains("disk failed"), "{what}:\n{log}");
    (outcome, fired)
}

#[test]
fn cut_and_interrupted_writes_are_completed() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::start(dir.path(), free_port());
    let shim = Shim::new(dir.path());
    configure(
        dir.path(),
        "threads = 2",
        "interval = \"200ms\"\nspool_max_bytes = 67108864",
        &engine.section(),
    );
    let every = |call, period, error| Rule { call, path: "/spool/", from: 1, period, times: FOR_EVER, error };
    let rules = [
        every(Call::Write, 2, None),
        every(Call::Write, 3, Some(Errno::INTR)),
        every(Call::Datasync, 3, Some(Errno::INTR)),
    ];
    for (place, rule) in rules.iter().enumerate() {
        shim.arm(place, rule);
    }
    let mut command = serve();
    shim.under(&mut command);
    let server = Server::start_by(command, dir.path());
    let load =
        Load::start(server.collect, CLIENTS, &Plan { padding: PADDING, ..Plan::new(&Numbers::default()) });
    let goal = if soak() { 100_000 } else { 2_000 };
    wait_for("answers", || (load.answered() >= goal).then_some(()));
    let outcome = load.finish();
    assert_eq!(outcome.refused.len(), 0, "{:?}", outcome.refused);
    server.settled("clinic");
    assert_eq!(server.terminate().0, Some(0));
    let fired = [0, 1, 2].map(|place| shim.fired(place));
    let line = outcome.check(&engine.stored());
    println!(
        "{} cut writes, {} interrupted writes, {} interrupted syncs: {line}",
        fired[0], fired[1], fired[2]
    );
    assert!(fired.iter().all(|fired| *fired > 100), "{fired:?}");
}
