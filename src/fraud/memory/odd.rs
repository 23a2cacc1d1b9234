//! What hardly any honest visitor does: most visitors have none of it, and no room for it.
//!
//! In: what was odd about a hit. Out: the latest of each kind that rules ask for. What is odd in another
//! way does not take its place, nor does what is less so and may be asked about after it.
//!
//! Bounds: [`MAX_BURSTS`] and [`MAX_DISORDERS`].

use super::DAY_MS;

/// A cookie that goes to and fro between browsers so often in a visit was not passed on, but copied.
const TO_AND_FRO: u16 = 3;
/// So many bursts of a day, each with fewer pages than the one before; others are not told apart.
const MAX_BURSTS: usize = 8;
/// As many as orders of pages are watched. What was done more often than that is known by the latest.
const MAX_DISORDERS: usize = super::MAX_ORDERS;

/// What was odd about a visitor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Odd {
    /// Hits with the mark of a program.
    pub program: Option<Program>,
    /// A change of browser in the latest visit that had one.
    change: Option<Change>,
    /// The latest visit before in which the cookie went to and fro.
    replayed: Option<Change>,
    /// The latest other visit before.
    changed: Option<Change>,
    /// Of the last day, each with fewer pages than the one before it.
    bursts: Vec<Busy>,
    disorders: Vec<Disorder>,
}

/// Hits of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program {
    pub hits: u32,
    /// When the last one came, and the number of the word that is its mark.
    pub at: i64,
    pub mark: u16,
}

/// A cookie that came from another browser within one visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: i64,
    /// Numbers of words.
    pub from: u16,
    pub to: u16,
    /// How often it changed in the visit: once is a change, more is to and fro.
    pub turns: u16,
    /// Whether the visit had more than one address.
    pub moved: bool,
}

/// Pages in ten minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// When the ten minutes begin.
    pub from: i64,
    pub pages: u32,
}

/// What cannot come before what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disorder {
    pub at: i64,
    pub what: Impossible,
}

/// Something that cannot have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// The second page of an order, never the first: its index.
    Skipped(usize),
    /// A click on an ad block that was never shown: its hash.
    ClickUnseen(u64),
}

// === impl Change ===

impl Change {
    /// Whether two browsers had the cookie, at two addresses.
    pub fn is_to_and_fro(&self) -> bool {
        self.turns >= TO_AND_FRO && self.moved
    }
}

// === impl Odd ===

impl Odd {
    /// A hit with the mark of a program; a late one is counted, and is not the last.
    pub(super) fn see_program(&mut self, mark: u16, time: i64) {
        let program = self.program.get_or_insert_default();
        program.hits = program.hits.saturating_add(1);
        if time >= program.at {
            (program.at, program.mark) = (time, mark);
        }
    }

    /// The browser changed in the visit that began then.
    pub(super) fn see_change(&mut self, change: Change, begin: i64) {
        if let Some(before) = self.change.replace(change).filter(|before| before.at < begin) {
            let kind = if before.is_to_and_fro() { &mut self.replayed } else { &mut self.changed };
            *kind = Some(before);
        }
    }

    /// The latest change of each visit of a kind.
    pub fn change(&self, is_to_and_fro: bool) -> Option<Change> {
        let kinds = [self.change, self.replayed, self.changed];
        kinds.into_iter().flatten().find(|change| change.is_to_and_fro() == is_to_and_fro)
    }

    /// Ten minutes with many pages, which may still become more.
    pub(super) fn see_burst(&mut self, busy: Busy) {
        self.bursts.retain(|before| before.pages > busy.pages && busy.from - before.from <= DAY_MS);
        self.bursts.truncate(MAX_BURSTS - 1);
        self.bursts.push(busy);
    }

    /// The busiest ten minutes that began at a moment or later.
    pub fn busiest(&self, since: i64) -> Option<Busy> {
        self.bursts.iter().find(|busy| busy.from >= since).copied()
    }

    pub(super) fn see_disorder(&mut self, disorder: Disorder) {
        if self.disorders.len() >= MAX_DISORDERS {
            let oldest = (0..self.disorders.len()).min_by_key(|place| self.disorders[*place].at);
            oldest.map(|oldest| self.disorders.swap_remove(oldest));
        }
        self.disorders.push(disorder);
    }

    /// It was in order: what has to come before came at that time, and was told of late.
    pub(super) fn withdraw(&mut self, what: Impossible, time: i64) {
        self.disorders.retain(|disorder| disorder.what != what || disorder.at < time);
    }

    /// The latest thing that cannot be.
    pub fn disorder(&self) -> Option<Disorder> {
        self.disorders.iter().max_by_key(|disorder| disorder.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;

    #[test]
    fn the_busiest_of_each_later_part_of_the_day_is_known() {
        let mut odd = Odd::default();
        for (hour, pages) in [(0, 60), (0, 100), (3, 70), (20, 80)] {
            odd.see_burst(Busy { from: hour * HOUR, pages });
        }
        let busiest = |odd: &Odd, since: i64| odd.busiest(since * HOUR).map(|busy| busy.pages);
        assert_eq!([0, 1, 20, 21].map(|since| busiest(&odd, since)), [Some(100), Some(80), Some(80), None]);
        odd.see_burst(Busy { from: 25 * HOUR, pages: 60 });
        assert_eq!(busiest(&odd, 0), Some(80), "a day is over");
        for pages in (1..=59).rev() {
            odd.see_burst(Busy { from: 26 * HOUR, pages });
        }
        assert_eq!((odd.bursts.len(), busiest(&odd, 26)), (MAX_BURSTS, Some(59)));
    }

    #[test]
    fn a_change_of_the_next_visit_leaves_what_was_to_and_fro_before() {
        let change = |at, turns, moved| Change { at, from: 1, to: 2, turns, moved };
        let mut odd = Odd::default();
        for turns in 1..=4 {
            odd.see_change(change(i64::from(turns), turns, true), 0);
        }
        assert_eq!(odd.change(true).map(|change| change.turns), Some(4));
        assert_eq!(odd.change(false), None, "the same visit is not told of twice");
        odd.see_change(change(10, 1, false), 10);
        odd.see_change(change(20, 1, false), 20);
        odd.see_change(change(30, 1, false), 30);
        assert_eq!(odd.change(true).map(|change| change.at), Some(4));
        assert_eq!(odd.change(false).map(|change| change.at), Some(30));
        for turns in 2..=3 {
            odd.see_change(change(30 + i64::from(turns), turns, true), 30);
        }
        assert_eq!([true, false].map(|kind| odd.change(kind).map(|change| change.at)), [Some(33), Some(20)]);
    }

    #[test]
    fn disorders_are_withdrawn_by_what_came_before_them_and_are_bounded() {
        let mut odd = Odd::default();
        for (at, what) in [(5, Impossible::Skipped(0)), (7, Impossible::ClickUnseen(1))] {
            odd.see_disorder(Disorder { at, what });
        }
        odd.withdraw(Impossible::ClickUnseen(2), 1);
        odd.withdraw(Impossible::ClickUnseen(1), 8);
        assert_eq!(odd.disorder().map(|disorder| disorder.at), Some(7));
        odd.withdraw(Impossible::ClickUnseen(1), 7);
        assert_eq!(odd.disorder().map(|disorder| disorder.what), Some(Impossible::Skipped(0)));
        odd.withdraw(Impossible::Skipped(0), 3);
        assert_eq!(odd.disorder(), None);
        for at in 0..100 {
            odd.see_disorder(Disorder { at, what: Impossible::Skipped(0) });
        }
        assert_eq!(
            (odd.disorders.len(), odd.disorder().map(|disorder| disorder.at)),
            (MAX_DISORDERS, Some(99))
        );
    }

    #[test]
    fn a_late_hit_of_a_program_is_counted_and_is_not_the_last() {
        let mut odd = Odd::default();
        for (mark, time) in [(1, 5), (2, 9), (3, 7)] {
            odd.see_program(mark, time);
        }
        assert_eq!(odd.program, Some(Program { hits: 3, at: 9, mark: 2 }));
    }
}
