//! What both addresses say about Global Privacy Control.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::json;

use crate::http::{exchange, get};
use crate::server::{Server, wait_for};
use crate::{CONFIG, configure, configured};

#[test]
fn both_addresses_say_whether_the_signal_is_respected_and_since_when_that_holds() {
    let dir = configured();
    // 2001-09-09, 01:46:40 UTC.
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options().append(true).open(dir.path().join("metka.toml")).expect("a file");
    file.set_modified(written).expect("dated");
    let server = Server::start(dir.path(), &[]);
    let ask = || {
        [server.collect, server.web].map(|address| {
            let reply = exchange(address, &get("/.well-known/gpc.json", &[]));
            assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
            reply.json()
        })
    };
    let yes = json!({"gpc": true, "lastUpdate": "2001-09-09"});
    assert_eq!(ask(), [yes.clone(), yes]);

    configure(dir.path(), &format!("{CONFIG}signals = \"ignore\"\n"));
    file.set_modified(written + Duration::from_secs(86_400)).expect("dated");
    server.signal(Signal::HUP);
    let no = json!({"gpc": false, "lastUpdate": "2001-09-10"});
    wait_for("the new statement", || (ask() == [no.clone(), no.clone()]).then_some(()));
}
