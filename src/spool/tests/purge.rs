//! Rows leave the spool's files before their time.

use std::time::Instant;

use super::super::walk::segment_files;
use super::*;
use crate::store::row::Row;

/// A page that only the erased person looked at.
const CANARY: &str = "/canary-7d1f";

fn send(rig: &Rig, visitor: u64, path: &str, time: i64) {
    rig.site.arrived();
    let row = Row { visitor, path, ..Row::blank("clinic", time) };
    let ticket = rig.writer.append(&rig.site, MONTH, |id, out| row.encode(id, out));
    block_on(ticket.expect("there is room")).expect("it is kept");
}

/// How many files below hold the text.
fn files_with(dir: &Path, text: &str) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(dir).expect("it lists").flatten() {
        found += match entry.path().is_dir() {
            true => files_with(&entry.path(), text),
            // The keeper may move a file away while we look.
            false => std::fs::read(entry.path())
                .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
                .into(),
        };
    }
    found
}

fn released(rig: &Rig, closed: &Closed) -> bool {
    rig.outlet.is_released(closed).expect("a checkpoint is written")
}

#[test]
fn what_storage_has_leaves_every_file_at_once_when_it_is_asked_to_and_hits_go_on() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), Tuning { settle: Duration::from_secs(3600), ..small() });
    for number in 0..40 {
        send(&rig, 1 + number % 2, if number % 2 == 0 { CANARY } else { "/other" }, 1000);
    }
    assert!(files_with(dir.path(), CANARY) > 0, "the rows are on the disk");
    let closed = rig.outlet.close_segments();
    until("the batch is sealed and the segment closed", || {
        segment_files(&dir.path().join("00")).expect("it lists").len() == 2 && rig.outlet.backlog().rows == 40
    });
    assert!(!rig.outlet.is_settled(&closed), "storage has not got it yet");
    rig.outlet.flushed(Instant::now());
    assert!(!released(&rig, &closed), "a waiting batch stays");
    assert_eq!(rig.ship_all().len(), 40);
    until("it is settled", || rig.outlet.is_settled(&closed));
    assert!(!released(&rig, &closed), "storage's disk was last synced before it had the batch");
    assert!(files_with(dir.path(), CANARY) > 0);
    send(&rig, 3, "/meanwhile", 2000);
    rig.outlet.flushed(Instant::now());
    until("it is released", || released(&rig, &closed));
    assert_eq!(files_with(dir.path(), CANARY), 0);
    // A spool that is closed again with nothing in it has nothing to do.
    send(&rig, 3, "/afterwards", 2000);
    let copy = copy_of(dir.path());
    drop(rig);
    for place in [dir.path(), copy.path()] {
        let rig = Rig::open(options(place), small());
        assert_eq!((rig.report.damaged_places, rig.report.rows), (0, 2), "{:?}", rig.report);
        assert_eq!(rig.ship_all().len(), 2);
        assert_eq!(rig.site.counts().stored, 42);
    }
}

#[test]
fn an_idle_spool_closes_its_segment_too_and_an_empty_one_has_nothing_to_close() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), small());
    let nothing = rig.outlet.close_segments();
    assert!(rig.outlet.is_settled(&nothing));
    until("there is nothing", || released(&rig, &nothing));
    send(&rig, 1, CANARY, 1000);
    rig.outlet.seal();
    until("it is sealed", || rig.outlet.backlog().rows == 1);
    assert_eq!(rig.ship_all().len(), 1);
    for _ in 0..3 {
        let closed = rig.outlet.close_segments();
        rig.outlet.flushed(Instant::now());
        until("it is released", || rig.outlet.is_settled(&closed) && released(&rig, &closed));
        assert_eq!(files_with(dir.path(), CANARY), 0);
    }
    drop(rig);
    let rig = Rig::open(options(dir.path()), small());
    assert_eq!((rig.report.damaged_places, rig.report.rows, rig.site.counts().stored), (0, 0, 1));
    send(&rig, 1, "/again", 1000);
    assert_eq!(rig.finish().len(), 1);
}

#[test]
fn dead_letters_are_written_again_without_erased_rows() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
    for number in 0..20 {
        // The first batch is mixed, the second is the erased person's alone.
        let mine = number >= 10 || number % 2 == 0;
        send(&rig, if mine { 7 } else { 8 }, if mine { CANARY } else { "/other" }, 1000);
    }
    for _ in 0..2 {
        let batch = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
        rig.outlet.dead_letter(&batch, "117: INCORRECT_DATA").expect("it is written");
    }
    rig.outlet.checkpoint().expect("it is written");
    assert_eq!(rig.outlet.purge_dead_letters().expect("it reads"), 0, "nobody is erased yet");
    assert_eq!((rig.outlet.dead_letters().expect("it reads").len(), rig.outlet.backlog().dead_rows), (2, 20));
    let tombstone =
        Tombstone { site: "clinic".to_owned(), subject: Subject::Visitor(7), before_ms: 2000, made_ms: 2000 };
    rig.outlet.erase(&[tombstone], &[]).expect("it is written");
    assert_eq!(rig.outlet.purge_dead_letters().expect("it is written"), 15);
    // The one that is empty now goes as if it had been replayed: storage sees nothing of it.
    let empty = rig.outlet.try_next().expect("it reads").expect("it is handed out");
    assert_eq!(empty.rows, 0);
    super::settle(&rig.outlet, empty);
    assert_eq!(rig.outlet.dead_letters_leaving(), 0);
    let letters = rig.outlet.dead_letters().expect("it reads");
    assert_eq!((letters.len(), letters[0].rows, letters[0].reason.as_str()), (1, 5, "117: INCORRECT_DATA"));
    assert_eq!(files_with(&dir.path().join("dead"), CANARY), 0);
    let counts = rig.site.counts();
    assert_eq!((counts.stored, counts.waiting, rig.outlet.backlog().dead_rows), (15, 5, 5));
    drop(rig);
    let rig = Rig::open(options(dir.path()), small());
    assert_eq!((rig.site.counts().stored, rig.site.counts().waiting), (15, 5));
    assert_eq!(rig.outlet.replay(None).expect("it reads"), 1);
    let again = rig.outlet.try_next().expect("it reads").expect("it is sent again");
    assert_eq!(again.rows, 5);
    super::settle(&rig.outlet, again);
    assert_eq!((rig.site.counts().stored, rig.site.counts().waiting), (20, 0));
}

#[test]
fn nothing_is_settled_while_a_dead_letter_is_on_its_way_to_storage() {
    let dir = scratch();
    let settle_late = Tuning { settle: Duration::from_secs(3600), ..small() };
    let rig = Rig::open(Options { batch_rows: 5, ..options(dir.path()) }, settle_late);
    (0..5).for_each(|_| send(&rig, 7, CANARY, 1000));
    let bad = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
    rig.outlet.dead_letter(&bad, "117: INCORRECT_DATA").expect("it is written");
    drop(bad);
    let closed = rig.outlet.close_segments();
    until("what lies in a dead letter is settled", || rig.outlet.is_settled(&closed));
    assert_eq!(rig.outlet.replay(None).expect("it reads"), 1);
    assert!(!rig.outlet.is_settled(&closed), "it waits");
    let sent = rig.outlet.try_next().expect("it reads").expect("it is handed out");
    // Whoever is erased now is in the batch that is on its way.
    let tombstone =
        Tombstone { site: "clinic".to_owned(), subject: Subject::Visitor(7), before_ms: 2000, made_ms: 2000 };
    rig.outlet.erase(&[tombstone], &[]).expect("it is written");
    assert_eq!((sent.rows, rig.outlet.is_settled(&closed)), (5, false));
    rig.outlet.acknowledge(&sent).expect("it is written");
    let id = sent.id;
    drop(sent);
    assert!(!rig.outlet.is_settled(&closed), "its rows are not counted yet");
    rig.outlet.verified(&[id]);
    assert!(rig.outlet.is_settled(&closed), "what is in storage can be deleted there");
    assert_eq!(rig.outlet.dead_letters_leaving(), 1, "its file is there until storage's disk is synced");
    rig.outlet.flushed(Instant::now());
    until("it is released", || released(&rig, &closed) && rig.outlet.dead_letters_leaving() == 0);
    assert_eq!(files_with(dir.path(), CANARY), 0);
}
