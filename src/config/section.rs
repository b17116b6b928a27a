//! Reads one table key by key, and refuses at the end what nobody asked for.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::tree::{self, Node, Setting, Table, Value};
use super::value::{Form, TEXT, nearest};
use crate::limited;

/// A secret's file is read up to here, bytes (a certificate chain fits).
const MAX_SECRET: u64 = 64 << 10;

pub(super) struct Section<'a> {
    pub path: String,
    pub table: Table,
    /// Keys asked for so far: what is known here.
    known: Vec<String>,
    /// Relative paths of the configuration file start here.
    pub base: &'a Path,
}

impl<'a> Section<'a> {
    pub fn new(path: impl Into<String>, table: Table, base: &'a Path) -> Section<'a> {
        Section { path: path.into(), table, known: Vec::new(), base }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An error about one key, told where it was given (or else where its table was).
    pub fn error(&self, origin: &Origin, key: &str, message: impl std::fmt::Display) -> ConfigError {
        ConfigError::at(origin, &self.key(key), message)
    }

    /// Takes a key out, whatever it holds.
    pub fn take(&mut self, key: &str) -> Option<Node> {
        self.known.push(key.to_owned());
        self.table.entries.remove(key)
    }

    /// A table within this one; `None` where it is absent.
    pub fn section(&mut self, key: &str) -> Result<Option<Section<'a>>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Node::Table(table)) => Ok(Some(Section::new(self.key(key), table, self.base))),
            Some(Node::Value(setting)) => {
                Err(self.error(&setting.origin, key, format!("expected a table, found {}", setting.value)))
            }
        }
    }

    /// The tables within this one, by name.
    pub fn sections(mut self) -> Result<Vec<(String, Section<'a>)>, ConfigError> {
        let names: Vec<String> = self.table.entries.keys().cloned().collect();
        let mut sections = Vec::new();
        for name in names {
            if !super::value::is_name(&name) {
                let form = "expected a name of at most 64 letters, digits, \"_\" and \"-\"";
                return Err(self.error(&self.table.origin, &format!("{name:?}"), form));
            }
            sections.extend(self.section(&name)?.map(|section| (name, section)));
        }
        Ok(sections)
    }

    /// A value, where one is given: an empty text is none.
    pub fn optional<T>(&mut self, key: &str, form: &Form<T>) -> Result<Option<T>, ConfigError> {
        let Some((origin, text)) = self.scalar(key, form.expected)? else { return Ok(None) };
        if text.is_empty() {
            return Ok(None);
        }
        match (form.read)(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(self.unexpected(&origin, key, &Value::Text(text), form.expected)),
        }
    }

    /// A value that must be given, here or in the defaults.
    pub fn required<T>(&mut self, key: &str, form: &Form<T>) -> Result<T, ConfigError> {
        let value = self.optional(key, form)?;
        value.ok_or_else(|| self.error(&self.table.origin, key, format!("not given; expected {}", form.expected)))
    }

    /// A list of texts; one text stands for a list of one. Says where it was given.
    pub fn list(&mut self, key: &str, form: &Form<String>) -> Result<(Origin, Vec<String>), ConfigError> {
        let Some(node) = self.take(key) else { return Ok((Origin::Default, Vec::new())) };
        let origin = node.origin().clone();
        let expected = format!("a list such as [\"a\", \"b\"] of {}", form.expected);
        let items = self.items(key, node, &expected)?;
        let mut texts = Vec::new();
        for item in items {
            let setting = match item {
                Node::Value(Setting { value: Value::Text(text) | Value::Bare(text) | Value::Raw(text), .. }) => text,
                Node::Value(setting) => return Err(self.unexpected(&origin, key, &setting.value, &expected)),
                Node::Table(_) => return Err(self.error(&origin, key, format!("expected {expected}"))),
            };
            let text = (form.read)(&setting);
            texts.push(text.ok_or_else(|| self.unexpected(&origin, key, &Value::Text(setting), &expected))?);
        }
        Ok((origin, texts))
    }

    /// The items of a list, from TOML or from the environment.
    pub fn items(&self, key: &str, node: Node, expected: &str) -> Result<Vec<Node>, ConfigError> {
        let setting = match node {
            Node::Value(setting) => setting,
            table => return Err(self.error(table.origin(), key, format!("expected {expected}, not a table"))),
        };
        match &setting.value {
            Value::List(items) => Ok(items.clone()),
            Value::Raw(text) if text.trim_start().starts_with('[') => {
                match tree::parse_inline(text.trim(), &setting.origin) {
                    Some(Node::Value(Setting { value: Value::List(items), .. })) => Ok(items),
                    _ => Err(self.unexpected(&setting.origin, key, &setting.value, expected)),
                }
            }
            Value::Raw(text) if text.is_empty() => Ok(Vec::new()),
            _ => Ok(vec![Node::Value(setting)]),
        }
    }

    /// A path: relative ones of the file start at the file's directory, those of the environment where the process runs.
    pub fn file(&mut self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        let Some((origin, text)) = self.scalar(key, "a file's path")? else { return Ok(None) };
        Ok((!text.is_empty()).then(|| resolve(self.base, &origin, &text)))
    }

    /// One text, with where it was given; a secret is read from its file.
    fn scalar(&mut self, key: &str, expected: &str) -> Result<Option<(Origin, String)>, ConfigError> {
        let node = match (self.take(key), self.secret_file(key)?) {
            (Some(value), Some(file)) if value.origin().layer() == file.layer() => {
                return Err(self.error(
                    &file,
                    key,
                    format!("given twice, by {file} and by {}; remove one", value.origin()),
                ));
            }
            (node, None) => node,
            (_, Some(origin)) => {
                let mut table = Table::new(origin);
                let file = self.table.entries.remove(&format!("{key}_file"));
                table.entries.extend(file.map(|file| ("file".to_owned(), file)));
                Some(Node::Table(table))
            }
        };
        match node {
            None => Ok(None),
            Some(Node::Table(table)) => self.secret(key, table, expected).map(Some),
            Some(Node::Value(Setting { origin, value: Value::Text(text) | Value::Bare(text) })) => {
                Ok(Some((origin, text)))
            }
            Some(Node::Value(Setting { origin, value: Value::Raw(text) })) => Ok(Some((origin, unquote(text)))),
            Some(Node::Value(list)) => Err(self.unexpected(&list.origin, key, &list.value, expected)),
        }
    }

    /// Where the environment names a file that holds this key's value (`ETIAGE_STORE__PASSWORD_FILE`).
    fn secret_file(&self, key: &str) -> Result<Option<Origin>, ConfigError> {
        let origin = self.table.entries.get(&format!("{key}_file")).map(Node::origin);
        Ok(origin.filter(|origin| matches!(origin, Origin::Env(_))).cloned())
    }

    fn secret(&self, key: &str, mut table: Table, expected: &str) -> Result<(Origin, String), ConfigError> {
        match (table.entries.remove("file"), table.entries.is_empty()) {
            (Some(Node::Value(file)), true) => Ok((file.origin.clone(), self.secret_text(key, file)?)),
            _ => Err(self.error(&table.origin, key, format!("expected {expected}, or {{ file = \"path\" }}"))),
        }
    }

    /// What a secret's file holds, without the newline that editors put at its end.
    pub fn secret_text(&self, key: &str, file: Setting) -> Result<String, ConfigError> {
        let (Value::Text(name) | Value::Bare(name) | Value::Raw(name)) = &file.value else {
            return Err(self.unexpected(&file.origin, key, &file.value, "a file's path"));
        };
        let path = resolve(self.base, &file.origin, name);
        let mut text = limited::read_text(&path, MAX_SECRET).map_err(|error| {
            ConfigError::Unreadable(format!("{}: {}: {}: {error}", file.origin, self.key(key), path.display()))
        })?;
        let end = text.strip_suffix('\n').map_or(text.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
        text.truncate(end);
        Ok(text)
    }

    /// "key = value: expected …"; the value of a secret is not repeated.
    pub fn unexpected(&self, origin: &Origin, key: &str, value: &Value, expected: &str) -> ConfigError {
        let shown = if super::redact::is_secret(key) { super::redact::HIDDEN.to_owned() } else { value.to_string() };
        ConfigError::invalid(format!("{origin}: {} = {shown}: expected {expected}", self.key(key)))
    }

    /// Refuses what is left: nobody knows these keys.
    pub fn finish(self) -> Result<(), ConfigError> {
        let Some((key, node)) = self.table.entries.iter().next() else { return Ok(()) };
        let message = match nearest(key, self.known.iter().map(String::as_str)) {
            Some(nearest) => format!("unknown key, did you mean {nearest:?}?"),
            None => "unknown key".to_owned(),
        };
        Err(self.error(node.origin(), key, message))
    }

    /// The text of a key that must be one of a few; for keys whose value decides which others may stand beside it.
    pub fn word(&mut self, key: &str) -> Result<Option<(Origin, String)>, ConfigError> {
        self.scalar(key, TEXT.expected)
    }
}

/// A text of the environment may be quoted as in TOML.
fn unquote(text: String) -> String {
    if !text.starts_with(['"', '\'']) {
        return text;
    }
    match tree::parse_inline(&text, &Origin::Default) {
        Some(Node::Value(Setting { value: Value::Text(inner), .. })) => inner,
        _ => text,
    }
}

pub(super) fn resolve(base: &Path, origin: &Origin, path: &str) -> PathBuf {
    match origin {
        Origin::File { .. } => base.join(path),
        Origin::Default | Origin::Env(_) => PathBuf::from(path),
    }
}
