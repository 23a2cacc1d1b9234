//! A proxy between the shipper and storage that cuts inserts at chosen places.
//!
//! It reads a whole request and forwards as much of it as the cut allows, then ends
//! both connections. What is no insert passes. Of each insert it keeps the bytes as
//! they were sent.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::server::PATIENCE;

/// Where an insert is cut. The share (of a thousand) says how far in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Nothing is forwarded.
    Before,
    /// Within the request's line and headers.
    Head(usize),
    /// The client is cut off while it still sends; storage gets what came by then.
    Sending(usize),
    /// Within the rows.
    Body(usize),
    /// All is forwarded but the last byte.
    LastByte,
    /// All is forwarded, no answer is awaited.
    Sent,
    /// Storage has answered; nothing of it comes back.
    Swallowed,
    /// Within the answer.
    Answer(usize),
}

/// What the proxy did and saw.
#[derive(Default)]
pub struct Book {
    /// The cuts to be made, next first.
    pub plan: VecDeque<Place>,
    /// Cuts made, by the name of their kind.
    pub cuts: BTreeMap<&'static str, u64>,
    /// The first request of each token, whole.
    pub requests: BTreeMap<String, Vec<u8>>,
    /// How often each token was cut.
    cut_tokens: BTreeMap<String, u32>,
    pub inserts: u64,
}

/// The proxy; its threads end with the test's process.
pub struct Proxy {
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

// === impl Place ===

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Place::Before => "before",
            Place::Head(_) => "head",
            Place::Sending(_) => "sending",
            Place::Body(_) => "body",
            Place::LastByte => "last byte",
            Place::Sent => "sent",
            Place::Swallowed => "answer swallowed",
            Place::Answer(_) => "answer",
        }
    }
}

// === impl Proxy ===

impl Proxy {
    pub fn start(storage: SocketAddr, plan: VecDeque<Place>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let book = Arc::new(Mutex::new(Book { plan, ..Book::default() }));
        let shared = book.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let book = shared.clone();
                // An error is a connection that ended, by a cut or by itself.
                std::thread::spawn(move || drop(pass(client, storage, &book)));
            }
        });
        Proxy { address, book }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic holds this lock")
    }
}

/// Passes requests of one connection until one is cut.
fn pass(mut client: TcpStream, storage: SocketAddr, book: &Mutex<Book>) -> io::Result<()> {
    let mut server = TcpStream::connect(storage)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    loop {
        let mut request = Vec::new();
        let head = read_until(&mut client, &mut request, head_length)?;
        let cut = token(&request[..head]).and_then(|token| {
            let mut book = book.lock().expect("no panic holds this lock");
            book.next_cut(&token).map(|place| (place, token))
        });
        if let Some((place @ Place::Sending(share), _)) = &cut {
            // What the client still sends, or has sent and nobody read, meets a reset.
            let most = head + share * (request.len() - head) / 1000;
            server.write_all(&request[..most])?;
            return fired(book, *place);
        }
        let whole = read_until(&mut client, &mut request, message_length)?;
        assert_eq!(whole, request.len(), "a request before the answer to the last");
        if let Some(token) = token(&request[..head]) {
            let mut book = book.lock().expect("no panic holds this lock");
            book.inserts += 1;
            book.requests.entry(token).or_insert_with(|| request.clone());
        }
        let Some((place, _)) = cut else {
            server.write_all(&request)?;
            let mut answer = Vec::new();
            read_until(&mut server, &mut answer, message_length)?;
            client.write_all(&answer)?;
            continue;
        };
        let sent = match place {
            Place::Before | Place::Sending(_) => 0,
            Place::Head(share) => (head * share / 1000).max(1),
            Place::Body(share) => head + (whole - head - 1) * share / 1000,
            Place::LastByte => whole - 1,
            Place::Sent | Place::Swallowed | Place::Answer(_) => whole,
        };
        server.write_all(&request[..sent])?;
        if matches!(place, Place::Swallowed | Place::Answer(_)) {
            let mut answer = Vec::new();
            let whole = read_until(&mut server, &mut answer, message_length)?;
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
            if let Place::Answer(share) = place {
                client.write_all(&answer[..(whole * share / 1000).clamp(1, whole - 1)])?;
            }
        }
        return fired(book, place);
    }
}

/// A cut was made: both connections end with the caller's return.
fn fired(book: &Mutex<Book>, place: Place) -> io::Result<()> {
    *book.lock().expect("no panic holds this lock").cuts.entry(place.name()).or_default() += 1;
    Ok(())
}

// === impl Book ===

impl Book {
    /// The cut for this insert, if any. Most batches are cut once, every fifth twice:
    /// the shipper waits longer after each failure.
    fn next_cut(&mut self, token: &str) -> Option<Place> {
        let batches = self.cut_tokens.len();
        let cuts = self.cut_tokens.get(token).copied().unwrap_or(0);
        let most = if batches.is_multiple_of(5) { 2 } else { 1 };
        if cuts >= most {
            return None;
        }
        let place = self.plan.pop_front()?;
        *self.cut_tokens.entry(token.to_owned()).or_default() += 1;
        Some(place)
    }
}

// === HTTP, as much as is needed ===

/// Reads until `length` knows the length and that much is there; returns it.
pub fn read_until(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    length: impl Fn(&[u8]) -> Option<usize>,
) -> io::Result<usize> {
    let mut buffer = [0; 16 << 10];
    loop {
        if let Some(length) = length(bytes).filter(|length| *length <= bytes.len()) {
            return Ok(length);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4)
}

/// The length of a request or an answer, once it can be told.
pub fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = head_length(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if header("transfer-encoding:") != Some("chunked") {
        let length = header("content-length:").map_or(0, |length| length.parse().expect("a length"));
        return Some(head + length);
    }
    let mut at = head;
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a chunk's size");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        at += line + 2 + size + 2;
        match size {
            0 => return Some(at),
            _ if at > bytes.len() => return None,
            _ => {}
        }
    }
}

/// The token of an insert, out of its URL.
fn token(head: &[u8]) -> Option<String> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.split_once("insert_deduplication_token=")?.1;
    Some(rest[..rest.find(['&', ' '])?].to_owned())
}
