//! Clients that send numbered hits and remember the answers, and what of them must
//! be in storage.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{PATIENCE, wait_for};

/// What the clients saw.
#[derive(Default)]
pub struct Seen {
    /// Answered with success.
    pub answered: Vec<u64>,
    /// Sent, and no answer came: may be stored, at most once.
    pub unanswered: Vec<u64>,
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Seen>>,
}

/// What storage made of the hits.
pub struct Outcome {
    pub answered: usize,
    pub unanswered: usize,
    pub unanswered_stored: usize,
    pub stored: usize,
    pub lost: usize,
    pub doubled: usize,
}

// === impl Load ===

impl Load {
    /// `clients` that take their hits from `numbers`, each of them one hit every
    /// `pause` (zero: one after the other), until stopped or the server is gone.
    pub fn start(address: SocketAddr, clients: u64, pause: Duration, numbers: &Arc<AtomicU64>) -> Load {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients)
            .map(|_| {
                let (stop, answers, numbers) = (stop.clone(), answers.clone(), numbers.clone());
                std::thread::spawn(move || client(address, pause, &numbers, &answers, &stop))
            })
            .collect();
        Load { stop, answers, clients }
    }

    /// Hits answered so far.
    pub fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    /// Stops the clients.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Relaxed);
        self.join()
    }

    /// Waits for clients whose server is gone.
    pub fn join(self) -> Seen {
        let mut seen = Seen::default();
        for client in self.clients {
            seen.add(client.join().expect("a client does not panic"));
        }
        seen
    }
}

/// Every second hit is a pixel, the others are events.
fn client(
    address: SocketAddr,
    pause: Duration,
    numbers: &AtomicU64,
    answers: &AtomicU64,
    stop: &AtomicBool,
) -> Seen {
    let mut seen = Seen::default();
    let Ok(mut stream) = TcpStream::connect(address) else { return seen };
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    while !stop.load(Relaxed) {
        let due = Instant::now() + pause;
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
        wait_for("the next hit's time", || (Instant::now() >= due).then_some(()));
    }
    seen
}

/// Whether the hit was taken.
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

// === impl Seen ===

impl Seen {
    pub fn add(&mut self, other: Seen) {
        self.answered.extend(other.answered);
        self.unanswered.extend(other.unanswered);
    }

    /// Compares with rows of a path and how often it is there.
    pub fn compare(&self, rows: &[Vec<Value>]) -> Outcome {
        let stored: HashMap<u64, u64> = rows
            .iter()
            .map(|row| {
                let path = row[0].as_str().expect("a path");
                let number = path.strip_prefix("/hit/").expect("one of ours").parse().expect("a number");
                (number, row[1].as_u64().expect("a count"))
            })
            .collect();
        let unanswered_stored = self.unanswered.iter().filter(|hit| stored.contains_key(hit)).count();
        Outcome {
            answered: self.answered.len(),
            unanswered: self.unanswered.len(),
            unanswered_stored,
            stored: stored.len(),
            lost: self.answered.iter().filter(|hit| !stored.contains_key(hit)).count(),
            doubled: stored.values().filter(|count| **count > 1).count(),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Panics unless every answered hit is stored once, and nothing else.
    pub fn assert_exact(&self) {
        assert_eq!((self.lost, self.doubled), (0, 0), "{self}");
        assert_eq!(self.stored, self.answered + self.unanswered_stored, "{self}");
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} hits answered, {} without an answer ({} of them stored), {} stored, {} lost, {} doubled",
            self.answered, self.unanswered, self.unanswered_stored, self.stored, self.lost, self.doubled
        )
    }
}
