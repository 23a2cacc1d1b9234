//! The durable log that an answer waits for.
