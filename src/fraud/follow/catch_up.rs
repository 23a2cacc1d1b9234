//! What is new in storage comes into a memory.
//!
//! In: what storage has of the last days, by hour. Out: the hits of batches that are new are in the
//! memory, in the order of their hours, and whoever came over the threshold with them is told of;
//! and it is known whether others are as they were.
//!
//! Bounds: what is read before it is taken in is [`CHUNK_HITS`] hits, or one batch. Of more than
//! [`MAX_NEW`] new batches the memory is made anew, which reads them in one go.

use std::sync::PoisonError;

use jiff::Timestamp;

use super::ask::{Part, unreadable};
use super::{Followed, Memories, held, shape, tail};
use crate::config::{Config, Site};
use crate::fraud::gaze::{BROWSER, Gaze, TYPES};
use crate::fraud::stock::{HOUR_MS, New};
use crate::store::StorageError;
use crate::store::native::Column;

/// Hits that are taken in at once, so much as a batch has: checks wait for some hundredths of a second.
const CHUNK_HITS: u64 = 100_000;
/// The most batches that one statement asks for: it compares each hit with each of them.
const MAX_BATCHES: usize = 500;
/// Twenty statements, each over all of the last days, take as long as a making does.
const MAX_NEW: usize = 20 * MAX_BATCHES;

// === impl Memories ===

impl Memories {
    /// Takes in the hits of batches that are new, and looks whether others are as they were.
    pub(super) async fn catch_up(
        &self,
        followed: &Followed,
        config: &Config,
        of: &Site,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let (site, shape, watch) = (of.id.as_str(), shape(&config.fraud), self.watch(config, of));
        held(&followed.gone).begin_reading();
        let from = held(&followed.progress).stock.from(tail(now, config.fraud.window_days));
        let sums = self.sums(site, from).await?;
        let blocks = self.blocks(site).await?;
        let changed = {
            let mut progress = held(&followed.progress);
            progress.stock.begin_at(from);
            progress.stock.changed(&sums, blocks)
        };
        if changed.is_empty() {
            return Ok(());
        }
        let hours = changed.iter().filter_map(|hour| Some((*hour, sums.get(hour)?.rows)));
        let (listed, cut) = self.listed(site, hours.collect()).await?;
        let new = {
            let mut progress = held(&followed.progress);
            let from = cut.map_or(from, |hour| (hour + 1) * HOUR_MS);
            progress.stock.begin_at(from);
            let hours: Vec<i64> = changed.into_iter().filter(|hour| hour * HOUR_MS >= from).collect();
            let new = progress.stock.compare(&hours, listed);
            if new.len() > MAX_NEW {
                tracing::info!(
                    site,
                    batches = new.len(),
                    "much is new, the memory for fraud checks is made anew"
                );
                progress.stock.is_to_be_made_again();
                return Ok(());
            }
            new
        };
        for some in chunks(&new, CHUNK_HITS, MAX_BATCHES) {
            let batches: Vec<u64> = some.iter().map(|new| new.batch).collect();
            let visible = self.visible(site).await?;
            let from = held(&followed.progress).stock.from(from);
            let blocks = self.rows(site, &shape, visible, Part::Of(&batches, from), |reader| {
                let mut blocks = Vec::new();
                while let Some(block) = reader.block(TYPES)? {
                    blocks.push(block);
                }
                Ok(blocks)
            });
            let blocks = blocks.await?;
            let mut memory = followed.memory.write().unwrap_or_else(PoisonError::into_inner);
            let mut gaze = Gaze::new(&self.eyes, site, held(&followed.gone).clone());
            for block in &blocks {
                gaze.take(block, &mut memory).map_err(unreadable)?;
                if let Some(Column::UInt64(browsers)) = block.get(BROWSER) {
                    held(&followed.progress).to_look_at.extend(browsers);
                }
            }
            held(&followed.progress).stock.take_in(some);
            drop(memory);
            self.look_at_new(followed, &watch, now);
        }
        Ok(())
    }
}

/// Parts of at most so many hits and so many batches; a batch with more hits is one alone.
fn chunks(mut new: &[New], hits: u64, batches: usize) -> Vec<&[New]> {
    let mut chunks = Vec::new();
    while !new.is_empty() {
        let mut sum = 0;
        let fit = new.iter().take(batches).take_while(|new| {
            sum += new.hits();
            sum <= hits
        });
        let (chunk, rest) = new.split_at(fit.count().max(1));
        chunks.push(chunk);
        new = rest;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_so_many_hits_and_batches_or_one_batch_alone() {
        let cut = |hits: &[u32]| -> Vec<usize> {
            let new: Vec<New> =
                hits.iter().enumerate().map(|(batch, hits)| New::of(batch as u64, 0, *hits)).collect();
            chunks(&new, 10, 3).iter().map(|chunk| chunk.len()).collect()
        };
        assert_eq!(cut(&[]), [] as [usize; 0]);
        assert_eq!(cut(&[4, 6, 1]), [2, 1]);
        assert_eq!(cut(&[11, 1, 99, 99, 9, 1, 1]), [1, 1, 1, 1, 2, 1]);
        assert_eq!(cut(&[1, 1, 1, 1]), [3, 1]);
    }
}
