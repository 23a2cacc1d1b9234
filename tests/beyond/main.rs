//! Funnels, journeys, retention and who is there now: each against a slow reference
//! written from the definitions, in the real engine; what is counted by hand; wrong
//! and hostile questions.
//!
//! `METKA_SOAK=1` makes ten times as many random histories.

#[path = "../support/goal.rs"]
mod goal;
mod hand;
mod histories;
mod hostile;
#[path = "../support/random.rs"]
mod random;
mod reference;
#[path = "../support/storage.rs"]
mod storage;
mod world;
