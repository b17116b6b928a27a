//! Builds a column of texts: each distinct one is kept once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::reading::TextColumn;

#[derive(Default)]
pub struct TextBuilder {
    /// A tree: texts from outside can be chosen to collide in a hash without a secret.
    known: BTreeMap<Arc<str>, u32>,
    column: TextColumn,
    /// The last text: neighbouring readings often have the same.
    last: Option<u32>,
}

impl TextBuilder {
    pub fn push(&mut self, text: Option<&str>) {
        let number = text.map(|text| self.number(text));
        self.column.of.push(number);
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(last) = self.last.filter(|last| *self.column.texts[*last as usize] == *text) {
            return last;
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
        self.last = Some(number);
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
