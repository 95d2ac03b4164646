//! The document: channels, operations, messages, schemas.

use brewline_proto::topics::{EVENT_TOPICS, EventTopic};

use crate::descriptors::Declared;
use crate::schema;
use crate::yaml::Node;

const HEADING: &str = "# Generated from the .proto files and crates/proto/src/topics.rs; a test compares. Write it anew with\n\
                       # BREWLINE_REGENERATE=1 cargo test -p brewline-proto --test asyncapi\n";

const ABOUT: &str = "Facts in the past tense, told by one context to the others through Kafka. Records are \
CloudEvents 1.0 in Kafka's binary mode: the envelope is in the headers, the body is the protobuf message that \
ce_type names. The key is the subject; a subject's events are in one partition and in the order of their \
ce_sequence. Schemas show a message's fields under their names in the .proto file. Within a major version changes \
are additive; a breaking change is a new topic.";

/// Every header of a record: its name, whether it is always there, what it is, its format.
const HEADERS: [(&str, bool, &str, &str); 11] = [
    ("ce_specversion", true, "Always 1.0.", ""),
    ("ce_id", true, "The event's id, a UUIDv7.", "uuid"),
    ("ce_type", true, "The message's full name.", ""),
    (
        "ce_source",
        true,
        "The service that wrote it, such as brewline/order.",
        "uri-reference",
    ),
    (
        "ce_subject",
        true,
        "The aggregate; equals the record's key.",
        "",
    ),
    ("ce_time", true, "When it happened, in UTC.", "date-time"),
    (
        "ce_sequence",
        true,
        "The aggregate's version: 1, 2, 3 without a gap, but on compacted topics.",
        "",
    ),
    (
        "ce_dataschema",
        false,
        "The URN of the message's schema in this document; records from before it was told have none.",
        "uri",
    ),
    (
        "ce_correlationid",
        true,
        "What all this belongs to: the order's id.",
        "uuid",
    ),
    (
        "ce_causationid",
        false,
        "The event or request that caused it.",
        "uuid",
    ),
    (
        "traceparent",
        false,
        "The trace, as W3C Trace Context writes it.",
        "",
    ),
];

pub(crate) fn write(declared: &Declared) -> String {
    let events = declared.events();
    let document = Node::map([
        ("asyncapi", Node::text("3.0.0")),
        ("id", Node::text("urn:brewline:events")),
        ("info", info()),
        ("defaultContentType", Node::text("application/protobuf")),
        (
            "channels",
            Node::map(
                EVENT_TOPICS
                    .iter()
                    .map(|it| (context(it), channel(it, &events))),
            ),
        ),
        (
            "operations",
            Node::map(EVENT_TOPICS.iter().flat_map(operations)),
        ),
        ("components", components(declared, &events)),
    ]);
    let mut out = HEADING.to_owned();
    let mut body = String::new();
    document.write(&mut body, 0);
    out.push_str(body.trim_start_matches('\n'));
    out.push('\n');
    out
}

fn info() -> Node {
    Node::map([
        ("title", Node::text("brewline events")),
        ("version", Node::text("1.0.0")),
        ("description", Node::text(ABOUT)),
        ("license", Node::map([("name", Node::text("Apache-2.0"))])),
    ])
}

/// `order` of `brewline.order.events.v1`.
fn context(topic: &EventTopic) -> &'static str {
    topic
        .name
        .split('.')
        .nth(1)
        .expect("a topic names its context")
}

/// The name of an event without its package, when it is one of the topic's.
fn short<'e>(topic: &EventTopic, event: &'e str) -> Option<&'e str> {
    let (package, name) = event.rsplit_once('.')?;
    (package == topic.package).then_some(name)
}

fn channel(topic: &EventTopic, events: &[&str]) -> Node {
    let messages = events.iter().filter_map(|event| {
        let reference = Node::reference(&format!("components/messages/{event}"));
        Some((short(topic, event)?, reference))
    });
    let retention = if topic.compacted {
        Node::map([("cleanup.policy", Node::texts(["compact"]))])
    } else {
        Node::map([
            ("cleanup.policy", Node::texts(["delete"])),
            ("retention.ms", Node::Number(-1)),
        ])
    };
    let kafka = Node::map([
        ("topic", Node::text(topic.name)),
        ("topicConfiguration", retention),
        ("bindingVersion", Node::text("0.5.0")),
    ]);
    Node::map([
        ("address", Node::text(topic.name)),
        ("description", Node::text(topic.about)),
        ("messages", Node::map(messages)),
        ("bindings", Node::map([("kafka", kafka)])),
        ("x-owner", Node::text(topic.owner)),
        ("x-consumers", Node::texts(topic.consumers.iter().copied())),
        ("x-compacted", Node::Flag(topic.compacted)),
        ("x-subject", Node::text(topic.subject)),
        ("x-dead-letter", Node::text(topic.dead_letter())),
    ])
}

/// The owner sends, each consumer receives.
fn operations(topic: &EventTopic) -> Vec<(String, Node)> {
    let context = context(topic);
    let operation = |action: &str, service: &str| {
        Node::map([
            ("action", Node::text(action)),
            ("channel", Node::reference(&format!("channels/{context}"))),
            ("x-service", Node::text(service)),
        ])
    };
    let sends = (
        format!("{}-sends-{context}", topic.owner),
        operation("send", topic.owner),
    );
    let receives = topic.consumers.iter().map(|service| {
        let name = format!("{service}-receives-{context}");
        (name, operation("receive", service))
    });
    std::iter::once(sends).chain(receives).collect()
}

fn components(declared: &Declared, events: &[&str]) -> Node {
    let messages = events
        .iter()
        .map(|event| (*event, message(declared, event)));
    let mut schemas = vec![("CloudEvent".to_owned(), headers())];
    schemas.extend(schema::all(declared, events));
    Node::map([
        ("messages", Node::map(messages)),
        ("schemas", Node::map(schemas)),
    ])
}

fn message(declared: &Declared, event: &str) -> Node {
    let topic = EVENT_TOPICS.iter().find(|it| short(it, event).is_some());
    let subject = topic.map_or("", |it| it.subject);
    let key = Node::map([
        ("type", Node::text("string")),
        (
            "description",
            Node::text(format!("The subject: {subject}.")),
        ),
    ]);
    let kafka = Node::map([("key", key), ("bindingVersion", Node::text("0.5.0"))]);
    Node::map([
        ("name", Node::text(event)),
        (
            "title",
            Node::text(event.rsplit('.').next().unwrap_or(event)),
        ),
        ("summary", Node::text(&declared.messages[event].comment)),
        ("contentType", Node::text("application/protobuf")),
        ("headers", Node::reference("components/schemas/CloudEvent")),
        (
            "payload",
            Node::reference(&format!("components/schemas/{event}")),
        ),
        ("bindings", Node::map([("kafka", kafka)])),
        (
            "x-dataschema",
            Node::text(format!("urn:brewline:schema:{event}")),
        ),
    ])
}

fn headers() -> Node {
    let always = HEADERS.iter().filter(|it| it.1).map(|it| it.0);
    let properties = HEADERS.iter().map(|(name, _, about, format)| {
        let mut entries = vec![
            ("type", Node::text("string")),
            ("description", Node::text(*about)),
        ];
        if !format.is_empty() {
            entries.push(("format", Node::text(*format)));
        }
        (*name, Node::map(entries))
    });
    Node::map([
        ("type", Node::text("object")),
        (
            "description",
            Node::text("The envelope: CloudEvents 1.0, Kafka binary mode."),
        ),
        ("required", Node::texts(always)),
        ("properties", Node::map(properties)),
    ])
}
