//! The ordinary CSV row, cell by cell, straight into a row of the columns.
//!
//! As with [`super::plain`]: a row whose cells hold ordinary values, none of them quoted, is taken in one pass over its text.
//! At anything else the pass gives up, and the row is cut into cells ([`super::csv`]), slots are filled and judged, which is
//! also the twin that holds this file to account.

use super::judge::Judge;
use super::plain::{Ordinary, Use, Uses};
use super::time::Minutes;
use super::window::Window;

/// What opens a window: rows of CSV, the last one of them without a line end perhaps.
#[derive(Clone, Copy)]
pub struct Rows<'a, 'w> {
    pub text: &'a str,
    pub window: Window<'w>,
    pub separator: u8,
}

/// Where a row ends, and where the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowEnd {
    pub end: usize,
    pub next: usize,
}

impl<'a> Ordinary<'a> {
    /// Takes the first row, if it is an ordinary one with a cell for each of the uses.
    #[inline(always)]
    pub fn read_row(
        &mut self,
        uses: &Uses,
        rows: Rows<'a, '_>,
        judge: &Judge,
        minutes: &mut Minutes,
    ) -> Option<RowEnd> {
        self.filtered = false;
        let (last, before) = uses.of.split_last()?;
        let mut at = 0;
        for of in before {
            let end = self.cell(*of, rows, at, judge, minutes)?;
            if rows.window.byte(end)? != rows.separator {
                return None;
            }
            at = end + 1;
        }
        let end = self.cell(*last, rows, at, judge, minutes)?;
        // Many files have a separator behind the last cell, too.
        let end = end + usize::from(rows.window.byte(end) == Some(rows.separator));
        let next = rows.line_end(end)?;
        uses.lacking.iter().for_each(|of| self.lacks(*of, judge));
        // (A row without anything in it is none: it has no time.)
        Some(RowEnd { end, next })
    }

    /// Takes the cell at `at`: where it ends.
    #[inline(always)]
    fn cell(&mut self, of: Use, rows: Rows<'a, '_>, at: usize, judge: &Judge, minutes: &mut Minutes) -> Option<usize> {
        if let Use::Lat | Use::Lon | Use::Metric(_) = of {
            if let Some(plain) = rows.window.number(at) {
                return self.number(of, plain, judge);
            }
            let end = rows.cell_end(at)?;
            return self.missing(of, rows.text.get(at..end)?, judge).map(|()| end);
        }
        let end = rows.cell_end(at)?;
        if of == Use::Nothing {
            return Some(end);
        }
        let text = rows.text.get(at..end)?;
        // (What stands between blanks is cut out elsewhere.)
        if text.trim_ascii().len() < text.len() {
            return None;
        }
        self.text(of, text, judge, minutes).map(|()| end)
    }
}

impl Rows<'_, '_> {
    /// Where the cell at `at` ends, which is not quoted.
    #[inline(always)]
    fn cell_end(&self, at: usize) -> Option<usize> {
        if self.window.byte(at) == Some(b'"') {
            return None;
        }
        let end =
            self.window.either(at, self.separator, b'\n').or_else(|| self.is_whole().then_some(self.text.len()))?;
        // The carriage return before a line end is not the cell's.
        let is_return = end > at && self.window.byte(end - 1) == Some(b'\r') && self.line_end(end).is_some();
        Some(end - usize::from(is_return))
    }

    /// Where the next row begins, if this one ends here.
    #[inline(always)]
    fn line_end(&self, at: usize) -> Option<usize> {
        let at = at + usize::from(self.window.byte(at) == Some(b'\r'));
        match self.window.byte(at) {
            Some(b'\n') => Some(at + 1),
            None if at == self.text.len() => Some(at),
            _ => None,
        }
    }

    /// The window shows all of the rows.
    fn is_whole(&self) -> bool {
        self.window.limit() == self.text.len()
    }
}
