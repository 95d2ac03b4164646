//! Reads as much of HCL as `terraform fmt` leaves no choice about: a top-level block begins at the first
//! column and ends with a brace there, its arguments and blocks are indented by two spaces.

use std::fs;
use std::path::Path;

/// A block at the top level of a file.
#[derive(Debug)]
pub(crate) struct Block {
    /// Such as `variable`.
    pub(crate) kind: String,
    /// What stands in quotes behind it.
    pub(crate) labels: Vec<String>,
    /// Its lines.
    pub(crate) lines: Vec<String>,
}

/// A folder's code.
#[derive(Debug)]
pub(crate) struct Module {
    /// The file's name and its text.
    pub(crate) files: Vec<(String, String)>,
    /// All blocks of all files.
    pub(crate) blocks: Vec<Block>,
}

// === impl Module ===

impl Module {
    /// Reads all `.tf` files of a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "tf") {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
        files.sort();
        let blocks = files.iter().flat_map(|(_, text)| blocks(text)).collect();
        Self { files, blocks }
    }

    /// The blocks of a kind.
    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }

    /// The text of all files, comments left out.
    pub(crate) fn code(&self) -> String {
        let lines = self.files.iter().flat_map(|(_, text)| text.lines());
        let lines: Vec<&str> = lines.filter(|line| !is_comment(line)).collect();
        lines.join("\n")
    }
}

// === impl Block ===

impl Block {
    /// Its first label.
    pub(crate) fn name(&self) -> &str {
        self.labels.first().map_or("", String::as_str)
    }

    /// What an argument of its own (not of a block within) is set to, over all its lines.
    pub(crate) fn argument(&self, name: &str) -> Option<String> {
        let is_it = |line: &String| {
            let rest = line.strip_prefix("  ").and_then(|it| it.strip_prefix(name));
            rest.is_some_and(|it| it.trim_start().starts_with('='))
        };
        let at = self.lines.iter().position(is_it)?;
        let first = self.lines[at].split_once('=')?.1.trim().to_owned();
        let mut value = first;
        for line in &self.lines[at + 1..] {
            // The next argument of the block's own, an empty line, or a block: it is over.
            let indent = line.len() - line.trim_start().len();
            let closes = indent == 2 && line.trim_start().starts_with(['}', ')', ']']);
            if indent <= 2 && !closes {
                break;
            }
            value.push('\n');
            value.push_str(line.trim_end());
        }
        Some(value)
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// The top-level blocks of a file.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for line in text.lines().filter(|line| !is_comment(line)) {
        if open {
            open = line != "}";
            if open {
                found.last_mut().unwrap().lines.push(line.to_owned());
            }
        } else if let Some(head) = line.strip_suffix('{') {
            found.push(block(head));
            open = true;
        } else {
            assert!(
                line.is_empty() || line.ends_with("{}"),
                "not understood: {line}"
            );
        }
    }
    assert!(!open, "a block without an end");
    found
}

fn block(head: &str) -> Block {
    let mut words = head.split_whitespace();
    Block {
        kind: words.next().unwrap_or_default().to_owned(),
        labels: words
            .map(|word| word.trim_matches('"').to_owned())
            .collect(),
        lines: Vec::new(),
    }
}
