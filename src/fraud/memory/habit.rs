//! How many pages visitors of the site read in ten minutes.

/// The ten minutes, in milliseconds.
pub const SLOT_MS: i64 = 10 * 60 * 1000;
/// More pages than this count as this.
const MAX_PAGES: usize = 512;

/// How often each number of pages was reached.
#[derive(Clone, Debug)]
pub struct Habit {
    slots: Vec<u64>,
    total: u64,
}

// === impl Habit ===

impl Default for Habit {
    fn default() -> Habit {
        Habit { slots: vec![0; MAX_PAGES + 1], total: 0 }
    }
}

impl Habit {
    /// Ten minutes of somebody are over.
    pub fn count(&mut self, pages: u32) {
        if pages > 0 {
            self.slots[(pages as usize).min(MAX_PAGES)] += 1;
            self.total += 1;
        }
    }

    /// How many ten minutes are known.
    pub fn known(&self) -> u64 {
        self.total
    }

    /// The number of pages that all but one in a thousand stay within.
    pub fn usual(&self) -> u32 {
        let mut above = self.total / 1000;
        for (pages, times) in self.slots.iter().enumerate().rev() {
            if *times > above {
                return pages as u32;
            }
            above -= times;
        }
        0
    }
}
