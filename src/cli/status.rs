//! `metka status`

use http::Method;
use serde_json::Value;

use super::context::{Context, Outcome, table};

#[derive(clap::Args)]
pub struct StatusArgs {}

pub fn run(_: &StatusArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let status = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::GET, "/status", None).await?),
            None => offline(&config),
        }
    })?;
    context.print(&status, lines(&status))
}

fn offline(config: &crate::config::Config) -> Result<Value, super::context::Failure> {
    let _ = config;
    Err(super::context::Failure::failed("no server runs on this data directory"))
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
    let age = backlog["oldest_ms"].as_u64().map(|age| format!(", the oldest since {} s", age / 1000));
    lines.push(String::new());
    lines.push(format!(
        "backlog  {} rows in {} bytes{}, {} dead",
        number(&backlog["rows"]),
        number(&backlog["bytes"]),
        age.unwrap_or_default(),
        number(&backlog["dead_rows"]),
    ));
    lines.push(format!("engine   {}", status["engine"]["state"].as_str().unwrap_or("unknown")));
    lines
}
