//! A small mail server: it takes what it is given, or refuses as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// One message that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Head and body, as they went over the wire.
    pub data: String,
}

/// The server; its threads end with the process.
pub struct MailServer {
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Mail>>>,
    refusing: Arc<AtomicU32>,
    refused: Arc<AtomicU32>,
}

// === impl MailServer ===

impl MailServer {
    pub fn start() -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = MailServer {
            address: listener.local_addr().expect("an address"),
            taken: Arc::default(),
            refusing: Arc::default(),
            refused: Arc::default(),
        };
        let (taken, refusing, refused) =
            (server.taken.clone(), server.refusing.clone(), server.refused.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (taken, refusing, refused) = (taken.clone(), refusing.clone(), refused.clone());
                std::thread::spawn(move || {
                    if let Some(mail) = talk(stream, &refusing, &refused) {
                        taken.lock().expect("free").push(mail);
                    }
                });
            }
        });
        server
    }

    /// The next so many messages are refused for now, with the recipient's address in the words.
    pub fn refuse(&self, messages: u32) {
        self.refusing.store(messages, Ordering::SeqCst);
    }

    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }

    pub fn taken(&self) -> Vec<Mail> {
        self.taken.lock().expect("free").clone()
    }
}

fn talk(stream: TcpStream, refusing: &AtomicU32, refused: &AtomicU32) -> Option<Mail> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let answer = |text: &str| (&stream).write_all(format!("{text}\r\n").as_bytes()).ok();
    let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new() };
    let mut whole = None;
    answer("220 mail.example ready")?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return whole;
        }
        let line = line.trim_end().to_owned();
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => answer("250 mail.example")?,
            "MAIL" => {
                mail.from = address();
                answer("250 ok")?;
            }
            "RCPT" => {
                let left = refusing.load(Ordering::SeqCst);
                if left > 0 {
                    refusing.store(left - 1, Ordering::SeqCst);
                    refused.fetch_add(1, Ordering::SeqCst);
                    answer(&format!("451 4.7.1 {} is greylisted", address()))?;
                } else {
                    mail.to.push(address());
                    answer("250 ok")?;
                }
            }
            "DATA" => {
                answer("354 go on")?;
                loop {
                    let mut text = String::new();
                    if lines.read_line(&mut text).ok()? == 0 {
                        return None;
                    }
                    if text == ".\r\n" {
                        break;
                    }
                    mail.data.push_str(text.strip_prefix('.').unwrap_or(&text));
                }
                answer("250 taken")?;
                whole = Some(mail.clone());
            }
            "QUIT" => {
                let _ = answer("221 bye");
                return whole;
            }
            _ => answer("250 ok")?,
        }
    }
}

// === impl Mail ===

impl Mail {
    /// A header with its continued lines, encoded words decoded.
    pub fn header(&self, name: &str) -> String {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
        let prefix = format!("{}:", name.to_lowercase());
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&prefix)).unwrap_or_default();
        let value = line.split_once(':').map(|(_, value)| value.trim()).unwrap_or_default();
        let encoded = |word: &str| {
            let inner = word.strip_prefix("=?utf-8?b?").and_then(|rest| rest.strip_suffix("?="));
            inner.map(base64)
        };
        // Between two encoded words a space is none.
        let mut text = String::new();
        let mut after_encoded = true;
        for word in value.split(' ') {
            let found = encoded(word);
            if !(after_encoded && (found.is_some() || text.is_empty())) {
                text.push(' ');
            }
            after_encoded = found.is_some();
            text.push_str(&found.unwrap_or_else(|| word.to_owned()));
        }
        text.replace("  ", " ")
    }

    /// The decoded parts, in their order: content type and text.
    pub fn parts(&self) -> Vec<(String, String)> {
        let kind = self.header("content-type");
        let boundary = kind.split("boundary=\"").nth(1).and_then(|rest| rest.split('"').next());
        let mark = format!("--{}", boundary.expect("a message of parts"));
        let parts = self.data.split(&mark).skip(1).filter(|part| !part.starts_with("--"));
        parts
            .map(|part| {
                let (head, body) = part.trim_start().split_once("\r\n\r\n").expect("a head and a body");
                let head = head.to_lowercase();
                let text = if head.contains("base64") {
                    base64(&body.replace("\r\n", ""))
                } else if head.contains("quoted-printable") {
                    quoted(body)
                } else {
                    body.to_owned()
                };
                let kind = if head.contains("text/html") { "html" } else { "text" };
                (kind.to_owned(), text.replace("\r\n", "\n").replace('\u{a0}', " "))
            })
            .collect()
    }
}

fn base64(text: &str) -> String {
    let bytes = data_encoding::BASE64.decode(text.trim().as_bytes()).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

fn quoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'=', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
