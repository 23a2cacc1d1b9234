//! The collect address on real sockets, with a real spool and key ring in a
//! temporary directory, and what it stored, decoded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use metka::accept::{self, Limits, Shared};
use metka::config::{Config, Durability};
use metka::count::{Counters, SiteCounts};
use metka::enrich::Enricher;
use metka::privacy::keys::KeyRing;
use metka::search::Search;
use metka::spool::{self, Outlet};
use metka::tls::Terminator;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

/// A running collect address.
pub struct Collector {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    outlet: Outlet,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    _data: tempfile::TempDir,
}

/// A stored row: column → value.
pub type Stored = Map<String, Value>;

// === impl Collector ===

impl Collector {
    /// Starts it with the text of a configuration, on a free port.
    pub fn start(config: &str, limits: Limits) -> Collector {
        Collector::start_with(config, limits, 64 << 30)
    }

    /// The same with a spool of at most so many bytes.
    pub fn start_with(config: &str, limits: Limits, max_bytes: u64) -> Collector {
        let data = tempfile::tempdir().expect("a temporary directory");
        let config = Config::parse(config, [], data.path()).expect("a valid configuration");
        let config = Arc::new(config);
        let counters = Counters::new(config.sites.iter().map(|site| site.id.as_str()));
        let threads = config.collect.threads.max(1);
        let options = spool::Options {
            dir: data.path().join("spool"),
            spools: threads,
            durability: Durability::Fsync,
            seal_interval: Duration::from_secs(3600),
            batch_rows: 100_000,
            max_bytes,
        };
        let opened = spool::open(options, counters.clone()).expect("the spool opens");
        let shared = Shared::new(
            config.clone(),
            threads,
            Arc::new(KeyRing::open(&config.keys).expect("the key ring opens")),
            Arc::new(Enricher::open(&config, &Search::new(None, data.path())).expect("the enricher opens")),
            counters,
            opened.seen,
            limits,
        )
        .expect("the sites load");
        let listeners = accept::bind(SocketAddr::from(([127, 0, 0, 1], 0)), threads).expect("listeners");
        let address = listeners[0].local_addr().expect("an address");
        let tls = config.collect.tls.as_ref().map(|files| Terminator::open("collect", files));
        let tls = tls.transpose().expect("a certificate");
        let (stop, stopped) = watch::channel(false);
        let threads = opened
            .writers
            .into_iter()
            .zip(listeners)
            .enumerate()
            .map(|(thread, (writer, listener))| {
                accept::spawn(thread, shared.clone(), writer, listener, tls.clone(), stopped.clone())
                    .expect("a thread")
            })
            .collect();
        Collector { address, shared, outlet: opened.outlet, stop, threads, _data: data }
    }

    /// The counters of a site.
    pub fn counts(&self, site: &str) -> SiteCounts {
        self.shared.counters.counts().remove(site).unwrap_or_default()
    }

    /// Says that it is to stop, without waiting.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Drains it and gives all that was stored, in the order of the spool.
    pub fn finish(self) -> Vec<Stored> {
        self.stop();
        for thread in self.threads {
            thread.join().expect("a hit thread ended by a panic");
        }
        let mut rows = Vec::new();
        while let Some(batch) = self.outlet.try_next().expect("a readable spool") {
            rows.extend(batch.payloads().map(decode));
            self.outlet.acknowledge(&batch).expect("an acknowledgement");
        }
        rows
    }
}

/// Reads a row of RowBinary back, in the order of `store::row::COLUMNS`.
pub fn decode(payload: &[u8]) -> Stored {
    let mut rest = payload;
    let mut row = Stored::new();
    for column in metka::store::row::COLUMNS {
        let value = match *column {
            "time" => json!(i64::from_le_bytes(take(&mut rest))),
            "kind" | "identity" | "consent" | "scroll" => json!(take::<1>(&mut rest)[0]),
            "hold" | "demo" => json!(take::<1>(&mut rest)[0] == 1),
            "visitor" | "minted" | "user_key" | "before" | "batch" => {
                json!(u64::from_le_bytes(take(&mut rest)))
            }
            "ip" => json!(take::<16>(&mut rest).to_vec()),
            "ip_key" | "asn" | "engaged_ms" | "row" => json!(u32::from_le_bytes(take(&mut rest))),
            "keep_days" | "ip_days" | "city_days" | "user_key_days" | "props_days" => {
                json!(u16::from_le_bytes(take(&mut rest)))
            }
            "props" => {
                let count = varint(&mut rest);
                let mut props = Map::new();
                for _ in 0..count {
                    let key = string(&mut rest);
                    props.insert(key, json!(string(&mut rest)));
                }
                Value::Object(props)
            }
            _ => json!(string(&mut rest)),
        };
        row.insert((*column).to_owned(), value);
    }
    assert!(rest.is_empty(), "{} bytes are left after a row", rest.len());
    row
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk::<N>().expect("a row is cut short");
    *rest = tail;
    *head
}

fn varint(rest: &mut &[u8]) -> usize {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = take::<1>(rest)[0];
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}

fn string(rest: &mut &[u8]) -> String {
    let length = varint(rest);
    let (head, tail) = rest.split_at(length);
    *rest = tail;
    String::from_utf8(head.to_vec()).expect("stored text is UTF-8")
}
