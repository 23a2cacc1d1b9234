//! Dashboard, sign-in, API, metrics.
