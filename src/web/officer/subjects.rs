//! `/api/v1/subjects`: something is done about one person, as [`crate::subject::job`]
//! says. `/api/v1/acts/NAME`: the act of destruction as a page.

use http::StatusCode;

use super::{not_found, of_subject, panicked};
use crate::subject::act::Act;
use crate::subject::job::Asked as Job;
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

/// The beginning of the address of one act.
const ONE: &str = "/api/v1/acts/";

pub async fn job(asked: Asked) -> Answer {
    let mut job: Job = match asked.read() {
        Ok(job) => job,
        Err(refused) => return *refused,
    };
    let site = match asked.site(&job.site) {
        Ok(site) => site,
        Err(refused) => return *refused,
    };
    job.site = site.id;
    job.purpose = job.who.without_value(&job.purpose);
    match asked.state.running.subject(job, asked.principal().actor()).await {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err(error) => *of_subject(error),
    }
}

pub async fn act(asked: Asked) -> Answer {
    let name = asked.rest(ONE).to_owned();
    let found = asked.state.on_disk(move |state| Act::read(&state.config.load().data_dir, &name)).await;
    let act = match found {
        None => return *panicked(),
        Some(Err(error)) => return *of_subject(error),
        Some(Ok(act)) => act.filter(|act| asked.principal().may_see(&act.site)),
    };
    match act {
        Some(act) => answer::paper(act.html()),
        None => *not_found("there is no act of this name"),
    }
}
