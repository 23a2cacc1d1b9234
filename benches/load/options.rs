//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Loads collectors, and compares what a hit costs.
#[derive(Parser)]
#[command(name = "load")]
pub struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Loads one server and reports.
    Run(Run),
    /// nginx, bare hyper and Metka, each under the same load, in several rounds.
    Compare(Compare),
    /// Allocations per request, of bare hyper and of Metka.
    Allocations(Allocations),
    /// Instructions per request, of bare hyper and of Metka, counted by valgrind.
    Instructions(Instructions),
    /// Memory of idle connections, of bare hyper and of Metka.
    Idle(Idle),
    /// A load below saturation for minutes: what a hit costs with all that follows, and
    /// whether the backlog stays.
    Sustained(Sustained),
    /// Serves and sends, for `instructions` to count.
    #[command(hide = true)]
    Counted(Counted),
    /// A bare hyper server that answers every request with one image (used by `compare`).
    #[command(hide = true)]
    Bare,
}

#[derive(Args, Clone)]
pub struct Run {
    /// The collector's address; without it the built binary is started.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub target: Option<SocketAddr>,
    /// Allows a target that is not this machine. It must be yours.
    #[arg(long)]
    pub allow_remote: bool,
    /// The process id of the target, whose CPU and memory are then reported.
    #[arg(long)]
    pub pid: Option<u32>,
    /// The site that the hits are for; it must take hits of clinic.example.
    #[arg(long, default_value = "clinic")]
    pub site: String,
    /// Requests per second that are due, whatever the server does; without it each
    /// connection sends as soon as it was answered.
    #[arg(long)]
    pub rate: Option<f64>,
    #[command(flatten)]
    pub load: Load,
    /// Where the report is written as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Where it is written as a page with plots.
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// `fsync` or `write`, for the server that is started.
    #[arg(long, default_value = "fsync")]
    pub durability: String,
    /// Asks the started server a dashboard's questions all the while.
    #[arg(long)]
    pub dashboard: bool,
}

#[derive(Args, Clone)]
pub struct Load {
    /// Connections at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// Seconds that are measured.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds before that, which are not.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub warm_up: Duration,
    #[command(flatten)]
    pub mix: Mix,
    /// A connection for each request.
    #[arg(long)]
    pub no_keep_alive: bool,
    /// Runs server and generator where the system likes; else the server has the first core and this the last.
    #[arg(long)]
    pub no_pin: bool,
}

#[derive(Args, Clone)]
pub struct Mix {
    /// People; each has an address and a browser.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub visitors: u32,
    /// Pages that they look at.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub pages: u32,
    /// Percent of them that are crawlers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub bots: u32,
    /// Percent of the others who come with a cookie.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub cookies: u32,
    /// Shares of requests for the pixel, with one event, and with an array of them.
    #[arg(long, default_value = "1:0:0", value_parser = shares)]
    pub shares: [u32; 3],
    /// Events in an array.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub batch: u32,
}

#[derive(Args, Clone)]
pub struct Compare {
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    #[command(flatten)]
    pub load: Load,
}

#[derive(Args, Clone)]
pub struct Allocations {
    /// Only bare hyper and the pixel.
    #[arg(long)]
    pub pixel: bool,
    /// Also names the lines that allocate.
    #[arg(long)]
    pub places: bool,
    /// Fails when the pixel allocates more than so many times above bare hyper.
    #[arg(long, value_name = "ALLOCATIONS")]
    pub at_most: Option<f64>,
    #[command(flatten)]
    pub mix: Mix,
}

#[derive(Args, Clone)]
pub struct Instructions {
    /// Requests that are counted; so many go before, for caches to fill. Of arrays a tenth.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub requests: u32,
    /// Connections at once: groups form in the spool.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub connections: u32,
    /// Only bare hyper and the pixel.
    #[arg(long)]
    pub pixel: bool,
    /// Also names the functions in which most instructions are.
    #[arg(long)]
    pub places: bool,
    /// Fails when the pixel takes more than so many instructions on the hit thread.
    #[arg(long, value_name = "INSTRUCTIONS")]
    pub at_most: Option<f64>,
    #[command(flatten)]
    pub mix: Mix,
}

#[derive(Args, Clone)]
pub struct Idle {
    /// Connections that are open at once, each after one request.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=20_000))]
    pub connections: u32,
    /// Fails when one costs more than so many times what it costs bare hyper.
    #[arg(long, value_name = "RATIO")]
    pub at_most: Option<f64>,
    #[command(flatten)]
    pub mix: Mix,
}

#[derive(Args, Clone)]
pub struct Sustained {
    /// How long.
    #[arg(long, default_value = "10", value_parser = minutes)]
    pub minutes: Duration,
    /// Percent of the rate at which the server is saturated.
    #[arg(long, default_value_t = 80.0)]
    pub share: f64,
    /// Asks a dashboard's questions all the while.
    #[arg(long)]
    pub dashboard: bool,
    /// `fsync` or `write`.
    #[arg(long, default_value = "fsync")]
    pub durability: String,
    /// Connections at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
    /// Runs server and generator where the system likes; else the server has the first core and this the last.
    #[arg(long)]
    pub no_pin: bool,
    #[command(flatten)]
    pub mix: Mix,
}

#[derive(Args, Clone)]
pub struct Counted {
    #[arg(long)]
    pub server: CountedServer,
    /// Different requests; all are sent once in a round.
    #[arg(long)]
    pub requests: u32,
    #[arg(long)]
    pub rounds: u32,
    #[arg(long)]
    pub connections: u32,
    #[command(flatten)]
    pub mix: Mix,
}

/// Whose instructions are counted.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CountedServer {
    Bare,
    Metka,
}

// === impl Mix ===

impl Mix {
    /// The same with other shares.
    pub fn with_shares(&self, shares: [u32; 3]) -> Mix {
        Mix { shares, ..self.clone() }
    }

    /// The options that give this mix.
    pub fn arguments(&self) -> Vec<String> {
        let Mix { visitors, pages, bots, cookies, shares: [pixels, events, batches], batch } = self;
        [
            format!("--visitors={visitors}"),
            format!("--pages={pages}"),
            format!("--bots={bots}"),
            format!("--cookies={cookies}"),
            format!("--shares={pixels}:{events}:{batches}"),
            format!("--batch={batch}"),
        ]
        .into()
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text}: expected seconds"))?;
    // An hour is enough for any question; a typing mistake shall not run for ever.
    if !(0.0..=3600.0).contains(&seconds) {
        return Err(format!("{text}: expected 0 to 3600 seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| format!("{text}: expected minutes"))?;
    if !(0.1..=60.0).contains(&minutes) {
        return Err(format!("{text}: expected 0.1 to 60 minutes"));
    }
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

fn shares(text: &str) -> Result<[u32; 3], String> {
    let parts: Option<Vec<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
    match parts.as_deref() {
        Some(&[pixel, event, batch]) if (1..=1000).contains(&(pixel + event + batch)) => {
            Ok([pixel, event, batch])
        }
        _ => Err(format!("{text}: expected PIXEL:EVENT:BATCH, as in 8:1:1")),
    }
}
