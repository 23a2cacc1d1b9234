//! Both protocols, both versions of TLS, limits, the PROXY protocol before TLS.

use std::io::{Read, Write};

use bytes::Bytes;
use hyper::{Request, StatusCode, Version};
use metka::accept::Limits;
use metka::tls::Accepted;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::collector::Collector;
use crate::pem::Pair;
use crate::server::wait_for;
use crate::tls::{Client, H1, H2};
use crate::{NAME, PAGE, block_on, configured};

#[test]
fn hits_come_by_both_protocols_and_both_versions_of_tls() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, key) in [
        ("p256", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"][..]),
        ("p384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]),
        ("rsa", &["-newkey", "rsa:2048"]),
        ("ed25519", &["-newkey", "ed25519"]),
    ] {
        let pair = Pair::new(dir.path(), name, NAME, key);
        let collector = Collector::start(&configured(&pair), Limits::default());
        let mut hits = 0;
        for version in [&TLS12, &TLS13] {
            for (protocols, expected) in
                [(&[H2, H1][..], Version::HTTP_2), (&[H1], Version::HTTP_11), (&[], Version::HTTP_11)]
            {
                let client = Client::with_versions(collector.address, &pair, NAME, protocols, &[version]);
                let reply = block_on(client.get(PAGE)).expect("an answer");
                assert_eq!((reply.status, reply.version), (StatusCode::OK, expected), "{name}");
                assert_eq!(reply.header("x-metka"), Some("ok"), "{name}");
                assert_eq!(reply.body.len(), 43);
                let cookie = reply.header("set-cookie").expect("a cookie");
                assert!(cookie.starts_with("__Host-metka=") && cookie.contains("; Secure"), "{cookie}");
                hits += 1;
            }
        }
        assert_eq!(collector.shared.counts().handshakes_failed, 0);
        assert_eq!(collector.finish().len(), hits, "{name}");
    }
}

#[test]
fn a_visitor_who_comes_back_is_spared_the_handshake_also_after_a_renewal() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "stats", NAME);
    let files = metka::config::TlsFiles { certificate: pair.certificate.clone(), key: pair.key.clone() };
    let terminator = metka::tls::Terminator::open("collect", &files).expect("a certificate");
    for version in [&TLS12, &TLS13] {
        let client = Client::with_versions(([127, 0, 0, 1], 0).into(), &pair, NAME, &[H1], &[version]);
        let visit = async || {
            let (near, far) = tokio::io::duplex(16 << 10);
            let name = tokio_rustls::rustls::pki_types::ServerName::try_from(NAME).expect("a name");
            let connector = tokio_rustls::TlsConnector::from(client.config.clone());
            let (near, far) = tokio::join!(connector.connect(name, near), terminator.accept(far));
            let (mut near, Some(Accepted::Http1(mut far))) = (near.expect("a handshake"), far) else {
                panic!("no handshake, or another protocol")
            };
            // The ticket comes with the first bytes.
            far.write_all(b"x").await.and(far.flush().await).expect("sent");
            near.read_exact(&mut [0]).await.expect("read");
            near.get_ref().1.handshake_kind().expect("it is over")
        };
        block_on(async {
            assert_eq!(visit().await, HandshakeKind::Full);
            assert_eq!(visit().await, HandshakeKind::Resumed);
            terminator.take(terminator.load().expect("the same files"));
            assert_eq!(visit().await, HandshakeKind::Resumed);
        });
    }
}

#[test]
fn one_http2_connection_carries_many_requests_at_once_and_their_bodies() {
    const REQUESTS: usize = 300;
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "stats", NAME);
    let collector = Collector::start(&configured(&pair), Limits::default());
    let client = Client::new(collector.address, &pair, NAME, &[H2]);
    let answered = block_on(async {
        let crate::tls::Sender::Two(sender) = client.open().await.expect("a connection") else {
            panic!("h2 was offered and not taken")
        };
        let ask = |number: usize| {
            let mut sender = crate::tls::Sender::Two(sender.clone());
            async move {
                let padding = "x".repeat(number * 10);
                let body = format!(
                    r#"{{"s":"clinic","u":"https://clinic.example/{number}","unknown":"{padding}"}}"#
                );
                let request = Request::builder().method("POST").header("content-type", "text/plain");
                let reply = sender.send(NAME, request, "/event", Bytes::from(body)).await;
                reply.expect("an answer").status
            }
        };
        // With the first answer the client knows how many streams the server takes at once.
        let first = ask(0).await;
        let mut tasks = JoinSet::from_iter([async move { first }]);
        for number in 1..REQUESTS {
            tasks.spawn(ask(number));
        }
        let answered = tasks.join_all().await;
        // While the client still holds it.
        assert_eq!(collector.shared.counts().connections, 1);
        drop(sender);
        answered
    });
    assert_eq!(answered, vec![StatusCode::ACCEPTED; REQUESTS]);
    let mut paths: Vec<String> =
        collector.finish().iter().map(|row| row["path"].as_str().expect("a path").to_owned()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), REQUESTS);
}

#[test]
fn what_is_no_handshake_is_closed_and_counted_and_so_is_one_connection_too_many() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "stats", NAME);
    let limits = Limits { connections_per_thread: 1, ..Limits::default() };
    let collector = Collector::start(&configured(&pair), limits);
    let failed = || collector.shared.counts().handshakes_failed;
    let mut expected = 0;
    for bytes in [
        &b"GET /pixel.gif HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0; 4096],
        b"",
    ] {
        let mut stream = std::net::TcpStream::connect(collector.address).expect("a connection");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("ended");
        let mut answer = Vec::new();
        // A reset is a close, too.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "answered in the clear: {}", answer.escape_ascii());
        expected += 1;
        wait_for("the failed handshake", || (failed() == expected).then_some(()));
        wait_for("its end", || (collector.shared.counts().connections == 0).then_some(()));
    }
    // A client that offers nothing we speak, one that wants another name, and one that trusts another.
    let other = Pair::elliptic(dir.path(), "other", NAME);
    for client in [
        Client::new(collector.address, &pair, NAME, &[b"spdy/3"]),
        Client::new(collector.address, &pair, "other.example", &[H2]),
        Client::new(collector.address, &other, NAME, &[H2]),
    ] {
        assert!(block_on(client.connect()).is_err());
        expected += 1;
        wait_for("the failed handshake", || (failed() == expected).then_some(()));
    }
    // A handshake that has not begun holds its place among the connections.
    let held = std::net::TcpStream::connect(collector.address).expect("a connection");
    wait_for("the silent connection", || (collector.shared.counts().connections == 1).then_some(()));
    let client = Client::new(collector.address, &pair, NAME, &[H2, H1]);
    assert!(block_on(client.get(PAGE)).is_err());
    assert_eq!(collector.shared.counts().connections_refused, 1);
    // It says nothing, and is closed for it.
    expected += 1;
    wait_for("the handshake's time to be over", || (failed() == expected).then_some(()));
    wait_for("a free place", || block_on(client.get(PAGE)).ok());
    drop(held);
    assert_eq!(collector.finish().len(), 1);
}

#[test]
fn a_proxy_that_passes_tls_through_says_who_connected_before_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "stats", NAME);
    let config = configured(&pair).replace("\"peer\"", "\"proxy-protocol\"");
    let collector = Collector::start(&config, Limits::default());
    let mut expected = Vec::new();
    for (protocol, address) in [(H1, "192.0.2.1"), (H2, "192.0.2.1"), (H2, "192.0.2.2")] {
        let mut client = Client::new(collector.address, &pair, NAME, &[protocol]);
        client.before = format!("PROXY TCP4 {address} 198.51.100.1 5 443\r\n").into_bytes();
        assert_eq!(block_on(client.get(PAGE)).expect("an answer").header("x-metka"), Some("ok"));
        expected.push(address);
    }
    // TLS at once: its hits would be the proxy's.
    let bare = Client::new(collector.address, &pair, NAME, &[H2]);
    assert!(block_on(bare.get(PAGE)).is_err());
    let rows = collector.finish();
    let visitors: Vec<&Value> = rows.iter().map(|row| &row["visitor"]).collect();
    assert_eq!(visitors.len(), expected.len());
    assert!(visitors[0] == visitors[1] && visitors[1] != visitors[2]);
}

#[test]
fn a_drain_lets_an_http2_connection_end_by_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = Pair::elliptic(dir.path(), "stats", NAME);
    let collector = Collector::start(&configured(&pair), Limits::default());
    let client = Client::new(collector.address, &pair, NAME, &[H2]);
    let rows = block_on(async {
        let mut sender = client.open().await.expect("a connection");
        assert_eq!(sender.get(NAME, PAGE).await.expect("an answer").status, StatusCode::OK);
        collector.stop();
        // Told by GOAWAY: further requests on it fail, the first one is stored.
        while sender.get(NAME, PAGE).await.is_ok() {
            tokio::task::yield_now().await;
        }
        tokio::task::spawn_blocking(move || collector.finish()).await.expect("no panic")
    });
    assert!(!rows.is_empty());
}
