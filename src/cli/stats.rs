//! `metka stats`

use std::io::Read;
use std::path::PathBuf;

use http::Method;
use serde_json::Value;

use super::context::{Context, Failure, Outcome};
use super::storage;
use crate::config::Config;
use crate::control;
use crate::demo;
use crate::export;
use crate::guard::Asker;
use crate::serve::Questions;
use crate::web::running::ArchiveError;

/// The longest question, in bytes, as over the API.
const MAX_QUESTION_BYTES: u64 = crate::web::routes::MAX_BODY_BYTES as u64;

#[derive(clap::Args)]
pub struct StatsArgs {
    /// A file with a question in the form of POST /api/v2/query; - is standard input.
    /// With "report": "funnel", "journeys", "retention" or "live" it is one in the form of
    /// POST /api/v2/funnel, /journeys, /retention or GET /api/v1/live
    #[arg(value_name = "QUERY.json")]
    question: PathBuf,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// As whom: viewer sees what the guard of small counts leaves; without this, numbers are exact
    #[arg(long = "as", value_name = "ROLE")]
    as_role: Option<As>,
}

/// Forms of an answer.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// As the API answers
    Json,
    /// A table for spreadsheets
    Csv,
}

/// Who is not shown exact numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum As {
    Viewer,
}

pub fn run(args: &StatsArgs, context: &Context) -> Outcome {
    let question = read(args)?;
    let config = context.config()?;
    let (path, asker) = match args.as_role {
        Some(As::Viewer) => ("/stats?as=viewer", Asker::Guarded),
        None => ("/stats", Asker::Exact),
    };
    let answer = context.block_on(async {
        match context.server(&config)? {
            Some(server) => Ok(server.call(Method::POST, path, Some(&question)).await?),
            None => offline(&config, &question, asker).await,
        }
    })?;
    let lines = match args.format {
        Format::Json => serde_json::to_string_pretty(&answer).map_err(Failure::failed)?,
        Format::Csv => export::csv(&answer).trim_end().to_owned(),
    };
    context.print(&answer, [lines])
}

async fn offline(config: &Config, question: &Value, asker: Asker) -> Result<Value, Failure> {
    let opened = storage::open(config).await?;
    let archive = Questions::beside(opened.storage.clone(), config);
    let mut config = config.clone();
    // The demo's rows may be there from an earlier serve --demo.
    demo::add_site(&mut config);
    let answer = control::ask(&archive, &config, question, jiff::Timestamp::now(), asker).await;
    opened.close().await;
    answer.map_err(|error| match error {
        ArchiveError::Question(_) => Failure::usage(error),
        other => Failure::failed(other),
    })
}

fn read(args: &StatsArgs) -> Result<Value, Failure> {
    let name = args.question.display();
    let mut text = String::new();
    let read = if args.question.as_os_str() == "-" {
        std::io::stdin().take(MAX_QUESTION_BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(&args.question)
            .and_then(|file| file.take(MAX_QUESTION_BYTES + 1).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::usage(format_args!("{name}: {error}")))?;
    if text.len() as u64 > MAX_QUESTION_BYTES {
        return Err(Failure::usage(format_args!("{name}: longer than {MAX_QUESTION_BYTES} bytes")));
    }
    serde_json::from_str(&text).map_err(|error| Failure::usage(format_args!("{name}: not JSON: {error}")))
}
