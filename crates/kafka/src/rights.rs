//! Users of the broker: their passwords and what each may do.

use std::fmt;
use std::sync::Arc;

use crate::admin::{WAIT, blocking};
use crate::{Admin, Error, native};

/// What is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Read records, or use a group.
    Read,
    /// Write records.
    Write,
    /// See that it exists, and how far it is.
    Describe,
    /// See its configuration.
    DescribeConfigs,
    /// Everything.
    All,
}

/// On what it is granted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// One topic by its whole name, or `*` for all.
    Topic(String),
    /// Topics by the beginning of their names.
    TopicPrefix(String),
    /// One consumer group, or `*` for all.
    Group(String),
    /// Groups by the beginning of their names.
    GroupPrefix(String),
    /// The cluster as such.
    Cluster,
}

/// One right of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// The user.
    pub user: String,
    /// What it may do.
    pub operation: Operation,
    /// With what.
    pub resource: Resource,
}

/// A user and its password, for SCRAM-SHA-512.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The user.
    pub user: String,
    /// The password. It leaves this process as it is: only over an encrypted connection or loopback.
    pub password: String,
}

// === impl Operation ===

impl Operation {
    /// Whether granting `self` grants `wanted`: reading and writing imply describing.
    #[must_use]
    pub fn implies(self, wanted: Self) -> bool {
        self == wanted
            || self == Self::All
            || (wanted == Self::Describe && matches!(self, Self::Read | Self::Write))
    }
}

// === impl Resource ===

impl Resource {
    /// Its name or prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Topic(name)
            | Self::TopicPrefix(name)
            | Self::Group(name)
            | Self::GroupPrefix(name) => name,
            Self::Cluster => "kafka-cluster",
        }
    }

    /// Whether a grant on `self` covers the one resource `wanted`.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Topic(mine), Self::Topic(name)) | (Self::Group(mine), Self::Group(name)) => {
                mine == "*" || mine == name
            }
            (Self::TopicPrefix(prefix), Self::Topic(name))
            | (Self::GroupPrefix(prefix), Self::Group(name)) => name.starts_with(prefix),
            (Self::Cluster, Self::Cluster) => true,
            _ => false,
        }
    }
}

// === impl Password ===

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

// === impl Admin ===

impl Admin {
    /// Grants every right of a list; what is granted already is no error.
    ///
    /// # Errors
    /// When the broker does not answer or refuses one.
    pub async fn grant(&self, acls: Vec<Acl>) -> Result<(), Error> {
        let client = Arc::clone(&self.client);
        blocking(move || native::create_acls(client.inner(), &acls, WAIT)).await
    }

    /// Sets the passwords of users, new ones or not.
    ///
    /// # Errors
    /// When the broker does not answer or refuses one.
    pub async fn set_passwords(&self, users: Vec<Password>) -> Result<(), Error> {
        let client = Arc::clone(&self.client);
        blocking(move || native::set_passwords(client.inner(), &users, WAIT)).await
    }
}
