//! Messages as JSON schemas.

use std::collections::BTreeSet;

use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::{Label, Type};

use crate::descriptors::{Declared, Message};
use crate::yaml::Node;

const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// The schemas of these messages and of everything they are made of, by name.
pub(crate) fn all(declared: &Declared, events: &[&str]) -> Vec<(String, Node)> {
    let mut wanted: Vec<String> = events.iter().map(ToString::to_string).collect();
    let mut names = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if names.insert(name.clone())
            && let Some(message) = declared.messages.get(&name)
        {
            let fields = message.descriptor.field.iter();
            wanted.extend(fields.filter_map(type_of));
        }
    }
    names.remove(TIMESTAMP);
    let schema = |name: String| (name.clone(), one(declared, &name));
    names.into_iter().map(schema).collect()
}

/// The message or enumeration a field is of; none of a scalar.
fn type_of(field: &FieldDescriptorProto) -> Option<String> {
    let name = field.type_name().trim_start_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

fn one(declared: &Declared, name: &str) -> Node {
    if let Some(message) = declared.messages.get(name) {
        return object(message);
    }
    let declared = &declared.enums[name];
    let values = declared.descriptor.value.iter();
    Node::map([
        ("type", Node::text("string")),
        ("description", Node::text(&declared.comment)),
        ("enum", Node::texts(values.map(|value| value.name()))),
    ])
}

fn object(message: &Message) -> Node {
    let fields = message.descriptor.field.iter().zip(&message.field_comments);
    let properties = fields.map(|(field, comment)| (field.name(), property(field, comment)));
    Node::map([
        ("type", Node::text("object")),
        ("description", Node::text(&message.comment)),
        ("properties", Node::map(properties)),
    ])
}

fn property(field: &FieldDescriptorProto, comment: &str) -> Node {
    let mut entries = vec![
        ("description".to_owned(), Node::text(comment)),
        (
            "x-protobuf-number".to_owned(),
            Node::Number(field.number().into()),
        ),
    ];
    match (field.label(), shape(field)) {
        (Label::Repeated, shape) => {
            entries.push(("type".to_owned(), Node::text("array")));
            entries.push(("items".to_owned(), shape));
        }
        // Beside a reference nothing counts, so a description needs it wrapped.
        (_, reference) if type_of(field).is_some_and(|name| name != TIMESTAMP) => {
            entries.push(("allOf".to_owned(), Node::List(vec![reference])));
        }
        (_, Node::Map(shape)) => entries.extend(shape),
        (_, other) => unreachable!("{other:?} is no schema"),
    }
    Node::Map(entries)
}

/// What one value of a field is.
fn shape(field: &FieldDescriptorProto) -> Node {
    let scalar = |kind: &str, format: &str| {
        let format = (!format.is_empty()).then(|| ("format", Node::text(format)));
        Node::map([("type", Node::text(kind))].into_iter().chain(format))
    };
    match (type_of(field), field.r#type()) {
        (Some(name), _) if name == TIMESTAMP => scalar("string", "date-time"),
        (Some(name), _) => Node::reference(&format!("components/schemas/{name}")),
        (None, Type::Bool) => scalar("boolean", ""),
        (None, Type::Int32) => scalar("integer", "int32"),
        (None, Type::Int64) => scalar("integer", "int64"),
        (None, Type::String) => scalar("string", ""),
        (None, Type::Bytes) => scalar("string", "byte"),
        (None, other) => panic!("{}: no schema for {other:?}", field.name()),
    }
}
