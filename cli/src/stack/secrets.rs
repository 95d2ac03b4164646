//! Passwords: made once per data folder, kept in one file that only its owner can read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::folder::{Folder, write_atomically};

/// All passwords of a stack.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// By role of PostgreSQL.
    postgres: BTreeMap<String, String>,
    /// By user of Kafka.
    kafka: BTreeMap<String, String>,
    /// The id that Kafka's folder was formatted with.
    kafka_cluster_id: String,
}

// === impl Secrets ===

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(***)")
    }
}

impl Secrets {
    /// The folder's passwords; those that are missing for `roles` and `users` are made and kept.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn load_or_make(folder: &Folder, roles: &[&str], users: &[&str]) -> anyhow::Result<Self> {
        let mut secrets = Self::load(folder)?;
        for role in roles {
            secrets
                .postgres
                .entry((*role).to_owned())
                .or_insert_with(password);
        }
        for user in users {
            secrets
                .kafka
                .entry((*user).to_owned())
                .or_insert_with(password);
        }
        if secrets.kafka_cluster_id.is_empty() {
            secrets.kafka_cluster_id = cluster_id();
        }
        let text = serde_json::to_vec_pretty(&secrets).context("write secrets as JSON")?;
        write_atomically(&folder.secrets(), &text, 0o600)?;
        Ok(secrets)
    }

    /// The folder's passwords; none when there are none yet.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(folder: &Folder) -> anyhow::Result<Self> {
        let path = folder.secrets();
        let shown = path.display();
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("understand {shown}"))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("read {shown}")),
        }
    }

    /// Passwords of others' making, from files `DIR/WHO/postgres-password` and `DIR/WHO/kafka-password`.
    /// `roles` and `users` say who is meant by which name; what has no file is left out.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn from_files(
        folder: &Path,
        roles: &[(&str, String)],
        users: &[&str],
    ) -> anyhow::Result<Self> {
        let mut secrets = Self::default();
        for (who, role) in roles {
            if let Some(password) = given(&folder.join(who).join("postgres-password"))? {
                secrets.postgres.insert(role.clone(), password);
            }
        }
        for user in users {
            if let Some(password) = given(&folder.join(user).join("kafka-password"))? {
                secrets.kafka.insert((*user).to_owned(), password);
            }
        }
        Ok(secrets)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.postgres.is_empty() && self.kafka.is_empty()
    }

    /// The password of a role of PostgreSQL.
    #[must_use]
    pub fn postgres(&self, role: &str) -> &str {
        self.postgres.get(role).map_or("", String::as_str)
    }

    /// The password of a user of Kafka.
    #[must_use]
    pub fn kafka(&self, user: &str) -> &str {
        self.kafka.get(user).map_or("", String::as_str)
    }

    /// Every user of Kafka.
    pub fn kafka_users(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kafka
            .iter()
            .map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// The id that Kafka's folder is formatted with.
    #[must_use]
    pub fn kafka_cluster_id(&self) -> &str {
        &self.kafka_cluster_id
    }
}

/// What a file holds without the end of its line; nothing when there is no such file or nothing in it.
fn given(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            Ok(Some(text).filter(|text| !text.is_empty()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// 122 random bits in letters and digits, which need no quoting anywhere.
fn password() -> String {
    Uuid::new_v4().simple().to_string()
}

/// 16 bytes in URL-safe base64: 21 free characters and one whose low bits must be zero.
fn cluster_id() -> String {
    let mut id: String = password().chars().take(21).collect();
    id.push('A');
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_others_come_from_files_and_missing_ones_are_left_out() {
        let folder = std::env::temp_dir().join(format!("brewline-secrets-{}", std::process::id()));
        fs::create_dir_all(folder.join("order")).unwrap();
        fs::write(folder.join("order/postgres-password"), "p\n").unwrap();
        fs::write(folder.join("order/kafka-password"), "k").unwrap();
        let roles = [
            ("order", "brewline_order".to_owned()),
            ("payment", "brewline_payment".to_owned()),
        ];
        let secrets = Secrets::from_files(&folder, &roles, &["order", "payment"]).unwrap();
        assert_eq!(secrets.postgres("brewline_order"), "p");
        assert_eq!(secrets.postgres("brewline_payment"), "");
        assert_eq!(secrets.kafka_users().collect::<Vec<_>>(), [("order", "k")]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
