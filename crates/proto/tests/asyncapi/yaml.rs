//! The little YAML that the document needs: maps in the order they were made, lists, texts, numbers.

/// A piece of a document.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

// === impl Node ===

impl Node {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entries = entries.into_iter();
        Self::Map(entries.map(|(key, node)| (key.into(), node)).collect())
    }

    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// A pointer to another place of the document.
    pub(crate) fn reference(to: &str) -> Self {
        Self::map([("$ref", Self::text(format!("#/{to}")))])
    }

    pub(crate) fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, node) in entries {
                    out.push_str(&format!("\n{:1$}{2}:", "", depth * 2, quoted(key)));
                    node.write(out, depth + 1);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    out.push_str(&format!("\n{:1$}-", "", depth * 2));
                    item.write_item(out, depth + 1);
                }
            }
            Self::Map(_) => out.push_str(" {}"),
            Self::List(_) => out.push_str(" []"),
            Self::Text(text) => out.push_str(&format!(" {}", quoted(text))),
            Self::Number(number) => out.push_str(&format!(" {number}")),
            Self::Flag(flag) => out.push_str(&format!(" {flag}")),
        }
    }

    /// A map in a list begins on the line of its dash.
    fn write_item(&self, out: &mut String, depth: usize) {
        let mut item = String::new();
        self.write(&mut item, depth);
        let inline = item.trim_start_matches(['\n', ' ']);
        out.push(' ');
        out.push_str(inline);
    }
}

/// A text as YAML, in quotes where it might be read as something else.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !matches!(
            text,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        );
    if is_word {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
