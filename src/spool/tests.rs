//! The spool as its users see it: append, ship, restart.

mod damage;
mod disks;
mod faults;
mod kept;
mod letters;
mod power;
mod purge;
mod recorded;
mod stages;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::count::SiteCounters;
use crate::reject::Reason;

/// Generous: only a hang is longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// January 2026.
const MONTH: u32 = 2026 * 12 + 1;

/// An open spool with one writer.
struct Rig {
    counters: Arc<Counters>,
    site: Arc<SiteCounters>,
    writer: Writer,
    outlet: Outlet,
    seen: Arc<Seen>,
    report: RecoveryReport,
    fatal: watch::Receiver<Option<String>>,
}

/// A payload as the spool sees one: the site, then anything.
fn payload(site: &str, text: &str) -> Vec<u8> {
    let mut out = vec![site.len() as u8];
    out.extend_from_slice(site.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.to_owned(),
        spools: 1,
        durability: Durability::Fsync,
        seal_interval: Duration::from_secs(3600),
        batch_rows: 1000,
        max_bytes: 1 << 30,
    }
}

fn small() -> Tuning {
    Tuning { segment_bytes: Some(MIN_SEGMENT_BYTES), settle: Duration::ZERO, ..Tuning::default() }
}

fn texts(batch: &Batch) -> Vec<String> {
    batch
        .payloads()
        .map(|row| String::from_utf8_lossy(&row[1 + usize::from(row[0])..]).into_owned())
        .collect()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it ends in time") })
}

/// An empty directory; in memory where there is enough, since these tests are
/// about calls and bytes. `tests/spool.rs` uses a disk.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    let made = if room > 1 << 30 { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// Waits for a condition that another thread brings about.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < end, "waited in vain: {what}");
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks at a condition")]
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Copies a spool as a killed process leaves it, with `tail` bytes of an unfinished
/// group behind the last record. The keeper works in the background: a copy made
/// while it moved a file may lack the file, which a real kill cannot do.
pub(crate) fn copy_as_killed(from: &Path, to: &Path, tail: u8) {
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir.join("00")).expect("it lists").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    until("the copy is whole", || {
        let _ = std::fs::remove_dir_all(to);
        let before = names(from);
        copy_files(from, to);
        before == names(from) && before == names(to)
    });
    use std::os::unix::fs::FileExt;
    let Some((_, path)) = walk::segment_files(&to.join("00")).expect("it lists").pop() else { return };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("it opens");
    let header = scan::read_header(&file).expect("it reads").expect("it is a segment");
    let end = scan::scan(&file, &header, |_| {}).expect("it reads").offset;
    let room = file.metadata().expect("it is there").len() - end;
    let garbage = vec![tail; usize::from(tail).min(room as usize)];
    file.write_all_at(&garbage, end).expect("it is written");
}

/// Copies a spool as a killed process leaves it: all that was written, the lock free.
fn copy_of(dir: &Path) -> tempfile::TempDir {
    let copy = scratch();
    copy_files(dir, copy.path());
    copy
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory can be made");
    for entry in std::fs::read_dir(from).expect("the directory can be listed").flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("it has a type").is_dir() {
            true => copy_files(&entry.path(), &target),
            // The keeper may move a file away while we copy.
            false => drop(std::fs::copy(entry.path(), target)),
        }
    }
}

// === impl Rig ===

impl Rig {
    fn open(options: Options, tuning: Tuning) -> Rig {
        Rig::try_open(options, tuning).expect("the spool opens")
    }

    fn try_open(options: Options, tuning: Tuning) -> Result<Rig, SpoolError> {
        let counters = Counters::new(["clinic"]);
        let opened = open_with(options, tuning, counters.clone())?;
        let writer = opened.writers.into_iter().next().expect("there is a writer");
        let site = counters.site("clinic");
        let Opened { outlet, seen, report, fatal, .. } = opened;
        Ok(Rig { counters, site, writer, outlet, seen, report, fatal })
    }

    fn send(&self, text: &str) -> Result<Ticket, Reason> {
        self.send_in(MONTH, text)
    }

    fn send_in(&self, month: u32, text: &str) -> Result<Ticket, Reason> {
        self.site.arrived();
        let sent =
            self.writer.append(&self.site, month, |_, out| out.extend_from_slice(&payload("clinic", text)));
        sent.inspect_err(|reason| self.site.refused(*reason))
    }

    /// Appends and waits.
    fn keep(&self, text: &str) -> Result<(), Reason> {
        block_on(self.send(text)?)
    }

    /// Takes and acknowledges all that is sealed, and has it counted.
    fn ship_all(&self) -> Vec<String> {
        ship_all(&self.outlet)
    }

    /// Closes the writer, then ships all.
    fn finish(self) -> Vec<String> {
        let Rig { writer, outlet, .. } = self;
        writer.close();
        ship_all(&outlet)
    }
}

fn ship_all(outlet: &Outlet) -> Vec<String> {
    let mut shipped = Vec::new();
    while let Some(batch) = outlet.try_next().expect("the batch can be read") {
        shipped.extend(texts(&batch));
        settle(outlet, batch);
    }
    shipped
}

/// Storage has the batch, and its rows were counted there.
fn settle(outlet: &Outlet, batch: Batch) {
    outlet.acknowledge(&batch).expect("the acknowledgement is written");
    outlet.verified(&[batch.id]);
    drop(batch);
    outlet.checkpoint().expect("the checkpoint is written");
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("row {number}")).collect()
}

#[test]
fn what_was_appended_is_shipped_once_and_stays_shipped() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), small());
    let tickets: Vec<Ticket> =
        numbered(0..10).iter().map(|text| rig.send(text).expect("there is room")).collect();
    for ticket in tickets {
        block_on(ticket).expect("the hit is durable");
    }
    let (counters, site) = (rig.counters.clone(), rig.site.clone());
    assert_eq!((site.counts().waiting, site.counts().in_flight), (10, 0));
    assert_eq!(rig.finish(), numbered(0..10));
    assert_eq!((site.counts().stored, site.counts().waiting), (10, 0));
    drop(counters);

    let rig = Rig::open(options(dir.path()), small());
    assert_eq!(rig.ship_all(), Vec::<String>::new());
    assert_eq!(rig.site.counts().stored, 10);
    assert_eq!((rig.report.damaged_places, rig.report.torn_tails), (0, 0), "{:?}", rig.report);
}

#[test]
fn a_batch_ends_with_its_time_its_rows_or_its_month() {
    let dir = scratch();
    let quick = Options { seal_interval: Duration::from_millis(20), ..options(dir.path()) };
    let rig = Rig::open(quick, small());
    rig.keep("alone").expect("it is kept");
    // No further hit comes; the batch is sealed all the same.
    let batch = block_on(rig.outlet.next());
    assert_eq!(texts(&batch), ["alone"]);
    drop((batch, rig));

    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 4, ..options(dir.path()) }, small());
    for text in numbered(0..5) {
        rig.keep(&text).expect("it is kept");
    }
    let first = rig.outlet.try_next().expect("it reads").expect("four rows are a batch");
    assert_eq!((texts(&first), first.month), (numbered(0..4), MONTH));
    assert!(rig.outlet.try_next().expect("it reads").is_none(), "the fifth row's batch is open");
    block_on(rig.send_in(MONTH + 1, "next month").expect("there is room")).expect("it is kept");
    let second = rig.outlet.try_next().expect("it reads").expect("the month ended a batch");
    assert_eq!((texts(&second), second.month), (numbered(4..5), MONTH));
    assert_ne!((first.id, &first.token), (second.id, &second.token));
}

/// How many groups were written to the spool's last segment.
fn groups(dir: &Path) -> usize {
    let (_, path) = walk::segment_files(&dir.join("00")).expect("it lists").pop().expect("there is one");
    let file = std::fs::File::open(&path).expect("it opens");
    let header = scan::read_header(&file).expect("it reads").expect("it is a segment");
    let mut groups = 0;
    scan::scan(&file, &header, |found| {
        if let scan::Found::Record { record, .. } = found {
            groups += usize::from(record.flags & record::GROUP_START != 0);
        }
    })
    .expect("it reads");
    groups
}

#[test]
fn what_is_gathered_goes_to_the_disk_together_when_it_is_flushed_or_at_the_seal() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), Tuning::default());
    let gather = |rig: &Rig, text: &str| {
        rig.site.arrived();
        let gathered = rig.writer.gather(&rig.site, MONTH, &[], |_, out| {
            out.extend_from_slice(&payload("clinic", text));
        });
        gathered.expect("there is room")
    };
    let tickets = ["a", "b", "c"].map(|text| gather(&rig, text));
    rig.writer.flush();
    tickets.into_iter().for_each(|ticket| block_on(ticket).expect("it is durable"));
    assert_eq!(groups(dir.path()), 1);
    rig.keep("d").expect("it is kept");
    assert_eq!(groups(dir.path()), 2);
    assert_eq!(rig.finish(), ["a", "b", "c", "d"]);

    let dir = scratch();
    let soon = Options { seal_interval: Duration::from_millis(5), ..options(dir.path()) };
    let rig = Rig::open(soon, Tuning::default());
    block_on(gather(&rig, "never flushed")).expect("it is durable");
    assert_eq!(rig.finish(), ["never flushed"]);
}

#[test]
fn a_batch_is_out_once_at_a_time_and_keeps_its_token_over_restarts() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), small());
    rig.keep("open at the crash").expect("it is kept");
    let copy = copy_of(dir.path());

    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let rig = Rig::open(options(copy.path()), small());
        let batch = rig.outlet.try_next().expect("it reads").expect("recovery sealed it");
        assert!(rig.outlet.try_next().expect("it reads").is_none(), "it is handed out");
        assert_eq!(texts(&batch), ["open at the crash"]);
        seen.insert((batch.id, batch.token.clone()));
        drop(batch);
        let again = rig.outlet.try_next().expect("it reads").expect("it was given back");
        seen.insert((again.id, again.token.clone()));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn the_journal_of_ids_survives_a_kill_and_the_release_of_segments() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 50, ..options(dir.path()) }, small());
    let long = "x".repeat(4000);
    let now = shared::now_ms();
    for key in 1..=500u64 {
        assert_eq!(rig.seen.claim(key << 40, now), seen::Claim::New);
        assert_eq!(rig.seen.claim(key << 40, now), seen::Claim::Pending);
        rig.site.arrived();
        let ticket = rig.writer.append_seen(&rig.site, MONTH, &[key << 40, !key], |_, out| {
            out.extend_from_slice(&payload("clinic", &long))
        });
        block_on(ticket.expect("there is room")).expect("it is kept");
        assert_eq!(rig.seen.claim(key << 40, now), seen::Claim::Duplicate);
        rig.ship_all();
    }
    let side_file = || std::fs::read_dir(dir.path().join("seen")).expect("it lists").count();
    until("a segment with keys is released", || side_file() > 0);
    let copy = copy_of(dir.path());
    let rig = Rig::open(options(copy.path()), small());
    for key in 1..=500u64 {
        assert_eq!(rig.seen.claim(key << 40, now), seen::Claim::Duplicate, "key {key}");
        assert!(!rig.seen.check_and_insert(!key, now), "key {key}");
    }
    let tomorrow = now + 1000 * u64::from(seen::WINDOW_SECONDS);
    assert_eq!(rig.seen.claim(1 << 40, tomorrow + 1000), seen::Claim::New);
    rig.seen.forget(&[1 << 40]);
    assert_eq!(rig.seen.claim(1 << 40, tomorrow + 1000), seen::Claim::New);
}

#[test]
fn a_full_spool_refuses_and_takes_hits_again_once_shipped() {
    let dir = scratch();
    let rig = Rig::open(Options { max_bytes: 1 << 20, batch_rows: 10, ..options(dir.path()) }, small());
    let long = "x".repeat(10_000);
    let mut kept = 0u64;
    let reason = loop {
        match rig.keep(&long) {
            Ok(()) => kept += 1,
            Err(reason) => break reason,
        }
        assert!(kept < 200, "the limit is never reached");
    };
    assert_eq!(reason, Reason::Full);
    assert!(kept > 80, "only {kept} rows were kept");
    let shipped = rig.ship_all().len() as u64;
    until("space is released", || rig.keep("short").is_ok());
    let counts = rig.site.counts();
    assert_eq!((counts.stored, counts.waiting), (shipped, kept + 1 - shipped));
}

#[test]
fn a_dead_letter_waits_aside_and_is_still_counted_after_a_restart() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 2, ..options(dir.path()) }, small());
    for text in numbered(0..4) {
        rig.keep(&text).expect("it is kept");
    }
    let bad = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
    rig.outlet.dead_letter(&bad, "36: a bad argument").expect("the dead letter is written");
    assert!(matches!(rig.outlet.acknowledge(&bad), Err(SpoolError::UnknownBatch(_))));
    drop(bad);
    assert_eq!(rig.ship_all(), numbered(2..4));
    assert_eq!((rig.outlet.backlog().rows, rig.outlet.backlog().dead_rows), (0, 2));
    drop(rig);
    let stat = stat(dir.path()).expect("the spool reads");
    assert_eq!((stat.dead_letters, stat.dead_rows, stat.waiting.len()), (1, 2, 0));
    let rig = Rig::open(options(dir.path()), small());
    assert_eq!(rig.ship_all(), Vec::<String>::new());
    let counts = rig.site.counts();
    assert_eq!((counts.stored, counts.waiting, rig.outlet.backlog().dead_rows), (2, 2, 2));
}

#[test]
fn the_counts_of_a_site_go_on_over_restarts() {
    let dir = scratch();
    let (mut stored, mut waiting, mut refused) = (0, 0, 0);
    for round in 0..5 {
        let rig = Rig::open(Options { batch_rows: 7, ..options(dir.path()) }, small());
        let counts = rig.site.counts();
        assert_eq!((counts.stored, counts.waiting, counts.in_flight), (stored, waiting, 0));
        assert_eq!(counts.refused.get("foreign-host").copied().unwrap_or(0), refused);
        for text in numbered(0..20) {
            rig.keep(&text).expect("it is kept");
        }
        rig.site.arrived();
        rig.site.refused(Reason::ForeignHost);
        refused += 1;
        if round % 2 == 0 {
            stored += rig.ship_all().len() as u64;
        }
        waiting = 20 * (round + 1) - stored;
        rig.outlet.checkpoint().expect("the checkpoint is written");
        let counts = rig.site.counts();
        assert_eq!((counts.stored, counts.waiting), (stored, waiting));
    }
}

#[test]
fn fewer_threads_than_before_still_ship_what_the_others_left() {
    let dir = scratch();
    let counters = Counters::new(["clinic"]);
    let site = counters.site("clinic");
    let opened =
        open_with(Options { spools: 3, ..options(dir.path()) }, small(), counters).expect("it opens");
    for (index, writer) in opened.writers.iter().enumerate() {
        site.arrived();
        let text = format!("spool {index}");
        let ticket = writer.append(&site, MONTH, |_, out| out.extend_from_slice(&payload("clinic", &text)));
        block_on(ticket.expect("there is room")).expect("it is kept");
    }
    // One is killed with its batch open, in the middle of a directory that others share.
    let copy = copy_of(dir.path());
    drop(opened);
    let rig = Rig::open(options(copy.path()), small());
    let mut shipped = rig.ship_all();
    shipped.sort();
    assert_eq!(shipped, ["spool 0", "spool 1", "spool 2"]);
    drop(rig);
    assert_eq!(Rig::open(options(copy.path()), small()).finish(), Vec::<String>::new());
}

#[test]
fn a_row_that_is_too_long_is_refused_alone_and_a_panicking_encoder_leaves_nothing() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), small());
    rig.keep("before").expect("it is kept");
    assert_eq!(rig.keep(&"x".repeat(MAX_RECORD_BYTES)), Err(Reason::TooLarge));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        rig.writer.append(&rig.site, MONTH, |_, out| {
            out.extend_from_slice(b"half");
            panic!("a bug in an encoder");
        })
    }));
    assert!(panicked.is_err());
    rig.keep("after").expect("it is kept");
    assert_eq!(rig.finish(), ["before", "after"]);
}

#[test]
fn in_write_mode_a_killed_process_loses_nothing_either() {
    let dir = scratch();
    let written = |dir: &Path| Options { durability: Durability::Write, ..options(dir) };
    let rig = Rig::open(written(dir.path()), small());
    for text in numbered(0..100) {
        rig.keep(&text).expect("it is kept");
    }
    let copy = copy_of(dir.path());
    assert_eq!(Rig::open(written(copy.path()), small()).finish(), numbered(0..100));
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = scratch();
    let _rig = Rig::open(options(dir.path()), small());
    let second = Rig::try_open(options(dir.path()), small());
    assert!(matches!(second, Err(SpoolError::Locked(_))));
}
