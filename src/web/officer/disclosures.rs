//! `/api/v1/disclosures`: `GET` lists the log (`site_id`), `POST` makes a disclosure and
//! gives its record with the text ([`crate::disclosure`]).

use http::StatusCode;
use serde_json::json;

use super::{failed, not_found, of_subject, panicked, wrong};
use crate::case::CaseError;
use crate::disclosure::{self, DisclosureError, Log};
use crate::rights::numbered::NumberedError;
use crate::web::answer::{self, Answer};
use crate::web::routes::Asked;

const LOG: &str = "the log of disclosures";

pub async fn list(asked: Asked) -> Answer {
    let site = match asked.chosen_site() {
        Ok(site) => site,
        Err(refused) => return *refused,
    };
    match asked.state.on_disk(|state| Log::new(&state.config.load().data_dir).list()).await {
        None => *panicked(),
        Some(Err(error)) => *failed(LOG, error),
        Some(Ok(mut log)) => {
            log.retain(|one| site.as_ref().is_none_or(|site| *site == one.site));
            answer::json(StatusCode::OK, &json!({ "disclosures": log }))
        }
    }
}

pub async fn make(asked: Asked) -> Answer {
    let read = asked.read::<disclosure::Asked>().and_then(|wanted| {
        asked.site(&wanted.site)?;
        Ok(wanted)
    });
    let wanted = match read {
        Ok(wanted) => wanted,
        Err(refused) => return *refused,
    };
    match asked.state.running.disclose(wanted, asked.principal().actor()).await {
        Ok(made) => answer::json(StatusCode::OK, &made),
        Err(DisclosureError::Subject(error) | DisclosureError::Case(CaseError::Subject(error))) => {
            *of_subject(error)
        }
        Err(DisclosureError::Log(error @ NumberedError::NoNumber(_))) => *not_found(error),
        Err(DisclosureError::Log(error)) => *failed(LOG, error),
        Err(error) => *wrong(error),
    }
}
