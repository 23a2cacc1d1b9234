//! How many times a hit allocates, above what bare hyper does for any request.
//!
//! Both servers run in this process, each on a thread of its own; what the client
//! allocates is not counted. Allocations are counted exactly: a noisy machine does
//! not change the figures.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use anyhow::{Context, ensure};
use metka::accept::Limits;

use super::collector::Collector;
use super::options::Allocations;
use super::run::{self, Target};
use super::{bare, client};

/// Rounds of all requests before counting: buffers grow to their size, caches fill.
const WARM_UP_ROUNDS: usize = 2;
/// Rounds that are counted.
const COUNTED_ROUNDS: usize = 5;
/// Requests whose allocations are named: slow work.
const NAMED: usize = 500;

/// Counts what every thread but the client's asks for, once it is told to.
pub struct Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static NAMING: AtomicBool = AtomicBool::new(false);
static PLACES: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count(bytes: usize) {
    if COUNTING.load(Relaxed) && !IS_CLIENT.get() {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
        if NAMING.load(Relaxed) {
            // What naming allocates is not the server's.
            IS_CLIENT.set(true);
            name_place();
            IS_CLIENT.set(false);
        }
    }
}

/// Notes which line of ours asked for memory, or which function where none of ours
/// is in the trace.
fn name_place() {
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    let lines = || trace.lines().map(str::trim);
    let ours = lines().find_map(|line| line.strip_prefix("at ./src/"));
    let others = || {
        let names = lines().filter_map(|line| line.split_once(": ")).map(|(_, name)| name);
        names.into_iter().find(|name| name.contains("hyper") || name.contains("tokio"))
    };
    let place = ours.map(str::to_owned).or_else(|| others().map(str::to_owned));
    let mut places = PLACES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *places.entry(place.unwrap_or_else(|| "elsewhere".to_owned())).or_default() += 1;
}

// SAFETY: every call is passed on as it is to the system's allocator; counting
// allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// `load allocations`.
pub fn allocations(options: &Allocations) -> anyhow::Result<()> {
    IS_CLIENT.set(true);
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let bare = listener.local_addr()?;
    std::thread::spawn(move || bare::serve(listener));
    let collector = Collector::start(&run::config("fsync"), Limits::default());
    let target = Target { address: collector.address, pid: None };
    println!("| request | allocations | above bare hyper | bytes |\n|---|---:|---:|---:|");
    let mut rows: Vec<f64> = Vec::new();
    for (name, shares, address) in [
        ("bare hyper, the pixel's requests", [1, 0, 0], bare),
        ("Metka `/pixel.gif`", [1, 0, 0], collector.address),
        ("Metka `POST /event`, one event", [0, 1, 0], collector.address),
        ("Metka `POST /event`, 50 events", [0, 0, 1], collector.address),
    ] {
        let [pixels, ..] = shares;
        if options.pixel && pixels == 0 {
            continue;
        }
        let (_, requests) = run::requests(&target, "clinic", &options.mix.with_shares(shares), true)?;
        let requests = Rc::new(requests.into_iter().map(|request| request.bytes).collect::<Vec<_>>());
        let (each, bytes) = counted(address, &requests, COUNTED_ROUNDS)?;
        rows.push(each);
        println!("| {name} | {each:.1} | {:.1} | {bytes:.0} |", each - rows[0]);
        if options.places {
            NAMING.store(true, Relaxed);
            counted(address, &Rc::new(requests[..NAMED].to_vec()), 1)?;
            NAMING.store(false, Relaxed);
            print_places();
        }
    }
    let above = rows[1] - rows[0];
    if let Some(bound) = options.at_most {
        ensure!(
            above <= bound,
            "a pixel allocates {above:.1} times above bare hyper, at most {bound} are allowed"
        );
    }
    Ok(())
}

fn print_places() {
    let places = std::mem::take(&mut *PLACES.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let mut places: Vec<(String, u64)> = places.into_iter().collect();
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (place, count) in places {
        println!("    {:>6.2} {place}", count as f64 / NAMED as f64);
    }
}

/// Allocations, and bytes of them, for each request of so many rounds.
fn counted(address: SocketAddr, requests: &Rc<Vec<Vec<u8>>>, rounds: usize) -> anyhow::Result<(f64, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let connections = vec![client::Connection::open(address).await?];
        let connections = client::send(connections, requests.clone(), WARM_UP_ROUNDS).await?;
        let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
        COUNTING.store(true, Relaxed);
        client::send(connections, requests.clone(), rounds).await.context("while counting")?;
        COUNTING.store(false, Relaxed);
        let count = (requests.len() * rounds) as f64;
        let each = |after: u64, before: u64| (after - before) as f64 / count;
        Ok((each(ALLOCATIONS.load(Relaxed), before.0), each(BYTES.load(Relaxed), before.1)))
    })
}
