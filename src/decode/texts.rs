//! Builds a column of texts: each distinct one is kept once.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use crate::reading::TextColumn;

/// The numbers of texts. Their hashes have a secret: else texts from outside could be chosen to collide.
#[derive(Default)]
pub struct TextBuilder {
    short: HashMap<Short, u32, RandomState>,
    long: HashMap<Arc<str>, u32, RandomState>,
    column: TextColumn,
}

/// A text of at most 16 bytes, which is compared where it lies: its length, its first bytes and its last.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Short {
    first: u64,
    last: u64,
    length: u8,
}

impl Short {
    #[inline]
    fn of(text: &[u8]) -> Option<Short> {
        let (first, last) = match text.len() {
            8..=16 => (u64::from_le_bytes(*text.first_chunk()?), u64::from_le_bytes(*text.last_chunk()?)),
            4..8 => (u32::from_le_bytes(*text.first_chunk()?).into(), u32::from_le_bytes(*text.last_chunk()?).into()),
            0..4 => (text.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)), 0),
            _ => return None,
        };
        Some(Short { first, last, length: text.len() as u8 })
    }
}

impl TextBuilder {
    #[inline]
    pub fn push(&mut self, text: Option<&str>) {
        let number = text.map(|text| self.number(text));
        self.column.of.push(number);
    }

    fn number(&mut self, text: &str) -> u32 {
        let short = Short::of(text.as_bytes());
        let known = match &short {
            Some(short) => self.short.get(short),
            None => self.long.get(text),
        };
        if let Some(number) = known {
            return *number;
        }
        let (text, number) = (Arc::<str>::from(text), self.column.texts.len() as u32);
        self.column.texts.push(text.clone());
        match short {
            Some(short) => self.short.insert(short, number),
            None => self.long.insert(text, number),
        };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Equal texts have one number, and no others, whatever their lengths.
        #[test]
        fn each_text_has_a_number(texts in prop::collection::vec(prop::option::of("[ab\0]{0,3}|[aé\0]{3,9}|a{6,9}[ab\0]{8,10}"), 0..200)) {
            let mut builder = TextBuilder::default();
            texts.iter().for_each(|text| builder.push(text.as_deref()));
            let column = builder.finish();
            let distinct: std::collections::BTreeSet<&String> = texts.iter().flatten().collect();
            prop_assert_eq!(column.texts.len(), distinct.len());
            for (row, text) in texts.iter().enumerate() {
                let found = column.get(row).map(|number| &**column.text(number));
                prop_assert_eq!(found, text.as_deref());
            }
        }
    }
}
