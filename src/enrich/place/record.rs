//! One record of a geo database, in any of the layouts that `place` names.
//!
//! A key that has a string in one layout has a map in another (`city`,
//! `country`), hence [`Label`]. Unknown keys are skipped without decoding.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(serde::Deserialize, Default)]
#[serde(default)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    country: Label<'a>,
    #[serde(borrow)]
    registered_country: Label<'a>,
    country_code: &'a str,
    #[serde(borrow)]
    subdivisions: First<'a>,
    state1: &'a str,
    #[serde(borrow)]
    region: Label<'a>,
    #[serde(borrow)]
    city: Label<'a>,
    autonomous_system_number: u32,
    autonomous_system_organization: &'a str,
    #[serde(borrow)]
    asn: Label<'a>,
    as_name: &'a str,
    #[serde(borrow)]
    traits: Traits<'a>,
}

/// `traits`: the network, which GeoIP2 Enterprise has there.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Traits<'a> {
    autonomous_system_number: u32,
    autonomous_system_organization: &'a str,
}

/// A name: a string, or a map with `iso_code` and `names.en`.
#[derive(Default, Clone, Copy)]
struct Label<'a> {
    code: &'a str,
    name: &'a str,
    number: u32,
}

/// The first label of a list.
#[derive(Default)]
struct First<'a>(Label<'a>);

/// `names`: only the English one.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Names<'a> {
    en: &'a str,
}

// === impl Record ===

impl<'a> Record<'a> {
    /// The country's code. A network that is registered in a country but of no
    /// known place is taken to be there, as the databases' makers advise.
    pub fn country(&self) -> Option<Cow<'a, str>> {
        let candidates =
            [self.country_code, self.country.code, self.country.name, self.registered_country.code];
        let code = candidates
            .into_iter()
            .find(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()));
        // ZZ is what some databases have for "nowhere".
        let code = code.map(|code| match code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Borrowed(code),
            false => Cow::Owned(code.to_ascii_uppercase()),
        });
        code.filter(|code| code != "ZZ")
    }

    pub fn region(&self) -> &'a str {
        first_filled([self.state1, self.subdivisions.0.name, self.region.name])
    }

    pub fn city(&self) -> &'a str {
        self.city.name
    }

    /// The autonomous system's number and name.
    pub fn network(&self) -> Option<(u32, &'a str)> {
        let text = self.asn.name.trim_start_matches("AS").parse().unwrap_or(0);
        let Traits { autonomous_system_number: nested, autonomous_system_organization: nested_name } =
            self.traits;
        let numbers = [self.autonomous_system_number, self.asn.number, text, nested];
        let number = numbers.into_iter().find(|number| *number != 0)?;
        Some((number, first_filled([self.autonomous_system_organization, self.as_name, nested_name])))
    }
}

fn first_filled(names: [&str; 3]) -> &str {
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

// === impl Label, First ===

struct LabelVisitor;
struct FirstVisitor;

impl<'de: 'a, 'a> Deserialize<'de> for Label<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelVisitor)
    }
}

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = Label<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a name or a map of names")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Label<'de>, E> {
        Ok(Label { name, ..Label::default() })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Label<'de>, E> {
        Ok(Label { number: u32::try_from(number).unwrap_or(0), ..Label::default() })
    }

    fn visit_u32<E>(self, number: u32) -> Result<Label<'de>, E> {
        Ok(Label { number, ..Label::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Label<'de>, A::Error> {
        let mut label = Label::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "iso_code" => label.code = map.next_value()?,
                "names" => label.name = map.next_value::<Names>()?.en,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(label)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for First<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FirstVisitor)
    }
}

impl<'de> Visitor<'de> for FirstVisitor {
    type Value = First<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a list of subdivisions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<'de>, A::Error> {
        let first = list.next_element::<Label>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}
