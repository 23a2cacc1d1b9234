//! nginx, bare hyper and Metka under the same load, one after the other in each
//! round, so that a noisy machine is as noisy for all. The median of the rounds
//! counts; ratios are to nginx with an unbuffered access log.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::bare;
use super::options::{Compare, Load};
use super::plan::{self, Request};
use super::process::{self, Core, Running};
use super::report::{self, Report};
use super::run::{self, Target};

/// A server's answers in one round.
struct Measured {
    per_second: f64,
    /// Microseconds of CPU per hit: the server's own process, and all of them.
    own_us: f64,
    all_us: f64,
    p99_ms: f64,
}

/// One row of the table.
struct Row {
    name: &'static str,
    rounds: Vec<Measured>,
}

/// Who the others are compared with.
const YARDSTICK: &str = "nginx `empty_gif`, unbuffered access log";

/// `load compare`.
pub fn compare(options: &Compare) -> anyhow::Result<()> {
    let load = &options.load;
    let dir = tempfile::tempdir()?;
    if !load.no_pin {
        process::pin(Core::First)?;
    }
    let (nginx, ports) = nginx(dir.path())?;
    let (bare, bare_address) = bare::start()?;
    let mut metkas = Vec::new();
    for durability in ["write", "fsync"] {
        let dir = tempfile::tempdir()?;
        let server = run::start(dir.path(), durability)?;
        metkas.push((durability, server, dir));
    }
    if !load.no_pin {
        process::pin(Core::Last)?;
    }
    let plain = plan::plain_requests(&load.mix, !load.no_keep_alive);
    let target = |address, pid| Target { address, pid: Some(pid) };
    let mut rows: Vec<(&'static str, Target, Vec<Request>)> = Vec::new();
    for (name, port) in [
        ("nginx `empty_gif`, no log", ports[0]),
        ("nginx `empty_gif`, buffered access log", ports[1]),
        (YARDSTICK, ports[2]),
    ] {
        let worker = *process::family(nginx.0.id()).iter().next_back().context("nginx has a worker")?;
        rows.push((name, target(SocketAddr::from(([127, 0, 0, 1], port)), worker), plain.clone()));
    }
    rows.push(("bare hyper, one thread, fixed image", target(bare_address, bare.0.id()), plain.clone()));
    for (durability, server, _) in &metkas {
        let mixes: &[(&'static str, [u32; 3])] = match *durability {
            "write" => &[("Metka `/pixel.gif`, `durability = \"write\"`", [1, 0, 0])],
            _ => &[
                ("Metka `/pixel.gif`, fdatasync before the answer", [1, 0, 0]),
                ("Metka `POST /event`, one event", [0, 1, 0]),
                ("Metka `POST /event`, 50 events (per event)", [0, 0, 1]),
            ],
        };
        for (name, shares) in mixes {
            let target = target(server.collect, server.child.id());
            let mix = load.mix.with_shares(*shares);
            let (_, requests) = run::requests(&target, "clinic", &mix, !load.no_keep_alive)?;
            rows.push((name, target, requests));
        }
    }
    let mut table: Vec<Row> = rows.iter().map(|(name, ..)| Row { name, rounds: Vec::new() }).collect();
    for round in 1..=options.rounds {
        for (row, (name, target, requests)) in table.iter_mut().zip(&rows) {
            eprintln!("round {round} of {}: {name}", options.rounds);
            row.rounds.push(measure(target, requests, load)?);
            // What waits for storage is not the next one's to pay.
            for (_, server, _) in &metkas {
                server.settled("clinic");
            }
        }
    }
    print!("{}", text(&table, load, options.rounds));
    for (durability, server, _) in metkas {
        let counts = server.settled("clinic");
        let refused: u64 = counts["refused"]
            .as_object()
            .map_or(0, |reasons| reasons.values().filter_map(serde_json::Value::as_u64).sum());
        println!("Metka, {durability}: {} hits stored, {refused} refused", counts["stored"]);
        ensure!(refused == 0, "hits were refused: {counts}");
    }
    Ok(())
}

fn measure(target: &Target, requests: &[Request], load: &Load) -> anyhow::Result<Measured> {
    let (outcome, used) = run::load(target, requests, None, load)?;
    ensure!(outcome.errors.is_empty(), "{}: {:?}", target.address, outcome.errors);
    let wrong: Vec<_> =
        outcome.outcomes.keys().filter(|said| !["ok", "200", "202"].contains(&said.as_str())).collect();
    ensure!(wrong.is_empty(), "{}: answers say {:?}", target.address, outcome.outcomes);
    let hits = plan::hits_per_request(requests);
    let report = Report {
        outcome: &outcome,
        hits_per_request: hits,
        rate: None,
        connections: load.connections,
        used,
        minted: 0,
        stored: None,
    };
    let (own_us, all_us) = report.cpu_us().context("the process is known")?;
    Ok(Measured {
        per_second: report.per_second() * hits,
        own_us: own_us / hits,
        all_us: all_us / hits,
        p99_ms: report::milliseconds(&outcome.latency, 99.0),
    })
}

/// nginx with one worker; the ports of its servers without log, with a buffered and
/// with an unbuffered one.
fn nginx(dir: &Path) -> anyhow::Result<(Running, [u16; 3])> {
    let mut ports = [0; 3];
    {
        let held: Vec<TcpListener> =
            (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
        for (port, listener) in ports.iter_mut().zip(&held) {
            *port = listener.local_addr()?.port();
        }
    }
    let dir = dir.join("nginx");
    std::fs::create_dir(&dir)?;
    let logs = [
        "off".to_owned(),
        "access.buffered combined buffer=64k flush=1s".to_owned(),
        "access.log combined".to_owned(),
    ];
    let servers: String = ports
        .iter()
        .zip(&logs)
        .map(|(port, log)| {
            format!("server {{ listen 127.0.0.1:{port}; access_log {log}; location / {{ empty_gif; }} }}\n")
        })
        .collect();
    // As root the worker would be nobody, who may not write here.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let config = format!(
        "daemon off; worker_processes 1; {user} pid nginx.pid; error_log error.log;\n\
         events {{ worker_connections 20000; }}\n\
         http {{ keepalive_requests 1000000000; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
         uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n{servers}}}\n"
    );
    std::fs::write(dir.join("nginx.conf"), config)?;
    let binary =
        ["/usr/sbin/nginx", "nginx"].into_iter().find(|path| *path == "nginx" || Path::new(path).exists());
    let child = Command::new(binary.context("a name")?)
        .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
        .arg(&dir)
        .stdin(Stdio::null())
        .spawn()
        .context("nginx cannot be started: tests/install installs it")?;
    let running = Running(child);
    super::server::wait_for("nginx's worker", || {
        let up = std::net::TcpStream::connect(("127.0.0.1", ports[2])).is_ok();
        (up && process::family(running.0.id()).len() > 1).then_some(())
    });
    Ok((running, ports))
}

fn text(table: &[Row], load: &Load, rounds: u32) -> String {
    let median = |row: &Row, of: fn(&Measured) -> f64| -> f64 {
        let mut values: Vec<f64> = row.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let spread = |row: &Row| {
        let values = row.rounds.iter().map(|round| round.own_us);
        format!("{:.1}–{:.1}", values.clone().fold(f64::MAX, f64::min), values.fold(0.0, f64::max))
    };
    let yardstick =
        table.iter().find(|row| row.name == YARDSTICK).map_or(f64::NAN, |row| median(row, |one| one.own_us));
    let mut text = format!(
        "{} connections, {:?} each, {rounds} rounds, medians; µs of CPU per hit\n\n\
         | server | its process | least–most | of nginx with a log | with the engine | hits/s | p99, ms |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        load.connections, load.duration
    );
    for row in table {
        let own = median(row, |one| one.own_us);
        text += &format!(
            "| {} | {own:.1} | {} | {:.2} | {:.1} | {:.0} | {:.2} |\n",
            row.name,
            spread(row),
            own / yardstick,
            median(row, |one| one.all_us),
            median(row, |one| one.per_second),
            median(row, |one| one.p99_ms),
        );
    }
    text
}
