//! Numeric fields that the configuration does not name, where a stream takes every one of them:
//! a new sensor type needs no new configuration. Their names are the fields' dotted paths, or the
//! columns' names. What cannot be a metric is left out and counted; it costs the reading nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::decimal::Number;
use super::fields::Slot;
use super::json::Scanner;
use super::judge::Judge;
use crate::reading::Others;

/// Such fields in one reading, at most.
pub const MAX_FIELDS: usize = 256;
/// Bytes of such a field's name, at most: it becomes part of a key of the store.
pub const MAX_NAME: usize = 128;

/// What becomes of a name.
#[derive(Clone, Copy)]
enum Known {
    /// The stream names it, or uses it otherwise.
    Taken,
    /// Too long, or empty. (Such names are not kept.)
    Unfit,
    Metric(u32),
}

/// What a batch has of them.
pub struct OthersBuilder<'a> {
    /// A tree: names from outside can be chosen to collide in a hash without a secret.
    known: BTreeMap<Box<str>, Known>,
    built: Others,
    /// Scratch: those of the reading at hand, and how many were left out.
    found: Vec<(u32, Cow<'a, str>)>,
    left_out: u32,
    path: String,
    /// Of a table's row: those that are worth something already; `None` does not fit the unit. And how many there were.
    worth: Vec<(u32, Option<i64>)>,
    added: usize,
}

impl<'a> OthersBuilder<'a> {
    /// `taken`: names that are something else.
    pub fn new<'n>(taken: impl Iterator<Item = &'n str>) -> OthersBuilder<'a> {
        OthersBuilder {
            known: taken.map(|name| (name.into(), Known::Taken)).collect(),
            built: Others { starts: vec![0], ..Others::default() },
            found: Vec::new(),
            left_out: 0,
            path: String::new(),
            worth: Vec::new(),
            added: 0,
        }
    }

    /// Finds the numbers of an object that has been scanned and found valid.
    pub fn find_json(&mut self, object: &'a str) {
        self.forget();
        let mut path = std::mem::take(&mut self.path);
        // The object has been scanned already: there is nothing to refuse.
        let _ = Scanner::new(object).numbers(&mut path, 0, &mut |name, number| self.add(name, Cow::Borrowed(number)));
        path.clear();
        self.path = path;
    }

    /// Finds the numbers among the cells that have no slot.
    pub fn find_csv(&mut self, names: &[Box<str>], cells: &mut Vec<(usize, Cow<'a, str>)>) {
        self.forget();
        for (column, cell) in cells.drain(..) {
            if Number::parse(cell.trim_ascii()).is_some() {
                self.add(&names[column], cell);
            }
        }
    }

    /// A table's columns of numbers, in order: those that are metrics, or of no use as one. Of a name that occurs twice the
    /// last column counts.
    pub fn columns(&mut self, paths: Vec<(usize, String)>) -> Vec<(usize, Option<u32>)> {
        let (mut found, mut named) = (Vec::new(), BTreeSet::new());
        for (column, path) in paths.into_iter().rev() {
            match self.known(&path) {
                Known::Taken => {}
                Known::Unfit => found.push((column, None)),
                Known::Metric(id) if named.insert(id) => found.push((column, Some(id))),
                Known::Metric(_) => {}
            }
        }
        found.reverse();
        found
    }

    /// A table's row begins.
    pub fn begin_row(&mut self) {
        self.forget();
    }

    /// A number of a table's row, whose columns have different names, in a column that [`OthersBuilder::columns`] has named.
    pub fn add_column(&mut self, judge: &Judge, metric: Option<u32>, text: &str) {
        match metric {
            Some(id) if self.added < MAX_FIELDS => {
                self.added += 1;
                if !judge.is_missing(&Slot::Cell(Cow::Borrowed(text))) {
                    self.worth.push((id, judge.unnamed(text)));
                }
            }
            _ => self.left_out += 1,
        }
    }

    fn forget(&mut self) {
        self.found.clear();
        self.worth.clear();
        self.added = 0;
        self.left_out = 0;
    }

    /// Of a name that occurs twice the last number counts.
    fn add(&mut self, name: &str, number: Cow<'a, str>) {
        let id = match self.known(name) {
            Known::Taken => return,
            Known::Unfit => {
                self.left_out += 1;
                return;
            }
            Known::Metric(id) => id,
        };
        if let Some(earlier) = self.found.iter_mut().find(|(of, _)| *of == id) {
            earlier.1 = number;
        } else if self.found.len() == MAX_FIELDS {
            self.left_out += 1;
        } else {
            self.found.push((id, number));
        }
    }

    fn known(&mut self, name: &str) -> Known {
        match self.known.get(name) {
            Some(known) => *known,
            None if name.is_empty() || name.len() > MAX_NAME => Known::Unfit,
            None => {
                self.built.names.push(Arc::from(name));
                let known = Known::Metric(self.built.names.len() as u32 - 1);
                self.known.insert(name.into(), known);
                known
            }
        }
    }

    /// The row is complete: keeps what was found, as far as it fits the unit. Nothing is kept of a
    /// reading that is filtered out.
    pub fn end_row(&mut self, judge: &Judge, slots: &[Slot<'_>], filtered: bool) {
        let flags = judge.unnamed_flags(slots);
        for (id, text) in self.found.drain(..).filter(|_| !filtered) {
            if judge.is_missing(&Slot::Cell(Cow::Borrowed(text.as_ref()))) {
                continue;
            }
            match judge.unnamed(text.trim_ascii()) {
                Some(value) => self.built.values.push((id, value, flags)),
                None => self.left_out += 1,
            }
        }
        for (id, value) in self.worth.drain(..).filter(|_| !filtered) {
            match value {
                Some(value) => self.built.values.push((id, value, flags)),
                None => self.left_out += 1,
            }
        }
        self.built.starts.push(self.built.values.len() as u32);
        self.built.left_out.push(if filtered { 0 } else { self.left_out });
    }

    /// Forgets every row from this one on.
    pub fn truncate(&mut self, rows: usize) {
        self.built.starts.truncate(rows + 1);
        self.built.left_out.truncate(rows);
        self.built.values.truncate(self.built.starts.last().map_or(0, |start| *start as usize));
    }

    pub fn finish(self) -> Others {
        self.built
    }
}
