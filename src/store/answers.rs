//! Answers that are still true: what was asked again before anything changed.
//!
//! In: an answer, under the digest of its question. Out: the same, as long as nothing was
//! inserted, removed or rewritten through this storage since before the question was put,
//! and no longer than [`MAX_AGE`]: the engine removes rows past their term by itself, and
//! a statement that was given up here may still be carried out there. A server that others
//! write to as well is trusted for [`MAX_AGE_OF_SERVER`] only.
//!
//! The sign of a change is a counter that every statement which changes something moves
//! when it begins and when it ends, whatever becomes of it. One change makes all answers
//! old: a batch is of many sites.
//!
//! What is held is bounded by [`MAX_ANSWERS`] and [`MAX_BYTES`]; the oldest goes first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The digest of a question.
pub type Digest = [u8; 32];

/// Twenty panels for fifty sites.
pub const MAX_ANSWERS: usize = 1000;
/// As the texts of the answers; a long list of pages is half a megabyte.
pub const MAX_BYTES: usize = 16 << 20;
/// How long an answer of the embedded engine is given again.
const MAX_AGE: Duration = Duration::from_secs(10);
/// How long one of a server, to which other collectors may write.
const MAX_AGE_OF_SERVER: Duration = Duration::from_secs(2);

/// The answers of one storage.
pub(super) struct Answers {
    changes: AtomicU64,
    max_age: Duration,
    held: Mutex<Held>,
}

/// While it lives, something is being changed.
pub(super) struct Changing<'a>(&'a AtomicU64);

#[derive(Default)]
struct Held {
    /// As of which change they are true.
    changes: u64,
    answers: HashMap<Digest, Answer>,
    bytes: usize,
}

struct Answer {
    value: Value,
    bytes: usize,
    made: Instant,
}

// === impl Answers ===

impl Answers {
    pub(super) fn new(is_embedded: bool) -> Answers {
        let max_age = if is_embedded { MAX_AGE } else { MAX_AGE_OF_SERVER };
        Answers { changes: AtomicU64::new(0), max_age, held: Mutex::default() }
    }

    /// To be held while a statement changes something.
    pub(super) fn changing(&self) -> Changing<'_> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        Changing(&self.changes)
    }

    /// How often something changed so far.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    pub(super) fn get(&self, question: &Digest, now: Instant) -> Option<Value> {
        let mut held = self.held();
        held.keep_only_of(self.changes());
        let answer = held.answers.get(question)?;
        (now.duration_since(answer.made) <= self.max_age).then(|| answer.value.clone())
    }

    /// Holds an answer to a question that was put after so many changes, at `made`.
    pub(super) fn put(&self, question: Digest, changes: u64, value: &Value, made: Instant) {
        let bytes = value.to_string().len();
        let mut held = self.held();
        let now = self.changes();
        held.keep_only_of(now);
        if changes == now && bytes <= MAX_BYTES {
            held.put(question, Answer { value: value.clone(), bytes, made });
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

// === impl Held ===

impl Held {
    fn keep_only_of(&mut self, changes: u64) {
        if self.changes != changes {
            *self = Held { changes, ..Held::default() };
        }
    }

    fn put(&mut self, question: Digest, answer: Answer) {
        self.remove(&question);
        while self.answers.len() >= MAX_ANSWERS || self.bytes + answer.bytes > MAX_BYTES {
            let oldest = self.answers.iter().min_by_key(|(_, answer)| answer.made).map(|(key, _)| *key);
            match oldest {
                Some(oldest) => self.remove(&oldest),
                None => break,
            }
        }
        self.bytes += answer.bytes;
        self.answers.insert(question, answer);
    }

    fn remove(&mut self, question: &Digest) {
        if let Some(answer) = self.answers.remove(question) {
            self.bytes -= answer.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest(n: usize) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(n as u64).to_le_bytes());
        digest
    }

    #[test]
    fn an_answer_is_given_again_until_something_changes() {
        let answers = Answers::new(true);
        let now = Instant::now();
        answers.put(digest(1), answers.changes(), &json!(1), now);
        assert_eq!(answers.get(&digest(1), now), Some(json!(1)));
        assert_eq!(answers.get(&digest(2), now), None);
        assert_eq!(answers.get(&digest(1), now + MAX_AGE + Duration::from_millis(1)), None);
        drop(answers.changing());
        assert_eq!(answers.get(&digest(1), now), None);
        // Put before a change that has begun, or while it goes on: it may know it or not.
        let before = answers.changes();
        let changing = answers.changing();
        let during = answers.changes();
        answers.put(digest(1), before, &json!(1), now);
        assert_eq!(answers.get(&digest(1), now), None);
        drop(changing);
        answers.put(digest(1), during, &json!(1), now);
        assert_eq!(answers.get(&digest(1), now), None);
    }

    #[test]
    fn the_answers_of_a_server_are_held_for_a_shorter_time() {
        let answers = Answers::new(false);
        let now = Instant::now();
        answers.put(digest(1), 0, &json!(1), now);
        assert_eq!(answers.get(&digest(1), now + MAX_AGE_OF_SERVER), Some(json!(1)));
        assert_eq!(answers.get(&digest(1), now + MAX_AGE_OF_SERVER * 2), None);
    }

    #[test]
    fn what_is_held_is_bounded_in_number_and_bytes() {
        let answers = Answers::new(true);
        let now = Instant::now();
        for n in 0..MAX_ANSWERS + 5 {
            answers.put(digest(n), 0, &json!(n), now + Duration::from_nanos(n as u64));
        }
        assert_eq!(answers.held().answers.len(), MAX_ANSWERS);
        assert_eq!(answers.get(&digest(0), now), None, "the oldest went");
        let large = json!("x".repeat(MAX_BYTES / 3));
        for n in 0..5 {
            answers.put(digest(5000 + n), 0, &large, now + Duration::from_millis(n as u64));
        }
        assert!(answers.held().bytes <= MAX_BYTES);
        assert_eq!(answers.get(&digest(5004), now), Some(large));
        answers.put(digest(1), 0, &json!("x".repeat(MAX_BYTES)), now);
        assert_eq!(answers.get(&digest(1), now), None, "larger than all");
    }
}
