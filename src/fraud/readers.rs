//! Who reads alerts, in the audit trail.
//!
//! In: who asks for the alerts of a site. Out: the entry `alerts_read` is on the disk before they are
//! told of any, with the purpose `fraud`, for which alerts are made and for no other.
//!
//! Programs ask again as soon as they are answered, so one entry stands for what the same asker
//! reads of the same site within an hour of it ([`ENTRY_LASTS`]). What is remembered of that is in
//! memory only: a server that was started again writes anew.
//!
//! Bound: [`MAX_READERS`] are remembered. Whoever finds no room has an entry for each question.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::audit::{Action, Actor, AuditError, DIR_NAME, Entry, Purpose, Trail};

/// How long an entry stands for further questions: a program that waits for alerts asks some
/// hundred times in an hour, and a day of it has 24 entries.
const ENTRY_LASTS: SignedDuration = SignedDuration::from_hours(1);
/// More than the people and programs of a clinic, for each of its sites; some 100 bytes each.
const MAX_READERS: usize = 1024;

/// Whose entry was written when, by asker and site.
#[derive(Default)]
pub struct Readers {
    noted: Mutex<HashMap<(String, String), Timestamp>>,
}

// === impl Readers ===

impl Readers {
    /// Returns when the trail says that `by` reads the alerts of the site.
    pub async fn note(
        &self,
        by: Actor,
        site: &str,
        trail: Arc<Trail>,
        now: Timestamp,
    ) -> Result<(), AuditError> {
        let reader = (by.to_string(), site.to_owned());
        if self.is_noted(&reader, now) {
            return Ok(());
        }
        let entry = Entry::new(now, by, Action::AlertsRead).site(site).purpose(Purpose::Fraud, None);
        tokio::task::spawn_blocking(move || trail.append(&entry)).await.unwrap_or_else(|panicked| {
            Err(AuditError::Io { path: PathBuf::from(DIR_NAME), error: io::Error::other(panicked) })
        })?;
        // Not before: an entry that could not be written stands for nothing.
        self.remember(reader, now);
        Ok(())
    }

    fn is_noted(&self, reader: &(String, String), now: Timestamp) -> bool {
        self.held().get(reader).is_some_and(|at| lasts(*at, now))
    }

    fn remember(&self, reader: (String, String), now: Timestamp) {
        let mut noted = self.held();
        if noted.len() >= MAX_READERS {
            noted.retain(|_, at| lasts(*at, now));
        }
        if noted.len() < MAX_READERS || noted.contains_key(&reader) {
            noted.insert(reader, now);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(String, String), Timestamp>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an entry of that moment stands for a question now; none does if the clock was set back.
fn lasts(at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(at);
    !age.is_negative() && age < ENTRY_LASTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_for_an_hour_of_one_asker_on_one_site_and_for_no_more_than_have_room() {
        let (readers, start) = (Readers::default(), Timestamp::UNIX_EPOCH);
        let after = |seconds: i64| start + SignedDuration::from_secs(seconds);
        let reader = |name: &str, site: &str| (name.to_owned(), site.to_owned());
        assert!(!readers.is_noted(&reader("olga", "clinic"), start));
        readers.remember(reader("olga", "clinic"), start);
        for (who, now, expected) in [
            (reader("olga", "clinic"), after(0), true),
            (reader("olga", "clinic"), after(3599), true),
            (reader("olga", "clinic"), after(3600), false),
            (reader("olga", "clinic"), after(-1), false),
            (reader("olga", "other"), after(1), false),
            (reader("vera", "clinic"), after(1), false),
        ] {
            assert_eq!(readers.is_noted(&who, now), expected, "{who:?} {now}");
        }
        for number in 0..MAX_READERS {
            readers.remember(reader(&number.to_string(), "clinic"), after(1));
        }
        let last = reader(&(MAX_READERS - 1).to_string(), "clinic");
        assert!(!readers.is_noted(&last, after(1)), "there is no room");
        assert!(readers.is_noted(&reader("olga", "clinic"), after(1)), "and nobody else has gone");
        // What is over makes room.
        readers.remember(last.clone(), after(3700));
        assert!(readers.is_noted(&last, after(3700)));
    }
}
