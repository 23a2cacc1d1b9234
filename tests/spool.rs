//! `kill -9` of a process that writes to the spool and ships from it, at random
//! moments: every acknowledged row is in storage exactly once.
//!
//! This test binary starts itself again as the writer ([`child`]). The child
//! prints the number of each row once its ticket has succeeded, and ships into a
//! directory that takes each token once, as ClickHouse does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use metka::count::Counters;
use metka::ship::{self, Found, ShipMetrics, Sink, SinkError};
use metka::spool::{self, Batch, Durability, MIN_SEGMENT_BYTES, Options, Seen, Tuning, Unverified};
use tokio::sync::watch;

const CHILD_DIR: &str = "METKA_TEST_SPOOL_CHILD";
const CHILD_FIRST: &str = "METKA_TEST_SPOOL_FIRST";
const CYCLES: u64 = 20;
const THREADS: usize = 2;
/// Each row carries this many bytes more, so that segments roll within a cycle.
const FILLER: usize = 600;

/// Takes each token once: a file per batch and token, renamed into place.
struct Directory(std::path::PathBuf);

impl Directory {
    fn of_batch(&self, id: u64) -> Vec<std::path::PathBuf> {
        let prefix = format!("{id:016x}-");
        let entries = std::fs::read_dir(&self.0).expect("it lists").flatten();
        let ours = |path: &std::path::PathBuf| {
            path.extension().is_none()
                && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        };
        entries.map(|entry| entry.path()).filter(ours).collect()
    }
}

impl Sink for Directory {
    async fn insert(&self, batch: &Batch) -> Result<(), SinkError> {
        let path = self.0.join(format!("{:016x}-{}", batch.id, batch.token));
        if path.exists() {
            assert_eq!(std::fs::read(&path).expect("it reads"), batch.body(), "a token came with other rows");
            return Ok(());
        }
        let temporary = path.with_extension("new");
        std::fs::write(&temporary, batch.body()).expect("it is written");
        std::fs::rename(&temporary, &path).expect("it is renamed");
        Ok(())
    }

    async fn count(&self, batches: &[Unverified]) -> Result<BTreeMap<u64, Found>, SinkError> {
        let mut found = BTreeMap::new();
        for one in batches {
            let rows: Vec<u64> = self
                .of_batch(one.id)
                .iter()
                .flat_map(|path| numbers(&std::fs::read(path).expect("it reads")))
                .collect();
            if !rows.is_empty() {
                let distinct = rows.iter().collect::<BTreeSet<_>>().len() as u64;
                found.insert(one.id, Found { rows: rows.len() as u64, distinct });
            }
        }
        Ok(found)
    }

    async fn remove(&self, batch: u64) -> Result<(), SinkError> {
        self.of_batch(batch).iter().for_each(|path| std::fs::remove_file(path).expect("it is removed"));
        Ok(())
    }

    async fn uptime(&self) -> Result<Duration, SinkError> {
        // The directory outlives every process.
        Ok(Duration::from_millis(now_ms()))
    }
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.join("spool"),
        spools: THREADS,
        durability: Durability::Fsync,
        seal_interval: Duration::from_millis(25),
        batch_rows: 200,
        max_bytes: 1 << 30,
    }
}

fn open(dir: &Path, counters: Arc<Counters>) -> spool::Opened {
    let tuning =
        Tuning { segment_bytes: Some(MIN_SEGMENT_BYTES), settle: Duration::ZERO, ..Tuning::default() };
    spool::open_with(options(dir), tuning, counters).expect("the spool opens")
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("it is after 1970").as_millis() as u64
}

/// The numbers in a batch's rows.
fn numbers(body: &[u8]) -> Vec<u64> {
    body.chunks_exact(7 + 8 + FILLER)
        .map(|row| u64::from_le_bytes(row[7..15].try_into().expect("eight bytes")))
        .collect()
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let first: u64 = std::env::var(CHILD_FIRST).expect("it is set").parse().expect("it is a number");
    let dir = Path::new(&dir);
    let counters = Counters::new(["clinic"]);
    let opened = open(dir, counters.clone());
    assert_eq!(opened.report.damaged_places, 0, "{:?}", opened.report);
    println!("\nopened {}", opened.report.torn_tails);
    let shipper = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let (_tell, told) = watch::channel(false);
    let sink = Directory(dir.join("stored"));
    shipper.spawn(ship::run(opened.outlet, sink, Arc::new(ShipMetrics::default()), told));
    let threads: Vec<_> = opened
        .writers
        .into_iter()
        .enumerate()
        .map(|(thread, writer)| {
            let site = counters.site("clinic");
            let seen: Arc<Seen> = opened.seen.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                let mut next = first + thread as u64;
                // Until the parent kills the process; reading ends at the latest with it.
                while next < u64::MAX {
                    // Groups of different sizes, each row its own ticket.
                    let mut tickets = Vec::new();
                    for _ in 0..1 + next % 13 {
                        site.arrived();
                        assert!(seen.check_and_insert(next << 8, now_ms()), "row {next} is new");
                        let ticket = writer.append_seen(&site, 1, &[next << 8], |_, out| {
                            out.extend_from_slice(b"\x06clinic");
                            out.extend_from_slice(&next.to_le_bytes());
                            out.resize(out.len() + FILLER, b'x');
                        });
                        tickets.push((next, ticket.expect("there is room")));
                        next += THREADS as u64;
                    }
                    let mut line = String::new();
                    for (number, ticket) in tickets {
                        runtime.block_on(ticket).expect("the disk works");
                        line.push_str(&format!("acked {number}\n"));
                    }
                    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent reads");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("it does not panic");
    }
}

#[test]
fn killed_at_random_moments_every_acknowledged_row_is_stored_exactly_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(dir.path().join("stored")).expect("it can be made");
    let mut acked = BTreeSet::new();
    let (mut kills, mut torn) = (0, 0);
    for cycle in 0..CYCLES {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, dir.path())
            .env(CHILD_FIRST, (cycle * 10_000_000).to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the child starts");
        // A different number of rows each time; what was printed but not yet read
        // at the kill counts too.
        let wanted = 1 + (cycle * 7919) % 1000;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut read = 0;
        for line in lines.by_ref() {
            let line = line.expect("it reads");
            if let Some(number) = line.strip_prefix("acked ") {
                acked.insert(number.parse::<u64>().expect("a number"));
                read += 1;
                if read == wanted {
                    child.kill().expect("SIGKILL is sent");
                    kills += 1;
                }
            } else if let Some(tails) = line.strip_prefix("opened ") {
                torn += tails.parse::<u64>().expect("a number");
            }
        }
        let status = child.wait().expect("it ends");
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "cycle {cycle}: {status}"
        );
    }
    assert_eq!(kills, CYCLES);

    let counters = Counters::new(["clinic"]);
    let opened = open(dir.path(), counters.clone());
    assert_eq!(opened.report.damaged_places, 0, "{:?}", opened.report);
    for number in &acked {
        assert!(!opened.seen.check_and_insert(number << 8, now_ms()), "the key of row {number} is lost");
    }
    opened.writers.into_iter().for_each(|writer| writer.close());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let sink = Directory(dir.path().join("stored"));
    while let Some(batch) = opened.outlet.try_next().expect("it reads") {
        runtime.block_on(sink.insert(&batch)).expect("it is stored");
        opened.outlet.acknowledge(&batch).expect("it is noted");
    }
    let mut stored: BTreeMap<u64, u64> = BTreeMap::new();
    let mut batches = 0;
    for entry in std::fs::read_dir(dir.path().join("stored")).expect("it lists").flatten() {
        if entry.path().extension().is_none() {
            batches += 1;
            for number in numbers(&std::fs::read(entry.path()).expect("it reads")) {
                *stored.entry(number).or_default() += 1;
            }
        }
    }
    let lost = acked.iter().filter(|number| !stored.contains_key(number)).count();
    let doubled = stored.values().filter(|times| **times > 1).count();
    let rows: u64 = stored.values().sum();
    println!(
        "{kills} kills, {torn} torn tails: {} rows acknowledged, {rows} stored in {batches} batches, {lost} lost, {doubled} doubled",
        acked.len()
    );
    assert_eq!((lost, doubled), (0, 0));
    let counts = counters.site("clinic").counts();
    assert_eq!((counts.stored, counts.waiting), (rows, 0));
    assert!(spool::verify(&options(dir.path()).dir).expect("it reads").ok);
}

/// What a spool is filled with before it is opened again.
const LARGE_BYTES: u64 = 256 << 20;
const LARGE_BYTES_SOAK: u64 = 10 << 30;
/// As long as a usual hit.
const LARGE_ROW: usize = 300;
/// What opening may take beyond what the program had before, whatever the size.
const MAX_OPENING_BYTES: u64 = 128 << 20;
const LARGE_DIR: &str = "METKA_TEST_SPOOL_LARGE";

fn large_options(dir: &Path, bytes: u64) -> Options {
    Options {
        durability: Durability::Write,
        seal_interval: Duration::from_secs(3600),
        batch_rows: 50_000,
        max_bytes: 2 * bytes,
        ..options(dir)
    }
}

/// The most memory that this process has had so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it reads");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel tells it");
    let kib = line.split_whitespace().nth(1).expect("a number follows");
    kib.parse::<u64>().expect("it is a number") << 10
}

/// Not a test of its own: the process that opens the large spool.
#[test]
fn large_child() {
    let Ok(dir) = std::env::var(LARGE_DIR) else { return };
    let before = peak_bytes();
    let begun = std::time::Instant::now();
    let opened = spool::open(large_options(Path::new(&dir), LARGE_BYTES_SOAK), Counters::new(["clinic"]))
        .expect("the spool opens");
    let (took, peak) = (begun.elapsed(), peak_bytes());
    let backlog = opened.outlet.backlog();
    assert_eq!((opened.report.damaged_places, opened.report.torn_tails), (0, 0), "{:?}", opened.report);
    println!("\nlarge {} {} {} {}", backlog.rows, backlog.batches, took.as_millis(), peak - before);
}

#[test]
fn a_large_spool_is_opened_in_bounded_memory() {
    let bytes = match std::env::var_os("METKA_SOAK") {
        Some(_) => LARGE_BYTES_SOAK,
        None => LARGE_BYTES,
    };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let stat = rustix::fs::statvfs(dir.path()).expect("the file system tells its size");
    let free = stat.f_bavail * stat.f_frsize;
    let wanted = bytes + bytes / 4 + (1 << 30);
    assert!(free > wanted, "{} has {free} bytes free, this test needs {wanted}", dir.path().display());

    let counters = Counters::new(["clinic"]);
    let begun = std::time::Instant::now();
    let opened = spool::open(large_options(dir.path(), bytes), counters.clone()).expect("the spool opens");
    let rows = bytes / LARGE_ROW as u64 / THREADS as u64;
    std::thread::scope(|scope| {
        for writer in &opened.writers {
            let site = counters.site("clinic");
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                for row in 0..rows {
                    site.arrived();
                    let ticket = writer.append(&site, 1, |_, out| {
                        out.extend_from_slice(b"\x06clinic");
                        out.extend_from_slice(&row.to_le_bytes());
                        out.resize(out.len() + LARGE_ROW - 15 - 20, row as u8);
                    });
                    let ticket = ticket.expect("there is room");
                    // Groups stay within what a group may hold.
                    if row % 2000 == 0 || row + 1 == rows {
                        runtime.block_on(ticket).expect("the disk works");
                    }
                }
            });
        }
    });
    opened.writers.into_iter().for_each(|writer| writer.close());
    drop(opened.outlet);
    let filled = begun.elapsed();

    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "large_child", "--nocapture", "--test-threads=1"])
        .env(LARGE_DIR, dir.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("the child starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("large ")).expect("the child says what it saw");
    let seen: Vec<u64> =
        line.split(' ').map(|number| number.parse().expect("a number")).collect::<Vec<u64>>();
    println!(
        "a spool of {} MiB, filled in {filled:?}: {} rows in {} batches wait, opened in {} ms with {} KiB of memory",
        bytes >> 20,
        seen[0],
        seen[1],
        seen[2],
        seen[3] >> 10
    );
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(seen[0], rows * THREADS as u64, "rows are missing");
    assert!(seen[3] < MAX_OPENING_BYTES, "opening took {} bytes", seen[3]);
}
