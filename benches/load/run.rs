//! Loads one server: that of the command line, or the built binary on a directory
//! of its own, whose rows are counted afterwards.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use anyhow::{Context, bail, ensure};

use super::client::{self, Outcome};
use super::options::{Load, Mix, Run};
use super::plan::{self, Request};
use super::process::{self, Core};
use super::report::{Report, Used};
use super::server::Server;

/// Requests that mint cookies, at once.
const MINTING: usize = 32;

/// A collector and what is known of it.
pub struct Target {
    pub address: SocketAddr,
    pub pid: Option<u32>,
}

/// `load run`.
pub fn run(options: &Run) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = match options.target {
        Some(target) => {
            ensure!(
                target.ip().is_loopback() || options.allow_remote,
                "{target} is not this machine: --allow-remote loads it all the same"
            );
            None
        }
        None => {
            if !options.load.no_pin {
                process::pin(Core::First)?;
            }
            Some(start(dir.path(), &options.durability)?)
        }
    };
    let target = match (&server, options.target) {
        (Some(server), _) => Target { address: server.collect, pid: Some(server.child.id()) },
        (None, Some(address)) => Target { address, pid: options.pid },
        (None, None) => bail!("no target"),
    };
    if !options.load.no_pin {
        process::pin(Core::Last)?;
    }
    let asking = options.dashboard.then(|| server.as_ref().map(Dashboard::ask)).flatten();
    let (minted, requests) =
        requests(&target, &options.site, &options.load.mix, !options.load.no_keep_alive)?;
    let (outcome, used) = load(&target, &requests, options.rate, &options.load)?;
    let asked = asking.map(Dashboard::end);
    let mut report = Report {
        outcome: &outcome,
        hits_per_request: plan::hits_per_request(&requests),
        rate: options.rate,
        connections: options.load.connections,
        used,
        minted,
        stored: None,
    };
    if let Some(server) = &server {
        report.stored = Some(stored(server, &options.site)?);
    }
    print!("{}", report.text());
    if let Some(asked) = asked {
        println!("{:<22} {asked} questions answered meanwhile", "dashboard");
    }
    report.write(options.json.as_deref(), options.html.as_deref())?;
    ensure_stored(&report)
}

/// Fails unless every hit that was answered as kept is stored once.
pub fn ensure_stored(report: &Report) -> anyhow::Result<()> {
    let Some((rows, different)) = report.stored else { return Ok(()) };
    let kept = report.kept();
    ensure!(rows == different, "{rows} rows are of {different} hits: some are stored twice");
    // A request without an answer may have been kept.
    let unanswered: u64 = report.outcome.errors.values().sum();
    ensure!(
        (kept..=kept + unanswered).contains(&rows),
        "{kept} hits were answered as kept, {rows} are stored"
    );
    println!("every hit that was answered as kept is stored once");
    Ok(())
}

/// Starts the built binary, where this thread runs.
pub fn start(dir: &std::path::Path, durability: &str) -> anyhow::Result<Server> {
    ensure!(["fsync", "write"].contains(&durability), "{durability}: expected fsync or write");
    std::fs::write(dir.join("metka.toml"), config(durability))?;
    let server = Server::start(dir, &[]);
    // The engine is a process of its own, which runs where there is room.
    process::unpin_children(server.child.id());
    Ok(server)
}

/// The configuration of a server that is loaded: nothing in it refuses.
pub fn config(durability: &str) -> String {
    format!(
        "[collect]\nthreads = 1\ndurability = \"{durability}\"\nrate_limit_per_minute = 0\n\
         rate_limit_network_per_minute = 0\n\
         [[site]]\nid = \"clinic\"\nhosts = [\"clinic.example\"]\n"
    )
}

/// The requests of the mix, with cookies of the target's own; and how many hits
/// that took.
pub fn requests(
    target: &Target,
    site: &str,
    mix: &Mix,
    keep_alive: bool,
) -> anyhow::Result<(u64, Vec<Request>)> {
    let visitors = plan::visitors(mix);
    let cookies = RefCell::new(vec![None; visitors.len()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let next = RefCell::new(0..visitors.len());
        let mint = || async {
            loop {
                let Some(number) = next.borrow_mut().next() else { return anyhow::Ok(()) };
                if !visitors[number].keeps_cookies {
                    continue;
                }
                let request = plan::pixel(&visitors[number], None, site, 0, false);
                let answer = client::ask(target.address, &request).await?;
                let said = answer.x_metka.as_deref().unwrap_or("nothing");
                let cookie = answer.cookie.with_context(|| {
                    format!("{}: no cookie for a new visitor of {site}; it said {said}", target.address)
                })?;
                cookies.borrow_mut()[number] = Some(cookie);
            }
        };
        let all: Vec<_> = (0..MINTING).map(|_| mint()).collect();
        for one in all {
            one.await?;
        }
        anyhow::Ok(())
    })?;
    let cookies = cookies.into_inner();
    let minted = cookies.iter().flatten().count() as u64;
    let made = plan::requests(mix, &visitors, &cookies, site, keep_alive);
    Ok((minted, made))
}

/// One measured load, and what it cost the target.
pub fn load(
    target: &Target,
    requests: &[Request],
    rate: Option<f64>,
    options: &Load,
) -> anyhow::Result<(Outcome, Option<Used>)> {
    let edges = RefCell::new(Vec::new());
    let family = target.pid.map(process::family).unwrap_or_default();
    let on_edge = || {
        let Some(pid) = target.pid else { return };
        let collector = process::cpu_ns(&BTreeSet::from([pid]));
        edges.borrow_mut().push((collector, process::cpu_ns(&family)));
    };
    let live = std::io::stderr().is_terminal();
    let on_second = |answered: u64| {
        if live {
            eprint!("\r{answered:>9} requests/s ");
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(client::run(&client::Load {
        target: target.address,
        requests,
        connections: options.connections,
        rate,
        warm_up: options.warm_up,
        duration: options.duration,
        keep_alive: !options.no_keep_alive,
        on_edge: &on_edge,
        on_second: &on_second,
    }))?;
    if live {
        eprintln!();
    }
    let used = match (target.pid, edges.into_inner().as_slice()) {
        (Some(pid), [begin, end]) => {
            let collector_ns = end.0 - begin.0;
            Some(Used {
                collector_ns,
                others_ns: (end.1 - begin.1).saturating_sub(collector_ns),
                memory: process::memory(pid)?,
            })
        }
        _ => None,
    };
    Ok((outcome, used))
}

/// The site's rows when everything has arrived, and how many hits they are.
pub fn stored(server: &Server, site: &str) -> anyhow::Result<(u64, u64)> {
    server.settled(site);
    let rows = server.rows(&format!(
        "SELECT toUInt64(count()), uniqExact(batch, row) FROM metka.hits WHERE site = '{site}'"
    ));
    let number = |at: usize| -> Option<u64> {
        let value = rows.first()?.get(at)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    number(0).zip(number(1)).context("storage gave no numbers")
}

/// Somebody who looks at a dashboard all the while.
pub struct Dashboard {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

// === impl Dashboard ===

impl Dashboard {
    pub fn ask(server: &Server) -> Dashboard {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (storage, stopped, count) = (server.storage(), stop.clone(), asked.clone());
        let thread = std::thread::spawn(move || {
            // Not beside the collector: a person's questions reach the engine, which is anywhere.
            let _ = process::pin(Core::Any);
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            let site = metka::config::Site::with_defaults("clinic", &["clinic.example"]);
            let settings = metka::settings::Settings::default();
            let mut limits = (1..=10_000).cycle();
            while !stopped.load(Relaxed) {
                for dimensions in [
                    serde_json::json!([]),
                    serde_json::json!(["event:page"]),
                    serde_json::json!(["visit:source"]),
                ] {
                    let question = serde_json::json!({
                        "site_id": "clinic", "metrics": ["visitors", "visits", "pageviews", "bounce_rate"],
                        "date_range": "day", "dimensions": dimensions,
                        // Another question each time: an answer that is remembered asks nothing.
                        "pagination": { "limit": limits.next() },
                    });
                    let answer =
                        metka::query::run(&storage, &site, &settings, &question, jiff::Timestamp::now());
                    if runtime.block_on(answer).is_ok() {
                        count.fetch_add(1, Relaxed);
                    }
                }
            }
        });
        Dashboard { stop, asked, thread }
    }

    /// How many questions were answered.
    pub fn end(self) -> u64 {
        self.stop.store(true, Relaxed);
        // A thread that panicked has printed why.
        let _ = self.thread.join();
        self.asked.load(Relaxed)
    }
}
