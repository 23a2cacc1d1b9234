//! Sends requests over many connections and times the answers.
//!
//! One thread, so that it can be pinned beside the server. In the open loop request
//! k is due at `k / rate`; whichever connection is free sends it, and its latency
//! counts from when it was due.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::plan::Request;

/// The longest latency that is told from longer ones, in nanoseconds: a minute.
const MAX_LATENCY_NS: u64 = 60_000_000_000;
/// More is no answer of a collector's.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// An answer that takes so long is an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// A timer is as coarse as this; what is due sooner is waited for by looking.
const TIMER: Duration = Duration::from_millis(2);

/// How a server is loaded.
pub struct Load<'a> {
    pub target: SocketAddr,
    pub requests: &'a [Request],
    pub connections: u32,
    /// Requests per second that are due; none: as fast as it answers.
    pub rate: Option<f64>,
    pub warm_up: Duration,
    pub duration: Duration,
    pub keep_alive: bool,
    /// Called when the measured part begins, and when it ends.
    pub on_edge: &'a dyn Fn(),
    /// Called once a second with what was answered since the last time.
    pub on_second: &'a dyn Fn(u64),
}

/// What came of it.
pub struct Outcome {
    /// Of the measured part: requests answered, and hits in answers that kept them.
    pub answered: u64,
    /// Hits that were kept in all, warm-up included.
    pub kept: u64,
    /// Answers by what they said (`X-Metka`, else the status), of the whole run.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests without an answer, by the reason.
    pub errors: BTreeMap<String, u64>,
    /// Nanoseconds, of the measured part.
    pub latency: Histogram<u64>,
    /// Requests answered in each second of the measured part.
    pub by_second: Vec<u64>,
    pub elapsed: Duration,
    /// Requests that were due in the measured part and not sent when it ended.
    pub late: u64,
}

/// An answer, as far as it matters here.
pub struct Answer {
    pub status: u16,
    pub x_metka: Option<String>,
    /// The value of the visitor's cookie, where it is set.
    pub cookie: Option<String>,
    /// `"accepted":N` of the body.
    pub accepted: Option<u64>,
}

struct State {
    measured_from: Instant,
    end: Instant,
    next: Cell<u64>,
    tally: RefCell<Outcome>,
}

/// A connection for requests one after the other.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Asks once, on a connection of its own.
pub async fn ask(target: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    Connection::open(target).await?.ask(request).await
}

/// Sends the requests so many times over, each as soon as one of the connections is
/// free; every answer must say that it kept its hits. Within a `LocalSet`.
pub async fn send(
    connections: Vec<Connection>,
    requests: Rc<Vec<Vec<u8>>>,
    rounds: usize,
) -> anyhow::Result<Vec<Connection>> {
    let next = Rc::new(Cell::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for mut connection in connections {
        let (requests, next) = (requests.clone(), next.clone());
        senders.spawn_local(async move {
            while next.get() < requests.len() * rounds {
                let number = next.replace(next.get() + 1);
                connection.send(&requests[number % requests.len()]).await?;
            }
            anyhow::Ok(connection)
        });
    }
    let mut connections = Vec::new();
    while let Some(ended) = senders.join_next().await {
        connections.push(ended.context("a sender")??);
    }
    Ok(connections)
}

/// Runs the load.
pub async fn run(load: &Load<'_>) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let measured_from = started + load.warm_up;
    let state = Rc::new(State {
        measured_from,
        end: measured_from + load.duration,
        next: Cell::new(0),
        tally: RefCell::new(Outcome::new(load.duration)),
    });
    let requests: Rc<Vec<(Vec<u8>, u64)>> =
        Rc::new(load.requests.iter().map(|request| (request.bytes.clone(), request.hits)).collect());
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut senders = tokio::task::JoinSet::new();
            for _ in 0..load.connections {
                senders.spawn_local(sender(
                    state.clone(),
                    requests.clone(),
                    load.target,
                    started,
                    load.rate,
                    load.keep_alive,
                ));
            }
            tokio::time::sleep_until(measured_from.into()).await;
            (load.on_edge)();
            let mut second = tokio::time::interval_at(
                (measured_from + Duration::from_secs(1)).into(),
                Duration::from_secs(1),
            );
            let mut before = 0;
            while Instant::now() < state.end {
                tokio::select! {
                    _ = second.tick() => {}
                    () = tokio::time::sleep_until(state.end.into()) => {}
                }
                let answered = state.tally.borrow().answered;
                (load.on_second)(answered - before);
                before = answered;
            }
            (load.on_edge)();
            while let Some(ended) = senders.join_next().await {
                ended.context("a sender")?;
            }
            anyhow::Ok(())
        })
        .await?;
    let due = load.rate.map_or(0, |rate| (rate * (load.warm_up + load.duration).as_secs_f64()) as u64);
    let state = Rc::into_inner(state).context("all senders have ended")?;
    let mut outcome = state.tally.into_inner();
    outcome.elapsed = load.duration;
    outcome.late = due.saturating_sub(state.next.get());
    if outcome.answered == 0 {
        bail!("{}: no answer in {:?}: {:?}", load.target, load.duration, outcome.errors);
    }
    Ok(outcome)
}

/// One connection after the other, until the end.
async fn sender(
    state: Rc<State>,
    requests: Rc<Vec<(Vec<u8>, u64)>>,
    target: SocketAddr,
    started: Instant,
    rate: Option<f64>,
    keep_alive: bool,
) {
    let mut connection: Option<Connection> = None;
    loop {
        let number = state.next.get();
        let mut due = Instant::now();
        if let Some(rate) = rate {
            due = started + Duration::from_secs_f64(number as f64 / rate);
        }
        if due >= state.end {
            return;
        }
        state.next.set(number + 1);
        wait_until(due).await;
        if Instant::now() >= state.end {
            // It was due, and never sent.
            state.next.set(state.next.get() - 1);
            return;
        }
        let (bytes, hits) = &requests[number as usize % requests.len()];
        let result = async {
            let connection = match &mut connection {
                Some(connection) => connection,
                none => none.insert(Connection::open(target).await?),
            };
            tokio::time::timeout(PATIENCE, connection.ask(bytes)).await.context("no answer in time")?
        }
        .await;
        if !keep_alive || result.is_err() {
            connection = None;
        }
        let now = Instant::now();
        state.tally.borrow_mut().add(result, *hits, due, now, &state);
    }
}

async fn wait_until(due: Instant) {
    let now = Instant::now();
    if due > now + TIMER {
        tokio::time::sleep_until((due - TIMER / 2).into()).await;
    }
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

/// One request and its answer.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> anyhow::Result<Answer> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            bail!("the connection was closed");
        }
        if let Some(answer) = parse(buffer)? {
            return Ok(answer);
        }
        if buffer.len() > MAX_ANSWER_BYTES {
            bail!("an answer of more than {MAX_ANSWER_BYTES} bytes");
        }
    }
}

/// The answer, when all of it is there.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).context("a head that is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let mut answer =
        Answer { status: status.context("no status")?, x_metka: None, cookie: None, accepted: None };
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().context("a length that is no number")?;
        } else if name.eq_ignore_ascii_case("x-metka") {
            answer.x_metka = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("set-cookie") {
            let cookie = value.split(';').next().and_then(|pair| pair.strip_prefix("metka="));
            answer.cookie = cookie.map(str::to_owned).or(answer.cookie);
        }
    }
    let body = &bytes[end + 4..];
    if body.len() < length {
        return Ok(None);
    }
    answer.accepted = std::str::from_utf8(body)
        .ok()
        .and_then(|text| text.strip_prefix("{\"accepted\":"))
        .and_then(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next())
        .and_then(|number| number.parse().ok());
    Ok(Some(answer))
}

// === impl Connection ===

impl Connection {
    pub async fn open(target: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(target).await.with_context(|| format!("connecting to {target}"))?;
        Connection::over(stream)
    }

    /// From one of this machine's loopback addresses: each has ports of its own.
    pub async fn open_from(source: Ipv4Addr, target: SocketAddr) -> anyhow::Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into()).with_context(|| format!("a port of {source}"))?;
        Connection::over(socket.connect(target).await.with_context(|| format!("connecting to {target}"))?)
    }

    fn over(stream: TcpStream) -> anyhow::Result<Connection> {
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Whether the server has kept it.
    pub fn is_open(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// One request, whose hits must be kept.
    pub async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        let Answer { status, x_metka, .. } = self.ask(request).await?;
        let kept = x_metka.as_deref().is_none_or(|said| said == "ok");
        ensure!(kept && status < 300, "answered {status} {x_metka:?}");
        Ok(())
    }

    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        exchange(&mut self.stream, request, &mut self.buffer).await
    }
}

// === impl Outcome ===

impl Outcome {
    fn new(duration: Duration) -> Outcome {
        Outcome {
            answered: 0,
            kept: 0,
            outcomes: BTreeMap::new(),
            errors: BTreeMap::new(),
            latency: Histogram::new_with_bounds(1000, MAX_LATENCY_NS, 3).expect("bounds that fit"),
            by_second: vec![0; duration.as_secs_f64().ceil().max(1.0) as usize],
            elapsed: duration,
            late: 0,
        }
    }

    fn add(&mut self, result: anyhow::Result<Answer>, hits: u64, due: Instant, now: Instant, state: &State) {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                *self.errors.entry(error.to_string()).or_default() += 1;
                return;
            }
        };
        self.kept += match (&answer.x_metka, answer.accepted) {
            (_, Some(accepted)) => accepted,
            (Some(outcome), None) if outcome == "ok" => hits,
            _ => 0,
        };
        match &answer.x_metka {
            Some(outcome) => match self.outcomes.get_mut(outcome) {
                Some(count) => *count += 1,
                None => drop(self.outcomes.insert(outcome.clone(), 1)),
            },
            None => *self.outcomes.entry(answer.status.to_string()).or_default() += 1,
        }
        if now < state.measured_from || now > state.end {
            return;
        }
        self.answered += 1;
        let second = (now - state.measured_from).as_secs() as usize;
        if let Some(count) = self.by_second.get_mut(second) {
            *count += 1;
        }
        self.latency.saturating_record((now - due).as_nanos() as u64);
    }
}
