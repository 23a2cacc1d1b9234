//! Which batches of storage a memory has in it, and whether storage is as it was.
//!
//! In: what storage has of each batch of the last days, and which blocks are in force. Out: which
//! batches are new; and that others are not what they were, when another collector erased rows,
//! blocked somebody or ended a block: then the memory is made again.
//!
//! A batch of which rows may have come of age since is not compared, so what others take out of
//! older days is not noticed here.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// What storage has of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub rows: u64,
    /// The first of them, in milliseconds.
    pub first: i64,
}

/// How many blocks a site has, and a sum by which others are told apart.
pub type Blocks = (u64, u64);

/// What a memory has in it.
#[derive(Debug, Default)]
pub struct Stock {
    /// Batches whose hits are in the memory, and what storage had of them when it was first asked.
    known: HashMap<u64, Option<Stored>>,
    /// The blocks that it was made with.
    blocks: Blocks,
    /// Storage is not as it was.
    is_stale: bool,
}

// === impl Stored ===

impl Stored {
    /// From a row of batch, rows and first.
    pub fn of(row: &[Value]) -> Option<(u64, Stored)> {
        let [batch, rows, first] = row else { return None };
        Some((batch.as_u64()?, Stored { rows: rows.as_u64()?, first: first.as_i64()? }))
    }
}

// === impl Stock ===

impl Stock {
    /// After a making that read these batches under these blocks.
    pub fn made(batches: HashSet<u64>, blocks: Blocks) -> Stock {
        Stock { known: batches.into_iter().map(|batch| (batch, None)).collect(), blocks, is_stale: false }
    }

    /// Whether the memory is to be made again.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Compares with what storage has since `from`; says which batches are new, in order.
    pub fn compare(&mut self, there: &HashMap<u64, Stored>, from: i64, blocks: Blocks) -> Vec<u64> {
        let mut is_other = self.blocks != blocks;
        self.known.retain(|batch, known| {
            let now = there.get(batch).copied();
            match known {
                Some(before) if before.first >= from => is_other |= now != Some(*before),
                _ => *known = now,
            }
            now.is_some()
        });
        self.is_stale |= is_other;
        let mut new: Vec<u64> =
            there.keys().filter(|batch| !self.known.contains_key(batch)).copied().collect();
        new.sort_unstable();
        new
    }

    /// These are in the memory now.
    pub fn take_in(&mut self, batches: &[u64], there: &HashMap<u64, Stored>) {
        self.known.extend(batches.iter().map(|batch| (*batch, there.get(batch).copied())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_went_are_noticed_and_rows_that_came_of_age_are_not() {
        let stored = |rows, first| Stored { rows, first };
        let all = [(1, stored(10, 100)), (2, stored(5, 200))];
        // Each once after a making of both batches, and after storage was asked a first time.
        let check = |then: &[(u64, Stored)], from: i64, expected: bool| {
            let mut stock = Stock::made([1, 2].into(), (0, 0));
            assert!(stock.compare(&all.into(), 0, (0, 0)).is_empty() && !stock.is_stale());
            stock.compare(&then.iter().copied().collect(), from, (0, 0));
            assert_eq!(stock.is_stale(), expected, "{then:?} from {from}");
        };
        check(&all, 100, false);
        check(&[(1, stored(9, 100)), (2, stored(5, 200))], 100, true);
        check(&[(1, stored(10, 100))], 100, true);
        // The older half of batch 1 is before the time that is asked for, then all of it.
        check(&[(1, stored(4, 150)), (2, stored(5, 200))], 150, false);
        check(&[(2, stored(5, 200))], 150, false);
        check(&[(2, stored(4, 200))], 150, true);
    }

    #[test]
    fn new_batches_are_read_once_and_other_blocks_are_noticed() {
        let there: HashMap<u64, Stored> =
            [(3, Stored { rows: 1, first: 10 }), (2, Stored { rows: 1, first: 10 })].into();
        let mut stock = Stock::made([1].into(), (1, 77));
        assert_eq!(stock.compare(&there, 0, (1, 77)), [2, 3]);
        stock.take_in(&[2, 3], &there);
        assert_eq!((stock.compare(&there, 0, (1, 77)), stock.is_stale()), (vec![], false));
        // As many, but of somebody else.
        stock.compare(&there, 0, (1, 78));
        assert!(stock.is_stale());
        stock.compare(&there, 0, (1, 77));
        assert!(stock.is_stale(), "until it is made again");
    }
}
