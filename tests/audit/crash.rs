//! A crash at each point of an append, and processes that append at once.

use std::os::unix::fs::MetadataExt;

use metka::audit::{Action, Filter};

use super::{Files, Place, entry, fill, instant};

#[test]
fn whatever_a_crash_leaves_the_next_append_goes_on_and_says_what_it_cut() {
    let honest = |numbers: i64| {
        let place = Place::new();
        fill(&place.trail(), 1..=numbers);
        place
    };
    // 53 entries fill January; the 54th opens February's file.
    for last in [2, 20, 53, 54] {
        let place = honest(last - 1);
        let before = place.files();
        fill(&place.trail(), last..=last);
        let after = place.files();
        let new = after.iter().find(|(name, bytes)| *name != "head" && before.get(*name) != Some(bytes));
        let (name, bytes) = new.map(|(name, bytes)| (name.clone(), bytes.clone())).expect("one file changed");
        let old = before.get(&name).map_or(0, Vec::len);
        let mut points = 0;
        for written in old..=bytes.len() {
            // The line is there as far as `written`, and the head is still the old one.
            let mut crashed: Files = before.clone();
            crashed.insert(name.clone(), bytes[..written].to_vec());
            place.put(&place.files(), &crashed);
            let trail = place.trail();
            let is_whole = written == bytes.len();
            let torn = if is_whole { 0 } else { written - old };
            let found = trail.verify(None).unwrap_or_else(|error| panic!("{name} {written}: {error}"));
            let kept = if is_whole { last } else { last - 1 };
            assert_eq!((found.entries, found.torn_bytes), (kept as u64, torn as u64), "{name} {written}");
            assert_eq!(place.files(), crashed, "a look changes nothing");
            let anchor = trail.append(&entry(last + 1)).expect("it goes on");
            assert_eq!(anchor.number, kept as u64 + 1, "{name} {written}");
            assert_eq!(trail.verify(Some(anchor)).expect("whole").torn_bytes, 0);
            let listed = trail.list(&Filter::last(1)).expect("whole");
            assert_eq!(listed[0].cut(), torn as u64, "{name} {written}");
            points += 1;
        }
        println!("a crash after each of {points} lengths of entry {last}: the trail goes on");
    }
}

#[test]
fn a_crash_after_a_line_was_taken_over_leaves_at_most_one_line_behind_the_head() {
    let place = Place::new();
    let trail = place.trail();
    fill(&trail, 1..=5);
    let old_head = place.files()["head"].clone();
    fill(&trail, 6..=7);
    let mut files = place.files();
    files.insert("head".to_owned(), old_head);
    place.put(&place.files(), &files);
    let error = trail.append(&entry(8)).expect_err("two lines behind the head are no crash").to_string();
    assert!(error.contains("2026-01.log: entry 7: it is not what head says"), "{error}");
    assert!(trail.verify(None).is_err());
}

#[test]
fn a_trail_that_was_begun_and_nothing_more_is_empty_and_goes_on() {
    let place = Place::new();
    let trail = place.trail();
    let found = trail.verify(None).expect("there is none yet");
    assert_eq!((found.entries, found.anchor.number), (0, 0));
    assert!(!place.path("").exists(), "a look makes nothing");
    let none = found.anchor;
    fill(&trail, 1..=1);
    assert_eq!(trail.verify(Some(none)).expect("whole").entries, 1);
    for (name, mode) in [("", 0o700), ("head", 0o600), ("lock", 0o600), ("2026-01.log", 0o600)] {
        assert_eq!(std::fs::metadata(place.path(name)).expect("it exists").mode() & 0o777, mode, "{name}");
    }
    let wide = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(place.path("2026-01.log"), wide).expect("changed");
    assert!(trail.verify(None).expect_err("others can read it").to_string().contains("0644"));
}

#[test]
fn processes_that_append_at_once_leave_one_chain_with_every_entry() {
    const EACH: i64 = 200;
    let place = Place::new();
    drop(place.trail());
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let trail = place.trail();
            scope.spawn(move || {
                for number in 1..=EACH {
                    trail.append(&entry(number).detail(format!("{name} {number}"))).expect("written");
                }
            });
        }
    });
    let trail = place.trail();
    let found = trail.verify(None).expect("whole");
    assert_eq!((found.entries, found.anchor.number), (2 * EACH as u64, 2 * EACH as u64));
    let listed = trail.list(&Filter::last(1000)).expect("whole");
    for name in ["one", "two"] {
        let own = listed.iter().filter_map(|listed| listed.entry().detail);
        let own: Vec<String> = own.filter(|detail| detail.starts_with(name)).collect();
        let expected: Vec<String> = (1..=EACH).map(|number| format!("{name} {number}")).collect();
        assert_eq!(own, expected, "each once, in its order");
    }
    println!("2 trails opened apart, {EACH} entries each at once: {} in one chain", found.entries);
}

#[test]
fn a_clock_that_is_set_back_keeps_the_order_and_a_filter_goes_by_the_time() {
    let place = Place::new();
    let trail = place.trail();
    for at in ["2026-03-31T23:59:59Z", "2026-04-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-05-01T00:00:00Z"]
    {
        let by = metka::audit::Actor::Job("test".to_owned());
        trail.append(&metka::audit::Entry::new(instant(at), by, Action::RetentionRun)).expect("written");
    }
    let names: Vec<String> = place.files().into_keys().collect();
    assert_eq!(names, ["2026-03.log", "2026-04.log", "2026-05.log", "head"]);
    assert_eq!(trail.verify(None).expect("whole").entries, 4);
    let (from, to) = (Some(instant("2026-03-01T00:00:00Z")), Some(instant("2026-05-01T00:00:00Z")));
    let filter = Filter { from, to, ..Filter::last(10) };
    let numbers: Vec<u64> =
        trail.list(&filter).expect("whole").iter().map(|listed| listed.number()).collect();
    assert_eq!(numbers, [1, 2]);
}
