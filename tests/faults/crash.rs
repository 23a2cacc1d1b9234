//! `kill -9` of the collector under load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::load::{Load, Seen};
use crate::server::{PATIENCE, Server, wait_for};
use crate::{configured, faults, figures};

const CLIENTS: u64 = 8;
/// The fewest answers before a kill, and how many more there may be.
const ANSWERS: (u64, u64) = (20, 600);

#[test]
fn every_answered_hit_is_stored_exactly_once_through_kill_nine() {
    let kills = faults(50, 1000);
    let dir = configured(2, "300ms", "");
    let numbers = Arc::new(AtomicU64::new(0));
    let mut seen = Seen::default();
    let mut ready = Vec::new();
    for kill in 0..kills {
        let begun = Instant::now();
        let server = Server::start(dir.path(), &[]);
        wait_for("readiness", || healthy(server.web).then_some(()));
        ready.push(begun.elapsed());
        let load = Load::start(server.collect, CLIENTS, Duration::ZERO, &numbers);
        // At other moments of the life of a batch each time: some kills meet an engine
        // that is still starting, others an insert on its way, others a count.
        let goal = ANSWERS.0 + kill * 331 % ANSWERS.1 + if kill % 10 == 9 { 4 * ANSWERS.1 } else { 0 };
        wait_for("answers", || (load.answers() >= goal).then_some(()));
        server.kill();
        seen.add(load.join());
    }
    assert!(
        seen.unanswered.len() as u64 >= kills,
        "the kills met no open request: {} of {kills}",
        seen.unanswered.len()
    );

    let server = Server::start(dir.path(), &[]);
    let counts = server.settled("clinic");
    let outcome = seen
        .compare(&server.rows("SELECT path, count() FROM metka.hits WHERE site = 'clinic' GROUP BY path"));
    println!("{kills} kills of the collector: {outcome}; answering {} after the start", figures(&mut ready));
    outcome.assert_exact();
    // The counters of the data directory agree with the table after all those crashes.
    assert_eq!(counts["stored"].as_u64(), Some(outcome.stored as u64), "{counts}");
    assert_eq!(counts["received"], counts["stored"], "{counts}");
    assert_eq!(server.terminate().0, Some(0));
}

/// Whether `/health` answers 200.
fn healthy(web: SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(web)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}
