//! The event catalogue, `proto/asyncapi.yaml`, is what the `.proto` files and the table of topics say.
//!
//! `BREWLINE_REGENERATE=1 cargo test -p brewline-proto --test asyncapi` writes it anew.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

mod descriptors;
mod document;
mod schema;
mod yaml;

use std::fs;

use brewline_proto::topics::EVENT_TOPICS;
use descriptors::Declared;

#[test]
fn the_catalogue_is_what_the_proto_files_and_the_topics_say() {
    let path = descriptors::folder().join("asyncapi.yaml");
    let fresh = document::write(&Declared::read());
    if std::env::var_os("BREWLINE_REGENERATE").is_some() {
        fs::write(&path, &fresh).expect("the catalogue can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "proto/asyncapi.yaml differs; run with BREWLINE_REGENERATE=1"
    );
}

#[test]
fn every_event_has_golden_bytes() {
    for event in Declared::read().events() {
        let path = descriptors::folder().join(format!("golden/{event}.bin"));
        assert!(path.exists(), "{event} has no golden bytes in golden.rs");
    }
}

#[test]
fn every_event_has_a_topic_and_every_topic_events() {
    let declared = Declared::read();
    let events = declared.events();
    let package = |event: &str| event.rsplit_once('.').expect("a package").0.to_owned();
    for event in &events {
        let topics = EVENT_TOPICS.iter();
        let count = topics.filter(|it| it.package == package(event)).count();
        assert_eq!(count, 1, "topics of {event}");
    }
    for topic in EVENT_TOPICS {
        let has_events = events.iter().any(|event| package(event) == topic.package);
        assert!(has_events, "{} has no events", topic.name);
    }
}

#[test]
fn every_part_of_an_event_is_explained() {
    let declared = Declared::read();
    for event in declared.events() {
        let message = &declared.messages[event];
        assert!(!message.comment.is_empty(), "{event} has no comment");
        for (field, comment) in message.descriptor.field.iter().zip(&message.field_comments) {
            assert!(
                !comment.is_empty(),
                "{event}.{} has no comment",
                field.name()
            );
        }
    }
}
