//! What an officer does at the web address: requests, jobs about people, the audit
//! trail, retention, the policy table, the disclosure log, incidents.
//!
//! Each handler says what it takes and gives; the work is that of the module whose
//! name it has ([`crate::rights`], [`crate::subject`], [`crate::audit`],
//! [`crate::retention`], [`crate::policy`], [`crate::disclosure`], [`crate::incident`]), the same as for the commands.
//!
//! - A token that is bound to a site sees and does only what is about that site;
//!   anything else is as if it were not there.
//! - What changes something, or looks at one person's data, is written into the audit
//!   trail first, under the name of whoever asks.
//! - What went wrong in the question is told; what went wrong here is in the log, and
//!   the answer names the part that failed.

pub mod disclosures;
pub mod incidents;
pub mod policy;
pub mod requests;
pub mod retention;
pub mod subjects;
pub mod trail;

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::answer::{self, Answer};
use super::routes::Asked;
use crate::config::Site;
use crate::rights::desk::DeskError;
use crate::rights::register::RegisterError;
use crate::subject::SubjectError;

// === impl Asked ===

impl Asked {
    /// The body, as what the route takes.
    pub(in crate::web) fn read<T: DeserializeOwned>(&self) -> Result<T, Box<Answer>> {
        serde_json::from_value(self.body.clone())
            .map_err(|error| wrong(format_args!("the body cannot be read: {error}")))
    }

    /// The site of this id, if it is one that whoever asks may see.
    pub(in crate::web) fn site(&self, id: &str) -> Result<Site, Box<Answer>> {
        let config = self.state.config.load();
        let site = config.site(id).filter(|site| self.principal().may_see(&site.id));
        site.cloned().ok_or_else(|| Box::new(answer::unauthorized()))
    }

    /// The site that the address names, or the only one that a token is bound to; none
    /// for all. An error for one that may not be seen.
    fn chosen_site(&self) -> Result<Option<String>, Box<Answer>> {
        match self.parameter("site_id").filter(|id| !id.is_empty()) {
            Some(id) => self.site(&id).map(|site| Some(site.id)),
            None => Ok(self.principal().site.clone()),
        }
    }

    /// Refuses a token that is bound to a site where all sites are meant.
    pub(in crate::web) fn all_sites(&self) -> Result<(), Box<Answer>> {
        match self.principal().site {
            None => Ok(()),
            Some(_) => Err(Box::new(answer::unauthorized())),
        }
    }
}

pub(in crate::web) fn wrong(text: impl std::fmt::Display) -> Box<Answer> {
    Box::new(answer::error(StatusCode::BAD_REQUEST, text))
}

pub(in crate::web) fn not_found(text: impl std::fmt::Display) -> Box<Answer> {
    Box::new(answer::error(StatusCode::NOT_FOUND, text))
}

/// What did not work here; the reason goes to the log.
pub(in crate::web) fn failed(part: &str, error: impl std::fmt::Display) -> Box<Answer> {
    tracing::error!(%error, part, "an officer's question could not be answered");
    Box::new(answer::error(StatusCode::INTERNAL_SERVER_ERROR, format_args!("{part} cannot be used")))
}

/// The work panicked, which has been reported.
pub(in crate::web) fn panicked() -> Box<Answer> {
    Box::new(answer::error(StatusCode::INTERNAL_SERVER_ERROR, "an internal error"))
}

fn of_register(error: RegisterError) -> Box<Answer> {
    use RegisterError::{Closed, Empty, Extended, Full, Many, NoRequest, NoStep, Text, TooLate};
    match error {
        NoRequest(_) => not_found(error),
        Closed { .. } | Extended(_) | TooLate { .. } | NoStep(_) | Text { .. } | Empty(_) => wrong(error),
        Full | Many { .. } => Box::new(answer::error(StatusCode::CONFLICT, error)),
        error => failed("the register of requests", error),
    }
}

fn of_desk(error: DeskError) -> Box<Answer> {
    match error {
        DeskError::Register(error) => of_register(error),
        DeskError::Term(_) | DeskError::Early(_) => wrong(error),
        error => failed("the register of requests", error),
    }
}

pub(in crate::web) fn of_subject(error: SubjectError) -> Box<Answer> {
    match error {
        SubjectError::Register(error) => of_register(error),
        // Of which site a request is, is that site's matter.
        SubjectError::OtherSite { number, .. } => not_found(RegisterError::NoRequest(number)),
        SubjectError::Cookie(_) | SubjectError::CookieKey { .. } => wrong(error),
        error if error.is_of_the_question() => wrong(error),
        error if error.is_retryable() => {
            tracing::warn!(%error, "storage was away for an officer's job");
            Box::new(super::stats::not_ready())
        }
        error => failed("what is held of a person", error),
    }
}
