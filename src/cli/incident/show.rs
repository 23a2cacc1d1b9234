//! `metka incident list` and `show`, and how every command here prints an incident.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::context::{Context, Outcome, moment, table};
use crate::incident::{Incident, IncidentError, Register, described};

#[derive(clap::Args)]
pub struct ListArgs {
    /// Only those about this site
    #[arg(long, value_name = "ID")]
    site: Option<String>,
}

#[derive(clap::Args)]
pub struct ShowArgs {
    /// Its number, such as I-2026-0001
    #[arg(value_name = "NUMBER")]
    number: String,
    /// Only the notice for the people, in this language
    #[arg(long, value_name = "LANGUAGE", value_enum)]
    notice: Option<Language>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Language {
    /// Russian
    Ru,
    /// English
    En,
}

pub fn list(args: &ListArgs, context: &Context) -> Outcome {
    let (config, now) = (context.config()?, Timestamp::now());
    let all = Register::new(&config.data_dir).list().map_err(IncidentError::from)?;
    let all: Vec<Incident> =
        all.into_iter().filter(|one| args.site.as_ref().is_none_or(|site| *site == one.site)).collect();
    let rows = all.iter().map(|one| {
        let next = one.clocks.iter().filter(|clock| clock.done.is_none() && one.closed.is_none());
        let next = next.min_by_key(|clock| clock.due);
        [
            one.number.clone(),
            one.site.clone(),
            one.kind.name().to_owned(),
            one.state.name().to_owned(),
            moment(one.detected),
            next.map_or_else(
                || "-".to_owned(),
                |clock| format!("{} {}", moment(clock.due), clock.name.name()),
            ),
            one.affected.visitors.to_string(),
        ]
    });
    let heads = ["NUMBER", "SITE", "KIND", "STATE", "DETECTED", "DUE", "VISITORS"];
    let lines = table(heads, rows.collect());
    let values: Vec<Value> = all.iter().map(|one| described(one, &config, now)).collect();
    context.print(&json!({ "incidents": values }), lines)
}

pub fn run(args: &ShowArgs, context: &Context) -> Outcome {
    let config = context.config()?;
    let incident = Register::new(&config.data_dir).get(&args.number).map_err(IncidentError::from)?;
    let value = described(&incident, &config, Timestamp::now());
    let language = match args.notice {
        None => return context.print(&value, lines(&value)),
        Some(Language::Ru) => "ru",
        Some(Language::En) => "en",
    };
    let notice = &value["notice"][language];
    let text = notice.as_str().unwrap_or_default().to_owned();
    context.print(&json!({ "number": incident.number, "notice": notice }), [text])
}

/// An incident as [`described`] tells of it.
pub fn lines(incident: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), moment);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let affected = &incident["affected"];
    let mut lines = vec![
        format!(
            "{}  {}, site {}, {}",
            text(&incident["number"]),
            text(&incident["kind"]),
            text(&incident["site"]),
            text(&incident["state"])
        ),
        format!("range       {} to {}", at(&incident["from"]), at(&incident["to"])),
        format!("detected    {}", at(&incident["detected"])),
        format!("what        {}", text(&incident["what"])),
    ];
    for clock in list(&incident["clocks"]) {
        let done =
            if clock["done"].is_null() { String::new() } else { format!(", done {}", at(&clock["done"])) };
        let late = if clock["late"] == true { ", late" } else { "" };
        lines.push(format!(
            "due         {} {} ({} h, {}){done}{late}",
            at(&clock["due"]),
            text(&clock["name"]),
            clock["hours"],
            text(&clock["article"])
        ));
    }
    lines.push(format!("informed    {}", at(&incident["subjects_informed"])));
    lines.push(format!(
        "affected    {} rows, {} visitors, {} cookies, {} user keys, {} addresses",
        affected["rows"],
        affected["visitors"],
        affected["cookies"],
        affected["user_keys"],
        affected["addresses"]
    ));
    lines.push(format!("hits        {} to {}", at(&affected["first"]), at(&affected["last"])));
    for kind in list(&affected["kinds"]) {
        if kind["rows"] != 0 {
            lines.push(format!("data        {} rows with {}", kind["rows"], text(&kind["en"])));
        }
    }
    let result = text(&incident["result"]);
    if !result.is_empty() {
        lines.push(format!("result      {result}"));
    }
    for change in list(&incident["history"]) {
        lines.push(format!("{}  {} ({})", at(&change["at"]), text(&change["what"]), text(&change["who"])));
    }
    lines
}
