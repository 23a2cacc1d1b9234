//! Measures how many bytes a stored hit takes, on realistic data:
//!
//! ```text
//! cargo bench --bench bytes_per_hit -- [MILLIONS]
//! ```
//!
//! It loads made-up hits as the collector would ship them (several spools, whose
//! batches of some thousand rows interleave), merges everything into one part a
//! month, and prints the compressed bytes by column as `system.columns` has
//! them, and the whole as `system.parts` has it. The data: 3.2 hits per visit,
//! 3,000 paths, 400 cities, 600 referrers and 250 kinds of browsers, all by
//! Zipf's law; random 64-bit ids; every tenth person refuses cookies and is
//! offered a new one with each hit; 5 % events with properties; engagement, ad
//! blocks and addresses (random bytes, one for each person and day) filled.
//! Default size: 0.5 million, so that it ends in a minute; the numbers of
//! `schema/README.md` are of 3 million.

#[path = "../tests/support/storage.rs"]
mod storage;

use std::time::Instant;

use bytes::Bytes;
use metka::config::Site;
use metka::demo::history::{History, Shape};
use metka::demo::vocabulary::{Deed, Device, Origin, Page, Place, Vocabulary};
use metka::store::Limits;
use metka::store::row::{COLUMNS, HitId};

/// Hits threads, each with its own spool.
const SPOOLS: u64 = 4;
/// Rows of a batch: 2 s of a busy site.
const BATCH_ROWS: usize = 5_000;
/// The days that the hits are spread over: two months, so two partitions.
const DAYS: i64 = 60;
/// A data directory's node: random in real life.
const NODE: u64 = 0x5a_17c3;

fn zipf<T>(items: impl IntoIterator<Item = T>) -> Vec<(u32, T)> {
    items.into_iter().enumerate().map(|(rank, item)| (1_000_000 / (rank as u32 + 1) + 1, item)).collect()
}

/// The clinic's words, spread out to what a large site sees.
fn vocabulary() -> Vocabulary {
    let clinic = Vocabulary::clinic();
    let pages = zipf((0..3000).map(|n| {
        let (_, page) = &clinic.pages[n % clinic.pages.len()];
        let number = if n < clinic.pages.len() {
            String::new()
        } else {
            format!("statya-{:04x}/", n * 2_654_435_761 % 65_536)
        };
        Page {
            path: format!("{}{number}", page.path),
            title: format!("{} {number}", page.title),
            ads: page.ads,
        }
    }));
    let origins = zipf((0..600).map(|n| {
        let (_, origin) = &clinic.origins[n % clinic.origins.len()];
        let first = n < clinic.origins.len();
        Origin {
            source: if first { origin.source.clone() } else { format!("site-{n}.example") },
            channel: if first { origin.channel } else { "referral" },
            referrer_host: if first { origin.referrer_host.clone() } else { format!("site-{n}.example") },
            referrer_path: if first { origin.referrer_path.clone() } else { format!("/tema/{}", n * 7919) },
            utm: if first { origin.utm } else { [""; 5] },
        }
    }));
    let places = zipf((0..400).map(|n| {
        let (_, place) = &clinic.places[n % clinic.places.len()];
        let number = if n < clinic.places.len() { String::new() } else { format!(" {n}") };
        Place {
            country: place.country,
            region: format!("{}{}", place.region, if n < 80 { number.as_str() } else { "" }),
            city: format!("{}{number}", place.city),
            asn: place.asn + n as u32 / 8,
            network: format!("{} {}", place.network, n / 8),
            timezone: place.timezone,
        }
    }));
    let devices = zipf((0..250).map(|n| {
        let (_, device) = &clinic.devices[n % clinic.devices.len()];
        Device {
            device: device.device,
            browser: device.browser,
            browser_version: format!("{}", 60 + n % 90),
            os: device.os,
            os_version: format!("{}", 1 + n % 20),
            screen: device.screen,
        }
    }));
    let deeds = zipf((0..60).map(|n| {
        let (_, deed) = &clinic.deeds[n % clinic.deeds.len()];
        let mut props = deed.props.clone();
        props.push(("summa".into(), (n * 500).to_string().into()));
        Deed { name: deed.name, props }
    }));
    Vocabulary { pages, origins, places, devices, deeds, languages: clinic.languages }
}

#[tokio::main]
async fn main() {
    let millions = std::env::args().skip(1).find_map(|argument| argument.parse::<f64>().ok()).unwrap_or(0.5);
    let hits = (millions * 1e6) as u64;
    let storage = storage::fresh().await;
    let site =
        Site { policy_version: "2026-03".to_owned(), ..Site::with_defaults("clinic", &["clinic.example"]) };
    let shape = Shape {
        // A tenth more than needed: the loading stops at the number of hits.
        visits_per_day: hits * 11 / 10 / 32 * 10 / DAYS.unsigned_abs(),
        next_page: 44,
        engagement: 55,
        ads: 9,
        deeds: 5,
        cookies: 90,
    };
    let history = History::new(&site, shape, vocabulary());

    let started = Instant::now();
    let mut spools: Vec<(u64, u32, Vec<u8>)> = (0..SPOOLS).map(|_| (1, 0, Vec::new())).collect();
    let (mut rows, mut visits, mut month) = (0u64, std::collections::HashSet::new(), None);
    let first = jiff::civil::date(2026, 9, 1);
    for day in (0..DAYS).filter_map(|n| first.checked_add(jiff::Span::new().days(n)).ok()) {
        if rows >= hits {
            break;
        }
        if month.replace(day.month()).is_some_and(|before| before != day.month()) {
            for (spool, state) in spools.iter_mut().enumerate() {
                ship(&storage, spool as u64, state).await;
            }
        }
        for row in history.day(day) {
            // The kernel gives a connection to a thread, and a person keeps it for a while.
            let spool = row.visitor.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
            let state = &mut spools[spool as usize];
            let batch = NODE << 40 | spool << 32 | state.0;
            row.encode(HitId { batch, row: state.1 }, &mut state.2);
            state.1 += 1;
            rows += 1;
            visits.insert((day, row.visitor));
            if state.1 as usize == BATCH_ROWS {
                ship(&storage, spool, state).await;
            }
        }
    }
    for (spool, state) in spools.iter_mut().enumerate() {
        ship(&storage, spool as u64, state).await;
    }
    println!("{rows} hits loaded in {:.1?}", started.elapsed());

    let database = storage.database();
    storage.execute(&format!("OPTIMIZE TABLE {database}.hits FINAL"), &[]).await.expect("merged");
    let limits = Limits::default();
    let parts = storage
        .json(
            &format!(
                "SELECT sum(rows), sum(bytes_on_disk), count(), sum(data_compressed_bytes), sum(primary_key_size), sum(marks_bytes) \
                 FROM system.parts WHERE database = '{database}' AND table = 'hits' AND active"
            ),
            &[],
            &limits,
        )
        .await
        .expect("the parts are read");
    let columns = storage
        .json(
            &format!(
                "SELECT name, type, sum(data_compressed_bytes), sum(data_uncompressed_bytes) FROM system.columns \
                 WHERE database = '{database}' AND table = 'hits' GROUP BY name, type ORDER BY 3 DESC, name"
            ),
            &[],
            &limits,
        )
        .await
        .expect("the columns are read");
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_default();
    let rows = number(&parts[0][0]);
    println!("{:<16} {:>14} {:>16}  type", "column", "bytes per hit", "uncompressed");
    for column in &columns {
        println!(
            "{:<16} {:>14.3} {:>16.2}  {}",
            column[0].as_str().unwrap_or_default(),
            number(&column[2]) / rows,
            number(&column[3]) / rows,
            column[1].as_str().unwrap_or_default()
        );
    }
    println!(
        "{rows} hits in {} parts: {:.2} bytes per hit on disk ({:.2} columns, {:.2} marks and key)",
        parts[0][2],
        number(&parts[0][1]) / rows,
        number(&parts[0][3]) / rows,
        (number(&parts[0][4]) + number(&parts[0][5])) / rows,
    );
}

async fn ship(storage: &metka::store::Storage, spool: u64, state: &mut (u64, u32, Vec<u8>)) {
    let payload = std::mem::take(&mut state.2);
    if !payload.is_empty() {
        let token = format!("{spool}-{}", state.0);
        storage.insert(COLUMNS, &token, Bytes::from(payload)).await.expect("a batch is stored");
    }
    (state.0, state.1) = (state.0 + 1, 0);
}
