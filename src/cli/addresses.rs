//! `metka addresses`: statistics of visitors' addresses, and one address opened. As the API
//! ([`crate::addresses`]); who opens is the system's user.

use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome, table};
use super::offline;
use crate::addresses::{AddressError, Desk, Opening};
use crate::audit::Actor;
use crate::config::{Config, Site};
use crate::subject::Office;

#[derive(clap::Args)]
pub struct AddressesArgs {
    #[command(subcommand)]
    command: AddressesCommand,
}

#[derive(clap::Subcommand)]
enum AddressesCommand {
    /// Hits, visitors, refusals and marks by address (as a token), network, country or time; that
    /// and what for stands in the audit trail first
    List(ListArgs),
    /// Show the address behind a token; that and why stands in the audit trail first
    Open(OpenArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    #[arg(long, value_name = "ID")]
    site: String,
    /// What for: security, fraud, payments, support or claim
    #[arg(long, value_name = "PURPOSE")]
    purpose: String,
    /// address, network, asn, country, time:hour or time:day
    #[arg(long, value_name = "KIND", default_value = "address")]
    by: String,
    /// day, 24h, 7d, month and so on, as in a stats question
    #[arg(long, value_name = "RANGE", default_value = "day", conflicts_with_all = ["from", "to"])]
    range: String,
    /// Instead of a range: the first day, or moment
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<String>,
    /// And the last one
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<String>,
    /// Only this address, by its token
    #[arg(long, value_name = "TOKEN")]
    address: Option<String>,
    /// Only this network, by its token
    #[arg(long, value_name = "TOKEN")]
    network: Option<String>,
    /// Only this autonomous system
    #[arg(long, value_name = "NUMBER")]
    asn: Option<u32>,
    /// Only this country, such as RU
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// hits, visitors, refused, limited, marked or errors
    #[arg(long, value_name = "NUMBER")]
    order_by: Option<String>,
    /// How many rows
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// After so many
    #[arg(long, value_name = "ROWS")]
    offset: Option<u64>,
}

#[derive(clap::Args)]
struct OpenArgs {
    #[arg(long, value_name = "ID")]
    site: String,
    /// Its token, as list shows it
    #[arg(long, value_name = "TOKEN")]
    address: String,
    /// security, fraud, payments, support or claim
    #[arg(long, value_name = "PURPOSE")]
    purpose: String,
    /// Why, in one line
    #[arg(long, value_name = "TEXT")]
    words: String,
}

pub fn run(args: &AddressesArgs, context: &Context) -> Outcome {
    match &args.command {
        AddressesCommand::List(args) => list(args, context),
        AddressesCommand::Open(args) => open(args, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Outcome {
    let question = args.question();
    let config = super::subject::config(context, &args.site)?;
    let answer = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/addresses", Some(&question)).await?),
            None => {
                alone(config, &args.site, async |desk, site| {
                    desk.list(site, &question, Actor::running(), Timestamp::now()).await
                })
                .await
            }
        }
    })?;
    context.print(&answer, lines(&answer, &args.by))
}

fn open(args: &OpenArgs, context: &Context) -> Outcome {
    let opening = Opening {
        site_id: args.site.clone(),
        address: args.address.clone(),
        purpose: args.purpose.clone(),
        words: args.words.clone(),
    };
    let config = super::subject::config(context, &args.site)?;
    let answer = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/addresses/open", Some(&json!(opening))).await?),
            None => {
                alone(config, &args.site, async |desk, site| {
                    desk.open(site, &opening, Actor::running(), Timestamp::now()).await
                })
                .await
            }
        }
    })?;
    let line = |name: &str| {
        let value = &answer[name];
        format!("{name:<9}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    context.print(&answer, ["ip", "country", "region", "city", "asn", "network"].map(line))
}

/// Without a server. Who opens is bound by the hour only where one runs.
async fn alone(
    config: Config,
    id: &str,
    work: impl AsyncFnOnce(&Desk, &Site) -> Result<Value, AddressError>,
) -> Result<Value, Failure> {
    let site = config.chosen(Some(id))?.clone();
    offline::with_office(config, async |office: &Office| {
        let desk = Desk {
            keys: office.keys.clone(),
            storage: office.storage.clone(),
            trail: office.trail.clone(),
            openings: Arc::default(),
        };
        work(&desk, &site).await.map_err(Failure::from)
    })
    .await
}

// === impl ListArgs ===

impl ListArgs {
    fn question(&self) -> Value {
        let range = match (&self.from, &self.to) {
            (Some(from), Some(to)) => json!([from, to]),
            _ => json!(self.range),
        };
        json!({
            "site_id": self.site, "purpose": self.purpose, "date_range": range, "by": self.by, "address": self.address,
            "network": self.network, "asn": self.asn, "country": self.country, "order_by": self.order_by,
            "limit": self.limit, "offset": self.offset,
        })
    }
}

/// For people: a line for each row, the totals, the notes.
fn lines(answer: &Value, by: &str) -> Vec<String> {
    let key = by.split(':').next().unwrap_or(by);
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let row = |name: String, row: &Value| {
        let [hits, visitors, refused, limited, marked, errors, first, last] =
            ["hits", "visitors", "refused", "limited", "marked", "errors", "first", "last"]
                .map(|of| text(&row[of]));
        [name, hits, visitors, refused, limited, marked, errors, first, last]
    };
    let results = answer["results"].as_array().into_iter().flatten();
    let mut rows: Vec<[String; 9]> = results.map(|one| row(text(&one[key]), one)).collect();
    rows.push(row("all".to_owned(), &answer["totals"]));
    let head = key.to_uppercase();
    let heads = [&*head, "HITS", "VISITORS", "REFUSED", "LIMITED", "MARKED", "ERRORS", "FIRST", "LAST"];
    let notes = answer["notes"].as_array().into_iter().flatten();
    let mut lines = table(heads, rows);
    lines.extend(notes.map(|note| format!("note: {}", text(note))));
    lines
}
