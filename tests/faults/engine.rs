//! Faults of the engine behind a running collector: it dies, hangs, has no memory.
//! Nobody who sends hits notices.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::load::Load;
use crate::server::{Server, wait_for};
use crate::{configured, faults, figures};

const CLIENTS: u64 = 6;
/// Of each client between two hits: a steady load that leaves the engine room to start.
const PAUSE: Duration = Duration::from_millis(20);
/// What an engine without memory still gets; less than one thread's stack.
const SPARE_BYTES: u64 = 1 << 20;

/// A running server with a load on it, whose engine suffers.
struct Suffering {
    server: Server,
    load: Load,
    /// By fault: until it was found, and until rows flowed again.
    times: BTreeMap<&'static str, (Vec<Duration>, Vec<Duration>)>,
    faults: u64,
}

impl Suffering {
    fn start(dir: &tempfile::TempDir) -> Suffering {
        let server = Server::start(dir.path(), &[]);
        let load = Load::start(server.collect, CLIENTS, PAUSE, &Arc::new(AtomicU64::new(0)));
        let suffering = Suffering { server, load, times: BTreeMap::new(), faults: 0 };
        wait_for("rows in storage", || (suffering.rows_shipped() > 0).then_some(()));
        suffering
    }

    fn status(&self) -> Value {
        self.server.command(&["status"])
    }

    /// Whether the engine is ready, and how often it was started again.
    fn engine(&self) -> (bool, u64) {
        let engine = &self.status()["engine"];
        (engine["state"] == "ready", engine["restarts"].as_u64().expect("a number"))
    }

    fn rows_shipped(&self) -> u64 {
        self.status()["jobs"]["ship"]["rows"].as_u64().expect("a number")
    }

    fn pid(&self) -> Pid {
        let text =
            std::fs::read_to_string(self.server.data().join("engine/lock")).expect("the engine's lock");
        Pid::from_raw(text.trim().parse().expect("a process id")).expect("a process id")
    }

    /// Lets the engine suffer, and waits until it was found, started again, and takes rows.
    fn fault(&mut self, name: &'static str, fault: impl FnOnce(Pid)) {
        let (ready, restarts) = self.engine();
        assert!(ready, "the engine is not ready before the fault");
        fault(self.pid());
        let begun = Instant::now();
        wait_for("the fault to be found", || {
            let (ready, now) = self.engine();
            (!ready || now > restarts).then_some(())
        });
        let found = begun.elapsed();
        wait_for("the engine to be back", || (self.engine() == (true, restarts + 1)).then_some(()));
        let shipped = self.rows_shipped();
        wait_for("rows to flow", || (self.rows_shipped() > shipped).then_some(()));
        let (founds, backs) = self.times.entry(name).or_default();
        founds.push(found);
        backs.push(begun.elapsed());
        self.faults += 1;
    }

    /// Ends the load and compares.
    fn end(mut self, what: &str) {
        let seen = self.load.stop();
        let counts = self.server.settled("clinic");
        let sql = "SELECT path, count() FROM metka.hits GROUP BY path";
        let outcome = seen.compare(&self.server.rows(sql));
        let ship = self.server.command(&["status"])["jobs"]["ship"].clone();
        let log = self.server.log.lock().expect("free").clone();
        let ways: Vec<String> = log.lines().filter_map(way_of_the_end).collect();
        println!(
            "{} {what} ({}): {outcome}; {} retries, {} batches found in storage, {} mended",
            self.faults,
            counted(&ways),
            ship["retries"],
            ship["found_batches"],
            ship["mended_batches"],
        );
        for (name, (found, back)) in &mut self.times {
            println!("  {name}: found in {}, back in {}", figures(found), figures(back));
        }
        assert_eq!(ways.len() as u64, self.faults, "an engine for each fault, and no other, was given up");
        outcome.assert_exact();
        assert_eq!(outcome.unanswered, 0, "no hit is without an answer");
        assert_eq!(counts["stored"].as_u64(), Some(outcome.stored as u64), "{counts}");
        assert_eq!(self.server.terminate().0, Some(0));
    }
}

#[test]
fn an_engine_that_is_killed_or_hangs_is_replaced_and_no_hit_fails_or_is_lost() {
    let dir = configured(1, "300ms", "");
    let mut suffering = Suffering::start(&dir);
    for fault in 0..faults(20, 200) {
        let (name, signal) =
            [("kill -9", Signal::KILL), ("SIGSTOP", Signal::STOP)][usize::from(fault % 2 == 1)];
        suffering.fault(name, |pid| kill_process(pid, signal).expect("the engine runs"));
    }
    suffering.end("engines killed or stopped by turns");
}

#[test]
fn an_engine_without_memory_is_replaced_and_no_hit_fails_or_is_lost() {
    let dir = configured(1, "300ms", "");
    let mut suffering = Suffering::start(&dir);
    for _ in 0..faults(2, 20) {
        let pid = suffering.pid().as_raw_nonzero().get();
        let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("a score");
        assert_eq!(score.trim(), "500", "the kernel would not take the engine first");
        suffering.fault("no memory", |pid| starve(pid.as_raw_nonzero().get()));
    }
    suffering.end("engines without memory");
}

/// How an engine ended: by itself, or the reason why it was killed.
fn way_of_the_end(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    match line["message"].as_str()? {
        "the engine ended" => Some("ended by itself".to_owned()),
        "the engine does not work and is killed" => Some(line["sickness"].as_str()?.to_owned()),
        _ => None,
    }
}

/// `3 × one, 1 × another`
fn counted(ways: &[String]) -> String {
    let mut counts = BTreeMap::new();
    ways.iter().for_each(|way| *counts.entry(way).or_insert(0) += 1);
    let counts: Vec<String> = counts.iter().map(|(way, count)| format!("{count} × {way}")).collect();
    counts.join(", ")
}

/// From here on the process gets no more memory from the kernel.
fn starve(pid: i32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the engine runs");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let size: u64 = size.expect("a size").parse().expect("a number");
    let limit = format!("--as={}", size * 1024 + SPARE_BYTES);
    let done = Command::new("prlimit").arg("--pid").arg(pid.to_string()).arg(limit).status();
    assert!(done.expect("prlimit of util-linux runs").success(), "the limit is not set");
}
