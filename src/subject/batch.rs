//! Many people erased in one order, each for a request of their own.
//!
//! In: numbers of requests whose subjects the register holds. Out: one act, one entry of
//! the audit trail and one line of history for each. Storage is asked, and its parts are
//! rewritten, once for all of them, so that a thousand cost little more than one; what
//! grows with their number is what stays of each: an entry, an act, a tombstone.
//!
//! All or nothing: a number that is unknown, of another site, without a subject, named
//! twice, or whose history is full, is an error that names it, before anything is done.
//! Then the entries are written, and then it is an erasure like any other
//! ([`super::erase`]), which is carried out whatever ends the process.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::erase::{MAX_ORDERS, Order};
use super::job::check;
use super::{Office, Person, SubjectError, blocking};
use crate::audit::{Action, Actor, Entry, Purpose, Subject};
use crate::rights::register::Register;
use crate::rights::request::{MAX_ACTS, MAX_HISTORY, Request};

/// The most subjects of all requests together: they stand in one private file.
pub const MAX_PEOPLE: usize = 50_000;

/// Whom to erase.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    pub site: String,
    /// Numbers of the register.
    pub requests: Vec<String>,
    /// Why, in words.
    pub purpose: String,
    /// Who answers for it: name and post; `operator.official` if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether the answer is to wait until it is carried out.
    #[serde(default = "yes")]
    pub wait: bool,
}

fn yes() -> bool {
    true
}

// === impl Office ===

impl Office {
    /// Erases them and says what came of it:
    /// `{"rows":n,"requests":[{"request","rows","act"}],"backups_until","files_set_aside"}`, or with
    /// `"accepted":true` and without what only the end tells.
    pub async fn answer_batch(&self, batch: Batch, by: Actor, now: Timestamp) -> Result<Value, SubjectError> {
        check(&[("purpose", Some(&batch.purpose)), ("by", batch.by.as_ref())])?;
        let site = self.site(&batch.site)?.id.clone();
        let name = by.to_string();
        let (register, trail, numbers) = (self.register(), self.trail.clone(), batch.requests);
        let purpose = batch.purpose.clone();
        let requests = blocking(move || {
            let requests = named(&register, &site, &numbers)?;
            let entry = |number: &String| {
                let entry = Entry::new(now, by.clone(), Action::SubjectErased)
                    .site(&site)
                    .subject(Subject::request(number)?)
                    .purpose(Purpose::Rights, Some(&purpose))
                    .detail(format!("by request, one of {}", numbers.len()));
                Ok(entry)
            };
            let entries = numbers.iter().map(entry).collect::<Result<Vec<Entry>, SubjectError>>()?;
            trail.append_all(&entries)?;
            Ok(requests)
        })
        .await?;
        let official = batch.by.unwrap_or_else(|| self.config.operator.official.clone());
        let numbers: Vec<String> = requests.iter().map(|request| request.number.clone()).collect();
        let orders = requests.into_iter().map(|request| Order {
            person: Person { site: request.site, subjects: request.subjects, notes: Vec::new() },
            request: Some(request.number),
            reason: batch.purpose.clone(),
            by: official.clone(),
            used: None,
        });
        let begun = self.begin_to_erase(orders.collect(), now).await?;
        let (rows, each) = (begun.rows(), begun.rows_of_each());
        if !batch.wait {
            begun.go_on(self.clone());
            let notes: Vec<_> = numbers
                .iter()
                .zip(&each)
                .map(|(number, rows)| (number.clone(), format!("erasure begun: {rows} rows"), Vec::new()))
                .collect();
            self.note_each(now, name, notes).await?;
            let begun =
                numbers.iter().zip(&each).map(|(number, rows)| json!({ "request": number, "rows": rows }));
            return Ok(json!({ "rows": rows, "accepted": true, "requests": begun.collect::<Vec<_>>() }));
        }
        let acts = begun.end(self).await?;
        let notes: Vec<_> = acts
            .iter()
            .map(|act| (act.request.clone(), format!("erased: {} rows", act.rows), vec![act.number.clone()]))
            .collect();
        self.note_each(now, name, notes).await?;
        let done =
            acts.iter().map(|act| json!({ "request": act.request, "rows": act.rows, "act": act.number }));
        Ok(json!({
            "rows": rows,
            "requests": done.collect::<Vec<_>>(),
            "backups_until": acts.first().map(|act| &act.backups_until),
            "files_set_aside": acts.first().map(|act| act.files_set_aside),
        }))
    }

    async fn note_each(
        &self,
        now: Timestamp,
        who: String,
        notes: Vec<(String, String, Vec<String>)>,
    ) -> Result<(), SubjectError> {
        let register = self.register();
        blocking(move || Ok(register.note_each(now.as_millisecond(), &who, notes)?)).await
    }
}

/// The requests with these numbers, if each can be carried out.
fn named(register: &Register, site: &str, numbers: &[String]) -> Result<Vec<Request>, SubjectError> {
    if numbers.is_empty() {
        return Err(SubjectError::NoRequests);
    }
    if numbers.len() > MAX_ORDERS {
        return Err(SubjectError::TooManyOrders(numbers.len()));
    }
    let (mut seen, mut found, mut people) = (HashSet::new(), Vec::with_capacity(numbers.len()), 0);
    for number in numbers {
        let request = register.get(number)?;
        if !seen.insert(number) {
            return Err(SubjectError::Twice(request.number));
        }
        if request.site != site {
            return Err(SubjectError::OtherSite { number: request.number, site: request.site });
        }
        if request.subjects.is_empty() {
            return Err(SubjectError::NoSubject(request.number));
        }
        if request.history.len() >= MAX_HISTORY || request.acts.len() >= MAX_ACTS {
            return Err(SubjectError::FullHistory(request.number));
        }
        people += request.subjects.len();
        found.push(request);
    }
    if people > MAX_PEOPLE {
        return Err(SubjectError::TooManyPeople(people));
    }
    Ok(found)
}
