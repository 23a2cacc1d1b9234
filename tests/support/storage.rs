//! A fresh database in a real ClickHouse for each test.
//!
//! `METKA_TEST_CLICKHOUSE_URL` points to a running one.

use std::sync::atomic::{AtomicU32, Ordering};

use metka::store::{Endpoint, Storage};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Migrated and empty.
pub async fn fresh() -> Storage {
    let url = std::env::var("METKA_TEST_CLICKHOUSE_URL").expect("a test server is set");
    let endpoint = Endpoint::Http { url, user: "default".to_owned(), password: String::new() };
    let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let storage = Storage::new(&endpoint, &name);
    storage.migrate().await.expect("migrations apply");
    storage
}
