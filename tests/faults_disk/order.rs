//! The order of system calls, as strace saw it: what a journaling file system
//! would forgive, and a power cut on another would not.
//!
//! One client sends one hit after the other, so that the nth answer of success
//! belongs to the nth hit that was kept, and each row is found in the write that
//! carried it by its number.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::engine::{Engine, free_port};
use crate::http::{Connection, event, exchange, get};
use crate::load::{is_kept, reason, request};
use crate::server::{Server, wait_for};
use crate::{configure, serve, soak};

/// Rows of about 1.1 KB: some two hundred fill the shortest segment.
const PADDING: usize = 1500;
/// The smallest spool that can be configured, and so many threads that its
/// segments are the shortest: 256 KiB.
const SPOOL_BYTES: u64 = 64 << 20;
const THREADS: u64 = 64;
/// Hits sent at once, beforehand, so that the spool is more than half full and
/// segments are released soon: each is a row of about 1.1 KB, and an array fits into a group.
const BULK_HITS: u64 = 36_000;
const ARRAY: u64 = 40;
const BULK_CONNECTIONS: usize = 8;
/// More than this were sent and no segment was released: it never will be.
const MOST_HITS: usize = 20_000;
/// How much of each buffer is in the trace: a row and the notes before it.
const SHOWN_BYTES: &str = "4096";
const CALLS: &str = "trace=openat,pwrite64,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,\
                     sendto,write,writev,sendmsg";

/// One call, which may have been interrupted in the trace by those of other threads.
#[derive(Debug)]
struct Event {
    name: String,
    arguments: String,
    result: i64,
    /// Lines of the trace in which it began and ended.
    began: usize,
    ended: usize,
}

// === impl Event ===

impl Event {
    /// The file that the first argument is open on.
    fn file(&self) -> Option<&str> {
        let (_, rest) = self.arguments.split_once('<')?;
        Some(rest.split_once('>')?.0)
    }

    /// `rename`: from and to, by their names.
    fn renamed(&self) -> Option<(&str, &str)> {
        let mut names = self.arguments.split('"').skip(1).step_by(2);
        let (from, to) = (names.next()?, names.next()?);
        self.name.starts_with("rename").then_some((from, to))
    }

    fn is(&self, name: &str, file: &str) -> bool {
        self.name == name && self.result >= 0 && self.file() == Some(file)
    }
}

/// Reads the trace: `PID call(arguments) = result`, perhaps in two pieces.
fn parse(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unfinished = BTreeMap::new();
    for (line_number, line) in text.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(pid, (line_number, begun.trim_end().to_owned()));
            continue;
        }
        let (began, whole) = match rest.strip_prefix("<... ") {
            Some(resumed) => {
                let Some((began, head)) = unfinished.remove(pid) else { continue };
                let tail = resumed.split_once("resumed>").map_or("", |(_, tail)| tail);
                (began, head + tail)
            }
            None => (line_number, rest.to_owned()),
        };
        let Some((name, rest)) = whole.split_once('(') else { continue };
        let Some((arguments, result)) = rest.rsplit_once(" = ") else { continue };
        let result = result.split([' ', '<']).next().and_then(|text| text.parse().ok());
        let Some(result) = result else { continue };
        let arguments = arguments.trim_end().trim_end_matches(')').to_owned();
        events.push(Event { name: name.to_owned(), arguments, result, began, ended: line_number });
    }
    events
}

/// The trace has the end of this process. Short numbers are padded in it.
fn has_ended(text: &str, pid: u32) -> bool {
    text.lines().rev().any(|line| {
        line.split_once(' ').is_some_and(|(process, event)| {
            process.parse() == Ok(pid) && event.trim_start() == "+++ exited with 0 +++"
        })
    })
}

/// The first of `events` that fits and began after a line.
fn after(events: &[Event], line: usize, fits: impl Fn(&Event) -> bool) -> Option<&Event> {
    events.iter().filter(|event| event.began > line && fits(event)).min_by_key(|event| event.began)
}

/// The last of `events` that fits and ended before a line.
fn before(events: &[Event], line: usize, fits: impl Fn(&Event) -> bool) -> Option<&Event> {
    events.iter().filter(|event| event.ended < line && fits(event)).max_by_key(|event| event.ended)
}

#[test]
fn every_answer_segment_and_release_comes_after_what_must_be_on_the_disk() {
    check_strace();
    let dir = tempfile::tempdir().expect("a directory");
    let storage = tempfile::tempdir().expect("a directory");
    let engine = Engine::start(storage.path(), free_port());
    let ship = format!("interval = \"2s\"\nspool_max_bytes = {SPOOL_BYTES}");
    configure(dir.path(), &format!("threads = {THREADS}"), &ship, &engine.section());
    let trace = dir.path().join("trace");
    let server_command = serve();
    let mut command = Command::new("strace");
    // -D: the server stays our child, the tracer is its grandchild.
    command.args(["-D", "-f", "-y", "-s", SHOWN_BYTES, "-e", CALLS, "-o"]).arg(&trace);
    command.arg(server_command.get_program()).args(server_command.get_args());
    // A tracer that is not root sees no buffers of a process whose memory is closed.
    command.env("METKA_DUMPABLE", "1");
    let server = Server::start_by(command, dir.path());

    let goal = if soak() { 10_000 } else { 1_000 };
    let bulk = fill(&server);
    let kept = send(&server, &trace, goal);
    server.settled("clinic");
    let pid = server.child.id();
    assert_eq!(server.terminate().0, Some(0));
    let text = wait_for("the end of the trace", || {
        let text = String::from_utf8_lossy(&std::fs::read(&trace).ok()?).into_owned();
        has_ended(&text, pid).then_some(text)
    });
    let events = parse(&text);
    // The bulk's answers are not told apart: all of them came before the first single hit's write.
    let first = format!("/hit/{:09}/", kept[0]);
    let single = events.iter().find(|event| event.name == "pwrite64" && event.arguments.contains(&first));
    let single = single.expect("the first single hit's write").began;
    let ours: Vec<Event> = events
        .into_iter()
        .filter(|event| is_of_interest(event) && (event.began > single || !is_answer(event)))
        .collect();
    let answers = check_answers(&ours, &kept);
    let segments = check_segments(&ours);
    let checkpoints = check_checkpoints(&ours);
    let releases = check_releases(&ours);
    println!(
        "{} lines of trace, {bulk} hits at once and {answers} one by one: {answers} answers after their fdatasync, {segments} segments begun, {checkpoints} checkpoints, {releases} segments released, in order",
        text.lines().count()
    );
    assert!(answers >= goal && segments >= 3 && checkpoints >= 3 && releases >= 1);
}

/// Without strace, or the right to use it, nothing is proven.
fn check_strace() {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let tried = tried.expect("strace is installed (tests/install does it)");
    assert!(
        tried.status.success(),
        "strace cannot trace here (is ptrace allowed? kernel.yama.ptrace_scope, a container's seccomp profile): {}",
        String::from_utf8_lossy(&tried.stderr)
    );
}

/// Sends arrays of hits on several connections.
fn fill(server: &Server) -> u64 {
    let (mut sent, mut connections) = (0, Vec::new());
    for _ in 0..BULK_CONNECTIONS {
        connections.push(Connection::open(server.collect));
    }
    let page = format!("https://clinic.example/bulk/{}", "x".repeat(PADDING));
    let hit = format!(r#"{{"s":"clinic","k":"pageview","u":"{page}"}}"#);
    let bytes = event(&format!("[{}]", vec![hit; ARRAY as usize].join(",")), &[]);
    while sent < BULK_HITS {
        for connection in &mut connections {
            connection.send(&bytes);
        }
        for connection in &mut connections {
            let reply = connection.reply(false);
            sent += reply.json()["accepted"].as_u64().unwrap_or_default();
        }
    }
    sent
}

/// Sends hits one by one until enough are kept and a segment was released.
fn send(server: &Server, trace: &Path, goal: usize) -> Vec<u64> {
    let mut connection = Connection::open(server.collect);
    let mut kept = Vec::new();
    for number in 0.. {
        assert!(kept.len() < MOST_HITS, "no segment was released in {MOST_HITS} hits");
        connection.send(&request(number, PADDING));
        let reply = connection.reply(false);
        if is_kept(&reply) {
            kept.push(number);
        } else {
            // The spool is small on purpose.
            assert!(reason(&reply).ends_with(" full"), "{}", reason(&reply));
            wait_for("room in the spool", || {
                let health = exchange(server.collect, &get("/health", &[]));
                (health.status == 200).then_some(())
            });
        }
        let due = kept.len() >= goal && kept.len().is_multiple_of(100);
        if due && std::fs::read(trace).is_ok_and(|text| text.windows(6).any(|part| part == b".old\")")) {
            return kept;
        }
    }
    unreachable!("numbers do not end")
}

/// An answer of success.
fn is_answer(event: &Event) -> bool {
    ["sendto", "write", "writev", "sendmsg"].contains(&event.name.as_str())
        && (event.arguments.contains("x-metka: ok") || event.arguments.contains("HTTP/1.1 202"))
}

fn is_of_interest(event: &Event) -> bool {
    is_answer(event) || (event.arguments.contains("/spool") && !event.name.starts_with("send"))
}

/// The row's write, its fdatasync, and then the answer.
fn check_answers(events: &[Event], kept: &[u64]) -> usize {
    let mut answers: Vec<&Event> = events.iter().filter(|event| is_answer(event)).collect();
    answers.sort_by_key(|event| event.began);
    assert_eq!(answers.len(), kept.len(), "answers of success in the trace, and hits kept");
    let mut writes = BTreeMap::new();
    for write in events.iter().filter(|event| event.name == "pwrite64") {
        for part in write.arguments.split("/hit/").skip(1) {
            if let Some(number) = part.get(..9).and_then(|digits| digits.parse::<u64>().ok()) {
                writes.entry(number).or_insert(write);
            }
        }
    }
    let syncs: Vec<&Event> = events.iter().filter(|event| event.name == "fdatasync").collect();
    for (answer, number) in answers.iter().zip(kept) {
        let write = writes.get(number);
        let write = write.unwrap_or_else(|| panic!("hit {number} was answered and is in no write"));
        let file = write.file().expect("a path");
        assert!(file.ends_with(".seg") && write.result > 0, "{write:?}");
        let synced = syncs
            .iter()
            .any(|sync| sync.is("fdatasync", file) && sync.began > write.ended && sync.ended < answer.began);
        assert!(synced, "hit {number} was answered in line {} before its fdatasync", answer.began);
    }
    answers.len()
}

/// Made, zeros, fdatasync, header, fdatasync, rename, fsync of the directory, first record.
fn check_segments(events: &[Event]) -> usize {
    let mut count = 0;
    for event in events {
        let Some((from, to)) = event.renamed().filter(|(_, to)| to.ends_with(".seg")) else { continue };
        count += 1;
        let made = before(events, event.began, |other| {
            let new = other.name == "openat" && other.arguments.contains("O_CREAT");
            let recycled = other.renamed().is_some_and(|(_, to)| to == from);
            (new && other.arguments.contains(from)) || recycled
        });
        assert!(made.is_some(), "{from} became a segment and was never made");
        let header = before(events, event.began, |other| other.is("pwrite64", from)).expect("a header");
        assert!(header.arguments.contains("METKASPL"), "the last write before the rename: {header:?}");
        let header_sync = before(events, event.began, |other| other.is("fdatasync", from)).expect("a sync");
        assert!(header_sync.began > header.ended, "{to}: its header was not synced before the rename");
        let zeros_sync = before(events, header.began, |other| {
            other.name == "fdatasync"
                && other.file().is_some_and(|file| file == from || file.ends_with(".old"))
        });
        assert!(zeros_sync.is_some(), "{to}: its zeros were not synced before its header");
        let directory = Path::new(to).parent().and_then(Path::to_str).expect("a directory");
        let entered =
            after(events, event.ended, |other| other.is("fsync", directory)).expect("fsync of the directory");
        if let Some(first) =
            after(events, event.ended, |other| other.name == "pwrite64" && other.file() == Some(to))
        {
            assert!(entered.ended < first.began, "{to}: written to before its directory was synced");
        }
    }
    count
}

/// fdatasync, rename, fsync of the directory.
fn check_checkpoints(events: &[Event]) -> usize {
    let mut count = 0;
    for event in events {
        let Some((from, to)) = event.renamed().filter(|(_, to)| to.ends_with("/checkpoint")) else {
            continue;
        };
        count += 1;
        let write = before(events, event.began, |other| other.is("pwrite64", from)).expect("a write");
        let sync = before(events, event.began, |other| other.is("fdatasync", from)).expect("a sync");
        assert!(sync.began > write.ended, "a checkpoint was renamed before it was synced");
        let directory = Path::new(to).parent().and_then(Path::to_str).expect("a directory");
        assert!(
            after(events, event.ended, |other| other.is("fsync", directory)).is_some(),
            "a checkpoint's directory was not synced"
        );
    }
    count
}

/// A segment goes after a checkpoint, made later than the segment's last record, is durable.
fn check_releases(events: &[Event]) -> usize {
    let mut count = 0;
    for event in events {
        let Some((from, to)) = event.renamed().filter(|(from, _)| from.ends_with(".seg")) else { continue };
        count += 1;
        assert!(to.ends_with(".old"), "{from} became {to}");
        let last =
            before(events, event.began, |other| other.is("pwrite64", from)).map_or(0, |last| last.ended);
        let covered = events.iter().any(|checkpoint| {
            let Some((new, name)) = checkpoint.renamed().filter(|(_, to)| to.ends_with("/checkpoint")) else {
                return false;
            };
            let directory = Path::new(name).parent().and_then(Path::to_str).expect("a directory");
            let sync = before(events, checkpoint.began, |other| other.is("fdatasync", new));
            let entered = after(events, checkpoint.ended, |other| other.is("fsync", directory));
            sync.is_some_and(|sync| sync.began > last) && entered.is_some_and(|sync| sync.ended < event.began)
        });
        assert!(covered, "{from} was released before a checkpoint that covers it was durable");
    }
    for event in events.iter().filter(|event| event.name.starts_with("unlink")) {
        assert!(!event.arguments.contains(".seg"), "a segment was removed without being released: {event:?}");
    }
    count
}
