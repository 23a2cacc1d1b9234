//! Rows that waited past their term, and people who are kept past it.

use std::path::PathBuf;

use super::super::letter::letter_files;
use super::super::record::{Kind, Record, SEGMENT_HEADER_BYTES, stamp};
use super::super::scan::read_header;
use super::*;
use crate::store::row::{Head, Row};

const DAY_MS: i64 = 86_400_000;
/// Where a batch's time stands in its open record.
const OPENED_AT: usize = 20 + 16;

/// A spool with a dead letter of two days ago, whose rows are forty days old.
fn with_letter(rows: &[Row<'_>]) -> (tempfile::TempDir, PathBuf) {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: rows.len() as u32, ..options(dir.path()) }, small());
    for row in rows {
        rig.site.arrived();
        let ticket = rig.writer.append(&rig.site, MONTH, |id, out| row.encode(id, out));
        block_on(ticket.expect("there is room")).expect("it is kept");
    }
    let batch = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
    rig.outlet.dead_letter(&batch, "117: INCORRECT_DATA").expect("it is written");
    drop((batch, rig));
    let (_, path) = letter_files(dir.path()).expect("it lists").remove(0);
    let header = read_header(&std::fs::File::open(&path).expect("it opens")).expect("it reads");
    let seed = header.expect("it is a segment").seed();
    let mut bytes = std::fs::read(&path).expect("it reads");
    let open = &mut bytes[SEGMENT_HEADER_BYTES..];
    let total =
        Record::parse(open, seed).filter(|record| record.is(Kind::BatchOpen)).expect("it opens").total;
    let opened_ms = shared::now_ms() - 2 * DAY_MS.cast_unsigned();
    open[OPENED_AT..OPENED_AT + 8].copy_from_slice(&opened_ms.to_le_bytes());
    stamp(&mut open[..total], seed);
    std::fs::write(&path, bytes).expect("it is written");
    (dir, path)
}

/// The path and the hold of each row.
fn sent(batch: &Batch) -> Vec<(String, bool)> {
    let path = |payload: &[u8]| {
        let found = ["/visitor", "/minted", "/before", "/user", "/nobody", "/long"].into_iter();
        let mut found = found.filter(|path| payload.windows(path.len()).any(|part| part == path.as_bytes()));
        found.next().expect("a row of this test").to_owned()
    };
    let hold = |payload| Head::of(payload, COLUMNS_VERSION).expect("a row").hold;
    batch.payloads().map(|payload| (path(payload), hold(payload))).collect()
}

#[test]
fn rows_that_waited_past_their_term_are_left_out_but_for_those_of_people_who_are_kept() {
    let time = shared::now_ms().cast_signed() - 40 * DAY_MS;
    let row = |path| Row { path, keep_days: 30, ..Row::blank("clinic", time) };
    let rows = [
        Row { visitor: 7, ..row("/visitor") },
        Row { visitor: 1, minted: 7, ..row("/minted") },
        Row { visitor: 1, before: 7, ..row("/before") },
        Row { visitor: 1, user_key: 8, ..row("/user") },
        Row { visitor: 8, user_key: 7, ..row("/nobody") },
        Row { visitor: 1, keep_days: 60, ..row("/long") },
    ];
    let (dir, path) = with_letter(&rows);
    let kept = |all: &[(&str, Subject)]| -> Arc<Kept> {
        Arc::new(all.iter().map(|(site, subject)| ((*site).to_owned(), *subject)).collect())
    };
    let nobody = vec![("/long", false)];
    let mine = [("clinic", Subject::Visitor(7)), ("clinic", Subject::UserKey(8))];
    for (who, expected) in [
        (None, nobody.clone()),
        (Some(kept(&[])), nobody.clone()),
        (Some(kept(&[("other", Subject::Visitor(7)), ("clinic", Subject::Visitor(9))])), nobody),
        (
            Some(kept(&mine)),
            vec![("/visitor", true), ("/minted", true), ("/before", true), ("/user", true), ("/long", false)],
        ),
        (
            Some(kept(&[("clinic", Subject::Visitor(1))])),
            vec![("/minted", true), ("/before", true), ("/user", true), ("/long", true)],
        ),
    ] {
        let copy = copy_of(dir.path());
        let rig = Rig::open(options(copy.path()), small());
        if let Some(who) = who.clone() {
            rig.outlet.keep(Arc::new(move || Ok(who.clone())));
        }
        assert_eq!(rig.outlet.replay(None).expect("it reads"), 1);
        let batch = rig.outlet.try_next().expect("it reads").expect("it is sent again");
        let expected: Vec<(String, bool)> =
            expected.into_iter().map(|(path, hold)| (path.to_owned(), hold)).collect();
        assert_eq!(sent(&batch), expected, "{who:?}");
        settle(&rig.outlet, batch);
        assert_eq!((rig.site.counts().stored, rig.site.counts().waiting), (6, 0));
    }
    assert!(path.exists());
}

#[test]
fn while_it_is_not_known_who_is_kept_old_rows_wait_and_a_hold_that_ended_is_over() {
    let time = shared::now_ms().cast_signed() - 40 * DAY_MS;
    let row = |path, visitor| Row { path, visitor, keep_days: 30, ..Row::blank("clinic", time) };
    let (dir, _) = with_letter(&[row("/visitor", 7), row("/nobody", 8)]);
    let rig = Rig::open(options(dir.path()), small());
    let answer: Arc<std::sync::Mutex<Result<Arc<Kept>, String>>> =
        Arc::new(std::sync::Mutex::new(Err("holds.json is damaged".to_owned())));
    let asked = answer.clone();
    rig.outlet.keep(Arc::new(move || shared::locked(&asked).clone()));
    assert_eq!(rig.outlet.replay(None).expect("it reads"), 1);
    for _ in 0..2 {
        let refused = rig.outlet.try_next().err().expect("nobody knows").to_string();
        assert!(refused.contains("holds.json is damaged"), "{refused}");
    }
    assert_eq!(rig.site.counts().waiting, 2);
    *shared::locked(&answer) =
        Ok(Arc::new([("clinic".to_owned(), Subject::Visitor(7))].into_iter().collect()));
    let batch = rig.outlet.try_next().expect("it reads").expect("it was given back");
    assert_eq!(sent(&batch), [("/visitor".to_owned(), true)]);
    // Refused once more, it is written without what is past its term; whoever is no longer
    // held by the time it is sent is so in it too.
    rig.outlet.dead_letter(&batch, "117: INCORRECT_DATA").expect("it is written");
    drop(batch);
    *shared::locked(&answer) = Ok(Arc::default());
    assert_eq!(rig.outlet.replay(None).expect("it reads"), 1);
    let batch = rig.outlet.try_next().expect("it reads").expect("it is sent again");
    assert_eq!(sent(&batch), []);
}
