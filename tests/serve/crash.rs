//! `kill -9` under load: every answered hit is in storage exactly once.
//!
//! `METKA_CRASHES` sets the number of kills; the default suits CI.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use crate::configured;
use crate::server::{PATIENCE, Server, wait_for};

/// Kills in CI.
const CRASHES: u64 = 6;
const CLIENTS: u64 = 8;

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Answered with success.
    answered: Vec<u64>,
    /// Sent, and no answer came: may be stored, at most once.
    unanswered: Vec<u64>,
}

/// Sends hits one after the other until told to stop or the server is gone.
/// Every second one is a pixel, the others are events.
fn client(
    address: SocketAddr,
    numbers: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Seen {
    let mut seen = Seen::default();
    let Ok(mut stream) = TcpStream::connect(address) else { return seen };
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    while !stop.load(Relaxed) {
        let number = numbers.fetch_add(1, Relaxed);
        match exchange(&mut stream, number) {
            Ok(true) => {
                seen.answered.push(number);
                answers.fetch_add(1, Relaxed);
            }
            Ok(false) => panic!("hit {number} was refused"),
            Err(_) => {
                seen.unanswered.push(number);
                return seen;
            }
        }
    }
    seen
}

fn exchange(stream: &mut TcpStream, number: u64) -> io::Result<bool> {
    let page = format!("https://clinic.example/hit/{number}");
    let common = "Host: stats.clinic.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n";
    let request = if number.is_multiple_of(2) {
        format!("GET /pixel.gif?s=clinic&u={page} HTTP/1.1\r\n{common}\r\n")
    } else {
        let body = format!(r#"{{"s":"clinic","k":"pageview","u":"{page}"}}"#);
        format!(
            "POST /event HTTP/1.1\r\n{common}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..read]);
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
        let length: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse().ok())
            .expect("every answer says its length");
        if answer.len() < head + 4 + length {
            continue;
        }
        let pixel_kept = text.starts_with("http/1.1 200") && text.contains("\r\nx-metka: ok");
        return Ok(pixel_kept || text.starts_with("http/1.1 202"));
    }
}

#[test]
fn every_answered_hit_is_stored_exactly_once_through_kill_nine() {
    let crashes = std::env::var("METKA_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(CRASHES);
    let dir = configured();
    let numbers = Arc::new(AtomicU64::new(0));
    let mut seen = Seen::default();
    for crash in 0..crashes {
        let server = Server::start(dir.path(), &[]);
        let answers = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<JoinHandle<Seen>> = (0..CLIENTS)
            .map(|_| {
                let (numbers, answers, stop) = (numbers.clone(), answers.clone(), stop.clone());
                let address = server.collect;
                std::thread::spawn(move || client(address, numbers, answers, stop))
            })
            .collect();
        // At other moments of the life of a batch each time: some kills meet an engine
        // that is still starting, others an insert on its way.
        let goal = 60 + 331 * crash;
        wait_for("answers", || (answers.load(Relaxed) >= goal).then_some(()));
        server.kill();
        for client in clients {
            let one = client.join().expect("a client does not panic");
            seen.answered.extend(one.answered);
            seen.unanswered.extend(one.unanswered);
        }
    }
    assert!(
        seen.unanswered.len() as u64 >= crashes,
        "the kills met no open request: {} of {crashes}",
        seen.unanswered.len()
    );

    let server = Server::start(dir.path(), &[]);
    let counts = server.settled("clinic");
    let stored: HashMap<u64, u64> = server
        .rows("SELECT path, count() FROM metka.hits WHERE site = 'clinic' GROUP BY path")
        .into_iter()
        .map(|row| {
            let path = row[0].as_str().expect("a path");
            let number = path.strip_prefix("/hit/").expect("one of ours").parse().expect("a number");
            let count = row[1].as_u64().or_else(|| row[1].as_str()?.parse().ok()).expect("a count");
            (number, count)
        })
        .collect();
    let lost = seen.answered.iter().filter(|number| !stored.contains_key(number)).count();
    let doubled = stored.values().filter(|count| **count > 1).count();
    let unanswered_stored = seen.unanswered.iter().filter(|number| stored.contains_key(number)).count();
    println!(
        "{crashes} kills: {} hits answered, {} without an answer ({unanswered_stored} of them stored), {} stored, {lost} lost, {doubled} doubled",
        seen.answered.len(),
        seen.unanswered.len(),
        stored.len(),
    );
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(stored.len(), seen.answered.len() + unanswered_stored, "nothing else is stored");
    // The counters of the data directory agree with the table after all those crashes.
    assert_eq!(counts["stored"].as_u64(), Some(stored.len() as u64), "{counts}");
    assert_eq!(counts["received"], counts["stored"], "{counts}");
    assert_eq!(server.terminate().0, Some(0));
}
