//! Clients that take all the time they can get: heads and bodies byte by byte,
//! answers that are not read. Others are served as before.
//!
//! Two servers run side by side, one attacked and one left alone; the same honest
//! clients ask both in turn, so that what the machine does otherwise reaches both
//! alike, and what is left is a ratio.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{interval, timeout};

use crate::http::{Connection, get};
use crate::server::{Server, wait_for};
use crate::{PAGE, at_rest, megabytes, resident_at_rest, serve, sized};

/// Slow clients at once.
const SLOW_CLIENTS: usize = 2_000;
/// How often a slow client moves: often enough to look alive.
const STEP: Duration = Duration::from_secs(1);
/// Honest clients at once.
const HONEST: usize = 4;
/// The buffer for what is not read, in bytes: small, so that it is soon full.
const READ_BUFFER: u32 = 4096;
/// Answers that a client asks for and does not read. The kernel holds most of them; one
/// that has filled the server's own buffer, too, is a test of the collect address.
const UNREAD: usize = 30;
/// What a slow connection may hold: the server's buffer of a head, and an answer.
const MAX_HELD_BYTES: i64 = 100 << 10;

/// What a slow client is slow at.
#[derive(Clone, Copy)]
enum Slow {
    Head,
    Body,
    Read,
}

/// What became of the slow clients.
#[derive(Default)]
struct Tally {
    connected: AtomicUsize,
    /// Ended by the server, by [`Slow`].
    ended: [AtomicUsize; 3],
    /// Says that they are to end, by [`Slow`].
    stop: [AtomicBool; 3],
}

/// As many descriptors as the system allows this process.
fn raise_descriptor_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the limit on open files is raised");
    limit.maximum.unwrap_or(u64::MAX)
}

/// Descriptors that the server's process has open.
pub fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).expect("the server runs").count()
}

/// Is slow, and comes back whenever the server has ended it.
async fn slow(address: SocketAddr, kind: Slow, tally: Arc<Tally>) {
    while !tally.stop[kind as usize].load(Relaxed) {
        slow_once(address, kind, &tally).await;
    }
}

async fn slow_once(address: SocketAddr, kind: Slow, tally: &Tally) {
    let socket = TcpSocket::new_v4().expect("a socket");
    if matches!(kind, Slow::Read) {
        socket.set_recv_buffer_size(READ_BUFFER).expect("a small buffer");
    }
    let mut stream = socket.connect(address).await.expect("the server accepts connections");
    tally.connected.fetch_add(1, Relaxed);
    let opening = match kind {
        Slow::Head => b"GET /pixel.gif HTTP/1.1\r\nHost: x\r\nX-Slow: ".to_vec(),
        Slow::Body => {
            b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 900000\r\n\r\n"
                .to_vec()
        }
        Slow::Read => get("/privacy?s=clinic", &[]).repeat(UNREAD),
    };
    // What the server does not take waits: that is the point.
    let _ = timeout(STEP, stream.write_all(&opening)).await;
    let mut tick = interval(STEP);
    while !tally.stop[kind as usize].load(Relaxed) {
        tick.tick().await;
        let alive = match kind {
            Slow::Head | Slow::Body => stream.write_all(b" ").await.is_ok(),
            Slow::Read => !matches!(timeout(STEP, stream.read(&mut [0])).await, Ok(Ok(0) | Err(_))),
        };
        if !alive {
            tally.ended[kind as usize].fetch_add(1, Relaxed);
            return;
        }
    }
}

/// Asks both servers in turn, and gives how long each answer took.
fn honest(addresses: [SocketAddr; 2], requests: usize) -> [Vec<Duration>; 2] {
    let mut connections = addresses.map(Connection::open);
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..requests {
        for (connection, took) in connections.iter_mut().zip(&mut took) {
            let asked = Instant::now();
            assert!(connection.send(&get(PAGE, &[])), "an honest connection was closed");
            let reply = connection.reply(false);
            took.push(asked.elapsed());
            assert_eq!((reply.status, reply.header("x-metka")), (200, Some("ok")));
        }
    }
    took
}

/// So many of a hundred took at most this.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[test]
fn thousands_of_slow_clients_are_ended_and_hold_up_nobody() {
    let requests = sized(250, 5_000);
    let descriptors_allowed = raise_descriptor_limit();
    assert!(
        descriptors_allowed > SLOW_CLIENTS as u64 + 1000,
        "the system allows {descriptors_allowed} open files: too few for {SLOW_CLIENTS} clients"
    );
    let (quiet, _quiet_dir) = serve("threads = 2");
    let (attacked, _attacked_dir) = serve("threads = 2");
    let before = resident_at_rest(&attacked);
    let idle_descriptors = descriptors(&attacked);

    let tally = Arc::new(Tally::default());
    let crowd = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    for number in 0..SLOW_CLIENTS {
        let kind = [Slow::Head, Slow::Body, Slow::Read][number % 3];
        crowd.spawn(slow(attacked.collect, kind, tally.clone()));
    }
    let held = || descriptors(&attacked).saturating_sub(idle_descriptors);
    wait_for("the crowd to connect", || (tally.connected.load(Relaxed) >= SLOW_CLIENTS).then_some(()));
    // Some of them have been ended and come back meanwhile.
    let crowded = || (held() >= SLOW_CLIENTS * 3 / 4).then_some(());
    wait_for("the server to have nearly all", crowded);

    // What the readers have asked for is made until their buffers are full: work, but not slowness.
    let bytes = (at_rest(&attacked) - before) / SLOW_CLIENTS as i64;

    let addresses = [quiet.collect, attacked.collect];
    let clients: Vec<_> =
        (0..HONEST).map(|_| std::thread::spawn(move || honest(addresses, requests))).collect();
    let mut took = [Vec::new(), Vec::new()];
    for client in clients {
        for (all, one) in took.iter_mut().zip(client.join().expect("every answer of success")) {
            all.extend(one);
        }
    }
    // Ended ones come back: the crowd was there to the end, and is.
    wait_for("the crowd to be back", crowded);
    took.iter_mut().for_each(|took| took.sort());
    let [alone, beside] = [&took[0], &took[1]].map(|took| percentile(took, 99));
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!(
        "{SLOW_CLIENTS} slow clients, {} honest requests to each server, all answered: p50 {:?} alone and {:?} beside \
         them, p99 {alone:?} and {beside:?}, ratio {ratio:.2}; {bytes} bytes for each",
        took[0].len(),
        percentile(&took[0], 50),
        percentile(&took[1], 50),
    );
    assert!(bytes < MAX_HELD_BYTES, "{bytes} bytes for each slow client");
    // Only where nothing else is measured at the same time does the figure say something.
    assert!(sized(true, ratio <= 2.0), "p99 is {ratio:.2} times as long beside slow clients");

    // Heads after 30 s, bodies after 15.
    let each = SLOW_CLIENTS / 3;
    for kind in [Slow::Head, Slow::Body] {
        let ended = || tally.ended[kind as usize].load(Relaxed);
        wait_for("the server to end them", || (ended() >= each).then_some(()));
        tally.stop[kind as usize].store(true, Relaxed);
    }
    let let_go = || (held() <= 8).then_some(());
    if sized(false, true) {
        // Who does not read does not see the end either, since what was sent comes before it.
        wait_for("the server to let go of those who do not read", let_go);
    }
    tally.stop[Slow::Read as usize].store(true, Relaxed);
    crowd.shutdown_background();
    wait_for("the server to let go of them all", let_go);
    let ended: Vec<usize> = tally.ended.iter().map(|ended| ended.load(Relaxed)).collect();
    let rest = resident_at_rest(&attacked) - before;
    println!(
        "ended by the server: {ended:?} of heads, bodies and reads; {} more memory at the end",
        megabytes(rest)
    );
    assert_eq!(attacked.terminate().0, Some(0));
    assert_eq!(quiet.terminate().0, Some(0));
}
