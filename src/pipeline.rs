//! The list of named steps that a hit passes, and their runner.
