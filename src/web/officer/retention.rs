//! `/api/v1/retention`: `GET` the last report, `POST` `{"dry_run":bool}` runs the job.
//! Both as [`crate::retention::Report`] says it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::{failed, panicked};
use crate::audit::{Action, Entry};
use crate::retention::{Mode, Report};
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    dry_run: bool,
}

pub async fn last(asked: Asked) -> Answer {
    match asked.state.on_disk(|state| Report::last(&state.config.load().data_dir)).await {
        None => *panicked(),
        Some(Err(error)) => *failed("the last report of retention", error),
        Some(Ok(report)) => {
            let seen = report.map(|mut report| {
                report.kinds.retain(|line| asked.principal().may_see(&line.site));
                report
            });
            answer::json(StatusCode::OK, &json!(seen))
        }
    }
}

pub async fn run(asked: Asked) -> Answer {
    let read = asked.all_sites().and_then(|()| asked.read::<Run>());
    let mode = match read {
        Ok(Run { dry_run: true }) => Mode::DryRun,
        Ok(Run { dry_run: false }) => Mode::Remove,
        Err(refused) => return *refused,
    };
    if mode == Mode::Remove {
        let by = asked.principal().actor();
        let entry = Entry::new(asked.state.timestamp(), by, Action::RetentionRun);
        if let Err(error) = asked.state.note(entry).await {
            return *failed("the audit trail", error);
        }
    }
    match asked.state.running.retention(mode).await {
        Ok(report) => answer::json(StatusCode::OK, &report),
        Err(error) => *failed("retention", error),
    }
}
