//! What the `.proto` files say, by full name, with their comments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

/// Everything that is declared.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// Messages by full name.
    pub(crate) messages: BTreeMap<String, Message>,
    /// Enumerations by full name.
    pub(crate) enums: BTreeMap<String, Enum>,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) descriptor: DescriptorProto,
    pub(crate) comment: String,
    pub(crate) field_comments: Vec<String>,
    /// Whether its file is one of events.
    pub(crate) among_events: bool,
}

/// An enumeration.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) descriptor: EnumDescriptorProto,
    pub(crate) comment: String,
}

/// Comments of one file by path.
type Comments = BTreeMap<Vec<i32>, String>;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

// === impl Declared ===

impl Declared {
    pub(crate) fn read() -> Self {
        let root = folder();
        let files = protox::compile(protos(&root), [root]).expect("the proto files compile");
        let mut declared = Self::default();
        for file in files.file {
            declared.add(&file);
        }
        declared
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let (package, comments) = (file.package(), comments(file));
        let said = |path: &[i32]| comments.get(path).cloned().unwrap_or_default();
        for (place, descriptor) in (0..).zip(&file.message_type) {
            let fields = (0..).zip(&descriptor.field);
            let message = Message {
                descriptor: descriptor.clone(),
                comment: said(&[4, place]),
                field_comments: fields.map(|(at, _)| said(&[4, place, 2, at])).collect(),
                among_events: file.name().ends_with("_events.proto"),
            };
            let name = format!("{package}.{}", descriptor.name());
            self.messages.insert(name, message);
        }
        for (place, descriptor) in (0..).zip(&file.enum_type) {
            let one = Enum {
                descriptor: descriptor.clone(),
                comment: said(&[5, place]),
            };
            let name = format!("{package}.{}", descriptor.name());
            self.enums.insert(name, one);
        }
    }

    /// Full names of all events: what files of events declare and no other message is made of.
    pub(crate) fn events(&self) -> Vec<&str> {
        let parts: Vec<String> = self
            .messages
            .values()
            .flat_map(|message| &message.descriptor.field)
            .map(|field| field.type_name().trim_start_matches('.').to_owned())
            .collect();
        let is_event =
            |(name, message): &(&String, &Message)| message.among_events && !parts.contains(name);
        let events = self.messages.iter().filter(is_event);
        events.map(|(name, _)| name.as_str()).collect()
    }
}

fn comments(file: &FileDescriptorProto) -> Comments {
    let info = file.source_code_info.as_ref();
    info.into_iter()
        .flat_map(|info| &info.location)
        .map(|it| (it.path.clone(), sentence(it.leading_comments())))
        .collect()
}

/// A comment of several lines as one.
fn sentence(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn protos(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("read the proto folder") {
        let path = entry.expect("read a folder entry").path();
        if path.is_dir() {
            found.extend(protos(&path));
        } else if path.extension().is_some_and(|it| it == "proto") {
            found.push(path);
        }
    }
    found.sort();
    found
}
