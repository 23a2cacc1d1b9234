//! A made-up clinic with some months of made-up visitors.
