//! What an idle connection costs in memory, of bare hyper and of Metka.
//!
//! Each server is a process of its own. When it has answered a round of requests and
//! keeps no connection, its resident memory is read; then so many connections are
//! opened, each sends one request and stays; then it is read again. The kernel's
//! buffers are not in it.
//!
//! Metka runs from a copy of the binary beside which no geo database and no rules for
//! user agents are found: what it takes before the connections is its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::Semaphore;

use super::client::Connection;
use super::options::Idle;
use super::plan::{self, Request};
use super::run::{self, Target};
use super::server::Server;
use super::{bare, client, process};

/// Connections that are opened, or send, at the same time.
const AT_ONCE: usize = 64;
/// Connections from one source address: far fewer than it has ports.
const PER_SOURCE: usize = 5000;
/// Connections for which there is one hit thread; a thread takes 8,192.
const PER_THREAD: u32 = 5000;
/// Files that a server has open besides.
const OTHER_FILES: u64 = 1000;
/// What a server frees after its last answer, it has freed by then. Idle connections
/// are closed after 30 s.
const SETTLE: Duration = Duration::from_secs(2);

/// Resident bytes of one server.
struct Measured {
    before: u64,
    with: u64,
    /// Per connection.
    each: f64,
}

/// `load idle`.
pub fn idle(options: &Idle) -> anyhow::Result<()> {
    process::allow_files(u64::from(options.connections) + OTHER_FILES)?;
    let dir = tempfile::tempdir()?;
    let (bare, bare_address) = bare::start()?;
    let server = start(dir.path(), options.connections)?;
    let pid = server.child.id();
    let plain = plan::plain_requests(&options.mix, true);
    let of_bare = measure(bare_address, bare.0.id(), &plain, options.connections)?;
    let target = Target { address: server.collect, pid: Some(pid) };
    let (_, requests) = run::requests(&target, "clinic", &options.mix, true)?;
    let of_metka = measure(server.collect, pid, &requests, options.connections)?;
    let ratio = of_metka.each / of_bare.each;
    println!(
        "{} connections after one request each\n\n\
         | server | MiB before | MiB with them | bytes per connection | of bare hyper |\n\
         |---|---:|---:|---:|---:|",
        options.connections
    );
    for (name, measured) in [("bare hyper", &of_bare), ("Metka, its collector process", &of_metka)] {
        println!(
            "| {name} | {:.1} | {:.1} | {:.0} | {:.2} |",
            measured.before as f64 / f64::from(1 << 20),
            measured.with as f64 / f64::from(1 << 20),
            measured.each,
            measured.each / of_bare.each,
        );
    }
    if let Some(bound) = options.at_most {
        ensure!(
            ratio <= bound,
            "an idle connection costs {ratio:.2} times bare hyper's, at most {bound} are allowed"
        );
    }
    Ok(())
}

/// Starts a copy of the built binary that finds nothing but the engine.
fn start(dir: &Path, connections: u32) -> anyhow::Result<Server> {
    let library = metka::engine::library::find(None)?;
    let config = run::config("fsync")
        .replace("threads = 1", &format!("threads = {}", connections.div_ceil(PER_THREAD)));
    std::fs::write(dir.join("metka.toml"), format!("{config}[engine]\nlibrary = {library:?}\n"))?;
    let binary = dir.join("metka");
    std::fs::copy(env!("CARGO_BIN_EXE_metka"), &binary).context("a copy of the binary")?;
    let mut command = Command::new(binary);
    command.args(["serve", "--config", "metka.toml"]);
    Ok(Server::start_by(command, dir))
}

fn measure(address: SocketAddr, pid: u32, requests: &[Request], count: u32) -> anyhow::Result<Measured> {
    let requests: Rc<Vec<Vec<u8>>> = Rc::new(requests.iter().map(|request| request.bytes.clone()).collect());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut warm = Vec::new();
        for _ in 0..AT_ONCE {
            warm.push(Connection::open(address).await?);
        }
        drop(client::send(warm, requests.clone(), 1).await.context("warming up")?);
        tokio::time::sleep(SETTLE).await;
        let before = process::resident(pid)?;
        let connections = open(address, requests, count as usize).await?;
        tokio::time::sleep(SETTLE).await;
        let with = process::resident(pid)?;
        let closed = connections.iter().filter(|connection| !connection.is_open()).count();
        ensure!(closed == 0, "{address} has closed {closed} of {count} connections");
        let each = (with as f64 - before as f64) / f64::from(count);
        Ok(Measured { before, with, each })
    })
}

/// Opens the connections; each sends one request.
async fn open(
    address: SocketAddr,
    requests: Rc<Vec<Vec<u8>>>,
    count: usize,
) -> anyhow::Result<Vec<Connection>> {
    let turn = Rc::new(Semaphore::new(AT_ONCE));
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..count {
        let (turn, requests) = (turn.clone(), requests.clone());
        opening.spawn_local(async move {
            let _turn = turn.acquire().await?;
            let source = Ipv4Addr::new(127, 0, 0, u8::try_from(1 + number / PER_SOURCE)?);
            let mut connection = Connection::open_from(source, address).await?;
            connection.send(&requests[number % requests.len()]).await?;
            anyhow::Ok(connection)
        });
    }
    let mut connections = Vec::with_capacity(count);
    while let Some(opened) = opening.join_next().await {
        connections.push(opened.context("a connection")??);
    }
    Ok(connections)
}
