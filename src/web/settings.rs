//! `/api/v1/settings`: what a site keeps beside its numbers ([`crate::settings`]).
//!
//! `GET` tells it (`site_id`), `POST` makes one change, `{"site_id","put":{KIND:{…}}}`
//! or `{"site_id","remove":{KIND:ID}}`, and answers with the thing as it is kept.
//!
//! - Everybody who may see the site may read it; links and reports are told to owners.
//! - Segments and notes are everybody's: a viewer, officer or security changes their
//!   own, an owner all. The rest is an owner's.
//! - Under a shared link nobody is told who made what.
//! - The address of a new link is told once, in the answer that made it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::Credential;
use super::answer::{self, Answer};
use super::officer::{failed, panicked, wrong};
use super::role::Role;
use super::routes::Asked;
use crate::guard::Asker;
use crate::settings::{Author, Change, Kind, Put, Remove, SettingsError};

const PART: &str = "the settings of the site";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    site_id: String,
    put: Option<Put>,
    remove: Option<Remove>,
}

pub async fn read(asked: Asked) -> Answer {
    told(&asked).unwrap_or_else(|refused| *refused)
}

pub async fn change(asked: Asked) -> Answer {
    changed(&asked).await.unwrap_or_else(|refused| *refused)
}

fn told(asked: &Asked) -> Result<Answer, Box<Answer>> {
    let id = asked.parameter("site_id").ok_or_else(|| wrong("site_id: expected the id of a site"))?;
    let site = asked.site(&id)?;
    let settings = asked.state.settings.read(&site.id).map_err(of_settings)?;
    let principal = asked.principal();
    let mut told = settings.told();
    if let Credential::Link { id, .. } = &principal.by {
        // What the page says of itself: by whose leave, until when, about what.
        let link = settings.links.iter().find(|link| link.id == *id);
        told["link"] = json!(link.map(|link| json!({
            "name": link.name, "expires": link.expires, "filters": link.filters,
        })));
        for list in ["segments", "notes"] {
            let things = told[list].as_array_mut().into_iter().flatten();
            things.filter_map(Value::as_object_mut).for_each(|thing| drop(thing.remove("by")));
        }
    }
    if principal.role.includes(Role::Owner) {
        told["links"] = json!(settings.told_links());
        told["reports"] = json!(settings.reports);
    }
    told["min_group"] = json!(site.min_group);
    told["guarded"] = json!(principal.role.asker().on(&site) == Asker::Guarded);
    told["mail"] = json!(asked.state.config.load().mail.is_some());
    Ok(answer::json(StatusCode::OK, &told))
}

async fn changed(asked: &Asked) -> Result<Answer, Box<Answer>> {
    let New { site_id, put, remove } = asked.read()?;
    let site = asked.site(&site_id)?;
    let change = match (put, remove) {
        (Some(put), None) => Change::Put(put),
        (None, Some(remove)) => Change::Remove(remove),
        _ => return Err(wrong("expected one of put and remove")),
    };
    let principal = asked.principal();
    let is_owner = principal.role.includes(Role::Owner);
    if !is_owner && !matches!(change.kind(), Kind::Segment | Kind::Note) {
        let text = format!("{}s need the role {}", change.kind(), Role::Owner);
        return Err(Box::new(answer::error(StatusCode::FORBIDDEN, text)));
    }
    let actor = principal.actor();
    let author = Author { name: actor.to_string(), others: is_owner };
    let work = move |state: &super::State| {
        let at = state.timestamp();
        state.settings.change(&site.id, &author, vec![change], at.as_millisecond(), |done| {
            state.trail.append(&done.entry(at, actor.clone(), &site.id)).map(drop)
        })
    };
    let mut made = asked.state.on_disk(work).await.ok_or_else(panicked)?.map_err(of_settings)?;
    let done = made.pop().ok_or_else(panicked)?;
    let mut told = done.told;
    if let Some(secret) = done.secret {
        told["url"] = json!(format!("{}/share/{secret}", asked.state.config.load().web.public_url));
    }
    Ok(answer::json(StatusCode::OK, &told))
}

fn of_settings(error: SettingsError) -> Box<Answer> {
    match error {
        SettingsError::Foreign { .. } => Box::new(answer::error(StatusCode::FORBIDDEN, error)),
        SettingsError::Audit(error) => failed("the audit trail", error),
        error if error.is_of_the_question() => wrong(error),
        error => failed(PART, error),
    }
}
