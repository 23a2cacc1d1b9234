//! `POST /api/v1/fraud/check`: whether a visitor is plausible, as [`crate::fraud::check`] says.

use http::StatusCode;

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
