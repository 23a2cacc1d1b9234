//! `/api/v1/requests`: the register of what people ask of their data.
//!
//! `GET` lists (`site_id`, `state`, `kind`, `overdue=true`), with what needs
//! attention; `POST` registers; `GET …/NUMBER` shows one; `POST …/NUMBER` changes it
//! by one of `{"extend":{"reason","days"?}}`, `{"stopped":true}`,
//! `{"close":{"answer","refused"}}`. A request is answered as
//! [`Request::described`] tells it.

use clap::ValueEnum;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{failed, not_found, of_desk, of_register, of_subject, panicked, wrong};
use crate::audit::{Action, Entry};
use crate::rights::desk::{Desk, Received, changing, receipt};
use crate::rights::register::{Filter, Note, Outcome};
use crate::rights::request::{IdentifiedBy, Request, Subject};
use crate::rights::terms::Kind;
use crate::subject::Who;
use crate::subject::job::{Asked as Job, Job as What};
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

/// The beginning of the address of one request.
const ONE: &str = "/api/v1/requests/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    site: String,
    kind: Kind,
    about: Option<Kind>,
    who: Option<Who>,
    /// RFC 3339; now without it.
    received: Option<String>,
    #[serde(default)]
    purpose: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Change {
    Extend { reason: String, days: Option<u16> },
    Stopped(bool),
    Close { answer: String, refused: bool },
}

pub async fn list(asked: Asked) -> Answer {
    done(listed(&asked).await)
}

pub async fn receive(asked: Asked) -> Answer {
    done(received(&asked).await)
}

pub async fn show(asked: Asked) -> Answer {
    let found = find(&asked).await;
    done(found.map(|request| request.described(asked.state.now())))
}

pub async fn change(asked: Asked) -> Answer {
    done(changed(&asked).await)
}

async fn listed(asked: &Asked) -> Result<Value, Box<Answer>> {
    let filter = Filter {
        site: asked.chosen_site()?,
        kind: named("kind", asked.parameter("kind"))?,
        state: named("state", asked.parameter("state"))?,
        subject: None,
        overdue_at: (asked.parameter("overdue").as_deref() == Some("true")).then(|| asked.state.now()),
    };
    let work = move |state: &crate::web::State| {
        let desk = Desk::open(&state.config.load())?;
        let attention = desk.attention(filter.site.as_deref(), state.timestamp())?;
        Ok((desk.register().list(&filter)?, attention))
    };
    let (requests, attention) = asked.state.on_disk(work).await.ok_or_else(panicked)?.map_err(of_desk)?;
    let now = asked.state.now();
    let requests: Vec<Value> = requests.iter().map(|request| request.described(now)).collect();
    Ok(json!({ "requests": requests, "attention": attention }))
}

async fn received(asked: &Asked) -> Result<Value, Box<Answer>> {
    let new: New = asked.read()?;
    let site = asked.site(&new.site)?;
    let at: Timestamp = match &new.received {
        None => asked.state.timestamp(),
        Some(text) => text
            .parse()
            .map_err(|_| wrong("received: expected a moment such as 2026-11-26T10:00:00+03:00"))?,
    };
    let (identified, subjects, purpose) = match new.who {
        None => (IdentifiedBy::Other, Vec::new(), new.purpose),
        Some(who) => {
            let identified = match who {
                Who::Cookie(_) => IdentifiedBy::Cookie,
                Who::User(_) => IdentifiedBy::User,
                Who::Address { .. } => IdentifiedBy::Ip,
                Who::Request(_) => IdentifiedBy::Other,
            };
            let purpose = who.without_value(&new.purpose);
            (identified, subjects_of(asked, &site.id, who).await?, purpose)
        }
    };
    let received = Received { kind: new.kind, about: new.about, identified, subjects, at, purpose };
    note(asked, receipt(&site.id, &received, asked.principal().actor(), asked.state.timestamp())).await?;
    let who = asked.principal().actor().to_string();
    let work = move |state: &crate::web::State| {
        Desk::open(&state.config.load())?.receive(&site, received, &who, state.timestamp())
    };
    let request = asked.state.on_disk(work).await.ok_or_else(panicked)?.map_err(of_desk)?;
    Ok(request.described(asked.state.now()))
}

/// By which hashes rows know this person.
async fn subjects_of(asked: &Asked, site: &str, who: Who) -> Result<Vec<Subject>, Box<Answer>> {
    let job = Job {
        job: What::Find,
        site: site.to_owned(),
        who,
        purpose: "to register a request".to_owned(),
        request: None,
        by: None,
        wait: true,
    };
    let held = asked.state.running.subject(job, asked.principal().actor()).await.map_err(of_subject)?;
    serde_json::from_value(held["subjects"].clone())
        .map_err(|error| failed("what is held of a person", error))
}

async fn changed(asked: &Asked) -> Result<Value, Box<Answer>> {
    let request = find(asked).await?;
    let change: Change = asked.read()?;
    let what = match &change {
        Change::Extend { .. } => "extended",
        Change::Stopped(true) => "the processing has stopped",
        Change::Stopped(false) => return Err(wrong("stopped: expected true")),
        Change::Close { refused: true, .. } => "closed: refused",
        Change::Close { refused: false, .. } => "closed: done",
    };
    let action = match change {
        Change::Close { .. } => Action::RequestClosed,
        _ => Action::RequestChanged,
    };
    let entry = changing(&request, action, what, asked.principal().actor(), asked.state.timestamp());
    note(asked, entry.map_err(|error| failed("the audit trail", error))?).await?;
    let who = asked.principal().actor().to_string();
    let work = move |state: &crate::web::State| {
        let (desk, now) = (Desk::open(&state.config.load())?, state.timestamp());
        let (number, note) = (&request.number, Note { at: now.as_millisecond(), who: &who, what });
        Ok(match change {
            Change::Extend { reason, days } => desk.extend(number, &reason, days, &who, now)?,
            Change::Stopped(_) => desk.register().step_done(number, note)?,
            Change::Close { answer, refused } => {
                let outcome = if refused { Outcome::Refused } else { Outcome::Done };
                desk.register().close(number, outcome, &answer, note)?
            }
        })
    };
    let request = asked.state.on_disk(work).await.ok_or_else(panicked)?.map_err(of_desk)?;
    Ok(request.described(asked.state.now()))
}

/// The request that the address names, unless it is of a site that is not to be seen.
async fn find(asked: &Asked) -> Result<Request, Box<Answer>> {
    let number = asked.rest(ONE).to_owned();
    let named = number.clone();
    let work = move |state: &crate::web::State| {
        crate::rights::register::Register::new(&state.config.load().data_dir).get(&named)
    };
    let request = asked.state.on_disk(work).await.ok_or_else(panicked)?.map_err(of_register)?;
    match asked.principal().may_see(&request.site) {
        true => Ok(request),
        // As if it were not there.
        false => Err(not_found(crate::rights::register::RegisterError::NoRequest(number))),
    }
}

async fn note(asked: &Asked, entry: Entry) -> Result<(), Box<Answer>> {
    asked.state.note(entry).await.map_err(|error| failed("the audit trail", error))
}

/// A word of a closed list, if one is given.
fn named<T: ValueEnum>(name: &str, given: Option<String>) -> Result<Option<T>, Box<Answer>> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    T::from_str(&given, false).map(Some).map_err(|_| {
        let words = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let words: Vec<String> = words.map(|value| value.get_name().to_owned()).collect();
        wrong(format_args!("{name}: expected one of {}", words.join(", ")))
    })
}

fn done(outcome: Result<Value, Box<Answer>>) -> Answer {
    outcome.map_or_else(|refused| *refused, |value| answer::json(StatusCode::OK, &value))
}
