//! `metka status`

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, moment, spool_dir, table};
use crate::config::Config;
use crate::control::described;
use crate::enrich::{DatabaseInfo, Places};
use crate::incident::clock;
use crate::retention::Report;
use crate::rights::desk::Desk;
use crate::search::Search;
use crate::spool;

#[derive(clap::Args)]
pub struct StatusArgs {}

pub fn run(_: &StatusArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let mut status = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::GET, "/status", None).await?),
            None => offline(&config),
        }
    })?;
    status["requests"] = requests(&config);
    status["incidents"] = incidents(&config);
    context.print(&status, lines(&status))
}

/// How many requests of people are open and which wait too long; a register that
/// cannot be read hides nothing else.
fn requests(config: &Config) -> Value {
    match Desk::open(config).and_then(|desk| desk.attention(None, Timestamp::now())) {
        Ok(attention) => json!({
            "open": attention.open,
            "overdue": attention.overdue.len(),
            "due_within_2_working_days": attention.due_within_2_working_days.len(),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// The same of incidents.
fn incidents(config: &Config) -> Value {
    match clock::attention(config, Timestamp::now()) {
        Ok(attention) => json!(attention),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// What the last server left behind: its counts, and what waits in the spool.
fn offline(config: &Config) -> Result<Value, Failure> {
    let dir = spool_dir(config);
    let stat =
        if dir.is_dir() { spool::stat(&dir).map_err(Failure::failed)? } else { spool::SpoolStat::default() };
    let mut sites = stat.sites;
    for site in &config.sites {
        sites.entry(site.id.clone()).or_default();
    }
    let backlog = spool::Backlog {
        rows: stat.spools.values().map(|one| one.waiting_rows).sum(),
        batches: stat.spools.values().map(|one| one.waiting_batches).sum(),
        bytes: stat.spools.values().map(|one| one.bytes).sum(),
        oldest: stat.spools.values().filter_map(|one| one.oldest_ms).min(),
        unverified_batches: stat.spools.values().map(|one| one.kept_batches).sum(),
        dead_rows: stat.dead_rows,
        damaged_rows: 0,
    };
    let engine = if config.storage.url.is_empty() { "stopped" } else { "external" };
    let engine = json!({ "state": engine, "restarts": 0 });
    Ok(described(&sites, &backlog, &engine, &jobs(config), &geo(config)))
}

/// The geo data that a server would open; what cannot be opened hides nothing else.
fn geo(config: &Config) -> Value {
    match Places::open(&config.geo, &config.enrich, &Search::here(), None) {
        Ok(places) => json!({ "databases": places.databases(Timestamp::now()) }),
        Err(error) => json!({ "databases": [], "error": error.to_string() }),
    }
}

/// The jobs that leave something behind.
fn jobs(config: &Config) -> Value {
    match Report::last(&config.data_dir) {
        Ok(last) => json!({ "retention": { "last": last, "failing": null } }),
        Err(error) => json!({ "retention": { "last": null, "failing": error.to_string() } }),
    }
}

fn lines(status: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_u64().unwrap_or(0).to_string();
    let sites = status["sites"].as_object().into_iter().flatten();
    let rows = sites.map(|(id, counts)| {
        let refused = counts["refused"].as_object().into_iter().flatten();
        let refused: Vec<String> = refused.map(|(reason, hits)| format!("{reason} {hits}")).collect();
        [
            id.clone(),
            number(&counts["received"]),
            number(&counts["stored"]),
            number(&counts["waiting"]),
            number(&counts["in_flight"]),
            if refused.is_empty() { "-".to_owned() } else { refused.join(", ") },
        ]
    });
    let mut lines = table(["SITE", "RECEIVED", "STORED", "WAITING", "IN FLIGHT", "REFUSED"], rows.collect());
    let backlog = &status["backlog"];
    let oldest = backlog["oldest"].as_i64().map(|oldest| format!(", the oldest of {}", moment(oldest)));
    lines.push(String::new());
    lines.push(format!(
        "backlog  {} rows in {} bytes{}, {} dead",
        number(&backlog["rows"]),
        number(&backlog["bytes"]),
        oldest.unwrap_or_default(),
        number(&backlog["dead_rows"]),
    ));
    let last = &status["jobs"]["retention"];
    lines.push(format!("retention  last done {}", last["last"]["at"].as_str().unwrap_or("never")));
    if let Some(failing) = last["failing"].as_str() {
        lines.push(format!("retention  {failing}"));
    }
    for failing in status["jobs"]["reports"]["failing"].as_array().into_iter().flatten() {
        let text = |name: &str| failing[name].as_str().unwrap_or("-");
        lines.push(format!(
            "report   {} of {} could not be sent {} times, next try {}: {}",
            text("report"),
            text("site"),
            number(&failing["times"]),
            text("next"),
            text("error"),
        ));
    }
    lines.push(format!("engine   {}", status["engine"]["state"].as_str().unwrap_or("unknown")));
    lines.extend(status["geo"]["error"].as_str().map(|error| format!("geo      {error}")));
    for database in status["geo"]["databases"].as_array().into_iter().flatten() {
        // A server of another version may describe it otherwise.
        let info = DatabaseInfo::deserialize(database);
        lines.extend(info.map(|info| format!("geo      {info}")));
    }
    let requests = &status["requests"];
    lines.push(match requests["error"].as_str() {
        Some(error) => format!("requests {error}"),
        None => format!(
            "requests {} open, {} overdue, {} due within 2 working days",
            number(&requests["open"]),
            number(&requests["overdue"]),
            number(&requests["due_within_2_working_days"]),
        ),
    });
    let incidents = &status["incidents"];
    let named = |name: &str| {
        let all = incidents[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let all = all.collect::<Vec<_>>().join(" ");
        if all.is_empty() { "none".to_owned() } else { all }
    };
    lines.push(match incidents["error"].as_str() {
        Some(error) => format!("incidents {error}"),
        None => format!(
            "incidents {} open, overdue: {}, due soon: {}",
            number(&incidents["open"]),
            named("overdue"),
            named("due_soon"),
        ),
    });
    lines
}
