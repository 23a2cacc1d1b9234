//! Everything started and stopped in order.
