//! A question answered: the statements put to storage, and rows told by tokens.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::question::{By, Question};
use super::statement::{COLUMNS, DESTROYED, FIRST_HASH, NOT_STORED, Source, Statement};
use super::token::{self, Stored};
use super::{AddressError, Desk, MAX_FORMS};
use crate::config::{IpStorage, Site};
use crate::privacy::address::ClientIp;
use crate::query::Visible;
use crate::store::Limits;

/// Where these stand in a row of numbers.
const HITS: usize = 1;
const REFUSED: usize = 3;

/// What is known of the stored addresses that were brought together.
#[derive(Default)]
struct Known {
    groups: Vec<(Stored, u64)>,
    /// How many addresses each network has.
    of_network: HashMap<u64, HashSet<u64>>,
    /// How many keys of forms are destroyed.
    destroyed: HashSet<u32>,
    /// There are more than were brought together.
    is_cut: bool,
    /// The hits and refusals of these.
    hits: u64,
    refusals: u64,
}

// === impl Desk ===

impl Desk {
    /// Answers a question about one site.
    pub(super) async fn answer(&self, site: &Site, mut question: Question) -> Result<Value, AddressError> {
        let has_blocks = self.storage.has_blocks(&site.id).await?;
        let visible = match has_blocks {
            true => Visible::unblocked(self.storage.database()),
            false => Visible::all(self.storage.database()),
        };
        self.begin(&mut question, site, visible).await?;
        let mut notes = Vec::new();
        let only = self.only(&question, site, visible, &mut notes).await?;
        let mut source = Source { site: &site.id, question: &question, visible, only, groups: Vec::new() };
        let known = match question.by.is_of_addresses() {
            true => self.known(&source).await?,
            false => Known::default(),
        };
        source.groups = known.groups.clone();
        let (grouped, totals) = (source.grouped(), source.totals());
        let (rows, totals) = tokio::try_join!(self.put(&grouped), self.put(&totals))?;
        let totals = totals.first().ok_or_else(unreadable)?;
        let counted = |at: usize| totals.get(at).and_then(Value::as_u64).unwrap_or_default();
        let [mut keys, without, without_refusals] = [0, 1, 2].map(|at| counted(COLUMNS + at));
        if question.by.is_of_addresses() {
            let groups: HashSet<u64> = known.groups.iter().map(|(_, group)| *group).collect();
            keys = groups.len() as u64 + u64::from(without + without_refusals > 0);
        }
        if known.is_cut {
            // Hits may have come between two statements.
            let outside = counted(HITS).saturating_sub(known.hits + without);
            let outside_refusals = counted(REFUSED).saturating_sub(known.refusals + without_refusals);
            notes.push(format!(
                "the {MAX_FORMS} addresses that come first are told apart: {outside} hits and {outside_refusals} \
                 refusals of others are in the totals only"
            ));
        }
        if without + without_refusals > 0 {
            notes.push(format!(
                "{without} hits and {without_refusals} refusals have no address: it was not stored, or its term is over"
            ));
        }
        if !known.destroyed.is_empty() {
            notes.push(format!(
                "{} keys of months are destroyed: nobody can read their addresses any more",
                known.destroyed.len()
            ));
        }
        notes.extend(standing(site, has_blocks).map(str::to_owned));
        let results: Vec<Value> = rows
            .iter()
            .map(|row| self.row(row, &question, site, &known))
            .collect::<Option<_>>()
            .ok_or_else(unreadable)?;
        Ok(json!({
            "site_id": site.id,
            "date_range": question.range.shown(),
            "by": question.by.name(),
            "results": results,
            "total_rows": keys,
            "totals": numbers(totals).ok_or_else(unreadable)?,
            "notes": notes,
        }))
    }

    /// The stored addresses that the question is about alone, if it is about some.
    async fn only(
        &self,
        question: &Question,
        site: &Site,
        visible: Visible<'_>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Vec<Stored>>, AddressError> {
        if let Some(stored) = question.only.address {
            return Ok(Some(self.forms_of(stored)));
        }
        let Some(network) = question.only.network else { return Ok(None) };
        let all = Source { site: &site.id, question, visible, only: None, groups: Vec::new() };
        let (forms, is_cut) = self.forms(&all).await?;
        if is_cut {
            notes.push(format!(
                "the network's addresses were looked for among the {MAX_FORMS} that come first: more may be its"
            ));
        }
        let is_of_it = |stored: &Stored| {
            self.keys
                .reveal(stored.ip, stored.key)
                .is_some_and(|ip| group_of(self.keys.network_mark(&site.id, &ip)) == network)
        };
        Ok(Some(forms.into_iter().map(|(stored, ..)| stored).filter(is_of_it).collect()))
    }

    /// All that the address of this form may be stored as.
    pub(super) fn forms_of(&self, stored: Stored) -> Vec<Stored> {
        let Some(ip) = self.keys.reveal(stored.ip, stored.key) else { return vec![stored] };
        // What is stored of a network is the encrypted address of its beginning.
        let forms = self.keys.forms_of(&ip, IpStorage::Encrypted);
        forms.stored.into_iter().map(|(ip, key)| Stored { ip, key }).collect()
    }

    /// A question about all time begins with the first hit or refusal.
    async fn begin(
        &self,
        question: &mut Question,
        site: &Site,
        visible: Visible<'_>,
    ) -> Result<(), AddressError> {
        if !question.range.all {
            return Ok(());
        }
        let mut ever = question.clone();
        ever.range.from = 0;
        let source = Source { site: &site.id, question: &ever, visible, only: None, groups: Vec::new() };
        let rows = self.put(&source.beginning()).await?;
        if let Some([count, first]) = rows.first().map(Vec::as_slice)
            && count.as_u64() > Some(0)
            && let Some(first) = first.as_i64()
        {
            question.range.begin_with(first);
        }
        Ok(())
    }

    /// The stored addresses that come first with their hits and refusals, and whether there are more.
    async fn forms(&self, source: &Source<'_>) -> Result<(Vec<(Stored, u64, u64)>, bool), AddressError> {
        let rows = self.put(&source.forms(MAX_FORMS + 1)).await?;
        let form = |row: &Vec<Value>| {
            Some((Stored::of_form(row.first()?.as_str()?)?, row.get(1)?.as_u64()?, row.get(2)?.as_u64()?))
        };
        let forms = rows.iter().take(MAX_FORMS).map(form);
        Ok((forms.collect::<Option<_>>().ok_or_else(unreadable)?, rows.len() > MAX_FORMS))
    }

    /// Which stored addresses belong together. Here alone they are revealed, for as long as a
    /// hash takes.
    async fn known(&self, source: &Source<'_>) -> Result<Known, AddressError> {
        let (forms, is_cut) = self.forms(source).await?;
        let mut known = Known { is_cut, ..Known::default() };
        for (stored, hits, refusals) in forms {
            (known.hits, known.refusals) = (known.hits + hits, known.refusals + refusals);
            let group = match self.keys.reveal(stored.ip, stored.key) {
                Some(ip) => {
                    let (address, network) = self.marks(source.site, &ip);
                    known.of_network.entry(network).or_default().insert(address);
                    if source.question.by == By::Network { network } else { address }
                }
                None => {
                    known.destroyed.insert(stored.key);
                    match source.question.by {
                        By::Network => DESTROYED,
                        _ => group_of(
                            self.keys.limiter_key(&[b"unreadable address", stored.form().as_bytes()]),
                        ),
                    }
                }
            };
            known.groups.push((stored, group));
        }
        Ok(known)
    }

    fn marks(&self, site: &str, ip: &ClientIp) -> (u64, u64) {
        (group_of(self.keys.address_mark(site, ip)), group_of(self.keys.network_mark(site, ip)))
    }

    /// One row as it is told.
    fn row(&self, row: &[Value], question: &Question, site: &Site, known: &Known) -> Option<Value> {
        let mut told = Map::new();
        let key = row.first()?.as_str()?;
        let (asn, network, country) = (row.get(10)?, row.get(11)?, row.get(12)?);
        let place = |told: &mut Map<String, Value>| {
            told.insert("asn".to_owned(), asn.clone());
            told.insert("asn_name".to_owned(), network.clone());
            told.insert("country".to_owned(), country.clone());
        };
        match question.by {
            By::Address => {
                let latest = row.get(13)?.as_str().filter(|form| !form.is_empty());
                let stored = latest.and_then(Stored::of_form);
                let ip = stored.and_then(|stored| self.keys.reveal(stored.ip, stored.key));
                let network = ip.map(|ip| token::of_network(self.marks(&site.id, &ip).1));
                told.insert("address".to_owned(), json!(stored.map(Stored::token)));
                told.insert("network".to_owned(), json!(network));
                told.insert("key_destroyed".to_owned(), json!(stored.is_some() && network.is_none()));
                place(&mut told);
            }
            By::Network => {
                let group: u64 = key.parse().ok()?;
                let is_one = group != NOT_STORED && group != DESTROYED;
                told.insert("network".to_owned(), json!(is_one.then(|| token::of_network(group))));
                told.insert("addresses".to_owned(), json!(known.of_network.get(&group).map(HashSet::len)));
                told.insert("key_destroyed".to_owned(), json!(group == DESTROYED));
                place(&mut told);
            }
            By::Asn => {
                told.insert("asn".to_owned(), json!(key.parse::<u32>().ok()?));
                told.insert("asn_name".to_owned(), network.clone());
            }
            By::Country => {
                told.insert("country".to_owned(), json!(key));
            }
            By::Hour | By::Day => {
                told.insert("time".to_owned(), json!(key));
            }
        }
        told.append(&mut numbers(row)?);
        Some(Value::Object(told))
    }

    pub(super) async fn put(&self, statement: &Statement) -> Result<Vec<Vec<Value>>, AddressError> {
        Ok(self.storage.json(&statement.sql, &statement.params, &Limits::default()).await?)
    }
}

/// What every answer about the site has to say.
fn standing(site: &Site, has_blocks: bool) -> impl Iterator<Item = &'static str> {
    let of_site = match site.ip {
        IpStorage::Encrypted => None,
        IpStorage::Truncated => {
            Some("this site stores the /24 or /48 of an address: a row of an address is of a whole network")
        }
        IpStorage::None => Some("this site stores no addresses: ask by asn, country or time"),
    };
    let of_blocks = has_blocks.then_some(
        "hits of blocked visitors are left out; refusals know no visitors, so theirs are not told apart",
    );
    of_site.into_iter().chain(of_blocks)
}

/// The numbers of a row, by name.
fn numbers(row: &[Value]) -> Option<Map<String, Value>> {
    let mut told = Map::new();
    for (at, name) in (1..).zip(["hits", "visitors", "refused", "limited", "marked"]) {
        told.insert(name.to_owned(), json!(row.get(at)?.as_u64()?));
    }
    told.insert("errors".to_owned(), json!(row.get(14)?.as_u64()?));
    told.insert("error_names".to_owned(), by_name(row.get(15)?)?);
    told.insert("marks".to_owned(), by_name(row.get(6)?)?);
    told.insert("reasons".to_owned(), by_name(row.get(7)?)?);
    let is_empty = told["hits"] == 0 && told["refused"] == 0;
    for (at, name) in (8..).zip(["first", "last"]) {
        let moment = Timestamp::from_millisecond(row.get(at)?.as_i64()?).ok()?;
        told.insert(name.to_owned(), json!((!is_empty).then(|| moment.to_string())));
    }
    Some(told)
}

/// `[[names], [numbers]]` as an object.
fn by_name(sums: &Value) -> Option<Value> {
    let (names, numbers) = (sums.get(0)?.as_array()?, sums.get(1)?.as_array()?);
    let pairs =
        names.iter().zip(numbers).map(|(name, number)| Some((name.as_str()?.to_owned(), number.clone())));
    pairs.collect::<Option<Map<String, Value>>>().map(Value::Object)
}

/// A keyed hash as a group: the few below stand for something else.
fn group_of(hash: u64) -> u64 {
    hash.max(FIRST_HASH)
}

fn unreadable() -> AddressError {
    AddressError::Storage(crate::store::StorageError::Unreadable("a row of addresses is not one".to_owned()))
}
