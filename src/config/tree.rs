//! Layers of settings: tables of values that know where they were given, laid one over another.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};

/// A configuration file is read up to here, bytes.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Table(Table),
    Value(Setting),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub origin: Origin,
    pub entries: BTreeMap<String, Node>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub origin: Origin,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// Numbers, booleans and dates, as they are written: no digit of a decimal is lost.
    Bare(String),
    List(Vec<Node>),
    /// From the environment: what it means depends on what is expected.
    Raw(String),
}

impl Node {
    pub fn origin(&self) -> &Origin {
        match self {
            Node::Table(table) => &table.origin,
            Node::Value(setting) => &setting.origin,
        }
    }
}

impl Table {
    pub fn new(origin: Origin) -> Table {
        Table { origin, entries: BTreeMap::new() }
    }

    /// Lays another table over this one: tables are joined, anything else is replaced.
    pub fn merge(&mut self, over: Table) {
        if self.origin == Origin::Default {
            self.origin = over.origin;
        }
        for (key, node) in over.entries {
            match (self.entries.get_mut(&key), node) {
                (Some(Node::Table(below)), Node::Table(above)) => below.merge(above),
                (_, node) => drop(self.entries.insert(key, node)),
            }
        }
    }
}

impl fmt::Display for Value {
    /// The value as a message shows it: short, and on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shorten = |text: &str| match text.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        };
        match self {
            Value::Text(text) | Value::Raw(text) => write!(f, "{:?}", shorten(text)),
            Value::Bare(text) => write!(f, "{}", shorten(text)),
            Value::List(_) => write!(f, "[…]"),
        }
    }
}

/// The settings of a file's text.
pub(super) fn of_file(path: &Path, text: &str) -> Result<Table, ConfigError> {
    let path: Arc<Path> = path.into();
    parse(text, &|line| Origin::File { path: path.clone(), line })
}

/// The settings of a TOML document; `origin` says where a line of it is.
pub(super) fn parse(text: &str, origin: &dyn Fn(usize) -> Origin) -> Result<Table, ConfigError> {
    let lines = Lines::new(text);
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.of(span.start));
        ConfigError::invalid(format!("{}: {}", origin(line), error.message().trim()))
    })?;
    let place = |offset: usize| origin(lines.of(offset));
    let mut table = table(root.get_ref(), place(0), &place);
    flatten_kafka(&mut table);
    Ok(table)
}

/// A value of the environment that is written as an inline table; `None` where it is none.
pub(super) fn parse_inline(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(&value, &|_| origin.clone()))
}

fn table(from: &DeTable<'_>, origin: Origin, place: &dyn Fn(usize) -> Origin) -> Table {
    let mut table = Table::new(origin);
    for (key, value) in from.iter() {
        let mut entry = node(value, place);
        // A key's own line says where it stands better than its value's does.
        match &mut entry {
            Node::Table(table) => table.origin = place(key.span().start),
            Node::Value(setting) => setting.origin = place(key.span().start),
        }
        table.entries.insert(key.get_ref().to_string(), entry);
    }
    table
}

fn node(from: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Origin) -> Node {
    let origin = place(from.span().start);
    let value = match from.get_ref() {
        DeValue::Table(inner) => return Node::Table(table(inner, origin, place)),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, place)).collect()),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Value::Bare(number.as_str().replace('_', "")),
        DeValue::Integer(number) => Value::Bare(
            i64::from_str_radix(number.as_str(), number.radix()).map_or(number.to_string(), |n| n.to_string()),
        ),
        DeValue::Float(number) => Value::Bare(number.as_str().replace('_', "")),
        DeValue::Boolean(yes) => Value::Bare(yes.to_string()),
        DeValue::Datetime(time) => Value::Bare(time.to_string()),
    };
    Node::Value(Setting { origin, value })
}

/// `bootstrap.servers = "…"` is nested tables to TOML and one property to librdkafka: joined here, so
/// that layers replace each other property by property.
fn flatten_kafka(root: &mut Table) {
    if let Some(Node::Table(kafka)) = root.entries.get_mut("kafka") {
        let mut flat = BTreeMap::new();
        flatten(std::mem::take(&mut kafka.entries), "", &mut flat);
        kafka.entries = flat;
    }
}

fn flatten(entries: BTreeMap<String, Node>, prefix: &str, flat: &mut BTreeMap<String, Node>) {
    for (key, node) in entries {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match node {
            Node::Table(table) => flatten(table.entries, &name, flat),
            value => drop(flat.insert(name, value)),
        }
    }
}

/// Line numbers by byte offset.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Lines {
        Lines(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    fn of(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|&end| end < offset)
    }
}
