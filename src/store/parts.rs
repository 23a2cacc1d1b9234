//! Whoever rewrites parts of our tables works alone, and has done its work only
//! when the old parts are off the disk.
//!
//! In: nothing but the storage. Out: a place in the queue, and the end of a wait.
//! Erasures, the retention job and the removal of made-up rows take the place one
//! statement at a time, so that what one has counted is not removed by another
//! before it has counted again. The shipper, which removes and sends again a batch
//! that storage doubled, does not: hits must not wait for a mutation.

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::{Storage, StorageError};

/// How often it is looked whether the old parts are gone.
const PARTS_POLL: Duration = Duration::from_millis(100);
/// How long that may take: ClickHouse removes them within a second, unless a long
/// question still reads them.
const PARTS_TIMEOUT: Duration = Duration::from_secs(120);

static ALONE: Mutex<()> = Mutex::const_new(());

/// Waits until no other job of this process rewrites parts, and keeps them waiting
/// until the guard is dropped.
pub async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

// === impl Storage ===

impl Storage {
    /// Waits until no part that is out of use is left on the disk.
    pub(crate) async fn wait_for_old_parts(&self) -> Result<(), StorageError> {
        let sql = format!(
            "SELECT count() FROM system.parts WHERE database = '{}' \
             AND table IN ('hits', 'refusals', 'erase_queue', 'blocked', 'corrections') AND NOT active",
            self.database()
        );
        let gone = async {
            while self.number(&sql, &[]).await? > 0 {
                tokio::time::sleep(PARTS_POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(PARTS_TIMEOUT, gone)
            .await
            .map_err(|_| StorageError::TimedOut { after: PARTS_TIMEOUT })?
    }
}
