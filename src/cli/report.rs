//! `metka report`: reports by mail.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome};
use super::storage;
use crate::audit::Actor;
use crate::config::Config;
use crate::demo;
use crate::report::{Asked, Desk};
use crate::serve::Questions;

#[derive(clap::Args)]
pub struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(clap::Subcommand)]
enum ReportCommand {
    /// Send a report of the last day, week or month that has ended
    ///
    /// Without --day the period counts as sent, and the server does not send it again.
    Send(SendArgs),
}

#[derive(clap::Args)]
struct SendArgs {
    #[arg(long, value_name = "ID")]
    site: String,
    /// The report, such as r1 (metka settings show)
    #[arg(long, value_name = "ID")]
    report: String,
    /// Of the day, week or month that this day is in
    #[arg(long, value_name = "DATE")]
    day: Option<String>,
    /// Show the letter, and send nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &ReportArgs, context: &Context) -> Outcome {
    let ReportCommand::Send(args) = &args.command;
    let asked = Asked {
        site: args.site.clone(),
        report: args.report.clone(),
        day: args.day.clone(),
        dry_run: args.dry_run,
    };
    let config = context.config()?;
    let told = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/report", Some(&json!(asked))).await?),
            None => offline(context, config, &asked).await,
        }
    })?;
    context.print(&told, lines(&told))
}

/// Without a server: what one would have done is done here.
async fn offline(context: &Context, mut config: Config, asked: &Asked) -> Result<Value, Failure> {
    // The demo's rows may be there from an earlier serve --demo.
    demo::add_site(&mut config);
    let trail = Arc::new(context.trail(&config)?);
    let opened = storage::open(&config).await?;
    let archive = Questions::beside(opened.storage.clone(), &config);
    let desk =
        Desk { settings: archive.settings.clone(), config: Arc::new(config), trail, archive: &archive };
    let done = desk.send(asked, Actor::running(), jiff::Timestamp::now()).await;
    opened.close().await;
    Ok(done?)
}

fn lines(told: &Value) -> Vec<String> {
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    if told["text"].is_string() {
        return vec![format!("Subject: {}", text("subject")), String::new(), text("text")];
    }
    vec![format!(
        "the report {} of {} is sent to {} addresses: {} to {}",
        text("report"),
        text("site"),
        told["sent"],
        told["period"][0].as_str().unwrap_or_default(),
        told["period"][1].as_str().unwrap_or_default(),
    )]
}
