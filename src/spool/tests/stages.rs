//! What becomes of a batch after it was handed out: acknowledged, verified, kept
//! for a while, released; a dead letter and its replay; rows that are left out.

use super::super::walk::segment_files;
use super::*;
use crate::store::row::{COLUMNS_VERSION, Row};

fn segments(dir: &Path) -> usize {
    segment_files(&dir.join("00")).expect("it lists").len()
}

/// Fills several segments with batches that are all acknowledged and verified.
fn shipped(dir: &Path, settle: Duration) -> Rig {
    let rig = Rig::open(Options { batch_rows: 50, ..options(dir) }, Tuning { settle, ..small() });
    let long = "x".repeat(4000);
    for text in numbered(0..300) {
        rig.keep(&format!("{text} {long}")).expect("it is kept");
    }
    assert_eq!(rig.ship_all().len(), 300);
    rig
}

#[test]
fn a_verified_batch_is_kept_for_its_time_and_an_unverified_one_for_ever() {
    let dir = scratch();
    let rig = shipped(dir.path(), Duration::from_secs(3600));
    let kept = segments(dir.path());
    assert!(kept >= 4, "{kept} segments");
    rig.outlet.checkpoint().expect("it is written");
    assert_eq!((segments(dir.path()), rig.outlet.backlog().rows), (kept, 0));
    drop(rig);
    // A restart has everything counted again, and until then nothing goes.
    let rig = Rig::open(options(dir.path()), Tuning { settle: Duration::ZERO, ..small() });
    assert_eq!(rig.outlet.backlog().unverified_batches, 6);
    assert_eq!((rig.site.counts().stored, rig.site.counts().waiting), (300, 0));
    rig.outlet.checkpoint().expect("it is written");
    assert!(rig.outlet.try_next().expect("it reads").is_none(), "nothing is sent again unasked");
    let unverified = rig.outlet.unverified(100);
    assert!(unverified.iter().all(|one| one.rows == 50), "{unverified:?}");
    rig.outlet.verified(&unverified.iter().map(|one| one.id).collect::<Vec<_>>());
    rig.outlet.checkpoint().expect("it is written");
    until("all but the last segment is released", || segments(dir.path()) == 1);
}

#[test]
fn a_spool_that_is_half_full_keeps_verified_batches_no_longer() {
    let dir = scratch();
    let crowded = Options { max_bytes: 1 << 20, batch_rows: 10, ..options(dir.path()) };
    let rig = Rig::open(crowded, Tuning { settle: Duration::from_secs(3600), ..small() });
    let long = "x".repeat(4000);
    for text in numbered(0..1000) {
        let text = format!("{text} {long}");
        until("there is room", || {
            rig.ship_all();
            rig.keep(&text).is_ok()
        });
    }
    rig.ship_all();
    assert_eq!(rig.site.counts().stored, 1000);
    assert!(segments(dir.path()) < 6, "{} segments", segments(dir.path()));
}

#[test]
fn while_it_is_held_no_segment_goes_and_afterwards_they_do() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 50, ..options(dir.path()) }, small());
    let hold = rig.outlet.hold();
    let long = "x".repeat(4000);
    for text in numbered(0..300) {
        rig.keep(&format!("{text} {long}")).expect("it is kept");
    }
    rig.ship_all();
    let before = segments(dir.path());
    assert!(before >= 4);
    rig.keep("a checkpoint more").expect("it is kept");
    rig.outlet.checkpoint().expect("it is written");
    assert_eq!(segments(dir.path()), before);
    assert_eq!(verify(dir.path()).expect("it reads").stat.spools["00"].segments, before as u64);
    drop(hold);
    until("they are released", || segments(dir.path()) == 1);
}

#[test]
fn rows_under_a_tombstone_are_left_out_now_and_after_a_restart_and_count_as_stored() {
    let dir = scratch();
    let mirror = scratch();
    let mirrors = [mirror.path().join("tombstones")];
    let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
    let send = |rig: &Rig, number: i64| {
        rig.site.arrived();
        let row = Row { visitor: 1 + number as u64 % 2, path: "/a", ..Row::blank("clinic", number) };
        let ticket = rig.writer.append(&rig.site, MONTH, |id, out| row.encode(id, out));
        block_on(ticket.expect("there is room")).expect("it is kept");
    };
    (0..20).for_each(|number| send(&rig, number));
    let sent = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
    assert_eq!(sent.rows, 10);
    let tombstone =
        Tombstone { site: "clinic".to_owned(), subject: Subject::Visitor(2), before_ms: 20, made_ms: 20 };
    rig.outlet.erase(std::slice::from_ref(&tombstone), &mirrors).expect("it is written");
    assert_eq!(Tombstones::read(&mirrors[0]).expect("it reads").list(), std::slice::from_ref(&tombstone));
    drop(sent);
    (20..30).for_each(|number| send(&rig, number));
    // The same batch under the same token, without what was erased since.
    let again = rig.outlet.try_next().expect("it reads").expect("it was given back");
    assert_eq!(again.rows, 5);
    let token = again.token.clone();
    drop((again, rig));
    let rig = Rig::open(options(dir.path()), small());
    let mut rows = Vec::new();
    while let Some(batch) = rig.outlet.try_next().expect("it reads") {
        assert!(rows.len() != 1 || batch.token != token);
        rows.push(batch.rows);
        super::settle(&rig.outlet, batch);
    }
    // The last ten rows came after the erasure.
    assert_eq!(rows, [5, 5, 10]);
    // It goes when no backup can be as old, and nothing in the spool is.
    let in_mirror = || Tombstones::read(&mirrors[0]).expect("it reads").len();
    assert_eq!((rig.outlet.forget_erased(20, 20, &mirrors).expect("it reads"), in_mirror()), (0, 1));
    // Nor before the cookie of whoever was erased has.
    assert_eq!((rig.outlet.forget_erased(21, 20, &mirrors).expect("it reads"), in_mirror()), (0, 1));
    assert_eq!((rig.outlet.forget_erased(21, 21, &mirrors).expect("it is written"), in_mirror()), (1, 0));
    assert!(Tombstones::read(&dir.path().join("tombstones")).expect("it reads").is_empty());
    assert_eq!((rig.site.counts().stored, rig.site.counts().waiting), (30, 0));
}

#[test]
fn tombstones_beside_the_backups_end_with_their_time_and_have_the_same_bound() {
    let (dir, backups) = (scratch(), scratch());
    let mirrors = [backups.path().join("tombstones")];
    let rig = Rig::open(options(dir.path()), small());
    let about = |hash, made_ms| Tombstone {
        site: "clinic".to_owned(),
        subject: Subject::Visitor(hash),
        before_ms: made_ms,
        made_ms,
    };
    // What another collector put there, or this one before its disk was lost.
    let mut others = Tombstones::default();
    for hash in 0..tombstone::MAX_TOMBSTONES as u64 {
        assert!(others.add(about(hash, 10)), "it is another");
    }
    others.write(&mirrors[0]).expect("it is written");
    let mine = about(u64::MAX, 30);
    let refused = rig.outlet.erase(std::slice::from_ref(&mine), &mirrors);
    assert!(matches!(refused, Err(SpoolError::Tombstones(many)) if many == tombstone::MAX_TOMBSTONES + 1));
    // Then it is known in neither file, nor in memory.
    assert!(Tombstones::read(&dir.path().join("tombstones")).expect("it reads").is_empty());
    assert!(rig.outlet.tombstones().is_empty());
    let in_mirror = || Tombstones::read(&mirrors[0]).expect("it reads");
    assert_eq!(in_mirror().len(), tombstone::MAX_TOMBSTONES);
    // Once no backup is as old, they go there too, though this spool never had them.
    assert_eq!(rig.outlet.forget_erased(20, 20, &mirrors).expect("it is written"), 0);
    assert!(in_mirror().is_empty());
    rig.outlet.erase(std::slice::from_ref(&mine), &mirrors).expect("there is room");
    assert_eq!(rig.outlet.forget_erased(20, 20, &mirrors).expect("it reads"), 0);
    assert_eq!((in_mirror().list(), rig.outlet.tombstones().list()), (&[mine.clone()][..], &[mine][..]));
}

#[test]
fn a_dead_letter_that_is_replayed_is_stored_once_wherever_the_process_ends() {
    // 0: before the replay is acknowledged; 1: before it is counted; 2: after.
    for ends in 0..3 {
        let dir = scratch();
        let rig = Rig::open(Options { batch_rows: 5, ..options(dir.path()) }, small());
        for text in numbered(0..10) {
            rig.keep(&text).expect("it is kept");
        }
        let bad = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
        let id = bad.id;
        rig.outlet.dead_letter(&bad, "117: INCORRECT_DATA").expect("it is written");
        drop(bad);
        rig.ship_all();
        let letters = rig.outlet.dead_letters().expect("it reads");
        assert_eq!((letters[0].rows, letters[0].reason.as_str()), (5, "117: INCORRECT_DATA"));
        assert!(matches!(rig.outlet.replay(Some(id + 1)), Err(SpoolError::NoDeadLetter(_))));
        assert_eq!(rig.outlet.replay(Some(id)).expect("it reads"), 1);
        let batch = rig.outlet.try_next().expect("it reads").expect("it is sent again");
        assert_eq!((batch.id, texts(&batch), batch.suspect), (id, numbered(0..5), true));
        if ends > 0 {
            rig.outlet.acknowledge(&batch).expect("it is written");
            assert_eq!((rig.site.counts().stored, rig.outlet.backlog().dead_rows), (10, 0));
        }
        drop(batch);
        if ends > 1 {
            rig.outlet.verified(&[id]);
            rig.outlet.checkpoint().expect("it is written");
        }
        let copy = copy_of(dir.path());
        drop(rig);
        let rig = Rig::open(options(copy.path()), small());
        let counts = rig.site.counts();
        let dead = rig.outlet.backlog().dead_rows;
        let expected = if ends == 0 { (5, 5, 5) } else { (10, 0, 0) };
        assert_eq!((counts.stored, counts.waiting, dead), expected, "ends {ends}");
        assert_eq!(rig.outlet.unverified(10).iter().any(|one| one.id == id), ends == 1, "ends {ends}");
        let stat = stat(copy.path()).expect("it reads");
        assert_eq!((stat.dead_letters, stat.dead_rows), if ends == 0 { (1, 5) } else { (0, 0) });
    }
}

#[test]
fn a_spool_of_the_format_before_opens_and_goes_on() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
    for text in numbered(0..30) {
        rig.keep(&text).expect("it is kept");
    }
    let first = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
    rig.outlet.acknowledge(&first).expect("it is written");
    drop((first, rig));
    // Up to 0.1 the numbers that were done with stood on the line of their spool.
    let path = dir.path().join("checkpoint");
    let text = std::fs::read_to_string(&path).expect("it reads");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "metka checkpoint 2");
    lines.retain(|line| !line.starts_with("crc32c") && !line.starts_with("acknowledged"));
    let spool = lines.iter_mut().find(|line| line.starts_with("spool 0 ")).expect("a line for the spool");
    spool.push_str(" 1");
    let mut old = format!("metka checkpoint 1\n{}\n", lines.join("\n"));
    old.push_str(&format!("crc32c {:08x}\n", crc32c::crc32c(old.as_bytes())));
    std::fs::write(&path, old).expect("it is written");

    let rig = Rig::open(options(dir.path()), small());
    assert_eq!((rig.report.damaged_places, rig.site.counts().stored), (0, 10));
    assert_eq!(rig.outlet.unverified(10).len(), 1, "what was acknowledged is counted once");
    rig.keep("new").expect("it is kept");
    let mut expected = numbered(10..30);
    expected.push("new".to_owned());
    assert_eq!(rig.finish(), expected);
    let text = std::fs::read_to_string(&path).expect("it reads");
    assert!(text.starts_with("metka checkpoint 2\n"), "{text}");
}

#[test]
fn rows_and_files_of_a_later_version_stop_the_start_and_stay_as_they_are() {
    let dir = scratch();
    let rig = Rig::open(options(dir.path()), small());
    rig.keep("a row").expect("it is kept");
    drop(rig);
    let path = segment_files(&dir.path().join("00")).expect("it lists").pop().expect("a segment").1;
    let bytes = std::fs::read(&path).expect("it reads");
    // The columns' version stands at 10, the checksum at 60.
    let mut later = bytes.clone();
    later[10] += 1;
    let crc = crc32c::crc32c(&later[..60]).to_le_bytes();
    later[60..64].copy_from_slice(&crc);
    std::fs::write(&path, &later).expect("it is written");
    let error = Rig::try_open(options(dir.path()), small()).err().expect("it does not open");
    assert!(matches!(error, SpoolError::Columns { found, .. } if found == COLUMNS_VERSION + 1), "{error}");
    assert_eq!(std::fs::read(&path).expect("it reads"), later);
    std::fs::write(&path, &bytes).expect("it is written");
    let mut newer = "metka checkpoint 3\n".to_owned();
    newer.push_str(&format!("crc32c {:08x}\n", crc32c::crc32c(newer.as_bytes())));
    std::fs::write(dir.path().join("checkpoint"), newer).expect("it is written");
    let error = Rig::try_open(options(dir.path()), small()).err().expect("it does not open");
    assert!(matches!(error, SpoolError::Version { found: 3, known: 2, .. }), "{error}");
}
