//! `POST /api/v2/queries`: all questions of a dashboard in one request.
//!
//! ```text
//! {"site_id":"clinic","queries":[QUERY, …]}
//! → {"answers":[{"status":200,"answer":{…}},{"status":400,"error":"#/metrics: Missing"}, …]}
//! ```
//!
//! In: 1 to [`MAX_QUESTIONS`] questions about one site, which each may name again. Out: an
//! answer for each, in their order; a question that is wrong or too much spoils no other.
//!
//! A batch waits once, for as many turns as it has questions at a time
//! ([`MAX_AT_ONCE`]), so that storage never meets more than it would from single
//! questions. What several of its questions have in common is read first, and once
//! ([`crate::query::scan`]). All of it together may take as long as one question.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::role::Role;
use super::routes::Asked;
use super::running::{Archive, ArchiveError};
use super::stats::{self, QUERY_TIMEOUT, Refused, put, turns};
use crate::config::Site;
use crate::query::parse::key_text;
use crate::query::{self, Together};

/// The most questions of a batch: a dashboard with all its panels has about twenty.
pub const MAX_QUESTIONS: usize = 32;
/// How many questions of one batch are put to storage at once at most, half of what all may: as many
/// as there are cores, since each of them uses them all.
pub const MAX_AT_ONCE: usize = 4;

pub async fn queries(asked: Asked) -> Answer {
    let config = asked.state.config.load_full();
    let wrong = |text: String| answer::error(StatusCode::BAD_REQUEST, text);
    let Some(id) = asked.body.get("site_id").and_then(Value::as_str) else {
        return wrong("#/site_id: expected the id of a site".to_owned());
    };
    let Some(site) = config.site(id).filter(|site| asked.principal().may_see(&site.id)) else {
        return answer::unauthorized();
    };
    let Some(object) = asked.body.as_object() else {
        return wrong("#: expected an object".to_owned());
    };
    if let Some(key) = object.keys().find(|key| *key != "site_id" && *key != "queries") {
        return wrong(format!("#/{}: Unknown key", key_text(key)));
    }
    let questions = match object.get("queries") {
        Some(Value::Array(questions)) if (1..=MAX_QUESTIONS).contains(&questions.len()) => questions,
        Some(Value::Array(questions)) => {
            return wrong(format!(
                "#/queries: {} questions, 1 to {MAX_QUESTIONS} are allowed",
                questions.len()
            ));
        }
        _ => return wrong("#/queries: expected a list of questions".to_owned()),
    };
    let Some(archive) = asked.state.archive() else { return stats::not_ready() };
    let questions: Vec<Value> = questions
        .iter()
        .map(|question| {
            let mut question = question.clone();
            if let Value::Object(object) = &mut question {
                object.entry("site_id").or_insert_with(|| json!(site.id));
            }
            question
        })
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = cores.clamp(2, MAX_AT_ONCE).min(questions.len());
    let turns = turns(&asked.state, u32::try_from(at_once).unwrap_or(1)).await;
    let _turns = match turns {
        Ok(turns) => turns,
        Err(refused) => return refused.answer(),
    };
    let begun = Instant::now();
    let (now, asker) = (asked.state.timestamp(), asked.principal().role.asker());
    let together = archive.together(site, &questions, now, asker);
    let together = match tokio::time::timeout(QUERY_TIMEOUT, together).await {
        Ok(Ok(together)) => together,
        // Each question says what is wrong with it, and has what is left of the time.
        Ok(Err(error)) => {
            if matches!(error, ArchiveError::Failed(_)) {
                tracing::warn!(
                    site = site.id,
                    "what questions have in common could not be read; they are put one by one"
                );
            }
            tracing::debug!(%error, "questions are put one by one");
            None
        }
        Err(_) => None,
    };
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(vec![Value::Null; questions.len()]);
    let one_after_another = async || {
        while let Some((index, question)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            questions.get(index).map(|question| (index, question))
        } {
            let answer = one(&asked, archive.as_ref().as_ref(), site, question, together.as_ref(), begun);
            let answered = match answer.await {
                Ok(value) => json!({ "status": 200, "answer": value }),
                Err(refused) => json!({ "status": refused.status.as_u16(), "error": refused.error }),
            };
            answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[index] = answered;
        }
    };
    let if_within = async |place: usize| {
        if place < at_once {
            one_after_another().await;
        }
    };
    tokio::join!(if_within(0), if_within(1), if_within(2), if_within(3));
    let answers = answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    answer::json(StatusCode::OK, &json!({ "answers": answers }))
}

/// One question of the batch, as it would be answered alone.
async fn one(
    asked: &Asked,
    archive: &dyn Archive,
    site: &Site,
    question: &Value,
    together: Option<&Together>,
    begun: Instant,
) -> Result<Value, Refused> {
    if query::asks_for_bots(question) && !asked.principal().role.includes(Role::Security) {
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            format_args!("#/include/bots: this needs the role {}", Role::Security),
        ));
    }
    let left = QUERY_TIMEOUT.saturating_sub(begun.elapsed());
    put(
        &asked.state,
        archive.query(site, question, asked.state.timestamp(), asked.principal().role.asker(), together),
        left,
    )
    .await
}
