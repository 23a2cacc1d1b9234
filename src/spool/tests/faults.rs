//! Disks that fail: nothing is answered wrongly, nothing answered is lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::disks::{Call, ChoppyDisk, FailingDisk, FullDisk, tuned};
use super::*;

fn broken() -> io::Error {
    rustix::io::Errno::IO.into()
}

fn no_space() -> io::Error {
    rustix::io::Errno::NOSPC.into()
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
