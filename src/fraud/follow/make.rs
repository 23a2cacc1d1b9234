//! A memory is made of what is stored.
//!
//! In: a site, and the shape that its memory is to have. Out: a memory of the hits of the window, read
//! in the order of their times, in slices; the last days in one statement, which also says of
//! which batches they are. What storage has of those days is asked before, so that whatever goes
//! meanwhile is noticed by the first comparison.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::Instant;

use jiff::Timestamp;

use super::ask::Part;
use super::{Followed, Memories, held, tail};
use crate::fraud::gaze::{Gaze, TYPES};
use crate::fraud::memory::{DAY_MS, Memory, Shape};
use crate::fraud::stock::Stock;
use crate::fraud::watch::Watch;
use crate::store::StorageError;
use crate::store::native::Column;

// === impl Memories ===

impl Memories {
    pub(super) async fn make(
        &self,
        followed: &Followed,
        watch: &Watch<'_>,
        shape: &(Shape, u32),
        changes: u64,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (begun, site) = (Instant::now(), watch.site.id.as_str());
        held(&followed.gone).begin_reading();
        let blocks = self.blocks(site).await?;
        let first = now.as_millisecond() - i64::from(shape.1) * DAY_MS;
        let (tail, listed) = self.last_days(site, tail(now, shape.1)).await?;
        let mut memory = Memory::new(shape.0.clone());
        memory.note_leaving(self.alerts.subjects(site));
        for (from, to) in self.slices(site, first, tail).await? {
            (memory, _) = self.read(followed, site, &shape.0, memory, Part::Between(from, to)).await?;
        }
        let part = Part::Between(tail, i64::MAX);
        let (mut memory, batches) = self.read(followed, site, &shape.0, memory, part).await?;
        memory.keep_told(&followed.memory.read().unwrap_or_else(PoisonError::into_inner));
        let (alerts, unsettled) = watch.look_at_all(&memory, now.as_millisecond());
        let mut place = followed.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.forget(&held(&followed.gone).all());
        for alert in alerts {
            self.tell(alert, &mut memory);
        }
        // Whom another collector blocked or erased, and who is past the window; not who made room.
        self.alerts.forget(site, |subject| memory.visitor(subject).is_none() && !memory.has_left(subject));
        let [visitors, addresses, user_keys] = memory.sizes();
        let (hits, took_ms) = (memory.hits, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        *place = memory;
        let mut progress = held(&followed.progress);
        progress.stock = Stock::made(tail, listed, batches, blocks);
        progress.to_look_at = unsettled.into_iter().collect();
        (progress.made_at, progress.made) = (changes, Some(Instant::now()));
        progress.shape = Some(shape.clone());
        tracing::info!(
            site,
            hits,
            visitors,
            addresses,
            user_keys,
            took_ms,
            "the memory for fraud checks is made"
        );
        Ok(())
    }

    /// Reads a part into a memory that nobody looks at yet; says of which batches it was.
    async fn read(
        &self,
        followed: &Followed,
        site: &str,
        shape: &Shape,
        mut memory: Memory,
        part: Part<'_>,
    ) -> Result<(Memory, HashSet<u64>), StorageError> {
        let visible = self.visible(site).await?;
        let mut gaze = Gaze::new(&self.eyes, site, held(&followed.gone).clone());
        self.rows(site, shape, visible, part, move |reader| {
            let mut batches = HashSet::new();
            while let Some(block) = reader.block(TYPES)? {
                if let Some(Column::UInt64(of)) = block.first() {
                    batches.extend(of.iter().copied());
                }
                gaze.take(&block, &mut memory)?;
            }
            Ok((memory, batches))
        })
        .await
    }
}
