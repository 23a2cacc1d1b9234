//! Who was forgotten while a reading may still see them.
//!
//! In: who is about to leave storage, and who has left it or is hidden there. Out: whose hits a
//! reading is not to take in.
//!
//! - *Leaving*: an erasure is under way. Their hits are taken in by no reading, however many
//!   are made meanwhile.
//! - *Left*: their rows went, or a block hides them. Only a reading that began before may still
//!   see those; the next one sees storage as it is, so whoever was unblocked since, or came
//!   back after an erasure, is in it again.
//!
//! Bounds: those that are leaving are as many as erasures under way have; one that failed is
//! tried again, and has left when it succeeds. Those that left go with the next reading.

use std::collections::HashSet;

use crate::spool::Subject;

/// Hashes of visitors and of user keys.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    pub visitors: HashSet<u64>,
    pub user_keys: HashSet<u64>,
}

/// Whose hits are not to be taken in.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    leaving: Subjects,
    left: Subjects,
}

// === impl Subjects ===

impl Subjects {
    pub fn insert(&mut self, subject: Subject) {
        match subject {
            Subject::Visitor(hash) => self.visitors.insert(hash),
            Subject::UserKey(hash) => self.user_keys.insert(hash),
        };
    }

    fn extend(&mut self, others: &Subjects) {
        self.visitors.extend(&others.visitors);
        self.user_keys.extend(&others.user_keys);
    }

    fn remove(&mut self, others: &Subjects) {
        self.visitors.retain(|hash| !others.visitors.contains(hash));
        self.user_keys.retain(|hash| !others.user_keys.contains(hash));
    }
}

// === impl Gone ===

impl Gone {
    /// A reading begins: what it sees of storage is without those that left before.
    pub fn begin_reading(&mut self) {
        self.left = Subjects::default();
    }

    /// Their rows are about to go.
    pub fn leave(&mut self, subjects: &Subjects) {
        self.leaving.extend(subjects);
    }

    /// Their rows have gone, or are hidden.
    pub fn have_left(&mut self, subjects: &Subjects) {
        self.leaving.remove(subjects);
        self.left.extend(subjects);
    }

    /// Whether a hit is of one of them.
    pub fn has(&self, visitors: [u64; 2], user_key: u64) -> bool {
        [&self.leaving, &self.left].into_iter().any(|subjects| {
            visitors.iter().any(|visitor| subjects.visitors.contains(visitor))
                || subjects.user_keys.contains(&user_key)
        })
    }

    /// All of them.
    pub fn all(&self) -> Subjects {
        let mut all = self.leaving.clone();
        all.extend(&self.left);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(visitor: u64) -> Subjects {
        let mut subjects = Subjects::default();
        subjects.insert(Subject::Visitor(visitor));
        subjects.insert(Subject::UserKey(visitor + 100));
        subjects
    }

    #[test]
    fn who_left_is_in_the_next_reading_again_and_who_is_leaving_in_none() {
        let mut gone = Gone::default();
        gone.leave(&one(1));
        gone.have_left(&one(2));
        let has = |gone: &Gone| [1, 2, 3].map(|visitor| gone.has([0, visitor], 0));
        assert_eq!(has(&gone), [true, true, false], "a reading that began before may see both");
        assert!(gone.has([0, 0], 101) && gone.has([0, 0], 102) && !gone.has([0, 0], 103));
        gone.begin_reading();
        assert_eq!(has(&gone), [true, false, false], "a block that ended, an erasure that has not");
        gone.have_left(&one(1));
        assert_eq!(has(&gone), [true, false, false], "the reading under way began before");
        assert_eq!((gone.all().visitors, gone.all().user_keys), ([1].into(), [101].into()));
        gone.begin_reading();
        assert_eq!(has(&gone), [false; 3], "who comes back after an erasure");
    }
}
