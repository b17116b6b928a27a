//! Builds a column of texts: each distinct one is kept once.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use crate::reading::TextColumn;

#[derive(Default)]
pub struct TextBuilder {
    /// Its hash has a secret: else texts from outside could be chosen to collide.
    known: HashMap<Arc<str>, u32, RandomState>,
    column: TextColumn,
}

impl TextBuilder {
    pub fn push(&mut self, text: Option<&str>) {
        let number = text.map(|text| self.number(text));
        self.column.of.push(number);
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known.get(text) {
            return *number;
        }
        let (text, number) = (Arc::<str>::from(text), self.column.texts.len() as u32);
        self.column.texts.push(text.clone());
        self.known.insert(text, number);
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
