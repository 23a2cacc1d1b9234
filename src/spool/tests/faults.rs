//! Disks that fail: nothing is answered wrongly, nothing answered is lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use super::disks::{Call, ChoppyDisk, FailingDisk, FullDisk, tuned};
use super::*;

/// Runs at the same time: most of one is waiting for a full disk to be tried again.
const AT_ONCE: usize = 16;

fn broken() -> io::Error {
    rustix::io::Errno::IO.into()
}

fn no_space() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

fn no_quota() -> io::Error {
    rustix::io::Errno::DQUOT.into()
}

/// As many segments as a run without faults has left when the keeper is done, or
/// more: the last rows are in batches that are still open.
const SEGMENTS_LEFT: usize = 4;

/// Which call fails, on what, from which on, how often, and how. Places are numbered
/// by what they are for: the keeper thread comes to its calls in its own time, so
/// the nth of all calls would be another one in each run.
type Fault = (Call, String, u64, u64, fn() -> io::Error);

/// What a run on a failing disk gave.
#[derive(Default)]
struct Outcome {
    answered: Vec<String>,
    stored: Vec<String>,
    refused: BTreeMap<&'static str, u64>,
    /// Success was answered after the process had been told to end.
    after_fatal: u64,
    fatal: bool,
    /// Acknowledgements that could not be written.
    unnoted: u64,
}

/// A run that rolls, seals, acknowledges, releases and saves keys; `patient` waits
/// for room when the disk is full. Storage takes a token once.
fn work(dir: &Path, disk: Arc<FailingDisk>, patient: bool) -> Option<Outcome> {
    let rig = Rig::try_open(Options { batch_rows: 16, ..options(dir) }, tuned(disk.clone())).ok()?;
    let long = "x".repeat(9000);
    let mut outcome = Outcome::default();
    let mut tokens = BTreeMap::new();
    let mut ship = |outlet: &Outlet, outcome: &mut Outcome| {
        while let Some(batch) = outlet.try_next().expect("it reads") {
            let before = tokens.insert(batch.token.clone(), texts(&batch));
            assert!(before.is_none_or(|before| before == texts(&batch)), "a token came with other rows");
            if outlet.acknowledge(&batch).is_err() {
                outcome.unnoted += 1;
                return;
            }
            outlet.verified(&[batch.id]);
            drop(batch);
            outcome.unnoted += u64::from(outlet.checkpoint().is_err());
        }
    };
    for number in 0..110u64 {
        let text = format!("row {number} {long}");
        until("the row is answered for good", || {
            let fatal = rig.fatal.borrow().is_some();
            assert!(rig.seen.check_and_insert((number + 1) << 30, shared::now_ms()), "a refused key stayed");
            rig.site.arrived();
            let sent = rig.writer.append_seen(&rig.site, MONTH, &[(number + 1) << 30], |_, out| {
                out.extend_from_slice(&payload("clinic", &text))
            });
            match sent.inspect_err(|reason| rig.site.refused(*reason)).and_then(block_on) {
                Ok(()) => {
                    outcome.after_fatal += u64::from(fatal);
                    outcome.answered.push(text.clone());
                    true
                }
                Err(reason) => {
                    *outcome.refused.entry(reason.name()).or_default() += 1;
                    !(patient && reason == Reason::Full)
                }
            }
        });
        if number % 8 == 0 {
            ship(&rig.outlet, &mut outcome);
        }
    }
    until("the keeper has come to its work", || disk.first().is_some() || segments(dir) <= SEGMENTS_LEFT);
    let fatal = rig.fatal.clone();
    let counts = rig.site.counts();
    assert_eq!(counts.stored + counts.waiting, outcome.answered.len() as u64);
    assert_eq!(counts.in_flight, 0);
    // The end seals and syncs once more.
    drop(rig);
    outcome.fatal = fatal.borrow().is_some();
    // The next process has a sound disk.
    let rig = Rig::open(options(dir), small());
    assert_eq!(rig.report.damaged_places, 0, "{:?}", rig.report);
    ship(&rig.outlet, &mut outcome);
    outcome.stored = tokens.into_values().flatten().collect();
    let distinct: BTreeSet<&String> = outcome.stored.iter().collect();
    assert_eq!(distinct.len(), outcome.stored.len(), "a row is stored twice");
    for text in &outcome.answered {
        assert!(distinct.contains(text), "an answered row is lost");
    }
    Some(outcome)
}

/// Runs [`work`] with a fault at each place of `places`, a few at a time, and
/// counts what failed first in each.
fn everywhere(
    faults: Vec<Fault>,
    patient: bool,
    check: impl Fn(&str, &Option<Outcome>) + Sync,
) -> BTreeMap<String, u64> {
    let next = AtomicUsize::new(0);
    let fired = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((call, of, nth, times, error)) = faults.get(next.fetch_add(1, SeqCst)) {
                    let dir = scratch();
                    let disk = FailingDisk::some(*call, Some(of.clone()), *nth, *times, *error);
                    let outcome = work(dir.path(), disk.clone(), patient);
                    // How many checkpoints and spares a run needs depends on how far
                    // the keeper has come: the last few places may not be reached.
                    let Some(first) = disk.first() else { continue };
                    check(&first, &outcome);
                    *fired.lock().expect("it is free").entry(first).or_default() += 1;
                }
            });
        }
    });
    fired.into_inner().expect("it is free")
}

/// How many calls of a kind a run without faults has, by what they are for.
fn calls(call: Call) -> BTreeMap<String, u64> {
    let dir = scratch();
    let disk = FailingDisk::some(call, None, u64::MAX, 0, broken);
    let outcome = work(dir.path(), disk.clone(), false).expect("a sound disk");
    assert_eq!((outcome.answered.len(), outcome.fatal), (110, false));
    disk.seen()
}

/// Every place in a long run, else the first of each kind and every so manyth.
fn places(call: Call, step: usize) -> Vec<(String, u64)> {
    let step = if std::env::var_os("METKA_SOAK").is_some() { 1 } else { step };
    let each = |(of, calls): (String, u64)| (1..=calls).step_by(step).map(move |nth| (of.clone(), nth));
    calls(call).into_iter().flat_map(each).collect()
}

fn segments(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir.join("00")).expect("the spool's directory");
    names
        .filter(|name| name.as_ref().is_ok_and(|name| name.path().extension() == Some("seg".as_ref())))
        .count()
}

fn assert_met(fired: &BTreeMap<String, u64>, wanted: &[&str]) {
    let never: Vec<_> = wanted.iter().filter(|kind| !fired.contains_key(**kind)).collect();
    assert!(never.is_empty(), "no fault fired at {never:?}, only at {fired:?}");
}

#[test]
fn a_sync_that_fails_at_any_place_loses_and_doubles_nothing() {
    let mut faults: Vec<Fault> = Vec::new();
    for (call, step) in [(Call::Datasync, 1), (Call::SyncDir, 1)] {
        for (of, nth) in places(call, step) {
            // Once, as kernels do it, and for ever.
            let fault = |times| (call, of.clone(), nth, times, broken as fn() -> io::Error);
            faults.extend([1, u64::MAX].map(fault));
        }
    }
    let (runs, told) = (faults.len(), AtomicUsize::new(0));
    let fired = everywhere(faults, false, |first, outcome| {
        let Some(outcome) = outcome else { return };
        assert_eq!(outcome.after_fatal, 0, "{first}: success was answered after the disk had failed");
        assert!(outcome.fatal, "{first}: the process was not told");
        told.fetch_add(usize::from(outcome.fatal), SeqCst);
    });
    println!("{runs} runs with failing syncs, {} ended the process: {fired:?}", told.load(SeqCst));
    let files = ["seg", "spare", "keys", "old"].map(|kind| format!("Datasync of .{kind}"));
    assert_met(&fired, &files.each_ref().map(String::as_str));
    assert_met(
        &fired,
        &[
            "Datasync of checkpoint",
            "Datasync of reserve",
            "SyncDir of 00",
            "SyncDir of spool",
            "SyncDir of seen",
        ],
    );
}

#[test]
fn no_room_at_any_write_refuses_hits_and_takes_them_again_when_there_is_room() {
    let mut faults: Vec<Fault> = Vec::new();
    let errors: [fn() -> io::Error; 2] = [no_space, no_quota];
    for (call, step) in [(Call::Write, 3), (Call::Create, 1)] {
        for (index, (of, nth)) in places(call, step).into_iter().enumerate() {
            faults.push((call, of, nth, 1 + nth % 3, errors[index % 2]));
        }
    }
    let (runs, refused, told) = (faults.len(), AtomicUsize::new(0), AtomicUsize::new(0));
    let fired = everywhere(faults, true, |first, outcome| {
        let Some(outcome) = outcome else { return };
        assert!(!outcome.fatal, "{first}: a full disk is not a failure");
        assert_eq!(outcome.answered.len(), 110, "{first}: hits are not taken again");
        assert!(outcome.refused.keys().all(|reason| *reason == Reason::Full.name()), "{:?}", outcome.refused);
        let full = outcome.refused.values().sum::<u64>();
        refused.fetch_add(full as usize, SeqCst);
        // A group of seals and notes alone has no hit to refuse.
        told.fetch_add(usize::from(first == "Write of .seg" && full > 0), SeqCst);
    });
    println!("{runs} runs with a full disk, {} hits refused: {fired:?}", refused.load(SeqCst));
    let (told, full) = (told.into_inner() as u64, fired["Write of .seg"]);
    assert!(told * 2 > full, "only {told} of {full} full segments refused a hit");
    let files =
        ["Write of .seg", "Write of .spare", "Write of .keys", "Write of checkpoint", "Create of .spare"];
    assert_met(&fired, &files);
}

/// Sends rows while the disk fails, and gives back those that were answered with
/// success. After the first failure there must be none.
fn send_through(rig: &Rig, rows: usize) -> Vec<String> {
    let long = "x".repeat(6000);
    let mut answered = Vec::new();
    let mut failed = false;
    for number in 0..rows {
        let text = format!("row {number} {long}");
        match rig.keep(&text) {
            Ok(()) => {
                assert!(!failed, "row {number} was acknowledged after a failure");
                answered.push(text);
            }
            Err(reason) => {
                assert_eq!(reason, Reason::Unavailable);
                failed = true;
            }
        }
    }
    assert!(failed, "the fault did not reach a hit");
    answered
}

#[test]
fn after_a_failed_write_sync_or_rename_nothing_more_is_acknowledged() {
    let mut fired = 0;
    for call in [Call::Write, Call::Datasync, Call::SyncDir, Call::Rename] {
        for nth in 0..12 {
            let dir = scratch();
            // A spool that is there already: opening needs few calls then.
            Rig::open(options(dir.path()), small()).finish();
            let disk = FailingDisk::nth(call, 4 + nth, broken);
            let rig = match Rig::try_open(options(dir.path()), tuned(disk.clone())) {
                Ok(rig) => rig,
                Err(_) => {
                    assert!(disk.fired.load(SeqCst) > 0, "{call:?} {nth}: opening failed without a fault");
                    continue;
                }
            };
            let answered = send_through(&rig, 600);
            assert!(disk.fired.load(SeqCst) > 0, "{call:?} {nth}: the fault did not fire");
            assert!(rig.fatal.borrow().is_some(), "{call:?} {nth}: the process was not told");
            let counts = rig.site.counts();
            assert_eq!((counts.waiting, counts.in_flight), (answered.len() as u64, 0), "{call:?} {nth}");
            drop(rig);
            // The next process has a sound disk, and finds all that was answered.
            let found: BTreeSet<String> =
                Rig::open(options(dir.path()), small()).finish().into_iter().collect();
            for text in &answered {
                assert!(found.contains(text), "{call:?} {nth}: an acknowledged row is lost");
            }
            fired += 1;
        }
    }
    println!("{fired} faults fired in running spools");
    assert!(fired >= 30);
}

#[test]
fn a_hit_refused_by_a_failing_disk_leaves_no_key_behind() {
    let dir = scratch();
    Rig::open(options(dir.path()), small()).finish();
    let disk = FailingDisk::nth(Call::Datasync, 12, broken);
    let rig = Rig::open(options(dir.path()), tuned(disk.clone()));
    let (mut kept, mut refused) = (0, 0);
    for key in 1..=40u64 {
        assert!(rig.seen.check_and_insert(key, 1));
        rig.site.arrived();
        let sent = rig
            .writer
            .append_seen(&rig.site, MONTH, &[key], |_, out| out.extend_from_slice(&payload("clinic", "x")));
        match sent.map_err(|reason| rig.site.refused(reason)).map(block_on) {
            Ok(Ok(())) => {
                kept += 1;
                assert!(!rig.seen.check_and_insert(key, 1));
            }
            _ => {
                refused += 1;
                assert!(rig.seen.check_and_insert(key, 1), "the key of a refused hit stayed");
                rig.seen.forget(&[key]);
            }
        }
    }
    assert!(disk.fired.load(SeqCst) > 0 && kept > 0 && refused > 0, "{kept} kept, {refused} refused");
}

#[test]
fn a_full_disk_refuses_whole_groups_and_hits_are_taken_again_when_there_is_room() {
    let dir = scratch();
    let disk = Arc::new(FullDisk::default());
    let rig = Rig::open(Options { batch_rows: 40, ..options(dir.path()) }, tuned(disk.clone()));
    let long = "x".repeat(3000);
    let (mut answered, mut refused, mut shipped) = (Vec::new(), 0, Vec::new());
    for round in 0..6 {
        let mut row = 0;
        disk.set_full(round % 2 == 1);
        let mut full = 0;
        while row < 300 && full < 3 {
            let text = format!("round {round} row {row} {long}");
            match rig.keep(&text) {
                Ok(()) => answered.push(text),
                Err(reason) => {
                    assert_eq!(reason, Reason::Full);
                    assert!(round % 2 == 1 || disk.fired.load(SeqCst) > 0);
                    refused += 1;
                    if round % 2 == 1 {
                        full += 1;
                        // Shipping goes on, and what is open is sealed, on a full disk.
                        shipped.extend(rig.ship_all());
                    }
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "the spool itself looks at the disk again after a time"
                    )]
                    std::thread::sleep(FULL_RETRY / 5);
                    continue;
                }
            }
            row += 1;
        }
    }
    assert!(disk.fired.load(SeqCst) > 0, "the disk was never full");
    assert!(rig.fatal.borrow().is_none(), "a full disk is not a failure");
    disk.set_full(false);
    let site = rig.site.clone();
    let kept = answered.len() as u64;
    assert_eq!(site.counts().stored + site.counts().waiting, kept);
    assert_eq!(site.counts().refused["full"], refused);
    shipped.extend(rig.finish());
    println!("{kept} rows kept, {refused} refused on a full disk, {} shipped", shipped.len());
    let distinct: BTreeSet<&String> = shipped.iter().collect();
    assert_eq!(distinct.len(), shipped.len(), "a row was shipped twice");
    assert_eq!(distinct, answered.iter().collect());
    assert_eq!(Rig::open(options(dir.path()), small()).report.damaged_places, 0);
}

#[test]
fn no_room_in_the_middle_of_a_write_leaves_nothing_of_the_group() {
    for nth in 1..8 {
        let dir = scratch();
        Rig::open(options(dir.path()), small()).finish();
        let opening = 2;
        let disk = FailingDisk::nth(Call::Write, opening + nth, no_space);
        let Ok(rig) = Rig::try_open(options(dir.path()), tuned(disk.clone())) else { continue };
        let mut answered = Vec::new();
        for text in numbered(0..20) {
            match rig.keep(&text) {
                Ok(()) => answered.push(text),
                Err(reason) => assert_eq!(reason, Reason::Full),
            }
        }
        assert!(disk.fired.load(SeqCst) > 0 && rig.fatal.borrow().is_none());
        drop(rig);
        assert_eq!(Rig::open(options(dir.path()), small()).finish(), answered);
    }
}

#[test]
fn short_and_interrupted_writes_are_completed() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), tuned(Arc::new(ChoppyDisk::default())));
    for text in numbered(0..50) {
        rig.keep(&text).expect("it is kept");
    }
    assert_eq!(rig.finish(), numbered(0..50));
}
