//! Faults of processes and of the connection to storage, against the real binary:
//! every answered hit is in storage exactly once.
//!
//! `METKA_SOAK=1` makes as many faults as the documentation claims, else as many as
//! suit CI.

mod crash;
mod engine;
mod load;
mod outcome;
mod proxy;
#[path = "../support/server.rs"]
mod server;

use std::time::Duration;

/// A site without limits that a single machine would run into.
const SITE: &str = r#"
[[site]]
id = "clinic"
hosts = ["clinic.example"]
[collect]
rate_limit_per_minute = 0
rate_limit_network_per_minute = 0
"#;

/// A directory with a configuration: the site, hit threads, how often they seal a
/// batch, and `more`.
fn configured(threads: usize, interval: &str, more: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("{SITE}threads = {threads}\n[ship]\ninterval = \"{interval}\"\n{more}");
    std::fs::write(dir.path().join("metka.toml"), text).expect("written");
    dir
}

/// How many faults are made.
fn faults(in_ci: u64, in_soak: u64) -> u64 {
    if std::env::var_os("METKA_SOAK").is_some_and(|value| value == "1") { in_soak } else { in_ci }
}

/// `median 0.31 s, at most 0.92 s`
fn figures(times: &mut [Duration]) -> String {
    times.sort();
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(most)) => {
            format!("median {:.2} s, at most {:.2} s", median.as_secs_f64(), most.as_secs_f64())
        }
        _ => "none".to_owned(),
    }
}
