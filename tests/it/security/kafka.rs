//! Every way into Kafka leads to the same rows; whoever is not let in is told what to set.

use std::thread;
use std::time::Duration;

use super::{KAFKA_PASSWORD, KEY_PASSWORD, refused, rows, scenario, servers, simulate, with_kafka};
use crate::support::{Scenario, Servers, succeed};

const SASL: [(&str, &str); 2] = [("sasl.username", "etiage"), ("sasl.password", KAFKA_PASSWORD)];

/// Settings over those of a listener.
struct Way {
    listener: &'static str,
    protocol: &'static str,
    settings: Vec<(&'static str, String)>,
}

impl Way {
    fn new(listener: &'static str, settings: &[(&'static str, &str)]) -> Way {
        let protocol = match listener {
            "sasl_ssl" => "SASL_SSL",
            "sasl_plaintext" => "SASL_PLAINTEXT",
            _ => "SSL",
        };
        Way { listener, protocol, settings: settings.iter().map(|(key, value)| (*key, (*value).to_owned())).collect() }
    }

    fn sasl(listener: &'static str, mechanism: &str) -> Way {
        Way::new(listener, &SASL).and("sasl.mechanism", mechanism)
    }

    fn and(mut self, key: &'static str, value: &str) -> Way {
        self.settings.push((key, value.to_owned()));
        self
    }

    /// A scenario that goes this way, on an embedded store.
    fn scenario(&self, servers: &Servers) -> Scenario {
        let (address, ca) = (servers.listener(self.listener), servers.certificate("kafka", "ca.pem"));
        let first = [("bootstrap.servers", address.as_str()), ("security.protocol", self.protocol)];
        let scenario = with_kafka(scenario(servers).embedded(), &first);
        let scenario =
            if self.protocol.ends_with("SSL") { with_kafka(scenario, &[("ssl.ca.location", &ca)]) } else { scenario };
        self.settings.iter().fold(scenario, |scenario, (key, value)| with_kafka(scenario, &[(*key, value)]))
    }
}

/// TLS with the authority alone, with a client's certificate whose key is locked, and passwords by each mechanism.
#[test]
fn kafka_every_way_in_leads_to_the_same_rows() {
    let servers = servers();
    let client = servers.certificate("kafka", "client.pem");
    let key = servers.certificate("kafka", "client.locked.key");
    let mutual =
        [("ssl.certificate.location", client.as_str()), ("ssl.key.location", &key), ("ssl.key.password", KEY_PASSWORD)];
    let ways = [
        Way::new("ssl", &[]),
        Way::new("mtls", &mutual),
        Way::sasl("sasl_ssl", "PLAIN"),
        Way::sasl("sasl_ssl", "SCRAM-SHA-256"),
        Way::sasl("sasl_ssl", "SCRAM-SHA-512"),
        Way::sasl("sasl_plaintext", "SCRAM-SHA-512"),
    ];
    let open = scenario(&servers).embedded();
    succeed(&mut open.etiage("migrate", &[]));
    simulate(&open, 20_000);
    open.run_until_end(Duration::from_secs(60));
    let expected = rows(&open);
    assert!(expected.lines().count() > 50, "{expected}");

    let same = |way: &Way| {
        let scenario = way.scenario(&servers).with("STREAMS__TEMPERATURES__TOPICS", &open.name);
        succeed(&mut scenario.etiage("migrate", &[]));
        scenario.run_until_end(Duration::from_secs(60));
        assert_eq!(rows(&scenario), expected, "over {} {:?}", way.listener, way.settings);
        let status = succeed(&mut scenario.etiage("status", &[]));
        assert!(status.contains("lag 0"), "{status}");
    };
    thread::scope(|scope| {
        for half in ways.chunks(3) {
            scope.spawn(move || half.iter().for_each(same));
        }
    });
}

#[test]
fn kafka_whoever_is_not_let_in_is_told_what_to_set() {
    let servers = servers();
    let stranger = |name: &str| servers.certificate("kafka", name);
    let (ca, pem, key) = (stranger("stranger.ca.pem"), stranger("stranger.pem"), stranger("stranger.key"));
    let password = ["refuse these credentials", "sasl.username and sasl.password"];
    let untrusted = ["certificate is not trusted", "ssl.ca.location"];
    let certificate = ["refuse this client's certificate", "ssl.certificate.location and ssl.key.location"];
    let wrong = |mechanism| Way::sasl("sasl_ssl", mechanism).and("sasl.password", "S3cr3t-but-wrong");
    let locked = servers.certificate("kafka", "client.locked.key");
    let client = servers.certificate("kafka", "client.pem");
    let cases: Vec<(Way, &[&str], &[&str])> = vec![
        (wrong("PLAIN"), &["run", "status"], &password),
        (wrong("SCRAM-SHA-512"), &["run", "migrate"], &password),
        (Way::sasl("sasl_plaintext", "SCRAM-SHA-256").and("sasl.username", "nobody"), &["run"], &password),
        (Way::sasl("sasl_ssl", "PLAIN").and("ssl.ca.location", &ca), &["run"], &untrusted),
        (Way::new("ssl", &[("ssl.ca.location", &ca)]), &["run", "migrate"], &untrusted),
        (Way::new("mtls", &[]), &["run", "migrate"], &certificate),
        (Way::new("mtls", &[("ssl.certificate.location", &pem), ("ssl.key.location", &key)]), &["run"], &certificate),
        (
            Way::new("ssl", &[("ssl.ca.location", "/nowhere/ca.pem")]),
            &["run", "migrate"],
            &["ssl.ca.location", "/nowhere"],
        ),
        (
            Way::new("mtls", &[("ssl.certificate.location", &client), ("ssl.key.location", &locked)])
                .and("ssl.key.password", "S3cr3t-but-wrong"),
            &["run"],
            &["ssl.key.location", "ssl.key.password"],
        ),
    ];
    thread::scope(|scope| {
        for half in cases.chunks(cases.len().div_ceil(2)) {
            let servers = &servers;
            scope.spawn(move || {
                for (way, commands, words) in half {
                    let scenario = way.scenario(servers);
                    commands.iter().for_each(|command| refused(&scenario, command, &[], words));
                }
            });
        }
    });
}
