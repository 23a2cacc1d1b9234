//! What a run gave: as text, as JSON, as a page with plots.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::client::Outcome;

/// The quantiles that are printed, in percent.
const QUANTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];
/// The size of a plot, in pixels.
const PLOT: (f64, f64) = (640.0, 220.0);

/// What the server used in the measured part.
#[derive(Clone, Copy, Default)]
pub struct Used {
    /// Of the collector process, in nanoseconds.
    pub collector_ns: u64,
    /// Of the processes that it started: the storage engine.
    pub others_ns: u64,
    /// Resident, in bytes: at the end, and at most.
    pub memory: (u64, u64),
}

/// What is told of a run.
pub struct Report<'a> {
    pub outcome: &'a Outcome,
    /// Hits that one request holds, on average.
    pub hits_per_request: f64,
    pub rate: Option<f64>,
    pub connections: u32,
    /// Of a server whose process is known.
    pub used: Option<Used>,
    /// Hits that were kept before the run, for the cookies.
    pub minted: u64,
    /// Rows in storage afterwards, and how many different hits they are.
    pub stored: Option<(u64, u64)>,
}

// === impl Report ===

impl Report<'_> {
    pub fn per_second(&self) -> f64 {
        self.outcome.answered as f64 / self.outcome.elapsed.as_secs_f64()
    }

    /// Hits that were answered as kept since the server started.
    pub fn kept(&self) -> u64 {
        self.outcome.kept + self.minted
    }

    /// Microseconds of CPU per request: of the collector, and of all processes.
    pub fn cpu_us(&self) -> Option<(f64, f64)> {
        let answered = self.outcome.answered as f64 * 1000.0;
        self.used.map(|used| {
            let all = used.collector_ns + used.others_ns;
            (used.collector_ns as f64 / answered, all as f64 / answered)
        })
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let outcome = self.outcome;
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<22} {value}");
        };
        line(
            "requests",
            format!("{} in {:?}, {:.0}/s", outcome.answered, outcome.elapsed, self.per_second()),
        );
        line("hits", format!("{:.0}/s", self.per_second() * self.hits_per_request));
        if let Some(rate) = self.rate {
            line("due", format!("{rate:.0}/s; {} were due and not sent", outcome.late));
        }
        let quantiles: Vec<String> = QUANTILES
            .iter()
            .map(|quantile| format!("p{quantile} {:.2}", milliseconds(&outcome.latency, *quantile)))
            .collect();
        line("latency, ms", quantiles.join("  "));
        line("answers", counts(&outcome.outcomes));
        line("errors", counts(&outcome.errors));
        if let (Some(used), Some((collector, all))) = (self.used, self.cpu_us()) {
            line("CPU per request, µs", format!("{collector:.1} collector, {all:.1} with the engine"));
            line(
                "memory, MiB",
                format!("{} at the end, {} at most", used.memory.0 >> 20, used.memory.1 >> 20),
            );
        }
        if let Some((rows, different)) = self.stored {
            line("stored", format!("{rows} rows of {different} hits; {} were answered as kept", self.kept()));
        }
        text
    }

    pub fn json(&self) -> Value {
        let outcome = self.outcome;
        let latency: serde_json::Map<String, Value> = QUANTILES
            .iter()
            .map(|quantile| (format!("p{quantile}"), json!(milliseconds(&outcome.latency, *quantile))))
            .collect();
        json!({
            "requests": outcome.answered,
            "seconds": outcome.elapsed.as_secs_f64(),
            "requests_per_second": self.per_second(),
            "hits_per_request": self.hits_per_request,
            "connections": self.connections,
            "due_per_second": self.rate,
            "due_and_not_sent": outcome.late,
            "latency_ms": latency,
            "answers": outcome.outcomes,
            "errors": outcome.errors,
            "by_second": outcome.by_second,
            "hits_kept": self.kept(),
            "cpu_us_per_request": self.cpu_us().map(|(collector, all)| json!({"collector": collector, "all": all})),
            "memory_bytes": self.used.map(|used| json!({"end": used.memory.0, "most": used.memory.1})),
            "stored": self.stored.map(|(rows, hits)| json!({"rows": rows, "hits": hits})),
        })
    }

    /// One file, without anything from elsewhere.
    pub fn html(&self) -> String {
        let latency: Vec<(f64, f64)> = curve(&self.outcome.latency);
        let seconds: Vec<(f64, f64)> =
            self.outcome.by_second.iter().enumerate().map(|(at, count)| (at as f64, *count as f64)).collect();
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <title>Load</title><style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui;max-width:48rem;\
             margin:2rem auto;padding:0 1rem}}svg{{width:100%;height:auto}}path{{fill:none;stroke:currentColor;\
             stroke-width:2}}text{{font-size:12px;fill:currentColor}}pre{{overflow:auto}}</style>\
             <h1>Load</h1><pre>{}</pre><h2>Latency by quantile</h2>{}<h2>Requests answered by second</h2>{}</html>\n",
            escape(&self.text()),
            plot(&latency, "nines (1: 90 %, 2: 99 %, …)", "ms"),
            plot(&seconds, "s", "requests"),
        )
    }

    pub fn write(&self, json: Option<&Path>, html: Option<&Path>) -> anyhow::Result<()> {
        if let Some(path) = json {
            let text = format!("{:#}\n", self.json());
            std::fs::write(path, text).with_context(|| path.display().to_string())?;
        }
        if let Some(path) = html {
            std::fs::write(path, self.html()).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

pub fn milliseconds(latency: &Histogram<u64>, percent: f64) -> f64 {
    latency.value_at_quantile(percent / 100.0) as f64 / 1e6
}

fn counts(counts: &std::collections::BTreeMap<String, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// Latency over the number of nines, so that the tail has as much room as the rest.
fn curve(latency: &Histogram<u64>) -> Vec<(f64, f64)> {
    (0..=200)
        .map(|step| {
            let nines = f64::from(step) / 50.0;
            (nines, milliseconds(latency, 100.0 * (1.0 - 10f64.powf(-nines))))
        })
        .collect()
}

fn plot(points: &[(f64, f64)], x_name: &str, y_name: &str) -> String {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN_POSITIVE, f64::max);
    let (wide, high) = PLOT;
    let (right, top) =
        (most(&mut points.iter().map(|point| point.0)), most(&mut points.iter().map(|point| point.1)));
    let below = high - 6.0;
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        let _ = write!(
            path,
            "{letter}{:.1} {:.1}",
            10.0 + x / right * (wide - 20.0),
            high - 20.0 - y / top * (high - 50.0)
        );
    }
    format!(
        "<svg viewBox='0 0 {wide} {high}' role=img><path d='{path}'/><text x=10 y=14>at most {top:.2} {y_name}</text>\
         <text x=10 y={below}>0 to {right:.0} {x_name}</text></svg>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
