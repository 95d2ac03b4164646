//! Passwords: made once per data folder, kept in one file that only its owner can read.

use std::collections::BTreeMap;
use std::fs;

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
