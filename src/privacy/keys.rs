//! The key ring.
