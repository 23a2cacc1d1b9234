//! `metka policy`

use std::path::PathBuf;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome};
use super::storage;
use crate::config::Config;
use crate::policy::{Language, Report, State, Witness, page};
use crate::privacy::keys::{KeyError, KeyRing};
use crate::spool;

#[derive(clap::Args)]
pub struct PolicyArgs {
    /// Only this site; all when not given
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// The language of the words
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
    /// Write a page to be printed there instead; needs one site
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Fail if a clause is red
    #[arg(long)]
    check: bool,
}

pub fn run(args: &PolicyArgs, context: &Context) -> Outcome {
    let config = match &args.site {
        Some(site) => super::subject::config(context, site)?,
        None => context.config()?,
    };
    if let Some(id) = &args.site {
        config.chosen(Some(id))?;
    }
    let asked = json!({ "site": args.site });
    let found = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/policy", Some(&asked)).await?),
            None => offline(context, config, args.site.as_deref()).await,
        }
    })?;
    let reports: Vec<Report> = serde_json::from_value(found["policy"].clone()).map_err(Failure::failed)?;
    match (&args.html, &reports[..]) {
        (None, _) => context.print(&found, lines(&reports, args.language))?,
        (Some(path), [report]) => {
            std::fs::write(path, page::html(report, args.language))
                .map_err(|error| Failure::failed(format_args!("{}: {error}", path.display())))?;
            context.print(
                &json!({ "file": path.display().to_string(), "state": report.state }),
                [format!("written to {}: {}", path.display(), report.state.name())],
            )?;
        }
        (Some(_), _) => return Err(Failure::usage("--html: a page is of one site: give --site")),
    }
    let red = reports.iter().flat_map(|report| &report.clauses).filter(|clause| clause.state == State::Red);
    match red.count() {
        red @ 1.. if args.check => Err(Failure::failed(format_args!("{red} clauses are red"))),
        _ => Ok(()),
    }
}

/// Without a server: storage for as long as the command lasts.
async fn offline(context: &Context, config: Config, only: Option<&str>) -> Result<Value, Failure> {
    // A new ring would say that there are no old keys.
    if !KeyRing::exists(&config.keys.dir) {
        return Err(KeyError::NoRing(config.keys.dir.clone()).into());
    }
    let trail = context.trail(&config)?;
    let dir = super::context::spool_dir(&config);
    let waiting = if dir.is_dir() { spool::stat(&dir).map_err(Failure::failed)? } else { Default::default() };
    let opened = storage::open(&config).await?;
    let config = Arc::new(config);
    let witness = Witness {
        keys: Arc::new(KeyRing::open(&config.keys)?),
        config: config.clone(),
        storage: opened.storage.clone(),
        trail: Arc::new(trail),
        waiting_since_ms: waiting.spools.values().filter_map(|one| one.oldest_ms).min(),
    };
    let mut reports = Vec::new();
    for site in config.sites.iter().filter(|site| only.is_none_or(|id| id == site.id)) {
        reports.push(witness.report(site, jiff::Timestamp::now()).await);
    }
    opened.close().await;
    Ok(json!({ "policy": reports }))
}

fn lines(reports: &[Report], language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!("{}  {}  policy {}", report.site, report.state.name(), or_dash(&report.version)));
        for clause in &report.clauses {
            let does = match language {
                Language::Ru => &clause.does_ru,
                Language::En => &clause.does_en,
            };
            lines.push(format!("  {:<5}  {:<13}  {does}", clause.state.name(), clause.clause));
            let settings = clause.settings.iter();
            lines.extend(
                settings.map(|setting| format!("{:24}{} = {}", "", setting.key, or_dash(&setting.value))),
            );
            for line in &clause.evidence {
                let label = match language {
                    Language::Ru => &line.ru,
                    Language::En => &line.en,
                };
                lines.push(format!("{:24}{label}: {}{}", "", line.value, mark(line.state)));
            }
        }
    }
    lines
}

fn mark(state: State) -> &'static str {
    match state {
        State::Green => "  ok",
        State::Red => "  RED",
        State::None => "",
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
