//! What must not leak: the key ring, client addresses, keyed hashes.
//!
//! No raw address, cookie value or user key is ever written to a disk, a log or
//! a metric; the types here make that hard to do by accident.

pub mod address;
pub mod inventory;
pub mod keys;
pub mod memory;
