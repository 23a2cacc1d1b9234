//! Whom to tell. The clinic knows its users by their keys, and Metka knows keyed hashes:
//! the list of an incident has the hashes, and a comparison says which of the keys that
//! the clinic gives are meant. A browser without an account is told on its own page
//! ([`super::seam`]).

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::count::READING;
use super::register::{Incident, Register};
use super::{IncidentError, MAX_LISTED, MAX_MATCHED};
use crate::audit::{Action, Actor, Entry};
use crate::rights::request::Subject;
use crate::spool;
use crate::store::{Limits, Param};
use crate::subject::rows::{IN_RANGE, in_range};
use crate::subject::{Office, Who, identity, off_thread};

// === impl Office ===

impl Office {
    /// The keyed hashes of all who are affected: browsers as hits knew them and the
    /// cookies that they were offered, and users.
    pub(super) async fn listed(
        &self,
        number: &str,
        by: Actor,
        now: Timestamp,
    ) -> Result<Value, IncidentError> {
        let incident = self.incident_of(number).await?;
        self.written(
            look(&incident, by, now).detail(format!("{}: the list of those affected", incident.number)),
        )
        .await?;
        let sql = format!(
            "SELECT DISTINCT one.1, one.2 FROM (SELECT arrayJoin([(1, visitor), (1, minted), (2, user_key)]) AS one \
             FROM {}.hits WHERE {IN_RANGE}) WHERE one.2 != 0 ORDER BY one.1, one.2 LIMIT {}",
            self.storage.database(),
            MAX_LISTED + 1
        );
        let limits = Limits { time: READING, result_rows: MAX_LISTED + 1, ..Limits::default() };
        let params = in_range(&incident.site, incident.from, incident.to);
        let rows =
            self.storage.json(&sql, &params, &limits).await.map_err(crate::subject::SubjectError::from)?;
        if rows.len() as u64 > MAX_LISTED {
            return Err(IncidentError::List);
        }
        let subject = |row: &Vec<Value>| {
            let hash = row.get(1)?.as_u64()?;
            Some(if row.first()?.as_u64()? == 1 { Subject::visitor(hash) } else { Subject::user_key(hash) })
        };
        let subjects: Vec<Subject> = rows.iter().filter_map(subject).collect();
        Ok(json!({ "number": incident.number, "subjects": subjects }))
    }

    /// Which of these user keys have hits in the incident.
    pub(super) async fn matched(
        &self,
        number: &str,
        keys: Vec<String>,
        by: Actor,
        now: Timestamp,
    ) -> Result<Value, IncidentError> {
        if keys.is_empty() {
            return Err(IncidentError::NoKeys);
        }
        if keys.len() > MAX_MATCHED {
            return Err(IncidentError::Keys(keys.len()));
        }
        let incident = self.incident_of(number).await?;
        let mut hashes = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let hash = identity::hash_of(&self.keys, &incident.site, &Who::User(key.clone()));
            match hash.map_err(|error| IncidentError::Key { place: place + 1, error })? {
                Some(spool::Subject::UserKey(hash)) => hashes.push(hash),
                _ => hashes.push(0),
            }
        }
        let words = format!("{}: {} user keys compared", incident.number, keys.len());
        self.written(look(&incident, by, now).detail(words)).await?;
        let sql = format!(
            "SELECT DISTINCT user_key FROM {}.hits WHERE {IN_RANGE} AND user_key IN {{user_keys:Array(UInt64)}}",
            self.storage.database()
        );
        let mut params = in_range(&incident.site, incident.from, incident.to);
        params.push(("user_keys".to_owned(), Param::Numbers(hashes.clone())));
        let limits = Limits { time: READING, ..Limits::default() };
        let rows =
            self.storage.json(&sql, &params, &limits).await.map_err(crate::subject::SubjectError::from)?;
        let found: HashSet<u64> = rows.iter().filter_map(|row| row.first()?.as_u64()).collect();
        let affected: Vec<String> = keys
            .into_iter()
            .zip(hashes)
            .filter(|(_, hash)| found.contains(hash))
            .map(|(key, _)| key)
            .collect();
        Ok(json!({ "affected": affected }))
    }

    async fn incident_of(&self, number: &str) -> Result<Incident, IncidentError> {
        let (register, number) = (Register::new(&self.config.data_dir), number.to_owned());
        Ok(off_thread(move || register.get(&number)).await??)
    }
}

/// The entry of a look at who is affected.
fn look(incident: &Incident, by: Actor, now: Timestamp) -> Entry {
    Entry::new(now, by, Action::IncidentSubjects).site(&incident.site)
}
