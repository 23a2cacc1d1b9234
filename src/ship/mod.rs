//! Sealed batches go to storage, once each.
