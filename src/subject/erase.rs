//! An erasure: a person is in no file any more.
//!
//! ```text
//! 1. what waits is stored, rows are counted, the order is written down   DATA/rights/erasing.json
//! 2. tombstones, here and beside the backups                             no row comes (back) from now on
//!    by an address: of its sums of refused hits as well
//! 3. the spool's segments are closed, and settle                         what was on its way is in storage
//! 4. rows are deleted in storage                                         mutation; parts gone, detached ones too
//!    by an address: its sums of refused hits as well
//! 5. dead letters are written again without the rows
//! 6. storage's disk is synced, the spool lets its segments go            overwritten with zeros
//! 7. blocks of the person end; nothing is left: counted
//! 8. the act is written, the order removed                               DATA/rights/acts/
//! ```
//!
//! Each step may run twice, so an order that is there at a start is carried out
//! from step 2 on, and the act says what was counted in step 1. At each start the
//! tombstones in force are also applied to storage again ([`Office::recheck`]):
//! ClickHouse may lose an acknowledged deletion when the machine loses its power.
//!
//! Many people go in one order, and cost little more than one.
//!
//! What is left for a time, or cannot be looked into, the act says: backups, which end
//! with their age and know the tombstones, and files of the spool that were set
//! aside as damaged. With an outside ClickHouse the spool keeps its files for
//! [`SETTLE`], since its disk cannot be synced from here.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};

use super::act::Act;
use super::block::blocks;
use super::note::Note;
use super::{Office, PATIENCE, POLL, Person, SubjectError, blocking};
use crate::private_file as file;
use crate::spool::{RefusalTombstone, SETTLE, Subject, Tombstone};
use crate::store::{Block, List};

/// An order that has not been carried out.
const FILE_NAME: &str = "erasing.json";
const FILE_VERSION: u32 = 1;
/// The most people in one order: the file stays below the bound of private files.
pub const MAX_ORDERS: usize = 5000;

/// One at a time: they close the spool's segments and use one table.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Whom to erase, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub person: Person,
    /// The number of the request in the register.
    pub request: Option<String>,
    /// The legal reason, in words.
    pub reason: String,
    /// Who destroys: name and post.
    pub by: String,
    /// By what address the person was named, whose sums of refused hits go as well: they hold
    /// no visitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// An address, as it is stored, in a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Used {
    /// `HEX-KEY` for each month's key.
    pub forms: Vec<String>,
    /// In milliseconds since 1970.
    pub from_ms: i64,
    pub to_ms: i64,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    version: u32,
    /// Rows received before this go, in milliseconds since 1970.
    before_ms: i64,
    orders: Vec<Counted>,
}

#[derive(Serialize, Deserialize)]
struct Counted {
    order: Order,
    rows: u64,
    /// Refused hits of the address by which the person was named: counted before anything is
    /// deleted, so that the act says it also after a kill.
    #[serde(default)]
    refusals: u64,
}

/// What storage has of one person.
#[derive(Clone, Copy, Default)]
struct OfOne {
    rows: u64,
    /// Those of them that are kept for a claim.
    held: u64,
}

/// An order that is written down; no other erasure begins before it ends.
pub struct Begun {
    job: Job,
    /// Each row once, also where two orders are about it.
    rows: u64,
    _alone: MutexGuard<'static, ()>,
}

/// Waits until nobody else closes the spool's segments, and keeps them waiting.
pub(super) async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

// === impl Begun ===

impl Begun {
    /// Rows that are to be destroyed.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The same for each order, in their order.
    pub fn rows_of_each(&self) -> Vec<u64> {
        self.job.orders.iter().map(|one| one.rows).collect()
    }

    /// Carries it out while nobody waits for it.
    pub(super) fn go_on(self, office: Office) {
        tokio::spawn(async move {
            if let Err(error) = self.end(&office).await {
                tracing::error!(%error, "an erasure was not carried out; the next start goes on with it");
            }
        });
    }

    pub async fn end(self, office: &Office) -> Result<Vec<Act>, SubjectError> {
        office.carry_out(self.job).await
    }
}

// === impl Office ===

impl Office {
    /// Erases them all. The acts are in the order of the orders.
    pub async fn erase(&self, orders: Vec<Order>, now: Timestamp) -> Result<Vec<Act>, SubjectError> {
        self.begin_to_erase(orders, now).await?.end(self).await
    }

    /// Step 1: from the return on nothing but a lost disk keeps the erasure from being
    /// carried out.
    pub async fn begin_to_erase(&self, orders: Vec<Order>, now: Timestamp) -> Result<Begun, SubjectError> {
        if orders.len() > MAX_ORDERS {
            return Err(SubjectError::TooManyOrders(orders.len()));
        }
        let alone = alone().await;
        self.refuse_held(&orders).await?;
        // One that did not come to its end goes first: there is one file.
        self.carry_out_left().await?;
        let before_ms = now.as_millisecond();
        self.caught_up(before_ms).await?;
        let people: Vec<&Person> = orders.iter().map(|order| &order.person).collect();
        let (each, rows) = self.rows_before(&people, before_ms).await?;
        // A browser is shared, and its rows are kept for the claim of somebody else.
        if let Some((order, of)) = orders.iter().zip(&each).find(|(_, of)| of.held > 0) {
            return Err(SubjectError::HeldRows { request: order.request.clone(), rows: of.held });
        }
        let mut counted = Vec::with_capacity(orders.len());
        for (order, OfOne { rows, .. }) in orders.into_iter().zip(each) {
            let refused = self.refused(&order, before_ms).await?;
            let refusals = match refused.is_empty() {
                true => 0,
                false => self.storage.covered_refusals(refused.iter()).await?,
            };
            counted.push(Counted { order, rows, refusals });
        }
        let job = Job { version: FILE_VERSION, before_ms, orders: counted };
        let (path, bytes) = (self.dir().join(FILE_NAME), serde_json::to_vec(&job).expect("plain values"));
        blocking(move || file::replace(&path, &bytes).map_err(|source| SubjectError::File { path, source }))
            .await?;
        Ok(Begun { job, rows, _alone: alone })
    }

    /// Whether one of these is in an order that is written down: there is no way back from it. Only of
    /// use while nobody else may begin one ([`alone`]).
    pub(super) async fn is_being_erased(&self, subjects: &[Block]) -> Result<bool, SubjectError> {
        let path = self.dir().join(FILE_NAME);
        let Some(job) = blocking(move || read(path)).await? else { return Ok(false) };
        let ordered = job.orders.iter().flat_map(|one| blocks(&one.order.person));
        Ok(ordered.into_iter().any(|one| subjects.contains(&one)))
    }

    /// What is kept for a claim is no one's to destroy until the claim is over.
    async fn refuse_held(&self, orders: &[Order]) -> Result<(), SubjectError> {
        let held = self.storage.listed(List::Held).await?;
        let is_held =
            |order: &&Order| blocks(&order.person).iter().any(|one| held.binary_search(one).is_ok());
        match orders.iter().find(is_held) {
            None => Ok(()),
            Some(order) => Err(SubjectError::Held(order.request.clone())),
        }
    }

    /// At a start, when storage is there: ends what was begun, and deletes again what a
    /// tombstone covers that is no older than a backup may be, from which it could come back. Says
    /// how many rows there were.
    pub async fn recheck(&self) -> Result<u64, SubjectError> {
        let _alone = alone().await;
        // A value that was being corrected when the process ended is nowhere any more.
        self.storage.settle_jobs().await?;
        self.carry_out_left().await?;
        let again = self.recheck_marketing().await?;
        if again > 0 {
            tracing::warn!(
                rows = again,
                "consents to marketing that were withdrawn were in storage and are changed again"
            );
        }
        let tombstones = self.outlet.tombstones();
        if tombstones.is_empty() {
            return Ok(0);
        }
        // A restored backup may have brought some.
        let outlet = self.outlet.clone();
        blocking(move || Ok(outlet.purge_dead_letters()?)).await?;
        let refusals = self.storage.erase_refusals(tombstones.refusals()).await?;
        if refusals > 0 {
            tracing::warn!(
                refusals,
                "refused hits of erased addresses were in storage and are deleted again"
            );
        }
        let oldest_backup =
            Timestamp::now() - SignedDuration::from_hours(24 * i64::from(self.config.backup.max_age_days));
        let in_doubt: Vec<Tombstone> = tombstones
            .list()
            .iter()
            .filter(|one| one.made_ms >= oldest_backup.as_millisecond())
            .cloned()
            .collect();
        Ok(self.storage.erase(&in_doubt).await?)
    }

    async fn carry_out_left(&self) -> Result<(), SubjectError> {
        let path = self.dir().join(FILE_NAME);
        let job = blocking(move || read(path)).await?;
        if let Some(job) = job {
            tracing::warn!(people = job.orders.len(), "an erasure that was begun is carried out");
            self.carry_out(job).await?;
        }
        Ok(())
    }

    /// Steps 2 to 8.
    async fn carry_out(&self, mut job: Job) -> Result<Vec<Act>, SubjectError> {
        let mut tombstones = Vec::new();
        for one in &job.orders {
            for subject in one.order.person.subjects() {
                let site = one.order.person.site.clone();
                let made_ms = job.before_ms;
                tombstones.push(Tombstone { site, subject, before_ms: job.before_ms, made_ms });
            }
        }
        // Of each order, in their order.
        let mut refused = Vec::with_capacity(job.orders.len());
        for one in &job.orders {
            refused.push(self.refused(&one.order, job.before_ms).await?);
        }
        let (outlet, mine, of_refusals) = (self.outlet.clone(), tombstones.clone(), refused.concat());
        let mirror = self.config.backup.dir.join("tombstones");
        blocking(move || {
            if let Some(dir) = mirror.parent() {
                file::private_directory(dir)
                    .map_err(|source| SubjectError::File { path: dir.to_owned(), source })?;
            }
            Ok(outlet.erase_with_refusals(&mine, &of_refusals, &[mirror])?)
        })
        .await?;

        let closed = self.outlet.close_segments();
        let these = closed.clone();
        self.wait(PATIENCE, SubjectError::Waiting, move |office| Ok(office.outlet.is_settled(&these)))
            .await?;
        let deleted = self.storage.erase(&tombstones).await?;
        for (Counted { order, refusals, .. }, refused) in job.orders.iter_mut().zip(&refused) {
            // More may have come in the hour in which it was begun; fewer are left after a kill.
            let refusals = self.storage.erase_refusals(refused.iter()).await?.max(*refusals);
            if refusals > 0 {
                order.person.notes.push(Note::RefusedHits(refusals));
            }
        }
        let outlet = self.outlet.clone();
        let letters = blocking(move || Ok(outlet.purge_dead_letters()?)).await?;
        let patience = match self.sync_storage().await? {
            Some(at) => {
                self.outlet.flushed(at);
                PATIENCE
            }
            None => SETTLE + PATIENCE,
        };
        self.wait(patience, SubjectError::Spool, move |office| {
            Ok(office.outlet.is_released(&closed)? && office.outlet.dead_letters_leaving() == 0)
        })
        .await?;

        let blocked = job.orders.iter().flat_map(|one| blocks(&one.order.person));
        self.end(List::Blocked, blocked.collect()).await?;
        let outlet = self.outlet.clone();
        let quarantined = blocking(move || Ok(outlet.quarantined()?)).await?;
        tracing::info!(
            people = job.orders.len(),
            rows = deleted,
            rows_in_dead_letters = letters,
            files_set_aside = quarantined,
            "an erasure is carried out"
        );
        let people: Vec<&Person> = job.orders.iter().map(|one| &one.order.person).collect();
        let (_, left) = self.rows_before(&people, job.before_ms).await?;
        if left > 0 {
            return Err(SubjectError::Left { rows: left, of: deleted });
        }
        let mut acts = Vec::with_capacity(job.orders.len());
        for one in job.orders {
            acts.push(Act::new(&self.config, one.order, one.rows, quarantined, Timestamp::now()));
        }
        let (dir, written) = (self.dir(), acts.clone());
        blocking(move || {
            Act::write_all(&written, &dir)?;
            let path = dir.join(FILE_NAME);
            std::fs::remove_file(&path)
                .and_then(|()| File::open(&dir)?.sync_all())
                .map_err(|source| SubjectError::File { path, source })
        })
        .await?;
        Ok(acts)
    }

    /// The tombstones of the refused hits that go with an order by an address: until now, since
    /// what is refused to it later is not of this erasure.
    async fn refused(&self, order: &Order, before_ms: i64) -> Result<Vec<RefusalTombstone>, SubjectError> {
        let Some(Used { forms, from_ms, to_ms }) = &order.used else { return Ok(Vec::new()) };
        let to_ms = before_ms.min(*to_ms);
        if *from_ms >= to_ms {
            return Ok(Vec::new());
        }
        let tombstone = |address| RefusalTombstone {
            site: order.person.site.clone(),
            address,
            from_ms: *from_ms,
            to_ms,
            made_ms: before_ms,
        };
        Ok(self.storage.refused_addresses(forms).await?.into_iter().map(tombstone).collect())
    }

    /// How many rows there are of each, and of all together.
    async fn rows_before(
        &self,
        people: &[&Person],
        before_ms: i64,
    ) -> Result<(Vec<OfOne>, u64), SubjectError> {
        let mut whose: HashMap<(&str, Subject), Vec<usize>> = HashMap::new();
        for (place, person) in people.iter().enumerate() {
            for subject in person.subjects() {
                whose.entry((&person.site, subject)).or_default().push(place);
            }
        }
        let queued = whose.keys().map(|(site, subject)| Tombstone {
            site: (*site).to_owned(),
            subject: *subject,
            before_ms,
            made_ms: before_ms,
        });
        let counted = self.storage.covered_rows(&queued.collect::<Vec<_>>(), before_ms).await?;
        let (mut each, mut all) = (vec![OfOne::default(); people.len()], 0);
        for alike in counted {
            let covering = alike.subjects.iter().filter_map(|subject| whose.get(&(&*alike.site, *subject)));
            let places: BTreeSet<usize> = covering.flatten().copied().collect();
            for place in places {
                each[place].rows += alike.rows;
                each[place].held += alike.held;
            }
            all += alike.rows;
        }
        Ok((each, all))
    }

    /// Has the embedded engine's disk written down; says since when that holds.
    pub(super) async fn sync_storage(&self) -> Result<Option<Instant>, SubjectError> {
        if !self.config.storage.url.is_empty() {
            return Ok(None);
        }
        let path = self.config.data_dir.clone();
        blocking(move || {
            let at = Instant::now();
            File::open(&path)
                .and_then(|dir| Ok(rustix::fs::syncfs(dir)?))
                .map_err(|source| SubjectError::File { path, source })?;
            Ok(Some(at))
        })
        .await
    }

    /// Looks, off the runtime's threads, until it is so.
    pub(super) async fn wait(
        &self,
        patience: Duration,
        late: SubjectError,
        so: impl Fn(&Office) -> Result<bool, SubjectError> + Clone + Send + 'static,
    ) -> Result<(), SubjectError> {
        let until = async {
            loop {
                let (office, so) = (self.clone(), so.clone());
                if blocking(move || so(&office)).await? {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(patience, until).await.unwrap_or(Err(late))
    }
}

fn read(path: PathBuf) -> Result<Option<Job>, SubjectError> {
    let Some(bytes) =
        file::read(&path).map_err(|source| SubjectError::File { path: path.clone(), source })?
    else {
        return Ok(None);
    };
    let job: Job = serde_json::from_slice(&bytes)
        .map_err(|error| SubjectError::Format { path: path.clone(), what: error.to_string() })?;
    match job.version {
        FILE_VERSION => Ok(Some(job)),
        version => Err(SubjectError::Format { path, what: format!("version {version}") }),
    }
}
