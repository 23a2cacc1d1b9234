//! How commands reach a running server: HTTP on a Unix socket in the data directory.
