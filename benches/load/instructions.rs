//! How many instructions a request takes in user space, counted by valgrind's
//! callgrind: the figure that a noisy machine does not change.
//!
//! ```text
//! instructions ─► valgrind counted, 1 round  ─► a profile per thread ─┐
//!              └► valgrind counted, 2 rounds ─► a profile per thread ─┴► the difference is one round's
//! ```
//!
//! The program runs itself: `counted` serves in its own process, as `allocations`
//! does, sends the requests from its main thread and prints the names of its threads
//! in the order of their making, which is valgrind's. Starting, minting cookies and
//! filling caches are in both runs and so in no difference.
//!
//! Not in it: the kernel, and how long an instruction takes. Valgrind's processor has
//! AVX2 and no SHA instructions; the counting allocator adds a few instructions to
//! each allocation. Threads take turns, so how large groups in the spool become
//! differs from run to run, and the spool thread's figure with it; the hit thread's
//! stays within two percent.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use metka::accept::Limits;

use super::collector::Collector;
use super::options::{Counted, CountedServer, Instructions};
use super::run::{self, Target};
use super::{bare, client};

/// An array is so much longer than a single event that fewer tell as much.
const FEWER_ARRAYS: u32 = 10;
/// Functions that are named, of one thread.
const NAMED: usize = 60;
/// A function that holds so much of its thread's instructions is the runtime's, and says nothing.
const NEARLY_ALL: f64 = 0.98;

/// The instructions of one thread: in all, and by function with what it calls.
#[derive(Default)]
struct Profile {
    total: u64,
    functions: BTreeMap<String, u64>,
}

/// Profiles by the thread's name.
type Profiles = BTreeMap<String, Profile>;

/// A row of the table, per request.
struct Row {
    name: &'static str,
    hits: u32,
    hit_thread: Counts,
    spool_thread: Counts,
}

/// Of one thread, per request: in all, and by function, the most first.
#[derive(Default)]
struct Counts {
    total: f64,
    functions: Vec<(String, f64)>,
}

/// `load instructions`.
pub fn instructions(options: &Instructions) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (name, server, shares) in [
        ("bare hyper, the pixel's requests", CountedServer::Bare, [1, 0, 0]),
        ("Metka `/pixel.gif`", CountedServer::Metka, [1, 0, 0]),
        ("Metka `POST /event`, one event", CountedServer::Metka, [0, 1, 0]),
        ("Metka `POST /event`, an array", CountedServer::Metka, [0, 0, 1]),
    ] {
        let [pixels, _, arrays] = shares;
        if options.pixel && pixels == 0 {
            continue;
        }
        eprintln!("{name}");
        let counted = Counted {
            server,
            requests: options.requests / if arrays > 0 { FEWER_ARRAYS } else { 1 },
            rounds: 1,
            connections: options.connections,
            mix: options.mix.with_shares(shares),
        };
        let hits = if arrays > 0 { options.mix.batch } else { 1 };
        rows.push(row(name, hits, &counted)?);
    }
    print!("{}", table(&rows));
    if options.places {
        rows.iter().for_each(print_places);
    }
    let pixel = rows[1].hit_thread.total;
    if let Some(bound) = options.at_most {
        ensure!(
            pixel <= bound,
            "a pixel takes {pixel:.0} instructions on the hit thread, at most {bound} are allowed"
        );
    }
    Ok(())
}

fn print_places(row: &Row) {
    for (thread, counts) in [("hit thread", &row.hit_thread), ("spool thread", &row.spool_thread)] {
        let told = counts.functions.iter().filter(|(_, count)| *count < counts.total * NEARLY_ALL);
        println!("\n{}, {thread}: {:.0}, of which with what they call", row.name, counts.total);
        for (function, count) in told.take(NAMED) {
            println!("    {count:>9.0} {function}");
        }
    }
}

/// Runs one load twice, the second time with a round more, and takes the difference.
fn row(name: &'static str, hits: u32, counted: &Counted) -> anyhow::Result<Row> {
    let once = under_valgrind(counted)?;
    let twice = under_valgrind(&Counted { rounds: 2, ..counted.clone() })?;
    let counts = |name: &str| {
        anyhow::Ok(Counts::between(thread(&once, name)?, thread(&twice, name)?, counted.requests))
    };
    let (hit_thread, spool_thread) = match counted.server {
        CountedServer::Bare => (counts("bare")?, Counts::default()),
        CountedServer::Metka => (counts("hit-0")?, counts("spool-00")?),
    };
    Ok(Row { name, hits, hit_thread, spool_thread })
}

fn thread<'a>(profiles: &'a Profiles, name: &str) -> anyhow::Result<&'a Profile> {
    profiles.get(name).with_context(|| format!("no thread {name} among {:?}", profiles.keys()))
}

/// Runs `counted` and reads what callgrind wrote.
fn under_valgrind(counted: &Counted) -> anyhow::Result<Profiles> {
    let dir = tempfile::tempdir()?;
    let server = counted.server.to_possible_value().context("a server that has a name")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--fair-sched=try", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", dir.path().join("out").display()))
        .arg(std::env::current_exe()?)
        .args(["counted", "--server", server.get_name()])
        .arg(format!("--requests={}", counted.requests))
        .arg(format!("--rounds={}", counted.rounds))
        .arg(format!("--connections={}", counted.connections))
        .args(counted.mix.arguments())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("valgrind cannot be started: tests/install installs it")?;
    ensure!(output.status.success(), "valgrind: {}", output.status);
    let names = String::from_utf8(output.stdout)?;
    names
        .lines()
        .enumerate()
        .map(|(index, name)| Ok((name.to_owned(), read(&dir.path().join(format!("out-{:02}", index + 1)))?)))
        .collect()
}

/// Reads a profile: its `totals`, and for each function its own costs and those of
/// its calls. <https://valgrind.org/docs/manual/cl-format.html>
fn read(path: &Path) -> anyhow::Result<Profile> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut profile = Profile::default();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut function = "";
    let mut called = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = resolve(&mut names, name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            called = Some(resolve(&mut names, name));
        } else if let Some(total) = line.strip_prefix("totals: ") {
            profile.total += total.trim().parse::<u64>().context("totals")?;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let count: u64 = line.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0);
            // What a function costs that calls itself is in it already.
            if called.take() != Some(function) {
                *profile.functions.entry(function.to_owned()).or_default() += count;
            }
        }
    }
    Ok(profile)
}

/// A name as the format shortens it: `(number) name` the first time, then `(number)`.
fn resolve<'a>(names: &mut BTreeMap<&'a str, &'a str>, text: &'a str) -> &'a str {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(text).copied().unwrap_or(text),
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = "| request | hit thread | above bare hyper | spool thread | both, per hit |\n\
                    |---|---:|---:|---:|---:|\n"
        .to_owned();
    for Row { name, hits, hit_thread, spool_thread } in rows {
        text += &format!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} |\n",
            hit_thread.total,
            hit_thread.total - rows[0].hit_thread.total,
            spool_thread.total,
            (hit_thread.total + spool_thread.total) / f64::from(*hits),
        );
    }
    text
}

/// `load counted`: what runs under valgrind.
pub fn counted(options: &Counted) -> anyhow::Result<()> {
    let collector = Collector::start(&run::config("fsync"), Limits::default());
    let target = Target { address: collector.address, pid: None };
    let (_, requests) = run::requests(&target, "clinic", &options.mix, true)?;
    let requests: Vec<Vec<u8>> =
        requests.into_iter().map(|request| request.bytes).take(options.requests as usize).collect();
    let address = match options.server {
        CountedServer::Metka => collector.address,
        CountedServer::Bare => {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            std::thread::Builder::new().name("bare".to_owned()).spawn(move || bare::serve(listener))?;
            address
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut connections = Vec::new();
        for _ in 0..options.connections {
            connections.push(client::Connection::open(address).await?);
        }
        client::send(connections, Rc::new(requests), options.rounds as usize).await
    })?;
    for name in thread_names()? {
        println!("{name}");
    }
    Ok(())
}

// === impl Counts ===

impl Counts {
    /// What so many requests more took, for each of them.
    fn between(less: &Profile, more: &Profile, requests: u32) -> Counts {
        let each = |less: u64, more: u64| (more as f64 - less as f64) / f64::from(requests);
        let mut functions: Vec<(String, f64)> = more
            .functions
            .iter()
            .map(|(name, count)| (name.clone(), each(less.functions.get(name).copied().unwrap_or(0), *count)))
            .filter(|(_, count)| *count >= 1.0)
            .collect();
        functions.sort_by(|one, other| other.1.total_cmp(&one.1));
        Counts { total: each(less.total, more.total), functions }
    }
}

/// The names of this process's threads, the oldest first.
fn thread_names() -> anyhow::Result<Vec<String>> {
    let mut threads = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task")? {
        let thread = thread?;
        let number: u32 = thread.file_name().to_string_lossy().parse().context("a thread's number")?;
        threads.push((number, std::fs::read_to_string(thread.path().join("comm"))?.trim().to_owned()));
    }
    threads.sort();
    Ok(threads.into_iter().map(|(_, name)| name).collect())
}
