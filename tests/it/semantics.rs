//! Every example of `docs/semantics.md` is run as it stands: its readings, its settings, its commands, and what
//! these answer, to the letter.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{ROOT, succeed};

/// One section of the document that shows commands.
#[derive(Default)]
struct Example {
    title: String,
    /// Added to what all examples have.
    settings: String,
    /// One file, and so one partition, each.
    readings: Vec<String>,
    /// Commands, each with its answer.
    commands: Vec<(String, String)>,
}

const SETTINGS: &str = r#"
[streams.temperatures]
time = "at"
lat = "lat"
lon = "lon"
metrics = { temperature = { threshold = 30 } }
"#;

fn examples() -> Vec<Example> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/semantics.md")).expect("the document is there");
    let mut examples = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let mut example =
            Example { title: section.lines().next().unwrap_or_default().to_owned(), ..Example::default() };
        for block in section.split("\n```").skip(1).step_by(2) {
            let (kind, body) = block.split_once('\n').expect("a block has lines");
            match kind {
                "toml" => example.settings += body,
                "json" => example.readings.push(body.to_owned() + "\n"),
                "console" => example.commands.extend(body.split("$ ").skip(1).map(|one| {
                    let (command, answer) = one.split_once('\n').unwrap_or((one, ""));
                    (command.to_owned(), answer.trim_end().to_owned())
                })),
                _ => panic!("{}: a block of {kind:?} is not one of toml, json, console", example.title),
            }
        }
        if !example.commands.is_empty() {
            examples.push(example);
        }
    }
    examples
}

impl Example {
    /// The configuration, beside the readings.
    fn write(&self, directory: &Path) -> PathBuf {
        let mut files = String::new();
        for (number, readings) in self.readings.iter().enumerate() {
            let name = format!("partition-{number}.ndjson");
            std::fs::write(directory.join(&name), readings).expect("readings can be written");
            write!(files, "{name:?},").expect("a text takes all");
        }
        let input = format!("files = [{files}]\n");
        let settings = SETTINGS.replace("metrics =", &format!("{input}metrics ="));
        let rest = "[store]\nkind = \"sqlite\"\npath = \"rows.db\"\n[serve]\nlisten = \"\"\n";
        let config = directory.join("etiage.toml");
        std::fs::write(&config, format!("{settings}\n{}\n{rest}", self.settings))
            .expect("a configuration can be written");
        config
    }

    fn check(&self) {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let config = self.write(directory.path());
        let etiage = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_etiage"));
            command.args(arguments).arg("--config").arg(&config);
            succeed(&mut command)
        };
        etiage(&["run", "--until-end"]);
        for (command, answer) in &self.commands {
            let words: Vec<&str> = command.split_whitespace().collect();
            assert_eq!(words[0], "etiage", "{}: only commands of ours are run", self.title);
            let name = format!("{}/", directory.path().display());
            let found = etiage(&words[1..]).replace(&name, "");
            let found = if words[1] == "status" { lasting(&found) } else { found };
            assert_eq!(found.trim_end(), answer, "{}: {command}", self.title);
        }
    }
}

/// A status without what holds for a moment only: instances, rates, ages.
fn lasting(status: &str) -> String {
    let lasts = |line: &&str| line.starts_with("partition-") || line.contains(" = folded ");
    status.lines().filter(lasts).collect::<Vec<&str>>().join("\n")
}

#[test]
fn every_example_of_the_semantics_answers_as_it_says() {
    let examples = examples();
    assert!(examples.len() > 5, "the document's examples were not found");
    examples.iter().for_each(Example::check);
}
