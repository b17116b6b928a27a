//! Files beside the topic, where the topic's history is shorter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::retired::{LABELLED, with_towns};
use super::{Files, NEW, Rules, etiage, fails, generations, kill_when_it_reads, readings, until_end};
use crate::support::{Servers, scratch, succeed};

/// Of three portions the topic holds the last, and files the others.
struct Shorter {
    files: Files,
    kafka: String,
    topic: String,
}

impl Shorter {
    fn new(servers: &Servers) -> Shorter {
        let dir = scratch("shorter");
        let topic = format!("shorter-{}", dir.file_name().expect("a name of its own").to_string_lossy());
        Shorter { files: Files::new(), kafka: servers.kafka.clone(), topic }
    }

    fn config(&self, history: &str, rules: Rules) -> PathBuf {
        let config = self.files.config("rows", rules);
        let text = std::fs::read_to_string(&config).expect("readable");
        let inputs = format!("topics = [\"{}\"]\nhistory = [{history}]", self.topic);
        let text = text.replace(r#"files = ["0.ndjson", "1.ndjson", "2.ndjson"]"#, &inputs);
        let text =
            text.replace("dir = \"\"", &format!("topic = \"{0}.rejects\"\nlate_topic = \"{0}.late\"", self.topic));
        let kafka = format!("[kafka]\n\"bootstrap.servers\" = \"{}\"\n\"group.id\" = \"{}\"\n", self.kafka, self.topic);
        let config = config.with_file_name(format!("topic-{}.toml", rules.0));
        std::fs::write(&config, kafka + &text).expect("written");
        config
    }

    fn produce(&self, lines: &str) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.kafka).create().expect("a producer");
        for line in lines.lines() {
            let record = BaseRecord::<(), str>::to(&self.topic).payload(line).partition(0);
            producer.send(record).map_err(|(error, _)| error).expect("there is room");
        }
        producer.flush(Duration::from_secs(30)).expect("written");
    }

    /// What a replay has begun with: it goes on with nothing else, not even where the files have not been read yet.
    fn stays_what_it_was(&self, config: &Path) {
        let path = self.files.0.path().join("1.ndjson");
        let held = readings(1);
        let last = held.trim_end().rfind('\n').expect("several lines") + 1;
        let replay = || etiage(config, &["replay", "--from", "earliest"]);
        let refused = |text: &str, why: &str| {
            std::fs::write(&path, text).expect("written");
            fails(&mut replay(), why);
        };
        refused(&format!("{}{}", &held[..last], held[last..].replacen("temperature", "temperatura", 1)), "checksum");
        refused(&held[..last], "lines are not what they were when the replay began (it has");
        refused(&format!("{held}{}", &held[last..]), "`etiage replay --abort`");
        std::fs::remove_file(&path).expect("removed");
        fails(&mut replay(), "1.ndjson");
        std::fs::write(&path, held).expect("written");
    }

    /// Rows whose readings a file has lost do not go without a word.
    fn is_not_cut_unasked(&self, config: &Path) {
        let path = self.files.0.path().join("1.ndjson");
        let held = readings(1);
        std::fs::write(&path, held.lines().next().expect("a line")).expect("written");
        fails(&mut etiage(config, &["replay", "--from", "earliest"]), "what is gone would be missing");
        std::fs::write(&path, held).expect("written");
    }

    /// The rows are those of a store that reads all of it as files.
    fn are_those_of_files(&self, config: &Path, rules: Rules) {
        let _ = std::fs::remove_file(self.files.0.path().join("fresh.db"));
        let (rows, wanted) = (counts(config), counts(&self.files.fresh(rules)));
        let differ = rows.iter().zip(&wanted).find(|(row, wanted)| row != wanted);
        assert_eq!((differ, rows.len()), (None, wanted.len()));
    }
}

/// What is counted, but not whether a window is final: files end, a topic does not.
fn counts(config: &Path) -> Vec<String> {
    let columns = "key,window_start,label,count,mean,min,max,stddev,alarms,mean_before,revision";
    let rows = ["rows", "--view", "region", "--metric", "temperature", "--csv", "--columns", columns];
    succeed(&mut etiage(config, &rows)).lines().map(str::to_owned).collect()
}

const HISTORY: &str = r#""0.ndjson", "1.ndjson""#;

#[test]
fn kafka_a_history_in_files_is_folded_beside_the_topic() {
    let servers = Servers::shared();
    let shorter = Shorter::new(&servers);
    let config = shorter.config(HISTORY, LABELLED);
    succeed(&mut etiage(&config, &["migrate", "--partitions", "1"]));
    shorter.produce(&readings(2));
    // Nobody begins without it.
    fails(&mut etiage(&config, &["run", "--until-end"]), "`etiage replay --view region --from earliest`");
    assert_eq!(generations(&config), [""; 0]);

    let replay = ["replay", "--from", "earliest"];
    let heard = kill_when_it_reads(&mut etiage(&config, &replay));
    assert!(heard.contains("the history is folded beside the topics"), "{heard}");
    assert_eq!(generations(&config), ["1 replaying"]);
    shorter.stays_what_it_was(&config);

    succeed(&mut etiage(&config, &replay));
    // It goes on with the topic, and needs the files no more.
    let archived = shorter.files.0.path().join("0.ndjson");
    let away = archived.with_extension("away");
    std::fs::rename(&archived, &away).expect("moved");
    until_end(&config);
    std::fs::rename(&away, &archived).expect("moved back");
    shorter.are_those_of_files(&config, LABELLED);
    assert!(counts(&config).len() > 100);
    std::fs::rename(&archived, &away).expect("moved");
    shorter.produce(&readings(2));
    // (However the configuration is named.)
    let dir = config.parent().expect("it lies in a directory");
    succeed(etiage(Path::new("topic-30.toml"), &["run", "--until-end"]).current_dir(dir));
    std::fs::rename(&away, &archived).expect("moved back");
    std::fs::write(shorter.files.0.path().join("2.ndjson"), readings(2) + &readings(2)).expect("written");
    shorter.are_those_of_files(&config, LABELLED);
    let status = succeed(&mut etiage(&config, &["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["adds_up"], true);
    the_past_of_files_is_known(&config);

    // Other rules want all of it again, and a history that has changed does, too.
    let new = shorter.config(HISTORY, NEW);
    fails(&mut etiage(&new, &["run", "--until-end"]), "etiage replay --from earliest");
    succeed(&mut etiage(&new, &replay));
    until_end(&new);
    shorter.are_those_of_files(&new, NEW);
    shorter.is_not_cut_unasked(&new);
    let less = shorter.config(r#""1.ndjson""#, NEW);
    fails(&mut etiage(&less, &["run", "--until-end"]), "history");
    fails(&mut etiage(&less, &replay), "--forget-history");
}

/// Of a view without its past no row is marked to lack readings that are later than what the files hold.
fn the_past_of_files_is_known(config: &Path) {
    let both = with_towns(config, "");
    succeed(&mut etiage(&both, &["replay", "--from", "now", "--view", "town"]));
    let shown = succeed(&mut etiage(&both, &["generations"]));
    assert!(!shown.contains("2049"), "{shown}");
    let again = succeed(&mut etiage(&both, &["replay", "--from", "now", "--view", "town", "--forget-history"]));
    assert!(again.contains("The replayed views serve"), "{again}");
    let shown = succeed(&mut etiage(&both, &["generations"]));
    assert!(!shown.contains("2049"), "{shown}");
    succeed(&mut etiage(config, &["retire", "town"]));
}
