//! Whoever rewrites parts of our tables works alone, and has done its work only
//! when the old parts are off the disk.
//!
//! In: nothing but the storage. Out: a place in the queue, and the end of a wait.
//! Erasures, the retention job and the removal of made-up rows take the place one
//! statement at a time, so that what one has counted is not removed by another
//! before it has counted again. The shipper, which removes and sends again a batch
//! that storage doubled, does not: hits must not wait for a mutation.
//!
//! Other collectors on the same storage do not wait: what a job needs is its own
//! ([`super::queue`]), and what another removes meanwhile it finds gone.

use std::time::Duration;

use tokio::sync::MutexGuard;

use super::{Storage, StorageError};

/// How often it is looked whether the old parts are gone.
const PARTS_POLL: Duration = Duration::from_millis(100);
/// How long that may take: ClickHouse removes them within a second, unless a long
/// question still reads them.
const PARTS_TIMEOUT: Duration = Duration::from_secs(120);

// === impl Storage ===

impl Storage {
    /// Waits until no other job of this process rewrites parts, and keeps them waiting
    /// until the guard is dropped.
    pub async fn rewriting(&self) -> MutexGuard<'_, ()> {
        self.rewriting.lock().await
    }

    /// Waits until no part that is out of use is left on the disk. A part without rows, as a
    /// job leaves one where its own were, holds nobody.
    pub(crate) async fn wait_for_old_parts(&self) -> Result<(), StorageError> {
        let sql = format!(
            "SELECT count() FROM system.parts WHERE database = '{}' \
             AND table IN ('hits', 'refusals', 'erase_queue', 'blocked', 'held', 'ended', 'corrections') \
             AND NOT active AND (rows > 0 OR table NOT IN ('erase_queue', 'corrections'))",
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
