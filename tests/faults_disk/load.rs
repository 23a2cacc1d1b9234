//! Numbered hits on connections that are kept, pixels and events in turn, and
//! what became of each.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{collections::HashMap, fmt};

use crate::http::{Connection, Reply, event, get};

/// What the clients saw.
#[derive(Clone, Default)]
pub struct Outcome {
    /// Answered with success.
    pub kept: Vec<u64>,
    /// Refused, by status and reason.
    pub refused: HashMap<String, u64>,
    /// Refused as `unavailable`: the sync failed, and the next start decides by what is
    /// on the disk; stored at most once.
    pub unavailable: Vec<u64>,
    /// Sent, and no answer came: may be stored, at most once.
    pub unanswered: Vec<u64>,
    /// Answered with success though the fault had fired before they were sent.
    pub too_late: Vec<u64>,
}

/// Clients that run.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    seen: Arc<Mutex<Outcome>>,
    clients: Vec<JoinHandle<()>>,
}

/// Where hit numbers come from: never the same twice.
pub type Numbers = Arc<AtomicU64>;

/// What each client does.
#[derive(Clone)]
pub struct Plan {
    pub numbers: Numbers,
    /// Makes rows of this many bytes more, so that segments fill up sooner.
    pub padding: usize,
    /// Says that a fault has fired: no hit sent after that may be answered with success.
    pub over: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// A request with hit `number`.
pub fn request(number: u64, padding: usize) -> Vec<u8> {
    let page = format!("https://clinic.example/hit/{number:09}/{}", "x".repeat(padding));
    match number.is_multiple_of(2) {
        true => get(&format!("/pixel.gif?s=clinic&u={page}"), &[]),
        false => event(&format!(r#"{{"s":"clinic","k":"pageview","u":"{page}"}}"#), &[]),
    }
}

/// Whether the answer says that the hit was kept.
pub fn is_kept(reply: &Reply) -> bool {
    reply.status == 202 || (reply.status == 200 && reply.header("x-metka") == Some("ok"))
}

/// The status and the reason of a refusal.
pub fn reason(reply: &Reply) -> String {
    let reason = reply.header("x-metka").map(str::to_owned);
    let reason = reason.or_else(|| reply.json()["refused"][0]["reason"].as_str().map(str::to_owned));
    format!("{} {}", reply.status, reason.unwrap_or_default())
}

// === impl Plan ===

impl Plan {
    pub fn new(numbers: &Numbers) -> Plan {
        Plan { numbers: numbers.clone(), padding: 0, over: Arc::new(|| false) }
    }
}

// === impl Load ===

impl Load {
    /// Starts `clients`, each with a connection of its own.
    pub fn start(address: SocketAddr, clients: usize, plan: &Plan) -> Load {
        let (stop, answered, seen) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<Mutex<Outcome>>::default());
        let clients = (0..clients)
            .map(|_| {
                let (plan, stop, answered, seen) =
                    (plan.clone(), stop.clone(), answered.clone(), seen.clone());
                std::thread::spawn(move || client(address, &plan, &stop, &answered, &seen))
            })
            .collect();
        Load { stop, answered, seen, clients }
    }

    /// Hits answered so far, in whatever way.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// What they saw so far.
    pub fn so_far(&self) -> Outcome {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the clients after their open requests.
    pub fn finish(self) -> Outcome {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().expect("a client does not panic");
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *seen)
    }
}

fn client(address: SocketAddr, plan: &Plan, stop: &AtomicBool, answered: &AtomicU64, seen: &Mutex<Outcome>) {
    let mut connection = Connection::open(address);
    while !stop.load(Relaxed) {
        let number = plan.numbers.fetch_add(1, Relaxed);
        let over = (plan.over)();
        let sent = connection.send(&request(number, plan.padding));
        let reply = if sent { connection.reply(false) } else { Reply::default() };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if reply.status == 0 {
            seen.unanswered.push(number);
            return;
        }
        if is_kept(&reply) {
            seen.kept.push(number);
            if over {
                seen.too_late.push(number);
            }
        } else {
            let reason = reason(&reply);
            if reason.ends_with("unavailable") {
                seen.unavailable.push(number);
            }
            *seen.refused.entry(reason).or_default() += 1;
        }
        answered.fetch_add(1, Relaxed);
    }
}

// === impl Outcome ===

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.kept.extend(other.kept);
        self.unanswered.extend(other.unanswered);
        self.too_late.extend(other.too_late);
        self.unavailable.extend(other.unavailable);
        for (reason, hits) in other.refused {
            *self.refused.entry(reason).or_default() += hits;
        }
    }

    /// Compares with the table: every answered hit once, nothing else but hits
    /// whose answer did not arrive. Gives lost and doubled, for the printed line.
    pub fn check(&self, stored: &HashMap<u64, u64>) -> String {
        let lost = self.kept.iter().filter(|number| !stored.contains_key(number)).count();
        let doubled = stored.values().filter(|count| **count != 1).count();
        let open = self.unanswered.iter().chain(&self.unavailable);
        let open = open.filter(|number| stored.contains_key(number)).count();
        let line = format!("{self}, {} stored, {lost} lost, {doubled} doubled", stored.len());
        assert_eq!((lost, doubled), (0, 0), "{line}");
        assert_eq!(stored.len(), self.kept.len() + open, "a refused hit is stored: {line}");
        line
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused: u64 = self.refused.values().sum();
        write!(
            f,
            "{} answered, {refused} refused, {} without an answer",
            self.kept.len(),
            self.unanswered.len()
        )
    }
}
