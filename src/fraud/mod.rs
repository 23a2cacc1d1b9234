//! Is this visitor plausible? What the clinic's payment page and its security officer ask.
//!
//! ```text
//! stored hits ──follow──► Sighting ──► Memory (per site: visitors, addresses, user keys) ──► alerts
//!                                        │
//! cookie, user key or address ──check────┴─► Facts ──rules──► signals ──► score, and every rule's reason
//! ```
//!
//! In: one cookie value, user key or address, with a purpose. Out: where that is, what
//! each named rule says of it with its evidence, and the sum of the weights of the rules
//! that fired: nothing else enters the score ([`rules`]).
//!
//! Invariants:
//! - A look is in the audit trail before it is answered.
//! - The memory is made of stored hits only, can be made again from them at any time, and
//!   is bounded. Whoever is blocked, erased or past their term leaves it with the rows;
//!   a block or an erasure is not over before the memory has forgotten them.
//! - It holds keyed hashes, coarse places and families of browsers; no address, no cookie
//!   value, no user key.
//! - What is not known is said. A rule that cannot be asked says why and adds nothing.
//!
//! It decides nothing: a score is a reason to look, and people refuse payments.
//!
//! - [`sighting`]: a hit, as the memory takes it
//! - [`gaze`]: how a stored row becomes one
//! - [`gone`]: whose rows become none, while a reading may still see them
//! - [`memory`]: what is remembered of visitors, addresses and user keys
//! - [`follow`]: how stored hits come into the memory, and leave it
//! - [`stock`]: which batches are in it, and whether storage is as it was
//! - [`rules`]: the signals, their weights and thresholds
//! - [`watch`]: who is over the threshold, and is to be told of
//! - [`alerts`]: who has come over the threshold, as it happens
//! - [`readers`]: who is told of them, in the audit trail
//! - [`check`]: one question, from who is asked about to the answer

pub mod alerts;
pub mod check;
pub mod follow;
pub mod gaze;
pub mod gone;
pub mod memory;
pub mod readers;
pub mod rules;
pub mod sighting;
pub mod stock;
pub mod watch;
