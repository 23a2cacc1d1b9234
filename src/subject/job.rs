//! What an office is asked, as it comes from a command, the control socket or a page.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::erase::Order;
use super::export::Format;
use super::{Office, Person, SubjectError, Who};

/// The longest purpose, reason and name, in bytes: a sentence or two.
pub const MAX_TEXT_BYTES: usize = 500;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    Find,
    Export(Format),
    Block,
    Unblock,
    Erase,
}

// === impl Office ===

impl Office {
    /// Does the job and says what came of it. An export is `{"rows":n,"text":"…"}`, an
    /// erasure `{"rows":n,"act":{…},"files":["…"]}`, all else what is held.
    pub async fn answer(&self, asked: Asked, now: Timestamp) -> Result<Value, SubjectError> {
        for (name, text) in [
            ("purpose", Some(&asked.purpose)),
            ("request", asked.request.as_ref()),
            ("by", asked.by.as_ref()),
        ] {
            if let Some(text) = text
                && (text.trim().is_empty()
                    || text.len() > MAX_TEXT_BYTES
                    || text.chars().any(char::is_control))
            {
                return Err(SubjectError::Text(name));
            }
        }
        let person = self.person(&asked.site, &asked.who, now).await?;
        self.answer_about(person, asked, now).await
    }

    async fn answer_about(
        &self,
        person: Person,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Value, SubjectError> {
        match asked.job {
            Job::Find => Ok(json!(self.held(person).await?)),
            Job::Export(format) => {
                let export = self.export(person, now).await?;
                Ok(json!({ "rows": export.rows(), "text": export.text(format) }))
            }
            Job::Block => Ok(json!(self.block(person, now).await?)),
            Job::Unblock => Ok(json!(self.unblock(person).await?)),
            Job::Erase => {
                let by = asked.by.unwrap_or_else(|| self.config.operator.official.clone());
                let order = Order { person, request: asked.request, reason: asked.purpose, by };
                let begun = self.begin_to_erase(vec![order], now).await?;
                let rows = begun.rows();
                if !asked.wait {
                    let office = self.clone();
                    tokio::spawn(async move {
                        if let Err(error) = begun.end(&office).await {
                            tracing::error!(%error, "an erasure was not carried out; the next start goes on with it");
                        }
                    });
                    return Ok(json!({ "rows": rows, "accepted": true }));
                }
                let acts = begun.end(self).await?;
                let files: Vec<String> = acts.iter().flat_map(|act| act.files(&self.dir())).collect();
                Ok(json!({ "rows": rows, "act": acts.first(), "files": files }))
            }
        }
    }
}
