//! The officer's desk: register, terms and calendar as the configuration has them.
//!
//! In: what a person asks, who the person is by keyed hash, and when it came. Out:
//! the request with its due date; and what needs attention now.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::calendar::{Calendar, CalendarError};
use super::register::{Filter, New, Note, Register, RegisterError};
use super::request::{Extension, FirstStep, IdentifiedBy, Request, State, Subject, days_between};
use super::terms::{Kind, Law, TermError, Terms, end_of};
use crate::audit::{self, Action, Actor, AuditError, Entry, Purpose};
use crate::config::{Config, Site};

/// A request is soon due when it is so many working days away.
pub const SOON_WORKING_DAYS: u32 = 2;

/// The desk.
pub struct Desk {
    register: Register,
    terms: Terms,
    calendar: Calendar,
}

/// What came in.
#[derive(Clone, Debug)]
pub struct Received {
    pub kind: Kind,
    /// The duty that a claim is about.
    pub about: Option<Kind>,
    pub identified: IdentifiedBy,
    pub subjects: Vec<Subject>,
    pub at: Timestamp,
    pub purpose: String,
}

/// The numbers of the open requests that somebody must look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// All that are open.
    pub open: usize,
    pub overdue: Vec<String>,
    /// Due today or within two working days.
    pub due_within_2_working_days: Vec<String>,
}

/// Why a request was not received, changed or found.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    #[error(transparent)]
    Term(#[from] TermError),
    #[error("{0} is still to come: a request was received before now")]
    Early(Timestamp),
    #[error("{0:?} is not a time zone that is known here")]
    Zone(String),
}

// === impl Desk ===

impl Desk {
    /// Reads the calendar; the register is read when it is used.
    pub fn open(config: &Config) -> Result<Desk, DeskError> {
        let calendar = match &config.rights.calendar_file {
            Some(path) => Calendar::read(path)?,
            None => Calendar::built_in(),
        };
        let register = Register::new(&config.data_dir);
        Ok(Desk { register, terms: config.rights.terms.clone(), calendar })
    }

    pub fn register(&self) -> &Register {
        &self.register
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Registers a request, with the date until which it must be done.
    pub fn receive(
        &self,
        site: &Site,
        received: Received,
        who: &str,
        now: Timestamp,
    ) -> Result<Request, DeskError> {
        if received.at > now {
            return Err(DeskError::Early(received.at));
        }
        let (law, zone) = (Law::of(site), zone_of(&site.timezone)?);
        let asked = (received.kind, received.about);
        let due = self.terms.due(asked, law, received.at, &zone, &self.calendar)?;
        let first = self.terms.first_step(asked, law, received.at, &zone, &self.calendar)?;
        let new = New {
            site: site.id.clone(),
            kind: received.kind,
            about: received.about,
            identified: received.identified,
            subjects: received.subjects,
            received: received.at.as_millisecond(),
            law,
            zone: site.timezone.clone(),
            due,
            first_step: first.map(|due| FirstStep { what: "stop".to_owned(), due, done: None }),
            purpose: received.purpose,
            year: now.to_zoned(zone).year(),
        };
        Ok(self.register.add(new, Note { at: now.as_millisecond(), who, what: "registered" })?)
    }

    /// Gives a request a longer term, of which the person is told with the reason:
    /// by `days`, or by all that the law allows.
    pub fn extend(
        &self,
        number: &str,
        reason: &str,
        days: Option<u16>,
        who: &str,
        now: Timestamp,
    ) -> Result<Request, DeskError> {
        let request = self.register.get(number)?;
        let zone = zone_of(&request.zone)?;
        let received = Timestamp::from_millisecond(request.received)
            .map_err(|_| DeskError::Term(TermError::Range(Timestamp::MIN)))?;
        let until = self.terms.extended(
            request.kind,
            request.law,
            received,
            &request.due,
            days,
            &zone,
            &self.calendar,
        )?;
        let at = now.as_millisecond();
        let what = format!("extended until {}", until.date);
        let extension = Extension {
            days: days_between(request.due.date, until.date),
            reason: reason.to_owned(),
            at,
            until,
        };
        Ok(self.register.extend(number, extension, Note { at, who, what: &what })?)
    }

    /// The open requests, of one site or of all, whose term has ended, and those whose
    /// term soon will.
    pub fn attention(&self, site: Option<&str>, now: Timestamp) -> Result<Attention, DeskError> {
        let filter = Filter { site: site.map(str::to_owned), state: Some(State::Open), ..Filter::default() };
        let open = self.register.list(&filter)?;
        let mut attention = Attention { open: open.len(), ..Attention::default() };
        for request in open {
            let Some(due) = request.next_due() else { continue };
            if request.is_overdue(now.as_millisecond()) {
                attention.overdue.push(request.number);
            } else if due.ends <= self.soon(&request, now)? {
                attention.due_within_2_working_days.push(request.number);
            }
        }
        Ok(attention)
    }

    /// The end of the second working day after today, where the request's days end.
    fn soon(&self, request: &Request, now: Timestamp) -> Result<i64, DeskError> {
        let zone = zone_of(&request.zone)?;
        let mut day = now.to_zoned(zone.clone()).date();
        let is_working_day = |day: Date| match request.law {
            Law::Russian => self.calendar.is_working_day(day),
            Law::Gdpr => !super::calendar::is_weekend(day),
        };
        let mut left = SOON_WORKING_DAYS;
        let out_of_range = || DeskError::Term(TermError::Range(now));
        while left > 0 {
            day = day.tomorrow().map_err(|_| out_of_range())?;
            left -= u32::from(is_working_day(day));
        }
        end_of(day, &zone).ok_or_else(out_of_range)
    }
}

/// What the audit trail says before a request is registered.
pub fn receipt(site: &str, received: &Received, by: Actor, now: Timestamp) -> Entry {
    let detail = format!("kind {}, by {}", received.kind, received.identified.name());
    let entry = Entry::new(now, by, Action::RequestReceived).site(site).detail(detail);
    Entry { subject: received.subjects.first().map(|one| audit::Subject::hash(one.hash.0)), ..entry }
}

/// What the audit trail says before a request is changed, or closed.
pub fn changing(
    request: &Request,
    action: Action,
    what: &str,
    by: Actor,
    now: Timestamp,
) -> Result<Entry, AuditError> {
    let entry = Entry::new(now, by, action).site(&request.site).purpose(Purpose::Rights, None);
    Ok(entry.subject(audit::Subject::request(&request.number)?).detail(what))
}

fn zone_of(name: &str) -> Result<TimeZone, DeskError> {
    TimeZone::get(name).map_err(|_| DeskError::Zone(name.to_owned()))
}
