//! `metka fraud check`

use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::context::{Context, Failure, Outcome};
use super::offline;
use super::subject::identify::given;
use crate::audit::{Actor, Purpose};
use crate::config::Config;
use crate::enrich::Enricher;
use crate::fraud::check::{Asked, CheckError, check};
use crate::fraud::follow::Memories;
use crate::fraud::gaze::Eyes;
use crate::search::Search;
use crate::subject::SubjectError;

#[derive(clap::Args)]
pub struct FraudArgs {
    #[command(subcommand)]
    command: FraudCommand,
}

#[derive(clap::Subcommand)]
enum FraudCommand {
    /// Say where a visitor is and what speaks against them
    Check(CheckArgs),
}

/// Other users of the machine see the arguments of a command: give - and pass the value on standard input.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("whom").required(true))]
pub struct CheckArgs {
    /// The site that it is about; the only one when not given
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// By the value of the visitor's cookie; - reads it from standard input
    #[arg(long, value_name = "VALUE", group = "whom", allow_hyphen_values = true)]
    cookie: Option<String>,
    /// By the key that the site gives its user, without the signature; - reads it from standard input
    #[arg(long, value_name = "KEY", group = "whom", allow_hyphen_values = true)]
    user: Option<String>,
    /// By an address; - reads it from standard input
    #[arg(long, value_name = "ADDR", group = "whom", allow_hyphen_values = true)]
    ip: Option<String>,
    /// By the keyed hash of a visitor, as an alert has it
    #[arg(long, value_name = "HASH", group = "whom")]
    subject: Option<String>,
    /// What for: fraud, payments, security, support or claim
    #[arg(long, value_name = "PURPOSE", default_value = "fraud")]
    purpose: Purpose,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    words: Option<String>,
}

pub fn run(args: &FraudArgs, context: &Context) -> Outcome {
    match &args.command {
        FraudCommand::Check(args) => check_one(args, context),
    }
}

fn check_one(args: &CheckArgs, context: &Context) -> Outcome {
    let config = match &args.site {
        Some(site) => super::subject::config(context, site)?,
        None => context.config()?,
    };
    let read =
        |option, value: &Option<String>| value.as_deref().map(|value| given(option, value)).transpose();
    let asked = Asked {
        // Without a name whoever answers takes the only one: a server may have the demo clinic too.
        site_id: args.site.clone().unwrap_or_default(),
        cookie: read("--cookie", &args.cookie)?,
        user: read("--user", &args.user)?,
        ip: read("--ip", &args.ip)?,
        subject: args.subject.clone(),
        purpose: args.purpose,
        words: args.words.clone(),
    };
    let answer = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, "/fraud/check", Some(&json!(asked))).await?),
            None => alone(config, asked).await,
        }
    })?;
    context.print(&answer, lines(&answer))
}

/// Without a server: what it would remember is read from storage first.
async fn alone(config: Config, asked: Asked) -> Result<Value, Failure> {
    asked.site(&config)?;
    let enricher = Arc::new(Enricher::open(&config, &Search::here()).map_err(Failure::failed)?);
    offline::with_office(config, async |office| {
        let eyes = Eyes { keys: office.keys.clone(), enricher };
        let now = Timestamp::now();
        let memories = Memories::new(office.storage.clone(), eyes, now);
        let site = asked.site(&office.config)?;
        memories.tend(&office.config, site, now).await.map_err(SubjectError::from)?;
        let answered =
            check(asked, &memories, &office.config, office.trail.clone(), Actor::running(), now).await;
        Ok::<_, Failed>(answered?)
    })
    .await
}

/// What may fail without a server.
enum Failed {
    Office(SubjectError),
    Check(CheckError),
}

impl From<SubjectError> for Failed {
    fn from(error: SubjectError) -> Failed {
        Failed::Office(error)
    }
}

impl From<CheckError> for Failed {
    fn from(error: CheckError) -> Failed {
        Failed::Check(error)
    }
}

impl From<Failed> for Failure {
    fn from(error: Failed) -> Failure {
        match error {
            Failed::Office(error) => error.into(),
            Failed::Check(error) => error.into(),
        }
    }
}

fn lines(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut lines =
        vec![format!("{}: {} of {} points", text(&answer["verdict"]), answer["score"], answer["threshold"])];
    if let Some(location) = answer["location"].as_object() {
        let words = ["country", "region", "city", "network", "kind", "scope"];
        let known =
            words.iter().filter_map(|word| location.get(*word)?.as_str()).filter(|text| !text.is_empty());
        lines.push(format!("location: {}", known.collect::<Vec<_>>().join(", ")));
    }
    for signal in answer["signals"].as_array().into_iter().flatten() {
        lines.push(format!(
            "+{} {}: {}: {}",
            signal["points"],
            text(&signal["rule"]),
            text(&signal["about"]),
            signal["evidence"]
        ));
    }
    let not_asked = answer["rules"].as_array().into_iter().flatten().filter(|rule| !rule["why"].is_null());
    lines
        .extend(not_asked.map(|rule| {
            format!("{}: {}: {}", text(&rule["rule"]), text(&rule["state"]), text(&rule["why"]))
        }));
    lines.extend(answer["notes"].as_array().into_iter().flatten().map(text));
    lines
}
