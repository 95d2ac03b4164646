//! The chart's README, made from its values.

use serde_json::Value;

const HEAD: &str = include_str!("../brewline/README.head.md");

/// One line of the table.
struct Row {
    key: String,
    default: String,
    about: String,
}

/// The whole README. `values` is the text of `values.yaml`.
///
/// A comment that begins with `# --` is about the key below it; keys without one are left out.
#[must_use]
pub fn readme(values: &str) -> String {
    let parsed: Value = serde_saphyr::from_str(values).unwrap_or_default();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Values\n\n| key | default | meaning |\n|---|---|---|\n");
    for row in rows(values, &parsed) {
        let Row {
            key,
            default,
            about,
        } = row;
        text.push_str(&format!("| `{key}` | {default} | {about} |\n"));
    }
    text
}

fn rows(values: &str, parsed: &Value) -> Vec<Row> {
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut about: Option<String> = None;
    let mut rows = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(comment) = text.strip_prefix("# -- ") {
            about = Some(comment.replace('|', "\\|"));
            continue;
        }
        let Some((key, _)) = text.split_once(':').filter(|(key, _)| is_key(key)) else {
            continue;
        };
        path.retain(|(depth, _)| *depth < indent);
        path.push((indent, key.to_owned()));
        if let Some(about) = about.take() {
            rows.push(row(&path, parsed, about));
        }
    }
    rows
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn row(path: &[(usize, String)], parsed: &Value, about: String) -> Row {
    let keys: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
    let value = parsed.pointer(&format!("/{}", keys.join("/")));
    Row {
        key: keys.join("."),
        default: shown(value.unwrap_or(&Value::Null)),
        about,
    }
}

/// A default as it stands in the table; one with parts of its own is told by its parts' rows.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => String::new(),
        Value::Array(items) if items.is_empty() => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::Object(fields) if fields.values().any(Value::is_object) || fields.len() > 4 => {
            "see `values.yaml`".to_owned()
        }
        Value::String(text) => format!("`{text}`"),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            format!("`{}`", value.to_string().replace('|', "\\|"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_about_the_key_below_it() {
        let text = "a:\n  # -- the first\n  b: 1\n  c: 2\n# -- the last\nd: {}\n";
        let made = readme(text);
        assert!(
            made.ends_with("|---|---|---|\n| `a.b` | `1` | the first |\n| `d` |  | the last |\n")
        );
    }
}
