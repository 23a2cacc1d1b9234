//! What a visitor asks for and nobody has to decide: a block, an end of marketing, and an
//! erasure where the operator wants it so.
//!
//! Disputed data is blocked from the moment of the appeal (law 152-FZ, article 21(1)), a
//! consent to marketing ends when it is withdrawn (15(2)). The request is in the register
//! before anything is done; what was not done, because storage was away or the process
//! ended, is tried again until it is: whom it is about stands in the request. Each try reads
//! the request anew: what an officer has decided meanwhile stays so.
//!
//! A block stays open for the officer, who checks what is disputed. The others are answered
//! when they are done.

use std::time::Duration;

use jiff::Timestamp;

use super::desk::Visitors;
use super::limit::is_by_visitor;
use super::{Refusal, WHO};
use crate::audit::{Action, Actor, Entry, Purpose, Subject};
use crate::config::Config;
use crate::rights::register::{Filter, Note, Outcome};
use crate::rights::request::{Request, State};
use crate::rights::terms::Kind;
use crate::subject::job::{Asked, Job};
use crate::subject::{Office, SubjectError, Who};

/// Why a visitor's data is looked at and changed.
pub const PURPOSE: &str = "the visitor's own request";
/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// The wait grows up to this.
const MAX_RETRY: Duration = Duration::from_secs(120);

/// How far something that takes effect at once has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not done yet.
    Pending,
    /// It is in force.
    Done,
    /// It was, and an officer has ended it.
    Lifted,
}

/// The job of a kind that nobody has to decide about, and how a history begins to tell of it.
fn job_of(kind: Kind) -> Option<(Job, &'static str)> {
    match kind {
        Kind::Block => Some((Job::Block, "blocked")),
        Kind::Marketing => Some((Job::WithdrawMarketing, "marketing withdrawn")),
        Kind::Erase => Some((Job::Erase, "erased")),
        _ => None,
    }
}

/// Whether a request of this kind takes effect without an officer.
pub fn is_at_once(kind: Kind, config: &Config) -> bool {
    match kind {
        Kind::Block | Kind::Marketing => true,
        Kind::Erase => config.rights.erase_at_once,
        _ => false,
    }
}

/// How far it has come, by what the request's history tells of it; `None` for what only an
/// officer does.
pub fn standing(request: &Request) -> Option<Standing> {
    let (_, done) = job_of(request.kind)?;
    let told = request.history.iter().rev().find_map(|change| {
        let is_lifted = request.kind == Kind::Block && change.what.starts_with("unblocked");
        (is_lifted || change.what.starts_with(done)).then_some(is_lifted)
    });
    Some(match told {
        None => Standing::Pending,
        Some(false) => Standing::Done,
        Some(true) => Standing::Lifted,
    })
}

// === impl Visitors ===

impl Visitors {
    /// Goes on with what an earlier process did not come to.
    pub async fn resume(self) {
        let desk = self.clone();
        let open = self
            .blocking(move || {
                let filter = Filter { state: Some(State::Open), ..Filter::default() };
                desk.register().list(&filter).map_err(|error| {
                    tracing::error!(%error, "what visitors asked for could not be looked up");
                    Refusal::Failed
                })
            })
            .await;
        let config = self.office().config;
        for request in open.unwrap_or_default() {
            let is_left = is_by_visitor(&request) && standing(&request) == Some(Standing::Pending);
            if is_left && is_at_once(request.kind, &config) {
                tokio::spawn(self.clone().carry_out(request));
            }
        }
    }

    /// Does what takes effect at once, as often as it must be tried.
    pub(super) async fn carry_out(self, request: Request) {
        let mut wait = RETRY;
        loop {
            let tried = {
                // One at a time: a start may find many.
                let _hand = self.hand().await;
                self.try_to_carry_out(&request.number).await
            };
            let Err(error) = tried else { return };
            if !is_worth_another_try(&error) {
                tracing::error!(number = request.number, %error, "a visitor's request is left to the officer");
                return;
            }
            tracing::warn!(number = request.number, %error, "a visitor's request is tried again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(MAX_RETRY);
        }
    }

    async fn try_to_carry_out(&self, number: &str) -> Result<(), SubjectError> {
        let (desk, named) = (self.clone(), number.to_owned());
        let read = tokio::task::spawn_blocking(move || desk.register().get(&named)).await;
        let request = &read.map_err(|error| SubjectError::Thread(error.to_string()))??;
        let Some((job, _)) = job_of(request.kind) else { return Ok(()) };
        // A block stays open: what an officer has done of it, or ended, is in its history.
        let is_taken_up = request.kind == Kind::Block && standing(request) != Some(Standing::Pending);
        if !request.is_open() || is_taken_up {
            tracing::info!(number, "an officer has decided about a visitor's request: nothing more is done");
            return Ok(());
        }
        let office = self.office();
        let asked = Asked {
            job,
            site: request.site.clone(),
            who: Who::Request(request.number.clone()),
            purpose: PURPOSE.to_owned(),
            request: Some(request.number.clone()),
            by: None,
            wait: true,
        };
        let now = Timestamp::now();
        let answer = office.answer(asked, Actor::Visitor, now).await?;
        match request.kind {
            Kind::Marketing => {
                let text = "Согласие на маркетинг отозвано. / The consent to marketing is withdrawn.";
                self.close(office, request, text.to_owned()).await
            }
            Kind::Erase => {
                let act = answer["act"]["number"].as_str().unwrap_or_default();
                let text = format!("Данные уничтожены, акт {act}. / The data is destroyed, act {act}.");
                self.close(office, request, text).await
            }
            _ => Ok(()),
        }
    }

    /// Answers a request that is carried out.
    async fn close(&self, office: Office, request: &Request, answer: String) -> Result<(), SubjectError> {
        let (desk, number, site) = (self.clone(), request.number.clone(), request.site.clone());
        let closed = tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            let entry = Entry::new(now, Actor::Visitor, Action::RequestClosed)
                .site(&site)
                .subject(Subject::request(&number)?)
                .purpose(Purpose::Rights, Some(PURPOSE));
            office.trail.append(&entry)?;
            let note = Note { at: now.as_millisecond(), who: WHO, what: "closed as done" };
            desk.register().close(&number, Outcome::Done, &answer, note)?;
            Ok(())
        });
        closed.await.map_err(|error| SubjectError::Thread(error.to_string()))?
    }
}

/// Whether the same may work later: whatever is not the request's own fault.
fn is_worth_another_try(error: &SubjectError) -> bool {
    !error.is_of_the_question() && !matches!(error, SubjectError::Register(_))
}
