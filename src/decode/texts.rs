//! Builds a column of texts: each distinct one is kept once.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::reading::TextColumn;

pub struct TextBuilder {
    /// A tree: texts from outside can be chosen to collide in a hash without a secret.
    known: BTreeMap<Arc<str>, u32>,
    /// The last text of each hash, so that most need not be looked up. (Those that collide do.)
    recent: Box<[u32]>,
    column: TextColumn,
}

impl TextBuilder {
    /// For about so many rows.
    pub fn new(rows: usize) -> TextBuilder {
        let recent = vec![u32::MAX; rows.next_power_of_two().clamp(16, 4096)];
        TextBuilder { known: BTreeMap::new(), recent: recent.into(), column: TextColumn::default() }
    }

    pub fn push(&mut self, text: Option<&str>) {
        let number = text.map(|text| self.number(text));
        self.column.of.push(number);
    }

    fn number(&mut self, text: &str) -> u32 {
        let place = FxBuildHasher.hash_one(text) as usize & (self.recent.len() - 1);
        let recent = self.recent[place];
        if self.column.texts.get(recent as usize).is_some_and(|known| **known == *text) {
            return recent;
        }
        let number = match self.known.get(text) {
            Some(number) => *number,
            None => {
                let (text, number) = (Arc::<str>::from(text), self.column.texts.len() as u32);
                self.column.texts.push(text.clone());
                self.known.insert(text, number);
                number
            }
        };
        self.recent[place] = number;
        number
    }

    /// Forgets every row from this one on.
    pub fn truncate(&mut self, rows: usize) {
        self.column.of.truncate(rows);
    }

    pub fn finish(self) -> TextColumn {
        self.column
    }
}
