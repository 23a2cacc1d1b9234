//! Power loss at every operation: what was answered with success is there.
//!
//! A scripted run is recorded once. For each of its operations, several disks are
//! made that a loss of power in that operation may leave ([`super::recorded`]);
//! on each the spool is opened and emptied into storage, which has survived. That
//! opening is recorded too, and power lost in it as well, twice over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::record::Kind;
use super::super::scan::{Found, read_header, scan};
use super::disks::tuned;
use super::recorded::{Entry, Image, Luck, Medium, PowerDisk};
use super::seen::Claim;
use super::*;

/// How many losses one run has to survive, one in the recovery of the other.
const NESTED: usize = 2;
const SEED: u64 = 20_261_125;
/// The rows that are sent after a loss have numbers from here.
const AFTER: usize = 10_000;

/// Every kind of step must have been the one in which power was lost.
const KINDS: [&str; 36] = [
    "make directory",
    "create spare",
    "write spare",
    "sync spare",
    "write header",
    "rename spare to segment",
    "sync directory of segment",
    "append hits",
    "append seal",
    "sync segment",
    "cut segment",
    "create checkpoint",
    "write checkpoint",
    "sync checkpoint",
    "rename checkpoint to checkpoint",
    "sync directory of checkpoint",
    "create keys",
    "write keys",
    "sync keys",
    "sync directory of keys",
    "rename segment to old",
    "write old",
    "sync old",
    "rename old to spare",
    "remove old",
    "remove spare",
    "create dead letter",
    "write dead letter",
    "sync dead letter",
    "rename dead letter to dead letter",
    "sync directory of dead letter",
    "create reserve",
    "write reserve",
    "sync reserve",
    "create node",
    "rename node to node",
];

/// What happens beside the disk.
#[derive(Clone, Debug)]
enum Event {
    /// The row with this number was answered with success.
    Answered(usize),
    /// Storage took these rows under this token.
    Stored(String, Vec<usize>),
}

type Power = PowerDisk<Event>;

/// What is outside of the machine that loses power.
#[derive(Clone)]
struct World {
    answered: BTreeSet<usize>,
    /// Those of them that must survive: all, or what is in closed segments.
    promised: BTreeSet<usize>,
    storage: BTreeMap<String, Vec<usize>>,
    durability: Durability,
    /// Rows that storage has twice, or lost although answered: only counted
    /// where nothing is promised.
    lost: usize,
    doubled: usize,
}

#[derive(Default)]
struct Totals {
    images: usize,
    kinds: BTreeMap<String, usize>,
    torn: u64,
    stored: usize,
    lost: usize,
    doubled: usize,
    damaged: u64,
}

/// A row's text follows from its number; its length too, so that groups end
/// within sectors and go over many.
fn row(number: usize) -> String {
    format!("{number}:{}", "x".repeat([9_000, 40, 5_000, 700, 14_000][number % 5]))
}

fn key(number: usize) -> u64 {
    (number as u64 + 1) << 20
}

fn numbers(texts: &[String]) -> Vec<usize> {
    let parsed = texts.iter().map(|text| {
        let number = text.split(':').next().and_then(|number| number.parse().ok()).expect("a row's number");
        assert!(*text == row(number), "row {number} came back otherwise");
        number
    });
    parsed.collect()
}

fn power_options(root: &Path, durability: Durability) -> Options {
    Options { batch_rows: 12, durability, ..options(&root.join("spool")) }
}

/// Sends rows as one group, if the helper is quick enough to take them so.
fn send(rig: &Rig, disk: &Power, rows: std::ops::Range<usize>, month: u32) {
    let tickets: Vec<_> = rows
        .map(|number| {
            rig.site.arrived();
            assert_ne!(rig.seen.claim(key(number), shared::now_ms()), Claim::Duplicate);
            let sent = rig.writer.append_seen(&rig.site, month, &[key(number)], |_, out| {
                out.extend_from_slice(&payload("clinic", &row(number)))
            });
            (number, sent.map_err(|reason| rig.site.refused(reason)))
        })
        .collect();
    for (number, ticket) in tickets {
        if let Ok(ticket) = ticket
            && block_on(ticket).is_ok()
        {
            disk.event(Event::Answered(number));
        }
    }
}

/// Gives a batch to storage and notes that it is there; says whether there was one.
fn ship(outlet: &Outlet, disk: &Power) -> bool {
    let Ok(Some(batch)) = outlet.try_next() else { return false };
    if !disk.outside(Event::Stored(batch.token.clone(), numbers(&texts(&batch)))) {
        return false;
    }
    let acknowledged = outlet.acknowledge(&batch).is_ok();
    drop(batch);
    acknowledged && count(outlet)
}

/// All that is acknowledged is counted in storage, which has it: what is done with is released.
fn count(outlet: &Outlet) -> bool {
    let unverified: Vec<u64> = outlet.unverified(usize::MAX).iter().map(|one| one.id).collect();
    outlet.verified(&unverified);
    outlet.checkpoint().is_ok()
}

/// The run in which power is lost: every kind of step is in it.
fn script(root: &Path, disk: &Arc<Power>, durability: Durability) {
    let Ok(rig) = Rig::try_open(power_options(root, durability), tuned(disk.clone())) else { return };
    let (mut next, mut batches) = (0, 0);
    for round in 0..60 {
        let rows = 1 + round % 5;
        send(&rig, disk, next..next + rows, MONTH + u32::from(round > 40));
        next += rows;
        if (20..28).contains(&round) || rig.outlet.backlog().batches == 0 {
            continue;
        }
        batches += 1;
        match batches {
            // Storage has taken it, the answer was lost: it comes again.
            2 | 9 => {
                if let Ok(Some(batch)) = rig.outlet.try_next() {
                    disk.outside(Event::Stored(batch.token.clone(), numbers(&texts(&batch))));
                }
            }
            4 | 11 => {
                if let Ok(Some(batch)) = rig.outlet.try_next() {
                    let _ = rig.outlet.dead_letter(&batch, "36: a bad argument");
                }
            }
            _ => drop(ship(&rig.outlet, disk)),
        }
    }
    let Rig { writer, outlet, .. } = rig;
    writer.close();
    while ship(&outlet, disk) {}
}

/// The rows in dead letters.
fn dead(root: &Path) -> Vec<usize> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("spool/dead")).expect("it lists").flatten() {
        if entry.path().extension().is_none_or(|extension| extension != "dead") {
            continue;
        }
        let file = std::fs::File::open(entry.path()).expect("it opens");
        let header = read_header(&file).expect("it reads").expect("a dead letter is whole");
        scan(&file, &header, |item| {
            if let Found::Record { record, .. } = item
                && record.is(Kind::Hit)
            {
                let row = record.payload();
                found.push(String::from_utf8_lossy(&row[1 + usize::from(row[0])..]).into_owned());
            }
        })
        .expect("it reads");
    }
    numbers(&found)
}

impl World {
    fn new(durability: Durability) -> World {
        World {
            answered: BTreeSet::new(),
            promised: BTreeSet::new(),
            storage: BTreeMap::new(),
            durability,
            lost: 0,
            doubled: 0,
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Answered(row) => drop(self.answered.insert(*row)),
            Event::Stored(token, rows) => {
                // A token that storage has is not taken again, whatever comes with it.
                let taken = self.storage.entry(token.clone()).or_insert_with(|| rows.clone());
                let promised = self.durability == Durability::Fsync;
                assert!(!promised || taken == rows, "a token came with other rows");
            }
        }
    }

    /// All is in storage or in a dead letter, and once.
    fn check(&mut self, dead: Vec<usize>) {
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for row in self.storage.values().flatten().chain(&dead) {
            *times.entry(*row).or_default() += 1;
        }
        let lost: Vec<_> = self.answered.iter().filter(|row| !times.contains_key(row)).collect();
        let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
        if self.durability == Durability::Fsync {
            let tokens: Vec<_> = self
                .storage
                .iter()
                .filter(|(_, rows)| doubled.iter().any(|(row, _)| rows.contains(row)))
                .map(|(token, rows)| (token, rows.len()))
                .collect();
            assert!(doubled.is_empty(), "doubled {doubled:?} under {tokens:?}, dead {dead:?}");
        }
        let owed: Vec<_> = self.promised.iter().filter(|row| !times.contains_key(row)).collect();
        assert!(owed.is_empty(), "lost {owed:?}");
        (self.lost, self.doubled) = (lost.len(), doubled.len());
    }
}

/// Opens what a loss has left, empties it, and loses power in that `nested` times.
fn survive(image: &Image, mut world: World, luck: &mut Luck, nested: usize, totals: &mut Totals) {
    let root = scratch();
    let disk: Arc<Power> = Arc::new(PowerDisk::new(root.path(), image));
    let before = world.clone();
    totals.images += 1;
    let rig = Rig::open(power_options(root.path(), world.durability), tuned(disk.clone()));
    totals.torn += rig.report.torn_tails;
    totals.damaged += rig.report.damaged_places;
    if world.durability == Durability::Fsync {
        assert_eq!((rig.report.damaged_places, rig.report.lost_rows), (0, 0), "{:?}", rig.report);
        for row in &world.answered {
            let claim = rig.seen.claim(key(*row), shared::now_ms());
            assert_eq!(claim, Claim::Duplicate, "the key of row {row} is lost");
        }
        until("the reserve is kept", || {
            std::fs::metadata(root.path().join("spool/reserve"))
                .is_ok_and(|reserve| reserve.len() == 256 << 10)
        });
    }
    // It goes on: shipping first, so that numbers of before would be given again
    // if they were forgotten.
    let _ = luck.below(2) == 0 && count(&rig.outlet) && ship(&rig.outlet, &disk);
    let first = AFTER * (nested + 1);
    send(&rig, &disk, first..first + 2, MONTH);
    let Rig { writer, outlet, site, .. } = rig;
    writer.close();
    while ship(&outlet, &disk) {}
    drop(outlet);
    let (log, events) = disk.history();
    events.iter().for_each(|(_, event)| world.happen(event));
    assert!(world.answered.contains(&first), "it takes no more rows");
    let dead = dead(root.path());
    let waiting = dead.len() as u64;
    world.check(dead);
    let stored = world.storage.values().flatten().count();
    if world.durability == Durability::Fsync {
        assert_eq!((site.counts().stored, site.counts().waiting), (stored as u64, waiting));
    }
    totals.stored += stored;
    totals.lost += world.lost;
    totals.doubled += world.doubled;
    if nested > 0 {
        let at = luck.below(log.len());
        let mut medium = disk.medium();
        log[..at].iter().for_each(|entry| medium.apply(entry));
        medium.begin(&log[at]);
        lose_in(&log, at, &medium, luck, totals, |image, luck, totals| {
            survive(&image, at_operation(&before, &log, &events, at), luck, nested - 1, totals)
        });
    }
}

/// What was outside when `at` operations were done.
fn at_operation(before: &World, log: &[Entry], events: &[(usize, Event)], at: usize) -> World {
    let mut world = before.clone();
    // Without syncs, what was answered before a new segment was begun is durable.
    let durable = match world.durability {
        Durability::Fsync => at,
        Durability::Write => log[..at].iter().rposition(|entry| entry.kind() == "write header").unwrap_or(0),
    };
    for (done, event) in events.iter().take_while(|(done, _)| *done <= at) {
        world.happen(event);
        if let Event::Answered(row) = event
            && *done <= durable
        {
            world.promised.insert(*row);
        }
    }
    world
}

/// Loses power in operation `at`, when `medium` is the disk before it. A failure
/// says where.
fn lose_in(
    log: &[Entry],
    at: usize,
    medium: &Medium,
    luck: &mut Luck,
    totals: &mut Totals,
    check: impl FnOnce(Image, &mut Luck, &mut Totals),
) {
    struct Where<'a>(&'a [Entry], usize);
    impl Drop for Where<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let from = self.1.saturating_sub(8);
                let steps: Vec<_> = self.0[from..=self.1].iter().map(Entry::kind).collect();
                eprintln!("seed {SEED}: power was lost in operation {}, the last of {steps:?}", self.1);
            }
        }
    }
    let _where = Where(log, at);
    *totals.kinds.entry(log[at].kind()).or_default() += 1;
    check(medium.after_loss(luck), luck, totals);
}

fn soak(images: usize) -> usize {
    if std::env::var_os("METKA_SOAK").is_some() { 20 * images } else { images }
}

/// Loses power in every operation of the script, with so many disks each.
fn lose_everywhere(durability: Durability, images: usize) -> Totals {
    let root = scratch();
    let disk: Arc<Power> = Arc::new(PowerDisk::new(root.path(), &Image::default()));
    script(root.path(), &disk, durability);
    let (log, events) = disk.history();
    let mut medium = disk.medium();
    let mut totals = Totals::default();
    let mut luck = Luck::new(SEED);
    let empty = World::new(durability);
    for at in 0..log.len() {
        // The operation has begun, and nobody knows how far it came.
        medium.begin(&log[at]);
        let outside = at_operation(&empty, &log, &events, at);
        for _ in 0..images {
            let world = outside.clone();
            lose_in(&log, at, &medium, &mut luck, &mut totals, |image, luck, totals| {
                survive(&image, world, luck, NESTED, totals)
            });
        }
        medium.finish(&log[at]);
    }
    println!(
        "power lost in each of {} operations, {} disks in all, {} torn tails cut, {} rows in storage, {} lost, {} doubled, {} places damaged",
        log.len(),
        totals.images,
        totals.torn,
        totals.stored,
        totals.lost,
        totals.doubled,
        totals.damaged
    );
    totals
}

#[test]
fn power_lost_in_any_operation_costs_nothing_that_was_answered() {
    let totals = lose_everywhere(Durability::Fsync, soak(4));
    println!("the step in which it was lost: {:?}", totals.kinds);
    let never: Vec<_> = KINDS.iter().filter(|kind| !totals.kinds.contains_key(**kind)).collect();
    assert!(never.is_empty(), "power was never lost in {never:?}");
    assert_eq!((totals.lost, totals.doubled, totals.damaged), (0, 0, 0));
}

#[test]
fn in_write_mode_a_spool_opens_again_after_any_loss_of_power() {
    let totals = lose_everywhere(Durability::Write, soak(2));
    assert!(totals.lost > 0, "nothing was lost: the writes were synced after all");
}

#[test]
fn once_the_power_is_lost_no_answer_comes() {
    let (mut losses, mut answered) = (0, 0);
    let mut luck = Luck::new(SEED);
    let mut totals = Totals::default();
    for at in (0..).step_by(if soak(1) > 1 { 1 } else { 11 }) {
        let root = scratch();
        let disk: Arc<Power> = Arc::new(PowerDisk::new(root.path(), &Image::default()).lose_at(at));
        script(root.path(), &disk, Durability::Fsync);
        if !disk.was_lost() {
            break;
        }
        let (log, events) = disk.history();
        let mut medium = disk.medium();
        log[..at].iter().for_each(|entry| medium.apply(entry));
        medium.begin(&log[at]);
        // Every answer that was given, whenever, is owed.
        let mut world = at_operation(&World::new(Durability::Fsync), &log, &events, usize::MAX);
        world.promised = world.answered.clone();
        answered += world.answered.len();
        lose_in(&log, at, &medium, &mut luck, &mut totals, |image, luck, totals| {
            survive(&image, world, luck, 0, totals)
        });
        losses += 1;
    }
    println!("{losses} losses in running spools, {answered} rows answered before, {} lost", totals.lost);
    assert!(losses > 20 && answered > 100);
}
