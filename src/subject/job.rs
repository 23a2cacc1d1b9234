//! What an office is asked, as it comes from a command, the control socket or a page.
//!
//! Each job is written into the audit trail before it is done, with the number of the
//! request or the first keyed hash as its subject; one whose entry cannot be written is
//! not done. Where a request is named, its history tells of the job, and names the act.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::blocking;
use super::erase::Order;
use super::export::Format;
use super::rectify::Correction;
use super::{Office, Person, SubjectError, Who};
use crate::audit::entry::MAX_WORDS_BYTES;
use crate::audit::{Action, Actor, Entry, Purpose, Subject, legible};
use crate::rights::register::{Note, Register};
use crate::store::List;

/// The longest purpose and name, in bytes: what an entry of the audit trail takes.
pub const MAX_TEXT_BYTES: usize = MAX_WORDS_BYTES;

/// A shorter value is part of other words.
const MIN_REMOVED: usize = 3;

/// One job about one person.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub job: Job,
    pub site: String,
    pub who: Who,
    /// Why, in words.
    pub purpose: String,
    /// The number of the request in the register.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Who answers for an erasure: name and post; `operator.official` if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether the answer is to wait until an erasure is carried out, or only until it
    /// cannot be forgotten any more.
    #[serde(default = "yes")]
    pub wait: bool,
}

fn yes() -> bool {
    true
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Job {
    Find,
    Export(Format),
    Block,
    Unblock,
    /// Kept past every term, for a claim, and counted as before.
    Hold,
    Release,
    Erase,
    /// From now on nothing of the person is for marketing.
    WithdrawMarketing,
    /// From now on nothing is stored of the person's browser.
    OptOut,
    /// Another value in one field of the person's rows. Holds personal data.
    Rectify {
        field: String,
        /// An empty one clears the field.
        value: String,
        /// Rows from this moment on, RFC 3339; all when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Rows before this moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
}

// === impl Job ===

impl Job {
    fn action(&self) -> Action {
        match self {
            Job::Find => Action::SubjectFound,
            Job::Export(_) => Action::SubjectExported,
            Job::Block => Action::SubjectBlocked,
            Job::Unblock => Action::SubjectUnblocked,
            Job::Hold => Action::SubjectHeld,
            Job::Release => Action::SubjectReleased,
            Job::Erase => Action::SubjectErased,
            Job::WithdrawMarketing => Action::MarketingWithdrawn,
            Job::OptOut => Action::SubjectOptedOut,
            Job::Rectify { .. } => Action::SubjectRectified,
        }
    }

    /// What an entry of the trail says of it besides.
    fn detail(&self, who: &Who) -> String {
        match self {
            Job::Rectify { field, .. } => format!("by {}, {}", who.name(), legible(field)),
            _ => format!("by {}", who.name()),
        }
    }

    /// The purpose without the value of a correction, which is personal data.
    fn without_value(&self, purpose: &str) -> String {
        match self {
            Job::Rectify { value, .. } if value.chars().count() >= MIN_REMOVED => {
                let without = purpose.replace(value.as_str(), "[removed]");
                crate::parse::text::cut(&without, MAX_TEXT_BYTES).to_owned()
            }
            _ => purpose.to_owned(),
        }
    }

    /// What a request's history says of it.
    fn told(&self, answer: &Value) -> String {
        let rows = &answer["rows"];
        match self {
            Job::Find => format!("looked for: {rows} rows are held"),
            Job::Export(format) => format!("exported as {}: {rows} rows", format.name()),
            Job::Block => format!("blocked: {rows} rows"),
            Job::Unblock => format!("unblocked: {rows} rows"),
            Job::Hold => format!("held for a claim: {rows} rows"),
            Job::Release => format!("released from a hold: {rows} rows"),
            Job::Erase if answer["accepted"] == true => format!("erasure begun: {rows} rows"),
            Job::Erase => format!("erased: {rows} rows"),
            Job::WithdrawMarketing => format!("marketing withdrawn: {} rows changed", answer["changed"]),
            Job::OptOut => format!("opted out: {rows} rows are held"),
            Job::Rectify { field, .. } => format!("{field} rectified: {} rows changed", answer["changed"]),
        }
    }
}

/// Whether these can stand in an entry of the trail.
pub(super) fn check(texts: &[(&'static str, Option<&String>)]) -> Result<(), SubjectError> {
    for (name, text) in texts {
        if let Some(text) = text
            && (text.trim().is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control))
        {
            return Err(SubjectError::Text(name));
        }
    }
    Ok(())
}

/// The names of the acts that an answer tells of.
fn acts(answer: &Value) -> Vec<String> {
    answer["act"]["number"].as_str().map(str::to_owned).into_iter().collect()
}

// === impl Office ===

impl Office {
    /// Does the job and says what came of it. An export is `{"rows":n,"text":"…"}`, an
    /// erasure `{"rows":n,"act":{…},"files":["…"]}`, all else what is held.
    pub async fn answer(&self, mut asked: Asked, by: Actor, now: Timestamp) -> Result<Value, SubjectError> {
        if let Who::Request(number) = &asked.who {
            asked.request.get_or_insert_with(|| number.clone());
        }
        check(&[
            ("purpose", Some(&asked.purpose)),
            ("request", asked.request.as_ref()),
            ("by", asked.by.as_ref()),
        ])?;
        let subject = asked.request.as_deref().map(Subject::request).transpose()?;
        // A field that is none, and a value that cannot be, come to nothing before they are
        // written down.
        if let Job::Rectify { field, value, from, to } = &asked.job {
            Correction::new(field, value, from.as_deref(), to.as_deref())?;
        }
        let person = self.person(&asked.site, &asked.who, now).await?;
        let name = by.to_string();
        let mut entry = Entry::new(now, by, asked.job.action())
            .site(&asked.site)
            .purpose(Purpose::Rights, Some(&asked.job.without_value(&asked.purpose)))
            .detail(asked.job.detail(&asked.who));
        entry.subject = subject.or_else(|| person.subjects.first().map(|first| Subject::hash(first.hash.0)));
        let trail = self.trail.clone();
        let (number, site) = (asked.request.clone(), asked.site.clone());
        let register = self.register();
        blocking(move || {
            if let Some(number) = number {
                let request = register.get(&number)?;
                if request.site != site {
                    return Err(SubjectError::OtherSite { number, site: request.site });
                }
            }
            Ok(trail.append(&entry)?)
        })
        .await?;
        let (job, number) = (asked.job.clone(), asked.request.clone());
        let answer = self.answer_about(person, asked, now).await?;
        if let Some(number) = number {
            let (register, what, acts) = (self.register(), job.told(&answer), acts(&answer));
            blocking(move || {
                let note = Note { at: now.as_millisecond(), who: &name, what: &what };
                register.change(&number, note, |request| {
                    request.acts.extend(acts);
                    Ok(())
                })?;
                Ok(())
            })
            .await?;
        }
        Ok(answer)
    }

    pub(super) fn register(&self) -> Register {
        Register::new(&self.config.data_dir)
    }

    async fn answer_about(
        &self,
        person: Person,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Value, SubjectError> {
        match asked.job {
            Job::Rectify { field, value, from, to } => {
                let correction = Correction::new(&field, &value, from.as_deref(), to.as_deref())?;
                Ok(json!(self.rectify(person, correction, now).await?))
            }
            Job::Find => Ok(json!(self.held(person).await?)),
            Job::Export(format) => {
                let export = self.export(person, now).await?;
                Ok(json!({ "rows": export.rows(), "text": export.text(format) }))
            }
            Job::Block => Ok(json!(self.enlist(List::Blocked, person, now).await?)),
            Job::Unblock => Ok(json!(self.delist(List::Blocked, person).await?)),
            Job::Hold => Ok(json!(self.enlist(List::Held, person, now).await?)),
            Job::Release => Ok(json!(self.delist(List::Held, person).await?)),
            Job::WithdrawMarketing => Ok(json!(self.withdraw_marketing(person, now).await?)),
            Job::OptOut => Ok(json!(self.opt_out(person, now).await?)),
            Job::Erase => {
                let by = asked.by.unwrap_or_else(|| self.config.operator.official.clone());
                let used = self.used(&asked.site, &asked.who)?;
                let order = Order { person, request: asked.request, reason: asked.purpose, by, used };
                let begun = self.begin_to_erase(vec![order], now).await?;
                let rows = begun.rows();
                if !asked.wait {
                    begun.go_on(self.clone());
                    return Ok(json!({ "rows": rows, "accepted": true }));
                }
                let acts = begun.end(self).await?;
                let files: Vec<String> = acts.iter().flat_map(|act| act.files(&self.dir())).collect();
                Ok(json!({ "rows": rows, "act": acts.first(), "files": files }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_and_every_way_to_name_a_person_has_its_form_in_json() {
        for (job, who) in [
            (json!("find"), json!({"cookie": "v1"})),
            (json!({"export": "csv"}), json!({"user": "key"})),
            (json!("block"), json!({"address": {"ip": "192.0.2.1", "from": "a", "to": "b"}})),
            (json!("unblock"), json!({"request": "2026-0001"})),
            (json!("erase"), json!({"request": "2026-0001"})),
            (json!("withdraw_marketing"), json!({"request": "2026-0001"})),
            (json!("opt_out"), json!({"cookie": "v1"})),
            (json!({"rectify": {"field": "city", "value": "Tver"}}), json!({"cookie": "v1"})),
            (
                json!({"rectify": {"field": "city", "value": "", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}}),
                json!({"cookie": "v1"}),
            ),
        ] {
            let text = json!({"job": job, "site": "clinic", "who": who, "purpose": "asked", "wait": true});
            let asked: Asked = serde_json::from_value(text.clone()).expect("it is read");
            assert_eq!(json!(asked), text);
        }
        for wrong in [
            json!("rectify"),
            json!({"rectify": {"field": "city"}}),
            json!({"rectify": {"field": "city", "value": "", "x": 1}}),
        ] {
            assert!(serde_json::from_value::<Job>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_purpose_is_kept_without_the_value_of_a_correction() {
        let job = |value: &str| Job::Rectify {
            field: "city".to_owned(),
            value: value.to_owned(),
            from: None,
            to: None,
        };
        assert_eq!(job("Tver").without_value("lives in Tver now"), "lives in [removed] now");
        assert_eq!(job("RU").without_value("RU is right"), "RU is right");
        assert_eq!(job("").without_value("not hers"), "not hers");
        assert_eq!(Job::Find.without_value("Tver"), "Tver");
        assert!(job("aaa").without_value(&"a".repeat(MAX_TEXT_BYTES)).len() <= MAX_TEXT_BYTES);
    }
}
