//! The table in `files/topology.yaml` says the same as the code.

use std::collections::BTreeMap;

use brewline_charts::chart;
use brewline_proto::topics::EVENT_TOPICS;
use serde::Deserialize;

#[derive(Deserialize)]
struct Topology {
    services: BTreeMap<String, Service>,
    topics: Vec<Topic>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    log: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Topic {
    name: String,
    owner: String,
    consumers: Vec<String>,
    #[serde(default)]
    compacted: bool,
}

fn topology() -> Topology {
    let text = std::fs::read_to_string(chart().join("files/topology.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn the_topics_are_those_of_the_code() {
    let of_the_code: Vec<Topic> = EVENT_TOPICS
        .iter()
        .map(|topic| Topic {
            name: topic.name.to_owned(),
            owner: topic.owner.to_owned(),
            consumers: topic
                .consumers
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            compacted: topic.compacted,
        })
        .collect();
    assert_eq!(topology().topics, of_the_code);
}

#[test]
fn who_writes_or_reads_a_topic_may_connect_to_kafka() {
    let topology = topology();
    for topic in &topology.topics {
        for name in topic.consumers.iter().chain([&topic.owner]) {
            assert!(topology.services[name].log, "{name} has a topic");
        }
    }
}
