//! Dead letters that are not as they were written.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::super::letter::letter_files;
use super::super::record::{Kind, SEGMENT_HEADER_BYTES};
use super::super::scan::{Found, read_header, scan};
use super::*;
use crate::store::row::Row;

const ROWS: usize = 5;
const REASON: &str = "117: INCORRECT_DATA";

/// A spool with so many dead letters of [`ROWS`] rows, and the tokens of their batches.
fn with_letters(letters: usize) -> (tempfile::TempDir, Vec<String>) {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: ROWS as u32, ..options(dir.path()) }, small());
    for text in numbered(0..letters * ROWS) {
        rig.keep(&text).expect("it is kept");
    }
    let tokens = bury(&rig);
    assert_eq!(tokens.len(), letters);
    drop(rig);
    (dir, tokens)
}

/// Storage refuses all that is sealed.
fn bury(rig: &Rig) -> Vec<String> {
    let mut tokens = Vec::new();
    while let Some(batch) = rig.outlet.try_next().expect("it reads") {
        rig.outlet.dead_letter(&batch, REASON).expect("it is written");
        tokens.push(batch.token.clone());
    }
    tokens
}

fn letters(dir: &Path) -> Vec<PathBuf> {
    letter_files(dir).expect("it lists").into_iter().map(|(_, path)| path).collect()
}

/// Where each record of a letter begins, and what it is.
fn records(path: &Path) -> Vec<(u64, Option<Kind>)> {
    let file = std::fs::File::open(path).expect("it opens");
    let header = read_header(&file).expect("it reads").expect("it is a segment");
    let mut found = Vec::new();
    scan(&file, &header, |item| match item {
        Found::Record { offset, record } => found.push((offset, record.kind)),
        Found::Damage(hole) => panic!("there is a hole: {hole:?}"),
    })
    .expect("it reads");
    found
}

fn change(path: &Path, at: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("it opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it reads");
    file.write_all_at(&[byte[0] ^ 0x55], at).expect("it is written");
}

/// Opens the spool, sends the dead letters again and gives the report, each batch's token
/// and rows, and how many rows are counted as damaged in the end.
fn replayed(dir: &Path) -> (RecoveryReport, Vec<(String, Vec<String>)>, u64) {
    let rig = Rig::open(options(dir), small());
    rig.outlet.replay(None).expect("it reads");
    let mut sent = Vec::new();
    while let Some(batch) = rig.outlet.try_next().expect("it reads") {
        assert!(batch.suspect, "it was sent before");
        sent.push((batch.token.clone(), texts(&batch)));
        settle(&rig.outlet, batch);
    }
    assert!(letters(dir).is_empty(), "their files are gone");
    let backlog = rig.outlet.backlog();
    assert_eq!((backlog.dead_rows, backlog.batches, rig.site.counts().waiting), (0, 0, 0));
    (rig.report.clone(), sent, backlog.damaged_rows)
}

#[test]
fn whatever_record_of_a_dead_letter_is_damaged_is_told_and_the_rest_is_delivered() {
    let (dir, tokens) = with_letters(1);
    let path = letters(dir.path()).remove(0);
    let found = records(&path);
    assert_eq!(found.len(), ROWS + 3);
    assert!(verify(dir.path()).expect("it reads").ok);
    let mut row = 0;
    for (at, kind) in found {
        let copy = copy_of(dir.path());
        let path = letters(copy.path()).remove(0);
        change(&path, at + 20);
        let mut expected = numbered(0..ROWS);
        let lost = u64::from(kind == Some(Kind::Hit));
        if lost > 0 {
            expected.remove(row);
            row += 1;
        }
        let verdict = verify(copy.path()).expect("it reads");
        let listed = &verdict.stat.dead[0];
        assert_eq!(
            (verdict.ok, verdict.lost_rows, verdict.damage["dead"][0].from, verdict.damage["dead"].len()),
            (false, lost, at, 1),
            "{kind:?}: {verdict:?}"
        );
        assert_eq!(
            (listed.rows, listed.lost_rows, listed.is_damaged),
            (ROWS as u64 - lost, lost, true),
            "{kind:?}"
        );
        let (report, sent, damaged) = replayed(copy.path());
        assert_eq!((report.damaged_places, report.lost_rows), (1, lost), "{kind:?}: {report:?}");
        // What a start has told is not counted again when it is sent.
        assert_eq!(damaged, lost, "{kind:?}");
        let [(token, rows)] = &sent[..] else { panic!("one batch is sent: {sent:?}") };
        assert_eq!(rows, &expected, "{kind:?}");
        // Its token is in the seal; without one it is made of the rows, and no other batch's.
        if kind != Some(Kind::BatchSeal) {
            assert_eq!(token, &tokens[0], "{kind:?}");
        }
        assert_ne!(token, &"0".repeat(32), "{kind:?}");
        assert_eq!(std::fs::read_dir(copy.path().join("quarantine")).expect("it lists").count(), 1);
        assert!(verify(copy.path()).expect("it reads").ok, "it is over");
    }
    assert_eq!(row, ROWS);
}

#[test]
fn a_dead_letter_whose_end_is_missing_is_told_wherever_it_ends() {
    let (dir, _) = with_letters(1);
    let path = letters(dir.path()).remove(0);
    let (found, length) = (records(&path), std::fs::metadata(&path).expect("it is there").len());
    for cut in (SEGMENT_HEADER_BYTES as u64..length).step_by(4) {
        let copy = copy_of(dir.path());
        let path = letters(copy.path()).remove(0);
        std::fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(cut)).expect("cut");
        let ends = found.iter().skip(1).map(|(at, _)| *at).chain([length]);
        let whole = found.iter().zip(ends).filter(|((_, kind), end)| *kind == Some(Kind::Hit) && *end <= cut);
        let whole = whole.count();
        assert!(!verify(copy.path()).expect("it reads").ok, "cut at {cut}");
        let (report, sent, _) = replayed(copy.path());
        assert_eq!(report.damaged_places, 1, "cut at {cut}: {report:?}");
        assert_eq!(sent.len(), 1, "cut at {cut}");
        assert_eq!(sent[0].1, numbered(0..whole), "cut at {cut}");
    }
}

#[test]
fn damage_under_an_open_spool_is_told_when_a_dead_letter_is_sent_again() {
    let (dir, _) = with_letters(1);
    let rig = Rig::open(options(dir.path()), small());
    let path = letters(dir.path()).remove(0);
    change(&path, records(&path)[2].0 + 20);
    assert_eq!(rig.outlet.replay(None).expect("it reads"), 1);
    assert_eq!((rig.outlet.backlog().damaged_rows, rig.outlet.backlog().dead_rows), (1, ROWS as u64 - 1));
    assert_eq!(rig.outlet.quarantined().expect("it lists"), 1);
    // More of it goes while it waits.
    change(&path, records_until_damage(&path) + 20);
    let batch = rig.outlet.try_next().expect("it reads").expect("it is sent again");
    assert_eq!(rig.outlet.backlog().damaged_rows, 1 + (ROWS as u64 - 1 - u64::from(batch.rows)));
    assert!(batch.rows < ROWS as u32 - 1);
    settle(&rig.outlet, batch);
    assert_eq!((rig.outlet.backlog().dead_rows, letters(dir.path()).len()), (0, 0));
}

/// Where the first row of a damaged letter is.
fn records_until_damage(path: &Path) -> u64 {
    let file = std::fs::File::open(path).expect("it opens");
    let header = read_header(&file).expect("it reads").expect("it is a segment");
    let mut first = None;
    scan(&file, &header, |item| {
        if let Found::Record { offset, record } = item
            && record.is(Kind::Hit)
        {
            first.get_or_insert(offset);
        }
    })
    .expect("it reads");
    first.expect("there is a row")
}

#[test]
fn a_dead_letter_that_cannot_be_read_is_set_aside_and_holds_up_neither_a_replay_nor_a_start() {
    let (dir, _) = with_letters(3);
    let first = letters(dir.path()).remove(0);
    let open = copy_of(dir.path());
    change(&first, 30);
    let verdict = verify(dir.path()).expect("it reads");
    assert_eq!((verdict.ok, verdict.stat.dead_letters, verdict.stat.dead_rows), (false, 3, 2 * ROWS as u64));
    assert!(verdict.stat.dead[0].is_damaged);
    let (report, sent, _) = replayed(dir.path());
    assert_eq!((report.damaged_places, report.dead_rows, sent.len()), (1, 2 * ROWS as u64, 2));
    assert_eq!(std::fs::read_dir(dir.path().join("quarantine")).expect("it lists").count(), 1);

    // The same when it happens under an open spool: before a replay, and after it.
    let rig = Rig::open(options(open.path()), small());
    let paths = letters(open.path());
    change(&paths[0], 30);
    assert_eq!(rig.outlet.replay(None).expect("it reads"), 2);
    assert_eq!((rig.outlet.backlog().damaged_rows, rig.outlet.backlog().dead_rows), (5, 2 * ROWS as u64));
    change(&paths[1], 30);
    assert!(rig.outlet.try_next().is_err(), "what was to be sent is gone");
    assert_eq!(rig.ship_all(), numbered(2 * ROWS..3 * ROWS));
    assert_eq!(rig.outlet.quarantined().expect("it lists"), 2);
    let backlog = rig.outlet.backlog();
    assert_eq!((backlog.damaged_rows, backlog.dead_rows, rig.outlet.is_replaying()), (10, 0, false));
}

#[test]
fn a_purge_sets_aside_what_it_cannot_read_and_writes_the_rest_without_erased_rows() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: ROWS as u32, ..options(dir.path()) }, small());
    for number in 0..3 * ROWS as u64 {
        rig.site.arrived();
        // The third letter has nobody who is erased.
        let row = Row { visitor: if number < 10 { number % 2 } else { 8 }, ..Row::blank("clinic", 1000) };
        let ticket = rig.writer.append(&rig.site, MONTH, |id, out| row.encode(id, out));
        block_on(ticket.expect("there is room")).expect("it is kept");
    }
    bury(&rig);
    let paths = letters(dir.path());
    change(&paths[0], 30);
    change(&paths[2], records(&paths[2])[1].0 + 20);
    let tombstone =
        Tombstone { site: "clinic".to_owned(), subject: Subject::Visitor(1), before_ms: 2000, made_ms: 2000 };
    rig.outlet.erase(&[tombstone], &[]).expect("it is written");
    assert_eq!(rig.outlet.purge_dead_letters().expect("none keeps the others"), 3);
    assert_eq!((letters(dir.path()), rig.outlet.dead_letters_leaving()), (paths[1..].to_vec(), 0));
    // The act tells of both: of one nothing could be read, of the other not whose the lost row was.
    assert_eq!(rig.outlet.quarantined().expect("it lists"), 2);
    let rows: Vec<(u64, bool)> = rig
        .outlet
        .dead_letters()
        .expect("it reads")
        .iter()
        .map(|letter| (letter.rows, letter.is_damaged))
        .collect();
    assert_eq!(rows, [(2, false), (4, false)]);
    let backlog = rig.outlet.backlog();
    assert_eq!((backlog.dead_rows, backlog.damaged_rows), (6, 6));
    assert_eq!(rig.outlet.purge_dead_letters().expect("it reads"), 0);
    drop(rig);
    assert!(verify(dir.path()).expect("it reads").ok);
}

#[test]
fn a_letter_that_was_being_written_at_a_kill_is_gone_at_the_next_start() {
    let (dir, tokens) = with_letters(1);
    let [letter] = &letters(dir.path())[..] else { panic!("one letter") };
    let unfinished = letter.with_extension("new");
    std::fs::copy(letter, &unfinished).expect("copied");
    let rig = Rig::open(options(dir.path()), small());
    assert!(!unfinished.exists() && letter.exists());
    assert_eq!((tokens.len(), rig.outlet.backlog().dead_rows), (1, ROWS as u64));
}
