//! `/api/v1/incidents`: `GET` lists (`site_id`), `POST` registers one; `GET …/NUMBER`
//! shows one, `POST …/NUMBER` changes it or compares user keys with it
//! ([`crate::incident::Change`]).

use http::StatusCode;
use serde_json::{Value, json};

use super::{failed, not_found, of_subject, panicked, wrong};
use crate::incident::register::Register;
use crate::incident::{self, Change, Incident, IncidentError, Report, described};
use crate::rights::numbered::NumberedError;
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

/// The beginning of the address of one incident.
const ONE: &str = "/api/v1/incidents/";
const REGISTER: &str = "the register of incidents";

pub async fn list(asked: Asked) -> Answer {
    let site = match asked.chosen_site() {
        Ok(site) => site,
        Err(refused) => return *refused,
    };
    let (config, now) = (asked.state.config.load_full(), asked.state.timestamp());
    let directory = config.data_dir.clone();
    match asked.state.on_disk(move |_| Register::new(&directory).list()).await {
        None => *panicked(),
        Some(Err(error)) => *failed(REGISTER, error),
        Some(Ok(incidents)) => {
            let seen = incidents.iter().filter(|one| site.as_ref().is_none_or(|site| *site == one.site));
            let seen: Vec<Value> = seen.map(|one| described(one, &config, now)).collect();
            answer::json(StatusCode::OK, &json!({ "incidents": seen }))
        }
    }
}

pub async fn report(asked: Asked) -> Answer {
    let read = asked.read::<Report>().and_then(|report| {
        asked.site(&report.site)?;
        Ok(report)
    });
    match read {
        Ok(report) => done(&asked, incident::Asked::Report(report)).await,
        Err(refused) => *refused,
    }
}

pub async fn show(asked: Asked) -> Answer {
    match find(&asked).await {
        Ok(incident) => {
            let told = described(&incident, &asked.state.config.load(), asked.state.timestamp());
            answer::json(StatusCode::OK, &told)
        }
        Err(refused) => *refused,
    }
}

pub async fn change(asked: Asked) -> Answer {
    let number = match find(&asked).await {
        Ok(incident) => incident.number,
        Err(refused) => return *refused,
    };
    match asked.read::<Change>() {
        Ok(change) => done(&asked, incident::Asked::Change { number, change }).await,
        Err(refused) => *refused,
    }
}

/// The incident that the address names, unless it is of a site that is not to be seen.
async fn find(asked: &Asked) -> Result<Incident, Box<Answer>> {
    let number = asked.rest(ONE).to_owned();
    let found = asked.state.on_disk(move |state| Register::new(&state.config.load().data_dir).get(&number));
    match found.await.ok_or_else(panicked)? {
        Ok(incident) if asked.principal().may_see(&incident.site) => Ok(incident),
        // As if it were not there.
        Ok(incident) => Err(not_found(NumberedError::NoNumber(incident.number))),
        Err(error @ NumberedError::NoNumber(_)) => Err(not_found(error)),
        Err(error) => Err(failed(REGISTER, error)),
    }
}

async fn done(asked: &Asked, what: incident::Asked) -> Answer {
    match asked.state.running.incident(what, asked.principal().actor()).await {
        Ok(told) => answer::json(StatusCode::OK, &told),
        Err(IncidentError::Subject(error)) => *of_subject(error),
        Err(IncidentError::Register(error)) => *failed(REGISTER, error),
        Err(error) => *wrong(error),
    }
}
