//! The broker itself refuses what the table of rights forbids. Needs the test servers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a test's helper fails the test"
)]

use std::path::PathBuf;
use std::time::Duration;

use brewline_cli::stack::Folder;
use brewline_cli::stack::acl::{Operation, Resource, allows, grants};
use brewline_cli::stack::secrets::Secrets;
use brewline_cli::stack::topics::EVENT_TOPICS;
use brewline_config::{Environment, Variable};
use brewline_kafka::{Config, Producer, ProducerSettings, Record};
use bytes::Bytes;

const DATA: Variable = Variable {
    name: "BREWLINE_TEST_DATA",
    default: None,
    help: "The data folder of the test servers: their passwords are in it.",
};
const BROKERS: Variable = Variable {
    name: "BREWLINE_TEST_KAFKA_BROKERS",
    default: None,
    help: "host:port of the test broker.",
};
const USERS: [&str; 8] = [
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
    "operator",
    "test",
];

fn given(variable: &Variable) -> String {
    let value = Environment::from_process()
        .optional::<String>(variable)
        .flatten();
    value.unwrap_or_else(|| panic!("{} is missing: run `./brewline test`", variable.name))
}

/// Whether the broker takes a record of this user.
async fn may_write(secrets: &Secrets, user: &str, topic: &str) -> bool {
    let config = Config::plain(given(&BROKERS)).with_login(user, secrets.kafka(user));
    let producer = Producer::new(&config, ProducerSettings::default()).unwrap();
    let record = Record {
        topic: topic.to_owned(),
        key: Bytes::from_static(b"rights"),
        payload: Some(Bytes::from_static(b"rights")),
        headers: vec![],
        partition: Some(0),
        timestamp: None,
    };
    match producer.send(record) {
        Ok(delivery) => match tokio::time::timeout(Duration::from_secs(30), delivery).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                // Who may write nowhere is given no producer id either, and its queue is thrown away.
                let no = error.is_refused() || error.is_purged();
                assert!(no, "{user} to {topic}: {error}");
                false
            }
            Err(_) => panic!("no answer to {user}'s record to {topic}"),
        },
        Err(error) => panic!("{user} to {topic}: {error}"),
    }
}

#[tokio::test]
async fn the_broker_refuses_what_the_table_forbids() {
    let folder = Folder::at(&PathBuf::from(given(&DATA))).unwrap();
    let secrets = Secrets::load(&folder).unwrap();
    let table = grants(true);
    let (mut allowed, mut refused) = (0, 0);
    for topic in EVENT_TOPICS {
        for name in [topic.name.to_owned(), topic.dead_letter()] {
            for user in USERS {
                let resource = Resource::Topic(name.clone());
                let expected = allows(&table, user, Operation::Write, &resource);
                let happened = may_write(&secrets, user, &name).await;
                assert_eq!(happened, expected, "{user} writes {name}");
                if happened { allowed += 1 } else { refused += 1 }
            }
        }
    }
    assert_eq!((allowed, refused), (18, 94));
}
