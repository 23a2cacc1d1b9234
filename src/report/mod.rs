//! Reports by mail: the numbers of a day, week or month that has ended, to addresses of
//! the site's own people.
//!
//! ```text
//! settings' report ─► period that has ended ─► guarded questions ─► letter (text and HTML)
//!                                                                     ├─ shown (--dry-run)
//!                                                                     └─ entry in the trail ─► mail server ─► noted as sent
//! ```
//!
//! - [`period`]: which days, and when they are due
//! - [`numbers`]: what is asked; guarded always, whoever gets the mail
//! - [`words`]: Russian and English
//! - [`letter`]: subject, text and HTML
//! - [`post`]: the mail server
//! - [`status`]: what failed, and when it is tried again
//!
//! Invariants:
//! - A period is sent once: to all addresses in one go, which the mail server takes or
//!   refuses as a whole, and is noted in the settings as soon as it is taken. A crash
//!   between the two sends it again, with the same `Message-ID`.
//! - The entry of the audit trail is written before. It names the report and the period;
//!   addresses are in no entry, log or error.
//! - The one link of a mail goes to `web.public_url`. What visitors or other sites sent
//!   is written so that no mail program makes a link of it.

pub mod letter;
pub mod numbers;
pub mod period;
pub mod post;
pub mod status;
pub mod words;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::{Action, Actor, Entry, Trail};
use crate::config::{Config, MAX_SITE_ID_BYTES, Site};
use crate::settings::{Report, Settings, SettingsError, Store};
use crate::web::running::{Archive, ArchiveError};
use letter::Letter;
use period::Period;
use post::PostError;

/// What sending needs.
pub struct Desk<'a> {
    pub config: Arc<Config>,
    pub settings: Arc<Store>,
    pub trail: Arc<Trail>,
    pub archive: &'a dyn Archive,
}

/// Which report is to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub site: String,
    /// `r1`
    pub report: String,
    /// A day of the period; the last one that has ended without it, which is then noted
    /// as sent.
    #[serde(default)]
    pub day: Option<String>,
    /// Show the letter, and send nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Why no report was sent.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("no site {0:?} is configured")]
    NoSite(String),
    #[error("the site {site} has no report {id:?}")]
    NoReport { site: String, id: String },
    #[error("mail.url: no mail server is configured")]
    NoMail,
    #[error("{0:?} is not a day such as 2026-11-26")]
    Day(String),
    /// Its numbers would be those of a part.
    #[error("the {every} from {first} to {last} has not ended yet")]
    Early { every: &'static str, first: Date, last: Date },
    #[error("the time zone of the site {0} is not known")]
    Zone(String),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the numbers: {0}")]
    Numbers(#[from] ArchiveError),
    #[error("the audit trail: {0}")]
    Audit(String),
    #[error(transparent)]
    Post(#[from] PostError),
    /// The work panicked, which has been reported.
    #[error("the work was cut off: {0}")]
    Thread(String),
}

// === impl Desk ===

impl Desk<'_> {
    /// Sends a report, or shows its letter.
    pub async fn send(&self, asked: &Asked, by: Actor, now: Timestamp) -> Result<Value, ReportError> {
        let (site, settings) = self.site(&asked.site)?;
        let report = settings.report(&asked.report).ok_or_else(|| ReportError::NoReport {
            site: site.id.clone(),
            id: asked.report.chars().take(20).collect(),
        })?;
        let period = asked_period(asked, report, site, now)?;
        let letter = self.letter(site, &settings, report, &period, now).await?;
        let days = period.days();
        if asked.dry_run {
            return Ok(json!({
                "site": site.id, "report": report.id, "period": days,
                "subject": letter.subject, "text": letter.text, "html": letter.html,
            }));
        }
        self.deliver(site, report, &period, &letter, by, now).await?;
        if asked.day.is_none() {
            self.note_sent(site, report, &period).await?;
        }
        Ok(json!({ "site": site.id, "report": report.id, "period": days, "sent": report.to.len() }))
    }

    /// Sends a report if its period is due, and says whether it was.
    pub async fn send_due(
        &self,
        site: &str,
        id: &str,
        by: Actor,
        now: Timestamp,
    ) -> Result<bool, ReportError> {
        let (site, settings) = self.site(site)?;
        let Some(report) = settings.report(id) else { return Ok(false) };
        let local = now.to_zoned(zone(site)?);
        let Some(period) = Period::due(report.every, report.sent, &local) else { return Ok(false) };
        let letter = self.letter(site, &settings, report, &period, now).await?;
        self.deliver(site, report, &period, &letter, by, now).await?;
        self.note_sent(site, report, &period).await?;
        Ok(true)
    }

    fn site(&self, id: &str) -> Result<(&Site, Arc<Settings>), ReportError> {
        let unknown = || ReportError::NoSite(id.chars().take(MAX_SITE_ID_BYTES).collect());
        let site = self.config.site(id).ok_or_else(unknown)?;
        Ok((site, self.settings.read(&site.id)?))
    }

    /// The entry first, then the mail.
    async fn deliver(
        &self,
        site: &Site,
        report: &Report,
        period: &Period,
        letter: &Letter,
        by: Actor,
        now: Timestamp,
    ) -> Result<(), ReportError> {
        let mail = self.config.mail.clone().ok_or(ReportError::NoMail)?;
        let message = post::message(&mail, &self.config.web.public_url, &site.id, report, period, letter)?;
        let (id, count) = (&report.id, report.to.len());
        let entry = Entry::new(now, by, Action::ReportSent)
            .site(&site.id)
            .detail(format!("report {id}, {} to {}, addresses: {count}", period.first, period.last));
        let trail = self.trail.clone();
        let noted = on_disk(move || trail.append(&entry)).await?;
        noted.map_err(|error| ReportError::Audit(error.to_string()))?;
        let way = on_disk(move || post::open(&mail)).await??;
        Ok(post::send(&way, message).await?)
    }

    async fn note_sent(&self, site: &Site, report: &Report, period: &Period) -> Result<(), ReportError> {
        let (store, site, id, first) =
            (self.settings.clone(), site.id.clone(), report.id.clone(), period.first);
        Ok(on_disk(move || store.report_sent(&site, &id, first)).await??)
    }

    async fn letter(
        &self,
        site: &Site,
        settings: &Settings,
        report: &Report,
        period: &Period,
        now: Timestamp,
    ) -> Result<Letter, ReportError> {
        let numbers = numbers::collect(self.archive, site, settings, period, now).await?;
        let url = format!("{}/?site={}", self.config.web.public_url, site.id);
        Ok(letter::write(&site.id, &report.id, period, &numbers, words::Language::of(&report.language), &url))
    }
}

/// The zone whose midnights count on a site.
pub fn zone(site: &Site) -> Result<TimeZone, ReportError> {
    TimeZone::get(&site.timezone).map_err(|_| ReportError::Zone(site.id.clone()))
}

fn asked_period(asked: &Asked, report: &Report, site: &Site, now: Timestamp) -> Result<Period, ReportError> {
    let today = now.to_zoned(zone(site)?).date();
    let Some(text) = &asked.day else { return Ok(Period::ended(report.every, today)) };
    let day: Date = text.parse().map_err(|_| ReportError::Day(text.chars().take(20).collect()))?;
    let period = Period::holding(report.every, day);
    match period.last < today {
        true => Ok(period),
        false => {
            Err(ReportError::Early { every: report.every.name(), first: period.first, last: period.last })
        }
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReportError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ReportError::Thread(error.to_string()))
}

// === impl ReportError ===

impl ReportError {
    /// Whether what was asked or configured is at fault.
    pub fn is_of_the_question(&self) -> bool {
        use ReportError::{Day, Early, NoMail, NoReport, NoSite};
        matches!(self, NoSite(_) | NoReport { .. } | NoMail | Day(_) | Early { .. })
    }
}
