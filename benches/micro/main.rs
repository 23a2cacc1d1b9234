//! What each function of the hit path costs by itself, and a group in the spool.
//!
//! `cargo bench --bench micro -- PATTERN`, by divan: fastest, slowest, median and mean
//! time of one call. Everything that is given to them is in [`inputs`]; the caches are
//! warm and the branches foreseen, so the sum is less than what a hit costs on a busy
//! server (`steps`). What does not show: HTTP, the steps' common bookkeeping, waiting.

mod inputs;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use divan::Bencher;
use inputs::inputs;

/// Samples of each function, and calls in one: a single call is too short for the
/// precision of the clock.
const SAMPLES: u32 = 1000;
const CALLS: u32 = 16;

fn main() {
    let dir = tempfile::tempdir().expect("a directory");
    inputs::prepare(dir.path());
    divan::main();
}

/// A number that was not there before.
fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

#[divan::bench_group(sample_count = SAMPLES, sample_size = CALLS)]
mod parse {
    use super::*;
    use metka::parse::{client, hit, hygiene, json, page, query};

    #[divan::bench]
    fn query(bencher: Bencher) {
        let mut decoded = Vec::new();
        bencher.bench_local(|| query::parse(black_box(inputs::QUERY), &mut decoded).is_ok());
    }

    #[divan::bench]
    fn json_one(bencher: Bencher) {
        bencher.bench(|| json::parse(black_box(inputs::EVENT.as_bytes())));
    }

    #[divan::bench]
    fn json_array_of_50(bencher: Bencher) {
        let array = inputs::array();
        bencher.bench(|| json::parse(black_box(array)));
    }

    #[divan::bench]
    fn client(bencher: Bencher) {
        let (headers, config) = (&inputs().headers, &inputs().config);
        bencher.bench(|| client::client(inputs::PEER, black_box(headers), &config.collect));
    }

    #[divan::bench]
    fn hit(bencher: Bencher) {
        let (report, site) = (&inputs().report, &inputs().site);
        bencher.bench(|| hit::hit(black_box(report), None, site));
    }

    #[divan::bench]
    fn page(bencher: Bencher) {
        let site = &inputs().site;
        bencher.bench(|| page::page(black_box(inputs::PAGE), site));
    }

    #[divan::bench]
    fn referrer(bencher: Bencher) {
        let site = &inputs().site;
        bencher.bench(|| page::referrer(black_box(inputs::REFERRER), site));
    }

    #[divan::bench(args = inputs::TITLES)]
    fn hygiene_of_a_title(bencher: Bencher, title: &str) {
        bencher.bench(|| hygiene::kept("", black_box(title), metka::event::MAX_TITLE_BYTES));
    }
}

#[divan::bench_group(sample_count = SAMPLES, sample_size = CALLS)]
mod enrich {
    use super::*;
    use metka::enrich::source;

    #[divan::bench]
    fn user_agent_cached(bencher: Bencher) {
        let enricher = &inputs().enricher;
        bencher.bench(|| enricher.classify_user_agent(black_box(inputs::USER_AGENT)));
    }

    #[divan::bench]
    fn user_agent_new(bencher: Bencher) {
        let enricher = &inputs().enricher;
        bencher
            .with_inputs(|| format!("{} {}", inputs::USER_AGENT, next()))
            .bench_refs(|user_agent| enricher.classify_user_agent(user_agent));
    }

    /// With the databases that npm brings, where they are.
    #[divan::bench]
    fn place(bencher: Bencher) {
        let (enricher, ip) = (&inputs().enricher, &inputs().placed_ip);
        let places = enricher.places();
        bencher.bench_local(|| places.locate(black_box(ip)));
    }

    #[divan::bench]
    fn source(bencher: Bencher) {
        let (hit, site) = (&inputs().hit, &inputs().site);
        bencher.bench(|| source::classify(black_box(&hit.referrer), &hit.page, site).channel);
    }
}

#[divan::bench_group(sample_count = SAMPLES, sample_size = CALLS)]
mod identify {
    use super::*;
    use metka::identify::crowd::Newcomer;

    /// The key of the address, and its bucket; both for the network.
    #[divan::bench]
    fn rate_limits(bencher: Bencher) {
        let (keys, ip, rates) = (&inputs().keys, &inputs().ip, &inputs().rates);
        let site = inputs().site.id.clone();
        bencher.bench(|| {
            rates.admit(
                || keys.limiter_key(&[&black_box(ip).prefix()]),
                || keys.limiter_key(&[&ip.network_prefix()]),
                &site,
            )
        });
    }

    #[divan::bench]
    fn crowd_known(bencher: Bencher) {
        let crowd = &inputs().crowd;
        bencher.bench(|| crowd.admit(black_box(1), Newcomer::Cookieless(1), inputs::DAY, 100));
    }

    #[divan::bench]
    fn crowd_new(bencher: Bencher) {
        let crowd = &inputs().crowd;
        bencher
            .with_inputs(next)
            .bench_values(|number| crowd.admit(number, Newcomer::Cookieless(number), inputs::DAY, 100));
    }

    #[divan::bench]
    fn seen_claim_new(bencher: Bencher) {
        let seen = &inputs().seen;
        // Keys are hashes: spread over the shards.
        bencher
            .with_inputs(|| next().wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .bench_values(|key| seen.claim(key, inputs::NOW_MS));
    }
}

#[divan::bench_group(sample_count = SAMPLES, sample_size = CALLS)]
mod privacy {
    use super::*;
    use metka::config::IpStorage;

    #[divan::bench]
    fn sign_cookie(bencher: Bencher) {
        let keys = &inputs().keys;
        bencher.bench(|| keys.sign_cookie(black_box(inputs::COOKIE_ID), inputs::TODAY));
    }

    #[divan::bench]
    fn verify_cookie(bencher: Bencher) {
        let (keys, cookie) = (&inputs().keys, &inputs().cookie);
        bencher.bench(|| keys.verify_cookie(black_box(cookie), inputs::TODAY).is_ok());
    }

    #[divan::bench]
    fn cookie_visitor(bencher: Bencher) {
        let keys = &inputs().keys;
        bencher.bench(|| keys.cookie_visitor(black_box("clinic"), &inputs::COOKIE_ID));
    }

    #[divan::bench]
    fn cookieless_visitor(bencher: Bencher) {
        let (keys, client) = (&inputs().keys, &inputs().client);
        bencher.bench(|| {
            keys.cookieless_visitor(
                black_box("clinic"),
                inputs::TODAY,
                &client.ip.prefix(),
                &client.user_agent,
            )
        });
    }

    #[divan::bench]
    fn protect_address(bencher: Bencher) {
        let (keys, ip) = (&inputs().keys, &inputs().ip);
        bencher.bench(|| keys.protect(black_box(ip), IpStorage::Encrypted, inputs::MONTH));
    }
}

#[divan::bench_group(sample_count = SAMPLES, sample_size = CALLS)]
mod store {
    use super::*;
    use metka::store::row::HitId;

    #[divan::bench]
    fn encode_row(bencher: Bencher) {
        let row = inputs::row();
        let mut out = Vec::with_capacity(4096);
        bencher.bench_local(|| {
            out.clear();
            black_box(&row).encode(HitId { batch: 1, row: 2 }, &mut out);
            out.len()
        });
    }
}

/// A group: its rows appended at once, and waited for until the last is durable.
mod spool {
    use super::*;
    use divan::counter::ItemsCount;
    use metka::config::Durability;

    const GROUPS: [usize; 3] = [1, 16, 64];

    #[divan::bench(args = GROUPS, sample_count = 300, sample_size = 1)]
    fn group_fsync(bencher: Bencher, hits: usize) {
        group(bencher, hits, Durability::Fsync);
    }

    #[divan::bench(args = GROUPS, sample_count = 300, sample_size = 1)]
    fn group_write(bencher: Bencher, hits: usize) {
        group(bencher, hits, Durability::Write);
    }

    fn group(bencher: Bencher, hits: usize, durability: Durability) {
        let dir = tempfile::tempdir().expect("a directory");
        let (opened, site) = inputs::spool(dir.path(), durability);
        let row = inputs::row();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut tickets = Vec::with_capacity(hits);
        bencher.counter(ItemsCount::new(hits)).bench_local(|| {
            for _ in 0..hits {
                let append = opened.writers[0].append(&site, inputs::MONTH, |id, out| row.encode(id, out));
                tickets.push(append.expect("room"));
            }
            runtime.block_on(async {
                for ticket in tickets.drain(..) {
                    ticket.await.expect("durable");
                }
            });
        });
    }
}
