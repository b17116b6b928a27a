//! A validating JSON scanner (RFC 8259) that keeps only the configured fields. One pass over text
//! that is known to be UTF-8; no allocation unless a kept string holds escapes.

use std::borrow::Cow;

use super::decimal::Number;
use super::fields::{Node, Slot};
use super::reject::Reject;
use super::swar::end_of_plain;

/// Objects and arrays within one another, at most.
pub const MAX_DEPTH: u32 = 64;

pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.blanks();
        scanner
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// What lies before is known to be in order.
    pub fn go_to(&mut self, at: usize) {
        debug_assert!(self.text.is_char_boundary(at));
        self.at = at;
    }

    /// Bytes scanned so far.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next byte; 0 at the end of the text.
    pub fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Takes the byte, if it comes next, and the blanks after it.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte && self.at < self.text.len();
        if found {
            self.at += 1;
            self.blanks();
        }
        found
    }

    pub fn fault<T>(&self, expected: &'static str) -> Result<T, Reject> {
        Err(Reject::Malformed { at: self.at, expected })
    }

    pub fn blanks(&mut self) {
        while is_blank(self.peek()) {
            self.at += 1;
        }
    }

    /// Nothing but blanks may follow.
    pub fn end(&mut self) -> Result<(), Reject> {
        self.blanks();
        if self.at < self.text.len() { self.fault("nothing more") } else { Ok(()) }
    }

    /// Scans an object, which must come next. Of a key that occurs twice the last value counts
    /// (also for everything below the first one). Slots of fields that do not occur are left alone.
    pub fn object(&mut self, node: Option<&Node>, slots: &mut [Slot<'a>], depth: u32) -> Result<(), Reject> {
        let mut more = self.open_object(depth)?;
        while more {
            match self.member(node)? {
                Some(child) => self.field(child, slots, depth)?,
                None => self.skip(depth)?,
            }
            more = self.another_member()?;
        }
        Ok(())
    }

    /// Steps into the object that must come next; false where nothing is in it.
    pub fn open_object(&mut self, depth: u32) -> Result<bool, Reject> {
        self.open(depth)?;
        Ok(!self.close(b'}'))
    }

    /// Steps over a key and its colon; where it leads to from here.
    pub fn member<'n>(&mut self, node: Option<&'n Node>) -> Result<Option<&'n Node>, Reject> {
        if self.peek() != b'"' {
            return self.fault("a key");
        }
        let (key, escaped) = self.string()?;
        self.blanks();
        if !self.take(b':') {
            return self.fault("':'");
        }
        let Some(node) = node else { return Ok(None) };
        Ok(if escaped { node.child(&unescape(key)) } else { node.child(key) })
    }

    /// Steps over what follows a member: whether that is another one.
    pub fn another_member(&mut self) -> Result<bool, Reject> {
        self.blanks();
        if self.close(b'}') {
            return Ok(false);
        }
        if self.take(b',') { Ok(true) } else { self.fault("',' or '}'") }
    }

    /// Another scanner of the same text, further on.
    pub fn from(&self, at: usize) -> Scanner<'a> {
        Scanner { at, ..*self }
    }

    /// Scans any value, keeping nothing.
    pub fn skip(&mut self, depth: u32) -> Result<(), Reject> {
        match self.peek() {
            b'{' => self.object(None, &mut [], depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(drop),
            _ => self.scalar().map(drop),
        }
    }

    /// Finds every number of an object at so many objects' depth, and of those within it, with its
    /// dotted path. The object has been scanned before, so its text is valid and not too deep.
    pub fn numbers(
        &mut self,
        path: &mut String,
        depth: u32,
        found: &mut impl FnMut(&str, &'a str),
    ) -> Result<(), Reject> {
        self.open(0)?;
        if self.close(b'}') {
            return Ok(());
        }
        let above = path.len();
        loop {
            let (inside, escaped) = self.string()?;
            if depth > 0 {
                path.push('.');
            }
            if escaped {
                path.push_str(&unescape(inside))
            } else {
                path.push_str(inside)
            }
            self.blanks();
            self.take(b':');
            match self.peek() {
                b'{' => self.numbers(path, depth + 1, found)?,
                b'-' | b'0'..=b'9' => {
                    let start = self.at;
                    self.number()?;
                    found(path, &self.text[start..self.at]);
                }
                _ => self.skip(0)?,
            }
            path.truncate(above);
            self.blanks();
            if self.close(b'}') {
                return Ok(());
            }
            self.take(b',');
        }
    }

    fn array(&mut self, depth: u32) -> Result<(), Reject> {
        self.open(depth)?;
        if self.close(b']') {
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            self.blanks();
            if self.close(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return self.fault("',' or ']'");
            }
        }
    }

    /// Steps over the opening bracket.
    fn open(&mut self, depth: u32) -> Result<(), Reject> {
        if depth > MAX_DEPTH {
            return Err(Reject::TooDeep { at: self.at, limit: MAX_DEPTH });
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> bool {
        let found = self.peek() == bracket;
        self.at += usize::from(found);
        found
    }

    fn field(&mut self, node: &Node, slots: &mut [Slot<'a>], depth: u32) -> Result<(), Reject> {
        node.below.iter().for_each(|&slot| slots[slot] = Slot::Absent);
        let start = self.at;
        let slot = match self.peek() {
            b'{' => {
                self.object(Some(node), slots, depth + 1)?;
                Slot::Nested(&self.text[start..self.at])
            }
            b'[' => {
                self.array(depth + 1)?;
                Slot::Nested(&self.text[start..self.at])
            }
            _ => self.leaf()?,
        };
        if let Some(at) = node.slot {
            slots[at] = slot;
        }
        Ok(())
    }

    /// A value without anything within it.
    pub fn leaf(&mut self) -> Result<Slot<'a>, Reject> {
        if self.peek() != b'"' {
            return self.scalar();
        }
        let (inside, escaped) = self.string()?;
        Ok(Slot::Text(if escaped { Cow::Owned(unescape(inside)) } else { Cow::Borrowed(inside) }))
    }

    /// The text between the quotes, and whether it holds escapes.
    fn string(&mut self) -> Result<(&'a str, bool), Reject> {
        self.at += 1;
        let (start, mut escaped) = (self.at, false);
        let bytes = self.text.as_bytes();
        loop {
            self.at = end_of_plain(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fault("no control character in a string"),
                None => return self.fault("the end of the string"),
            }
        }
        self.at += 1;
        Ok((&self.text[start..self.at - 1], escaped))
    }

    fn escape(&mut self) -> Result<(), Reject> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => match unicode_escape(&self.text.as_bytes()[self.at..]) {
                Some((_, length)) => {
                    self.at += length;
                    Ok(())
                }
                None => self.fault("a valid \\u escape"),
            },
            _ => self.fault("a valid escape"),
        }
    }

    fn scalar(&mut self) -> Result<Slot<'a>, Reject> {
        match self.peek() {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Slot::Bool(true)),
            b'f' => self.word("false", Slot::Bool(false)),
            b'n' => self.word("null", Slot::Null),
            _ => self.fault("a value"),
        }
    }

    fn word(&mut self, word: &str, slot: Slot<'a>) -> Result<Slot<'a>, Reject> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.fault("a value");
        }
        self.at += word.len();
        Ok(slot)
    }

    fn number(&mut self) -> Result<Slot<'a>, Reject> {
        let start = self.at;
        self.at += usize::from(self.peek() == b'-');
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        let number = Number::parse(&self.text[start..self.at]);
        number.map_or_else(|| self.fault("a number"), |number| Ok(Slot::Number(number)))
    }

    fn digits(&mut self) -> Result<(), Reject> {
        if !self.peek().is_ascii_digit() {
            return self.fault("a digit");
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }
}

/// White space in JSON.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The text of a string whose escapes have been found valid.
fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (character, length) = match rest.as_bytes().get(at + 1) {
            Some(b'u') => unicode_escape(&rest.as_bytes()[at..]).unwrap_or((char::REPLACEMENT_CHARACTER, 6)),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            // A quote, a backslash or a slash stands for itself.
            other => (other.copied().map_or('\\', char::from), 2),
        };
        text.push(character);
        rest = rest.get(at + length..).unwrap_or("");
    }
    text.push_str(rest);
    text
}

/// `\u` with four hexadecimal digits, or two of them that are a surrogate pair: the character and the length in bytes.
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| -> Option<u32> {
        let hex = text.get(at..at + 6)?;
        if !hex.starts_with(b"\\u") {
            return None;
        }
        hex[2..].iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
    };
    let first = unit(0)?;
    if !(0xD800..0xDC00).contains(&first) {
        // A low surrogate alone is no character.
        return char::from_u32(first).map(|character| (character, 6));
    }
    let second = unit(6).filter(|unit| (0xDC00..0xE000).contains(unit))?;
    char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).map(|character| (character, 12))
}
