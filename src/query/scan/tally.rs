//! Counts people, visits and hits by many properties at once, from rows of `visits`.
//!
//! In: blocks of columns ([`Columns`] says which), in any order, by slices of the people:
//! all rows of somebody are in one slice. Out: for each [`By`] its groups and their [`Sums`].
//!
//! Sums are added up as rows come. People are counted when a slice is over: its rows are
//! brought into the order of the people, of which long runs are already there, and whoever is
//! next is counted in each group that does not bear their mark yet. That looks at each value
//! once and at nothing far away, where a set of everybody for each group would wait for memory at
//! each step (measured: a quarter of the time).
//!
//! Pure: no storage. Bounds: [`MAX_VALUES`] of a slice, above which a slice is to be cut
//! ([`Uncounted::Slice`]); [`MAX_GROUPS`], above which each question is to be put by itself.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::{ToSpan, Unit};

use crate::query::names::{Bucket, VisitField};
use crate::store::native::{Broken, Column, Type, Words};

/// The most values that a slice holds, of 4 bytes each: 64 MiB, and 16 bytes for each of its rows, of which there are as
/// many at most, and a tenth of it where a dashboard asks.
pub const MAX_VALUES: usize = 16 << 20;
/// The most groups of one property: more than storage gives in one answer.
pub const MAX_GROUPS: usize = 200_000;
/// No code yet.
const NONE: u32 = u32::MAX;

/// What visits are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    All,
    Time(Bucket),
    Visit(VisitField),
    /// Each page that was seen, however often.
    Page,
    /// Each name of an event; not of visits under a filter.
    Name,
}

/// A number of each visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// 1 where the visit had been in the group on the day before.
    Earlier,
    Views,
    Counted,
    /// 1 where averages are about the visit.
    Own,
    Bounce,
    Lasted,
}

/// What is counted by a property beside people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub by: By,
    /// Of these sums; ignored by [`By::Page`], which adds up its own.
    pub measures: Vec<Measure>,
}

/// The columns of a block, in this order: the person as UInt64, then these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Days since 1970, as UInt16.
    pub day: bool,
    /// Each as UInt32.
    pub measures: Vec<Measure>,
    /// Each as words.
    pub fields: Vec<VisitField>,
    /// The pages of the visit's hits as lists of words, and lists of 1 for each that is a view.
    pub pages: bool,
}

/// The numbers of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub people: u64,
    pub visits: u64,
    pub views: u64,
    pub counted: u64,
    pub own: u64,
    pub bounced: u64,
    pub lasted: u64,
}

/// The groups of one property by their values.
pub type Groups = HashMap<Box<[u8]>, Sums>;

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum Uncounted {
    #[error("more than {MAX_VALUES} values in a slice")]
    Slice,
    #[error("more than {MAX_GROUPS} groups")]
    Groups,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// A count under way.
pub struct Tally {
    columns: Columns,
    first: Date,
    /// Days since 1970 of `first`.
    first_number: u16,
    cuts: Vec<Cut>,
    slice: Slice,
    /// How many people there were.
    people: u32,
}

/// What is kept of the rows of a slice until it is over.
#[derive(Default)]
struct Slice {
    /// The person of each row.
    rows: Vec<(u64, u32)>,
    /// The codes of each row, one for each cut but the whole and that by pages.
    codes: Vec<u32>,
    /// The codes of the pages of all rows, and where those of each row end.
    pages: Vec<u32>,
    pages_end: Vec<u32>,
}

/// The count by one property.
struct Cut {
    by: By,
    measures: Vec<Measure>,
    codes: HashMap<Box<[u8]>, u32>,
    /// By code, without people.
    sums: Vec<Sums>,
    /// By code: apart, since these are looked at for each value of each row.
    met: Vec<Met>,
}

/// The people of a group.
#[derive(Clone, Copy, Default)]
struct Met {
    count: u32,
    /// The last who was counted; the first of the people is 1.
    last: u32,
}

/// The rows of a block, as the cuts need them.
struct Rows {
    count: usize,
    days: Vec<u16>,
    measures: HashMap<Measure, Vec<u32>>,
}

// === impl Columns ===

impl Columns {
    pub fn types(&self) -> Vec<Type> {
        let mut types = vec![Type::UInt64];
        types.extend(self.day.then_some(Type::UInt16));
        types.extend(self.measures.iter().map(|_| Type::UInt32));
        types.extend(self.fields.iter().map(|_| Type::Words));
        if self.pages {
            types.extend([Type::Lists(&Type::Words), Type::Lists(&Type::UInt8)]);
        }
        types
    }
}

// === impl Sums ===

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        let Sums { people, visits, views, counted, own, bounced, lasted } = other;
        self.people += people;
        self.visits += visits;
        self.views += views;
        self.counted += counted;
        self.own += own;
        self.bounced += bounced;
        self.lasted += lasted;
    }
}

// === impl Tally ===

impl Tally {
    /// `first`: the first day of the range.
    pub fn new(columns: Columns, wanted: &[Wanted], first: Date) -> Tally {
        let cut = |wanted: &Wanted| Cut {
            by: wanted.by,
            measures: wanted.measures.clone(),
            codes: HashMap::new(),
            sums: Vec::new(),
            met: Vec::new(),
        };
        let cuts = wanted.iter().map(cut).collect();
        let first_number = u16::try_from(since_1970(first)).unwrap_or(0);
        Tally { columns, first, first_number, cuts, slice: Slice::default(), people: 0 }
    }

    /// Counts a block of the slice.
    pub fn add(&mut self, block: Vec<Column>) -> Result<(), Uncounted> {
        let mut block = block.into_iter();
        let Some(Column::UInt64(persons)) = block.next() else { return Err(misplaced()) };
        let days = match self.columns.day {
            true => match block.next() {
                Some(Column::UInt16(days)) => days,
                _ => return Err(misplaced()),
            },
            false => Vec::new(),
        };
        let mut measures = HashMap::new();
        for measure in &self.columns.measures {
            match block.next() {
                Some(Column::UInt32(numbers)) => measures.insert(*measure, numbers),
                _ => return Err(misplaced()),
            };
        }
        let rows = Rows { count: persons.len(), days, measures };
        let mut fields = HashMap::new();
        for field in &self.columns.fields {
            match block.next() {
                Some(Column::Words(words)) => fields.insert(*field, words),
                _ => return Err(misplaced()),
            };
        }
        let pages = match (self.columns.pages, block.next(), block.next()) {
            (
                true,
                Some(Column::Lists { ends, elements }),
                Some(Column::Lists { ends: same, elements: kinds }),
            ) => match (*elements, *kinds) {
                (Column::Words(words), Column::UInt8(kinds)) if ends == same => Some((ends, words, kinds)),
                _ => return Err(misplaced()),
            },
            (false, None, None) => None,
            _ => return Err(misplaced()),
        };
        let Slice { rows: order, codes: kept, pages: kept_pages, pages_end } = &mut self.slice;
        let before = order.len();
        let width = self.cuts.iter().filter(|cut| cut.is_of_one_value()).count();
        let values = (before + rows.count) * width
            + kept_pages.len()
            + pages.as_ref().map_or(0, |(_, words, _)| words.codes.len());
        if values > MAX_VALUES || before + rows.count > MAX_VALUES {
            return Err(Uncounted::Slice);
        }
        order.extend(persons.iter().zip(before as u32..).map(|(person, row)| (*person, row)));
        kept.resize((before + rows.count) * width, 0);
        let mut place = 0;
        let (first, first_number) = (self.first, self.first_number);
        for cut in &mut self.cuts {
            let mut codes = kept[before * width..].iter_mut().skip(place).step_by(width.max(1));
            match cut.by {
                By::All => {
                    cut.code(b"")?;
                    cut.add(&rows, |_| 0, |_| first_number);
                }
                By::Time(bucket) => {
                    let (least, buckets) = cut.buckets(&rows.days, bucket, first)?;
                    let of = |row: usize| buckets[usize::from(rows.days[row] - least)];
                    codes.by_ref().zip(0..rows.count).for_each(|(code, row)| *code = of(row).0);
                    cut.add(&rows, |row| of(row).0, |row| of(row).1);
                    place += 1;
                }
                By::Visit(field) => {
                    let Some(words) = fields.get(&field) else { return Err(misplaced()) };
                    let ours = cut.codes_of(words)?;
                    let of = |row: usize| ours[words.codes[row] as usize];
                    codes.by_ref().zip(0..rows.count).for_each(|(code, row)| *code = of(row));
                    cut.add(&rows, of, |_| first_number);
                    place += 1;
                }
                // Such a question was not taken.
                By::Name => return Err(misplaced()),
                By::Page => {
                    let Some((ends, words, kinds)) = &pages else { return Err(misplaced()) };
                    let ours = cut.codes_of(words)?;
                    let begin = kept_pages.len() as u32;
                    pages_end.extend(ends.iter().map(|end| begin + *end as u32));
                    for (code, kind) in words.codes.iter().zip(kinds) {
                        let code = ours[*code as usize];
                        kept_pages.push(code);
                        let sums = &mut cut.sums[code as usize];
                        sums.counted += 1;
                        sums.views += u64::from(*kind == 1);
                    }
                }
            }
        }
        Ok(())
    }

    /// The slice is over: whoever comes from now on was not there.
    pub fn end_slice(&mut self) {
        let Slice { rows, codes, pages, pages_end } = &mut self.slice;
        // Stable, since that is the sort that makes use of runs.
        rows.sort_by_key(|(person, _)| *person);
        let (mut of_one, mut all, mut of_pages) = (Vec::new(), None, None);
        for cut in &mut self.cuts {
            match cut.by {
                By::All => all = Some(cut),
                By::Page => of_pages = Some(cut),
                _ => of_one.push(cut),
            }
        }
        let width = of_one.len();
        let mut last = None;
        for (person, row) in rows.iter() {
            if last != Some(*person) {
                last = Some(*person);
                self.people = self.people.wrapping_add(1);
                if let Some(all) = &mut all {
                    all.meet(self.people, 0);
                }
            }
            let row = *row as usize;
            for (cut, code) in of_one.iter_mut().zip(&codes[row * width..]) {
                cut.meet(self.people, *code);
            }
            if let Some(cut) = &mut of_pages {
                let begin = row.checked_sub(1).map_or(0, |before| pages_end[before]) as usize;
                for code in &pages[begin..pages_end[row] as usize] {
                    cut.meet(self.people, *code);
                }
            }
        }
        self.forget_slice();
    }

    /// The groups so far.
    pub fn groups(self) -> HashMap<By, Groups> {
        let groups = |cut: Cut| {
            let of = |code: usize| Sums { people: u64::from(cut.met[code].count), ..cut.sums[code] };
            cut.codes.into_iter().map(|(value, code)| (value, of(code as usize))).collect()
        };
        self.cuts.into_iter().map(|cut| (cut.by, groups(cut))).collect()
    }

    fn forget_slice(&mut self) {
        let Slice { rows, codes, pages, pages_end } = &mut self.slice;
        rows.clear();
        codes.clear();
        pages.clear();
        pages_end.clear();
    }
}

fn misplaced() -> Uncounted {
    Broken::misplaced().into()
}

// === impl Cut ===

impl Cut {
    /// Whether a row is in exactly one of its groups, and there are several.
    fn is_of_one_value(&self) -> bool {
        matches!(self.by, By::Time(_) | By::Visit(_))
    }

    fn code(&mut self, value: &[u8]) -> Result<u32, Uncounted> {
        if let Some(code) = self.codes.get(value) {
            return Ok(*code);
        }
        if self.sums.len() >= MAX_GROUPS {
            return Err(Uncounted::Groups);
        }
        let code = self.sums.len() as u32;
        self.codes.insert(value.into(), code);
        self.sums.push(Sums::default());
        self.met.push(Met::default());
        Ok(code)
    }

    /// Our codes of a block's words.
    fn codes_of(&mut self, words: &Words) -> Result<Vec<u32>, Uncounted> {
        let mut codes = vec![NONE; words.keys.len()];
        for code in &words.codes {
            let ours = &mut codes[*code as usize];
            if *ours == NONE {
                *ours = self.code(&words.keys[*code as usize])?;
            }
        }
        Ok(codes)
    }

    /// The code and the first day of the bucket of each day, from the least of these days on.
    fn buckets(
        &mut self,
        days: &[u16],
        bucket: Bucket,
        first: Date,
    ) -> Result<(u16, Vec<(u32, u16)>), Uncounted> {
        let (Some(least), Some(most)) = (days.iter().min(), days.iter().max()) else {
            return Ok((0, Vec::new()));
        };
        let mut there = vec![false; usize::from(most - least) + 1];
        days.iter().for_each(|day| there[usize::from(day - least)] = true);
        let mut buckets = Vec::with_capacity(there.len());
        for (day, there) in (*least..=*most).zip(there) {
            if !there {
                buckets.push((NONE, day));
                continue;
            }
            let date =
                Date::constant(1970, 1, 1).checked_add(i64::from(day).days()).map_err(|_| misplaced())?;
            let start = match bucket {
                Bucket::Week => {
                    let back = i64::from(date.weekday().to_monday_zero_offset());
                    date.checked_sub(back.days()).map_err(|_| misplaced())?
                }
                Bucket::Month => date.first_of_month(),
                _ => date,
            };
            let code = self.code(start.to_string().as_bytes())?;
            buckets.push((code, u16::try_from(since_1970(start.max(first))).unwrap_or(0)));
        }
        Ok((*least, buckets))
    }

    /// Adds rows up. `start`: the first day of the range or bucket that the row is in.
    fn add(&mut self, rows: &Rows, code: impl Fn(usize) -> u32, start: impl Fn(usize) -> u16) {
        let asked = &self.measures;
        let measure = |measure| rows.measures.get(&measure).filter(|_| asked.contains(&measure));
        if let Some(views) = measure(Measure::Views) {
            for (row, views) in views.iter().enumerate() {
                self.sums[code(row) as usize].views += u64::from(*views);
            }
        }
        if let Some(counted) = measure(Measure::Counted) {
            for (row, counted) in counted.iter().enumerate() {
                self.sums[code(row) as usize].counted += u64::from(*counted);
            }
        }
        let Some(earlier) = measure(Measure::Earlier) else { return };
        let ones: Vec<u32> = vec![1; rows.count];
        let own = measure(Measure::Own).unwrap_or(&ones);
        let zeros: Vec<u32> = vec![0; rows.count];
        let bounce = measure(Measure::Bounce).unwrap_or(&zeros);
        let lasted = measure(Measure::Lasted).unwrap_or(&zeros);
        for row in 0..rows.count {
            // The visit stands in the group of the day before.
            if earlier[row] == 1 && rows.days[row] > start(row) {
                continue;
            }
            let sums = &mut self.sums[code(row) as usize];
            sums.visits += 1;
            if own[row] == 1 {
                sums.own += 1;
                sums.bounced += u64::from(bounce[row]);
                sums.lasted += u64::from(lasted[row]);
            }
        }
    }

    /// Counts somebody in a group, once.
    fn meet(&mut self, person: u32, code: u32) {
        let met = &mut self.met[code as usize];
        if met.last != person {
            *met = Met { count: met.count + 1, last: person };
        }
    }
}

fn since_1970(day: Date) -> i64 {
    let since = Date::constant(1970, 1, 1).until((Unit::Day, day));
    since.map_or(0, |span| i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(values: &[&str]) -> Column {
        let keys: Vec<Box<[u8]>> = values.iter().map(|value| value.as_bytes().into()).collect();
        Column::Words(Words { codes: (0..values.len() as u32).collect(), keys })
    }

    fn wanted(by: &[By], measures: &[Measure]) -> Vec<Wanted> {
        by.iter().map(|by| Wanted { by: *by, measures: measures.to_vec() }).collect()
    }

    fn people(groups: &HashMap<By, Groups>, by: By, value: &str) -> u64 {
        groups[&by].get(value.as_bytes()).map_or(0, |sums| sums.people)
    }

    const COUNTRY: By = By::Visit(VisitField::Country);

    #[test]
    fn somebody_is_counted_once_in_each_group() {
        let columns = Columns { fields: vec![VisitField::Country], ..Columns::default() };
        let mut tally = Tally::new(columns, &wanted(&[By::All, COUNTRY], &[]), Date::constant(2026, 3, 1));
        // Back and forth, and over blocks.
        tally.add(vec![Column::UInt64(vec![7, 7, 8, 7]), words(&["RU", "KZ", "RU", "RU"])]).expect("counted");
        tally.add(vec![Column::UInt64(vec![8, 7]), words(&["KZ", "KZ"])]).expect("counted");
        tally.end_slice();
        tally.add(vec![Column::UInt64(vec![9]), words(&["RU"])]).expect("counted");
        tally.end_slice();
        let groups = tally.groups();
        assert_eq!(people(&groups, By::All, ""), 3);
        assert_eq!(people(&groups, COUNTRY, "RU"), 3);
        assert_eq!(people(&groups, COUNTRY, "KZ"), 2);
    }

    #[test]
    fn a_visit_over_midnight_is_one_where_both_days_are_in_the_group() {
        let columns = Columns { day: true, measures: vec![Measure::Earlier], ..Columns::default() };
        let by = [By::All, By::Time(Bucket::Day), By::Time(Bucket::Week), By::Time(Bucket::Month)];
        // Saturday, 28 February, to Monday, 2 March.
        let first = Date::constant(2026, 2, 28);
        let day = since_1970(first) as u16;
        let mut tally = Tally::new(columns, &wanted(&by, &[Measure::Earlier]), first);
        let block = vec![
            Column::UInt64(vec![1, 1, 1]),
            Column::UInt16(vec![day, day + 1, day + 2]),
            Column::UInt32(vec![1, 1, 1]),
        ];
        tally.add(block).expect("counted");
        tally.end_slice();
        let groups = tally.groups();
        let visits = |by: By| -> Vec<(String, u64)> {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let mut all: Vec<_> =
                groups[&by].iter().map(|(value, sums)| (text(value), sums.visits)).collect();
            all.sort();
            all
        };
        let expected = |values: &[(&str, u64)]| -> Vec<(String, u64)> {
            values.iter().map(|(value, visits)| ((*value).to_owned(), *visits)).collect()
        };
        // On its first day in a group the visit counts, also if it had begun before.
        assert_eq!(visits(By::All), expected(&[("", 1)]));
        assert_eq!(
            visits(By::Time(Bucket::Day)),
            expected(&[("2026-02-28", 1), ("2026-03-01", 1), ("2026-03-02", 1)])
        );
        assert_eq!(visits(By::Time(Bucket::Week)), expected(&[("2026-02-23", 1), ("2026-03-02", 1)]));
        assert_eq!(visits(By::Time(Bucket::Month)), expected(&[("2026-02-01", 1), ("2026-03-01", 1)]));
    }

    #[test]
    fn a_page_counts_its_hits_and_whoever_saw_it() {
        let columns = Columns { pages: true, ..Columns::default() };
        let mut tally = Tally::new(columns, &wanted(&[By::Page], &[]), Date::constant(2026, 3, 1));
        let Column::Words(pages) = words(&["/a", "/b", "/a", "/a"]) else { unreachable!() };
        let ends = vec![3, 3, 4];
        tally
            .add(vec![
                Column::UInt64(vec![1, 2, 1]),
                Column::Lists { ends: ends.clone(), elements: Box::new(Column::Words(pages)) },
                Column::Lists { ends, elements: Box::new(Column::UInt8(vec![1, 1, 2, 1])) },
            ])
            .expect("counted");
        tally.end_slice();
        let groups = tally.groups();
        let of = |page: &str| groups[&By::Page][page.as_bytes()];
        assert_eq!(of("/a"), Sums { people: 1, views: 2, counted: 3, ..Sums::default() });
        assert_eq!(of("/b"), Sums { people: 1, views: 1, counted: 1, ..Sums::default() });
    }

    #[test]
    fn too_many_groups_are_given_up() {
        let columns = Columns { fields: vec![VisitField::Country], ..Columns::default() };
        let mut tally = Tally::new(columns, &wanted(&[COUNTRY], &[]), Date::constant(2026, 3, 1));
        let block = |from: usize, many: usize| {
            let values: Vec<String> = (from..from + many).map(|value| value.to_string()).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            vec![Column::UInt64(vec![1; many]), words(&values)]
        };
        tally.add(block(0, MAX_GROUPS)).expect("as many as may be");
        assert!(matches!(tally.add(block(MAX_GROUPS, 1)), Err(Uncounted::Groups)));
    }

    #[test]
    fn a_block_of_another_shape_is_refused() {
        let mut tally = Tally::new(Columns::default(), &wanted(&[By::All], &[]), Date::constant(2026, 3, 1));
        assert!(matches!(tally.add(vec![Column::UInt32(vec![1])]), Err(Uncounted::Broken(_))));
        assert!(matches!(
            tally.add(vec![Column::UInt64(vec![1]), Column::UInt32(vec![1])]),
            Err(Uncounted::Broken(_))
        ));
    }
}
