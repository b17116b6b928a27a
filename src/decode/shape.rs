//! Readings of one stream look alike: between their values stands the same text, reading after reading. Of a reading
//! that has been scanned, this text is remembered, its *shape*. Where another one has the same text in the same
//! places, and one complete value in each place between, it is the same object with other values, and where they belong is known.
//! Plain strings and numbers are looked at sixteen bytes at once ([`super::window`]), other values by the scanner.
//!
//! ```text
//! {"id":"s1","lat":48.85,"p":{"t":20.5}}        read:    {"id":"s2","lat":-3.1,"p":{"t":null}}
//! ──────    ───────     ─────────      ──       by                ▲           ▲          ▲
//!       id         lat            p.t           shape
//! ```
//! Shapes that differ in one member begin alike. Where one does not fit behind some values, another one that begins with the same
//! goes on from there: trying many costs little more than trying one.
//!
//! What fits no shape (another order or spacing, anything broken) is scanned in [`super::json`], which knows all of the
//! rules and says what is wrong; that is also the twin that holds this file to account.

use std::borrow::Cow;

use super::decimal::Number;
use super::fields::{Node, Slot};
use super::json::{MAX_DEPTH, Scanner};
use super::judge::Judge;
use super::plain::{Ordinary, Plan, Use};
use super::reject::Reject;
use super::time::Minutes;
use super::window::{READING, Window};

/// Shapes that are tried; beyond, the oldest is forgotten.
const MOST: usize = 16;

/// Of the first readings that fit none each one is learned, of later ones a few.
const FIRST: u64 = 2 * MOST as u64;

/// Bytes of an object whose shape is learned, at most: as many as a window shows. (A shape takes some twenty times as many where an
/// object is nothing but the shortest members.)
const MAX_OBJECT: usize = READING;

/// The shapes of the readings of a batch.
#[derive(Default)]
pub struct Shapes {
    known: Vec<Shape>,
    /// The one that fitted last.
    last: usize,
    /// Where the next one goes.
    next: usize,
    /// With how many values each two of them begin alike.
    alike: [[usize; MOST]; MOST],
    /// Readings that fitted none, and those that fitted another one than the reading before.
    misses: u64,
    found: u64,
}

impl Shapes {
    /// Takes the object that opens the window and the text into the slots, if it fits: where it ends. They may hold
    /// anything where it does not.
    pub fn read<'a>(
        &mut self,
        window: &Window<'_>,
        text: &'a str,
        slots: &mut [Slot<'a>],
        depth: u32,
    ) -> Option<usize> {
        self.fits(|shape, start| shape.read(window, text, slots, depth, start))
    }

    /// The same for an ordinary reading, of a shape that has all that the plan must have.
    #[inline(always)]
    pub fn ordinary<'a>(
        &mut self,
        into: &mut Ordinary<'a>,
        window: &Window<'_>,
        text: &'a str,
        judge: &Judge,
        minutes: &mut Minutes,
        depth: u32,
    ) -> Option<usize> {
        self.fits(|shape, start| match shape.is_plain {
            true => into.read(shape, window, text, judge, minutes, depth, start),
            false => Err(Misfit::OTHER),
        })
    }

    /// Where the object ends, by the first shape that reads it: first of all the one that fitted last.
    #[inline(always)]
    fn fits(&mut self, mut read: impl FnMut(&Shape, Start) -> Result<usize, Misfit>) -> Option<usize> {
        match read(self.known.get(self.last)?, Start::default()) {
            Ok(end) => Some(end),
            Err(misfit) => self.another_fits(misfit, read),
        }
    }

    /// `misfit`: why the one that fitted last does not.
    #[inline(never)]
    fn another_fits(
        &mut self,
        mut misfit: Misfit,
        mut read: impl FnMut(&Shape, Start) -> Result<usize, Misfit>,
    ) -> Option<usize> {
        // Where next to nothing is alike, trying costs more than it saves.
        if self.misses > FIRST + 8 * self.found {
            return None;
        }
        let mut tried = self.last;
        for (number, shape) in self.known.iter().enumerate().filter(|(number, _)| *number != self.last) {
            let alike = self.alike[tried][number];
            let start = match misfit {
                Misfit::Behind(start) if alike >= start.values => start,
                // This one would not take it either.
                Misfit::OfValue(value) if alike > value => continue,
                _ => Start::default(),
            };
            match read(shape, start) {
                Ok(end) => {
                    (self.last, self.found) = (number, self.found + 1);
                    return Some(end);
                }
                Err(another) => (tried, misfit) = (number, another),
            }
        }
        None
    }

    /// A valid object that fitted none. Its shape is learned, if it is one of the first such, but not the very first, or later the
    /// 64th, the 128th: so that learning costs next to nothing where no reading is like another.
    pub fn missed(&mut self, object: &str, tree: &Node, slots: usize, plan: Option<&Plan>) {
        self.misses += 1;
        let is_one = self.misses > 1 && (self.misses <= FIRST || self.misses.is_power_of_two());
        if !is_one || object.len() > MAX_OBJECT {
            return;
        }
        let Some(shape) = Shape::of(object, tree, slots, plan) else { return };
        match self.known.iter().position(|known| *known == shape) {
            // (The others were not tried.)
            Some(number) => (self.last, self.found) = (number, self.found + 1),
            None => self.learn(shape),
        }
    }

    fn learn(&mut self, shape: Shape) {
        let new = self.next;
        for (number, known) in self.known.iter().enumerate() {
            let alike = known.values.iter().zip(&shape.values).take_while(|(known, new)| known == new).count();
            (self.alike[new][number], self.alike[number][new]) = (alike, alike);
        }
        match self.known.get_mut(new) {
            Some(oldest) => *oldest = shape,
            None => self.known.push(shape),
        }
        (self.last, self.next) = (new, (new + 1) % MOST);
    }
}

/// What stands before each value, and before the end of the object.
#[derive(PartialEq)]
pub struct Shape {
    values: Vec<(Literal, Place)>,
    end: Literal,
    /// Slots that take none of them.
    absent: Vec<usize>,
    /// Objects within one another, at most, beside the outermost.
    depth: u32,
    /// It has all that the stream's plan must have.
    is_plain: bool,
    /// What it lacks of the plan.
    pub lacking: Vec<Use>,
}

/// What has been taken of an object already: so many values, up to here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    pub values: usize,
    at: usize,
}

/// Why an object does not fit.
#[derive(Clone, Copy, Debug)]
pub enum Misfit {
    /// Another text comes behind these values.
    Behind(Start),
    /// The value with this number is none that would be taken.
    OfValue(usize),
}

impl Misfit {
    /// Nothing that is known of another shape.
    const OTHER: Misfit = Misfit::OfValue(usize::MAX);
}

/// What is known of a value.
#[derive(Clone, Copy, PartialEq)]
pub struct Place {
    slot: Option<usize>,
    /// What becomes of it, as the plan says.
    pub of: Use,
    /// Nothing at or below it is asked for: it may be an object or an array.
    any: bool,
    /// Objects around its own, within the reading.
    depth: u32,
}

impl Shape {
    /// `None` where the object is more than its scalars, each in one place: of a key that occurs twice, for instance,
    /// the later value counts.
    fn of(object: &str, tree: &Node, slots: usize, plan: Option<&Plan>) -> Option<Shape> {
        let mut learner = Learner { object, from: 0, depth: 0, values: Vec::new(), seen: Vec::new() };
        let mut scanner = Scanner::new(object);
        learner.object(&mut scanner, Some(tree), 0).ok().filter(|learned| *learned)?;
        let taken: Vec<usize> = learner.values.iter().filter_map(|(_, place)| place.slot).collect();
        let absent = (0..slots).filter(|slot| !taken.contains(slot)).collect();
        let end = Literal::new(&object[learner.from..]);
        let mut shape =
            Shape { values: learner.values, end, absent, depth: learner.depth, is_plain: false, lacking: Vec::new() };
        let slots = shape.values.iter().map(|(_, place)| place.slot);
        if let Some(uses) = plan.and_then(|plan| plan.uses(slots)) {
            shape.values.iter_mut().zip(uses.of).for_each(|((_, place), of)| place.of = of);
            (shape.is_plain, shape.lacking) = (true, uses.lacking);
        }
        Some(shape)
    }

    /// Where the object that opens the window ends, if it has this shape: `take` takes each value behind the start, and says where it ends.
    #[inline(always)]
    pub fn walk(
        &self,
        window: &Window<'_>,
        depth: u32,
        start: Start,
        mut take: impl FnMut(&Window<'_>, &Place, usize) -> Option<usize>,
    ) -> Result<usize, Misfit> {
        if depth + self.depth > MAX_DEPTH {
            return Err(Misfit::OTHER);
        }
        // (A copy of its own: then nothing of it is looked up again for each value.)
        let (window, mut at) = (*window, start.at);
        for (number, (before, place)) in self.values.iter().enumerate().skip(start.values) {
            at = before.after(&window, at).ok_or(Misfit::Behind(Start { values: number, at }))?;
            at = take(&window, place, at).ok_or(Misfit::OfValue(number))?;
        }
        let end = self.end.after(&window, at).filter(|end| *end <= window.limit());
        end.ok_or(Misfit::Behind(Start { values: self.values.len(), at }))
    }

    /// Where the object ends.
    fn read<'a>(
        &self,
        window: &Window<'_>,
        text: &'a str,
        slots: &mut [Slot<'a>],
        depth: u32,
        start: Start,
    ) -> Result<usize, Misfit> {
        let end = self.walk(window, depth, start, |window, place, at| place.read(window, text, at, slots, depth))?;
        self.absent.iter().for_each(|slot| slots[*slot] = Slot::Absent);
        Ok(end)
    }
}

impl Place {
    /// Where a value ends that nobody asks for, a number before its exponent; `depth`: objects around the reading.
    #[inline(always)]
    pub fn pass(&self, window: &Window<'_>, text: &str, at: usize, depth: u32) -> Option<usize> {
        if let Some(end) = window.text(at) {
            return Some(end + 1);
        }
        match window.number(at) {
            Some(plain) => Some(plain.end),
            None => self.scan(text, at, depth).map(|(_, end)| end),
        }
    }

    /// Where the value at `at` ends.
    #[inline]
    fn read<'a>(
        &self,
        window: &Window<'_>,
        text: &'a str,
        at: usize,
        slots: &mut [Slot<'a>],
        depth: u32,
    ) -> Option<usize> {
        let (slot, end) = if let Some(end) = window.text(at) {
            if self.slot.is_none() {
                return Some(end + 1);
            }
            (Slot::Text(Cow::Borrowed(text.get(at + 1..end)?)), end + 1)
        } else if let Some(plain) = window.number(at)
            && !matches!(window.byte(plain.end), Some(b'e' | b'E'))
        {
            let number = Number::plain(text.get(at..plain.end)?, plain.negative, plain.mantissa, plain.decimals);
            (Slot::Number(number), plain.end)
        } else {
            self.scan(text, at, depth)?
        };
        if let Some(place) = self.slot {
            slots[place] = slot;
        }
        Some(end)
    }

    /// Any value, as the scanner takes it, and where it ends. (At or below an object or an array that it passes nothing is asked for.)
    fn scan<'a>(&self, text: &'a str, at: usize, depth: u32) -> Option<(Slot<'a>, usize)> {
        let mut scanner = Scanner::new(text).from(at);
        if !matches!(scanner.peek(), b'{' | b'[') {
            return Some((scanner.leaf().ok()?, scanner.at()));
        }
        if !self.any {
            return None;
        }
        scanner.skip(depth + self.depth).ok()?;
        Some((Slot::Absent, scanner.at()))
    }
}

/// Text that must come next.
#[derive(PartialEq)]
struct Literal {
    /// Its first 16 bytes, and which bits of them count.
    head: u128,
    mask: u128,
    tail: Box<[u8]>,
    length: usize,
}

impl Literal {
    fn new(text: &str) -> Literal {
        let (head, tail) = text.as_bytes().split_at(text.len().min(16));
        let mut bytes = [0; 16];
        bytes[..head.len()].copy_from_slice(head);
        let mask = if head.len() == 16 { u128::MAX } else { (1 << (8 * head.len())) - 1 };
        Literal { head: u128::from_le_bytes(bytes), mask, tail: tail.into(), length: text.len() }
    }

    /// Where it ends. `None` where something else comes.
    #[inline(always)]
    fn after(&self, window: &Window<'_>, at: usize) -> Option<usize> {
        let head = u128::from_le_bytes(*window.sixteen(at)?);
        let fits = (head ^ self.head) & self.mask == 0;
        (fits && (self.tail.is_empty() || window.starts_with(at + 16, &self.tail))).then_some(at + self.length)
    }
}

/// Takes a scanned object apart.
struct Learner<'o> {
    object: &'o str,
    /// Where the last value ended.
    from: usize,
    depth: u32,
    values: Vec<(Literal, Place)>,
    /// Nodes of the tree whose keys have occurred.
    seen: Vec<*const Node>,
}

impl Learner<'_> {
    /// Whether it has a shape. (The scanner finds nothing wrong: the object has been scanned before.)
    fn object(&mut self, scanner: &mut Scanner<'_>, node: Option<&Node>, depth: u32) -> Result<bool, Reject> {
        self.depth = self.depth.max(depth);
        let mut more = scanner.open_object(depth)?;
        while more {
            let child = scanner.member(node)?;
            if let Some(child) = child {
                if self.seen.contains(&std::ptr::from_ref(child)) {
                    return Ok(false);
                }
                self.seen.push(child);
            }
            let slot = child.and_then(|child| child.slot);
            if scanner.peek() == b'{' {
                if slot.is_some() || !self.object(scanner, child, depth + 1)? {
                    return Ok(false);
                }
            } else {
                self.values.push((
                    Literal::new(&self.object[self.from..scanner.at()]),
                    Place { slot, of: Use::Nothing, any: child.is_none(), depth },
                ));
                scanner.skip(depth)?;
                self.from = scanner.at();
            }
            more = scanner.another_member()?;
        }
        Ok(true)
    }
}
