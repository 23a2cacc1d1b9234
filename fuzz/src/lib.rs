//! The fuzz targets. They stand in a file of their own, because the tests of the
//! product (`tests/fuzz.rs`) include it too and run the same functions.

pub mod targets;
