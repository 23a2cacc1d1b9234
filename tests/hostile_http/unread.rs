//! Clients of the web address that ask and never read: each is ended, so that they do not
//! hold the places of others for ever.

use std::io::{Read, Write};
use std::net::TcpStream;

use socket2::{Domain, Socket, Type};

use crate::at_rest;
use crate::http;
use crate::server::{Server, wait_for};
use crate::slow::descriptors;

/// Clients of each kind.
const CLIENTS: usize = 12;
/// Sites of the server: with each the numbers for Prometheus are longer.
const SITES: usize = 250;
/// The buffer for what is not read, in bytes: small, so that it is soon full.
const READ_BUFFER: usize = 4096;
/// The largest segment of a client, in bytes: by it the kernel measures what it holds for a
/// peer that reads nothing. By that of this machine's own network it would hold megabytes.
const SEGMENT: u32 = 536;
/// More than it holds then.
const LONG: usize = 96 << 10;
/// Answers that one client asks for at once.
const PIPELINED: usize = 20;
/// Descriptors that the server may have more than at rest: what it tries to reach opens some.
const SLACK: usize = 8;

/// `GET /metrics`, which whoever is on this machine may ask.
fn scrape(more: &str) -> Vec<u8> {
    format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").into_bytes()
}

fn asking(server: &Server, request: &[u8]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(READ_BUFFER).expect("a small buffer");
    socket.set_tcp_mss(SEGMENT).expect("small segments");
    socket.connect(&server.web.into()).expect("the web address accepts connections");
    let mut stream = TcpStream::from(socket);
    stream.write_all(request).expect("a small request is taken");
    stream
}

/// Reads what there is until the end, which may be a reset.
fn rest(mut stream: TcpStream) -> usize {
    let (mut read, mut buffer) = (0, vec![0; LONG]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        read += count;
    }
    read
}

#[test]
fn the_web_address_ends_connections_whose_answers_nobody_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    // As long as a name may be.
    let sites: String = (0..SITES)
        .map(|number| format!("[[site]]\nid = \"{number:x>64}\"\nhosts = [\"site-{number}.example\"]\n"))
        .collect();
    let text = format!("[storage]\nurl = \"http://127.0.0.1:9\"\n{sites}");
    std::fs::write(dir.path().join("metka.toml"), text).expect("written");
    let server = Server::start(dir.path(), &[]);
    let whole = http::exchange(server.web, &scrape("Connection: close\r\n")).body.len();
    assert!(whole > LONG, "{whole} bytes are too few to be left unread");
    at_rest(&server);
    let idle = descriptors(&server);
    let held = || descriptors(&server).saturating_sub(idle);

    let (one, many) = (scrape("Connection: close\r\n"), scrape("").repeat(PIPELINED));
    let clients: Vec<TcpStream> =
        (0..2 * CLIENTS).map(|number| asking(&server, [&one, &many][number % 2])).collect();
    wait_for("the server to have them all", || (held() >= 2 * CLIENTS - SLACK).then_some(()));
    wait_for("the server to let go of them all", || (held() <= SLACK).then_some(()));
    for (number, stream) in clients.into_iter().enumerate() {
        let (read, asked) = (rest(stream), [1, PIPELINED][number % 2] * whole);
        assert!(read < asked, "client {number} was sent all that it asked for: {read} of {asked} bytes");
    }
    let reply = http::exchange(server.web, &scrape("Connection: close\r\n"));
    assert_eq!((reply.status, reply.body.len() > LONG), (200, true), "whoever reads gets all of it");
    println!("{} clients that read nothing of {whole} bytes were let go", 2 * CLIENTS);
    assert_eq!(server.terminate().0, Some(0));
}
