//! The register: writers at the same time and writers that are killed, numbers,
//! bounds, damage.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use metka::config::{Config, Preset, Site};
use metka::rights::desk::{Attention, Desk, DeskError, Received};
use metka::rights::register::{Filter, MAX_REQUESTS, Note, Outcome, Register, RegisterError};
use metka::rights::request::{
    IdentifiedBy, MAX_HISTORY, MAX_SUBJECTS, MAX_TEXT_BYTES, Request, State, Subject,
};
use metka::rights::terms::Kind;

/// Where a writer process works; only such a process has it.
const WRITER: &str = "METKA_TEST_REGISTER_WRITER";

fn desk(data: &Path) -> Desk {
    let text = format!("data_dir = {:?}\n", data.to_str().expect("plain"));
    Desk::open(&Config::parse(&text, [], Path::new("/")).expect("valid")).expect("the built-in calendar")
}

fn site() -> Site {
    Site::with_defaults("clinic", &["clinic.example"])
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

fn asked(kind: Kind, at: Timestamp) -> Received {
    Received {
        kind,
        about: None,
        identified: IdentifiedBy::Cookie,
        subjects: vec![Subject::visitor(0x0123_4567_89ab_cdef)],
        at,
        purpose: "claim of the person".to_owned(),
    }
}

fn receive(desk: &Desk, kind: Kind, at: &str) -> Request {
    desk.receive(&site(), asked(kind, moment(at)), "officer", moment(at)).expect("received")
}

fn note(at: i64) -> Note<'static> {
    Note { at, who: "officer", what: "looked at" }
}

fn file_of(data: &Path) -> PathBuf {
    data.join("rights/requests.json")
}

#[test]
fn a_request_is_kept_with_its_due_date_and_found_by_each_of_its_sides() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    let access = receive(&desk, Kind::Access, "2026-11-26T07:00:00Z");
    let block = receive(&desk, Kind::Block, "2026-11-26T08:00:00Z");
    assert_eq!((access.number.as_str(), block.number.as_str()), ("2026-0001", "2026-0002"));
    assert_eq!(access.due.date.to_string(), "2026-12-10");
    let register = Register::new(dir.path());
    assert_eq!(register.get("2026-0001").expect("there"), access);
    let closed =
        register.close("2026-0001", Outcome::Done, "sent", note(access.received + 1)).expect("closed");
    assert_eq!((closed.state, closed.history.len()), (State::Done, 2));
    let subject = Some(Subject::visitor(0x0123_4567_89ab_cdef));
    for (filter, expected) in [
        (Filter::default(), &["2026-0001", "2026-0002"][..]),
        (Filter { kind: Some(Kind::Block), ..Filter::default() }, &["2026-0002"]),
        (Filter { state: Some(State::Done), ..Filter::default() }, &["2026-0001"]),
        (Filter { state: Some(State::Refused), ..Filter::default() }, &[]),
        (Filter { site: Some("other".to_owned()), ..Filter::default() }, &[]),
        (Filter { subject, ..Filter::default() }, &["2026-0001", "2026-0002"]),
        (Filter { subject: Some(Subject::user_key(0x0123_4567_89ab_cdef)), ..Filter::default() }, &[]),
        (
            Filter { kind: Some(Kind::Block), state: Some(State::Open), subject, ..Filter::default() },
            &["2026-0002"],
        ),
        (Filter { overdue_at: Some(block.due.ends - 1), ..Filter::default() }, &[]),
        (Filter { overdue_at: Some(block.due.ends), ..Filter::default() }, &["2026-0002"]),
    ] {
        let found = desk.register().list(&filter).expect("readable");
        let numbers: Vec<&str> = found.iter().map(|request| request.number.as_str()).collect();
        assert_eq!(numbers, expected, "{filter:?}");
    }
}

#[test]
fn a_number_is_never_given_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    let first = receive(&desk, Kind::Access, "2023-06-01T07:00:00Z");
    let last = receive(&desk, Kind::Rectify, "2023-06-02T07:00:00Z");
    let register = desk.register();
    for request in [&first, &last] {
        register
            .close(&request.number, Outcome::Refused, "no such data", note(last.received + 1))
            .expect("closed");
    }
    let open = receive(&desk, Kind::Access, "2023-06-03T07:00:00Z");
    assert_eq!(
        register.expire(last.received + 1).expect("read"),
        Vec::<String>::new(),
        "closed at that moment"
    );
    assert_eq!(register.expire(last.received + 2).expect("removed"), ["2023-0001", "2023-0002"]);
    register.close(&open.number, Outcome::Done, "done", note(open.received + 1)).expect("closed");
    assert_eq!(register.expire(open.received + 2).expect("removed"), ["2023-0003"]);
    assert!(register.list(&Filter::default()).expect("readable").is_empty());
    assert_eq!(receive(&desk, Kind::Access, "2023-12-31T20:59:59Z").number, "2023-0004");
    // The year is that of the registration, in the site's time zone.
    assert_eq!(receive(&desk, Kind::Access, "2023-12-31T21:00:00Z").number, "2024-0001");
    assert!(register.expire(i64::MAX).expect("read").is_empty(), "what is open stays");
}

#[test]
fn what_was_registered_stays_and_each_change_is_in_the_history() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    let request = receive(&desk, Kind::Access, "2026-11-26T07:00:00Z");
    let register = desk.register();
    let number = request.number.as_str();
    for (what, change) in [
        ("the number", (|request: &mut Request| request.number.push('1')) as fn(&mut Request)),
        ("the site", |request| request.site.clear()),
        ("the kind", |request| request.kind = Kind::Claim),
        ("the moment of receipt", |request| request.received += 1),
        ("the first due date", |request| request.due.ends += 1),
        ("the history", |request| request.history.clear()),
    ] {
        let changed = register.change(number, note(1), |request| {
            change(request);
            Ok(())
        });
        let error = changed.expect_err("refused").to_string();
        assert!(error.contains(what), "{error}");
    }
    assert_eq!(register.get(number).expect("there"), request);
    let changed = register.change(number, Note { at: 5, who: "job", what: "an act was made" }, |request| {
        request.acts.push("act-2026-0001.json".to_owned());
        Ok(())
    });
    let changed = changed.expect("changed");
    assert_eq!(changed.acts, ["act-2026-0001.json"]);
    let last = changed.history.last().expect("noted");
    assert_eq!((last.at, last.who.as_str(), last.what.as_str()), (5, "job", "an act was made"));
    assert!(matches!(register.change("2026-0009", note(1), |_| Ok(())), Err(RegisterError::NoRequest(_))));
}

#[test]
fn a_term_is_extended_once_in_time_with_a_reason_and_only_while_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    let now = moment("2026-12-01T07:00:00Z");
    let access = receive(&desk, Kind::Access, "2026-11-26T07:00:00Z");
    let rectify = receive(&desk, Kind::Rectify, "2026-11-26T07:00:00Z");
    let number = access.number.as_str();
    let extend = |number: &str, reason: &str, days, now| desk.extend(number, reason, days, "officer", now);
    assert!(matches!(extend(number, " ", None, now), Err(DeskError::Register(RegisterError::Empty(_)))));
    assert!(matches!(extend(number, "archive", Some(6), now), Err(DeskError::Term(_))));
    assert!(matches!(extend(&rectify.number, "archive", None, now), Err(DeskError::Term(_))));
    let late = moment("2026-12-10T21:00:00Z");
    assert!(matches!(
        extend(number, "archive", None, late),
        Err(DeskError::Register(RegisterError::TooLate { .. }))
    ));
    let last_moment = moment("2026-12-10T20:59:59Z");
    let extended = extend(number, "the archive is elsewhere", None, last_moment).expect("in time");
    assert_eq!(extended.due().date.to_string(), "2026-12-17");
    assert_eq!(extended.due, access.due, "the first date stays on record");
    let extension = extended.extension.as_ref().expect("there");
    assert_eq!((extension.days, extension.at), (7, last_moment.as_millisecond()));
    assert!(!extended.is_overdue(late.as_millisecond()));
    assert!(matches!(
        extend(number, "again", Some(1), now),
        Err(DeskError::Register(RegisterError::Extended(_)))
    ));
    desk.register().close(number, Outcome::Done, "sent", note(1)).expect("closed");
    for error in [
        extend(number, "after all", None, now).expect_err("closed").to_string(),
        desk.register().close(number, Outcome::Done, "again", note(1)).expect_err("closed").to_string(),
        desk.register().step_done(number, note(1)).expect_err("closed").to_string(),
    ] {
        assert!(error.contains("2026-0001 is closed (done)"), "{error}");
    }
}

#[test]
fn attention_tells_what_is_late_and_what_soon_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    // Due 2026-12-10, 2026-12-28, and stop by 2026-12-01, destroy by 2026-12-10.
    receive(&desk, Kind::Access, "2026-11-26T07:00:00Z");
    receive(&desk, Kind::Withdraw, "2026-11-26T07:00:00Z");
    receive(&desk, Kind::Stop, "2026-11-26T07:00:00Z");
    let european = Site { preset: Some(Preset::Gdpr), ..site() };
    let at = moment("2026-11-26T07:00:00Z");
    // Due 2026-12-28 too, by weekends alone.
    desk.receive(&european, asked(Kind::Access, at), "officer", at).expect("received");
    let check = |now: &str, overdue: &[&str], soon: &[&str]| {
        let owned = |numbers: &[&str]| numbers.iter().map(|number| (*number).to_owned()).collect();
        let expected = Attention { open: 4, overdue: owned(overdue), due_within_2_working_days: owned(soon) };
        assert_eq!(desk.attention(None, moment(now)).expect("readable"), expected, "{now}");
    };
    check("2026-11-26T08:00:00Z", &[], &[]);
    // Friday: two working days further is Tuesday, 1 December.
    check("2026-11-27T08:00:00Z", &[], &["2026-0003"]);
    check("2026-12-01T20:59:59Z", &[], &["2026-0003"]);
    check("2026-12-01T21:00:00Z", &["2026-0003"], &[]);
    desk.register().step_done("2026-0003", note(at.as_millisecond())).expect("noted");
    assert!(matches!(desk.register().step_done("2026-0003", note(1)), Err(RegisterError::NoStep(_))));
    check("2026-12-01T21:00:00Z", &[], &[]);
    check("2026-12-08T08:00:00Z", &[], &["2026-0001", "2026-0003"]);
    check("2026-12-10T21:00:00Z", &["2026-0001", "2026-0003"], &[]);
    check("2026-12-24T08:00:00Z", &["2026-0001", "2026-0003"], &["2026-0002", "2026-0004"]);
    check("2027-01-01T08:00:00Z", &["2026-0001", "2026-0002", "2026-0003", "2026-0004"], &[]);
}

#[test]
fn a_request_from_the_future_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let now = moment("2026-11-26T07:00:00Z");
    let later = asked(Kind::Access, moment("2026-11-26T07:00:01Z"));
    let error = desk(dir.path()).receive(&site(), later, "officer", now).expect_err("refused");
    assert!(error.to_string().contains("still to come"), "{error}");
}

#[test]
fn every_bound_is_kept_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    let at = moment("2026-11-26T07:00:00Z");
    let refused =
        |received: Received| desk.receive(&site(), received, "officer", at).expect_err("refused").to_string();
    let long = Received { purpose: "x ".repeat(MAX_TEXT_BYTES / 2 + 1), ..asked(Kind::Access, at) };
    assert!(refused(long).contains("the purpose has 4002 bytes, at most 4000"));
    let many = Received { subjects: vec![Subject::visitor(1); MAX_SUBJECTS + 1], ..asked(Kind::Access, at) };
    assert!(refused(many).contains("1001 subjects, at most 1000"));
    assert!(!file_of(dir.path()).exists(), "nothing was written");

    let request = receive(&desk, Kind::Access, "2026-11-26T07:00:00Z");
    let register = desk.register();
    let long = "x ".repeat(MAX_TEXT_BYTES / 2 + 1);
    let error = register.close(&request.number, Outcome::Done, &long, note(1)).expect_err("refused");
    assert!(error.to_string().contains("the answer has"), "{error}");
    for _ in 1..MAX_HISTORY {
        register.change(&request.number, note(1), |_| Ok(())).expect("changed");
    }
    let error = register.change(&request.number, note(1), |_| Ok(())).expect_err("refused");
    assert!(error.to_string().contains("201 changes, at most 200"), "{error}");
    // A full history keeps nobody from answering.
    desk.extend(&request.number, "archive", None, "officer", at).expect("extended");
    register.close(&request.number, Outcome::Done, "sent", note(1)).expect("closed");

    // A full register, written as this writes it.
    let path = file_of(dir.path());
    let mut contents: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("JSON");
    let mut one = contents["requests"][0].clone();
    one["history"] = serde_json::json!([]);
    let copies = (1..=MAX_REQUESTS).map(|number| {
        one["number"] = format!("2026-{number:04}").into();
        one.clone()
    });
    contents["requests"] = copies.collect();
    contents["last"]["2026"] = MAX_REQUESTS.into();
    std::fs::write(&path, contents.to_string()).expect("written");
    let error = desk.receive(&site(), asked(Kind::Access, at), "officer", at).expect_err("full").to_string();
    assert!(error.contains("MAX_REQUESTS") && error.contains("10000"), "{error}");
    assert_eq!(register.expire(i64::MAX).expect("removed").len(), MAX_REQUESTS);
    assert_eq!(receive(&desk, Kind::Access, "2026-11-26T07:00:00Z").number, "2026-10001");
    assert_eq!(register.get("2026-10001").expect("five digits are read back").number, "2026-10001");
}

#[test]
fn a_damaged_file_is_named_and_not_written_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let desk = desk(dir.path());
    for _ in 0..2 {
        receive(&desk, Kind::Access, "2026-11-26T07:00:00Z");
    }
    let path = file_of(dir.path());
    let whole = std::fs::read_to_string(&path).expect("read");
    let replaced = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from:?} is not in the file");
        whole.replacen(from, to, 1)
    };
    for (text, expected) in [
        (whole[..whole.len() / 2].to_owned(), "not a register of requests"),
        (String::new(), "not a register of requests"),
        ("null".to_owned(), "not a register of requests"),
        (replaced("\"version\": 1", "\"version\": 2"), "written by a later metka (version 2"),
        (replaced("\"2026\": 2", "\"2026\": 1"), "2026-0002 is beyond the last number"),
        (replaced("\"2026-0001\"", "\"2026-0002\""), "2026-0002 is there twice"),
        (replaced("\"2026-0001\"", "\"2026-1\""), "\"2026-1\" is not a number"),
        (replaced("\"state\": \"open\"", "\"state\": \"done\""), "which its closing date denies"),
        (replaced("\"state\": \"open\"", "\"state\": \"lost\""), "not a register of requests"),
        (replaced("0123456789abcdef", "0123456789ABCDEF"), "16 hex digits"),
        (replaced("\"acts\": []", "\"acts\": [], \"cookie\": \"x\""), "unknown field `cookie`"),
    ] {
        std::fs::write(&path, &text).expect("written");
        let at = moment("2026-11-26T07:00:00Z");
        for error in [
            desk.register().list(&Filter::default()).expect_err("damaged").to_string(),
            desk.receive(&site(), asked(Kind::Access, at), "officer", at).expect_err("damaged").to_string(),
            desk.attention(None, at).expect_err("damaged").to_string(),
        ] {
            assert!(error.contains("requests.json") && error.contains(expected), "{expected:?}: {error}");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("read"), text);
    }
    std::fs::write(&path, &whole).expect("written");
    assert_eq!(desk.register().list(&Filter::default()).expect("whole again").len(), 2);
}

// === Other processes ===

/// Not a test: the process that the next two start. It registers until it is told
/// or killed, and prints each number once it is durable.
#[test]
fn writer_process() {
    let Ok(place) = std::env::var(WRITER) else { return };
    let (count, dir) = place.split_once(':').expect("COUNT:DIR");
    let desk = desk(Path::new(dir));
    for _ in 0..count.parse::<usize>().expect("a number") {
        println!("number {}", receive(&desk, Kind::Access, "2026-11-26T07:00:00Z").number);
    }
}

fn writer(dir: &Path, count: usize) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "register::writer_process", "--nocapture"])
        .env(WRITER, format!("{count}:{}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs")
}

fn numbers(lines: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    // The harness prints the test's name before the first of them.
    lines.filter_map(|line| line.split_once("number ").map(|(_, number)| number.to_owned()))
}

#[test]
fn processes_that_write_at_the_same_time_lose_no_request_and_share_no_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writers: Vec<Child> = (0..3).map(|_| writer(dir.path(), 40)).collect();
    let mut given: Vec<String> = Vec::new();
    for writer in &mut writers {
        let lines = BufReader::new(writer.stdout.take().expect("piped")).lines().map_while(Result::ok);
        given.extend(numbers(lines));
        assert!(writer.wait().expect("it ends").success());
    }
    given.sort();
    let expected: Vec<String> = (1..=120).map(|number| format!("2026-{number:04}")).collect();
    assert_eq!(given, expected);
    let kept = Register::new(dir.path()).list(&Filter::default()).expect("readable");
    assert_eq!(kept.into_iter().map(|request| request.number).collect::<Vec<_>>(), expected);
}

#[test]
fn a_writer_that_is_killed_leaves_every_number_that_it_gave_and_no_half_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut given: Vec<String> = Vec::new();
    for round in 0..12 {
        let mut writer = writer(dir.path(), usize::MAX);
        let mut lines =
            numbers(BufReader::new(writer.stdout.take().expect("piped")).lines().map_while(Result::ok));
        given.extend(lines.by_ref().take(3 + round % 4));
        writer.kill().expect("killed");
        // What it gave between the last look and the kill counts as well.
        given.extend(lines);
        let signal = writer.wait().expect("it ends").signal();
        assert_eq!(signal, Some(9), "the writer was at work when it was killed");
        let kept = Register::new(dir.path()).list(&Filter::default()).expect("a whole file");
        for number in &given {
            assert!(kept.iter().any(|request| request.number == *number), "{number} is lost");
        }
    }
    // As a crash before the renaming leaves it.
    std::fs::write(dir.path().join("rights/requests.json.new"), "{\"vers").expect("written");
    let next = receive(&desk(dir.path()), Kind::Access, "2026-11-26T07:00:00Z");
    assert!(!given.contains(&next.number));
    println!("{} requests of 12 killed writers, all kept", given.len());
}
