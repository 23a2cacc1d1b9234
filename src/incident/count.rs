//! Who and what is affected, counted in storage: all hits of the site that came in the
//! range, those of blocked people too.

use std::time::Duration;

use super::kinds::KINDS;
use super::register::{Affected, Held};
use crate::query::Visible;
use crate::query::person::{Since, person, with};
use crate::store::{Limits, StorageError};
use crate::subject::rows::{IN_RANGE, in_range};
use crate::subject::{Office, SubjectError};

/// How long storage may take to go through a long range.
pub(super) const READING: Duration = Duration::from_secs(120);
/// What is counted before the kinds of data.
const COUNTS: usize = 7;

// === impl Office ===

impl Office {
    pub(super) async fn affected(&self, site: &str, from: i64, to: i64) -> Result<Affected, SubjectError> {
        let visible = Visible::all(self.storage.database());
        let kinds: String = KINDS.iter().map(|kind| format!(", countIf({})", kind.holds)).collect();
        // A browser is its cookie, also where that was only offered yet.
        let sql = format!(
            "{with} SELECT count(), uniqExact({person}), \
             uniqExactIf(if(identity = 'cookie', visitor, minted), identity = 'cookie' OR minted != 0), \
             uniqExactIf(user_key, user_key != 0), uniqExactIf((ip, ip_key), ip_key != 0), \
             toUnixTimestamp64Milli(min(time)), toUnixTimestamp64Milli(max(time)){kinds} \
             FROM {database}.hits WHERE {IN_RANGE}",
            with = with(visible, IN_RANGE, Since::Ever),
            person = person(visible, Since::Ever),
            database = visible.database,
        );
        let limits = Limits { time: READING, ..Limits::default() };
        let rows = self.storage.json(&sql, &in_range(site, from, to), &limits).await?;
        let numbers: Vec<i64> = rows.first().into_iter().flatten().filter_map(|cell| cell.as_i64()).collect();
        if numbers.len() != COUNTS + KINDS.len() {
            return Err(StorageError::Unreadable("an incident's counts are not numbers".to_owned()).into());
        }
        let count = |index: usize| numbers[index].cast_unsigned();
        let moment = |index: usize| (numbers[0] > 0).then_some(numbers[index]);
        let held = |(index, kind): (usize, &super::kinds::DataKind)| Held {
            name: kind.name.to_owned(),
            rows: count(COUNTS + index),
        };
        Ok(Affected {
            rows: count(0),
            visitors: count(1),
            cookies: count(2),
            user_keys: count(3),
            addresses: count(4),
            first: moment(5),
            last: moment(6),
            kinds: KINDS.iter().enumerate().map(held).collect(),
        })
    }
}
