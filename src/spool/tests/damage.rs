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

/// As many as a test does, or ten or more times as many in a long run.
fn sized(usual: usize, soak: usize) -> usize {
    if std::env::var_os("METKA_SOAK").is_some() { soak } else { usual }
}

/// Ends the test when the work hangs, so that a loop is a failure and not a wait.
fn in_bounded_time(work: impl FnOnce() + Send + 'static) {
    const HANG: Duration = Duration::from_secs(1800);
    let (done, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    let waited = told.recv_timeout(HANG);
    assert!(!matches!(waited, Err(std::sync::mpsc::RecvTimeoutError::Timeout)), "it hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Every row that can be read is one that was sent.
fn only_rows_of(path: &Path, rows: &BTreeSet<Vec<u8>>) {
    let file = std::fs::File::open(path).expect("it opens");
    let Ok(header) = read_header(&file).expect("it reads") else { return };
    scan(&file, &header, |found| {
        if let Found::Record { record, offset } = found
            && record.is(Kind::Hit)
        {
            assert!(rows.contains(record.payload()), "a row that nobody sent is at {offset}");
        }
    })
    .expect("it reads");
}

fn payloads(texts: &[String]) -> BTreeSet<Vec<u8>> {
    texts.iter().map(|text| payload("clinic", text)).collect()
}

/// Opens a copy, and gives back what recovery said and what is delivered.
fn recovered(dir: &Path, from: &[String]) -> (RecoveryReport, Vec<String>) {
    let copy = copy_of(dir);
    let rig = Rig::open(options(copy.path()), small());
    (rig.report.clone(), shipped_without_repeats(rig, from))
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
fn a_segment_cut_at_any_of_its_last_bytes_keeps_all_that_is_before() {
    in_bounded_time(|| {
        let cuts = sized(4096, 65_536) as u64;
        // Rows of 80 bytes with their records, of which some are seals.
        let rows: Vec<String> = (0..cuts as usize / 60).map(|row| format!("row {row:050}")).collect();
        let dir = scratch();
        let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
        rows.iter().for_each(|text| rig.keep(text).expect("it is kept"));
        // Once the file ends at the cut; once zeros follow, as in a segment that was
        // written with zeros before.
        let (short, zeroed) = (copy_of(dir.path()), copy_of(dir.path()));
        let path = last_segment(dir.path());
        let (found, _, end) = records(&path);
        assert!(end > cuts, "the segment has only {end} bytes");
        let bytes = std::fs::read(&path).expect("it reads");
        let open =
            |dir: &Path| std::fs::OpenOptions::new().write(true).open(last_segment(dir)).expect("it opens");
        let (shorter, zeroing) = (open(short.path()), open(zeroed.path()));
        let ends: Vec<u64> = found.iter().skip(1).map(|(at, _)| *at).chain([end]).collect();
        let hits: Vec<u64> = found
            .iter()
            .zip(&ends)
            .filter(|((_, kind), _)| *kind == Some(Kind::Hit))
            .map(|(_, end)| *end)
            .collect();
        let whole = |cut: u64| hits.iter().filter(|end| **end <= cut).count();
        let sent = payloads(&rows);
        let (mut opened, mut torn) = (0, 0);
        for cut in (end - cuts..end).rev() {
            shorter.set_len(cut).expect("it is cut");
            zeroing.write_all_at(&[0], cut).expect("it is written");
            // A record whose missing rest was zeros is whole if zeros follow.
            let rest = ends.iter().find(|end| **end > cut).copied().unwrap_or(end);
            let complete = bytes[cut as usize..rest as usize].iter().all(|byte| *byte == 0);
            for (dir, reach) in [(&short, cut), (&zeroed, if complete { rest } else { cut })] {
                let verdict = verify(dir.path()).expect("it reads");
                assert!(verdict.ok, "cut at {cut}: {verdict:?}");
                let waiting = verdict.stat.waiting.get("clinic").copied().unwrap_or(0);
                assert_eq!(waiting, whole(reach) as u64, "cut at {cut}");
                if cut % 61 == 0 {
                    only_rows_of(&last_segment(dir.path()), &sent);
                    let (report, delivered) = recovered(dir.path(), &rows);
                    assert_eq!(report.damaged_places, 0, "cut at {cut}: {report:?}");
                    assert_eq!(delivered, rows[..whole(reach)], "cut at {cut}");
                    opened += 1;
                    torn += report.torn_tails;
                }
            }
        }
        println!("{} spools cut at {cuts} bytes, all verified, {opened} opened, {torn} torn tails", 2 * cuts);
        assert!(opened > 100 && torn > 100);
    });
}

#[test]
fn every_flipped_bit_is_noticed_and_no_wrong_row_is_delivered() {
    in_bounded_time(|| {
        let flips = sized(10_000, 100_000);
        let rows = numbered(0..60);
        let sent = payloads(&rows);
        let dir = written(60);
        let path = last_segment(dir.path());
        let bytes = std::fs::read(&path).expect("it reads");
        let (_, last_group, end) = records(&path);
        let (mut damaged, mut torn, mut opened) = (0, 0, 0);
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
        let mut position = 12345u64;
        for round in 0..flips {
            // A fixed sequence of places, of which some are in the header.
            position = position.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (position >> 33) % end;
            let bit = 1u8 << (position >> 30 & 7);
            file.write_all_at(&[bytes[at as usize] ^ bit], at).expect("it is written");
            let verdict = verify(dir.path());
            only_rows_of(&path, &sent);
            let copy = (round % 100 == 0).then(|| copy_of(dir.path()));
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
                opened += 1;
            }
        }
        println!(
            "{flips} bits flipped, all verified, {opened} opened: {damaged} reported as damage, {torn} in the last group cut as torn"
        );
        assert!(damaged > flips / 2 && torn > 0 && opened > flips / 200);
        assert_eq!(damaged + torn, flips);
    });
}

#[test]
fn a_zeroed_page_anywhere_in_a_segment_costs_only_its_own_rows() {
    in_bounded_time(|| {
        const PAGE: u64 = 4096;
        let rows: Vec<String> = (0..800).map(|row| format!("row {row} {}", "y".repeat(220))).collect();
        let dir = scratch();
        let rig = Rig::open(Options { batch_rows: 10, ..options(dir.path()) }, small());
        rows.iter().for_each(|text| rig.keep(text).expect("it is kept"));
        let sent = payloads(&rows);
        let copy = copy_of(dir.path());
        let path = last_segment(copy.path());
        let (found, last_group, end) = records(&path);
        let bytes = std::fs::read(&path).expect("it reads");
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
        let (mut pages, mut reported, mut missing_in_all) = (0, 0, 0);
        for page in 0..bytes.len() as u64 / PAGE {
            let from = page * PAGE;
            file.write_all_at(&[0; PAGE as usize], from).expect("it is written");
            let verdict = verify(copy.path()).expect("it reads");
            only_rows_of(&path, &sent);
            let (report, delivered) = recovered(copy.path(), &rows);
            file.write_all_at(&bytes[from as usize..(from + PAGE) as usize], from).expect("it is written");
            let missing = rows.len() - delivered.len();
            // Rows with a part in the page, or all if the header was there.
            let touched = found.iter().zip(found.iter().skip(1).map(|(at, _)| *at).chain([end]));
            let touched = touched
                .filter(|((at, kind), end)| {
                    *kind == Some(Kind::Hit) && (page == 0 || *at < from + PAGE && *end > from)
                })
                .count();
            assert_eq!(missing, touched, "page {page}: {report:?}");
            // What no group follows may be the tail of a group that was being written.
            let synced = page == 0 || from + PAGE <= last_group;
            assert_eq!(report.damaged_places > 0, synced, "page {page}: {report:?}");
            assert_eq!(verdict.ok, !synced, "page {page}: {verdict:?}");
            pages += 1;
            reported += u64::from(report.damaged_places > 0);
            missing_in_all += missing;
        }
        println!(
            "{pages} pages zeroed, each verified and opened: {reported} reported as damage, {missing_in_all} rows missing, all of them in the page"
        );
        assert!(pages >= 64 && reported > 40);
    });
}

#[test]
fn a_length_that_is_not_true_is_damage_and_no_reason_to_allocate() {
    let dir = written(60);
    let path = last_segment(dir.path());
    let (found, last_group, _) = records(&path);
    let bytes = std::fs::read(&path).expect("it reads");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("it opens");
    let sent = payloads(&numbered(0..60));
    let mut told = 0;
    for (at, _) in found.iter().filter(|(at, _)| *at < last_group) {
        for length in [0, 1, 65_535, 65_536, 65_537, 1 << 20, i32::MAX as u32, u32::MAX - 7, u32::MAX] {
            file.write_all_at(&length.to_le_bytes(), at + 4).expect("it is written");
            let verdict = verify(dir.path()).expect("it reads");
            only_rows_of(&path, &sent);
            assert!(!verdict.ok, "length {length} at {at}");
            told += 1;
        }
        let right = &bytes[*at as usize + 4..*at as usize + 8];
        file.write_all_at(right, at + 4).expect("it is written");
    }
    println!("{told} wrong lengths, all reported");
    assert!(told > 500 && verify(dir.path()).expect("it reads").ok);
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
