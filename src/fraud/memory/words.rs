//! Names that many remember alike: countries, cities, browsers, zones, languages.

use std::collections::HashMap;

/// The most different names of a site; of 400 cities and some hundred browsers there are
/// fewer, and what strangers make up ends here.
pub const MAX_WORDS: usize = 20_000;

/// A number for each name; 0 is the empty one, and what there was no room for.
#[derive(Default)]
pub struct Words {
    numbers: HashMap<Box<str>, u16>,
    names: Vec<Box<str>>,
}

// === impl Words ===

impl Words {
    pub fn number(&mut self, name: &str) -> u16 {
        if name.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        if self.names.len() >= MAX_WORDS {
            return 0;
        }
        let Ok(number) = u16::try_from(self.names.len() + 1) else { return 0 };
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    pub fn name(&self, number: u16) -> &str {
        usize::from(number).checked_sub(1).and_then(|place| self.names.get(place)).map_or("", |name| name)
    }
}
