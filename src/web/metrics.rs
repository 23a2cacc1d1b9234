//! `/metrics`: the server's numbers in the OpenMetrics text that Prometheus reads.
//!
//! Labels are site ids of the configuration, reasons, states and step names:
//! closed lists, so that no request can make a new series. Everything but the
//! query durations is read at the scrape from where it is counted anyway.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::State;
use super::answer::{self, Answer};
use super::routes::Asked;
use super::running::ENGINE_STATES;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From a cached minute to the time-out.
const QUERY_SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// What the shipper counts (`ship::ShipMetrics`), as metrics.
const SHIP_COUNTERS: [(&str, &str, &str); 6] = [
    ("attempts", "ship_attempts", "Inserts tried"),
    ("retries", "ship_retries", "Inserts that failed and were tried again"),
    ("dead_batches", "ship_dead_batches", "Batches that storage refused for good"),
    ("found_batches", "ship_found_batches", "Batches that were in storage already and so not sent"),
    ("mended_batches", "ship_mended_batches", "Acknowledged batches that were not in storage as sent"),
    ("storage_restarts", "ship_storage_restarts", "Starts of storage that the shipper noticed"),
];

/// What is measured here.
#[derive(Clone)]
pub struct Metrics {
    queries: Family<Outcome, Histogram, fn() -> Histogram>,
}

/// How a question ended, as a label.
type Outcome = [(&'static str, &'static str); 1];

/// Reads the server's counters at a scrape.
struct Scrape(Arc<State>);

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Metrics { queries: Family::new_with_constructor(|| Histogram::new(QUERY_SECONDS)) }
    }
}

impl Metrics {
    pub(super) fn query(&self, outcome: &'static str, took: Duration) {
        self.queries.get_or_create(&[("outcome", outcome)]).observe(took.as_secs_f64());
    }
}

pub async fn scrape(asked: Asked) -> Answer {
    match text(&asked.state) {
        Ok(text) => answer::body(StatusCode::OK, CONTENT_TYPE, text.into()),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written")
        }
    }
}

/// All metrics now.
pub fn text(state: &Arc<State>) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("metka");
    registry.register_collector(Box::new(Scrape(state.clone())));
    registry.register_with_unit(
        "query_duration",
        "Time that storage took for a question",
        Unit::Seconds,
        state.metrics.queries.clone(),
    );
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

// === impl Scrape ===

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let out = &mut encoder;
        let counts = self.0.counters.counts();
        let sites = || counts.iter().map(|(id, counts)| ([("site", id.as_str())], counts));
        counters(
            out,
            "hits_received",
            "Hits told apart in requests",
            sites().map(|(id, c)| (id, c.received)),
        )?;
        counters(out, "hits_stored", "Hits acknowledged by storage", sites().map(|(id, c)| (id, c.stored)))?;
        gauges(out, "hits_waiting", "Hits in the spool", None, sites().map(|(id, c)| (id, c.waiting)))?;
        gauges(out, "hits_in_flight", "Hits being handled", None, sites().map(|(id, c)| (id, c.in_flight)))?;
        let refused = counts.iter().flat_map(|(id, counts)| {
            counts
                .refused
                .iter()
                .map(move |(reason, hits)| ([("site", id.as_str()), ("reason", reason)], *hits))
        });
        counters(out, "hits_refused", "Hits refused, by reason", refused)?;
        let forged = self.0.running.cookies_refused();
        counter(out, "cookies_refused", "Visitor cookies that were refused and replaced", forged)?;

        let backlog = self.0.running.backlog();
        gauge(out, "backlog_rows", "Rows in the spool", None, backlog.rows)?;
        gauge(out, "backlog_damaged_rows", "Rows that could not be read back", None, backlog.damaged_rows)?;
        gauge(out, "backlog_dead_rows", "Rows that storage refused for good", None, backlog.dead_rows)?;
        let unverified = backlog.unverified_batches;
        gauge(
            out,
            "backlog_unverified_batches",
            "Stored batches whose rows are not counted yet",
            None,
            unverified,
        )?;
        gauge(out, "backlog_size", "Size of the spool", Some(&Unit::Bytes), backlog.bytes)?;
        let now = u64::try_from(self.0.now()).unwrap_or_default();
        let age = backlog.oldest.map_or(0, |oldest| now.saturating_sub(oldest)) as f64 / 1000.0;
        gauge(out, "backlog_oldest", "How long the oldest row waits", Some(&Unit::Seconds), age)?;

        let jobs = self.0.running.jobs();
        for (field, name, help) in SHIP_COUNTERS {
            counter(out, name, help, jobs["ship"][field].as_u64().unwrap_or(0))?;
        }

        let engine = self.0.running.engine();
        let states = ENGINE_STATES.map(|state| ([("state", state)], u64::from(state == engine.state)));
        gauges(out, "engine_state", "1 for the state the engine is in", None, states)?;
        counter(out, "engine_restarts", "Starts of the engine after its first", engine.restarts)?;

        let certificates = self.0.running.certificates();
        gauges(
            out,
            "tls_certificate_expires",
            "When the certificate in force expires, in seconds since 1970",
            Some(&Unit::Seconds),
            certificates.iter().map(|(address, expires)| ([("address", *address)], expires.as_second())),
        )?;

        let steps = self.0.running.steps();
        let by_step = || steps.iter().map(|step| ([("step", step.name)], step));
        counters(
            out,
            "step_hits",
            "Hits that came to the step",
            by_step().map(|(name, step)| (name, step.hits)),
        )?;
        counters(
            out,
            "step_refused",
            "Hits that the step refused",
            by_step().map(|(name, step)| (name, step.refused)),
        )?;
        let mut family = out.encode_descriptor(
            "step_time",
            "Time in the step",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?;
        for (labels, step) in by_step() {
            ConstCounter::new(step.seconds).encode(family.encode_family(&labels)?)?;
        }

        let version = [("version", env!("CARGO_PKG_VERSION"))];
        gauges(out, "build", "The version that runs", None, [(version, 1u64)])
    }
}

fn counter(out: &mut DescriptorEncoder, name: &str, help: &str, value: u64) -> Result<(), std::fmt::Error> {
    ConstCounter::new(value).encode(out.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: impl EncodeGaugeValue,
) -> Result<(), std::fmt::Error> {
    ConstGauge::new(value).encode(out.encode_descriptor(name, help, unit, MetricType::Gauge)?)
}

fn counters<L: EncodeLabelSet>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) -> Result<(), std::fmt::Error> {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
    out: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: impl IntoIterator<Item = (L, V)>,
) -> Result<(), std::fmt::Error> {
    let mut family = out.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
