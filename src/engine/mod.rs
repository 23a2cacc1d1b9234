//! The embedded ClickHouse, as a supervised child process.
