//! Segments that are not as they were written.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::super::record::{GROUP_START, Kind, SEGMENT_HEADER_BYTES};
use super::super::scan::{Found, read_header, scan};
use super::super::walk::segment_files;
use super::*;

/// A spool of some rows, each in a group of its own, as a killed process leaves it.
fn written(rows: usize) -> tempfile::TempDir {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
    for text in numbered(0..rows) {
        rig.keep(&text).expect("it is kept");
    }
    copy_of(dir.path())
}

fn last_segment(dir: &Path) -> PathBuf {
    segment_files(&dir.join("00")).expect("it lists").pop().expect("there is a segment").1
}

/// Where each record of a segment begins and what it is, where the last group
/// begins, and where all ends.
fn records(path: &Path) -> (Vec<(u64, Option<Kind>)>, u64, u64) {
    let file = std::fs::File::open(path).expect("it opens");
    let header = read_header(&file).expect("it reads").expect("it is a segment");
    let (mut found, mut last_group) = (Vec::new(), 0);
    let end = scan(&file, &header, |item| match item {
        Found::Record { offset, record } => {
            found.push((offset, record.kind));
            if record.flags & GROUP_START != 0 {
                last_group = offset;
            }
        }
        Found::Damage(hole) => panic!("there is a hole: {hole:?}"),
    });
    (found, last_group, end.expect("it reads").offset)
}

fn shipped_without_repeats(rig: Rig, from: &[String]) -> Vec<String> {
    let shipped = rig.finish();
    let distinct: BTreeSet<&String> = shipped.iter().collect();
    assert_eq!(distinct.len(), shipped.len(), "a row was delivered twice");
    assert!(shipped.iter().all(|text| from.contains(text)), "a row was delivered that nobody sent");
    shipped
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_nothing_before_it_is_touched() {
    let dir = written(15);
    let path = last_segment(dir.path());
    let bytes = std::fs::read(&path).expect("it reads");
    let (found, _, end) = records(&path);
    let last: Vec<u64> = found.iter().rev().take(2).map(|(offset, _)| *offset).collect();
    assert!(found.iter().rev().take(2).all(|(_, kind)| *kind == Some(Kind::Hit)));
    let mut torn = 0;
    for cut in last[1]..end {
        // A record whose missing rest was zeros is whole if zeros follow.
        let rest_is_zeros = |to: u64| bytes[cut as usize..to as usize].iter().all(|byte| *byte == 0);
        // Once the file ends there; once only zeros follow, as in a segment that
        // was written with zeros before.
        for zeros in [false, true] {
            let whole = match cut {
                _ if cut >= last[0] => 14 + usize::from(zeros && rest_is_zeros(end)),
                _ => 13 + usize::from(zeros && rest_is_zeros(last[0])),
            };
            let mut cut_bytes = bytes[..cut as usize].to_vec();
            if zeros {
                cut_bytes.resize(bytes.len(), 0);
            }
            std::fs::write(&path, &cut_bytes).expect("it is written");
            let verdict = verify(dir.path()).expect("it reads");
            assert!(verdict.ok, "cut at {cut}: {verdict:?}");
            assert_eq!(verdict.stat.waiting["clinic"], whole as u64, "cut at {cut}");
        }
        if cut % 7 == 0 {
            let whole = verify(dir.path()).expect("it reads").stat.waiting["clinic"] as usize;
            let copy = copy_of(dir.path());
            let rig = Rig::open(options(copy.path()), small());
            assert!(rig.report.torn_bytes <= end - last[1], "cut at {cut}: {:?}", rig.report);
            torn += rig.report.torn_tails;
            rig.keep("after").expect("the spool goes on");
            let mut expected = numbered(0..whole);
            expected.push("after".to_owned());
            assert_eq!(rig.finish(), expected, "cut at {cut}");
        }
    }
    println!("{torn} torn tails were cut");
    assert!(torn > 5);
}

#[test]
fn every_flipped_bit_is_noticed_and_no_wrong_row_is_delivered() {
    let rows = numbered(0..60);
    let dir = written(60);
    let path = last_segment(dir.path());
    let bytes = std::fs::read(&path).expect("it reads");
    let (_, last_group, end) = records(&path);
    let (mut damaged, mut torn) = (0, 0);
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
    let mut position = 12345u64;
    for round in 0..800 {
        // A fixed sequence of places, of which some are in the header.
        position = position.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let at = (position >> 33) % end;
        let bit = 1u8 << (position >> 30 & 7);
        file.write_all_at(&[bytes[at as usize] ^ bit], at).expect("it is written");
        let verdict = verify(dir.path());
        let copy = (round % 50 == 0).then(|| copy_of(dir.path()));
        file.write_all_at(&[bytes[at as usize]], at).expect("it is written");
        let verdict = match verdict {
            Ok(verdict) => verdict,
            // The version says that a newer program wrote this.
            Err(SpoolError::Version { .. }) => {
                damaged += 1;
                continue;
            }
            Err(error) => panic!("byte {at}: {error}"),
        };
        if at >= last_group {
            assert!(verdict.torn_bytes > 0, "byte {at} bit {bit}: {verdict:?}");
            torn += 1;
        } else {
            assert!(!verdict.ok, "byte {at} bit {bit} was not noticed: {verdict:?}");
            damaged += 1;
        }
        if let Some(copy) = copy {
            let rig = Rig::open(options(copy.path()), small());
            assert_eq!(rig.report.damaged_places > 0, at < last_group, "byte {at}: {:?}", rig.report);
            let quarantined = verify(copy.path()).expect("it reads").stat.quarantined;
            assert_eq!(quarantined > 0, at < last_group, "byte {at}");
            shipped_without_repeats(rig, &rows);
        }
    }
    println!("{damaged} flips reported as damage, {torn} in the last group cut as torn");
    assert!(damaged > 500 && torn > 0);
}

#[test]
fn a_zeroed_page_in_the_middle_costs_only_its_own_rows() {
    let dir = written(200);
    let path = last_segment(dir.path());
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
    file.write_all_at(&[0; 4096], 4096).expect("it is written");
    let rig = Rig::open(options(dir.path()), small());
    assert_eq!((rig.report.damaged_places, rig.report.torn_tails), (1, 0), "{:?}", rig.report);
    let (lost, damaged) = (rig.report.lost_rows, rig.report.damaged_records);
    let shipped = shipped_without_repeats(rig, &numbered(0..200));
    let missing = 200 - shipped.len() as u64;
    println!("{missing} of 200 rows missing; {damaged} records reported damaged, {lost} rows known lost");
    assert!(missing > 50 && missing < 100);
    assert!(lost <= missing && missing <= damaged);
    // Batches that lost their beginning or end in the hole keep what is left.
    assert!(damaged - missing < 20);
}

#[test]
fn a_damaged_batch_keeps_the_token_it_was_sealed_with() {
    let dir = written(10);
    let intact = copy_of(dir.path());
    let token = |dir: &Path| {
        let rig = Rig::open(options(dir), small());
        let batch = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
        (batch.token.clone(), batch.rows)
    };
    let (path, (found, _, _)) = (last_segment(dir.path()), records(&last_segment(dir.path())));
    let fourth = found.iter().filter(|(_, kind)| *kind == Some(Kind::Hit)).nth(3).expect("ten rows").0;
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
    file.write_all_at(&[0xff; 4], fourth + 20).expect("it is written");
    let (before, after) = (token(intact.path()), token(dir.path()));
    assert_eq!((before.1, after.1), (10, 9));
    assert_eq!(before.0, after.0);
}

#[test]
fn damage_under_an_open_spool_is_found_before_the_batch_is_shipped() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
    for text in numbered(0..10) {
        rig.keep(&text).expect("it is kept");
    }
    let path = last_segment(dir.path());
    let hits: Vec<u64> =
        records(&path).0.into_iter().filter(|(_, kind)| *kind == Some(Kind::Hit)).map(|(at, _)| at).collect();
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
    file.write_all_at(b"!", hits[5] + 24).expect("it is written");
    let batch = rig.outlet.try_next().expect("it reads").expect("a batch is sealed");
    assert_eq!(batch.rows, 9);
    rig.outlet.acknowledge(&batch).expect("the acknowledgement is written");
    assert_eq!(rig.outlet.backlog().damaged_rows, 1);
    // The lost row is not said to be stored.
    assert_eq!((rig.site.counts().stored, rig.site.counts().waiting), (9, 1));
}

#[test]
fn records_of_an_earlier_life_are_never_delivered() {
    let dir = written(40);
    let path = last_segment(dir.path());
    let old = std::fs::read(&path).expect("it reads");
    let (_, _, end) = records(&path);
    // The same file again, as if its zeros had been forgotten: a new header, then
    // few new records, then what stood there.
    let fresh = scratch();
    let rig = Rig::open(options(fresh.path()), small());
    rig.keep("new").expect("it is kept");
    let copy = copy_of(fresh.path());
    let path = last_segment(copy.path());
    let mut bytes = std::fs::read(&path).expect("it reads");
    let (_, _, new_end) = records(&path);
    bytes[new_end as usize..end as usize].copy_from_slice(&old[new_end as usize..end as usize]);
    let from = SEGMENT_HEADER_BYTES + bytes.len() / 2;
    bytes[from..from + end as usize - SEGMENT_HEADER_BYTES]
        .copy_from_slice(&old[SEGMENT_HEADER_BYTES..end as usize]);
    std::fs::write(&path, bytes).expect("it is written");
    let rig = Rig::open(options(copy.path()), small());
    assert!(rig.report.torn_bytes > 0);
    assert_eq!(rig.finish(), ["new"]);
}

#[test]
fn a_released_segment_is_zeroed_and_used_again() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 20, ..options(dir.path()) }, small());
    let long = "personal data ".repeat(200);
    let inode =
        |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).expect("it is there"));
    let (mut lives, mut spares) = (std::collections::BTreeMap::new(), 0);
    for row in 0..1000 {
        rig.keep(&format!("{row} {long}")).expect("it is kept");
        rig.ship_all();
        for (number, path) in segment_files(&dir.path().join("00")).expect("it lists") {
            if path.exists() {
                lives.entry(inode(&path)).or_insert_with(BTreeSet::new).insert(number);
            }
        }
        if row % 10 > 0 {
            continue;
        }
        for entry in std::fs::read_dir(dir.path().join("00")).expect("it lists").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "spare")
                && let Ok(bytes) = std::fs::read(entry.path())
                && bytes.len() > SEGMENT_HEADER_BYTES
            {
                // It may have been given its new header already.
                let rest = &bytes[SEGMENT_HEADER_BYTES..];
                assert!(rest == vec![0; rest.len()], "a spare segment still holds rows");
                spares += 1;
            }
        }
    }
    let reused = lives.values().filter(|numbers| numbers.len() > 1).count();
    println!("{} files served {} segments", lives.len(), lives.values().map(BTreeSet::len).sum::<usize>());
    assert!(spares > 0, "no spare was looked at");
    assert!(reused > 0, "no segment was used again");
}

#[test]
fn a_damaged_checkpoint_is_reported_and_the_log_tells_what_is_stored() {
    let dir = scratch();
    let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
    for text in numbered(0..30) {
        rig.keep(&text).expect("it is kept");
        rig.ship_all();
    }
    rig.keep("last").expect("it is kept, and the acknowledgements with it");
    drop(rig);
    let before = verify(dir.path()).expect("it reads");
    std::fs::write(dir.path().join("checkpoint"), "metka checkpoint 1\nnonsense\n").expect("it is written");
    let rig = Rig::open(options(dir.path()), small());
    assert_eq!((before.ok, rig.report.damaged_places), (true, 1));
    let first = rig.outlet.try_next().expect("it reads").expect("the last batch waits");
    let node = first.id >> 40;
    assert_eq!(texts(&first), ["last"]);
    assert_eq!(rig.site.counts().stored, 30);
    rig.outlet.acknowledge(&first).expect("the acknowledgement is written");
    rig.keep("new").expect("it is kept");
    let Rig { writer, outlet, .. } = rig;
    writer.close();
    let second = outlet.try_next().expect("it reads").expect("a batch is sealed");
    assert_ne!(second.id >> 40, node, "ids of before may be given again");
}
