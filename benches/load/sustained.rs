//! A load below saturation for minutes, with all that follows a hit: what it costs
//! the collector and the engine, and whether the backlog stays as it is.
//!
//! A short closed loop finds the rate at which the server is saturated; an open loop
//! at a share of it follows, once storage has caught up. The backlog is the rows in
//! sealed batches, as `/metrics` gives it; it rises and falls with each batch, so its
//! means over quarters of the run and the line through all samples are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::http::exchange;
use super::options::{Load, Sustained};
use super::plan;
use super::process::{self, Core};
use super::report::Report;
use super::run::{self, Dashboard, Target};
use super::server::Server;

/// The closed loop that finds saturation.
const SATURATION: Duration = Duration::from_secs(5);
const WARM_UP: Duration = Duration::from_secs(2);
/// How often the backlog is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A backlog that grows by more than this share of the hits is growing; less is what
/// the place of the first and last batch within the run makes of a flat one.
const GROWING: f64 = 0.01;
/// In less time than this, in seconds, the first batches weigh too much to tell.
const TELLING: f64 = 60.0;

/// The rows in the backlog at a time of the run.
struct Sample {
    seconds: f64,
    rows: f64,
}

/// Somebody who looks at the backlog all the while.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<Vec<Sample>>>,
}

/// `load sustained`.
pub fn sustained(options: &Sustained) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    if !options.no_pin {
        process::pin(Core::First)?;
    }
    let server = run::start(dir.path(), &options.durability)?;
    if !options.no_pin {
        process::pin(Core::Last)?;
    }
    let closed = Load {
        connections: options.connections,
        duration: SATURATION,
        warm_up: WARM_UP,
        mix: options.mix.clone(),
        no_keep_alive: false,
        no_pin: options.no_pin,
    };
    let open = Load { duration: options.minutes, ..closed.clone() };
    let target = Target { address: server.collect, pid: Some(server.child.id()) };
    let (minted, requests) = run::requests(&target, "clinic", &options.mix, true)?;
    let (saturated, _) = run::load(&target, &requests, None, &closed)?;
    ensure!(saturated.errors.is_empty(), "{:?}", saturated.errors);
    server.settled("clinic");

    let saturation = saturated.answered as f64 / saturated.elapsed.as_secs_f64();
    let rate = saturation * options.share / 100.0;
    println!("{:<22} {saturation:.0} requests/s; {} % of it follow", "saturation", options.share);
    let asking = options.dashboard.then(|| Dashboard::ask(&server));
    let watch = Watch::start(&server)?;
    let (outcome, used) = run::load(&target, &requests, Some(rate), &open)?;
    let samples = watch.end()?;
    let asked = asking.map(Dashboard::end);
    let report = Report {
        outcome: &outcome,
        hits_per_request: plan::hits_per_request(&requests),
        rate: Some(rate),
        connections: options.connections,
        used,
        minted: minted + saturated.kept,
        stored: Some(run::stored(&server, "clinic")?),
    };
    print!("{}", report.text());
    if let Some(asked) = asked {
        println!("{:<22} {asked} questions answered meanwhile", "dashboard");
    }
    let (collector, all) = report.cpu_us().context("the process is known")?;
    let hits = report.hits_per_request;
    println!(
        "{:<22} {:.1} collector, {:.1} with the engine",
        "CPU per hit, µs",
        collector / hits,
        all / hits
    );
    print!("{}", backlog(&samples, rate * hits));
    run::ensure_stored(&report)
}

/// What is told of the backlog, of a server that gets so many hits per second.
fn backlog(samples: &[Sample], hits_per_second: f64) -> String {
    let length = samples.last().map_or(0.0, |last| last.seconds);
    let quarters: Vec<String> = (0..4)
        .map(|quarter| {
            let of_quarter = |sample: &&Sample| (sample.seconds / length * 4.0).min(3.0) as usize == quarter;
            let rows: Vec<f64> = samples.iter().filter(of_quarter).map(|sample| sample.rows).collect();
            format!("{:.0}", rows.iter().sum::<f64>() / rows.len().max(1) as f64)
        })
        .collect();
    let most = samples.iter().map(|sample| sample.rows).fold(0.0, f64::max);
    let slope = slope(samples);
    let verdict = if length < TELLING {
        "too short to tell"
    } else if slope > hits_per_second * GROWING {
        "growing"
    } else {
        "flat"
    };
    format!(
        "{:<22} {} in the quarters, {most:.0} at most\n{:<22} {verdict}: {slope:+.1} rows/s of {hits_per_second:.0} hits/s\n",
        "backlog, rows",
        quarters.join(", "),
        "",
    )
}

/// Of the line through the samples, by least squares: rows per second.
fn slope(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (seconds, rows) = (mean(|sample| sample.seconds), mean(|sample| sample.rows));
    let spread: f64 = samples.iter().map(|sample| (sample.seconds - seconds).powi(2)).sum();
    let common: f64 = samples.iter().map(|sample| (sample.seconds - seconds) * (sample.rows - rows)).sum();
    common / spread.max(f64::MIN_POSITIVE)
}

/// What waits for storage now.
fn backlog_rows(web: SocketAddr) -> anyhow::Result<f64> {
    let metrics =
        exchange(web, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").body;
    let metrics = String::from_utf8_lossy(&metrics);
    let rows = metrics.lines().find_map(|line| line.strip_prefix("metka_backlog_rows "));
    rows.and_then(|rows| rows.parse().ok()).context("/metrics tells no backlog")
}

// === impl Watch ===

impl Watch {
    fn start(server: &Server) -> anyhow::Result<Watch> {
        let (web, started) = (server.web, Instant::now());
        let mut samples = vec![Sample { seconds: 0.0, rows: backlog_rows(web)? }];
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            // Beside neither the collector nor the generator in particular.
            process::pin(Core::Any)?;
            while !stopped.load(Relaxed) {
                std::thread::park_timeout(LOOK);
                samples.push(Sample { seconds: started.elapsed().as_secs_f64(), rows: backlog_rows(web)? });
            }
            Ok(samples)
        });
        Ok(Watch { stop, thread })
    }

    fn end(self) -> anyhow::Result<Vec<Sample>> {
        self.stop.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().ok().context("a panic, which has been printed")?
    }
}
