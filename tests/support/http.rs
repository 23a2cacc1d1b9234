//! A small blocking HTTP client that sends any bytes at all.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user agent of a person: without one, or with a tool's, a hit is a machine's.
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// 0: the connection was closed without an answer.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

// === impl Reply ===

impl Reply {
    /// The first header with this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers with this lower-case name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }

    /// The name and value of the cookie that the answer sets, by its name.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}=");
        self.all("set-cookie").into_iter().find_map(|line| {
            line.starts_with(&prefix).then(|| line.split(';').next().unwrap_or_default().to_owned())
        })
    }
}

// === impl Connection ===

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("the collector accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        Connection { stream, unread: Vec::new() }
    }

    /// The same from one of this machine's own addresses, such as `127.0.0.9`.
    pub fn open_from(source: std::net::Ipv4Addr, address: SocketAddr) -> Connection {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((source, 0)).into()).expect("an address of this machine");
        socket.connect(&address.into()).expect("the collector accepts connections");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        Connection { stream, unread: Vec::new() }
    }

    /// Sends bytes, and says whether the peer took them: that it has closed
    /// already is not a mistake here.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Ends what is sent.
    pub fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads one answer. `head` says that it answers `HEAD`.
    pub fn reply(&mut self, head: bool) -> Reply {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if !self.fill() {
                return Reply::default();
            }
        };
        let text = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let mut lines = text.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let status = status.expect("a status line");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let length = if head || matches!(status, 204 | 304) { 0 } else { length };
        while self.unread.len() < length && self.fill() {}
        let body = self.unread.drain(..length.min(self.unread.len())).collect();
        Reply { status, headers, body }
    }

    /// Whether the server closes without sending anything more.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.fill()
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the collector neither answered nor closed within {PATIENCE:?}")
            }
            // A reset is a close.
            Err(_) => false,
        }
    }
}

/// Sends one request on its own connection and reads the answer.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut connection = Connection::open(address);
    connection.send(bytes);
    connection.reply(bytes.starts_with(b"HEAD "))
}

/// A request with headers and a body.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: stats.clinic.example\r\n");
    if !headers.iter().any(|(name, _)| *name == "User-Agent") {
        text.push_str(&format!("User-Agent: {BROWSER}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// `GET`.
pub fn get(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    request("GET", target, headers, b"")
}

/// `POST /event` as the script does it.
pub fn event(body: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![("Content-Type", "text/plain;charset=UTF-8")];
    all.extend_from_slice(headers);
    request("POST", "/event", &all, body.as_bytes())
}
