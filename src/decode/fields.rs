//! The configured fields: each dotted path is a slot, and a tree of keys leads a scanner to it.

use std::borrow::Cow;

use super::decimal::Number;
use super::time::Stamp;

/// What a reading holds at a path, as it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Slot<'a> {
    #[default]
    Absent,
    Null,
    Bool(bool),
    Number(Number<'a>),
    /// A JSON string, unescaped.
    Text(Cow<'a, str>),
    /// A CSV cell: number or text, whatever is asked of it.
    Cell(Cow<'a, str>),
    /// An object or an array; a value of Arrow that is neither number nor text nor time.
    Nested(&'a str),
    /// A timestamp of Arrow: a time, and nothing else.
    Time(Stamp),
}

impl Slot<'_> {
    /// The value as text; none for null, objects, arrays and timestamps.
    pub fn text(&self) -> Option<&str> {
        match self {
            Slot::Absent | Slot::Null | Slot::Nested(_) | Slot::Time(_) => None,
            Slot::Bool(true) => Some("true"),
            Slot::Bool(false) => Some("false"),
            Slot::Number(number) => Some(number.text),
            Slot::Text(text) | Slot::Cell(text) => Some(text),
        }
    }

    /// The value as a message shows it: strings in quotes.
    pub fn shown(&self) -> Cow<'_, str> {
        match self {
            Slot::Text(text) | Slot::Cell(text) => {
                // Long values are clipped later; quoting first would read all of them.
                let start: String = text.chars().take(80).collect();
                format!("{start:?}").into()
            }
            Slot::Nested(text) => Cow::Borrowed(text),
            Slot::Time(stamp) => stamp.to_string().into(),
            other => other.text().unwrap_or("null").into(),
        }
    }
}

/// A position in the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(pub usize);

/// All paths that a stream's configuration names. (A key that itself holds a dot cannot be named
/// in JSON; in CSV a path is the column's whole name, in Arrow it may be.)
#[derive(Clone, Debug, Default)]
pub struct Fields {
    paths: Vec<Box<str>>,
}

impl Fields {
    /// The slot of a path; the same one however often it is asked for.
    pub fn slot(&mut self, path: &str) -> SlotId {
        let known = self.paths.iter().position(|known| **known == *path);
        SlotId(known.unwrap_or_else(|| {
            self.paths.push(path.into());
            self.paths.len() - 1
        }))
    }

    pub fn path(&self, slot: SlotId) -> &str {
        &self.paths[slot.0]
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| &**path)
    }

    pub fn len(&self) -> usize {
        self.paths.len()
    }

    pub fn tree(&self) -> Node {
        let mut root = Node::default();
        for (slot, path) in self.paths.iter().enumerate() {
            let mut node = &mut root;
            for key in path.split('.') {
                node.below.push(slot);
                node = node.child_mut(key);
            }
            node.slot = Some(slot);
        }
        root
    }
}

/// A place in an object that leads to configured fields.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The slot that takes the value here.
    pub slot: Option<usize>,
    /// Slots of everything further down.
    pub below: Vec<usize>,
    children: Vec<(Box<str>, Node)>,
}

impl Node {
    pub fn child(&self, key: &str) -> Option<&Node> {
        self.children.iter().find(|(name, _)| **name == *key).map(|(_, node)| node)
    }

    fn child_mut(&mut self, key: &str) -> &mut Node {
        let known = self.children.iter().position(|(name, _)| **name == *key);
        let at = known.unwrap_or_else(|| {
            self.children.push((key.into(), Node::default()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }
}
