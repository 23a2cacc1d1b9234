//! Which batches of storage a memory has in it, and whether storage is as it was.
//!
//! In: sums of each hour of the last days, as storage has them ([`Sum`]); of the hours that are
//! not as they were, which batches they have; and which blocks are in force. Out: which batches
//! are new; and that others are not what they were, when another collector erased rows, blocked
//! somebody or ended a block: then the memory is made again.
//!
//! Hours are known whole: the first that is followed begins at [`Stock::from`], which never goes
//! back, whatever the clock does. What others take out of older hours is not noticed here.
//!
//! Bound: [`MAX_KNOWN`] batches of hours. Of more the oldest hours are not followed any more: what
//! comes late for them is taken in with the next making.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * 60 * 1000;
/// The most batches that are known of a site, each once for every hour that it has hits of: two days
/// of five a second, in 20 to 40 MB.
pub const MAX_KNOWN: usize = 1_000_000;

/// What storage has of an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    /// The numbers of their batches, added up row by row; it wraps.
    pub batches: u64,
}

/// Rows of an hour, by batch.
pub type Listed = HashMap<u64, u32>;

/// How many blocks a site has, and a sum by which others are told apart.
pub type Blocks = (u64, u64);

/// A batch that is not in the memory yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    pub batch: u64,
    /// By hour.
    rows: Vec<(i64, u32)>,
}

/// What a memory has in it.
#[derive(Debug, Default)]
pub struct Stock {
    /// By hours since 1970.
    hours: BTreeMap<i64, Hour>,
    /// Batches that the making read and that came while it did: what storage has of them is believed once.
    unlisted: HashSet<u64>,
    /// The first moment that is followed, in milliseconds: the beginning of an hour.
    from: i64,
    /// The blocks that it was made with.
    blocks: Blocks,
    /// Storage is not as it was.
    is_stale: bool,
}

/// Batches whose hits of an hour are in the memory, and how many storage had of each.
#[derive(Debug, Default)]
struct Hour {
    sum: Sum,
    batches: Listed,
}

// === impl Sum ===

impl Sum {
    /// From a row of hour, rows and batches.
    pub fn of(row: &[Value]) -> Option<(i64, Sum)> {
        let [hour, rows, batches] = row else { return None };
        Some((hour.as_i64()?, Sum { rows: rows.as_u64()?, batches: batches.as_u64()? }))
    }

    fn add(&mut self, batch: u64, rows: u32) {
        self.rows += u64::from(rows);
        self.batches = self.batches.wrapping_add(batch.wrapping_mul(rows.into()));
    }
}

// === impl New ===

impl New {
    #[cfg(test)]
    pub(super) fn of(batch: u64, hour: i64, rows: u32) -> New {
        New { batch, rows: vec![(hour, rows)] }
    }

    pub fn hits(&self) -> u64 {
        self.rows.iter().map(|(_, rows)| u64::from(*rows)).sum()
    }
}

// === impl Hour ===

impl Hour {
    fn of(batches: Listed) -> Hour {
        let mut sum = Sum::default();
        for (batch, rows) in &batches {
            sum.add(*batch, *rows);
        }
        Hour { sum, batches }
    }

    fn insert(&mut self, batch: u64, rows: u32) {
        if self.batches.insert(batch, rows).is_none() {
            self.sum.add(batch, rows);
        }
    }
}

// === impl Stock ===

impl Stock {
    /// After a making under these blocks that read the batches `read` from a moment on, before which
    /// storage was asked what there is.
    pub fn made(from: i64, listed: BTreeMap<i64, Listed>, read: HashSet<u64>, blocks: Blocks) -> Stock {
        let mut unlisted = read;
        for batch in listed.values().flat_map(HashMap::keys) {
            unlisted.remove(batch);
        }
        let hours = listed.into_iter().map(|(hour, batches)| (hour, Hour::of(batches))).collect();
        Stock { hours, unlisted, from, blocks, is_stale: false }
    }

    /// From when on storage is to be asked, if its last days begin at `tail`.
    pub fn from(&self, tail: i64) -> i64 {
        self.from.max(tail)
    }

    /// Whether the memory is to be made again.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// It is.
    pub fn is_to_be_made_again(&mut self) {
        self.is_stale = true;
    }

    /// Hours before a moment are not followed any more.
    pub fn begin_at(&mut self, from: i64) {
        self.from = self.from.max(from);
        let first = self.from.div_euclid(HOUR_MS);
        self.hours = self.hours.split_off(&first);
    }

    /// Compares with what storage has; says which hours are not as they were.
    pub fn changed(&mut self, there: &BTreeMap<i64, Sum>, blocks: Blocks) -> Vec<i64> {
        self.is_stale |= self.blocks != blocks;
        let known = |hour: &i64| self.hours.get(hour).map(|hour| hour.sum).unwrap_or_default();
        let is_other = |hour: &&i64| there.get(*hour).copied().unwrap_or_default() != known(hour);
        let mut hours: Vec<i64> = there.keys().chain(self.hours.keys()).filter(is_other).copied().collect();
        hours.sort_unstable();
        hours.dedup();
        hours
    }

    /// Compares what storage has of these hours; says which batches are new, in the order of their hours.
    pub fn compare(&mut self, hours: &[i64], mut there: BTreeMap<i64, Listed>) -> Vec<New> {
        let mut new: HashMap<u64, New> = HashMap::new();
        for hour in hours {
            let there = there.remove(hour).unwrap_or_default();
            let known = self.hours.remove(hour).unwrap_or_default().batches;
            self.is_stale |= known.iter().any(|(batch, rows)| there.get(batch) != Some(rows));
            let mut now = Hour::default();
            for (batch, rows) in there {
                if known.contains_key(&batch) || self.has(batch) {
                    now.insert(batch, rows);
                } else {
                    new.entry(batch)
                        .or_insert_with(|| New { batch, rows: Vec::new() })
                        .rows
                        .push((*hour, rows));
                }
            }
            if !now.batches.is_empty() {
                self.hours.insert(*hour, now);
            }
        }
        let mut new: Vec<New> = new.into_values().collect();
        new.sort_unstable_by_key(|new| (new.rows.first().copied(), new.batch));
        new
    }

    /// These are in the memory now.
    pub fn take_in(&mut self, new: &[New]) {
        for New { batch, rows } in new {
            for (hour, rows) in rows.iter().filter(|(hour, _)| hour * HOUR_MS >= self.from) {
                self.hours.entry(*hour).or_default().insert(*batch, *rows);
            }
        }
        self.let_go(MAX_KNOWN);
    }

    /// Whether a batch is in the memory, by another hour or by the making.
    fn has(&self, batch: u64) -> bool {
        self.unlisted.contains(&batch) || self.hours.values().any(|hour| hour.batches.contains_key(&batch))
    }

    /// The oldest hours go while there are more batches than these; the last one stays.
    fn let_go(&mut self, most: usize) {
        let mut known: usize = self.hours.values().map(|hour| hour.batches.len()).sum();
        while known > most && self.hours.len() > 1 {
            let Some((hour, oldest)) = self.hours.pop_first() else { return };
            known -= oldest.batches.len();
            self.from = self.from.max((hour + 1) * HOUR_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Hours<'a> = &'a [(i64, &'a [(u64, u32)])];

    fn listed(hours: Hours) -> BTreeMap<i64, Listed> {
        hours.iter().map(|(hour, batches)| (*hour, batches.iter().copied().collect())).collect()
    }

    fn sums(hours: Hours) -> BTreeMap<i64, Sum> {
        listed(hours).into_iter().map(|(hour, batches)| (hour, Hour::of(batches).sum)).collect()
    }

    /// What a stock says of storage as it is now: hours that are other, and batches that are new.
    fn compared(stock: &mut Stock, now: Hours) -> (Vec<i64>, Vec<u64>) {
        let other = stock.changed(&sums(now), (0, 0));
        let there = listed(now).into_iter().filter(|(hour, _)| other.contains(hour)).collect();
        let new = stock.compare(&other, there);
        stock.take_in(&new);
        (other, new.iter().map(|new| new.batch).collect())
    }

    const BOTH: Hours = &[(10, &[(1, 6)]), (11, &[(1, 4), (2, 5)])];

    #[test]
    fn rows_that_went_are_noticed_and_hours_that_came_of_age_are_not() {
        let check = |now: Hours, from: i64, expected: bool| {
            let mut stock = Stock::made(10 * HOUR_MS, listed(BOTH), [1, 2].into(), (0, 0));
            stock.begin_at(from * HOUR_MS);
            assert_eq!(compared(&mut stock, now).1, [] as [u64; 0]);
            assert_eq!(stock.is_stale(), expected, "{now:?} from {from}");
        };
        check(BOTH, 10, false);
        check(&[(10, &[(1, 5)]), (11, &[(1, 4), (2, 5)])], 10, true);
        check(&[(10, &[(1, 6)]), (11, &[(1, 4)])], 10, true);
        check(&[(11, &[(1, 4), (2, 5)])], 10, true);
        check(&[(11, &[(1, 4), (2, 5)])], 11, false);
        check(&[(11, &[(1, 3), (2, 5)])], 11, true);
        check(&[], 12, false);
        // What went before the first question after the making, too.
        let mut stock = Stock::made(0, listed(BOTH), [1, 2].into(), (0, 0));
        compared(&mut stock, &[(10, &[(1, 6)]), (11, &[(2, 5)])]);
        assert!(stock.is_stale());
    }

    #[test]
    fn new_batches_are_read_once_in_the_order_of_their_hours_and_other_blocks_are_noticed() {
        let now: Hours = &[(10, &[(1, 6), (9, 1)]), (11, &[(1, 4), (2, 5), (3, 7), (9, 1)])];
        let mut stock = Stock::made(0, listed(BOTH), [1, 2].into(), (0, 0));
        let other = stock.changed(&sums(now), (0, 0));
        assert_eq!(other, [10, 11]);
        let new = stock.compare(&other, listed(now));
        let said: Vec<(u64, u64)> = new.iter().map(|new| (new.batch, new.hits())).collect();
        assert_eq!(said, [(9, 2), (3, 7)]);
        stock.take_in(&new);
        assert_eq!((compared(&mut stock, now), stock.is_stale()), ((vec![], vec![]), false));
        // As many, but of somebody else.
        let mut stock = Stock::made(0, BTreeMap::new(), HashSet::new(), (1, 77));
        stock.changed(&BTreeMap::new(), (1, 77));
        assert!(!stock.is_stale());
        stock.changed(&BTreeMap::new(), (1, 78));
        stock.changed(&BTreeMap::new(), (1, 77));
        assert!(stock.is_stale(), "until it is made again");
    }

    #[test]
    fn what_a_making_read_but_was_not_told_of_before_is_known() {
        let mut stock = Stock::made(0, listed(BOTH), [1, 2, 3].into(), (0, 0));
        let now: Hours = &[(10, &[(1, 6), (3, 1)]), (11, &[(1, 4), (2, 5), (3, 1), (4, 1)])];
        assert_eq!(compared(&mut stock, now).1, [4]);
        assert!(!stock.is_stale());
        // And from then on it is compared as well.
        compared(&mut stock, &[(10, &[(1, 6)]), (11, &[(1, 4), (2, 5), (3, 1), (4, 1)])]);
        assert!(stock.is_stale());
    }

    #[test]
    fn of_a_batch_that_was_stored_between_two_questions_no_hit_is_read_twice() {
        let mut stock = Stock::made(0, listed(BOTH), [1, 2].into(), (0, 0));
        // Hour 10 was listed before batch 5 came, hour 11 after.
        assert_eq!(compared(&mut stock, &[(10, &[(1, 6)]), (11, &[(1, 4), (2, 5), (5, 2)])]).1, [5]);
        let now: Hours = &[(10, &[(1, 6), (5, 3)]), (11, &[(1, 4), (2, 5), (5, 2)])];
        assert_eq!(compared(&mut stock, now), (vec![10], vec![]));
        assert_eq!((compared(&mut stock, now), stock.is_stale()), ((vec![], vec![]), false));
    }

    #[test]
    fn what_is_followed_never_goes_back_and_is_bounded() {
        let mut stock = Stock::made(10 * HOUR_MS, listed(BOTH), [1, 2].into(), (0, 0));
        assert_eq!((stock.from(0), stock.from(11 * HOUR_MS)), (10 * HOUR_MS, 11 * HOUR_MS));
        stock.begin_at(11 * HOUR_MS);
        stock.begin_at(10 * HOUR_MS);
        assert_eq!(stock.from(0), 11 * HOUR_MS);
        let mut stock = Stock::made(10 * HOUR_MS, listed(BOTH), [1, 2].into(), (0, 0));
        stock.let_go(3);
        assert_eq!(stock.from(0), 10 * HOUR_MS);
        stock.let_go(2);
        assert_eq!((stock.from(0), stock.hours.len()), (11 * HOUR_MS, 1));
        stock.let_go(1);
        assert_eq!(stock.hours.len(), 1, "what comes now is followed");
    }
}
