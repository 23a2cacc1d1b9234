//! Certificates change while the server runs.

use metka::accept::Limits;
use rustix::process::Signal;

use crate::collector::Collector;
use crate::pem::Pair;
use crate::server::{Server, wait_for};
use crate::tls::{Client, H1, H2};
use crate::{NAME, PAGE, block_on, configured};

/// Puts another pair in the place of this one, as an ACME client does: each file
/// at once, one after the other.
fn replace(place: &Pair, by: &Pair) {
    for (from, to) in [(&by.certificate, &place.certificate), (&by.key, &place.key)] {
        let beside = to.with_extension("new");
        std::fs::copy(from, &beside).expect("copied");
        std::fs::rename(&beside, to).expect("renamed");
    }
}

#[test]
fn a_hang_up_and_a_change_of_the_files_renew_both_addresses_and_broken_files_do_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = |name: &str| Pair::elliptic(dir.path(), name, NAME);
    let (first, second, third, place) = (made("first"), made("second"), made("third"), made("place"));
    replace(&place, &first);
    let web = format!(
        "[web]\npublic_url = \"https://{NAME}\"\ntls_certificate_file = {:?}\ntls_key_file = {:?}\n",
        place.certificate, place.key
    );
    let config = configured(&place)
        .replace("[[site]]", &format!("{web}[[site]]"))
        .replace(&format!("public_url = \"https://{NAME}\"\n"), "");
    std::fs::write(dir.path().join("metka.toml"), config).expect("written");
    let server = Server::start(dir.path(), &[]);
    let serves = |pair: &Pair| {
        [server.collect, server.web].map(|address| {
            let client = Client::new(address, pair, NAME, &[H2, H1]);
            block_on(client.get("/health")).is_ok_and(|reply| reply.status == 200)
        })
    };
    assert_eq!(serves(&first), [true; 2]);
    // A connection that is open goes on with what it began with.
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = Client::new(server.collect, &first, NAME, &[H2]);
    let mut open = runtime.block_on(client.open()).expect("a connection");

    replace(&place, &second);
    server.signal(Signal::HUP);
    wait_for("the second certificate", || (serves(&second) == [true; 2]).then_some(()));
    assert_eq!(serves(&first), [false; 2], "the first is still served");
    assert!(runtime.block_on(open.get(NAME, PAGE)).is_ok(), "an open connection was cut");

    // The key of another certificate: named, and nothing changes.
    std::fs::copy(&third.certificate, &place.certificate).expect("copied");
    server.signal(Signal::HUP);
    wait_for("the mistake in the log", || {
        let log = server.log.lock().expect("free");
        (log.contains("place.key: its key is not the one of the certificate in")
            && log.contains("the old certificate stays in force"))
        .then_some(())
    });
    assert_eq!(serves(&second), [true; 2]);

    // Mended without a signal.
    replace(&place, &third);
    wait_for("the third certificate, by itself", || (serves(&third) == [true; 2]).then_some(()));
    let metrics = Client::new(server.web, &third, NAME, &[H1]);
    let token = server.command(&["token", "create", "--name", "test", "--role", "viewer"]);
    let request = hyper::Request::builder()
        .header("authorization", format!("Bearer {}", token["token"].as_str().expect("a token")));
    let reply = block_on(async {
        let mut sender = metrics.open().await.expect("a connection");
        sender.send(NAME, request, "/metrics", bytes::Bytes::new()).await.expect("an answer")
    });
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    for address in ["collect", "web"] {
        let line = format!("metka_tls_certificate_expires_seconds{{address=\"{address}\"}} ");
        let expires = text.lines().find_map(|found| found.strip_prefix(&line)).expect("the metric");
        let left = expires.parse::<i64>().expect("a number") - jiff::Timestamp::now().as_second();
        assert_eq!(left / 86_400, 89, "{address}");
    }
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_look_at_the_files_takes_them_once_and_says_a_fault_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, second) =
        (Pair::elliptic(dir.path(), "first", NAME), Pair::elliptic(dir.path(), "second", NAME));
    let place = Pair::elliptic(dir.path(), "place", NAME);
    replace(&place, &first);
    let files = metka::config::TlsFiles { certificate: place.certificate.clone(), key: place.key.clone() };
    let terminator = metka::tls::Terminator::open("collect", &files).expect("a certificate");
    let before = terminator.expires();
    terminator.look();
    assert_eq!(terminator.expires(), before);
    std::fs::remove_file(&place.key).expect("removed");
    assert!(terminator.load().is_err());
    terminator.look();
    terminator.look();
    assert_eq!(terminator.expires(), before, "the old certificate stays");
    replace(&place, &second);
    terminator.look();
    assert!(terminator.load().is_ok());
    // What is served after all that is the second.
    let collector = Collector::start(&configured(&place), Limits::default());
    let client = Client::new(collector.address, &second, NAME, &[H2]);
    assert!(block_on(client.get(PAGE)).is_ok());
}
