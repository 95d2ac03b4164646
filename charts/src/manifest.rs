//! One object of Kubernetes, as a value with ways to look into it.

use anyhow::Context as _;
use serde_json::Value;

/// One rendered object.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// All of it.
    pub value: Value,
}

/// A container of a pod, and what kind it is.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    /// Whether it runs before the others.
    pub is_init: bool,
    /// All of it.
    pub value: &'a Value,
}

// === impl Manifest ===

impl Manifest {
    /// The objects of a stream of documents; empty ones are left out.
    ///
    /// # Errors
    /// When one is not YAML.
    pub fn split(text: &str) -> anyhow::Result<Vec<Self>> {
        let mut documents = vec![String::new()];
        for line in text.lines() {
            if line.trim_end() == "---" {
                documents.push(String::new());
            } else if let Some(document) = documents.last_mut() {
                document.push_str(line);
                document.push('\n');
            }
        }
        let filled = documents.iter().filter(|document| {
            let meant = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
            document.lines().any(meant)
        });
        filled.map(|document| Self::parse(document)).collect()
    }

    fn parse(document: &str) -> anyhow::Result<Self> {
        let value = serde_saphyr::from_str(document)
            .with_context(|| format!("read a manifest:\n{document}"))?;
        Ok(Self { value })
    }

    /// A text at a JSON pointer; empty when there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        let found = self.value.pointer(pointer);
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Kind and name.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The specification of the pods that it makes, if it makes any.
    #[must_use]
    pub fn pod_spec(&self) -> Option<&Value> {
        match self.kind() {
            "Pod" => self.value.pointer("/spec"),
            "CronJob" => self.value.pointer("/spec/jobTemplate/spec/template/spec"),
            _ => self.value.pointer("/spec/template/spec"),
        }
    }

    /// The labels of the pods that it makes.
    #[must_use]
    pub fn pod_labels(&self) -> Option<&Value> {
        match self.kind() {
            "Pod" => self.value.pointer("/metadata/labels"),
            _ => self.value.pointer("/spec/template/metadata/labels"),
        }
    }

    /// All containers of its pods.
    #[must_use]
    pub fn containers(&self) -> Vec<Container<'_>> {
        let Some(spec) = self.pod_spec() else {
            return vec![];
        };
        let of = |pointer: &str, is_init| {
            let list = spec.pointer(pointer).and_then(Value::as_array);
            let list = list.map(Vec::as_slice).unwrap_or_default();
            list.iter().map(move |value| Container { is_init, value })
        };
        of("/containers", false)
            .chain(of("/initContainers", true))
            .collect()
    }
}

// === impl Container ===

impl<'a> Container<'a> {
    /// A text at a JSON pointer; empty when there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &'a str {
        let found = self.value.pointer(pointer);
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// The value of a variable of its environment that is written out.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&'a str> {
        let list = self.value.pointer("/env")?.as_array()?;
        let named = |variable: &&Value| variable.pointer("/name").is_some_and(|n| n == name);
        list.iter().find(named)?.pointer("/value")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_at_lines_of_three_dashes_and_comments_alone_are_none() {
        let text = "---\n# nothing\n---\nkind: A\ndata:\n  x: |\n    ---\n---\nkind: B\n";
        let kinds: Vec<String> = Manifest::split(text)
            .unwrap()
            .iter()
            .map(|m| m.kind().to_owned())
            .collect();
        assert_eq!(kinds, ["A", "B"]);
    }
}
