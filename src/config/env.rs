//! Settings from the environment: `ETIAGE_STREAMS__TEMPERATURES__TOPICS='["a"]'`. A double
//! underscore goes one table down; names are matched whatever their case.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{ConfigError, Origin};
use super::tree::{self, Node, Setting, Table, Value};

const PREFIX: &str = "ETIAGE_";
/// Deeper than any table of the configuration.
const MAX_DEPTH: usize = 8;
/// A name this near to a section's is taken for a slip of the pen.
const SLIP: usize = 2;

/// Lays the environment's settings over the tree.
pub(super) fn overlay(tree: &mut Table, env: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
    let variables: BTreeMap<String, String> = env.filter(|(name, _)| is_ours(name)).collect();
    let mut seen = BTreeMap::new();
    for (name, value) in variables {
        if let Some(twin) = seen.insert(name.to_ascii_uppercase(), name.clone()) {
            return Err(ConfigError::invalid(format!("{name}: given twice, also as {twin}; remove one")));
        }
        let rest = name[PREFIX.len()..].to_ascii_lowercase();
        if rest.contains("__") {
            insert(tree, &rest, &name, value)?;
        } else if let Some(section) = slip(tree, &rest) {
            let key = rest.split_once('_').map_or("KEY".to_owned(), |(_, key)| key.to_ascii_uppercase());
            let meant = format!("{PREFIX}{}__{key}", section.to_ascii_uppercase());
            return Err(ConfigError::invalid(format!(
                "{name}: unknown variable, did you mean {meant} (two underscores)?"
            )));
        }
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The section that a variable without a double underscore seems to mean. Others are not for us:
/// Kubernetes tells every container of a Service `etiage` about `ETIAGE_SERVICE_HOST` and `ETIAGE_PORT_9464_TCP`.
fn slip(tree: &Table, rest: &str) -> Option<String> {
    if rest.contains("service_host") || rest.contains("service_port") || rest.starts_with("port") {
        return None;
    }
    let word = rest.split('_').next().unwrap_or_default();
    let distance = |section: &String| strsim::damerau_levenshtein(word, section);
    let nearest = tree.entries.keys().min_by_key(|section| distance(section))?;
    (distance(nearest) <= SLIP.min(word.len() / 3)).then(|| nearest.clone())
}

fn insert(tree: &mut Table, rest: &str, variable: &str, text: String) -> Result<(), ConfigError> {
    let origin = Origin::Env(variable.into());
    let segments: Vec<&str> = rest.split("__").collect();
    if segments.len() > MAX_DEPTH || segments.iter().any(|segment| segment.is_empty()) {
        let form = "expected names joined by two underscores, such as ETIAGE_STORE__KIND";
        return Err(ConfigError::invalid(format!("{variable}: {form}")));
    }
    let entry = if text.trim_start().starts_with('{') { tree::parse_inline(&text, &origin) } else { None };
    let entry = entry.filter(|node| matches!(node, Node::Table(_)));
    let entry = entry.unwrap_or_else(|| Node::Value(Setting { origin: origin.clone(), value: Value::Raw(text) }));
    if segments[0] == "kafka" {
        return insert_property(tree, &segments[1..].join("."), entry, origin);
    }
    let mut path = entry;
    for segment in segments[1..].iter().rev() {
        let mut table = Table::new(origin.clone());
        table.entries.insert(segment.to_string(), path);
        path = Node::Table(table);
    }
    let mut over = Table::new(origin);
    over.entries.insert(segments[0].to_owned(), path);
    rename(&mut over, tree);
    tree.merge(over);
    Ok(())
}

/// `ETIAGE_KAFKA__BOOTSTRAP_SERVERS` is the property `bootstrap.servers`.
fn insert_property(tree: &mut Table, name: &str, entry: Node, origin: Origin) -> Result<(), ConfigError> {
    let name = name.replace('_', ".");
    // A secret's file is a key of its own in the flat table.
    let (name, entry) = match entry {
        Node::Table(mut table) if table.entries.len() == 1 && table.entries.contains_key("file") => {
            (format!("{name}.file"), table.entries.remove("file").unwrap_or(Node::Table(table)))
        }
        entry => (name, entry),
    };
    let mut kafka = Table::new(origin.clone());
    kafka.entries.insert(name, entry);
    let mut over = Table::new(origin);
    over.entries.insert("kafka".to_owned(), Node::Table(kafka));
    tree.merge(over);
    Ok(())
}

/// Gives the keys of `over` the spelling that they have below: `CITY_SENSORS` is `city-sensors` where there is such a table.
fn rename(over: &mut Table, below: &Table) {
    let same =
        |a: &str, b: &str| a.eq_ignore_ascii_case(b) || a.replace('-', "_").eq_ignore_ascii_case(&b.replace('-', "_"));
    let entries = std::mem::take(&mut over.entries);
    for (key, mut node) in entries {
        let known = below.entries.iter().find(|(name, _)| same(name, &key));
        if let (Node::Table(inner), Some((_, Node::Table(below)))) = (&mut node, known) {
            rename(inner, below);
        }
        let name: Arc<str> = known.map_or(key.as_str(), |(name, _)| name.as_str()).into();
        over.entries.insert(name.to_string(), node);
    }
}
