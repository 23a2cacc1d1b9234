//! What processes use, from `/proc`.

use std::collections::BTreeSet;
use std::process::Child;
use std::sync::OnceLock;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};

/// A process that is ended with this.
pub struct Running(pub Child);

/// Nanoseconds of CPU, user and system, that a process and those it started have
/// used; those that have ended are not in it.
pub fn cpu_ns(processes: &BTreeSet<u32>) -> u64 {
    processes.iter().map(|pid| cpu_ns_of(*pid)).sum()
}

/// Of one process: the sum over its threads, which the scheduler keeps exactly.
fn cpu_ns_of(pid: u32) -> u64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// A process and all that it started.
pub fn family(pid: u32) -> BTreeSet<u32> {
    let mut family = BTreeSet::from([pid]);
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    // A child may have been started by any thread.
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_threads =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    for list in of_threads.chain([children]) {
        for child in list.split_whitespace().filter_map(|child| child.parse().ok()) {
            if !family.contains(&child) {
                family.extend(self::family(child));
            }
        }
    }
    family
}

/// Resident bytes: now, and at most so far.
pub fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let kilobytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok())
    };
    let now = kilobytes("VmRSS:").with_context(|| format!("{path}: no VmRSS"))?;
    let most = kilobytes("VmHWM:").with_context(|| format!("{path}: no VmHWM"))?;
    Ok((now << 10, most << 10))
}

/// Resident bytes now, exactly: the counter that `memory` reads is updated in steps.
/// Of a process that closes itself to others only root may know; then that must do.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kilobytes = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map_or_else(|| Ok(memory(pid)?.0), |kilobytes| Ok(kilobytes << 10))
}

/// Lets this process, and those that it starts, open so many files.
pub fn allow_files(files: u64) -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= files);
    if !enough(limit.maximum) {
        limit.maximum = Some(files);
    }
    if !enough(limit.current) {
        limit.current = Some(files);
    }
    setrlimit(Resource::Nofile, limit).with_context(|| format!("{files} open files are not allowed"))
}

/// Keeps this thread, and what it starts from here on, on one core: the first or the last.
pub fn pin(core: Core) -> anyhow::Result<()> {
    rustix::thread::sched_setaffinity(None, &cores(core)).context("this thread cannot be kept on a core")
}

fn cores(core: Core) -> rustix::thread::CpuSet {
    // Those that this process may use; before anything is pinned, afterwards it would be one.
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    let allowed = ALLOWED.get_or_init(|| {
        let set = rustix::thread::sched_getaffinity(None).unwrap_or_default();
        (0..rustix::thread::CpuSet::MAX_CPU).filter(|number| set.is_set(*number)).collect()
    });
    let chosen = match core {
        Core::First => allowed.first().into_iter().collect(),
        Core::Last => allowed.last().into_iter().collect(),
        Core::Any => allowed.iter().collect::<Vec<_>>(),
    };
    let mut set = rustix::thread::CpuSet::new();
    chosen.into_iter().for_each(|number| set.set(*number));
    set
}

/// Lets what a process started run on any core.
pub fn unpin_children(pid: u32) {
    for child in family(pid) {
        let threads = std::fs::read_dir(format!("/proc/{child}/task")).into_iter().flatten().flatten();
        for thread in threads.filter(|_| child != pid) {
            let number = thread.file_name().to_string_lossy().parse().ok();
            // A thread that has ended needs no core.
            let _ = rustix::thread::sched_setaffinity(
                number.and_then(rustix::thread::Pid::from_raw),
                &cores(Core::Any),
            );
        }
    }
}

/// Where a thread runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Core {
    First,
    Last,
    Any,
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's worker ends with SIGTERM to its master, not with SIGKILL.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}
