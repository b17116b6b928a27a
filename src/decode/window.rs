//! What is to be read, a reading or CSV rows, and what lies behind it in the batch's buffer, looked at sixteen bytes at a time.
//!
//! A window always shows some bytes more than may be read, so that nothing has to ask whether the buffer goes on behind what
//! it looks at: the end of the buffer is copied once, with zeros behind it. (A zero ends strings and numbers.)

use super::swar::{Plain, either, plain_number, special};

/// Bytes that are read by one window, at most: longer readings are scanned ([`super::json`]), longer rows cut ([`super::csv`]).
pub const READING: usize = 4096;
/// Bytes behind them: as many as are looked at for a number.
const BEHIND: usize = 32;
const WINDOW: usize = READING + BEHIND;

/// All windows of a buffer.
pub struct Windows<'a> {
    bytes: &'a [u8],
    /// Where the last bytes lie, which are copied here.
    end_at: usize,
    end: Box<[u8; 2 * WINDOW]>,
}

impl<'a> Windows<'a> {
    pub fn new(bytes: &'a [u8]) -> Windows<'a> {
        let end_at = bytes.len().saturating_sub(WINDOW);
        let mut end = Box::new([0; 2 * WINDOW]);
        end[..bytes.len() - end_at].copy_from_slice(&bytes[end_at..]);
        Windows { bytes, end_at, end }
    }

    /// From `at` on: what may be read ends at `end`, or before.
    #[inline(always)]
    pub fn at(&self, at: usize, end: usize) -> Window<'_> {
        let within = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        let bytes = within.unwrap_or_else(|| {
            let at = at.saturating_sub(self.end_at).min(WINDOW);
            self.end[at..].first_chunk().expect("a window from any byte of its first half")
        });
        Window { bytes, limit: end.saturating_sub(at).min(READING) }
    }
}

#[derive(Clone, Copy)]
pub struct Window<'w> {
    bytes: &'w [u8; WINDOW],
    /// Nothing is read from here on.
    limit: usize,
}

impl<'w> Window<'w> {
    /// How many bytes may be read.
    pub fn limit(&self) -> usize {
        self.limit
    }

    #[inline(always)]
    fn is_within(&self, at: usize) -> bool {
        // (That it is at most so many the compiler cannot know otherwise.)
        at < self.limit.min(READING)
    }

    /// Sixteen bytes, the first of which may be read.
    #[inline(always)]
    pub fn sixteen(&self, at: usize) -> Option<&'w [u8; 16]> {
        if self.is_within(at) { self.bytes[at..].first_chunk() } else { None }
    }

    /// A byte that may be read.
    #[inline(always)]
    pub fn byte(&self, at: usize) -> Option<u8> {
        self.is_within(at).then(|| self.bytes[at])
    }

    pub fn starts_with(&self, at: usize, text: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(text))
    }

    /// Where the JSON string at `at` has its closing quote, if it holds no escapes.
    #[inline(always)]
    pub fn text(&self, at: usize) -> Option<usize> {
        if self.byte(at)? != b'"' {
            return None;
        }
        let mut from = at + 1;
        loop {
            let marks = special(*self.sixteen(from)?);
            if marks != 0 {
                let end = from + marks.trailing_zeros() as usize % 16;
                return (self.bytes[end] == b'"').then_some(end);
            }
            from += 16;
        }
    }

    /// Where the first of two bytes stands from `at` on.
    #[inline(always)]
    pub fn either(&self, mut at: usize, one: u8, other: u8) -> Option<usize> {
        loop {
            let found = either(*self.sixteen(at)?, one, other);
            if found != 0 {
                let at = at + found.trailing_zeros() as usize;
                return (at < self.limit).then_some(at);
            }
            at += 16;
        }
    }

    /// The number at `at`. (What follows it is not looked at: it may go on with an exponent.)
    #[inline(always)]
    pub fn number(&self, at: usize) -> Option<Plain> {
        if self.is_within(at) { plain_number(self.bytes, at) } else { None }
    }
}
