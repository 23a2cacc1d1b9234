//! Retention with the real engine and the real binary: what goes, what stays, that
//! it is off the disk, and that nothing brings it back.
//!
//! Rows lie in the years after 2080, so that the engine's own terms, which go by
//! the machine's clock, have no part in it; `now` is the test's. `METKA_SOAK=1`
//! makes the simulation of 800 days at its full size.

mod batches;
mod cases;
mod command;
#[path = "../support/http.rs"]
#[expect(dead_code, reason = "each test binary uses its part of the shared client")]
mod http;
mod inventory;
mod keys;
mod rows;
#[path = "../support/server.rs"]
mod server;
#[path = "../faults_disk/shim.rs"]
#[expect(dead_code, reason = "only the clock is moved here")]
mod shim;
mod simulation;
#[path = "../support/storage.rs"]
mod storage;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use metka::config::{Config, Keys};
use metka::privacy::keys::KeyRing;
use metka::retention::{self, Job, Mode, Report};
use metka::store::{Limits, Storage};
use serde_json::Value;

const DAY_MS: i64 = 86_400_000;

fn moment(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a moment").as_millisecond()
}

fn soak() -> bool {
    std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1")
}

/// A job on this storage with a ring and a configuration of its own in `dir`.
fn job(storage: &Storage, dir: &Path, sites: &str) -> Job {
    let config = Config::parse(sites, [], dir).expect("a configuration");
    let keys = KeyRing::open(&Keys::in_dir(&dir.join("keys"))).expect("a ring");
    Job {
        storage: storage.clone(),
        keys: Arc::new(keys),
        config: Arc::new(config),
        waiting_since_ms: None,
        others: Vec::new(),
    }
}

async fn run(job: &Job, now_ms: i64, mode: Mode) -> Report {
    let now = Timestamp::from_millisecond(now_ms).expect("a moment");
    retention::run(job, now, mode).await.expect("the job runs")
}

/// What was removed, as (site, kind, rows, rows held back), without what is nothing.
fn removed(report: &Report) -> Vec<(String, String, u64, u64)> {
    let lines = report.kinds.iter().filter(|one| one.removed + one.held_back > 0);
    lines.map(|one| (one.site.clone(), one.kind.clone(), one.removed, one.held_back)).collect()
}

async fn ask(storage: &Storage, sql: &str) -> Vec<Vec<Value>> {
    let limits = Limits { result_rows: 1_000_000, ..Limits::default() };
    storage.json(sql, &[], &limits).await.expect("an answer")
}

/// No part that is out of use, none set aside, no work left: what was removed is off the disk.
async fn nothing_is_left_behind(storage: &Storage) {
    let database = storage.database();
    for sql in [
        format!(
            "SELECT name FROM system.parts WHERE database = '{database}' AND NOT active AND table != 'migrations'"
        ),
        format!("SELECT name FROM system.detached_parts WHERE database = '{database}'"),
        format!("SELECT mutation_id FROM system.mutations WHERE database = '{database}' AND NOT is_done"),
    ] {
        assert_eq!(ask(storage, &sql).await, Vec::<Vec<Value>>::new(), "{sql}");
    }
}
