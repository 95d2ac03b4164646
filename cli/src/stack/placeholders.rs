//! Secrets in a file of endpoints that holds none: `${NAME}` is filled in from the environment,
//! `${file:/path}` from a file. So the file itself can be a plain piece of configuration.

use std::fs;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

/// Fills in every placeholder of every text.
///
/// # Errors
/// When one is not closed, or what it names is not there.
pub fn fill(value: &mut Value) -> anyhow::Result<()> {
    match value {
        Value::String(text) => {
            *text = filled(text, &secret)?;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(fill),
        Value::Object(fields) => fields.values_mut().try_for_each(fill),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn filled(text: &str, secret: &dyn Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<String> {
    // A password may hold what has a meaning in a URL.
    let is_url = text.contains("://");
    let mut made = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| anyhow!("`${{` is not closed by `}}`"))?;
        made.push_str(before);
        let value = secret(name)?;
        made.push_str(&if is_url { encoded(&value) } else { value });
        rest = behind;
    }
    made.push_str(rest);
    Ok(made)
}

fn secret(name: &str) -> anyhow::Result<String> {
    match name.strip_prefix("file:") {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        // Which variables there are is told by the file, not by this program.
        None => std::env::var_os(name)
            .and_then(|value| value.into_string().ok())
            .ok_or_else(|| anyhow!("the variable {name} is not set")),
    }
}

/// Everything but what RFC 3986 calls unreserved as `%` and two digits.
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(name: &str) -> anyhow::Result<String> {
        match name {
            "PASSWORD" => Ok("a/b@c".to_owned()),
            other => Err(anyhow!("no {other}")),
        }
    }

    #[test]
    fn a_secret_is_filled_in_and_encoded_inside_a_url_only() {
        let url = filled("postgres://u:${PASSWORD}@h:1/d", &vault).unwrap();
        assert_eq!(url, "postgres://u:a%2Fb%40c@h:1/d");
        assert_eq!(filled("${PASSWORD}", &vault).unwrap(), "a/b@c");
        assert_eq!(filled("http://h:1", &vault).unwrap(), "http://h:1");
    }

    #[test]
    fn what_is_missing_or_malformed_is_refused() {
        assert!(filled("${OTHER}", &vault).is_err());
        assert!(filled("${PASSWORD", &vault).is_err());
    }

    #[test]
    fn every_text_of_a_document_is_filled_from_files() {
        let folder = std::env::temp_dir().join(format!("brewline-fill-{}", std::process::id()));
        fs::write(&folder, "s3cret\n").unwrap();
        let mut value = serde_json::json!({
            "a": [{ "b": format!("postgres://u:${{file:{}}}@h/d", folder.display()) }],
            "n": 1,
        });
        fill(&mut value).unwrap();
        assert_eq!(value["a"][0]["b"], "postgres://u:s3cret@h/d");
        fs::remove_file(&folder).unwrap();
    }
}
