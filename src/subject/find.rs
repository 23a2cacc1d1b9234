//! Who is meant, and what is held of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::block::blocks;
use super::erase::Used;
use super::note::Note;
use super::{Office, Person, SubjectError, Who, blocking, identity};
use crate::config::{IpStorage, Site};
use crate::privacy::address::ClientIp;
use crate::rights::request::MAX_SUBJECTS;
use crate::spool::Subject;
use crate::store::{Block, Limits, List, Param};

/// A row of `hits` that belongs to one of the subjects in `{visitors}` and `{user_keys}`.
pub(crate) const COVERED: &str = "(visitor IN {visitors:Array(UInt64)} OR minted IN {visitors:Array(UInt64)} \
     OR before IN {visitors:Array(UInt64)} OR user_key IN {user_keys:Array(UInt64)})";

/// What is held of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    #[serde(flatten)]
    pub person: Person,
    pub rows: u64,
    /// When the first and the last hit came, RFC 3339; none without rows.
    pub first: Option<String>,
    pub last: Option<String>,
    /// Whether a block covers them.
    pub blocked: bool,
    /// Whether they are held for a claim.
    pub hold: bool,
}

// === impl Office ===

impl Office {
    /// Who that is on a site.
    pub async fn person(&self, site: &str, who: &Who, now: Timestamp) -> Result<Person, SubjectError> {
        let site = self.site(site)?;
        self.caught_up(now.as_millisecond()).await?;
        let (subjects, notes) = match (identity::hash_of(&self.keys, &site.id, who)?, who) {
            (Some(Subject::UserKey(hash)), _) => self.by_user_key(site, hash).await?,
            (Some(visitor), _) => (vec![visitor], vec![Note::WithoutCookie]),
            (None, Who::Address { ip, from, to }) => self.by_address(site, ip, from, to).await?,
            (None, Who::Request(number)) => (self.by_request(site, number).await?, Vec::new()),
            (None, _) => (Vec::new(), Vec::new()),
        };
        Ok(Person { site: site.id.clone(), subjects: subjects.into_iter().map(Into::into).collect(), notes })
    }

    /// What storage holds of a person.
    pub async fn held(&self, person: Person) -> Result<Held, SubjectError> {
        let params = params(&person);
        let sql = format!(
            "SELECT count(), toUnixTimestamp64Milli(min(time)), toUnixTimestamp64Milli(max(time)) \
             FROM {}.hits WHERE site = {{site:String}} AND {COVERED}",
            self.storage.database()
        );
        let rows = self.storage.json(&sql, &params, &Limits::default()).await?;
        let number =
            |column: usize| rows.first().and_then(|row| row.get(column)?.as_i64()).unwrap_or_default();
        let count = number(0).cast_unsigned();
        let instant = |column| {
            let moment = Timestamp::from_millisecond(number(column)).unwrap_or_default();
            (count > 0).then(|| moment.to_string())
        };
        let mut on = [false; 2];
        for (list, on) in List::ALL.into_iter().zip(&mut on) {
            let known = self.storage.listed(list).await?;
            let is_listed = |block: &Block| known.binary_search(block).is_ok();
            *on = !person.subjects.is_empty() && blocks(&person).iter().all(is_listed);
        }
        let [blocked, hold] = on;
        Ok(Held { person, rows: count, first: instant(1), last: instant(2), blocked, hold })
    }

    /// Whom the register holds for a request.
    async fn by_request(&self, site: &Site, number: &str) -> Result<Vec<Subject>, SubjectError> {
        let (register, asked) = (self.register(), number.to_owned());
        let request = blocking(move || Ok(register.get(&asked)?)).await?;
        if request.site != site.id {
            return Err(SubjectError::OtherSite { number: request.number, site: request.site });
        }
        if request.subjects.is_empty() {
            return Err(SubjectError::NoSubject(request.number));
        }
        Ok(request.subjects.into_iter().map(Subject::from).collect())
    }

    /// The key's own hits, and the browsers in which no other key was seen.
    async fn by_user_key(&self, site: &Site, hash: u64) -> Result<(Vec<Subject>, Vec<Note>), SubjectError> {
        // A browser is its cookie, also where that was only offered yet. The key's own hits say which
        // they are; then only these are looked for.
        let (hits, limits) = (format!("{}.hits", self.storage.database()), Limits::default());
        let browser = "if(identity = 'cookie', visitor, minted) AS browser";
        let sql = format!(
            "SELECT DISTINCT {browser} FROM {hits} PREWHERE user_key = {{user_key:UInt64}} \
             WHERE site = {{site:String}} AND browser != 0 LIMIT {}",
            MAX_SUBJECTS + 1
        );
        let mut params = vec![text("site", &site.id), ("user_key".to_owned(), Param::Text(hash.to_string()))];
        let browsers = self.storage.json(&sql, &params, &limits).await?;
        if browsers.len() > MAX_SUBJECTS {
            return Err(SubjectError::TooMany);
        }
        let browsers: Vec<u64> = browsers.iter().filter_map(|row| row.first()?.as_u64()).collect();
        let rows = if browsers.is_empty() {
            Vec::new()
        } else {
            let sql = format!(
                "SELECT {browser}, countIf(user_key != 0 AND user_key != {{user_key:UInt64}}) FROM {hits} \
                 PREWHERE visitor IN {{browsers:Array(UInt64)}} OR minted IN {{browsers:Array(UInt64)}} \
                 WHERE site = {{site:String}} AND browser IN {{browsers:Array(UInt64)}} GROUP BY browser ORDER BY browser"
            );
            params.push(("browsers".to_owned(), Param::Numbers(browsers)));
            self.storage.json(&sql, &params, &limits).await?
        };
        let mut subjects = vec![Subject::UserKey(hash)];
        let mut shared = 0;
        for row in &rows {
            match (row.first().and_then(|visitor| visitor.as_u64()), row.get(1).and_then(|n| n.as_u64())) {
                (Some(visitor), Some(0)) => subjects.push(Subject::Visitor(visitor)),
                _ => shared += 1,
            }
        }
        let mut notes = Vec::new();
        if shared > 0 {
            notes.push(Note::SharedBrowsers(shared));
        }
        Ok((subjects, notes))
    }

    /// The address by which somebody is named, as sums of refused hits hold it.
    pub(super) fn used(&self, site: &str, who: &Who) -> Result<Option<Used>, SubjectError> {
        let Who::Address { ip, from, to } = who else { return Ok(None) };
        let address = ClientIp::parse(ip).ok_or(SubjectError::Address)?;
        let (from, to) = range(from, to)?;
        let forms = self.keys.forms_of(&address, self.site(site)?.ip);
        Ok(Some(Used {
            forms: forms.stored.iter().map(form).collect(),
            from_ms: from.as_millisecond(),
            to_ms: to.as_millisecond(),
        }))
    }

    async fn by_address(
        &self,
        site: &Site,
        ip: &str,
        from: &str,
        to: &str,
    ) -> Result<(Vec<Subject>, Vec<Note>), SubjectError> {
        let address = ClientIp::parse(ip).ok_or(SubjectError::Address)?;
        let (from, to) = range(from, to)?;
        let mut notes = Vec::new();
        match site.ip {
            IpStorage::None => notes.push(Note::NoAddresses),
            IpStorage::Truncated => notes.push(Note::Networks),
            IpStorage::Encrypted => {}
        }
        let forms = self.keys.forms_of(&address, site.ip);
        if forms.destroyed > 0 {
            notes.push(Note::DestroyedKeys(forms.destroyed as u64));
        }
        notes.push(Note::SeveralUsers);
        let sql = format!(
            "SELECT DISTINCT visitor FROM {}.hits WHERE site = {{site:String}} \
             AND time >= fromUnixTimestamp64Milli({{from:Int64}}) AND time < fromUnixTimestamp64Milli({{to:Int64}}) \
             AND ip_key != 0 AND concat(hex(ip), '-', toString(ip_key)) IN {{forms:Array(String)}} \
             ORDER BY visitor LIMIT {}",
            self.storage.database(),
            MAX_SUBJECTS + 1
        );
        let params = [
            text("site", &site.id),
            ("from".to_owned(), Param::Number(from.as_millisecond())),
            ("to".to_owned(), Param::Number(to.as_millisecond())),
            ("forms".to_owned(), Param::Texts(forms.stored.iter().map(form).collect())),
        ];
        let rows = self.storage.json(&sql, &params, &Limits::default()).await?;
        if rows.len() > MAX_SUBJECTS {
            return Err(SubjectError::TooMany);
        }
        let visitors = rows.iter().filter_map(|row| row.first()?.as_u64()).map(Subject::Visitor);
        Ok((visitors.collect(), notes))
    }
}

/// Whose rows, as parameters of [`COVERED`].
pub(crate) fn params(person: &Person) -> Vec<(String, Param)> {
    let (mut visitors, mut user_keys) = (Vec::new(), Vec::new());
    for subject in person.subjects() {
        match subject {
            Subject::Visitor(hash) => visitors.push(hash),
            Subject::UserKey(hash) => user_keys.push(hash),
        }
    }
    vec![
        text("site", &person.site),
        ("visitors".to_owned(), Param::Numbers(visitors)),
        ("user_keys".to_owned(), Param::Numbers(user_keys)),
    ]
}

fn range(from: &str, to: &str) -> Result<(Timestamp, Timestamp), SubjectError> {
    let from: Timestamp = from.parse().map_err(|_| SubjectError::Instant("from"))?;
    let to: Timestamp = to.parse().map_err(|_| SubjectError::Instant("to"))?;
    if from < to { Ok((from, to)) } else { Err(SubjectError::Range) }
}

fn text(name: &str, value: &str) -> (String, Param) {
    (name.to_owned(), Param::Text(value.to_owned()))
}

fn form((bytes, key): &([u8; 16], u32)) -> String {
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    text.push_str(&format!("-{key}"));
    text
}
