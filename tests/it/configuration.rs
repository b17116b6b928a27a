//! `docs/configuration.md` is made from `src/defaults.toml`, and what a value may be from what the
//! parser answers to one that cannot be: so a new key documents itself. `make docs` renews it.

use std::fmt::Write;
use std::path::Path;

use etiage::config::{Config, DEFAULTS};

use crate::support::ROOT;

/// The least that is a configuration, for each kind of store.
const LEAST: [&str; 2] = [
    "streams.s = { topics = ['t'], time = 'at', lat = 'lat', lon = 'lon', metrics.m = {} }\nviews.v = {}\nstore = {}",
    "streams.s = { topics = ['t'], time = 'at', lat = 'lat', lon = 'lon', metrics.m = {} }\nviews.v = {}\n\
     store = { kind = 'sqlite', path = 'rows.db' }",
];

/// What a table of the defaults is called in people's files, and where the least configuration has it.
const TABLES: [(&str, &str, &str); 3] = [
    ("stream_defaults", "streams.NAME", "streams.s"),
    ("metric_defaults", "streams.NAME.metrics.METRIC", "streams.s.metrics.m"),
    ("view_defaults", "views.NAME", "views.v"),
];

/// A piece of `defaults.toml`, in its order.
#[derive(Debug, PartialEq)]
enum Piece {
    Table {
        path: String,
        about: String,
    },
    /// A comment that stands before some of a table's keys.
    Note(String),
    Key {
        name: String,
        default: String,
        meaning: String,
    },
}

/// The introduction, and the pieces after it.
fn pieces(text: &str) -> (String, Vec<Piece>) {
    let (intro, rest) = text.split_once("\n\n").expect("an introduction, then a blank line");
    let (mut pieces, mut comments) = (Vec::new(), Vec::new());
    for line in rest.lines() {
        if let Some(path) = line.strip_prefix('[') {
            let path = path.trim_end_matches(']').to_owned();
            pieces.push(Piece::Table { path, about: comments.join(" ") });
            comments.clear();
        } else if let Some(key) = key(line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line)) {
            if !comments.is_empty() {
                pieces.push(Piece::Note(comments.join(" ")));
                comments.clear();
            }
            // What is commented out has no default.
            pieces.push(if line.starts_with('#') { without_default(key) } else { key });
        } else if let Some(comment) = line.strip_prefix("# ") {
            comments.push(comment.to_owned());
        } else if let Some(more) = line.trim_start().strip_prefix("# ") {
            let Some(Piece::Key { meaning, .. }) = pieces.last_mut() else { panic!("nothing to go on with: {line}") };
            *meaning = format!("{meaning} {more}");
        } else {
            assert!(line.is_empty(), "a line that is none of those known: {line}");
        }
    }
    (uncommented(intro), pieces)
}

fn uncommented(text: &str) -> String {
    let line = |line: &str| line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default().to_owned();
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn is_key(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c)))
}

/// `name = default   # meaning`
fn key(line: &str) -> Option<Piece> {
    let (name, rest) = line.split_once(" = ").filter(|_| is_key(line))?;
    let mut quoted = None;
    let hash = rest.char_indices().find(|(_, c)| match (quoted, c) {
        (None, '"' | '\'') => {
            quoted = Some(*c);
            false
        }
        (Some(quote), c) if quote == *c => {
            quoted = None;
            false
        }
        (None, '#') => true,
        _ => false,
    });
    let (default, meaning) = hash.map_or((rest, ""), |(at, _)| (&rest[..at], rest[at + 1..].trim()));
    Some(Piece::Key { name: name.to_owned(), default: default.trim().to_owned(), meaning: meaning.to_owned() })
}

fn without_default(key: Piece) -> Piece {
    match key {
        Piece::Key { name, default, meaning } => Piece::Key {
            name,
            default: String::new(),
            meaning: format!("such as `{default}`: {meaning}").trim_end_matches(": ").to_owned(),
        },
        other => other,
    }
}

/// What the parser says that it expects: its answer to a text that means nothing, and where it takes any
/// text, to a list of lists, which no key takes.
fn form(table: &str, key: &str) -> String {
    let nothing: [toml::Value; 2] = ["?".into(), vec![toml::Value::Array(vec![1.into()])].into()];
    let mut asked = nothing.iter().flat_map(|value| LEAST.iter().map(move |least| (least, value)));
    let answer = asked.find_map(|(least, value)| {
        let message = refusal(least, table, key, value)?;
        let (_, form) = message.split_once("expected ")?;
        Some(form.split(", found").next().unwrap_or(form).replace("a list such as [\"a\", \"b\"] of ", "a list, each "))
    });
    answer.unwrap_or_default()
}

/// The parser's words about this key, where it is what they are about.
fn refusal(least: &str, table: &str, key: &str, value: &toml::Value) -> Option<String> {
    let mut tree: toml::Table = least.parse().expect("TOML");
    let place = |path: &str| {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let known = TABLES.iter().find(|(defaults, ..)| *defaults == first).map_or(first, |(.., place)| place);
        rest.map_or_else(|| known.to_owned(), |rest| format!("{known}.{rest}"))
    };
    let path = place(table);
    let mut here = &mut tree;
    for name in path.split('.') {
        let next = here.entry(name).or_insert_with(|| toml::Table::new().into());
        here = next.as_table_mut().expect("a table");
    }
    here.insert(key.to_owned(), value.clone());
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("etiage.toml");
    std::fs::write(&file, tree.to_string()).expect("written");
    let message = Config::load(Some(&file), std::iter::empty()).err()?.to_string();
    message.contains(&format!("{path}.{key}")).then_some(message)
}

fn render() -> String {
    let (intro, pieces) = pieces(DEFAULTS);
    let mut out =
        String::from("# Configuration\n\n<!-- Made from src/defaults.toml by `make docs`: change that file. -->\n\n");
    let paragraphs = intro.replace("  ETIAGE", "    ETIAGE");
    writeln!(
        out,
        "{}\n",
        paragraphs.replacen("\n    ETIAGE", "\n\n    ETIAGE", 1).replace("\nA double", "\n\nA double")
    )
    .expect("text");
    let (mut table, mut open) = (String::new(), false);
    for piece in pieces {
        match piece {
            Piece::Table { path, about } => {
                writeln!(out, "{}## [{}]\n", if open { "\n" } else { "" }, title(&path)).expect("text");
                if !about.is_empty() {
                    writeln!(out, "{about}\n").expect("text");
                }
                (table, open) = (path, false);
            }
            Piece::Note(text) => {
                writeln!(out, "{}*{}*\n", if open { "\n" } else { "" }, text.trim_end_matches('.')).expect("text");
                open = false;
            }
            Piece::Key { name, default, meaning } => {
                if !open {
                    out.push_str("| key | default | may be | meaning |\n|---|---|---|---|\n");
                    open = true;
                }
                out.push_str(&row(&name, &default, &form(&table, &name), &meaning));
            }
        }
    }
    out
}

fn title(path: &str) -> String {
    let (first, rest) = path.split_once('.').map_or((path, ""), |(first, rest)| (first, rest));
    let known = TABLES.iter().find(|(defaults, ..)| *defaults == first).map_or(first, |(_, title, _)| title);
    if rest.is_empty() { known.to_owned() } else { format!("{known}.{rest}") }
}

fn row(name: &str, default: &str, form: &str, meaning: &str) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let default = if default.is_empty() { String::new() } else { format!("`{}`", cell(default)) };
    format!("| `{name}` | {default} | {} | {} |\n", cell(form), cell(meaning))
}

#[test]
fn the_configuration_is_documented() {
    let file = Path::new(ROOT).join("docs/configuration.md");
    let made = render();
    if std::env::var("ETIAGE_RENEW_DOCS").is_ok() {
        std::fs::write(&file, &made).expect("the document can be written");
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let first = there.lines().zip(made.lines()).find(|(there, made)| there != made);
    assert!(
        there == made,
        "docs/configuration.md is not what src/defaults.toml says: run `make docs`; first {first:?}"
    );
}

#[test]
fn every_key_has_a_meaning_of_its_own_or_its_group_has_one() {
    let (_, pieces) = pieces(DEFAULTS);
    let keys = pieces.iter().filter(|piece| matches!(piece, Piece::Key { .. })).count();
    let forms = pieces.iter().scan(String::new(), |table, piece| {
        if let Piece::Table { path, .. } = piece {
            table.clone_from(path);
        }
        Some(match piece {
            Piece::Key { name, .. } => Some((format!("{table}.{name}"), form(table, name))),
            _ => None,
        })
    });
    let (without, with): (Vec<_>, Vec<_>) = forms.flatten().partition(|(_, form)| form.is_empty());
    assert!(keys > 50 && without.is_empty(), "the parser does not say what these may be: {without:?}");
    let window = with.iter().find(|(key, _)| key == "view_defaults.window").expect("there is a window");
    assert!(window.1.starts_with("a window width"), "{window:?}");
}

#[test]
fn a_line_of_the_defaults_is_taken_apart() {
    let (intro, found) =
        pieces("# Intro.\n#   X='#'\n\n# About a.\n[a]\nb = \"#\"  # one\n     # two\n# Note.\n# c = 1  # three\n");
    assert_eq!(intro, "Intro.\n  X='#'");
    let key = |name: &str, default: &str, meaning: &str| Piece::Key {
        name: name.into(),
        default: default.into(),
        meaning: meaning.into(),
    };
    let about = Piece::Table { path: "a".into(), about: "About a.".into() };
    let expected =
        [about, key("b", "\"#\"", "one two"), Piece::Note("Note.".into()), key("c", "", "such as `1`: three")];
    assert_eq!(found, expected);
}
