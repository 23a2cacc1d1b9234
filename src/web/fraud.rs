//! `POST /api/v1/fraud/check`: whether a visitor is plausible, as [`crate::fraud::check`] says.
//! `GET /api/v1/fraud/alerts?site_id=&after=NUMBER&wait=SECONDS`: who has come over the threshold,
//! as [`crate::fraud::alerts`] tells, and who reads them ([`crate::fraud::readers`]).

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::answer::{self, Answer};
use super::officer::{failed, wrong};
use super::routes::Asked;
use crate::fraud::check::{self, CheckError};

pub async fn check(asked: Asked) -> Answer {
    let mut question: check::Asked = match asked.read() {
        Ok(question) => question,
        Err(refused) => return *refused,
    };
    match asked.site(&question.site_id) {
        Ok(site) => question.site_id = site.id,
        Err(refused) => return *refused,
    }
    match asked.state.running.check(question, asked.principal().actor()).await {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err(error) if error.is_of_the_question() => *wrong(error),
        Err(error @ CheckError::Audit(_)) => *failed("the audit trail", error),
        Err(error) => *failed("what is remembered of visitors", error),
    }
}

pub async fn alerts(asked: Asked) -> Answer {
    let site = match asked.site(&asked.parameter("site_id").unwrap_or_default()) {
        Ok(site) => site.id,
        Err(refused) => return *refused,
    };
    let number = |name: &str| match asked.parameter(name) {
        None => Ok(0),
        Some(text) => text.parse::<u64>().map_err(|_| wrong(format_args!("{name}: expected a number"))),
    };
    match (number("after"), number("wait")) {
        (Ok(after), Ok(wait)) => {
            let (wait, by) = (Duration::from_secs(wait), asked.principal().actor());
            match asked.state.running.alerts(site, after, wait, by).await {
                Ok(answered) => answer::json(StatusCode::OK, &json!(answered)),
                Err(error) => *failed("the audit trail", error),
            }
        }
        (Err(refused), _) | (_, Err(refused)) => *refused,
    }
}
