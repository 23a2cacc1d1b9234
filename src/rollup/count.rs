//! Writes numbers by day, from the visits of the days.
//!
//! In: days whose visits stand in `visits`. Out: rows of `visits_by_day` and `visitors_by_day` for
//! each property, by day and by month. What a statement takes up grows with the visits of the
//! site times the properties that it is about: so a small site has all its properties
//! counted by one statement, a large one one after the other, and the people of a very
//! large one in slices ([`SLICE_VALUES`]).

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::days::DayRange;
use super::keep::MADE;
use super::numbers::{self, Past, Property};
use super::{SLICE_VALUES, visits};
use crate::query::Visible;
use crate::store::{Param, Storage, StorageError};

/// The numbers of some days that are to be written.
pub struct Counting<'a> {
    storage: &'a Storage,
    params: Vec<(String, Param)>,
    /// All properties, in groups that one statement can be about.
    groups: Vec<Group>,
}

struct Group {
    properties: Vec<Property>,
    /// The values of all visits.
    values: u64,
}

impl<'a> Counting<'a> {
    pub async fn of(storage: &'a Storage, site: &str, days: &DayRange) -> Result<Counting<'a>, StorageError> {
        let params = visits::params(site, days);
        let count =
            format!("SELECT count() FROM {}.{} WHERE site = {{site:String}}", storage.database(), MADE[0]);
        let visits = storage.number(&count, &params).await?;
        Ok(Counting { storage, params, groups: groups(visits) })
    }

    /// How many people, if the days are all there are.
    pub async fn people(&self) -> Result<(), StorageError> {
        for group in &self.groups {
            let slices = group.values.div_ceil(SLICE_VALUES).max(1);
            let width = u64::MAX / slices;
            let parts =
                group.parts(|property| property.people(MADE[0], Past::Slice, self.storage.database()));
            for slice in 0..slices {
                let least = slice * width;
                let most = if slice + 1 == slices { u64::MAX } else { least + width - 1 };
                let bounds = [("least", least), ("most", most)]
                    .map(|(name, value)| (name.to_owned(), Param::Text(value.to_string())));
                let params = [self.params.as_slice(), &bounds].concat();
                self.insert(MADE[1], numbers::OF_PEOPLE, &parts, &params).await?;
            }
        }
        Ok(())
    }

    /// The same of a few days, from those before them.
    pub async fn people_of(&self, site: &str, zone: &TimeZone, days: &[Date]) -> Result<(), StorageError> {
        let since = [("since".to_owned(), Param::Text(Date::constant(1970, 1, 1).to_string()))];
        for group in &self.groups {
            let parts =
                group.parts(|property| property.people(MADE[0], Past::Of(MADE[0]), self.storage.database()));
            for day in days.iter().filter_map(|day| DayRange::new(zone, *day, *day)) {
                let params = [visits::params(site, &day).as_slice(), &since].concat();
                self.insert(MADE[1], numbers::OF_PEOPLE, &parts, &params).await?;
            }
        }
        Ok(())
    }

    /// Sums of visits and of ad blocks.
    pub async fn sums(&self, visible: Visible<'_>) -> Result<(), StorageError> {
        for group in &self.groups {
            let parts = group.parts(|property| property.visits(MADE[0], self.storage.database()));
            self.insert(MADE[2], numbers::OF_VISITS, &parts, &self.params).await?;
        }
        let ads = numbers::of_ads().map(|(name, value)| (name, numbers::ads(value, visible)));
        self.insert(MADE[2], numbers::OF_VISITS, &ads, &self.params).await
    }

    /// What is made of numbers by day once they are there: those by month, and what short ranges need.
    pub async fn summaries(&self) -> Result<(), StorageError> {
        let [_, people, visits] = MADE.map(|table| format!("{}.{table}", self.storage.database()));
        for group in &self.groups {
            let mut names: Vec<&str> =
                group.properties.iter().map(|property| property.name.as_str()).collect();
            let ads = numbers::of_ads().map(|(name, _)| name);
            if names.contains(&"") {
                names.extend(ads.iter().map(String::as_str).filter(|name| !name.is_empty()));
            }
            let by_month = |table: &str, keys: &str, sums: &str| -> Vec<(String, String)> {
                let part = |name: &&str| (numbers::by_month(name), numbers::months(name, table, keys, sums));
                names.iter().map(part).collect()
            };
            let sums = by_month(&visits, "value", numbers::SUMS_OF_VISITS);
            self.insert(MADE[2], numbers::OF_VISITS, &sums, &self.params).await?;
            let counts = by_month(&people, "previous, value", "visitors");
            self.insert(MADE[1], numbers::OF_PEOPLE, &counts, &self.params).await?;
            let near = group.parts(|property| numbers::near(&property.name, &people));
            self.insert(MADE[2], "day, value, near", &near, &self.params).await?;
        }
        Ok(())
    }

    /// `parts`: properties, and the statements of their rows.
    async fn insert(
        &self,
        table: &str,
        columns: &str,
        parts: &[(String, String)],
        params: &[(String, Param)],
    ) -> Result<(), StorageError> {
        let rows: Vec<String> = parts
            .iter()
            .map(|(property, rows)| format!("SELECT '{property}' AS property, {columns} FROM (\n{rows}\n)"))
            .collect();
        let sql = format!(
            "INSERT INTO {}.{table} (site, property, {columns})\nSELECT {{site:String}}, property, {columns} FROM (\n{}\n)",
            self.storage.database(),
            rows.join("\nUNION ALL\n")
        );
        self.storage.execute(&sql, params).await
    }
}

impl Group {
    fn parts(&self, rows: impl Fn(&Property) -> String) -> Vec<(String, String)> {
        self.properties.iter().map(|property| (property.name.clone(), rows(property))).collect()
    }
}

fn groups(visits: u64) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for property in numbers::properties() {
        let values = visits.saturating_mul(property.values_of_visit());
        match groups.last_mut() {
            Some(group) if group.values + values <= SLICE_VALUES => {
                group.values += values;
                group.properties.push(property);
            }
            _ => groups.push(Group { properties: vec![property], values }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_about_as_much_as_it_can_hold() {
        let all = numbers::properties().len();
        let sizes = |visits: u64| -> Vec<usize> {
            groups(visits).iter().map(|group| group.properties.len()).collect()
        };
        assert_eq!(sizes(0), [all]);
        assert_eq!(sizes(1000), [all]);
        assert_eq!(sizes(SLICE_VALUES), vec![1; all]);
        let some = sizes(SLICE_VALUES / 10);
        assert!(some.len() > 1 && some[0] == 10, "{some:?}");
        for group in groups(SLICE_VALUES / 10) {
            assert!(group.values <= SLICE_VALUES, "{}", group.values);
        }
    }
}
