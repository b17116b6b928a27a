//! Numeric fields that the configuration does not name, where a stream takes every one of them:
//! a new sensor type needs no new configuration. Their names are the fields' dotted paths, or the
//! columns' names.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::decimal::Number;
use super::fields::Slot;
use super::json::Scanner;
use super::judge::Judge;
use super::reject::{Reject, clip};
use crate::reading::Others;

/// Such fields in one reading, at most.
pub const MAX_FIELDS: usize = 256;
/// Bytes of such a field's name, at most: it becomes part of a key of the store.
pub const MAX_NAME: usize = 128;

/// What a batch has of them.
pub struct OthersBuilder<'a> {
    /// Number of each name; `None` for fields that the stream names, or uses otherwise.
    known: FxHashMap<Box<str>, Option<u32>>,
    built: Others,
    /// Scratch: those of the reading at hand.
    found: Vec<(u32, Cow<'a, str>)>,
    path: String,
}

impl<'a> OthersBuilder<'a> {
    /// `taken`: names that are something else.
    pub fn new<'n>(taken: impl Iterator<Item = &'n str>) -> OthersBuilder<'a> {
        OthersBuilder {
            known: taken.map(|name| (name.into(), None)).collect(),
            built: Others { starts: vec![0], ..Others::default() },
            found: Vec::new(),
            path: String::new(),
        }
    }

    /// Finds the numbers of an object that has been scanned and found valid.
    pub fn find_json(&mut self, object: &'a str) -> Result<(), Reject> {
        self.found.clear();
        let mut path = std::mem::take(&mut self.path);
        let outcome =
            Scanner::new(object).numbers(&mut path, &mut |name, number| self.add(name, Cow::Borrowed(number)));
        path.clear();
        self.path = path;
        outcome
    }

    /// Finds the numbers among the cells that have no slot.
    pub fn find_csv(&mut self, names: &[Box<str>], cells: &mut Vec<(usize, Cow<'a, str>)>) -> Result<(), Reject> {
        self.found.clear();
        for (column, cell) in cells.drain(..) {
            if Number::parse(cell.trim_ascii()).is_some() {
                self.add(&names[column], cell)?;
            }
        }
        Ok(())
    }

    /// Of a name that occurs twice the last number counts.
    fn add(&mut self, name: &str, number: Cow<'a, str>) -> Result<(), Reject> {
        let known = match self.known.get(name) {
            Some(known) => *known,
            None => Some(self.learn(name)?),
        };
        let Some(id) = known else { return Ok(()) };
        if let Some(earlier) = self.found.iter_mut().find(|(of, _)| *of == id) {
            earlier.1 = number;
            return Ok(());
        }
        if self.found.len() == MAX_FIELDS {
            return Err(Reject::TooManyFields { limit: MAX_FIELDS });
        }
        self.found.push((id, number));
        Ok(())
    }

    fn learn(&mut self, name: &str) -> Result<u32, Reject> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Reject::BadFieldName { name: clip(name), limit: MAX_NAME });
        }
        let id = self.built.names.len() as u32;
        self.built.names.push(Arc::from(name));
        self.known.insert(name.into(), Some(id));
        Ok(id)
    }

    /// Judges what was found; nothing is kept of a reading with a number that does not fit.
    pub fn keep(&mut self, judge: &Judge, flags: u8) -> Result<(), Reject> {
        let before = self.built.values.len();
        for (id, text) in &self.found {
            if judge.is_missing(&Slot::Cell(Cow::Borrowed(text.as_ref()))) {
                continue;
            }
            match judge.unnamed(&self.built.names[*id as usize], text.trim_ascii()) {
                Ok(value) => self.built.values.push((*id, value, flags)),
                Err(reject) => {
                    self.built.values.truncate(before);
                    return Err(reject);
                }
            }
        }
        Ok(())
    }

    /// The row is complete.
    pub fn end_row(&mut self) {
        self.built.starts.push(self.built.values.len() as u32);
    }

    /// Forgets every row from this one on.
    pub fn truncate(&mut self, rows: usize) {
        self.built.starts.truncate(rows + 1);
        self.built.values.truncate(self.built.starts.last().map_or(0, |start| *start as usize));
    }

    pub fn finish(self) -> Others {
        self.built
    }
}
