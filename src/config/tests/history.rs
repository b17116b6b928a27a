//! What a stream's topics hold no longer.

use super::{LEAST, load_with, refused};

fn with(lines: &str) -> String {
    LEAST.replace("[streams.t]", &format!("[streams.t]\n{lines}"))
}

#[test]
fn history_stands_beside_topics() {
    let config = load_with(&with("history = [\"old.ndjson\", \"/x/older.ndjson\"]"), &[]).unwrap();
    let stream = &config.streams["t"];
    let [old, older] = &stream.history[..] else { panic!("{:?}", stream.history) };
    assert!(old.path.is_absolute() && old.path.ends_with("old.ndjson"), "beside the configuration");
    assert_eq!((older.path.to_str(), stream.topics.len()), (Some("/x/older.ndjson"), 1));
    // Wherever the configuration lies, they are known by what it says.
    assert_eq!(serde_json::to_value(stream).unwrap()["history"], serde_json::json!(["old.ndjson", "/x/older.ndjson"]));
    // What reads files in the topics' place reads these alone.
    let files = load_with(&with("history = [\"old\"]"), &[("ETIAGE_STREAMS__T__FILES", "a")]).unwrap();
    let stream = &files.streams["t"];
    assert_eq!((stream.files.len(), stream.topics.len(), stream.history.len()), (1, 0, 0));
}

#[test]
fn history_that_does_not_go_together_is_refused() {
    let two = format!(
        "{}\n[streams.u]\ntopics = [\"b\"]\nhistory = [\"/x\"]\ntime = \"at\"\nlat = \"a\"\nlon = \"b\"\nmetrics.x = {{}}\n",
        with("history = [\"/x\"]")
    );
    for (text, message) in [
        (
            with("files = [\"a\"]\nhistory = [\"old\"]").replace("topics = [\"readings\"]", ""),
            "etiage.toml:4: streams.t.history: history is what topics hold no longer, and this stream has none: list its files under files",
        ),
        (
            with("history = [\"old\"]\nformat = \"arrow-ipc\""),
            "etiage.toml:3: streams.t.history: a file's records are its lines, and a record of the format arrow-ipc is none: choose another format, or topics alone",
        ),
        (
            with("files = [\"a\"]\nformat = \"arrow-ipc\"").replace("topics = [\"readings\"]", ""),
            "etiage.toml:3: streams.t.files: a file's records are its lines, and a record of the format arrow-ipc is none: choose another format, or topics alone",
        ),
        (two, "streams.u: the file \"/x\" already belongs to streams.t; remove it from one of the two"),
        (
            with("history = [\"old\"]\ntenant = { key = true }"),
            "streams.t.history: its tenants come from the record's key or a header, which lines of files have not; take a field of the reading",
        ),
    ] {
        assert_eq!(refused(&text, &[]), message, "{text}");
    }
}
